"""The feed: every candle to its judge once, in order and whole, whatever the market, the judges or a crash do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from actors.base import Context, EngineActor
from actors.feed import CATCH_UP_MAX, FeedActor
from actors.sim import SimRuntime
from actors.venues.paper.built_in import BuiltInMarket
from actors.venues.paper.file_market import FileMarket
from actors.venues.paper.prompt import PromptMarket
from actors.venues.ports import MarketSource, PriceRange
from engine.candles import MINUTE, Candle, Candles
from engine.margin import FundingRate
from engine.market import Market
from engine.messages import (
    CandlesClosed,
    ControlAnswered,
    EpochAnnounced,
    HistoryLoaded,
    LoadHistory,
    LoadState,
    MarketRange,
    Message,
    Notify,
    Record,
    Recorded,
    ReportStatus,
    RoundJudged,
    Shutdown,
    ShutdownDone,
    StateLoaded,
    WatchPrice,
)
from engine.settings import FeedConfig
from engine.synthetic import SyntheticMarket
from engine.types import Millis
from tests.actors.slow_market import SlowMarket

START = 1_767_225_600_000
PAIRS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")


class Judge(EngineActor):
    """Keeps what it is sent; reports each round unless told to be silent."""

    def __init__(self, ctx: Context, world: World) -> None:
        super().__init__(ctx)
        self.world = world

    def on_candles_closed(self, message: CandlesClosed) -> None:
        self.world.candles.setdefault(self.name, []).append(message)
        if not self.world.silent:
            ts = message.ts + message.timeframe_ms
            self.tell("feed", RoundJudged(judge=self.name, ts=ts, wishes=(), judged=len(message.candles)))

    def on_history_loaded(self, message: HistoryLoaded) -> None:
        self.world.history.extend(message.pairs)


class Keeper(EngineActor):
    """Stands for persistence: says at once that everything is on disk, and remembers it over restarts of others."""

    def __init__(self, ctx: Context, world: World) -> None:
        super().__init__(ctx)
        self.world = world

    def on_load_state(self, message: LoadState) -> None:
        self.tell(message.writer, StateLoaded(writer=message.writer, state=self.world.state, seq=self.world.seq))

    def on_record(self, message: Record) -> None:
        if message.seq == self.world.seq + 1:
            self.world.seq = message.seq
            self.world.state = message.state or self.world.state
            self.world.entries += [dict(entry.body) for entry in message.entries]
        self.tell(message.writer, Recorded(seq=self.world.seq))


class Ears(EngineActor):
    """Keeps everything it is told, under its name."""

    def __init__(self, ctx: Context, world: World) -> None:
        super().__init__(ctx)
        self.world = world

    def receive(self, message: Message) -> None:
        self.world.heard.setdefault(self.name, []).append(message)


class Script:
    """A market whose candles are written down: what it hands out at each time, faults and all."""

    def __init__(self, rows: Mapping[Millis, Sequence[tuple[str, Candle]]], end: Millis | None = None) -> None:
        self.rows = rows
        self.end = end
        self.pairs = PAIRS

    def markets(self) -> Mapping[str, Market]:
        return {}

    def span(self) -> tuple[Millis, Millis | None]:
        return START, self.end

    def history(self, pairs: Sequence[str], timeframe_ms: Millis, before: Millis, count: int) -> Mapping[str, Candles]:
        ts = np.array([before - timeframe_ms], np.int64)
        one = np.array([10.0])
        return {
            pair: Candles(pair=pair, timeframe="1m", ts=ts, open=one, high=one, low=one, close=one, volume=one)
            for pair in pairs
        }

    def closed(self, pairs: Sequence[str], timeframe_ms: Millis, ts: Millis) -> Sequence[tuple[str, Candle]]:
        return self.rows.get(ts, ())

    def ranges(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[PriceRange]:
        return ()

    def funding(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[FundingRate]:
        return ()

    def prices(self, pairs: Sequence[str], at: Millis) -> Sequence[PriceRange]:
        return ()


class World:
    """A feed in a simulation, with judges that report, a journal that remembers, and ears for the rest."""

    def __init__(
        self,
        source: MarketSource | SlowMarket,
        *,
        pairs: Sequence[str] = PAIRS,
        judges: int = 1,
        seed: int = 1,
        start: Millis = START,
    ) -> None:
        self.candles: dict[str, list[CandlesClosed]] = {}
        self.history: list[tuple[str, tuple[Candle, ...]]] = []
        self.heard: dict[str, list[Any]] = {}
        self.entries: list[dict[str, Any]] = []
        self.state: Mapping[str, Any] | None = None
        self.seq = 0
        self.silent = False
        self.runtime = SimRuntime(seed, start_ms=start)
        self.judge_of = {pair: f"judge:{i % judges}" for i, pair in enumerate(pairs)}
        stream = source if isinstance(source, SlowMarket) else PromptMarket(source)
        self.make: Callable[[Context], EngineActor] = lambda ctx: FeedActor(
            ctx, stream, pairs, "1m", self.judge_of, FeedConfig()
        )
        self.runtime.spawn("persistence", lambda ctx: Keeper(ctx, self))
        for name in ("root", "limiter", "notifier", "control", *(f"pair:{pair}" for pair in pairs)):
            self.runtime.spawn(name, lambda ctx: Ears(ctx, self))
        for judge in sorted(set(self.judge_of.values())):
            self.runtime.spawn(judge, lambda ctx: Judge(ctx, self))
        self.runtime.spawn("feed", self.make)

    def load(self, count: int = 5) -> None:
        """Every judge asks for its pairs' history."""
        for judge in sorted(set(self.judge_of.values())):
            own = tuple(pair for pair, its in self.judge_of.items() if its == judge)
            self.runtime.tell("feed", LoadHistory(pairs=own, count=count, reply_to=judge))
        self.runtime.settle()

    def got(self, pair: str) -> list[Candle]:
        """The candles that the pair's judge was sent, in order."""
        messages = self.candles.get(self.judge_of[pair], [])
        return [candle for message in messages for name, candle in message.candles if name == pair]

    def of(self, name: str, kind: type[Message]) -> list[Any]:
        """What a listener heard of one kind."""
        return [message for message in self.heard.get(name, []) if type(message) is kind]

    def status(self) -> dict[str, Any]:
        """The feed's own figures, asked for as a user would."""
        self.runtime.tell("feed", ReportStatus(request_id="s", reply_to="control"))
        self.runtime.settle()
        return dict(self.of("control", ControlAnswered)[-1].data)


