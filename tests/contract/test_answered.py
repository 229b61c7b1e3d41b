"""What the answer to an order is good for: until when one that is lost may still be accepted, the fills that it carries, and a refusal for good."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from actors.venues.live.looks import LAG_MS
from actors.venues.trading import Looked, ReadsRefused, Remark, RequestEnded
from engine.messages import OrderCanceled, OrderFilled
from engine.types import OrderType, TimeInForce
from tests.contract.desk import Desk, an_order, at_desk, client_id, fresh
from tests.exchange.client import Exchange

D = Decimal
ORDER = "POST /api/v3/order"


@pytest.fixture
def desk(request: pytest.FixtureRequest, exchange: Exchange) -> Iterator[Desk]:
    """A desk at a fresh account, with what is known of Binance, whose stream is up."""
    world = fresh(exchange, request.node.name, as_known=True)
    with at_desk(world) as made:
        made.wait(lambda: world.live._stream.is_up, "the stream")
        yield made
    exchange.control("pair", symbol="BTCUSDT", parts=1, top=None)


def test_an_order_that_comes_later_than_its_window_is_never_accepted(desk: Desk, exchange: Exchange) -> None:
    """Spot: what comes after two seconds is refused there, so another may be sent after four: that it is unknown is final."""
    exchange.control("fault", endpoint=ORDER, kind="late", count=1, seconds=2.4)
    desk.submit(an_order(1, desk.world.now()))
    told = desk.wait(lambda: (found := desk.look(1)).final and found, "certainty")
    world: Any = desk.world

    assert (told.unknown, told.orders) == ((client_id(1),), ())
    assert exchange.control("ledger", account=world.connection.trading.apiKey)["orders"] == []
    assert world.live._looks._ability.horizon_ms + LAG_MS == 4_000


@pytest.mark.parametrize("way", ["the answer", "the stream"])
def test_fills_are_the_same_by_whom_they_are_told(desk: Desk, exchange: Exchange, way: str) -> None:
    """An answer's executions, or the stream's, are the lists': ids, prices, amounts, fees, times; and nothing is read for them."""
    exchange.control("pair", symbol="BTCUSDT", parts=3)
    if way == "the answer":
        exchange.control("fault", kind="drop", stream="user*", count=30)
    else:
        exchange.control("fault", endpoint=ORDER, kind="field", field="fills", count=1)
    desk.submit(an_order(1, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
    desk.wait(lambda: desk.filled(1) == D("0.01"), "the fills")
    read = [event.request for event in desk.of(RequestEnded)]
    told = desk.of(OrderFilled, 1)

    assert "my_trades" not in read
    assert len(told) == 3
    assert list(desk.look(1, since=1).fills) == told
    assert len(desk.of(OrderFilled, 1)) == 3


def test_fills_that_are_told_by_all_are_told_once(desk: Desk, exchange: Exchange) -> None:
    """The answer and the stream bring the same executions, whoever is first, each of them twice: they are booked once."""
    exchange.control("pair", symbol="BTCUSDT", parts=3)
    exchange.control("fault", kind="duplicate", stream="user*", count=30)
    for number in range(1, 5):
        desk.submit(an_order(number, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
    desk.wait(lambda: all(desk.filled(number) == D("0.01") for number in range(1, 5)), "the fills")
    told = desk.look(1, 2, 3, 4)
    ids = [event.fill.fill_id for event in desk.of(OrderFilled)]

    assert len(ids) == len(set(ids)) == 12
    assert {filled.fill.fill_id for filled in told.fills} == set(ids)


def test_a_stream_that_does_not_tell_what_an_answer_told_is_opened_anew(desk: Desk, exchange: Exchange) -> None:
    """Nothing is missing when an order fills in its answer: that the stream is deaf is found all the same, and once."""
    world: Any = desk.world
    exchange.control("fault", kind="stall", stream="user*", count=1)
    desk.submit(an_order(1, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
    desk.wait(lambda: desk.filled(1) == D("0.01"), "the fill")
    desk.wait(lambda: world.live._stream.restarts and world.live._stream.is_up, "the new stream")
    desk.submit(an_order(2, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
    desk.wait(lambda: desk.filled(2) == D("0.01"), "the fill")
    desk.wait(lambda: not world.live._books.unechoed, "its echo")

    assert ["did not come within 5 s" in one.text for one in desk.of(Remark) if one.severity == "warning"] == [True]
    assert world.live._stream.restarts == 1


def test_what_an_order_takes_before_it_ends_is_told_before_its_end(desk: Desk, exchange: Exchange) -> None:
    """An immediate order takes what is there: its answer tells the execution and then the end, and nothing is read."""
    exchange.control("fault", kind="drop", stream="user*", count=30)
    exchange.control("pair", symbol="BTCUSDT", top=0.004)
    desk.submit(an_order(1, desk.world.now(), price=D(60_100), time_in_force=TimeInForce.IOC))
    desk.wait(lambda: desk.of(OrderCanceled, 1), "the end")
    (fill,), (end,) = desk.of(OrderFilled, 1), desk.of(OrderCanceled, 1)

    assert (fill.fill.amount, end.filled) == (D("0.004"), D("0.004"))
    assert desk.told.index(fill) < desk.told.index(end)
    assert "my_trades" not in [event.request for event in desk.of(RequestEnded)]


@pytest.mark.parametrize("field", ["tradeId", "commission", "commissionAsset", "price", "qty"])
def test_an_answer_that_lacks_something_is_left_to_the_others(desk: Desk, exchange: Exchange, field: str) -> None:
    """Executions without an id, a fee, a price or an amount are not booked by half: the stream and the lists tell them whole."""
    exchange.control("pair", symbol="BTCUSDT", parts=3)
    exchange.control("fault", endpoint=ORDER, kind="field", field=f"fills.{field}", count=1)
    desk.submit(an_order(1, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
    desk.wait(lambda: desk.filled(1) == D("0.01"), "the fills")
    told = desk.of(OrderFilled, 1)

    assert len({event.fill.fill_id for event in told}) == len(told) == 3
    assert sorted(desk.look(1, since=1).fills, key=str) == sorted(told, key=str)


def test_an_answer_without_what_was_filled_is_no_end(desk: Desk, exchange: Exchange) -> None:
    """Filled, by its own word, and not how much: it has not ended with nothing, and its executions are read, also past a deaf stream."""
    exchange.control("fault", kind="drop", stream="user*", count=30)
    exchange.control("fault", endpoint=ORDER, kind="field", field="executedQty", count=1)
    desk.submit(an_order(1, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
    desk.wait(lambda: desk.filled(1) == D("0.01"), "the fill")

    assert desk.of(OrderCanceled, 1) == []
    assert len(desk.of(OrderFilled, 1)) == 1


def test_what_is_refused_for_good_is_said_and_tried_again(desk: Desk, exchange: Exchange) -> None:
    """A look whose list is refused again and again ends without an answer, and is told; the next ones bring all that was missed."""
    world: Any = desk.world
    world.live._looks.again_s = 0.1
    desk.submit(an_order(1, desk.world.now(), type=OrderType.MARKET, price=D(60_000)))
    desk.look()
    exchange.control("fault", endpoint="GET /api/v3/myTrades", kind="refuse", code=-1102, msg="Mandatory.", count=1_000)
    question = desk._question("pair", 1)
    desk.venue.look(question, desk.world.now())
    (refused, *_) = desk.wait(lambda: desk.of(ReadsRefused), "the word of it")
    desk.venue.look(question, desk.world.now())
    desk.wait(lambda: len(desk.of(ReadsRefused)) == 2, "the word of it again")
    answered = [event for event in desk.of(Looked) if event.question == question]
    exchange.control("clear")
    told = desk.look(1)

    assert "my_trades of BTC/USDT" in refused.reason
    assert answered == []
    assert [filled.fill.amount for filled in told.fills] == [D("0.01")]
    assert [event.reason for event in desk.of(ReadsRefused)[2:]] == [""]
