"""Runs that are kept beside a history, each in a file of its own, until and after the history has taken them in.

X.backtests/000012.jsonl.gz is the stored backtest 12: a first line with what is known of the run, then its
events, a line each, as a journal would hold them. Only the history's one writer opens the DuckDB file, so
a backtest never waits for it nor disturbs it; the files stay, so a history that is made again has them too.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from actors.files import Files
from engine.errors import StorageError

FORMAT: Final = 1
SUFFIX: Final = ".jsonl.gz"
PART: Final = ".part"

Event = tuple[int, str, str, str, Mapping[str, Any]]
"""ts, writer, stream, kind, body."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A stored run's file. In SQL its run is `-number`: runs above 0 are the bot's own, those of imports lie below -1,000,000."""

    number: int
    path: Path

    @property
    def run(self) -> int:
        """Its number in the column `run`."""
        return -self.number


def spooled(files: Files) -> list[Spooled]:
    """The stored runs, oldest first."""
    try:
        names = [path.name for path in files.backtests.iterdir()]
    except OSError:
        return []
    numbers = sorted(int(n.removesuffix(SUFFIX)) for n in names if n.endswith(SUFFIX) and n[: -len(SUFFIX)].isdigit())
    return [Spooled(number, _path(files, number)) for number in numbers]


def keep(files: Files, about: Mapping[str, Any], events: Iterable[Event]) -> Spooled:
    """Write a run's file, whole or not at all, under the next free number.

    Raises:
        StorageError: its folder cannot be written to.
    """
    try:
        files.backtests.mkdir(parents=True, exist_ok=True)
        part, number = _reserved(files)
        try:
            with gzip.open(part, "wb", compresslevel=3) as lines:
                lines.write(orjson.dumps({"format": FORMAT, **about}, default=str) + b"\n")
                lines.writelines(orjson.dumps(event, default=str) + b"\n" for event in events)
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.rename(_path(files, number))
        finally:
            with suppress(FileNotFoundError):
                part.unlink()
    except OSError as error:
        raise StorageError(f"{files.backtests} cannot be written to: {error.strerror or error}.") from None
    return Spooled(number, _path(files, number))


def read(run: Spooled) -> Iterator[Any]:
    """Its lines: a mapping first, then lists as `Event`s.

    Raises:
        StorageError: the file is damaged, or from a newer version.
    """
    try:
        with gzip.open(run.path, "rb") as lines:
            about = orjson.loads(lines.readline())
            if about["format"] > FORMAT:
                raise StorageError(f"{run.path} is from a newer version of Tradepit.")
            yield about
            for line in lines:
                yield orjson.loads(line)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{run.path} cannot be read: {error}.") from None


def _path(files: Files, number: int) -> Path:
    return files.backtests / f"{number:06d}{SUFFIX}"


def _reserved(files: Files) -> tuple[Path, int]:
    """A new file that holds its number against everybody else."""
    number = max((run.number for run in spooled(files)), default=0)
    while True:
        number += 1
        part = files.backtests / f"{number:06d}{PART}"
        try:
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            continue
        if not _path(files, number).exists():
            return part, number
        part.unlink()
