"""The pair actor's handshakes when answers are late, repeated, or of the wrong time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import pytest

from actors.pair import PairActor
from actors.runtime import SimRuntime
from engine import messages as m
from engine.market import Market
from engine.order import Fill
from engine.settings import Settings
from engine.types import OrderStatus, Side, TradingState
from engine.work import Rules
from tests.actors.probes import Disk, MemoryPersistence, Seen, probe
from tests.actors.ticks import D

PAIR = "BTC/USDT"
NAME = f"pair:{PAIR}"
MINUTE = 60_000


class World:
    """A pair with a journal in memory, and probes for everybody else."""

    def __init__(self, **settings: Any) -> None:
        self.sim = SimRuntime(1, start_ms=MINUTE)
        self.limiter, self.gateway, self.portfolio, self.notifier = Seen(), Seen(), Seen(), Seen()
        self.feed, self.asker = Seen(), Seen()
        self.disk = Disk()
        for name, seen in (
            ("root", Seen()),
            ("feed", self.feed),
            ("asker", self.asker),
            ("judge:0", Seen()),
            ("limiter", self.limiter),
            ("gateway", self.gateway),
            ("portfolio", self.portfolio),
            ("notifier", self.notifier),
        ):
            self.sim.spawn(name, probe(seen))
        self.sim.spawn("persistence", lambda ctx: MemoryPersistence(ctx, self.disk))
        market = Market(pair=PAIR, base="BTC", quote="USDT", price_step=D("0.01"), amount_step=D("0.001"))
        rules = Rules(
            settings=Settings(**{"timeframe_ms": MINUTE, "entry_timeout_ms": 0, "roi": ((0, D(10)),), **settings}),
            market=market,
            order_prefix="tpABCDEFr1p0000beef",
            run=1,
            fee=D("0.001"),
        )
        self.rules = rules
        self.actor: Any = None
        self.begin()
        self.look()

    def begin(self) -> None:
        """Start the pair, from what the journal has of it; it asks what is true."""

        def factory(ctx: Any) -> PairActor:
            self.actor = PairActor(ctx, rules=self.rules, judge="judge:0")
            assert isinstance(self.actor, PairActor)
            return self.actor

        self.sim.spawn(NAME, factory)
        self.sim.settle()

    @classmethod
    def with_a_stop_to_raise(cls, **settings: Any) -> tuple[Self, str]:
        """A pair that holds something, its stop accepted, the price gone up since; the stop's id."""
        world = cls(stop_on_venue=True, trailing_stop=True, stop_interval_ms=0, **settings)
        world.opened()
        world.permit()
        stop = world.gateway.of(m.SubmitOrder)[-1].order.client_order_id
        world.tell(m.OrderAccepted(pair=PAIR, client_order_id=stop, order_id="V2", ts=world.sim.now()))
        world.price(120)
        return world, stop

    def tell(self, *messages: m.Message) -> None:
        for message in messages:
            self.sim.tell(NAME, message)
            self.sim.settle()

    def look(self, *orders: m.VenueOrder, unknown: tuple[str, ...] = (), final: bool = True) -> None:
        """Answer the newest look-up."""
        request_id = self.gateway.of(m.TakeSnapshot)[-1].request_id
        now = self.sim.now()
        told = m.VenueSnapshot(
            request_id=request_id, pair=PAIR, ts=now, orders=orders, fills=(), unknown=unknown, final=final
        )
        self.tell(told)

    def signal(self, **flags: Any) -> None:
        ts = self.sim.now() // MINUTE * MINUTE
        self.tell(m.SignalJudged(pair=PAIR, ts=ts, signal=m.Signal(**flags), price=D(100)))

    def grant(self) -> None:
        ask = self.portfolio.of(m.ReserveCapital)[-1]
        granted = m.CapitalReserved(request_id=ask.request_id, pair=PAIR, stake=D(1000), available=D(1000), epoch=1)
        self.tell(granted)

    def permit(self) -> None:
        """Grant the newest permit."""
        ask = self.limiter.of(m.AcquirePermit)[-1]
        self.tell(m.PermitGranted(request_id=ask.request_id, permit_id="p", expires=10**12))

    def enter(self) -> str:
        """A signal, its capital, its permit: the entry's client id as it was submitted."""
        self.signal(enter_long=True)
        self.grant()
        self.permit()
        return self.gateway.of(m.SubmitOrder)[-1].order.client_order_id

    def opened(self, fill_id: str = "f1") -> str:
        """An entry that is filled: its client id."""
        entry = self.enter()
        self.tell(m.OrderAccepted(pair=PAIR, client_order_id=entry, order_id="V1", ts=self.sim.now()))
        fill = Fill(fill_id=fill_id, client_order_id=entry, ts=self.sim.now(), price=D(100), amount=D(10))
        self.tell(m.OrderFilled(pair=PAIR, fill=fill, order_id="V1"))
        return entry

    def price(self, price: int) -> None:
        at = D(price)
        self.tell(m.MarketRange(pair=PAIR, ts=self.sim.now(), open=at, high=at, low=at, close=at))

    def no_permit(self, client_order_id: str) -> None:
        self.tell(
            m.OrderRejected(pair=PAIR, client_order_id=client_order_id, code="NO_PERMIT", reason="", ts=self.sim.now())
        )

    def decisions(self) -> list[tuple[Any, Any]]:
        return [(body["signal"], body["code"]) for body in self.disk.bodies(NAME) if "signal" in body]


