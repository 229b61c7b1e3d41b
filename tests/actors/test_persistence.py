"""The persistence actor: what it acknowledges is on disk, and what it must not write it refuses."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest

from actors.base import Context, EngineActor, Outbox
from actors.disk import MIB, DiskWatch, Room
from actors.files import Files
from actors.journal import FileJournal, Journal, MemoryJournal
from actors.opening import open_journal
from actors.persistence import PersistenceActor
from actors.sim import SimRuntime
from actors.supervisor import ChildSpec, RootActor
from engine.messages import (
    BalancesChanged,
    Entry,
    EpochAnnounced,
    Kill,
    LoadState,
    Message,
    Notify,
    Plain,
    Record,
    Recorded,
    RecordRefused,
    SetTradingState,
    Shutdown,
    ShutdownDone,
    StateLoaded,
    TimerFired,
)
from engine.types import TradingState


class Witness(EngineActor):
    """Hears what is told to writers, the portfolio, the notifier and the root."""

    def __init__(self, ctx: Context, heard: list[Message]) -> None:
        super().__init__(ctx)
        self.heard = heard

    def receive(self, message: Message) -> None:
        """Keep it."""
        self.heard.append(message)


class FakeHistory:
    """A history process that dies once, and when asked to stop has what it must have, and is gone `takes_s` later."""

    def __init__(self, takes_s: float = 0.0) -> None:
        self.starts = 1
        self.stopping = False
        self.takes_s = takes_s
        self.applied = 0
        self.asked_at = self.polled_at = 0.0
        self.news = ["The history process was ended by SIGKILL; it is started again."]

    def poll(self, monotonic: float) -> Sequence[str]:
        """What has happened."""
        self.polled_at = monotonic
        news, self.news = self.news, []
        return news

    def begin_stop(self, seq: int) -> None:
        """Remember it, and the first time since when."""
        if not self.stopping:
            self.asked_at = self.polled_at
        self.stopping, self.applied = True, seq

    @property
    def stopped(self) -> bool:
        """When its time is over."""
        return self.stopping and self.polled_at >= self.asked_at + self.takes_s

    def kill(self) -> None:
        """Nothing is there."""

    def status(self) -> Mapping[str, Plain]:
        """Its figures."""
        return {"pid": 1}


class Stage:
    """A simulated runtime with a persistence actor and those it talks to."""

    def __init__(
        self, journal: Journal, disk: DiskWatch | None = None, history: FakeHistory | None = None, seed: int = 1
    ) -> None:
        self.runtime = SimRuntime(seed)
        self.journal = journal
        self.heard: dict[str, list[Message]] = {}
        for name in ("root", "portfolio", "notifier", "a", "b", "c"):
            heard = self.heard[name] = []
            self.runtime.spawn(name, partial(Witness, heard=heard))
        self.factory = partial(PersistenceActor, journal=journal, disk=disk, history=history)
        self.runtime.spawn("persistence", self.factory)
        self.runtime.settle()

    def tell(self, *messages: Message) -> None:
        for message in messages:
            self.runtime.tell("persistence", message)
        self.runtime.settle()

    def told(self, name: str, kind: type[Message]) -> list[Message]:
        return [message for message in self.heard[name] if isinstance(message, kind)]


def record(writer: str, seq: int, *, grant: int | None = None, state: Mapping[str, Plain] | None = None) -> Record:
    entry = Entry(kind="OrderIntended", ts=seq, body={"n": seq})
    return Record(writer=writer, seq=seq, entries=(entry,), state=state, grant_epoch=grant)


def kinds(journal: MemoryJournal) -> list[str]:
    return [row[7] for row in journal.rows]


def test_acknowledged_is_written() -> None:
    """A writer hears of its newest number once its records are in the journal."""
    stage = Stage(MemoryJournal())

    stage.tell(record("a", 1), record("a", 2), record("b", 1))

    assert stage.heard["a"][-1] == Recorded(seq=2)
    assert stage.told("b", Recorded) == [Recorded(seq=1)]
    assert stage.journal.seq == 3


def test_repetitions_are_written_once() -> None:
    """A record that comes again is acknowledged again, and is in the journal once."""
    stage = Stage(MemoryJournal())

    stage.tell(record("a", 1), record("a", 1))
    stage.tell(record("a", 1))

    assert stage.journal.seq == 1
    assert stage.heard["a"][-1] == Recorded(seq=1)


def test_a_record_without_its_predecessor_waits() -> None:
    """A lost record is not skipped: the ones behind it are not written before it came again."""
    stage = Stage(MemoryJournal())

    stage.tell(record("a", 2))
    assert stage.heard["a"] == []
    stage.tell(record("a", 1), record("a", 2))

    assert stage.heard["a"][-1] == Recorded(seq=2)
    assert stage.journal.seq == 2


def test_states_are_loaded() -> None:
    """A writer gets its newest state and number, also when they are still in the same mailbox."""
    stage = Stage(MemoryJournal())

    stage.tell(record("a", 1, state={"x": 1}), record("a", 2, state={"x": 2}), LoadState(writer="a"))
    stage.tell(LoadState(writer="b"))

    assert stage.told("a", StateLoaded) == [StateLoaded(writer="a", state={"x": 2}, seq=2)]
    assert stage.told("b", StateLoaded) == [StateLoaded(writer="b", state=None, seq=0)]


def test_grants_of_an_old_portfolio_are_refused() -> None:
    """After a new portfolio was announced, no grant of the one before is spent, whoever is slow."""
    stage = Stage(MemoryJournal())
    stage.tell(record("a", 1, grant=1))
    stage.tell(EpochAnnounced(name="portfolio", epoch=2))

    stage.tell(record("a", 2, grant=1), record("a", 3), record("b", 1, grant=2))

    refused = stage.told("a", RecordRefused)
    assert [(m.seq, m.code, m.retryable) for m in refused if isinstance(m, RecordRefused)] == [(2, "OLD_GRANT", False)]
    assert stage.journal.last("a") == 1
    assert stage.journal.last("b") == 1


def test_a_new_incarnation_still_refuses_old_grants() -> None:
    """The portfolio's epoch outlives a crash of the persistence actor."""
    stage = Stage(MemoryJournal())
    stage.tell(EpochAnnounced(name="portfolio", epoch=2))
    stage.tell(Kill())
    stage.runtime.spawn("persistence", stage.factory)
    stage.runtime.settle()

    stage.tell(record("a", 1, grant=1))

    assert stage.told("a", RecordRefused)


