"""Websocket streams of market data: candles of many pairs, book tops of a few.

A line is one `Stream` and the pairs that go by it. Its probe is a question to the venue: has it traded?
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final, Protocol

from actors.venues.live.frames import Reader, rows_of
from actors.venues.live.stream import Instances, Stream, StreamRenewed
from actors.venues.live.times import Times
from engine.candles import Candle

PAIRS_A_LINE: Final = 400
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
    """Book tops, or tickers where the venue has no stream of those, of the pairs that are watched just now."""

    def __init__(
        self,
        instances: Instances,
        wanted: Callable[[], Collection[str]],
        sink: PriceSink,
        times: Times,
    ) -> None:
        super().__init__(instances, "prices of open trades", times)
        self._wanted = wanted
        self._sink = sink
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
            raise StreamRenewed("most of its pairs are not watched any more")
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
