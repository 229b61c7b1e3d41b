"""The root: restarts with growing waits, announcements, quarantine, escalation, the orderly end."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from actors.base import Context, EngineActor, Factory
from actors.runtime import ThreadRuntime
from actors.sim import SimRuntime
from actors.supervisor import ChildSpec, RootActor
from engine.messages import (
    ControlAnswered,
    EpochAnnounced,
    Kill,
    Message,
    Notify,
    ReportStatus,
    Shutdown,
    ShutdownDone,
    TimerFired,
)
from engine.restart import Backoff
from tests.actors.probes import Disk, MemoryPersistence, Seen, probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened(Message):
    """A test's note of what an actor went through."""

    what: str
    name: str
    epoch: int


class Child(EngineActor):
    """Notes its start, its stop and what is announced; `deaf` ones never finish, `doomed` ones never start."""

    def __init__(self, ctx: Context, seen: Seen, *, deaf: bool = False, doomed: bool = False) -> None:
        super().__init__(ctx)
        self.seen = seen
        self.deaf = deaf
        self.doomed = doomed

    def note(self, what: str) -> None:
        """Take it down."""
        self.seen.add(Happened(what=what, name=self.name, epoch=self.epoch))

    def on_start(self) -> None:
        """Note it, or fail."""
        self.note("start")
        if self.doomed:
            raise RuntimeError("born to lose")

    def on_stop(self) -> None:
        """Note it."""
        self.note("stop")

    def on_shutdown(self, message: Shutdown) -> None:
        """Finish in a moment, or never."""
        self.note("shutdown")
        if not self.deaf:
            self.start_timer("finish", 10)

    def on_timer_fired(self, message: TimerFired) -> None:
        """Finished."""
        self.tell("root", ShutdownDone(name=self.name))

    def on_epoch_announced(self, message: EpochAnnounced) -> None:
        """Note who is new."""
        self.note(f"{message.name} is {message.epoch}")


def child(seen: Seen, *, deaf: bool = False, doomed: bool = False) -> Factory:
    """A factory of such children."""
    return lambda ctx: Child(ctx, seen, deaf=deaf, doomed=doomed)


class World:
    """A simulation under a root, with a journal in memory and a probe for a notifier."""

    def __init__(self, *specs: ChildSpec) -> None:
        self.sim = SimRuntime(5)
        self.disk = Disk()
        self.notified = Seen()
        self.asked = Seen()
        every = (
            ChildSpec("persistence", lambda ctx: MemoryPersistence(ctx, self.disk), shared=True),
            ChildSpec("notifier", probe(self.notified)),
            *specs,
        )
        self.sim.spawn("asker", probe(self.asked))
        self.sim.spawn("root", lambda ctx: RootActor(ctx, every))
        self.sim.settle()

    def kill(self, name: str, times: int = 1) -> None:
        """Crash an actor as often as it comes back."""
        for _ in range(times):
            assert self.sim.run_until(lambda: self.sim.alive(name), limit_ms=600_000)
            self.sim.kill(name, "drill")
            self.sim.settle()

    def status(self) -> dict[str, object]:
        """The root's own figures."""
        self.sim.tell("root", ReportStatus(request_id="1", reply_to="asker"))
        self.sim.settle()
        return dict(self.asked.of(ControlAnswered)[-1].data)


def what(seen: Seen, *, of: str = "") -> list[str]:
    """What was noted, by whom; or of one actor only."""
    notes = seen.of(Happened)
    return [note.what if of else f"{note.name} {note.what}" for note in notes if of in ("", note.name)]


def restarts(disk: Disk) -> list[tuple[object, object, object]]:
    """The rows about restarts: name, epoch, outcome."""
    return [(body["name"], body["epoch"], body["outcome"]) for body in disk.bodies("root")]


def test_children_start_in_the_order_of_their_specs() -> None:
    """The directory of names is filled top to bottom."""
    names = ["feed", "gateway", "pair:A", "pair:B"]
    world = World(*(ChildSpec(name, child(Seen())) for name in names))

    assert [actor.name for actor in world.sim.stats().actors] == ["asker", "root", "persistence", "notifier", *names]


