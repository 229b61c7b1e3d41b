"""What a search makes small: one figure of a run's closed trades, the smaller the better.

Names are those of Freqtrade's loss functions, shortened (`sharpe` is `SharpeHyperOptLoss`); both are taken.
Every figure comes from `metrics.py`, so what a search maximises is what the tables show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.candles import Floats
from engine.columns import TradeColumns
from engine.metrics import DAY_MS, YEAR_DAYS, Drawdown, calmar, drawdown, expectancy, profit_factor, sharpe, sortino

MINUTE_MS: Final = 60_000
NOTHING: Final = 100.0
"""The loss of a run without a trade: worse than any that traded reasonably."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a run began with, how many days it lasted, and how deep its balance fell."""

    start: float
    days: int
    drawdown: Drawdown


Loss = Callable[[TradeColumns, Account], float]


def profit_loss(trades: TradeColumns, account: Account) -> float:
    """The profit alone, as a ratio of the start."""
    return -_profit(trades, account)


def sharpe_loss(trades: TradeColumns, account: Account) -> float:
    """The Sharpe ratio over trades."""
    return -sharpe(trades.profit_abs, account.start, account.days)


def sharpe_daily_loss(trades: TradeColumns, account: Account) -> float:
    """The Sharpe ratio over days, those without a trade among them."""
    days = _daily(trades, account)
    return -_annual(float(days.mean()), float(days.std()))


def sortino_loss(trades: TradeColumns, account: Account) -> float:
    """The Sortino ratio over trades."""
    return -sortino(trades.profit_abs, account.start, account.days)


def sortino_daily_loss(trades: TradeColumns, account: Account) -> float:
    """The Sortino ratio over days: what is below nothing counts as spread."""
    days = _daily(trades, account)
    return -_annual(float(days.mean()), float(np.sqrt(np.mean(np.minimum(days, 0.0) ** 2))))


def calmar_loss(trades: TradeColumns, account: Account) -> float:
    """The Calmar ratio."""
    return -calmar(trades.profit_abs, account.start, account.days, account.drawdown.relative)


def max_drawdown_loss(trades: TradeColumns, account: Account) -> float:
    """The profit over the largest fall in money."""
    fall = account.drawdown.absolute
    total = float(trades.profit_abs.sum())
    return -total / fall if fall else -total


def max_drawdown_relative_loss(trades: TradeColumns, account: Account) -> float:
    """The profit over the largest relative fall."""
    fall = account.drawdown.relative
    return -_profit(trades, account) / fall if fall else -_profit(trades, account)


def max_drawdown_per_pair_loss(trades: TradeColumns, account: Account) -> float:
    """The worst pair's profit over its own largest fall: no pair may be carried by the others."""
    found = []
    for code in np.unique(trades.pair.codes):
        own = trades[trades.pair.codes == code]
        fall = drawdown(own.close_ts, own.profit_abs, account.start)
        found.append(max_drawdown_loss(own, Account(account.start, account.days, fall)))
    return max(found, default=NOTHING)


def profit_drawdown_loss(trades: TradeColumns, account: Account) -> float:
    """The profit, less the part of it that the relative drawdown takes."""
    total = float(trades.profit_abs.sum())
    return -total * (1 - account.drawdown.relative) if total > 0 else -total * (1 + account.drawdown.relative)


def short_trades_loss(trades: TradeColumns, account: Account) -> float:
    """Many short trades with a profit: a mean profit, and a penalty for a mean duration in days."""
    if not len(trades):
        return NOTHING
    mean_days = float(trades.duration_ms.mean()) / DAY_MS
    return -_profit(trades, account) + 0.1 * min(mean_days, 1.0) * (1 if len(trades) else 0)


def multi_metric_loss(trades: TradeColumns, account: Account) -> float:
    """Profit, raised by profit factor, expectancy and share won, lowered by drawdown; a loss counts as it is."""
    total = _profit(trades, account)
    if total <= 0:
        return -total
    won = float((trades.profit_abs > 0).mean())
    factor = np.log1p(max(profit_factor(trades.profit_abs), 0.0))
    expected = np.log1p(max(min(expectancy(trades.profit_abs)[1], 10.0), 0.0))
    return -float(total * (1 + factor) * (1 + expected) * (1 + won) * (1 - min(account.drawdown.relative, 1.0)))


LOSSES: Final[dict[str, Loss]] = {
    "sharpe": sharpe_loss,
    "sharpe_daily": sharpe_daily_loss,
    "sortino": sortino_loss,
    "sortino_daily": sortino_daily_loss,
    "calmar": calmar_loss,
    "profit": profit_loss,
    "max_drawdown": max_drawdown_loss,
    "max_drawdown_relative": max_drawdown_relative_loss,
    "max_drawdown_per_pair": max_drawdown_per_pair_loss,
    "profit_drawdown": profit_drawdown_loss,
    "short_trades": short_trades_loss,
    "multi_metric": multi_metric_loss,
}
"""The losses by name."""

FREQTRADE_NAMES: Final = {
    "SharpeHyperOptLoss": "sharpe",
    "SharpeHyperOptLossDaily": "sharpe_daily",
    "SortinoHyperOptLoss": "sortino",
    "SortinoHyperOptLossDaily": "sortino_daily",
    "CalmarHyperOptLoss": "calmar",
    "OnlyProfitHyperOptLoss": "profit",
    "MaxDrawDownHyperOptLoss": "max_drawdown",
    "MaxDrawDownRelativeHyperOptLoss": "max_drawdown_relative",
    "MaxDrawDownPerPairHyperOptLoss": "max_drawdown_per_pair",
    "ProfitDrawDownHyperOptLoss": "profit_drawdown",
    "ShortTradeDurHyperOptLoss": "short_trades",
    "MultiMetricHyperOptLoss": "multi_metric",
}
"""What Freqtrade calls them."""


def _profit(trades: TradeColumns, account: Account) -> float:
    return float(trades.profit_abs.sum()) / account.start


def _daily(trades: TradeColumns, account: Account) -> Floats:
    """Each day's profit as a ratio of the start, from the day of the first end on."""
    if not len(trades):
        return np.zeros(account.days)
    day = trades.close_ts // DAY_MS
    place = (day - day.min()).astype(np.int64)
    sums: Floats = np.bincount(place, trades.profit_abs, account.days).astype(np.float64)
    return sums / account.start


def _annual(mean: float, spread: float) -> float:
    return mean / spread * float(np.sqrt(YEAR_DAYS)) if spread else (0.0 if not mean else np.sign(mean) * NOTHING)
