"""The indicators that strategies import as `qtpylib`: written anew, equal in result.

Each takes a pandas Series, or a frame of bars with `open high low close volume`, and answers with the
same index. The names and arguments are those of `freqtrade.vendor.qtpylib.indicators`, which strategies
call; the formulas are the textbooks', with qtpylib's choices where these differ. Where a value cannot be
known yet it is NaN.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from strategies.compat.smoothing import (
    hull_moving_average,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_std,
    rolling_vwap,
    rolling_weighted_mean,
    vwap,
    zero_lag,
)

Series = Any
"""A pandas Series; pandas has no type hints of its own."""
Frame = Any
"""A pandas DataFrame."""

hma = hull_moving_average
sma = rolling_mean
wma = rolling_weighted_mean

_DAY_MIN: Final = 1_440


# ---------------------------------------------------------------- prices


def typical_price(bars: Frame) -> Series:
    """(high + low + close) / 3."""
    return _clean((bars["high"] + bars["low"] + bars["close"]) / 3.0)


def mid_price(bars: Frame) -> Series:
    """(high + low) / 2."""
    return _clean((bars["high"] + bars["low"]) / 2.0)


def heikinashi(bars: Frame) -> Frame:
    """Heikin-Ashi candles: open is the middle of the candle before's body, close the mean of the four prices."""
    close = ((bars["open"] + bars["high"] + bars["low"] + bars["close"]) / 4).to_numpy()
    opens = np.empty(len(close))
    if len(close):
        before = opens[0] = (bars["open"].iloc[0] + bars["close"].iloc[0]) / 2
        for row, mean in enumerate(close[:-1].tolist(), start=1):
            before = opens[row] = (before + mean) / 2
    high = np.maximum.reduce([bars["high"].to_numpy(), opens, close])
    low = np.minimum.reduce([bars["low"].to_numpy(), opens, close])
    return pd.DataFrame({"open": opens, "high": high, "low": low, "close": close}, index=bars.index)


def session(df: Frame, start: str = "17:00", end: str = "16:00") -> Frame:
    """The rows of the newest trading session, given by its times of day; it may go over midnight."""
    if not len(df):
        return df
    begin, finish = _minutes(start), _minutes(end)
    last = df.index[-1]
    minute = last.hour * 60 + last.minute
    first = last.normalize() + pd.Timedelta(minutes=begin)
    if finish <= begin and minute < begin:
        first -= pd.Timedelta(minutes=_DAY_MIN)
    return df[df.index >= first]


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def ibs(bars: Frame) -> Series:
    """Internal bar strength: where the close lies between low (0) and high (1)."""
    return _clean(np.round((bars["close"] - bars["low"]) / (bars["high"] - bars["low"]), 2))


def true_range(bars: Frame) -> Series:
    """The largest of high - low and the distances of both from the close before."""
    before = bars["close"].shift(1)
    distances = [bars["high"] - bars["low"], (bars["high"] - before).abs(), (bars["low"] - before).abs()]
    return pd.concat(distances, axis=1).max(axis=1)


def atr(bars: Frame, window: int = 14, exp: bool = False) -> Series:
    """Average true range; `exp` takes the exponential average instead of the plain one."""
    ranges = true_range(bars)
    return _clean(rolling_weighted_mean(ranges, window) if exp else rolling_mean(ranges, window))


# ---------------------------------------------------------------- crossings


def crossed(series1: Series, series2: Any, direction: str | None = None) -> Series:
    """Where `series1` crosses `series2` (a series, an array or a number), in a direction or in either."""
    first = _series(series1)
    second = _series(series2, first.index)
    first_before, second_before = first.shift(1), second.shift(1)
    above = (first > second) & (first_before <= second_before)
    below = (first < second) & (first_before >= second_before)
    if direction == "above":
        return above
    if direction == "below":
        return below
    return above | below


def crossed_above(series1: Series, series2: Any) -> Series:
    """Where `series1` is above `series2` and was not one row before."""
    return crossed(series1, series2, "above")


def crossed_below(series1: Series, series2: Any) -> Series:
    """Where `series1` is below `series2` and was not one row before."""
    return crossed(series1, series2, "below")


