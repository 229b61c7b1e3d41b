"""What a pair records at once, and what it gathers for the batch's end."""

from __future__ import annotations

from actors.host import BATCH_MAX
from actors.pair import PairActor
from engine import messages as m
from engine.codec import to_plain
from engine.order import Fill
from engine.types import OrderStatus
from tests.actors.test_review_pair import NAME, PAIR, World
from tests.actors.ticks import D


def filled_at_once(world: World, entry: str) -> None:
    """Put the venue's two answers into the pair's mailbox, as a venue that answers at once does."""
    now = world.sim.now()
    fill = Fill(fill_id="f1", client_order_id=entry, ts=now, price=D(100), amount=D(10))
    world.sim.tell(NAME, m.OrderAccepted(pair=PAIR, client_order_id=entry, order_id="V1", ts=now))
    world.sim.tell(NAME, m.OrderFilled(pair=PAIR, fill=fill, order_id="V1"))


def kinds(world: World) -> list[str]:
    """The kinds of the pair's entries on disk, in order."""
    return [entry.kind for writer, entry in world.disk.entries if writer == NAME]


def records(world: World) -> int:
    """How many records of the pair are on disk."""
    return world.disk.states[NAME][0]


def test_what_a_venue_says_at_once_is_one_record() -> None:
    """An acceptance and the fill behind it are written together, with the trade as it is after both."""
    world = World()
    entry = world.enter()
    before, written = records(world), len(kinds(world))

    filled_at_once(world, entry)
    world.sim.settle()

    assert kinds(world)[written:] == ["OrderAccepted", "OrderFilled", "TradeOpened"]
    assert records(world) == before + 1
    assert world.disk.states[NAME][1]["position"].amount == D(10)


def test_an_intent_takes_what_is_gathered_with_it() -> None:
    """The stop's intent is on disk with the fill that made it necessary, in the order in which they happened."""
    world = World(stop_on_venue=True)
    entry = world.enter()
    before, written = records(world), len(kinds(world))

    filled_at_once(world, entry)
    world.sim.settle()

    assert kinds(world)[written:] == ["OrderAccepted", "OrderFilled", "TradeOpened", "OrderIntended"]
    assert records(world) == before + 1
    assert world.limiter.of(m.AcquirePermit)[-1].priority == "guard"


def test_a_stop_that_makes_room_reserves_the_next_one() -> None:
    """The permit for its cancel keeps the budget of the stop that follows, so that the gap does not wait for one."""
    world = World(stop_on_venue=True, trailing_stop=True, stop_interval_ms=0)
    world.opened()
    world.permit()
    stop = world.gateway.of(m.SubmitOrder)[-1].order
    assert world.limiter.of(m.AcquirePermit)[-1].request == "stop"
    world.tell(m.OrderAccepted(pair=PAIR, client_order_id=stop.client_order_id, order_id="V2", ts=world.sim.now()))

    world.price(120)

    asked = world.limiter.of(m.AcquirePermit)[-1]
    assert (asked.request, asked.priority, asked.reserve) == ("cancel_stop", "guard", 1)


def test_an_entry_that_is_refused_gives_back_what_it_reserved() -> None:
    """Its stop's budget serves others at once; an entry that was filled keeps its own for the stop."""
    world = World(stop_on_venue=True)
    refused = world.enter()
    refusal = m.OrderRejected(pair=PAIR, client_order_id=refused, code="REFUSED", reason="a drill", ts=world.sim.now())
    assert [] == world.limiter.of(m.PermitsSpent)

    world.tell(refusal)

    (told,) = world.limiter.of(m.PermitsSpent)
    assert len(told.unfollowed) == 1
    assert (told.spent, told.unused, told.sent, told.answered) == ((), (), (), ())
    filled = World(stop_on_venue=True)
    filled_at_once(filled, filled.enter())
    filled.sim.settle()
    assert [] == filled.limiter.of(m.PermitsSpent)


def test_an_intent_that_may_be_refused_is_a_record_of_its_own() -> None:
    """What was gathered before an entry's intent is not lost if the journal does not take that intent."""
    world = World()
    world.signal(enter_long=True)
    ask = world.portfolio.of(m.ReserveCapital)[-1]
    before = records(world) if NAME in world.disk.states else 0

    world.sim.tell(NAME, m.StrategyFailed(pair=PAIR, ts=world.sim.now(), reason="a drill", quarantined=False))
    granted = m.CapitalReserved(request_id=ask.request_id, pair=PAIR, stake=D(1000), available=D(1000), epoch=1)
    world.tell(granted)

    assert kinds(world)[-3:] == ["SignalDecided", "SignalDecided", "OrderIntended"]
    assert records(world) == before + 2


def test_what_a_crash_takes_before_the_end_of_the_batch_is_asked_of_the_venue() -> None:
    """An acceptance that was heard and not written leaves the order on disk as sent, so the next one looks it up."""
    world = World()
    entry = world.enter()
    written = kinds(world)
    filled_at_once(world, entry)
    world.sim.run_until(lambda: world.actor.trade.orders[entry].status is OrderStatus.NEW, 0)
    rules = world.actor.rules
    seq, state = world.disk.states[NAME]
    world.disk.states[NAME] = (seq, to_plain(state))  # as a journal reads it back

    world.sim.kill(NAME)
    world.sim.spawn(NAME, lambda ctx: PairActor(ctx, rules=rules, judge="judge:0"))
    world.sim.settle()

    assert kinds(world) == written
    assert world.gateway.of(m.TakeSnapshot)[-1].client_order_ids == (entry,)


def test_a_flood_of_ticks_does_not_keep_a_fill_from_the_disk() -> None:
    """Where the mailbox never runs empty the record is written after `BATCH_MAX` messages, and the ticks go on."""
    world = World()
    entry = world.enter()
    before = records(world)
    filled_at_once(world, entry)
    for tick in range(1, 3 * BATCH_MAX):
        price = D(100) + D(tick) / 100  # its number, to be told by the trade
        world.sim.tell(
            NAME, m.MarketRange(pair=PAIR, ts=world.sim.now(), open=price, high=price, low=price, close=price)
        )

    world.sim.run_until(lambda: records(world) > before, 0)
    handled = (world.actor.trade.price - D(100)) * 100

    assert kinds(world)[-3:] == ["OrderAccepted", "OrderFilled", "TradeOpened"]
    assert BATCH_MAX - 10 < handled < BATCH_MAX + 200
