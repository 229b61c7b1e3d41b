"""Where everything of one bot lies: the files beside its history file, and the lock that one bot holds.

X.duckdb                   the history, where one asks
X.journal.sqlite           the journal's current segment; closed ones are X.journal-000001.sqlite …
X.tail                     the last known journal position, kept apart to notice a lost tail
X.venue.sqlite             the paper venue's own record; X.main.venue.sqlite is the account main's
X.sock                     the control socket (0600)
X.door                     JSON: where the SQL door listens, and its token, or that it is off (0600)
X.lock                     held by the running bot; its text is that bot's pid
X.notices.jsonl            what the user was told
X.import-000001.json.gz    rows that were imported; the history is made again from these and the journal
X.backtests/               stored backtests, each in a folder, which the history takes in
X.reserve                  preallocated room, given back when the disk is full so that exits go on
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from engine.errors import StorageError

_DUCKDB_MARK: Final = b"DUCK"
_DUCKDB_MARK_END: Final = 12  # it stands behind a checksum of 8 bytes
_DUCKDB_HEADERS: Final = 12_288
"""The size of a DuckDB file in which nothing was ever made: it may become a history."""
_OURS: Final = (b"tradepit_meta", b"backtest_against_live", b"closed_trades", b"profit_by_reason")
"""Names in every history's catalog, which DuckDB writes as they are; one may be cut in two where a block ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The paths of one bot, all derived from the history file's."""

    db: Path
    journal: Path
    tail: Path
    venue: Path
    socket: Path
    door: Path
    lock: Path
    reserve: Path
    notices: Path
    backtests: Path

    @classmethod
    def beside(cls, db: Path | str) -> Files:
        """The paths that belong to the history file `db`; nothing is created."""
        db = Path(db)
        stem = db.with_suffix("") if db.suffix == ".duckdb" else db

        def beside(suffix: str) -> Path:
            return stem.with_name(stem.name + suffix)

        return cls(
            db=db,
            journal=beside(".journal.sqlite"),
            tail=beside(".tail"),
            venue=beside(".venue.sqlite"),
            socket=beside(".sock"),
            door=beside(".door"),
            lock=beside(".lock"),
            reserve=beside(".reserve"),
            notices=beside(".notices.jsonl"),
            backtests=beside(".backtests"),
        )

    def of_account(self, account: str) -> Files:
        """The same, with the record of that account's own simulated exchange: X.main.venue.sqlite."""
        if not account:
            return self
        return replace(self, venue=self.venue.with_name(self.venue.name.replace(".venue.", f".{account}.venue.")))

    def segment(self, number: int) -> Path:
        """The path of the journal's closed segment `number`, from 1."""
        return self.journal.with_name(self.journal.name.replace(".journal.sqlite", f".journal-{number:06d}.sqlite"))

    def segments(self) -> list[Path]:
        """The journal's closed segments that exist, oldest first."""
        pattern = self.journal.name.replace(".journal.sqlite", ".journal-")
        found = (p for p in self.journal.parent.glob("*.sqlite") if p.name.startswith(pattern))
        return sorted(p for p in found if p.name[len(pattern) : -len(".sqlite")].isdigit())

    def imported(self, number: int) -> Path:
        """The path of import `number`, from 1."""
        return self.journal.with_name(self.journal.name.replace(".journal.sqlite", f".import-{number:06d}.json.gz"))

    def imports(self) -> dict[int, Path]:
        """The imports that exist, by number."""
        pattern = self.journal.name.replace(".journal.sqlite", ".import-")
        found = {p.name[len(pattern) : -len(".json.gz")]: p for p in self.journal.parent.glob(f"{pattern}*.json.gz")}
        return {int(number): path for number, path in sorted(found.items()) if number.isdigit()}


def refuse_foreign(files: Files) -> None:
    """Refuse a history's name that another kind of file has: a configuration, another program's DuckDB file.

    A damaged history is set aside and made again; what never was one must stay where it is. The file is only
    read here: DuckDB itself would write to it, and the trading process does not load DuckDB.

    Raises:
        StorageError: the file is no history, and nothing lies beside it that one is made from.
    """
    if not files.db.is_file() or files.journal.exists() or files.segments() or files.imports():
        return
    with files.db.open("rb") as file:
        head = file.read(_DUCKDB_MARK_END)
    if not head or files.backtests.is_dir():
        return
    if not head.endswith(_DUCKDB_MARK):
        raise StorageError(f"{files.db} is no DuckDB file; it is left as it is. Give the history's file instead.")
    log = Path(f"{files.db}.wal")
    if (files.db.stat().st_size > _DUCKDB_HEADERS or log.is_file()) and not _is_ours(files.db, log):
        raise StorageError(
            f"{files.db} is another program's DuckDB file; it is left as it is. Give the history another name."
        )


def _is_ours(*parts: Path) -> bool:
    """Whether one of a DuckDB file's parts names what only a history has."""
    for part in parts:
        if part.is_file() and part.stat().st_size:
            with part.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if any(content.find(name) >= 0 for name in _OURS):
                    return True
    return False


class RunLock:
    """That no second bot works on the same files. The kernel frees it when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            StorageError: another process holds it (the text names its pid), or the file cannot be made.
        """
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"{path} cannot be opened: {error.strerror}.") from None
        try:
            self._take()
        except OSError:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            who = f"the bot with pid {holder}" if holder.isdigit() else "another bot"
            raise StorageError(
                f"{path.with_suffix('.duckdb')} is in use by {who}; stop it first or give another --db."
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def _take(self) -> None:
        """Try for a moment: whoever asks `lock_holder` holds it for some microseconds."""
        for attempt in range(10):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if attempt == 9:
                    raise
                time.sleep(0.01)
            else:
                return

    def release(self) -> None:
        """Give it back; the file stays, since removing it would race with the next bot's lock."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def lock_holder(path: Path) -> int | None:
    """The pid of the bot that holds the lock at `path`; None when none runs."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        text = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(fd)
    return None


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file at once: whoever reads it sees the old or the new one, never a part, whatever happens."""
    aside = path.with_name(f".{path.name}.new")
    with aside.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(path)
