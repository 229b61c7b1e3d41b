"""The stream of our orders when it breaks: noticed, opened anew, and what was missed is read again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from actors.venues.live.user import TIMES
from actors.venues.trading import Remark, RequestEnded
from engine.messages import OrderAccepted, OrderCanceled, OrderFilled
from engine.types import OrderSide, OrderType, Purpose
from tests.contract.desk import PAIR, Desk, an_order, at_desk, client_id, fresh
from tests.exchange.client import Exchange

D = Decimal
USER = "user*"


@pytest.fixture
def desk(request: pytest.FixtureRequest, exchange: Exchange) -> Iterator[Desk]:
    """A desk whose stream is up, with one resting order."""
    world = fresh(exchange, request.node.name)
    with at_desk(world) as made:
        made.submit(an_order(1, world.now()))
        made.wait(lambda: world.live._stream.is_up and _has_caught_up(made), "the stream")
        made.look(1)  # as a pair does at its start
        yield made


def _has_caught_up(desk: Desk) -> bool:
    """Whether what was missed before the stream listened has been read."""
    return any(event.request == "open_orders" for event in desk.of(RequestEnded))


def sell(desk: Desk, exchange: Exchange) -> None:
    """The price falls: the resting order fills, and an event of that is on its way."""
    exchange.control("price", symbol="BTCUSDT", price=49_000)
    desk.wait(lambda: desk.filled(1) == D("0.01"), "the fill")


@pytest.mark.parametrize("kind", ["close", "reset_stream", "garbage", "cut_frame"])
def test_a_broken_stream_is_opened_anew(desk: Desk, exchange: Exchange, kind: str) -> None:
    """A closed connection and a broken frame are noticed at once, said, and the fill that was lost is read."""
    exchange.control("fault", kind=kind, stream=USER, count=1)
    sell(desk, exchange)
    world: Any = desk.world
    desk.wait(lambda: world.live._stream.restarts and world.live._stream.is_up, "the new stream")

    assert "stream" in [event.event for event in desk.of(Remark)]
    assert len({event.fill.fill_id for event in desk.of(OrderFilled, 1)}) == len(desk.of(OrderFilled, 1)) == 1
    desk.submit(an_order(2, desk.world.now(), type=OrderType.MARKET, price=D(49_000)))
    desk.wait(lambda: desk.filled(2) == D("0.01"), "a fill on the new stream")


def test_a_session_whose_closing_is_cut_short_is_closed_with_the_rest(desk: Desk) -> None:
    """The bot ends in the very moment in which a stream closes its sockets: none is left open."""
    connection: Any = desk.world.connection  # type: ignore[attr-defined]

    async def cut_short() -> list[Any]:
        kept = [await connection.instance() for _ in range(2)]
        sessions = [instance.session for instance in kept]
        for steps, instance in enumerate(kept):
            watching = asyncio.ensure_future(instance.watch_ticker(PAIR))
            while not any(client.connection for client in instance.clients.values()):  # noqa: ASYNC110  ccxt does not tell
                await asyncio.sleep(0.01)
            release = asyncio.ensure_future(connection.release(instance))
            for _ in range(steps + 1):
                await asyncio.sleep(0)
            release.cancel()
            watching.cancel()
            await asyncio.gather(release, watching, return_exceptions=True)
            assert release.cancelled()
        return sessions

    sessions = connection.spawn(cut_short()).result(60)
    connection.close()

    assert [session.closed for session in sessions] == [True, True]


@pytest.mark.parametrize("kind", ["drop", "stall"])
def test_a_deaf_stream_is_found_by_what_it_does_not_tell(desk: Desk, exchange: Exchange, kind: str) -> None:
    """Our order has filled by its own answer, and its executions are not told: they are read, and the stream is opened anew."""
    exchange.control("fault", kind=kind, stream=USER, count=20)
    desk.submit(an_order(2, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
    desk.wait(lambda: desk.filled(2) == D("0.01"), "the fill")

    assert len(desk.of(OrderFilled, 2)) == 1
    assert len(desk.of(OrderAccepted, 2)) == 1


def test_a_stream_that_is_idle_and_deaf_is_found_by_its_silence(desk: Desk, exchange: Exchange) -> None:
    """The exchange ends our order, and the stream says nothing at all: the account's open orders tell of it."""
    world: Any = desk.world
    stream = world.live._stream
    stream.times = replace(TIMES, silence=1.0, silence_max=1.0, lag=0.3)
    stream.restart("its times are others")
    desk.wait(lambda: stream.restarts >= 1 and stream.is_up, "the stream again")
    (order,) = desk.look(1).orders
    exchange.control("fault", kind="stall", stream=USER, count=1)
    exchange.control("cancel", id=int(order.order_id), account=_account(desk))
    desk.wait(lambda: any("silent for" in remark.text for remark in desk.of(Remark)), "the word of it")
    desk.wait(lambda: stream.restarts >= 2 and stream.is_up, "the new stream")
    (order,) = desk.look(1).orders

    assert order.status == "CANCELED"


