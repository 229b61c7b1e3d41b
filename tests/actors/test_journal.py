"""The journal: on disk, in order, chained; and every way that its files can be damaged."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from actors.files import Files
from actors.inspection import verify
from actors.journal import FileJournal, MemoryJournal, UnfitRecord
from actors.opening import Opening, open_journal
from actors.segment import opened, read_rows
from engine.errors import StorageError
from engine.messages import Entry, Record


def record(writer: str, seq: int, count: int = 1, state: object = None) -> Record:
    entries = tuple(
        Entry(kind="OrderIntended", ts=1_000 + seq, body={"pair": writer, "n": n, "price": Decimal("1.50")})
        for n in range(count)
    )
    return Record(writer=writer, seq=seq, entries=entries, state=None if state is None else {"s": state})


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files.beside(tmp_path / "bot.duckdb")


def opening(files: Files, segment_mb: int = 64) -> Opening:
    return open_journal(files, now=5_000, segment_mb=segment_mb)


def filled(files: Files, commits: int = 40) -> FileJournal:
    journal = opening(files).journal
    for n in range(1, commits + 1):
        journal.append([record("pair:A/B", n, 3, f"a{n}"), record("pair:C/D", n, 2, "c" * 500)])
    return journal


def rows(files: Files) -> list[int]:
    found = []
    for path in [*files.segments(), files.journal]:
        with opened(path) as connection:
            found += [row[0] for row in read_rows(connection)]
    return found


def test_everything_is_there_after_reopening(files: Files) -> None:
    """Entries, states and numbers are found again, the run number grows, and nothing is wrong."""
    filled(files).close()

    again = opening(files)

    assert again.findings == ()
    assert again.journal.seq == 200
    assert again.journal.run == 2
    assert again.journal.last("pair:A/B") == 40
    assert again.journal.state("pair:A/B") == {"s": "a40"}
    assert again.journal.state("pair:X/Y") is None
    again.journal.close()
    assert verify(files).problems == ()


def test_a_record_without_state_keeps_the_state_before(files: Files) -> None:
    """A record's None leaves the writer's newest state as it was, in memory and on disk."""
    journal = opening(files).journal
    journal.append([record("a", 1, state="one"), record("a", 2)])
    journal.append([record("a", 3)])
    journal.close()

    again = opening(files).journal

    assert again.state("a") == {"s": "one"}
    assert again.last("a") == 3
    again.close()


def test_a_batch_is_whole_or_absent(files: Files) -> None:
    """A record that has no JSON form costs its whole batch, and the journal goes on as if it had not been."""
    journal = opening(files).journal
    bad = Record(writer="b", seq=1, entries=(Entry(kind="K", ts=1, body={"x": object()}),))

    with pytest.raises(UnfitRecord) as caught:
        journal.append([record("a", 1), bad])

    assert caught.value.record is bad
    assert journal.seq == 0
    journal.append([record("a", 1)])
    journal.close()
    assert rows(files) == [1]


def test_memory_and_file_journal_are_equal(files: Files, tmp_path: Path) -> None:
    """The same records give the same rows and the same chain, in memory, dumped and written directly."""
    journal = filled(files, 5)
    memory = MemoryJournal(installation=journal.installation)
    for n in range(1, 6):
        memory.append([record("pair:A/B", n, 3, f"a{n}"), record("pair:C/D", n, 2, "c" * 500)])
    journal.close()
    dumped = Files.beside(tmp_path / "dump.duckdb")
    memory.dump(dumped)

    assert memory.hash == journal.hash
    with opened(files.journal) as one, opened(dumped.journal) as two:
        assert list(read_rows(one)) == list(read_rows(two)) == memory.rows
    assert opening(dumped).journal.state("pair:A/B") == {"s": "a5"}


# ---------------------------------------------------------------- damage


def tear_wal(files: Files) -> None:
    wal = Path(f"{files.journal}-wal")
    os.truncate(wal, wal.stat().st_size - 5_000)


def zero_wal(files: Files) -> None:
    wal = Path(f"{files.journal}-wal")
    size = wal.stat().st_size
    with wal.open("r+b") as stream:
        stream.seek(size - 9_000)
        stream.write(bytes(9_000))


def zero_pages(files: Files) -> None:
    fold_wal(files)
    with files.journal.open("r+b") as stream:
        stream.seek(files.journal.stat().st_size - 8_192)
        stream.write(bytes(8_192))


def flip_byte(files: Files) -> None:
    fold_wal(files)
    data = files.journal.read_bytes()
    at = data.index(b'"n":1', len(data) // 2)
    files.journal.write_bytes(data[: at + 4] + b"7" + data[at + 5 :])


def cut_file(files: Files) -> None:
    fold_wal(files)
    os.truncate(files.journal, files.journal.stat().st_size - 8_192)


def wipe_header(files: Files) -> None:
    fold_wal(files)
    with files.journal.open("r+b") as stream:
        stream.write(bytes(100))


def delete(files: Files) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{files.journal}{suffix}").unlink(missing_ok=True)


def fold_wal(files: Files) -> None:
    with sqlite3.connect(files.journal) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()


DAMAGES: list[tuple[Callable[[Files], None], str, bool]] = [
    (tear_wal, "ends at entry", True),
    (zero_wal, "ends at entry", True),
    (zero_pages, "damaged|ends at", False),
    (flip_byte, "is damaged", True),
    (cut_file, "damaged|ends at", False),
    (wipe_header, "not a database", False),
    (delete, "is gone", False),
]


def killed(files: Files, tmp_path: Path) -> Files:
    """The files of a bot that was killed: the write-ahead log is there still."""
    journal = filled(files)
    copy = tmp_path / "killed"
    copy.mkdir()
    for path in tmp_path.glob("bot.*"):
        shutil.copy(path, copy / path.name)
    journal.close()
    return Files.beside(copy / "bot.duckdb")


@pytest.mark.parametrize(("damage", "words", "states_survive"), DAMAGES)
def test_damage_is_noticed_said_and_survived(
    files: Files, tmp_path: Path, damage: Callable[[Files], None], words: str, states_survive: bool
) -> None:
    """Each kind of damage is named in a sentence, the file is kept, whole rows and states live on."""
    files = killed(files, tmp_path)
    damage(files)

    found = opening(files)

    assert found.findings
    assert any(re.search(words, text) for text in found.findings)
    assert all(path.exists() for path in found.kept_as)
    assert bool(found.kept_as) is (damage is not delete)
    assert found.journal.seq > 200, "no number is ever used twice"
    assert found.journal.run == 2
    if states_survive:
        assert found.journal.state("pair:C/D") == {"s": "c" * 500}
    found.journal.append([record("pair:A/B", 41, 1, "later")])
    found.journal.close()
    after = verify(files)
    assert after.problems == ()
    assert after.known == found.findings
    again = opening(files)
    assert again.findings == ()
    assert again.journal.state("pair:A/B") == {"s": "later"}
    again.journal.close()


def test_a_flipped_byte_costs_its_own_row_only(files: Files, tmp_path: Path) -> None:
    """All rows but the damaged one live on in a closed segment, for the history to be rebuilt from."""
    files = killed(files, tmp_path)
    flip_byte(files)

    opening(files).journal.close()

    kept = rows(files)
    assert len([seq for seq in kept if seq <= 200]) == 199


def test_a_flipped_byte_in_a_hash_costs_nothing(files: Files, tmp_path: Path) -> None:
    """A damaged hash is told from a damaged row by the row after it, and put right."""
    files = killed(files, tmp_path)
    with sqlite3.connect(files.journal) as connection:
        connection.execute("UPDATE entries SET hash = zeroblob(32) WHERE seq = 77")
    connection.close()

    found = opening(files)

    assert "1 hashes were damaged" in found.findings[0]
    found.journal.close()
    assert [seq for seq in rows(files) if seq <= 200] == list(range(1, 201))
    assert verify(files).problems == ()


def test_a_deleted_row_is_noticed(files: Files) -> None:
    """A row that was taken out breaks the chain, and the audit says where."""
    filled(files).close()
    with sqlite3.connect(files.journal) as connection:
        connection.execute("DELETE FROM entries WHERE seq = 50")
    connection.close()

    assert "between 50 and 51" in verify(files).problems[0]


def test_a_damaged_state_falls_back_on_the_segment_before(files: Files) -> None:
    """A writer whose state is damaged gets the newest whole one, and it is said whose."""
    journal = filled(files, 3)
    journal.rotate()
    journal.append([record("pair:A/B", 4, 1, "newest")])
    journal.close()
    with sqlite3.connect(files.journal) as connection:
        connection.execute("UPDATE states SET state = '{}' WHERE writer = 'pair:A/B'")
    connection.close()

    found = opening(files)

    assert "states of pair:A/B" in found.findings[0]
    assert found.journal.state("pair:A/B") == {"s": "a3"}
    assert found.journal.last("pair:A/B") == 4
    found.journal.close()


def test_an_older_copy_is_noticed(files: Files, tmp_path: Path) -> None:
    """A journal restored from a backup lacks what was written since: the end noted aside says so."""
    journal = filled(files, 3)
    journal.close()
    backup = tmp_path / "backup"
    shutil.copy(files.journal, backup)
    journal = opening(files).journal
    journal.append([record("pair:A/B", 4)])
    journal.close()
    shutil.copy(backup, files.journal)

    found = opening(files)

    assert "ends at entry 15, but 16 were written" in found.findings[0]
    assert found.journal.run == 3, "a run's number is never used twice"
    found.journal.close()


def test_a_lost_note_of_the_end_is_no_damage(files: Files) -> None:
    """The note aside is a second witness only: without it the journal is what it is."""
    filled(files).close()
    files.tail.unlink()

    assert opening(files).findings == ()


def test_a_newer_format_is_refused(files: Files) -> None:
    """A journal of a newer version is refused with a sentence and left alone."""
    filled(files).close()
    with sqlite3.connect(files.journal) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'format'")
    connection.close()

    with pytest.raises(StorageError, match="newer version of Tradepit"):
        opening(files)

    assert files.journal.exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A path that cannot be written to is one sentence."""
    with pytest.raises(StorageError, match="cannot be opened"):
        opening(Files.beside(tmp_path / "nowhere" / "bot.duckdb"))


KILLED_WRITER = """
import sys
from pathlib import Path
from tests.actors.test_journal import opening, record, Files
journal = opening(Files.beside(Path(sys.argv[1]))).journal
n = journal.last("pair:A/B")
while True:
    n += 1
    journal.append([record("pair:A/B", n, 3, n)])
    print(n, flush=True)
"""


def test_kill_9_loses_nothing_acknowledged(files: Files) -> None:
    """A process killed in the midst of writing has on disk all it said it had."""
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED_WRITER, str(files.db)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        )
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(50)]
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().splitlines()
        process.wait()
        process.stdout.close()
        acknowledged = int((said + [line for line in rest if line])[-1])

        found = opening(files)

        assert found.findings == ()
        assert found.journal.last("pair:A/B") >= acknowledged
        assert found.journal.state("pair:A/B") == {"s": found.journal.last("pair:A/B")}
        found.journal.close()
    assert verify(files).problems == ()
