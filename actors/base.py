"""What every actor is made of: its handlers, its timers, its way to tell others, its outbox.

Rules
    An actor is a plain class; a runtime (threads or simulation) hosts it. It shares nothing: all it
    knows came in messages, all it wants goes out in messages, by name. It never blocks on another.
    An exception out of a handler is a crash: the incarnation ends, its supervisor starts a new one.
    So a handler catches only what it has an answer to.

Theory of operation
    `on_<message class in snake case>` handles that class; the table is made when the class is, and
    a method `on_…` that fits no message is refused there. A message without a handler is a crash.
    Timers carry a token: one that was cancelled, restarted or started by an earlier incarnation
    never reaches `on_timer_fired`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from loguru import logger

from actors.outbox import Outbox
from engine.messages import (
    ControlAnswered,
    EpochAnnounced,
    Kill,
    Message,
    Notify,
    Plain,
    Recorded,
    ReportStatus,
    Shutdown,
    ShutdownDone,
    TimerFired,
)
from engine.naming import account_of, named
from engine.types import Millis

if TYPE_CHECKING:
    from loguru import Logger

__all__ = [
    "ActorStats",
    "Context",
    "EngineActor",
    "Factory",
    "Killed",
    "Outbox",
    "Runtime",
    "RuntimeStats",
    "UnknownMessage",
]

Factory = Callable[["Context"], "EngineActor"]
"""Builds one incarnation of an actor; called in the actor's own thread, again for each restart."""


class UnknownMessage(Exception):
    """An actor was told something that it has no handler for: a bug of ours, so it crashes."""


class Killed(Exception):
    """Somebody wanted this actor dead: a drill, or a test."""


@dataclass(frozen=True, slots=True)
class ActorStats:
    """One living incarnation's figures. `busy_s` is how long its present message has taken, 0 when idle."""

    name: str
    epoch: int
    depth: int
    depth_max: int
    handled: int
    busy_s: float
    handling: str


@dataclass(frozen=True, slots=True)
class RuntimeStats:
    """A runtime's figures since its start.

    `dead_letters` had no addressee, `dropped` lay in the mailbox of an actor that crashed, `fenced`
    were told (or timers started) by incarnations that were over.
    """

    actors: tuple[ActorStats, ...]
    dead_letters: int
    dropped: int
    fenced: int
    dead_letters_to: Mapping[str, int]


class Runtime(Protocol):
    """What an actor's `Context` needs of whoever hosts it; `ThreadRuntime` and `SimRuntime` are such."""

    def send(self, sender: Context, to: str, message: Message) -> None: ...

    def clock_of(self, account: str) -> Callable[[], Millis]: ...

    def monotonic(self) -> float: ...

    def start_timer(self, owner: Context, fired: TimerFired, delay_ms: int, market: bool) -> None: ...

    def cancel_timer(self, owner: Context, name: str) -> None: ...

    def spawn(self, name: str, factory: Factory, *, supervisor: str = "root") -> int: ...

    def stop(self, name: str) -> None: ...

    def progress(self, owner: Context) -> None: ...

    def request_exit(self, status: int, reason: str) -> None: ...

    def rearm_deadman(self) -> bool: ...

    def stats(self) -> RuntimeStats: ...


