"""What may be wrong with candles, and what is done about it; the same rules for a live feed and for files.

Rules
    A missing candle is filled: open, high, low and close at the close before, volume 0 (`semantics.md` 2.1.1).
    A candle that came before is a duplicate; one older than the newest is out of order. In a stream both
    are dropped. In a file, rows are put in order, and a row that repeats another exactly is dropped; two
    rows of one time that differ are refused, since nobody can know which is true.
    An absurd candle is refused: no trade may be decided on it.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.candles import Candle, Candles, Floats, timeframe_ms, timeframe_text
from engine.types import Millis

JUMP_MAX: Final = 50.0
"""A price that is so many times the one before, or so small a part of it, is an error, not a price."""

_DAY: Final = timeframe_ms("1d")

FILL_MAX: Final = 2_000_000
"""More missing candles than this in one place mean that the times are wrong."""


class DataFault(StrEnum):
    """What was wrong with a candle, or with its coming; HEALED says that a stale pair has candles again."""

    GAP = "gap"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out_of_order"
    ABSURD = "absurd"
    STALE = "stale"
    HEALED = "healed"


@dataclass(frozen=True, slots=True)
class Arrival:
    """What `check_arrival` says of a candle: whether to take it, what was wrong, and what fills the gap before it."""

    accepted: bool
    fault: DataFault | None = None
    detail: str = ""
    missing: int = 0


FINE: Final = Arrival(True)


def absurdity(candle: Candle, step_ms: Millis, previous_close: float | None = None) -> str:
    """Why no sane market gives this candle; empty when one could."""
    ts, opened, high, low, closed, volume = candle
    if not all(map(math.isfinite, candle[1:])):
        return "a value is not a finite number"
    if low <= 0.0:
        return f"the low {low} is not positive"
    if high < low:
        return f"the high {high} is under the low {low}"
    if not (low <= opened <= high and low <= closed <= high):
        return f"open {opened} or close {closed} is outside of low {low} to high {high}"
    if volume < 0.0:
        return f"the volume {volume} is negative"
    if ts % min(step_ms, _DAY) or ts < 0:  # exchanges begin candles of several days on different days
        return f"no candle of {timeframe_text(step_ms)} opens at {ts}"
    if previous_close is not None and not previous_close / JUMP_MAX <= opened <= previous_close * JUMP_MAX:
        return f"the open {opened} is more than {JUMP_MAX:.0f} times away from the close before, {previous_close}"
    if high > low * JUMP_MAX:
        return f"the high {high} is more than {JUMP_MAX:.0f} times the low {low}"
    return ""


def check_arrival(candle: Candle, step_ms: Millis, last_ts: Millis | None, last_close: float | None) -> Arrival:
    """Judge a candle that a stream brings after the one that opened at `last_ts` and closed at `last_close`.

    A gap is no reason to refuse: `missing` candles belong before this one (`filler` makes them).
    """
    if last_ts is not None and candle.ts <= last_ts:
        fault = DataFault.DUPLICATE if candle.ts == last_ts else DataFault.OUT_OF_ORDER
        return Arrival(False, fault, f"a candle of {candle.ts} came after the one of {last_ts}")
    why = absurdity(candle, step_ms, last_close)
    if why:
        return Arrival(False, DataFault.ABSURD, why)
    if last_ts is not None and candle.ts > last_ts + step_ms:
        missing = (candle.ts - last_ts) // step_ms - 1
        return Arrival(True, DataFault.GAP, f"{missing} missing before {candle.ts}", missing)
    return FINE


def filler(ts: Millis, close: float) -> Candle:
    """The candle that stands for a missing one: nothing traded, the price stayed."""
    return Candle(ts, close, close, close, close, 0.0)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Rows that cannot be used: the first one's number (from 0, in the order given) and the reason."""

    row: int
    why: str


@dataclass(frozen=True, slots=True)
class Repaired:
    """Whole candles, and how many were missing, twice there, or in the wrong place."""

    candles: Candles
    gaps: int
    duplicates: int
    out_of_order: int


def absurd_rows(ts: npt.NDArray[np.int64], columns: tuple[Floats, ...], step_ms: Millis) -> npt.NDArray[np.intp]:
    """The numbers of the rows that are absurd by themselves; `columns` are open, high, low, close, volume."""
    opened, high, low, closed, volume = columns
    finite = np.isfinite(opened) & np.isfinite(high) & np.isfinite(low) & np.isfinite(closed) & np.isfinite(volume)
    sane = finite & (low > 0.0) & (volume >= 0.0) & (high <= low * JUMP_MAX)
    sane &= (low <= opened) & (opened <= high) & (low <= closed) & (closed <= high)
    sane &= (ts % min(step_ms, _DAY) == 0) & (ts >= 0)
    return np.flatnonzero(~sane)


def _needs_nothing(ts: npt.NDArray[np.int64], columns: tuple[Floats, ...], step_ms: Millis) -> bool:
    """Whether rows are whole and surely sane, which most files are: found in a quarter of the time of all the rest.

    Where the highest price of all is within `JUMP_MAX` of the lowest, no single step can be too far.
    NaN fails every comparison.
    """
    if not _is_whole(ts, step_ms) or ts[0] < 0 or ts[0] % min(step_ms, _DAY):
        return False
    opened, high, low, closed, volume = columns
    lowest = low.min()
    return bool(
        lowest > 0.0
        and high.max() <= min(lowest * JUMP_MAX, sys.float_info.max)
        and volume.min() >= 0.0
        and volume.max() < math.inf
        and (low <= np.minimum(opened, closed)).all()
        and (np.maximum(opened, closed) <= high).all()
    )


