"""Websocket streams that are watched over: candles of many pairs, book tops of a few.

A line is one stream: an instance of ccxt of its own, so that ending one hurts no other, and the pairs that go by it.
It is restarted from nothing when it ends, when a frame cannot be read, when it is silent though the venue
trades, or when somebody has found it deaf (`restart`).

What is noticed, and when
    A closed connection: at once. A frame that cannot be read: at once; ccxt's receive loop would
    die of it without a word, with the socket open. A silent stall: after `Times.silence` without a frame one question
    by REST settles whether the venue is quiet or the stream is dead.
    A stream that cannot be opened again is tried after `Times.backoff`, then after twice that, and so on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from actors.venues.live.frames import Reader, rows_of
from actors.venues.live.times import Times
from engine.candles import Candle

_TEXTS: Final = frozenset({"ping", "pong"})
"""Frames that are no JSON and yet in order."""

PAIRS_A_LINE: Final = 400
CHUNK: Final = 10
"""Pairs of one request, unless more are known to be taken."""
_CHUNKS: Final = {"binance": 100, "binanceusdm": 100, "binanceus": 100, "bybit": 10, "okx": 50}
_ONE_SOCKET: Final = {
    "streamLimits": {"spot": 1, "linear": 1},
    "subscriptionLimitByStream": {"spot": 1024, "linear": 1024},
}
"""Binance's class of ccxt opens a socket a subscription otherwise."""


class LineEnded(Exception):
    """A stream is to be started anew; the text says why."""


class LineRenewed(LineEnded):
    """A stream is started anew for reasons of our own: nothing is wrong."""


class Instances(Protocol):
    """Who makes instances of ccxt: the `Connection`."""

    async def instance(self) -> Any: ...

    async def release(self, instance: Any) -> None: ...


