"""Funding that was paid or taken, read for all pairs at once: a read of it costs much where exchanges count by weight."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from actors.venues.capabilities import Capability
from actors.venues.live.requests import Requests
from actors.venues.live.words import payment_of, rows, text
from engine.messages import FundingPaid
from engine.types import Millis

SHARED_S: Final = 10.0
"""A read serves whoever asks so long after it; that something was paid meanwhile is told by the stream (`stale`)."""


class Payments:
    """The funding of one account; on the connection's loop.

    Where everybody's payments are more than a page, or cannot be asked for, they are read pair by pair.
    """

    def __init__(self, requests: Requests, ability: Capability) -> None:
        self._requests = requests
        self._page = ability.lists.page
        self._lock = asyncio.Lock()
        self._at = float("-inf")
        self._news = 0
        self._since: Millis | None = None
        self._told: tuple[FundingPaid, ...] | None = None

    def stale(self) -> None:
        """Something was paid: what was read is too old for everybody."""
        self._at = float("-inf")
        self._news += 1

    async def of(self, pair: str, since: Millis) -> tuple[FundingPaid, ...]:
        """What was paid for a pair since then, in the order of time."""
        if not self._requests.connection.trading.has.get("fetchFundingHistory"):
            return ()
        async with self._lock:
            if self._since is None or since < self._since or time.monotonic() - self._at > SHARED_S:
                since_all = since if self._since is None else min(since, self._since)
                at, news, self._since = time.monotonic(), self._news, since_all
                self._told = await self._read(None, since_all)
                self._at = at if news == self._news else float("-inf")
            told = self._told
        if told is None:
            told = await self._read(pair, since) or ()
        mine = [paid for paid in told if paid.pair == pair and paid.ts >= since]
        return tuple(sorted(mine, key=lambda paid: paid.ts))

    async def _read(self, pair: str | None, since: Millis) -> tuple[FundingPaid, ...] | None:
        """Everybody's payments, or a pair's; None where everybody's are not to be had in one page."""
        function = self._requests.connection.trading.fetch_funding_history
        answer = await self._requests.read("funding_history", function, pair, since, self._page, pair=pair or "*")
        told = rows(answer.value)
        if pair is None and (answer.failure is not None or len(told) >= self._page):
            return None
        found = (payment_of(one, pair or text(one.get("symbol"))) for one in told if isinstance(one, Mapping))
        return tuple(paid for paid in found if paid is not None)
