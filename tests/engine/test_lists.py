"""What the lists of a whole account answer after a start, and what must be looked at by itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.messages import TakeSnapshot, VenueOrder
from engine.reconcile import is_told_by_lists

D = Decimal
STOP = "tpAAAAAAr1p0000beeft1i2"


def asked(*client_order_ids: str, held: str = "0") -> TakeSnapshot:
    return TakeSnapshot(
        request_id="q", pair="BTC/USDT", client_order_ids=client_order_ids, since=0, reply_to="p", held=D(held)
    )


def working(client_order_id: str = STOP, filled: str = "0") -> VenueOrder:
    told: dict[str, Any] = {"order_id": "1", "status": "NEW", "side": "sell", "type": "stop", "trigger_price": None}
    return VenueOrder(client_order_id=client_order_id, amount=D(1), price=D(1), filled=D(filled), ts=0, **told)


@pytest.mark.parametrize(
    ("question", "orders", "position", "is_told"),
    [
        (asked(), [], None, True),
        (asked(held="1"), [], None, True),
        (asked(STOP, held="1"), [working()], None, True),
        (asked(STOP, held="1"), [], None, False),
        (asked(held="1"), [working()], None, False),
        (asked(), [working()], None, False),
        (asked(STOP, held="1"), [working(filled="0.5")], None, False),
        (asked(STOP, "tpAAAAAAr1p0000beeft1i3", held="1"), [working()], None, False),
        (asked(), [], D(0), True),
        (asked(), [], D(-1), False),
        (asked(STOP, held="1"), [working()], D(-1), True),
    ],
    ids=[
        "flat", "unguarded", "guarded", "in doubt or gone", "stop lost by the journal", "order lost by the journal",
        "partly filled", "one of two gone", "flat on margin", "position lost by the journal", "short with its stop",
    ],
)  # fmt: skip
def test_lists_answer_who_has_missed_nothing(
    question: TakeSnapshot, orders: list[VenueOrder], position: Decimal | None, is_told: bool
) -> None:
    """Exactly what the journal believes to work works, unfilled; whatever else it is, the pair is looked at by itself."""
    assert is_told_by_lists(question, orders, position) is is_told