def test_two_children_of_one_name_are_refused() -> None:
    """A doubled name is a mistake of ours: the root does not start, which ends the process."""
    sim = SimRuntime(1)
    specs = [ChildSpec("feed", child(Seen())), ChildSpec("feed", child(Seen()))]

    sim.spawn("root", lambda ctx: RootActor(ctx, specs))
    sim.settle()

    assert sim.exit_request is not None
    assert sim.exit_request.reason == "root crashed: ValueError: two children have the same name"


def test_a_crashed_pair_is_restarted_after_a_wait_and_nobody_else_notices() -> None:
    """One for one: the next incarnation comes after the backoff, and the others hear nothing of it."""
    seen = Seen()
    world = World(ChildSpec("pair:A", child(seen)), ChildSpec("pair:B", child(seen)))

    world.kill("pair:A")
    world.sim.run(for_ms=99)
    assert not world.sim.alive("pair:A")
    world.sim.run(for_ms=1)

    assert what(seen, of="pair:A") == ["start", "start"]
    assert [note.epoch for note in seen.of(Happened) if note.name == "pair:A"] == [1, 2]
    assert what(seen, of="pair:B") == ["start"]
    assert restarts(world.disk) == [("pair:A", 2, "restarted")]
    assert world.disk.bodies("root")[0]["reason"] == "drill"


def test_the_restart_of_a_shared_actor_is_announced_to_all() -> None:
    """Everybody but the new incarnation itself is told its epoch."""
    seen = Seen()
    world = World(ChildSpec("gateway", child(seen), shared=True), ChildSpec("pair:A", child(seen)))

    world.kill("gateway")
    world.sim.run(for_ms=100)

    assert what(seen, of="pair:A") == ["start", "gateway is 2"]
    assert what(seen, of="gateway") == ["start", "start"]
    assert world.notified.of(EpochAnnounced) == [EpochAnnounced(name="gateway", epoch=2)]


def test_a_child_that_stops_unasked_is_restarted_if_permanent_only() -> None:
    """A transient child's orderly end is its own affair, a temporary one never comes back."""
    seen = Seen()
    kinds = ("permanent", "transient", "temporary")
    world = World(*(ChildSpec(kind, child(seen), restart=kind) for kind in kinds))

    for kind in kinds:
        world.sim.stop(kind)
    world.sim.run(for_ms=1_000)
    assert [kind for kind in kinds if world.sim.alive(kind)] == ["permanent"]
    world.kill("permanent")
    world.sim.run(for_ms=1_000)

    assert world.status()["down"] == ["transient", "temporary"]
    assert world.status()["restarts"] == {"permanent": 2}


def test_waits_grow_and_a_pair_past_its_intensity_is_quarantined_not_forgotten() -> None:
    """A pair that always crashes is started ever more seldom, with one alarm, and never given up."""
    seen = Seen()
    world = World(ChildSpec("pair:A", child(seen, doomed=True), intensity=2), ChildSpec("pair:B", child(seen)))

    world.sim.run(for_ms=150)
    assert len(what(seen, of="pair:A")) == 2
    world.sim.run(for_ms=3_600_000)

    starts = len(what(seen, of="pair:A"))
    assert 60 < starts < 80
    (alarm,) = world.notified.of(Notify)
    assert (alarm.severity, alarm.event) == ("alarm", "ActorQuarantined")
    assert alarm.text.startswith("pair:A crashed more than 2 times in 60 s")
    assert world.status()["quarantined"] == ["pair:A"]
    assert [outcome for _, _, outcome in restarts(world.disk)[:4]] == ["restarted"] * 2 + ["quarantined"] * 2
    assert world.sim.exit_request is None


