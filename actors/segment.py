"""One file of the journal: its tables, its rows and the chain that ties them.

A segment is a SQLite file. `entries` is append-only; each row's hash is the SHA-256 of the hash before
it and the row, so no row can change, vanish or be put in unnoticed. `states` holds every writer's newest
state, written in the same transaction as the entries that led to it, each with a checksum of its own.
`lost` names rows that were found damaged and dropped, with the hash the chain goes on from.

Readers open a segment for a moment and close it: a segment that somebody holds open cannot be rotated.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import orjson

from engine.errors import StorageError

FORMAT = 1
"""The version of the segment's tables; a newer one is refused."""

GENESIS = b"\0" * 32
"""What the first row of all is chained to."""

Row = tuple[int, int, str, int, int, int, str, str, str, bytes]
"""seq, ts, writer, writer_seq, epoch, run, stream, kind, body (JSON), hash."""

StateRow = tuple[str, int, int, str | None, bytes]
"""writer, writer_seq, seq (of the journal when it was written), state (JSON), checksum."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY, ts INTEGER NOT NULL, writer TEXT NOT NULL, writer_seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL, run INTEGER NOT NULL, stream TEXT NOT NULL, kind TEXT NOT NULL,
    body TEXT NOT NULL, hash BLOB NOT NULL
);
CREATE TABLE states (
    writer TEXT PRIMARY KEY, writer_seq INTEGER NOT NULL, seq INTEGER NOT NULL, state TEXT, hash BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE lost (seq INTEGER PRIMARY KEY, hash BLOB);
"""

INSERT_ENTRY = "INSERT INTO entries VALUES (?,?,?,?,?,?,?,?,?,?)"
UPSERT_STATE = "INSERT OR REPLACE INTO states VALUES (?,?,?,?,?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a segment says of itself. `anchor` is the hash of the row before `first_seq`.

    `run` is the number of the newest run that wrote to it. `known` says what damage it has been
    through: a break in the chain that is explained there is no news.
    """

    installation: str
    number: int
    first_seq: int
    anchor: bytes
    run: int
    known: tuple[str, ...] = ()


def chained(before: bytes, row: Row) -> bytes:
    """The hash that `row` must carry when the row before it carries `before`."""
    return sha256(before + orjson.dumps(row[:8]) + row[8].encode()).digest()


def checksum(writer: str, writer_seq: int, seq: int, state: str | None) -> bytes:
    """What a row of `states` must carry."""
    return sha256(orjson.dumps((writer, writer_seq, seq, state))).digest()


def connect(path: Path, *, reading: bool = False, memory: bool = False) -> sqlite3.Connection:
    """A connection to an existing segment; `reading` forbids writes through it."""
    target = ":memory:" if memory else f"file:{quote(str(path.absolute()))}?mode=rw"
    connection = sqlite3.connect(target, uri=True, isolation_level=None, check_same_thread=False, timeout=1.0)
    if reading:
        connection.execute("PRAGMA query_only = 1")
    return connection


def create(
    path: Path,
    head: Head,
    states: Mapping[str, StateRow],
    rows: Iterable[Row] = (),
    lost: Mapping[int, bytes | None] = MappingProxyType({}),
) -> None:
    """Make a segment at `path`, whole and on disk, or none."""
    remove(path)
    path.touch(mode=0o600)
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript("BEGIN;" + SCHEMA)
        write_head(connection, head)
        connection.executemany(INSERT_ENTRY, rows)
        connection.executemany(UPSERT_STATE, states.values())
        connection.executemany("INSERT INTO lost VALUES (?,?)", lost.items())
        connection.execute("COMMIT")
    sync_folder(path)


def write_head(connection: sqlite3.Connection, head: Head) -> None:
    """Put `head` into the segment's `meta`."""
    values = {
        "format": str(FORMAT),
        "installation": head.installation,
        "segment": str(head.number),
        "first_seq": str(head.first_seq),
        "anchor": head.anchor.hex(),
        "run": str(head.run),
        "known": json.dumps(head.known),
    }
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?,?)", values.items())


def read_head(connection: sqlite3.Connection, path: Path) -> Head:
    """What the segment says of itself.

    Raises:
        StorageError: it is from a newer version of Tradepit.
        sqlite3.DatabaseError, KeyError, ValueError: it is damaged.
    """
    meta = dict(connection.execute("SELECT key, value FROM meta"))
    if int(meta["format"]) > FORMAT:
        raise StorageError(
            f"{path} is from a newer version of Tradepit (format {meta['format']}, this one knows {FORMAT});"
            " use that version."
        )
    return Head(
        installation=str(meta["installation"]),
        number=int(meta["segment"]),
        first_seq=int(meta["first_seq"]),
        anchor=bytes.fromhex(meta["anchor"]),
        run=int(meta["run"]),
        known=tuple(json.loads(meta["known"])),
    )


def read_states(connection: sqlite3.Connection) -> Iterator[StateRow]:
    """Every row of `states`, whole or not."""
    yield from connection.execute("SELECT writer, writer_seq, seq, state, hash FROM states")


def is_whole(row: StateRow) -> bool:
    """Whether a state row is what was written."""
    try:
        return checksum(*row[:4]) == row[4]
    except TypeError:
        return False  # a flipped byte may change a value's very type


def read_rows(connection: sqlite3.Connection, after: int = 0, limit: int = -1) -> Iterator[Row]:
    """The entries past `after`, in order."""
    yield from connection.execute("SELECT * FROM entries WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))


def read_lost(connection: sqlite3.Connection) -> dict[int, bytes | None]:
    """Rows known to be lost, and the hash each had where it was still legible."""
    return dict(connection.execute("SELECT seq, hash FROM lost"))


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A reading connection for a moment."""
    with closing(connect(path, reading=True)) as connection:
        yield connection


def remove(path: Path) -> None:
    """Delete a segment and what SQLite put beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def move(path: Path, to: Path) -> None:
    """Rename a segment with what SQLite put beside it; nobody may have it open."""
    for suffix in ("-wal", "-shm", "-journal", ""):
        source = Path(f"{path}{suffix}")
        if source.exists():
            source.rename(f"{to}{suffix}")
    sync_folder(path)


def sync_folder(path: Path) -> None:
    """Make renames beside `path` durable."""
    fd = os.open(path.absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