def built_in() -> BuiltInMarket:
    """A small market of seed 3."""
    return BuiltInMarket(SyntheticMarket(3, 3))


def expected(pair: str, first: Millis, count: int) -> list[Candle]:
    """What the market says of the pair."""
    return list(SyntheticMarket(3, 3).candles([pair], MINUTE, first, count)[pair])


def flat(ts: Millis, price: float = 10.0) -> Candle:
    """A candle of one price that did trade."""
    return Candle(ts, price, price, price, price, 1.0)


def scripted(*minutes: Sequence[tuple[str, Candle]], end: Millis | None = None) -> World:
    """A world over a script, the first entry being what comes at the close of minute 0."""
    world = World(Script({START + i * MINUTE: rows for i, rows in enumerate(minutes)}, end), pairs=PAIRS[:1])
    world.load()
    return world


def test_history_then_every_candle_once_at_its_close() -> None:
    """Two judges get the windows of their pairs, and from then on each candle at the moment it closes."""
    world = World(built_in(), judges=2, start=START + 30_000)
    world.load(count=5)
    arrived: list[Millis] = []
    world.runtime.on_delivery = lambda now, _, to, m: arrived.append(now) if isinstance(m, CandlesClosed) else None
    world.runtime.run(4 * MINUTE)

    for pair in PAIRS:
        assert dict(world.history)[pair] == tuple(expected(pair, START - 5 * MINUTE, 5))
        assert world.got(pair) == expected(pair, START, 4)
    assert sorted(set(arrived)) == [START + i * MINUTE for i in (1, 2, 3, 4)]
    assert len(arrived) == 8


def test_nobody_is_sent_candles_before_asking() -> None:
    """Without a `LoadHistory` the feed is silent."""
    world = World(built_in())
    world.runtime.run(5 * MINUTE)

    assert world.candles == {}


def test_an_unknown_pair_gets_an_empty_history() -> None:
    """A judge that asks for a pair which the market does not have is answered, with no rows."""
    world = World(built_in())
    world.runtime.tell("feed", LoadHistory(pairs=("NO/SUCH", "BTC/USDT"), count=3, reply_to="judge:0"))
    world.runtime.settle()

    assert [(pair, len(rows)) for pair, rows in world.history] == [("NO/SUCH", 0), ("BTC/USDT", 3)]


def test_the_next_candle_waits_for_the_round() -> None:
    """While a judge is silent only one candle is out; when it reports, what has closed meanwhile follows in order."""
    world = World(built_in())
    world.load()
    world.silent = True
    world.runtime.run(MINUTE + 9_000)
    assert [c.ts for c in world.got("BTC/USDT")] == [START]

    world.silent = False
    world.runtime.run(1_000)
    world.runtime.run(3 * MINUTE)
    assert world.got("BTC/USDT") == expected("BTC/USDT", START, 4)


