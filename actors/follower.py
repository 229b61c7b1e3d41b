"""Reading the journal in order from any position on, beside its writer, across its segments."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from actors.files import Files
from actors.segment import Row, opened, read_head, read_rows
from engine.errors import StorageError


class Follower:
    """Reads what was recorded after a position; opens a segment for a moment only, so it is never in the way."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._ends: dict[Path, int] = {}  # the last entry of each closed segment, which never changes

    def read(self, after: int, limit: int = 2_000) -> list[Row]:
        """At most `limit` entries past `after`, in order; none when there are no more.

        Numbers may be missing where damage was recovered from.

        Raises:
            StorageError: a segment cannot be read.
        """
        for path in self._files.segments():
            if self._end(path) > after:
                rows = self._rows(path, after, limit)
                if rows:
                    return rows
        if not self._files.journal.exists():
            return []  # in the midst of a rotation, or there has never been a bot
        rows = self._rows(self._files.journal, after, limit)
        if rows and rows[0][0] > after + 1 and self._was_rotated(after):
            return self.read(after, limit)
        return rows

    def installation(self) -> str | None:
        """The name that the journal gives these files; None when there is no journal that says it."""
        for path in (self._files.journal, *reversed(self._files.segments())):
            try:
                with opened(path) as connection:
                    return read_head(connection, path).installation
            except (sqlite3.Error, KeyError, ValueError):
                continue  # the next one may be legible
        return None

    def is_old(self) -> bool:
        """Whether an earlier run than the newest has recorded something."""
        rows = self.read(0, 1)
        if not rows:
            return False
        try:
            with opened(self._files.journal) as connection:
                return rows[0][5] < read_head(connection, self._files.journal).run
        except (sqlite3.Error, KeyError, ValueError):
            return True

    def hash_of(self, seq: int) -> bytes | None:
        """The chain's hash at an entry; None when that entry is not there."""
        rows = self.read(seq - 1, 1)
        return rows[0][9] if rows and rows[0][0] == seq else None

    def _was_rotated(self, after: int) -> bool:
        """Whether a segment was closed since the closed ones were looked through."""
        return any(self._end(path) > after for path in self._files.segments() if path not in self._ends)

    def _end(self, path: Path) -> int:
        if path not in self._ends:
            try:
                with opened(path) as connection:
                    self._ends[path] = connection.execute("SELECT max(seq) FROM entries").fetchone()[0] or 0
            except sqlite3.Error as error:
                raise StorageError(f"the journal segment {path} cannot be read: {error}.") from None
        return self._ends[path]

    def _rows(self, path: Path, after: int, limit: int) -> list[Row]:
        try:
            with opened(path) as connection:
                return list(read_rows(connection, after, limit))
        except sqlite3.OperationalError as error:
            if not path.exists() or "locked" in str(error):
                return []  # it is being rotated: look again soon
            raise StorageError(f"the journal segment {path} cannot be read: {error}.") from None
        except sqlite3.DatabaseError as error:
            raise StorageError(f"the journal segment {path} cannot be read: {error}.") from None
