"""The gateway when answers are lost, late, doubled or wrong: in doubt is in doubt, and nothing is sent twice."""

from __future__ import annotations

import pytest

from actors.venues.paper.venue import PaperVenue
from engine.messages import OrderFilled
from tests.actors.test_gateway import CANDLES, MINUTES, World, names
from tests.actors.ticks import Ticks
from tests.faulty_venue import FaultyVenue, VenueFaults


def faulty(faults: VenueFaults, seed: int = 3) -> FaultyVenue:
    return FaultyVenue(PaperVenue(None, CANDLES, Ticks(MINUTES), by_turns=True), seed, faults)


@pytest.mark.parametrize("faults", [VenueFaults(lost_before=1), VenueFaults(lost_after=1), VenueFaults(late=1)])
def test_an_order_in_doubt_is_never_sent_twice(faults: VenueFaults) -> None:
    """When nobody knows whether it arrived, the same order again is looked up and stays in doubt, until it is known."""
    venue = faulty(faults)
    world = World(venue)
    first = world.tell(world.order("a"))
    second = world.tell(world.order("a"))
    told = world.look("a")
    world.sim.run_for(5_000)
    later = world.look("a")

    assert names(first) == ["OrderInDoubt"]
    assert names(second) == (["OrderAccepted"] if faults.lost_after else ["OrderInDoubt"])
    assert (told.final, bool(told.unknown)) == (not faults.late, not faults.lost_after)
    assert (later.final, bool(later.unknown)) == (True, bool(faults.lost_before))
    assert len(later.orders) == (0 if faults.lost_before else 1)


def test_an_exchange_that_refuses_and_cancels_that_are_lost() -> None:
    """A refusal is definite; a cancel without an answer is in doubt."""
    refusing = World(faulty(VenueFaults(refused=1)))
    losing = World(faulty(VenueFaults(lost_after=1)))
    losing.tell(losing.order("a"))

    assert names(refusing.tell(refusing.order("a"))) == ["OrderRejected"]
    assert names(losing.tell(losing.cancel("a"))) == ["OrderInDoubt", "OrderCanceled"]


def test_fills_come_twice_and_late() -> None:
    """Doubled fills carry the same id; delayed ones come when the venue is next looked at."""
    doubling, delaying = World(faulty(VenueFaults(doubled=1))), World(faulty(VenueFaults(delayed=1)), tick_ms=500)
    doubling.tell(doubling.order("a"), doubling.match("98", "100"))
    delaying.tell(delaying.order("a"), delaying.match("98", "100"))
    twice = doubling.pair.of(OrderFilled)
    assert delaying.pair.of(OrderFilled) == []
    delaying.sim.run_for(3_000)

    assert len(twice) == 2
    assert twice[0] == twice[1]
    assert len(delaying.pair.of(OrderFilled)) == 1
