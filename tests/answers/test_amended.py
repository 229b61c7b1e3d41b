"""What exchanges answer to a stop's change, and where it stands after it, through ccxt's own classes into our reading.

OKX's answers are written after its documentation (`amend-algos`, `order-algo`, `orders-algo-pending`); that `order-algo`
tells the new trigger after the same request was seen by others on its demo account (nautilus_trader, pull request 4268).
"""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from actors.venues.capabilities import Call, capability
from actors.venues.live.failure import Exchanged, Failure, Verdict, failure_of
from actors.venues.live.words import client_id_of, holds_refusal, order_of
from engine.order import Amendment, Order
from engine.types import OrderSide, OrderStatus, OrderType, Purpose
from tests.requests.recorder import ID, ORDER_ID, ccxt_market, market_of, recorder

D = Decimal
OLD, NEW = Amendment(amount=D("0.02"), trigger_price=D(45_000)), Amendment(amount=D("0.01"), trigger_price=D("46000.5"))


def the_stop() -> Order:
    """A stop that rests at 45,000 for 0.02 and is to stand at 46,000.5 for 0.01."""
    return Order(
        pair="BTC/USDT",
        client_order_id=ID,
        purpose=Purpose.STOP,
        side=OrderSide.SELL,
        type=OrderType.STOP,
        amount=OLD.amount,
        price=OLD.trigger_price,
        trigger_price=OLD.trigger_price,
        created_at=0,
        amending=NEW,
    )


def answered(exchange: str, call: Call | None, answer: dict[str, Any]) -> Any:
    """What ccxt makes of an exchange's answer to one of our calls, else the failure that it is for us."""
    assert call is not None
    able = capability(exchange)
    base = type(recorder(able)).__mro__[1]
    made = base({"apiKey": "key", "secret": "c2VjcmV0", "password": "p", "options": dict(able.options)})
    made.set_markets([ccxt_market(made, able)], {})
    written = json.dumps(answer)

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        made.last_http_response = written
        made.handle_errors(200, "OK", url, method, {}, written, answer, headers, body)
        return answer

    async def ask() -> Any:
        made.fetch = fetch
        try:
            return await getattr(made, call.method)(*call.args, params=dict(call.params))
        except Exception as error:  # noqa: BLE001 - what it means is what is asked
            return failure_of(error, Exchanged(written=True, status=200, told=answer), 4_000_000_000_000)
        finally:
            await made.close()

    return asyncio.run(ask())


def amended(exchange: str, answer: dict[str, Any]) -> Any:
    """What comes of the answer to the change."""
    return answered(exchange, capability(exchange).amend(the_stop(), market_of(capability(exchange)), ORDER_ID), answer)


def of_okx(code: str, scode: str, words: str = "") -> dict[str, Any]:
    """OKX's answer: the outcome of one order stands in a list."""
    outcome = {"algoClOrdId": ID, "algoId": ORDER_ID, "reqId": "", "sCode": scode, "sMsg": words}
    return {"code": code, "data": [outcome], "msg": ""}


def algo(stands: Amendment) -> dict[str, Any]:
    """OKX's row of a stop that rests."""
    return {
        "algoClOrdId": capability("okx").theirs(ID),
        "algoId": ORDER_ID,
        "cTime": "1700000000123",
        "uTime": "1700000009999",
        "clOrdId": "",
        "instId": "BTC-USDT",
        "instType": "SPOT",
        "ordId": "",
        "ordIdList": [],
        "ordType": "conditional",
        "reduceOnly": "false",
        "side": "sell",
        "slOrdPx": "-1",
        "slTriggerPx": f"{stands.trigger_price:f}",
        "slTriggerPxType": "last",
        "state": "live",
        "sz": f"{stands.amount:f}",
        "tdMode": "cash",
        "tgtCcy": "base_ccy",
        "tpOrdPx": "",
        "tpTriggerPx": "",
        "triggerPx": "",
        "triggerTime": "",
    }


@pytest.mark.parametrize(
    ("exchange", "answer"),
    [
        ("okx", of_okx("0", "0")),
        ("bybit", {"retCode": 0, "retMsg": "OK", "result": {"orderId": ORDER_ID, "orderLinkId": ID}, "time": 1}),
    ],
    ids=["okx", "bybit"],
)
def test_a_change_that_is_taken_is_read_as_that(exchange: str, answer: dict[str, Any]) -> None:
    """The exchange's word for done is no failure, and holds no refusal."""
    told = amended(exchange, answer)

    assert not isinstance(told, Failure)
    assert not holds_refusal(told)
    assert told["id"] == ORDER_ID


@pytest.mark.parametrize(
    ("scode", "words"),
    [
        ("51000", "Parameter newSlTriggerPx error"),
        ("51503", "Order modification failed as the order does not exist"),
        ("51510", "Modification failed as the order has been completed"),
    ],
)
def test_a_refusal_in_the_list_is_one(scode: str, words: str) -> None:
    """OKX puts the reason beside the order: nothing was changed, whatever class ccxt has for it."""
    failure = amended("okx", of_okx("1", scode, words))

    assert isinstance(failure, Failure)
    assert failure.verdict is Verdict.REFUSED


@pytest.mark.parametrize("code", ["0", "2"])
def test_a_refusal_under_a_good_code_is_not_taken_for_done(code: str) -> None:
    """OKX's code of the whole request says done where the order's own says no: ccxt raises nothing, and we see it."""
    assert holds_refusal(amended("okx", of_okx(code, "51503", "Order modification failed")))


@pytest.mark.parametrize("stands", [OLD, NEW], ids=["old", "new"])
@pytest.mark.parametrize("listed", [False, True], ids=["asked for", "listed"])
def test_where_the_stop_stands_is_read(stands: Amendment, listed: bool) -> None:
    """Its trigger and amount are the row's own, asked for by itself or among all that rest: what a lost answer depends on."""
    able = capability("okx")
    call = able.open_stops("BTC/USDT") if listed else able.fetch("BTC/USDT", ID, ORDER_ID, stop=True)[0]
    told = answered("okx", call, {"code": "0", "data": [algo(stands)], "msg": ""})
    order = order_of(told[0] if listed else told, market_of(able), lambda theirs: theirs)

    assert order is not None
    assert (order.amount, order.trigger_price) == (stands.amount, stands.trigger_price)
    assert (order.status, order.order_id) == (OrderStatus.NEW, ORDER_ID)
    assert client_id_of(told[0] if listed else told) == able.theirs(ID)
