"""Many pairs at once, as after a restart: those that hold nothing cost one read together, and nothing is overlooked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

import pytest

from actors.venues.trading import Looked, RequestEnded
from engine.messages import OrderFilled, TakeSnapshot
from engine.types import OrderType
from tests.contract.desk import Desk, ExchangeWorld, an_order, client_id
from tests.exchange.client import Exchange

PAIRS = 14
D = Decimal


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with Exchange("--pairs", str(PAIRS), "--still", "--for", "300") as there:
        yield there


def desk_of(exchange: Exchange, name: str) -> Desk:
    exchange.control("limits", reset=True)
    made = Desk(ExchangeWorld(exchange, name))
    made.open(1)
    return made


def look_at_all(desk: Desk) -> dict[str, Looked]:
    """Every pair asks, knowing of nothing."""
    pairs = list(desk.venue.markets())
    for pair in pairs:
        question = TakeSnapshot(request_id="q", pair=pair, client_order_ids=(), since=0, reply_to=f"pair:{pair}")
        desk.venue.look(question, desk.world.now())
    desk.wait(lambda: len(desk.of(Looked)) == len(pairs), "all answers")
    return {looked.question.pair: looked for looked in desk.of(Looked)}


def kinds(desk: Desk) -> Counter[str]:
    return Counter(event.request for event in desk.of(RequestEnded))


def test_pairs_that_hold_nothing_cost_one_read_together(exchange: Exchange) -> None:
    """One read of all open orders and one of balances answer all; an order of the user's is looked at by itself."""
    exchange.control("user", key="many", secret="secret", name="many", funds={"USDT": 100_000})
    manual = {
        "symbol": "ETHUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "1",
        "price": "1000",
        "timeInForce": "GTC",
    }
    exchange.control("order", params=manual, account="many")
    desk = desk_of(exchange, "many")
    try:
        told = look_at_all(desk)
        asked = kinds(desk)
        assert asked["open_orders_all"] <= 2
        # Those who ask before the tenth does are looked at one by one; histories are read behind all else, perhaps already.
        assert asked["open_orders"] <= 10 < len(told)
        assert {pair for pair, looked in told.items() if looked.snapshot.orders} == {"ETH/USDT"}
    finally:
        desk.world.close()  # type: ignore[attr-defined]


def test_what_an_earlier_process_left_is_found_and_told_by_looks_only(exchange: Exchange) -> None:
    """A position and a closed trade of before: the first is looked at at once, the second later; no old event is told."""
    exchange.control("user", key="before", secret="secret", name="before", funds={"USDT": 100_000})
    first = desk_of(exchange, "before")
    try:
        now = first.world.now()
        first.submit(an_order(1, now, type=OrderType.MARKET, price=D(60_000)))
        first.wait(lambda: first.filled(1), "the entry")
    finally:
        first.world.close()  # type: ignore[attr-defined]
    desk = desk_of(exchange, "before")
    try:
        told = look_at_all(desk)
        (order,) = told["BTC/USDT"].snapshot.orders
        (filled,) = told["BTC/USDT"].snapshot.fills
        desk.wait(lambda: kinds(desk)["my_trades"] >= PAIRS, "the reading of histories")
        assert (order.client_order_id, filled.fill.client_order_id) == (client_id(1), client_id(1))
        assert told["BTC/USDT"].snapshot.position == D("0.00999")
        assert desk.of(OrderFilled) == []
    finally:
        desk.world.close()  # type: ignore[attr-defined]