class Context:
    """One incarnation's own view of its runtime: who it is, and what it may do.

    An incarnation that is over (crashed, stopped, given up by the watchdog) is `fenced`: what it or a
    thread of its still tells is dropped. One that is about to touch the outside asks `fenced` first.
    `tell` may be called from any thread. `account` is the one it belongs to (`engine.naming`), empty where
    all share it: its market time is the account's, and whom it tells is looked for in the account first.
    """

    __slots__ = ("_market_time", "account", "epoch", "fenced", "log", "name", "runtime", "scope")

    def __init__(self, runtime: Runtime, name: str, epoch: int) -> None:
        self.runtime = runtime
        self.name = name
        self.account = account_of(name)
        self.scope = named("", self.account)
        self.epoch = epoch
        self.fenced = False
        self._market_time = runtime.clock_of(self.account)
        self.log: Logger = logger.bind(actor=name)

    def tell(self, to: str, message: Message) -> None:
        """Put `message` into the mailbox of whoever is called `to` now; never raises, never waits."""
        self.runtime.send(self, to, message)

    def now(self) -> Millis:
        """Market time: decides everything about trading."""
        return self._market_time()

    def now_of(self, account: str) -> Millis:
        """Market time as an account has it."""
        return self.runtime.clock_of(account)()

    def monotonic(self) -> float:
        """The machine's clock in seconds: for watchdogs, deadlines of our own and latencies only."""
        return self.runtime.monotonic()

    def start_timer(self, fired: TimerFired, delay_ms: int, market: bool) -> None:
        """Have `fired` delivered to this incarnation in `delay_ms`; replaces the timer of that name."""
        self.runtime.start_timer(self, fired, delay_ms, market)

    def cancel_timer(self, name: str) -> None:
        """Forget the timer `name`, if there is one."""
        self.runtime.cancel_timer(self, name)

    def progress(self) -> None:
        """Tell the watchdog that a long handler is alive: its time starts anew."""
        self.runtime.progress(self)

    def spawn(self, name: str, factory: Factory) -> int:
        """Start an actor supervised by this one and return its epoch."""
        return self.runtime.spawn(name, factory, supervisor=self.name)

    def stop_child(self, name: str) -> None:
        """Stop an actor in order, after what is in its mailbox; `ChildExited` says when it is gone."""
        self.runtime.stop(name)

    def request_exit(self, status: int, reason: str) -> None:
        """Ask the process's main thread to end with `status`; the first request counts."""
        self.runtime.request_exit(status, reason)

    def rearm_deadman(self) -> bool:
        """Push the dead-man timer back to its full time; False where there is none."""
        return self.runtime.rearm_deadman()

    def stats(self) -> RuntimeStats:
        """The figures of all actors: mailboxes, messages handled, dead letters."""
        return self.runtime.stats()


_HOOKS = frozenset({"on_start", "on_stop", "on_batch_end"})


