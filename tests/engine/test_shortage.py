"""Less at the venue than here: what others took is booked or said, only when it is sure, and once."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine import messages as m
from engine.actions import Alarm, LookUp
from engine.order import Fill
from engine.types import OrderStatus, Purpose, TradeState, use_money_context
from tests.scenarios.runner import PAIR, START, Player, Scenario

D = Decimal

FUTURE = "BTC/USDT:USDT"


def holding(amount: str = "10", **settings: object) -> Player:
    """A trade that has bought 10 at 100."""
    use_money_context()
    player = Player(Scenario("shortage", settings=settings))
    for row in ("signal enter_long 100", "granted 1000", "accepted i1", f"filled i1 {amount} @ 100"):
        player.play("0", row)
    return player


def sold(amount: str, price: str, *, fill_id: str = "f9", seconds: int = 50, **changes: object) -> m.ForeignFill:
    """What somebody else has sold."""
    fill = Fill(
        fill_id=fill_id,
        client_order_id="web_1",
        ts=START + seconds * 1_000,
        price=D(price),
        amount=D(amount),
        fee=D("0.1"),
        fee_currency="USDT",
    )
    return m.ForeignFill(**{"fill": fill, "side": "sell", "order_id": "77", **changes})


def look(player: Player, seconds: int, position: str | None, *foreign: m.ForeignFill) -> list[str]:
    """A look at the venue; the alarms that it raises."""
    known = player.trade.orders
    orders = tuple(
        m.VenueOrder(
            client_order_id=order.client_order_id,
            order_id=order.order_id or "x",
            status="FILLED" if order.is_done else "NEW",
            side=order.side,
            type=order.type,
            amount=order.amount,
            price=order.price,
            trigger_price=None,
            filled=order.filled,
            ts=START,
        )
        for order in known.values()
        if order.status is not OrderStatus.IN_DOUBT  # nobody knows, here neither
    )
    snapshot = m.VenueSnapshot(
        request_id="q",
        pair=PAIR,
        ts=START + seconds * 1_000,
        orders=orders,
        fills=(),
        unknown=(),
        position=None if position is None else D(position),
        foreign=foreign,
    )
    actions = player.step(snapshot, START + seconds * 1_000).actions
    return [action.event for action in actions if isinstance(action, Alarm)]


def test_a_position_that_was_sold_by_hand_is_closed_at_its_price() -> None:
    """The user's own sale ends the trade with its price and its fee, and the reason says so."""
    player = holding()
    first = look(player, 60, "0", sold("10", "110"))
    state = player.trade.state
    second = look(player, 66, "0", sold("10", "110"))
    closed = player.trade.last_closed
    assert closed is not None

    assert (first, state) == ([], TradeState.OPEN)
    assert second[0] == "manual"
    assert (player.trade.state, closed.exit_reason, closed.close_rate) == (TradeState.FLAT, "manual", D(110))
    assert ("USDT", D("0.1")) in closed.fees or dict(closed.fees)["USDT"] >= D("0.1")


def test_a_part_that_was_sold_by_hand_leaves_the_rest() -> None:
    """What is left stays the trade's; looking again changes nothing."""
    player = holding()
    for seconds in (60, 66, 72, 78):
        look(player, seconds, "6", sold("4", "110"))

    assert player.trade.position.amount == D(6)
    assert player.trade.state is TradeState.OPEN
    assert [order.filled for order in player.trade.orders.values()] == [D(10), D(4)]


def test_the_rest_of_what_was_sold_by_hand_has_its_stop_at_once() -> None:
    """The user cancelled the stop and sold a part; the stop for all was refused, and that for the rest does not wait for it."""
    player = holding(stop_on_venue=True)
    for row in ("accepted i2", "canceled i2", "rejected i3 INSUFFICIENT_FUNDS"):
        player.play("55", row)
    before = player.trade.working(Purpose.STOP)
    for seconds in (60, 66):
        look(player, seconds, "6", sold("4", "110", seconds=54))

    assert before == []
    assert [order.amount for order in player.trade.working(Purpose.STOP)] == [D(6)]