def test_quarantine_ends_after_a_period_of_life() -> None:
    """A pair that lives again for the period is like any other, and its next crash waits the shortest time."""
    world = World(ChildSpec("pair:A", child(Seen()), intensity=1))

    world.kill("pair:A", times=3)
    assert world.status()["quarantined"] == ["pair:A"]
    world.sim.run(for_ms=61_000)
    assert world.status()["quarantined"] == []
    world.kill("pair:A")
    world.sim.run(for_ms=100)

    assert world.sim.alive("pair:A")


def test_a_shared_actor_past_its_intensity_ends_the_process_and_says_why() -> None:
    """Status 70, with the reason on disk before."""
    world = World(ChildSpec("gateway", child(Seen()), shared=True, intensity=2, backoff=Backoff(first_ms=1)))

    world.kill("gateway", times=3)
    world.sim.run(for_ms=1_000)

    assert world.sim.exit_request is not None
    assert world.sim.exit_request.status == 70
    assert world.sim.exit_request.reason == "gateway crashed more than 2 times in 60 s; the last time: drill"
    assert restarts(world.disk) == [
        ("gateway", 2, "restarted"),
        ("gateway", 3, "restarted"),
        ("gateway", 3, "escalated"),
    ]


def test_a_persistence_that_cannot_be_kept_alive_ends_the_process_at_once() -> None:
    """When it is the journal that fails, there is nothing to wait for."""
    world = World()

    world.kill("persistence", times=6)

    assert world.sim.exit_request is not None
    assert world.sim.exit_request.status == 70


def test_a_journal_that_does_not_answer_does_not_hold_up_the_end() -> None:
    """The reason's record is waited for two seconds, not for ever."""
    sim = SimRuntime(5)
    specs = [
        ChildSpec("persistence", probe(Seen()), shared=True),
        ChildSpec("gateway", child(Seen()), shared=True, intensity=0),
    ]
    sim.spawn("root", lambda ctx: RootActor(ctx, specs))
    sim.settle()

    sim.kill("gateway")
    sim.run(for_ms=1_999)
    assert sim.exit_request is None
    sim.run(for_ms=1)

    assert sim.exit_request is not None


def test_restarts_are_recorded_over_a_restart_of_persistence() -> None:
    """What happened while the journal was down is in it afterwards, in order."""
    world = World(ChildSpec("pair:A", child(Seen())), ChildSpec("pair:B", child(Seen())))

    world.kill("pair:A")
    world.sim.run(for_ms=50)
    world.kill("persistence")
    world.sim.run(for_ms=60)
    world.kill("pair:B")
    world.sim.run(for_ms=5_000)

    assert restarts(world.disk) == [
        ("pair:A", 2, "restarted"),
        ("persistence", 2, "restarted"),
        ("pair:B", 2, "restarted"),
    ]


def test_the_orderly_end_goes_in_reverse_and_stops_only_when_all_have_finished() -> None:
    """Pairs finish together while all they need still runs; then all are stopped, the pairs first."""
    seen = Seen()
    names = ("gateway", "pair:A", "pair:B")
    world = World(*(ChildSpec(name, child(seen)) for name in names))

    world.sim.tell("root", Shutdown(reply_to=""))
    world.sim.run(for_ms=60_000)

    ends = [note for note in what(seen) if "start" not in note]
    assert set(ends[:2]) == {"pair:A shutdown", "pair:B shutdown"}
    assert ends[2] == "gateway shutdown"
    assert set(ends[3:5]) == {"pair:A stop", "pair:B stop"}
    assert ends[5:] == ["gateway stop"]
    assert world.sim.exit_request is not None
    # The probe that stands for the notifier answers nothing: it is the one who was late.
    assert (world.sim.exit_request.status, world.sim.exit_request.reason) == (
        0,
        "ended in order; out of time: notifier",
    )


def test_the_first_child_is_asked_to_finish_when_the_others_are_gone() -> None:
    """What the others say until their very end is heard by whoever keeps it, before it ends itself."""
    seen, sim = Seen(), SimRuntime(5)
    specs = [ChildSpec(name, child(seen)) for name in ("keeper", "gateway", "pair:A")]
    sim.spawn("root", lambda ctx: RootActor(ctx, specs))
    sim.settle()

    sim.tell("root", Shutdown(reply_to=""))
    sim.run(for_ms=60_000)

    assert what(seen)[3:] == [
        *("pair:A shutdown", "gateway shutdown", "pair:A stop", "gateway stop", "keeper shutdown", "keeper stop")
    ]


