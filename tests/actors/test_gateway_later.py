"""The gateway of a venue that answers later: nothing is told before it is known, and every permit's fate is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from actors.venues.trading import (
    BalancesMoved,
    Found,
    Looked,
    Missed,
    Permit,
    PermitWanted,
    ReadsRefused,
    Remark,
    RequestEnded,
    Sent,
    Snapshot,
    VenueEvent,
)
from engine.market import Market
from engine.messages import (
    AcquirePermit,
    BalancesChanged,
    EpochAnnounced,
    Notify,
    OrderAccepted,
    OrderInDoubt,
    OrderRejected,
    PermitDenied,
    PermitsSpent,
    Record,
    SetTradingState,
    TakeSnapshot,
    UsageReported,
    VenueMissed,
    VenueSnapshot,
)
from engine.order import Order
from engine.types import Millis, Priority, TradingState
from tests.actors.probes import Seen, probe
from tests.actors.test_gateway import Granter, World, names
from tests.actors.ticks import PAIR, D


@dataclass
class Handed:
    """What the gateway has handed over."""

    what: str
    client_id: str
    permit: Permit


class LateVenue:
    """A venue that takes everything and says what a test puts into `coming`."""

    def __init__(self) -> None:
        self.epoch = 0
        self.coming: list[VenueEvent] = []
        self.handed: list[Handed] = []
        self.asked: list[TakeSnapshot] = []
        self.granted: list[tuple[str, Permit | None]] = []
        self.used: dict[str, int] = {}
        self.held: tuple[tuple[str, Decimal, Decimal], ...] = ()
        self.wake: Callable[[], None] = lambda: None

    def open(self, epoch: int, now: Millis, wake: Callable[[], None]) -> None:
        self.epoch, self.wake = epoch, wake

    def close(self) -> None: ...

    def markets(self) -> Mapping[str, Market]:
        return {}

    def submit(self, order: Order, now: Millis, permit: Permit) -> Sent:
        self.handed.append(Handed("order", order.client_order_id, permit))
        return Sent()

    def cancel(self, pair: str, client_order_id: str, order_id: str, now: Millis, permit: Permit) -> Sent:
        self.handed.append(Handed("cancel", client_order_id, permit))
        return Sent()

    def find(self, pair: str, client_order_id: str) -> Found | None:
        return None

    def look(self, question: TakeSnapshot, now: Millis) -> None:
        self.asked.append(question)

    def grant(self, request_id: str, permit: Permit | None, now: Millis) -> None:
        self.granted.append((request_id, permit))

    def match(self, *args: Any, **rest: Any) -> None: ...

    def settle(self, due: Sequence[Any]) -> None: ...

    def advance(self, now: Millis) -> None: ...

    def events(self) -> tuple[VenueEvent, ...]:
        coming, self.coming = tuple(self.coming), []
        return coming

    def commit(self) -> bool:
        return False

    def balances(self) -> tuple[tuple[str, Decimal, Decimal], ...]:
        return self.held

    def usage(self, now: Millis) -> Mapping[str, int]:
        return self.used


class Silent(Granter):
    """A limiter that never answers."""

    def receive(self, message: Any) -> None:
        self.seen.add(message)


def late_world() -> tuple[World, LateVenue]:
    venue = LateVenue()
    return World(venue), venue


def come(world: World, venue: LateVenue, *events: VenueEvent) -> Sequence[Any]:
    """Something comes by itself and wakes the gateway; what the pair hears of it."""
    before = len(world.pair.messages)
    venue.coming += events
    venue.wake()
    world.sim.settle()
    return world.pair.messages[before:]


def accepted(client_id: str = "a") -> OrderAccepted:
    return OrderAccepted(pair=PAIR, client_order_id=client_id, order_id="7", ts=5)


def test_an_order_that_is_on_its_way_is_answered_when_its_answer_comes() -> None:
    """Nothing is told at once; the acceptance goes to the pair, the request with its times into the journal."""
    world, venue = late_world()
    at_once = world.tell(world.order("a", permit="1.1.5000", not_after=9_000))
    (handed,) = venue.handed
    ended = RequestEnded(permit_id="1.1.5000", request="order", client_order_id="a", waited_ms=3, took_ms=48.12345)
    later = come(world, venue, accepted(), ended)
    (entry,) = [e for record in world.kept.of(Record) for e in record.entries if e.kind == "RequestSent"]

    assert at_once == []
    assert handed == Handed("order", "a", Permit("1.1.5000", 5_000))
    assert later == [accepted()]
    assert (entry.body["took_ms"], entry.body["waited_ms"], entry.body["outcome"]) == (48.123, 3, "Acknowledged")


def test_a_request_may_leave_until_its_signal_is_too_old() -> None:
    """The earlier of the two times counts: the permit's, or the order's own."""
    world, venue = late_world()
    world.tell(world.order("a", permit="1.1.5000", not_after=2_000), world.cancel("b", permit="1.2.4000"))

    assert [(handed.what, handed.permit.until) for handed in venue.handed] == [("order", 2_000), ("cancel", 4_000)]


def test_a_permit_weighs_until_the_answer_is_there() -> None:
    """The limiter hears that the request is on its way, and then that it was answered."""
    world, venue = late_world()
    world.tell(world.order("a", permit="1.1.5000"))
    come(world, venue, RequestEnded(permit_id="1.1.5000", request="order", took_ms=5.0))
    told = world.limiter.of(PermitsSpent)

    assert [m.sent for m in told if m.sent] == [(("1.1.5000", 1_000),)]
    assert [m.answered for m in told if m.answered] == [(("1.1.5000", 1_000),)]
    assert [m.spent for m in told if m.spent] == []


def test_the_exchanges_silence_is_for_all() -> None:
    """A 429 or a ban goes to the limiter, and permits that were given before it are not good until it is over."""
    world, venue = late_world()
    silence = RequestEnded(permit_id="x", request="candles", took_ms=1.0, retry_after_ms=7_000, banned=True)
    come(world, venue, silence)
    (refused,) = world.tell(world.order("a"))
    world.sim.run_for(7_000)
    world.tell(world.order("b"))

    assert UsageReported(pool="", retry_after_ms=7_000, banned=True) in world.limiter.of(UsageReported)
    assert isinstance(refused, OrderRejected)
    assert refused.code == "NO_PERMIT"
    assert [handed.client_id for handed in venue.handed] == ["b"]


def test_the_venues_own_requests_get_permits() -> None:
    """A wish becomes a question to the limiter with its kind and priority; the permit goes to the venue, with its time."""
    world, venue = late_world()
    come(world, venue, PermitWanted("live.1", "positions", Priority.ENTRY))
    (asked,) = world.limiter.of(AcquirePermit)
    ((request_id, permit),) = venue.granted
    come(world, venue, RequestEnded(permit_id=permit.permit_id if permit else "", request="positions", took_ms=2.0))

    assert (asked.request, asked.priority) == ("positions", Priority.ENTRY)
    assert request_id == "live.1"
    assert permit is not None
    assert permit.until == 99_999_999
    assert [m.answered[0][0] for m in world.limiter.of(PermitsSpent) if m.answered] == [permit.permit_id]


def test_a_wish_survives_the_limiter() -> None:
    """What an old limiter was asked the new one is asked again."""
    world, venue = late_world()
    world.sim.kill("limiter")
    world.sim.spawn("limiter", lambda ctx: Silent(ctx, world.limiter))
    come(world, venue, PermitWanted("live.1", "positions"), PermitWanted("live.2", "balances"))
    world.sim.kill("limiter")
    world.sim.spawn("limiter", lambda ctx: Granter(ctx, world.limiter))
    world.sim.settle()

    assert sorted(request_id for request_id, _ in venue.granted) == ["live.1", "live.2"]
    assert all(permit is not None for _, permit in venue.granted)


def test_a_wish_that_is_denied_is_told_so() -> None:
    """The venue hears that there will be no permit, once."""
    world, venue = late_world()
    world.sim.kill("limiter")
    world.sim.spawn("limiter", lambda ctx: Silent(ctx, world.limiter))
    come(world, venue, PermitWanted("live.1", "positions"))
    for _ in range(2):
        world.sim.tell("gateway", PermitDenied(request_id="gateway:1.live.1", reason="no"))
    world.sim.settle()

    assert venue.granted == [("live.1", None)]


def test_a_look_is_answered_when_the_venue_knows() -> None:
    """The question goes to the venue, its answer to the asker, with what is final, and what others did."""
    world, venue = late_world()
    take = TakeSnapshot(request_id="q", pair=PAIR, client_order_ids=("a",), since=0, reply_to=f"pair:{PAIR}")
    at_once = world.tell(take)
    (told,) = come(world, venue, Looked(take, Snapshot((), (), ("a",), D(3), final=False)))

    assert (at_once, venue.asked) == ([], [take])
    assert isinstance(told, VenueSnapshot)
    assert (told.request_id, told.unknown, told.position, told.final) == ("q", ("a",), D(3), False)


def test_what_else_a_venue_tells_goes_where_it_belongs() -> None:
    """Missed events to the pair, remarks to the user, balances to the portfolio once they are known."""
    world, venue = late_world()
    unknown = world.portfolio.of(BalancesChanged)
    venue.held = (("USDT", D(5), D(0)),)
    heard = come(world, venue, Missed(PAIR), Remark("warning", "stream", "it broke off"), BalancesMoved())
    world.sim.run_for(1_500)

    assert unknown == []
    assert heard == [VenueMissed(pair=PAIR)]
    assert world.portfolio.of(BalancesChanged)[-1].balances == venue.held


def test_an_account_that_cannot_be_read_takes_no_entries() -> None:
    """The kill switch is turned for as long as reads are refused, for a portfolio that is new too; the user is told once."""
    world, venue = late_world()
    notices = Seen()
    world.sim.spawn("notifier", probe(notices))
    come(world, venue, ReadsRefused("my_trades of BTC/USDT: no"))
    come(world, venue, ReadsRefused("my_trades of BTC/USDT: no"))
    world.tell(EpochAnnounced(name="portfolio", epoch=2))
    come(world, venue, ReadsRefused(""))
    turned = world.portfolio.of(SetTradingState)

    assert [message.state for message in turned] == [TradingState.EXITS_ONLY] * 3 + [TradingState.ACTIVE]
    assert {message.source for message in turned} == {"reads"}
    assert "my_trades of BTC/USDT: no" in turned[0].reason
    assert [message.severity for message in notices.of(Notify)] == ["alarm", "info"]


def test_doubt_that_comes_later_is_doubt() -> None:
    """An order in doubt is not handed over a second time, by whichever way it came to be in doubt."""
    world, venue = late_world()
    world.tell(world.order("a"))
    come(world, venue, OrderInDoubt(pair=PAIR, client_order_id="a", reason="no answer", ts=5))
    again = world.tell(world.order("a"))

    assert names(again) == ["OrderInDoubt"]
    assert len(venue.handed) == 1
