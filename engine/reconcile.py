"""What the venue says is true, against what we believe: differences become ordinary events.

Rules
    Fills are facts and are booked first, wherever they belong. Then each of our orders gets the state
    the venue has it in. An order of ours the venue does not know is given up only when the venue
    could no longer accept it. Foreign orders are the user's and are never touched.
    Orders that carry our prefix and that we do not know are what a lost journal tail leaves: they are
    adopted, from the venue's own record (`adopt`). What others took of a position is booked as an exit of it
    (`engine.shortage`). Running it again changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from decimal import Decimal
from typing import Final
from zlib import crc32

from engine import amending, booking, entry, funding, leaving, pursuit, reviewing, shortage
from engine.actions import Alarm, Cancel, SetTimer
from engine.change import changed
from engine.doubts import ask_again, cannot_come, doubt, replacement_of, still_works
from engine.messages import OrderFilled, TakeSnapshot, VenueOrder, VenueSnapshot, WatchPrice
from engine.naming import named
from engine.order import RESTING, Order
from engine.types import ZERO, Millis, OrderSide, OrderStatus, OrderType, Purpose, Side
from engine.work import Trade, Work

CLIENT_ID: Final = re.compile(r"^tp([A-Za-z2-7]{6})r(\d+)p([0-9a-f]{8})t(\d+)i(\d+)$")
"""tp, installation, r run, p pair's checksum, t trade, i intent."""

ENDED: Final = frozenset({OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED})


def installation_of(client_order_id: str) -> str:
    """The installation that made an order's client id; empty for a foreign order."""
    found = CLIENT_ID.match(client_order_id)
    return found[1] if found else ""


def is_of_account(client_order_id: str, installation: str, pair: str, account: str) -> bool:
    """Whether this installation made a pair's order, and, where it has accounts, this one of them.

    An id has the checksum of the pair's name with its account. Two keys may lead to one account of the exchange:
    then each would be told of the other's orders.
    """
    found = CLIENT_ID.match(client_order_id)
    if found is None or found[1] != installation:
        return False
    return not account or int(found[3], 16) == crc32(named(pair, account).encode())


def is_of_pair(trade: Trade, client_order_id: str) -> bool:
    """Whether this pair of this account made an order, in whatever run.

    The prefix has the checksum of the pair's name with its account: an order of another account is not ours.
    """
    found, own = CLIENT_ID.match(client_order_id), CLIENT_ID.match(f"{trade.rules.order_prefix}t0i0")
    return found is not None and own is not None and found.group(1, 3) == own.group(1, 3)


def is_told_by_lists(question: TakeSnapshot, working: Sequence[VenueOrder], position: Decimal | None) -> bool:
    """Whether the lists of the whole account answer a pair's first question, so that nothing of its own need be read.

    `working` are the orders of ours that work on this pair, `position` what is held there on margin; None on spot,
    where the user's own coins are among what is held. They do when exactly those orders work that the
    journal believes to work and none has filled anything, and, on margin, nothing is held by a pair that
    knows of nothing. Whatever else it may be (an order in doubt, one that is being amended, one that has ended or filled while nobody listened,
    one that the journal has lost) is looked up by itself. What is held less is seen by `shortage`.
    """
    if {told.client_order_id for told in working} != set(question.client_order_ids):
        return False
    if question.amended or any(told.filled for told in working):
        return False
    return bool(question.held or not position)


