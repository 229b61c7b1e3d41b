"""Closed trades in groups, by pair, tag or exit reason, and in days, weeks, months and years: each one's figures.

The formulas are those of `engine.metrics`. Fields named as in Freqtrade's results mean the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from engine import metrics
from engine.columns import Labels, TradeColumns
from engine.types import Millis


def figure(label: str, kind: str = "number", default: Any = 0.0) -> Any:
    """A field of figures: how tables name it, and what it is: count, money, ratio, number, time, duration, text."""
    return field(default=default, metadata={"label": label, "kind": kind})


# ---------------------------------------------------------------- groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Some of a run's trades, those with one `key`, and their figures. Durations are seconds."""

    key: tuple[str, ...]
    trades: int = figure("Trades", "count", 0)
    profit_mean: float = figure("Avg profit", "ratio")
    profit_total_abs: float = figure("Profit", "money")
    profit_total: float = figure("Profit of balance", "ratio")
    duration_avg_s: float = figure("Avg duration", "duration")
    wins: int = figure("Wins", "count", 0)
    draws: int = figure("Draws", "count", 0)
    losses: int = figure("Losses", "count", 0)
    winrate: float = figure("Win rate", "ratio")
    cagr: float = figure("CAGR", "ratio")
    expectancy: float = figure("Expectancy", "money")
    expectancy_ratio: float = figure("Expectancy ratio")
    sharpe: float = figure("Sharpe")
    sortino: float = figure("Sortino")
    calmar: float = figure("Calmar")
    sqn: float = figure("SQN")
    p_value: float = figure("p-value")
    profit_factor: float = figure("Profit factor")
    max_drawdown_abs: float = figure("Drawdown", "money")
    max_drawdown_account: float = figure("Drawdown of account", "ratio")


def group_of(key: tuple[str, ...], trades: TradeColumns, balance: float, days: int) -> Group:
    """The figures of `trades` as if they were all of a run of `days` that began with `balance`."""
    profit, count = trades.profit_abs, len(trades)
    fall = metrics.drawdown(trades.close_ts, profit, balance)
    expected, expected_ratio = metrics.expectancy(profit)
    total = float(profit.sum())
    wins, losses = int((profit > 0).sum()), int((profit < 0).sum())
    return Group(
        key=key,
        trades=count,
        profit_mean=float(trades.profit_ratio.mean()) if count else 0.0,
        profit_total_abs=total,
        profit_total=total / balance,
        duration_avg_s=float(trades.duration_ms.mean()) / 1_000 if count else 0.0,
        wins=wins,
        draws=count - wins - losses,
        losses=losses,
        winrate=wins / count if count else 0.0,
        cagr=metrics.cagr(balance, balance + total, days),
        expectancy=expected,
        expectancy_ratio=expected_ratio,
        sharpe=metrics.sharpe(profit, balance, days),
        sortino=metrics.sortino(profit, balance, days),
        calmar=metrics.calmar(profit, balance, days, fall.account),
        sqn=metrics.sqn(profit, balance),
        p_value=metrics.p_value(profit, balance),
        profit_factor=metrics.profit_factor(profit),
        max_drawdown_abs=fall.absolute,
        max_drawdown_account=fall.account,
    )


def groups_by(columns: Sequence[Labels], trades: TradeColumns, balance: float, days: int) -> list[Group]:
    """A group for each combination of labels that occurs, the most profitable first."""
    masks: dict[tuple[str, ...], list[int]] = {}
    for row, key in enumerate(zip(*(column.texts() for column in columns), strict=True)):
        masks.setdefault(key, []).append(row)
    found = [group_of(key, trades[np.array(rows)], balance, days) for key, rows in masks.items()]
    return sorted(found, key=lambda group: (-group.profit_total_abs, group.key))


# ---------------------------------------------------------------- periods


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The trades that ended in one day, week (from Monday), month or year, UTC, which begins at `start_ts`."""

    start_ts: Millis
    trades: int
    profit_abs: float
    profit_factor: float
    wins: int
    draws: int
    losses: int


def _next(at: datetime, length: str) -> datetime:
    if length in {"day", "week"}:
        return at + timedelta(days=1 if length == "day" else 7)
    if length == "year":
        return at.replace(year=at.year + 1)
    return at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)


def _first(ts: Millis, length: str) -> datetime:
    day = datetime.fromtimestamp(ts / 1_000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if length == "week":
        return day - timedelta(days=day.weekday())
    if length == "month":
        return day.replace(day=1)
    return day.replace(month=1, day=1) if length == "year" else day


def period_starts(first: Millis, last: Millis, length: str) -> Iterator[Millis]:
    """When each `length` (day, week, month, year) begins, from the one with `first` to the one with `last`."""
    at = _first(first, length)
    while (ts := int(at.timestamp()) * 1_000) <= last:
        yield ts
        at = _next(at, length)


def periods(trades: TradeColumns, length: str) -> list[Period]:
    """The trades by the `length` they ended in, from the first such to the last, those without a trade too."""
    if not len(trades):
        return []
    starts = list(period_starts(int(trades.close_ts[0]), int(trades.close_ts[-1]), length))
    edges = [*np.searchsorted(trades.close_ts, starts).tolist(), len(trades)]
    found = []
    for start, begin, end in zip(starts, edges, edges[1:], strict=False):
        profit = trades.profit_abs[begin:end]
        wins, losses = int((profit > 0).sum()), int((profit < 0).sum())
        found.append(
            Period(
                start_ts=start,
                trades=end - begin,
                profit_abs=float(profit.sum()),
                profit_factor=metrics.profit_factor(profit),
                wins=wins,
                draws=end - begin - wins - losses,
                losses=losses,
            )
        )
    return found
