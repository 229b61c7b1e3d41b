"""The gateway: what may leave, what is answered, and that nothing is told that is not on record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.base import Context, EngineActor
from actors.gateway import GatewayActor
from actors.runtime import SimRuntime
from actors.venues.paper.venue import PaperVenue
from actors.venues.trading import TradingVenue
from engine.messages import (
    AcquirePermit,
    BalancesChanged,
    CancelOrder,
    CancelRejected,
    ChildExited,
    EpochAnnounced,
    LoadState,
    MatchMarket,
    Message,
    OrderAccepted,
    OrderFilled,
    OrderRejected,
    PermitGranted,
    PermitsSpent,
    Record,
    Recorded,
    ReportUsage,
    Shutdown,
    ShutdownDone,
    StateLoaded,
    SubmitOrder,
    TakeSnapshot,
    UsageReported,
    VenueSnapshot,
)
from engine.settings import PaperConfig
from engine.types import ZERO, OrderStatus, OrderType
from tests.actors.probes import Seen, probe
from tests.actors.ticks import PAIR, D, Ticks, an_order, undisturbed

CANDLES = PaperConfig(fills="candle", taker_fee=D("0.001"))
BOOK = PaperConfig(spread=D("0.002"), depth=D(10_000))
MINUTES = {PAIR: [(0, 100.0), (60_000, 90.0)]}


class Keeper(EngineActor):
    """Answers as persistence does, and keeps everything."""

    def __init__(self, ctx: Context, seen: Seen) -> None:
        super().__init__(ctx)
        self.seen = seen
        self.seqs: dict[str, int] = {}

    def receive(self, message: Message) -> None:
        self.seen.add(message)
        if isinstance(message, LoadState):
            self.tell(message.writer, StateLoaded(writer=message.writer, state=None, seq=0))
        elif isinstance(message, Record):
            self.tell(message.writer, Recorded(seq=message.seq))


class Granter(EngineActor):
    """A limiter that gives every permit, and keeps what it hears."""

    def __init__(self, ctx: Context, seen: Seen) -> None:
        super().__init__(ctx)
        self.seen = seen
        self.given = 1_000_000

    def on_start(self) -> None:
        self.tell("gateway", ReportUsage(epoch=self.epoch, reply_to=self.name))

    def receive(self, message: Message) -> None:
        self.seen.add(message)
        if isinstance(message, AcquirePermit):
            self.given += 1
            permit = f"{self.epoch}.{self.given}.99999999"
            self.tell(
                message.reply_to, PermitGranted(request_id=message.request_id, permit_id=permit, expires=99_999_999)
            )


class World:
    """A gateway with probes around it, in virtual time."""

    def __init__(self, venue: TradingVenue | None = None, *, seed: int = 1, **gateway: Any) -> None:
        self.venue = venue or PaperVenue(None, CANDLES, Ticks(MINUTES), by_turns=True)
        self.sim = SimRuntime(seed, start_ms=1_000)
        self.pair, self.portfolio, self.kept, self.limiter, self.root = Seen(), Seen(), Seen(), Seen(), Seen()
        self.gateway = {"tick_ms": 0, **gateway}
        self.permits = 0
        self.sim.spawn("root", probe(self.root))
        self.sim.spawn(f"pair:{PAIR}", probe(self.pair))
        self.sim.spawn("portfolio", probe(self.portfolio))
        self.sim.spawn("persistence", lambda ctx: Keeper(ctx, self.kept))
        self.sim.spawn("limiter", lambda ctx: Granter(ctx, self.limiter))
        self.start()

    def start(self) -> None:
        self.sim.spawn("gateway", lambda ctx: GatewayActor(ctx, self.venue, **self.gateway))
        self.sim.settle()

    def permit(self, expires: int = 99_999_999, epoch: int = 1) -> str:
        self.permits += 1
        return f"{epoch}.{self.permits}.{expires}"

    def tell(self, *messages: Message, settle: bool = True) -> Sequence[Message]:
        """What the pair heard of these."""
        before = len(self.pair.messages)
        for message in messages:
            self.sim.tell("gateway", message)
        if settle:
            self.sim.settle()
        return self.pair.messages[before:]

    def order(self, client_id: str = "a", *, permit: str = "", not_after: int = 10**9, **changes: Any) -> SubmitOrder:
        order = an_order(client_id, **changes)
        permit = permit or self.permit()
        return SubmitOrder(order=order, permit_id=permit, not_after=not_after, reply_to=f"pair:{PAIR}")

    def cancel(self, client_id: str = "a", *, permit: str = "") -> CancelOrder:
        permit = permit or self.permit()
        return CancelOrder(pair=PAIR, client_order_id=client_id, order_id="", permit_id=permit, reply_to=f"pair:{PAIR}")

    def look(self, *client_ids: str) -> VenueSnapshot:
        take = TakeSnapshot(
            request_id=str(len(self.pair.messages)),
            pair=PAIR,
            client_order_ids=client_ids,
            since=0,
            reply_to=f"pair:{PAIR}",
        )
        (told,) = [m for m in self.tell(take) if isinstance(m, VenueSnapshot)]
        return told

    def match(self, low: str, high: str) -> MatchMarket:
        return MatchMarket(pair=PAIR, ts=60_000, low=D(low), high=D(high), reply_to=f"pair:{PAIR}")


def names(messages: Sequence[Message]) -> list[str]:
    return [type(message).__name__ for message in messages]


def test_an_order_is_sent_accepted_and_filled() -> None:
    """A good order is accepted, its candle fills it, and the pair hears the fill before the turn's end."""
    world = World()

    world.tell(EpochAnnounced(name="portfolio", epoch=1))
    assert world.tell(world.order()) == [OrderAccepted(pair=PAIR, client_order_id="a", order_id=f"{PAIR}#1", ts=1_000)]
    assert names(world.tell(world.match("98", "99"))) == ["OrderFilled", "MarketMatched"]
    assert world.portfolio.of(BalancesChanged)[-1].balances == (("USDT", D(10_000), ZERO),)
    world.sim.run_for(1_000)
    world.tell(world.match("1", "2"))
    assert {c: free for c, free, _ in world.portfolio.of(BalancesChanged)[-1].balances} == {
        "BTC": D(1),
        "USDT": D("9900.901"),
    }


