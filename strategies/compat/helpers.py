"""The functions that strategies import from `freqtrade.strategy` and `freqtrade.exchange`: times, stops, merging.

Times of candles are their open times, in UTC. Stops are distances from the current rate, as ratios of
the stake (leverage included), as `custom_stoploss` returns them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pandas as pd

from strategies.compat.joining import merged_by_rows

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "M": 2_592_000, "y": 31_536_000}
_MONDAY: Final = datetime(1970, 1, 5, tzinfo=UTC)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ROUND_DOWN: Final = 0
ROUND_UP: Final = 1


# ---------------------------------------------------------------- timeframes


def timeframe_to_seconds(timeframe: str) -> int:
    """The length of a candle in seconds; `1M` counts 30 days. Raises ValueError on what is none."""
    number, unit = timeframe[:-1], timeframe[-1:]
    if not number.isdigit() or unit not in _UNITS_S:
        raise ValueError(f"{timeframe!r} is no timeframe")
    return int(number) * _UNITS_S[unit]


def timeframe_to_minutes(timeframe: str) -> int:
    """The length of a candle in whole minutes."""
    return timeframe_to_seconds(timeframe) // 60


def timeframe_to_msecs(timeframe: str) -> int:
    """The length of a candle in milliseconds."""
    return timeframe_to_seconds(timeframe) * 1_000


def timeframe_to_prev_date(timeframe: str, date: datetime | None = None) -> datetime:
    """The open time of the candle that `date` (default: now) lies in."""
    moment = date or datetime.now(UTC)
    if timeframe.endswith("M"):
        return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    origin = _MONDAY if timeframe.endswith("w") else _EPOCH
    length = timedelta(seconds=timeframe_to_seconds(timeframe))
    return moment.astimezone(UTC) - (moment - origin) % length


def timeframe_to_next_date(timeframe: str, date: datetime | None = None) -> datetime:
    """The open time of the candle after the one that `date` (default: now) lies in."""
    before = timeframe_to_prev_date(timeframe, date)
    if timeframe.endswith("M"):
        months = before.month - 1 + int(timeframe[:-1])
        return before.replace(year=before.year + months // 12, month=months % 12 + 1)
    return before + timedelta(seconds=timeframe_to_seconds(timeframe))


def date_minus_candles(timeframe: str, candle_count: int, date: datetime | None = None) -> datetime:
    """The open time `candle_count` candles before the one that `date` (default: now) lies in."""
    return timeframe_to_prev_date(timeframe, date) - timedelta(seconds=timeframe_to_seconds(timeframe) * candle_count)


def timeframe_to_resample_freq(timeframe: str) -> str:
    """The timeframe as pandas writes it."""
    if timeframe.endswith("M"):
        return f"{timeframe[:-1]}MS"
    return "W-MON" if timeframe == "1w" else f"{timeframe_to_seconds(timeframe)}s"


# ---------------------------------------------------------------- stops


def stoploss_from_open(
    open_relative_stop: float, current_profit: float, is_short: bool = False, leverage: float = 1.0
) -> float:
    """The distance of a stop that is meant relative to the open rate: -0.05 is 5 % under it, 0.02 is over it.

    0 where the stop would lie beyond the current rate; 1 where the position is worth nothing any more.
    """
    side = -1 if is_short else 1
    now = 1 + side * current_profit / leverage
    if now <= 0 or current_profit == -side:
        return 1
    distance = side * (1 - (1 + side * open_relative_stop / leverage) / now)
    return max(distance * leverage, 0.0)


def stoploss_from_absolute(
    stop_rate: float, current_rate: float, is_short: bool = False, leverage: float = 1.0
) -> float:
    """The distance of a stop at `stop_rate`; 0 where that lies beyond the current rate."""
    if current_rate == 0:
        return 1
    distance = 1 - stop_rate / current_rate
    return max((-distance if is_short else distance) * leverage, 0.0)


# ---------------------------------------------------------------- other timeframes


def merge_informative_pair(
    dataframe: Any,
    informative: Any,
    timeframe: str,
    timeframe_inf: str,
    ffill: bool = True,
    append_timeframe: bool = True,
    date_column: str = "date",
    suffix: str | None = None,
) -> Any:
    """`dataframe` with the columns of `informative`, a slower frame, where these are known: no look into the future.

    A slow candle is known at its close, so its row goes to the fast candle that closes at the same time;
    `ffill` repeats it until the next. Its columns get the suffix `_<timeframe_inf>`, or the one given.

    Raises:
        ValueError: `informative` is faster than `dataframe`, or both a suffix and the timeframe are to be added.
    """
    fast, slow = timeframe_to_minutes(timeframe), timeframe_to_minutes(timeframe_inf)
    if slow < fast:
        raise ValueError(f"{timeframe_inf} candles are faster than {timeframe} ones: merging them would make new rows")
    if suffix and append_timeframe:
        raise ValueError("append_timeframe and a suffix cannot both be added to the columns' names")
    ending = f"_{timeframe_inf}" if append_timeframe else f"_{suffix}" if suffix else ""
    delay_ms = None if timeframe_inf.endswith("M") else (slow - fast) * 60_000
    names = [f"{column}{ending}" for column in informative.columns]
    joined = merged_by_rows(dataframe, informative, date_column, names, delay_ms=delay_ms, ffill=ffill)
    if joined is not None:
        return joined
    other = informative.copy(deep=False)
    other["date_merge"] = other[date_column]
    if slow > fast and len(other):
        other["date_merge"] = _known_from(other[date_column], timeframe, timeframe_inf)
    if ending:
        other.columns = [f"{column}{ending}" for column in other.columns]
    key = f"date_merge{ending}"
    if ffill:
        merged = pd.merge_ordered(dataframe, other, fill_method="ffill", left_on="date", right_on=key, how="left")
        merged = _begun_before(merged, dataframe, other, key)
    else:
        merged = dataframe.merge(other, left_on="date", right_on=key, how="left")
    return merged.drop(columns=key)


def _known_from(dates: Any, timeframe: str, timeframe_inf: str) -> Any:
    """The open time of the fast candle that closes with each slow one."""
    fast = pd.Timedelta(minutes=timeframe_to_minutes(timeframe))
    if timeframe_inf.endswith("M"):
        return dates + pd.offsets.MonthBegin(1) - fast
    return dates + pd.Timedelta(minutes=timeframe_to_minutes(timeframe_inf)) - fast


def _begun_before(merged: Any, dataframe: Any, other: Any, key: str) -> Any:
    """Give the rows before the first merged one what was known when the frame began."""
    if not len(merged) or not len(dataframe) or not pd.isna(merged[key].iloc[0]):
        return merged
    known = other[other[key] < dataframe["date"].iloc[0]]
    first = merged[key].first_valid_index()
    if not len(known) or first is None:
        return merged
    for column in other.columns:
        merged.loc[merged.index[:first], column] = known[column].iloc[-1]
    return merged
