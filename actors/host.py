"""What both runtimes share: the pykka actor that hosts an incarnation, the directory of names, timers, counts.

Rules
    Nothing that an actor raises reaches pykka: a `BaseException` there would stop *all* actors, and a
    failure in `on_start` would be told to nobody. The host turns each into the end of this one
    incarnation and into `ChildExited` to its supervisor.
    An incarnation ends once: whoever comes first (its own crash, an orderly stop, the watchdog) says so.
    From then on it is fenced.
"""

from __future__ import annotations

import abc
import heapq
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from types import MappingProxyType
from typing import Any

import pykka
from loguru import logger

from actors.base import ActorStats, Context, EngineActor, Factory, RuntimeStats
from engine.messages import ChildExited, Message, TimerFired
from engine.types import Millis

BATCH_MAX = 1_000
"""After so many messages `on_batch_end` is called even if the mailbox never runs empty."""

TRACE_CHARS_MAX = 8_000
OUTSIDE = "outside"
"""The sender's name of what the program itself tells."""


@dataclass(frozen=True, slots=True)
class ExitRequest:
    """Why the process is to end, and its exit status; 0 is an orderly end."""

    status: int
    reason: str


class Host(pykka.Actor):
    """The pykka actor around one incarnation of an `EngineActor`."""

    def __init__(self, home: Home, ctx: Context, factory: Factory, supervisor: str) -> None:
        super().__init__()
        self.home = home
        self.ctx = ctx
        self.supervisor = supervisor
        self.exited = False
        self.kill_reason: str | None = None
        self.busy_since = 0.0
        self.handling = ""
        self.handled = 0
        self.depth_max = 0
        self._factory = factory
        self._actor: EngineActor | None = None
        self._receive: Callable[[Message], None] = self._refuse
        self._batches = False
        self._batch = 0

    @abc.abstractmethod
    def depth(self) -> int:
        """How many messages wait."""

    def on_start(self) -> None:
        """Build the actor and start it, in its own thread."""
        self.handling = "on_start"
        self.busy_since = self.home.monotonic()
        try:
            self._actor = actor = self._factory(self.ctx)
            actor.on_start()
            self._receive = actor.receive
            self._batches = actor.has_batch_end
        except BaseException as error:  # noqa: BLE001  (see the module's rules)
            self._crash(error)
        self._idle()

    def on_receive(self, message: Message) -> None:
        """Let the actor handle one message; its failure is its end."""
        if self.kill_reason is not None:
            self.end(self.kill_reason)
            return
        self.handling = type(message).__name__
        self.busy_since = self.home.monotonic()
        depth = self.depth()
        if depth > self.depth_max:  # noqa: PLR1730  (half the price of max(), for every message)
            self.depth_max = depth
        try:
            self._receive(message)
            if self._batches:
                self._count_batch()
        except BaseException as error:  # noqa: BLE001  (see the module's rules)
            self._crash(error)
        self.handled += 1
        self._idle()

    def on_stop(self) -> None:
        """End in order: the last batch, `on_stop`, and what it holds."""
        self.handling = "on_stop"
        self.busy_since = self.home.monotonic()
        try:
            if self._actor is not None:
                self._end_batch()
                self._actor.on_stop()
            self.end("")
        except BaseException as error:  # noqa: BLE001  (see the module's rules)
            self._crash(error)
        self._idle()

    def end(self, reason: str, trace: str = "") -> None:
        """End this incarnation; the mailbox is dropped. An empty reason is an orderly end."""
        pykka.ActorRegistry.unregister(self.actor_ref)
        self.actor_stopped.set()
        self._release()
        self.home.exited(self, reason, trace)

    def _refuse(self, message: Message) -> None:
        raise RuntimeError(f"{self.ctx.name} was told {type(message).__name__} before it had started")

    def _count_batch(self) -> None:
        self._batch += 1
        if self._batch >= BATCH_MAX or not self.depth():
            self._end_batch()

    def _end_batch(self) -> None:
        if self._batch and self._actor is not None:
            self._batch = 0
            self._actor.on_batch_end()

    def _idle(self) -> None:
        self.busy_since = 0.0
        if self.ctx.fenced:
            self._release()

    def _crash(self, error: BaseException) -> None:
        trace = "".join(traceback.format_exception(error))[-TRACE_CHARS_MAX:]
        self.home.crashing(error)
        self.end(f"{type(error).__name__}: {error}".rstrip(": "), trace)

    def _release(self) -> None:
        actor, self._actor = self._actor, None
        if actor is None:
            return
        try:
            actor.release()
        except BaseException as error:  # noqa: BLE001  (see the module's rules)
            self.ctx.log.opt(exception=error).error("{} could not release what it held", self.ctx.name)


