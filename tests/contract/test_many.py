"""Many pairs at once, as after a restart: the lists of the account answer those that missed nothing, and nothing is overlooked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from actors.venues.live.looks import LAG_MS
from actors.venues.trading import Looked, Missed, PermitWanted, RequestEnded
from engine.messages import OrderFilled, TakeSnapshot
from engine.types import OrderSide, OrderType, Priority, Purpose
from tests.contract.desk import HORIZON_MS, Desk, ExchangeWorld, an_order, client_id
from tests.exchange.client import Exchange

PAIRS = 14
D = Decimal


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with Exchange("--pairs", str(PAIRS), "--still", "--for", "1800") as there:
        yield there


def desk_of(exchange: Exchange, name: str) -> Desk:
    exchange.control("limits", reset=True)
    made = Desk(ExchangeWorld(exchange, name))
    made.open(1)
    return made


def look_at_all(desk: Desk, **known: Any) -> dict[str, Looked]:
    """Every pair asks, knowing of nothing; the first one of what is `known`."""
    pairs = list(desk.venue.markets())
    for pair in pairs:
        told = known if pair == "BTC/USDT" else {}
        asked: dict[str, Any] = {"client_order_ids": (), "since": 0, **told}
        question = TakeSnapshot(request_id="q", pair=pair, reply_to=f"pair:{pair}", **asked)
        desk.venue.look(question, desk.world.now())
    desk.wait(lambda: len(desk.of(Looked)) == len(pairs), "all answers")
    return {looked.question.pair: looked for looked in desk.of(Looked)}


def kinds(desk: Desk) -> Counter[str]:
    return Counter(event.request for event in desk.of(RequestEnded))


def test_pairs_that_missed_nothing_cost_one_read_together(exchange: Exchange) -> None:
    """One read of all open orders and one of balances answer all of them; the user's own order makes no difference."""
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
        assert (asked["open_orders_all"], asked["open_orders"], asked["fetch_order"]) == (1, 0, 0)
        assert {pair for pair, looked in told.items() if looked.snapshot.orders} == {"ETH/USDT"}
    finally:
        desk.world.close()  # type: ignore[attr-defined]


def test_a_position_with_its_stop_is_told_by_the_lists(exchange: Exchange) -> None:
    """Of what an earlier process left, a stop that rests unfilled costs no look of its own; once it has filled, it does."""
    exchange.control("user", key="guarded", secret="secret", name="guarded", funds={"USDT": 100_000})
    first = desk_of(exchange, "guarded")
    try:
        now = first.world.now()
        first.submit(an_order(1, now, type=OrderType.MARKET, price=D(60_000)))
        first.wait(lambda: first.filled(1), "the entry")
        stop: dict[str, Any] = {"purpose": Purpose.STOP, "side": OrderSide.SELL, "trigger_price": D(50_000)}
        first.submit(an_order(2, now, type=OrderType.STOP, amount=D("0.00999"), **stop))
        (entry,) = {event.order_id for event in first.of(OrderFilled, 1)}
    finally:
        first.world.close()  # type: ignore[attr-defined]
    known = {"client_order_ids": (client_id(2),), "held": D("0.00999"), "since": now, "ended": (entry,)}
    for triggered in (False, True):
        if triggered:
            exchange.control("price", symbol="BTCUSDT", price=49_000)
        desk = desk_of(exchange, "guarded")
        try:
            snapshot = look_at_all(desk, **known)["BTC/USDT"].snapshot
            urgent = [wish for wish in desk.of(PermitWanted) if wish.priority is Priority.EXIT]
            assert any(wish.request == "my_trades" for wish in urgent) is triggered
            assert client_id(2) in {order.client_order_id for order in snapshot.orders}
            assert (snapshot.position == 0, bool(snapshot.fills)) == (triggered, triggered)
        finally:
            desk.world.close()  # type: ignore[attr-defined]
    exchange.control("price", symbol="BTCUSDT", price=60_000)


def test_what_a_lost_journal_knew_is_found_while_the_pairs_trade(exchange: Exchange) -> None:
    """A position that nobody knows of is found by the reading that goes on by itself, before pairs without coins; no old event is told."""
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
        assert told["BTC/USDT"].snapshot.orders == ()
        desk.wait(lambda: desk.of(Missed), "the word that something was overlooked")
        looks = desk.wait(lambda: desk.of(Looked)[PAIRS:], "the look that follows")
        (order,) = looks[0].snapshot.orders
        (filled,) = looks[0].snapshot.fills
        assert (order.client_order_id, filled.fill.client_order_id) == (client_id(1), client_id(1))
        assert looks[0].snapshot.position == D("0.00999")
        assert next(event.pair for event in desk.of(RequestEnded) if event.request == "my_trades") == "BTC/USDT"
        assert desk.of(OrderFilled) == []
    finally:
        desk.world.close()  # type: ignore[attr-defined]


def test_an_order_whose_answer_was_given_up_is_not_waited_for_anew(exchange: Exchange) -> None:
    """When the journal says until when it was sent, the exchange's time to accept it counts from then, not from the restart."""
    exchange.control("user", key="given up", secret="secret", name="given up", funds={"USDT": 100_000})
    desk = desk_of(exchange, "given up")
    try:
        now = desk.world.now()
        for since_ms, is_final in ((0, False), (HORIZON_MS + LAG_MS + 60_000, True)):
            question = TakeSnapshot(
                request_id=f"{since_ms}", pair="BTC/USDT", client_order_ids=(client_id(1),), since=now - 600_000,
                reply_to=f"{since_ms}", doubted=((client_id(1), now - since_ms),),
            )  # fmt: skip
            desk.venue.look(question, now)
            (looked,) = desk.wait(lambda q=question: [one for one in desk.of(Looked) if one.question == q], "the look")
            assert (looked.snapshot.unknown, looked.snapshot.final) == ((client_id(1),), is_final)
    finally:
        desk.world.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("runs_since", [0, 1])
def test_an_order_in_doubt_is_given_up_by_the_run_that_sent_it(exchange: Exchange, runs_since: int) -> None:
    """What the exchange may still accept counts from the end of the run that sent it, however often was started since."""
    name = f"doubt{runs_since}"
    exchange.control("user", key=name, secret="secret", name=name, funds={"USDT": 100_000})
    world = ExchangeWorld(exchange, name)
    now = world.now()  # after the connection was made, which takes long on a busy machine
    long_ago = now - 60_000
    runs = {1: long_ago, 2: long_ago + 1_000, 3: now} if runs_since else {1: long_ago, 2: now}
    world.anew(runs)
    desk = Desk(world)
    desk.open(1)
    try:
        first = desk.look(1)
        assert (first.unknown, first.final) == ((client_id(1),), bool(runs_since))
        desk.wait(lambda: desk.look(1).final, "certainty")
        assert desk.world.now() >= runs[2] + HORIZON_MS
    finally:
        desk.world.close()  # type: ignore[attr-defined]
