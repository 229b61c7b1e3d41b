"""The summary of a run: every figure that its table, its report and the stored results show.

The formulas are those of `engine.metrics`. Fields named as in Freqtrade's results mean the same. `figure`
says how each is labelled and what it is, for all who print them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine import metrics
from engine.candles import Floats
from engine.columns import TradeColumns
from engine.equity import Equity, WalletFigures, wallet_figures
from engine.groups import Group, Period, figure, group_of, groups_by, periods
from engine.types import Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A run's figures. Money is in the stake currency, `_s` are seconds, `_ts` milliseconds, ratios are of 1."""

    start_ts: Millis = figure("From", "time", 0)
    end_ts: Millis = figure("To", "time", 0)
    days: int = figure("Days", "count", 1)
    total_trades: int = figure("Trades", "count", 0)
    trades_per_day: float = figure("Trades a day")
    starting_balance: float = figure("Starting balance", "money")
    final_balance: float = figure("Final balance", "money")
    profit_total_abs: float = figure("Profit", "money")
    profit_total: float = figure("Total profit", "ratio")
    cagr: float = figure("CAGR", "ratio")
    sharpe: float = figure("Sharpe")
    sortino: float = figure("Sortino")
    calmar: float = figure("Calmar")
    sqn: float = figure("SQN")
    p_value: float = figure("Mean profit p-value")
    profit_factor: float = figure("Profit factor")
    expectancy: float = figure("Expectancy", "money")
    expectancy_ratio: float = figure("Expectancy ratio")
    profit_mean: float = figure("Avg profit of a trade", "ratio")
    profit_median: float = figure("Median profit of a trade", "ratio")
    profit_per_day: float = figure("Avg daily profit", "money")
    avg_stake_amount: float = figure("Avg stake", "money")
    total_volume: float = figure("Total trade volume", "money")
    market_change: float = figure("Market change", "ratio")
    trade_count_long: int = figure("Long trades", "count", 0)
    trade_count_short: int = figure("Short trades", "count", 0)
    profit_total_long_abs: float = figure("Long profit", "money")
    profit_total_short_abs: float = figure("Short profit", "money")
    profit_total_long: float = figure("Long profit of balance", "ratio")
    profit_total_short: float = figure("Short profit of balance", "ratio")
    best_pair: str = figure("Best pair", "text", "")
    best_pair_profit: float = figure("Best pair's profit of balance", "ratio")
    worst_pair: str = figure("Worst pair", "text", "")
    worst_pair_profit: float = figure("Worst pair's profit of balance", "ratio")
    best_trade_pair: str = figure("Best trade", "text", "")
    best_trade_profit: float = figure("Best trade's profit", "ratio")
    worst_trade_pair: str = figure("Worst trade", "text", "")
    worst_trade_profit: float = figure("Worst trade's profit", "ratio")
    best_day_abs: float = figure("Best day", "money")
    worst_day_abs: float = figure("Worst day", "money")
    winning_days: int = figure("Winning days", "count", 0)
    draw_days: int = figure("Even days", "count", 0)
    losing_days: int = figure("Losing days", "count", 0)
    wins: int = figure("Wins", "count", 0)
    draws: int = figure("Draws", "count", 0)
    losses: int = figure("Losses", "count", 0)
    winrate: float = figure("Win rate", "ratio")
    holding_avg_s: float = figure("Avg duration", "duration")
    winner_holding_min_s: float = figure("Min duration of winners", "duration")
    winner_holding_max_s: float = figure("Max duration of winners", "duration")
    winner_holding_avg_s: float = figure("Avg duration of winners", "duration")
    loser_holding_min_s: float = figure("Min duration of losers", "duration")
    loser_holding_max_s: float = figure("Max duration of losers", "duration")
    loser_holding_avg_s: float = figure("Avg duration of losers", "duration")
    max_consecutive_wins: int = figure("Max consecutive wins", "count", 0)
    max_consecutive_losses: int = figure("Max consecutive losses", "count", 0)
    csum_min: float = figure("Min balance", "money")
    csum_max: float = figure("Max balance", "money")
    max_relative_drawdown: float = figure("Max of account underwater", "ratio")
    max_drawdown_abs: float = figure("Drawdown", "money")
    max_drawdown_account: float = figure("Drawdown of account", "ratio")
    drawdown_start_ts: Millis = figure("Drawdown start", "time", 0)
    drawdown_end_ts: Millis = figure("Drawdown end", "time", 0)
    drawdown_duration_s: float = figure("Drawdown duration", "duration")
    max_drawdown_high: float = figure("Profit at drawdown start", "money")
    max_drawdown_low: float = figure("Profit at drawdown end", "money")
    wallet: WalletFigures | None = None


