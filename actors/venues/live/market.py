"""An exchange's market data as it happens: `MarketStream` over websocket lines and REST reads on the connection's loop.

Rules
    What a line brings goes into `engine.gathering`; what it does not bring in time is asked for. The feed
    is woken when there is something for it, once for as much as has come until it looks.
    Prices go by their own line, of watched pairs only: every change of the book's top widens the range that the
    feed takes next, so no touch is lost between two looks. The price is the middle of bid and ask.
    While the price line is down, and for pairs of which it is silent, prices are asked for.
    Markets are read again every `Times.markets`, and soon after somebody has doubted them: an order was refused for
    it, a watched pair is silent, or one that is stopped is heard of (`halts`).

Two threads meet here: the feed's, which calls, and the loop's, which brings. `_lock` is held for as long as
either touches what both see, and never while waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from actors.venues.live.book import Books, price_of
from actors.venues.live.frames import READERS, Reader
from actors.venues.live.halts import Halts
from actors.venues.live.lines import CandleLine, PriceLine
from actors.venues.live.onlooker import Onlooker
from actors.venues.live.permits import Turnstile
from actors.venues.live.service import LiveService
from actors.venues.live.times import USUAL, Times
from actors.venues.ports import Fault, PriceRange
from actors.venues.trading import Permit, PermitWanted, RequestEnded
from engine.candles import Candle
from engine.gathering import Gathering
from engine.messages import AskQuote, Message, QuoteTold
from engine.types import Millis

EVERYBODY: Final = "*"


class LiveMarket:
    """The market data of one connection, which is started, and whose markets have been loaded.

    `pairs` are those to be traded: nothing else is subscribed. An `onlooker` sees prices by the same streams.
    """

    def __init__(
        self,
        connection: Any,
        *,
        portfolio: str = "portfolio",
        times: Times = USUAL,
        readers: Mapping[str, Reader] = READERS,
        onlooker: Onlooker | None = None,
    ) -> None:
        self._connection = connection
        self._onlooker = onlooker
        self._times = times
        self._reader = readers.get(connection.data.id)
        self._portfolio = portfolio
        self._lock = threading.Lock()
        self._wake: Callable[[], None] = _nobody
        self._stirred = False
        self.books = Books(connection.now, self._traded_at, self.stir, self._lock)
        self._gathering: Gathering | None = None
        self._service: LiveService | None = None
        self._turnstile = Turnstile(self._wish)
        self._said: list[tuple[str, Message]] = []
        self._permits: list[PermitWanted | RequestEnded] = []
        self._histories: list[tuple[str, tuple[Candle, ...]]] = []
        self._faults: list[Fault] = []
        self._watched: frozenset[str] = frozenset()
        self._ranges: dict[str, PriceRange] = {}
        self._newest: dict[str, PriceRange] = {}
        self.halts = Halts(self._tell_portfolio, self.fault, left=self._left, back=self._back)
        self._last: dict[str, Candle | None] = {}
        self._step: Millis = 0
        connection.health.say = self._health

    # ------------------------------------------------------------ what the feed calls

    @property
    def pairs(self) -> tuple[str, ...]:
        """See `MarketStream`."""
        return tuple(self._connection.markets())

    def span(self) -> tuple[Millis, Millis | None]:
        """See `MarketStream`."""
        return 0, None

    def open(self, name: str, wake: Callable[[], None]) -> None:
        """See `MarketStream`."""
        del name
        with self._lock:
            self._wake, self._stirred = wake, False
        self._connection.call(self._turnstile.again)
        self.stir()

    def follow(self, pairs: Sequence[str], timeframe_ms: Millis) -> None:
        """Subscribe to the candles of these; again, for a feed that starts again, it changes nothing."""
        if self._service is not None:
            return
        self._step = timeframe_ms
        self._gathering = Gathering(timeframe_ms, flagged=self._reader is not None)
        self._gathering.follow(pairs)
        self._gathering.down(pairs)
        self._service = LiveService(
            self._connection, self._turnstile, self, tuple(pairs), timeframe_ms, self._times, self._reader
        )
        self._connection.spawn(self._service.run())

    def ask_history(self, pairs: Sequence[str], timeframe_ms: Millis, before: Millis, count: int) -> None:
        """See `MarketStream`."""
        del timeframe_ms
        assert self._service is not None
        for pair in pairs:
            self._connection.spawn(self._service.load_history(pair, before, count))

    def histories(self) -> Sequence[tuple[str, tuple[Candle, ...]]]:
        """See `MarketStream`."""
        with self._lock:
            histories, self._histories = self._histories, []
        return histories

    def go_on(self, pair: str, timeframe_ms: Millis, next_ts: Millis) -> float | None:
        """See `MarketStream`."""
        del timeframe_ms
        with self._lock:
            assert self._gathering is not None
            self._gathering.go_back(pair, next_ts)
            before = self._gathering.newest_before(pair, next_ts)
        return None if before is None else before.close

    def closed(self, pairs: Sequence[str], timeframe_ms: Millis, ts: Millis) -> Sequence[tuple[str, Candle]]:
        """See `MarketStream`."""
        del timeframe_ms
        with self._lock:
            assert self._gathering is not None
            return self._gathering.take(pairs, ts)

    def awaited(self, ts: Millis) -> Collection[str]:
        """See `MarketStream`."""
        with self._lock:
            assert self._gathering is not None
            return self._gathering.awaited(ts)

    def is_held_up(self, ts: Millis) -> bool:
        """See `MarketStream`."""
        with self._lock:
            assert self._gathering is not None
            return self._gathering.is_held_up(ts)

    def watch(self, pairs: Collection[str]) -> None:
        """See `MarketStream`."""
        with self._lock:
            self._watched = frozenset(pairs)
            for pair in self._newest.keys() - self._watched:
                del self._newest[pair]
                self._ranges.pop(pair, None)
        if self._service is not None:
            self._connection.spawn(self._service.watch_changed())

    def ranges(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[PriceRange]:
        """See `MarketStream`."""
        del after, until
        with self._lock:
            return [self._ranges.pop(pair) for pair in pairs if pair in self._ranges]

    def prices(self, pairs: Sequence[str], at: Millis) -> Sequence[PriceRange]:
        """The newest tops of book; of a pair that has just begun to watch, what its candles know."""
        del at
        found = []
        with self._lock:
            for pair in pairs:
                newest = self._newest.get(pair)
                known = None if newest or self._gathering is None else self._gathering.price(pair)
                if known is not None:
                    newest = PriceRange(pair, self._connection.now(), *(4 * (known[1],)))
                if newest is not None:
                    found.append(newest)
        return found

    def grant(self, request_id: str, permit: Permit | None) -> None:
        """See `MarketStream`."""
        self._connection.call(self._turnstile.grant, request_id, permit)

    def permits(self) -> Sequence[PermitWanted | RequestEnded]:
        """See `MarketStream`."""
        with self._lock:
            permits, self._permits = self._permits, []
        return permits

    def said(self) -> Sequence[tuple[str, Message]]:
        """See `MarketStream`."""
        with self._lock:
            self._stirred = False
            said, self._said = self._said, []
        return said

    def ask_quote(self, question: AskQuote, at: Millis) -> None:
        """The top of a watched pair's book is known while the stream tells it; all else is asked for."""
        del at
        if not self.books.answered(question):
            assert self._service is not None
            self._connection.spawn(self._service.ask_book(question))

    def quotes(self) -> Sequence[QuoteTold]:
        """See `MarketStream`."""
        return self.books.take()

    def faults(self) -> Sequence[Fault]:
        """See `MarketStream`."""
        with self._lock:
            faults, self._faults = self._faults, []
        return faults

    def status(self) -> Mapping[str, Any]:
        """Which pairs are stopped, and the figures of the lines."""
        return {"stopped": self.halts.states(), **({} if self._service is None else self._service.status())}

    # ------------------------------------------------------------ what the loop brings

    def stir(self) -> None:
        """Have the feed look, unless it is about to."""
        with self._lock:
            stirred, self._stirred = self._stirred, True
            wake = self._wake
        if not stirred:
            wake()

    def _wish(self, told: PermitWanted | RequestEnded) -> None:
        with self._lock:
            self._permits.append(told)
        self.stir()

    def _health(self, kind: str, text: str) -> None:
        self.fault(EVERYBODY, kind, text)

    def fault(self, pair: str, kind: str, detail: str) -> None:
        """Something went wrong, or is well again."""
        with self._lock:
            self._faults.append(Fault(pair, kind, detail))
        self.stir()

    def candle(self, pair: str, candle: Candle, closed: bool | None) -> None:
        """A frame of a line; one of a pair that is said not to be traded is reason to read the markets."""
        if pair in self.halts:
            self._connection.doubt_markets()
        with self._lock:
            assert self._gathering is not None
            done = self._gathering.heard(pair, candle, closed)
        if done:
            self.stir()

    def history(self, pair: str, rows: tuple[Candle, ...], before: Millis) -> None:
        """A pair's window has come: from `before` on its candles are handed on."""
        with self._lock:
            assert self._gathering is not None
            if pair in self._gathering.pairs:
                self._gathering.start(pair, rows[-1] if rows else None, before)
            self._histories.append((pair, rows))
        self.stir()

    @property
    def gathering(self) -> Gathering:
        """The candles; only with `locked`."""
        assert self._gathering is not None
        return self._gathering

    @property
    def locked(self) -> threading.Lock:
        """What to hold while touching `gathering` from the loop."""
        return self._lock

    @property
    def watched(self) -> frozenset[str]:
        """The pairs whose prices are wanted."""
        return self._watched if self._onlooker is None else self._watched.union(self._onlooker.wanted)

    @property
    def onlooker(self) -> Onlooker | None:
        """Who else looks at prices."""
        return self._onlooker

    def line_up(self, line: CandleLine) -> None:
        """Frames come."""
        with self._lock:
            self.gathering.up(line.pairs, self._connection.now())
        if line.restarts:
            self.fault(EVERYBODY, "restarted", f"{line.name}: the stream is there again")

    def line_down(self, line: CandleLine, why: str) -> None:
        """No frames come; candles are asked for until they do."""
        with self._lock:
            self.gathering.down(line.pairs)
        self.fault(EVERYBODY, "stalled", f"{line.name}: the stream is started anew: {why}")

    def price(self, pair: str, ticker: Any, *, asked: bool = False) -> None:
        """The top of a book has changed, or was asked for."""
        watched, onlooker = pair in self._watched, self._onlooker
        looked_at = onlooker is not None and pair in onlooker.wanted
        if not (watched or looked_at):
            return
        self.books.top(pair, ticker)
        price = price_of(ticker)
        market = self._connection.markets().get(pair)
        if price is None or market is None:
            return
        at = float(market.round_price(price))
        ts = self._connection.now()
        if onlooker is not None and looked_at:
            bid, ask = (float(ticker.get(name) or at) for name in ("bid", "ask"))
            onlooker.told(PriceRange(pair, ts, at, at, at, at), bid, ask, asked=asked)
        if not watched:
            return
        with self._lock:
            before = self._newest.get(pair)
            self._newest[pair] = PriceRange(pair, ts, at, at, at, at)
            if before is not None and before.close == at and pair not in self._ranges:
                return
            known = self._ranges.get(pair)
            self._ranges[pair] = self._newest[pair] if known is None else known.with_tick(ts, at)
        self.stir()

    def _traded_at(self, pair: str) -> float | None:
        """The price of a pair's last trade, as its candles tell it."""
        with self._lock:
            known = None if self._gathering is None else self._gathering.price(pair)
        return None if known is None else known[1]

    def last_price(self, pair: str) -> float | None:
        """The newest top of book told, as one price."""
        newest = self._newest.get(pair)
        return None if newest is None else newest.close

    def prices_up(self, line: PriceLine) -> None:
        """Prices come by stream."""
        if line.restarts:
            self.fault(EVERYBODY, "restarted", f"{line.name}: the stream is there again")

    def prices_down(self, line: PriceLine, why: str) -> None:
        """Prices are asked for until they come by stream again."""
        if self._onlooker is not None:
            self._onlooker.lost()
        self.fault(EVERYBODY, "stalled", f"{line.name}: the stream is started anew: {why}")

    def markets_read(self, followed: Sequence[str]) -> None:
        """The markets have been read again: see which of ours are halted, traded again or gone."""
        self.halts.read(followed, self._connection.markets(), self._connection.now())

    def _tell_portfolio(self, message: Message) -> None:
        with self._lock:
            self._said.append((self._portfolio, message))
        self.stir()

    def _left(self, pair: str) -> None:
        """A pair is gone: nothing is asked about it, until it is back."""
        with self._lock:
            self._last[pair] = self.gathering.newest_before(pair, self._connection.now())
            self.gathering.leave((pair,))

    def _back(self, pair: str) -> None:
        """A pair is listed again: its candles go on with the one that is forming."""
        now = self._connection.now()
        with self._lock:
            self.gathering.follow((pair,))
            self.gathering.down((pair,))
            self.gathering.start(pair, self._last.pop(pair, None), now // self._step * self._step)
        assert self._service is not None
        self._service.rejoin(pair)


def _nobody() -> None:
    """Nobody is there to be woken yet."""
