"""The handshake of a stop that is changed in place: recorded, permitted, sent once, and asked about after a lost answer."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from actors.base import Context
from actors.pair import PairActor
from engine import messages as m
from engine.codec import to_plain
from engine.order import Amendment, Fill, Order
from engine.types import OrderStatus, Purpose
from tests.actors.test_review_pair import NAME, PAIR, World

D = Decimal


def a_world() -> tuple[World, str]:
    """A pair that wants to raise its stop; the stop's id."""
    return World.with_a_stop_to_raise(stop_amend=True)


def order_of(world: World, stop: str) -> Order:
    """The stop as the pair knows it."""
    found: Order = world.actor.trade.orders[stop]
    return found


def told(order: Order, amount: Decimal, trigger: Decimal | None, status: str = "NEW") -> m.VenueOrder:
    """The stop as the venue tells it."""
    return m.VenueOrder(
        client_order_id=order.client_order_id,
        order_id="V2",
        status=status,
        side=order.side,
        type=order.type,
        amount=amount,
        price=order.price,
        trigger_price=trigger,
        filled=order.filled,
        ts=1,
    )


def test_it_is_one_request_of_the_same_order() -> None:
    """What it is to become is on disk, then one permit is asked for, and one request sent; done, it stands so."""
    world, stop = a_world()
    asked = world.limiter.of(m.AcquirePermit)[-1]
    on_disk = world.disk.bodies(NAME)[-1]
    world.permit()
    sent = world.gateway.of(m.AmendOrder)[-1].order
    assert sent.amending is not None
    level = world.actor.trade.stop.level
    done = m.OrderAmended(
        pair=PAIR, client_order_id=stop, amount=sent.amount, trigger_price=sent.amending.trigger_price, ts=1
    )
    world.tell(done)

    assert (asked.request, asked.priority, asked.request_id) == ("amend", "guard", f"{stop}:amend")
    assert (on_disk["client_order_id"], on_disk["trigger_price"]) == (stop, level)
    assert sent.trigger_price != sent.amending.trigger_price == level
    assert (order_of(world, stop).trigger_price, order_of(world, stop).amending) == (level, None)
    assert (len(world.gateway.of(m.SubmitOrder)), world.gateway.of(m.CancelOrder)) == (2, [])


def test_a_permit_that_ran_out_is_asked_for_again() -> None:
    """The gateway could not send it in time: the same change is sent with a new permit."""
    world, stop = a_world()
    world.permit()
    target = order_of(world, stop).amending
    world.tell(m.AmendRejected(pair=PAIR, client_order_id=stop, code="NO_PERMIT", reason="too late", ts=1))
    world.permit()

    assert [amend.order.amending for amend in world.gateway.of(m.AmendOrder)] == [target, target]


def test_leaving_takes_it_back_before_it_is_sent() -> None:
    """A user wants out while it waits for its permit: it is never sent, and the stop is cancelled as it always is.

    The permit that comes for it goes back at once; one that is in use, told twice, does not.
    """
    world, stop = a_world()
    waited = world.limiter.of(m.AcquirePermit)[-1]
    world.tell(m.ForceExit(request_id="1", pair=PAIR, reply_to="control"))
    asked = world.limiter.of(m.AcquirePermit)[-1]
    late = m.PermitGranted(request_id=waited.request_id, permit_id="late", expires=10**12)
    used = m.PermitGranted(request_id=asked.request_id, permit_id="used", expires=10**12)
    world.tell(late, used, used)

    assert (asked.request, asked.request_id) == ("cancel_stop", f"{stop}:cancel")
    assert world.gateway.of(m.AmendOrder) == []
    assert [cancel.client_order_id for cancel in world.gateway.of(m.CancelOrder)] == [stop]
    assert [spent.unused for spent in world.limiter.of(m.PermitsSpent)] == [("late",)]


def test_one_that_waits_long_for_its_permit_does_not_cost_the_stop() -> None:
    """The limiter gives none for a minute: nothing is held against it, nothing cancelled, and it is tried again where the price is by then."""
    world, stop = a_world()
    before = order_of(world, stop)
    waits = world.limiter.of(m.AcquirePermit)[-1]
    world.sim.run_for(60_000)
    world.tell(m.VenueMissed(pair=PAIR))
    world.price(125)
    for _ in range(2):
        world.look(told(before, before.amount, before.trigger_price))
    world.price(130)
    world.permit()
    sent = world.gateway.of(m.AmendOrder)[-1].order

    assert waits.request == "amend"
    assert world.gateway.of(m.CancelOrder) == []
    assert (order_of(world, stop).status, len(world.gateway.of(m.AmendOrder))) == (OrderStatus.NEW, 1)
    assert sent.amending is not None
    assert before.amending is not None
    assert sent.amending.trigger_price > before.amending.trigger_price
    assert [e.body["code"] for _, e in world.disk.entries if e.kind == "AmendRejected"] == ["RATE_LIMIT"]


