"""Looking through journal segments for damage: rows, chain, states, and the end that was noted aside.

A damaged row is told from a damaged hash: the row after it fits the hash that the damaged one *should*
carry, or the one it *does* carry. What cannot be read at all is stepped over, row by row.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from actors.files import Files
from actors.segment import (
    GENESIS,
    Head,
    Row,
    StateRow,
    chained,
    is_whole,
    opened,
    read_head,
    read_lost,
    read_rows,
    read_states,
)
from engine.errors import StorageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The last journal position, kept in a file apart from the journal."""

    installation: str
    run: int
    seq: int
    hash: bytes

    def write(self, path: Path) -> None:
        """Replace the file at once: a reader sees the old one or the new one. Not forced to disk."""
        text = json.dumps(
            {"installation": self.installation, "run": self.run, "seq": self.seq, "hash": self.hash.hex()}
        )
        aside = path.with_name(path.name + ".new")
        aside.write_text(text + "\n")
        aside.rename(path)

    @classmethod
    def read(cls, path: Path) -> Tail | None:
        """The position noted at `path`; None when there is none or it is not legible."""
        try:
            values = json.loads(path.read_text())
            return cls(
                installation=str(values["installation"]),
                run=int(values["run"]),
                seq=int(values["seq"]),
                hash=bytes.fromhex(values["hash"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None


@dataclass(slots=True, kw_only=True)
class Inspection:
    """What was found in one segment. `bad` maps lost rows to the hash the chain goes on with, if legible."""

    path: Path
    head: Head | None = None
    entries: int = 0
    last_seq: int = 0
    last_hash: bytes = GENESIS
    run: int = 0
    writers: dict[str, int] = field(default_factory=dict)
    states: dict[str, StateRow] = field(default_factory=dict)
    bad: dict[int, bytes | None] = field(default_factory=dict)
    repaired: dict[int, bytes] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    tail_hash: bytes | None = None


def inspect(path: Path, tail: Tail | None = None) -> Inspection:
    """Read a whole segment and check every row of it; never changes the file.

    Raises:
        StorageError: it is from a newer version, or another process holds it locked.
    """
    found = Inspection(path=path)
    try:
        with opened(path) as connection:
            found.head = read_head(connection, path)
            found.last_seq, found.last_hash = found.head.first_seq - 1, found.head.anchor
            found.run = found.head.run
            _check_rows(connection, found, tail)
            _check_states(connection, found)
    except (sqlite3.DatabaseError, KeyError, ValueError, TypeError) as error:
        if "locked" in str(error):
            raise StorageError(f"{path} is locked by another process.") from None
        found.problems.append(f"{path.name} is damaged: {error}")
    return found


def walk(connection: sqlite3.Connection, first: int, until: int) -> Iterator[Row]:
    """The entries from `first` on that can be read at all; `until` bounds the search where reading fails."""
    last = first - 1
    try:
        for row in read_rows(connection, last):
            last = row[0]
            yield row
        until = last
    except sqlite3.DatabaseError:
        with contextlib.suppress(sqlite3.DatabaseError, TypeError, ValueError):  # else the bound given must do
            until = max(until, int(connection.execute("SELECT max(seq) FROM entries").fetchone()[0]))
    for seq in range(last + 1, until + 1):
        try:
            row = connection.execute("SELECT * FROM entries WHERE seq = ?", (seq,)).fetchone()
        except sqlite3.DatabaseError:
            continue
        if row is not None:
            yield row


def _fits(before: bytes | None, row: Row) -> bool:
    try:
        return before is not None and chained(before, row) == row[9]
    except (TypeError, AttributeError, ValueError):
        return False


def _should_be(before: bytes | None, row: Row) -> bytes | None:
    try:
        return None if before is None else chained(before, row)
    except (TypeError, AttributeError, ValueError):
        return None


def _check_rows(connection: sqlite3.Connection, found: Inspection, tail: Tail | None) -> None:
    known = read_lost(connection)
    before: bytes | None = found.last_hash
    expected = found.last_seq + 1
    doubtful: tuple[Row, bytes | None] | None = None
    for row in walk(connection, expected, tail.seq if tail else 0):
        for seq in range(expected, row[0]):  # rows that are not there
            before = known.get(seq)
            if seq not in known:
                found.bad[seq] = None
        if doubtful is not None:
            suspect, should_be = doubtful
            if not _fits(suspect[9], row) and should_be is not None and _fits(should_be, row):
                found.repaired[suspect[0]] = should_be  # only its hash was damaged
                del found.bad[suspect[0]]
                _count(found, suspect, should_be)
                before = should_be
        doubtful = None
        if _fits(before, row):
            _count(found, row, row[9])
        else:
            found.bad[row[0]] = row[9] if isinstance(row[9], bytes) else None
            doubtful = (row, _should_be(before, row))
        before = row[9] if isinstance(row[9], bytes) else None
        if before is not None:
            found.last_hash = before
        found.last_seq = row[0]
        expected = row[0] + 1
        if tail is not None and row[0] == tail.seq:
            found.tail_hash = before
    _report_rows(found)


def _count(found: Inspection, row: Row, carried: bytes) -> None:
    found.entries += 1
    found.run = max(found.run, row[5])
    found.writers[row[2]] = max(row[3], found.writers.get(row[2], 0))
    found.last_hash = carried


def _report_rows(found: Inspection) -> None:
    if found.bad:
        first, last, count = min(found.bad), max(found.bad), len(found.bad)
        where = f"entry {first}" if count == 1 else f"{count} entries between {first} and {last}"
        found.problems.append(f"{found.path.name}: {where} {'is' if count == 1 else 'are'} damaged")
    if found.repaired:
        found.problems.append(f"{found.path.name}: {len(found.repaired)} hashes were damaged, their entries are whole")


def _check_states(connection: sqlite3.Connection, found: Inspection) -> None:
    broken = []
    for row in read_states(connection):
        if is_whole(row):
            found.states[row[0]] = row
            found.writers[row[0]] = max(row[1], found.writers.get(row[0], 0))
        else:
            broken.append(str(row[0]))
    if broken:
        found.problems.append(f"{found.path.name}: the states of {', '.join(sorted(broken)[:5])} are damaged")


def check_tail(found: Inspection, tail: Tail | None) -> None:
    """Compare the end of the current segment with the one noted aside; adds what is wrong to `found.problems`."""
    if tail is None or found.head is None:
        return
    if tail.installation != found.head.installation:
        found.problems.append(f"{found.path.name} is another installation's ({found.head.installation})")
    elif tail.seq > found.last_seq:
        found.problems.append(f"{found.path.name} ends at entry {found.last_seq}, but {tail.seq} were written")
    elif found.tail_hash is not None and found.tail_hash != tail.hash and not found.bad:
        found.problems.append(f"{found.path.name} is not the journal that was written last: entry {tail.seq} differs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The whole journal's condition. `known` is damage of the past that was found, said and recovered from."""

    entries: int
    segments: int
    last_seq: int
    problems: tuple[str, ...]
    known: tuple[str, ...]


def verify(files: Files) -> Verification:
    """Check the chain of all segments, closed and current, and the end noted aside; changes nothing.

    May run beside the bot. Raises `StorageError` when there is no journal or it is from a newer version.
    """
    paths = [*files.segments(), files.journal]
    if not files.journal.exists():
        raise StorageError(f"there is no journal at {files.journal}.")
    problems: list[str] = []
    known: dict[str, None] = {}
    entries, last = 0, (0, GENESIS)
    tail = Tail.read(files.tail)  # before the rows: the journal may only be ahead of it
    for path in paths:
        found = inspect(path, tail)
        if found.head is not None:
            known.update(dict.fromkeys(found.head.known))
            joins = (found.head.first_seq - 1, found.head.anchor) == last
            if not joins and not found.head.known:
                problems.append(f"{path.name} does not continue the segment before it")
            last = (found.last_seq, found.last_hash)
        if path == files.journal:
            check_tail(found, tail)
        entries += found.entries
        problems += found.problems
    return Verification(
        entries=entries, segments=len(paths), last_seq=last[0], problems=tuple(problems), known=tuple(known)
    )


def whole_rows(connection: sqlite3.Connection, found: Inspection) -> Iterator[Row]:
    """The rows of an inspected segment that are whole, damaged hashes put right."""
    assert found.head is not None
    for row in walk(connection, found.head.first_seq, found.last_seq):
        if row[0] in found.repaired:
            yield (*row[:9], found.repaired[row[0]])
        elif row[0] not in found.bad:
            yield row


def merged(older: Inspection, newer: Inspection) -> Inspection:
    """`newer`, with the states and numbers of writers that only `older` has whole."""
    return replace(
        newer,
        states={**older.states, **newer.states},
        writers={w: max(older.writers.get(w, 0), newer.writers.get(w, 0)) for w in {**older.writers, **newer.writers}},
        run=max(older.run, newer.run),
    )
