"""The handshake of a stop that takes the place of another: recorded, permitted, and sent as one request, or taken back."""

from __future__ import annotations

from actors.pair import PairActor
from engine import messages as m
from engine.codec import to_plain
from engine.types import OrderStatus
from tests.actors.test_review_pair import NAME, PAIR, World


def a_world() -> tuple[World, str]:
    """A pair that wants to raise its stop; the stop's id."""
    return World.with_a_stop_to_raise(stop_replace=True)


def test_it_is_one_request_and_no_cancel() -> None:
    """The intent of the new one is on disk with the name of the old one, then one permit is asked for, and one order sent."""
    world, stop = a_world()
    asked = world.limiter.of(m.AcquirePermit)[-1]
    on_disk = world.disk.bodies(NAME)[-1]
    world.permit()
    sent = world.gateway.of(m.SubmitOrder)[-1].order

    assert (asked.request, asked.priority, asked.reserve) == ("replace", "guard", 0)
    assert on_disk["replaces"] == sent.replaces == stop
    assert on_disk["client_order_id"] == sent.client_order_id == asked.request_id
    assert world.gateway.of(m.CancelOrder) == []


def test_what_has_ended_meanwhile_is_not_replaced() -> None:
    """The old stop ends while the permit is awaited: the permit is given back, and a plain stop is intended anew."""
    world, stop = a_world()
    replacement = world.limiter.of(m.AcquirePermit)[-1].request_id
    world.tell(m.OrderCanceled(pair=PAIR, client_order_id=stop, filled=world.actor.trade.orders[stop].filled, ts=1))
    sent = len(world.gateway.of(m.SubmitOrder))
    world.permit()

    assert len(world.gateway.of(m.SubmitOrder)) == sent
    assert world.limiter.of(m.PermitsSpent)[-1].unused == ("p",)
    assert world.actor.trade.orders[replacement].status is OrderStatus.REJECTED
    world.permit()
    plain = world.gateway.of(m.SubmitOrder)[-1].order
    assert (plain.replaces, plain.trigger_price) == ("", world.actor.trade.stop.level)


def test_a_permit_that_ran_out_is_asked_for_again() -> None:
    """The gateway could not send it in time: both orders are as they were, and the same one is sent with a new permit."""
    world, stop = a_world()
    world.permit()
    replacement = world.gateway.of(m.SubmitOrder)[-1].order
    world.no_permit(replacement.client_order_id)
    world.permit()

    assert world.gateway.of(m.SubmitOrder)[-1].order.client_order_id == replacement.client_order_id
    assert world.actor.trade.orders[stop].status is OrderStatus.PENDING_CANCEL


def test_leaving_takes_it_back_before_it_is_sent() -> None:
    """A user wants out while it waits for its permit: it is never sent, and the old stop is cancelled as it always is."""
    world, stop = a_world()
    replacement = world.limiter.of(m.AcquirePermit)[-1].request_id
    world.tell(m.ForceExit(request_id="1", pair=PAIR, reply_to="control"))
    asked = world.limiter.of(m.AcquirePermit)[-1]

    assert world.actor.trade.orders[replacement].status is OrderStatus.REJECTED
    assert (asked.request, asked.request_id) == ("cancel_stop", f"{stop}:cancel")


def test_a_new_incarnation_asks_about_both() -> None:
    """Killed after it was sent: the trade on disk knows both, and both are looked up; the old one found is let stand."""
    world, stop = a_world()
    world.permit()
    replacement = world.gateway.of(m.SubmitOrder)[-1].order.client_order_id
    rules = world.actor.rules

    def again(ctx: object) -> PairActor:
        world.actor = PairActor(ctx, rules=rules, judge="judge:0")  # type: ignore[arg-type]
        assert isinstance(world.actor, PairActor)
        return world.actor

    seq, state = world.disk.states[NAME]
    world.disk.states[NAME] = (seq, to_plain(state))  # as a journal reads it back
    world.sim.kill(NAME)
    world.sim.spawn(NAME, again)
    world.sim.settle()
    asked = world.gateway.of(m.TakeSnapshot)[-1].client_order_ids
    old = world.actor.trade.orders[stop]
    there = m.VenueOrder(
        client_order_id=stop,
        order_id="V2",
        status="NEW",
        side=old.side,
        type=old.type,
        amount=old.amount,
        price=old.price,
        trigger_price=old.trigger_price,
        filled=old.filled,
        ts=1,
    )
    world.look(there, unknown=(replacement,))

    assert asked == (stop, replacement)
    assert world.gateway.of(m.CancelOrder) == []
    assert world.actor.trade.orders[stop].reason == "replaced"
    assert world.limiter.of(m.AcquirePermit)[-1].request == "replace"
