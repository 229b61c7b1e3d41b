"""Reading the history for a comparison with the journal: as it is, without bringing it up to date.

While a bot runs, through the SQL door; else from the file, opened for reading only.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import duckdb

from actors.files import Files, lock_holder
from actors.history.sql import Rows, ask_door
from engine.errors import StorageError

FREED_S: Final = 6.0
"""How long the history process of a bot that was killed may still hold the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAnswers:
    """Rows by query. `applied` and `applied_hash`: how far the history follows the journal; None: not told."""

    rows: tuple[Rows, ...]
    applied: int | None = None
    applied_hash: str | None = None


def read_history(files: Files, queries: Sequence[str]) -> HistoryAnswers:
    """Answer each of `queries`; changes nothing.

    Raises:
        StorageError: the history cannot be asked; the text says why.
    """
    if lock_holder(files.lock) is not None:
        return HistoryAnswers(rows=tuple(rows for _, rows in ask_door(files, queries)))
    try:
        with closing(_opened(files)) as connection:
            meta = dict(connection.execute("SELECT key, value FROM tradepit_meta").fetchall())
            found: list[Rows] = [connection.execute(query).fetchall() for query in queries]
    except duckdb.Error as error:
        raise StorageError(f"{files.db} cannot be read: {str(error).splitlines()[0]}") from None
    return HistoryAnswers(rows=tuple(found), applied=int(meta["applied_seq"]), applied_hash=meta["applied_hash"])


def _opened(files: Files) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + FREED_S
    while True:
        try:
            return duckdb.connect(str(files.db), read_only=True)
        except duckdb.IOException as error:
            if "lock" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.1)
