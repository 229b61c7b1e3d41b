"""The two runtimes: what they promise alike, and what each does in its own way."""

from __future__ import annotations

import faulthandler
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import getcontext
from pathlib import Path

import pytest

from actors.base import Context, EngineActor
from actors.host import Timers
from actors.runtime import MarketClock, ThreadHost, ThreadRuntime
from actors.sim import Faults, SimRuntime
from engine.messages import ChildExited, EpochAnnounced, Message, Shutdown, TimerFired
from engine.types import Millis
from tests.actors.probes import Seen, probe

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
        go.wait(10)

    return job


class Threads:
    """A `ThreadRuntime` whose `root` is a probe, for one test."""

    def __init__(self, runtime: ThreadRuntime) -> None:
        self.runtime = runtime
        self.root = Seen()
        self.seen = Seen()
        runtime.spawn("root", probe(self.root))

    def worker(self, name: str, start: Job | None = None, stop: Job | None = None, release: Job | None = None) -> int:
        """Start a worker."""
        return self.runtime.spawn(name, lambda ctx: Worker(ctx, self.seen, start, stop, release))


@pytest.fixture
def threads() -> Iterator[Threads]:
    """Threads at sixty times the market's speed, all stopped in the end."""
    runtime = ThreadRuntime(MarketClock(0, time.time(), speed=60), mailbox_max=100)
    yield Threads(runtime)
    runtime.close()


@pytest.fixture
def watched() -> Iterator[Threads]:
    """Threads whose watchdog has little patience."""
    runtime = ThreadRuntime(watchdog_s=0.2)
    yield Threads(runtime)
    runtime.close()


# ---------------------------------------------------------------- crashes


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(3), KeyboardInterrupt("x"), GeneratorExit("x")])
def test_whatever_a_handler_raises_ends_that_actor_alone(threads: Threads, error: BaseException) -> None:
    """Errors that would stop all of pykka's actors cost one, and its supervisor is told with the trace."""
    threads.worker("one")
    threads.worker("other")

    threads.runtime.tell("one", Do(job=raising(error)))
    (exited,) = threads.root.wait(ChildExited)
    threads.runtime.tell("other", Number(sender="test", n=1))
    threads.seen.wait(Number)

    assert (exited.name, exited.epoch) == ("one", 1)
    assert exited.reason.startswith(type(error).__name__)
    assert "in on_do" in exited.trace
    assert threads.runtime.exit_request is None


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(3)])
def test_a_crash_in_on_start_is_told_to_the_supervisor(threads: Threads, error: BaseException) -> None:
    """Pykka tells nobody about a failing `on_start`; we do."""
    threads.worker("one", start=raising(error))

    (exited,) = threads.root.wait(ChildExited)

    assert exited.reason.startswith(type(error).__name__)
    assert not threads.runtime.alive("one")


def test_a_factory_that_fails_is_a_crash(threads: Threads) -> None:
    """An actor that cannot even be built is reported like any other crash."""

    def factory(ctx: Context) -> EngineActor:
        raise LookupError(ctx.name)

    threads.runtime.spawn("one", factory)

    assert [exited.reason for exited in threads.root.wait(ChildExited)] == ["LookupError: one"]


def test_a_crash_in_on_stop_is_a_crash(threads: Threads) -> None:
    """An orderly stop that fails is not reported as orderly."""
    threads.worker("one", stop=raising(ValueError("bad")))

    threads.runtime.stop("one")

    assert [exited.reason for exited in threads.root.wait(ChildExited)] == ["ValueError: bad"]


def test_a_stop_comes_after_what_was_told_before(threads: Threads) -> None:
    """An orderly stop handles the mailbox first, then calls `on_stop` and `release`, in that order."""
    order: list[str] = []
    threads.worker("one", stop=lambda _: order.append("stop"), release=lambda _: order.append("release"))
    for n in range(100):
        threads.runtime.tell("one", Number(sender="test", n=n))

    threads.runtime.stop("one")
    (exited,) = threads.root.wait(ChildExited)

    assert exited.reason == ""
    assert len(threads.seen.of(Number)) == 100
    assert order == ["stop", "release"]


def test_a_crash_releases_what_the_actor_held(threads: Threads) -> None:
    """`release` is called after a crash too, before the supervisor may start the next incarnation."""
    released = threading.Event()
    threads.worker("one", release=lambda _: released.set())

    threads.runtime.tell("one", Do(job=raising(ValueError())))
    threads.root.wait(ChildExited)

    assert released.is_set()


