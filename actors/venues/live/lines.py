"""Websocket streams of market data: candles of many pairs, book tops of a few.

A line is one `Stream` and the pairs that go by it. Its probe is a question to the venue: has it traded?
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final, Protocol

from actors.venues.live.frames import Reader, rows_of
from actors.venues.live.stream import Instances, Stream
from actors.venues.live.times import Times
from engine.candles import Candle

PAIRS_A_LINE: Final = 400
OVERLAP_S: Final = 1.0
"""So long the next line of prices is up before the present one is ended: by then all its pairs are subscribed."""
CHUNK: Final = 10
"""Pairs of one request, unless more are known to be taken."""
_CHUNKS: Final = {"binance": 100, "binanceusdm": 100, "binanceus": 100, "bybit": 10, "okx": 50}
_ONE_SOCKET: Final = {
    "streamLimits": {"spot": 1, "linear": 1},
    "subscriptionLimitByStream": {"spot": 1024, "linear": 1024},
}
"""Binance's class of ccxt opens a socket a subscription otherwise."""


class CandleSink(Protocol):
    """Who is told what candle lines bring."""

    def candle(self, pair: str, candle: Candle, closed: bool | None) -> None: ...

    def line_up(self, line: CandleLine) -> None: ...

    def line_down(self, line: CandleLine, why: str) -> None: ...


class CandleLine(Stream):
    """Candles of some pairs of one kind of market (spot, or contracts): all by one socket."""

    def __init__(
        self,
        instances: Instances,
        probe: Callable[[Stream], Awaitable[bool]],
        pairs: Sequence[str],
        timeframe: str,
        sink: CandleSink,
        times: Times,
        reader: Reader | None,
    ) -> None:
        """`reader` takes candles out of raw frames, with the flag that they have closed; without one ccxt does, without it."""
        super().__init__(instances, f"candles of {len(pairs)} pairs, {pairs[0]} …", times)
        self._probe = probe
        self.pairs = pairs
        self.newest: str = pairs[0]
        self._timeframe = timeframe
        self._sink = sink
        self._names: dict[str, str] = {}
        self._interval = timeframe
        self._reader = reader

    async def probe(self) -> bool:
        """Whether the venue has traded what this line has not told."""
        return await self._probe(self)

    def went_up(self) -> None:
        """Tell the sink."""
        self._sink.line_up(self)

    def went_down(self, why: str) -> None:
        """Tell the sink."""
        self._sink.line_down(self, why)

    async def subscribe(self) -> None:
        """Ask for candles, in as few requests as the venue takes."""
        exchange, timeframe = self.exchange, self._timeframe
        pairs = [pair for pair in self.pairs if pair in exchange.markets]  # a market may be gone by now
        self._names = {exchange.market(pair)["id"]: pair for pair in pairs}
        self._interval = exchange.timeframes.get(timeframe, timeframe)
        if self._reader is not None and exchange.has.get("watchOHLCVForSymbols"):
            size = _CHUNKS.get(exchange.id, CHUNK)
            for at in range(0, len(pairs), size):
                chunk = [[pair, timeframe] for pair in pairs[at : at + size]]
                self.spawn(exchange.watch_ohlcv_for_symbols(chunk))
                await asyncio.sleep(self.times.subscribe)
        else:
            for pair in pairs:
                self.spawn(self._follow(exchange, pair))
                await asyncio.sleep(self.times.subscribe)

    async def _follow(self, exchange: Any, pair: str) -> None:
        while True:
            for row in rows_of(await exchange.watch_ohlcv(pair, self._timeframe)):
                self.newest = pair
                self._sink.candle(pair, row, None)

    def read(self, message: Any) -> bool:
        """Take candles out of a frame, with what the venue says of their end."""
        frames = None if self._reader is None else self._reader(self.exchange, message)
        if frames is None:
            return False
        for frame in frames:
            pair = self._names.get(frame.market_id)
            if pair is not None and frame.interval == self._interval:
                self.newest = pair
                self._sink.candle(pair, frame.candle, frame.closed)
        return True


class PriceSink(Protocol):
    """Who is told what the price line brings."""

    def price(self, pair: str, ticker: Any) -> None: ...

    def prices_up(self, line: PriceLine) -> None: ...

    def prices_down(self, line: PriceLine, why: str) -> None: ...


