"""Looking through a file's rows for everything that is wrong, and making rows of them that can be used.

The rules are `engine.repair`'s; reading stops at the first row that cannot be used, these two go on.

Rules of mending
    Rows are put in order; a row that repeats another exactly counts once.
    Of rows of one time the one that holds the others is taken (the same open, a range and a volume at
    least as large): the others were written before their candle had closed. Where none does, all are
    dropped, since nobody can know which is true.
    An absurd row is dropped. Where the price stays away for more than `WILD_MAX` rows on end, it is no
    error of single rows, and mending refuses.
    Nothing is made up: what is missing stays missing, and is filled by whoever reads (`semantics.md` 2.1.1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.candles import Floats, timeframe_ms
from engine.repair import FILL_MAX, JUMP_MAX, DataFault, Refusal, absurd_rows, absurdity, off_beat, row_at
from engine.types import Millis

WILD_MAX: Final = 5
"""So many rows on end may be impossibly far from the price before them and be dropped; more are a new price."""

_ROUNDS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: at which row (from 0, in the order given), of what time, in words.

    `usable` says that reading puts it right by itself. `count` is how many rows it is about, or how many
    candles a gap lacks.
    """

    fault: DataFault
    row: int
    ts: Millis
    detail: str
    usable: bool
    count: int = 1


@dataclass(frozen=True, slots=True)
class Mended:
    """Rows in order of time, each once, none absurd; `dropped` is how many are not among them."""

    ts: npt.NDArray[np.int64]
    columns: tuple[Floats, ...]
    dropped: int


@dataclass(slots=True)
class _Look:
    """What was found; `rows` are those that may stay, in order of time; `refusal`: mending is not for a program."""

    rows: npt.NDArray[np.intp]
    findings: list[Finding] = field(default_factory=list)
    refusal: Refusal | None = None


def examine(timeframe: str, ts: npt.NDArray[np.int64], columns: tuple[Floats, ...]) -> list[Finding]:
    """Everything that is wrong with a file's rows, in the order of the rows."""
    return sorted(_look(timeframe_ms(timeframe), ts, columns).findings, key=lambda finding: finding.row)


def mend(timeframe: str, ts: npt.NDArray[np.int64], columns: tuple[Floats, ...]) -> Mended | Refusal:
    """Rows that can be used, made of those that are given; a Refusal names what a person must decide."""
    look = _look(timeframe_ms(timeframe), ts, columns)
    if look.refusal is not None:
        return look.refusal
    return Mended(ts[look.rows], tuple(column[look.rows] for column in columns), len(ts) - len(look.rows))


def _look(step_ms: Millis, ts: npt.NDArray[np.int64], columns: tuple[Floats, ...]) -> _Look:
    absurd = absurd_rows(ts, columns, step_ms)
    sane = np.ones(len(ts), np.bool_)
    sane[absurd] = False
    look = _Look(np.flatnonzero(sane))
    for row in absurd.tolist():
        why = absurdity(row_at(ts, columns, row), step_ms)
        look.findings.append(Finding(DataFault.ABSURD, row, int(ts[row]), why, usable=False))
    _put_in_order(look, ts)
    _take_each_once(look, ts, columns)
    _drop_strays(look, ts, step_ms)
    _drop_wild(look, ts, columns, step_ms)
    _find_gaps(look, ts, step_ms)
    return look


def _put_in_order(look: _Look, ts: npt.NDArray[np.int64]) -> None:
    times = ts[look.rows]
    late = np.flatnonzero(times[1:] < times[:-1]) + 1
    if len(late):
        row = int(look.rows[late[0]])
        detail = f"{_rows(len(late), 'comes', 'come')} after a later one"
        look.findings.append(Finding(DataFault.OUT_OF_ORDER, row, int(ts[row]), detail, usable=True, count=len(late)))
        look.rows = look.rows[np.argsort(times, kind="stable")]