def summarise(
    trades: TradeColumns,
    *,
    start_ts: Millis,
    end_ts: Millis,
    balance: float,
    market_change: float = 0.0,
    equity: Equity | None = None,
) -> Summary:
    """The summary of `trades`, all that were closed in a run from `start_ts` to `end_ts` that began with `balance`."""
    days = metrics.days_of(start_ts, end_ts)
    whole = group_of((), trades, balance, days)
    common = {name: getattr(whole, name) for name in _SHARED}
    return Summary(
        start_ts=start_ts,
        end_ts=end_ts,
        days=days,
        total_trades=len(trades),
        trades_per_day=len(trades) / days,
        starting_balance=balance,
        final_balance=balance + whole.profit_total_abs,
        profit_per_day=whole.profit_total_abs / days,
        market_change=market_change,
        holding_avg_s=whole.duration_avg_s,
        wallet=None if equity is None else wallet_figures(equity),
        **common,
        **(_of_trades(trades, balance) if len(trades) else {}),
        **(_of_drawdown(trades, balance) if len(trades) else {}),
        **_best_and_worst(trades, groups_by([trades.pair], trades, balance, days), periods(trades, "day")),
    )


_SHARED = (
    *("profit_mean", "profit_total_abs", "profit_total", "wins", "draws", "losses", "winrate", "cagr", "expectancy"),
    *("expectancy_ratio", "sharpe", "sortino", "calmar", "sqn", "p_value", "profit_factor"),
    *("max_drawdown_abs", "max_drawdown_account"),
)


def _median(values: Floats) -> float:
    """The middle one, or the mean of the two; numpy's own would import its masked arrays for it."""
    middle = len(values) // 2
    return float(np.sort(values)[middle - (len(values) % 2 == 0) : middle + 1].mean())


def _of_trades(trades: TradeColumns, balance: float) -> dict[str, Any]:
    profit, short = trades.profit_abs, trades.is_short
    of_long, of_short = float(profit[~short].sum()), float(profit[short].sum())
    wins, losses = metrics.streaks(profit)
    sums = balance + np.cumsum(profit)
    found: dict[str, Any] = {
        "profit_median": _median(trades.profit_ratio),
        "avg_stake_amount": float(trades.stake.mean()),
        "total_volume": float(trades.volume.sum()),
        "trade_count_long": int((~short).sum()),
        "trade_count_short": int(short.sum()),
        "profit_total_long_abs": of_long,
        "profit_total_short_abs": of_short,
        "profit_total_long": of_long / balance,
        "profit_total_short": of_short / balance,
        "max_consecutive_wins": wins,
        "max_consecutive_losses": losses,
        "csum_min": float(sums.min()),
        "csum_max": float(sums.max()),
    }
    for name, chosen in (("winner", profit > 0), ("loser", profit < 0)):
        took = trades.duration_ms[chosen] / 1_000
        if len(took):
            found[f"{name}_holding_min_s"] = float(took.min())
            found[f"{name}_holding_max_s"] = float(took.max())
            found[f"{name}_holding_avg_s"] = float(took.mean())
    return found


def _of_drawdown(trades: TradeColumns, balance: float) -> dict[str, Any]:
    fall = metrics.drawdown(trades.close_ts, trades.profit_abs, balance)
    return {
        "max_relative_drawdown": fall.relative,
        "drawdown_start_ts": fall.start_ts,
        "drawdown_end_ts": fall.end_ts,
        "drawdown_duration_s": (fall.end_ts - fall.start_ts) / 1_000,
        "max_drawdown_high": fall.high,
        "max_drawdown_low": fall.low,
    }


def _best_and_worst(trades: TradeColumns, by_pair: list[Group], by_day: list[Period]) -> dict[str, Any]:
    if not by_pair:
        return {}
    best, worst = int(np.argmax(trades.profit_ratio)), int(np.argmin(trades.profit_ratio))
    days = [day.profit_abs for day in by_day]
    return {
        "best_pair": by_pair[0].key[0],
        "best_pair_profit": by_pair[0].profit_total,
        "worst_pair": by_pair[-1].key[0],
        "worst_pair_profit": by_pair[-1].profit_total,
        "best_trade_pair": trades.pair[best : best + 1].texts()[0],
        "best_trade_profit": float(trades.profit_ratio[best]),
        "worst_trade_pair": trades.pair[worst : worst + 1].texts()[0],
        "worst_trade_profit": float(trades.profit_ratio[worst]),
        "best_day_abs": max(days),
        "worst_day_abs": min(days),
        "winning_days": sum(day > 0 for day in days),
        "draw_days": sum(day == 0 for day in days),
        "losing_days": sum(day < 0 for day in days),
    }