def test_a_new_portfolio_hears_the_balances() -> None:
    """Nothing is granted before they are known: a portfolio that says it is there is told, and nobody before."""
    world = World()
    assert world.portfolio.of(BalancesChanged) == []
    for epoch in (1, 2):
        world.tell(EpochAnnounced(name="portfolio", epoch=epoch))
        assert len(world.portfolio.of(BalancesChanged)) == epoch
        world.sim.run_for(1_500)


@pytest.mark.parametrize(
    ("permit", "not_after", "code"),
    [
        ("1.1.999", 10**9, "NO_PERMIT"),
        ("nonsense", 10**9, "NO_PERMIT"),
        ("0.1.99999", 10**9, "NO_PERMIT"),
        ("1.1.99999", 999, "TOO_LATE"),
    ],
)
def test_what_may_not_leave_does_not(permit: str, not_after: int, code: str) -> None:
    """Without a good permit, or too late, an order is refused before the venue sees it."""
    world = World()
    (told,) = world.tell(world.order(permit=permit, not_after=not_after))
    assert isinstance(told, OrderRejected)

    assert told.code == code
    assert world.look("a").unknown == ("a",)


def test_a_permit_is_good_once() -> None:
    """The second request with the same permit is refused, a cancel too."""
    world = World()
    permit = world.permit()
    first, second, third = world.tell(
        world.order("a", permit=permit), world.order("b", permit=permit), world.cancel("a", permit=permit)
    )

    assert isinstance(first, OrderAccepted)
    assert isinstance(second, OrderRejected)
    assert isinstance(third, CancelRejected)
    assert (second.code, third.reason) == ("NO_PERMIT", "NO_PERMIT")


def test_an_old_limiters_permits_are_void() -> None:
    """Once a new limiter has asked for the usage, the old one's permits do not pass; the usage is told."""
    world = World()
    old = world.permit()
    world.tell(world.order("a"))
    world.sim.kill("limiter")
    world.sim.spawn("limiter", lambda ctx: Granter(ctx, world.limiter))
    world.sim.settle()
    (told,) = world.tell(world.order("b", permit=old))
    assert isinstance(told, OrderRejected)

    assert told.code == "NO_PERMIT"
    assert UsageReported(pool="orders_10s", used=1) in world.limiter.of(UsageReported)
    assert names(world.tell(world.order("c", permit=world.permit(epoch=2)))) == ["OrderAccepted"]


def test_the_limiter_hears_of_every_permit() -> None:
    """What was spent is told with its time, in one message a batch; what was not needed is given back."""
    world = World()
    one, two, three = world.permit(), world.permit(), world.permit()
    world.tell(
        world.order("a", permit=one),
        world.order("b", permit=two, not_after=0),
        world.order("a", permit=three),
        settle=False,
    )
    world.sim.settle()
    told = world.limiter.of(PermitsSpent)

    assert [pair for message in told for pair in message.spent] == [(one, 1_000)]
    assert {permit for message in told for permit in message.unused} == {two, three}


def test_a_repeated_order_is_looked_up() -> None:
    """The same client order id again is answered with what is true of the first, and sent once."""
    world = World()
    world.tell(world.order("a"), world.match("98", "99"))
    again = world.tell(world.order("a"))
    world.tell(world.order("b"), world.cancel("b"))
    ended = world.tell(world.order("b"))

    assert names(again) == ["OrderAccepted", "OrderFilled"]
    assert names(ended) == ["OrderAccepted", "OrderCanceled"]
    assert world.look("a", "b").fills[0].fill.fill_id == f"{PAIR}#f1"
    assert len(world.look("a", "b").orders) == 2


def test_cancels_are_answered_by_what_is_true() -> None:
    """A working order's cancel ends it; one of an unknown or finished order is refused."""
    world = World()
    world.tell(world.order("a"))

    assert names(world.tell(world.cancel("a"))) == ["OrderCanceled"]
    assert names(world.tell(world.cancel("a"))) == ["CancelRejected"]