def _snake(class_name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower()


def _message_classes() -> dict[str, list[type[Message]]]:
    """Every message class by its handler's name; a list, as tests define classes of equal names."""
    classes: dict[str, list[type[Message]]] = {}
    pending: list[type[Message]] = [Message]
    while pending:
        for cls in pending.pop().__subclasses__():
            classes.setdefault(f"on_{_snake(cls.__name__)}", []).append(cls)
            pending.append(cls)
    return classes


class EngineActor:
    """Base of all actors; a subclass adds one handler a message class and owns its state alone.

    The constructor must be cheap and do no I/O: `on_start` is for that. Order of life:
    constructor, `on_start`, handlers, then `on_stop` (in order) or nothing (a crash), then `release`.
    """

    _handlers: ClassVar[dict[type[Message], Callable[[Any, Any], None]]] = {}
    has_batch_end: ClassVar[bool] = False

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.name = ctx.name
        self.epoch = ctx.epoch
        self.log = ctx.log
        self._timers: dict[str, int] = {}
        self._token = 0
        self._own_timers: dict[str, Callable[[], None]] = {}
        self._outbox: Outbox | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        messages = _message_classes()
        handlers: dict[type[Message], Callable[[Any, Any], None]] = {}
        for attribute in dir(cls):
            if not attribute.startswith("on_") or attribute in _HOOKS:
                continue
            if attribute not in messages:
                raise TypeError(f"{cls.__name__}.{attribute}: there is no message class of that name")
            for message_class in messages[attribute]:
                handlers[message_class] = getattr(cls, attribute)
        handlers[TimerFired] = EngineActor._timer_fired
        cls._handlers = handlers
        cls.has_batch_end = cls.on_batch_end is not EngineActor.on_batch_end

    # ------------------------------------------------------------ hooks

    def on_start(self) -> None:
        """Run before the first message, in the actor's own thread; I/O is allowed here."""

    def on_stop(self) -> None:
        """Run at an orderly end only, after the last message."""

    def on_batch_end(self) -> None:
        """Run when the mailbox has been drained (or after many messages): the place for a group commit."""

    def release(self) -> None:
        """Give back files, sockets and child processes: last of all, after a crash too. Tells nobody."""

    def status(self) -> Mapping[str, Plain]:
        """The figures that `ReportStatus` is answered with."""
        return {}

    # ------------------------------------------------------------ what the runtime calls

    def receive(self, message: Message) -> None:
        """Hand one message to its handler; whatever comes out of it is a crash."""
        handler = self._handlers.get(type(message))
        if handler is None:
            raise UnknownMessage(f"{type(self).__name__} has no handler for {type(message).__name__}")
        handler(self, message)

    def _timer_fired(self, fired: TimerFired) -> None:
        if self._timers.get(fired.name) != fired.token:
            return
        del self._timers[fired.name]
        own = self._own_timers.get(fired.name)
        if own is not None:
            own()
        else:
            self.on_timer_fired(fired)

    def attach(self, outbox: Outbox, timers: Mapping[str, Callable[[], None]]) -> None:
        """Let a helper serve timers of its own and the default handlers; called by the helper."""
        self._outbox = outbox
        self._own_timers.update(timers)

    # ------------------------------------------------------------ what an actor may do

    def tell(self, name: str, message: Message) -> None:
        """Send by name; nobody of that name is no error here but a counted dead letter."""
        self.ctx.tell(name, message)

    def notify(self, severity: str, event: str, text: str, ts: Millis | None = None) -> None:
        """Have the user told, of this actor's account where there are several; `ts` is now where none is given."""
        when = self.now() if ts is None else ts
        self.tell("notifier", Notify(ts=when, severity=severity, event=event, text=text, account=self.ctx.account))

    def now(self) -> Millis:
        """Market time in milliseconds."""
        return self.ctx.now()

    def monotonic(self) -> float:
        """The machine's clock in seconds, for watchdogs and latencies only."""
        return self.ctx.monotonic()

    def start_timer(self, name: str, delay_ms: int, *, market: bool = False) -> None:
        """Have `on_timer_fired` called once, in `delay_ms` of the machine's time or of market time.

        Starting a timer that runs replaces it.
        """
        self._token += 1
        self._timers[name] = self._token
        self.ctx.start_timer(TimerFired(name=name, token=self._token), delay_ms, market)

    def cancel_timer(self, name: str) -> None:
        """Stop the timer; it does not fire afterwards, even if it was already in the mailbox."""
        if self._timers.pop(name, None) is not None:
            self.ctx.cancel_timer(name)

    # ------------------------------------------------------------ handlers that all have

    def on_timer_fired(self, message: TimerFired) -> None:
        """A timer of this actor is due."""
        raise UnknownMessage(f"{type(self).__name__} does not expect the timer {message.name}")

    def on_kill(self, message: Kill) -> None:
        """Crash as if by a bug of ours."""
        raise Killed(message.reason)

    def on_shutdown(self, message: Shutdown) -> None:
        """Say at once that nothing is in flight; whoever has something in flight overrides this."""
        self.tell(message.reply_to, ShutdownDone(name=self.name))

    def on_report_status(self, message: ReportStatus) -> None:
        """Answer with `status()`."""
        data = {"actor": self.name, "epoch": self.epoch, **self.status()}
        self.tell(message.reply_to, ControlAnswered(request_id=message.request_id, ok=True, detail="", data=data))

    def on_epoch_announced(self, message: EpochAnnounced) -> None:
        """A shared actor is new; by default only the outbox cares. Whoever overrides this serves it too."""
        if self._outbox is not None:
            self._outbox.on_epoch_announced(message)

    def on_recorded(self, message: Recorded) -> None:
        """Records are on disk; by default only the outbox cares. Whoever overrides this serves it too."""
        if self._outbox is not None:
            self._outbox.on_recorded(message)