def test_what_cannot_be_written_costs_its_writer_only() -> None:
    """A record without JSON form is refused with the reason; the others of its batch are written."""
    stage = Stage(MemoryJournal())
    bad = Record(writer="a", seq=2, entries=(Entry(kind="K", ts=1, body={"x": object()}),))

    stage.tell(record("a", 1), bad, record("b", 1))

    assert [m.code for m in stage.told("a", RecordRefused) if isinstance(m, RecordRefused)] == ["UNFIT"]
    assert stage.journal.last("a") == 1
    assert stage.journal.last("b") == 1


def test_balances_are_recorded() -> None:
    """What the gateway tells is in the journal's operational stream."""
    journal = MemoryJournal()
    stage = Stage(journal)

    stage.tell(BalancesChanged(ts=2, balances=()))

    assert kinds(journal) == ["BalancesChanged"]
    assert {row[6] for row in journal.rows} == {"ops"}


def test_equal_seeds_give_equal_journals() -> None:
    """The journal of a simulated run is a function of its seed, byte for byte."""

    def run(seed: int) -> bytes:
        journal = MemoryJournal()
        stage = Stage(journal, seed=seed)
        stage.tell(*(record(w, n, state={"n": n}) for n in range(1, 20) for w in ("a", "b", "c")))
        return journal.text()

    assert run(7) == run(7)


# ---------------------------------------------------------------- the disk


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files.beside(tmp_path / "bot.duckdb")


def test_scarce_room_stops_entries_only(files: Files) -> None:
    """Below the reserve entries are refused and the portfolio is told; exits go on; with room it recovers."""
    free = [1_000 * MIB]
    disk = DiskWatch(files.reserve, reserve_mb=256, free=lambda: free[0])
    stage = Stage(MemoryJournal(), disk)
    assert files.reserve.stat().st_size == 16 * MIB

    free[0] = 100 * MIB
    stage.runtime.run(2_000)
    stage.tell(record("a", 1, grant=1), record("b", 1))

    assert [m.code for m in stage.told("a", RecordRefused) if isinstance(m, RecordRefused)] == ["DISK_FULL"]
    assert stage.told("b", Recorded) == [Recorded(seq=1)]
    free[0] = 1_000 * MIB
    stage.runtime.run(2_000)
    stage.tell(record("a", 1, grant=1))
    assert stage.told("a", Recorded) == [Recorded(seq=1)]
    states = [m for m in stage.told("portfolio", SetTradingState) if isinstance(m, SetTradingState)]
    assert [(m.state, m.source) for m in states] == [
        (TradingState.EXITS_ONLY, "disk"),
        (TradingState.ACTIVE, "disk"),
    ]
    assert len(stage.told("notifier", Notify)) == 2


