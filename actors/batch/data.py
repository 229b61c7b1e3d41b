"""Candles from files: whole candles of the pairs that are asked for, mark prices and funding rates.

`catalog` knows which files there are, `readers` what is in one; `engine.repair` what is done about what is
wrong in it. Everything here is plain functions of paths, so it may run in any process; `locate` first,
to hand each process its files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from actors.batch.catalog import CANDLES, FUNDING, MARK, DataFile, chosen, files_in, spacing
from actors.batch.readers import Rows, count, read
from actors.batch.values import RATE
from engine.candles import Candles, Floats, timeframe_ms
from engine.errors import DataError
from engine.repair import Refusal, Repaired, repair
from engine.types import Millis


@dataclass(frozen=True, slots=True)
class Available:
    """What a file holds: rows, and the open times of the first and the last candle."""

    pair: str
    timeframe: str
    format: str
    rows: int
    first: Millis
    last: Millis
    path: Path
    kind: str = CANDLES
    exchange: str = ""


@dataclass(frozen=True, slots=True)
class FundingRates:
    """When a future's funding was due, in ms, ascending, and its rate; a positive one is paid by longs."""

    ts: npt.NDArray[np.int64]
    rate: Floats


def available(folder: Path | str, kinds: Iterable[str] = (CANDLES,)) -> list[Available]:
    """Every candle file in a folder, by pair and timeframe; files without a row are left out.

    Raises:
        DataError: there is no such folder, or a file in it cannot be read.
    """
    files = (file for file in files_in(Path(folder)) if file.kind in set(kinds))
    return [held for file in files if (held := held_by(file)) is not None]


def held_by(file: DataFile) -> Available | None:
    """What one file holds; None when it has no row. Raises DataError when it cannot be read."""
    ts = read(file.path, ()).ts
    if not len(ts):
        return None
    timeframe = file.timeframe or spacing(ts)
    first, last = int(ts.min()), int(ts.max())
    return Available(file.pair, timeframe, file.format, len(ts), first, last, file.path, file.kind, file.exchange)


def locate(folder: Path | str, pairs: Sequence[str], timeframe: str, kind: str = CANDLES) -> dict[str, DataFile]:
    """The file of each pair (none given: of all there are); nothing of it is read yet.

    Raises:
        DataError: pairs are missing (all are named, and what there is), or it cannot be told which file is meant.
    """
    if timeframe:
        timeframe_ms(timeframe)
    return chosen(Path(folder), files_in(Path(folder)), pairs, timeframe, kind)


def row_count(file: DataFile) -> int:
    """How many rows a file has, told without reading its values; missing candles are not counted."""
    return count(file.path)


def load_candles(
    folder: Path | str,
    pairs: Sequence[str],
    timeframe: str,
    start: Millis | None = None,
    end: Millis | None = None,
) -> dict[str, Candles]:
    """Whole candles of `pairs` (none given: all there are), of those that open in [start, end).

    Gaps are filled over the whole file before it is cut, so a gap at `start` is filled too.

    Raises:
        DataError: pairs are missing (all are named, and what there is), a file has rows that cannot be
            used (the file and the first such row are named), or no candle lies in the time asked for.
    """
    candles = {}
    for pair, whole in load_repaired(folder, pairs, timeframe).items():
        own = whole.candles
        first = 0 if start is None else int(np.searchsorted(own.ts, start))
        last = len(own) if end is None else int(np.searchsorted(own.ts, end))
        if first >= last:
            raise DataError(
                f"{folder}: {pair} has no candle of {timeframe} in the time asked for; it has {span_of(own)}."
            )
        candles[pair] = own[first:last]
    return candles


def load_repaired(folder: Path | str, pairs: Sequence[str], timeframe: str) -> dict[str, Repaired]:
    """As `load_candles`, uncut, with the counts of what was repaired."""
    timeframe_ms(timeframe)
    return {pair: load_file(file, pair, timeframe) for pair, file in locate(folder, pairs, timeframe).items()}


def load_file(file: DataFile, pair: str, timeframe: str) -> Repaired:
    """Whole candles of one file.

    Raises:
        DataError: it cannot be read, or has a row that cannot be used; the text names both.
    """
    rows = rows_of(file)
    result = repair(pair, timeframe, rows.ts, rows.columns)
    if isinstance(result, Refusal):
        raise DataError(f"{file.path}, {rows.place(result.row)}: {result.why}.")
    return result


def rows_of(file: DataFile) -> Rows:
    """A candle file's rows as they are; a mark price has no volume, whatever stands there."""
    if file.kind == MARK:
        rows = read(file.path, ("open", "high", "low", "close"))
        return Rows(rows.ts, (*rows.columns, np.zeros(len(rows.ts))), rows.lines)
    return read(file.path)


def load_marks(folder: Path | str, pairs: Sequence[str], timeframe: str = "") -> dict[str, Candles]:
    """Whole candles of futures' mark prices; without a timeframe, of the shortest that a pair has. Raises as above."""
    found = locate(folder, pairs, timeframe, MARK)
    return {pair: load_file(file, pair, file.timeframe or timeframe).candles for pair, file in found.items()}


def load_funding(folder: Path | str, pairs: Sequence[str], timeframe: str = "") -> dict[str, FundingRates]:
    """Futures' funding rates in order of time; times are as they are recorded, a repeated one counts once.

    Raises:
        DataError: as above; a rate is no number, or a time has two rates.
    """
    return {pair: rates_of(file) for pair, file in locate(folder, pairs, timeframe, FUNDING).items()}


def rates_of(file: DataFile) -> FundingRates:
    """The funding rates of one file. Raises as `load_funding`."""
    rows = read(file.path, RATE)
    order = np.argsort(rows.ts, kind="stable")
    ts, rate = rows.ts[order], rows.columns[0][order]
    wrong = np.flatnonzero(~np.isfinite(rate))
    if len(wrong):
        raise DataError(f"{file.path}, {rows.place(int(order[wrong].min()))}: the rate is not a finite number.")
    again = np.flatnonzero(ts[1:] == ts[:-1]) + 1
    differs = again[rate[again] != rate[again - 1]]
    if len(differs):
        row = rows.place(int(order[differs].min()))
        raise DataError(f"{file.path}, {row}: another row of the same time, {int(ts[differs[0]])}, has another rate.")
    keep = np.ones(len(ts), np.bool_)
    keep[again] = False
    return FundingRates(ts[keep], rate[keep])


def span_of(candles: Candles) -> str:
    """From when to when candles reach, for a sentence."""
    return f"{_when(candles.ts[0])} to {_when(candles.ts[-1])}" if len(candles) else "none at all"


def _when(ts: Millis) -> str:
    return str(np.datetime64(int(ts), "ms").astype("datetime64[m]")).replace("T", " ")
