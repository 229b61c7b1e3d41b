"""The local exchange's spot REST API, driven by the unmodified ccxt class."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from tests.exchange.client import Exchange
from tests.exchange.driving import drive, outcome

PAIR = "BTC/USDT"


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """One exchange whose prices stand still unless told."""
    with Exchange("--pairs", "4", "--still", "--for", "1800", "--funds", "USDT=100000") as there:
        yield there


@pytest.fixture(autouse=True)
def afresh(exchange: Exchange) -> None:
    """No faults, no limits used up, no orders, the price at 60000."""
    exchange.control("clear")
    exchange.control("clock", skew_ms=0)
    exchange.control("limits", reset=True, weight=6000, orders={"10S": 100})
    exchange.control("pair", symbol="BTCUSDT", status="TRADING", top=None, parts=1)
    for order in exchange.control("ledger")["orders"]:
        if order["status"] in ("NEW", "PARTIALLY_FILLED"):
            exchange.control("cancel", id=order["id"])
    exchange.control("price", symbol="BTCUSDT", price=60000)


def recorded(exchange: Exchange, client_id: str) -> dict[str, Any]:
    """The exchange's own record of an order; there must be one only."""
    found: list[dict[str, Any]] = [
        order for order in exchange.control("ledger")["orders"] if order["client_id"] == client_id
    ]
    assert 1 == len(found)
    return found[0]


def test_markets_and_candles_are_read(exchange: Exchange) -> None:
    """Ccxt loads the pairs with their steps and minima, prices, and candles without gaps up to the present one."""

    async def work(binance: Any) -> tuple[Any, ...]:
        candles = await binance.fetch_ohlcv(PAIR, "5m", limit=1000)
        return binance.market(PAIR), candles, await binance.fetch_ticker(PAIR), await binance.fetch_time()

    market, candles, ticker, now = drive(exchange, work)
    steps = {later[0] - earlier[0] for earlier, later in itertools.pairwise(candles)}

    assert (True, 1e-05, 0.1, 5.0) == (
        market["active"],
        market["precision"]["amount"],
        market["precision"]["price"],
        market["limits"]["cost"]["min"],
    )
    assert (1000, {300_000}) == (len(candles), steps)
    assert candles[-1][0] <= now < candles[-1][0] + 300_000
    assert (60000.0, 59999.9) == (ticker["last"], ticker["bid"])


def test_a_market_order_moves_the_ledger_by_price_and_fee(exchange: Exchange) -> None:
    """A market buy is filled at the ask, its fee is in the bought coin, and the balances say so."""

    async def work(binance: Any) -> tuple[Any, ...]:
        before = (await binance.fetch_balance())["total"]
        order = await binance.create_order(PAIR, "market", "buy", 0.01, None, {"clientOrderId": "m1"})
        return before, order, (await binance.fetch_balance())["total"], await binance.fetch_my_trades(PAIR)

    before, order, after, trades = drive(exchange, work)
    record = recorded(exchange, "m1")

    assert ("closed", 60000.0, 0.01) == (order["status"], order["average"], order["filled"])
    assert Decimal("0.00001") == Decimal(record["trades"][0]["fee"])
    assert pytest.approx(0.00999) == after["BTC"] - before.get("BTC", 0)
    assert pytest.approx(-600.0) == after["USDT"] - before["USDT"]
    assert str(record["trades"][0]["id"]) in {trade["id"] for trade in trades}


def test_stops_wait_for_their_trigger_and_fill_at_a_gaps_price(exchange: Exchange) -> None:
    """A stop sells when the price is at its trigger; when the price jumps past it, at the price there is."""

    async def work(binance: Any) -> tuple[Any, ...]:
        await binance.create_order(PAIR, "market", "buy", 0.01)
        await binance.create_order(PAIR, "market", "sell", 0.005, None, {"stopLossPrice": 59000, "clientOrderId": "s1"})
        exchange.control("price", symbol="BTCUSDT", price=59000.1)
        waits = await binance.fetch_order("", PAIR, {"origClientOrderId": "s1"})
        exchange.control("price", symbol="BTCUSDT", price=57000)
        done = await binance.fetch_order("", PAIR, {"origClientOrderId": "s1"})
        again = await outcome(binance.create_order(PAIR, "market", "sell", 0.004, None, {"stopLossPrice": 58000}))
        return waits, done, again

    waits, done, again = drive(exchange, work)

    assert ("open", 59000.0) == (waits["status"], waits["triggerPrice"])
    assert ("closed", 56999.9) == (done["status"], done["average"])
    assert isinstance(again, ccxt.OrderImmediatelyFillable)


