"""Pursuing the trade's goal: leave if there is a reason to, else keep what is held guarded.

Safe to call after anything: it looks at what works and what is held, and does what is missing. What was
refused is tried again later (`retry_at`), what is not filled in time is given up.
"""

from __future__ import annotations

from decimal import Decimal

from engine.actions import Alarm, SetTimer
from engine.exits import ExitWish, Stop, tighter
from engine.order import Order
from engine.types import ZERO, OrderStatus, OrderType, Purpose, TimeInForce, TradingState
from engine.work import Work

REPLACED = "replaced"
"""Why an order was cancelled that made room for another: the reason in its journal entry."""
LEAVING = "leaving"
"""Why an entry was cancelled whose trade is being left."""
RESTING = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)
STOPS_MOST = 3
"""So many stops guard one position at most, each for what was bought since the one before; exchanges allow few."""


def pursue(work: Work) -> None:
    """Do what the trade's goal needs now: leave, or keep it guarded. Safe to call after anything."""
    trade = work.trade
    if not trade.reconciled or (trade.pending is not None and trade.leaving is None):
        return
    if trade.position.amount <= ZERO:
        drop_goals(work)
        for order in trade.working():
            halted = trade.trading is TradingState.STOPPED
            if order.purpose is not Purpose.ENTRY or trade.leaving is not None or trade.is_closed or halted:
                work.cancel(order)
        return
    if trade.leaving is not None:
        drop_goals(work)
        _leave(work, trade.leaving)
        if work.settings.stop_beside and trade.leave_type == OrderType.LIMIT:
            guard(work)
        return
    if trade.increasing is not None or trade.reducing is not None:
        _change(work)
    guard(work)


def drop_goals(work: Work) -> None:
    """There is no position to change any more, or it is being left: capital kept for more of it goes back."""
    trade = work.trade
    trade.reducing = None
    if trade.increasing is not None:
        trade.increasing = None
        work.exposure()


def _change(work: Work) -> None:
    """Place the further entry or the partial exit that is wanted, once the trade's other orders are gone."""
    trade = work.trade
    goal = trade.reducing if trade.increasing is None else trade.increasing
    if goal is not None and goal.held != trade.position.amount:  # what was to make room has filled instead
        drop_goals(work)
        return
    in_the_way = [*trade.working(Purpose.ENTRY), *trade.working(Purpose.EXIT)]
    if trade.reducing is not None and not work.settings.stop_beside:
        in_the_way += trade.working(Purpose.STOP)
    for order in in_the_way:
        work.cancel(order, REPLACED)
    if in_the_way:
        return
    if trade.increasing is not None:
        more, trade.increasing = trade.increasing, None
        tif = TimeInForce(work.settings.entry_time_in_force)
        work.place(
            Purpose.ENTRY,
            more.kind,
            more.amount,
            more.price,
            tag=more.tag,
            time_in_force=tif,
            grant_epoch=more.epoch,
        )
        work.exposure()
    elif trade.reducing is not None:
        less, trade.reducing = trade.reducing, None
        amount = min(less.amount, work.market.tradable(trade.position.amount))
        if amount:
            tif = TimeInForce(work.settings.exit_time_in_force)
            work.place(Purpose.EXIT, less.kind, amount, less.price, tag=less.tag, time_in_force=tif)


def _leave(work: Work, wish: ExitWish) -> None:
    trade = work.trade
    in_the_way = trade.working(Purpose.ENTRY)
    if not work.settings.stop_beside:
        in_the_way += trade.working(Purpose.STOP)
    exits = trade.working(Purpose.EXIT)
    tag = wish.tag or wish.reason
    # One that was given up may come to life beside its successor; together they must not sell too much.
    for order in [*in_the_way, *(o for o in exits if o.tag != tag), *exits[1:]]:
        work.cancel(order, LEAVING if order.purpose is Purpose.ENTRY else "")
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


def move_stop(work: Work, before: Stop, after: Stop, why: str, rate: Decimal) -> Stop:
    """Take over a moved stop, and say so."""
    if after is not before:
        work.trade.stop = after
        work.emit("StopMoved", stop=after.level, why=why, rate=rate)
    return after


def guard(work: Work) -> None:
    """Keep stops at the venue for all that is held, at the stop or the liquidation price, whichever is nearer.

    Where a stop may stand beside another (`stop_beside`), a new one stands before the old one goes. Where
    stops hold the coins, what was bought since gets a stop of its own; one that has to move goes before the
    next is placed: that gap is a round trip long, and its budget is there before it begins.
    """
    trade, settings = work.trade, work.settings
    if not settings.stop_on_venue or trade.stop is None:
        return
    level = tighter(trade.stop.level, trade.liquidation, trade.side)
    amount, stops = _to_guard(work), trade.working(Purpose.STOP)
    if not amount or any(order.status not in RESTING for order in stops):
        return  # one is on its way, or going: what becomes of it is heard
    moved = [order for order in stops if _must_move(work, order, level)]
    whole = [order for order in stops if order.remaining == amount and order not in moved]
    missing = amount - sum((order.remaining for order in stops), ZERO)
    if whole:
        _cancel_stops(work, [order for order in stops if order is not whole[-1]])
    elif settings.stop_beside or not stops:
        _place_stop(work, amount, level)
    elif not moved and missing > ZERO and len(stops) < STOPS_MOST and work.market.refusal(missing, level) is None:
        _place_stop(work, missing, level)
    elif moved or missing:
        _cancel_stops(work, stops)


def _to_guard(work: Work) -> Decimal:
    """What stops have to be for: all that is held, less what exits claim where an order holds its coins."""
    trade = work.trade
    claimed = ZERO
    if not work.settings.stop_beside:
        claimed = sum((order.remaining for order in trade.working(Purpose.EXIT)), ZERO)
    return work.market.tradable(trade.position.amount - claimed)


def _must_move(work: Work, order: Order, level: Decimal) -> bool:
    """Whether a stop is far enough from where it belongs, and old enough, to be replaced."""
    if order.trigger_price is None or order.trigger_price == level:
        return False
    far = abs(level - order.trigger_price) >= order.trigger_price * work.settings.stop_step
    return far and work.now - order.created_at >= work.settings.stop_interval_ms


def _cancel_stops(work: Work, stops: list[Order]) -> None:
    for order in stops:
        work.cancel(order, REPLACED)


def _place_stop(work: Work, amount: Decimal, level: Decimal) -> None:
    trade = work.trade
    if work.now < trade.retry_at:
        return
    why = work.market.refusal(amount, level)
    if why is None:
        work.place(Purpose.STOP, OrderType.STOP, amount, level, trigger_price=level, tag="stoploss_on_exchange")
    elif not trade.stop_failed and not trade.working(Purpose.ENTRY):
        trade.stop_failed = True
        work.do(
            Alarm("stop_impossible", f"{trade.pair}: no stop can rest at the venue ({why}); the bot guards it itself")
        )


def leaves_dust(work: Work, order: Order) -> bool:
    """Whether the end of a partly filled order would leave a position that cannot be sold."""
    held = work.trade.position.amount
    return order.filled > ZERO and held > ZERO and work.market.is_dust(held, work.trade.price or order.price)


def reason_of(wish: ExitWish) -> str:
    """The exit reason that a trade left for `wish` carries: a custom exit's own words, an exit signal's tag."""
    return wish.tag or wish.reason if wish.reason in ("custom_exit", "exit_signal") else wish.reason


def try_again(work: Work, delay: int) -> None:
    """Let a refused exit or stop wait."""
    work.trade.retry_at = work.now + delay
    work.do(SetTimer("pursue", delay, market=True))
