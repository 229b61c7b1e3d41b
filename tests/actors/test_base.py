"""Handlers, timers and the outbox: what every actor has, tried on the simulation."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest

from actors.base import Context, EngineActor, Outbox
from actors.sim import Faults, SimRuntime
from engine.messages import (
    ChildExited,
    ControlAnswered,
    Entry,
    EpochAnnounced,
    Kill,
    LoadState,
    Message,
    Record,
    Recorded,
    RecordRefused,
    ReportStatus,
    Shutdown,
    ShutdownDone,
    StateLoaded,
    TimerFired,
)
from tests.actors.probes import Disk, MemoryPersistence, Probe, Seen, probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Poke(Message):
    """A test's message."""

    text: str = ""


class Greeter(EngineActor):
    """Has one handler, and takes down what its hooks see."""

    def __init__(self, ctx: Context, seen: Seen) -> None:
        super().__init__(ctx)
        self.seen = seen

    def on_poke(self, message: Poke) -> None:
        """Start, restart or cancel a timer; the text says which."""
        what, _, name = message.text.partition(" ")
        if what == "start":
            self.start_timer(name, 1_000)
        elif what == "cancel":
            self.cancel_timer(name)
        self.seen.add(message)

    def on_timer_fired(self, message: TimerFired) -> None:
        """Keep it."""
        self.seen.add(message)

    def on_batch_end(self) -> None:
        """Leave a mark."""
        self.seen.add(Poke(text="batch end"))


def greeter() -> tuple[SimRuntime, Seen]:
    """A simulation with a `Greeter` under the watch of a probe."""
    sim, seen = SimRuntime(1), Seen()
    sim.spawn("root", probe(seen))
    sim.spawn("greeter", lambda ctx: Greeter(ctx, seen))
    return sim, seen


def test_a_message_without_a_handler_is_a_crash() -> None:
    """An unknown message ends the actor, and the reason names both."""
    sim, seen = greeter()

    sim.tell("greeter", Recorded(seq=1))
    sim.tell("greeter", StateLoaded(writer="greeter", state=None, seq=0))
    sim.settle()

    (exited,) = seen.of(ChildExited)
    assert exited.reason == "UnknownMessage: Greeter has no handler for StateLoaded"


def test_a_handler_of_no_message_is_refused_with_the_class() -> None:
    """A misspelt handler's name is found when the class is made, not when the message is missed."""
    with pytest.raises(TypeError, match=r"on_no_such_thing: there is no message class"):
        type("Misspelt", (EngineActor,), {"on_no_such_thing": lambda _self, _message: None})


def test_a_timer_fires_once_and_a_restarted_one_later() -> None:
    """Starting a running timer replaces it; it fires once, at the later time."""
    sim, seen = greeter()

    sim.tell("greeter", Poke(text="start alarm"))
    sim.run(for_ms=600)
    sim.tell("greeter", Poke(text="start alarm"))
    sim.run(for_ms=999)
    assert seen.of(TimerFired) == []
    sim.run(for_ms=5_000)

    assert [fired.name for fired in seen.of(TimerFired)] == ["alarm"]


def test_a_cancelled_timer_does_not_fire_even_from_the_mailbox() -> None:
    """A cancellation counts although the timer's message is already waiting behind it."""
    sim, seen = greeter()

    sim.tell("greeter", Poke(text="start alarm"))
    sim.settle()
    sim.tell("greeter", Poke(text="cancel alarm"))
    sim.tell("greeter", TimerFired(name="alarm", token=1))
    sim.run(for_ms=5_000)

    assert seen.of(TimerFired) == []


def test_a_timer_of_an_earlier_incarnation_never_reaches_the_next() -> None:
    """What a crashed actor had timed is over with it."""
    sim, seen = greeter()

    sim.tell("greeter", Poke(text="start alarm"))
    sim.settle()
    sim.kill("greeter")
    assert sim.spawn("greeter", lambda ctx: Greeter(ctx, seen)) == 2
    sim.run(for_ms=5_000)

    assert seen.of(TimerFired) == []