def test_a_refused_one_is_moved_by_its_cancel() -> None:
    """The venue will not change it: it is asked what is true, and then the stop goes and another one comes."""
    world, stop = a_world()
    world.permit()
    before = order_of(world, stop)
    world.tell(m.AmendRejected(pair=PAIR, client_order_id=stop, code="REFUSED", reason="no", ts=1))
    world.look(told(before, before.amount, before.trigger_price))
    world.permit()

    assert order_of(world, stop).status is OrderStatus.PENDING_CANCEL
    assert world.gateway.of(m.CancelOrder)[-1].client_order_id == stop
    assert len(world.gateway.of(m.AmendOrder)) == 1


def test_refused_since_the_price_is_past_it_it_is_left() -> None:
    """The new trigger would strike at once: the position is left at market price, after the stop's cancel."""
    world, stop = a_world()
    world.permit()
    world.tell(m.AmendRejected(pair=PAIR, client_order_id=stop, code="WOULD_TRIGGER", reason="past it", ts=1))

    assert world.actor.trade.leaving is not None
    assert world.actor.trade.leaving.reason == "emergency_exit"
    assert world.limiter.of(m.AcquirePermit)[-1].request == "cancel_stop"


def test_after_a_lost_answer_the_venue_says_which_stands() -> None:
    """In doubt it is asked about, and nothing else done; the new trigger found there, it is done without another request."""
    world, stop = a_world()
    world.permit()
    sent = world.gateway.of(m.AmendOrder)[-1].order
    asked = len(world.limiter.of(m.AcquirePermit))
    assert sent.amending is not None
    world.tell(m.OrderInDoubt(pair=PAIR, client_order_id=stop, reason="no answer", ts=1))
    question = world.gateway.of(m.TakeSnapshot)[-1]
    guarded = order_of(world, stop).status
    world.look(told(sent, sent.amending.amount, sent.amending.trigger_price))

    assert question.amended == ((stop, sent.amended_at),)
    assert guarded is OrderStatus.NEW
    assert (order_of(world, stop).trigger_price, order_of(world, stop).amending) == (sent.amending.trigger_price, None)
    assert len(world.limiter.of(m.AcquirePermit)) == asked


def again(world: World) -> None:
    """A new incarnation of the pair, from what is on disk."""
    rules = world.actor.rules

    def factory(ctx: Context) -> PairActor:
        world.actor = PairActor(ctx, rules=rules, judge="judge:0")
        assert isinstance(world.actor, PairActor)
        return world.actor

    seq, state = world.disk.states[NAME]
    world.disk.states[NAME] = (seq, to_plain(state))  # as a journal reads it back
    world.sim.kill(NAME)
    world.sim.spawn(NAME, factory)
    world.sim.settle()


def test_a_new_incarnation_asks_which_stands() -> None:
    """Killed after it was sent: the trade on disk knows what it was to become; what the venue tells is believed."""
    world, stop = a_world()
    world.permit()
    sent = world.gateway.of(m.AmendOrder)[-1].order
    again(world)
    question = world.gateway.of(m.TakeSnapshot)[-1]
    assert sent.amending is not None
    world.look(told(sent, sent.amending.amount, sent.amending.trigger_price))

    assert question.amended == ((stop, sent.amended_at),)
    assert order_of(world, stop).trigger_price == sent.amending.trigger_price
    assert order_of(world, stop).amending is None
    assert (len(world.gateway.of(m.AmendOrder)), world.gateway.of(m.CancelOrder)) == (1, [])


@pytest.mark.parametrize("moment", ["before it was sent", "before its answer", "in doubt"])
def test_what_the_end_cut_short_is_made_again_in_place(moment: str) -> None:
    """Killed before it was done: once it could not arrive any more the stop is changed anew, and is not cancelled for it."""
    world, stop = a_world()
    if moment != "before it was sent":
        world.permit()
    if moment == "in doubt":
        world.tell(m.OrderInDoubt(pair=PAIR, client_order_id=stop, reason="no answer", ts=1))
    before = order_of(world, stop)
    sent = len(world.gateway.of(m.AmendOrder))
    again(world)
    for final in (False, True):
        world.look(told(before, before.amount, before.trigger_price), final=final)
    world.price(121)
    world.permit()

    assert [amend.order.client_order_id for amend in world.gateway.of(m.AmendOrder)[sent:]] == [stop]
    assert world.gateway.of(m.CancelOrder) == []
    assert [e.body["code"] for _, e in world.disk.entries if e.kind == "AmendRejected"] == ["INTERRUPTED"]


