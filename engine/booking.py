"""What the venue says of our orders, booked: acceptances, fills, ends, doubts.

Facts are booked in every state. A fill is booked once, by the venue's id; an order's end settles what
it was for: an entry that bought nothing ends the trade before it began, an exit that sold everything
closes it, an exit that did not is followed by the next.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from engine import after_fill, closing, entry, leaving, pursuit, reviewing
from engine.actions import Alarm, LookUp
from engine.change import changed
from engine.denials import Denial
from engine.doubts import ask_again, became, doubt, doubt_amendment, has_replaced, let_stand
from engine.exits import first_stop, liquidation_level, tightened
from engine.messages import (
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderInDoubt,
    OrderNotFound,
    OrderRejected,
    WatchPrice,
)
from engine.order import RESTING, Fill, Order, OrderEvent
from engine.position import fee_in_quote
from engine.telling import tell_changed
from engine.types import OrderStatus, Purpose
from engine.work import PlaceAborted, Work

UNRECORDED = (Denial.OLD_GRANT, Denial.DISK_FULL, "UNFIT")
"""Why the journal refuses an intent: then nothing of the order is on disk, and nothing of its end is to be."""
_OWN_CODES = (Denial.EXITS_ONLY, Denial.STOPPED, Denial.UNFILLED, Denial.RATE_LIMIT, *UNRECORDED[:2], "NOT_FOUND")
"""Codes of ours by which an order may have ended: others are the venue's."""
EMPTY_KEPT = 20
"""Orders without a fill that a trade remembers, for what may still be heard of them."""
WRITE_OFF_AFTER = 3
"""A position under the market's minima is written off when the venue has refused to take it so often."""


def _order(work: Work, client_order_id: str) -> Order | None:
    """Our order of that id. One of an earlier trade is only looked up: its trade is closed."""
    order = work.trade.orders.get(client_order_id)
    if order is None and client_order_id.startswith(work.trade.rules.order_prefix[:8]):
        work.do(LookUp())
    return order


def on_accepted(work: Work, event: OrderAccepted) -> None:
    """The venue has the order; a limit order now may wait only so long."""
    order = _order(work, event.client_order_id)
    if order is not None:
        accepted(work, order, event.order_id)
        pursuit.pursue(work)


def accepted(work: Work, order: Order, order_id: str) -> None:
    """Book that the venue has the order."""
    known = order.order_id
    event = OrderEvent.PARTLY_FILLED if order.status is OrderStatus.IN_DOUBT and order.filled else OrderEvent.ACCEPTED
    after = became(work, order, event, order_id=order_id)
    if after.order_id != known:
        work.emit("OrderAccepted", client_order_id=order.client_order_id, order_id=order_id)
    if after.purpose is Purpose.STOP:
        work.trade.stop_failed = False
        has_replaced(work, after)
    if order.status is OrderStatus.REJECTED and after.purpose is Purpose.ENTRY:
        work.cancel(after)  # given up, its capital given back: what comes to life now is not wanted any more
        work.exposure()
    else:
        if after.purpose is Purpose.ENTRY and not after.is_done and reviewing.watches_price(work):
            work.do(WatchPrice(pair=work.trade.pair, watch=True))
        reviewing.wait_on(work)


def on_filled(work: Work, event: OrderFilled) -> None:
    """One execution: book it, unless it is booked already.

    Before the first look after a start, more may leave than is known to have come: a journal that lost its end does not
    know of a fill, nor of what a stop was changed to. The look tells both, in the order in which they happened.
    """
    order = _order(work, event.fill.client_order_id)
    trade, fill = work.trade, event.fill
    if order is None:
        return
    leaves_more = order.purpose is not Purpose.ENTRY and fill.amount > trade.position.amount
    if leaves_more and not trade.reconciled and order.with_fill(fill) is not order:
        work.do(LookUp())
    else:
        book(work, order, event.fill, event.order_id)
        pursuit.pursue(work)


