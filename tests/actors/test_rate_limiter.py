"""The rate limiter's actor: who asks is answered, in time, by urgency, and over restarts of everybody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from actors.rate_limiter import RateLimiterActor
from actors.runtime import SimRuntime
from engine.messages import (
    AcquirePermit,
    ControlAnswered,
    Notify,
    PermitDenied,
    PermitGranted,
    PermitsSpent,
    ReportStatus,
    ReportUsage,
    UsageReported,
)
from engine.quota import Limits, Pool, paper_limits
from engine.ratelimit import read_permit
from engine.settings import PaperConfig
from engine.types import Millis, Priority
from tests.actors.probes import Seen, probe

LIMITS = Limits(
    pools=(Pool("orders", 10, 10_000),),
    costs={"order": {"orders": 1}},
    urgent_percent=20,
    restart_percent=10,
    permit_ms=1_000,
)


class World:
    """A limiter, somebody who asks, and a gateway that says what it is told to."""

    def __init__(self, *, known: bool = True) -> None:
        self.sim = SimRuntime(1, start_ms=0)
        self.seen, self.gateway, self.notifier = Seen(), Seen(), Seen()
        self.sim.spawn("root", probe(Seen()))
        self.sim.spawn("pair:A", probe(self.seen))
        self.sim.spawn("gateway", probe(self.gateway))
        self.sim.spawn("notifier", probe(self.notifier))
        self.start()
        if known:
            self.sim.tell("limiter", UsageReported(pool="orders", used=0))
            self.sim.settle()

    def start(self) -> None:
        self.sim.spawn("limiter", lambda ctx: RateLimiterActor(ctx, LIMITS))
        self.sim.settle()

    def ask(self, request_id: str, priority: Priority = Priority.EXIT, not_after: Millis = 60_000, **rest: Any) -> None:
        acquire = AcquirePermit(
            request_id=request_id, request="order", priority=priority, not_after=not_after, reply_to="pair:A", **rest
        )
        self.sim.tell("limiter", acquire)

    def granted(self) -> list[str]:
        return [message.request_id for message in self.seen.of(PermitGranted)]


def test_permits_are_given_and_the_urgent_go_first() -> None:
    """When the budget is used up the rest wait, and the guard is served first in the next window."""
    world = World()
    for number in range(11):
        world.ask(f"exit{number}")
    world.ask("guard", Priority.GUARD)
    world.sim.settle()
    first = world.seen.of(PermitGranted)[0]
    assert world.granted() == [f"exit{number}" for number in range(9)]
    assert read_permit(first.permit_id) == (1, first.expires)
    world.sim.run_for(9_999)
    assert len(world.granted()) == 9
    world.sim.run_for(1)

    assert world.granted()[9:] == ["guard", "exit9", "exit10"]


def test_what_is_given_back_serves_who_waits() -> None:
    """An unused permit goes to the next one at once; a spent one does not."""
    world = World()
    for number in range(11):
        world.ask(f"e{number}")
    world.sim.settle()
    permits = [message.permit_id for message in world.seen.of(PermitGranted)]
    world.sim.tell("limiter", PermitsSpent(spent=((permits[0], 0),)))
    world.sim.settle()
    assert len(world.granted()) == 9
    world.sim.tell("limiter", PermitsSpent(spent=(), unused=(permits[1],)))
    world.sim.settle()

    assert world.granted()[9:] == ["e9"]


def test_what_is_on_its_way_keeps_its_place_in_the_next_window() -> None:
    """A request that has left and has no answer when the window ends may arrive after it: its place goes to nobody."""
    world = World()
    for number in range(9):
        world.ask(f"exit{number}")
    world.sim.settle()
    permits = [message.permit_id for message in world.seen.of(PermitGranted)]
    world.sim.tell("limiter", PermitsSpent(sent=tuple((permit, 100) for permit in permits)))
    world.sim.tell("limiter", PermitsSpent(answered=tuple((permit, 200) for permit in permits[:8])))
    world.sim.run_for(10_000)
    for number in range(9):
        world.ask(f"next{number}")
    world.sim.settle()
    assert len(world.granted()) == 9 + 8

    world.sim.tell("limiter", PermitsSpent(unused=(world.seen.of(PermitGranted)[-1].permit_id,)))
    world.sim.settle()
    assert len(world.granted()) == 9 + 9


def test_who_cannot_be_served_in_time_is_denied() -> None:
    """A wish that the window outlasts is denied, at once where nothing can come back."""
    world = World()
    for number in range(9):
        world.ask(f"e{number}")
    world.ask("late", not_after=500)
    world.sim.run_for(501)
    world.sim.run_for(1_000)
    world.ask("hopeless", not_after=5_000)
    world.sim.settle()

    assert [(m.request_id, m.reason) for m in world.seen.of(PermitDenied)] == [
        ("late", "its time ran out before there was budget"),
        ("hopeless", "orders is used up"),
    ]


def test_a_new_limiter_asks_what_is_used() -> None:
    """It gives the restart share to the urgent only, and asks the gateway until it has an answer."""
    world = World(known=False)
    world.ask("entry", Priority.ENTRY)
    world.ask("exit")
    world.sim.run_for(2_500)
    assert world.gateway.of(ReportUsage) == [ReportUsage(epoch=1, reply_to="limiter")] * 2
    assert world.granted() == ["exit"]
    world.sim.tell("limiter", UsageReported(pool="orders", used=3))
    world.sim.run_for(5_000)

    assert world.granted() == ["exit", "entry"]
    assert len(world.gateway.of(ReportUsage)) == 2


def test_a_restarted_limiter_gives_permits_of_its_own_epoch() -> None:
    """What waited with the old one is asked again, and the new permits can be told from the old."""
    world = World()
    world.sim.kill("limiter")
    world.start()
    world.ask("again")
    world.sim.settle()

    assert read_permit(world.seen.of(PermitGranted)[0].permit_id) == (2, 1_000)
    assert world.gateway.of(ReportUsage)[-1].epoch == 2


def test_a_repeated_wish_is_answered_once() -> None:
    """Asked twice while it waits, a permit is given once; asked again after the grant, the same one."""
    world = World()
    for number in range(9):
        world.ask(f"e{number}")
    world.ask("w")
    world.ask("w")
    world.sim.run_for(10_000)
    world.ask("w")
    world.sim.settle()
    mine = [message for message in world.seen.of(PermitGranted) if message.request_id == "w"]

    assert len(mine) == 2
    assert mine[0] == mine[1]


def test_silence_is_kept_and_said() -> None:
    """A ban stops everything until it ends, and the user hears of it."""
    world = World()
    world.sim.tell("limiter", UsageReported(pool="orders", retry_after_ms=30_000, banned=True, why="too many orders"))
    world.ask("guard", Priority.GUARD)
    world.sim.run_for(29_999)
    assert world.granted() == []
    world.sim.run_for(1)
    (notice,) = world.notifier.of(Notify)

    assert world.granted() == ["guard"]
    assert (notice.severity, notice.text) == (
        "alarm",
        "the exchange has banned us for 30 s: nothing is sent until then (too many orders)",
    )


def test_its_figures_can_be_asked() -> None:
    """The status names what was granted, what waits, and each pool's use."""
    world = World()
    world.ask("a")
    world.sim.tell("limiter", ReportStatus(request_id="1", reply_to="pair:A"))
    world.sim.settle()
    (answer,) = world.seen.of(ControlAnswered)

    assert answer.data["granted"] == 1
    assert answer.data["pools"]["orders"] == {"used": 0, "outstanding": 1, "limit": 9, "sent": 0}


