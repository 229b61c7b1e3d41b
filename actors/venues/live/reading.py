"""Market data by REST: what a stream has not brought, histories, prices while a stream is down.

Every request passes the turnstile first; at most `AT_ONCE` are under way. Nothing here raises: a request that
fails comes to nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from typing import Any, Final

import numpy as np

from actors.venues.live.failure import Failure
from actors.venues.live.frames import rows_of
from actors.venues.live.permits import Permits, permitted
from engine.candles import Candle, timeframe_text
from engine.mending import mend
from engine.repair import Refusal, repair
from engine.types import Millis, Priority

AT_ONCE: Final = 20
FEW: Final = 100
"""Fewer candles than these cost less, where an exchange counts by them."""

ROWS_MAX: Final = 1_000
"""Candles asked for at once; a venue that gives fewer is asked again from where it stopped."""
ROWS_USUAL: Final = 300
"""The same where ccxt does not say how many are given: few give less."""

PAGES_MAX: Final = 50


class Reader:
    """Asks the venue; on its loop only."""

    def __init__(self, requests: Any, permits: Permits, heard: Callable[[Failure | None], None] | None = None) -> None:
        """`requests` is the `Connection`; `heard` is told of every request how it fared."""
        self._requests = requests
        self._permits = permits
        self._heard = heard
        self._places = asyncio.Semaphore(AT_ONCE)

    async def ask(self, kind: str, function: Any, *args: Any, guards: bool = False) -> Any:
        """One request of a kind that the limiter knows: its answer's value, None when it failed.

        What `guards` a position waits behind no candles: neither for its permit nor for a place.
        """
        priority = Priority.EXIT if guards else Priority.DATA
        async with nullcontext() if guards else self._places:
            answer = await permitted(self._permits, self._requests, kind, function, *args, priority=priority)
        if self._heard is not None:
            self._heard(answer.failure)
        return answer.value if answer.failure is None else None

    async def candles(
        self, pair: str, timeframe_ms: Millis, since: Millis, count: int, *, every: bool = False
    ) -> list[Candle] | None:
        """Up to `count` candles from `since` on, as the venue tells them; None when it does not answer.

        With `every`, an answer with a row that cannot be read is none: nobody may think that nothing was traded then.
        """
        limit = min(rows_at_once(self._requests.data, pair), max(2, count))
        timeframe = timeframe_text(timeframe_ms)
        kind = "candles_few" if limit < FEW else "candles"
        value = await self.ask(kind, self._requests.data.fetch_ohlcv, pair, timeframe, since, limit)
        rows = None if value is None else sorted(rows_of(value))
        return None if rows is None or (every and len(rows) != len(value)) else rows

    async def history(self, pair: str, timeframe_ms: Millis, before: Millis, count: int) -> tuple[Candle, ...] | None:
        """The newest `count` candles before `before`, whole; fewer where the venue has no more; None: no answer."""
        since = before - count * timeframe_ms
        found: dict[Millis, Candle] = {}
        for _ in range(PAGES_MAX):
            left = (before - since) // timeframe_ms
            rows = await self.candles(pair, timeframe_ms, since, left)
            if rows is None:
                return None
            found.update((row.ts, row) for row in rows if row.ts < before)
            newest = max((row.ts for row in rows), default=since - timeframe_ms)
            at_once = rows_at_once(self._requests.data, pair)
            since = newest + timeframe_ms if newest >= since else since + min(left, at_once) * timeframe_ms
            if since >= before:
                break
        return _whole(pair, timeframe_ms, [found[ts] for ts in sorted(found)])

    async def tickers(self, pairs: Collection[str]) -> dict[str, Any] | None:
        """Book tops of these pairs where the venue gives them, else tickers; by pair."""
        data, names = self._requests.data, sorted(pairs)
        if data.has.get("fetchBidsAsks"):
            found = await self.ask("book_tops", data.fetch_bids_asks, names, guards=True)
            return None if found is None else {name: found[name] for name in names if name in found}
        if len(names) == 1:
            one = await self.ask("ticker", data.fetch_ticker, names[0], guards=True)
            return None if one is None else {names[0]: one}
        found = await self.ask("tickers", data.fetch_tickers, names, guards=True)
        return None if found is None else {name: found[name] for name in names if name in found}


def rows_at_once(exchange: Any, pair: str) -> int:
    """How many candles the exchange gives at once, as far as ccxt knows."""
    known = exchange.feature_value(pair, "fetchOHLCV", "limit") if pair in (exchange.markets or ()) else None
    return min(ROWS_MAX, known) if isinstance(known, int) and known > 1 else ROWS_USUAL


def _whole(pair: str, timeframe_ms: Millis, rows: Sequence[Candle]) -> tuple[Candle, ...]:
    """Rows in order without a hole; what no sane market gives is left out."""
    if not rows:
        return ()
    timeframe = timeframe_text(timeframe_ms)
    ts, *columns = (np.array(column) for column in zip(*rows, strict=True))
    values = tuple(column.astype(np.float64) for column in columns)
    repaired = repair(pair, timeframe, ts.astype(np.int64), values)
    if isinstance(repaired, Refusal):
        mended = mend(timeframe, ts.astype(np.int64), values)
        if isinstance(mended, Refusal) or not len(mended.ts):
            return ()
        repaired = repair(pair, timeframe, mended.ts, mended.columns)
        if isinstance(repaired, Refusal):
            return ()
    return tuple(repaired.candles)
