"""Prices that move by themselves: a seeded random walk of each pair, and steps by script."""

from __future__ import annotations

import asyncio
import contextlib
import random
from decimal import Decimal
from typing import Any, Final

from tests.exchange.venue import Venue

STEP_S: Final = 0.05


class Player:
    """Moves the pairs of one venue: `rate` trades a second for each pair, each by `volatility` of the price or so."""

    def __init__(self, venue: Venue[Any], seed: int, *, rate: float, volatility: float) -> None:
        self.venue = venue
        self.rate = rate
        self.volatility = volatility
        self.paused: set[str] = set()
        self.draw = random.Random(f"{seed}:player")
        self._order = list(venue.quotes)
        self._next = 0
        self._due = 0.0

    async def run(self) -> None:
        """Play until cancelled."""
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            await asyncio.sleep(STEP_S)
            now = loop.time()
            self._due += self.rate * len(self._order) * min(now - before, 1.0)
            before = now
            while self._due >= 1:
                self._due -= 1
                self._move(self._order[self._next])
                self._next = (self._next + 1) % len(self._order)

    def _move(self, symbol: str) -> None:
        listing = self.venue.listings[symbol]
        if symbol in self.paused or listing.status != "TRADING":
            return
        ticks = self.venue.quotes[symbol].ticks
        moved = round(ticks * self.draw.gauss(0.0, self.volatility))
        lot = float(listing.step) * self.draw.randint(1, 200)
        self.venue.trade(symbol, max(20, ticks + moved), lot)

    def set(self, symbol: str, price: Decimal, volume: float | None = None) -> None:
        """The price jumps, whatever lies between."""
        listing = self.venue.listing(symbol)
        ticks = int((price / listing.tick).to_integral_value())
        self.venue.trade(symbol, max(1, ticks), volume if volume is not None else float(listing.step) * 10)

    async def script(self, symbol: str, steps: list[tuple[float, str]]) -> None:
        """The pair leaves the walk and follows these prices, each after so many seconds."""
        self.paused.add(symbol)
        with contextlib.suppress(asyncio.CancelledError):
            for seconds, price in steps:
                await asyncio.sleep(seconds)
                self.set(symbol, Decimal(str(price)))
