"""Live market data against the local exchange: every candle once, in order and true, whatever the streams do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from actors.venues.live_times import Times
from engine.candles import Candle
from engine.messages import LockPair, MarketRange, Notify, WatchPrice
from tests.actors.live_feed import LiveFeed, tell
from tests.exchange.client import Exchange

BTC, ETH = "BTC/USDT", "ETH/USDT"
IMPATIENT = Times(silence=1.5, lag=0.5, price_silence=1.0, markets=0.5, retry=0.1, retry_max=0.5)
"""The stated times, shorter."""


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """Eight pairs that trade all the time."""
    with Exchange("--pairs", "8", "--rate", "5", "--seed", "3") as running:
        yield running


@pytest.fixture(autouse=True)
def whole(exchange: Exchange) -> Iterator[None]:
    """Each test ends with an exchange that has no faults."""
    yield
    exchange.control("clear")


def candles_after(bot: LiveFeed, pair: str, count: int, timeout_s: float = 30.0) -> list[Candle]:
    """Wait for so many more candles of a pair; all it has had so far."""
    before = len(bot.candles.get(pair, ()))
    bot.wait(f"{count} candles of {pair}", lambda: len(bot.candles.get(pair, ())) >= before + count, timeout_s)
    return list(bot.candles[pair])


def assert_true_and_whole(bot: LiveFeed) -> None:
    """Window and candles of each pair have no hole and no repetition, and are what the exchange says."""
    for pair in bot.pairs:
        had = [*bot.windows[pair], *bot.candles[pair]]
        first = had[0].ts
        assert [candle.ts for candle in had] == [first + n * bot.step for n in range(len(had))], pair
        asked = bot.connection.data.fetch_ohlcv
        told = bot.connection.spawn(asked(pair, bot.timeframe, first, len(had))).result(10)
        assert had == [Candle(*row) for row in told], pair


def test_candles_come_by_stream_each_once(exchange: Exchange) -> None:
    """Windows by REST, then every candle by websocket, without a hole between them."""
    with LiveFeed(exchange, count=8, times=IMPATIENT) as bot:
        bot.wait("windows", lambda: len(bot.windows) == 8)
        candles_after(bot, BTC, 2)
        bot.wait("the stream", lambda: bot.market.status()["lines_up"] == 1)
        asked = len(exchange.control("requests")["spot"])
        candles_after(bot, BTC, 3)
        later = exchange.control("requests")["spot"][asked:]

        assert [request for request in later if "klines" in str(request)] == []
        assert bot.faults() == []
        assert_true_and_whole(bot)


def test_doubled_reordered_and_lost_frames_cost_nothing(exchange: Exchange) -> None:
    """With a third of all frames doubled, swapped or dropped the candles are still the exchange's own."""
    for number, kind in enumerate(("duplicate", "reorder", "drop")):
        exchange.control("fault", kind=kind, stream="*@kline_*", probability=0.3, seed=number)
    with LiveFeed(exchange, count=8, times=IMPATIENT) as bot:
        bot.wait("windows", lambda: len(bot.windows) == 8)
        candles_after(bot, BTC, 6)
        exchange.control("clear")
        bot.wait("all", lambda: all(len(bot.candles.get(pair, ())) >= 5 for pair in bot.pairs))

        assert_true_and_whole(bot)


@pytest.mark.parametrize("kind", ["garbage", "cut_frame", "close", "reset_stream"])
def test_a_broken_stream_is_started_anew_at_once(exchange: Exchange, kind: str) -> None:
    """A frame that cannot be read, and a connection that ends, restart the stream; what was missed is read."""
    with LiveFeed(exchange, count=8, times=IMPATIENT) as bot:
        bot.wait("the stream", lambda: bot.market.status()["lines_up"] == 1 and len(bot.windows) == 8)
        candles_after(bot, BTC, 1)
        exchange.control("fault", kind=kind, stream="*@kline_*", count=1)
        bot.wait("a restart", lambda: bot.market.status()["line_restarts"] >= 1)
        bot.wait("the stream again", lambda: bot.market.status()["lines_up"] == 1)
        candles_after(bot, BTC, 3)
        bot.wait("all", lambda: len({len(rows) for rows in bot.candles.values()}) == 1)

        assert_true_and_whole(bot)
        assert {m.event for m in bot.notices.of(Notify)} == {"data_stalled"}


def test_a_silent_stall_is_found_out(exchange: Exchange) -> None:
    """A socket that answers pings and tells nothing is noticed while the exchange trades, and started anew."""
    with LiveFeed(exchange, count=8, times=IMPATIENT) as bot:
        bot.wait("the stream", lambda: bot.market.status()["lines_up"] == 1 and len(bot.windows) == 8)
        candles_after(bot, BTC, 1)
        exchange.control("fault", kind="stall", stream="*@kline_*", count=1)
        bot.wait("a restart", lambda: bot.market.status()["line_restarts"] >= 1)
        bot.wait("the stream again", lambda: bot.market.status()["lines_up"] == 1)
        candles_after(bot, BTC, 3)
        bot.wait("all", lambda: len({len(rows) for rows in bot.candles.values()}) == 1)

        assert_true_and_whole(bot)


def test_a_stream_that_is_refused_is_done_without(exchange: Exchange) -> None:
    """While no websocket can be opened, candles and prices are asked for, and it goes on by stream when it can."""
    exchange.control("fault", kind="refuse_stream", stream="connect:market")
    with LiveFeed(exchange, count=8, times=IMPATIENT) as bot:
        tell(bot, "feed", WatchPrice(pair=ETH, watch=True))
        bot.wait("windows", lambda: len(bot.windows) == 8)
        candles_after(bot, BTC, 3)
        bot.wait("prices", lambda: len(bot.pairs_told.of(MarketRange)) >= 2)
        assert bot.market.status()["lines_up"] == 0

        exchange.control("clear")
        bot.wait("the streams", lambda: bot.market.status()["lines_up"] == 1 and bot.market.status()["prices_up"])
        candles_after(bot, BTC, 2)
        assert_true_and_whole(bot)