def test_one_that_never_arrived_is_given_up_when_it_could_not_any_more() -> None:
    """The old trigger is found: believed only once the request could not arrive any more, then it is moved anew."""
    world, stop = a_world()
    world.permit()
    sent = world.gateway.of(m.AmendOrder)[-1].order
    world.tell(m.OrderInDoubt(pair=PAIR, client_order_id=stop, reason="no answer", ts=1))
    world.look(told(sent, sent.amount, sent.trigger_price), final=False)
    waits = order_of(world, stop).amending
    world.sim.run_for(2_500)
    world.look(told(sent, sent.amount, sent.trigger_price))

    assert waits is not None
    assert waits.doubted
    assert order_of(world, stop).amending is None
    assert order_of(world, stop).trigger_price == sent.trigger_price


def test_filled_while_its_amendment_is_under_way_it_closes_the_trade() -> None:
    """The stop fills whole before the answer: the trade is over, and the late refusal changes nothing."""
    world, stop = a_world()
    world.permit()
    order = order_of(world, stop)
    assert order.trigger_price is not None
    fill = Fill(fill_id="f2", client_order_id=stop, ts=world.sim.now(), price=order.trigger_price, amount=order.amount)
    world.tell(m.OrderFilled(pair=PAIR, fill=fill, order_id="V2"))
    world.tell(m.AmendRejected(pair=PAIR, client_order_id=stop, code="NOT_FOUND", reason="it is gone", ts=1))

    assert world.actor.trade.position.amount == 0
    assert world.actor.trade.last_closed is not None
    assert world.actor.trade.last_closed.exit_reason == "stoploss_on_exchange"


def test_filled_as_it_was_while_it_was_to_grow_it_ends() -> None:
    """All of the smaller amount fills first: not over while the larger one may stand, over when that is refused."""
    world, stop = a_world()
    world.permit()
    order = order_of(world, stop)
    assert order.trigger_price is not None
    world.actor.trade.orders[stop] = replace(order, amending=Amendment(amount=Decimal(20), trigger_price=Decimal(114)))
    fill = Fill(fill_id="f2", client_order_id=stop, ts=world.sim.now(), price=order.trigger_price, amount=order.amount)
    world.tell(m.OrderFilled(pair=PAIR, fill=fill, order_id="V2"))
    is_over = order_of(world, stop).is_done
    world.tell(m.AmendRejected(pair=PAIR, client_order_id=stop, code="NOT_FOUND", reason="it is gone", ts=1))

    assert not is_over
    assert world.actor.trade.orders[stop].status is OrderStatus.FILLED
    assert world.actor.trade.last_closed is not None


def test_what_is_done_is_looked_up_once_more_and_an_undone_one_is_told() -> None:
    """Some venues say done of what they have only taken down: the old trigger found twice is believed, with an alarm, and the stop placed anew."""
    world, stop = a_world()
    world.permit()
    sent = world.gateway.of(m.AmendOrder)[-1].order
    asked = len(world.gateway.of(m.TakeSnapshot))
    assert sent.amending is not None
    level = sent.amending.trigger_price
    world.tell(m.OrderAmended(pair=PAIR, client_order_id=stop, amount=sent.amount, trigger_price=level, ts=1))
    world.sim.run_for(2_500)
    looked = len(world.gateway.of(m.TakeSnapshot)) - asked
    for _ in range(2):
        world.look(told(sent, sent.amount, sent.trigger_price))
    world.permit()

    assert looked == 1
    assert order_of(world, stop).trigger_price == sent.trigger_price
    assert order_of(world, stop).status is OrderStatus.PENDING_CANCEL
    assert len(world.gateway.of(m.AmendOrder)) == 1
    assert "stop_differs" in [said.event for said in world.notifier.of(m.Notify)]


def test_done_after_it_began_to_fill_the_venue_says_by_which() -> None:
    """A stop that strikes while it is to grow, and its amendment said to be done: nothing is believed before a look."""
    world, stop = a_world()
    world.permit()
    order = order_of(world, stop)
    assert order.trigger_price is not None
    assert order.amending is not None
    grows = Amendment(amount=2 * order.amount, trigger_price=order.amending.trigger_price)
    world.actor.trade.orders[stop] = replace(order, amending=grows)
    fill = Fill(fill_id="f2", client_order_id=stop, ts=world.sim.now(), price=order.trigger_price, amount=order.amount)
    world.tell(m.OrderFilled(pair=PAIR, fill=fill, order_id="V2"))
    done = m.OrderAmended(pair=PAIR, client_order_id=stop, amount=grows.amount, trigger_price=grows.trigger_price, ts=1)
    world.tell(done)
    waits = order_of(world, stop).amending
    world.look(told(order_of(world, stop), order.amount, order.trigger_price, "FILLED"))

    assert waits is not None
    assert waits.doubted
    assert order_of(world, stop).status is OrderStatus.FILLED