def test_the_crash_of_its_own_supervisor_ends_the_process() -> None:
    """When the root crashes there is nobody to restart it: the main thread is asked to end, status 70."""
    runtime = ThreadRuntime()
    runtime.spawn("root", lambda ctx: Worker(ctx, Seen()))

    runtime.tell("root", Do(job=raising(ValueError("bad"))))
    wanted = runtime.wait(10)
    runtime.close()

    assert wanted is not None
    assert (wanted.status, wanted.reason) == (70, "root crashed: ValueError: bad")


# ---------------------------------------------------------------- names, epochs, fencing


def test_telling_nobody_is_counted_and_never_raises(threads: Threads) -> None:
    """A dead or unknown name costs the sender nothing; the letters are counted by name."""
    threads.worker("one")

    def job(actor: EngineActor) -> None:
        for _ in range(3):
            actor.tell("nobody", Shutdown(reply_to=""))
        actor.tell("root", EpochAnnounced(name="done", epoch=0))

    threads.runtime.tell("one", Do(job=job))
    threads.root.wait(EpochAnnounced)

    assert dict(threads.runtime.stats().dead_letters_to) == {"nobody": 3}


def test_a_kill_drops_the_mailbox_and_counts_it(threads: Threads) -> None:
    """A killed actor handles nothing any more, and what lay in its mailbox is counted as dropped."""
    go = threading.Event()
    threads.worker("one", start=waiting(go))
    for n in range(5):
        threads.runtime.tell("one", Number(sender="test", n=n))

    threads.runtime.kill("one", "drill")
    go.set()
    (exited,) = threads.root.wait(ChildExited)

    assert exited.reason == "drill"
    assert threads.seen.of(Number) == []
    assert threads.runtime.stats().dropped >= 4


def test_a_name_is_taken_once_and_its_epochs_count_up(threads: Threads) -> None:
    """Two living actors of one name are refused; each incarnation of a name has the next epoch."""
    assert threads.worker("one") == 1
    with pytest.raises(ValueError, match="an actor called one is running already"):
        threads.worker("one")
    threads.runtime.kill("one")
    threads.root.wait(ChildExited)

    assert threads.worker("one") == 2


def test_a_hung_actor_is_fenced_and_replaced(watched: Threads) -> None:
    """The watchdog gives up a handler that takes too long; what the old incarnation tells then is dropped."""
    go, said = threading.Event(), threading.Event()

    def hang(actor: EngineActor) -> None:
        go.wait(10)
        actor.tell("root", EpochAnnounced(name="from the dead", epoch=actor.epoch))
        actor.start_timer("late", 0)
        said.set()

    watched.worker("one")
    watched.runtime.tell("one", Do(job=hang))
    (exited,) = watched.root.wait(ChildExited)
    assert watched.worker("one") == 2
    go.set()
    said.wait(10)
    watched.runtime.tell("one", Number(sender="test", n=1))
    watched.seen.wait(Number)

    assert exited.reason.startswith("hung: ")
    assert "in hang" in exited.trace
    assert watched.root.of(EpochAnnounced) == []
    assert watched.runtime.stats().fenced == 2
    assert watched.seen.of(TimerFired) == []
    assert len(watched.root.of(ChildExited)) == 1


def test_a_long_handler_that_reports_progress_is_left_alone(threads: Threads) -> None:
    """`ctx.progress()` starts the watchdog's time anew; without it, the handler is given up."""
    go, reported = threading.Event(), threading.Event()

    def job(actor: EngineActor) -> None:
        actor.ctx.progress()
        reported.set()
        go.wait(10)

    began = time.monotonic()
    threads.worker("one")
    threads.runtime.tell("one", Do(job=job))
    assert reported.wait(10)
    host = threads.runtime._hosts["one"]
    assert isinstance(host, ThreadHost)

    threads.runtime._look_at(host, host.busy_since + 9.9, {})
    assert host.busy_since >= began
    assert threads.runtime.alive("one")
    threads.runtime._look_at(host, host.busy_since + 10.1, {})
    go.set()

    assert [exited.reason for exited in threads.root.wait(ChildExited)] == ["hung: 10.1 s in Do"]


# ---------------------------------------------------------------- timers, clocks, threads


def test_a_market_timer_runs_at_the_market_s_speed(threads: Threads) -> None:
    """Sixty market seconds at sixty times the speed are one second; a timer of our own time is not."""
    started = time.monotonic()

    def job(actor: EngineActor) -> None:
        actor.start_timer("market", 6_000, market=True)
        actor.start_timer("own", 6_000)

    threads.worker("one")
    threads.runtime.tell("one", Do(job=job))
    (fired,) = threads.seen.wait(TimerFired)

    assert fired.name == "market"
    assert 0.1 <= time.monotonic() - started < 6.0


