"""What became of a wish to leave: one row for each exit signal, and for the strategy's own exit one a candle.

An exit signal is good for the candle after the one it was judged on. It is traded, denied, held back, or
the trade is being left already; what nobody came to look at in its time has a row too, when the next
signal comes, the trade ends, or the next look finds its time over.
"""

from __future__ import annotations

from engine.denials import Denial
from engine.exits import Look, exit_signalled
from engine.messages import Signal
from engine.types import Side
from engine.work import Trade, Work


def say(work: Work, reason: str, outcome: str, code: Denial, tag: str) -> None:
    """Say why `exit_signal` or `custom_exit` is not what the trade is left for, once; of other reasons nothing."""
    if mark(work, reason):
        work.decide(f"exit_{work.trade.side}" if reason == "exit_signal" else reason, outcome, code, tag=tag)


def mark(work: Work, reason: str) -> bool:
    """Take down that this signal's fate is said; False where it was before, or where `reason` is no signal."""
    trade = work.trade
    if reason == "exit_signal":
        news, trade.signalled_exit_ts = trade.signalled_exit_ts != trade.signal_ts, trade.signal_ts
        return news
    if reason != "custom_exit":
        return False
    candle = work.now - work.now % work.settings.timeframe_ms
    news, trade.custom_exit_ts = trade.custom_exit_ts != candle, candle
    return news


def note_held_back(work: Work, look: Look) -> None:
    """Say it of the candle's exit signal when the rules did not let it count."""
    signal = look.signal
    wanted = signal.exit_long if look.is_long else signal.exit_short
    if not wanted or exit_signalled(look):
        return  # it was the first wish: that has its row
    profit_held_it = work.settings.use_exit_signal and not (signal.enter_long if look.is_long else signal.enter_short)
    code = Denial.PROFIT_UNDER_OFFSET if profit_held_it else Denial.EXIT_NOT_WANTED
    say(work, "exit_signal", "ignored", code, signal.exit_tag)


def note_unmatched(work: Work, signal: Signal) -> None:
    """Say it of exit signals for a side on which nothing is held, as the candle is judged; not when it is judged again."""
    trade = work.trade
    if trade.signalled_exit_ts == trade.signal_ts:
        return
    matched = False
    for wanted, side in ((signal.exit_long, Side.LONG), (signal.exit_short, Side.SHORT)):
        if wanted and trade.position.amount and trade.side is side:
            matched = True
        elif wanted:
            work.decide(f"exit_{side}", "ignored", Denial.NOTHING_OPEN, tag=signal.exit_tag)
    if not matched and (signal.exit_long or signal.exit_short):
        trade.signalled_exit_ts = trade.signal_ts


def note_late(work: Work) -> None:
    """Say it of an exit signal whose time is over, and that nobody has looked at."""
    _say_unheard(work, Denial.SIGNAL_TOO_OLD)


def note_closed(work: Work) -> None:
    """Say it of an exit signal that came while the trade was about to end without it."""
    _say_unheard(work, Denial.ALREADY_LEAVING)


def _say_unheard(work: Work, code: Denial) -> None:
    trade = work.trade
    if _wants_out(trade) and trade.signalled_exit_ts != trade.signal_ts:
        say(work, "exit_signal", "ignored", code, trade.signal.exit_tag)


def _wants_out(trade: Trade) -> bool:
    return trade.signal.exit_long if trade.side is Side.LONG else trade.signal.exit_short