def _series(values: Any, index: Any = None) -> Series:
    if isinstance(values, pd.Series):
        return values
    return pd.Series(values, index=index, dtype=None if isinstance(values, np.ndarray) else float)


# ---------------------------------------------------------------- oscillators


def rsi(series: Series, window: int = 14) -> Series:
    """Relative strength index, with Wilder's smoothing begun by plain means of the first `window` changes."""
    changes = series.diff().to_numpy()[1:]
    found = np.full(len(series), np.nan)
    if len(changes) >= window:
        seed = changes[: window + 1]
        up, down = seed[seed >= 0].sum() / window, -seed[seed < 0].sum() / window
        found[:window] = _strength(up, down)
        for row in range(window, len(series)):
            change = changes[row - 1]
            up = (up * (window - 1) + max(change, 0.0)) / window
            down = (down * (window - 1) + max(-change, 0.0)) / window
            found[row] = _strength(up, down)
    return pd.Series(found, index=series.index)


def _strength(up: float, down: float) -> float:
    if down == 0:
        return 100.0 if up else float("nan")
    return float(100.0 - 100.0 / (1.0 + up / down))


def macd(series: Series, fast: int = 3, slow: int = 10, smooth: int = 16) -> Frame:
    """Moving average convergence: the fast average less the slow one, its signal line, and their distance."""
    line = rolling_weighted_mean(series, window=fast) - rolling_weighted_mean(series, window=slow)
    signal = rolling_weighted_mean(line, window=smooth)
    return pd.DataFrame(
        {"macd": line.to_numpy(), "signal": signal.to_numpy(), "histogram": (line - signal).to_numpy()},
        index=series.index,
    )


def awesome_oscillator(df: Frame, weighted: bool = False, fast: int = 5, slow: int = 34) -> Series:
    """A short mean of the mid price less a long one; a row that has none yet counts as 0."""
    middle = (df["high"] + df["low"]) / 2
    if weighted:
        found = middle.ewm(fast).mean() - middle.ewm(slow).mean()
    else:
        found = rolling_mean(middle, fast) - rolling_mean(middle, slow)
    return found


def tdi(
    series: Series,
    rsi_lookback: int = 13,
    rsi_smooth_len: int = 2,
    rsi_signal_len: int = 7,
    bb_lookback: int = 34,
    bb_std: float = 1.6185,
) -> Frame:
    """Traders dynamic index: a smoothed RSI, its signal, and Bollinger bands around the RSI."""
    strength = rsi(series, rsi_lookback)
    bands = bollinger_bands(strength, bb_lookback, bb_std)
    smooth, signal = sma(strength, rsi_smooth_len), sma(strength, rsi_signal_len)
    return pd.DataFrame(
        {
            "rsi": strength,
            "rsi_signal": signal,
            "rsi_smooth": smooth,
            "rsi_bb_upper": bands["upper"],
            "rsi_bb_lower": bands["lower"],
            "rsi_bb_mid": bands["mid"],
        },
        index=series.index,
    )


def stoch(df: Frame, window: int = 14, d: int = 3, k: int = 3, fast: bool = False) -> Frame:
    """Stochastic oscillator in per cent: slow, or with `fast` both the fast and the slow lines."""
    highest, lowest = rolling_max(df["high"], window), rolling_min(df["low"], window)
    fast_k = 100 * (df["close"] - lowest) / (highest - lowest)
    fast_d = fast_k.rolling(d).mean()
    if fast:
        return pd.DataFrame({"fast_k": fast_k, "fast_d": fast_d}, index=df.index)
    slow_k = fast_k.rolling(k).mean()
    return pd.DataFrame({"slow_k": slow_k, "slow_d": slow_k.rolling(d).mean()}, index=df.index)


def cci(series: Frame, window: int = 14) -> Series:
    """Commodity channel index of a frame of bars."""
    price = typical_price(series)
    mean = rolling_mean(price, window)
    return (price - mean) / (0.015 * np.std(mean))


def roc(series: Series, window: int = 14) -> Series:
    """Rate of change over `window` rows."""
    before = series.shift(window)
    return (series - before) / before


