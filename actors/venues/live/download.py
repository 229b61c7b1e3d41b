"""Reading long runs of an exchange's past: page by page, several files at once, through permits.

A request that fails is tried again for `GIVE_UP_S`, one that the exchange refuses in words of its own is not; then its
file fails, and what was read of it is kept.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from actors.venues.live.failure import Failure, Verdict
from actors.venues.live.metered import Meter
from actors.venues.live.reading import Reader, rows_at_once
from engine.quota import Limits
from engine.types import Millis

FILES_AT_ONCE: Final = 6
GIVE_UP_S: Final = 120.0
RETRY_S: Final = 1.0
RETRY_S_MAX: Final = 15.0

Row = tuple[float, ...]
"""Time, then the values of the file's columns."""


@dataclass(slots=True, eq=False)
class Run:
    """What is to be read for one file: `spans` are [first, end) in ms.

    `pages` fills up while it goes on: rows, and the span that they answer. `step_ms` is 0 for funding rates.
    """

    pair: str
    kind: str
    step_ms: Millis
    spans: Sequence[tuple[Millis, Millis]]
    pages: deque[tuple[list[Row], tuple[Millis, Millis]]] = field(default_factory=deque)
    failed: str = ""
    done: bool = False


class Downloader:
    """Reads runs; made and used on the connection's loop."""

    def __init__(self, connection: Any, limits: Limits) -> None:
        self._connection = connection
        self._reader = Reader(connection, Meter(connection, limits), self._heard)
        self._places = asyncio.Semaphore(FILES_AT_ONCE)
        self._last: Failure | None = None
        self.waiting = ""

    async def read(self, runs: Sequence[Run]) -> None:
        """Read them all; what came of each is in it."""
        await asyncio.gather(*(self._read_one(run) for run in runs))

    def _heard(self, failure: Failure | None) -> None:
        if failure is None:
            self.waiting = ""
        else:
            self._last, self.waiting = failure, failure.reason

    async def _read_one(self, run: Run) -> None:
        async with self._places:
            for first, end in run.spans:
                if not await self._read_span(run, first, end):
                    run.failed = self._last.reason if self._last is not None else "the exchange does not answer"
                    break
        run.done = True

    async def _read_span(self, run: Run, first: Millis, end: Millis) -> bool:
        at, most = first, rows_at_once(self._connection.data, run.pair)
        page_ms = most * (run.step_ms or 3_600_000)
        while at < end:
            rows = await self._page(run, at, min(most, (end - at) // run.step_ms + 1) if run.step_ms else most)
            if rows is None:
                return False
            fresh = [row for row in rows if at <= row[0] < end]
            newest = max((int(row[0]) for row in rows if row[0] >= at), default=0)
            # Nothing at all: the exchange had no trades here, or did not exist. A later row: nothing until then.
            reached = min(newest + (run.step_ms or 1), end) if newest else min(at + page_ms, end)
            run.pages.append((fresh, (at, reached)))
            at = reached
        return True

    async def _page(self, run: Run, since: Millis, limit: int) -> list[Row] | None:
        wait_s, waited = RETRY_S, 0.0
        while True:
            if run.step_ms:
                candles = await self._reader.candles(run.pair, run.step_ms, since, limit)
                rows: list[Row] | None = None if candles is None else [tuple(candle) for candle in candles]
            else:
                rows = await self._rates(run.pair, since, limit)
            if rows is not None or waited >= GIVE_UP_S or self._is_refused():
                return rows
            await asyncio.sleep(wait_s)
            waited += wait_s
            wait_s = min(2 * wait_s, RETRY_S_MAX)

    def _is_refused(self) -> bool:
        """Whether the failure just heard of would be the same again."""
        last = self._last
        return last is not None and last.verdict is Verdict.REFUSED and last.code != "UNREACHABLE" and not last.clock

    async def _rates(self, pair: str, since: Millis, limit: int) -> list[Row] | None:
        ask = self._connection.data.fetch_funding_rate_history
        found = await self._reader.ask("funding_rates", ask, pair, since, limit)
        if found is None:
            return None
        told = ((row.get("timestamp"), row.get("fundingRate")) for row in found if isinstance(row, dict))
        return sorted((int(ts), float(rate)) for ts, rate in told if ts is not None and rate is not None)


def has(connection: Any, method: str) -> bool:
    """Whether ccxt says that the exchange has it."""
    return bool(connection.data.has.get(method))


def timeframes(connection: Any) -> tuple[str, ...]:
    """The lengths of candles that the exchange has, by ccxt; empty where ccxt does not say."""
    return tuple(connection.data.timeframes or ())
