"""Pursuing the trade's goal: leave if there is a reason to, else keep what is held guarded.

Safe to call after anything: it looks at what works and what is held, and does what is missing. What was
refused is tried again later (`retry_at`), what is not filled in time is given up.
"""

from __future__ import annotations

from decimal import Decimal

from engine import guarding
from engine.actions import SetTimer
from engine.exits import ExitWish, Stop
from engine.guarding import REPLACED
from engine.order import Order
from engine.pricing import waits_for_quote
from engine.types import ZERO, OrderType, Purpose, TimeInForce
from engine.work import Work

LEAVING = "leaving"
"""Why an entry was cancelled whose trade is being left."""


def pursue(work: Work) -> None:
    """Do what the trade's goal needs now: leave, or keep it guarded. Safe to call after anything."""
    trade = work.trade
    if not trade.reconciled:
        return
    if trade.ends_entries:  # each time: one in doubt, or that could not be cancelled, may turn out to rest
        for order in trade.working(Purpose.ENTRY):
            work.cancel(order)
    if trade.pending is not None and trade.leaving is None:
        _guard_meanwhile(work)
        return
    if trade.position.amount <= ZERO:
        drop_goals(work)
        for order in trade.working():
            if order.purpose is not Purpose.ENTRY or trade.leaving is not None or trade.is_closed:
                work.cancel(order)
        return
    if trade.leaving is not None:
        drop_goals(work)
        _leave(work, trade.leaving)
        if work.settings.stop_beside and trade.leave_type == OrderType.LIMIT:
            guarding.guard(work)
        return
    if trade.increasing is not None or trade.reducing is not None:
        _change(work)
    guarding.guard(work)


def _guard_meanwhile(work: Work) -> None:
    """A quote may take seconds: what is held is guarded all the same. A partial exit's room is not taken again."""
    trade = work.trade
    if waits_for_quote(trade) and trade.position.amount > ZERO and trade.reducing is None:
        guarding.guard(work)


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
    for order in in_the_way:
        work.cancel(order, REPLACED)
    if in_the_way or (trade.reducing is not None and not guarding.make_room(work, trade.reducing.amount)):
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
            priced=more.priced,
        )
        work.exposure()
    elif trade.reducing is not None:
        less, trade.reducing = trade.reducing, None
        amount = min(less.amount, work.market.tradable(trade.position.amount))
        if amount:
            tif = TimeInForce(work.settings.exit_time_in_force)
            work.place(Purpose.EXIT, less.kind, amount, less.price, tag=less.tag, time_in_force=tif, priced=less.priced)


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
        priced=wish.priced if kind is OrderType.LIMIT else None,
    )


def move_stop(work: Work, before: Stop, after: Stop, why: str, rate: Decimal) -> Stop:
    """Take over a moved stop, and say so."""
    if after is not before:
        work.trade.stop = after
        work.emit("StopMoved", stop=after.level, why=why, rate=rate)
    return after


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
