"""Writing journal entries into the history, in bulk and exactly once.

A batch and the number of its last entry are one transaction: whenever the process dies, it goes on with
the first entry that is not there. A batch is bound as one JSON string a table, which is the fast way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import orjson

from actors.history.rows import Changes, Values, changes_of
from actors.segment import Row

KEYS = {"trades": "trade_id", "orders": "client_order_id", "runs": "run"}
SUMS = {("orders", "filled"), ("orders", "cost")}
AT_ONCE = 2_000
SETTLED = "CAST(filled AS DECIMAL(38,18)) >= CAST(amount AS DECIMAL(38,18)) AND status <> 'FILLED'"
"""Of an order that a fill was heard of: it is filled, whatever else was said of it."""
ENTRY_AT_FAULT = (
    duckdb.ConversionException,
    duckdb.ConstraintException,
    duckdb.OutOfRangeException,
    ArithmeticError,
    KeyError,
    TypeError,
    ValueError,
)


class HistoryWriter:
    """Writes through `connection`, whose default schema is the history's."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._columns: dict[str, dict[str, str]] = {}
        for table, column, kind in connection.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns()"
            " WHERE database_name = current_database() AND schema_name = 'main' AND NOT internal"
            " ORDER BY table_name, column_index"
        ).fetchall():
            self._columns.setdefault(table, {})[column] = kind
        self._statements: dict[str, str] = {}
        self._damaged: bool | None = None  # not looked yet

    @property
    def applied(self) -> int:
        """The number of the last journal entry that is in the history."""
        row = self._connection.execute("SELECT value FROM tradepit_meta WHERE key = 'applied_seq'").fetchone()
        return int(row[0]) if row else 0

    def taken_in(self) -> set[str]:
        """The imports that are in the history."""
        marks = self._connection.execute("SELECT key FROM tradepit_meta WHERE key LIKE 'import %'").fetchall()
        return {str(key) for (key,) in marks}

    def take_in(self, mark: str, tables: Mapping[str, Sequence[Values]]) -> None:
        """Write rows that no journal has, all or none; `mark` is kept, so that they are written once."""
        self._connection.execute("BEGIN")
        try:
            for table, rows in tables.items():
                for start in range(0, len(rows), AT_ONCE):
                    self._insert(table, rows[start : start + AT_ONCE])
            self._connection.execute("INSERT INTO tradepit_meta VALUES ($1, '')", [mark])
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise

    def apply(self, rows: Sequence[Row]) -> None:
        """Write a batch of entries, all or none. One that cannot be understood goes into `events`, with an alert."""
        try:
            self._transact(rows, changes_of(rows))
        except ENTRY_AT_FAULT as error:
            if len(rows) > 1:
                half = len(rows) // 2
                self.apply(rows[:half])
                self.apply(rows[half:])
                return
            self._transact(rows, _not_understood(rows[0], error))

    def add(self, changes: Changes) -> None:
        """Write rows that no journal entry stands for; how far the journal is followed stays as it is."""
        with self._transaction():
            self._write(changes)

    def take_rows(self, table: str, file: Path, place: int, limit: int) -> int:
        """Insert rows of a Parquet file, `limit` at most from row `place` on; returns how many there were.

        Its columns are those of the table; times are ms, decimals text. An order that has `last_fill` and is
        filled is done.

        Raises:
            ValueError: it has a column that the table has not.
        """
        source = f"read_parquet({quoted(file.absolute())}, file_row_number = true)"
        found = self._connection.execute(f"DESCRIBE FROM {source}").fetchall()
        there = {str(name) for name, *_ in found} - {"file_row_number"}
        picks = {name: _cast(name, kind) for name, kind in self._columns[table].items() if name in there}
        if unknown := there - {*picks, "last_fill"}:
            raise ValueError(f"the table {table} has no {', '.join(sorted(unknown))}")
        if "last_fill" in there:
            done = f"WHEN last_fill IS NOT NULL AND {SETTLED} THEN"
            picks["status"] = f"CASE {done} 'FILLED' ELSE status END"
            picks["ended_at"] = (
                f"epoch_ms(CASE {done} last_fill ELSE {'ended_at' if 'ended_at' in there else 'NULL'} END)"
            )
        names = ", ".join(f"{picked} AS {name}" for name, picked in picks.items())
        some = f"file_row_number >= {place} AND file_row_number < {place + limit}"
        with self._transaction():
            inserted = self._connection.execute(
                f"INSERT INTO {table} BY NAME SELECT {names} FROM {source} WHERE {some}"  # noqa: S608  (names of our own schema)
            ).fetchone()
        return int(inserted[0]) if inserted else 0

    def forget(self, run: int) -> None:
        """Take out everything of one run."""
        with self._transaction():
            tables = self._connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
            ).fetchall()
            for (table,) in tables:
                if "run" in self._columns[table]:
                    self._connection.execute(f"DELETE FROM {table} WHERE run = $1", [run])  # noqa: S608  (our own names)

    def statuses(self) -> dict[int, str | None]:
        """How each run that is known has ended."""
        return dict(self._connection.execute("SELECT run, status FROM runs").fetchall())

    def _transact(self, rows: Sequence[Row], changes: Changes) -> None:
        with self._transaction():
            if self._was_damaged(changes):
                self._forget_repeated(changes.added.get("fills", ()))
            self._write(changes)
            last = [("applied_seq", str(rows[-1][0])), ("applied_hash", rows[-1][9].hex())]
            self._connection.executemany("UPDATE tradepit_meta SET value = $2 WHERE key = $1", last)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(
                duckdb.Error
            ):  # after a fault of DuckDB's own there is nothing to take back, and why is raised
                self._connection.execute("ROLLBACK")
            raise

    def _write(self, changes: Changes) -> None:
        self._merge("runs", changes.runs.values())
        self._merge("trades", changes.trades.values())
        self._merge("orders", changes.orders.values())
        self._settle_orders(changes.orders)
        for table, added in changes.added.items():
            self._insert(table, added)

    def _was_damaged(self, changes: Changes) -> bool:
        """Whether the journal has ever lost entries that may be in the history already."""
        if self._damaged is None:
            known = "SELECT 1 FROM alerts WHERE kind = 'JournalDamaged' LIMIT 1"
            self._damaged = self._connection.execute(known).fetchone() is not None
        told = (row for row in changes.added.get("alerts", ()) if row.get("kind") == "JournalDamaged")
        self._damaged = self._damaged or any(True for _ in told)
        return self._damaged

    def _forget_repeated(self, fills: Iterable[Values]) -> None:
        """Take out fills that are told again since the journal lost them: their new entries count."""
        again = [{"o": fill["client_order_id"], "f": fill["fill_id"]} for fill in fills]
        if not again:
            return
        gone = self._connection.execute(
            "DELETE FROM fills WHERE (client_order_id, fill_id) IN"
            """ (SELECT (o, f) FROM (SELECT unnest(from_json($1, '[{"o": "VARCHAR", "f": "VARCHAR"}]'), recursive := true)))"""
            " RETURNING client_order_id, amount, price",
            [_json(again)],
        ).fetchall()
        for client_order_id, amount, price in gone:
            self._connection.execute(
                "UPDATE orders SET filled = filled - CAST($2 AS DECIMAL(38,18)),"
                " cost = cost - CAST($3 AS DECIMAL(38,18)) WHERE client_order_id = $1",
                [client_order_id, format(amount, "f"), format(amount * price, "f")],
            )

    def _insert(self, table: str, rows: Iterable[Values]) -> None:
        if table not in self._statements:
            self._statements[table] = f"INSERT INTO {table} BY NAME {self._select(table)}"
        self._connection.execute(self._statements[table], [_json(rows)])

    def _merge(self, table: str, rows: Iterable[Values]) -> None:
        """Insert rows, or change the ones that are there in the columns that say something."""
        if not rows:
            return
        if table not in self._statements:
            key = KEYS[table]
            sets = ", ".join(
                f"{c} = {table}.{c} + excluded.{c}" if (table, c) in SUMS else f"{c} = coalesce(excluded.{c}, {c})"
                for c in self._columns[table]
                if c not in {key, "run", "status"}
            )
            # A fill that is heard of after the end does not make the order work again.
            ended = f"{table}.status IN ('CANCELED', 'EXPIRED', 'FILLED') AND excluded.status NOT IN ('CANCELED', 'EXPIRED')"
            if "status" in self._columns[table]:
                sets += f", status = CASE WHEN {ended} THEN {table}.status ELSE coalesce(excluded.status, {table}.status) END"
            insert = f"INSERT INTO {table} BY NAME {self._select(table)}"
            self._statements[table] = f"{insert} ON CONFLICT ({key}) DO UPDATE SET {sets}"
        self._connection.execute(self._statements[table], [_json(rows)])

    def _settle_orders(self, orders: dict[str, Values]) -> None:
        filled = [{"id": key, "at": change["last_fill"]} for key, change in orders.items() if "last_fill" in change]
        if filled:
            self._connection.execute(
                "UPDATE orders SET status = 'FILLED', ended_at = coalesce(epoch_ms(f.at),"  # noqa: S608  (a condition of our own)
                " (SELECT max(ts) FROM fills WHERE fills.client_order_id = f.id))"
                """ FROM (SELECT unnest(from_json($1, '[{"id": "VARCHAR", "at": "BIGINT"}]'), recursive := true)) AS f"""
                f" WHERE client_order_id = f.id AND {SETTLED}",
                [_json(filled)],
            )

    def _select(self, table: str) -> str:
        """The query that turns the JSON parameter into rows of `table`."""
        columns = self._columns[table]
        shape = orjson.dumps(
            [{c: "BIGINT" if k == "TIMESTAMP" else _json_type(k) for c, k in columns.items()}]
        ).decode()
        picked = ", ".join(f"{_cast(c, k)} AS {c}" for c, k in columns.items())
        return f"SELECT {picked} FROM (SELECT unnest(from_json($1, '{shape}'), recursive := true))"  # noqa: S608  (names of our own schema)


def quoted(text: object) -> str:
    """A text as a literal of SQL."""
    return "'" + str(text).replace("'", "''") + "'"


def _cast(name: str, kind: str) -> str:
    """A column of plain values as the type it has here: times come in milliseconds, decimals as texts."""
    if name == "account":
        return f"coalesce({name}, '')"  # rows of old imports and backtests say none
    return f"epoch_ms({name})" if kind == "TIMESTAMP" else f"CAST({name} AS {kind})"


def _json_type(kind: str) -> str:
    """Decimals travel as strings: JSON numbers would pass through binary floats."""
    return "VARCHAR" if kind.startswith("DECIMAL") else kind


def _json(rows: Iterable[Values]) -> str:
    return orjson.dumps(list(rows), default=_plain).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{value!r} cannot be written to the history")


def _not_understood(row: Row, error: Exception) -> Changes:
    changes = Changes()
    changes.add("events", row, writer=row[2], stream=row[6], kind=row[7], body=row[8])
    detail = f"entry {row[0]} ({row[7]}) is not what it should be: {error}"
    changes.add("alerts", row, kind="EntryNotUnderstood", severity="warning", detail=detail, count=1)
    return changes
