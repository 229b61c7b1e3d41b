"""The local exchange's USD-M futures, driven by the unmodified ccxt.pro class."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.exchange.client import Exchange
from tests.exchange.driving import drive, listened_to, outcome, until

PAIR = "BTC/USDT:USDT"


@pytest.fixture(scope="module")
def started() -> Iterator[Exchange]:
    """An exchange whose prices stand still, with an account of 10000 USDT."""
    with Exchange("--pairs", "2", "--still", "--for", "1800", futures=True) as there:
        yield there


@pytest.fixture
def exchange(started: Exchange) -> Exchange:
    """The exchange, on which nothing has happened yet."""
    started.control("reset")
    return started


def price(exchange: Exchange, value: float) -> None:
    """Let the futures' price jump."""
    exchange.control("price", market="futures", symbol="BTCUSDT", price=value)


def test_a_short_with_leverage_is_opened_funded_and_closed(exchange: Exchange) -> None:
    """Margin, profit, fees and funding of a short are what the numbers say, over REST and in the ledger alike."""

    async def work(binance: Any) -> tuple[Any, ...]:
        await binance.set_margin_mode("isolated", PAIR)
        await binance.set_leverage(10, PAIR)
        await binance.create_order(PAIR, "market", "sell", 0.1)
        (held,) = await binance.fetch_positions([PAIR])
        exchange.control("fund", symbol="BTCUSDT", rate="0.001")
        price(exchange, 59000)
        await binance.create_order(PAIR, "market", "buy", 0.1, None, {"reduceOnly": True})
        return held, await binance.fetch_positions([PAIR]), await binance.fetch_balance()

    held, gone, balance = drive(exchange, work)
    ledger = exchange.control("ledger", market="futures")
    paid = {name: Decimal(amount) for name, amount in ledger["balances"].items()}

    assert ("short", 0.1, 59999.9, "isolated", 10.0) == (
        held["side"],
        held["contracts"],
        held["entryPrice"],
        held["marginMode"],
        held["leverage"],
    )
    assert [] == gone
    assert Decimal("99.99") == -paid["profit:USDT"]
    assert Decimal(6) == -paid["funding:USDT"]
    assert Decimal("5.949995") == paid["fees:USDT"]
    assert pytest.approx(10_000 + 99.99 + 6 - 5.949995) == balance["USDT"]["total"]


def test_stops_live_in_the_algo_service(exchange: Exchange) -> None:
    """A stop is found and cancelled as an algo order only; triggered, it becomes an order of the same client id."""

    async def work(binance: Any) -> tuple[Any, ...]:
        await binance.create_order(PAIR, "market", "buy", 0.01)
        stop = {"stopLossPrice": 59000, "reduceOnly": True, "clientOrderId": "stop1"}
        await binance.create_order(PAIR, "market", "sell", 0.01, None, stop)
        plain = await outcome(binance.fetch_order("", PAIR, {"clientOrderId": "stop1"}))
        waiting = await binance.fetch_open_orders(PAIR, params={"trigger": True})
        price(exchange, 58000)
        done = await binance.fetch_order("", PAIR, {"clientOrderId": "stop1", "trigger": True})
        order = await binance.fetch_order("", PAIR, {"clientOrderId": "stop1"})
        other = {"stopLossPrice": 57000, "reduceOnly": True, "clientOrderId": "stop2"}
        await binance.create_order(PAIR, "market", "sell", 0.01, None, other)
        price(exchange, 56000)
        orphan = await binance.fetch_order("", PAIR, {"clientOrderId": "stop2", "trigger": True})
        return plain, waiting, done, order, orphan

    plain, waiting, done, order, orphan = drive(exchange, work)

    assert "-2013" in str(plain)
    assert ["stop1"] == [row["clientOrderId"] for row in waiting]
    assert ("FINISHED", order["id"]) == (done["info"]["algoStatus"], done["info"]["actualOrderId"])
    assert ("closed", 57999.9, True) == (order["status"], order["average"], order["reduceOnly"])
    assert "REJECTED" == orphan["info"]["algoStatus"]


def test_reduce_only_margin_and_modes_are_refused_as_on_binance(exchange: Exchange) -> None:
    """Each wrong order or setting is refused with the code Binance has for it."""

    async def work(binance: Any) -> list[str]:
        async def code(request: Any) -> str:
            return str(await outcome(request)).partition('"code":')[2].partition(",")[0]

        codes = [
            await code(binance.create_order(PAIR, "market", "sell", 0.01, None, {"reduceOnly": True})),
            await code(binance.create_order(PAIR, "market", "buy", 100)),
            await code(binance.create_order(PAIR, "limit", "buy", 0.01, 61000, {"postOnly": True})),
            await code(binance.set_leverage(100, PAIR)),
        ]
        await binance.create_order(PAIR, "market", "buy", 0.01)
        codes.append(await code(binance.fapiPrivatePostMarginType({"symbol": "BTCUSDT", "marginType": "ISOLATED"})))
        codes.append(await code(binance.fapiPrivatePostPositionSideDual({"dualSidePosition": "true"})))
        exchange.control("modes", hedged=True)
        codes.append(await code(binance.create_order(PAIR, "market", "sell", 0.01)))
        return codes

    assert ["-2022", "-2019", "-5022", "-4028", "-4048", "-4068", "-4061"] == drive(exchange, work)