def test_batch_end_comes_when_the_mailbox_is_empty() -> None:
    """The hook is called once for all messages that were waiting, after the last of them."""
    sim, seen = greeter()

    for text in ("1", "2", "3"):
        sim.tell("greeter", Poke(text=text))
    sim.settle()

    assert [poke.text for poke in seen.of(Poke)] == ["1", "2", "3", "batch end"]


def test_every_actor_answers_shutdown_and_status_and_dies_of_kill() -> None:
    """The messages that all actors get have a handler in the base."""
    sim, seen = greeter()

    sim.tell("greeter", Shutdown(reply_to="root"))
    sim.tell("greeter", ReportStatus(request_id="7", reply_to="root"))
    sim.tell("greeter", EpochAnnounced(name="gateway", epoch=2))
    sim.tell("greeter", Kill(reason="drill"))
    sim.settle()

    assert [ShutdownDone(name="greeter")] == seen.of(ShutdownDone)
    (answer,) = seen.of(ControlAnswered)
    assert answer.data == {"actor": "greeter", "epoch": 1}
    assert [exited.reason for exited in seen.of(ChildExited)] == ["Killed: drill"]


class Writer(EngineActor):
    """Records the text of every `Poke`."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.outbox = Outbox(self)

    def on_start(self) -> None:
        """Ask where the records go on."""
        self.outbox.load()

    def on_poke(self, message: Poke) -> None:
        """Record it."""
        self.outbox.record([Entry(kind="Poked", ts=self.now(), body={"text": message.text})], {"last": message.text})

    def on_state_loaded(self, message: StateLoaded) -> None:
        """Go on from there."""
        self.outbox.on_state_loaded(message)

    def on_record_refused(self, message: RecordRefused) -> None:
        """Take it back."""
        self.outbox.on_record_refused(message)

    def status(self) -> dict[str, int]:
        """How many records wait for an answer."""
        return {"waiting": len(self.outbox)}


def texts(disk: Disk) -> list[object]:
    """What the writer has got onto the disk."""
    return [body["text"] for body in disk.bodies("writer")]


def test_records_reach_the_disk_over_a_restart_of_persistence() -> None:
    """What persistence held in its mailbox when it crashed is sent again to the next one, in order, once."""
    sim, disk = SimRuntime(3), Disk()
    sim.spawn("root", probe(Seen()))
    sim.spawn("persistence", lambda ctx: MemoryPersistence(ctx, disk))
    sim.spawn("writer", Writer)
    sim.tell("writer", Poke(text="a"))
    sim.settle()

    sim.kill("persistence")
    for text in "bcd":
        sim.tell("writer", Poke(text=text))
    sim.settle()
    assert texts(disk) == ["a"]
    epoch = sim.spawn("persistence", lambda ctx: MemoryPersistence(ctx, disk))
    sim.tell("writer", EpochAnnounced(name="persistence", epoch=epoch))
    sim.settle()

    assert list("abcd") == texts(disk)
    assert disk.states["writer"] == (4, {"last": "d"})


def test_an_answer_that_never_comes_is_asked_for_by_the_timer() -> None:
    """Without any announcement, records are sent again, at last every 16 seconds."""
    sim, disk = SimRuntime(3), Disk()
    sim.spawn("root", probe(Seen()))
    sim.spawn("writer", Writer)
    sim.tell("writer", Poke(text="a"))
    sim.run(for_ms=100_000)

    sim.spawn("persistence", lambda ctx: MemoryPersistence(ctx, disk))
    sim.run(for_ms=16_000)

    assert texts(disk) == ["a"]


class SlowLine:
    """The writer's line to persistence takes `delay_ms`; persistence answers at once."""

    def __init__(self, delay_ms: int) -> None:
        self.delay_ms = delay_ms
        self.records = 0

    def __call__(self, rng: Random, sender: str, to: str, message: Message) -> tuple[int, ...]:
        self.records += isinstance(message, Record)
        return (self.delay_ms if to == "persistence" else 0,)


