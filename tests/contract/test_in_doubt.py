"""Every way in which a request's answer goes wrong: the right number of orders there, the right state here.

The rows are those of the measured table of ccxt's errors: what happened, what we say of it at once, how many
orders the exchange has in the end, and what a look then tells.
"""

from __future__ import annotations

import threading
import time
from decimal import Decimal
from typing import Any

import pytest

from actors.venues.live.failure import SILENCE_MS
from actors.venues.live.venue import CHECK_S
from actors.venues.trading import Looked, PermitWanted, Remark, RequestEnded
from engine.messages import (
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderInDoubt,
    OrderRejected,
    TakeSnapshot,
    VenueOrder,
)
from engine.types import OrderStatus, OrderType, Priority
from tests.contract.desk import PAIR, Desk, an_order, at_desk, client_id, fresh, order_trouble
from tests.exchange.client import Exchange

D = Decimal
ORDER, CANCEL = "POST /api/v3/order", "DELETE /api/v3/order"
DOUBT = OrderInDoubt


def there(desk: Desk, exchange: Exchange, number: int = 1) -> list[dict[str, Any]]:
    """The exchange's own records of an order."""
    account = desk.world.connection.trading.apiKey  # type: ignore[attr-defined]
    orders = exchange.control("ledger", account=account)["orders"]
    return [order for order in orders if order["client_id"] == client_id(number)]


FAULTS = [
    ({"kind": "lost"}, DOUBT, "", 1),
    ({"kind": "reset_before"}, DOUBT, "", 0),
    ({"kind": "hang", "seconds": 2}, DOUBT, "", 1),
    ({"kind": "hang_before", "seconds": 2}, DOUBT, "", 0),
    ({"kind": "late", "seconds": 1}, DOUBT, "", 1),
    ({"kind": "cut"}, DOUBT, "", 1),
    ({"kind": "broken_json"}, DOUBT, "", 1),
    ({"kind": "unavailable", "status": 500}, DOUBT, "", 0),
    ({"kind": "done_unavailable", "status": 500}, DOUBT, "", 1),
    ({"kind": "done_unavailable", "status": 502}, DOUBT, "", 1),
    ({"kind": "done_unavailable", "status": 504}, DOUBT, "", 1),
    ({"kind": "unavailable_code", "code": -1001}, DOUBT, "", 0),
    ({"kind": "done_unavailable_code", "code": -1006}, DOUBT, "", 1),
    ({"kind": "done_unavailable_code", "code": -1007}, DOUBT, "", 1),
    ({"kind": "field", "field": "orderId"}, DOUBT, "", 1),
    ({"kind": "field", "field": "orderId", "value": "@raw:null"}, DOUBT, "", 1),
    ({"kind": "body", "body": "[]"}, DOUBT, "", 1),
    ({"kind": "too_many", "retry_after": 1}, OrderRejected, "NO_PERMIT", 0),
    ({"kind": "banned", "retry_after": 1}, OrderRejected, "NO_PERMIT", 0),
    (
        {"kind": "refuse", "code": -2010, "msg": "Account has insufficient balance for requested action."},
        OrderRejected,
        "INSUFFICIENT_FUNDS",
        0,
    ),
    ({"kind": "refuse", "code": -1013, "msg": "Filter failure: LOT_SIZE"}, OrderRejected, "INVALID_ORDER", 0),
    ({"kind": "refuse", "code": -1021, "msg": "Timestamp for this request is outside."}, OrderRejected, "REFUSED", 0),
    ({"kind": "refuse", "code": -2010, "msg": "Duplicate order sent."}, DOUBT, "", 0),
]


@pytest.mark.parametrize(
    ("fault", "said", "code", "made"),
    FAULTS,
    ids=[f"{f['kind']}-{f.get('code', f.get('status', n))}" for n, (f, *_) in enumerate(FAULTS)],
)
def test_an_order_whose_answer_goes_wrong(
    desk: Desk, exchange: Exchange, fault: dict[str, Any], said: type, code: str, made: int
) -> None:
    """A resting order: told as what is known of it, there at most once, and found or given up for good in the end."""
    order_trouble(desk, exchange, ORDER, fault)
    desk.submit(an_order(1, desk.world.now()))
    desk.wait(lambda: desk.of(said, 1), said.__name__)
    desk.wait(lambda: (found := desk.look(1)).final or not found.unknown, "certainty")
    snapshot = desk.look(1)

    assert [order.status for order in snapshot.orders] == [OrderStatus.NEW] * made
    assert snapshot.unknown == (() if made else (client_id(1),))
    assert len(there(desk, exchange)) == made
    assert {event.code for event in desk.of(OrderRejected, 1)} == ({code} if code else set())
    assert len(desk.of(OrderAccepted, 1)) == made


