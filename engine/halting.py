"""What the kill switch does to a pair that is at something already; what it begins is the portfolio's to deny."""

from __future__ import annotations

from engine import entry, leaving, pursuit
from engine.messages import TradingStateChanged
from engine.types import OrderStatus, Purpose, TradingState
from engine.work import Work


def on_trading_state(work: Work, event: TradingStateChanged) -> None:
    """The switch moved: entries not sent yet stay here, and stopped, only what guards goes on.

    An entry at the venue may stay there while exits are allowed; once trading is stopped, or the bot ends, nobody
    would look after it, or guard what it buys, so it is cancelled. An exit that rests at the venue may still fill: it
    only reduces.
    """
    trade = work.trade
    if not event.ending:
        trade.trading = event.state
    if event.state is not TradingState.ACTIVE and trade.pending is not None and trade.pending.kind == "entry":
        entry.resume(work)  # one that holds capital gives it back; one that asks for it will be denied
    if event.state is not TradingState.ACTIVE and trade.increasing is not None:
        trade.increasing = None
        work.exposure()
    if event.state is not TradingState.STOPPED and not event.ending:
        return
    unwanted = trade.working(Purpose.ENTRY)
    if (
        event.state is TradingState.STOPPED
        and trade.leaving is not None
        and not leaving.allows(work, trade.leaving.reason)
    ):
        unwanted += [o for o in trade.working(Purpose.EXIT) if o.status is OrderStatus.PENDING_NEW]
        trade.exit_reason = pursuit.reason_of(trade.leaving)  # should what rests be filled
        trade.leaving, trade.leave_type = None, ""
    if trade.reconciled:
        for order in unwanted:
            work.cancel(order)
        pursuit.pursue(work)
