"""The history's DuckDB file: opened, upgraded, or made anew from the journal when it cannot be used.

The file is alone opened here, by the history process or, while no bot runs, by `tradepit sql`. All that
it holds is in the journal, in the imports or in the stored backtests beside it, so a damaged one is kept
aside and made again.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import duckdb

from actors.files import Files
from actors.follower import Follower
from actors.history.imports import read_import
from actors.history.intake import Intake
from actors.history.writer import ENTRY_AT_FAULT, HistoryWriter, quoted
from engine.errors import StorageError

HERE: Final = Path(__file__).parent
SCHEMA: Final = HERE / "schema"
BATCH: Final = 4_000
"""So many entries are written at once at most."""
TABLES: Final = (
    "trades orders fills funding decisions equity requests restarts candles runs rounds judgements alerts events".split()  # noqa: SIM905
)

META = "CREATE TABLE tradepit_meta (key VARCHAR PRIMARY KEY, value VARCHAR NOT NULL)"


class HistoryLocked(StorageError):
    """Another process has the DuckDB file open."""


class HistoryNewer(StorageError):
    """The file was written by a newer version of Tradepit."""


@dataclass(slots=True)
class Store:
    """The open history. `connection` has the file attached as `history`, which is its default schema.

    `findings` are sentences about what was wrong with the file and what was done.
    """

    files: Files
    connection: duckdb.DuckDBPyConnection
    writer: HistoryWriter
    follower: Follower
    findings: list[str]
    refused: set[Path] = field(default_factory=set)
    intake: Intake = field(init=False)

    def __post_init__(self) -> None:
        self.intake = Intake(self.files, self.writer, self.findings.append)

    def take_imports(self) -> list[str]:
        """Write the imports that lie beside the file and are not in it yet; a sentence for each that cannot be."""
        told = []
        there = self.writer.taken_in()
        for number, path in self.files.imports().items():
            mark = f"import {number}"
            if mark in there or path in self.refused:
                continue
            try:
                self.writer.take_in(mark, read_import(path))
            except (StorageError, *ENTRY_AT_FAULT) as error:
                self.refused.add(path)
                told.append(f"{path.name} is left out of the history: {_first_line(error)}")
        return told

    def catch_up(self, tick: Callable[[int], None] | None = None, limit: int | None = None) -> int:
        """Write what the journal, and the stored runs, have and the history has not; returns how much was written.

        The journal comes first; of the stored runs come some rows at a time. Ends with the
        batch in which `limit` is reached.
        """
        written = 0
        while limit is None or written < limit:
            rows = self.follower.read(self.writer.applied, BATCH)
            if rows:
                self.writer.apply(rows)
                if tick is not None:
                    tick(rows[-1][0])
            done = len(rows) or self.intake.step()
            if not done:
                break
            written += done
        return written

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def give_up(self, error: Exception) -> None:
        """Close a file that cannot be worked with, and set it aside: whoever opens the history next makes it again."""
        with suppress(duckdb.Error):
            self.connection.close()
        _set_aside(self.files, f"it is damaged ({_first_line(error)})", self.findings)


def is_damage(error: Exception) -> bool:
    """Whether DuckDB says so of a file that it has opened: a page is not as it was written, or its own rules do not hold.

    After a kill in the wrong moment its log may leave an index that the next writing finds broken.
    """
    if isinstance(error, duckdb.InternalException | duckdb.FatalException):
        return True
    return isinstance(error, duckdb.IOException | duckdb.SerializationException) and "orrupt" in str(error)


def migrations(folder: Path = SCHEMA) -> list[Path]:
    """The schema's numbered files, in order."""
    return sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))


def view_files() -> list[Path]:
    """The views, each in a file of its name."""
    return sorted((HERE / "views").glob("*.sql"))


def connect(files: Files, *, memory_limit: str = "128MB", threads: int = 1) -> duckdb.DuckDBPyConnection:
    """A DuckDB instance in memory with the history's file attached as `history`; nothing is loaded from anywhere."""
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "threads": threads,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "temp_directory": f"{files.db}.tmp",
        "max_temp_directory_size": "512MB",
    }
    connection = duckdb.connect(":memory:", config=settings)
    try:
        # All that may be read where nothing else may: the door locks the rest, and admits no function that reads.
        connection.execute(f"SET allowed_directories = [{quoted(f'{files.backtests.absolute()}/')}]")
        connection.execute("SET enable_progress_bar = false")  # whoever reads the answer would get it, too
        connection.execute(f"ATTACH {quoted(files.db)} AS history")
        connection.execute("USE history.main")
    except BaseException:
        connection.close()
        raise
    return connection