def test_limits_rest_are_filled_in_parts_and_leave_their_rest(exchange: Exchange) -> None:
    """A resting buy gets what each price offers; IOC leaves the rest, FOK takes all or nothing, post-only never takes."""
    exchange.control("pair", symbol="BTCUSDT", top="0.004")

    async def work(binance: Any) -> list[Any]:
        await binance.create_order(PAIR, "limit", "buy", 0.01, 59000, {"clientOrderId": "l1"})
        exchange.control("price", symbol="BTCUSDT", price=58999.9)
        part = await binance.fetch_order("", PAIR, {"origClientOrderId": "l1"})
        exchange.control("price", symbol="BTCUSDT", price=58999)
        exchange.control("price", symbol="BTCUSDT", price=58999)
        whole = await binance.fetch_order("", PAIR, {"origClientOrderId": "l1"})
        exchange.control("price", symbol="BTCUSDT", price=60000)
        ioc = await binance.create_order(PAIR, "limit", "buy", 0.01, 60000, {"timeInForce": "IOC"})
        fok = await binance.create_order(PAIR, "limit", "buy", 0.01, 60000, {"timeInForce": "FOK"})
        post = await outcome(binance.create_order(PAIR, "limit", "buy", 0.01, 60000, {"postOnly": True}))
        return [part, whole, ioc, fok, post]

    part, whole, ioc, fok, post = drive(exchange, work)

    assert ("open", 0.004) == (part["status"], part["filled"])
    assert ("closed", 59000.0) == (whole["status"], whole["average"])
    assert ("expired", 0.004) == (ioc["status"], ioc["filled"])
    assert ("expired", 0.0) == (fok["status"], fok["filled"])
    assert isinstance(post, ccxt.OrderImmediatelyFillable)


@pytest.mark.parametrize(
    ("order", "error"),
    [
        (("market", "buy", 100, None, {}), ccxt.InsufficientFunds),
        (("limit", "buy", 0.00001, 60000, {}), ccxt.ExchangeError),
        (("limit", "buy", 0.01, 60000, {"quantity": "0.0100001"}), ccxt.InvalidOrder),
        (("limit", "buy", 0.01, 60000, {"price": "60000.05"}), ccxt.InvalidOrder),
        (("limit", "buy", 0.01, 5000, {}), ccxt.ExchangeError),
    ],
    ids=["funds", "notional", "lot", "tick", "percent"],
)
def test_filters_refuse_with_binances_codes(exchange: Exchange, order: tuple[Any, ...], error: type) -> None:
    """An order that breaks a filter is refused with the class that ccxt makes of Binance's code, and not recorded."""
    count = len(exchange.control("ledger")["orders"])
    kind, side, amount, price, more = order

    found = drive(exchange, lambda b: outcome(b.create_order(PAIR, kind, side, amount, price, dict(more))))

    assert isinstance(found, error)
    assert count == len(exchange.control("ledger")["orders"])


def test_client_ids_are_unique_among_working_orders_only(exchange: Exchange) -> None:
    """A working order's id cannot be used again, a filled one's can: a blind repeat makes a second order."""

    async def work(binance: Any) -> list[Any]:
        await binance.create_order(PAIR, "limit", "buy", 0.001, 50000, {"clientOrderId": "d1"})
        again = await outcome(binance.create_order(PAIR, "limit", "buy", 0.001, 50000, {"clientOrderId": "d1"}))
        await binance.create_order(PAIR, "market", "buy", 0.001, None, {"clientOrderId": "d2"})
        await binance.create_order(PAIR, "market", "buy", 0.001, None, {"clientOrderId": "d2"})
        gone = await outcome(binance.cancel_order("", PAIR, {"origClientOrderId": "d2"}))
        return [again, gone]

    again, gone = drive(exchange, work)
    made = [order for order in exchange.control("ledger")["orders"] if order["client_id"] == "d2"]

    assert "-2010" in str(again)
    assert isinstance(gone, ccxt.OrderNotFound)
    assert 2 == len(made)


