"""Futures behind ccxt: shorts, leverage, stops that are kept apart, positions, funding; and answers that go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from actors.venues.trading import Missed, Remark, RequestEnded
from engine.messages import FundingPaid, OrderAccepted, OrderCanceled, OrderFilled, OrderInDoubt, OrderRejected
from engine.order import Order
from engine.types import OrderSide, OrderStatus, OrderType, Purpose
from tests.contract.desk import FUTURE, Desk, an_order, client_id, quiet_exchange
from tests.exchange.client import Exchange

D = Decimal


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """Futures, whose prices move when told."""
    with quiet_exchange(futures=True) as there:
        yield there


def short(desk: Desk, number: int = 1, **changes: Any) -> Order:
    """A market order to sell short with leverage 3."""
    plain = {"pair": FUTURE, "side": OrderSide.SELL, "type": OrderType.MARKET, "price": D(60_000), "leverage": D(3)}
    return an_order(number, desk.world.now(), **{**plain, **changes})


def stop(desk: Desk, number: int, price: int = 62_000) -> Order:
    """The guarding stop of that short."""
    guarding = {"purpose": Purpose.STOP, "side": OrderSide.BUY, "type": OrderType.STOP, "reduce_only": True}
    return short(desk, number, price=D(price), trigger_price=D(price), **guarding)


def entered(desk: Desk) -> None:
    desk.submit(short(desk))
    desk.wait(lambda: desk.filled(1) == D("0.01"), "the entry")


def requests(desk: Desk) -> list[str]:
    return [event.request for event in desk.of(RequestEnded)]


def test_a_short_is_held_with_its_leverage(desk: Desk, exchange: Exchange) -> None:
    """Margin mode and leverage are set before the first entry and not again; the position is negative."""
    entered(desk)
    desk.submit(short(desk, 2))
    desk.wait(lambda: desk.filled(2) == D("0.01"), "the second entry")
    asked = requests(desk)

    assert desk.look(1).position == D("-0.02")
    assert asked.index("margin_mode") < asked.index("leverage") < asked.index("order")
    assert (asked.count("margin_mode"), asked.count("leverage"), asked.count("order")) == (1, 1, 2)
    told = desk.world.connection.spawn(desk.world.connection.trading.fetch_positions([FUTURE])).result(60)  # type: ignore[attr-defined]
    assert [(position["leverage"], position["marginMode"]) for position in told] == [(3.0, "isolated")]


def test_an_exit_only_reduces(desk: Desk, exchange: Exchange) -> None:
    """An exit closes the position and no more."""
    entered(desk)
    leave = {"side": OrderSide.BUY, "purpose": Purpose.EXIT, "reduce_only": True}
    desk.submit(short(desk, 2, **leave))
    desk.wait(lambda: desk.filled(2) == D("0.01"), "the exit")
    again = desk.submit(short(desk, 3, **leave))

    assert desk.look(2).position == 0
    assert isinstance(again, OrderRejected)


def test_a_stop_that_is_kept_apart_is_found_cancelled_and_replaced(desk: Desk, exchange: Exchange) -> None:
    """It is told by looks like any order, by our id, and its cancel ends it once."""
    entered(desk)
    desk.submit(stop(desk, 2))
    working = [
        (o.client_order_id, o.status, o.type) for o in desk.look(1, 2).orders if o.client_order_id == client_id(2)
    ]
    desk.cancel(2)
    desk.wait(lambda: desk.of(OrderCanceled, 2), "the end")
    ended = [o.status for o in desk.look(2).orders if o.client_order_id == client_id(2)]
    desk.submit(stop(desk, 3))

    assert working == [(client_id(2), OrderStatus.NEW, OrderType.STOP)]
    assert (ended, [e.filled for e in desk.of(OrderCanceled, 2)]) == ([OrderStatus.CANCELED], [0])
    assert len(desk.of(OrderAccepted, 3)) == 1


@pytest.mark.parametrize("heard", [True, False])
def test_a_triggered_stop_becomes_another_order_and_fills(desk: Desk, exchange: Exchange, heard: bool) -> None:
    """Its fills are ours, by the stream or, with nothing heard, by a look; nothing says that it was cancelled."""
    entered(desk)
    desk.submit(stop(desk, 2))
    if not heard:
        exchange.control("fault", kind="drop", stream="user*")
    desk.world.move(63_000)
    desk.wait(lambda: (heard or desk.look(1, 2)) and desk.filled(2) == D("0.01"), "the stop's fill")
    snapshot = desk.look(1, 2)

    assert [o.status for o in snapshot.orders if o.client_order_id == client_id(2)] == [OrderStatus.FILLED]
    assert {filled.fill.client_order_id for filled in snapshot.fills} == {client_id(1), client_id(2)}
    assert snapshot.position == 0
    assert desk.of(OrderCanceled, 2) == []
    assert len({event.fill.fill_id for event in desk.of(OrderFilled, 2)}) == len(desk.of(OrderFilled, 2)) == 1


@pytest.mark.parametrize("kind", ["lost", "cut", "broken_json", "reset_before", "done_unavailable"])
def test_a_stop_whose_answer_goes_wrong(desk: Desk, exchange: Exchange, kind: str) -> None:
    """Stops have their own address and ids; they are in doubt, found and given up like any order."""
    entered(desk)
    exchange.control("fault", endpoint="POST /fapi/v1/algoOrder", kind=kind, count=1)
    desk.submit(stop(desk, 2))
    desk.wait(lambda: (found := desk.look(1, 2)).final or not found.unknown, "certainty")
    snapshot = desk.look(1, 2)
    found = [order.status for order in snapshot.orders if order.client_order_id == client_id(2)]

    assert desk.of(OrderInDoubt, 2)
    assert found == ([] if kind == "reset_before" else [OrderStatus.NEW])
    assert snapshot.unknown == ((client_id(2),) if kind == "reset_before" else ())


def test_a_stop_beyond_the_price_is_refused_by_its_name(desk: Desk, exchange: Exchange) -> None:
    """A stop that would trigger at once is refused as that."""
    entered(desk)
    refused = desk.submit(stop(desk, 2, price=59_000))

    assert isinstance(refused, OrderRejected)
    assert refused.code == "WOULD_TRIGGER"


def test_too_much_leverage_is_refused_before_the_order(desk: Desk, exchange: Exchange) -> None:
    """The exchange's word on leverage ends the entry; the order is not sent."""
    refused = desk.submit(short(desk, 1, leverage=D(126)))

    assert isinstance(refused, OrderRejected)
    assert "order" not in requests(desk)


