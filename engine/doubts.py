"""Orders of which nobody knows what became: what is believed of them meanwhile, and when they are asked about again.

A request that was lost may have been done. Where one order was to take another's place in one request, the venue
does both or neither: what is known of one of the two then says something of the other.
"""

from __future__ import annotations

from dataclasses import replace

from engine.actions import LookUp, SetTimer
from engine.change import changed
from engine.messages import VenueSnapshot
from engine.order import RESTING, Order, OrderEvent
from engine.types import OrderStatus, Purpose
from engine.work import Work

LOOK_UP_MS = 2_000
UNGUARDED_MS = (500, 1_000)
"""As `LOOK_UP_MS`, while no stop is known to stand: in the first second of a doubt, and after it."""
REPLACED_MS = 1_000
"""So long after an order's end its replacement must be known to the venue, if it ever comes to be: answers lag."""


def became(work: Work, order: Order, event: OrderEvent, *, order_id: str = "", reason: str = "") -> Order:
    """Take down what was heard of an order."""
    after = order.after(event, work.now, order_id=order_id, reason=reason)
    work.trade.orders[order.client_order_id] = after
    return after


def doubt(work: Work, order: Order, reason: str) -> None:
    """What the venue did with it is not known; look it up until it is."""
    if order.status is not OrderStatus.IN_DOUBT:
        became(work, order, OrderEvent.DOUBTED)
        work.emit("OrderInDoubt", client_order_id=order.client_order_id, reason=reason)
    ask_again(work)


def doubt_amendment(work: Work, order: Order, reason: str) -> None:
    """Whether a stop stands as it was or as it was to be is not known: it guards by either; ask until it is."""
    if order.amending is not None and not order.amending.doubted:
        doubted = replace(order.amending, doubted=True)
        work.trade.orders[order.client_order_id] = changed(order, amending=doubted)
        work.emit("AmendInDoubt", client_order_id=order.client_order_id, reason=reason)
    work.do(LookUp())
    ask_again(work)


def ask_again(work: Work) -> None:
    """Look once more a little later: sooner where what is held may have no stop at the venue."""
    stops = work.trade.working(Purpose.STOP)
    delay = LOOK_UP_MS
    if stops and not any(order.status in RESTING for order in stops):
        is_new = work.now - max(order.updated_at for order in stops) < UNGUARDED_MS[1]
        delay = UNGUARDED_MS[0] if is_new else UNGUARDED_MS[1]
    work.do(SetTimer("look_up", delay))


def replacement_of(work: Work, order: Order) -> Order | None:
    """The order that may still come in this one's place, or has."""
    return next((o for o in work.trade.working() if o.replaces == order.client_order_id), None)


def has_replaced(work: Work, order: Order) -> None:
    """A replacement has come: what it was to replace is gone, whatever was heard of it before its end is heard."""
    old = work.trade.orders.get(order.replaces)
    if old is not None and old.status in RESTING:
        became(work, old, OrderEvent.CANCEL_REQUESTED)
        ask_again(work)


def still_works(work: Work, order: Order) -> None:
    """An order that was to be replaced stands as it did."""
    after = order.after(OrderEvent.DOUBTED, work.now)
    event = OrderEvent.PARTLY_FILLED if order.filled else OrderEvent.ACCEPTED
    work.trade.orders[order.client_order_id] = after.after(event, work.now)


def let_stand(work: Work, order: Order, *, sent: bool) -> None:
    """A replacement came to nothing: what it was to replace stands, if the request was never sent; else it is asked about."""
    old = work.trade.orders.get(order.replaces)
    if old is None or old.status is not OrderStatus.PENDING_CANCEL:
        return
    if sent:
        doubt(work, old, "its replacement was refused")
        work.do(LookUp())
    else:
        still_works(work, old)


def cannot_come(work: Work, order: Order, snap: VenueSnapshot) -> bool:
    """Whether a replacement that the venue does not know can never come to be: what it was to replace has ended before.

    The venue ends one and takes the other, or does neither. The end must have been known when the question was asked:
    one that the answer itself brings may have come after the replacement was looked for.
    """
    old = work.trade.orders.get(order.replaces)
    if old is None or not old.is_done or work.now - old.updated_at < REPLACED_MS:
        return False
    asked = old.client_order_id in snap.unknown or any(
        told.client_order_id == old.client_order_id for told in snap.orders
    )
    return not asked