def chopiness(bars: Frame, window: int = 14) -> Series:
    """Choppiness index: 100 in a market without direction, towards 0 in a trend."""
    total = true_range(bars).rolling(window).sum()
    span = bars["high"].rolling(window).max() - bars["low"].rolling(window).min()
    return 100 * np.log10(total / span) / np.log10(window)


def pvt(bars: Frame) -> Series:
    """Price volume trend: volume weighed by the price's change, summed up."""
    before = bars["close"].shift(1)
    return ((bars["close"] - before) / before * bars["volume"]).cumsum()


# ---------------------------------------------------------------- bands


def bollinger_bands(series: Series, window: int = 20, stds: float = 2) -> Frame:
    """The mean of `window` rows, and so many standard deviations (of a sample) over and under it."""
    mean, spread = rolling_mean(series, window, min_periods=1), rolling_std(series, window, min_periods=1)
    return _bands(series, mean, spread * stds)


def weighted_bollinger_bands(series: Series, window: int = 20, stds: float = 2) -> Frame:
    """As `bollinger_bands`, around an exponential mean."""
    mean, spread = rolling_weighted_mean(series, window), rolling_std(series, window)
    return _bands(series, mean, spread * stds)


def keltner_channel(bars: Frame, window: int = 14, atrs: float = 2) -> Frame:
    """The mean typical price, and so many average true ranges over and under it."""
    return _bands(bars, rolling_mean(typical_price(bars), window), atr(bars, window) * atrs)


def _bands(like: Any, middle: Series, distance: Series) -> Frame:
    bands = {"upper": middle + distance, "mid": middle, "lower": middle - distance}
    return pd.DataFrame({name: band.to_numpy() for name, band in bands.items()}, index=like.index)


def zscore(bars: Frame, window: int = 20, stds: float = 1, col: str = "close") -> Series:
    """How many standard deviations the value is away from its mean."""
    return (bars[col] - rolling_mean(bars[col], window)) / (rolling_std(bars[col], window) * stds)


# ---------------------------------------------------------------- returns


def returns(series: Series) -> Series:
    """The change from row to row as a ratio."""
    return _clean(series / series.shift(1) - 1)


def log_returns(series: Series) -> Series:
    """The logarithm of the ratio of a row to the one before."""
    return _clean(np.log(series / series.shift(1)))


def implied_volatility(series: Series, window: int = 252) -> Series:
    """The standard deviation of the log returns, scaled to `window` rows."""
    return _clean(rolling_std(np.log(series / series.shift(1)), window) * np.sqrt(window))


# ---------------------------------------------------------------- without lag


def zlma(series: Series, window: int = 20, min_periods: int | None = None, kind: str = "ema") -> Series:
    """An average of `kind` (ema, hma, sma) of the series with its own lag added on: follows sooner."""
    return zero_lag(series, window, min_periods, kind)


def zlema(series: Series, window: int, min_periods: int | None = None) -> Series:
    """`zlma` with the exponential average."""
    return zero_lag(series, window, min_periods, "ema")


def zlsma(series: Series, window: int, min_periods: int | None = None) -> Series:
    """`zlma` with the plain average."""
    return zero_lag(series, window, min_periods, "sma")


def zlhma(series: Series, window: int, min_periods: int | None = None) -> Series:
    """`zlma` with Hull's average."""
    return zero_lag(series, window, min_periods, "hma")


def nans(length: int = 1) -> Any:
    """An array of NaN."""
    return np.full(length, np.nan)


def _clean(values: Series) -> Series:
    return values.replace([np.inf, -np.inf], float("nan"))


__all__ = [
    "atr", "awesome_oscillator", "bollinger_bands", "cci", "chopiness", "crossed", "crossed_above", "crossed_below",
    "heikinashi", "hma", "hull_moving_average", "ibs", "implied_volatility", "keltner_channel", "log_returns", "macd",
    "mid_price", "nans", "pvt", "returns", "roc", "rolling_max", "rolling_mean", "rolling_min", "rolling_std",
    "rolling_vwap", "rolling_weighted_mean", "rsi", "session", "sma", "stoch", "tdi", "true_range", "typical_price",
    "vwap", "weighted_bollinger_bands", "wma", "zlema", "zlhma", "zlma", "zlsma", "zscore",
]  # fmt: skip
