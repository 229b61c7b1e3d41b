"""Asking the history in SQL: through the door of the bot that runs, else from the file itself.

Either way the answer is up to date with the journal, only SELECT is possible, and an error is a sentence.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
import time
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb

from actors.files import Files, lock_holder, refuse_foreign
from actors.history.door import load_extensions, publish
from actors.history.guard import Guard
from actors.history.store import Store, is_damage, open_store
from actors.lean import without_pandas
from actors.spool import spooled
from engine.errors import StorageError, TradepitError

Rows = list[tuple[Any, ...]]

RETURN_S: Final = 45.0
"""How long a door that is being opened is waited for; the history makes way for the traders, so a busy machine takes long."""

ROWS_MAX: Final = 1_000_000


class QueryError(TradepitError):
    """The statement cannot be executed; the text says why, as DuckDB does."""


class _Away(QueryError):
    """Nobody listens at the door."""


def run_query(db: Path | str, query: str) -> tuple[list[str], Rows]:
    """The columns and rows that `query` gives on the history `db`.

    Raises:
        QueryError: the statement is wrong, not allowed, or went past its limits.
        StorageError: there is no history, or it cannot be asked.
    """
    with without_pandas():
        return _run(Files.beside(db), query)


def ask_door(files: Files, queries: Sequence[str]) -> list[tuple[list[str], Rows]]:
    """The columns and rows of each of `queries` on the history of a bot that runs.

    One client asks them all: DuckDB and its extensions take 0.3 s of computing for each client that is made.

    Raises:
        QueryError: a statement is wrong, not allowed, or went past its limits.
        StorageError: the door cannot be asked.
    """
    with without_pandas():
        return _through_door(files, queries)


def _run(files: Files, query: str) -> tuple[list[str], Rows]:
    if lock_holder(files.lock) is not None:
        return _through_door(files, [query])[0]
    kept = (files.db.exists(), files.journal.exists(), files.segments(), files.imports(), spooled(files))
    if not any(kept):
        raise StorageError(f"There is no history at {files.db}; `tradepit run` makes one.")
    refuse_foreign(files)
    for again in (True, False):
        with closing(open_store(files, memory_limit="1GB", threads=2, wait_s=2.0)) as store:
            try:
                return _asked(store, query)
            except duckdb.Error as error:
                if not again or not is_damage(error):
                    text = str(error).splitlines()[0]
                    raise StorageError(f"{files.db} cannot be asked: {text}") from None
                store.give_up(error)
    raise AssertionError("unreachable")


def _asked(store: Store, query: str) -> tuple[list[str], Rows]:
    """The answer of a file that nobody writes, brought up to date first."""
    store.catch_up()
    connection = store.connection
    guard = Guard(publish(connection))
    connection.execute("USE memory.main")
    connection.execute("SET GLOBAL enable_external_access = false")
    connection.execute("SET GLOBAL lock_configuration = true")
    return _execute(connection, guard.check(query), damage=True)


def _through_door(files: Files, queries: Sequence[str]) -> list[tuple[list[str], Rows]]:
    with closing(duckdb.connect(":memory:")) as client:
        client.execute("SET enable_progress_bar = false")  # it would be written among the answer
        load_extensions(client)
        return [_answered(client, files, query) for query in queries]


def _answered(client: duckdb.DuckDBPyConnection, files: Files, query: str) -> tuple[list[str], Rows]:
    """The door's answer; one that is being started again is waited for."""
    deadline = time.monotonic() + RETURN_S
    while True:
        try:
            return _execute(client, _remote(files, query))
        except (_Away, FileNotFoundError):
            if time.monotonic() > deadline:
                raise StorageError(
                    f"A bot runs on {files.db}, but its SQL door did not answer for {RETURN_S:g} s;"
                    " `tradepit status` and the log say what the history does."
                ) from None
        time.sleep(0.1)