def test_a_judge_that_never_reports_is_counted_and_does_not_stop_the_market() -> None:
    """After the round's time-out the next candle goes out, and the journal has an entry of it."""
    world = World(built_in())
    world.load()
    world.silent = True
    world.runtime.run(5 * MINUTE)

    assert world.got("BTC/USDT") == expected("BTC/USDT", START, 5)
    assert {entry["kind"] for entry in world.entries} == {"slow"}
    assert world.status()["counts"]["slow"] >= 4


def test_a_market_faster_than_its_judges_is_noticed_and_loses_nothing() -> None:
    """Rounds of 10 s against candles of 1 s: candles come late, all and in order, and the lateness is told."""
    source = built_in()
    world = World(source)

    class Fast(FeedActor):
        """A feed in whose market time runs sixty times as fast as the machine's."""

        def now(self) -> Millis:
            return START + (super().now() - START) * 60

        def start_timer(self, name: str, delay_ms: int, *, market: bool = False) -> None:
            super().start_timer(name, delay_ms // 60 if market else delay_ms, market=market)

    world.runtime.stop("feed")
    world.runtime.settle()
    world.runtime.spawn("feed", lambda ctx: Fast(ctx, PromptMarket(source), PAIRS, "1m", world.judge_of, FeedConfig()))
    world.load()
    world.silent = True
    world.runtime.run(60_000)

    got = world.got("BTC/USDT")
    assert 5 <= len(got) <= 7
    assert got == expected("BTC/USDT", START, len(got))
    assert world.status()["behind"] > 40
    assert any("behind the market" in entry["detail"] for entry in world.entries)


def test_a_crashed_feed_goes_on_with_what_closed_meanwhile() -> None:
    """Dead for three minutes: no candle is missing and none comes twice, to any judge."""
    world = World(built_in(), judges=2)
    world.load()
    world.runtime.run(2 * MINUTE + 1_000)
    world.runtime.kill("feed")
    world.runtime.run(3 * MINUTE)
    world.runtime.spawn("feed", world.make)
    world.runtime.run(2 * MINUTE)

    for pair in PAIRS:
        assert world.got(pair) == expected(pair, START, 7)


def test_judges_that_ask_again_after_a_crash_still_get_what_closed_meanwhile() -> None:
    """A `LoadHistory` that overtakes the feed's own state waits for it: the missed candles are judged, not just loaded."""
    for seed in range(5):
        world = World(built_in(), seed=seed)
        world.load()
        world.runtime.run(2 * MINUTE + 1_000)
        world.runtime.kill("feed")
        world.runtime.run(2 * MINUTE)
        world.runtime.spawn("feed", world.make)
        world.load()
        world.runtime.run(MINUTE)

        assert world.got("ETH/USDT") == expected("ETH/USDT", START, 5)


def test_a_feed_without_a_journal_answers_all_the_same() -> None:
    """With persistence down a restarted feed answers after five seconds instead of never."""
    world = World(built_in())
    world.runtime.kill("feed")
    world.runtime.kill("persistence")
    world.runtime.spawn("feed", world.make)
    world.load()
    assert world.history == []

    world.runtime.run(MINUTE)
    assert len(world.history) == 3
    assert len(world.got("BTC/USDT")) == 1


def test_very_old_candles_are_not_announced_after_a_crash() -> None:
    """Down for longer than the limit: the newest candles come, the skipped ones are counted."""
    world = World(built_in())
    world.load()
    world.runtime.run(MINUTE)
    world.runtime.kill("feed")
    world.runtime.run((CATCH_UP_MAX + 100) * MINUTE)
    world.runtime.spawn("feed", world.make)
    world.runtime.run(10_000)

    got = world.got("BTC/USDT")
    assert len(got) == 1 + CATCH_UP_MAX
    assert got[-1].ts == START + (CATCH_UP_MAX + 100) * MINUTE
    assert world.status()["counts"]["gap"] == 100


def test_an_earlier_run_of_the_bot_does_not_decide_where_candles_begin() -> None:
    """In a new process the state in the journal is old: only the judges' asking counts."""
    world = World(built_in())
    world.state = {"ts": START - 3_000 * MINUTE, "behind": {}}
    world.runtime.kill("feed")
    fresh = SimRuntime(2, start_ms=START)
    world.runtime = fresh
    fresh.spawn("persistence", lambda ctx: Keeper(ctx, world))
    fresh.spawn("judge:0", lambda ctx: Judge(ctx, world))
    fresh.spawn("feed", world.make)
    fresh.run(MINUTE)
    assert world.candles == {}

    world.load()
    fresh.run(MINUTE)
    assert world.got("BTC/USDT") == expected("BTC/USDT", START + MINUTE, 1)


def test_a_missing_candle_is_made_up_in_time_and_counted() -> None:
    """The gap is filled with volume 0 at the last close when its time is over; the late original is a duplicate."""
    pair = PAIRS[0]
    late = (pair, flat(START + MINUTE, 11.0))
    world = scripted([(pair, flat(START))], [], [late, (pair, flat(START + 2 * MINUTE, 12.0))])
    world.runtime.run(3 * MINUTE + 10_000)

    made_up = Candle(START + MINUTE, 10.0, 10.0, 10.0, 10.0, 0.0)
    assert world.got(pair) == [flat(START), made_up, flat(START + 2 * MINUTE, 12.0)]
    counts = world.status()["counts"]
    assert (counts["gap"], counts["duplicate"]) == (1, 1)


def test_absurd_and_repeated_candles_are_refused_and_told() -> None:
    """Nonsense and repetitions reach no judge; the journal says what and how often."""
    pair = PAIRS[0]
    nonsense = [
        flat(START, 9_000.0),
        Candle(START, 1.0, 0.5, 2.0, 1.0, 1.0),
        flat(START, float("nan")),
        flat(START, -1.0),
    ]
    world = scripted(
        [(pair, candle) for candle in nonsense] + [(pair, flat(START))],
        [(pair, flat(START)), (pair, flat(START + 5 * MINUTE)), (pair, flat(START + MINUTE))],
    )
    world.runtime.run(2 * MINUTE + 10_000)

    assert world.got(pair) == [flat(START), flat(START + MINUTE)]
    told: Counter[str] = Counter()
    for entry in world.entries:
        told[entry["kind"]] += entry["count"]
    assert told == {"absurd": 5, "duplicate": 1}


def test_a_stale_pair_is_told_once_and_when_healed() -> None:
    """Three missing candles make it stale: nothing more is made up; the next real one comes with all before it."""
    pair = PAIRS[0]
    world = scripted([(pair, flat(START))], *([[]] * 6), [(pair, flat(START + 7 * MINUTE, 12.0))])
    world.runtime.run(6 * MINUTE)
    assert len(world.got(pair)) == 3
    assert world.status()["stale"] == 1
    assert {str} == {type(kind) for kind in world.status()["counts"]}

    world.runtime.run(2 * MINUTE + 10_000)
    got = world.got(pair)
    assert [candle.ts for candle in got] == [START + i * MINUTE for i in range(8)]
    assert got[-1].close == 12.0
    assert [e["kind"] for e in world.entries if e["kind"] in {"stale", "healed"}] == ["stale", "healed"]
    assert [m.event for m in world.of("notifier", Notify)] == ["data_stale", "data_healed"]
    assert world.status()["stale"] == 0


def test_a_flood_of_faults_is_a_trickle_of_entries() -> None:
    """Three hundred pairs without candles, for five minutes: entries are gathered, and sums say how many."""
    pairs = SyntheticMarket(1, 300).pairs
    world = World(Script({}), pairs=pairs)
    world.load()
    world.runtime.run(5 * MINUTE + 10_000)

    assert len(world.entries) <= 5 * 22
    assert sum(entry["count"] for entry in world.entries if entry["kind"] == "stale") == 300
    assert sum(entry["count"] for entry in world.entries if entry["kind"] == "gap") == 600
    assert len(world.of("notifier", Notify)) == 1


def test_watching_begins_with_a_point_and_goes_on_without_a_hole() -> None:
    """The first message is the price now; the following ranges cover every tick since, once."""
    market = SyntheticMarket(3, 3)
    world = World(built_in(), start=START + 500)
    world.runtime.tell("feed", WatchPrice(pair="ETH/USDT", watch=True))
    world.runtime.settle()
    first = world.of("pair:ETH/USDT", MarketRange)
    assert [(m.ts, m.is_point) for m in first] == [(START, True)]
    assert first[0].close == Decimal(repr(float(market.price(1, START))))

    world.runtime.run(90_000)
    later = world.of("pair:ETH/USDT", MarketRange)[1:]
    ticks = market.ticks("ETH/USDT", START + 1_000, START + 91_000).tolist()
    assert [m.close for m in later] == [Decimal(repr(tick)) for tick in ticks]
    assert world.of("pair:BTC/USDT", MarketRange) == []


def test_ranges_are_conflated_when_the_market_is_fast() -> None:
    """With a look every five seconds each range holds five ticks; the whole is the market's own range."""
    market = SyntheticMarket(3, 3)
    source = built_in()
    world = World(source)
    config = FeedConfig(tick_ms=5_000)
    world.runtime.spawn("slow", lambda ctx: FeedActor(ctx, PromptMarket(source), PAIRS, "1m", world.judge_of, config))
    world.runtime.tell("slow", WatchPrice(pair="SOL/USDT", watch=True))
    world.runtime.run(60_000)

    heard = world.of("pair:SOL/USDT", MarketRange)[1:]
    assert len(heard) == 12
    whole = market.range("SOL/USDT", START, START + 60_000)
    assert whole is not None
    assert (float(heard[0].open), float(max(m.high for m in heard)), float(min(m.low for m in heard))) == whole[:3]
    assert float(heard[-1].close) == whole[3]


def test_watching_ends_when_told() -> None:
    """After `WatchPrice(watch=False)` nothing more comes, and an unknown pair harms nobody."""
    world = World(built_in())
    world.runtime.tell("feed", WatchPrice(pair="NO/SUCH", watch=True))
    world.runtime.tell("feed", WatchPrice(pair="BTC/USDT", watch=True))
    world.runtime.run(3_000)
    world.runtime.tell("feed", WatchPrice(pair="BTC/USDT", watch=False))
    world.runtime.settle()
    before = len(world.of("pair:BTC/USDT", MarketRange))
    world.runtime.run(10_000)

    assert before >= 3
    assert len(world.of("pair:BTC/USDT", MarketRange)) == before


def test_the_end_of_the_data_is_said() -> None:
    """After the last candle of a file the feed says so and is quiet."""
    pair = PAIRS[0]
    world = scripted([(pair, flat(START))], [(pair, flat(START + MINUTE))], end=START + MINUTE)
    world.runtime.run(10 * MINUTE)

    assert len(world.got(pair)) == 2
    assert [m.event for m in world.of("notifier", Notify)] == ["data_ended"]
    assert world.entries == []


def test_an_orderly_end_waits_for_the_journal() -> None:
    """`ShutdownDone` comes once, after what was recorded is on disk; no candle comes afterwards."""
    world = World(built_in())
    world.load()
    world.runtime.run(MINUTE)
    world.runtime.tell("feed", Shutdown(reply_to="root"))
    world.runtime.run(5 * MINUTE)

    assert [m.name for m in world.of("root", ShutdownDone)] == ["feed"]
    assert len(world.got("BTC/USDT")) == 1


def test_a_new_judge_ends_the_round_of_the_old_one() -> None:
    """A judge that is restarted cannot report any more: the round does not wait for it."""
    world = World(built_in())
    world.load()
    world.silent = True
    world.runtime.run(MINUTE)
    assert world.status()["waiting_for"] == ["judge:0"]

    world.runtime.tell("feed", EpochAnnounced(name="judge:0", epoch=2))
    assert world.status()["waiting_for"] == []


@pytest.mark.parametrize("before", [START, START + 1, START + MINUTE - 1, START + MINUTE])
def test_sources_agree_on_what_opens_before_a_moment(before: Millis) -> None:
    """The built-in market and files answer alike: the newest candle that opens before it, closed or not."""
    market = SyntheticMarket(3, 1)
    files = FileMarket(market.candles(["BTC/USDT"], MINUTE, START - 5 * MINUTE, 10), "1m")
    expected_ts = [START - 2 * MINUTE, START - MINUTE] if before == START else [START - MINUTE, START]

    for source in (BuiltInMarket(market), files):
        assert source.history(["BTC/USDT"], MINUTE, before, 2)["BTC/USDT"].ts.tolist() == expected_ts


def test_files_are_played_like_a_market() -> None:
    """A file's candles arrive as they are, and the prices between them stay inside and end at the close."""
    candles = SyntheticMarket(3, 1).candles(["BTC/USDT"], MINUTE, START, 10)
    source = FileMarket(candles, "1m")
    world = World(source, pairs=("BTC/USDT",))
    world.load()
    world.runtime.tell("feed", WatchPrice(pair="BTC/USDT", watch=True))
    world.runtime.run(10 * MINUTE)

    whole = list(candles["BTC/USDT"])
    assert world.got("BTC/USDT") == whole
    for candle in whole:
        found = source.ranges(["BTC/USDT"], candle.ts - 1, candle.ts + MINUTE - 1)[0]
        assert found[2:] == candle[1:5]
    assert source.span() == (START, START + 9 * MINUTE)
    assert source.markets()["BTC/USDT"].price_step == Decimal(1)
