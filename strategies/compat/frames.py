"""Candles as the DataFrame that `populate_*` gets, and its signal columns as the arrays that the engine takes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from engine.candles import Candles
from engine.strategy import TAG_MAX, Signals

COLUMNS: Final = ("date", "open", "high", "low", "close", "volume")
_LEGACY: Final = {
    "buy": "enter_long",
    "sell": "exit_long",
    "buy_tag": "enter_tag",
    "sell_tag": "exit_tag",
}
_NAMES: Final = pd.Index(COLUMNS, dtype=object)
"""Plain Python texts: pandas' own kind of text makes adding a column slow."""
_FLAGS: Final = ("enter_long", "exit_long", "enter_short", "exit_short")


def frame_of(candles: Candles) -> Any:
    """The candles as a DataFrame with a row number for index; its prices are the candles' own memory.

    pandas copies a column only when it is written to, so this costs the same for ten candles and a million.
    """
    dates = pd.DatetimeIndex(candles.ts.view("M8[ms]")).tz_localize("UTC")
    columns = {name: getattr(candles, name) for name in COLUMNS[1:]}
    frame = pd.DataFrame({"date": dates, **columns}, copy=False)
    frame.columns = _NAMES
    return frame


def empty_frame() -> Any:
    """No candles, in the columns that strategies expect."""
    frame = pd.DataFrame({name: np.empty(0) for name in COLUMNS})
    frame["date"] = pd.DatetimeIndex([], dtype="datetime64[ms, UTC]")
    return frame


def no_tags(frame: Any) -> Any:
    """A column of empty tags, of plain Python texts: pandas' own kind of text makes single rows slow to read."""
    return pd.Series([""] * len(frame), index=frame.index, dtype=object)


def renamed(frame: Any) -> Any:
    """The frame with its signal columns under today's names."""
    old = {was: now for was, now in _LEGACY.items() if was in frame.columns and now not in frame.columns}
    return frame.rename(columns=old) if old else frame


def signals_of(frame: Any, candles: Candles, *, with_shorts: bool) -> Signals:
    """The signal columns of an analysed frame, one row a candle.

    A frame that has lost or gained rows is matched by its dates; whatever it does, its last row must be
    the last candle's, or the signals would be of another time.

    Raises:
        ValueError: the frame has no rows, no date, or ends with another candle.
    """
    frame = renamed(frame)
    rows = _rows(frame, candles)
    wanted = _FLAGS if with_shorts else _FLAGS[:2]
    flags = {name: _placed(_flag(frame[name]), rows, len(candles)) for name in wanted if name in frame.columns}
    return Signals(
        **flags,
        enter_tag=_tags(frame, "enter_tag", rows, len(candles)),
        exit_tag=_tags(frame, "exit_tag", rows, len(candles)),
    )


def _rows(frame: Any, candles: Candles) -> Any:
    """The candle that each row of the frame belongs to; None where these are the same."""
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(f"populate_* returned {type(frame).__name__}; it must return the dataframe")
    if "date" not in frame.columns or not len(frame):
        raise ValueError("populate_* returned a dataframe without rows, or without its date column")
    last = frame["date"].iloc[-1]
    if last != pd.Timestamp(int(candles.ts[-1]), unit="ms", tz="UTC"):
        raise ValueError(f"populate_* returned a dataframe that ends at {last}, not with the last candle")
    if len(frame) == len(candles):
        return None
    ts = frame["date"].dt.as_unit("ms").astype("int64").to_numpy()
    rows = np.searchsorted(candles.ts, ts)
    return np.where((rows < len(candles)) & (candles.ts[np.minimum(rows, len(candles) - 1)] == ts), rows, -1)


def _flag(column: Any) -> Any:
    values = column.to_numpy()
    if values.dtype == object:
        values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    return values == 1


def _placed(values: Any, rows: Any, count: int) -> Any:
    if rows is None:
        return values
    placed = np.zeros(count, dtype=values.dtype)
    placed[rows[rows >= 0]] = values[rows >= 0]
    return placed


def _tags(frame: Any, name: str, rows: Any, count: int) -> list[str] | None:
    if name not in frame.columns:
        return None
    values: list[Any] = frame[name].to_numpy(dtype=object).tolist()
    # Most columns are texts already, and most texts empty: what goes over all of them is left to C.
    found = values if {*map(type, values)} == {str} else [v if type(v) is str else _text(v) for v in values]
    if not any(found):
        return None
    if max(map(len, found)) > TAG_MAX:
        found = [text[:TAG_MAX] for text in found]
    if rows is None:
        return found
    texts = [""] * count
    for place, text in zip(rows.tolist(), found, strict=True):
        if place >= 0:
            texts[place] = text
    return texts


def _text(value: Any) -> str:
    return "" if value is None or value is pd.NA or value != value else str(value)  # noqa: PLR0124 -- NaN is no tag