def _remote(files: Files, query: str) -> str:
    where = json.loads(files.door.read_text())
    if "off" in where:
        if where["bot"] != lock_holder(files.lock):
            raise _Away("the word is an earlier bot's")
        raise StorageError(
            f"A bot runs on {files.db} with its SQL door off ([history] door = false): ask when it has ended, or turn it on."
        )
    quoted = query.replace("'", "''")
    address = f"quack:localhost:{int(where['port'])}"
    token = str(where["token"]).replace("'", "''")
    return f"FROM quack_query('{address}', '{quoted}', token := '{token}', disable_ssl := true)"


def _execute(connection: duckdb.DuckDBPyConnection, query: str, *, damage: bool = False) -> tuple[list[str], Rows]:
    """Ask; with `damage` what is wrong with the file is raised as it is, else everything as a sentence."""
    try:
        cursor = connection.execute(query)
        rows: Rows = cursor.fetchmany(ROWS_MAX + 1)
    except duckdb.Error as error:
        if damage and is_damage(error):
            raise
        text = str(error)
        raise _Away(text) if "Could not connect" in text else QueryError(_sentence(text)) from None
    if len(rows) > ROWS_MAX:
        raise QueryError(f"The answer has more than {ROWS_MAX:,} rows; give it a LIMIT, or attach a DuckDB client.")
    return [str(column[0]) for column in cursor.description or ()], rows


def _sentence(text: str) -> str:
    """DuckDB's message without what the way through the door put around it."""
    text = re.sub(r"\s*LINE 1: FROM quack_query\(.*", "", text, flags=re.DOTALL)
    text = re.sub(r"^Invalid Input Error: ", "", text)
    if "Failed to send message" in text:
        return "The statement went past its limits of time or memory and was ended; the door is open again in a moment."
    if text.startswith("Authorization failed"):
        return "Only SELECT is possible here: the history is read-only."
    return text.split("\n\nPossible solutions")[0].split("\nThis error signals")[0].strip()


def format_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], style: str = "table") -> str:
    """The result as text: `table` for people, `json` (a list of objects, decimals exact) or `csv` for programs."""
    if style == "json":
        objects = (
            "{" + ", ".join(f"{json.dumps(c)}: {_json(v)}" for c, v in zip(columns, row, strict=True)) + "}"
            for row in rows
        )
        return "[" + ",\n ".join(objects) + "]"
    if style == "csv":
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([["" if v is None else _text(v) for v in row] for row in rows])
        return stream.getvalue().rstrip("\n")
    return _table(columns, rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    cells = [[_text(value) for value in row] for row in rows]
    widths = [max(len(c), *(len(row[i]) for row in cells)) if cells else len(c) for i, c in enumerate(columns)]
    right = [
        bool(rows) and all(isinstance(r[i], int | float | Decimal | None) for r in rows) for i in range(len(columns))
    ]

    def line(texts: Sequence[str]) -> str:
        parts = (t.rjust(w) if r else t.ljust(w) for t, w, r in zip(texts, widths, right, strict=True))
        return "  ".join(parts).rstrip()

    count = f"({len(rows)} row{'' if len(rows) == 1 else 's'})"
    return "\n".join([line(columns), line(["-" * w for w in widths]), *map(line, cells), count])


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return _plain(value)
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    return str(value)


def _plain(value: Decimal) -> str:
    """Without exponent, and without the zeros that DECIMAL(38,18) carries."""
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def _json(value: Any) -> str:
    if isinstance(value, Decimal):
        return _plain(value)
    if isinstance(value, float) and value - value != 0:
        return "null"  # JSON has neither infinity nor NaN
    if isinstance(value, dt.datetime):
        return json.dumps(value.isoformat() + "Z")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_json, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(k))}: {_json(v)}" for k, v in value.items()) + "}"
    if value is None or isinstance(value, bool | int | float | str):
        return json.dumps(value)
    return json.dumps(str(value))
