"""Where a bot's files lie, and that only one bot has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors.files import Files, RunLock, lock_holder
from engine.errors import StorageError


def test_the_second_bot_is_refused(tmp_path: Path) -> None:
    """The lock's holder is named, and the lock is free again when it lets go."""
    files = Files.beside(tmp_path / "bot.duckdb")
    lock = RunLock(files.lock)

    with pytest.raises(StorageError, match=f"in use by the bot with pid {os.getpid()}"):
        RunLock(files.lock)

    assert lock_holder(files.lock) == os.getpid()
    lock.release()
    assert lock_holder(files.lock) is None
    RunLock(files.lock).release()


def test_paths_lie_beside_the_history(tmp_path: Path) -> None:
    """All files of a bot share the history's name."""
    files = Files.beside(tmp_path / "x.duckdb")

    assert files.journal == tmp_path / "x.journal.sqlite"
    assert files.segment(3) == tmp_path / "x.journal-000003.sqlite"
    assert files.venue == tmp_path / "x.venue.sqlite"
    assert files.lock == tmp_path / "x.lock"