def on_snapshot(work: Work, snap: VenueSnapshot) -> None:
    """Take over what the venue says is true of this pair."""
    trade = work.trade
    lost = [o for o in snap.orders if _is_lost(trade, o)]
    for told in snap.orders:
        _learn_order_id(work, told)
        amending.learn_amount(work, told)
    adopt(work, lost, snap.fills)
    funding.book_missed(work, snap.payments)  # before what closes the trade, whose profit they belong to
    _book_all(work, snap.fills)
    for told in snap.orders:
        order = trade.orders.get(told.client_order_id)
        if order is not None:
            _take_over(work, order, told)
            amending.compare(work, told, final=snap.final)
    for client_order_id in snap.unknown:
        order = trade.orders.get(client_order_id)
        if order is not None:
            if not trade.reconciled and order.status is OrderStatus.PENDING_NEW and not snap.final:
                doubt(work, order, "it was about to be sent when the bot ended")
            booking.not_found(work, order, final=snap.final or cannot_come(work, order, snap))
    for told in lost:
        order = trade.orders.get(told.client_order_id)
        if order is not None and order.purpose is Purpose.ENTRY and not order.is_done:
            work.cancel(order)
    _after_restart(work)
    if any(o.status is OrderStatus.IN_DOUBT for o in trade.working()):
        ask_again(work)
    shortage.settle(work, snap)
    reviewing.wait_on(work)  # an order's acceptance, which would have done so, may be lost
    pursuit.pursue(work)


def _book_all(work: Work, fills: Sequence[OrderFilled]) -> None:
    """Book the fills of this trade's orders as they happened; of one moment, what was bought before what was sold."""

    def moment(filled: OrderFilled) -> tuple[Millis, bool]:
        order = work.trade.orders.get(filled.fill.client_order_id)
        return filled.fill.ts, order is not None and order.purpose is not Purpose.ENTRY

    for filled in sorted(fills, key=moment):
        order = work.trade.orders.get(filled.fill.client_order_id)
        if order is not None:
            booking.book(work, order, filled.fill, filled.order_id)


def _learn_order_id(work: Work, told: VenueOrder) -> None:
    """Take down the venue's name of an order whose acceptance was lost, before anything else is booked on it."""
    order = work.trade.orders.get(told.client_order_id)
    if order is not None and not order.order_id:
        work.trade.orders[order.client_order_id] = changed(order, order_id=told.order_id)
        work.emit("OrderAccepted", client_order_id=order.client_order_id, order_id=told.order_id)


def _is_lost(trade: Trade, told: VenueOrder) -> bool:
    """Whether an order is this pair's and the journal should know it: one that works, or of no earlier trade."""
    if told.client_order_id in trade.orders or not is_of_pair(trade, told.client_order_id):
        return False
    if told.status not in ENDED or _number(told) > trade.number:
        return True
    return _number(told) == trade.number and bool(trade.position.amount or trade.working())


def _number(told: VenueOrder) -> int:
    found = CLIENT_ID.match(told.client_order_id)
    return int(found[4]) if found else 0


def _take_over(work: Work, order: Order, told: VenueOrder) -> None:
    status = OrderStatus(told.status)
    if told.filled > order.filled:  # the venue counts a fill that it has not listed yet
        ask_again(work)
    if status is OrderStatus.CANCELED or status is OrderStatus.EXPIRED:
        booking.canceled(work, order, told.filled, expired=status is OrderStatus.EXPIRED)
        return
    if status is OrderStatus.REJECTED:
        booking.refused(work, order, "REFUSED", "so says the venue")
    elif status is not OrderStatus.FILLED:
        _works_there(work, order, told)


def _works_there(work: Work, order: Order, told: VenueOrder) -> None:
    instead = replacement_of(work, order)
    if order.status is OrderStatus.PENDING_CANCEL and instead is not None:
        if instead.status in RESTING:  # it has come since this was asked
            ask_again(work)
        else:
            still_works(work, order)
    elif order.status in (OrderStatus.PENDING_CANCEL, OrderStatus.CANCELED, OrderStatus.EXPIRED):
        work.do(Cancel(order))  # the request was lost, or its answer was not true
    elif order.status in (OrderStatus.PENDING_NEW, OrderStatus.IN_DOUBT, OrderStatus.REJECTED):
        booking.accepted(work, order, told.order_id)


def _after_restart(work: Work) -> None:
    """The first snapshot of an incarnation: believe from here on, and say what is held."""
    trade = work.trade
    if trade.reconciled:
        return
    trade.reconciled = True
    trade.pending = None
    work.exposure()
    for closed in trade.unheard:
        if closed not in work.actions:
            work.do(closed)  # the portfolio may have missed it; it knows a repetition
    if trade.position.amount > ZERO:
        work.do(WatchPrice(pair=trade.pair, watch=True))
    if trade.retry_at > work.now:
        work.do(SetTimer("pursue", trade.retry_at - work.now, market=True))
    if trade.stop_touched_at and trade.position.amount > ZERO:
        left = trade.stop_touched_at + leaving.GUARD_GRACE_MS - work.now
        work.do(SetTimer("grace", max(left, 1), market=True))