def _take_each_once(look: _Look, ts: npt.NDArray[np.int64], columns: tuple[Floats, ...]) -> None:
    times = ts[look.rows]
    again = times[1:] == times[:-1]
    if not again.any():
        return
    keep = np.ones(len(times), np.bool_)
    repeated: list[int] = []
    for first in np.flatnonzero(again & ~np.concatenate(([False], again[:-1]))).tolist():
        after = first + 1
        while after < len(times) and times[after] == times[first]:
            after += 1
        group = look.rows[first:after].tolist()
        same = all(column[row] == column[group[0]] for column in columns for row in group[1:])
        true_row = group[0] if same else _holder(group, columns)
        keep[first:after] = [row == true_row for row in group]
        if same:
            repeated += group[1:]
            continue
        taken = "none holds the others" if true_row is None else "one holds the others: they were not closed yet"
        detail = f"{len(group)} rows of this time have different values; {taken}"
        look.findings.append(Finding(DataFault.DUPLICATE, group[1], int(ts[group[1]]), detail, False, len(group)))
    if repeated:
        row = min(repeated)
        detail = f"{_rows(len(repeated), 'repeats', 'repeat')} another exactly"
        look.findings.append(Finding(DataFault.DUPLICATE, row, int(ts[row]), detail, usable=True, count=len(repeated)))
    look.rows = look.rows[keep]


def _holder(group: list[int], columns: tuple[Floats, ...]) -> int | None:
    """The row whose candle holds those of all others of its time; None where there is none."""
    opened, high, low, _, volume = columns
    best = max(group, key=lambda row: (volume[row], row))
    holds = all(
        opened[best] == opened[row] and high[best] >= high[row] and low[best] <= low[row] and volume[best] > volume[row]
        for row in group
        if row != best
    )
    return best if holds else None


def _drop_strays(look: _Look, ts: npt.NDArray[np.int64], step_ms: Millis) -> None:
    """Drop candles of several days that open on another day than the rest."""
    strays = off_beat(ts[look.rows], step_ms)
    for row in look.rows[strays].tolist():
        detail = f"the others do not open at whole distances from {int(ts[row])}"
        look.findings.append(Finding(DataFault.ABSURD, row, int(ts[row]), detail, usable=False))
    look.rows = np.delete(look.rows, strays)


def _drop_wild(look: _Look, ts: npt.NDArray[np.int64], columns: tuple[Floats, ...], step_ms: Millis) -> None:
    """Drop rows that are impossibly far from the price before them."""
    on_end, last = 0, -1
    for _ in range(_ROUNDS_MAX):
        opened, closed = columns[0][look.rows], columns[3][look.rows]
        jumps = np.flatnonzero((opened[1:] > closed[:-1] * JUMP_MAX) | (opened[1:] < closed[:-1] / JUMP_MAX))
        if not len(jumps):
            return
        before = int(look.rows[jumps[0]])
        row = int(look.rows[jumps[0] + 1])
        why = absurdity(row_at(ts, columns, row), step_ms, float(columns[3][before]))
        on_end = on_end + 1 if before == last else 1
        last = before
        if on_end > WILD_MAX:
            look.refusal = Refusal(row, f"{why}, and so are the rows before it: is it a new price, or another market?")
            return
        look.findings.append(Finding(DataFault.ABSURD, row, int(ts[row]), why, usable=False))
        look.rows = np.delete(look.rows, jumps[0] + 1)
    look.refusal = Refusal(row, f"{why}, and {_ROUNDS_MAX - 1} rows before it are like this")


def _find_gaps(look: _Look, ts: npt.NDArray[np.int64], step_ms: Millis) -> None:
    times = ts[look.rows]
    for at in np.flatnonzero(np.diff(times) != step_ms).tolist():
        missing = int(times[at + 1] - times[at]) // step_ms - 1
        row, usable = int(look.rows[at + 1]), missing <= FILL_MAX
        many = "1 candle is" if missing == 1 else f"{missing} candles are"
        detail = f"{many} missing before it" if usable else f"it is impossibly far from {times[at]}"
        look.findings.append(Finding(DataFault.GAP, row, int(ts[row]), detail, usable, missing))
        if not usable:
            look.refusal = Refusal(row, detail)


def _rows(number: int, one: str, many: str) -> str:
    return f"1 row {one}" if number == 1 else f"{number} rows {many}"
