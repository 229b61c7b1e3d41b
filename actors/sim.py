"""Actors in one thread, in virtual time, in an order drawn from a seed: for replay and for simulation.

Rules
    A run depends on the seed, the actors and what they are told, on nothing else: no wall clock, no
    other randomness, no thread. Equal seeds give equal runs.
    Messages of one sender to one receiver keep their order, as they do between threads; who comes
    next among the others is drawn. Handling takes no time: the clock stands still until nobody has
    a message left, then it jumps to the next timer.

Theory of operation
    A channel is the queue of one sender to one receiver; those that hold messages are in a list from
    which the next is drawn. The hosts are pykka actors: their inbox raises when it is empty, which
    makes pykka's own loop take single steps, since it calls `get` outside its `try`.
"""

from __future__ import annotations

import decimal
import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, Protocol

from pykka import Future
from pykka._envelope import Envelope  # pykka is pinned; tests run through this

from actors.base import Context, Factory
from actors.host import OUTSIDE, Home, Host, Timers
from engine.messages import Message, TimerFired
from engine.types import MONEY, Millis

RUNTIME = "runtime"
"""The sender's name of what the runtime itself delivers: starts, stops, timers."""

INSTANT_MAX = 5_000_000
"""So many messages without the clock moving are taken for an endless conversation."""

_START: Any = object()


class SimStuck(Exception):
    """Actors tell each other things for ever at one instant of virtual time."""


class _Idle(Exception):
    """The inbox is empty: back to the scheduler."""


class FaultPolicy(Protocol):
    """Decides what becomes of a message between two actors."""

    def __call__(self, rng: Random, sender: str, to: str, message: Message) -> tuple[int, ...]:
        """Return the delay in ms of each copy to deliver: `(0,)` as it should be, `()` loses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Loses, doubles and delays messages with these probabilities; a delayed one holds up its channel.

    `spare` are message classes that nothing happens to.
    """

    drop: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    delay_max_ms: int = 1_000
    spare: frozenset[type[Message]] = field(default_factory=frozenset)

    def __call__(self, rng: Random, sender: str, to: str, message: Message) -> tuple[int, ...]:  # noqa: ARG002
        if type(message) in self.spare:
            return (0,)
        drawn = rng.random()
        if drawn < self.drop:
            return ()
        delay = rng.randrange(1, self.delay_max_ms + 1) if rng.random() < self.delay else 0
        return (delay, delay) if drawn < self.drop + self.duplicate else (delay,)


class _SimInbox:
    """Holds the one message that is being delivered; what is put from elsewhere goes to the scheduler."""

    __slots__ = ("forward", "next")

    def __init__(self) -> None:
        self.next: Envelope[Any] | None = None
        self.forward: Callable[[Any], None] | None = None

    def put(self, envelope: Envelope[Any], /) -> None:
        if self.forward is not None:
            self.forward(envelope.message)

    def get(self) -> Envelope[Any]:
        envelope, self.next = self.next, None
        if envelope is None:
            raise _Idle
        return envelope

    def empty(self) -> bool:
        return self.next is None


class _Channel:
    """What one sender has told one receiver, in order. Nothing overtakes a message held until `held_until`."""

    __slots__ = ("held_until", "host", "queue", "sender")

    def __init__(self, sender: str, host: SimHost) -> None:
        self.sender = sender
        self.host = host
        self.queue: deque[Any] = deque()
        self.held_until = -1