@pytest.mark.parametrize("kind", ["lost", "cut", "broken_json", "hang", "done_unavailable", "late"])
def test_a_market_order_whose_answer_goes_wrong_fills_once(desk: Desk, exchange: Exchange, kind: str) -> None:
    """It fills there; its fills come here once each, by the stream or by a look, and no second order is made."""
    exchange.control("fault", endpoint=ORDER, kind=kind, count=1, seconds=0.8)
    order = an_order(1, desk.world.now(), type=OrderType.MARKET, price=D(60_000))
    desk.submit(order)
    again = desk.submit(order)  # whoever repeats it is told what is known
    desk.wait(lambda: desk.look(1) and desk.filled(1) == D("0.01"), "the fills")
    ids = [event.fill.fill_id for event in desk.of(OrderFilled, 1)]

    assert type(again).__name__ in ("InDoubt", "OrderAccepted", "OrderInDoubt")
    assert len(ids) == len(set(ids))
    assert len(there(desk, exchange)) == 1
    assert desk.look(1).position == D("0.00999")


def test_a_late_order_is_not_given_up_too_early(exchange: Exchange) -> None:
    """While the exchange could still accept it, that it is unknown is not final; when it comes it is found."""
    with at_desk(fresh(exchange, "late", horizon_ms=20_000)) as desk:
        desk.world.hurry()  # type: ignore[attr-defined]
        exchange.control("fault", endpoint=ORDER, kind="late", count=1, seconds=5.0)
        desk.submit(an_order(1, desk.world.now()))
        early = desk.look(1)
        found = desk.wait(lambda: desk.look(1).orders, "the late order")

    assert (early.unknown, early.final) == ((client_id(1),), False)
    assert [order.status for order in found] == [OrderStatus.NEW]


