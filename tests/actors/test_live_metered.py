"""Permits of a program that only reads: the limiter's arithmetic, corrected by what the exchange says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from actors.venues.live.metered import Meter
from actors.venues.trading import RequestEnded
from engine.quota import Limits, Pool

WINDOW_MS = 60_000
LIMITS = Limits(pools=(Pool("weight", 100, WINDOW_MS),), costs={"candles": {"weight": 2}}, restart_percent=0)


class Clock:
    """Stands for a connection: its time, and what the exchange has counted."""

    def __init__(self, used: Mapping[str, int] | None = None) -> None:
        self.ms = 10 * WINDOW_MS
        self.used = dict(used or {})

    def now(self) -> int:
        return self.ms

    def usage(self, now: int) -> dict[str, int]:
        return self.used if now < 11 * WINDOW_MS else {}


async def granted(meter: Meter, count: int) -> int:
    """How many of `count` requests that are all answered at once get a permit before one has to wait."""
    for number in range(count):
        try:
            permit = await asyncio.wait_for(meter.acquire("candles"), 0.02)
        except TimeoutError:
            return number
        meter.ended(RequestEnded(permit_id=permit.permit_id, request="candles"))
    return count


def test_no_more_leaves_than_the_exchange_allows() -> None:
    """The share that is kept for urgent requests is left alone, too; with the next window it goes on."""

    async def work() -> tuple[int, int]:
        clock = Clock()
        meter = Meter(clock, LIMITS)
        first = await granted(meter, 100)
        clock.ms += 2 * WINDOW_MS
        return first, await granted(meter, 10)

    assert asyncio.run(work()) == (40, 10)


def test_what_others_on_the_same_address_have_used_counts() -> None:
    """The exchange's own count comes before ours."""
    assert asyncio.run(granted(Meter(Clock({"weight": 60, "orders": 5}), LIMITS), 100)) == 10


def test_silence_is_kept() -> None:
    """After a 429 nothing leaves until its time is over."""

    async def work() -> tuple[int, int]:
        clock = Clock()
        meter = Meter(clock, LIMITS)
        meter.ended(RequestEnded(permit_id="", request="candles", retry_after_ms=5_000))
        first = await granted(meter, 1)
        clock.ms += 5_001
        return first, await granted(meter, 1)

    assert asyncio.run(work()) == (0, 1)
