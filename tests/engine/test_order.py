"""Orders: every way an order can go is a row of the table, and nothing else happens to one."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal

import pytest

from engine.errors import IllegalTransition
from engine.order import ORDER_TRANSITIONS, TERMINAL, Fill, Order, OrderEvent
from engine.types import OrderSide, OrderStatus, OrderType, Purpose

D = Decimal
S, V = OrderStatus, OrderEvent
FILLS = (V.PARTLY_FILLED, V.FULLY_FILLED)
PAIRS = [(status, event) for status, event in itertools.product(OrderStatus, OrderEvent) if event not in FILLS]


def order(status: OrderStatus = S.NEW, filled: str = "0") -> Order:
    """An order of 10 in a state."""
    return Order(
        pair="BTC/USDT",
        client_order_id="c1",
        purpose=Purpose.ENTRY,
        side=OrderSide.BUY,
        type=OrderType.LIMIT,
        amount=D(10),
        price=D(100),
        created_at=1,
        status=status,
        filled=D(filled),
    )


def fill(number: int, amount: str, price: str = "100") -> Fill:
    """An execution of it."""
    return Fill(fill_id=f"f{number}", client_order_id="c1", ts=number, price=D(price), amount=D(amount))


@pytest.mark.parametrize(("status", "event"), PAIRS)
def test_every_pair_is_a_row_or_raises(status: OrderStatus, event: OrderEvent) -> None:
    """A legal event leads where the table says; any other raises, and the order is as it was."""
    before = order(status)
    expected = ORDER_TRANSITIONS.get((status, event))

    if expected is None:
        with pytest.raises(IllegalTransition, match="does not happen"):
            before.after(event, 2)
    else:
        after = before.after(event, 2, order_id="V1", reason="why")
        assert (expected, 2, "V1", "why") == (after.status, after.updated_at, after.order_id, after.reason)
    assert order(status) == before


def test_there_are_illegal_pairs() -> None:
    """The table does not allow everything: it would prove nothing."""
    assert (S.PENDING_NEW, V.CANCEL_REJECTED) not in ORDER_TRANSITIONS
    assert (S.NEW, V.CANCEL_REJECTED) in ORDER_TRANSITIONS


@pytest.mark.parametrize("status", sorted(TERMINAL))
@pytest.mark.parametrize("event", [e for e in OrderEvent if e not in (*FILLS, V.ACCEPTED)])
def test_terminal_states_absorb(status: OrderStatus, event: OrderEvent) -> None:
    """Nothing but a fill or an acceptance after a false refusal moves an order that has ended."""
    assert status is order(status).after(event, 2).status


@pytest.mark.parametrize("status", list(OrderStatus))
def test_a_fill_is_booked_in_every_state(status: OrderStatus) -> None:
    """Wherever an order is, a part and the whole are facts: the whole makes it FILLED."""
    part = order(status).with_fill(fill(1, "4"))
    whole = part.with_fill(fill(2, "6", "99"))

    assert (D(4), D(400), D(6)) == (part.filled, part.cost, part.remaining)
    assert ORDER_TRANSITIONS[status, V.PARTLY_FILLED] is part.status
    assert (S.FILLED, D(10), D("99.4")) == (whole.status, whole.filled, whole.average)


def test_a_fill_after_the_cancel_is_booked_and_leaves_it_cancelled() -> None:
    """Real venues report one after the cancel's acknowledgement; the order does not come to life by it."""
    after = order(S.CANCELED).with_fill(fill(1, "4"))

    assert (S.CANCELED, D(4), True) == (after.status, after.filled, after.is_done)


def test_a_fill_before_the_acknowledgement() -> None:
    """It shows that the order is there; the acknowledgement that follows changes nothing but the id."""
    filled = order(S.PENDING_NEW).with_fill(fill(1, "4"))
    after = filled.after(V.ACCEPTED, 2, order_id="V1")

    assert (S.PARTIALLY_FILLED, S.PARTIALLY_FILLED, "V1") == (filled.status, after.status, after.order_id)


def test_a_fill_twice_is_the_same_object() -> None:
    """A repetition is recognised by the venue's id, at once and after others."""
    once = order().with_fill(fill(1, "4"))

    assert once.with_fill(fill(1, "4")) is once
    both = once.with_fill(fill(2, "6"))
    assert both.with_fill(fill(1, "4")) is both


def test_no_average_before_a_fill() -> None:
    """Nothing filled has no price."""
    assert order().average is None


def test_every_state_but_the_first_can_be_reached() -> None:
    """No state is a leftover, and none but the terminal ones is without a way out."""
    reached = set(ORDER_TRANSITIONS.values())
    left = {status for (status, _), after in ORDER_TRANSITIONS.items() if after is not status}

    assert set(OrderStatus) - {S.PENDING_NEW} == reached
    assert set(OrderStatus) - {S.FILLED} == left | {S.FILLED} - {S.FILLED}


def test_an_overfill_is_a_fact_too() -> None:
    """A venue that fills more than was asked is believed."""
    assert replace(order(), amount=D(3)).with_fill(fill(1, "4")).status is S.FILLED
