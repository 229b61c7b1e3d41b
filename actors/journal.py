"""The journal: what has been recorded is on disk, in order, chained, before anything is done about it.

Rules
    `append` writes a batch in one transaction, entries and states together, and returns when it is on
    disk; a crash at any instant leaves all of it or nothing. One writer has the journal (`actors.files`
    locks it), anyone may read. Nothing is ever changed or deleted: a segment that has grown to its size
    is closed under a number, and its successor begins with every writer's state and the chain's end.
    After each commit the end is noted in a file apart: an end that got lost is noticed by it.

Why not DuckDB: a commit of 500 records costs 2 ms here, a torn file costs what was not acknowledged
only, and others may read meanwhile.
"""

from __future__ import annotations

import abc
import base64
import errno
import os
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from actors import segment
from actors.files import Files
from actors.inspection import Tail
from actors.segment import GENESIS, INSERT_ENTRY, UPSERT_STATE, Head, Row, StateRow
from engine.codec import to_plain
from engine.errors import StorageError
from engine.messages import Entry, Plain, Record
from engine.types import Millis


class JournalUnwritable(StorageError):
    """Nothing of the batch is on disk, and the next attempt may fail too."""


class DiskFull(JournalUnwritable):
    """As above, since no room is left."""


class UnfitRecord(StorageError):
    """A record holds what has no JSON form; nothing of the batch was written. A bug of its writer."""

    def __init__(self, record: Record, reason: str) -> None:
        self.record = record
        super().__init__(f"a record of {record.writer} cannot be written: {reason}.")


def _json(value: Plain) -> str:
    # Frozen dataclasses and enumerations of plain values are written as they are; decimals by `_plain`.
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SORT_KEYS).decode()


def _plain(value: Any) -> Plain:
    return str(value) if type(value) is Decimal else to_plain(value)


class Journal(abc.ABC):
    """What every journal does: numbers, chains and remembers; where the rows go is a subclass's matter.

    `seq` and `hash` are its end, `run` the number of this run, `installation` the random name of this
    set of files; the last two make client order ids that cannot repeat.
    `grant_epochs` are each account's newest portfolio whose grants may be spent; they are kept here since they must
    outlive a crash of the persistence actor.
    """

    def __init__(self, *, installation: str, run: int, seq: int = 0, chain: bytes = GENESIS) -> None:
        self.installation = installation
        self.run = run
        self.seq = seq
        self.hash = chain
        self.grant_epochs: dict[str, int] = {}
        self._states: dict[str, StateRow] = {}
        self._writers: dict[str, int] = {}

    def last(self, writer: str) -> int:
        """The number of the writer's newest record, 0 when there is none."""
        return self._writers.get(writer, 0)

    def writers(self) -> tuple[str, ...]:
        """Everybody who has a state here."""
        return tuple(self._states)

    def state(self, writer: str) -> Mapping[str, Plain] | None:
        """The writer's newest state, None when it never recorded one."""
        row = self._states.get(writer)
        return None if row is None or row[3] is None else orjson.loads(row[3])

    def append(self, records: Sequence[Record]) -> None:
        """Put a batch on disk, in this order; returns when it is there, or raises and it is not.

        Raises:
            UnfitRecord: one of them cannot be written; the others may be tried without it.
            DiskFull, JournalUnwritable: the storage refused.
        """
        rows: list[Row] = []
        states: dict[str, StateRow] = {}
        seq, chain, run = self.seq, self.hash, self.run
        for record in records:
            try:
                for entry in record.entries:
                    seq += 1
                    row = (
                        seq,
                        entry.ts,
                        record.writer,
                        record.seq,
                        record.epoch,
                        run,
                        entry.stream,
                        entry.kind,
                        _json(entry.body),
                        b"",
                    )
                    chain = segment.chained(chain, row)
                    rows.append((*row[:9], chain))
                text = None if record.state is None else _json(record.state)
            except (TypeError, ValueError) as error:
                raise UnfitRecord(record, str(error)) from None
            states[record.writer] = self._state_row(record, seq, text, states)
        self._write(rows, states)
        self.seq, self.hash = seq, chain
        self._states.update(states)
        for writer, state in states.items():
            self._writers[writer] = state[1]
        self._written()

    def close(self) -> None:  # noqa: B027  (what is in memory has nothing to give back)
        """Give the storage back."""

    def _state_row(self, record: Record, seq: int, text: str | None, batch: Mapping[str, StateRow]) -> StateRow:
        if text is None:
            before = batch.get(record.writer) or self._states.get(record.writer)
            text = before[3] if before else None
        fields = (record.writer, record.seq, seq, text)
        return (*fields, segment.checksum(*fields))

    @abc.abstractmethod
    def _write(self, rows: Sequence[Row], states: Mapping[str, StateRow], /) -> None:
        """Put rows and states where they stay, all or nothing."""

    def _written(self) -> None:  # noqa: B027  (only a file has an end to note and a size to watch)
        """Called after a batch is on disk."""


