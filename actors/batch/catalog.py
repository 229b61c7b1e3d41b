"""Which candle files there are in a folder, and which of them is meant: the names, of every layout.

Ours, as any tool that knows Hive's partitions reads and writes it (`docs/data.md`); `%2F` stands for `/`:
    exchange=binance/kind=candles/pair=BTC%2FUSDT/timeframe=5m/candles.parquet
Freqtrade's, flat or in its folder `futures`: `ETH_BTC-5m.feather`, `ETH_USDT_USDT-1h-mark.feather`.
Any other file is a pair's by its name, `ETH_BTC.csv`; it is read to find its timeframe.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

import numpy as np

from actors.batch.readers import FORMATS, read
from engine.candles import timeframe_ms, timeframe_text
from engine.errors import DataError

CANDLES: Final = "candles"
MARK: Final = "mark"
FUNDING: Final = "funding_rate"
KINDS: Final = (CANDLES, MARK, FUNDING)
"""What a file holds: candles of trades, candles of the mark price, or the rates of a future's funding."""

FILE_NAME: Final = "candles.parquet"

_NAME: Final = re.compile(
    r"(?P<pair>.+?)(?:[-_](?P<timeframe>\d+(?:s|m|h|d|w))(?:-(?P<kind>futures|spot|mark|funding_rate))?)?"
    r"\.(?P<format>\w+)(?:\.gz)?",
    re.ASCII,
)
_OTHER: Final = re.compile(r"-(index|premiumIndex|trades)\b")
_DEPTH: Final = 5
_NAMED_AT_MOST: Final = 12


@dataclass(frozen=True, slots=True)
class DataFile:
    """A candle file by its name; `timeframe` is empty where the name does not say it, `exchange` likewise."""

    path: Path
    pair: str
    timeframe: str
    format: str
    kind: str = CANDLES
    exchange: str = ""

    @property
    def source(self) -> str:
        """Who keeps it: two files of one pair and timeframe contradict one another where this differs."""
        folder = self.path.parent
        return self.exchange or str(folder.parent if folder.name == "futures" else folder)


def path_of(folder: Path, exchange: str, kind: str, pair: str, timeframe: str) -> Path:
    """Where our layout keeps a pair's candles."""
    parts = {"exchange": exchange, "kind": kind, "pair": pair, "timeframe": timeframe}
    return folder.joinpath(*(f"{key}={quote(value, safe='')}" for key, value in parts.items()), FILE_NAME)


def files_in(folder: Path) -> list[DataFile]:
    """The candle files of a folder and of those in it, or the one file, in order of pair, timeframe, preference.

    Raises:
        DataError: there is no such folder or file.
    """
    if not folder.exists():
        raise DataError(f"{folder} does not exist; give the folder that holds the candle files.")
    paths = [folder] if folder.is_file() else _below(folder)
    named = (_named(path, alone=path.parent in {folder, folder.parent}) for path in paths)
    return sorted((file for file in named if file is not None), key=_order)


def chosen(
    folder: Path, files: Sequence[DataFile], pairs: Sequence[str], timeframe: str, kind: str = CANDLES
) -> dict[str, DataFile]:
    """The file of each of `pairs` (none given: of all) with candles of `timeframe`; an empty one takes the shortest.

    Our layout comes first, then the formats in the order of `FORMATS`.

    Raises:
        DataError: pairs are missing (all are named, and what there is), or a pair has files that may differ.
    """
    own = [file for file in files if file.kind == kind]
    fitting = [file for file in own if file.timeframe and timeframe in {"", file.timeframe}]
    exact = _by_pair(fitting)
    found = {pair: exact.get(pair, []) for pair in pairs or sorted(exact)}
    if not pairs or not all(found.values()):
        unnamed = [file for file in own if not file.timeframe and _may_hold(file, timeframe, pairs)]
        exact = _by_pair([*fitting, *unnamed])
        loose = {_letters(pair): files for pair, files in exact.items()}
        found = {pair: exact.get(pair) or loose.get(_letters(pair), []) for pair in pairs or sorted(exact)}
        if folder.is_file() and len(pairs) == 1:
            found = {pairs[0]: [*fitting, *unnamed]}
    missing = [pair for pair, its in found.items() if not its]
    if missing or not found:
        raise DataError(_missing(folder, own, missing, timeframe, kind))
    return {pair: preferred(folder, pair, its) for pair, its in found.items()}


def fitting(files: Sequence[DataFile], pairs: Sequence[str], timeframe: str) -> list[DataFile]:
    """Those of `pairs` and of `timeframe`, each where given, called by the pair that was asked for."""
    asked = {_letters(pair): pair for pair in pairs}
    return [
        replace(file, pair=asked.get(_letters(file.pair), file.pair))
        for file in files
        if (not pairs or _letters(file.pair) in asked) and timeframe in {"", file.timeframe}
    ]


