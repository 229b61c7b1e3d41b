"""Live market data against the local exchange: every candle once, in order and true, whatever the streams do.

One feed goes through it all, so what a test leaves behind would show in those after it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from actors.venues.live.times import Times
from engine.candles import Candle
from engine.messages import LockPair, MarketRange, Notify, UnlockPair, WatchPrice
from tests.actors.live_feed import LiveFeed, tell
from tests.exchange.client import Exchange

BTC, ETH, SOL = "BTC/USDT", "ETH/USDT", "SOL/USDT"
IMPATIENT = Times(
    silence=1.0, lag=0.3, price_silence=0.7, price_down=0.5, markets=0.5, retry=0.1, retry_max=0.5, backoff_max=0.5
)
"""The stated times, shorter."""


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """Eight pairs that trade all the time."""
    with Exchange("--pairs", "8", "--rate", "5", "--seed", "3") as running:
        yield running


@pytest.fixture(scope="module")
def whole_bot(exchange: Exchange) -> Iterator[LiveFeed]:
    """A feed of candles of one second."""
    with LiveFeed(exchange, count=8, times=IMPATIENT) as running:
        running.wait("windows", lambda: len(running.windows) == 8)
        yield running


@pytest.fixture
def bot(exchange: Exchange, whole_bot: LiveFeed) -> Iterator[LiveFeed]:
    """The same, with its stream up and nothing wrong with the exchange; whole again at the end."""
    up(whole_bot)
    yield whole_bot
    exchange.control("clear")


def up(bot: LiveFeed) -> None:
    """Wait for the stream of candles."""
    bot.wait("the stream", lambda: bot.market.status()["lines_up"] == 1)


def candles_after(bot: LiveFeed, pair: str, count: int) -> list[Candle]:
    """Wait for so many more candles of a pair; all it has had so far."""
    before = len(bot.candles.get(pair, ()))
    bot.wait(f"{count} candles of {pair}", lambda: len(bot.candles.get(pair, ())) >= before + count)
    return list(bot.candles[pair])


def await_unasked(exchange: Exchange, bot: LiveFeed) -> None:
    """Wait for two candles in a row that come without a question: on a busy machine one may be late enough to be asked for."""

    def unasked() -> bool:
        asked = len(exchange.control("requests")["spot"])
        candles_after(bot, BTC, 2)
        return not any("klines" in str(request) for request in exchange.control("requests")["spot"][asked:])

    bot.wait("candles that nobody asked for", unasked)


def assert_true_and_whole(bot: LiveFeed) -> None:
    """Window and candles of each pair have no hole and no repetition, and are what the exchange says."""
    newest = max(rows[-1].ts for rows in bot.candles.values())
    bot.wait("all pairs", lambda: all(rows[-1].ts >= newest for rows in bot.candles.values()))
    for pair in bot.pairs:
        had = [*bot.windows[pair], *bot.candles[pair]]
        first = had[0].ts
        assert [candle.ts for candle in had] == [first + n * bot.step for n in range(len(had))], pair
        asked = bot.connection.data.fetch_ohlcv
        told = bot.connection.spawn(asked(pair, bot.timeframe, first, len(had))).result(60)
        assert had == [Candle(*row) for row in told], pair


def events(bot: LiveFeed) -> list[str]:
    """What the user was told, by event."""
    return [message.event for message in bot.notices.of(Notify)]


def test_candles_come_by_stream_each_once(exchange: Exchange, bot: LiveFeed) -> None:
    """Windows by REST, then every candle by websocket, without a hole between them."""
    candles_after(bot, BTC, 2)
    await_unasked(exchange, bot)

    assert_true_and_whole(bot)


def test_doubled_reordered_and_lost_frames_cost_nothing(exchange: Exchange, bot: LiveFeed) -> None:
    """With half of all frames doubled, swapped or dropped the candles are still the exchange's own."""
    for number, kind in enumerate(("duplicate", "reorder", "drop")):
        exchange.control("fault", kind=kind, stream="*@kline_*", probability=0.2, seed=number)
    candles_after(bot, BTC, 4)
    exchange.control("clear")

    assert_true_and_whole(bot)


@pytest.mark.parametrize("kind", ["garbage", "cut_frame", "close", "reset_stream", "stall"])
def test_a_stream_that_ends_or_stalls_is_started_anew(exchange: Exchange, bot: LiveFeed, kind: str) -> None:
    """A frame that cannot be read, an ended connection, and silence while the exchange trades; what was missed is read."""
    before, told = bot.market.status()["line_restarts"], len(events(bot))
    exchange.control("fault", kind=kind, stream="*@kline_*", count=1)
    bot.wait("a restart", lambda: bot.market.status()["line_restarts"] > before)
    up(bot)
    candles_after(bot, BTC, 1)

    assert_true_and_whole(bot)
    assert set(events(bot)[told:]) == {"data_stalled"}


