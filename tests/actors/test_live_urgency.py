"""What a position's guard waits for is not kept waiting: by candles, by who trades beside us, by a look that is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from actors.venues.capabilities import capability
from actors.venues.live.looks import Looks
from actors.venues.live.reading import AT_ONCE, Reader
from actors.venues.live.requests import URGENCY, Telling, Unreadable
from actors.venues.live.strangers import Strangers
from actors.venues.live.venue import CcxtVenue
from actors.venues.live.wire import Answer
from actors.venues.trading import Looked, Permit, RequestEnded
from engine.messages import TakeSnapshot
from engine.types import Priority
from tests.actors.test_live_looks import MARKET, MINE, SENT_AT, Exchange, looks_at, told_by


class Jumping(asyncio.SelectorEventLoop):
    """A loop that does not wait: its time goes on to what is due next."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0
        selector: Any = self._selector  # type: ignore[attr-defined]
        select = selector.select

        def jump(timeout: float | None = None) -> Any:
            self.at += timeout or 0.0
            return select(0)

        selector.select = jump

    def time(self) -> float:
        """Seconds since it was made."""
        return self.at


class Busy:
    """Stands for the looks: each takes a while."""

    def __init__(self, look_s: float) -> None:
        self.look_s, self.until, self.anew, self.looks = look_s, 0.0, 0, list[float]()

    def is_looking_at(self, pair: str) -> bool:
        assert pair == MARKET.pair
        return asyncio.get_running_loop().time() < self.until

    def doubt(self, pair: str) -> None:
        self.anew += self.is_looking_at(pair)
        self.looks.append(asyncio.get_running_loop().time())
        self.until = self.looks[-1] + self.look_s


@pytest.mark.parametrize(("look_s", "most"), [(1.2, 8), (15.0, 6)])
def test_who_trades_beside_us_keeps_no_look_from_its_end(look_s: float, most: int) -> None:
    """A grid bot of the user's trades once a second: no look is begun anew for it, and a last one comes after its last trade."""
    looks: Any = Busy(look_s)

    async def trade() -> None:
        strangers = Strangers(looks)
        for _ in range(60):
            strangers.traded(MARKET.pair)
            await asyncio.sleep(1)
        await asyncio.sleep(60)

    with asyncio.Runner(loop_factory=Jumping) as runner:
        runner.run(trade())

    assert looks.anew == 0
    assert looks.looks[0] == 0.0
    assert 4 <= len(looks.looks) <= most
    assert looks.looks[-1] >= 59


def test_a_refused_look_does_not_take_anothers_answer() -> None:
    """The pair asked again, more urgently, while its first look waited: that one is refused at last, and the second is told."""
    began, refuse, refused = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Half(Exchange):
        """Refuses who is not urgent, once it is told to; who is, gets his answer after that."""

        async def rows(self, *asked: Any, **more: Any) -> list[Any]:
            if URGENCY.get() is Priority.RECONCILE:
                began.set()
                await refuse.wait()
                asyncio.get_running_loop().call_soon(refused.set)
                raise Unreadable("no")
            refuse.set()
            await refused.wait()
            await asyncio.sleep(0)
            return await super().rows(*asked, **more)

    telling = Telling()
    looks = looks_at(Half(SENT_AT, 10), telling, "binance")

    async def look() -> Looked:
        for number, orders in enumerate(((), (MINE,))):
            ids: dict[str, Any] = {"request_id": str(number), "client_order_ids": orders, "reply_to": "pair"}
            looks.look(TakeSnapshot(pair=MARKET.pair, since=0, **ids))
            await began.wait()
        return await told_by(telling)

    told = asyncio.run(asyncio.wait_for(look(), 10))

    assert told.question.request_id == "1"


def test_an_entrys_fill_is_read_as_urgently_as_its_stop_is_wanted() -> None:
    """Where the stream's executions are not booked but read, the position has no stop until they are."""
    read = list[Priority]()

    class Connection:
        """Stands for the exchange's."""

        name, futures = "kraken", False
        trading = data = SimpleNamespace(has={})

        def now(self) -> int:
            return SENT_AT

        def spawn(self, work: Coroutine[Any, Any, None]) -> Any:
            return asyncio.ensure_future(work)

    connection: Any = Connection()

    async def fill() -> None:
        venue = CcxtVenue(connection, capability("kraken"), "AAAAAA")
        done = asyncio.Event()

        async def missing(looks: Looks, pair: str, order_id: str) -> None:
            del looks, pair, order_id
            read.append(URGENCY.get())
            done.set()

        venue._looks.missing_fills = missing.__get__(venue._looks)  # type: ignore[method-assign, attr-defined]
        venue._read_soon(MARKET.pair, "x1")
        await done.wait()

    with asyncio.Runner(loop_factory=Jumping) as runner:
        runner.run(fill())

    assert read == [Priority.EXIT]


class Slow:
    """Stands for connection and limiter: candles are never answered; `wished` is what was asked for, and how urgently."""

    def __init__(self) -> None:
        self.wished = list[tuple[str, Priority]]()
        self.data = SimpleNamespace(
            has={}, markets={}, fetch_ohlcv=self.never, fetch_ticker=self.ticker, feature_value=lambda *_: None
        )

    async def acquire(self, request: str, priority: Priority = Priority.DATA) -> Permit:
        self.wished.append((request, priority))
        return Permit("p", SENT_AT + 1_000)

    def ended(self, ended: RequestEnded) -> None:
        del ended

    def now(self) -> int:
        return SENT_AT

    async def request(self, function: Any, *args: Any, leave: Any = None) -> Answer:
        del leave
        return Answer(value=await function(*args))

    async def never(self, *asked: Any) -> None:
        del asked
        await asyncio.Event().wait()

    async def ticker(self, pair: str) -> dict[str, str]:
        return {"symbol": pair}


def test_the_price_of_what_is_held_does_not_wait_behind_candles() -> None:
    """The streams are down and hundreds of pairs ask for their candles: where no stop rests at the exchange, the price guards."""
    slow: Any = Slow()

    async def ask() -> Any:
        reader = Reader(slow, slow)
        candles = [asyncio.ensure_future(reader.candles(f"C{n}/USDT", 60_000, 0, 3)) for n in range(2 * AT_ONCE)]
        await asyncio.sleep(0)
        found = await reader.tickers([MARKET.pair])
        for one in candles:
            one.cancel()
        return found

    assert asyncio.run(asyncio.wait_for(ask(), 10)) == {MARKET.pair: {"symbol": MARKET.pair}}
    assert slow.wished[-1] == ("ticker", Priority.EXIT)
