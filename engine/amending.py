"""Stops that are changed in place: the order stands all the time, as it was or as it is to be.

Rules
    An amendment is an intent like an order: on disk before its request, with a permit, sent once. Until the venue says
    that it is done, the order counts as it was, and nothing but its cancel is done about it: it guards by either.
    After a lost answer the venue is asked which trigger and amount stand. Those that were asked for: it is done. Others
    are believed once the request could not arrive any more (`VenueSnapshot.final`).
    That it is done is looked up once more: some venues say so of what they have only taken down.
    A refused one has changed nothing, and the order may be gone: what is true is asked. Then, for a while, a stop is
    moved by its cancel and a new one; not where the request never left, or nothing is traded: a new one might not leave
    either, and the one that stands is better than none. Nor where the bot ended before it was done.
    One that has no permit for long is taken back before it left: nothing is asked, and it is tried again.
    What stands at the venue and is not what we believe, with nothing under way, is asked about twice, believed, and told.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

from engine import after_fill, booking, leaving, pursuit
from engine.actions import Alarm
from engine.change import changed
from engine.denials import Denial
from engine.doubts import ask_again, became, doubt_amendment
from engine.messages import AmendRejected, OrderAmended, VenueOrder
from engine.order import RESTING, Amendment, Order, OrderEvent
from engine.types import OrderStatus, Purpose
from engine.work import Work

NEVER_DONE: Final = "NOT_FOUND"
NO_TURN: Final = str(Denial.RATE_LIMIT)
"""An amendment that was taken back since it had no permit for long."""
INTERRUPTED: Final = "INTERRUPTED"
"""An amendment that was under way when the bot ended, and was not done."""
ANSWER_MS: Final = 15_000
"""So long an amendment may wait for its permit and its answer before what the venue tells is held against it."""
UNDONE: Final = frozenset(
    {"UNREACHABLE", "MARKET_CLOSED", "NO_PERMIT", "TOO_LATE", INTERRUPTED, *(str(denial) for denial in Denial)}
)
"""Codes of amendments that were not sent, or could not be done by anybody now: they say nothing against the next one."""


def on_amended(work: Work, event: OrderAmended) -> None:
    """The venue has changed it; what nobody waits for any more, or not for that, is asked about."""
    order = work.trade.orders.get(event.client_order_id)
    if order is None or order.is_done:
        return
    if _target(order) == (event.amount, event.trigger_price) and order.filled:
        _verify(work, order, "it has begun to fill, as it was or as it was to be")
    elif _target(order) == (event.amount, event.trigger_price):
        _stands(work, order, event.amount, event.trigger_price)
        ask_again(work)
    elif (order.amount, order.trigger_price) != (event.amount, event.trigger_price):
        _verify(work, order, "an amendment was told that is not under way")
    pursuit.pursue(work)


def on_rejected(work: Work, event: AmendRejected) -> None:
    """It was not changed: leave where the price is past what was wanted, else ask what is true."""
    order = work.trade.orders.get(event.client_order_id)
    if order is None or order.is_done or order.amending is None:
        return
    never_left = event.code == NO_TURN and not order.amending.doubted
    refused = replace(order.amending, code=event.code, reason=event.reason)
    order = work.trade.orders[order.client_order_id] = changed(order, amending=refused)
    if order.filled >= order.amount or never_left:
        _given_up(work, order)
    elif event.code == "WOULD_TRIGGER" and work.trade.position.amount > 0 and work.trade.leaving is None:
        _given_up(work, order)
        leaving.leave_now(work, "emergency_exit", work.trade.price)
    else:
        doubt_amendment(work, order, event.reason)
    pursuit.pursue(work)


def learn_amount(work: Work, told: VenueOrder) -> None:
    """Take down, before its fills are booked, that a stop is for more than is known: the journal has lost its amendment."""
    order = work.trade.orders.get(told.client_order_id)
    if order is not None and order.purpose is Purpose.STOP and not order.is_done and told.filled > order.most:
        _stands(work, order, told.amount, told.trigger_price or order.trigger_price or order.price)


def compare(work: Work, told: VenueOrder, *, final: bool) -> None:
    """Take over which trigger and amount of a stop stand at the venue, as far as that can be believed."""
    order = work.trade.orders.get(told.client_order_id)
    if order is None or order.is_done or order.purpose is not Purpose.STOP:
        return
    if order.amending is None and not work.settings.stop_amend:
        return
    if order.amending is not None and not order.amending.code and not work.trade.reconciled:
        order = changed(order, amending=replace(order.amending, code=INTERRUPTED))
        work.trade.orders[order.client_order_id] = order
    if told.status == OrderStatus.FILLED:
        if order.amending is not None or told.amount != order.amount:
            _stands(work, order, told.amount, told.trigger_price or order.trigger_price or order.price)
        return
    if order.status not in RESTING:
        return
    stands = (told.amount, told.trigger_price)
    if stands == _target(order):
        _stands(work, order, told.amount, told.trigger_price or order.price)
    elif order.amending is None:
        if told.trigger_price is not None and stands != (order.amount, order.trigger_price):
            _verify(work, order, "the venue tells another trigger or amount")
    elif not order.amending.doubted and _is_new(work, order):
        ask_again(work)  # it may not have been sent yet
    elif not order.amending.doubted:
        _verify(work, order, "no answer to its amendment was heard")
    elif not final and order.amending.code in ("", *UNDONE):
        ask_again(work)
    elif told.trigger_price is None or stands == (order.amount, order.trigger_price):
        _given_up(work, order)
    else:
        work.trade.replace_at = work.now + leaving.STOP_RETRY_MS
        text = f"{work.trade.pair}: the stop at the exchange is for {told.amount:f} at {told.trigger_price:f}"
        work.do(Alarm("stop_differs", f"{text}, which was not asked for; it is placed anew", "warning"))
        _stands(work, order, told.amount, told.trigger_price)


def _is_new(work: Work, order: Order) -> bool:
    return work.trade.reconciled and work.now - order.amended_at < ANSWER_MS


def _target(order: Order) -> tuple[Decimal, Decimal] | None:
    return None if order.amending is None else (order.amending.amount, order.amending.trigger_price)


def _verify(work: Work, order: Order, reason: str) -> None:
    """Ask once more what stands; where nothing is under way, as if what we believe were what is to be."""
    if order.amending is None:
        believed = Amendment(amount=order.amount, trigger_price=order.trigger_price or order.price)
        order = work.trade.orders[order.client_order_id] = changed(order, amending=believed)
    doubt_amendment(work, order, reason)


def _stands(work: Work, order: Order, amount: Decimal, trigger: Decimal) -> None:
    """The order stands, or has filled, with this amount and trigger."""
    if (amount, trigger) == (order.amount, order.trigger_price):
        _given_up(work, order)
        return
    work.emit("OrderAmended", client_order_id=order.client_order_id, amount=amount, trigger_price=trigger)
    _settle(work, changed(order, amount=amount, trigger_price=trigger, price=trigger, amending=None))


def _given_up(work: Work, order: Order) -> None:
    """The order stands as it was, as far as is known; refused, or never done, its like is moved in the other way for a while."""
    asked = order.amending
    if asked is not None and _target(order) != (order.amount, order.trigger_price):
        if asked.code not in UNDONE:
            work.trade.replace_at = work.now + leaving.STOP_RETRY_MS
        code, reason = asked.code or NEVER_DONE, asked.reason or "it was never done"
        work.emit("AmendRejected", client_order_id=order.client_order_id, code=code, reason=reason)
    _settle(work, changed(order, amending=None))


def _settle(work: Work, order: Order) -> None:
    """Keep an order of which it is known again how much it is for; filled so far already, it has come to its end."""
    work.trade.orders[order.client_order_id] = order
    if order.filled >= order.amount:
        after = became(work, order, OrderEvent.FULLY_FILLED)
        after_fill.tell_filled(work, after)
        booking.exit_ended(work, after)
