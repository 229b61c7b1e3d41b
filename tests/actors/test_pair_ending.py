"""The orderly end of a pair: what it takes back, what it waits for, and what it says is left without a guard."""

from __future__ import annotations

import pytest

from engine import messages as m
from engine.codec import to_plain
from engine.types import OrderStatus
from tests.actors.probes import Seen, probe
from tests.actors.test_review_pair import NAME, PAIR, World


class Ending(World):
    """A pair that is asked to end."""

    def end(self) -> None:
        self.done = Seen()
        self.sim.spawn("ender", probe(self.done))
        self.tell(m.Shutdown(reply_to="ender"))

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
    assert [told.event for told in world.notifier.of(m.Notify) if told.event == "left_unguarded"] == said