class SimHost(Host):
    """Hosts an actor in the simulation."""

    home: SimRuntime
    actor_inbox: _SimInbox

    def __init__(self, home: SimRuntime, ctx: Context, factory: Factory, supervisor: str) -> None:
        super().__init__(home, ctx, factory, supervisor)
        self.channels: dict[str, _Channel] = {}
        self.waiting = 0
        self.running = False
        self.actor_inbox.forward = lambda message: home.put(RUNTIME, self, message)

    @staticmethod
    def _create_actor_inbox() -> _SimInbox:
        return _SimInbox()

    @staticmethod
    def _create_future() -> Future[Any]:
        raise NotImplementedError("actors only tell: in the simulation nobody could wait for a future")

    def _start_actor_loop(self) -> None:
        self.home.put(RUNTIME, self, _START)
        self.waiting = 0  # it is no message, and must not keep a batch from ending

    def depth(self) -> int:
        """How many messages wait in all channels to this actor."""
        return self.waiting

    def on_receive(self, message: Message) -> None:
        """Let the actor handle one message; the base's work, less what is for threads only."""
        if self.waiting >= self.depth_max:
            self.depth_max = self.waiting + 1
        self.handled += 1
        try:
            self._receive(message)
            if self._batches:
                self._count_batch()
        except BaseException as error:  # noqa: BLE001  (as in the base)
            self._crash(error)

    def step(self, message: Any) -> None:
        """Let pykka's loop handle one message; the first one starts the actor."""
        if not self.running:
            self.running = True
            self._actor_loop_setup()
        if message is _START or self.exited:
            return
        self.actor_inbox.next = Envelope(message)
        try:
            self._actor_loop_running()
        except _Idle:
            return


