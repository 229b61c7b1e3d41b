"""What the venue says of our orders, booked: acceptances, fills, ends, doubts.

Facts are booked in every state. A fill is booked once, by the venue's id; an order's end settles what
it was for: an entry that bought nothing ends the trade before it began, an exit that sold everything
closes it, an exit that did not is followed by the next.
"""

from __future__ import annotations

from decimal import Decimal

from engine import entry, leaving
from engine.actions import Alarm, Judge, LookUp, SetTimer
from engine.codec import to_plain
from engine.denials import Denial
from engine.exits import first_stop, tightened
from engine.market import round8
from engine.messages import (
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderInDoubt,
    OrderNotFound,
    OrderRejected,
    TradeClosed,
    WatchPrice,
)
from engine.order import Fill, Order, OrderEvent
from engine.position import fee_in_quote
from engine.types import ZERO, OrderType, Purpose, Side
from engine.work import PlaceAborted, Work

LOOK_UP_MS = 2_000


def _order(work: Work, client_order_id: str) -> Order | None:
    """Our order of that id. One of an earlier trade is only looked up: its trade is closed."""
    order = work.trade.orders.get(client_order_id)
    if order is None and client_order_id.startswith(work.trade.rules.order_prefix[:8]):
        work.do(LookUp())
    return order


def _became(work: Work, order: Order, event: OrderEvent, *, order_id: str = "", reason: str = "") -> Order:
    after = order.after(event, work.now, order_id=order_id, reason=reason)
    work.trade.orders[order.client_order_id] = after
    return after


def on_accepted(work: Work, event: OrderAccepted) -> None:
    """The venue has the order; a limit order now may wait only so long."""
    order = _order(work, event.client_order_id)
    if order is None:
        return
    known = order.order_id
    after = _became(work, order, OrderEvent.ACCEPTED, order_id=event.order_id)
    if after.order_id != known:
        work.emit("OrderAccepted", client_order_id=order.client_order_id, order_id=event.order_id)
    watch_unfilled(work, after)
    leaving.pursue(work)


def watch_unfilled(work: Work, order: Order) -> None:
    """Wake the trade when `order` has waited too long."""
    settings = work.settings
    limit = settings.entry_timeout_ms if order.purpose is Purpose.ENTRY else settings.exit_timeout_ms
    if not order.is_done and order.type is OrderType.LIMIT and order.purpose is not Purpose.STOP and limit:
        work.do(SetTimer("unfilled", max(order.created_at + limit - work.now, 0), market=True))


def on_filled(work: Work, event: OrderFilled) -> None:
    """One execution: book it, unless it is booked already."""
    order = _order(work, event.fill.client_order_id)
    if order is not None:
        book(work, order, event.fill, event.order_id)
        leaving.pursue(work)


def book(work: Work, order: Order, fill: Fill, order_id: str = "") -> None:
    """Book `fill` on its order, the position and the trade; a known one changes nothing."""
    after = order.with_fill(fill)
    if after is order:
        return
    trade, rules = work.trade, work.trade.rules
    trade.orders[order.client_order_id] = after
    market = rules.market
    foreign = fill.fee_currency not in ("", market.base, market.quote)
    # What a third coin's fee was reckoned to be worth is recorded: nobody could tell later.
    worth = {"fee_cost": fee_in_quote(fill, market.base, market.quote, rules.fee)} if foreign else {}
    work.emit(
        "OrderFilled",
        client_order_id=order.client_order_id,
        order_id=order_id or order.order_id,
        fill_id=fill.fill_id,
        price=fill.price,
        amount=fill.amount,
        fee=fill.fee,
        fee_currency=fill.fee_currency,
        maker=fill.maker,
        **worth,
    )
    if order.purpose is Purpose.ENTRY:
        first = not trade.position.amount
        trade.position = trade.position.entered(fill, market.base, market.quote, rules.fee)
        _entered(work, first=first)
        return
    trade.position = trade.position.exited(fill, market.base, market.quote, rules.fee)
    if after.is_done:
        _exit_ended(work, after)
    else:
        _changed(work)


