"""What the account was worth over a run, open positions at the market's price, and what that says.

The formulas are Freqtrade's for its wallet-based metrics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine import metrics
from engine.candles import Candles, Floats
from engine.columns import Ints, TradeColumns
from engine.groups import figure
from engine.metrics import DAY_MS
from engine.types import Millis


@dataclass(frozen=True, slots=True)
class Equity:
    """What the account was worth at each candle's open, with open positions at that price."""

    ts: Ints
    total: Floats


@dataclass(frozen=True, slots=True)
class Holding:
    """That from `ts` on, not before the next candle, the trade that began at `open_ts` holds so much.

    `realized` is what its partial exits have earned so far.
    """

    pair: str
    open_ts: Millis
    ts: Millis
    amount: float
    rate: float
    realized: float


def equity_of(
    trades: TradeColumns, candles: Mapping[str, Candles], balance: float, holdings: Sequence[Holding] = ()
) -> Equity:
    """The account marked to the market at each candle's open, before anything was done on that candle.

    As Freqtrade's wallet history: fees count when a trade is closed, and the first candle of a run, which
    only has its signal judged, is left out. `holdings` are those of the trades that were added to or
    reduced, in time from their entry on; other trades hold one amount from their entry to their end.
    """
    ts = _all_times([own.ts[1:] for own in candles.values() if len(own) > 1])
    changed = _by_trade(holdings)
    pairs = dict(zip(trades.pair.names, range(len(trades.pair.names)), strict=True))
    whole = [(pairs.get(pair, -1), open_ts) for pair, open_ts in changed]
    rows = np.array([key not in whole for key in zip(trades.pair.codes.tolist(), trades.open_ts.tolist(), strict=True)])
    simple = trades[rows] if whole else trades
    realized = np.zeros(len(ts) + 1)
    np.add.at(realized, np.searchsorted(ts, trades.close_ts, "right"), trades.profit_abs)
    total = balance + np.cumsum(realized)[: len(ts)]
    sizes = np.where(simple.is_short, -simple.amount, simple.amount)
    for code, pair in enumerate(simple.pair.names):
        own, at = candles.get(pair), np.flatnonzero(simple.pair.codes == code)
        if own is not None and len(own):
            spans = (simple.open_ts[at], simple.close_ts[at])
            parts = [(*spans, sizes[at], simple.open_rate[at], np.zeros(len(at)))]
            parts += [_parts(trades, number, held) for number, held in _changed_of(trades, changed, pair)]
            total += _marked(ts, own, parts)
    return Equity(ts, total)


Part = tuple[Ints, Ints, Floats, Floats, Floats]
"""From, to, signed amount, its price, what is realized meanwhile."""


def _by_trade(holdings: Sequence[Holding]) -> dict[tuple[str, Millis], list[Holding]]:
    found: dict[tuple[str, Millis], list[Holding]] = {}
    for holding in holdings:
        found.setdefault((holding.pair, holding.open_ts), []).append(holding)
    return found


def _changed_of(
    trades: TradeColumns, changed: Mapping[tuple[str, Millis], list[Holding]], pair: str
) -> Iterator[tuple[int, list[Holding]]]:
    for (of, open_ts), held in changed.items():
        if of == pair:
            mine = trades.pair.is_any(pair) & (trades.open_ts == open_ts)
            yield from ((int(number), held) for number in np.flatnonzero(mine)[:1])


def _parts(trades: TradeColumns, number: int, held: Sequence[Holding]) -> Part:
    sign = -1.0 if trades.is_short[number] else 1.0
    begins = np.array([h.ts for h in held], np.int64)
    ends = np.append(begins[1:], trades.close_ts[number])
    columns = [np.array([getattr(h, name) for h in held], np.float64) for name in ("amount", "rate", "realized")]
    return begins, ends, sign * columns[0], columns[1], columns[2]


def _marked(ts: Ints, candles: Candles, parts: Sequence[Part]) -> Floats:
    """What one pair's positions have gained at each time."""
    held, gained = np.zeros(len(ts) + 1), np.zeros(len(ts) + 1)
    for begins, ends, sizes, rates, realized in parts:
        for moments, sign in ((begins, 1.0), (ends, -1.0)):
            places = np.searchsorted(ts, moments, "right")
            np.add.at(held, places, sign * sizes)
            np.add.at(gained, places, sign * (realized - sizes * rates))
    return np.asarray(np.cumsum(held)[: len(ts)] * _prices(candles, ts) + np.cumsum(gained)[: len(ts)])


