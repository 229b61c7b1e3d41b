"""Actors in threads: pykka's, with a market clock, one timer thread, a watchdog and a dead-man timer.

Rules
    Names are looked up when sending; nobody there is a dead letter, never an error of the sender.
    One thread serves all timers. Delays of the market's time are divided by its speed.
    A handler longer than `watchdog_s` makes its incarnation's end: its stack is logged, it is fenced
    (what it tells from then on is dropped), and its supervisor starts another. Its thread is left
    behind, as no thread can be stopped. A long handler that is alive says so: `ctx.progress()`.
    If the root does not re-arm the dead man for `deadman_s`, the process ends itself with all stacks
    in the log: `faulthandler` does that without the interpreter's lock.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TextIO

import pykka
from loguru import logger
from pykka._envelope import Envelope  # pykka is pinned; tests run through this

from actors.base import Context, Factory
from actors.host import ExitRequest, Home, Host, Timers
from actors.sim import Faults, SimRuntime
from engine.messages import Kill, Message, Shutdown, TimerFired
from engine.types import Millis, use_money_context

__all__ = ["Context", "ExitRequest", "Faults", "MarketClock", "SimRuntime", "ThreadRuntime", "use_all_cores"]

SWITCH_S = 0.1
"""How long a waiting thread leaves the interpreter lock alone before it asks for it.

Actors give the lock up by themselves after each message, so asking only costs: with the default of 5 ms
some hundred waiting threads wake up two hundred times a second each, to no end.
"""

START_S_MIN = 60.0
"""`on_start` may read much and ask the network: the watchdog allows it at least so long."""


class MarketClock:
    """What the exchange's clock says: `market_start_ms` at `wall_start`, then `speed` times as fast as ours.

    `wall_start` is in seconds since 1970, so a clock can go on through a downtime. Within a process it
    follows the monotonic clock: it never goes back, and a step of the machine's date does not move it.
    """

    def __init__(self, market_start_ms: Millis, wall_start: float, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"a market clock's speed is above 0, not {speed}")
        self.speed = speed
        elapsed_s = time.time() - wall_start
        self._anchor_ms = market_start_ms + elapsed_s * 1_000 * speed
        self._anchor = time.monotonic()

    @classmethod
    def real(cls) -> MarketClock:
        """The time of the world."""
        now = time.time()
        return cls(int(now * 1_000), now)

    def now(self) -> Millis:
        """Market time in milliseconds since 1970-01-01 UTC."""
        return int(self._anchor_ms + (time.monotonic() - self._anchor) * 1_000 * self.speed)


class ThreadHost(pykka.ThreadingActor, Host):
    """Hosts an actor in a thread of its own that has the actor's name."""

    use_daemon_thread = True
    home: ThreadRuntime
    actor_inbox: SimpleQueue[Any]
    thread: threading.Thread

    @staticmethod
    def _create_actor_inbox() -> SimpleQueue[Any]:
        return SimpleQueue()

    def _start_actor_loop(self) -> None:
        self.thread = threading.Thread(target=self._run, name=self.ctx.name, daemon=True)
        self.home.enter(self)
        self.thread.start()

    def _run(self) -> None:
        use_money_context()
        self.home.pin_thread()
        self._actor_loop()

    def depth(self) -> int:
        """How many messages wait."""
        return self.actor_inbox.qsize()


