"""Calls of qtpylib's indicators, and what is kept of their results: run on Freqtrade's once, and on ours in the tests."""

from typing import Any

import numpy as np
import pandas as pd

ROWS = (0, 1, 5, 20, 47, 52, 90, 119)


def bars(count: int = 120) -> pd.DataFrame:
    """Seeded bars; three rows have no volume, and one a close that does not move."""
    random = np.random.RandomState(7)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, count)))
    close[70] = close[69]
    open_ = np.concatenate([[100.0], close[:-1]]) * (1 + random.normal(0, 0.001, count))
    high = np.maximum(open_, close) * (1 + np.abs(random.normal(0, 0.004, count)))
    low = np.minimum(open_, close) * (1 - np.abs(random.normal(0, 0.004, count)))
    volume = np.abs(random.normal(100, 40, count))
    volume[50:53] = 0
    return pd.DataFrame({"open": open_, "high": high, "low": low, "close": close, "volume": volume})


def shown(result: Any) -> dict[str, list[float | None]]:
    """Some rows of every column, and the number of rows that have a value."""
    columns = {name: result[name] for name in result.columns} if isinstance(result, pd.DataFrame) else {"": result}
    found = {}
    for name, column in columns.items():
        values = [float(value) for value in column]
        kept = [values[row] if row < len(values) else None for row in ROWS]
        count = sum(value == value for value in values)  # noqa: PLR0124 -- NaN is no value
        found[str(name)] = [count, *(None if value is None or value != value else value for value in kept)]  # noqa: PLR0124
    return found


B = bars()
C = B["close"]
M = C.rolling(5).mean()
CALLS = {
    **{
        name: lambda q, name=name: getattr(q, name)(B)
        for name in (
            "typical_price", "mid_price", "heikinashi", "ibs", "true_range", "atr", "awesome_oscillator", "stoch", "cci",
            "chopiness", "pvt", "keltner_channel", "zscore",
        )
    },
    **{
        name: lambda q, name=name: getattr(q, name)(C)
        for name in (
            "rsi", "macd", "tdi", "roc", "bollinger_bands", "weighted_bollinger_bands", "returns", "log_returns", "zlma",
            "rolling_min", "rolling_max",
        )
    },
    **{
        f"{name} 20": lambda q, name=name: getattr(q, name)(C, 20)
        for name in (
            "rolling_mean", "rolling_std", "rolling_weighted_mean", "hull_moving_average", "sma", "wma", "hma", "zlema",
            "zlhma", "implied_volatility",
        )
    },
    **{f"{name} mean": lambda q, name=name: getattr(q, name)(C, M) for name in ("crossed", "crossed_above", "crossed_below")},
    "crossed_above number": lambda q: q.crossed_above(C, 101.0),
    "crossed_below array": lambda q: q.crossed_below(C, M.to_numpy()),
    "rolling_vwap": lambda q: q.rolling_vwap(B, 20),
    "atr exp": lambda q: q.atr(B, exp=True),
    "stoch fast": lambda q: q.stoch(B, fast=True),
    "awesome_oscillator weighted": lambda q: q.awesome_oscillator(B, weighted=True),
    "rolling_mean from the first": lambda q: q.rolling_mean(C, window=20, min_periods=1),
    "rolling_std from the first": lambda q: q.rolling_std(C, window=20, min_periods=1),
    "bollinger_bands wide": lambda q: q.bollinger_bands(C, window=40, stds=1.5),
    "nans": lambda q: q.nans(3),
}  # fmt: skip
