"""The journal and the history damaged while no bot runs: noticed, said, recovered from, nothing doubled."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from actors.files import Files
from tests.bots import Bot, Failed, ask
from tests.showing.common import ENTRIES, JUDGED, audited, busy, last_seq

SPEED = 60.0


def _torn(files: Files) -> None:
    """The last eighth of the journal's file is gone."""
    _checkpoint(files)
    os.truncate(files.journal, files.journal.stat().st_size * 7 // 8 // 4096 * 4096)


def _zeroed(files: Files) -> None:
    """The last eighth is zeros, as after a power cut on some file systems."""
    _checkpoint(files)
    size = files.journal.stat().st_size
    with files.journal.open("r+b") as stream:
        stream.seek(size * 7 // 8)
        stream.write(b"\0" * (size - size * 7 // 8))


def _flipped(files: Files) -> None:
    """One byte in the middle is another."""
    _checkpoint(files)
    with closing(sqlite3.connect(files.journal)) as db:
        (last,) = db.execute("SELECT max(seq) FROM entries").fetchone()
        middle = last * 2 // 3
        db.execute("UPDATE entries SET body = replace(body, 'a', 'b') WHERE seq = ?", (middle,))
        db.commit()
    _checkpoint(files)


def _deleted(files: Files) -> None:
    """There is no journal any more."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{files.journal}{suffix}").unlink(missing_ok=True)


def _history_gone(files: Files) -> None:
    """The history was deleted."""
    files.db.unlink()
    Path(f"{files.db}.wal").unlink(missing_ok=True)


def _checkpoint(files: Files) -> None:
    with closing(sqlite3.connect(files.journal)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


HARMS: dict[str, Callable[[Files], None]] = {
    "torn tail": _torn,
    "zeroed tail": _zeroed,
    "flipped byte": _flipped,
    "history deleted": _history_gone,
    "journal deleted": _deleted,
}


def show(folder: Path, *, quick: bool) -> str:
    """Each kind of damage after a kill -9 with trades open, then a run that must say so and agree."""
    pairs = 40 if quick else 100
    shown = []
    for name, harm in HARMS.items():
        own = folder / name.replace(" ", "-")
        own.mkdir()
        bot = Bot(own, busy(pairs, SPEED, parameters={"every": 20}))
        bot.start()
        bot.wait_for("orders", ENTRIES, 40, 120)
        bot.kill()
        mark = last_seq(bot.files)
        harm(bot.files)
        before = len(ask(bot.files.venue, "SELECT 1 FROM orders", default=()))
        with bot:
            bot.wait_for(f"candles after: {name}", f"{JUDGED} AND seq > {mark}", 3, 90)
            audited(bot.files, f"beside the run after: {name}")
        report = audited(bot.files, f"after: {name}")
        said = [line for line in bot.log().splitlines() if "WARNING" in line or "journal" in line.lower()]
        journal = name != "history deleted"
        if journal and not any("damage" in note.lower() or "lost" in note.lower() for note in report["notes"]):
            raise Failed(f"{name}: the audit does not mention it: {report['notes']}")
        if not said:
            raise Failed(f"{name}: the log says nothing")
        shown.append(f"{name} ({before} orders before, {report['orders']} known after)")
    return f"{'; '.join(shown)}: each said, each audit clean"