def adopt(work: Work, orders: Sequence[VenueOrder], fills: Sequence[OrderFilled]) -> None:
    """Make orders of ours that the journal lost part of the pair's trading again, trade by trade.

    What is held already takes orders of its own trade and of later ones; else each lost trade begins
    with its first order and ends with its fills, so that its profit is not lost. Entries that still work
    are cancelled, since what they were for is not known any more.
    """
    if not orders:
        return
    trade = work.trade
    by_trade: dict[tuple[int, int], list[VenueOrder]] = {}
    for told in orders:
        found = CLIENT_ID.match(told.client_order_id)
        if found:
            by_trade.setdefault((int(found[2]), int(found[4])), []).append(told)
    for run, number in sorted(by_trade):
        if not trade.position.amount and not trade.working():
            trade.number = max(trade.number, number - 1)  # no number that the venue has seen is given again
        _adopt_trade(work, by_trade[run, number], fills)
    text = f"{trade.pair}: {len(orders)} order(s) at the venue have this installation's ids, and its journal does not know them"
    why = "another bot runs on a copy of this database, or this journal is an older copy, or has lost a part"
    work.do(Alarm("recovered", f"{text}: {why}. They are taken over; {trade.position.amount:f} held"))
    work.exposure()


def _adopt_trade(work: Work, orders: Sequence[VenueOrder], fills: Sequence[OrderFilled]) -> None:
    trade = work.trade
    if not trade.position.amount and not trade.working():
        first = min(orders, key=lambda o: o.ts)
        # A venue does not tell an order's leverage; the configured one is the likeliest.
        leverage = min(work.settings.leverage, work.market.leverage_max)
        entry.start_trade(trade, _side_of(orders), leverage)
        trade.opened_at = first.ts
        trade.enter_tag = "recovered"
        trade.max_rate = trade.min_rate = first.price
    for told in orders:
        order = _adopted(work, told)
        work.enlist(order)
        work.emit("OrderAccepted", client_order_id=order.client_order_id, order_id=order.order_id)
    _book_all(work, fills)  # those of orders that were known too: what an exit left was entered before


def _side_of(orders: Sequence[VenueOrder]) -> Side:
    """The side of the trade that these orders belong to: an entry tells it, else what only reduces."""
    for told in orders:
        reduces = told.reduce_only or told.type == OrderType.STOP
        if not reduces:
            return Side.LONG if told.side == OrderSide.BUY else Side.SHORT
    return Side.SHORT if orders[0].side == OrderSide.BUY else Side.LONG


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


def question_of(trade: Trade, request_id: str, *, unsent: Container[str], reply_to: str) -> TakeSnapshot:
    """What a pair asks of the venue: about every order of its own that may work there, but for those not sent yet."""
    orders = trade.orders.items()
    # Whoever knows of no order asks for everything: there is nothing, or the journal has lost it.
    since = min((o.created_at for _, o in orders), default=0)
    return TakeSnapshot(
        request_id=request_id,
        pair=trade.pair,
        client_order_ids=tuple(c for c, o in orders if not o.is_done and c not in unsent),
        since=snapshot_since(since),
        reply_to=reply_to,
        held=trade.position.amount,
        ended=tuple(o.order_id for _, o in orders if o.is_done and o.order_id),
        doubted=tuple((c, o.updated_at) for c, o in orders if o.status is OrderStatus.IN_DOUBT),
        amended=tuple((c, o.amended_at) for c, o in orders if o.amending is not None and not o.is_done),
    )


def snapshot_since(ts: Millis) -> Millis:
    """From when on fills are asked for: a little before the last one known, since clocks differ."""
    return max(ts - 10_000, 0)
