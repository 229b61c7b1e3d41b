"""Rows that no bot of ours recorded, such as another program's trades: files that lie beside the history.

A file holds rows by table, and is never changed; the history takes each in once, also while a bot runs,
and again when it is made anew. Their runs have numbers below 0 (`run_of`), so the audit, which compares
the history with the journal, leaves them alone.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from engine.errors import StorageError

TABLES: Final = ("runs", "trades", "orders", "events")
"""The tables that may be imported into."""

FORMAT: Final = 1
_RUNS_MAX: Final = 1_000_000
"""Runs an import may have; above -1,000,000 are those of stored backtests (`actors.spool`)."""

Rows = Mapping[str, Sequence[dict[str, Any]]]


def run_of(number: int, index: int) -> int:
    """The run's number of the `index`-th run, from 0, of import `number`."""
    assert 0 <= index < _RUNS_MAX
    return -(number * _RUNS_MAX + index)


def import_bytes(source: str, rows: Rows) -> bytes:
    """The content of an import file. Times are ms, decimals text."""
    return gzip.compress(orjson.dumps({"format": FORMAT, "source": source, "rows": rows}), mtime=0)


def read_import(path: Path) -> Rows:
    """The rows of an import, by table.

    Raises:
        StorageError: it cannot be read, or is no import of this version.
    """
    try:
        content = orjson.loads(gzip.decompress(path.read_bytes()))
    except OSError as error:
        raise StorageError(f"it cannot be read: {error.strerror or error}") from None
    except (EOFError, zlib.error, orjson.JSONDecodeError):
        raise StorageError("it is damaged") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise StorageError("it is no import, or one of a newer version")
    rows: Rows = content.get("rows", {})
    if not set(rows) <= set(TABLES):
        raise StorageError(f"it has rows of {', '.join(sorted(set(rows) - set(TABLES)))}")
    return rows