def test_a_snapshot_waits_for_a_permit_that_serves_all() -> None:
    """Reading needs a permit at reconciliation's priority; one is asked for all that wait."""
    world = World()
    world.tell(world.order("a"))
    told = world.look("a", "x")
    (asked,) = world.limiter.of(AcquirePermit)

    assert (told.unknown, told.final, [o.client_order_id for o in told.orders]) == (("x",), True, ["a"])
    assert (asked.request, asked.priority, asked.reply_to) == ("snapshot", "reconcile", "gateway")


def test_a_reading_permit_is_asked_for_until_it_comes() -> None:
    """With the limiter gone, snapshots wait, and are answered when there is a limiter again."""
    world = World()
    world.sim.kill("limiter")
    take = TakeSnapshot(request_id="q", pair=PAIR, client_order_ids=(), since=0, reply_to=f"pair:{PAIR}")
    assert world.tell(take) == []
    world.sim.spawn("limiter", lambda ctx: Granter(ctx, world.limiter))
    world.sim.run_for(100)

    assert names(world.pair.messages) == ["VenueSnapshot"]


def test_requests_are_recorded() -> None:
    """Every request that left is an entry of the ops stream, with how long it had waited."""
    world = World()
    world.tell(world.order("a"), world.cancel("a"))
    entries = [entry for record in world.kept.of(Record) for entry in record.entries]

    assert [(e.kind, e.stream, e.body["request"], e.body["outcome"], e.body["waited_ms"]) for e in entries] == [
        ("RequestSent", "ops", "order", "Acknowledged", 1_000),
        ("RequestSent", "ops", "cancel", "Canceled", 0),
    ]


def test_latency_is_a_timer() -> None:
    """Answers come after the venue's latency, in order; at a shutdown they come at once."""
    world = World(latency_ms=40)
    assert world.tell(world.order("a"), world.order("b")) == []
    world.sim.run_for(39)
    assert world.pair.messages == []
    world.sim.run_for(1)
    assert names(world.pair.messages) == ["OrderAccepted", "OrderAccepted"]
    world.tell(world.order("c"))
    world.tell(Shutdown(reply_to="root"))

    assert names(world.pair.messages[2:]) == ["OrderAccepted"]
    assert world.root.of(ShutdownDone) == [ShutdownDone(name="gateway")]


def test_the_market_goes_on_by_timer() -> None:
    """In real time fills come by themselves, told to the order's pair."""
    world = World(PaperVenue(None, BOOK, Ticks(MINUTES)), tick_ms=250)
    world.tell(world.order("a"))
    world.sim.run_for(70_000)
    (filled,) = world.pair.of(OrderFilled)

    assert (filled.fill.price, filled.fill.maker) == (D(99), True)


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_killed_gateway_comes_back_with_the_venues_truth(tmp_path: Path, in_memory: bool) -> None:
    """Killed with answers under way, its successor opens the record; a look-up tells what was not heard."""
    path = None if in_memory else tmp_path / "x.venue.sqlite"
    world = World(PaperVenue(path, CANDLES, Ticks(MINUTES), by_turns=True), latency_ms=1_000)
    assert world.tell(world.order("a")) == []
    world.sim.kill("gateway")
    world.start()
    world.gateway["latency_ms"] = 0
    take = TakeSnapshot(request_id="q", pair=PAIR, client_order_ids=("a", "b"), since=0, reply_to=f"pair:{PAIR}")
    world.tell(take)
    world.sim.run_for(2_000)
    (told,) = world.pair.of(VenueSnapshot)

    assert [(o.client_order_id, o.status) for o in told.orders] == [("a", OrderStatus.NEW)]
    assert told.unknown == ("b",)
    assert world.venue.epoch == 2


def test_a_superseded_gateway_sends_nothing() -> None:
    """An incarnation whose venue a newer one has opened crashes before it touches it."""
    world = World()
    world.venue.open(7, 1_000, undisturbed)
    world.tell(world.order("a"))

    assert "Superseded" in world.root.of(ChildExited)[0].reason
    assert world.venue.epoch == 7
    assert world.venue.find(PAIR, "a") is None


def test_a_batch_is_put_on_record_once(tmp_path: Path) -> None:
    """Orders of one batch share a commit, and no answer leaves before it."""
    heard_before: list[int] = []

    class Counting(PaperVenue):
        def commit(self) -> bool:
            written = super().commit()
            if written and heard is not None:
                heard_before.append(len(heard.of(OrderAccepted)))
            return written

    heard: Seen | None = None
    world = World(Counting(tmp_path / "x.venue.sqlite", CANDLES, Ticks(MINUTES), by_turns=True))
    heard = world.pair
    for number in range(50):
        world.sim.tell("gateway", world.order(str(number), price=D("0.01"), amount=D(500), type=OrderType.LIMIT))
    world.sim.settle()

    assert len(world.pair.of(OrderAccepted)) == 50
    assert heard_before == [0]
