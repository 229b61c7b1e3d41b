"""A journal's segments: closed when they have grown, and continued by the next, whatever happens in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.files import Files
from actors.inspection import verify
from actors.segment import opened
from engine.messages import Entry, Record
from tests.actors.test_journal import filled, opening, record, rows


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files.beside(tmp_path / "bot.duckdb")


def test_segments_rotate_and_chain_on(files: Files) -> None:
    """A segment that is large enough is closed; the next one begins with all states and the chain goes on."""
    journal = opening(files, segment_mb=1).journal
    big = Record(writer="a", seq=1, entries=(Entry(kind="K", ts=1, body={"x": "y" * 400_000}),), state={"s": 1})
    for n in range(1, 8):
        journal.append([Record(writer="a", seq=n, entries=big.entries, state={"s": n})])
    journal.close()

    assert len(files.segments()) == 2
    assert rows(files) == [1, 2, 3, 4, 5, 6, 7]
    assert verify(files).problems == ()
    again = opening(files, segment_mb=1)
    assert again.findings == ()
    assert again.journal.state("a") == {"s": 7}
    again.journal.close()


def test_a_reader_postpones_the_rotation(files: Files) -> None:
    """A segment that somebody reads is not taken away from under him: the rotation comes later."""
    journal = filled(files, 3)
    with opened(files.journal) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM entries").fetchone()
        assert journal.rotate() is False
    journal.append([record("pair:A/B", 4)])

    assert journal.rotate() is True
    journal.append([record("pair:A/B", 5)])
    journal.close()
    assert rows(files) == list(range(1, 18))


@pytest.mark.parametrize("moment", ["before the first rename", "between the renames"])
def test_a_crash_within_a_rotation_is_put_right(files: Files, moment: str) -> None:
    """Whatever a rotation had done when the process died, the next opening goes on with everything."""
    journal = filled(files, 3)
    journal.rotate()
    journal.close()
    if moment == "between the renames":
        files.journal.rename(f"{files.journal}.new")
    else:
        files.journal.rename(f"{files.journal}.new")
        files.segment(1).rename(files.journal)

    again = opening(files)

    assert again.findings == ()
    assert again.journal.seq == 15
    assert again.journal.state("pair:A/B") == {"s": "a3"}
    again.journal.close()
    assert verify(files).problems == ()
