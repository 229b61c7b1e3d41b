"""What a run's closed trades amount to: THE formulas, one function each, and the whole in `Summary`.

Used by the tables, the report, the stored results and the optimiser's loss functions alike. The formulas
are Freqtrade's (`closed trades` metrics), so that figures can be compared; where one of its conventions is
odd it is kept and said: -100 stands for "no spread to divide by", 100 for "no loss to set against".

Arguments: `profit` is a column of `profit_abs`, `start` the balance before the first trade, `days` whole
days of the run, at least 1 (`days_of`). Ratios are those of a year of 365 days.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.candles import Floats
from engine.columns import Ints
from engine.types import Millis

DAY_MS: Millis = 86_400_000
YEAR_DAYS = 365
NO_SPREAD = -100.0
NO_LOSS = 100.0


def days_of(start: Millis, end: Millis) -> int:
    """Whole days between two times, at least 1."""
    return max((end - start) // DAY_MS, 1)


def sharpe(profit: Floats, start: float, days: int) -> float:
    """Mean daily return over the trades' standard deviation, a year's; returns are profits over `start`."""
    return annual_ratio(float(profit.sum()) / start / days, profit / start) if len(profit) else 0.0


def sortino(profit: Floats, start: float, days: int) -> float:
    """As `sharpe`, over the standard deviation of the losing trades alone."""
    return annual_ratio(float(profit.sum()) / start / days, profit[profit < 0] / start) if len(profit) else 0.0


def annual_ratio(mean: float, returns: Floats) -> float:
    """A mean daily return over the standard deviation of `returns`, a year's."""
    spread = float(returns.std()) if len(returns) else 0.0
    return mean / spread * math.sqrt(YEAR_DAYS) if spread else NO_SPREAD


def calmar(profit: Floats, start: float, days: int, account_drawdown: float) -> float:
    """Mean daily return in percent over `Drawdown.account`, a year's."""
    return calmar_ratio(float(profit.sum()) / start / days, account_drawdown) if len(profit) else 0.0


def calmar_ratio(daily: float, drawdown_ratio: float) -> float:
    """A mean daily return in percent over a drawdown's ratio, a year's."""
    return daily * 100 / drawdown_ratio * math.sqrt(YEAR_DAYS) if drawdown_ratio else NO_SPREAD


def cagr(start: float, end: float, days: int) -> float:
    """Compound annual growth rate; 0 where it is no number: a balance below zero, a growth past all floats."""
    if end < 0:
        return 0.0
    try:
        return float((end / start) ** (YEAR_DAYS / days)) - 1
    except OverflowError:
        return 0.0


def sqn(profit: Floats, start: float) -> float:
    """Van Tharp's system quality number: √n × mean / standard deviation of a sample."""
    if not len(profit):
        return 0.0
    spread = _sample_deviation(profit / start)
    return math.sqrt(len(profit)) * float((profit / start).mean()) / spread if spread else NO_SPREAD


def p_value(profit: Floats, start: float) -> float:
    """How likely a mean profit this far from 0 is by chance, by Student's t-test of both sides; 1 where unknown."""
    spread = _sample_deviation(profit / start)
    if not spread:
        return 1.0
    return student_tails(math.sqrt(len(profit)) * float((profit / start).mean()) / spread, len(profit) - 1)


def _sample_deviation(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def profit_factor(profit: Floats) -> float:
    """All gains over all losses; 0 where there is no loss."""
    losses = -float(profit[profit < 0].sum())
    return float(profit[profit > 0].sum()) / losses if losses else 0.0


def expectancy(profit: Floats) -> tuple[float, float]:
    """(what a trade may be expected to earn, the same per unit that a losing trade loses)."""
    gains, losses = profit[profit > 0], profit[profit < 0]
    if not len(profit):
        return 0.0, NO_LOSS
    gain = float(gains.mean()) if len(gains) else 0.0
    loss = -float(losses.mean()) if len(losses) else 0.0
    won, lost = len(gains) / len(profit), len(losses) / len(profit)
    return won * gain - lost * loss, (1 + gain / loss) * won - 1 if loss else NO_LOSS


def streaks(profit: Floats) -> tuple[int, int]:
    """The longest runs of winning trades, and of trades that did not win, in the order of their ends."""
    won = profit > 0
    edges = np.flatnonzero(np.diff(won)) + 1
    runs = np.diff(np.concatenate(([0], edges, [len(won)])))
    winning = won[np.concatenate(([0], edges))] if len(won) else np.zeros(0, np.bool_)
    return int(runs[: len(winning)][winning].max(initial=0)), int(runs[: len(winning)][~winning].max(initial=0))


# ---------------------------------------------------------------- drawdown


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """The deepest fall of a balance below its highest before. `high` and `low` are the profit there.

    `absolute` is the largest in money, `account` that one as a ratio of its peak's balance, `relative` the
    largest of all such ratios, which may be another fall.
    """

    absolute: float = 0.0
    account: float = 0.0
    relative: float = 0.0
    high: float = 0.0
    low: float = 0.0
    start_ts: Millis = 0
    end_ts: Millis = 0


def drawdown(ts: Ints, profit: Floats, start: float) -> Drawdown:
    """The drawdown of the balance after closed trades, in the order of their ends, from a first row of 0 on."""
    if not len(profit):
        return Drawdown()
    return balance_drawdown(np.concatenate((ts[:1], ts)), np.concatenate(([0.0], np.cumsum(profit))), start)


def balance_drawdown(ts: Ints, profit: Floats, start: float) -> Drawdown:
    """The drawdown of `start` + `profit`, a series in time."""
    if not len(profit):
        return Drawdown()
    highs = np.maximum.accumulate(np.maximum(profit, 0.0))
    falls = highs - profit
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = falls / (highs + start)
    low = int(np.argmax(falls))
    high = int(np.argmax(profit[: low + 1]))
    return Drawdown(
        absolute=float(falls[low]),
        account=float(relative[low]),
        relative=float(relative.max()),
        high=float(highs[low]),
        low=float(profit[low]),
        start_ts=int(ts[high]),
        end_ts=int(ts[low]),
    )


# ---------------------------------------------------------------- Student's t


def student_tails(t: float, freedom: int) -> float:
    """The probability that Student's t with `freedom` degrees is at least this far from 0, on either side."""
    return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return min(max(x, 0.0), 1.0)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side
        return 1 - _incomplete_beta(b, a, 1 - x)
    logs = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1 / (1 + even * d), 1 + even / c
        fraction *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1 / (1 + odd * d), 1 + odd / c
        fraction *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return math.exp(logs) * fraction / a
