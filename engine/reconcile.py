"""What the venue says is true, against what we believe: differences become ordinary events.

Rules
    Fills are facts and are booked first, wherever they belong. Then each of our orders gets the state
    the venue has it in. An order of ours the venue does not know is given up only when the venue
    could no longer accept it. Foreign orders are the user's and are never touched.
    Orders that carry our prefix and that we do not know are what a lost journal tail leaves: they are
    adopted, from the venue's own record (`adopt`). Running it again changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from engine import booking, entry, leaving
from engine.actions import Alarm, Cancel, LookUp, SetTimer
from engine.exits import first_stop
from engine.messages import VenueOrder, VenueSnapshot, WatchPrice
from engine.order import Fill, Order, OrderEvent
from engine.types import ONE, ZERO, Millis, OrderSide, OrderStatus, OrderType, Purpose, Side
from engine.work import Work

CLIENT_ID: Final = re.compile(r"^tp([A-Za-z2-7]{6})r(\d+)p([0-9a-f]{8})t(\d+)i(\d+)$")
"""tp, installation, r run, p pair's checksum, t trade, i intent."""

VENUE_EVENT: Final = {
    OrderStatus.NEW: OrderEvent.ACCEPTED,
    OrderStatus.PARTIALLY_FILLED: OrderEvent.ACCEPTED,
    OrderStatus.PENDING_CANCEL: OrderEvent.ACCEPTED,
    OrderStatus.CANCELED: OrderEvent.CANCELED,
    OrderStatus.EXPIRED: OrderEvent.EXPIRED,
    OrderStatus.REJECTED: OrderEvent.REJECTED,
}


def installation_of(client_order_id: str) -> str:
    """The installation that made an order's client id; empty for a foreign order."""
    found = CLIENT_ID.match(client_order_id)
    return found[1] if found else ""


def on_snapshot(work: Work, snap: VenueSnapshot) -> None:
    """Take over what the venue says is true of this pair."""
    trade = work.trade
    mine = installation_of(f"{trade.rules.order_prefix}t0i0")
    strangers = [
        o for o in snap.orders if o.client_order_id not in trade.orders and installation_of(o.client_order_id) == mine
    ]
    adopt(work, strangers, snap.fills)
    for fill in sorted(snap.fills, key=lambda f: f.ts):
        order = trade.orders.get(fill.client_order_id)
        if order is not None:
            booking.book(work, order, fill)
    for told in snap.orders:
        order = trade.orders.get(told.client_order_id)
        if order is not None:
            _take_over(work, order, told)
    for client_order_id in snap.unknown:
        order = trade.orders.get(client_order_id)
        if order is not None:
            booking.not_found(work, order, final=snap.final)
    _after_restart(work)
    if any(o.status is OrderStatus.IN_DOUBT for o in trade.working()):
        work.do(SetTimer("look_up", booking.LOOK_UP_MS))
    leaving.pursue(work)


def _take_over(work: Work, order: Order, told: VenueOrder) -> None:
    status = OrderStatus(told.status)
    if told.filled > order.filled:
        work.do(LookUp())  # the venue counts a fill that it has not listed yet
    if status is OrderStatus.CANCELED or status is OrderStatus.EXPIRED:
        booking.canceled(work, order, told.filled, expired=status is OrderStatus.EXPIRED)
        return
    if order.status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED) or order.is_done or status not in VENUE_EVENT:
        return
    if order.status is OrderStatus.PENDING_CANCEL:
        work.do(Cancel(order))
        return
    after = order.after(VENUE_EVENT[status], work.now, order_id=told.order_id)
    work.trade.orders[order.client_order_id] = after
    if status is OrderStatus.REJECTED:
        booking.ended(work, after, "VENUE_REJECTED")
    else:
        work.emit("OrderAccepted", client_order_id=order.client_order_id, order_id=told.order_id)
        booking.watch_unfilled(work, after)


