"""Funding: what holders of futures pay each other at set times, booked into the trade that held (`semantics.md` 1.10).

The venue pays it by itself, so a payment is a fact like a fill: unique by its id, booked once, and learned
anew from the venue's snapshot where it was lost on the way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from engine.actions import Alarm
from engine.messages import FundingPaid
from engine.types import ZERO
from engine.work import Work

STAMP_MS: Final = 15_000
"""A payment bears the time at which it was due, and is made some seconds later: for what was held then."""


def on_paid(work: Work, event: FundingPaid) -> None:
    """A payment; while reconciling the venue's snapshot tells it too, in its order."""
    trade = work.trade
    if not trade.reconciled or _is_booked(work, event):
        return
    if trade.position.amount > ZERO and event.ts >= trade.opened_at - STAMP_MS:
        book(work, event)
    else:
        _late(work, event)


def book_missed(work: Work, payments: Iterable[FundingPaid]) -> None:
    """Book those of a snapshot's payments that are this trade's and that it has not heard of; late ones if it is over."""
    trade, closed = work.trade, work.trade.last_closed
    for payment in payments:
        if payment.ts < trade.opened_at or _is_booked(work, payment):
            continue
        if not trade.is_closed:
            book(work, payment)
        elif closed is not None and payment.ts <= closed.close_ts:
            _late(work, payment)  # it could not be read while there was time


def _is_booked(work: Work, payment: FundingPaid) -> bool:
    return payment.payment_id in work.trade.payment_ids or payment.payment_id in work.trade.payments_before


def book(work: Work, payment: FundingPaid) -> None:
    """Add a payment to the position: it counts in every profit from now on."""
    trade = work.trade
    trade.position = trade.position.funded(payment.received)
    _note(work, payment)


def _late(work: Work, payment: FundingPaid) -> None:
    """What came after its trade had closed: that one's profit is told already, the pair's earnings are not."""
    work.trade.earned += payment.received
    _note(work, payment, late=True)
    work.exposure()
    text = f"{work.trade.pair}: funding of {payment.received:f} came after its trade had closed"
    work.do(Alarm("late_funding", text, "info"))


def _note(work: Work, payment: FundingPaid, *, late: bool = False) -> None:
    work.trade.payment_ids = (*work.trade.payment_ids, payment.payment_id)
    work.emit(
        "FundingPaid",
        payment_id=payment.payment_id,
        paid_at=payment.ts,
        received=payment.received,
        currency=payment.currency,
        rate=payment.rate,
        price=payment.price,
        amount=payment.amount,
        late=late,
    )
