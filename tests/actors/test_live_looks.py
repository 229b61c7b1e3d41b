"""Looking at a pair: when it is final that an exchange has no order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from actors.venues.capabilities import capability
from actors.venues.live.books import Books
from actors.venues.live.holdings import Holdings
from actors.venues.live.looks import LAG_MS, Looks
from actors.venues.live.payments import Payments
from actors.venues.live.requests import Telling
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

    async def rows(self, *asked: Any, **more: Any) -> list[Any]:
        del asked, more
        self.at += self.slow_ms
        return []

    async def read(self, *asked: Any, **more: Any) -> Answer:
        del asked, more
        self.at += self.slow_ms
        return Answer(value={})


def is_final(name: str, listed_ms: int, slow_ms: int) -> bool:
    """Whether a look that begins `listed_ms` after the order was sent is sure that there is none."""
    exchange, telling, able = Exchange(SENT_AT + listed_ms, slow_ms), Telling(), capability(name)
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
    question = TakeSnapshot(request_id="1", pair=MARKET.pair, client_order_ids=(MINE,), since=0, reply_to="judge")

    async def look() -> Looked:
        looks.look(question)
        while True:
            await asyncio.sleep(0)
            found = [event for event in telling.take() if isinstance(event, Looked)]
            if found:
                return found[0]

    told = asyncio.run(asyncio.wait_for(look(), 10)).snapshot
    assert told.unknown == (MINE,)
    return told.final


@pytest.mark.parametrize("name", ["kraken", "coinbase"])
def test_a_list_tells_of_the_time_it_was_asked_for(name: str) -> None:
    """The list was read before the order could come, its trades much later: that it is not there is not final."""
    horizon = capability(name).horizon_ms + LAG_MS

    assert not is_final(name, horizon - 1_000, 5_000)
    assert is_final(name, horizon + 1, 5_000)
