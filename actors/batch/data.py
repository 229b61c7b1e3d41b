"""Candles from files: what there is in a folder, and whole candles of the pairs that are asked for.

A file's name tells its pair and timeframe as Freqtrade's do: `ETH_BTC-5m.feather`, for futures
`ETH_USDT_USDT-5m-futures.feather`; a name without a timeframe is read to find it. Folders within the
folder (Freqtrade's `futures`) are looked into too. Where a pair has several files of a timeframe, the
first format of `FORMATS` is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from actors.batch.readers import FORMATS, read, times_of
from engine.candles import Candles, timeframe_ms, timeframe_text
from engine.errors import DataError
from engine.repair import Refusal, Repaired, repair
from engine.types import Millis

_NAME: Final = re.compile(
    r"(?P<pair>.+?)(?:[-_](?P<timeframe>\d+(?:s|m|h|d|w))(?:-(?P<kind>futures|spot))?)?\.(?P<format>\w+)(?:\.gz)?",
    re.ASCII,
)
_OTHER: Final = re.compile(r"-(mark|index|premiumIndex|funding_rate|trades)\b|-trades\.")


@dataclass(frozen=True, slots=True)
class DataFile:
    """A candle file by its name; `timeframe` is empty where the name does not say it."""

    path: Path
    pair: str
    timeframe: str
    format: str


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


def available(folder: Path | str) -> list[Available]:
    """Every candle file in a folder, by pair and timeframe; files without a row are left out.

    Raises:
        DataError: there is no such folder, or a file in it cannot be read.
    """
    found = []
    for file in files_in(Path(folder)):
        ts = times_of(file.path)
        if len(ts):
            timeframe = file.timeframe or _spacing(ts)
            first, last = int(ts.min()), int(ts.max())
            found.append(Available(file.pair, timeframe, file.format, len(ts), first, last, file.path))
    return found


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
            held = f"{_when(own.ts[0])} to {_when(own.ts[-1])}" if len(own) else "none at all"
            raise DataError(f"{folder}: {pair} has no candle of {timeframe} in the time asked for; it has {held}.")
        candles[pair] = own[first:last]
    return candles


def load_repaired(folder: Path | str, pairs: Sequence[str], timeframe: str) -> dict[str, Repaired]:
    """As `load_candles`, uncut, with the counts of what was repaired."""
    timeframe_ms(timeframe)
    folder = Path(folder)
    files = files_in(folder)
    chosen = _chosen(files, pairs, timeframe, single=folder.is_file())
    missing = [pair for pair in pairs if pair not in chosen]
    if missing or not chosen:
        there = ", ".join(sorted({f"{file.pair} {file.timeframe or '?'}" for file in files})) or "no candle file"
        wanted = ", ".join(missing) or "any pair"
        raise DataError(f"{folder} has no candles of {timeframe} for {wanted}; there is {there}.")
    return {pair: _whole(file, pair, timeframe) for pair, file in chosen.items()}


def files_in(folder: Path) -> list[DataFile]:
    """The candle files of a folder and of those in it, or the one file, in order of pair, timeframe and format.

    Raises:
        DataError: there is no such folder or file.
    """
    if not folder.exists():
        raise DataError(f"{folder} does not exist; give the folder that holds the candle files.")
    paths: Iterable[Path] = [folder] if folder.is_file() else [*folder.glob("*"), *folder.glob("*/*")]
    named = (_named(path) for path in paths if path.is_file())
    return sorted((file for file in named if file is not None), key=_order)


def _order(file: DataFile) -> tuple[str, int, int, str]:
    length = timeframe_ms(file.timeframe) if file.timeframe else 0
    return file.pair, length, FORMATS.index(file.format), str(file.path)


def _named(path: Path) -> DataFile | None:
    found = _NAME.fullmatch(path.name)
    if found is None or found["format"] not in FORMATS or _OTHER.search(path.name):
        return None
    return DataFile(path, _pair_of(found["pair"]), found["timeframe"] or "", found["format"])


def _pair_of(name: str) -> str:
    """`ETH_BTC` is ETH/BTC; a third part is the coin that futures are settled in."""
    parts = re.split(r"[_-]", name)
    return "/".join(parts[:2]) + (f":{parts[2]}" if len(parts) == 3 else "") if len(parts) in {2, 3} else name


def _letters(pair: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", pair.upper())


def _chosen(files: Sequence[DataFile], pairs: Sequence[str], timeframe: str, *, single: bool) -> dict[str, DataFile]:
    """The file of each pair that has one of the timeframe: named so, or, failing that, holding such candles."""
    fitting = [file for file in files if file.timeframe == timeframe]
    fitting += [file for file in files if not file.timeframe and _spacing(times_of(file.path)) == timeframe]
    exact = {file.pair: file for file in reversed(fitting)}  # the first of a pair, as the preferred format, wins
    if not pairs:
        return dict(sorted(exact.items()))
    if single and len(pairs) == 1 and fitting:
        return {pairs[0]: fitting[0]}
    loose = {_letters(file.pair): file for file in reversed(fitting)}
    found = {pair: exact.get(pair) or loose.get(_letters(pair)) for pair in pairs}
    return {pair: file for pair, file in found.items() if file is not None}


def _whole(file: DataFile, pair: str, timeframe: str) -> Repaired:
    rows = read(file.path)
    result = repair(pair, timeframe, rows.ts, rows.columns)
    if isinstance(result, Refusal):
        raise DataError(f"{file.path}, {rows.place(result.row)}: {result.why}.")
    return result


def _spacing(ts: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> str:
    """The timeframe of candles by their times: the most frequent distance; empty where there is none."""
    steps, counts = np.unique(np.diff(np.sort(ts)), return_counts=True)
    usable = steps > 0
    if not usable.any():
        return ""
    step = int(steps[usable][np.argmax(counts[usable])])
    return timeframe_text(step) if step % 1_000 == 0 else ""


def _when(ts: Millis) -> str:
    return str(np.datetime64(int(ts), "ms").astype("datetime64[m]")).replace("T", " ")
