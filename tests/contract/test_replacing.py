"""A stop takes the place of another in one request: what each venue does, and every way in which the answer goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.venues.trading import Acknowledged, Refused, RequestEnded
from engine.messages import OrderAccepted, OrderCanceled, OrderInDoubt, OrderRejected
from engine.order import Order
from engine.types import OrderStatus
from tests.contract.desk import Desk, PaperWorld, a_stop, client_id, fresh, guarded, order_trouble
from tests.exchange.client import Exchange

D = Decimal
REPLACE = "POST /api/v3/order/cancelReplace"
OLD, NEW = 2, 3


@pytest.fixture(params=["paper", "exchange"])
def desk(request: pytest.FixtureRequest, exchange: Exchange, tmp_path: Path) -> Iterator[Desk]:
    """A desk that holds 0.00999 bitcoin, with a stop at 55,000."""
    paper = request.param == "paper"
    world: Any = PaperWorld(tmp_path / "venue.sqlite") if paper else fresh(exchange, request.node.name)
    yield from guarded(world)


@pytest.fixture
def live(request: pytest.FixtureRequest, exchange: Exchange) -> Iterator[Desk]:
    """The same at the local exchange only."""
    yield from guarded(fresh(exchange, request.node.name))


def a_replacement(desk: Desk, trigger: int = 56_000, **changes: Any) -> Order:
    """A stop that takes the place of the first."""
    return a_stop(desk, NEW, trigger, replaces=client_id(OLD), **changes)


def statuses(desk: Desk) -> dict[str, str]:
    """What the venue says of both; what it does not know is left out."""
    told = {order.client_order_id: str(order.status) for order in desk.look(OLD, NEW).orders}
    return {name: told[client_id(n)] for n, name in ((OLD, "old"), (NEW, "new")) if client_id(n) in told}


def is_refused(outcome: Any, code: str) -> bool:
    return isinstance(outcome, Refused | OrderRejected) and outcome.code == code


def test_one_goes_as_the_other_comes(desk: Desk) -> None:
    """Both are told, nothing else rests there, and the new stop is the one that is triggered."""
    outcome = desk.submit(a_replacement(desk))
    desk.wait(lambda: desk.of(OrderCanceled, OLD), "the end of the old one")

    assert isinstance(outcome, Acknowledged | OrderAccepted)
    assert statuses(desk) == {"old": OrderStatus.CANCELED, "new": OrderStatus.NEW}
    desk.world.move(55_500)
    assert desk.wait(lambda: desk.filled(NEW), "the stop") == D("0.009")


def test_what_has_ended_is_not_replaced(desk: Desk) -> None:
    """Where the old stop has gone by itself the new one is not tried: nobody ever sees it."""
    desk.cancel(OLD)
    outcome = desk.submit(a_replacement(desk))
    desk.wait(lambda: desk.look(NEW).final, "certainty")

    assert is_refused(outcome, "NOT_ATTEMPTED")
    assert statuses(desk) == {"old": OrderStatus.CANCELED}


def test_a_stop_that_has_filled_is_not_replaced(desk: Desk) -> None:
    """The price was there first: what is held is sold once."""
    desk.world.move(54_000)
    desk.wait(lambda: desk.filled(OLD) == D("0.009"), "the stop")
    outcome = desk.submit(a_replacement(desk))

    assert is_refused(outcome, "NOT_ATTEMPTED")
    assert statuses(desk) == {"old": OrderStatus.FILLED}


def test_a_trigger_that_the_price_is_past(desk: Desk) -> None:
    """The old stop is gone and the new one refused: both are told, so that the position is left at once."""
    outcome = desk.submit(a_replacement(desk, 61_000))
    desk.wait(lambda: desk.of(OrderCanceled, OLD), "the end of the old one")

    assert is_refused(outcome, "WOULD_TRIGGER")
    assert statuses(desk) == {"old": OrderStatus.CANCELED}


def test_wrong_numbers_change_nothing(desk: Desk) -> None:
    """A replacement that the market's rules forbid is refused before anything is done."""
    outcome = desk.submit(a_replacement(desk, amount=D("0.0000001")))

    assert is_refused(outcome, "INVALID_ORDER")
    assert statuses(desk) == {"old": OrderStatus.NEW}
    assert desk.of(OrderCanceled, OLD) == []


