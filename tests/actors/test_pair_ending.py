"""The orderly end of a pair: what it takes back, what it waits for, and what it says is left without a guard."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine import messages as m
from engine.codec import to_plain
from engine.order import Fill
from engine.types import OrderStatus, OrderType, Purpose, TradingState
from tests.actors.probes import Seen, probe
from tests.actors.test_review_pair import NAME, PAIR, World

D = Decimal


class Ending(World):
    """A pair that is asked to end."""

    ends = 0

    def end(self, within_ms: int = 0) -> None:
        self.done, self.ends = Seen(), self.ends + 1
        self.sim.spawn(f"ender{self.ends}", probe(self.done))
        self.tell(m.Shutdown(reply_to=f"ender{self.ends}", within_ms=within_ms))

    def accept(self, client_order_id: str) -> None:
        self.tell(m.OrderAccepted(pair=PAIR, client_order_id=client_order_id, order_id="V1", ts=self.sim.now()))

    @property
    def has_ended(self) -> bool:
        return bool(self.done.of(m.ShutdownDone))


def resting(world: Ending, client_order_id: str) -> m.VenueOrder:
    """The order as the venue tells it: it waits."""
    order = world.actor.trade.orders[client_order_id]
    return m.VenueOrder(
        client_order_id=client_order_id,
        order_id="V1",
        status=OrderStatus.NEW,
        side=order.side,
        type=order.type,
        amount=order.amount,
        price=order.price,
        trigger_price=None,
        filled=order.filled,
        ts=1,
    )


def test_an_entry_that_rests_is_cancelled_before_the_end() -> None:
    """Nobody would guard what it buys: it is cancelled at the venue, and the pair ends when that is done."""
    world = Ending()
    entry = world.enter()
    world.accept(entry)
    world.end()
    assert not world.has_ended
    world.permit()
    (cancel,) = world.gateway.of(m.CancelOrder)
    assert not world.has_ended
    world.tell(m.OrderCanceled(pair=PAIR, client_order_id=entry, filled=world.actor.trade.position.amount, ts=1))

    assert cancel.client_order_id == entry
    assert world.has_ended


def test_an_entry_that_has_not_left_never_does() -> None:
    """It waits for its permit when the end comes: it stays here, and the end need not wait."""
    world = Ending()
    world.signal(enter_long=True)
    world.grant()
    world.end()

    assert world.has_ended
    assert world.gateway.of(m.SubmitOrder) == []


def test_what_is_not_known_yet_is_asked_before_the_end() -> None:
    """The end comes at the start, before the venue has told of an entry that rests: it is waited for, and cancelled."""
    world = Ending()
    entry = world.enter()
    world.accept(entry)
    world.sim.kill(NAME)
    world.sim.settle()
    seq, state = world.disk.states[NAME]
    world.disk.states[NAME] = (seq, to_plain(state))  # as a journal reads it back
    world.begin()
    world.end()
    before = world.has_ended
    world.look(resting(world, entry))
    world.permit()

    assert not before
    assert [cancel.client_order_id for cancel in world.gateway.of(m.CancelOrder)] == [entry]
    assert not world.has_ended


@pytest.mark.parametrize(("refused", "said"), [(True, ["left_unguarded"]), (False, [])])
def test_a_position_that_is_left_without_its_stop_is_told(*, refused: bool, said: list[str]) -> None:
    """The user is told which position nobody guards from now on; one whose stop stands at the venue is no news."""
    world = Ending(stop_on_venue=True)
    world.opened()
    world.permit()
    stop = world.gateway.of(m.SubmitOrder)[-1].order.client_order_id
    if refused:
        world.tell(m.OrderRejected(pair=PAIR, client_order_id=stop, code="REFUSED", reason="no stops today", ts=1))
    else:
        world.accept(stop)
    world.end()

    assert world.has_ended
    assert alarms(world) == said


def canceled(world: Ending, client_order_id: str) -> None:
    """The venue has ended an order of which nothing was filled."""
    world.tell(m.OrderCanceled(pair=PAIR, client_order_id=client_order_id, filled=D(0), ts=1))


def with_an_exit_that_rests(**settings: Any) -> tuple[Ending, str]:
    """A pair whose position has its stop, or a resting exit in its place; the exit's id."""
    world = Ending(stop_on_venue=True, **settings)
    world.opened()
    world.permit()
    stop = world.gateway.of(m.SubmitOrder)[-1].order.client_order_id
    world.accept(stop)
    world.signal(exit_long=True)
    if not world.rules.settings.stop_beside:
        world.permit()
        canceled(world, stop)
    world.permit()
    leaving = world.gateway.of(m.SubmitOrder)[-1].order
    assert (leaving.purpose, leaving.type) == (Purpose.EXIT, OrderType.LIMIT)
    world.accept(leaving.client_order_id)
    return world, leaving.client_order_id


