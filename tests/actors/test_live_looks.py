"""Looking at a pair: when it is final that an exchange has no order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from actors.venues.capabilities import capability
from actors.venues.live.books import Books
from actors.venues.live.holdings import Holdings
from actors.venues.live.looks import LAG_MS, Looks
from actors.venues.live.payments import Payments
from actors.venues.live.requests import Telling, Unreadable
from actors.venues.live.wire import Answer
from actors.venues.trading import Looked
from engine.market import Market
from engine.messages import TakeSnapshot
from engine.order import Order
from engine.types import OrderSide, OrderType, Purpose

D = Decimal
MARKET = Market(pair="BTC/USDT", base="BTC", quote="USDT", price_step=D("0.1"), amount_step=D("0.001"))
MINE = "tpAAAAAAr1p0000beeft1i1"
SENT_AT = 1_000_000


class Exchange:
    """Stands for connection and requests: has nothing, and the clock is at `slow_ms` more after each answer."""

    def __init__(self, at: int, slow_ms: int) -> None:
        self.at, self.slow_ms = at, slow_ms
        self.connection = self
        self.trading = SimpleNamespace(has={}, fetch_my_trades=self.method, fetch_balance=None)

    def now(self) -> int:
        return self.at

    def markets(self) -> dict[str, Market]:
        return {MARKET.pair: MARKET}

    def spawn(self, work: Coroutine[Any, Any, None]) -> Any:
        return asyncio.ensure_future(work)

    def method(self, call: Any) -> None:
        del call

    listing = method

    async def rows(self, *asked: Any, **more: Any) -> list[Any]:
        del asked, more
        self.at += self.slow_ms
        return []

    async def read(self, *asked: Any, **more: Any) -> Answer:
        del asked, more
        self.at += self.slow_ms
        return Answer(value={})


def looks_at(exchange: Exchange, telling: Telling, name: str) -> Looks:
    """Looks at an exchange that knows nothing of an order that was sent."""
    able = capability(name)
    books = Books("AAAAAA", telling.put, lambda: 0.0, exchange.now)
    order = Order(
        pair=MARKET.pair,
        client_order_id=MINE,
        side=OrderSide.SELL,
        type=OrderType.MARKET,
        purpose=Purpose.EXIT,
        amount=D(1),
        price=D(100),
        created_at=SENT_AT,
    )
    books.expect(order, SENT_AT).sent_at = SENT_AT
    requests: Any = exchange
    holdings, payments = Holdings(requests, able, futures=False), Payments(requests, able, telling.put)
    looks = Looks(requests, telling, books, holdings, payments, able, {})
    looks.doubt(MARKET.pair)
    return looks


@pytest.mark.parametrize(("name", "held"), [("bybit", None), ("bitget", None), ("gate", None), ("okx", 0)])
def test_what_no_list_tells_of_is_not_known(name: str, held: int | None) -> None:
    """Positions are listed for USDT alone on some: that one settled in USDC is not among them is not that there is none."""

    class Lists(Exchange):
        async def read(self, *asked: Any, **more: Any) -> Answer:
            del asked, more
            return Answer(value=[])

    requests: Any = Lists(SENT_AT, 0)
    holdings = Holdings(requests, capability(name, futures=True), futures=True)
    usdt, usdc = (replace(MARKET, pair=f"BTC/{coin}:{coin}", quote=coin) for coin in ("USDT", "USDC"))

    async def positions() -> list[Any]:
        return [await holdings.position(usdt), await holdings.position(usdc)]

    assert asyncio.run(positions()) == [0, held]


async def told_by(telling: Telling) -> Looked:
    """What a look finds."""
    while True:
        await asyncio.sleep(0)
        found = [event for event in telling.take() if isinstance(event, Looked)]
        if found:
            return found[0]


def is_final(name: str, listed_ms: int, slow_ms: int) -> bool:
    """Whether a look that begins `listed_ms` after the order was sent is sure that there is none."""
    exchange, telling = Exchange(SENT_AT + listed_ms, slow_ms), Telling()
    looks = looks_at(exchange, telling, name)
    question = TakeSnapshot(request_id="1", pair=MARKET.pair, client_order_ids=(MINE,), since=0, reply_to="judge")

    async def look() -> Looked:
        looks.look(question)
        return await told_by(telling)

    told = asyncio.run(asyncio.wait_for(look(), 10)).snapshot
    assert told.unknown == (MINE,)
    return told.final


@pytest.mark.parametrize("name", ["kraken", "coinbase"])
def test_a_list_tells_of_the_time_it_was_asked_for(name: str) -> None:
    """The list was read before the order could come, its trades much later: that it is not there is not final."""
    horizon = capability(name).horizon_ms + LAG_MS

    assert not is_final(name, horizon - 1_000, 5_000)
    assert is_final(name, horizon + 1, 5_000)


@pytest.mark.parametrize("what", ["doubted", "amended"])
def test_what_came_into_doubt_during_a_reading_is_read_after_it(what: str) -> None:
    """A question that asks about more than the reading under way knew of is not answered by it, though its orders are the same."""
    readings: list[str] = []

    class Asked(Exchange):
        async def rows(self, *asked: Any, **more: Any) -> list[Any]:
            if asked[0] == "open_orders":
                readings.append(asked[0])
                if len(readings) < len(questions):
                    looks.look(questions[len(readings)])
            return await super().rows(*asked, **more)

    plain = TakeSnapshot(request_id="1", pair=MARKET.pair, client_order_ids=(MINE,), since=0, reply_to="judge")
    more: dict[str, Any] = {what: ((MINE, SENT_AT),)}
    questions = [plain, replace(plain, request_id="2"), replace(plain, request_id="3", **more)]
    exchange, telling = Asked(SENT_AT, 10), Telling()
    looks = looks_at(exchange, telling, "binance")

    async def look() -> Looked:
        looks.look(questions[0])
        return await told_by(telling)

    told = asyncio.run(asyncio.wait_for(look(), 10))

    assert (told.question.request_id, len(readings)) == ("3", 3)


def test_a_held_pair_whose_executions_are_refused_keeps_no_other_from_being_read() -> None:
    """It is read first, and after its refusal last."""

    class Refusing(Exchange):
        """Refuses the executions of one pair."""

        def markets(self) -> dict[str, Market]:
            return {pair: replace(MARKET, pair=pair) for pair in ("FREE/USDT", "REFUSED/USDT")}

        async def rows(self, *asked: Any, pair: str = "", **more: Any) -> list[Any]:
            read.append(pair)
            if pair == "REFUSED/USDT":
                raise Unreadable(pair)
            return await super().rows(*asked, **more)

    async def work() -> None:
        exchange = Refusing(SENT_AT, 0)
        looks = looks_at(exchange, Telling(), "binance")
        looks.again_s = 0.01
        looks.held = {"REFUSED/USDT"}
        for pair in exchange.markets():
            looks._unread[pair] = TakeSnapshot(
                request_id="1", pair=pair, client_order_ids=(), since=0, reply_to="judge"
            )
        reading = asyncio.ensure_future(looks.read_on())
        for _ in range(1_000):
            await asyncio.sleep(0.01)
            if len(read) == 2:
                break
        reading.cancel()

    read: list[str] = []
    asyncio.run(work())

    assert read == ["REFUSED/USDT", "FREE/USDT"]