def test_a_stream_that_is_refused_is_done_without(exchange: Exchange, bot: LiveFeed) -> None:
    """While no websocket can be opened, candles and prices are asked for, and it goes on by stream when it can."""
    exchange.control("fault", kind="refuse_stream", stream="connect:market")
    exchange.control("kick", which="streams")
    bot.wait("the end of the stream", lambda: bot.market.status()["lines_up"] == 0)
    tell(bot, "feed", WatchPrice(pair=ETH, watch=True))
    candles_after(bot, BTC, 2)
    bot.wait("prices", lambda: len(bot.pairs_told.of(MarketRange)) >= 2)
    exchange.control("clear")
    up(bot)
    bot.wait("prices by stream", lambda: bot.market.status()["prices_up"])
    tell(bot, "feed", WatchPrice(pair=ETH, watch=False))

    assert_true_and_whole(bot)


def test_broken_answers_make_no_candles(exchange: Exchange, bot: LiveFeed) -> None:
    """Without streams, and with a quarter of the answers broken or lost: every candle is the exchange's own."""
    exchange.control("fault", kind="refuse_stream", stream="connect:market")
    exchange.control("kick", which="streams")
    bodies = (("broken_json", {}), ("body", {"body": "[[1,null]]"}), ("body", {"body": "{}"}), ("lost", {}))
    for number, (kind, more) in enumerate(bodies):
        exchange.control("fault", kind=kind, endpoint="GET /api/v3/klines", probability=0.07, seed=number, **more)
    candles_after(bot, BTC, 3)
    exchange.control("clear")

    assert_true_and_whole(bot)


def test_a_quiet_pair_is_judged_and_holds_nobody_up(exchange: Exchange, bot: LiveFeed) -> None:
    """A pair that is not traded, and of which the exchange says nothing, has its flat candles; no stream is restarted."""
    before = bot.market.status()["line_restarts"]
    exchange.control("play", symbol="SOLUSDT", on=False)
    exchange.control("pair", symbol="SOLUSDT", quiet=True)
    rows = candles_after(bot, SOL, 3)
    exchange.control("play", symbol="SOLUSDT", on=True)
    exchange.control("pair", symbol="SOLUSDT", quiet=False)

    assert rows[-1].volume == 0.0
    assert rows[-1].open == rows[-1].close
    assert bot.market.status()["line_restarts"] == before
    assert_true_and_whole(bot)


def test_candles_of_an_exchange_that_does_not_say_when_they_close(exchange: Exchange) -> None:
    """Read by ccxt, which knows no flag, a candle has closed with the next one or by a question, and is as true."""
    with LiveFeed(exchange, count=3, times=IMPATIENT, readers={}) as other:
        other.wait("the stream", lambda: other.market.status()["lines_up"] == 1)
        candles_after(other, BTC, 3)

        assert_true_and_whole(other)


def test_prices_of_watched_pairs_come_with_each_tick(exchange: Exchange, bot: LiveFeed) -> None:
    """Every change of the book's top is in what the watching pair is told, and no other pair is told anything."""
    exchange.control("play", on=False)
    tell(bot, "feed", WatchPrice(pair=BTC, watch=True))
    bot.wait("the stream", lambda: bot.market.status()["prices_up"])
    seen = len(bot.pairs_told.of(MarketRange))
    for price in (61_000, 58_000, 62_000):
        exchange.control("price", symbol="BTCUSDT", price=price)
    exchange.control("price", symbol="ETHUSDT", price=3_333)
    told: list[Any] = []

    def is_last() -> bool:
        told[:] = bot.pairs_told.of(MarketRange)[seen:]
        return bool(told) and round(float(told[-1].close), -3) == 62_000

    bot.wait("the last price", is_last)
    exchange.control("play", on=True)

    assert {message.pair for message in told} == {BTC}
    assert round(float(max(m.high for m in told)), -3) == 62_000
    assert round(float(min(m.low for m in told)), -3) == 58_000


def test_no_price_is_missed_while_the_line_of_prices_is_renewed() -> None:
    """Most pairs are not watched any more, so a line of the others follows: each jump meanwhile is told."""
    patient = replace(IMPATIENT, silence=20.0, lag=5.0, price_silence=20.0)  # a busy machine is no stall
    with Exchange("--pairs", "14", "--still") as exchange, LiveFeed(exchange, count=14, times=patient) as bot:
        for pair in bot.pairs:
            tell(bot, "feed", WatchPrice(pair=pair, watch=True))
        bot.wait("candles and prices of all", lambda: _subscribed(exchange) == [14, 14])
        exchange.control("price", symbol="BTCUSDT", price=60_000)
        bot.wait("the stream", lambda: bot.market.status()["prices_up"])
        for pair in bot.pairs[2:]:
            tell(bot, "feed", WatchPrice(pair=pair, watch=False))
        jumps = []
        while _subscribed(exchange) != [2, 14]:
            jumps.append(60_000 + 100 * len(jumps))
            exchange.control("price", symbol="BTCUSDT", price=jumps[-1])
            assert len(jumps) < 3_000, _subscribed(exchange)
            time.sleep(0.02)
        bot.wait("the last jump", lambda: any(m.high > jumps[-1] - 50 for m in bot.pairs_told.of(MarketRange)))

        told = [message for message in bot.pairs_told.of(MarketRange) if message.pair == BTC]
        assert [jump for jump in jumps if not any(m.low - 50 < jump < m.high + 50 for m in told)] == []
        assert "stalled" not in bot.faults()


