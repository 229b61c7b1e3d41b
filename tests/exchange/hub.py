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
from tests.exchange.quotes import INTERVALS
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
        venue.moved = self.moved

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
            self._subscribe(socket, stream)
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    self._heard(socket, message.data)
        finally:
            for stream in list(socket.streams):
                self._unsubscribe(socket, stream)
            self.sockets.discard(socket)
            socket.end()
        return ws

    def _heard(self, socket: Socket, text: str) -> None:
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
            (self._subscribe if method == "SUBSCRIBE" else self._unsubscribe)(socket, name)
        socket.answer({"result": None, "id": number})

    @staticmethod
    def _known(stream: str) -> bool:
        symbol, _, rest = stream.partition("@")
        return stream in ALL_STREAMS or (bool(symbol) and rest in SYMBOL_STREAMS)

    def _subscribe(self, socket: Socket, stream: str) -> None:
        socket.streams.add(stream)
        self.listeners.setdefault(stream, set()).add(socket)
        symbol, _, rest = stream.partition("@")
        self._live.setdefault(symbol.upper(), {})[rest] = self.listeners[stream]
        if rest.startswith("kline_"):
            interval = rest.removeprefix("kline_")
            step = INTERVALS[interval]
            now = self.clock.now()
            self._boundary.setdefault(interval, now - now % step + step)
            if (quote := self.venue.quotes.get(symbol.upper())) is not None:
                quote.live(interval, now)

    def _unsubscribe(self, socket: Socket, stream: str) -> None:
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
        if there := live.get("bookTicker"):
            self._send(there, symbol, "bookTicker", frames.book_ticker(quote, now))
        for event in ("trade", "aggTrade"):
            if there := live.get(event):
                self._send(there, symbol, event, frames.trade(quote, now, event))

    def _send(self, there: set[Socket], symbol: str, rest: str, frame: dict[str, Any]) -> None:
        text, stream = orjson.dumps(frame).decode(), f"{symbol.lower()}@{rest}"
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
        step = INTERVALS[interval]
        candles = quote.live(interval, now)
        late = [candle for candle in candles[-20:-1] if candle.ts >= ts]
        for candle in late:
            text = frames.kline(quote, interval, step, candle, now, closed=True)
            for socket in there:
                socket.event(f"{symbol.lower()}@kline_{interval}", symbol, text)

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
                candle = quote.live(interval, now)[-1]
                text = frames.kline(quote, interval, INTERVALS[interval], candle, now, closed=False)
                for socket in there:
                    socket.event(f"{symbol.lower()}@{rest}", symbol, text)
            elif rest == "miniTicker":
                self._send(there, symbol, rest, frames.mini_ticker(quote, now))
            elif rest == "ticker":
                self._send(there, symbol, rest, frames.ticker(quote, now))
            elif rest.startswith("markPrice"):
                self._send(there, symbol, rest, frames.mark_price(quote, now, *self.funding(symbol)))

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