def newest(world: Ending) -> tuple[Purpose, Decimal | None]:
    """What the last order that left is for, and its trigger."""
    order = world.gateway.of(m.SubmitOrder)[-1].order
    return order.purpose, order.trigger_price


def alarms(world: Ending) -> list[str]:
    """Which of the end's alarms the user was told."""
    return [told.event for told in world.notifier.of(m.Notify) if told.event == "left_unguarded"]


def test_an_exit_that_rests_gives_its_coins_to_the_stop() -> None:
    """Nobody would guard what an exit holds while no bot runs: the stop stands before the end, and no alarm is needed."""
    world, leaving = with_an_exit_that_rests()
    world.end()
    assert not world.has_ended
    world.permit()
    assert world.gateway.of(m.CancelOrder)[-1].client_order_id == leaving
    canceled(world, leaving)
    world.price(130)  # what would leave waits for the next start
    world.signal(exit_long=True)
    world.permit()
    assert newest(world) == (Purpose.STOP, D(90))
    assert not world.has_ended
    world.accept(world.gateway.of(m.SubmitOrder)[-1].order.client_order_id)

    assert world.has_ended
    assert alarms(world) == []


def test_the_next_start_goes_on_with_the_exit() -> None:
    """What was put off at the end is wanted still: the stop gives way to the exit again, for the same reason and price."""
    world, leaving = with_an_exit_that_rests()
    first = world.actor.trade.orders[leaving]
    world.end()
    world.permit()
    canceled(world, leaving)
    world.permit()
    stop = world.gateway.of(m.SubmitOrder)[-1].order.client_order_id
    world.accept(stop)
    world.sim.kill(NAME)
    world.sim.settle()
    seq, state = world.disk.states[NAME]
    world.disk.states[NAME] = (seq, to_plain(state))
    world.begin()
    world.look(resting(world, stop))
    world.permit()
    canceled(world, stop)
    world.permit()
    again = world.gateway.of(m.SubmitOrder)[-1].order

    assert (again.purpose, again.type, again.price, again.tag) == (first.purpose, first.type, first.price, first.tag)


def test_an_end_before_the_first_look_leaves_the_stop_alone() -> None:
    """Ended as soon as it is started: an exit that was put off does not take the stop's place when the look is answered, as nobody would follow it."""
    world, leaving = with_an_exit_that_rests()
    world.end()
    world.permit()
    canceled(world, leaving)
    world.permit()
    stop = world.gateway.of(m.SubmitOrder)[-1].order.client_order_id
    world.accept(stop)
    world.sim.kill(NAME)
    world.sim.settle()
    seq, state = world.disk.states[NAME]
    world.disk.states[NAME] = (seq, to_plain(state))
    world.begin()
    before = len(world.limiter.of(m.AcquirePermit))
    world.end()
    world.look(resting(world, stop))

    assert world.has_ended
    assert len(world.limiter.of(m.AcquirePermit)) == before
    assert [order.client_order_id for order in world.actor.trade.working()] == [stop]


@pytest.mark.parametrize(
    ("settings", "why", "said"),
    [
        ({"stop_beside": True}, "signal", []),
        ({"force_exit_type": "limit"}, "by hand", ["left_unguarded"]),
    ],
)
def test_what_has_its_stop_or_is_the_users_word_stays(settings: dict[str, Any], why: str, said: list[str]) -> None:
    """An exit beside its stop harms nobody, and what the user asked for himself is not undone: he is told."""
    world, leaving = with_an_exit_that_rests(**settings)
    if why == "by hand":
        world.tell(m.ForceExit(pair=PAIR, request_id="x", reply_to="asker"))
        world.permit()
        canceled(world, leaving)
        world.permit()
        world.accept(world.gateway.of(m.SubmitOrder)[-1].order.client_order_id)
    before = len(world.gateway.of(m.CancelOrder))
    world.end()

    assert world.has_ended
    assert len(world.gateway.of(m.CancelOrder)) == before
    assert alarms(world) == said


def doubted(world: Ending, client_order_id: str) -> None:
    """The answer to an order is late."""
    world.tell(m.OrderInDoubt(pair=PAIR, client_order_id=client_order_id, reason="late", ts=1))


