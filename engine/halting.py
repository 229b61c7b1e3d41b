"""What the kill switch, and the bot's orderly end, do to a pair that is at something already; what it begins is the portfolio's to deny."""

from __future__ import annotations

from engine import entry, guarding, leaving, pursuit
from engine.messages import TradingStateChanged
from engine.order import Order
from engine.types import OrderStatus, OrderType, Purpose, TradingState
from engine.work import Work


def on_trading_state(work: Work, event: TradingStateChanged) -> None:
    """The switch moved, or the bot ends: entries not sent yet stay here, and stopped, only what guards goes on.

    An entry at the venue may stay there while exits are allowed; once trading is stopped, or the bot ends, nobody
    would look after it, or guard what it buys, so it is cancelled (`pursue`). An exit that rests at the venue may still fill: it
    only reduces. But where the bot ends, and the exit holds the coins of a stop, the stop comes first.
    """
    trade = work.trade
    trade.trading = event.state
    if event.ending:
        trade.ending, trade.replacement = True, None
    if event.state is not TradingState.ACTIVE and trade.pending is not None and trade.pending.kind == "entry":
        entry.resume(work)  # one that holds capital gives it back; one that asks for it will be denied
    if event.state is not TradingState.ACTIVE and trade.increasing is not None:
        trade.increasing = None
        work.exposure()
    if not trade.ends_entries:
        return
    unwanted = _stopped(work) if event.state is TradingState.STOPPED else []
    if event.ending:  # also before the first look: nothing is begun by it that nobody would follow
        unwanted += _put_off(work)
    if trade.reconciled:
        for order in unwanted:
            work.cancel(order)
        pursuit.pursue(work)


def _stopped(work: Work) -> list[Order]:
    """The exits that are not wanted any more: what has left may fill."""
    trade = work.trade
    if trade.leaving is None or leaving.allows(work, trade.leaving.reason):
        return []
    trade.exit_reason = pursuit.reason_of(trade.leaving)  # should what rests be filled
    trade.leaving, trade.leave_type = None, ""
    return [order for order in trade.working(Purpose.EXIT) if order.status is OrderStatus.PENDING_NEW]


def _put_off(work: Work) -> list[Order]:
    """The exits that would leave a position without its stop while no bot runs; the next start goes on with them.

    What guards, or a user's own word, goes on; so does what is about to fill at any price.
    """
    trade, goal = work.trade, work.trade.leaving
    is_urgent = goal is not None and (goal.reason in leaving.GUARDS or trade.leave_type != OrderType.LIMIT)
    if is_urgent or not guarding.waits_for_coins(work):
        return []
    if goal is not None:
        trade.exit_reason = pursuit.reason_of(goal)
        trade.put_off, trade.leaving, trade.leave_type = goal, None, ""
    trade.reducing = None
    return [order for order in trade.working(Purpose.EXIT) if order.type is OrderType.LIMIT]
