"""The end of a trade: what it earned, what is written off, and whether the candle's signal turns it around."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from engine import entry, fates, leaving
from engine.actions import Alarm, Judge
from engine.codec import to_plain
from engine.ended import summed_up
from engine.messages import WatchPrice
from engine.strategy import TRADES
from engine.telling import show_trade, tell_changed
from engine.types import ZERO, Purpose, Side, trade_order
from engine.work import Trade, Work

UNHEARD_MAX: Final = 64
"""So many closed trades are kept for a portfolio that does not acknowledge them. Their profits are in `earned`
in any case, and it grants no entry while it cannot hear: more are not to be expected.
"""


DELISTED_AFTER: Final = 12
"""A position on a market that is gone is given up after so many refusals: longer than markets are read anew in."""


def heard(trade: Trade, trade_id: str) -> Trade:
    """`trade` without the closed ones up to `trade_id`, which the portfolio has in its books; the same where that is no news."""
    upto = trade_order(trade_id)
    left = tuple(closed for closed in trade.unheard if trade_order(closed.trade_id) > upto)
    if len(left) == len(trade.unheard):
        return trade
    twin = trade.copy()
    twin.unheard = left
    return twin


def close_dust(work: Work) -> None:
    """Write off a position that is too small for any order, once nothing can make it larger."""
    trade = work.trade
    held = trade.position.amount
    if held > ZERO and not work.market.tradable(held) and not trade.working(Purpose.ENTRY):
        close(work)


def take_away(work: Work, amount: Decimal) -> None:
    """Let what is not there to be sold leave the position at what it had cost; the record says how much it was."""
    work.trade.position = work.trade.position.moved_away(amount)
    tell_changed(work, moved=amount)


def is_left_behind(work: Work, code: str) -> bool:
    """End a trade whose market is gone, once it is sure: what is held leaves it at what it had cost, and stays there."""
    trade = work.trade
    if code != "DELISTED" or trade.exit_failures < DELISTED_AFTER:
        return False
    text = f"{trade.pair}: the exchange does not trade it any more; the trade ends, {trade.position.amount:f} are yours"
    take_away(work, trade.position.amount)
    trade.exit_reason = "delisted"
    work.do(Alarm("delisted", text))
    close(work)
    return True


def close(work: Work) -> None:
    """End the trade: what is left is dust, and written off; say what it earned."""
    trade = work.trade
    if trade.is_closed:
        return
    fates.note_closed(work)
    for order in trade.working(Purpose.ENTRY):
        work.cancel(order)
    dust = trade.position.amount
    position = trade.position.written_off().exit_done()
    trade.position = position
    closed = summed_up(
        trade.pair,
        trade.trade_id,
        position,
        span=(trade.opened_at, work.now),
        why=(trade.enter_tag, trade.exit_reason or ("dust" if dust else "exit")),
        extremes=(trade.max_rate, trade.min_rate),
        stops=(trade.stop.initial, trade.stop.level) if trade.stop else (ZERO, ZERO),
    )
    trade.earned += closed.profit_abs
    trade.last_closed = closed
    if trade.opened_at < work.now:
        trade.over_ts = trade.signal_ts
    trade.unheard = (*trade.unheard, closed)[-UNHEARD_MAX:]
    if TRADES in work.settings.callbacks:
        show_trade(work, final=True)
    work.exposure()
    work.emit("TradeClosed", **{k: v for k, v in to_plain(closed).items() if k not in ("pair", "trade_id")})
    work.do(closed)
    if dust:
        work.do(Alarm("dust", f"{trade.pair}: {dust:f} left is under a step of the market; written off", "info"))
    work.do(WatchPrice(pair=trade.pair, watch=False))
    was = trade.side
    trade.leaving = trade.put_off = None
    trade.pending = None
    trade.queued = None
    trade.increasing = trade.reducing = trade.replacement = None
    trade.untold = ()
    if _reverses(work, was):
        work.do(Judge())


def _reverses(work: Work, was: Side) -> bool:
    """Whether the candle's signal is for the other side of the trade just closed (2.3.6)."""
    if not work.settings.can_short:
        return False
    side, _ = entry.entry_side(leaving.current_signal(work, work.now), work.settings)
    return side is not None and side is not was
