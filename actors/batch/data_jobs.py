"""What `tradepit data` does with each file of a folder: list, check, convert, repair.

Every job goes file by file and tells what became of each; a file that cannot be used costs itself only.
Files are written whole or not at all, so a job that was stopped is begun again and goes on: what is
there already, made of the same file, is not made again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actors.batch.candle_files import origin_of, write_flat, write_parquet
from actors.batch.catalog import FUNDING, DataFile, files_in, fitting, path_of, preferred, spacing
from actors.batch.data import Available, held_by, load_file, rates_of, rows_of
from actors.batch.readers import Rows, read
from engine.candles import timeframe_ms
from engine.errors import DataError, StorageError
from engine.mending import Finding, Mended, examine, mend
from engine.repair import DataFault, Refusal
from engine.resampling import resample

IN_PLACE: Final = ("parquet", "feather")
"""The formats of which a repaired file takes the place of the one that was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a job is asked to do. `pairs` and `timeframe`: with these only; empty: with all."""

    folder: Path
    pairs: Sequence[str] = ()
    timeframe: str = ""
    to: Path | None = None
    exchange: str = ""
    longer: str = ""
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one file. `what` is one word; `why` says more; `failed`: it was not done."""

    file: DataFile
    what: str
    why: str = ""
    rows: int = 0
    written: Path | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What is wrong with one file, with how a user finds each row; `unread` says why it could not be looked at."""

    file: DataFile
    findings: tuple[tuple[Finding, str], ...] = ()
    unread: str = ""

    @property
    def usable(self) -> bool:
        """Whether reading puts everything right by itself."""
        return not self.unread and all(finding.usable for finding, _ in self.findings)


def files_of(wish: Wish) -> list[DataFile]:
    """The files that a job is about.

    Raises:
        DataError: there is no such folder, or no such file in it.
    """
    files = files_in(wish.folder)
    found = fitting(files, wish.pairs, wish.timeframe)
    if not found:
        of = f" of {', '.join(wish.pairs)}" if wish.pairs else ""
        of += f" with candles of {wish.timeframe}" if wish.timeframe else ""
        raise DataError(f"{wish.folder} has no candle file{of}; {len(files)} others are there.")
    return found


def listed(file: DataFile) -> Available | Outcome | None:
    """What a file holds; None where it has no row."""
    try:
        return held_by(file)
    except DataError as error:
        return Outcome(file=file, what="unread", why=str(error), failed=True)


def check(file: DataFile) -> Checked:
    """Everything that is wrong with a file."""
    try:
        if file.kind == FUNDING:
            rates_of(file)
            return Checked(file=file)
        rows = rows_of(file)
        found = examine(_timeframe(file, rows), rows.ts, rows.columns)
    except DataError as error:
        return Checked(file=file, unread=str(error))
    return Checked(file=file, findings=tuple((finding, rows.place(finding.row)) for finding in found))


# ---------------------------------------------------------------- convert


def convert(wish: Wish) -> Iterator[Outcome]:
    """Bring files into our layout under `wish.to`, or into candles of `wish.longer` there.

    Of several files of one pair and timeframe the preferred one is taken, as by every reader.
    """
    for rivals in _rivals(wish):
        file = rivals[0]
        try:
            yield _converted(preferred(wish.folder, file.pair, rivals), wish)
        except (DataError, StorageError) as error:
            yield Outcome(file=file, what="refused", why=str(error), failed=True)


def _rivals(wish: Wish) -> list[list[DataFile]]:
    groups: dict[tuple[str, str, str], list[DataFile]] = {}
    for file in files_of(wish):
        if wish.longer:
            fits = file.timeframe != wish.longer and file.kind != FUNDING
        else:
            fits = not (file.exchange and wish.to in file.path.parents)  # what was converted before is no source
        if fits:
            groups.setdefault((file.kind, file.pair, file.timeframe), []).append(file)
    return list(groups.values())


def _converted(file: DataFile, wish: Wish) -> Outcome:
    assert wish.to is not None
    target = _target(file, wish, wish.to)
    origin = _origin(file.path, wish.longer)
    before = origin_of(target)
    if target.exists() and before == origin:
        return Outcome(file=file, what="unchanged", written=target)
    if target.exists() and before.partition("|")[0] != origin.partition("|")[0] and not wish.overwrite:
        raise DataError(f"{target} is there already, and was made of something else; --overwrite replaces it.")
    rows = _longer(file, wish.longer) if wish.longer else _in_order(file)
    write_parquet(target, file.kind, rows.ts, rows.columns, origin)
    return Outcome(file=file, what="converted", rows=len(rows.ts), written=target)


def _target(file: DataFile, wish: Wish, to: Path) -> Path:
    exchange = wish.exchange or file.exchange
    if not exchange:
        raise DataError(f"{file.path}: nothing says which exchange it is from; give --exchange NAME.")
    if "/" not in file.pair:
        raise DataError(
            f"{file.path}: its name does not tell the pair; give --pairs BASE/QUOTE, or name it BASE_QUOTE-…."
        )
    timeframe = wish.longer or file.timeframe or spacing(read(file.path, ()).ts)
    if not timeframe:
        raise DataError(f"{file.path}: too few rows to tell its timeframe; put it in the name, as in ETH_BTC-5m.csv.")
    return path_of(to, exchange, file.kind, file.pair, timeframe)


def _origin(path: Path, longer: str) -> str:
    """What tells that a file is as it was when it was converted."""
    about = path.stat()
    return f"{path.parent.name}/{path.name} {longer}|{about.st_size} {about.st_mtime_ns}"


def _in_order(file: DataFile) -> Rows:
    """A file's rows in order, each once; gaps stay gaps, since filling them is the reader's.

    Raises:
        DataError: a row cannot be used.
    """
    if file.kind == FUNDING:
        rates = rates_of(file)
        return Rows(rates.ts, (rates.rate,))
    rows = rows_of(file)
    timeframe = _timeframe(file, rows)
    bad = [finding for finding in examine(timeframe, rows.ts, rows.columns) if not finding.usable]
    if bad:
        more = f", and {len(bad) - 1} more rows cannot be used" if len(bad) > 1 else ""
        raise DataError(f"{file.path}, {rows.place(bad[0].row)}: {bad[0].detail}{more}; see `tradepit data repair`.")
    return _mended(file, timeframe, rows)[0]


def _longer(file: DataFile, timeframe: str) -> Rows:
    own = file.timeframe or spacing(read(file.path, ()).ts)
    try:
        made = resample(load_file(file, file.pair, own).candles, timeframe)
    except ValueError as error:
        raise DataError(f"{file.path}: {error}.") from None
    return Rows(made.ts, (made.open, made.high, made.low, made.close, made.volume))


# ---------------------------------------------------------------- repair


def repair(wish: Wish) -> Iterator[Outcome]:
    """Mend each file that needs it: in its place, a copy of the old one kept beside it, or into `wish.to`."""
    for file in files_of(wish):
        if file.kind == FUNDING:
            continue
        try:
            yield _repaired(file, wish)
        except (DataError, StorageError) as error:
            yield Outcome(file=file, what="refused", why=str(error), failed=True)


def _repaired(file: DataFile, wish: Wish) -> Outcome:
    rows = rows_of(file)
    timeframe = _timeframe(file, rows)
    found = [f for f in examine(timeframe, rows.ts, rows.columns) if f.fault is not DataFault.GAP or not f.usable]
    if not found and wish.to is None:
        return Outcome(file=file, what="whole", rows=len(rows.ts))
    fresh, mended = _mended(file, timeframe, rows)
    why = f"{mended.dropped} dropped" if mended.dropped else "rows put in order" if found else "nothing was wrong"
    if wish.to is not None:
        target = _target(file, wish, wish.to)
        if target.exists() and not wish.overwrite:
            raise DataError(f"{target} is there already; --overwrite replaces it.")
        write_parquet(target, file.kind, fresh.ts, fresh.columns, _origin(file.path, "repaired"))
        return Outcome(file=file, what="repaired", why=why, rows=len(fresh.ts), written=target)
    if file.format not in IN_PLACE:
        raise DataError(f"{file.path}: {file.format} files are not written; give --to DIR for a repaired copy.")
    kept = _kept(file.path)
    if file.exchange:
        write_parquet(file.path, file.kind, fresh.ts, fresh.columns, origin_of(kept))
    else:
        write_flat(file.path, fresh.ts, fresh.columns)
    return Outcome(
        file=file, what="repaired", why=f"{why}; {kept.name} is the old one", rows=len(fresh.ts), written=file.path
    )


def _mended(file: DataFile, timeframe: str, rows: Rows) -> tuple[Rows, Mended]:
    mended = mend(timeframe, rows.ts, rows.columns)
    if isinstance(mended, Refusal):
        raise DataError(f"{file.path}, {rows.place(mended.row)}: {mended.why}.")
    if not len(mended.ts):
        raise DataError(f"{file.path}: no row is left that can be used.")
    return Rows(mended.ts, mended.columns), mended


def _kept(path: Path) -> Path:
    """A second name for a file, under which it stays when another takes its place."""
    kept = next(p for n in range(1, 1_000_000) if not (p := path.with_name(f"{path.name}.before-{n}")).exists())
    try:
        with suppress(OSError):
            os.link(path, kept)
        if not kept.exists():
            shutil.copy2(path, kept)  # where a file system knows no second names
    except OSError as error:
        raise StorageError(f"{kept} cannot be written: {error.strerror or error}.") from None
    return kept


def _timeframe(file: DataFile, rows: Rows) -> str:
    """By the name, else by the rows.

    Raises:
        DataError: it cannot be told.
    """
    timeframe = file.timeframe or spacing(rows.ts)
    if not timeframe:
        raise DataError(f"{file.path}: too few rows to tell its timeframe; put it in the name, as in ETH_BTC-5m.csv.")
    timeframe_ms(timeframe)
    return timeframe