def test_the_market_clock_goes_on_through_a_downtime() -> None:
    """A clock that started an hour ago at twice the speed is two hours further."""
    clock = MarketClock(1_000_000, time.time() - 3_600, speed=2)

    assert clock.now() == pytest.approx(1_000_000 + 7_200_000, abs=2_000)
    assert MarketClock.real().now() == pytest.approx(time.time() * 1_000, abs=1_000)
    with pytest.raises(ValueError, match="speed is above 0"):
        MarketClock(0, 0, speed=0)


def test_a_thread_is_named_after_its_actor_and_counts_money_exactly(threads: Threads) -> None:
    """Each actor's thread has the actor's name, our decimal context and a small stack."""
    found: list[tuple[str, int]] = []

    def job(actor: EngineActor) -> None:
        found.append((threading.current_thread().name, getcontext().prec))
        actor.tell("root", EpochAnnounced(name="done", epoch=0))

    threads.worker("pair:BTC/USDT")
    threads.runtime.tell("pair:BTC/USDT", Do(job=job))
    threads.root.wait(EpochAnnounced)

    assert found == [("pair:BTC/USDT", 38)]


def test_statistics_name_who_is_busy_and_who_has_mail(threads: Threads) -> None:
    """The figures show the depth of a mailbox, and what its actor is busy with."""
    go, started = threading.Event(), threading.Event()
    threads.worker("one", start=waiting(go, started))
    assert started.wait(10)
    for n in range(150):
        threads.runtime.tell("one", Number(sender="test", n=n))

    (one,) = [actor for actor in threads.runtime.stats().actors if actor.name == "one"]
    go.set()
    threads.seen.wait(Number, 150)

    assert (one.epoch, one.depth, one.handled, one.handling) == (1, 150, 0, "on_start")


def test_the_dead_man_ends_a_process_that_stands_still(tmp_path: Path) -> None:
    """A process whose interpreter is held by C code ends itself, with the stacks in its log."""
    log = tmp_path / "log"
    program = (
        "import sys\n"
        "from actors.runtime import ThreadRuntime\n"
        "runtime = ThreadRuntime(deadman_s=0.3, deadman_log=open(sys.argv[1], 'w'))\n"
        "runtime.rearm_deadman()\n"
        "sum(range(10**12))\n"
    )

    ended = subprocess.run([sys.executable, "-c", program, log], check=False, timeout=30, capture_output=True)

    assert ended.returncode == 1
    assert "Timeout (0:00:00.300000)!" in log.read_text()


def test_closing_disarms_the_dead_man(threads: Threads) -> None:
    """After the runtime has been closed the process may live on, whoever re-arms."""
    threads.runtime.close()
    threads.runtime.rearm_deadman()

    faulthandler.cancel_dump_traceback_later()
    assert not any(thread.name in ("one", "root") for thread in threading.enumerate())


def test_timers_that_are_started_again_and_again_take_no_memory() -> None:
    """Replaced timers leave the heap long before they would have been due."""
    sim = SimRuntime(1)
    sim.spawn("one", lambda ctx: Worker(ctx, Seen()))

    def job(actor: EngineActor) -> None:
        for _ in range(10_000):
            actor.start_timer("same", 3_600_000)

    sim.tell("one", Do(job=job))
    sim.settle()

    timers: Timers = sim._timers
    assert len(timers) == 1
    assert len(timers._heap) < 200


# ---------------------------------------------------------------- the simulation


def chatter(seed: int, *, faults: Faults | None = None) -> list[tuple[Millis, str, str, str]]:
    """The trace of five actors that tell each other twenty numbered messages each, over some time."""
    trace: list[tuple[Millis, str, str, str]] = []
    sim = SimRuntime(
        seed,
        start_ms=1_000,
        faults=faults,
        on_delivery=lambda now, sender, to, message: trace.append((now, sender, to, _text(message))),
    )
    names = [f"actor:{n}" for n in range(5)]

    def talk(actor: EngineActor) -> None:
        for n in range(20):
            for to in names:
                actor.tell(to, Number(sender=actor.name, n=n))

    for name in names:
        sim.spawn(name, lambda ctx: Worker(ctx, Seen()))
        sim.tell(name, Do(job=lambda actor: actor.start_timer("talk", 10)))
        sim.tell(name, Do(job=talk))
    assert sim.run_until_idle()
    return trace


def _text(message: Message) -> str:
    return str(message.n) if isinstance(message, Number) else type(message).__name__