def test_a_second_permit_does_not_lengthen_the_time_of_an_entry() -> None:
    """An entry whose permit ran out keeps its own candle's deadline, whatever candle has been judged since."""
    world = World()
    entry = world.enter()
    first = world.gateway.of(m.SubmitOrder)[-1].not_after
    world.sim.run_for(MINUTE)
    world.signal(enter_long=True)

    world.no_permit(entry)
    again = world.limiter.of(m.AcquirePermit)[-1]

    assert first < 2 * MINUTE  # the candle it was judged for has ended by then
    assert again.not_after == first


def test_an_entry_may_be_cancelled_after_its_candle() -> None:
    """The request that cancels an old entry is not late itself: it may wait for its permit."""
    world = World(entry_timeout_ms=600_000)
    entry = world.enter()
    world.tell(m.OrderAccepted(pair=PAIR, client_order_id=entry, order_id="V1", ts=world.sim.now()))

    world.sim.run_for(600_000)
    ask = world.limiter.of(m.AcquirePermit)[-1]

    assert ask.request == "cancel"
    assert ask.not_after > world.sim.now() + MINUTE


def test_an_exit_that_had_no_permit_for_a_day_is_not_too_late() -> None:
    """Whatever leaves a position asks anew with a deadline in the future, however long it has waited."""
    world = World()
    world.opened()
    world.price(50)
    world.sim.run_for(2 * 86_400_000)

    ask = world.limiter.of(m.AcquirePermit)[-1]
    world.tell(m.PermitDenied(request_id=ask.request_id, reason="silence"))
    world.sim.run_for(2_000)

    assert world.limiter.of(m.AcquirePermit)[-1].not_after > world.sim.now()


def test_an_order_that_was_given_up_meanwhile_is_not_sent() -> None:
    """A permit that comes after the venue was found not to know the order sends nothing, and is given back."""
    world = World()
    world.opened()
    world.price(50)
    world.permit()
    (_, out) = world.gateway.of(m.SubmitOrder)
    world.tell(m.EpochAnnounced(name="gateway", epoch=2))
    world.no_permit(out.order.client_order_id)
    waiting = world.limiter.of(m.AcquirePermit)[-1]
    world.look(unknown=(out.order.client_order_id,))  # asked before it was on its way once more

    world.tell(m.PermitGranted(request_id=waiting.request_id, permit_id="late", expires=10**12))

    assert waiting.request_id == out.order.client_order_id
    assert world.gateway.of(m.SubmitOrder)[-1] == out
    assert ("late",) in [spent.unused for spent in world.limiter.of(m.PermitsSpent)]
    assert world.actor.trade.orders[out.order.client_order_id].status is OrderStatus.REJECTED