def test_several_executions_are_one_order() -> None:
    """Two executions of one order of the user's are booked on one order here, each once."""
    player = holding()
    fills = (sold("1", "110", fill_id="a"), sold("3", "111", fill_id="b", seconds=51))
    look(player, 60, "6", *fills)
    look(player, 66, "6", *fills)

    assert player.trade.position.amount == D(6)
    assert player.trade.orders["web_1"].fill_ids == ("a", "b")


def test_an_order_of_the_users_that_fills_again_later_keeps_what_was_booked() -> None:
    """The second execution comes with a later look; a third look, at a shortage of another cause, books neither again."""
    player = holding()
    first, second = sold("4", "110", fill_id="a"), sold("3", "120", fill_id="b", seconds=70)
    for seconds in (60, 66):
        look(player, seconds, "6", first)
    for seconds in (80, 86):
        look(player, seconds, "3", first, second)
    booked, order = player.trade.position, player.trade.orders["web_1"]
    alarms = [look(player, seconds, "1", first, second) for seconds in (90, 96)]

    assert (order.fill_ids, order.filled, order.amount) == (("a", "b"), D(7), D(7))
    assert order.status is OrderStatus.FILLED
    assert alarms == [[], ["moved_away"]]
    assert player.trade.position.booked == booked.booked
    assert player.trade.position.amount == D(1)


def test_only_what_is_missing_is_booked() -> None:
    """The user sold coins of his own too: no more is booked than the trade misses, with that part of the fee."""
    player = holding()
    look(player, 60, "5", sold("20", "110"))
    look(player, 66, "5", sold("20", "110"))

    assert player.trade.position.amount == D(5)
    assert player.trade.position.exit_fee == D("0.025")


def test_what_no_execution_explains_leaves_at_its_cost() -> None:
    """Coins that were moved away: the trade has the rest, neither won nor lost by it, and it is said."""
    player = holding()
    look(player, 60, "9.5")
    alarms = look(player, 66, "9.5")

    assert alarms == ["moved_away"]
    assert player.trade.position.amount == D("9.5")
    assert player.trade.position.open_rate == D(100)
    assert player.trade.position.booked == 0


def test_all_that_was_moved_away_ends_the_trade() -> None:
    """Nothing is left to trade: the trade ends with that reason and no profit."""
    player = holding()
    look(player, 60, "0")
    look(player, 66, "0")
    closed = player.trade.last_closed
    assert closed is not None

    assert (player.trade.state, closed.exit_reason, closed.profit_abs) == (TradeState.FLAT, "moved_away", 0)


@pytest.mark.parametrize("position", ["10", "12", None, "9.9999999"])
def test_more_or_a_crumb_is_no_difference(position: str | None) -> None:
    """What the user holds beside it, less than a step, and no knowledge at all change nothing."""
    player = holding()
    alarms = [look(player, seconds, position, sold("4", "110")) for seconds in (60, 66, 72)]

    assert alarms == [[], [], []]
    assert player.trade.position.amount == D(10)


def test_what_is_ours_and_on_its_way_is_nobody_elses_doing() -> None:
    """While an exit of ours is in doubt, or the venue counts fills that are not here, nothing is believed."""
    player = holding()
    player.play("50", "force-exit")
    player.play("50", "doubt i2")
    alarms = [look(player, seconds, "0", sold("10", "110")) for seconds in (60, 66)]

    assert alarms == [[], []]
    assert player.trade.position.amount == D(10)


def test_a_changing_difference_is_looked_at_again() -> None:
    """Two different shortages in a row are not two equal ones."""
    player = holding()
    alarms = [look(player, seconds, position) for seconds, position in ((60, "9"), (66, "8"), (72, "9"))]

    assert alarms == [[], [], []]
    assert player.trade.position.amount == D(10)