BOTH, NEITHER = {"old": OrderStatus.CANCELED, "new": OrderStatus.NEW}, {"old": OrderStatus.NEW}
DOUBTS = [
    ({"kind": "lost"}, BOTH),
    ({"kind": "reset_before"}, NEITHER),
    ({"kind": "hang", "seconds": 2}, BOTH),
    ({"kind": "hang_before", "seconds": 2}, NEITHER),
    ({"kind": "late", "seconds": 1}, BOTH),
    ({"kind": "cut"}, BOTH),
    ({"kind": "broken_json"}, BOTH),
    ({"kind": "unavailable", "status": 500}, NEITHER),
    ({"kind": "done_unavailable", "status": 504}, BOTH),
    ({"kind": "unavailable_code", "code": -1001}, NEITHER),
    ({"kind": "done_unavailable_code", "code": -1007}, BOTH),
    ({"kind": "body", "body": "[]"}, BOTH),
    ({"kind": "field", "field": "cancelResult"}, BOTH),
    ({"kind": "field", "field": "newOrderResult", "value": "PENDING"}, BOTH),
    ({"kind": "field", "field": "newOrderResponse.orderId"}, BOTH),
    ({"kind": "field", "field": "cancelResponse"}, BOTH),
]


@pytest.mark.parametrize(("fault", "there"), DOUBTS, ids=[f"{n}-{f['kind']}" for n, (f, _) in enumerate(DOUBTS)])
def test_an_answer_that_goes_wrong(
    live: Desk, exchange: Exchange, fault: dict[str, Any], there: dict[str, str]
) -> None:
    """What is not known is told as a doubt, of both orders; looking tells what is, and there is one stop, never two."""
    order_trouble(live, exchange, REPLACE, fault)
    live.submit(a_replacement(live))
    live.wait(lambda: live.of(OrderInDoubt, NEW) or live.of(OrderAccepted, NEW), "what is known of the new one")
    live.wait(lambda: live.of(OrderInDoubt, OLD) or live.of(OrderCanceled, OLD), "what is known of the old one")
    live.wait(lambda: (found := live.look(OLD, NEW)).final or not found.unknown, "certainty")

    assert statuses(live) == there
    assert live.of(OrderRejected) == []
    assert len(live.of(OrderCanceled, OLD)) == len(live.of(OrderAccepted, NEW)) == len(there) - 1


def test_half_of_it_and_no_answer(live: Desk, exchange: Exchange) -> None:
    """The old stop went, the new one was refused, and the answer was lost: that it is gone is found out, and that none came."""
    exchange.control("fault", endpoint=REPLACE, kind="lost", count=1)
    live.submit(a_replacement(live, 61_000))
    live.wait(lambda: live.look(OLD, NEW).final, "certainty")

    assert live.of(OrderInDoubt, NEW)
    assert live.of(OrderCanceled, OLD)
    assert statuses(live) == {"old": OrderStatus.CANCELED}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "too_many", "retry_after": 1}, "NO_PERMIT"),
        ({"kind": "refuse", "code": -1013, "msg": "Filter failure: LOT_SIZE"}, "INVALID_ORDER"),
        ({"kind": "refuse", "code": -1021, "msg": "Timestamp for this request is outside."}, "REFUSED"),
    ],
    ids=["429", "filter", "clock"],
)
def test_a_refusal_leaves_the_old_one(live: Desk, exchange: Exchange, fault: dict[str, Any], code: str) -> None:
    """What the exchange refuses as a whole has changed nothing."""
    exchange.control("fault", endpoint=REPLACE, count=1, **fault)
    outcome = live.submit(a_replacement(live))
    (ended,) = [event for event in live.of(RequestEnded) if event.request == "replace"]

    assert is_refused(outcome, code)
    assert ended.client_order_id == client_id(NEW)
    assert statuses(live) == NEITHER
    assert live.of(OrderInDoubt) == []
