"""The notifier: what goes out, what is summed up, and what a broken file costs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from actors.notifier import BURST, BURST_MS, FILE_MAX, NotifierActor
from actors.sim import SimRuntime
from engine.messages import Kill, Message, Notify, TradingStateChanged
from engine.types import TradingState
from tests.actors.probes import Disk, MemoryPersistence

START = 1_767_225_600_000


def notice(event: str = "fill", text: str = "text", severity: str = "info") -> Notify:
    """A notice."""
    return Notify(ts=START, severity=severity, event=event, text=text)


class World:
    """A notifier beside a journal in memory, on virtual time."""

    def __init__(self, file: Path | None) -> None:
        self.disk = Disk()
        self.runtime = SimRuntime(1, start_ms=START)
        self.runtime.spawn("persistence", lambda ctx: MemoryPersistence(ctx, self.disk))
        self.runtime.spawn("notifier", lambda ctx: NotifierActor(ctx, file=file))
        self.runtime.settle()

    def tell(self, *messages: Message) -> None:
        """Tell the notifier, and let it work."""
        for message in messages:
            self.runtime.tell("notifier", message)
        self.runtime.settle()

    def recorded(self) -> list[dict[str, Any]]:
        """What the journal has of the notifier."""
        return self.disk.bodies("notifier")


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """The log's lines, `LEVEL message`, while the test runs."""
    caught: list[str] = []
    handler = logger.add(lambda m: caught.append(str(m).rstrip()), format="{level} {message}", level="TRACE")
    yield caught
    logger.remove(handler)


def test_a_notice_goes_to_log_file_and_journal(tmp_path: Path, lines: list[str]) -> None:
    """Each notice is a log line of its severity, a JSON line of the file, and an operational entry."""
    world = World(tmp_path / "x.notices.jsonl")
    world.tell(notice(text="bought"), notice(text="on fire", severity="alarm"))

    written = [json.loads(line) for line in (tmp_path / "x.notices.jsonl").read_text().splitlines()]
    assert ["bought", "on fire"] == [w["text"] for w in written]
    assert ["INFO bought", "CRITICAL on fire"] == [line for line in lines if "bought" in line or "fire" in line]
    assert [("bought", "sent"), ("on fire", "sent")] == [(b["text"], b["outcome"]) for b in world.recorded()]
    assert {"ops"} == {entry.stream for _, entry in world.disk.entries}


def test_a_burst_is_summed_up(tmp_path: Path) -> None:
    """Past its number within a minute an event's notices become one summary; other events go on."""
    world = World(tmp_path / "n")
    world.tell(*(notice(text=f"number {n}") for n in range(BURST + 30)), notice("other"))
    before = [b["text"] for b in world.recorded()]
    world.runtime.run(BURST_MS + 1)
    (summary,) = world.recorded()[len(before) :]
    world.tell(notice(text="later"))

    assert BURST + 1 == len(before)
    assert f"30 more of fill within a minute, the last: number {BURST + 29}" == summary["text"]
    assert "summary" == summary["outcome"]
    assert "later" == world.recorded()[-1]["text"]


def test_too_many_names_share_one_count() -> None:
    """A flood under ever new names is held back too."""
    world = World(None)
    world.tell(*(notice(f"event {n}") for n in range(1_000)))

    assert len(world.recorded()) <= 300


def test_a_turn_of_the_kill_switch_becomes_a_notice() -> None:
    """What the portfolio tells everybody is told the user, too."""
    world = World(None)
    world.tell(TradingStateChanged(state=TradingState.EXITS_ONLY, reason="drawdown"))

    said = {b["event"]: (b["severity"], b["text"]) for b in world.recorded()}
    assert ("warning", "trading is EXITS_ONLY now: drawdown") == said["trading_state"]


def test_a_file_that_cannot_be_written_costs_only_the_file(tmp_path: Path, lines: list[str]) -> None:
    """The notice is in log and journal, where it says so; the log complains once, not each time."""
    world = World(tmp_path)  # a folder cannot be appended to
    world.tell(notice(text="one"), notice(text="two"))

    assert ["sent, not in the file"] * 2 == [b["outcome"] for b in world.recorded()]
    assert 1 == sum("cannot be written" in line for line in lines)


def test_the_file_stays_bounded(tmp_path: Path) -> None:
    """At its limit the file becomes the older one, and a new one is begun."""
    file = tmp_path / "n"
    file.write_bytes(b"x" * FILE_MAX)
    world = World(file)
    world.tell(notice(text="one"), notice(text="two"))

    assert "one" in (tmp_path / "n.1").read_text()
    assert ["two"] == [json.loads(line)["text"] for line in file.read_text().splitlines()]


def test_records_go_on_after_a_crash(tmp_path: Path) -> None:
    """A new incarnation goes on with its numbers: nothing is written twice or refused."""
    world = World(tmp_path / "n")
    world.tell(notice(text="one"))
    world.tell(Kill())
    world.runtime.spawn("notifier", lambda ctx: NotifierActor(ctx, file=tmp_path / "n"))
    world.runtime.settle()
    world.tell(notice(text="two"))

    assert ["one", "two"] == [b["text"] for b in world.recorded()]