@pytest.mark.parametrize(
    ("fault", "said", "status"),
    [
        ({"kind": "lost"}, DOUBT, OrderStatus.CANCELED),
        ({"kind": "reset_before"}, DOUBT, OrderStatus.NEW),
        ({"kind": "cut"}, DOUBT, OrderStatus.CANCELED),
        ({"kind": "broken_json"}, DOUBT, OrderStatus.CANCELED),
        ({"kind": "hang", "seconds": 2}, DOUBT, OrderStatus.CANCELED),
        ({"kind": "unavailable"}, DOUBT, OrderStatus.NEW),
        ({"kind": "too_many", "retry_after": 1}, CancelRejected, OrderStatus.NEW),
        ({"kind": "refuse", "code": -2011, "msg": "Unknown order sent."}, CancelRejected, OrderStatus.NEW),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_a_cancel_whose_answer_goes_wrong(
    desk: Desk, exchange: Exchange, fault: dict[str, Any], said: type, status: OrderStatus
) -> None:
    """What is told of a cancel is never more than is known; a look tells what is."""
    desk.submit(an_order(1, desk.world.now()))
    order_trouble(desk, exchange, CANCEL, fault)
    desk.cancel(1)
    desk.wait(lambda: desk.of(said, 1) or desk.of(OrderCanceled, 1), said.__name__)
    told = desk.wait(lambda: desk.look(1).orders, "the order")

    assert [order.status for order in told] == [status]
    assert len(desk.of(OrderCanceled, 1)) == (status is OrderStatus.CANCELED)


def test_a_cancel_of_a_filled_order_says_so(desk: Desk, exchange: Exchange) -> None:
    """Too late: the cancel is refused, and the fills are here."""
    desk.submit(an_order(1, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
    desk.cancel(1)

    assert desk.of(CancelRejected, 1)
    assert desk.wait(lambda: desk.filled(1), "the fill") == D("0.01")
    assert [order.status for order in desk.look(1).orders] == [OrderStatus.FILLED]
    assert len(there(desk, exchange)) == 1


def test_silence_is_told_to_the_limiter(desk: Desk, exchange: Exchange) -> None:
    """A 429's Retry-After and a ban come with the request's end."""
    exchange.control("fault", endpoint=ORDER, kind="too_many", retry_after=7, count=1)
    desk.submit(an_order(1, desk.world.now()))
    (ended,) = desk.wait(lambda: [event for event in desk.of(RequestEnded) if event.retry_after_ms], "its end")

    assert not ended.signed
    assert (ended.retry_after_ms, ended.banned, ended.request) == (7_000, False, "order")
    assert ended.took_ms is not None
    assert "-1003" in ended.why


def test_a_key_that_is_taken_away_is_said(desk: Desk, exchange: Exchange) -> None:
    """Binance says the same of a key that is no good any more and of one that rests: what carries the key waits, and its words are told."""
    desk.look(1)
    name = desk.world.connection.trading.apiKey  # type: ignore[attr-defined]
    exchange.control("user", key=name, secret="secret", name=name, can_trade=False)
    desk.submit(an_order(1, desk.world.now()))
    refused = lambda: [event for event in desk.of(RequestEnded) if event.why and event.request == "order"]  # noqa: E731
    (ended,) = desk.wait(refused, "the reason")

    assert "Invalid API-key, IP, or permissions" in ended.why
    assert (ended.signed, ended.retry_after_ms) == (True, SILENCE_MS)
    assert there(desk, exchange) == []


def test_an_outdated_incarnation_sends_nothing(desk: Desk, exchange: Exchange) -> None:
    """What an older gateway handed over, and what has waited too long, is held back at the socket."""
    late = an_order(2, desk.world.now())
    world: Any = desk.world
    old = desk.permit()
    world.live._epoch = 0
    coroutine = world.live._orders.submit(late, old, 1)
    world.live._epoch = 1
    world.live._epoch = 2
    world.connection.spawn(coroutine).result(60)
    desk.wait(lambda: desk.of(OrderRejected, 2), "the refusal")

    assert [event.code for event in desk.of(OrderRejected, 2)] == ["NO_PERMIT"]
    assert there(desk, exchange, 2) == []


def test_only_the_loop_changes_what_is_known_of_orders(desk: Desk, exchange: Exchange) -> None:
    """While the loop is busy a submit changes nothing that it reads; an id that comes twice leaves once, and is in doubt."""
    world: Any = desk.world
    go_on, order = threading.Event(), an_order(1, desk.world.now())
    world.connection.call(go_on.wait, 60)
    for _ in range(2):
        desk.venue.submit(order, desk.world.now(), desk.permit())
    known = world.live._books.all()
    go_on.set()
    desk.wait(lambda: desk.of(OrderAccepted, 1), "the acceptance")

    assert known == []
    assert ["sent before" in event.reason for event in desk.of(OrderInDoubt, 1)] == [True]
    unsent = [event for event in desk.of(RequestEnded) if event.outcome == "UNSENT" and event.client_order_id]
    assert [event.request for event in unsent] == ["none"]
    assert len(there(desk, exchange)) == 1


def test_a_look_at_a_doubt_waits_for_nobody_less_urgent(desk: Desk) -> None:
    """A reading of the balances has waited for its permit for long: a look at an order in doubt, which wants them too, is done."""
    world: Any = desk.world
    desk.submit(an_order(1, world.now()))
    desk.granting, mark = False, len(desk.told)
    waiting = world.connection.spawn(world.live._holdings.read_balances())
    fresh = lambda: [wish for wish in desk.told[mark:] if isinstance(wish, PermitWanted)]  # noqa: E731
    desk.wait(lambda: any(wish.request == "balances" for wish in fresh()), "the wish for balances")
    desk.granting = True
    told = desk.look(1)

    assert [order.client_order_id for order in told.orders] == [client_id(1)]
    assert not waiting.done()


def test_a_doubt_does_not_wait_in_the_look_that_began_before_it(desk: Desk) -> None:
    """A pair's look has no permit for long; the pair asks again, since its order is in doubt now: that is answered."""
    world: Any = desk.world
    desk.submit(an_order(1, world.now()))
    desk.granting, mark = False, len(desk.told)
    desk.look_at("the pair")
    desk.wait(lambda: [wish for wish in desk.told[mark:] if isinstance(wish, PermitWanted)], "its wish")
    desk.granting = True
    desk.look_at("the pair", 1)
    desk.wait(lambda: [told for told in desk.of(Looked) if told.question.reply_to == "the pair"], "the answer")
    (told,) = [told for told in desk.of(Looked) if told.question.reply_to == "the pair"]

    assert told.question.client_order_ids == (client_id(1),)
    assert [order.client_order_id for order in told.snapshot.orders] == [client_id(1)]


@pytest.mark.parametrize(("late_ms", "final"), [(-60_000, True), (60_000, False)])
def test_an_order_that_never_left_is_given_up_after_its_permit(desk: Desk, late_ms: int, final: bool) -> None:
    """What is known here and was never written can leave until its permit ends, and is not in doubt for ever."""
    world: Any = desk.world
    desk.look()
    world.connection.call(world.live._books.expect, an_order(1, desk.world.now()), desk.world.now() + late_ms)
    told = desk.look(1)

    assert (told.unknown, told.final) == ((client_id(1),), final)


def test_a_question_is_answered_by_what_was_read_after_it(desk: Desk) -> None:
    """An order ends while a look waits for its last answer; who asks then, for the same orders, is not told the old list."""
    world: Any = desk.world
    desk.submit(an_order(1, desk.world.now()))
    desk.look(1)
    balances = world.live._holdings._turns.of("balances", Priority.EXIT)
    world.connection.spawn(balances.acquire()).result(60)
    read = len(desk.of(RequestEnded))
    questions = [
        TakeSnapshot(request_id=name, pair=PAIR, client_order_ids=(client_id(1),), since=1, reply_to="pair")
        for name in ("before", "after")
    ]
    desk.venue.look(questions[0], desk.world.now())
    desk.wait(lambda: "fetch_order" in [e.request for e in desk.of(RequestEnded)[read:]], "the lists")
    desk.cancel(1)
    desk.wait(lambda: desk.of(OrderCanceled, 1), "the end")
    desk.venue.look(questions[1], desk.world.now())
    world.connection.call(balances.release)
    told = desk.wait(lambda: [e for e in desk.of(Looked) if e.question.reply_to == "pair"], "the answer")

    assert [answer.question.request_id for answer in told] == ["after"]
    assert [order.status for order in told[0].snapshot.orders] == [OrderStatus.CANCELED]


@pytest.mark.parametrize(
    "fault", [{"kind": "body", "body": "{}"}, {"kind": "refuse", "code": -1102, "msg": "Mandatory parameter."}]
)
def test_balances_that_are_not_told_are_no_balance(desk: Desk, exchange: Exchange, fault: dict[str, Any]) -> None:
    """An answer without coins, or none, says nothing of what is held: neither that it is gone nor that it is still there."""
    desk.submit(an_order(1, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
    desk.wait(lambda: desk.filled(1), "the fill")
    desk.look()
    before = desk.look().position
    exchange.control("fault", endpoint="GET /api/v3/account", count=100, **fault)
    untold = desk.look().position
    exchange.control("clear")

    assert (before, untold, desk.look().position) == (D("0.00999"), None, D("0.00999"))


def test_an_account_without_any_coin_is_said_once(desk: Desk, exchange: Exchange) -> None:
    """Nothing is known of an account in which no coin is named: the user is told what is reckoned with, and it is asked again."""
    before = desk.wait(desk.venue.balances, "the balances")
    exchange.control("fault", endpoint="GET /api/v3/account", kind="field", field="balances", value=[])
    world: Any = desk.world
    for _ in range(2):
        world.live._balances_due = True
        desk.wait(lambda: not world.live._balances_due or desk.of(Remark), "a reading")
    (said,) = desk.wait(lambda: [one for one in desk.of(Remark) if one.event == "no_coins"], "the word of it")

    assert "it is empty" in said.text
    assert "What was there before is reckoned with" in said.text
    assert desk.venue.balances() == before


def test_missing_fills_are_read_once_at_a_time(desk: Desk) -> None:
    """While the read of an order's executions is not answered no other is begun, and none counts as tried."""
    world: Any = desk.world
    desk.look()
    desk.granting, before = False, len(desk.told)
    told = VenueOrder(
        client_order_id=client_id(1), order_id="77", status="FILLED", side="buy", type="limit", amount=D(1),
        price=D(100), trigger_price=None, filled=D(1), ts=desk.world.now(),
    )  # fmt: skip

    def hear() -> None:
        world.live._books.hear_order(PAIR, told).heard_at -= 60.0  # long ago: it is due at each check

    world.connection.call(hear)

    def wanted() -> list[str]:
        asked = [e for e in desk.told[before:] if isinstance(e, PermitWanted) and e.priority is Priority.EXIT]
        return [e.request for e in asked if e.request == "my_trades"]

    desk.wait(wanted, "the read")
    time.sleep(3 * CHECK_S)
    desk.pump()

    assert wanted() == ["my_trades"]
    assert world.live._tries == {}


def test_a_pair_that_is_not_listed_is_given_up_once_it_is_sure(desk: Desk) -> None:
    """One reading of the markets without it leaves its orders in doubt, and has the markets read soon; three end it."""
    world: Any = desk.world
    finals = []
    for number in range(2):
        question = TakeSnapshot(
            request_id=f"{number}", pair="GONE/USDT", client_order_ids=(client_id(1),), since=1, reply_to="gone"
        )
        desk.venue.look(question, desk.world.now())
        told = desk.wait(lambda asked=question: [e for e in desk.of(Looked) if e.question == asked], "the look")
        finals.append((told[0].snapshot.unknown, told[0].snapshot.final, world.connection.market_doubts.is_set()))
        world.connection.market_doubts.clear()
        for _ in range(2):
            assert world.connection.spawn(world.connection.load(again=True)).result(60).failure is None

    assert finals == [((client_id(1),), False, True), ((client_id(1),), True, False)]