def test_margin_that_is_missing_is_refused_by_its_name(desk: Desk, exchange: Exchange) -> None:
    """More than the wallet carries is told as missing funds."""
    refused = desk.submit(short(desk, 1, amount=D(20)))

    assert isinstance(refused, OrderRejected)
    assert refused.code == "INSUFFICIENT_FUNDS"


def test_markets_have_their_margin_tiers(desk: Desk, exchange: Exchange) -> None:
    """Leverage and maintenance margins are the exchange's own."""
    market = desk.venue.markets()[FUTURE]

    assert market.leverage_max > 20
    assert market.tiers[0].notional_min == 0
    assert market.liquidation == "binance"
    assert all(a.notional_max == b.notional_min for a, b in zip(market.tiers, market.tiers[1:], strict=False))


def test_funding_is_told_by_itself_and_by_looks_once(desk: Desk, exchange: Exchange) -> None:
    """What a short receives is told at once with its id and coin, and by every look with the same id."""
    entered(desk)
    world: Any = desk.world
    world.live._payments.patience_s = 600.0
    desk.wait(lambda: world.live._stream.is_up and desk.look(1), "the stream")
    exchange.control("fund", symbol="BTCUSDT", rate="0.001", market="futures")
    (paid,) = desk.wait(lambda: desk.of(FundingPaid), "the payment")
    looked = [desk.look(1).payments for _ in range(2)]

    assert (paid.pair, paid.currency) == (FUTURE, "USDT")
    assert D("0.5") < paid.received < D("0.7")
    assert looked == [(paid,), (paid,)]
    assert len(desk.of(FundingPaid)) == 1