def _after_restart(work: Work) -> None:
    """The first snapshot of an incarnation: believe from here on, and say what is held."""
    trade = work.trade
    if trade.reconciled:
        return
    trade.reconciled = True
    trade.pending = None
    work.exposure()
    if trade.position.amount > ZERO:
        work.do(WatchPrice(pair=trade.pair, watch=True))
        if trade.queued is not None:
            rng, trade.queued = trade.queued, None
            leaving.on_range(work, rng)
    for order in trade.working():
        booking.watch_unfilled(work, order)


def adopt(work: Work, orders: Sequence[VenueOrder], fills: Sequence[Fill]) -> None:
    """Make orders of ours that the journal lost part of the trade again.

    The newest trade among them is the open one if its fills leave something held; entries of it that
    still work are cancelled, since what they were for is not known any more.
    """
    trade = work.trade
    if not orders:
        return
    by_trade: dict[tuple[int, int], list[VenueOrder]] = {}
    for told in orders:
        found = CLIENT_ID.match(told.client_order_id)
        if found:
            by_trade.setdefault((int(found[2]), int(found[4])), []).append(told)
    (run, number), newest = max(by_trade.items())
    held = trade.position.amount
    new_trade = not held and not trade.working()
    if new_trade:
        first = min(newest, key=lambda o: o.ts)
        side = Side.LONG if first.side == OrderSide.BUY else Side.SHORT
        trade.number = max(trade.number, number) if run == trade.rules.run else trade.number
        entry.start_trade(trade, side, ONE)
        trade.opened_at = first.ts
        trade.enter_tag = "recovered"
        trade.max_rate = trade.min_rate = first.price
    for told in newest:
        order = _adopted(work, told)
        trade.orders[order.client_order_id] = order
    known = {o.client_order_id for o in newest}
    for fill in sorted((f for f in fills if f.client_order_id in known), key=lambda f: f.ts):
        booking.book(work, trade.orders[fill.client_order_id], fill)
    for told in newest:
        order = trade.orders[told.client_order_id]
        if order.status is OrderStatus.NEW and OrderStatus(told.status) in (OrderStatus.CANCELED, OrderStatus.EXPIRED):
            trade.orders[order.client_order_id] = order.after(OrderEvent.CANCELED, work.now)
        elif not order.is_done and order.purpose is Purpose.ENTRY:
            work.cancel(order)
    if trade.position.amount > ZERO and trade.stop is None:
        trade.stop = first_stop(
            trade.position.open_rate, work.settings.stoploss, trade.side, trade.leverage, work.market
        )
    work.do(
        Alarm(
            "recovered",
            f"{trade.pair}: {len(newest)} order(s) at the venue were missing in the journal and are taken over; "
            f"{trade.position.amount:f} held",
        )
    )


def _adopted(work: Work, told: VenueOrder) -> Order:
    trade = work.trade
    entering = told.side == (OrderSide.BUY if trade.side is Side.LONG else OrderSide.SELL)
    kind = OrderType(told.type)
    exits = Purpose.STOP if kind is OrderType.STOP else Purpose.EXIT
    return Order(
        pair=trade.pair,
        client_order_id=told.client_order_id,
        purpose=Purpose.ENTRY if entering else exits,
        side=OrderSide(told.side),
        type=kind,
        amount=told.amount,
        price=told.price,
        trigger_price=told.trigger_price,
        reduce_only=told.reduce_only,
        created_at=told.ts,
        order_id=told.order_id,
        status=OrderStatus.NEW,
        updated_at=work.now,
        tag="recovered",
    )


def prefix_of(installation: str, run: int, pair_checksum: int) -> str:
    """The beginning of a pair's client order ids in this run; at most 23 characters up to run 9999."""
    return f"tp{installation}r{run}p{pair_checksum:08x}"


def snapshot_since(ts: Millis) -> Millis:
    """From when on fills are asked for: a little before the last one known, since clocks differ."""
    return max(ts - 10_000, 0)
