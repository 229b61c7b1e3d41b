"""A watched stream by itself: how often a silence is asked about, and what ends one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from actors.venues.live.lines import PriceLine, PriceLines
from actors.venues.live.stream import Stream
from actors.venues.live.times import Times

TIMES = Times(silence=0.05, silence_max=0.1, check=0.005, lag=0.02, backoff=0.01, backoff_max=0.02)


class Mute:
    """Stands for an instance of ccxt whose sockets are open and say nothing."""

    def __init__(self) -> None:
        self.clients: dict[str, Any] = {}

    def client(self, url: str) -> Any:
        raise NotImplementedError(url)

    def handle_message(self, client: Any, message: Any) -> None:
        raise NotImplementedError(message)


class Mutes:
    """Makes them."""

    async def instance(self, *, keyed: bool = False) -> Any:
        del keyed
        return Mute()

    async def release(self, instance: Any) -> None:
        del instance


async def soon(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    for _ in range(2_000):
        if holds():
            return
        await asyncio.sleep(TIMES.check)
    raise AssertionError("it did not come")


class Quiet(Stream):
    """A stream of which nothing comes; `news` is what there is to tell."""

    def __init__(self) -> None:
        super().__init__(Mutes(), "quiet", TIMES)
        self.probes = 0
        self.news = False
        self.downs: list[str] = []
        self.enough = asyncio.Event()

    async def subscribe(self) -> None:
        """Nothing to ask for."""

    def is_open(self) -> bool:
        """At once."""
        return True

    def went_up(self) -> None:
        """Nobody is told."""

    def went_down(self, why: str) -> None:
        """Keep why."""
        self.downs.append(why)
        self.enough.set()

    async def probe(self) -> bool:
        """Count the questions."""
        self.probes += 1
        if self.probes == 5:
            self.enough.set()
        return self.news


def test_a_silence_is_asked_about_now_and_then() -> None:
    """A quiet stream costs one question each time its patience is over, not one with every look."""

    async def work() -> tuple[int, int]:
        quiet, loop = Quiet(), asyncio.get_running_loop()
        task, began = asyncio.ensure_future(quiet.run()), loop.time()
        await quiet.enough.wait()
        most = round((loop.time() - began) / TIMES.silence) + 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return quiet.probes, most

    probes, most = asyncio.run(work())
    assert probes <= most


def test_a_silence_that_hides_something_ends_the_stream() -> None:
    """The question has found news that the stream did not tell: it is started anew, and the reason is said."""

    async def work() -> Quiet:
        quiet = Quiet()
        quiet.news = True
        task = asyncio.ensure_future(quiet.run())
        await quiet.enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return quiet

    assert asyncio.run(work()).downs[0].endswith("though something has happened")


class Ticking(Mute):
    """Stands for an instance of ccxt that knows some markets, and hears of one each moment."""

    id = "ticking"

    def __init__(self, markets: set[str]) -> None:
        super().__init__()
        self.has: dict[str, bool] = {}
        self.options: dict[str, Any] = {}
        self.markets = dict.fromkeys(markets)

    def handle_message(self, client: Any, message: Any) -> None:
        """Nobody is told."""

    async def watch_ticker(self, pair: str) -> None:
        """Prices without an end."""
        while True:
            self.handle_message(None, {"symbol": pair})
            await asyncio.sleep(TIMES.check)


class Prices:
    """Makes instances that know the markets of then, keeps them, and takes what their lines tell."""

    def __init__(self) -> None:
        self.listed = {"A"}
        self.made: list[Ticking] = []
        self.ups: list[PriceLine] = []

    async def instance(self, *, keyed: bool = False) -> Any:
        del keyed
        self.made.append(Ticking(self.listed))
        return self.made[-1]

    async def release(self, instance: Any) -> None:
        del instance

    def price(self, pair: str, ticker: Any) -> None:
        raise NotImplementedError(pair)

    def prices_up(self, line: PriceLine) -> None:
        self.ups.append(line)

    def prices_down(self, line: PriceLine, why: str) -> None:
        raise NotImplementedError(why)


def test_a_wish_that_comes_while_a_price_line_is_renewed_is_for_the_one_after_it() -> None:
    """A pair that is listed again when the next line has read its markets is followed by a line after that."""

    async def work() -> list[list[str]]:
        prices = Prices()
        lines = PriceLines(prices, lambda: ["A", "B"], prices, TIMES)
        task = asyncio.ensure_future(lines.run())
        for number in (1, 2):
            await soon(lambda number=number: len(prices.ups) == number)
            prices.listed = {"A", "B"} if number == 2 else prices.listed
            lines.renew("a pair is listed again")
        await soon(lambda: len(prices.ups) == 3 and lines.line is prices.ups[-1])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return [sorted(made.markets) for made in prices.made]

    assert asyncio.run(work()) == [["A"], ["A"], ["A", "B"]]