def test_who_does_not_finish_is_not_waited_for_longer_than_it_may_take() -> None:
    """A deaf child costs its own `shutdown_s`, and is named."""
    world = World(ChildSpec("pair:A", child(Seen(), deaf=True), shutdown_s=3), ChildSpec("pair:B", child(Seen())))

    world.sim.tell("root", Shutdown(reply_to=""))
    world.sim.run(for_ms=60_000)

    assert world.sim.exit_request is not None
    assert world.sim.exit_request.reason == "ended in order; out of time: pair:A, notifier"


def test_a_crash_while_all_is_ending_neither_hangs_nor_restarts() -> None:
    """A child that crashes instead of finishing counts as finished; one whose turn is to come is restarted."""
    seen = Seen()
    world = World(
        ChildSpec("gateway", child(seen)), ChildSpec("pair:A", child(seen, deaf=True)), ChildSpec("pair:B", child(seen))
    )

    world.sim.tell("root", Shutdown(reply_to=""))
    world.sim.run(for_ms=1)
    world.sim.kill("gateway")
    world.sim.run(for_ms=200)
    world.sim.tell("pair:A", Kill())
    world.sim.run(for_ms=60_000)

    assert what(seen, of="gateway") == ["start", "start", "shutdown", "stop"]
    assert what(seen, of="pair:A") == ["start", "shutdown"]
    assert world.sim.exit_request is not None
    assert world.sim.exit_request.status == 0


def test_a_second_request_ends_at_once() -> None:
    """Who asks twice does not want to wait."""
    world = World(ChildSpec("pair:A", child(Seen(), deaf=True)))

    world.sim.tell("root", Shutdown(reply_to=""))
    world.sim.run(for_ms=1)
    world.sim.tell("root", Shutdown(reply_to=""))
    world.sim.run(for_ms=1)

    assert world.sim.exit_request is not None
    assert world.sim.exit_request.status == 130


def test_the_same_root_supervises_threads() -> None:
    """On threads too a crash is followed by the next incarnation, and the orderly end reaches the main thread."""
    runtime, seen = ThreadRuntime(), Seen()
    specs = [ChildSpec(name, child(seen), backoff=Backoff(first_ms=1)) for name in ("gateway", "pair:A", "pair:B")]
    runtime.spawn("root", lambda ctx: RootActor(ctx, specs))
    seen.wait(Happened, 3)

    runtime.tell("pair:A", Kill())
    seen.wait(Happened, 4)
    runtime.tell("root", Shutdown(reply_to=""))
    wanted = runtime.wait(60)

    assert runtime.close()
    assert wanted is not None
    assert (wanted.status, wanted.reason) == (0, "ended in order")
    assert what(seen, of="pair:A") == ["start", "start", "shutdown", "stop"]
    assert what(seen)[-1] == "gateway stop"


@pytest.mark.parametrize("seed", range(10))
def test_whatever_the_order_everybody_is_alive_in_the_end(seed: int) -> None:
    """After a storm of random kills every child is back, and its restarts are in the journal, once each."""
    world = World(*(ChildSpec(f"pair:{n}", child(Seen()), intensity=100) for n in range(6)))
    victims = [f"pair:{n}" for n in range(6)] + ["persistence"]
    rng = SimRuntime(seed).rng
    for _ in range(20):
        world.sim.kill(rng.choice(victims[:6]), "storm")
        world.sim.run(for_ms=rng.randrange(2_000))
    world.kill("persistence")
    world.sim.run(for_ms=200_000)

    status = world.status()
    counted = status["restarts"]
    assert isinstance(counted, dict)
    assert status["down"] == []
    assert len(restarts(world.disk)) == sum(counted.values())
