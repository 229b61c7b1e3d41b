"""The local exchange's faults on requests: each does what it says to the answer, and the ledger knows the truth."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import ccxt
import pytest

from tests.exchange.client import Exchange
from tests.exchange.driving import drive, outcome, until

PAIR = "ETH/USDT"
ORDER = "POST /api/v3/order"


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """One exchange whose prices stand still."""
    with Exchange("--pairs", "3", "--still", "--for", "1800", "--funds", "USDT=1000000") as there:
        yield there


@pytest.fixture(autouse=True)
def afresh(exchange: Exchange) -> None:
    """No faults, and no limits used up."""
    exchange.control("clear")
    exchange.control("limits", reset=True)


def orders(exchange: Exchange, client_id: str) -> list[dict[str, Any]]:
    """The exchange's own records of this client id."""
    return [order for order in exchange.control("ledger")["orders"] if order["client_id"] == client_id]


def buy(binance: Any, client_id: str) -> Any:
    """A market buy."""
    return outcome(binance.create_order(PAIR, "market", "buy", 0.1, None, {"clientOrderId": client_id}))


@pytest.mark.parametrize(
    ("fault", "seen", "made"),
    [
        ({"kind": "lost"}, ccxt.ExchangeNotAvailable, 1),
        ({"kind": "reset_before"}, ccxt.ExchangeNotAvailable, 0),
        ({"kind": "hang", "seconds": 2.5}, ccxt.RequestTimeout, 1),
        ({"kind": "hang_before", "seconds": 2.5}, ccxt.RequestTimeout, 0),
        ({"kind": "cut"}, ccxt.ExchangeError, 1),
        ({"kind": "broken_json"}, dict, 1),
        ({"kind": "unavailable", "status": 502}, ccxt.ExchangeNotAvailable, 0),
        ({"kind": "done_unavailable", "status": 500}, ccxt.ExchangeNotAvailable, 1),
        ({"kind": "done_unavailable", "status": 504}, ccxt.RequestTimeout, 1),
        ({"kind": "unavailable_code"}, ccxt.OperationFailed, 0),
        ({"kind": "done_unavailable_code", "code": -1006}, ccxt.OperationFailed, 1),
        ({"kind": "done_unavailable_code", "code": -1007}, ccxt.RequestTimeout, 1),
        ({"kind": "too_many", "retry_after": 7}, ccxt.DDoSProtection, 0),
        ({"kind": "banned"}, ccxt.DDoSProtection, 0),
        ({"kind": "refuse", "code": -2010, "msg": "Account has insufficient balance"}, ccxt.ExchangeError, 0),
    ],
    ids=lambda value: "-".join(str(v) for v in value.values()) if isinstance(value, dict) else "",
)
def test_what_the_client_sees_and_what_was_done(
    exchange: Exchange, fault: dict[str, Any], seen: type, made: int, request: pytest.FixtureRequest
) -> None:
    """Each fault gives the client its error, and the order exists, or not, as the fault says."""
    client_id = f"o{abs(hash(request.node.name)) % 10**9}"
    exchange.control("fault", endpoint=ORDER, count=1, **fault)

    found = drive(exchange, lambda b: buy(b, client_id), timeout=1_000 if "hang" in fault["kind"] else 60_000)

    assert isinstance(found, seen)
    assert made == len(orders(exchange, client_id))
    assert [1] == [row["hits"] for row in exchange.control("faults")]


def test_an_order_is_accepted_after_the_client_gave_up(exchange: Exchange) -> None:
    """`late`: there is no order when the client's time is over, and there is one afterwards."""
    exchange.control("fault", kind="late", endpoint=ORDER, seconds=5, count=1)

    async def work(binance: Any) -> tuple[Any, ...]:
        failed = await buy(binance, "late")
        binance.timeout = 60_000
        at_once = await outcome(binance.fetch_order("", PAIR, {"origClientOrderId": "late"}))
        await until(lambda: orders(exchange, "late"))
        return failed, at_once, await binance.fetch_order("", PAIR, {"origClientOrderId": "late"})

    failed, at_once, then = drive(exchange, work, timeout=600)

    assert isinstance(failed, ccxt.RequestTimeout)
    assert isinstance(at_once, ccxt.OrderNotFound)
    assert "closed" == then["status"]


def test_an_order_that_is_later_than_its_window_is_refused(exchange: Exchange) -> None:
    """A late order whose timestamp is out of `recvWindow` by then is not accepted: the horizon of doubt is real."""
    exchange.control("fault", kind="late", endpoint=ORDER, seconds=1.2, count=1)

    async def work(binance: Any) -> Any:
        failed = await buy(binance, "toolate")
        await asyncio.sleep(1.2)
        return failed

    failed = drive(exchange, work, timeout=500, options={**exchange.options()["options"], "recvWindow": 800})

    assert isinstance(failed, ccxt.RequestTimeout)
    assert [] == orders(exchange, "toolate")