def book(work: Work, order: Order, fill: Fill, order_id: str = "") -> None:
    """Book `fill` on its order, the position and the trade; a known one changes nothing."""
    after = order.with_fill(fill)
    if after is order:
        return
    if order_id and not after.order_id:  # real world: the fill overtakes the acknowledgement
        after = changed(after, order_id=order_id)
        work.emit("OrderAccepted", client_order_id=order.client_order_id, order_id=order_id)
    trade, rules = work.trade, work.trade.rules
    trade.orders[order.client_order_id] = after
    market = rules.market
    came_late = trade.is_closed
    if came_late and order.purpose is Purpose.ENTRY:
        _begun_again(work, after, fill)
    trade.filled_at = max(trade.filled_at, fill.ts)
    _emit_fill(work, fill, order_id or order.order_id)
    if order.purpose is not Purpose.ENTRY and fill.amount > trade.position.amount:
        text = f"{trade.pair}: {fill.amount:f} left by {order.client_order_id}, {trade.position.amount:f} was held"
        work.do(Alarm("left_too_much", text))
        if came_late:
            return
    if order.purpose is Purpose.ENTRY:
        first = not trade.position.amount
        trade.position = trade.position.entered(fill, market.base, market.quote, rules.fee)
        _entered(work, first=first)
        if after.is_done:
            after_fill.tell_filled(work, after)
            closing.close_dust(work)
        return
    trade.position = trade.position.exited(fill, market.base, market.quote, rules.fee)
    if after.is_done:
        after_fill.tell_filled(work, after)
        exit_ended(work, after)
    else:
        _changed(work)


def _emit_fill(work: Work, fill: Fill, order_id: str) -> None:
    rules = work.trade.rules
    market = rules.market
    foreign = fill.fee_currency not in ("", market.base, market.quote)
    # What a third coin's fee was reckoned to be worth is recorded: nobody could tell later.
    worth = {"fee_cost": fee_in_quote(fill, market.base, market.quote, rules.fee)} if foreign else {}
    work.emit(
        "OrderFilled",
        client_order_id=fill.client_order_id,
        order_id=order_id,
        fill_id=fill.fill_id,
        price=fill.price,
        amount=fill.amount,
        fee=fill.fee,
        fee_currency=fill.fee_currency,
        maker=fill.maker,
        **worth,
    )


def _begun_again(work: Work, order: Order, fill: Fill) -> None:
    """An entry filled after its trade had closed: what it bought is a trade of its own."""
    trade = work.trade
    working = trade.working()
    entry.start_trade(trade, trade.side, trade.leverage)
    trade.orders = {o.client_order_id: o for o in (order, *working)}
    trade.opened_at = fill.ts
    trade.max_rate = trade.min_rate = fill.price
    text = f"{trade.pair}: {fill.amount:f} bought by {order.client_order_id} after its trade had closed; it goes on"
    work.do(Alarm("late_fill", text))


def _entered(work: Work, *, first: bool) -> None:
    """After an entry fill: the stop begins at the average price; a later entry only tightens it."""
    trade = work.trade
    position, ratio = trade.position, work.settings.stoploss
    rate = position.open_rate
    trade.liquidation = liquidation_level(position, work.market, work.settings.liquidation_buffer)
    if first or trade.stop is None:
        trade.stop = first_stop(rate, ratio, trade.side, trade.leverage, work.market)
        trade.max_rate = max(trade.max_rate, rate)
        trade.min_rate = min(trade.min_rate, rate)
        work.emit(
            "TradeOpened",
            side=trade.side,
            leverage=trade.leverage,
            enter_tag=trade.enter_tag,
            open_rate=rate,
            amount=position.amount,
            stake=position.stake,
            stop=trade.stop.level,
            **({} if trade.liquidation is None else {"liquidation": trade.liquidation}),
        )
        work.do(WatchPrice(pair=trade.pair, watch=True))
        work.exposure()
        return
    if sum(1 for o in trade.orders.values() if o.purpose is Purpose.ENTRY and o.filled) > 1:
        trade.position = replace(position, mean=work.market.round_price(rate))
        rate, ratio = trade.position.rate, trade.stop.ratio
    moved = tightened(trade.stop, rate, ratio, trade.side, trade.leverage, work.market)
    pursuit.move_stop(work, trade.stop, moved, "initial", rate)
    _changed(work)


def _changed(work: Work) -> None:
    tell_changed(work)
    work.exposure()