def _subscribed(exchange: Exchange) -> list[int]:
    """How many streams each socket has asked for."""
    return sorted(exchange.control("sockets")["spot"]["streams"])


def test_a_price_stream_that_says_nothing_is_found_out(exchange: Exchange, bot: LiveFeed) -> None:
    """Prices that have moved without a word of the stream are asked for, and the stream is started anew."""
    tell(bot, "feed", WatchPrice(pair=BTC, watch=True))
    bot.wait("the stream", lambda: bot.market.status()["prices_up"])
    before = bot.market.status()["line_restarts"]
    exchange.control("fault", kind="stall", stream="*@bookTicker", count=1)
    bot.wait("a restart", lambda: bot.market.status()["line_restarts"] > before)
    bot.wait("the stream again", lambda: bot.market.status()["prices_up"])
    seen = len(bot.pairs_told.of(MarketRange))
    bot.wait("prices again", lambda: len(bot.pairs_told.of(MarketRange)) > seen + 3)


def test_a_halted_market_takes_no_entries_and_says_why(exchange: Exchange, bot: LiveFeed) -> None:
    """A halt is noticed with the next reading of the markets: its pair is locked, and free with the end of it."""
    exchange.control("pair", symbol="ETHUSDT", status="HALT")
    lock = bot.portfolio.wait(LockPair)[0]
    assert (lock.pair, lock.side) == (ETH, "*")
    assert "halted" in lock.reason

    exchange.control("pair", symbol="ETHUSDT", status="TRADING")
    assert [free.reason for free in bot.portfolio.wait(UnlockPair)] == [lock.reason]
    assert not bot.market.status()["stopped"]


def test_a_halt_is_noticed_by_its_silence_and_its_end_by_its_first_trade(exchange: Exchange) -> None:
    """The markets are read once in five minutes: of a watched pair a halt is known sooner, and that it is over too."""
    times = replace(IMPATIENT, markets=300.0, doubts=0.5, halt=2.0)
    with LiveFeed(exchange, [BTC, ETH], times=times) as other:
        other.wait("windows", lambda: len(other.windows) == 2)
        tell(other, "feed", WatchPrice(pair=ETH, watch=True))
        other.wait("prices", lambda: other.market.status()["prices_up"])
        exchange.control("pair", symbol="ETHUSDT", status="HALT")
        noticed = other.wait("the halt", lambda: other.market.status()["stopped"] == {ETH: "halted"})
        exchange.control("pair", symbol="ETHUSDT", status="TRADING")
        over = other.wait("its end", lambda: not other.market.status()["stopped"])
        other.wait("the unlocking", lambda: len(other.portfolio.messages) == 2)

        assert noticed > 1.0
        assert over < 60.0
        assert [type(said) for said in other.portfolio.messages] == [LockPair, UnlockPair]


def test_an_outage_is_said_and_outlived(exchange: Exchange, bot: LiveFeed) -> None:
    """With everything refused it is said once, nothing is made up, and what was missed is read when it is over."""
    exchange.control("outage", on=True)
    told = len(events(bot))
    bot.wait("the outage", lambda: "data_outage" in events(bot)[told:])
    exchange.control("outage", on=False)
    bot.wait("its end", lambda: "data_reachable" in events(bot)[told:])
    up(bot)
    candles_after(bot, BTC, 1)

    assert_true_and_whole(bot)
    assert events(bot)[told:].count("data_outage") == 1


def test_a_market_that_is_gone_is_given_up_until_it_is_back(exchange: Exchange, bot: LiveFeed) -> None:
    """A delisted pair is locked and an alarm raised, nothing is asked about it, the others go on; listed again it trades."""
    gone, told = bot.pairs[-1], len(events(bot))
    symbol = gone.replace("/", "")
    exchange.control("pair", symbol=symbol, listed=False)
    bot.wait("the alarm", lambda: "data_delisted" in events(bot))
    bot.wait("the lock", lambda: gone in [lock.pair for lock in bot.portfolio.of(LockPair)])
    candles_after(bot, BTC, 2)
    await_unasked(exchange, bot)

    assert "data_outage" not in events(bot)[told:]

    exchange.control("pair", symbol=symbol, listed=True, status="TRADING")
    bot.wait("its listing", lambda: gone not in bot.market.status()["stopped"])
    rows = candles_after(bot, gone, 3)
    up(bot)
    tell(bot, "feed", WatchPrice(pair=gone, watch=True))
    bot.wait("its price", lambda: any(range_.pair == gone for range_ in bot.pairs_told.of(MarketRange)))

    assert rows[-1].volume > 0.0
    assert [free.reason for free in bot.portfolio.of(UnlockPair)][-1].endswith(gone)
