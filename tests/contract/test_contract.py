"""One contract for every venue: what the paper venue does, a real exchange behind ccxt does too."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.venues.trading import Acknowledged, Refused
from engine.messages import CancelRejected, OrderAccepted, OrderCanceled, OrderFilled, OrderRejected
from engine.types import OrderSide, OrderStatus, OrderType, Purpose, TimeInForce
from tests.contract.desk import PAIR, Desk, PaperWorld, an_order, at_desk, client_id, fresh
from tests.exchange.client import Exchange

D = Decimal


@pytest.fixture(params=["paper", "exchange"])
def desk(request: pytest.FixtureRequest, exchange: Exchange, tmp_path: Path) -> Iterator[Desk]:
    """A desk at an account with 100,000 USDT, bitcoin at 60,000."""
    paper = request.param == "paper"
    world: Any = PaperWorld(tmp_path / "venue.sqlite") if paper else fresh(exchange, request.node.name)
    with at_desk(world) as made:
        yield made


def balances(desk: Desk) -> dict[str, tuple[Decimal, Decimal]]:
    return {currency: (free, locked) for currency, free, locked in desk.venue.balances() if free or locked}


def is_accepted(outcome: Any) -> bool:
    return isinstance(outcome, Acknowledged | OrderAccepted)


def is_refused(outcome: Any, code: str) -> bool:
    return isinstance(outcome, Refused | OrderRejected) and outcome.code == code


def test_an_order_rests_and_is_known(desk: Desk) -> None:
    """A limit order away from the price is accepted, working, and told by each look."""
    outcome = desk.submit(an_order(1, desk.world.now()))
    (told,) = desk.look(1).orders

    assert is_accepted(outcome)
    assert (told.client_order_id, told.status, told.filled) == (client_id(1), OrderStatus.NEW, 0)
    assert (told.amount, told.price, told.side) == (D("0.01"), D(50_000), OrderSide.BUY)
    assert desk.look(1).position == 0


def test_a_market_order_fills_once(desk: Desk) -> None:
    """A market order's fills come to its amount, and a look tells the same ones by the same ids."""
    desk.submit(an_order(1, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
    desk.wait(lambda: desk.filled(1) == D("0.01"), "the fill")
    snapshot = desk.look(1)
    fills = {filled.fill.fill_id: filled.fill for filled in snapshot.fills}
    heard = {event.fill.fill_id: event.fill for event in desk.of(OrderFilled, 1)}

    assert fills == heard
    assert all(fill.fee_currency == "BTC" and fill.fee == fill.amount / 1_000 for fill in fills.values())
    assert [order.status for order in snapshot.orders] == [OrderStatus.FILLED]
    assert snapshot.position == D("0.01") - sum(fill.fee for fill in fills.values())


def test_a_resting_order_fills_when_the_price_comes(desk: Desk) -> None:
    """The price falls through a buy limit: it fills at its limit or better, as a maker."""
    desk.submit(an_order(1, desk.world.now()))
    desk.world.move(49_000)
    desk.wait(lambda: desk.filled(1) == D("0.01"), "the fill")
    (filled, *_) = desk.of(OrderFilled, 1)

    assert filled.fill.price <= D(50_000)
    assert filled.fill.maker


def test_a_cancelled_order_ends_once(desk: Desk) -> None:
    """A cancel is told with what was filled; the next one is refused; nothing is locked any more."""
    desk.submit(an_order(1, desk.world.now()))
    desk.cancel(1)
    desk.wait(lambda: desk.of(OrderCanceled, 1), "the end")
    again = desk.cancel(1)
    desk.wait(lambda: balances(desk) == {"USDT": (D(100_000), 0)}, "free balances")

    assert [(event.filled, event.expired) for event in desk.of(OrderCanceled, 1)] == [(0, False)]
    assert isinstance(again, Refused | CancelRejected)
    assert [order.status for order in desk.look(1).orders] == [OrderStatus.CANCELED]


def test_what_was_never_sent_is_unknown(desk: Desk) -> None:
    """An id that the venue never had is unknown, and in the end that is final."""
    desk.submit(an_order(1, desk.world.now()))
    desk.wait(lambda: desk.look(1, 2).final, "certainty")

    assert desk.look(1, 2).unknown == (client_id(2),)


def test_missing_funds_are_refused(desk: Desk) -> None:
    """An order that the account cannot pay is refused by its name, and leaves no trace."""
    outcome = desk.submit(an_order(1, desk.world.now(), amount=D(3)))

    assert is_refused(outcome, "INSUFFICIENT_FUNDS")
    assert desk.look().orders == ()


def test_an_order_of_the_wrong_size_is_refused(desk: Desk) -> None:
    """Less than the market's minimum is refused."""
    outcome = desk.submit(an_order(1, desk.world.now(), amount=D("0.00001")))

    assert isinstance(outcome, Refused | OrderRejected)
    assert desk.look().orders == ()


def test_a_stop_waits_for_its_trigger(desk: Desk) -> None:
    """A stop rests until the price is there, and then leaves at what the market gives."""
    desk.submit(an_order(1, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
    desk.wait(lambda: desk.filled(1) == D("0.01"), "the entry")
    stop = {"purpose": Purpose.STOP, "side": OrderSide.SELL, "type": OrderType.STOP, "amount": D("0.009")}
    outcome = desk.submit(an_order(2, desk.world.now(), price=D(55_000), trigger_price=D(55_000), **stop))
    (working,) = [order for order in desk.look(2).orders if order.client_order_id == client_id(2)]
    desk.world.move(54_000)
    desk.wait(lambda: desk.filled(2) == D("0.009"), "the stop's fill")
    (filled, *_) = desk.of(OrderFilled, 2)

    assert is_accepted(outcome)
    assert (working.type, working.trigger_price, working.status) == (OrderType.STOP, D(55_000), OrderStatus.NEW)
    assert filled.fill.price <= D(54_010)


def test_an_order_of_the_moment_ends_by_itself(desk: Desk) -> None:
    """A fill-or-kill that finds nothing ends without a trade."""
    now = desk.world.now()
    desk.submit(an_order(1, now, time_in_force=TimeInForce.FOK))
    desk.wait(lambda: desk.of(OrderCanceled, 1) or desk.of(OrderRejected, 1), "the end")

    assert desk.filled(1) == 0
    assert [order for order in desk.look().orders if order.status == OrderStatus.NEW] == []


def test_a_new_gateway_finds_all_there_is(desk: Desk) -> None:
    """Another incarnation opens the venue: a look tells the orders and fills of the one before."""
    desk.submit(an_order(1, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
    desk.submit(an_order(2, desk.world.now()))
    desk.wait(lambda: desk.filled(1) == D("0.01"), "the fill")
    desk.venue.commit()
    heard = {event.fill for event in desk.of(OrderFilled, 1)}
    desk.told.clear()
    desk.open(2)
    snapshot = desk.look(1, 2)

    assert desk.venue.epoch == 2
    assert {filled.fill for filled in snapshot.fills} == heard
    assert {o.client_order_id: o.status for o in snapshot.orders} == {
        client_id(1): OrderStatus.FILLED,
        client_id(2): OrderStatus.NEW,
    }


def test_balances_are_what_the_fills_have_made(desk: Desk) -> None:
    """After a purchase the coins are there less the fee, and the money is gone to the last digit."""
    desk.wait(lambda: balances(desk), "balances")
    desk.submit(an_order(1, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
    desk.wait(lambda: desk.filled(1) == D("0.01"), "the fill")
    fills = {event.fill.fill_id: event.fill for event in desk.of(OrderFilled, 1)}.values()
    coins = sum(fill.amount - fill.fee for fill in fills)
    money = D(100_000) - sum(fill.amount * fill.price for fill in fills)

    desk.wait(lambda: balances(desk) == {"BTC": (coins, 0), "USDT": (money, 0)}, f"{coins} and {money}")


def test_several_looks_change_nothing(desk: Desk) -> None:
    """Looking again and again tells the same."""
    desk.submit(an_order(1, desk.world.now()))
    first = desk.look(1)

    assert [desk.look(1) for _ in range(3)] == [first] * 3
    assert [order.client_order_id for order in first.orders] == [client_id(1)]
    assert desk.venue.markets()[PAIR].pair == PAIR