def test_funding_that_is_refused_is_not_known_and_read_later(desk: Desk, exchange: Exchange) -> None:
    """A refused read of payments is said, not taken for none; when it is possible again the pair looks, and is told of them."""
    entered(desk)
    world: Any = desk.world
    world.live._payments.again_s, world.live._payments.patience_s = 0.2, 600.0
    desk.wait(lambda: world.live._stream.is_up and desk.look(1), "the stream")
    exchange.control("fault", endpoint="GET /fapi/v1/income", kind="refuse", code=-1102, msg="Mandatory.", count=1_000)
    exchange.control("fund", symbol="BTCUSDT", rate="0.001", market="futures")
    (said,) = desk.wait(lambda: [one for one in desk.of(Remark) if one.event == "funding_unread"], "the word of it")
    refused = desk.look(1).payments
    exchange.control("clear")
    world.connection.call(world.live._funded.set)
    desk.wait(lambda: len([one for one in desk.of(Remark) if one.event == "funding_unread"]) == 2, "the next word")
    desk.wait(lambda: desk.of(Missed), "the wish to look")

    assert (refused, said.severity) == ((), "warning")
    assert FUTURE in said.text
    assert [paid.received > 0 for paid in desk.look(1).payments] == [True]


@pytest.mark.parametrize("kind", ["unavailable", "reset_before"])
def test_an_outage_of_the_funding_list_holds_up_no_look(desk: Desk, exchange: Exchange, kind: str) -> None:
    """A look is what a position without its stop waits for: it is answered without what was paid, which comes later."""
    entered(desk)
    world: Any = desk.world
    world.live._payments.again_s, world.live._payments.patience_s = 0.2, 600.0
    desk.wait(lambda: world.live._stream.is_up, "the stream")
    exchange.control("fault", endpoint="GET /fapi/v1/income", kind=kind, count=1_000)
    exchange.control("fund", symbol="BTCUSDT", rate="0.001", market="futures")
    snapshot = desk.look(1)
    exchange.control("clear")
    paid = desk.wait(lambda: desk.of(FundingPaid), "the payment")

    assert (snapshot.position, snapshot.payments) == (D("-0.01"), ())
    assert {one.received > 0 for one in paid} == {True}


def test_a_liquidation_is_told_as_what_it_is(desk: Desk, exchange: Exchange) -> None:
    """The exchange closes the position: a look tells its execution as a liquidation, and nothing is held."""
    entered(desk)
    exchange.control("liquidate", symbol="BTCUSDT", market="futures", account=desk.world.connection.trading.apiKey)  # type: ignore[attr-defined]
    snapshot = desk.wait(lambda: found if (found := desk.look(1)).foreign else None, "the liquidation")

    assert snapshot.position == 0
    assert [(told.why, told.side, told.fill.amount) for told in snapshot.foreign] == [("liquidation", "buy", D("0.01"))]


def test_a_listen_key_that_expires_is_renewed(desk: Desk, exchange: Exchange) -> None:
    """The exchange ends the stream's key: the stream is opened anew, and tells again."""
    entered(desk)
    world: Any = desk.world
    desk.wait(lambda: world.live._stream.is_up, "the stream")
    exchange.control("expire", account=world.connection.trading.apiKey)
    desk.wait(lambda: world.live._stream.restarts and world.live._stream.is_up, "the new stream")
    desk.submit(short(desk, 2))

    assert desk.wait(lambda: desk.filled(2), "the fill") == D("0.01")


def test_an_order_that_is_refused_for_a_halt_has_the_markets_read(desk: Desk, exchange: Exchange) -> None:
    """As on spot, though ccxt takes these words for a bad request."""
    world: Any = desk.world
    exchange.control("pair", symbol="BTCUSDT", status="HALT", market="futures")
    try:
        refused = desk.submit(short(desk))
    finally:
        exchange.control("pair", symbol="BTCUSDT", status="TRADING", market="futures")

    assert refused.code == "MARKET_CLOSED"
    assert world.connection.market_doubts.is_set()