class MemoryJournal(Journal):
    """A journal for runs on virtual time: the same rows and the same chain, kept in memory until `dump`."""

    def __init__(self, *, installation: str = "memory", run: int = 1) -> None:
        super().__init__(installation=installation, run=run)
        self.rows: list[Row] = []

    def _write(self, rows: Sequence[Row], _states: Mapping[str, StateRow], /) -> None:
        self.rows.extend(rows)

    def text(self, stream: str | None = None) -> bytes:
        """Every row as a line of JSON; equal runs give equal bytes. `stream` picks one, without chain and number."""
        if stream is None:
            return b"\n".join(orjson.dumps((*row[:9], row[9].hex())) for row in self.rows)
        return b"\n".join(orjson.dumps((r[1], r[2], r[7], r[8])) for r in self.rows if r[6] == stream)

    def dump(self, files: Files) -> None:
        """Write it as the journal of `files`, as if it had been written there all along."""
        head = Head(installation=self.installation, number=1, first_seq=1, anchor=GENESIS, run=self.run)
        segment.create(files.journal, head, self._states, self.rows)
        Tail(installation=self.installation, run=self.run, seq=self.seq, hash=self.hash).write(files.tail)


class FileJournal(Journal):
    """The journal on disk; made by `actors.opening.open_journal`, which checks it first."""

    def __init__(
        self,
        files: Files,
        head: Head,
        *,
        seq: int,
        chain: bytes,
        states: Mapping[str, StateRow],
        writers: Mapping[str, int],
        segment_mb: int = 16,
    ) -> None:
        super().__init__(installation=head.installation, run=head.run, seq=seq, chain=chain)
        self.files = files
        self._head = head
        self._states.update(states)
        self._writers.update(writers)
        self._limit = segment_mb * 1_048_576
        self._lock = threading.Lock()  # a replaced persistence actor may still hang in a commit
        self._connection = self._connect()
        self._size = files.journal.stat().st_size
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            segment.write_head(self._connection, head)
            self._connection.execute("COMMIT")
        self._written()

    def _connect(self) -> sqlite3.Connection:
        connection = segment.connect(self.files.journal)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _write(self, rows: Sequence[Row], states: Mapping[str, StateRow], /) -> None:
        with self._lock:
            connection = self._connection
            try:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(INSERT_ENTRY, rows)
                connection.executemany(UPSERT_STATE, states.values())
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                raise _unwritable(self.files.journal, error) from error
        self._size += sum(len(row[8]) + 160 for row in rows)

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            # Some failures end the transaction by themselves, some need a new connection.
            self._connection.close()
            self._connection = self._connect()

    def _written(self) -> None:
        try:
            Tail(installation=self.installation, run=self.run, seq=self.seq, hash=self.hash).write(self.files.tail)
        except OSError as error:
            # The batch is on disk, and an older note is still true.
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
        if self._size > self._limit:
            self.rotate()

    def rotate(self) -> bool:
        """Close the current segment and go on in a new one; False when a reader was in the way or there is no room.

        It is tried again after the next commit. A crash in the midst of it is put right at the next opening.
        """
        head = Head(
            installation=self.installation,
            number=self._head.number + 1,
            first_seq=self.seq + 1,
            anchor=self.hash,
            run=self.run,
        )
        fresh = fresh_path(self.files)
        with self._lock:
            try:
                segment.create(fresh, head, self._states)
                self._connection.execute("PRAGMA busy_timeout = 20")
                self._connection.execute("PRAGMA journal_mode = DELETE")
            except (sqlite3.Error, OSError):
                segment.remove(fresh)
                self._connection.execute("PRAGMA busy_timeout = 1000")
                return False
            self._connection.close()
            segment.move(self.files.journal, self.files.segment(self._head.number))
            segment.move(fresh, self.files.journal)
            self._connection = self._connect()
        self._head = head
        self._size = self.files.journal.stat().st_size
        return True

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        with self._lock:
            self._connection.close()


def fresh_path(files: Files) -> Path:
    """Where a new segment is made before it takes its place."""
    return files.journal.with_name(files.journal.name + ".new")


def _unwritable(path: Path, error: sqlite3.Error) -> JournalUnwritable:
    code = getattr(error, "sqlite_errorcode", None)
    full = code == sqlite3.SQLITE_FULL or "full" in str(error) or not _has_room(path)
    kind = DiskFull if full else JournalUnwritable
    return kind(f"the journal {path} cannot be written: {error}.")


def _has_room(path: Path) -> bool:
    """SQLite reports a full disk as an I/O error, depending on where it meets it."""
    room = os.statvfs(path.absolute().parent)
    return room.f_bavail * room.f_frsize > 1_048_576


def new_installation() -> str:
    """A random name for a set of files: six characters that any exchange allows in an order's id."""
    return base64.b32encode(os.urandom(4)).decode().lower()[:6]


def damage_record(journal: Journal, now: Millis, findings: Sequence[str], kept_as: str) -> Record:
    """What the journal itself says of damage that was found."""
    entries = tuple(
        Entry(kind="JournalDamaged", ts=now, body={"what": what, "kept_as": kept_as}, stream="ops") for what in findings
    )
    return Record(writer="journal", seq=journal.last("journal") + 1, entries=entries)


def decoded(row: Row) -> dict[str, Any]:
    """A row's body."""
    body: dict[str, Any] = orjson.loads(row[8])
    return body