def _entered(work: Work, *, first: bool) -> None:
    """After an entry fill: the stop begins at the average price; a later entry only tightens it."""
    trade = work.trade
    position, ratio = trade.position, work.settings.stoploss
    rate = position.open_rate
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
        )
        work.do(WatchPrice(pair=trade.pair, watch=True))
        work.exposure()
        return
    moved = tightened(trade.stop, rate, ratio, trade.side, trade.leverage, work.market)
    leaving.move_stop(work, trade.stop, moved, "initial", rate)
    _changed(work)


def _changed(work: Work) -> None:
    position = work.trade.position
    work.emit(
        "TradeChanged",
        amount=position.amount,
        stake=position.stake,
        open_rate=position.open_rate,
        realized=position.booked,
    )
    work.exposure()


def on_rejected(work: Work, event: OrderRejected) -> None:
    """The venue definitely refused it."""
    order = _order(work, event.client_order_id)
    if order is not None:
        _refused(work, order, event.code, event.reason)


def on_aborted(work: Work, event: PlaceAborted) -> None:
    """It was never sent: no permit in time, no room on the disk, an old grant."""
    order = _order(work, event.client_order_id)
    if order is not None:
        _refused(work, order, event.code, event.detail)


def _refused(work: Work, order: Order, code: str, reason: str) -> None:
    if order.is_done:
        return
    after = _became(work, order, OrderEvent.REJECTED, reason=f"{code}: {reason}")
    work.emit("OrderRejected", client_order_id=order.client_order_id, code=code, reason=reason)
    ended(work, after, code)


def on_doubt(work: Work, event: OrderInDoubt) -> None:
    """Sent, and nobody knows whether it arrived: ask until somebody does."""
    order = _order(work, event.client_order_id)
    if order is None or order.is_done:
        return
    _became(work, order, OrderEvent.DOUBTED, reason=event.reason)
    work.emit("OrderInDoubt", client_order_id=order.client_order_id, reason=event.reason)
    work.do(LookUp())
    work.do(SetTimer("look_up", LOOK_UP_MS))


def on_cancel_rejected(work: Work, event: CancelRejected) -> None:
    """Filled, cancelled before, or never there: ask which."""
    order = _order(work, event.client_order_id)
    if order is None:
        return
    if not _became(work, order, OrderEvent.CANCEL_REJECTED, reason=event.reason).is_done:
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
        work.do(SetTimer("look_up", LOOK_UP_MS))
        return
    after = _became(work, order, OrderEvent.NOT_FOUND, reason="not at the venue")
    if not after.is_done:
        after = _became(work, after, OrderEvent.NOT_FOUND, reason="not at the venue")
    work.emit("OrderRejected", client_order_id=order.client_order_id, code="NOT_FOUND", reason="not at the venue")
    ended(work, after, "NOT_FOUND")


def on_canceled(work: Work, event: OrderCanceled) -> None:
    """It works no longer. What the venue filled and we have not heard of is looked up."""
    order = _order(work, event.client_order_id)
    if order is not None:
        canceled(work, order, event.filled, expired=event.expired)


def canceled(work: Work, order: Order, filled: Decimal, *, expired: bool = False) -> None:
    """Book an order's end without being filled."""
    if order.is_done:
        return
    after = _became(work, order, OrderEvent.EXPIRED if expired else OrderEvent.CANCELED)
    work.emit(
        "OrderCanceled", client_order_id=order.client_order_id, filled=filled, expired=expired, reason=order.reason
    )
    if filled > after.filled:
        work.do(LookUp())
    ended(work, after, Denial.UNFILLED)


def ended(work: Work, order: Order, code: str) -> None:
    """Settle what an order was for, now that it works no longer."""
    trade = work.trade
    if order.purpose is Purpose.ENTRY:
        if not trade.position.amount and not trade.working(Purpose.ENTRY):
            _entry_failed(work, code, order.reason)
        else:
            work.exposure()
    elif order.purpose is Purpose.EXIT:
        _exit_ended(work, order)
        if not order.filled and order.reason and trade.position.amount > ZERO and trade.leaving is not None:
            _exit_refused(work, order)
            return
    elif order.filled:
        _exit_ended(work, order)
    elif order.reason and trade.leaving is None:
        leaving.stop_refused(work, code, order.reason)
    leaving.pursue(work)