@pytest.mark.parametrize("kind", ["duplicate", "reorder", "delay"])
def test_events_that_come_oddly_are_told_once(desk: Desk, exchange: Exchange, kind: str) -> None:
    """Events twice, in another order or late: each fill is told once, and the end after its fills."""
    exchange.control("fault", kind=kind, stream=USER, count=10, seconds=0.5)
    exchange.control("pair", symbol="BTCUSDT", parts=3)
    try:
        desk.submit(an_order(2, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
        exit_order = {"side": OrderSide.SELL, "purpose": Purpose.EXIT, "type": OrderType.MARKET, "amount": D("0.005")}
        desk.wait(lambda: desk.filled(2) == D("0.01"), "the entry's fills")
        desk.submit(an_order(3, desk.world.now(), price=D(60_000), **exit_order))
        desk.wait(lambda: desk.filled(3) == D("0.005"), "the exit's fills")
    finally:
        exchange.control("pair", symbol="BTCUSDT", parts=1)
    ids = [event.fill.fill_id for event in desk.of(OrderFilled)]

    assert len(ids) == len(set(ids)) == 6
    assert len(desk.of(OrderAccepted, 2)) == len(desk.of(OrderAccepted, 3)) == 1


def test_what_the_exchange_ends_itself_is_told(desk: Desk, exchange: Exchange) -> None:
    """An order that the exchange cancels comes as its end, by the stream alone."""
    (order,) = desk.look(1).orders
    exchange.control("cancel", id=int(order.order_id), status="EXPIRED", account=_account(desk))
    desk.wait(lambda: desk.of(OrderCanceled, 1), "the end")

    assert [(event.filled, event.expired) for event in desk.of(OrderCanceled, 1)] == [(0, True)]


def test_foreign_orders_are_left_alone(desk: Desk, exchange: Exchange) -> None:
    """The user's own orders and fills are told by no event, and a look tells them as they are: foreign."""
    manual = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.02", "price": "40000"}
    exchange.control("order", params={**manual, "timeInForce": "GTC"}, account=_account(desk))
    exchange.control(
        "order",
        params={"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"},
        account=_account(desk),
    )
    snapshot = desk.look(1)
    foreign = [order for order in snapshot.orders if not order.client_order_id.startswith("tp")]

    assert [(order.amount, order.price) for order in foreign] == [(D("0.02"), D(40_000))]
    assert snapshot.fills == ()
    assert desk.of(OrderFilled) == []
    assert snapshot.position == D("0.0999")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("c", "@raw:null"),
        ("X", "HALF_DONE"),
        ("q", "@raw:NaN"),
        ("i", None),
        ("t", "@raw:null"),
        ("L", "odd"),
        ("n", "@raw:null"),
    ],
)
def test_odd_events_end_well(desk: Desk, exchange: Exchange, field: str, value: str | None) -> None:
    """Fields that are missing, null, no number or unknown words: nothing is lost, nothing is doubled, nobody crashes."""
    fault = {"kind": "field_event", "stream": USER, "count": 3, "field": f"event.{field}"}
    exchange.control("fault", **fault, **({} if value is None else {"value": value}))
    desk.submit(an_order(2, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
    desk.wait(lambda: desk.filled(2) == D("0.01"), "the fill")
    snapshot = desk.look(2)

    assert len({event.fill.fill_id for event in desk.of(OrderFilled, 2)}) == 1
    assert snapshot.unknown == ()
    assert snapshot.position == D("0.00999")


@pytest.mark.parametrize(("field", "value"), [("n", "@raw:null"), ("n", "odd"), ("N", "@raw:null"), ("N", None)])
def test_a_fill_that_is_told_without_its_fee_is_read(
    desk: Desk, exchange: Exchange, field: str, value: str | None
) -> None:
    """How much or in which coin is missing: it is not booked without, since it is booked once; the list tells it whole."""
    fault = {"kind": "field_event", "stream": USER, "field": f"event.{field}"}
    exchange.control("fault", **fault, **({} if value is None else {"value": value}))
    sell(desk, exchange)
    (filled,) = desk.of(OrderFilled, 1)

    assert (filled.fill.fee, filled.fill.fee_currency) == (D("0.00001"), "BTC")
    assert desk.look(1).position == D("0.00999")


def _account(desk: Desk) -> str:
    return str(desk.world.connection.trading.apiKey)  # type: ignore[attr-defined]


def test_what_the_user_sells_is_told_with_its_price(desk: Desk, exchange: Exchange) -> None:
    """A look tells executions of others' orders as what they are, with the order that they belong to."""
    desk.submit(an_order(2, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
    desk.wait(lambda: desk.filled(2) == D("0.01"), "the fill")
    manual = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.004"}
    exchange.control("order", params=manual, account=_account(desk))
    snapshot = desk.look(2)
    (told,) = snapshot.foreign

    assert (told.side, told.fill.amount, told.why) == ("sell", D("0.004"), "manual")
    assert told.fill.client_order_id.startswith("web_")
    assert snapshot.position == D("0.00599")
    assert [again.fill.fill_id for again in desk.look(2).foreign] == [told.fill.fill_id]


def test_the_whole_account_is_compared(desk: Desk, exchange: Exchange) -> None:
    """Orders of others are said once and left; one of ours on a pair that nobody trades is said too."""
    foreign = {"side": "BUY", "type": "LIMIT", "quantity": "0.02", "timeInForce": "GTC"}
    exchange.control("order", params={**foreign, "symbol": "BTCUSDT", "price": "40000"}, account=_account(desk))
    left = {**foreign, "symbol": "ETHUSDT", "price": "2000", "newClientOrderId": client_id(7)}
    exchange.control("order", params=left, account=_account(desk))
    second = {**foreign, "symbol": "BTCUSDT", "price": "39000", "newClientOrderId": "tpzzzzzzr1p0000beeft1i1"}
    exchange.control("order", params=second, account=_account(desk))
    world: Any = desk.world
    for _ in range(2):
        done = world.connection.spawn(world.live._account.compare({PAIR}))
        desk.wait(done.done, "the comparison")
    remarks = [event for event in desk.of(Remark) if event.event != "stream"]
    said = {event.event: event.text for event in remarks}

    assert sorted(event.event for event in remarks) == ["foreign_order", "left_order", "second_bot"]
    assert "40000" in said["foreign_order"]
    assert "ETH/USDT" in said["left_order"]
    assert "another Tradepit" in said["second_bot"]
    assert (
        len(
            [
                order
                for order in exchange.control("ledger", account=_account(desk))["orders"]
                if order["status"] == "NEW"
            ]
        )
        == 4
    )


def test_an_order_that_is_refused_for_a_halt_has_the_markets_read(desk: Desk, exchange: Exchange) -> None:
    """The exchange says that the pair is not traded: the refusal names it, and whoever reads the markets does so soon."""
    world: Any = desk.world
    exchange.control("pair", symbol="BTCUSDT", status="HALT")
    try:
        refused = desk.submit(an_order(2, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
    finally:
        exchange.control("pair", symbol="BTCUSDT", status="TRADING")

    assert refused.code == "MARKET_CLOSED"
    assert world.connection.market_doubts.is_set()