def fifo(trace: list[tuple[Millis, str, str, str]]) -> bool:
    """Whether every receiver saw every sender's numbers in order."""
    seen: dict[tuple[str, str], int] = {}
    for _, sender, to, text in trace:
        if text.isdigit():
            if int(text) < seen.get((sender, to), 0):
                return False
            seen[sender, to] = int(text)
    return True


def test_equal_seeds_give_equal_traces_and_others_others() -> None:
    """The seed decides the whole order of messages, and nothing else does."""
    assert chatter(7) == chatter(7)
    assert chatter(7) != chatter(8)
    assert sorted(chatter(7)) == sorted(chatter(8))


@pytest.mark.parametrize("seed", range(5))
def test_every_seed_keeps_the_order_between_two_actors(seed: int) -> None:
    """Who comes next is drawn, but nobody's second message overtakes his first, delayed or not."""
    assert fifo(chatter(seed))
    assert fifo(chatter(seed, faults=Faults(drop=0.1, duplicate=0.1, delay=0.3)))


def test_faults_follow_the_seed_too() -> None:
    """Lost, doubled and delayed messages are the same ones for the same seed."""
    faults = Faults(drop=0.1, duplicate=0.1, delay=0.3)

    assert chatter(7, faults=faults) == chatter(7, faults=faults)
    assert len(chatter(7, faults=Faults(drop=1.0))) < len(chatter(7, faults=faults))
    spared = chatter(7, faults=Faults(drop=1.0, spare=frozenset({Number})))
    assert sorted(spared) == sorted(chatter(7))


def test_virtual_time_passes_without_waiting() -> None:
    """A day's timer fires at its virtual time, and the market's clock shows it."""
    sim, seen = SimRuntime(1, start_ms=5_000), Seen()
    sim.spawn("one", lambda ctx: Worker(ctx, seen, start=lambda actor: actor.start_timer("day", 86_400_000)))

    sim.run(for_ms=86_399_999)
    assert seen.of(TimerFired) == []
    assert sim.run_until(lambda: bool(seen.of(TimerFired)), limit_ms=1)

    assert (sim.now(), sim.monotonic()) == (86_405_000, 86_400.0)
    assert not sim.run_until(lambda: False, limit_ms=1_000)


def test_a_crash_in_the_simulation_is_told_like_in_threads() -> None:
    """`on_start`, handlers and SystemExit crash one simulated actor and never the simulation."""
    sim, root = SimRuntime(1), Seen()
    sim.spawn("root", probe(root))
    sim.spawn("a", lambda ctx: Worker(ctx, Seen(), start=raising(SystemExit(1))))
    sim.spawn("b", lambda ctx: Worker(ctx, Seen()))
    sim.tell("b", Do(job=raising(SystemExit(2))))
    sim.tell("b", Number(sender="test", n=1))
    sim.settle()

    assert {e.name: e.reason for e in root.of(ChildExited)} == {"a": "SystemExit: 1", "b": "SystemExit: 2"}
    assert sim.stats().dropped == 1


def test_a_ctrl_c_in_the_simulation_reaches_the_caller() -> None:
    """KeyboardInterrupt belongs to whoever runs the simulation, in whatever handler it comes up."""
    sim = SimRuntime(1)
    sim.spawn("one", lambda ctx: Worker(ctx, Seen()))
    sim.tell("one", Do(job=raising(KeyboardInterrupt())))

    with pytest.raises(KeyboardInterrupt):
        sim.settle()


def test_an_actor_killed_by_its_own_doing_ends_after_the_message() -> None:
    """`kill` of the actor that is just running lets its handler end, and nothing after it."""
    sim, root, seen = SimRuntime(1), Seen(), Seen()
    sim.spawn("root", probe(root))
    sim.spawn("one", lambda ctx: Worker(ctx, seen))

    def job(actor: EngineActor) -> None:
        sim.kill("one", "suicide")
        actor.tell("root", EpochAnnounced(name="last words", epoch=1))

    sim.tell("one", Do(job=job))
    sim.tell("one", Number(sender="test", n=1))
    sim.settle()

    assert [exited.reason for exited in root.of(ChildExited)] == ["suicide"]
    assert len(root.of(EpochAnnounced)) == 1
    assert seen.of(Number) == []


def test_an_exit_request_ends_the_run() -> None:
    """Nothing is handled after the end of the process was asked for."""
    sim, seen = SimRuntime(1), Seen()
    sim.spawn("one", lambda ctx: Worker(ctx, seen))
    sim.tell("one", Do(job=lambda actor: actor.ctx.request_exit(3, "enough")))
    sim.tell("one", Number(sender="test", n=1))

    sim.run(for_ms=1_000)

    assert seen.of(Number) == []
    assert sim.exit_request is not None
    assert sim.exit_request.status == 3
