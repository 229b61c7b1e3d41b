"""Less at the venue than here: others have taken of a position, by hand, by liquidation, or as fees.

Rules
    A difference is believed when two looks in a row find the same one, with nothing of ours on its way: what
    we have not heard of yet must not count as somebody else's doing.
    The executions of others that took it out are booked as exits of the trade, at their prices and with
    their fees, the newest first and no further than what is missing; they are the reason that the trade tells.
    What no execution explains was moved away (withdrawn, lent, taken as a fee in this coin): it leaves
    the trade at what it had cost, and that is said.
    More at the venue than here is the user's own, and left alone. On futures, where a pair's positions are netted, an
    entry against it would close it and leave us nothing: the pair is locked on that side. Running it again changes
    nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from engine import booking, closing
from engine.actions import Alarm, SetTimer
from engine.change import changed
from engine.messages import ForeignFill, LockPair, VenueSnapshot
from engine.order import Fill, Order
from engine.types import ZERO, OrderSide, OrderStatus, OrderType, Purpose, Side, order_side
from engine.work import Trade, Work

AGAIN_MS: Final = 5_000
"""A difference is looked at again after this."""

LOCK_MS: Final = 300_000
"""A pair with a position of the user's is locked until the end of the next such span: it is looked at more often."""

_ON_ITS_WAY: Final = (OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL, OrderStatus.IN_DOUBT)


def settle(work: Work, snap: VenueSnapshot) -> None:
    """Compare what the venue holds with what is held here, after everything of ours has been booked."""
    trade = work.trade
    _keep_apart(work, snap)
    missing = _missing(work, snap)
    if missing <= ZERO:
        trade.missing = ZERO
        return
    if trade.missing != missing:
        trade.missing = missing
        work.do(SetTimer("look_up", AGAIN_MS))
        return
    trade.missing = ZERO
    trade.retry_at = 0  # a stop or an exit for what is not there was refused; one for the rest need not wait
    left = _book(work, snap.foreign, missing)
    if left > ZERO:
        _move_away(work, left)


def _missing(work: Work, snap: VenueSnapshot) -> Decimal:
    trade = work.trade
    held = trade.position.amount
    if snap.position is None or held <= ZERO or _is_under_way(trade, snap):
        return ZERO
    there = snap.position if trade.side is Side.LONG else -snap.position
    return work.market.truncate_amount(held - max(there, ZERO))


def _is_under_way(trade: Trade, snap: VenueSnapshot) -> bool:
    """Whether something of ours is on its way, or told of and not booked: then nothing can be compared."""
    if any(o.status in _ON_ITS_WAY for o in trade.orders.values()):
        return True
    told = {order.client_order_id: order.filled for order in snap.orders}
    return any(told.get(order.client_order_id, ZERO) > order.filled for order in trade.orders.values())


def _keep_apart(work: Work, snap: VenueSnapshot) -> None:
    """Lock a futures pair on the side that would close the user's own position there."""
    trade = work.trade
    if snap.position is None or not work.market.is_futures or _is_under_way(trade, snap):
        return
    own = trade.position.amount if trade.side is Side.LONG else -trade.position.amount
    theirs = snap.position - own
    if not work.market.truncate_amount(abs(theirs)) or (own and (theirs > ZERO) is not (own > ZERO)):
        return
    until = (work.now // LOCK_MS + 2) * LOCK_MS - 1
    work.do(
        LockPair(
            pair=trade.pair,
            side=Side.SHORT if theirs > ZERO else Side.LONG,
            until=until,
            reason="an entry would close a position of yours",
            request_id=f"apart {until}",
            reply_to=f"pair:{trade.pair}",
        )
    )


def _book(work: Work, foreign: tuple[ForeignFill, ...], missing: Decimal) -> Decimal:
    """Book others' executions as exits; what of `missing` they do not explain."""
    trade = work.trade
    reduces = order_side(trade.side, Purpose.EXIT)
    known = {fill_id for order in trade.orders.values() for fill_id in order.fill_ids}
    found = []
    for told in sorted(foreign, key=lambda told: told.fill.ts, reverse=True):
        if told.side != reduces or told.fill.ts < trade.opened_at or told.fill.fill_id in known or missing <= ZERO:
            continue
        part = min(told.fill.amount, missing)
        fee = told.fill.fee * part / told.fill.amount
        found.append(replace(told, fill=replace(told.fill, amount=part, fee=fee)))
        missing -= part
    by_order: dict[str, list[ForeignFill]] = {}
    for told in reversed(found):
        by_order.setdefault(told.order_id, []).append(told)
    for fills in by_order.values():
        if trade.is_closed:
            break
        order = _adopted(work, fills, reduces)
        trade.exit_reason = fills[0].why
        for told in fills:
            work.do(Alarm(told.why, _sentence(work, told.fill, told.why)))
            booking.book(work, trade.orders[order.client_order_id], told.fill, told.order_id)
    return missing


def _sentence(work: Work, fill: Fill, why: str) -> str:
    who = "was liquidated by the exchange" if why == "liquidation" else "was closed by hand"
    return f"{work.trade.pair}: {fill.amount:f} of the position {who} at {fill.price:f}; it is booked as an exit"


def _adopted(work: Work, fills: Sequence[ForeignFill], side: OrderSide) -> Order:
    """The order that took it out, as one of the trade's, as far as it concerns this trade."""
    fill = fills[0].fill
    amount = sum((told.fill.amount for told in fills), ZERO)
    known = work.trade.orders.get(fill.client_order_id)
    if known is not None:  # executions of it were booked before, and are not to be booked again
        order = changed(known, amount=known.filled + amount, status=OrderStatus.PARTIALLY_FILLED, updated_at=work.now)
        work.enlist(order)
        return order
    order = Order(
        pair=work.trade.pair,
        client_order_id=fill.client_order_id,
        purpose=Purpose.EXIT,
        side=side,
        type=OrderType.MARKET,
        amount=amount,
        price=fill.price,
        created_at=fill.ts,
        order_id=fills[0].order_id,
        status=OrderStatus.NEW,
        updated_at=work.now,
        tag=fills[0].why,
    )
    work.enlist(order)
    work.emit("OrderAccepted", client_order_id=order.client_order_id, order_id=order.order_id)
    return order


def _move_away(work: Work, amount: Decimal) -> None:
    trade = work.trade
    text = f"{trade.pair}: {amount:f} of {trade.position.amount:f} held are not at the exchange any more, and no trade says why"
    work.do(Alarm("moved_away", f"{text}; they leave the trade at what they had cost"))
    closing.take_away(work, amount)
    work.exposure()
    if not work.market.tradable(trade.position.amount):
        trade.exit_reason = trade.exit_reason or "moved_away"
        closing.close(work)
