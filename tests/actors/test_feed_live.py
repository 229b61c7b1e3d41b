"""The feed over a market that answers when it can: rounds that wait a little, and nothing made up that may still come."""

from __future__ import annotations

from collections.abc import Sequence

from actors.feed import GATHER_MS
from actors.venues.ports import Fault, PriceRange
from actors.venues.trading import Permit, PermitWanted, RequestEnded
from engine.candles import MINUTE, Candle
from engine.messages import (
    AcquirePermit,
    CandlesClosed,
    EpochAnnounced,
    LockPair,
    MarketRange,
    Notify,
    PermitDenied,
    PermitGranted,
    PermitsSpent,
    UsageReported,
    WatchPrice,
)
from engine.types import Millis, Priority
from tests.actors.slow_market import SlowMarket
from tests.actors.test_feed import PAIRS, START, World, flat

A, B, C = PAIRS


def world(pairs: Sequence[str] = PAIRS, *, loaded: bool = True) -> tuple[World, SlowMarket, list[tuple[Millis, str]]]:
    """A feed, the wire of its market, and a list of what reached the judge when: (time, pair)."""
    market = SlowMarket(pairs, MINUTE)
    made = World(market, pairs=pairs)
    made.load()
    if loaded:
        for pair in pairs:
            market.give_history(pair, [flat(START - MINUTE)], START)
    made.runtime.settle()
    arrived: list[tuple[Millis, str]] = []

    def delivered(now: Millis, _from: str, _to: str, message: object) -> None:
        if isinstance(message, CandlesClosed):
            arrived.extend((now, pair) for pair, _ in message.candles)

    made.runtime.on_delivery = delivered
    return made, market, arrived


def close(minute: int) -> Millis:
    """When the candle of a minute closes."""
    return START + (minute + 1) * MINUTE


def test_histories_come_when_they_can_and_their_pairs_join() -> None:
    """The feed asks once, hands each window on as it comes, and only pairs with a window take part."""
    made, market, arrived = world(loaded=False)
    assert [(set(pairs), before, count) for pairs, before, count in market.asked] == [(set(PAIRS), START, 5)]
    assert made.history == []

    market.give_history(A, [flat(START - 2 * MINUTE), flat(START - MINUTE)], START)
    made.runtime.settle()
    market.tell(A, flat(START))
    market.tell(B, flat(START))
    made.runtime.run(MINUTE + 1_000)
    assert [pair for pair, _ in made.history] == [A]
    assert arrived == [(close(0), A)]

    market.give_history(B, [flat(START - MINUTE)], START)
    made.runtime.settle()
    assert made.got(B) == [flat(START)]


def test_a_judge_that_asks_again_is_sent_no_candle_twice() -> None:
    """A candle that closes while a judge's new history is on its way is sent once, and nothing is made up for it."""
    made, market, arrived = world([A])
    made.load()
    market.tell(A, flat(START))
    made.runtime.run(MINUTE)
    market.give_history(A, [flat(START - 2 * MINUTE), flat(START - MINUTE)], START)
    made.runtime.settle()
    market.tell(A, flat(START + MINUTE))
    made.runtime.run(MINUTE)

    assert len(made.history) == 2
    assert [at for at, _ in arrived] == [close(0), close(1)]
    assert made.got(A) == [flat(START), flat(START + MINUTE)]


def test_a_round_goes_when_everybody_traded_is_there() -> None:
    """The last of the candles that are on their way starts the round at once; a quiet pair is not waited for."""
    made, market, arrived = world()
    market.tell(A, flat(START), closed=False)
    market.tell(B, flat(START), closed=False)
    made.runtime.run(MINUTE + 40)
    assert arrived == []

    market.tell(A, flat(START))
    made.runtime.run(20)
    market.tell(B, flat(START))
    made.runtime.settle()
    assert arrived == [(close(0) + 60, A), (close(0) + 60, B)]
    assert made.got(C) == []


def test_a_candle_that_does_not_come_holds_the_others_up_for_a_moment_only() -> None:
    """After the round's patience the others go; the late one follows when it comes, and is judged."""
    made, market, arrived = world()
    market.tell(A, flat(START), closed=False)
    market.tell(B, flat(START))
    made.runtime.run(MINUTE + 2_000)
    assert arrived == [(close(0) + GATHER_MS, B)]

    market.tell(A, flat(START))
    made.runtime.settle()
    assert arrived[1:] == [(close(0) + 2_000, A)]
    assert made.got(A) == [flat(START)]