def test_slowness_comes_besides_other_faults(exchange: Exchange) -> None:
    """All answers may be slow, and one of them lost as well."""
    exchange.control("fault", kind="slow", seconds=0.15)
    exchange.control("fault", kind="lost", endpoint=ORDER, count=1)

    async def work(binance: Any) -> tuple[Any, float]:
        began = time.monotonic()
        return await buy(binance, "slow"), time.monotonic() - began

    failed, took = drive(exchange, work)

    assert isinstance(failed, ccxt.ExchangeNotAvailable)
    assert took >= 0.15
    assert 1 == len(orders(exchange, "slow"))


def test_equal_seeds_give_equal_faults(exchange: Exchange) -> None:
    """The n-th matching request meets a fault of some probability again when the seed is the same."""

    def struck(seed: int) -> list[bool]:
        exchange.control("clear")
        exchange.control("fault", kind="refuse", endpoint="GET /api/v3/time", probability=0.5, seed=seed)

        async def work(binance: Any) -> list[bool]:
            return [isinstance(await outcome(binance.fetch_time()), ccxt.BaseError) for _ in range(10)]

        return list(drive(exchange, work))

    assert struck(3) == struck(3)
    assert struck(3) != struck(4)


def test_fields_are_missing_null_or_nonsense(exchange: Exchange) -> None:
    """Any field of an answer can be taken out, or be null, a text, an unknown status, or NaN without quotes."""

    async def work(binance: Any) -> list[Any]:
        await binance.create_order(PAIR, "limit", "buy", 0.1, 2900, {"clientOrderId": "fields"})
        found = []
        for wish in ({}, {"value": None}, {"value": "PARTYING"}):
            exchange.control("clear")
            exchange.control("fault", kind="field", endpoint="GET /api/v3/openOrders", field="status", **wish)
            (order,) = await binance.fetch_open_orders(PAIR)
            found.append(order["status"])
        exchange.control("clear")
        exchange.control("fault", kind="field", endpoint="GET /api/v3/openOrders", field="status", value="@raw:NaN")
        with pytest.raises(AttributeError):  # ccxt takes what is no JSON for a text, and goes on
            await binance.fetch_open_orders(PAIR)
        return found

    assert [None, None, "PARTYING"] == drive(exchange, work)


def test_manual_trades_and_orders_ended_by_the_exchange_are_recorded_as_such(exchange: Exchange) -> None:
    """What the user does by hand and what the exchange does by itself carries its origin in the ledger."""
    params = {"symbol": "ETHUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.2"}
    by_hand = exchange.control("order", params=params)

    async def work(binance: Any) -> Any:
        await binance.create_order(PAIR, "limit", "buy", 0.1, 2800, {"clientOrderId": "ended"})
        exchange.control("cancel", client_id="ended", status="EXPIRED")
        return await binance.fetch_order("", PAIR, {"origClientOrderId": "ended"})

    ended = drive(exchange, work)

    assert ("web", "FILLED") == (by_hand["origin"], by_hand["status"])
    assert "expired" == ended["status"]
    assert "exchange" == orders(exchange, "ended")[0]["ended_by"]


def test_a_delisted_pair_is_unknown_and_its_orders_are_ended(exchange: Exchange) -> None:
    """After a delisting requests for the pair are refused, it is gone from the markets, its orders have expired."""

    async def work(binance: Any) -> tuple[Any, ...]:
        await binance.create_order("BNB/USDT", "limit", "buy", 0.1, 450, {"clientOrderId": "gone"})
        exchange.control("pair", symbol="BNBUSDT", listed=False)
        refused = await outcome(binance.create_order("BNB/USDT", "market", "buy", 0.1))
        return refused, await binance.load_markets(True)

    refused, markets = drive(exchange, work)

    assert isinstance(refused, ccxt.BadSymbol)
    assert "BNB/USDT" not in markets
    assert "EXPIRED" == orders(exchange, "gone")[0]["status"]


def test_a_wish_that_is_no_fault_is_refused_with_a_sentence(exchange: Exchange) -> None:
    """A mistyped fault is not taken for one that never strikes."""
    with pytest.raises(ValueError, match="no fault is called 'lots'"):
        exchange.control("fault", kind="lots")
    with pytest.raises(ValueError, match="has no probabilty"):
        exchange.control("fault", kind="lost", probabilty=1)