class ThreadRuntime(Home):
    """Runs each actor in a thread, on the machine's clock, with a market clock beside it.

    `watchdog_s` and `deadman_s` of 0 switch these off; the dead man starts with the first
    `rearm_deadman`. A mailbox past `mailbox_max` is warned of. `pin` keeps all actors on one core,
    where the machine allows it: handing the interpreter lock between cores is most of a message's
    cost. Child processes inherit that; they call `use_all_cores` first.
    """

    def __init__(
        self,
        clock: MarketClock | None = None,
        *,
        watchdog_s: float = 10.0,
        deadman_s: float = 0.0,
        mailbox_max: int = 10_000,
        stack_kb: int = 256,
        pin: bool = False,
        deadman_log: TextIO | None = None,
    ) -> None:
        self.clock = clock or MarketClock.real()
        self._clocks: dict[str, MarketClock] = {}
        super().__init__()
        sys.setswitchinterval(SWITCH_S)
        self._core = max(os.sched_getaffinity(0)) if pin and hasattr(os, "sched_setaffinity") else None
        self._watchdog_s = watchdog_s
        self._deadman_s = deadman_s
        self._deadman_log = deadman_log
        self._mailbox_max = mailbox_max
        self._stack_bytes = stack_kb * 1024
        self._timers = Timers()
        self._timers_changed = threading.Condition()
        self._closed = threading.Event()
        self._exit_wanted = threading.Event()
        self._exit_again = threading.Event()
        self._services = [
            threading.Thread(target=self._serve, args=(serve,), name=name, daemon=True)
            for name, serve in (("timers", self._run_timers), ("watchdog", self._watch))
        ]
        for thread in self._services:
            thread.start()

    # ------------------------------------------------------------ what actors use

    def now(self) -> Millis:
        """Market time."""
        return self.clock.now()

    def add_clock(self, account: str, clock: MarketClock) -> None:
        """Let an account's actors go by a clock of its own; before they start."""
        self._clocks[account] = clock

    def clock_of(self, account: str) -> Callable[[], Millis]:
        """What tells the market time of an account."""
        return self._clocks.get(account, self.clock).now

    def monotonic(self) -> float:
        """The machine's clock."""
        return time.monotonic()

    def send(self, sender: Context, to: str, message: Message) -> None:
        """Put a message into the mailbox of `to`; from any thread, without waiting."""
        if sender.fenced:
            self.count_fenced()
            return
        if sender.scope:
            to = self.address(sender, to)
        host = self._hosts.get(to)
        if host is None:
            self.dead_letter(sender.name, to, message)
            return
        host.actor_inbox.put(Envelope(message))

    def start_timer(self, owner: Context, fired: TimerFired, delay_ms: int, market: bool) -> None:
        """Have a timer delivered in `delay_ms` of the machine's time or of the market's."""
        host = self._hosts.get(owner.name)
        if host is None or host.ctx is not owner:
            self.count_fenced()
            return
        delay_s = max(0, delay_ms) / 1_000
        speed = self._clocks.get(owner.account, self.clock).speed if market else 1.0
        due = time.monotonic() + delay_s / speed
        with self._timers_changed:
            first = self._timers.due
            self._timers.start(host, fired, due)
            if first is None or due < first:
                self._timers_changed.notify()

    def cancel_timer(self, owner: Context, name: str) -> None:
        """Forget a timer."""
        host = self._hosts.get(owner.name)
        if host is not None and host.ctx is owner:
            with self._timers_changed:
                self._timers.cancel(host, name)

    def progress(self, owner: Context) -> None:
        """Start the watchdog's time of the owner's present message anew."""
        host = self._hosts.get(owner.name)
        if host is not None and host.ctx is owner:
            host.busy_since = time.monotonic()

    def rearm_deadman(self) -> bool:
        """Give the process another `deadman_s` to live; False if nothing limits it."""
        if self._deadman_s <= 0 or self._closed.is_set():
            return False
        log = self._deadman_log or sys.__stderr__ or sys.stderr
        faulthandler.dump_traceback_later(self._deadman_s, exit=True, file=log)
        return True

    # ------------------------------------------------------------ what the program uses

    def kill(self, name: str, reason: str = "killed") -> None:
        """Crash an actor before its next message; what waits in its mailbox is lost."""
        host = self._hosts.get(name)
        if host is not None:
            host.kill_reason = reason
            host.actor_inbox.put(Envelope(Kill(reason=reason)))  # wakes it

    def request_exit(self, status: int, reason: str) -> None:
        """Make `wait` return; the first request counts, a further one hastens `end_in_order`."""
        again = self._exit is not None
        super().request_exit(status, reason)
        (self._exit_again if again else self._exit_wanted).set()

    def wait(self, timeout_s: float | None = None) -> ExitRequest | None:
        """Wait until the end of the process is wanted; None when the time is over before. For the main thread."""
        self._exit_wanted.wait(timeout_s)
        return self._exit

    def end_in_order(self, timeout_s: float) -> bool:
        """Have the root end everybody in order and wait for that; False when the time is over before."""
        self.request_exit(0, "ending in order")
        self._exit_again.clear()
        self.tell("root", Shutdown(reply_to=""))
        return self._exit_again.wait(timeout_s)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Stop all actors, the last started first, and the runtime's threads; False if some actor did not end."""
        faulthandler.cancel_dump_traceback_later()
        until = time.monotonic() + timeout_s
        hosts = [host for host in reversed(self._hosts.values()) if isinstance(host, ThreadHost)]
        for host in hosts:
            self.stop(host.ctx.name)
        for host in hosts:
            if host.thread is not threading.current_thread():
                host.thread.join(max(0.0, until - time.monotonic()))
        self._closed.set()
        with self._timers_changed:
            self._timers_changed.notify()
        for thread in self._services:
            thread.join(1.0)
        return not any(host.thread.is_alive() for host in hosts)

    # ------------------------------------------------------------ inside

    def _start(self, ctx: Context, factory: Factory, supervisor: str) -> None:
        # The size of stacks is a setting of the whole process; small ones keep hundreds of threads
        # from being given huge pages. The lock of `spawn` keeps two runtime calls from crossing.
        before = threading.stack_size(self._stack_bytes)
        try:
            ThreadHost.start(self, ctx, factory, supervisor)
        finally:
            threading.stack_size(before)

    def pin_thread(self) -> None:
        """Keep the calling thread on the actors' core, if they have one."""
        if self._core is not None:
            os.sched_setaffinity(0, {self._core})

    def _serve(self, serve: Callable[[], None]) -> None:
        # Without its timers or its watchdog a runtime is not what it promises to be: better to end.
        try:
            serve()
        except BaseException as error:  # noqa: BLE001  (whatever it was, the process must end in order)
            name = threading.current_thread().name
            logger.opt(exception=error).critical("the thread {} of the runtime failed", name)
            self.request_exit(70, f"the runtime's thread {name} failed: {error!r}")

    def _forget_timers(self, host: Host) -> None:
        with self._timers_changed:
            self._timers.forget(host)

    def _run_timers(self) -> None:
        self.pin_thread()
        with self._timers_changed:
            while not self._closed.is_set():
                now = time.monotonic()
                while (fired := self._timers.pop(now)) is not None:
                    host, message = fired
                    host.actor_inbox.put(Envelope(message))
                due = self._timers.due
                self._timers_changed.wait(None if due is None else max(0.0, due - time.monotonic()))

    def _watch(self) -> None:
        period_s = min(1.0, self._watchdog_s / 4) if self._watchdog_s > 0 else 1.0
        warned: dict[str, int] = {}
        while not self._closed.wait(period_s):
            now = time.monotonic()
            for host in list(self._hosts.values()):
                if isinstance(host, ThreadHost):
                    self._look_at(host, now, warned)

    def _look_at(self, host: ThreadHost, now: float, warned: dict[str, int]) -> None:
        since, handling, name = host.busy_since, host.handling, host.ctx.name
        allowed = max(START_S_MIN, self._watchdog_s) if handling == "on_start" else self._watchdog_s
        if since and 0 < allowed < now - since:
            self._give_up(host, f"hung: {now - since:.1f} s in {handling}")
            return
        depth = host.depth()
        if depth > max(self._mailbox_max, 2 * warned.get(name, 0)):
            warned[name] = depth
            host.ctx.log.warning("{} messages wait for {}", depth, name)
        elif depth <= self._mailbox_max // 2:
            warned.pop(name, None)

    def _give_up(self, host: ThreadHost, reason: str) -> None:
        frame = sys._current_frames().get(host.thread.ident or 0)  # noqa: SLF001  (its documented use)
        trace = "".join(traceback.format_stack(frame)) if frame is not None else ""
        pykka.ActorRegistry.unregister(host.actor_ref)
        host.actor_stopped.set()
        self.exited(host, reason, trace)


def use_all_cores() -> None:
    """Let the calling process use every core again, after it was started from an actor kept on one."""
    if not hasattr(os, "sched_setaffinity"):
        return
    try:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    except OSError as error:
        logger.warning("this process stays on the cores of its parent: {}", error)