def test_broken_answers_make_no_candles(exchange: Exchange) -> None:
    """Without streams, and with a quarter of the answers broken, late or empty: every candle is the exchange's own."""
    exchange.control("fault", kind="refuse_stream", stream="connect:market")
    for number, (kind, more) in enumerate(
        (("broken_json", {}), ("cut", {}), ("body", {"body": "[[1,null]]"}), ("body", {"body": "{}"}), ("lost", {}))
    ):
        exchange.control("fault", kind=kind, endpoint="GET /api/v3/klines", probability=0.06, seed=number, **more)
    with LiveFeed(exchange, count=8, times=IMPATIENT) as bot:
        bot.wait("windows", lambda: len(bot.windows) == 8, 60)
        candles_after(bot, BTC, 4)
        bot.wait("all", lambda: all(len(bot.candles.get(pair, ())) >= 4 for pair in bot.pairs))
        exchange.control("clear")

        assert_true_and_whole(bot)


def test_a_quiet_pair_is_judged_and_holds_nobody_up(exchange: Exchange) -> None:
    """A pair that is not traded, and of which the exchange says nothing, has its flat candles; no stream is restarted."""
    exchange.control("play", symbol="ETHUSDT", on=False)
    exchange.control("pair", symbol="ETHUSDT", quiet=True)
    try:
        with LiveFeed(exchange, count=8, times=IMPATIENT) as bot:
            bot.wait("windows", lambda: len(bot.windows) == 8)
            rows = candles_after(bot, ETH, 4)

            assert rows[-1].volume == 0.0
            assert rows[-1].open == rows[-1].close
            assert bot.market.status()["line_restarts"] == 0
            assert_true_and_whole(bot)
    finally:
        exchange.control("play", symbol="ETHUSDT", on=True)
        exchange.control("pair", symbol="ETHUSDT", quiet=False)


def test_prices_of_watched_pairs_come_with_each_tick(exchange: Exchange) -> None:
    """A change of the book's top is told to the pair that watches, and to no other; after the watch ends to nobody."""
    exchange.control("play", on=False)
    try:
        with LiveFeed(exchange, count=8, times=IMPATIENT) as bot:
            tell(bot, "feed", WatchPrice(pair=BTC, watch=True))
            bot.wait("the stream", lambda: bot.market.status()["prices_up"])
            for price in (61_000, 58_000, 62_000):
                exchange.control("price", symbol="BTCUSDT", price=price)
            exchange.control("price", symbol="ETHUSDT", price=3_333)
            bot.wait("the last price", lambda: round(float(bot.pairs_told.of(MarketRange)[-1].close), -3) == 62_000)
            told: list[Any] = bot.pairs_told.of(MarketRange)

            assert {message.pair for message in told} == {BTC}
            assert round(float(max(m.high for m in told)), -3) == 62_000
            assert round(float(min(m.low for m in told)), -3) == 58_000
    finally:
        exchange.control("play", on=True)


def test_a_price_stream_that_says_nothing_is_found_out(exchange: Exchange) -> None:
    """Prices that have moved without a word of the stream are asked for, and the stream is started anew."""
    with LiveFeed(exchange, count=8, times=IMPATIENT) as bot:
        tell(bot, "feed", WatchPrice(pair=BTC, watch=True))
        bot.wait("the stream", lambda: bot.market.status()["prices_up"])
        exchange.control("fault", kind="stall", stream="*@bookTicker", count=1)
        bot.wait("a restart", lambda: bot.market.status()["line_restarts"] >= 1)
        bot.wait("the stream again", lambda: bot.market.status()["prices_up"])
        seen = len(bot.pairs_told.of(MarketRange))
        bot.wait("prices again", lambda: len(bot.pairs_told.of(MarketRange)) > seen + 3)


def test_a_halted_market_takes_no_entries_and_says_why(exchange: Exchange) -> None:
    """A halt is noticed with the next reading of the markets: its pair is locked, and its end is told too."""
    with LiveFeed(exchange, count=8, times=IMPATIENT) as bot:
        bot.wait("windows", lambda: len(bot.windows) == 8)
        exchange.control("pair", symbol="ETHUSDT", status="HALT")
        lock = bot.portfolio.wait(LockPair)[0]
        assert (lock.pair, lock.side) == (ETH, "*")
        assert "halted" in lock.reason

        exchange.control("pair", symbol="ETHUSDT", status="TRADING")
        bot.wait("the end of it", lambda: not bot.market.status()["stopped"])


def test_an_outage_is_said_and_outlived() -> None:
    """With the whole exchange gone it is said, nothing is made up, and candles come again with it, without a hole."""
    with Exchange("--pairs", "4", "--rate", "5") as running:
        port = running.port
        bot = LiveFeed(running, count=4)
        with bot:
            bot.wait("windows", lambda: len(bot.windows) == 4)
            candles_after(bot, BTC, 2)
            running.process.kill()
            running.process.wait()
            bot.wait("the outage", lambda: "data_outage" in {m.event for m in bot.notices.of(Notify)})
            again = Exchange("--pairs", "4", "--rate", "5")
            again.port = port
            with again:
                bot.wait("its end", lambda: "data_reachable" in {m.event for m in bot.notices.of(Notify)})
                candles_after(bot, BTC, 3)
                times = [candle.ts for candle in bot.candles[BTC]]
                assert times == list(range(times[0], times[-1] + 1, bot.step))
