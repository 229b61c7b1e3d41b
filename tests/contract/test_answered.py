"""What the answer to an order is good for: until when one that is lost may still be accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from actors.venues.live.looks import LAG_MS
from tests.contract.desk import Desk, ExchangeWorld, an_order, client_id
from tests.exchange.client import Exchange

ORDER = "POST /api/v3/order"


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with Exchange("--pairs", "3", "--still", "--for", "300") as there:
        yield there


@pytest.fixture
def desk(request: pytest.FixtureRequest, exchange: Exchange) -> Iterator[Desk]:
    """A desk at a fresh account, with what is known of Binance, whose stream is up."""
    name = request.node.name
    exchange.control("clear")
    exchange.control("limits", reset=True)
    exchange.control("price", symbol="BTCUSDT", price=60_000)
    exchange.control("user", key=name, secret="secret", name=name, funds={"USDT": 100_000})
    world = ExchangeWorld(exchange, name, as_known=True)
    made = Desk(world)
    made.open(1)
    try:
        made.wait(lambda: world.live._stream.is_up, "the stream")
        yield made
    finally:
        exchange.control("pair", symbol="BTCUSDT", parts=1, top=None)
        exchange.control("clear")
        world.close()


def test_an_order_that_comes_later_than_its_window_is_never_accepted(desk: Desk, exchange: Exchange) -> None:
    """Spot: what comes after two seconds is refused there, so another may be sent after four: that it is unknown is final."""
    exchange.control("fault", endpoint=ORDER, kind="late", count=1, seconds=2.4)
    desk.submit(an_order(1, desk.world.now()))
    told = desk.wait(lambda: (found := desk.look(1)).final and found, "certainty")
    world: Any = desk.world

    assert (told.unknown, told.orders) == ((client_id(1),), ())
    assert exchange.control("ledger", account=world.connection.trading.apiKey)["orders"] == []
    assert world.live._looks._ability.horizon_ms + LAG_MS == 4_000