def _entry_failed(work: Work, code: str, reason: str) -> None:
    trade = work.trade
    if code not in (Denial.UNFILLED, Denial.RATE_LIMIT, Denial.DISK_FULL, Denial.OLD_GRANT, "NOT_FOUND"):
        reason, code = f"{code}: {reason}", Denial.VENUE_REJECTED
    trade.leaving = None
    work.decide(f"enter_{trade.side}", "denied", code, reason, tag=trade.enter_tag)
    work.exposure()


def _exit_refused(work: Work, order: Order) -> None:
    """An exit the venue did not take is tried again, later each time; a limit order next as a market order."""
    trade = work.trade
    trade.exit_failures += 1
    trade.leave_type = work.settings.emergency_type
    if trade.exit_failures in (1, 5):
        work.do(Alarm("exit_refused", f"{trade.pair}: the exit was refused ({order.reason}); it is tried again"))
    work.do(LookUp())
    work.do(entry.retry_delay(trade.exit_failures))


def _exit_ended(work: Work, order: Order) -> None:
    """After an exit or stop order's end: close the trade when nothing worth selling is left."""
    trade = work.trade
    trade.position = trade.position.exit_done()
    left = trade.position.amount
    if not order.filled:
        return
    if left > ZERO and work.market.truncate_amount(left) > ZERO:
        if order.purpose is Purpose.STOP and trade.leaving is None and order.remaining <= ZERO:
            trade.stop_touched_at = 0
        _changed(work)
        return
    if order.purpose is Purpose.STOP:
        trade.exit_reason = "stoploss_on_exchange"
    elif trade.leaving is not None:
        trade.exit_reason = trade.leaving.tag if trade.leaving.reason == "custom_exit" else trade.leaving.reason
    close(work)


def close(work: Work) -> None:
    """End the trade: what is left is dust, and written off; say what it earned."""
    trade = work.trade
    dust = trade.position.amount
    position = trade.position.written_off().exit_done()
    trade.position = position
    stop = trade.stop
    closed = TradeClosed(
        pair=trade.pair,
        trade_id=trade.trade_id,
        side=trade.side,
        open_ts=trade.opened_at,
        close_ts=work.now,
        open_rate=position.open_rate,
        close_rate=position.close_rate,
        amount=position.entered_amount,
        stake=round8(position.entered_cost / position.leverage),
        leverage=trade.leverage,
        fee_open=round8(position.entry_fee / position.entered_cost),
        fee_close=round8(position.exit_fee / position.exited_cost),
        profit_abs=position.booked,
        profit_ratio=position.profit_ratio,
        exit_reason=trade.exit_reason or "exit",
        enter_tag=trade.enter_tag,
        max_rate=trade.max_rate,
        min_rate=trade.min_rate,
        initial_stop=stop.initial if stop else ZERO,
        stop=stop.level if stop else ZERO,
        fees=position.fees,
    )
    trade.earned += closed.profit_abs
    trade.last_closed = closed
    work.exposure()
    work.emit("TradeClosed", **{k: v for k, v in to_plain(closed).items() if k not in ("pair", "trade_id")})
    work.do(closed)
    if dust:
        work.do(Alarm("dust", f"{trade.pair}: {dust:f} left is under a step of the market; written off", "info"))
    work.do(WatchPrice(pair=trade.pair, watch=False))
    was = trade.side
    trade.leaving = None
    trade.pending = None
    trade.queued = None
    if _reverses(work, was):
        work.do(Judge())


def _reverses(work: Work, was: Side) -> bool:
    """Whether the candle's signal is for the other side of the trade just closed (2.3.6)."""
    if not work.settings.can_short:
        return False
    side, _ = entry.entry_side(leaving.current_signal(work, work.now), work.settings)
    return side is not None and side is not was