def on_rejected(work: Work, event: OrderRejected) -> None:
    """The venue definitely refused it."""
    order = _order(work, event.client_order_id)
    if order is not None:
        refused(work, order, event.code, event.reason)


def on_aborted(work: Work, event: PlaceAborted) -> None:
    """It was never sent: no permit in time, no room on the disk, an old grant."""
    order = _order(work, event.client_order_id)
    if order is not None:
        let_stand(work, order, sent=False)
        refused(work, order, event.code, event.detail)


def refused(work: Work, order: Order, code: str, reason: str) -> None:
    """Book that the venue did not take the order, or no more of it."""
    if order.is_done:
        return
    after = became(work, order, OrderEvent.REJECTED, reason=f"{code}: {reason}")
    if code not in UNRECORDED:
        work.emit("OrderRejected", client_order_id=order.client_order_id, code=code, reason=reason)
    ended(work, after, code)


def on_doubt(work: Work, event: OrderInDoubt) -> None:
    """Sent, and nobody knows whether it arrived: ask until somebody does."""
    order = _order(work, event.client_order_id)
    if order is not None and order.amending is not None and order.status in RESTING:
        doubt_amendment(work, order, event.reason)
    elif order is not None and order.status in RESTING:
        work.do(LookUp())  # the venue has said by another way that it has it: its answer was lost, not the order
    elif order is not None and not order.is_done:
        doubt(work, order, event.reason)
        work.do(LookUp())
        if order.purpose is Purpose.STOP:
            pursuit.pursue(work)  # where stops do nothing but reduce, another one is not waited for


def on_cancel_rejected(work: Work, event: CancelRejected) -> None:
    """Filled, cancelled before, or never there: ask which."""
    order = _order(work, event.client_order_id)
    if order is None:
        return
    if not became(work, order, OrderEvent.CANCEL_REJECTED, reason=event.reason).is_done:
        work.do(LookUp())


def on_not_found(work: Work, event: OrderNotFound) -> None:
    """The venue does not know the order; final only when it could not accept it any more."""
    order = _order(work, event.client_order_id)
    if order is not None:
        not_found(work, order, final=event.final)


def not_found(work: Work, order: Order, *, final: bool) -> None:
    """Believe an absence only when it is final; until then ask again."""
    if order.is_done:
        return
    if not final:
        ask_again(work)
        return
    after = became(work, order, OrderEvent.NOT_FOUND, reason="not at the venue")
    if not after.is_done:
        after = became(work, after, OrderEvent.NOT_FOUND, reason="not at the venue")
    work.emit("OrderRejected", client_order_id=order.client_order_id, code="NOT_FOUND", reason="not at the venue")
    ended(work, after, "NOT_FOUND")


def on_canceled(work: Work, event: OrderCanceled) -> None:
    """It works no longer. What the venue filled and we have not heard of is looked up."""
    order = _order(work, event.client_order_id)
    if order is not None:
        canceled(work, order, event.filled, expired=event.expired)
        if work.trade.orders.get(order.client_order_id, order).status is OrderStatus.IN_DOUBT:
            work.do(LookUp())


def canceled(work: Work, order: Order, filled: Decimal, *, expired: bool = False) -> None:
    """Book an order's end without being filled."""
    if order.is_done:
        return
    if filled > order.filled:
        doubt(work, order, f"it ended with {filled:f} filled, {order.filled:f} are booked")
        return
    after = became(work, order, OrderEvent.EXPIRED if expired else OrderEvent.CANCELED)
    work.emit(
        "OrderCanceled", client_order_id=order.client_order_id, filled=filled, expired=expired, reason=order.reason
    )
    ended(work, after, Denial.UNFILLED)