class PriceLine(Stream):
    """Book tops, or tickers where the venue has no stream of those, of the pairs that are watched just now.

    `outgrown` is called when most of the pairs that it follows are not watched any more.
    """

    def __init__(
        self,
        instances: Instances,
        wanted: Callable[[], Collection[str]],
        sink: PriceSink,
        times: Times,
        outgrown: Callable[[], None],
    ) -> None:
        super().__init__(instances, "prices of open trades", times)
        self._wanted = wanted
        self._sink = sink
        self._outgrown = outgrown
        self._subscribed: set[str] = set()
        self._changed = asyncio.Event()
        self._size = CHUNK

    def changed(self) -> None:
        """Other pairs are wanted."""
        self._changed.set()

    async def probe(self) -> bool:
        """Never: silence of single pairs is looked after by whoever watches them."""
        return False

    def went_up(self) -> None:
        """Tell the sink."""
        self._sink.prices_up(self)

    def went_down(self, why: str) -> None:
        """Tell the sink."""
        self._sink.prices_down(self, why)

    async def subscribe(self) -> None:
        """Wait until some pair is wanted, then follow all that are."""
        exchange = self.exchange
        self._size = _CHUNKS.get(exchange.id, CHUNK)
        for name, value in _ONE_SOCKET.items():
            if name in exchange.options:
                exchange.options[name] = {**exchange.options[name], **value}
        self._subscribed = set()
        while not self._wanted():
            self._changed.clear()
            if not self._wanted():
                await self._changed.wait()
        await self._subscribe_new()
        self.spawn(self._follow_changes())

    async def _follow_changes(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._subscribe_new()

    async def _subscribe_new(self) -> None:
        exchange = self.exchange
        wanted = set(self._wanted())
        gone = self._subscribed - wanted
        if len(gone) > max(10, len(wanted)):
            self._outgrown()
        fresh = sorted((wanted - self._subscribed) & exchange.markets.keys())
        self._subscribed.update(fresh)
        if exchange.has.get("watchBidsAsks"):
            for at in range(0, len(fresh), self._size):
                self.spawn(exchange.watch_bids_asks(fresh[at : at + self._size]))
                await asyncio.sleep(self.times.subscribe)
        else:
            for pair in fresh:
                self.spawn(exchange.watch_ticker(pair))
                await asyncio.sleep(self.times.subscribe)

    def resolved(self, result: Any) -> None:
        """Take prices out of what ccxt has read."""
        for ticker in result if isinstance(result, list) else (result,):
            if isinstance(ticker, dict) and "symbol" in ticker:
                self._sink.price(ticker["symbol"], ticker)


class PriceLines:
    """The line of prices and, while it is renewed, the one that follows it: positions are guarded by these prices.

    A line that is to be renewed goes on until the next one has been up for `OVERLAP_S`; meanwhile both tell, and no
    price is missed. A line that breaks while another one is to follow it is started anew by itself, which does as well.
    """

    def __init__(
        self, instances: Instances, wanted: Callable[[], Collection[str]], sink: PriceSink, times: Times
    ) -> None:
        self._make = functools.partial(PriceLine, instances, wanted, sink, times, self._wish)
        self._times = times
        self._wished = asyncio.Event()
        self._restarts_before = 0
        self._next: PriceLine | None = None
        self.line = self._make()

    @property
    def restarts(self) -> int:
        """How often the line had to be started anew; a line that followed another one in order is none."""
        return self._restarts_before + self.line.restarts

    def changed(self) -> None:
        """Other pairs are wanted."""
        self.line.changed()
        if self._next is not None:
            self._next.changed()

    def renew(self, why: str) -> None:
        """Have the line followed by one that begins from nothing; one that is not up begins so itself."""
        if self.line.is_up:
            self._wish()
        else:
            self.line.renew(why)

    def _wish(self) -> None:
        self._wished.set()

    async def run(self) -> None:
        """Keep a line going until this is cancelled."""
        running: asyncio.Future[None] = asyncio.ensure_future(self.line.run())
        try:
            while True:
                wish = asyncio.ensure_future(self._wished.wait())
                await asyncio.wait((running, wish), return_when=asyncio.FIRST_COMPLETED)
                wish.cancel()
                if running.done():
                    await running  # nothing ends a line but a fault of ours
                self._wished.clear()  # before the next line begins: a wish that comes meanwhile is for one after it
                running = await self._follow(running)
        finally:
            running.cancel()

    async def _follow(self, running: asyncio.Future[None]) -> asyncio.Future[None]:
        """Open the next line beside the present one, and end that; returns the one that goes on."""
        line, left = self._make(), OVERLAP_S
        self._next = line
        following: asyncio.Future[None] = asyncio.ensure_future(line.run())
        try:
            while left > 0 and self.line.is_up and not following.done():
                await asyncio.sleep(self._times.check)
                left = left - self._times.check if line.is_up else OVERLAP_S
            if left <= 0:
                self._restarts_before += self.line.restarts
                running, following, self.line = following, running, line
        finally:
            self._next = None
            following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        return running