def open_store(
    files: Files, *, memory_limit: str = "128MB", threads: int = 1, wait_s: float = 0.0, schema: Path = SCHEMA
) -> Store:
    """Open the history for writing, whatever state it is in; `schema` is the folder of the numbered files.

    Raises:
        HistoryLocked: another process has it open, still after `wait_s`.
        HistoryNewer: it is from a newer version.
        StorageError: its folder cannot be written to.
    """
    findings: list[str] = []
    existed = files.db.exists()
    follower = Follower(files)
    for _ in range(3):
        connection = _attach(files, memory_limit, threads, wait_s, findings)
        if connection is None:
            continue
        try:
            _migrate(connection, files, findings, follower, migrations(schema))
            reason = _mismatch(connection, follower)
            store = None if reason else Store(files, connection, HistoryWriter(connection), follower, findings)
        except duckdb.Error as error:
            reason, store = f"it is damaged ({_first_line(error)})", None
        except BaseException:
            connection.close()
            raise
        if store is None:
            connection.close()
            _set_aside(files, reason, findings)
            continue
        if not existed and follower.is_old():
            findings.append(f"{files.db.name} was not there; it is made again from the journal.")
        findings += store.take_imports()
        return store
    raise StorageError(f"{files.db} cannot be made: {findings[-1] if findings else 'unknown reason'}")


def _attach(
    files: Files, memory_limit: str, threads: int, wait_s: float, findings: list[str]
) -> duckdb.DuckDBPyConnection | None:
    """The file attached; None when it was set aside, to try again with a new one."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return connect(files, memory_limit=memory_limit, threads=threads)
        except duckdb.Error as error:
            text = str(error)
            if ("lock" in text and "onflict" in text) or "Could not set lock" in text:
                if time.monotonic() < deadline:
                    time.sleep(0.05)
                    continue
                holder = re.search(r"PID (\d+)", text)
                who = f"process {holder.group(1)}" if holder else "another process"
                raise HistoryLocked(f"{files.db} is open in {who}; close it there first.") from None
            if not files.db.exists() or isinstance(error, duckdb.OutOfMemoryException):
                raise StorageError(f"{files.db} cannot be opened: {_first_line(error)}") from None
            if "newer version" in text or "version number" in text:
                raise HistoryNewer(f"{files.db} was written by a newer DuckDB: {_first_line(error)}") from None
            _set_aside(files, f"it is no whole DuckDB file ({_first_line(error)})", findings)
            return None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") + "."


def _set_aside(files: Files, reason: str, findings: list[str]) -> None:
    kept = _free_name(files.db, "damaged")
    files.db.rename(kept)
    wal = Path(f"{files.db}.wal")
    if wal.exists():
        wal.rename(f"{kept}.wal")
    findings.append(f"{files.db.name} was set aside as {kept.name} since {reason} It is made again from the journal.")


def _free_name(path: Path, word: str) -> Path:
    return next(p for n in range(1, 1_000_000) if not (p := path.with_name(f"{path.name}.{word}-{n}")).exists())


def _migrate(
    connection: duckdb.DuckDBPyConnection, files: Files, findings: list[str], follower: Follower, steps: Sequence[Path]
) -> None:
    """Bring the schema up to this version; a copy of an older file is kept first."""
    newest = len(steps)
    version = _version(connection)
    if version > newest:
        connection.close()
        raise HistoryNewer(
            f"{files.db} is from a newer version of Tradepit (schema {version}, this one knows {newest});"
            " use that version or give another --db."
        )
    if 0 < version < newest:
        connection.execute("CHECKPOINT history")
        kept = _free_name(files.db, f"schema-{version}")
        shutil.copy2(files.db, kept)
        findings.append(f"{files.db.name} was upgraded from schema {version} to {newest}; {kept.name} is the old one.")
    if version < newest:
        connection.execute("BEGIN")
        if version == 0:
            connection.execute(META)
            first = {"applied_seq": "0", "applied_hash": "", "installation": follower.installation() or ""}
            connection.executemany("INSERT INTO tradepit_meta VALUES ($1, $2)", list(first.items()))
            connection.execute("INSERT INTO tradepit_meta VALUES ('schema', '0')")
        for step in steps[version:]:
            connection.execute(step.read_text())
        connection.execute("UPDATE tradepit_meta SET value = $1 WHERE key = 'schema'", [str(newest)])
        connection.execute("COMMIT")
    for view in view_files():
        connection.execute(view.read_text())


def _version(connection: duckdb.DuckDBPyConnection) -> int:
    there = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'history' AND table_name = 'tradepit_meta'"
    ).fetchone()
    if not there or not there[0]:
        foreign = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'history'"
        ).fetchone()
        if foreign:
            connection.close()
            raise StorageError(f"the DuckDB file is not Tradepit's (it has a table {foreign[0]}); give another --db.")
        return 0
    row = connection.execute("SELECT value FROM tradepit_meta WHERE key = 'schema'").fetchone()
    return int(row[0]) if row else 0


def _mismatch(connection: duckdb.DuckDBPyConnection, follower: Follower) -> str:
    """Why the file is not this journal's history; empty when it is."""
    meta = dict(connection.execute("SELECT key, value FROM tradepit_meta").fetchall())
    installation = follower.installation()
    if installation is None:
        return ""
    if not meta["installation"]:
        connection.execute("UPDATE tradepit_meta SET value = $1 WHERE key = 'installation'", [installation])
    elif meta["installation"] != installation and meta["applied_seq"] != "0":
        return f"it is another installation's ({meta['installation']})."
    applied = int(meta["applied_seq"])
    if applied:
        chain = follower.hash_of(applied)
        if chain is not None and chain.hex() != meta["applied_hash"]:
            return f"it does not follow from the journal (entry {applied} differs)."
    return ""