def test_a_liquidation_tells_itself() -> None:
    """The exchange's own closing order is the reason that the trade tells."""
    player = holding()
    look(player, 60, "0", sold("10", "51", why="liquidation"))
    look(player, 66, "0", sold("10", "51", why="liquidation"))
    closed = player.trade.last_closed
    assert closed is not None

    assert (closed.exit_reason, closed.close_rate) == ("liquidation", D(51))


def locked_sides(position: str, side: str) -> list[str]:
    """The sides that a look at a futures pair locks; `side` is that of our own trade of 10, or none."""
    use_money_context()
    player = Player(Scenario("apart", settings={"can_short": True}, market={"pair": FUTURE}))
    if side:
        for row in (f"signal enter_{side} 100", "granted 1000", "accepted i1", "filled i1 10 @ 100"):
            player.play("0", row)
    now = START + 60_000
    told = m.VenueSnapshot(request_id="", pair=PAIR, ts=now, orders=(), fills=(), unknown=(), position=D(position))
    return [str(action.side) for action in player.step(told, now).actions if isinstance(action, m.LockPair)]


@pytest.mark.parametrize(
    ("position", "side", "locked"),
    [
        ("5", "", ["short"]),
        ("-5", "", ["long"]),
        ("0", "", []),
        ("15", "long", ["short"]),
        ("10", "long", []),
        ("4", "long", []),
        ("-5", "long", []),
        ("-15", "short", ["long"]),
    ],
)
def test_no_entry_closes_a_position_of_the_users(position: str, side: str, locked: list[str]) -> None:
    """A future's position that is not ours locks the side that would net it; what is short of ours is no such position."""
    assert locked == locked_sides(position, side)


def test_a_delisted_position_is_left_behind_after_many_refusals() -> None:
    """The market is gone: the exit is tried again and again, and then the trade ends with the coins where they are."""
    player = holding()
    player.play("50", "force-exit")
    refusals = 0
    while player.trade.state is not TradeState.FLAT and refusals < 40:
        working = [order for order in player.trade.orders.values() if not order.is_done]
        seconds = 100 * (refusals + 1)
        if working:
            player.play(str(seconds), f"rejected i{working[0].client_order_id.rpartition('i')[2]} DELISTED")
            refusals += 1
        player.play(str(seconds + 90), "timer pursue")
    closed = player.trade.last_closed
    assert closed is not None

    assert refusals == 12
    assert (closed.exit_reason, closed.profit_abs) == ("delisted", 0)


def test_a_delisted_position_with_nothing_but_a_stop_is_left_behind_too() -> None:
    """No exit is ever tried, and every stop is refused since the market is gone: the trade ends all the same, and says so."""
    player = holding(stop_on_venue=True)
    refusals, alarms = 0, list[str]()
    while player.trade.state is not TradeState.FLAT and refusals < 40:
        working = [order for order in player.trade.orders.values() if not order.is_done]
        seconds = 100 * (refusals + 1)
        if working:
            number = working[0].client_order_id.rpartition("i")[2]
            alarms.append(player.play(str(seconds), f"rejected i{number} DELISTED"))
            refusals += 1
        player.play(str(seconds + 90), "timer pursue")
    closed = player.trade.last_closed
    assert closed is not None

    assert refusals == 12
    assert ["stop_refused" in said for said in alarms] == [True, *(11 * [False])]
    assert ["delisted" in said for said in alarms] == [*(11 * [False]), True]
    assert (closed.exit_reason, closed.profit_abs) == ("delisted", 0)


def test_a_stop_without_its_coins_is_a_reason_to_look() -> None:
    """The exchange says that the coins are not there: whether they are gone is asked at once, not with the next comparison."""
    player = holding(stop_on_venue=True)
    (stop,) = player.trade.working(Purpose.STOP)
    refused = m.OrderRejected(
        pair=PAIR, client_order_id=stop.client_order_id, code="INSUFFICIENT_FUNDS", reason="none there", ts=START
    )
    actions = player.step(refused, START + 1_000).actions

    assert sum(isinstance(action, LookUp) for action in actions) == 1
