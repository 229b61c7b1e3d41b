"""Rolling and weighted averages of pandas Series, under the names strategies know from qtpylib.

`min_periods` is how many rows are needed for a value; None asks for a whole window.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

Series = Any


def _needed(window: float, min_periods: int | None) -> Any:
    return window if min_periods is None else min_periods


def _of_whole_windows(
    series: Series, window: int, min_periods: int | None, reckon: Callable[[Any], Any]
) -> Series | None:
    """Each window by itself, where whole windows are asked for and there is one: pandas carries rounding errors along.

    It is what qtpylib does, so crossings fall on the same rows.
    """
    if _needed(window, min_periods) != window or len(series) <= window:
        return None
    found = np.full(len(series), np.nan)
    found[window - 1 :] = reckon(sliding_window_view(series.to_numpy(dtype=float), window))
    return pd.Series(found, index=series.index)


def rolling_mean(series: Series, window: int = 200, min_periods: int | None = None) -> Series:
    """The plain mean of the last `window` rows."""
    found = _of_whole_windows(series, window, min_periods, lambda windows: windows.mean(axis=-1))
    return series.rolling(window=window, min_periods=min_periods).mean() if found is None else found


def rolling_std(series: Series, window: int = 200, min_periods: int | None = None) -> Series:
    """The standard deviation of the last `window` rows, of a sample."""
    found = _of_whole_windows(series, window, min_periods, lambda windows: windows.std(axis=-1, ddof=1))
    return series.rolling(window=window, min_periods=min_periods).std() if found is None else found


def rolling_min(series: Series, window: int = 14, min_periods: int | None = None) -> Series:
    """The least of the last `window` rows."""
    return series.rolling(window=window, min_periods=_needed(window, min_periods)).min()


def rolling_max(series: Series, window: int = 14, min_periods: int | None = None) -> Series:
    """The greatest of the last `window` rows."""
    return series.rolling(window=window, min_periods=_needed(window, min_periods)).max()


def rolling_weighted_mean(series: Series, window: float = 200, min_periods: int | None = None) -> Series:
    """The exponential mean of span `window`."""
    return series.ewm(span=window, min_periods=_needed(window, min_periods)).mean()


def hull_moving_average(series: Series, window: int = 200, min_periods: int | None = None) -> Series:
    """Hull's average: twice the half window's mean less the whole one's, smoothed over the window's root."""
    needed = _needed(window, min_periods)
    quick = 2 * rolling_weighted_mean(series, window / 2, needed)
    slow = rolling_weighted_mean(series, window, needed)
    return rolling_weighted_mean(quick - slow, np.sqrt(window), needed)


def vwap(bars: Any) -> Series:
    """The average price since the first row, weighed by volume."""
    volume = bars["volume"]
    typical = (bars["high"] + bars["low"] + bars["close"]) / 3
    return (volume * typical).cumsum() / volume.cumsum()


def rolling_vwap(bars: Any, window: int = 200, min_periods: int | None = None) -> Series:
    """The average price of the last `window` rows, weighed by volume."""
    needed = _needed(window, min_periods)
    volume = bars["volume"]
    typical = (bars["high"] + bars["low"] + bars["close"]) / 3
    worth = (volume * typical).rolling(window=window, min_periods=needed).sum()
    found = worth / volume.rolling(window=window, min_periods=needed).sum()
    return found.replace([np.inf, -np.inf], float("nan")).ffill()


def zero_lag(series: Series, window: int, min_periods: int | None, kind: str) -> Series:
    """An average of `kind` over half a window, of the series moved on by how far it has come in that time."""
    needed, lag = _needed(window, min_periods), (window - 1) // 2
    ahead = 2 * series - series.shift(lag)
    if kind in ("ewm", "ema"):
        return rolling_weighted_mean(ahead, lag, needed)
    if kind == "hma":
        return hull_moving_average(ahead, lag, needed)
    return rolling_mean(ahead, lag, min(needed, lag))