def test_a_slow_line_is_not_filled_with_repetitions() -> None:
    """Where each answer takes 20 s, a record is sent four times at most, and arrives once."""
    line, disk = SlowLine(20_000), Disk()
    sim = SimRuntime(3, faults=line)
    sim.spawn("root", probe(Seen()))
    sim.spawn("persistence", lambda ctx: MemoryPersistence(ctx, disk))
    sim.spawn("writer", Writer)
    sim.run(for_ms=30_000)
    expected = [str(number) for number in range(60)]
    for text in expected:
        sim.tell("writer", Poke(text=text))
    sim.run(for_ms=60_000)

    assert texts(disk) == expected
    assert line.records <= 4 * len(expected)


def test_a_new_persistence_actor_is_told_at_once_however_long_the_wait_has_become() -> None:
    """After a long silence all is sent with its announcement, and lost once more, again after two seconds."""
    sim, disk = SimRuntime(3), Disk()
    sim.spawn("root", probe(Seen()))
    first = sim.spawn("persistence", lambda ctx: MemoryPersistence(ctx, disk))
    sim.spawn("writer", Writer)
    sim.settle()
    sim.kill("persistence")
    for text in "abc":
        sim.tell("writer", Poke(text=text))
    sim.run(for_ms=100_000)

    sent = sim.stats().dead_letters_to["persistence"]
    sim.tell("writer", EpochAnnounced(name="persistence", epoch=first + 1))
    sim.settle()
    assert sent + 3 == sim.stats().dead_letters_to["persistence"]
    sim.spawn("persistence", lambda ctx: MemoryPersistence(ctx, disk))
    sim.run(for_ms=2_000)

    assert texts(disk) == list("abc")


@pytest.mark.parametrize("seed", range(8))
def test_a_lossy_line_loses_no_record_and_doubles_none(seed: int) -> None:
    """With a third of all messages lost, doubled or late, the disk holds every record once and in order."""
    sim, disk = SimRuntime(seed, faults=Faults(drop=0.15, duplicate=0.1, delay=0.2, delay_max_ms=3_000)), Disk()
    sim.spawn("root", probe(Seen()))
    sim.spawn("persistence", lambda ctx: MemoryPersistence(ctx, disk))
    sim.spawn("writer", Writer)
    expected = [str(number) for number in range(30)]
    for text in expected:
        sim.tell("writer", Poke(text=text))
        sim.run(for_ms=300)

    assert sim.run_until(lambda: texts(disk) == expected, limit_ms=600_000), texts(disk)


def test_a_restarted_writer_goes_on_from_its_last_number() -> None:
    """The numbers of a new incarnation follow those on the disk, so nothing of it is taken for a repetition."""
    sim, disk = SimRuntime(3), Disk()
    sim.spawn("root", probe(Seen()))
    sim.spawn("persistence", lambda ctx: MemoryPersistence(ctx, disk))
    sim.spawn("writer", Writer)
    sim.tell("writer", Poke(text="a"))
    sim.settle()

    sim.kill("writer")
    sim.spawn("writer", Writer)
    sim.tell("writer", Poke(text="b"))
    sim.settle()

    assert texts(disk) == ["a", "b"]


def test_a_refused_record_leaves_its_number_to_an_empty_one() -> None:
    """A record refused for good is replaced, so those behind it are not held up; a retryable one stays."""
    sim, journal = SimRuntime(3), Seen()
    sim.spawn("root", probe(Seen()))
    sim.spawn("persistence", lambda ctx: Probe(ctx, journal))
    sim.spawn("writer", Writer)
    sim.settle()
    sim.tell("writer", StateLoaded(writer="writer", state=None, seq=4))
    sim.tell("writer", Poke(text="a"))
    sim.tell("writer", Poke(text="b"))
    sim.settle()

    sim.tell("writer", RecordRefused(seq=5, code="OLD_GRANT", detail=""))
    sim.tell("writer", RecordRefused(seq=6, code="DISK_FULL", detail="", retryable=True))
    sim.settle()

    assert [LoadState(writer="writer")] == journal.of(LoadState)
    sent = [(record.seq, len(record.entries)) for record in journal.of(Record)]
    assert sent == [(5, 1), (6, 1), (5, 0), (6, 1)]
