"""What an exchange counts: its pools, and how much of each one's current window is used.

`engine.ratelimit` tells the whole story; this is the counting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from engine.settings import PaperConfig
from engine.types import ONE, Millis, Priority

RANK: Final = {priority: rank for rank, priority in enumerate(Priority)}
"""The place of each priority; the most urgent is 0."""

GUARD: Final = RANK[Priority.GUARD]
URGENT: Final = RANK[Priority.EXIT]
"""Ranks up to this one may use the urgent share."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One thing that the exchange counts: at most `limit` in each window of `window_ms`, aligned to the clock."""

    name: str
    limit: int
    window_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """An exchange's pools and what each kind of request costs in them.

    `urgent_percent` of a window is left to GUARD and EXIT, `restart_percent` to the time after a restart.
    `permit_ms` is how long a permit holds, `reserve_ms` how long a stop's budget is kept. `margin_ms` is
    the longest way to the exchange, with the error of our clock.
    """

    pools: tuple[Pool, ...]
    costs: Mapping[str, Mapping[str, int]]
    urgent_percent: int = 20
    restart_percent: int = 3
    permit_ms: Millis = 5_000
    reserve_ms: Millis = 30_000
    margin_ms: Millis = 0


def paper_limits(config: PaperConfig, speed: Decimal = ONE) -> Limits:
    """What the simulated exchange counts, in market time; waiting times of ours grow with the market's `speed`."""
    pace = max(ONE, speed)
    return Limits(
        pools=(
            Pool("weight_1m", config.weight_per_minute, 60_000),
            Pool("orders_10s", config.orders_per_10s, 10_000),
            Pool("orders_1d", config.orders_per_day, 86_400_000),
        ),
        costs={
            "order": {"weight_1m": 1, "orders_10s": 1, "orders_1d": 1},
            "cancel": {"weight_1m": 1},
            "fetch_order": {"weight_1m": 4},
            "snapshot": {"weight_1m": 20},
            "candles": {"weight_1m": 2},
        },
        permit_ms=int(5_000 * pace),
        reserve_ms=int(30_000 * pace),
    )


class Window:
    """One pool and what is used of its current window."""

    __slots__ = (
        "counted",
        "counted_next",
        "index",
        "name",
        "outstanding",
        "restart",
        "size",
        "total",
        "unknown",
        "urgent",
    )

    def __init__(self, pool: Pool, limits: Limits) -> None:
        self.name = pool.name
        self.size = pool.window_ms
        self.restart = pool.limit * limits.restart_percent // 100
        self.total = pool.limit - self.restart
        self.urgent = pool.limit * limits.urgent_percent // 100
        self.index = -1
        self.counted = 0
        self.counted_next = 0
        self.outstanding = 0
        self.unknown = False

    @property
    def end(self) -> Millis:
        return (self.index + 1) * self.size

    def advance(self, now: Millis) -> None:
        index = now // self.size
        if index <= self.index:
            return
        self.counted = self.counted_next if index == self.index + 1 else 0
        self.counted_next = 0
        self.unknown = self.unknown and self.index == -1
        self.index = index

    def count(self, weight: int, first: Millis, last: Millis) -> None:
        """Count what was sent at `first` and arrived by `last`."""
        if first // self.size <= self.index <= last // self.size:
            self.counted += weight
        if last // self.size > self.index:
            self.counted_next += weight

    def room(self, rank: int, reserved: int) -> int:
        """What somebody of `rank` could still use."""
        if self.unknown:
            most = self.restart if rank <= URGENT else 0
        elif rank <= URGENT:
            most = self.total - (0 if rank == GUARD else reserved)
        else:
            most = self.total - self.urgent - reserved
        return most - self.counted - self.outstanding

    def hopeless(self, rank: int, weight: int) -> bool:
        """Whether `weight` has no room until the window ends, even if all that is handed out were given back."""
        return not self.unknown and self.room(rank, 0) + self.outstanding < weight
