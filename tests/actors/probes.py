"""Actors for tests: one that keeps what it is told, one that does it, and a journal in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from actors.base import Context, EngineActor, Factory
from engine.messages import Entry, LoadState, Message, Plain, Record, Recorded, StateLoaded, TimerFired

M = TypeVar("M", bound=Message)


class Seen:
    """What a probe was told, in order; outlives the probe and may be waited for from any thread."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._changed = threading.Condition()

    def add(self, message: Message) -> None:
        """Take down a message."""
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def of(self, kind: type[M]) -> list[M]:
        """Those of one class."""
        return [message for message in list(self.messages) if isinstance(message, kind)]

    def wait(self, kind: type[M], count: int = 1, timeout_s: float = 60.0) -> list[M]:
        """Wait until `count` of one class are there; fails the test when they don't come."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.of(kind)) >= count, timeout_s)
        assert came, f"{count} of {kind.__name__} expected, seen: {self.messages}"
        return self.of(kind)


class Probe(EngineActor):
    """Takes down every message, whatever its class."""

    def __init__(self, ctx: Context, seen: Seen) -> None:
        super().__init__(ctx)
        self.seen = seen

    def receive(self, message: Message) -> None:
        """Keep it."""
        self.seen.add(message)


def probe(seen: Seen) -> Factory:
    """A factory of probes that fill `seen`."""
    return lambda ctx: Probe(ctx, seen)


class Disk:
    """What outlives a `MemoryPersistence`."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Entry]] = []
        self.states: dict[str, tuple[int, Any]] = {}

    def bodies(self, writer: str) -> list[dict[str, Plain]]:
        """The bodies of a writer's entries, in order."""
        return [dict(entry.body) for name, entry in self.entries if name == writer]


class MemoryPersistence(EngineActor):
    """The journal's protocol, strictly: numbers without a gap, repetitions answered and not written again."""

    def __init__(self, ctx: Context, disk: Disk) -> None:
        super().__init__(ctx)
        self.disk = disk

    def on_load_state(self, message: LoadState) -> None:
        """Answer with the writer's newest state and number."""
        seq, state = self.disk.states.get(message.writer, (0, None))
        self.tell(message.writer, StateLoaded(writer=message.writer, state=state, seq=seq))

    def on_record(self, message: Record) -> None:
        """Write the next record, answer any with the newest number."""
        seq, state = self.disk.states.get(message.writer, (0, None))
        if message.seq == seq + 1:
            seq = message.seq
            self.disk.entries += [(message.writer, entry) for entry in message.entries]
            self.disk.states[message.writer] = (seq, state if message.state is None else message.state)
        self.tell(message.writer, Recorded(seq=seq))


Job = Callable[[EngineActor], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Do(Message):
    """A test's message: call this with the actor, in its thread. Only tests tell functions."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Message):
    """A test's message: the `n`-th of `sender`."""

    sender: str
    n: int


class Worker(EngineActor):
    """Does what it is told; its hooks too are a test's to choose."""

    def __init__(
        self, ctx: Context, seen: Seen, start: Job | None = None, stop: Job | None = None, release: Job | None = None
    ) -> None:
        super().__init__(ctx)
        self.seen = seen
        self._jobs = (start, stop, release)

    def _do(self, job: Job | None) -> None:
        if job is not None:
            job(self)

    def on_start(self) -> None:
        """Do the test's start."""
        self._do(self._jobs[0])

    def on_stop(self) -> None:
        """Do the test's stop."""
        self._do(self._jobs[1])

    def release(self) -> None:
        """Do the test's release."""
        self._do(self._jobs[2])

    def on_do(self, message: Do) -> None:
        """Do it."""
        message.job(self)

    def on_number(self, message: Number) -> None:
        """Keep it."""
        self.seen.add(message)

    def on_timer_fired(self, message: TimerFired) -> None:
        """Keep it."""
        self.seen.add(message)


def raising(error: BaseException) -> Job:
    """A job that fails."""

    def job(_: EngineActor) -> None:
        raise error

    return job


def waiting(go: threading.Event, started: threading.Event | None = None) -> Job:
    """A job that waits until it may go on."""

    def job(_: EngineActor) -> None:
        if started is not None:
            started.set()
        go.wait(60)

    return job
