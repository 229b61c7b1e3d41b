"""The local exchange's websockets, driven by the unmodified ccxt.pro class, and their faults."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import ccxt
import pytest

from tests.exchange.client import Exchange
from tests.exchange.driving import drive, listened_to, outcome, until

PAIR = "BTC/USDT"


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """One exchange whose prices move by themselves."""
    with Exchange("--pairs", "30", "--rate", "8", "--for", "1800", "--funds", "USDT=1000000") as there:
        yield there


@pytest.fixture(autouse=True)
def afresh(exchange: Exchange) -> None:
    """No faults, and new sockets for every test."""
    exchange.control("clear")
    exchange.control("limits", reset=True)
    exchange.control("kick")


async def raw(exchange: Exchange, streams: list[str], work: Callable[[Any], Awaitable[Any]]) -> Any:
    """`work(receive)` on a socket of one's own, `receive` giving the next frame's text."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws://127.0.0.1:{exchange.port}/stream/ws/9") as socket,
    ):
        await socket.send_json({"method": "SUBSCRIBE", "params": streams, "id": 1})
        assert {"result": None, "id": 1} == await socket.receive_json()
        return await asyncio.wait_for(work(socket), 60)


def test_candles_of_many_pairs_close_in_time_and_in_order(exchange: Exchange) -> None:
    """On one socket each pair's candle comes with `x` at its close, once, and no older candle after it."""
    symbols = [f"{name}usdt" for name in ("btc", "eth", "bnb", "sol", "xrp")]

    async def work(socket: Any) -> list[dict[str, Any]]:
        frames: list[dict[str, Any]] = []
        while sum(frame["k"]["x"] for frame in frames) < 10:
            frames.append(await socket.receive_json())
        return frames

    frames = asyncio.run(raw(exchange, [f"{symbol}@kline_1s" for symbol in symbols], work))
    for symbol in symbols:
        candles = [frame["k"] for frame in frames if frame["s"] == symbol.upper()]
        closed = [candle["t"] for candle in candles if candle["x"]]
        assert [candle["t"] for candle in candles] == sorted(candle["t"] for candle in candles)
        assert closed == list(range(closed[0], closed[0] + 1000 * len(closed), 1000))
    assert all(frame["E"] > frame["k"]["T"] for frame in frames if frame["k"]["x"])


def test_closed_candles_are_what_rest_tells(exchange: Exchange) -> None:
    """A candle that was closed on the stream is the same over REST, and each opens with a price of the market."""

    async def work(binance: Any) -> tuple[Any, Any]:
        async def closed(socket: Any) -> Any:
            while True:
                frame = await socket.receive_json()
                if frame["k"]["x"] and frame["k"]["n"]:
                    return frame["k"]

        candle = await raw(exchange, ["btcusdt@kline_1s"], closed)
        rows = await binance.publicGetKlines({"symbol": "BTCUSDT", "interval": "1s", "startTime": candle["t"]})
        return candle, rows[0]

    candle, row = drive(exchange, work)

    assert [str(candle["t"]), *(candle[name] for name in "ohlcv")] == [str(row[0]), *row[1:6]]


def test_ccxt_watches_candles_tickers_and_best_prices(exchange: Exchange) -> None:
    """The unmodified class gets candles of thirty pairs on one socket, mini tickers and best prices."""

    async def work(binance: Any) -> tuple[Any, ...]:
        wanted = [[symbol, "1m"] for symbol in binance.symbols]
        while len(binance.ohlcvs) < len(wanted):
            await binance.watch_ohlcv_for_symbols(wanted)
        tickers = await binance.watch_tickers([PAIR])
        best = await binance.watch_bids_asks([PAIR])
        return binance.ohlcvs, tickers[PAIR], best[PAIR]

    candles, ticker, best = drive(exchange, work)

    assert {len(rows["1m"]) for rows in candles.values()} <= {1, 2}  # a minute may end meanwhile
    assert ticker["last"] > 0
    assert best["bid"] < best["ask"]


def test_orders_trades_and_balances_arrive_on_the_users_stream(exchange: Exchange) -> None:
    """The user's stream tells an order's acceptance, its fill with the fee, and the balances."""

    async def work(binance: Any) -> tuple[Any, ...]:
        told: list[Any] = []

        async def listen() -> None:
            while True:
                told.extend((order["clientOrderId"], order["status"]) for order in await binance.watch_orders())

        listener = asyncio.ensure_future(listen())
        trades = asyncio.ensure_future(binance.watch_my_trades())
        await until(lambda: listened_to(exchange, "spot"))
        await binance.create_order(PAIR, "market", "buy", 0.01, None, {"clientOrderId": "u1"})
        await until(lambda: ("u1", "closed") in told)
        await binance.create_order(PAIR, "limit", "buy", 0.01, 50000, {"clientOrderId": "u2"})
        await until(lambda: ("u2", "open") in told)
        await binance.cancel_order("", PAIR, {"origClientOrderId": "u2"})
        await until(lambda: ("u2", "canceled") in told)
        listener.cancel()
        return told, await trades

    told, trades = drive(exchange, work)

    assert [("u1", "closed"), ("u2", "open"), ("u2", "canceled")] == [row for row in told if row != ("u1", "open")]
    assert [(0.01, "BTC")] == [(trade["amount"], trade["fee"]["currency"]) for trade in trades]


