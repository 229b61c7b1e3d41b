"""The SQL door: DuckDB's own remote protocol (Quack) on the loopback, for SELECT only.

Theory of operation
    Quack asks a function of ours before it executes anything, rows that a client wants to insert
    included; the function's answer is the statement to execute: the client's own, or one that says
    why not. What `guard` lets through runs in an instance whose configuration is locked, that can
    open no file but stored backtests, load nothing and holds no secret. Clients see views; the tables lie in another
    catalog. A statement past its limits of time or memory costs the process, which is started again.

A client attaches with the port and the token of the file X.door:
    ATTACH 'quack:localhost:PORT' AS tradepit (TOKEN 'TOKEN', DISABLE_SSL true);
"""

from __future__ import annotations

import datetime as dt
import http.client
import importlib
import re
import time
from pathlib import Path
from typing import Final

import duckdb

from actors.history.guard import Guard, Refused
from engine.errors import StorageError

EXTENSIONS: Final = ("httpfs", "quack")

# What a client sends when it attaches, and what it is answered with: our views, and nothing of the catalog behind.
CATALOG_PROBES: Final = {
    "SELECT schema_name, sql, 'table' FROM duckdb_tables() UNION ALL SELECT schema_name, view_name, 'view'"
    " FROM duckdb_views()": (
        "SELECT schema_name, view_name AS sql, 'view' FROM duckdb_views()"
        " WHERE database_name = 'memory' AND NOT internal"
    ),
    "SELECT catalog_name, schema_name FROM information_schema.schemata WHERE catalog_name NOT IN"
    " ('system', 'temp') ORDER BY ALL": "SELECT 'memory' AS catalog_name, 'main' AS schema_name",
}


def extension_path(name: str) -> Path:
    """Where the wheel duckdb-extension-NAME has put its file.

    Raises:
        StorageError: it is not installed, or for another version of DuckDB.
    """
    try:
        module = importlib.import_module(f"duckdb_extension_{name}")
    except ImportError:
        raise StorageError(f"the package duckdb-extension-{name} is not installed, so there is no SQL door.") from None
    path = Path(str(module.__file__)).parent / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    if not path.exists():
        raise StorageError(f"duckdb-extension-{name} is not for DuckDB {duckdb.__version__}: {path} is missing.")
    return path


def load_extensions(connection: duckdb.DuckDBPyConnection) -> None:
    """Load Quack and what it needs, from the installed wheels, without a network."""
    for name in EXTENSIONS:
        connection.execute(f"LOAD '{extension_path(name)}'")


class Door:
    """Serves the history that is attached to `connection` as `history`; locks the instance's configuration."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, port: int, token: str) -> None:
        """Open it.

        Raises:
            StorageError: the extensions are missing, or the port is taken.
        """
        self.port = port
        load_extensions(connection)
        tables = publish(connection)
        self._guard = Guard(tables)
        connection.create_function(
            "door_admit",
            self._admit,
            [duckdb.sqltype("VARCHAR"), duckdb.sqltype("VARCHAR")],
            "VARCHAR",
            side_effects=True,
        )
        connection.execute("SET GLOBAL quack_authorization_function = 'door_admit'")
        connection.execute("SET GLOBAL enable_external_access = false")
        try:
            connection.execute(f"CALL quack_serve('quack:localhost:{port}', token := '{token}')")
        except duckdb.Error as error:
            raise StorageError(f"the SQL door cannot be opened at port {port}: {error}") from None
        connection.execute("SET GLOBAL lock_configuration = true")
        _wait_for_answer(port)
        self._watch = connection.cursor()

    def oldest_statement_s(self) -> float:
        """For how long the longest statement of a client has been running, in seconds; 0 when none is."""
        row = self._watch.execute(
            "SELECT min(query_started_at) FROM quack_active_connections() WHERE state = 'active'"
        ).fetchone()
        started: dt.datetime | None = row[0] if row else None
        if started is None:
            return 0.0
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        return max(0.0, (now - started.replace(tzinfo=None)).total_seconds())

    def _admit(self, _session: str, query: str) -> str | None:
        return admitted(self._guard, query)


def admitted(guard: Guard, query: str) -> str | None:
    """What Quack executes for a client's `query`; None admits nothing.

    Before it takes rows that a client sends, Quack asks with an INSERT that it never executes: any
    statement in answer means yes, so None is the only way to refuse those.
    """
    if re.match(r"\s*INSERT\b", query, re.IGNORECASE):
        return None
    probe = CATALOG_PROBES.get(" ".join(query.split()))
    if probe is not None:
        return probe
    try:
        return guard.check(query)
    except Refused as refused:
        return "SELECT error('" + str(refused).replace("'", "''") + "')"


def _wait_for_answer(port: int) -> None:
    """Return when the server answers: it has made all its threads then, and memory may be limited."""
    deadline = time.monotonic() + 10.0
    while True:
        client = http.client.HTTPConnection("localhost", port, timeout=1.0)
        try:
            client.request("GET", "/")
            client.getresponse().read()
        except OSError as error:
            if time.monotonic() > deadline:
                raise StorageError(f"the SQL door does not answer at port {port}: {error}.") from None
            time.sleep(0.02)
        else:
            return
        finally:
            client.close()


def publish(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Make a view in memory of each of the history's tables and views; returns their names."""
    names = [
        str(row[0])
        for row in connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'history' AND table_name <> 'tradepit_meta'"
            " UNION ALL SELECT view_name FROM duckdb_views() WHERE database_name = 'history' AND NOT internal"
        ).fetchall()
    ]
    for name in names:
        connection.execute(f'CREATE VIEW memory.main."{name}" AS FROM history.main."{name}"')
    return frozenset(names)
