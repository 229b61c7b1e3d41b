"""Runs that are kept beside a history, each in a folder of its own, until and after the history has taken them in.

X.backtests/000012/ is the stored backtest 12: run.json with what is known of the run, and a Parquet file for
each table that it has rows of. Only the history's one writer opens the DuckDB file, so a backtest never waits
for it nor disturbs it; the folders stay, so a history that is made again has them too.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from actors.files import Files
from engine.errors import StorageError

FORMAT: Final = 2
PART: Final = ".part"
ABOUT: Final = "run.json"
OLD: Final = ".jsonl.gz"
"""The ending of the first format, a file of events for each run."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A stored run's folder. In SQL its run is `-number`: runs above 0 are the bot's own, those of imports lie below -1,000,000."""

    number: int
    path: Path

    @property
    def run(self) -> int:
        """Its number in the column `run`."""
        return -self.number

    def table(self, name: str) -> Path:
        """The file with its rows of a table."""
        return self.path / f"{name}.parquet"


def spooled(files: Files) -> list[Spooled]:
    """The stored runs, oldest first."""
    try:
        names = [path.name for path in files.backtests.iterdir()]
    except OSError:
        return []
    return [
        Spooled(int(stem), files.backtests / name)
        for name in sorted(names)
        if (stem := name.removesuffix(OLD)).isdigit()
    ]


def keep(files: Files, about: Mapping[str, Any], tables: Callable[[int], Mapping[str, bytes]]) -> Spooled:
    """Write a run's folder, whole or not at all, under the next free number; `tables` gives for it the Parquet files.

    Raises:
        StorageError: its folder cannot be written to.
    """
    try:
        files.backtests.mkdir(parents=True, exist_ok=True)
        part, number = _reserved(files)
        run = Spooled(number, files.backtests / f"{number:06d}")
        try:
            written = tables(number)
            sums = {name: hashlib.sha256(content).hexdigest() for name, content in written.items()}
            for name, content in written.items():
                _write(part / run.table(name).name, content)
            _write(part / ABOUT, orjson.dumps({"format": FORMAT, **about, "tables": sums}, default=str))
            part.rename(run.path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"{files.backtests} cannot be written to: {error.strerror or error}.") from None
    return run


def read_about(run: Spooled) -> dict[str, Any]:
    """What is known of a run; "tables" names those that it has rows of. All its files are as they were written.

    Raises:
        StorageError: a file is damaged or missing, or from another version.
    """
    try:
        if run.path.name.endswith(OLD):
            raise StorageError(f"{run.path} is of an older version of Tradepit; run the backtest again.")
        about: dict[str, Any] = orjson.loads((run.path / ABOUT).read_bytes())
        if about["format"] != FORMAT:
            raise StorageError(f"{run.path} is from a newer version of Tradepit.")
        for name, known in about["tables"].items():
            if hashlib.sha256(run.table(name).read_bytes()).hexdigest() != known:
                raise StorageError(f"{run.table(name)} is damaged.")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(f"{run.path} cannot be read: {error}.") from None
    return about


def _write(file: Path, content: bytes) -> None:
    """Write a file that only its owner can read, and see it onto the disk."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _reserved(files: Files) -> tuple[Path, int]:
    """A new folder that holds its number against everybody else."""
    number = max((run.number for run in spooled(files)), default=0)
    while True:
        number += 1
        part = files.backtests / f"{number:06d}{PART}"
        try:
            part.mkdir(mode=0o700)
        except FileExistsError:
            continue
        if not (files.backtests / f"{number:06d}").exists():
            return part, number
        with suppress(OSError):
            part.rmdir()