def spacing(ts: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> str:
    """The timeframe of candles by their times: the most frequent distance; empty where there is none."""
    steps, counts = np.unique(np.diff(np.sort(ts)), return_counts=True)
    usable = steps > 0
    if not usable.any():
        return ""
    step = int(steps[usable][np.argmax(counts[usable])])
    return timeframe_text(step) if step % 1_000 == 0 else ""


# ---------------------------------------------------------------- names


def _below(folder: Path) -> Iterator[Path]:
    """The files in a folder and in those within, as deep as our layout goes; hidden ones are left out."""
    root = len(folder.parts)
    for place, folders, files in os.walk(folder, followlinks=True):
        here = Path(place)
        deep = len(here.parts) - root >= _DEPTH
        folders[:] = [] if deep else sorted(name for name in folders if not name.startswith("."))
        yield from (here / name for name in files if not name.startswith("."))


def _named(path: Path, *, alone: bool) -> DataFile | None:
    """A candle file by its path; `alone` files lie in the folder itself, where a bare pair will do for a name."""
    found = _NAME.fullmatch(path.name)
    if found is None or found["format"] not in FORMATS or _OTHER.search(path.name):
        return None
    parts = dict(part.split("=", 1) for part in path.absolute().parts[:-1] if "=" in part)
    if {"pair", "timeframe"} <= parts.keys():
        kind, exchange = parts.get("kind", CANDLES), unquote(parts.get("exchange", ""))
        ours = DataFile(path, unquote(parts["pair"]), parts["timeframe"], found["format"], kind, exchange)
        return ours if kind in KINDS and _is_timeframe(ours.timeframe) else None
    if not found["timeframe"] and not alone:
        return None
    kind = found["kind"] if found["kind"] in KINDS else CANDLES
    return DataFile(path, _pair_of(found["pair"]), found["timeframe"] or "", found["format"], kind)


def _is_timeframe(text: str) -> bool:
    try:
        return timeframe_ms(text) > 0
    except ValueError:
        return False


def _pair_of(name: str) -> str:
    """`ETH_BTC` is ETH/BTC; a third part is the coin that futures are settled in."""
    parts = re.split(r"[_-]", name)
    return "/".join(parts[:2]) + (f":{parts[2]}" if len(parts) == 3 else "") if len(parts) in {2, 3} else name


def _letters(pair: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", pair.upper())


def _order(file: DataFile) -> tuple[str, str, int, bool, int, str]:
    length = timeframe_ms(file.timeframe) if file.timeframe else 0
    return file.pair, file.kind, length, not file.exchange, FORMATS.index(file.format), str(file.path)


# ---------------------------------------------------------------- which one


def _may_hold(file: DataFile, timeframe: str, pairs: Sequence[str]) -> bool:
    """Whether a file without a timeframe in its name is of a pair that is asked for, and holds such candles."""
    if pairs and _letters(file.pair) not in {_letters(pair) for pair in pairs}:
        return False
    try:
        return spacing(read(file.path, ()).ts) == timeframe
    except DataError:
        if pairs:
            raise
        return False  # with no pair asked for, a file of any name may be something else


def _by_pair(files: Sequence[DataFile]) -> dict[str, list[DataFile]]:
    result: dict[str, list[DataFile]] = {}
    for file in files:
        result.setdefault(file.pair, []).append(file)
    return result


def preferred(folder: Path, pair: str, files: Sequence[DataFile]) -> DataFile:
    """The file to take of those of one pair, which are in order of preference; the shortest timeframe's.

    Raises:
        DataError: another one is as good, and may hold something else.
    """
    first = files[0]
    timeframe = first.timeframe
    shortest = [file for file in files if file.timeframe == timeframe]
    rivals = [file for file in shortest if bool(file.exchange) == bool(first.exchange)]
    others = sorted({file.source for file in rivals})
    if len(others) > 1:
        raise DataError(
            f"{folder}: {pair} {timeframe} is there several times: in {', '.join(others)}; give one of them."
        )
    twins = [file.path.name for file in rivals if file.format == first.format]
    if len(twins) > 1:
        where = first.path.parent
        raise DataError(f"{where}: {pair} {timeframe} is in several files: {', '.join(twins)}; leave one of them.")
    return first


def _missing(folder: Path, files: Sequence[DataFile], pairs: Sequence[str], timeframe: str, kind: str) -> str:
    what = {CANDLES: "candles", MARK: "mark prices", FUNDING: "funding rates"}[kind]
    held: Mapping[str, None] = dict.fromkeys(
        f"{file.pair} {file.timeframe or '?'}" for file in sorted(files, key=lambda file: file.pair not in pairs)
    )
    some = list(held)[:_NAMED_AT_MOST]
    there = ", ".join(some) + (f" and {len(held) - len(some)} more" if len(held) > len(some) else "")
    span = f" of {timeframe}" if timeframe else ""
    nothing = "no candle file" if kind == CANDLES else "none"
    text = f"{folder} has no {what}{span} for {', '.join(pairs) or 'any pair'}; there is {there or nothing}."
    shorter = {file.timeframe for file in files if file.pair in pairs and _parts(file.timeframe, timeframe) > 1}
    if kind != CANDLES or not shorter:
        return text
    return f"{text} `tradepit data convert --resample {timeframe}` makes them of {', '.join(sorted(shorter))}."


def _parts(shorter: str, longer: str) -> int:
    """How many candles of one timeframe make one of the other; 0 where none do."""
    if not shorter or not longer:
        return 0
    parts, rest = divmod(timeframe_ms(longer), timeframe_ms(shorter))
    return 0 if rest else parts