def test_cancel_and_replace_in_one_request(exchange: Exchange) -> None:
    """`cancelReplace` ends the old order and places the new one; the cancel's answer names the old id apart."""

    async def work(binance: Any) -> tuple[Any, Any]:
        old = await binance.create_order(PAIR, "limit", "buy", 0.001, 50000, {"clientOrderId": "r1"})
        await binance.edit_order(old["id"], PAIR, "limit", "buy", 0.001, 51000, {"newClientOrderId": "r2"})
        other = await binance.cancel_order("", PAIR, {"origClientOrderId": "r2"})
        return old, other

    _, other = drive(exchange, work)

    assert ("CANCELED", "CANCELED") == (recorded(exchange, "r1")["status"], recorded(exchange, "r2")["status"])
    assert ("r2", True) == (other["info"]["origClientOrderId"], other["clientOrderId"] != "r2")


def test_weight_and_order_counts_are_counted_and_enforced(exchange: Exchange) -> None:
    """Headers tell the used weight; over the limit comes 429 with Retry-After, ignored long enough 418."""
    exchange.control("limits", weight=100, orders={"10S": 2})

    async def work(binance: Any) -> tuple[Any, ...]:
        await binance.fetch_order_book(PAIR)
        used = int(binance.last_response_headers["X-MBX-USED-WEIGHT-1M"])
        exchange.control("limits", weight=1000)
        orders = [await outcome(binance.create_order(PAIR, "market", "buy", 0.001)) for _ in range(12)]
        exchange.control("limits", weight=0)
        limited = await outcome(binance.fetch_time())
        headers = dict(binance.last_response_headers)
        for _ in range(25):
            banned = await outcome(binance.fetch_time())
        return used, orders, limited, headers, banned

    used, orders, limited, headers, banned = drive(exchange, work)
    exchange.control("limits", reset=True)

    assert used >= 5
    assert any(isinstance(order, ccxt.DDoSProtection) and "-1015" in str(order) for order in orders)
    assert isinstance(limited, ccxt.DDoSProtection)
    assert 1 <= int(headers["Retry-After"]) <= 60
    assert " 418 " in str(banned)


def test_what_others_use_and_a_ban_is_told_to_all(exchange: Exchange) -> None:
    """Orders that others have placed are in the headers; a ban answers everything with 418 and its end."""

    async def work(binance: Any) -> tuple[Any, ...]:
        exchange.control("limits", reset=True, used=5000, used_orders=90)
        await binance.create_order(PAIR, "market", "buy", 0.001)
        headers = dict(binance.last_response_headers)
        exchange.control("limits", ban=30)
        banned = [await outcome(binance.fetch_time()), await outcome(binance.fetch_balance())]
        return headers, banned, int(binance.last_response_headers["Retry-After"])

    headers, banned, wait = drive(exchange, work)

    assert int(headers["X-MBX-ORDER-COUNT-1D"]) >= 91
    assert all(" 418 " in str(error) for error in banned)
    assert 1 <= wait <= 31


def test_wrong_keys_clocks_permissions_and_halts_are_refused(exchange: Exchange) -> None:
    """Each is refused with Binance's code, and ccxt's class says which it is."""

    async def buy(binance: Any) -> Any:
        return await outcome(binance.create_order(PAIR, "market", "buy", 0.001))

    wrong_secret = drive(exchange, lambda b: outcome(b.fetch_balance()), secret="other")
    wrong_key = drive(exchange, lambda b: outcome(b.fetch_balance()), apiKey="other")
    exchange.control("clock", skew_ms=20_000)
    wrong_clock = drive(exchange, buy)
    exchange.control("clock", skew_ms=0)
    exchange.control("user", key="key", can_trade=False)
    no_permission = drive(exchange, buy)
    exchange.control("user", key="key", can_trade=True)
    exchange.control("pair", symbol="BTCUSDT", status="HALT")
    halted = drive(exchange, buy)

    assert isinstance(wrong_secret, ccxt.AuthenticationError)
    assert isinstance(wrong_key, ccxt.AuthenticationError)
    assert isinstance(wrong_clock, ccxt.InvalidNonce)
    assert isinstance(no_permission, ccxt.AuthenticationError)
    assert isinstance(halted, ccxt.MarketClosed)


def test_the_books_balance(exchange: Exchange) -> None:
    """After all that, what was deposited is where the ledger says, and nothing is locked without a working order."""
    ledger = exchange.control("ledger")
    held = {name: Decimal(amount) for name, amount in ledger["balances"].items()}
    bought = sum(
        Decimal(t["qty"]) * (1 if t["side"] == "BUY" else -1) - (Decimal(t["fee"]) if t["fee_asset"] == "BTC" else 0)
        for t in ledger["trades"]
    )

    assert bought == held["free:BTC"] + held.get("locked:BTC", Decimal(0))
    assert {"locked:USDT": 0, "locked:BTC": 0} == {name: held[name] for name in held if name.startswith("locked")}