def test_a_reduce_only_order_never_turns_the_position_around(exchange: Exchange) -> None:
    """Resting reduce-only orders fill up to the position and expire when it is gone."""

    async def work(binance: Any) -> tuple[Any, ...]:
        await binance.create_order(PAIR, "market", "buy", 0.01)
        for number in range(2):
            more = {"reduceOnly": True, "clientOrderId": f"take{number}"}
            await binance.create_order(PAIR, "limit", "sell", 0.008, 61000, more)
        price(exchange, 61001)
        return await binance.fetch_orders(PAIR), await binance.fetch_positions([PAIR])

    orders, positions = drive(exchange, work)

    assert [("closed", 0.01), ("closed", 0.008), ("expired", 0.002)] == [(o["status"], o["filled"]) for o in orders]
    assert [] == positions


@pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "cross"])
def test_a_position_that_cannot_pay_is_liquidated(exchange: Exchange, isolated: bool) -> None:
    """The exchange closes it by an order of its own, and the fund takes the rest or pays what is missing."""
    exchange.control("modes", symbol="BTCUSDT", isolated=isolated, leverage=50)

    async def work(binance: Any) -> tuple[Any, ...]:
        await binance.create_order(PAIR, "market", "buy", 0.1 if isolated else 5)
        (held,) = await binance.fetch_positions([PAIR])
        price(exchange, held["liquidationPrice"] + 30)
        still = await binance.fetch_positions([PAIR])
        price(exchange, held["liquidationPrice"] - 2000)
        return still, await binance.fetch_positions([PAIR]), await binance.fetch_orders(PAIR)

    still, gone, orders = drive(exchange, work)
    ledger = exchange.control("ledger", market="futures")
    paid = [row["incomeType"] for row in ledger["income"]]

    assert (1, 0) == (len(still), len(gone))
    assert orders[-1]["clientOrderId"].startswith("autoclose-")
    assert "INSURANCE_CLEAR" in paid
    assert Decimal(ledger["balances"]["insurance:USDT"]) < 0
    assert Decimal(ledger["figures"]["walletBalance"]) >= 0


def test_the_users_stream_tells_orders_positions_and_stops(exchange: Exchange) -> None:
    """Ccxt's watches get orders, trades and positions from the listen key's socket; expired, it is silent."""

    async def work(binance: Any) -> tuple[Any, ...]:
        told: list[Any] = []

        async def listen(watch: Any, *names: str) -> None:
            while True:
                told.extend(tuple(row[name] for name in names) for row in await watch())

        tasks = [
            asyncio.ensure_future(listen(binance.watch_orders, "clientOrderId", "status")),
            asyncio.ensure_future(listen(binance.watch_my_trades, "side", "amount")),
            asyncio.ensure_future(listen(binance.watch_positions, "symbol", "contracts")),
        ]
        await until(lambda: listened_to(exchange, "futures"))
        await binance.create_order(PAIR, "market", "buy", 0.01, None, {"clientOrderId": "p1"})
        await until(lambda: {("p1", "closed"), ("buy", 0.01), (PAIR, 0.01)} <= set(told))
        exchange.control("expire")
        await binance.create_order(PAIR, "market", "buy", 0.02, None, {"clientOrderId": "p2"})
        await asyncio.sleep(0.3)
        for task in tasks:
            task.cancel()
        return (told,)

    (told,) = drive(exchange, work)

    assert {("p1", "closed"), ("buy", 0.01), (PAIR, 0.01)} == set(told) - {("p1", "open")}


def test_a_limit_order_is_amended_in_place(exchange: Exchange) -> None:
    """`edit_order` keeps the ids and changes price and amount; a delisted pair's position is settled."""

    async def work(binance: Any) -> tuple[Any, ...]:
        order = await binance.create_order(PAIR, "limit", "buy", 0.01, 59000, {"clientOrderId": "am"})
        await binance.edit_order(order["id"], PAIR, "limit", "buy", 0.02, 59500)
        changed = await binance.fetch_order(order["id"], PAIR)
        await binance.create_order(PAIR, "market", "buy", 0.01)
        exchange.control("pair", market="futures", symbol="BTCUSDT", listed=False)
        return changed, await binance.fetch_positions()

    changed, positions = drive(exchange, work)

    assert ("am", 0.02, 59500.0) == (changed["clientOrderId"], changed["amount"], changed["price"])
    assert [] == positions