@pytest.mark.parametrize("state", [TradingState.EXITS_ONLY, TradingState.STOPPED])
def test_an_entry_that_has_not_left_stays_here_when_entries_are_halted(state: TradingState) -> None:
    """After the kill switch no entry leaves, though its intent is on disk; its row says why."""
    world = World()
    world.signal(enter_long=True)
    world.grant()

    world.tell(m.TradingStateChanged(state=state, reason="a drill"))
    world.permit()

    assert world.gateway.of(m.SubmitOrder) == []
    assert world.decisions()[-1] == ("enter_long", state.value)
    assert world.portfolio.of(m.ExposureChanged)[-1].trade_id == ""


def test_closed_trades_are_kept_until_they_are_acknowledged() -> None:
    """Told with each further one and to every census; what is acknowledged is not repeated."""
    world = World()
    ids = []
    for number in (1, 2):
        world.opened(f"e{number}")
        world.tell(m.ForceExit(request_id="x", pair=PAIR, reply_to="root"))
        world.permit()
        out = world.gateway.of(m.SubmitOrder)[-1].order.client_order_id
        fill = Fill(fill_id=f"x{number}", client_order_id=out, ts=world.sim.now(), price=D(101), amount=D(10))
        world.tell(m.OrderFilled(pair=PAIR, fill=fill, order_id=f"X{number}"))
        ids.append(world.actor.trade.trade_id)
        world.sim.run_for(MINUTE)

    told = [[t.trade_id for t in each.trades] for each in world.portfolio.of(m.TradesClosed)]
    assert [ids[:1], ids] == told

    world.tell(m.TradesHeard(pair=PAIR, trade_id=ids[0]))
    world.tell(m.TakeCensus(epoch=7))
    assert [ids[1]] == [t.trade_id for t in world.portfolio.of(m.CensusAnswered)[-1].closed]

    world.tell(m.TradesHeard(pair=PAIR, trade_id=ids[1]))
    world.tell(m.TakeCensus(epoch=8))
    assert () == world.portfolio.of(m.CensusAnswered)[-1].closed


def test_a_second_entry_by_hand_has_its_price_and_its_answer() -> None:
    """A pair whose entry was denied watches no price any more; asked again it begins anew, and is told one at once."""
    world = World()
    by_hand = m.ForceEnter(request_id="1", pair=PAIR, side=Side.LONG, tag="by hand", reply_to="asker")
    world.tell(by_hand)
    world.price(100)
    ask = world.portfolio.of(m.ReserveCapital)[-1]
    world.tell(m.CapitalDenied(request_id=ask.request_id, pair=PAIR, code="NO_SLOT"))
    world.sim.run_for(MINUTE)

    world.tell(replace(by_hand, request_id="2"))

    assert [message.watch for message in world.feed.of(m.WatchPrice)] == [False, True, False, False, True]


def test_an_entry_by_hand_where_something_is_held_waits_for_no_price() -> None:
    """The user is told at once; a quiet market's next price may take longer than he waits."""
    world = World()
    world.opened()
    watched = len(world.feed.of(m.WatchPrice))

    world.tell(m.ForceEnter(request_id="1", pair=PAIR, side=Side.LONG, tag="by hand", reply_to="asker"))

    assert [answer.request_id for answer in world.asker.of(m.ControlAnswered)] == ["1"]
    assert ("force_enter_long", "ALREADY_OPEN") in world.decisions()
    assert len(world.feed.of(m.WatchPrice)) == watched