def test_one_that_never_left_does_not_cost_the_stop() -> None:
    """The network is away, or trading is halted: the stop is not cancelled for a new one that might not leave either, but tried again."""
    for code in ("UNREACHABLE", "MARKET_CLOSED"):
        world, stop = a_world()
        world.permit()
        before = order_of(world, stop)
        world.tell(m.AmendRejected(pair=PAIR, client_order_id=stop, code=code, reason="away", ts=1))
        world.price(121)
        world.look(told(before, before.amount, before.trigger_price), final=False)
        waits = order_of(world, stop).amending
        world.look(told(before, before.amount, before.trigger_price))
        world.price(122)
        world.permit()

        assert waits is not None
        assert order_of(world, stop).status is OrderStatus.NEW
        assert len(world.gateway.of(m.AmendOrder)) == 2
        assert world.gateway.of(m.CancelOrder) == []


def test_one_under_way_is_settled_where_nothing_is_amended_any_more() -> None:
    """A newer version that does not amend there finds one in the journal: it is asked about, and over."""
    world, stop = a_world()
    world.permit()
    sent = world.gateway.of(m.AmendOrder)[-1].order
    world.tell(m.OrderInDoubt(pair=PAIR, client_order_id=stop, reason="no answer", ts=1))
    rules = world.actor.trade.rules
    world.actor.trade.rules = replace(rules, settings=replace(rules.settings, stop_amend=False))
    world.look(told(sent, sent.amount, sent.trigger_price))

    assert order_of(world, stop).amending is None


def test_what_a_refused_amendment_leaves_is_guarded_at_once() -> None:
    """The stop filled its old amount while it was to grow, and the change is refused: what is still held has a stop without waiting for a price."""
    world, stop = a_world()
    world.permit()
    order, trade = order_of(world, stop), world.actor.trade
    assert order.trigger_price is not None
    trade.position = replace(trade.position, amount=2 * order.amount)
    grows = Amendment(amount=2 * order.amount, trigger_price=order.trigger_price)
    trade.orders[stop] = replace(order, amending=grows)
    fill = Fill(fill_id="f2", client_order_id=stop, ts=world.sim.now(), price=order.trigger_price, amount=order.amount)
    world.tell(m.OrderFilled(pair=PAIR, fill=fill, order_id="V2"))
    world.tell(m.AmendRejected(pair=PAIR, client_order_id=stop, code="NOT_FOUND", reason="gone", ts=1))

    assert order_of(world, stop).status is OrderStatus.FILLED
    assert [(o.purpose, o.amount) for o in world.actor.trade.working()] == [(Purpose.STOP, order.amount)]


def test_more_is_left_than_a_shortened_journal_knows_of() -> None:
    """The journal has lost a fill and what the stop was changed to: the stop's fill is booked by the look, after what was bought; no alarm, nothing sold twice."""
    world = World(stop_on_venue=True, stop_amend=True, trailing_stop=True, stop_interval_ms=0)
    entry = world.enter()
    world.tell(m.OrderAccepted(pair=PAIR, client_order_id=entry, order_id="V1", ts=world.sim.now()))
    bought = [Fill(fill_id=f"f{n}", client_order_id=entry, ts=n, price=D(100), amount=D(n)) for n in (4, 6)]
    world.tell(m.OrderFilled(pair=PAIR, fill=bought[0], order_id="V1"))
    world.permit()
    stop = world.gateway.of(m.SubmitOrder)[-1].order
    world.tell(m.OrderAccepted(pair=PAIR, client_order_id=stop.client_order_id, order_id="V2", ts=world.sim.now()))
    world.sim.kill(NAME)
    world.sim.settle()
    seq, state = world.disk.states[NAME]
    world.disk.states[NAME] = (seq, to_plain(state))
    world.begin()
    sold = Fill(fill_id="f7", client_order_id=stop.client_order_id, ts=7, price=D(90), amount=D(10))
    told_early = m.OrderFilled(pair=PAIR, fill=sold, order_id="V2")
    world.tell(told_early)
    now = told(stop, D(10), stop.trigger_price, "FILLED")
    ended = replace(told(order_of(world, entry), D(10), None, "FILLED"), filled=D(10), order_id="V1")
    fills = (*(m.OrderFilled(pair=PAIR, fill=fill, order_id="V1") for fill in bought), told_early)
    request_id = world.gateway.of(m.TakeSnapshot)[-1].request_id
    world.tell(
        m.VenueSnapshot(
            request_id=request_id,
            pair=PAIR,
            ts=9,
            orders=(replace(now, filled=D(10)), ended),
            fills=fills,
            unknown=(),
        )
    )

    assert (order_of(world, stop.client_order_id).amount, world.actor.trade.position.amount) == (D(10), D(0))
    assert world.actor.trade.last_closed is not None
    assert "left_too_much" not in [said.event for said in world.notifier.of(m.Notify)]