def bought(world: Ending, client_order_id: str, amount: int) -> None:
    """A part of an entry is filled."""
    fill = Fill(fill_id="x", client_order_id=client_order_id, ts=world.sim.now(), price=D(100), amount=D(amount))
    world.tell(m.OrderFilled(pair=PAIR, fill=fill, order_id="V1"))


@pytest.mark.parametrize("how", ["in doubt before", "cancel refused", "fills in doubt"])
def test_an_entry_that_turns_out_to_rest_is_cancelled(how: str) -> None:
    """What became of it was not known when the end came; as soon as it is known to stand there, it is cancelled."""
    world = Ending(stop_on_venue=True)
    entry = world.enter()
    if how != "cancel refused":
        doubted(world, entry)
    world.end()
    if how == "cancel refused":  # it overtook the order
        world.permit()
        world.tell(m.CancelRejected(pair=PAIR, client_order_id=entry, reason="unknown order", ts=1))
    before = len(world.gateway.of(m.CancelOrder))
    if how == "fills in doubt":
        bought(world, entry, 4)
    else:
        world.accept(entry)
    for asked in world.limiter.of(m.AcquirePermit)[-2:]:
        world.tell(m.PermitGranted(request_id=asked.request_id, permit_id="p", expires=10**12))

    assert not world.has_ended
    assert [cancel.client_order_id for cancel in world.gateway.of(m.CancelOrder)[before:]] == [entry]


@pytest.mark.parametrize("asked", ["capital", "strategy"])
def test_what_is_answered_after_the_end_enters_nothing(asked: str) -> None:
    """The capital is granted, or the strategy confirms, when the pair has said already that it is done: too late."""
    world = Ending(callbacks=frozenset({"confirm_trade_entry"}) if asked == "strategy" else frozenset())
    world.signal(enter_long=True)
    if asked == "strategy":
        world.grant()
    waiting = world.actor.trade.pending
    world.end()
    assert world.has_ended
    if asked == "capital":
        world.grant()
    else:
        world.tell(m.StrategyAnswered(request_id=waiting.waiting, pair=PAIR, answer=True))

    assert world.limiter.of(m.AcquirePermit) == []
    assert world.actor.trade.orders == {}


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ("a stop in doubt", "10 is held without a stop at the exchange"),
        ("an entry in doubt", "an entry may still rest at the exchange"),
        ("a small stop", "4 is held without a stop at the exchange"),
    ],
)
def test_an_end_that_runs_out_of_time_says_what_it_leaves(left: str, said: str) -> None:
    """No answer comes before the process ends: the user is told, once, of what may be unguarded from then on."""
    world = Ending(stop_on_venue=True)
    entry = world.enter()
    if left == "an entry in doubt":
        doubted(world, entry)
    else:
        world.accept(entry)
        bought(world, entry, 10 if left == "a stop in doubt" else 6)
        world.permit()
        stop = world.gateway.of(m.SubmitOrder)[-1].order.client_order_id
        if left == "a stop in doubt":
            doubted(world, stop)
        else:
            world.accept(stop)
            bought_more = Fill(fill_id="y", client_order_id=entry, ts=world.sim.now(), price=D(100), amount=D(4))
            world.tell(m.OrderFilled(pair=PAIR, fill=bought_more, order_id="V1"))
    world.end(within_ms=10_000)
    assert alarms(world) == []
    world.sim.run_for(9_000)
    (told,) = [told for told in world.notifier.of(m.Notify) if told.event == "left_unguarded"]

    assert said in told.text
    assert not world.has_ended


def test_a_pair_that_has_ended_begins_nothing_by_its_timers() -> None:
    """Its exit may wait only so long: once the pair has said that it is done, nobody would follow a cancel."""
    world, _ = with_an_exit_that_rests(stop_beside=True, exit_timeout_ms=20_000)
    world.end()
    assert world.has_ended
    before = len(world.limiter.of(m.AcquirePermit))
    world.sim.run_for(60_000)

    assert len(world.limiter.of(m.AcquirePermit)) == before


def test_a_further_entry_that_turns_out_to_rest_is_cancelled_when_trading_is_stopped() -> None:
    """It was in doubt when the user stopped trading: it is not left there because something is held already."""
    world = Ending(stop_on_venue=True)
    entry = world.enter()
    world.accept(entry)
    bought(world, entry, 4)
    doubted(world, entry)
    world.tell(m.TradingStateChanged(state=TradingState.STOPPED, reason="user"))
    world.accept(entry)

    assert "cancel" in [asked.request for asked in world.limiter.of(m.AcquirePermit)]