def limit_pages(journal: FileJournal, more: int) -> None:
    """Make SQLite itself say that the disk is full after so many pages."""
    connection: sqlite3.Connection = journal._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + more}")


def test_a_full_disk_gives_the_ballast_back(files: Files) -> None:
    """When SQLite meets the end of the disk, the ballast goes, entries are refused, nothing is lost."""
    journal = open_journal(files, now=1).journal
    disk = DiskWatch(files.reserve, reserve_mb=256, free=lambda: 1_000 * MIB)
    stage = Stage(journal, disk)
    limit_pages(journal, 0)
    big: dict[str, Plain] = {"x": "y" * 50_000}

    stage.tell(record("a", 1, grant=1, state=big), record("b", 1, state=big))

    assert not files.reserve.exists()
    assert disk.room is Room.NONE
    assert stage.told("a", Recorded) == stage.told("b", Recorded) == []
    assert stage.told("portfolio", SetTradingState)
    limit_pages(journal, 10_000)
    stage.runtime.run(1_000)
    assert stage.told("b", Recorded) == [Recorded(seq=1)]
    assert stage.told("a", RecordRefused)
    journal.close()
    assert open_journal(files, now=1).findings == ()


def test_an_unwritable_journal_acknowledges_nothing(files: Files) -> None:
    """While another holds the file locked nobody is acknowledged; then everything is, in order."""
    journal = open_journal(files, now=1).journal
    journal._connection.execute("PRAGMA busy_timeout = 10")
    stage = Stage(journal)
    intruder = sqlite3.connect(files.journal, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")

    stage.tell(record("a", 1), record("b", 1))
    stage.tell(record("a", 2))

    assert stage.told("a", Recorded) == []
    alarms = [m.severity for m in stage.told("notifier", Notify) if isinstance(m, Notify)]
    assert alarms == ["alarm"]
    intruder.execute("ROLLBACK")
    intruder.close()
    stage.runtime.run(1_000)
    assert stage.heard["a"][-1] == Recorded(seq=2)
    assert stage.told("b", Recorded) == [Recorded(seq=1)]
    journal.close()


# ---------------------------------------------------------------- the history process


def test_restarts_of_the_history_are_recorded() -> None:
    """What becomes of the history process is told as an operational event."""
    journal = MemoryJournal()
    stage = Stage(journal, history=FakeHistory())

    stage.runtime.run(1_000)

    assert kinds(journal) == ["ActorRestarted"]
    assert "SIGKILL" in journal.rows[0][8]


def test_shutdown_waits_for_the_history() -> None:
    """An orderly end is reported once everything is written and the history has caught up."""
    history = FakeHistory()
    stage = Stage(MemoryJournal(), history=history)

    stage.tell(record("a", 1), Shutdown(reply_to="root"))
    stage.runtime.run(100)

    assert history.stopping
    assert stage.told("root", ShutdownDone) == [ShutdownDone(name="persistence")]
    assert stage.journal.last("a") == 1


class Talker(EngineActor):
    """Records something every 50 ms for as long as it lives, and once more at its end."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.outbox = Outbox(self)

    def on_start(self) -> None:
        """Begin."""
        self.outbox.load()
        self.start_timer("talk", 50)

    def on_state_loaded(self, message: StateLoaded) -> None:
        """Go on from there."""
        self.outbox.on_state_loaded(message)

    def on_timer_fired(self, message: TimerFired) -> None:
        """Say something."""
        self.start_timer("talk", 50)
        self.on_stop()

    def on_stop(self) -> None:
        """The last word."""
        self.outbox.record([Entry(kind="Said", ts=self.now(), body={})])


@pytest.mark.parametrize("seed", range(5))
def test_the_history_ends_where_the_journal_ends(seed: int) -> None:
    """Whatever the others record while the end is on its way, the history is asked for last, when all is said."""
    sim, journal, history = SimRuntime(seed), MemoryJournal(), FakeHistory(takes_s=1.0)
    specs = [
        ChildSpec("persistence", partial(PersistenceActor, journal=journal, history=history), shared=True),
        ChildSpec("talker", Talker),
    ]
    sim.spawn("root", lambda ctx: RootActor(ctx, specs))
    sim.run(1_000)

    sim.tell("root", Shutdown(reply_to=""))
    sim.run(20_000)

    assert sim.exit_request is not None
    assert "ended in order" == sim.exit_request.reason
    assert journal.last("talker") > 15
    assert journal.seq == history.applied
