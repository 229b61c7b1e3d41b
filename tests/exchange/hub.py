"""The market streams of one market: who has subscribed to what, and when which frames go out.

Trades and best prices go out at once, candles and tickers that changed once a second, and a candle's last frame
(`x` true) at the moment it closes, before any frame of the next one. A halted pair sends nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import orjson
from aiohttp import WSMsgType, web

from tests.exchange import frames
from tests.exchange.clock import Clock
from tests.exchange.faults import Faults
from tests.exchange.quotes import INTERVALS, Candle, Quote
from tests.exchange.sockets import Socket
from tests.exchange.venue import Venue

FLUSH_S: Final = 1.0
STREAMS_MAX: Final = 1024

SYMBOL_STREAMS: Final = (
    "trade", "aggTrade", "bookTicker", "miniTicker", "ticker", "markPrice", "markPrice@1s",
    *(f"kline_{interval}" for interval in INTERVALS),
)  # fmt: skip
ALL_STREAMS: Final = ("!miniTicker@arr", "!ticker@arr", "!bookTicker", "!markPrice@arr", "!markPrice@arr@1s")


class Hub:
    """See the module."""

    def __init__(self, venue: Venue[Any], clock: Clock, faults: Faults, *, talk_limit: int) -> None:
        self.venue = venue
        self.clock = clock
        self.faults = faults
        self.talk_limit = talk_limit
        self.sockets: set[Socket] = set()
        self.listeners: dict[str, set[Socket]] = {}
        self.intervals: dict[str, int] = {}
        self.kicked = 0
        self.opened = 0
        self.funding: Callable[[str], tuple[str, int]] = lambda symbol: ("0.00010000", 0)
        self._dirty: set[str] = set()
        self._boundary: dict[str, int] = {}
        self._live: dict[str, dict[str, set[Socket]]] = {}
        venue.movers.append(self.moved)

    # ------------------------------------------------------------ a socket's life

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """A new socket for market streams; `?streams=a/b` subscribes at once."""
        if self.faults.of_event("connect:market", "", ("refuse_stream",)):
            return web.Response(status=503)
        ws = web.WebSocketResponse(heartbeat=180, compress=False)
        await ws.prepare(request)
        socket = Socket(ws, request, self.faults, talk_limit=self.talk_limit)
        self.sockets.add(socket)
        self.opened += 1
        for stream in filter(None, request.query.get("streams", "").split("/")):
            self.subscribe(socket, stream)
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    self.heard(socket, message.data)
        finally:
            for stream in list(socket.streams):
                self.unsubscribe(socket, stream)
            self.sockets.discard(socket)
            socket.end()
        return ws

    def heard(self, socket: Socket, text: str) -> None:
        """A request on a socket."""
        if socket.talks_too_much():
            self.kicked += 1
            socket.close(1008, "Too many requests")
            return
        try:
            asked = orjson.loads(text)
            method, names = asked["method"], asked.get("params") or []
        except (orjson.JSONDecodeError, KeyError, TypeError):
            socket.answer({"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}})
            return
        number = asked.get("id")
        if method == "LIST_SUBSCRIPTIONS":
            socket.answer({"result": sorted(socket.streams), "id": number})
            return
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE") or not all(self._known(name) for name in names):
            socket.answer({"error": {"code": 2, "msg": "Invalid request: unknown method or stream"}, "id": number})
            return
        if method == "SUBSCRIBE" and len(socket.streams.union(names)) > STREAMS_MAX:
            socket.answer({"error": {"code": 2, "msg": "Invalid request: too many streams"}, "id": number})
            return
        for name in names:
            (self.subscribe if method == "SUBSCRIBE" else self.unsubscribe)(socket, name)
        socket.answer({"result": None, "id": number})

    # ------------------------------------------------------------ a dialect's names and frames

    def parts(self, stream: str) -> tuple[str, str]:
        """The pair and the kind of a stream: `BTCUSDT` and `kline_1m`."""
        symbol, _, rest = stream.partition("@")
        return symbol.upper(), rest

    def named(self, symbol: str, rest: str) -> str:
        """The stream of this kind of a pair."""
        return f"{symbol.lower()}@{rest}"

    def kline(self, quote: Quote, interval: str, candle: Candle, now: int, *, closed: bool) -> str:
        """The frame of a candle."""
        return frames.kline(quote, interval, INTERVALS[interval], candle, now, closed=closed)

    def now_of(self, quote: Quote, rest: str, now: int) -> dict[str, Any] | None:
        """What goes out once a second of a pair that has moved; None: nothing of this kind."""
        if rest == "miniTicker":
            return frames.mini_ticker(quote, now)
        if rest == "ticker":
            return frames.ticker(quote, now)
        if rest.startswith("markPrice"):
            return frames.mark_price(quote, now, *self.funding(quote.listing.symbol))
        return None

    def at_once(self, quote: Quote, rest: str, now: int) -> dict[str, Any] | None:
        """What goes out with each trade; None: nothing of this kind."""
        if rest == "bookTicker":
            return frames.book_ticker(quote, now)
        return frames.trade(quote, now, rest) if rest in ("trade", "aggTrade") else None

    # ------------------------------------------------------------ subscriptions

    def _known(self, stream: str) -> bool:
        symbol, rest = self.parts(stream)
        return stream in ALL_STREAMS or (bool(symbol) and rest in SYMBOL_STREAMS)

    def subscribe(self, socket: Socket, stream: str) -> None:
        """From now on the socket gets this."""
        socket.streams.add(stream)
        self.listeners.setdefault(stream, set()).add(socket)
        symbol, rest = self.parts(stream)
        self._live.setdefault(symbol, {})[rest] = self.listeners[stream]
        if rest.startswith("kline_"):
            interval = rest.removeprefix("kline_")
            step = INTERVALS[interval]
            now = self.clock.now()
            self._boundary.setdefault(interval, now - now % step + step)
            if (quote := self.venue.quotes.get(symbol)) is not None:
                quote.live(interval, now)

    def unsubscribe(self, socket: Socket, stream: str) -> None:
        """And now not any more."""
        socket.streams.discard(stream)
        there = self.listeners.get(stream, set())
        there.discard(socket)

    # ------------------------------------------------------------ frames

    def moved(self, symbol: str) -> None:
        """A public trade: what goes out at once goes out."""
        self._dirty.add(symbol)
        live = self._live.get(symbol)
        if live is None:
            return
        quote = self.venue.quotes[symbol]
        now = self.clock.now()
        for rest, there in live.items():
            if there and (frame := self.at_once(quote, rest, now)) is not None:
                self._send(there, symbol, rest, frame)

    def _send(self, there: set[Socket], symbol: str, rest: str, frame: dict[str, Any]) -> None:
        text, stream = orjson.dumps(frame).decode(), self.named(symbol, rest)
        for socket in there:
            socket.event(stream, symbol, text)

    async def run(self) -> None:
        """Send candles and tickers until cancelled."""
        loop = asyncio.get_running_loop()
        flush = loop.time() + FLUSH_S
        while True:
            due = min((self.clock.until(at) for at in self._boundary.values()), default=FLUSH_S)
            await asyncio.sleep(max(0.0, min(due, flush - loop.time(), 0.25)))
            self._close_candles()
            if loop.time() >= flush:
                flush = max(flush + FLUSH_S, loop.time())
                self._flush()

    def _close_candles(self) -> None:
        now = self.clock.now()
        for interval, boundary in list(self._boundary.items()):
            if now < boundary:
                continue
            step, rest = INTERVALS[interval], f"kline_{interval}"
            self._boundary[interval] = now - now % step + step
            for symbol, live in self._live.items():
                if there := live.get(rest):
                    self._close(symbol, interval, there, boundary - step, now)

    def _close(self, symbol: str, interval: str, there: set[Socket], ts: int, now: int) -> None:
        quote = self.venue.quotes.get(symbol)
        if quote is None or quote.quiet or quote.listing.status != "TRADING":
            return
        candles = quote.live(interval, now)
        late = [candle for candle in candles[-20:-1] if candle.ts >= ts]
        for candle in late:
            text = self.kline(quote, interval, candle, now, closed=True)
            for socket in there:
                socket.event(self.named(symbol, f"kline_{interval}"), symbol, text)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, set()
        now = self.clock.now()
        for symbol in dirty:
            live = self._live.get(symbol)
            if live is not None:
                self._flush_pair(symbol, live, now)
        self._flush_all(dirty, now)

    def _flush_pair(self, symbol: str, live: dict[str, set[Socket]], now: int) -> None:
        quote = self.venue.quotes[symbol]
        if quote.listing.status != "TRADING":
            return
        for rest, there in live.items():
            if not there:
                continue
            if rest.startswith("kline_"):
                interval = rest.removeprefix("kline_")
                text = self.kline(quote, interval, quote.live(interval, now)[-1], now, closed=False)
                for socket in there:
                    socket.event(self.named(symbol, rest), symbol, text)
            elif (frame := self.now_of(quote, rest, now)) is not None:
                self._send(there, symbol, rest, frame)

    def _flush_all(self, dirty: set[str], now: int) -> None:
        quotes = [self.venue.quotes[symbol] for symbol in sorted(dirty)]
        for stream, make in (
            ("!miniTicker@arr", frames.mini_ticker),
            ("!ticker@arr", frames.ticker),
            ("!markPrice@arr", self._mark),
            ("!markPrice@arr@1s", self._mark),
        ):
            there = self.listeners.get(stream)
            if there and quotes:
                text = orjson.dumps([make(quote, now) for quote in quotes]).decode()
                for socket in there:
                    socket.event(stream, "", text)

    def _mark(self, quote: Any, now: int) -> dict[str, Any]:
        return frames.mark_price(quote, now, *self.funding(quote.listing.symbol))

    def kick(self) -> int:
        """Close every socket in order."""
        for socket in self.sockets:
            socket.close()
        return len(self.sockets)
