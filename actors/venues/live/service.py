"""What runs on a connection's loop for market data: lines, questions, prices, markets, each looked after for ever.

What is noticed, and when
    A candle that the stream did not bring: `engine.gathering.ASK_AFTER_MS` after its close. A pair whose stream is
    dead while others' on the same line is not: with the first candle that was traded and not told; its line is
    started anew, at most every `Times.deaf`. A watched pair of which the price line is silent: after
    `Times.price_silence` its price is asked for; if it has moved twice without a word, the line is started anew.
    A pair that is not traded any more: when an order of ours is refused for it, and when a watched pair says nothing for
    `Times.halt`: then the markets are read, at most every `Times.doubts`.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from actors.venues.live.frames import Reader as FrameReader
from actors.venues.live.lines import PAIRS_A_LINE, CandleLine, PriceLine, PriceLines
from actors.venues.live.permits import PermittedInstances, Turnstile, permitted
from actors.venues.live.reading import Reader
from actors.venues.live.stream import Stream
from actors.venues.live.times import Times
from engine.candles import timeframe_text
from engine.gathering import Question
from engine.messages import AskQuote
from engine.types import Millis

ROWS_ASKED: Final = 100
"""Candles asked for with a question at most: what is missing after a long outage comes in several answers."""


MOVED_MAX: Final = 2


class LiveService:
    """The loop's side of `LiveMarket`, which is `market` here."""

    def __init__(
        self,
        connection: Any,
        turnstile: Turnstile,
        market: Any,
        pairs: Sequence[str],
        step_ms: Millis,
        times: Times,
        reader: FrameReader | None,
    ) -> None:
        self._connection = connection
        self._turnstile = turnstile
        self._market = market
        self._times = times
        self._pairs = pairs
        self._step = step_ms
        self._reader = Reader(connection, turnstile)
        timeframe, instances = timeframe_text(step_ms), PermittedInstances(connection, turnstile)
        streamed = pairs if connection.data.has.get("watchOHLCV") else ()  # without streams everything is asked for
        self._lines = [
            CandleLine(
                instances, self._traded_unheard, streamed[at : at + PAIRS_A_LINE], timeframe, market, times, reader
            )
            for at in range(0, len(streamed), PAIRS_A_LINE)
        ]
        self._line_of = {pair: line for line in self._lines for pair in line.pairs}
        self._prices = PriceLines(instances, lambda: market.watched, self, times)
        self._deaf_at: dict[Stream, float] = {}
        self._price_heard: dict[str, float] = {}
        self._price_asked: dict[str, float] = {}
        self._moved: dict[str, int] = {}
        self._silent: dict[str, tuple[float, float]] = {}
        self._histories: dict[str, tuple[Millis, int]] = {}
        self._questions: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Everything, until the connection closes."""
        self._market.markets_read(self._pairs)
        await asyncio.gather(
            *(self._keep(line.run) for line in self._lines),
            self._keep(self._prices.run),
            self._keep(self._keep_asking),
            self._keep(self._keep_prices),
            self._keep(self._keep_markets),
            *([] if self._market.onlooker is None else [self._keep(self._keep_onlooker)]),
        )

    async def _keep(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have something done for ever: what fails, which is a bug of ours, is said and begun again."""
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001  (a loop that ended unseen would be a silent stall of our own)
                self._market.fault(
                    "*", "stalled", f"{getattr(work, '__name__', work)} failed and is begun again: {error!r}"
                )
            await asyncio.sleep(self._times.retry)

    def status(self) -> dict[str, Any]:
        """Figures for whoever asks."""
        return {
            "lines_up": sum(line.is_up for line in self._lines),
            "lines": len(self._lines),
            "line_restarts": self._prices.restarts + sum(line.restarts for line in self._lines),
            "prices_up": self._prices.line.is_up,
            "reachable": self._connection.health.is_reachable,
            "histories_waiting": len(self._histories),
        }

    async def ask_book(self, question: AskQuote) -> None:
        """Have the exchange asked for a quote."""
        await self._market.books.ask(question, self._connection, self._turnstile)

    # ------------------------------------------------------------ candles

    async def load_history(self, pair: str, before: Millis, count: int) -> None:
        """Have a pair's window brought, however long the exchange cannot be reached; one at a time for each."""
        loading = pair in self._histories
        self._histories[pair] = (before, count)
        if loading:
            return
        wait_s = self._times.retry
        while pair in self._connection.markets():
            before, count = self._histories[pair]
            try:
                rows = await self._reader.history(pair, self._step, before, count)
            except Exception as error:  # noqa: BLE001  (a pair without a window would never be judged)
                rows = None
                self._market.fault(pair, "stalled", f"its history is asked for again: {error!r}")
            if rows is not None:
                break
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self._times.retry_max)
        else:
            rows = ()
        del self._histories[pair]
        self._market.history(pair, rows, before)

    async def _keep_asking(self) -> None:
        while True:
            await asyncio.sleep(self._times.questions)
            with self._market.locked:
                questions = list(self._market.gathering.questions(self._connection.now()))
            for question in questions:
                task = asyncio.ensure_future(self._ask(question))
                self._questions.add(task)
                task.add_done_callback(self._questions.discard)

    async def _ask(self, question: Question) -> None:
        try:
            await self._ask_candles(*question)
        except Exception as error:  # noqa: BLE001  (a question without an end would never be asked again)
            with self._market.locked:
                self._market.gathering.failed(question.pair, self._connection.now())
            self._market.fault(question.pair, "stalled", f"a question failed and is asked again: {error!r}")

    async def _ask_candles(self, pair: str, since: Millis) -> None:
        asked = self._connection.now()
        count = min(ROWS_ASKED, (asked - since) // self._step + 2)
        rows = await self._reader.candles(pair, self._step, since, count, every=True)
        with self._market.locked:
            if rows is None:
                self._market.gathering.failed(pair, self._connection.now())
                return
            # An answer that was cut at `count` rows says nothing of what comes after them.
            until = min(asked, rows[-1].ts + 2 * self._step) if len(rows) >= count else asked
            deaf = self._market.gathering.read(pair, since, rows, until)
        self._market.stir()
        if deaf:
            self._start_anew(self._line_of[pair], f"it has not told of trades of {pair}")

    def _start_anew(self, line: Stream, why: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._deaf_at.get(line, -self._times.deaf) >= self._times.deaf:
            self._deaf_at[line] = now
            line.restart(why)

    async def _traded_unheard(self, line: Stream) -> bool:
        """Whether the pair that a candle line told of last has been traded since."""
        pair = getattr(line, "newest", self._pairs[0])
        now = self._connection.now()
        rows = await self._reader.candles(pair, self._step, now // self._step * self._step, 2)
        if rows is None:
            return True
        with self._market.locked:
            told = self._market.gathering.forming(pair)
        return any(row.volume > 0.0 and (told is None or (row.ts, row.volume) > (told.ts, told.volume)) for row in rows)

    # ------------------------------------------------------------ prices

    async def watch_changed(self) -> None:
        """Other pairs are watched."""
        for known in (self._price_heard, self._price_asked, self._moved, self._silent):
            for pair in known.keys() - self._market.watched:
                del known[pair]
        self._prices.changed()

    def price(self, pair: str, ticker: Any) -> None:
        """A price by the stream."""
        self._price_heard[pair] = asyncio.get_running_loop().time()
        self._moved.pop(pair, None)
        self._silent.pop(pair, None)
        if pair in self._market.halts:
            self._connection.doubt_markets()
        self._market.price(pair, ticker)

    def prices_up(self, line: PriceLine) -> None:
        """Tell the market, if it is the present line."""
        if line is self._prices.line:
            self._market.prices_up(line)

    def prices_down(self, line: PriceLine, why: str) -> None:
        """Tell the market, if it is the present line."""
        if line is self._prices.line:
            self._market.prices_down(line, why)

    async def _keep_prices(self) -> None:
        while True:
            await asyncio.sleep(self._times.price_poll)
            now = asyncio.get_running_loop().time()
            patience = self._times.price_silence if self._prices.line.is_up else self._times.price_down
            silent = [
                pair
                for pair in self._market.watched
                if now - max(self._price_heard.get(pair, 0.0), self._price_asked.get(pair, 0.0)) >= patience
            ]
            self._doubt_silent(silent, now)
            if silent:
                self._price_asked.update(dict.fromkeys(silent, now))
                await self._ask_prices(silent)

    def _doubt_silent(self, pairs: Sequence[str], now: float) -> None:
        """A pair may be silent since it is halted: the markets tell. A quiet one is doubted ever more seldom."""
        for pair in set(pairs).difference(self._market.halts.states()):
            since, patience = self._silent.setdefault(pair, (now, self._times.halt))
            if now - since >= patience:
                self._silent[pair] = (now, min(2 * patience, self._times.markets))
                self._connection.doubt_markets()

    async def _ask_prices(self, pairs: Sequence[str]) -> None:
        found = await self._reader.tickers(pairs)
        for pair, ticker in (found or {}).items():
            before = self._market.last_price(pair)
            self._market.price(pair, ticker, asked=True)
            told = ticker.get("bid") and ticker.get("ask")  # a last price alone says nothing of the book's top
            if told and before is not None and self._market.last_price(pair) != before and self._prices.line.is_up:
                self._moved[pair] = self._moved.get(pair, 0) + 1
                if self._moved[pair] >= MOVED_MAX:
                    self._moved.clear()
                    self._prices.line.restart(f"the price of {pair} has moved, and it has not told")

    async def _keep_onlooker(self) -> None:
        await self._market.onlooker.run(self._reader, self.watch_changed, self._look, self._market.fault)

    async def _look(self, pair: str) -> None:
        """Ask for one pair's price."""
        told = await self._reader.ask("ticker", self._connection.data.fetch_ticker, pair)
        if told is not None:
            self._market.price(pair, told, asked=True)

    # ------------------------------------------------------------ markets

    def rejoin(self, pair: str) -> None:
        """A pair is listed again: streams that could not have it subscribe to it."""
        line, why = self._line_of.get(pair), f"{pair} is listed again"
        self._prices.renew(why)
        if line is not None:
            line.renew(why)

    async def _keep_markets(self) -> None:
        """Read the markets again now and then, and soon after somebody has found reason to doubt them."""
        doubts = self._connection.market_doubts
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(doubts.wait(), self._times.markets)
            doubts.clear()
            ask = functools.partial(permitted, self._turnstile, self._connection)
            answer = await self._connection.load(ask, again=True)
            if answer.failure is None:
                self._market.markets_read(self._pairs)
            await asyncio.sleep(min(self._times.doubts, self._times.markets))