def off_beat(ts: npt.NDArray[np.int64], step_ms: Millis) -> npt.NDArray[np.intp]:
    """Of candles longer than a day, those that do not open when most do, whole lengths apart; of others none."""
    if step_ms <= _DAY or not len(ts):
        return np.empty(0, np.intp)
    beats, counts = np.unique(ts % step_ms, return_counts=True)
    return np.flatnonzero(ts % step_ms != beats[np.argmax(counts)])


def _is_whole(ts: npt.NDArray[np.int64], step_ms: Millis) -> bool:
    """Whether each time is one step after the one before."""
    fits = len(ts) > 0 and int(ts[-1]) - int(ts[0]) == (len(ts) - 1) * step_ms
    return fits and bool((np.diff(ts) == step_ms).all())


def row_at(ts: npt.NDArray[np.int64], columns: tuple[Floats, ...], row: int) -> Candle:
    """A row as a candle."""
    return Candle(int(ts[row]), *(float(column[row]) for column in columns))


def first_refusal(ts: npt.NDArray[np.int64], columns: tuple[Floats, ...], step_ms: Millis) -> Refusal | None:
    """The first absurd row among rows as they are read; `columns` are open, high, low, close, volume."""
    wrong = absurd_rows(ts, columns, step_ms)
    if not len(wrong):
        return None
    row = int(wrong[0])
    return Refusal(row, absurdity(row_at(ts, columns, row), step_ms))


def repair(pair: str, timeframe: str, ts: npt.NDArray[np.int64], columns: tuple[Floats, ...]) -> Repaired | Refusal:
    """Make whole candles of the rows of a file: in order, each once, none missing between first and last.

    Rows that are whole already are not copied: the candles are views of what was given.
    Returns a `Refusal` of the first row that cannot be used; with it nothing else is decided.
    """
    step_ms = timeframe_ms(timeframe)
    if _needs_nothing(ts, columns, step_ms):
        return Repaired(_candles(pair, timeframe, ts, columns), 0, 0, 0)
    refusal = first_refusal(ts, columns, step_ms)
    if refusal is not None:
        return refusal
    rows = np.arange(len(ts))
    out_of_order = int(np.count_nonzero(ts[1:] < ts[:-1]))
    if out_of_order:
        rows = np.argsort(ts, kind="stable")
        ts, columns = ts[rows], tuple(column[rows] for column in columns)
    again = np.flatnonzero(ts[1:] == ts[:-1]) + 1
    if len(again):
        differs = np.any([column[again] != column[again - 1] for column in columns], axis=0)
        if differs.any():
            row = int(rows[again[differs]].min())
            return Refusal(row, f"another row of the same time, {int(ts[again[differs]][0])}, has other values")
        keep = np.ones(len(ts), np.bool_)
        keep[again] = False
        rows, ts, columns = rows[keep], ts[keep], tuple(column[keep] for column in columns)
    refusal = _wild_row(ts, columns, rows, step_ms)
    if refusal is not None:
        return refusal
    stray = off_beat(ts, step_ms)
    if len(stray):
        return Refusal(int(rows[stray[0]]), f"the others do not open at whole distances from {int(ts[stray[0]])}")
    whole, filled = _filled(ts, columns, step_ms)
    return Repaired(_candles(pair, timeframe, whole, filled), len(whole) - len(ts), len(again), out_of_order)


def _candles(pair: str, timeframe: str, ts: npt.NDArray[np.int64], columns: tuple[Floats, ...]) -> Candles:
    """Candles of these arrays, which nobody can change through them."""
    opened, high, low, closed, volume = (column[:] for column in columns)
    ts = ts[:]
    for array in (ts, opened, high, low, closed, volume):
        array.setflags(write=False)
    return Candles(pair=pair, timeframe=timeframe, ts=ts, open=opened, high=high, low=low, close=closed, volume=volume)


def _wild_row(
    ts: npt.NDArray[np.int64], columns: tuple[Floats, ...], rows: npt.NDArray[np.intp], step_ms: Millis
) -> Refusal | None:
    """The first row, in order of time, that lies impossibly far from the one before: in price or in time."""
    opened, before = columns[0][1:], columns[3][:-1]
    jumps = np.flatnonzero((opened > before * JUMP_MAX) | (opened < before / JUMP_MAX))
    if len(jumps):
        at = int(jumps[0]) + 1
        why = absurdity(row_at(ts, columns, at), step_ms, float(columns[3][at - 1]))
        return Refusal(int(rows[at]), why)
    holes = np.flatnonzero(np.diff(ts) > FILL_MAX * step_ms)
    if len(holes):
        at = int(holes[0]) + 1
        return Refusal(int(rows[at]), f"its time {int(ts[at])} is impossibly far from {int(ts[at - 1])} before it")
    return None


def _filled(
    ts: npt.NDArray[np.int64], columns: tuple[Floats, ...], step_ms: Millis
) -> tuple[npt.NDArray[np.int64], tuple[Floats, ...]]:
    """Rows in order of time with the missing ones put in between."""
    if not len(ts):
        return ts, columns
    whole = np.arange(int(ts[0]), int(ts[-1]) + step_ms, step_ms, dtype=np.int64)
    if len(whole) == len(ts):
        return ts, columns
    at = np.searchsorted(ts, whole, side="right") - 1
    missing = ts[at] != whole
    filled = [np.where(missing, columns[3][at], column[at]) for column in columns[:4]]
    return whole, (*filled, np.where(missing, 0.0, columns[4][at]))
