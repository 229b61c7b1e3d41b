"""What an exchange takes of a position itself is found in its lists, through ccxt's unmodified class, and is called what it is."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import pytest

from actors.venues.capabilities import capability
from actors.venues.live.books import Books
from actors.venues.live.holdings import Holdings
from actors.venues.live.looks import Looks
from actors.venues.live.paging import answer_of, function_of, listing_of
from actors.venues.live.payments import Payments
from actors.venues.live.requests import Telling
from actors.venues.live.wire import Answer
from actors.venues.live.words import rows
from actors.venues.trading import Looked, Snapshot
from engine.market import Market
from engine.messages import TakeSnapshot
from tests.requests.recorder import market_of, recorder

D = Decimal
BYBIT: Final = capability("bybit", futures=True)
NOW: Final = 1_800_000_000_000


def execution(number: int, **more: str) -> dict[str, str]:
    """An execution as Bybit lists it, of half a coin that is sold."""
    usual = {"symbol": "BTCUSDT", "orderId": f"o{number}", "orderLinkId": "", "execId": f"e{number}", "side": "Sell"}
    paid = {"execPrice": "33500", "execQty": "0.5", "execFee": "9.2", "execTime": str(NOW - 60_000 + number)}
    return {**usual, **paid, "execType": "Trade", "createType": "CreateByUser", **more}


class Bybit:
    """Stands for the requests of a Bybit account with these executions, in which nothing is held any more."""

    def __init__(self, *executions: dict[str, str]) -> None:
        self.executions = executions
        self.connection = self
        self.asked: list[str] = []
        self.trading = recorder(BYBIT)
        self.trading.options["defaultType"] = "swap"
        self.trading.has = {**self.trading.has, "fetchFundingHistory": False}
        self.trading.fetch = self.fetch

    async def fetch(self, url: str, *args: Any, **more: Any) -> Any:
        """Each list as Bybit tells it: executions of one type at a time."""
        del args, more
        asked, found = dict(parse_qsl(urlsplit(url).query)), list[dict[str, str]]()
        if "/execution/list" in url:
            self.asked.append(asked["execType"])
            found = [dict(one) for one in self.executions if one["execType"] == asked["execType"]]
        return {"retCode": 0, "retMsg": "OK", "result": {"list": found, "nextPageCursor": ""}}

    def now(self) -> int:
        return NOW

    def markets(self) -> dict[str, Market]:
        return {market_of(BYBIT).pair: market_of(BYBIT)}

    def spawn(self, work: Coroutine[Any, Any, None]) -> Any:
        return asyncio.ensure_future(work)

    def method(self, call: Any) -> Any:
        return function_of(self.trading, call)

    def listing(self, call: Any) -> Any:
        return listing_of(self.trading, call)

    async def read(self, kind: str, asked: Any, *, pair: str = "*") -> Answer:
        del kind, pair

        async def send(function: Any) -> Answer:
            return Answer(value=await function())

        return await answer_of(send, asked)

    async def rows(self, kind: str, asked: Any, *, pair: str) -> Any:
        return rows((await self.read(kind, asked, pair=pair)).value)


def found_by(exchange: Bybit, held: str) -> Snapshot:
    """What a look finds of the pair, of which so much is believed to be held."""
    requests: Any = exchange
    pair, telling = market_of(BYBIT).pair, Telling()
    books = Books("AAAAAA", telling.put, lambda: 0.0, exchange.now)
    holdings, payments = Holdings(requests, BYBIT, futures=True), Payments(requests, BYBIT, telling.put)
    looks = Looks(requests, telling, books, holdings, payments, BYBIT, {})
    since = NOW - 3_600_000

    async def look() -> Snapshot:
        looks.doubt(pair)
        looks.look(
            TakeSnapshot(request_id="1", pair=pair, client_order_ids=(), since=since, reply_to="j", held=D(held))
        )
        while True:
            await asyncio.sleep(0)
            told = [event for event in telling.take() if isinstance(event, Looked)]
            if told:
                return told[0].snapshot

    return asyncio.run(asyncio.wait_for(look(), 20))


def test_what_is_in_lists_of_its_own_is_read_where_something_is_held() -> None:
    """Liquidations and deleveraging on Bybit: without them a position would leave at what it had cost, as if there were no loss."""
    taken = execution(1, execType="BustTrade"), execution(2, execType="AdlTrade", createType="CreateByAdl_PassThrough")
    exchange = Bybit(*taken)

    found = found_by(exchange, "1")

    assert found.position == 0
    assert [(told.why, told.side, told.fill.amount, told.fill.price, told.fill.fee) for told in found.foreign] == [
        ("liquidation", "sell", D("0.5"), D(33500), D("9.2"))
    ] * 2
    assert [told.order_id for told in found.foreign] == ["o1", "o2"]
    assert exchange.asked == ["Trade", "BustTrade", "AdlTrade"]


def test_nothing_more_is_asked_where_nothing_is_held() -> None:
    """A pair without a position cannot be liquidated: its look costs one list of executions, as ever."""
    exchange = Bybit(execution(1, execType="BustTrade"))

    assert found_by(exchange, "0").foreign == ()
    assert exchange.asked == ["Trade"]


@pytest.mark.parametrize(
    ("created", "why"),
    [("CreateByLiq", "liquidation"), ("CreateByTakeOver_PassThrough", "liquidation"), ("CreateByClosing", "manual")],
)
def test_who_has_closed_a_position_is_told_beside_the_execution(created: str, why: str) -> None:
    """A part that is liquidated at the market is an execution as any other, but for who has made its order."""
    assert [told.why for told in found_by(Bybit(execution(1, createType=created)), "1").foreign] == [why]