def test_nothing_is_made_up_that_may_still_come() -> None:
    """In an outage a pair waits and is stale; what it missed comes in order afterwards, real, and it is healed."""
    made, market, _ = world([A])
    market.gathering.down([A])
    made.runtime.run(5 * MINUTE)
    assert made.got(A) == []
    assert made.status()["stale"] == 1

    rows = [flat(START + n * MINUTE, 10.0 + n) for n in range(5)]
    market.gathering.read(A, START, rows, START + 5 * MINUTE)
    market.wake()
    made.runtime.run(6_000)
    assert made.got(A) == rows
    assert [e["kind"] for e in made.entries if e["kind"] != "slow"] == ["stale", "healed"]
    assert [m.event for m in made.of("notifier", Notify)] == ["data_stale", "data_healed"]
    assert made.status()["stale"] == 0


def test_a_quiet_pair_is_never_stale() -> None:
    """A pair of which the exchange says that nothing was traded goes on with the price it had."""
    made, market, _ = world([A])
    for minute in range(5):
        made.runtime.run(MINUTE)
        market.gathering.read(A, START + minute * MINUTE, [flat(START + (minute + 1) * MINUTE)], close(minute))
        market.wake()
        made.runtime.settle()

    quiet = [Candle(START + n * MINUTE, 10.0, 10.0, 10.0, 10.0, 0.0) for n in range(5)]
    assert made.got(A) == quiet
    assert made.status()["stale"] == 0


def test_a_feed_that_starts_again_is_given_what_closed_meanwhile() -> None:
    """The streams outlive a crash of the feed: no candle is missing and none comes twice."""
    made, market, _ = world([A])
    for minute in range(4):
        market.tell(A, flat(START + minute * MINUTE, 10.0 + minute))
        if minute == 1:
            made.runtime.kill("feed")
        if minute == 2:
            made.runtime.spawn("feed", made.make)
        made.runtime.run(MINUTE)

    assert made.got(A) == [flat(START + n * MINUTE, 10.0 + n) for n in range(4)]


def test_prices_are_told_when_they_stir() -> None:
    """A tick goes to the pair that watches as soon as the market wakes the feed, not with the next look."""
    made, market, _ = world([A])
    made.runtime.tell("feed", WatchPrice(pair=A, watch=True))
    made.runtime.settle()
    assert market.watched == {A}

    market.moved = [PriceRange(A, START + 5, 10.0, 11.0, 9.0, 9.5)]
    market.wake()
    made.runtime.settle()
    told = made.of(f"pair:{A}", MarketRange)[-1]
    assert (told.ts, float(told.high), float(told.low)) == (START + 5, 11.0, 9.0)

    made.runtime.tell("feed", WatchPrice(pair=A, watch=False))
    made.runtime.settle()
    assert market.watched == frozenset()


def test_the_feed_speaks_for_its_market() -> None:
    """What it says to others reaches them, and its wishes the limiter, a new one too; what comes of them comes back."""
    made, market, _ = world([A])
    lock = LockPair(pair=A, side="*", until=START, reason="halted")
    market.saying = [("control", lock)]
    market.wanted = [PermitWanted("live.1", "candles", Priority.DATA), PermitWanted("live.2", "tickers")]
    market.wake()
    made.runtime.settle()
    made.runtime.tell("feed", EpochAnnounced(name="limiter", epoch=3))
    made.runtime.settle()
    asked = made.of("limiter", AcquirePermit)
    permit_id = f"3.1.{START + 5_000}"
    made.runtime.tell("feed", PermitGranted(request_id=asked[0].request_id, permit_id=permit_id, expires=START + 5_000))
    made.runtime.tell("feed", PermitDenied(request_id=asked[1].request_id, reason="none left"))
    made.runtime.settle()
    market.wanted = [RequestEnded(permit_id=permit_id, request="candles", retry_after_ms=7_000)]
    market.wake()
    made.runtime.settle()
    told = made.of("limiter", PermitsSpent)

    assert made.of("control", LockPair) == [lock]
    assert [message.request for message in asked] == ["candles", "tickers"] * 2
    assert market.granted == [("live.1", Permit(permit_id, START + 5_000)), ("live.2", None)]
    assert [(m.sent, m.answered) for m in told] == [(((permit_id, START),), ()), ((), ((permit_id, START),))]
    assert [message.retry_after_ms for message in made.of("limiter", UsageReported)] == [7_000]


def test_faults_of_the_stream_reach_the_journal_and_the_user() -> None:
    """What the market says of its streams is recorded; an outage, and its end, the user is told at once."""
    made, market, _ = world([A])
    market.wrong = [
        Fault("*", "stalled", "silent for 10 s"),
        Fault("*", "outage", "no answer"),
        Fault(A, "halted", "h"),
    ]
    market.wake()
    made.runtime.run(100)
    assert {m.event for m in made.of("notifier", Notify)} == {"data_stalled", "data_outage"}

    made.runtime.run(6_000)
    assert {entry["kind"] for entry in made.entries} == {"stalled", "outage", "halted"}
    assert {m.event for m in made.of("notifier", Notify)} == {"data_stalled", "data_outage", "data_halted"}
