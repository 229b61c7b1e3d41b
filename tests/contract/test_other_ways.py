"""Exchanges that tell less than Binance: no list of all orders, no executions to be trusted by stream."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from engine.messages import OrderFilled
from engine.types import OrderType
from tests.contract.desk import Desk, ExchangeWorld, an_order, client_id, fresh
from tests.exchange.client import Exchange


@pytest.fixture
def world(request: pytest.FixtureRequest, exchange: Exchange) -> Iterator[ExchangeWorld]:
    """A fresh account."""
    made = fresh(exchange, request.node.name)
    try:
        yield made
    finally:
        made.close()


def another(world: ExchangeWorld, *, stream_fills: bool = True) -> Desk:
    """A venue that knows nothing of before, on the same account."""
    world.anew(stream_fills=stream_fills)
    desk = Desk(world)
    desk.open(1)
    return desk


def test_a_fill_of_an_order_that_no_list_names_is_found(world: ExchangeWorld) -> None:
    """Killed after the order left: the execution names the exchange's id, and the order that is asked for is ours."""
    before = Desk(world)
    before.open(1)
    before.submit(an_order(1, world.now(), type=OrderType.MARKET, price=Decimal(60_000)))
    before.wait(lambda: before.filled(1), "the fill")
    world.connection.trading.has["fetchOrders"] = False
    desk = another(world)
    desk.look()  # the first one is answered from the lists of the whole account
    told = desk.look()

    assert [fill.fill.client_order_id for fill in told.fills] == [client_id(1)]
    assert [order.client_order_id for order in told.orders] == [client_id(1)]
    assert told.foreign == ()


def test_a_streams_word_is_enough_to_read_the_fill(world: ExchangeWorld) -> None:
    """Where the stream's executions are not to be trusted they are read at once: booked once, with the lists' fee."""
    desk = another(world, stream_fills=False)
    desk.wait(lambda: world.live._stream.is_up, "the stream")
    desk.submit(an_order(1, world.now(), type=OrderType.MARKET, price=Decimal(60_000)))
    desk.wait(lambda: desk.filled(1), "the fill")

    fills = desk.of(OrderFilled, 1)
    assert sum((one.fill.amount for one in fills), Decimal(0)) == Decimal("0.01")
    assert len({one.fill.fill_id for one in fills}) == len(fills)
    assert all(one.fill.fee > 0 for one in fills)
