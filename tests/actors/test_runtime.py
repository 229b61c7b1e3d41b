"""Actors in threads: crashes, names, epochs, fencing, timers, the dead man."""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from decimal import getcontext
from pathlib import Path

import pytest
from loguru import logger

from actors.base import Context, EngineActor
from actors.runtime import MarketClock, ThreadHost, ThreadRuntime
from engine.messages import ChildExited, EpochAnnounced, Shutdown, TimerFired
from tests.actors.probes import Do, Job, Number, Seen, Worker, probe, raising, waiting


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
    wanted = runtime.wait(60)
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


@pytest.mark.parametrize("ending", [False, True])
def test_who_is_gone_at_the_end_is_no_news(threads: Threads, ending: bool) -> None:
    """A letter to nobody is warned of while the bot runs; while all end, one after the other, it is only counted."""
    said: list[str] = []
    sink = logger.add(said.append, level="WARNING", format="{message}")
    try:
        if ending:
            threads.runtime.request_exit(0, "ending in order")
        threads.runtime.dead_letter("one", "nobody", Shutdown(reply_to=""))
    finally:
        logger.remove(sink)

    assert dict(threads.runtime.stats().dead_letters_to) == {"nobody": 1}
    assert len(said) == (0 if ending else 1)


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
        go.wait(60)
        actor.tell("root", EpochAnnounced(name="from the dead", epoch=actor.epoch))
        actor.start_timer("late", 0)
        said.set()

    watched.worker("one")
    watched.runtime.tell("one", Do(job=hang))
    (exited,) = watched.root.wait(ChildExited)
    assert watched.worker("one") == 2
    go.set()
    said.wait(60)
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
        go.wait(60)

    began = time.monotonic()
    threads.worker("one")
    threads.runtime.tell("one", Do(job=job))
    assert reported.wait(60)
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
        actor.start_timer("market", 60_000, market=True)
        actor.start_timer("own", 60_000)

    threads.worker("one")
    threads.runtime.tell("one", Do(job=job))
    (fired,) = threads.seen.wait(TimerFired)

    assert fired.name == "market"
    assert 1.0 <= time.monotonic() - started < 60.0


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
    assert started.wait(60)
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

    ended = subprocess.run([sys.executable, "-c", program, log], check=False, timeout=100, capture_output=True)

    assert ended.returncode == 1
    assert "Timeout (0:00:00.300000)!" in log.read_text()


def test_closing_disarms_the_dead_man(threads: Threads) -> None:
    """After the runtime has been closed the process may live on, whoever re-arms."""
    threads.runtime.close()
    threads.runtime.rearm_deadman()

    faulthandler.cancel_dump_traceback_later()
    assert not any(thread.name in ("one", "root") for thread in threading.enumerate())


def test_a_full_mailbox_is_warned_of_once_until_it_doubles(threads: Threads) -> None:
    """A mailbox past the limit is said once, again at twice the depth, and afresh after it has emptied."""
    go, started = threading.Event(), threading.Event()
    threads.worker("one", start=waiting(go, started))
    assert started.wait(60)
    host = threads.runtime._hosts["one"]
    assert isinstance(host, ThreadHost)
    warned: dict[str, int] = {}
    said: list[str] = []
    me = threading.get_ident()  # the runtime's own watch looks once a second too
    sink = logger.add(
        lambda line: said.append(line.record["message"]),
        filter=lambda r: r["extra"].get("actor") == "one" and threading.get_ident() == me,
    )

    for count in (101, 50, 60):
        for n in range(count):
            threads.runtime.tell("one", Number(sender="test", n=n))
        threads.runtime._look_at(host, time.monotonic(), warned)
    go.set()
    threads.seen.wait(Number, 211)
    threads.runtime._look_at(host, 0.0, warned)
    logger.remove(sink)

    assert said == ["101 messages wait for one", "211 messages wait for one"]
    assert warned == {}


def test_pinned_actors_share_a_core_and_children_may_leave_it() -> None:
    """With `pin` an actor's thread has one core; a process started from there takes all of them back."""
    runtime, root, found = ThreadRuntime(pin=True), Seen(), []
    runtime.spawn("root", probe(root))
    program = "import os; from actors.runtime import use_all_cores as a; a(); print(len(os.sched_getaffinity(0)))"

    def job(actor: EngineActor) -> None:
        found.append(len(os.sched_getaffinity(0)))
        found.append(int(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout))
        actor.tell("root", EpochAnnounced(name="done", epoch=0))

    runtime.spawn("one", lambda ctx: Worker(ctx, Seen(), start=job))
    root.wait(EpochAnnounced)
    runtime.close()

    assert found == [1, len(os.sched_getaffinity(0))]


def test_a_runtime_without_its_timers_ends_the_process(threads: Threads) -> None:
    """When one of the runtime's own threads fails, the process is asked to end with status 70."""
    threads.runtime._serve(lambda: sys.exit("no timers"))

    wanted = threads.runtime.wait(60)

    assert wanted is not None
    assert wanted.status == 70
