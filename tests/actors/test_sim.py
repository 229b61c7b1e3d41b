"""Actors in the simulation: the seed decides, order is kept, time is virtual."""

from __future__ import annotations

import pytest

from actors.base import EngineActor
from actors.host import Timers
from actors.sim import Faults, SimRuntime
from engine.messages import ChildExited, EpochAnnounced, Message, TimerFired
from engine.types import Millis
from tests.actors.probes import Do, Number, Seen, Worker, probe, raising


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