class SimRuntime(Home):
    """Runs actors in virtual time; the seed decides who goes first.

    Market time starts at `start_ms` and is the virtual time: `market` timers are like the others.
    `faults` decides about messages between actors (not about timers, starts, stops and exits).
    `on_delivery(now, sender, to, message)` sees every message just before it is handled: the trace.
    """

    def __init__(
        self,
        seed: int,
        *,
        start_ms: Millis = 0,
        faults: FaultPolicy | None = None,
        on_delivery: Callable[[Millis, str, str, Message], None] | None = None,
    ) -> None:
        super().__init__()
        self.rng = Random(seed)  # noqa: S311  (repeatable is what it must be)
        self.faults = faults
        self.on_delivery = on_delivery
        self._draw = self.rng.random
        self._market_start = start_ms
        self._elapsed = 0
        self._ready: list[_Channel] = []
        self._held: list[tuple[int, int, _Channel, Message]] = []
        self._held_number = count()
        self._timers = Timers()
        self._interrupt: BaseException | None = None
        self._current: SimHost | None = None
        self._handled = 0

    # ------------------------------------------------------------ what actors use

    def now(self) -> Millis:
        """Virtual market time."""
        return self._market_start + self._elapsed

    def monotonic(self) -> float:
        """Virtual seconds since the start."""
        return self._elapsed / 1_000

    def send(self, sender: Context, to: str, message: Message) -> None:
        """Put a message into the sender's channel to `to`, if there is one and no fault wills otherwise."""
        if sender.fenced:
            self.count_fenced()
            return
        if sender.scope:
            to = self.address(sender, to)
        host = self._hosts.get(to)
        if host is None:
            self.dead_letter(sender.name, to, message)
            return
        assert isinstance(host, SimHost)
        if self.faults is None or sender is self._outside:
            self.put(sender.name, host, message)
            return
        for delay_ms in self.faults(self.rng, sender.name, to, message):
            self._put_delayed(sender.name, host, message, delay_ms)

    def put(self, sender: str, host: SimHost, message: Any) -> None:
        """Append to a channel."""
        channel = host.channels.get(sender)
        if channel is None:
            channel = host.channels[sender] = _Channel(sender, host)
        queue = channel.queue
        if not queue:
            self._ready.append(channel)
        queue.append(message)
        host.waiting += 1

    def start_timer(self, owner: Context, fired: TimerFired, delay_ms: int, market: bool) -> None:
        """Have a timer delivered in `delay_ms` of virtual time, which market time is too."""
        del market
        host = self._hosts.get(owner.name)
        if host is None or host.ctx is not owner:
            self.count_fenced()
            return
        self._timers.start(host, fired, self._elapsed + max(0, delay_ms))

    def cancel_timer(self, owner: Context, name: str) -> None:
        """Forget a timer."""
        host = self._hosts.get(owner.name)
        if host is not None and host.ctx is owner:
            self._timers.cancel(host, name)

    def progress(self, owner: Context) -> None:
        """No watchdog here: handling takes no time."""

    def rearm_deadman(self) -> bool:
        """No dead man here: the caller's thread runs everything."""
        return False

    # ------------------------------------------------------------ running

    def run(self, for_ms: int) -> None:
        """Let virtual time pass; ends early when somebody requested the end of the process."""
        end = self._elapsed + for_ms
        self.run_until(None, for_ms)
        if self._exit is None:
            self._elapsed = end

    run_for = run

    def run_until_idle(self, limit_ms: int | None = None) -> bool:
        """Run until no message and no timer is left; False when `limit_ms` of virtual time have passed before."""
        self.run_until(None, limit_ms)
        return not self._ready and not self._held and not len(self._timers)

    def settle(self) -> None:
        """Run until nobody has a message left at this instant; the clock stands still."""
        self.run_until(None, 0)

    def run_until(self, predicate: Callable[[], bool] | None, limit_ms: int | None = 3_600_000) -> bool:
        """Run until `predicate` holds (looked at after every message); False if it didn't within `limit_ms`.

        Raises:
            SimStuck: actors keep talking and time does not pass.
        """
        end = float("inf") if limit_ms is None else self._elapsed + limit_ms
        with decimal.localcontext(MONEY):
            while True:
                if predicate is not None and predicate():
                    return True
                if self._exit is not None:
                    return False
                if self._ready:
                    self._step()
                elif not self._advance(end):
                    return False

    def kill(self, name: str, reason: str = "killed") -> None:
        """Crash an actor now, or as soon as it is done with its present message; its mailbox is lost."""
        host = self._hosts.get(name)
        if host is not None:
            host.kill_reason = reason
            if host is not self._current:
                host.end(reason)

    def crashing(self, error: BaseException) -> None:
        """A Ctrl-C is the caller's, not the actor's in whose handler it happened."""
        if isinstance(error, KeyboardInterrupt):
            self._interrupt = error

    # ------------------------------------------------------------ inside

    def _start(self, ctx: Context, factory: Factory, supervisor: str) -> None:
        host = SimHost(self, ctx, factory, supervisor)
        self.enter(host)
        host._start_actor_loop()  # noqa: SLF001  (`Actor.start` would leave it in pykka's global registry)

    def _forget_timers(self, host: Host) -> None:
        self._timers.forget(host)

    def _put_delayed(self, sender: str, host: SimHost, message: Message, delay_ms: int) -> None:
        channel = host.channels.get(sender)
        if channel is None:
            channel = host.channels[sender] = _Channel(sender, host)
        due = max(self._elapsed + delay_ms, channel.held_until)
        if due <= self._elapsed:
            self.put(sender, host, message)
            return
        channel.held_until = due
        host.waiting += 1
        heapq.heappush(self._held, (due, next(self._held_number), channel, message))

    def _step(self) -> None:
        ready = self._ready
        index = int(self._draw() * len(ready))
        channel = ready[index]
        queue = channel.queue
        message = queue.popleft()
        if not queue:
            last = ready.pop()
            if last is not channel:
                ready[index] = last
        host = channel.host
        if host.exited:
            return
        if message is not _START:
            host.waiting -= 1
        self._handled += 1
        if self._handled > INSTANT_MAX:
            raise SimStuck(f"{INSTANT_MAX} messages at {self._elapsed} ms, the last {message!r:.200}")
        if self.on_delivery is not None and isinstance(message, Message):
            self.on_delivery(self._market_start + self._elapsed, channel.sender, host.ctx.name, message)
        self._current = host
        host.step(message)
        self._current = None
        if host.kill_reason is not None:
            host.end(host.kill_reason)
        if self._interrupt is not None:
            raise self._interrupt

    def _advance(self, end: float) -> bool:
        """Go to the next time at which something happens and make it ready; False if that is past `end`."""
        timer_due = self._timers.due
        held_due = self._held[0][0] if self._held else None
        due = min((at for at in (timer_due, held_due) if at is not None), default=None)
        if due is None or due > end:
            return False
        if due > self._elapsed:
            self._elapsed = int(due)
            self._handled = 0
        while (timer := self._timers.pop(self._elapsed)) is not None:
            host, fired = timer
            assert isinstance(host, SimHost)
            self.put(RUNTIME, host, fired)
        while self._held and self._held[0][0] <= self._elapsed:
            _, _, channel, message = heapq.heappop(self._held)
            channel.host.waiting -= 1
            self.put(channel.sender, channel.host, message)
        return True


__all__ = ["OUTSIDE", "RUNTIME", "FaultPolicy", "Faults", "SimHost", "SimRuntime", "SimStuck"]