class Line:
    """One stream and its life; a subclass says what is subscribed and read."""

    def __init__(self, instances: Instances, name: str, probe: Callable[[Line], Awaitable[bool]], times: Times) -> None:
        """`probe` asks the venue and says whether it has traded what this line has not told; it may raise."""
        self.name = name
        self.is_up = False
        self.restarts = 0
        self._said_down = False
        self._instances = instances
        self._probe = probe
        self._times = times
        self._exchange: Any = None
        self._frames = 0
        self._tasks: list[asyncio.Future[Any]] = []
        self._wish: asyncio.Future[str] | None = None

    # what a subclass adds ---------------------------------------------------

    async def subscribe(self) -> None:
        """Ask for what this line is for."""
        raise NotImplementedError

    def went_up(self) -> None:
        """Frames come."""
        raise NotImplementedError

    def went_down(self, why: str) -> None:
        """No frame can be expected from here on."""
        raise NotImplementedError

    def read(self, message: Any) -> bool:
        """Take a decoded frame; True keeps it from ccxt, which then need not parse it again."""
        del message
        return False

    def resolved(self, result: Any) -> None:
        """What ccxt has made of a frame."""

    # life -------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the stream going until this is cancelled."""
        failures = 0
        while True:
            why, started = "", asyncio.get_running_loop().time()
            try:
                await self._live()
            except LineRenewed:
                pass
            except LineEnded as ended:
                why = str(ended)
            except Exception as error:  # noqa: BLE001  (whatever ends a stream, it is started again, and it is said)
                why = f"{type(error).__name__}: {error}"[:200]
            finally:
                was_up, self.is_up = self.is_up, False
                await self._end()
            if (
                why and not self._said_down
            ):  # once until it is up again: an outage of hours is not said every few seconds
                self._said_down = True
                self.went_down(why)
            lived = asyncio.get_running_loop().time() - started
            failures = 0 if was_up and lived > self._times.backoff_max else failures + 1
            self.restarts += 1
            await asyncio.sleep(
                min(self._times.backoff * 2 ** min(failures - 1, 8), self._times.backoff_max)
                if failures
                else self._times.backoff
            )

    def restart(self, why: str) -> None:
        """Start the stream anew; somebody has found that it does not tell everything."""
        if self._wish is not None and not self._wish.done():
            self._wish.set_result(why)

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        self._wish = loop.create_future()
        self._exchange = await self._instances.instance()
        self._guard(self._exchange)
        subscribing = self.spawn(self.subscribe())
        opened = heard = loop.time()
        patience, frames = self._times.silence, self._frames
        while True:
            await asyncio.wait(
                [self._wish, *self._tasks], timeout=self._times.check, return_when=asyncio.FIRST_COMPLETED
            )
            self._check_tasks()
            if not subscribing.done():
                opened = heard = loop.time()
            elif frames != self._frames:
                heard, frames, patience = loop.time(), self._frames, self._times.silence
                if not self.is_up:
                    self.is_up, self._said_down = True, False
                    self.went_up()
            elif not self.is_up and loop.time() - opened > self._times.open:
                raise LineEnded(f"no frame within {self._times.open:.0f} s of opening it")
            elif self.is_up and loop.time() - heard > patience:
                if await self._probe(self) and await self._still_silent(frames):
                    raise LineEnded(f"silent for {loop.time() - heard:.0f} s while the exchange trades")
                patience = min(2 * patience, self._times.silence_max)

    async def _still_silent(self, frames: int) -> bool:
        await asyncio.sleep(self._times.lag)
        return frames == self._frames

    def _check_tasks(self) -> None:
        if self._wish is not None and self._wish.done():
            raise LineEnded(self._wish.result())
        for task in [task for task in self._tasks if task.done()]:
            self._tasks.remove(task)
            error = None if task.cancelled() else task.exception()
            if isinstance(error, LineEnded):
                raise error
            if error is not None:
                raise LineEnded(f"the connection ended: {error}"[:200])

    async def _end(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            with suppress(Exception):
                await self._instances.release(exchange)

    def spawn(self, what: Awaitable[Any]) -> asyncio.Future[Any]:
        """Have something done that ends the line when it fails."""
        task = asyncio.ensure_future(what)
        self._tasks.append(task)
        return task

    def _guard(self, exchange: Any) -> None:
        """See every frame before ccxt does; and let no frame end the receive loop unnoticed."""
        make_client, handle = exchange.client, exchange.handle_message

        def client(url: str) -> Any:
            known = url in (exchange.clients or {})
            made = make_client(url)
            if not known:
                self._guard_client(made)
            return made

        def handle_message(from_client: Any, message: Any) -> None:
            self._frames += 1
            if isinstance(message, str) and message.strip().lower() not in _TEXTS:
                raise LineEnded(f"a text that is no JSON: {message[:40]!r}")
            if not self.read(message):
                handle(from_client, message)

        exchange.client = client
        exchange.handle_message = handle_message

    def _guard_client(self, client: Any) -> None:
        handle, resolve = client.handle_message, client.resolve

        def handle_message(message: Any) -> None:
            try:
                handle(message)
            except Exception as error:  # noqa: BLE001  (a frame may hold anything)
                self.restart(f"a frame that cannot be read: {error!r}"[:200])

        def resolve_result(result: Any, message_hash: Any) -> Any:
            self.resolved(result)
            return resolve(result, message_hash)

        client.handle_message = handle_message
        client.resolve = resolve_result
        # A future of a name that no frame has: it fails when the connection ends, whatever else is awaited.
        self.spawn(_as_coroutine(client.future("tradepit")))


async def _as_coroutine(future: Any) -> None:
    await future


class CandleSink(Protocol):
    """Who is told what candle lines bring."""

    def candle(self, pair: str, candle: Candle, closed: bool | None) -> None: ...

    def line_up(self, line: CandleLine) -> None: ...

    def line_down(self, line: CandleLine, why: str) -> None: ...


class CandleLine(Line):
    """Candles of some pairs of one kind of market (spot, or contracts): all by one socket."""

    def __init__(
        self,
        instances: Instances,
        probe: Callable[[Line], Awaitable[bool]],
        pairs: Sequence[str],
        timeframe: str,
        sink: CandleSink,
        times: Times,
        reader: Reader | None,
    ) -> None:
        """`reader` takes candles out of raw frames, with the flag that they have closed; without one ccxt does, without it."""
        super().__init__(instances, f"candles of {len(pairs)} pairs, {pairs[0]} …", probe, times)
        self.pairs = pairs
        self.newest: str = pairs[0]
        self._timeframe = timeframe
        self._sink = sink
        self._names: dict[str, str] = {}
        self._interval = timeframe
        self._reader = reader

    def went_up(self) -> None:
        """Tell the sink."""
        self._sink.line_up(self)

    def went_down(self, why: str) -> None:
        """Tell the sink."""
        self._sink.line_down(self, why)

    async def subscribe(self) -> None:
        """Ask for candles, in as few requests as the venue takes."""
        exchange, timeframe = self._exchange, self._timeframe
        pairs = [pair for pair in self.pairs if pair in exchange.markets]  # a market may be gone by now
        self._names = {exchange.market(pair)["id"]: pair for pair in pairs}
        self._interval = exchange.timeframes.get(timeframe, timeframe)
        if self._reader is not None and exchange.has.get("watchOHLCVForSymbols"):
            size = _CHUNKS.get(exchange.id, CHUNK)
            for at in range(0, len(pairs), size):
                chunk = [[pair, timeframe] for pair in pairs[at : at + size]]
                self.spawn(exchange.watch_ohlcv_for_symbols(chunk))
                await asyncio.sleep(self._times.subscribe)
        else:
            for pair in pairs:
                self.spawn(self._follow(exchange, pair))
                await asyncio.sleep(self._times.subscribe)

    async def _follow(self, exchange: Any, pair: str) -> None:
        while True:
            for row in rows_of(await exchange.watch_ohlcv(pair, self._timeframe)):
                self.newest = pair
                self._sink.candle(pair, row, None)

    def read(self, message: Any) -> bool:
        """Take candles out of a frame, with what the venue says of their end."""
        frames = None if self._reader is None else self._reader(self._exchange, message)
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


class PriceLine(Line):
    """Book tops, or tickers where the venue has no stream of those, of the pairs that are watched just now."""

    def __init__(
        self,
        instances: Instances,
        probe: Callable[[Line], Awaitable[bool]],
        wanted: Callable[[], Collection[str]],
        sink: PriceSink,
        times: Times,
    ) -> None:
        super().__init__(instances, "prices of open trades", probe, times)
        self._wanted = wanted
        self._sink = sink
        self._subscribed: set[str] = set()
        self._changed = asyncio.Event()
        self._size = CHUNK

    def changed(self) -> None:
        """Other pairs are wanted."""
        self._changed.set()

    def went_up(self) -> None:
        """Tell the sink."""
        self._sink.prices_up(self)

    def went_down(self, why: str) -> None:
        """Tell the sink."""
        self._sink.prices_down(self, why)

    async def subscribe(self) -> None:
        """Wait until some pair is wanted, then follow all that are."""
        exchange = self._exchange
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
        exchange = self._exchange
        wanted = set(self._wanted())
        gone = self._subscribed - wanted
        if len(gone) > max(10, len(wanted)):
            raise LineRenewed("most of its pairs are not watched any more")
        fresh = sorted((wanted - self._subscribed) & exchange.markets.keys())
        self._subscribed.update(fresh)
        if exchange.has.get("watchBidsAsks"):
            for at in range(0, len(fresh), self._size):
                self.spawn(exchange.watch_bids_asks(fresh[at : at + self._size]))
                await asyncio.sleep(self._times.subscribe)
        else:
            for pair in fresh:
                self.spawn(exchange.watch_ticker(pair))
                await asyncio.sleep(self._times.subscribe)

    def resolved(self, result: Any) -> None:
        """Take prices out of what ccxt has read."""
        for ticker in result if isinstance(result, list) else (result,):
            if isinstance(ticker, dict) and "symbol" in ticker:
                self._sink.price(ticker["symbol"], ticker)