class Timers:
    """Pending timers in order of time, at most one a name and incarnation. Not for several threads at once."""

    def __init__(self) -> None:
        self._heap: list[list[Any]] = []  # [due, number, host or None when cancelled, TimerFired]
        self._live: dict[Host, dict[str, list[Any]]] = {}
        self._dead = 0
        self._number = count()

    def __len__(self) -> int:
        return len(self._heap) - self._dead

    @property
    def due(self) -> float | None:
        """When the next one is due; None without any."""
        while self._heap and self._heap[0][2] is None:
            heapq.heappop(self._heap)
            self._dead -= 1
        return self._heap[0][0] if self._heap else None

    def start(self, host: Host, fired: TimerFired, due: float) -> None:
        """Add a timer, in place of the one of its name."""
        self.cancel(host, fired.name)
        entry = [due, next(self._number), host, fired]
        self._live.setdefault(host, {})[fired.name] = entry
        heapq.heappush(self._heap, entry)

    def cancel(self, host: Host, name: str) -> None:
        """Take a timer out, if it is there."""
        entry = self._live.get(host, {}).pop(name, None)
        if entry is not None:
            self._kill(entry)

    def forget(self, host: Host) -> None:
        """Take out all timers of an incarnation that is over."""
        for entry in self._live.pop(host, {}).values():
            self._kill(entry)

    def pop(self, until: float) -> tuple[Host, TimerFired] | None:
        """Take the first timer if it is due by `until`."""
        due = self.due
        if due is None or due > until:
            return None
        _, _, host, fired = heapq.heappop(self._heap)
        self._live[host].pop(fired.name, None)
        return host, fired

    def _kill(self, entry: list[Any]) -> None:
        entry[2] = None
        self._dead += 1
        if self._dead > 64 and self._dead * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2] is not None]
            heapq.heapify(self._heap)
            self._dead = 0