def test_the_paper_exchange_counts_as_binance_does() -> None:
    """Weight a minute, orders in ten seconds and a day, with the limits that the configuration gives."""
    limits = paper_limits(PaperConfig(orders_per_10s=1_500))

    assert [(pool.limit, pool.window_ms) for pool in limits.pools] == [
        (6_000, 60_000),
        (1_500, 10_000),
        (200_000, 86_400_000),
    ]


def test_a_key_that_is_refused_is_said_and_silences_nobody_else() -> None:
    """What carries the key waits, other accounts at the exchange have keys of their own, and the user is told which it is."""
    sim = SimRuntime(1, start_ms=0)
    seen, neighbour, notifier = Seen(), Seen(), Seen()
    for name, heard in (("root", Seen()), ("pair:A", seen), ("limiter@b", neighbour), ("notifier", notifier)):
        sim.spawn(name, probe(heard))
    limits = replace(LIMITS, costs={"order": {"orders": 1}, "candles": {"orders": 1}}, public=frozenset({"candles"}))
    sim.spawn("limiter", lambda ctx: RateLimiterActor(ctx, limits, neighbours=["limiter@b"]))
    sim.tell("limiter", UsageReported(pool="orders", used=0))
    sim.tell("limiter", UsageReported(pool="", retry_after_ms=5_000, why="-2015", signed=True))
    for request in ("order", "candles"):
        wish = AcquirePermit(
            request_id=request, request=request, priority=Priority.EXIT, not_after=60_000, reply_to="pair:A"
        )
        sim.tell("limiter", wish)
    sim.settle()
    at_once = [message.request_id for message in seen.of(PermitGranted)]
    sim.run_for(5_000)

    assert at_once == ["candles"]
    assert [message.request_id for message in seen.of(PermitGranted)] == ["candles", "order"]
    assert neighbour.of(UsageReported) == []
    assert "refuses our key" in notifier.of(Notify)[0].text


def test_a_key_that_stays_refused_is_one_alarm() -> None:
    """All that was under way is refused together, and again each time it is tried: one alarm, again after an hour, and anew."""
    sim = SimRuntime(1, start_ms=0)
    notifier = Seen()
    for name, heard in (("root", Seen()), ("notifier", notifier), ("gateway", Seen())):
        sim.spawn(name, probe(heard))
    sim.spawn("limiter", lambda ctx: RateLimiterActor(ctx, LIMITS))
    refused = UsageReported(pool="", retry_after_ms=10_000, why="-2015", signed=True)
    told = []
    for _ in range(366):
        sim.tell("limiter", refused)
        sim.tell("limiter", refused)
        sim.run_for(10_000)
        told.append(len(notifier.of(Notify)))
    sim.run_for(60_000)
    sim.tell("limiter", refused)
    sim.settle()

    assert (told[0], told[359], told[-1]) == (1, 1, 2)
    assert [(said.severity, "refuses our key" in said.text) for said in notifier.of(Notify)] == [("alarm", True)] * 3