def frames_under(exchange: Exchange, number: int, **fault: Any) -> list[str]:
    """The first frames of the trade stream of BTCUSDT under a fault."""

    async def work(socket: Any) -> list[str]:
        exchange.control("fault", stream="btcusdt@trade", **fault)
        return [(await socket.receive()).data for _ in range(number)]

    return list(asyncio.run(raw(exchange, ["btcusdt@trade"], work)))


def numbers(frames: list[str]) -> list[int]:
    """The trade ids in these frames."""
    return [int(frame.partition('"t":')[2].partition(",")[0]) for frame in frames]


def test_events_are_dropped_doubled_reordered_and_broken(exchange: Exchange) -> None:
    """Each stream fault does what it says to the frames, which else come whole and in order."""
    doubled = numbers(frames_under(exchange, 4, kind="duplicate"))
    exchange.control("clear")
    swapped = numbers(frames_under(exchange, 8, kind="reorder", count=1, skip=2))
    exchange.control("clear")
    garbage = frames_under(exchange, 4, kind="garbage", count=1, skip=1)
    exchange.control("clear")
    odd = frames_under(exchange, 3, kind="field_event", field="p", value="@raw:NaN")

    assert len(set(doubled)) < len(doubled)
    assert swapped != sorted(swapped)
    assert any(not frame.startswith("{") for frame in garbage)
    assert '"p":NaN' in odd[-1]


def test_a_stalled_stream_is_silent_and_its_socket_lives(exchange: Exchange) -> None:
    """`stall`: no event and no error comes any more, while a ping is still answered."""

    async def work(socket: Any) -> bool:
        exchange.control("fault", kind="stall", stream="btcusdt@trade")
        while True:
            try:
                await asyncio.wait_for(socket.receive(), 0.8)
            except TimeoutError:
                if exchange.control("sockets")["spot"]["stalled"]:
                    await socket.ping()
                    return not socket.closed

    assert asyncio.run(raw(exchange, ["btcusdt@trade"], work))


def test_a_closed_or_refused_socket_is_an_error_in_ccxt(exchange: Exchange) -> None:
    """`close` and `reset_stream` end the watch with a NetworkError, and while sockets are refused none opens."""

    async def work(binance: Any) -> list[Any]:
        found = []
        for kind in ("close", "reset_stream"):
            await binance.watch_ohlcv(PAIR, "1s")
            exchange.control("fault", kind=kind, stream="btcusdt@kline_1s", count=1)
            result = None
            while not isinstance(result, ccxt.BaseError):
                result = await outcome(binance.watch_ohlcv(PAIR, "1s"))
            found.append(result)
        exchange.control("fault", kind="refuse_stream", stream="connect:market")
        exchange.control("kick")
        result = None
        while not isinstance(result, ccxt.BaseError):  # the candles that came before are given first
            result = await outcome(binance.watch_ohlcv(PAIR, "1s"))
        return [*found, result]

    assert [True, True, True] == [isinstance(error, ccxt.NetworkError) for error in drive(exchange, work)]


def test_a_client_that_talks_too_much_is_closed(exchange: Exchange) -> None:
    """More than five messages in a second end a market socket with 1008."""

    async def work(socket: Any) -> int | None:
        async def talk() -> None:
            for number in range(40):
                await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
                await asyncio.sleep(0.02)  # what lies unread when the socket is closed would reset it

        talking = asyncio.ensure_future(talk())
        while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        return int(socket.close_code)

    assert 1008 == asyncio.run(raw(exchange, ["btcusdt@kline_1m"], work))


def test_the_clock_runs_as_fast_as_it_is_told() -> None:
    """At a speed of 240 a candle of a minute closes four times a second, and signed requests pass without a fitting time."""
    with Exchange("--pairs", "2", "--speed", "240", "--for", "1800") as fast:

        async def work(socket: Any) -> list[int]:
            closed: list[int] = []
            while len(closed) < 3:
                frame = await socket.receive_json()
                closed += [frame["k"]["t"]] if frame["k"]["x"] else []
            return closed

        async def both(binance: Any) -> tuple[list[int], Any]:
            return await raw(fast, ["btcusdt@kline_1m"], work), await binance.fetch_balance()

        closed, balance = drive(fast, both)

    assert [60_000, 60_000] == [closed[1] - closed[0], closed[2] - closed[1]]
    assert 10_000 == balance["USDT"]["total"]
