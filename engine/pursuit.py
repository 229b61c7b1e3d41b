"""Pursuing the trade's goal: leave if there is a reason to, else keep what is held guarded.

Safe to call after anything: it looks at what works and what is held, and does what is missing. What was
refused is tried again later (`retry_at`), what is not filled in time is given up.
"""

from __future__ import annotations

from engine.actions import SetTimer
from engine.exits import ExitWish, tighter
from engine.order import Order
from engine.types import ZERO, OrderStatus, OrderType, Purpose, TimeInForce, TradingState
from engine.work import Work

RESTING = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


def pursue(work: Work) -> None:
    """Do what the trade's goal needs now: leave, or keep it guarded. Safe to call after anything."""
    trade = work.trade
    if not trade.reconciled or (trade.pending is not None and trade.leaving is None):
        return
    if trade.position.amount <= ZERO:
        for order in trade.working():
            halted = trade.trading is TradingState.STOPPED
            if order.purpose is not Purpose.ENTRY or trade.leaving is not None or trade.is_closed or halted:
                work.cancel(order)
        return
    if trade.leaving is None:
        guard(work)
    else:
        _leave(work, trade.leaving)


def _leave(work: Work, wish: ExitWish) -> None:
    trade = work.trade
    in_the_way = [*trade.working(Purpose.ENTRY), *trade.working(Purpose.STOP)]
    exits = trade.working(Purpose.EXIT)
    tag = wish.tag or wish.reason
    # One that was given up may come to life beside its successor; together they must not sell too much.
    for order in [*in_the_way, *(o for o in exits if o.tag != tag), *exits[1:]]:
        work.cancel(order)
    amount = work.market.tradable(trade.position.amount)
    if in_the_way or exits or work.now < trade.retry_at or not amount:
        return
    kind = OrderType(trade.leave_type)
    price = wish.price if kind is OrderType.LIMIT else work.market.round_price(wish.price)
    work.place(
        Purpose.EXIT,
        kind,
        amount,
        price,
        tag=tag,
        time_in_force=TimeInForce(work.settings.exit_time_in_force),
    )


def guard(work: Work) -> None:
    """Keep one stop at the venue, for all that is held, at the stop or the liquidation price, whichever is nearer: placed, followed, replaced."""
    trade, settings = work.trade, work.settings
    if not settings.stop_on_venue or trade.stop is None or trade.working(Purpose.EXIT):
        return  # an exit that is being cancelled still claims what a stop would
    level = tighter(trade.stop.level, trade.liquidation, trade.side)
    amount = work.market.tradable(trade.position.amount)
    working = trade.working(Purpose.STOP)
    for extra in working[1:]:
        work.cancel(extra)
    if not working:
        if work.now >= trade.retry_at and work.market.refusal(amount, level) is None:
            work.place(Purpose.STOP, OrderType.STOP, amount, level, trigger_price=level, tag="stoploss_on_exchange")
        return
    order = working[0]
    if order.status not in RESTING:
        return
    moved = order.trigger_price != level and work.now - order.created_at >= settings.stop_interval_ms
    if moved or order.remaining != amount:
        work.cancel(order)


def check_timeouts(work: Work) -> None:
    """Give up orders that were not filled in time (`semantics.md` 1.6)."""
    trade, settings = work.trade, work.settings
    for order in trade.working():
        if order.status not in RESTING or order.purpose is Purpose.STOP:
            continue
        limit = settings.entry_timeout_ms if order.purpose is Purpose.ENTRY else settings.exit_timeout_ms
        if limit and order.created_at <= work.now - limit and not _leaves_dust(work, order):
            if order.purpose is Purpose.EXIT:
                _exit_timed_out(work)
            work.cancel(order)


def wait_on(work: Work) -> None:
    """Wake the trade again for orders whose time is not over: a timer may come early, or for another order."""
    settings = work.settings
    for order in work.trade.working():
        limit = settings.entry_timeout_ms if order.purpose is Purpose.ENTRY else settings.exit_timeout_ms
        left = order.created_at + limit - work.now
        if limit and left > 0 and order.type is OrderType.LIMIT:
            work.do(SetTimer("unfilled", left, market=True))


def _leaves_dust(work: Work, order: Order) -> bool:
    """Whether the end of a partly filled order would leave a position that cannot be sold."""
    held = work.trade.position.amount
    return order.filled > ZERO and held > ZERO and work.market.is_dust(held, work.trade.price or order.price)


def _exit_timed_out(work: Work) -> None:
    trade, settings = work.trade, work.settings
    trade.exit_timeouts += 1
    if trade.leaving is not None:
        trade.exit_reason = reason_of(trade.leaving)  # should it fill before it is cancelled
    emergency = 0 < settings.exit_timeout_count <= trade.exit_timeouts
    trade.leaving = ExitWish("emergency_exit", trade.price) if emergency else None
    trade.leave_type = settings.emergency_type if emergency else ""


def reason_of(wish: ExitWish) -> str:
    """The exit reason that a trade left for `wish` carries: a custom exit's own words, an exit signal's tag."""
    return wish.tag or wish.reason if wish.reason in ("custom_exit", "exit_signal") else wish.reason


def try_again(work: Work, delay: int) -> None:
    """Let a refused exit or stop wait."""
    work.trade.retry_at = work.now + delay
    work.do(SetTimer("pursue", delay, market=True))