def ended(work: Work, order: Order, code: str) -> None:
    """Settle what an order was for, now that it works no longer."""
    trade = work.trade
    let_stand(work, order, sent=True)
    _let_go(work)
    if order.filled:
        after_fill.tell_filled(work, order)
    reviewing.replace_ended(work, order)
    if order.purpose is Purpose.ENTRY:
        if not trade.position.amount and not trade.working(Purpose.ENTRY) and not trade.is_closed:
            _entry_failed(work, code, order.reason)
        else:
            _change_refused(work, "increase", order, code)
            work.exposure()
        closing.close_dust(work)
    elif order.filled:
        exit_ended(work, order)
    elif order.purpose is Purpose.EXIT:
        if trade.leaving is None:
            _change_refused(work, "reduce", order, code)
        elif _is_refused(order, code):
            _exit_refused(work, order, code)
            return
    elif (trade.leaving is None or work.settings.stop_beside) and _is_refused(order, code):
        trade.exit_failures += code == "DELISTED"  # another way out may never be tried
        if not closing.is_left_behind(work, code):
            leaving.stop_refused(work, order, code)
    pursuit.pursue(work)


def _let_go(work: Work) -> None:
    """Forget the oldest orders that ended with nothing filled: a long trade replaces many a stop.

    One that comes to life later all the same is found at the venue and taken over, as lost ones are.
    """
    orders = work.trade.orders
    empty = [c for c, o in orders.items() if o.is_done and not o.filled and o.purpose is not Purpose.ENTRY]
    for client_order_id in empty[:-EMPTY_KEPT]:
        del orders[client_order_id]


def _is_refused(order: Order, code: str) -> bool:
    """Whether the venue did not want it, as opposed to: it was cancelled, or never got there."""
    was_taken = code in (Denial.UNFILLED, "NOT_FOUND")
    return order.status is OrderStatus.EXPIRED or (order.status is OrderStatus.REJECTED and not was_taken)


def _entry_failed(work: Work, code: str, reason: str) -> None:
    trade, (code, reason) = work.trade, _denial(code, reason)
    trade.leaving = None
    work.decide(f"enter_{trade.side}", "denied", code, reason, tag=trade.enter_tag)
    if code == Denial.VENUE_REJECTED:
        work.do(Alarm("entry_refused", f"{trade.pair}: the venue refused the entry ({reason})", "warning"))
    if reviewing.watches_price(work):
        work.do(WatchPrice(pair=trade.pair, watch=False))
    work.exposure()


def _change_refused(work: Work, way: str, order: Order, code: str) -> None:
    """A further entry or a partial exit that the venue did not take: the position stays as it is."""
    if order.status is OrderStatus.REJECTED and work.trade.position.amount:
        code, reason = _denial(code, order.reason)
        work.decide(f"{way}_{work.trade.side}", "denied", code, reason, tag=order.tag)


def _denial(code: str, reason: str) -> tuple[str, str]:
    """A venue's or our own code as one of a decision's, and the reason with it."""
    if code == "TOO_LATE":
        code = Denial.SIGNAL_TOO_OLD
    elif code not in _OWN_CODES:
        code = Denial.VENUE_REJECTED  # which one of its codes it was stands in the reason
    return code, reason


def _exit_refused(work: Work, order: Order, code: str) -> None:
    """An exit that came to nothing is tried again, later each time; a refused one next as a market order."""
    trade = work.trade
    trade.exit_failures += 1
    if order.status is OrderStatus.REJECTED:
        trade.leave_type = work.settings.emergency_type
        worth = max(order.price, trade.price)  # one wrong price, which the exit still asks, makes nothing worthless
        if trade.exit_failures >= WRITE_OFF_AFTER and work.market.is_dust(trade.position.amount, worth):
            closing.close(work)
            return
        if closing.is_left_behind(work, code):
            return
        if trade.exit_failures in (1, 5):
            work.do(Alarm("exit_refused", f"{trade.pair}: the exit was refused ({order.reason}); it is tried again"))
        work.do(LookUp())
    pursuit.try_again(work, min(1_000 * 2 ** min(trade.exit_failures - 1, 6), 60_000))


def exit_ended(work: Work, order: Order) -> None:
    """After an exit or stop order's end: close the trade when nothing worth selling is left."""
    trade = work.trade
    trade.position = trade.position.exit_done()
    if work.market.tradable(trade.position.amount) or (trade.position.amount and trade.working(Purpose.ENTRY)):
        _changed(work)
        return
    if order.purpose is Purpose.STOP:
        trade.exit_reason = "stoploss_on_exchange"
    elif trade.leaving is not None:
        trade.exit_reason = pursuit.reason_of(trade.leaving)
    closing.close(work)