def _all_times(columns: list[Ints]) -> Ints:
    """The times of all columns, each once. Pairs mostly have the same, so nothing is put together for nothing."""
    if not columns:
        return np.zeros(0, np.int64)
    times = max(columns, key=len)
    for own in columns:
        if len(own) == len(times) and np.array_equal(own, times):
            continue
        if not np.array_equal(times[np.clip(np.searchsorted(times, own), 0, len(times) - 1)], own):
            merged = np.sort(np.concatenate((times, own)), kind="stable")
            times = merged[np.concatenate(([True], np.diff(merged) > 0))]
    return times


def _prices(candles: Candles, ts: Ints) -> Floats:
    """The open at each time, or the last before it; where the pair has not begun, its first."""
    if len(candles) == len(ts) + 1 and np.array_equal(candles.ts[1:], ts):
        return candles.open[1:]
    return candles.open[np.clip(np.searchsorted(candles.ts, ts, "right") - 1, 0, None)]


def daily_returns(equity: Equity) -> Floats:
    """By how much the account changed from the end of each UTC day to that of the next that has a candle."""
    days = equity.ts // DAY_MS
    last = equity.total[np.append(np.flatnonzero(np.diff(days)), len(days) - 1)] if len(days) else equity.total
    return np.diff(last) / last[:-1] if len(last) else last


def market_change(candles: Mapping[str, Candles]) -> float:
    """By how much the pairs' prices changed from the first candle's close to the last's, on average."""
    changes = [float(c.close[-1] / c.close[0]) - 1 for c in candles.values() if len(c)]
    return sum(changes) / len(changes) if changes else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletFigures:
    """What the marked balance says. The ratios are of daily returns; drawdown as `engine.metrics.Drawdown`."""

    low_balance: float = figure("Min balance", "money")
    low_ts: Millis = figure("Min balance at", "time", 0)
    high_balance: float = figure("Max balance", "money")
    high_ts: Millis = figure("Max balance at", "time", 0)
    end_balance: float = figure("Balance at the last candle", "money")
    sharpe: float = figure("Sharpe")
    sortino: float = figure("Sortino")
    calmar: float = figure("Calmar")
    max_drawdown_abs: float = figure("Drawdown", "money")
    max_drawdown_account: float = figure("Drawdown of account", "ratio")
    max_relative_drawdown: float = figure("Max of account underwater", "ratio")
    drawdown_start_ts: Millis = figure("Drawdown start", "time", 0)
    drawdown_end_ts: Millis = figure("Drawdown end", "time", 0)
    drawdown_duration_s: float = figure("Drawdown duration", "duration")
    max_drawdown_high: float = figure("Profit at drawdown start", "money")
    max_drawdown_low: float = figure("Profit at drawdown end", "money")


def wallet_figures(equity: Equity) -> WalletFigures | None:
    """The figures of an equity curve; None of one that has no point."""
    ts, total = equity.ts, equity.total
    if not len(total):
        return None
    start, end = float(total[0]), float(total[-1])
    fall = metrics.balance_drawdown(ts, total - start, start)
    returns = daily_returns(equity)
    mean = float(returns.mean()) if len(returns) else 0.0
    ratios = [metrics.annual_ratio(mean, r) if len(returns) else 0.0 for r in (returns, returns[returns < 0])]
    daily = (end / start - 1) / metrics.days_of(int(ts[0]), int(ts[-1]))
    low, high = int(np.argmin(total)), int(np.argmax(total))
    return WalletFigures(
        low_balance=float(total[low]),
        low_ts=int(ts[low]),
        high_balance=float(total[high]),
        high_ts=int(ts[high]),
        end_balance=end,
        sharpe=ratios[0],
        sortino=ratios[1],
        calmar=metrics.calmar_ratio(daily, fall.account),
        max_drawdown_abs=fall.absolute,
        max_drawdown_account=fall.account,
        max_relative_drawdown=fall.relative,
        drawdown_start_ts=fall.start_ts,
        drawdown_end_ts=fall.end_ts,
        drawdown_duration_s=(fall.end_ts - fall.start_ts) / 1_000,
        max_drawdown_high=fall.high,
        max_drawdown_low=fall.low,
    )