class Home(abc.ABC):
    """Names, epochs, ends and counts: what a runtime is apart from threads and clocks."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._hosts: dict[str, Host] = {}
        self._epochs: dict[str, int] = {}
        self._dead_letters: dict[str, int] = {}
        self._said_at = -1.0
        self._unsaid = 0
        self._dropped = 0
        self._fenced = 0
        self._exit: ExitRequest | None = None
        self._outside = Context(self, OUTSIDE, 0)

    # ------------------------------------------------------------ what the two runtimes do each in its way

    @abc.abstractmethod
    def now(self) -> Millis:
        """Market time in milliseconds, as those see it whom all accounts share."""

    def clock_of(self, account: str) -> Callable[[], Millis]:  # noqa: ARG002  (whoever has one clock)
        """What tells the market time of an account."""
        return self.now

    @abc.abstractmethod
    def monotonic(self) -> float:
        """Seconds that only go forward."""

    @abc.abstractmethod
    def send(self, sender: Context, to: str, message: Message) -> None:
        """Put a message into a mailbox."""

    @abc.abstractmethod
    def start_timer(self, owner: Context, fired: TimerFired, delay_ms: int, market: bool) -> None:
        """Have a timer delivered to this incarnation, in place of its timer of that name."""

    @abc.abstractmethod
    def cancel_timer(self, owner: Context, name: str) -> None:
        """Forget a timer."""

    @abc.abstractmethod
    def progress(self, owner: Context) -> None:
        """Start the watchdog's time of the owner's present message anew."""

    @abc.abstractmethod
    def rearm_deadman(self) -> bool:
        """Give the process its full time to live again; False if nothing limits it."""

    @abc.abstractmethod
    def _start(self, ctx: Context, factory: Factory, supervisor: str) -> None:
        """Make a host, `enter` it and let it run."""

    @abc.abstractmethod
    def _forget_timers(self, host: Host) -> None:
        """Cancel all timers of an incarnation that is over."""

    def crashing(self, error: BaseException) -> None:  # noqa: B027  (most runtimes have nothing to look for)
        """Look at what an actor raised before it becomes a crash."""

    # ------------------------------------------------------------ actors

    def tell(self, to: str, message: Message) -> None:
        """Tell an actor something from outside of all actors."""
        self.send(self._outside, to, message)

    def spawn(self, name: str, factory: Factory, *, supervisor: str = "root") -> int:
        """Start an actor; its end is told to `supervisor`. Returns its epoch: 1, 2, 3 … by name.

        An actor that is its own supervisor ends the process when it crashes.

        Raises:
            ValueError: an actor of that name lives.
        """
        with self._lock:
            if name in self._hosts:
                raise ValueError(f"an actor called {name} is running already")
            self._epochs[name] = epoch = self._epochs.get(name, 0) + 1
            self._start(Context(self, name, epoch), factory, supervisor)
            return epoch

    def enter(self, host: Host) -> None:
        """Put a new host into the directory of names."""
        self._hosts[host.ctx.name] = host

    def stop(self, name: str) -> None:
        """Stop an actor in order, after what is in its mailbox now."""
        host = self._hosts.get(name)
        if host is None:
            return
        try:
            host.stop()
        except pykka.ActorDeadError:
            return  # it ended in this moment: what was wanted

    def address(self, sender: Context, to: str) -> str:
        """Whom a sender means by `to`: his own account's, where there has ever been one, else the one that all share."""
        own = to + sender.scope
        return own if own in self._epochs else to

    def alive(self, name: str) -> bool:
        """Whether somebody of that name is there to be told."""
        return name in self._hosts

    def exited(self, host: Host, reason: str, trace: str) -> None:
        """Take down that an incarnation is over, and tell its supervisor; only the first end of it counts."""
        ctx = host.ctx
        with self._lock:
            if host.exited:
                return
            host.exited = True
            ctx.fenced = True
            if self._hosts.get(ctx.name) is host:
                del self._hosts[ctx.name]
            self._dropped += host.depth()
        self._forget_timers(host)
        if reason:
            ctx.log.error("{} (epoch {}) crashed: {}\n{}", ctx.name, ctx.epoch, reason, trace)
        if host.supervisor != ctx.name:
            self.tell(host.supervisor, ChildExited(name=ctx.name, epoch=ctx.epoch, reason=reason, trace=trace))
        elif reason:
            self.request_exit(70, f"{ctx.name} crashed: {reason}")

    # ------------------------------------------------------------ counts

    def dead_letter(self, sender: str, to: str, message: Message) -> None:
        """Count a message to nobody, and say so at most once a second; not while all end, one after the other."""
        with self._lock:
            self._dead_letters[to] = self._dead_letters.get(to, 0) + 1
            if self._exit is not None:
                return
            self._unsaid += 1
            now = self.monotonic()
            if now - self._said_at < 1.0 and self._said_at >= 0:
                return
            unsaid, self._unsaid, self._said_at = self._unsaid, 0, now
        kind = type(message).__name__
        logger.bind(actor=sender).warning("{} dead letter(s); the last: {} to {}, who is not there", unsaid, kind, to)

    def count_fenced(self) -> None:
        """Count a message or timer of an incarnation that is over."""
        with self._lock:
            self._fenced += 1

    def stats(self) -> RuntimeStats:
        """The figures of all actors and of what was not delivered."""
        now = self.monotonic()
        with self._lock:
            hosts = list(self._hosts.values())
            dead = dict(self._dead_letters)
        return RuntimeStats(
            actors=tuple(_stats_of(host, now) for host in hosts),
            dead_letters=sum(dead.values()),
            dropped=self._dropped,
            fenced=self._fenced,
            dead_letters_to=MappingProxyType(dead),
        )

    # ------------------------------------------------------------ the end

    @property
    def exit_request(self) -> ExitRequest | None:
        """The first request to end the process, if there was one."""
        return self._exit

    def request_exit(self, status: int, reason: str) -> None:
        """Ask whoever runs this runtime to end it; the first request counts."""
        with self._lock:
            if self._exit is None:
                self._exit = ExitRequest(status, reason)


def _stats_of(host: Host, now: float) -> ActorStats:
    since = host.busy_since
    return ActorStats(
        name=host.ctx.name,
        epoch=host.ctx.epoch,
        depth=host.depth(),
        depth_max=host.depth_max,
        handled=host.handled,
        busy_s=now - since if since else 0.0,
        handling=host.handling if since else "",
    )
