"""Running plain trades from tapes to results, the quickest way that fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from engine.account import pass_until
from engine.apart import are_apart, run_apart
from engine.counters import Counters
from engine.lanes import Lane
from engine.plenty import Plenty, fixed_stake, was_plenty
from engine.portfolio import Portfolio
from engine.purse import Purse
from engine.quick import Run
from engine.straight import covers
from engine.taken import PlainTrades, Taken
from engine.tape import Calendar, Tape
from engine.types import Millis
from engine.work import Rules


def is_plain(rules: Mapping[str, Rules], tapes: Mapping[str, Tape]) -> bool:
    """Whether `run_plain` is for these rules and tapes."""
    return all(covers(rules[pair], tape) for pair, tape in tapes.items())


def run_plain(
    rules: Mapping[str, Rules], tapes: Mapping[str, Tape], portfolio: Portfolio
) -> tuple[PlainTrades, Counters, Millis | None]:
    """Run all pairs under the account of a new portfolio.

    The trades, what was counted, and the candle at which Ctrl-C ended it, None where it reached its end.
    """
    end = max((int(tape.candles.ts[-1]) for tape in tapes.values() if len(tape.candles)), default=0)
    stake = fixed_stake(portfolio)
    lanes = [Lane(number, tape, rules[pair], end, stake) for number, (pair, tape) in enumerate(tapes.items())]
    until = end
    if stake is not None:
        trades, counters, interrupted = _counting_slots(lanes, portfolio, stake, end)
        if was_plenty(portfolio.trading, portfolio.start, stake, trades.columns):
            return trades, counters, interrupted
        until = end if interrupted is None else interrupted
    calendar = Calendar([lane.times for lane in lanes])
    purse = Purse(portfolio, lambda ts: pass_until(portfolio, ts, calendar.first_time))
    run = Run(lanes, purse, end, until)
    run.run()
    run.counters.rejected_signals, run.counters.locks = portfolio.rejected, purse.locks
    run.counters.refused_stakes += purse.refused
    return PlainTrades(Taken.of(lanes, run.trades)), run.counters, run.interrupted


def _counting_slots(
    lanes: Sequence[Lane], portfolio: Portfolio, stake: Decimal, end: Millis
) -> tuple[PlainTrades, Counters, Millis | None]:
    """As if there were money for every slot."""
    slots = portfolio.trading.max_open_trades
    if are_apart(lanes, slots):
        taken, counters = run_apart(lanes, stake, end)
        return PlainTrades(taken), counters, None
    counting = Plenty(stake, slots)
    run = Run(lanes, counting, end, end)
    run.run()
    run.counters.rejected_signals = counting.rejected
    return PlainTrades(Taken.of(lanes, run.trades)), run.counters, run.interrupted
