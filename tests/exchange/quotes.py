"""What a pair's price has done: last price, candles, figures of the day."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from tests.exchange.listing import Listing, places

INTERVALS: Final = {
    "1s": 1_000, "1m": 60_000, "3m": 180_000, "5m": 300_000, "15m": 900_000, "30m": 1_800_000, "1h": 3_600_000,
    "2h": 7_200_000, "4h": 14_400_000, "6h": 21_600_000, "8h": 28_800_000, "12h": 43_200_000, "1d": 86_400_000,
}  # fmt: skip

VOLATILITY: Final = 0.0005
"""Of a minute, in the history that is made up."""

HISTORY: Final = 1500
"""Made-up candles before the start, of each interval that is asked for."""


@dataclass(slots=True)
class Candle:
    """One candle; prices in ticks."""

    ts: int
    open: int
    high: int
    low: int
    close: int
    volume: float = 0.0
    quote_volume: float = 0.0
    trades: int = 0
    first_id: int = -1
    last_id: int = -1

    def add(self, ticks: int, volume: float, cost: float, trade_id: int) -> None:
        """Take in one public trade."""
        self.high = max(self.high, ticks)
        self.low = min(self.low, ticks)
        self.close = ticks
        self.volume += volume
        self.quote_volume += cost
        self.trades += 1
        if self.first_id < 0:
            self.first_id = trade_id
        self.last_id = trade_id


@dataclass(slots=True)
class Series:
    """A pair's candles of one interval, oldest first; the last one is going on."""

    interval: str
    step: int
    candles: list[Candle] = field(default_factory=list)
    trimmed: bool = False

    def roll(self, now: int, ticks: int) -> None:
        """Begin the candles that are due by `now`, flat from the last price."""
        start = now - now % self.step
        if not self.candles:
            self.candles.append(Candle(start, ticks, ticks, ticks, ticks))
        while self.candles[-1].ts < start:
            ts = self.candles[-1].ts + self.step
            self.candles.append(Candle(ts, ticks, ticks, ticks, ticks))
        if len(self.candles) > 3 * HISTORY:
            del self.candles[:HISTORY]
            self.trimmed = True


class Quote:
    """The market of one pair: its price, by whole ticks, and what is computed from it."""

    def __init__(self, listing: Listing, seed: int, now: int) -> None:
        self.listing = listing
        self.seed = zlib.crc32(f"{seed}:{listing.symbol}:{listing.futures}".encode())
        self.digits = places(listing.tick)
        self.ticks = int(listing.first_price / listing.tick)
        self.started = now
        self.trade_id = 1000
        self.series: dict[str, Series] = {}
        self.made: dict[str, list[Candle]] = {}
        self.tick = float(listing.tick)
        self.open24 = self.high24 = self.low24 = self.ticks
        self.volume24 = 0.0
        self.cost24 = 0.0
        self.changed = True
        self.quiet = False
        self.last_volume = 0.0
        self.left: Decimal | None = listing.top
        self._ensure("1m", now)

    # ------------------------------------------------------------ prices

    @property
    def last(self) -> Decimal:
        """The last price."""
        return self.ticks * self.listing.tick

    @property
    def bid(self) -> Decimal:
        """The best price a seller gets."""
        return max(1, self.ticks - (self.listing.spread + 1) // 2) * self.listing.tick

    @property
    def ask(self) -> Decimal:
        """The best price a buyer gets."""
        return (self.ticks + self.listing.spread // 2) * self.listing.tick

    def text(self, ticks: int) -> str:
        """A price as Binance writes it."""
        return f"{ticks * self.tick:.8f}" if not self.listing.futures else f"{ticks * self.tick:.{self.digits}f}"

    def trade(self, ticks: int, volume: float, now: int) -> None:
        """A public trade at this price; what the book offers is there anew."""
        self.trade_id += 1
        self.last_volume = volume
        cost = volume * ticks * self.tick
        self.high24, self.low24 = max(self.high24, ticks), min(self.low24, ticks)
        self.volume24 += volume
        self.cost24 += cost
        for series in self.series.values():
            if now >= series.candles[-1].ts + series.step:
                series.roll(now, self.ticks)
            series.candles[-1].add(ticks, volume, cost, self.trade_id)
        self.ticks = ticks
        self.changed = True
        self.left = self.listing.top

    # ------------------------------------------------------------ candles

    def candles(self, interval: str, now: int) -> list[Candle]:
        """All candles of an interval up to now, the made-up ones before the start and the one going on included."""
        lived = self.live(interval, now)
        if self.series[interval].trimmed:
            return lived
        made = self.made.get(interval)
        if made is None:
            made = self.made[interval] = self._history(interval, lived[0].ts, lived[0].open)
        return made + lived

    def live(self, interval: str, now: int) -> list[Candle]:
        """The candles of an interval since the exchange was started (or longer, if they were given)."""
        series = self._ensure(interval, now)
        series.roll(now, self.ticks)
        return series.candles

    def _ensure(self, interval: str, now: int) -> Series:
        series = self.series.get(interval)
        if series is not None:
            return series
        step = INTERVALS[interval]
        series = Series(interval, step)
        base = self.series.get("1m")
        if base is None or step < base.step:
            series.roll(now, self.ticks)
        else:
            base.roll(now, self.ticks)
            for candle in base.candles:
                _merge(series, candle)
        self.series[interval] = series
        return series

    def _history(self, interval: str, end: int, ticks: int) -> list[Candle]:
        """Made-up candles that end where the price began; the same for the same seed and end."""
        import numpy as np

        step = INTERVALS[interval]
        draw = np.random.default_rng([self.seed, step])
        sigma = VOLATILITY * math.sqrt(step / 60_000)
        levels = ticks * np.exp(np.cumsum(np.concatenate([[0.0], draw.normal(0.0, sigma, HISTORY)])))
        path = np.maximum(10, np.rint(levels)).astype(np.int64)
        opens, closes = path[1:], path[:-1]
        wicks = 1 + np.abs(draw.normal(0.0, sigma / 2, (2, HISTORY)))
        highs = np.rint(np.maximum(opens, closes) * wicks[0]).astype(np.int64)
        lows = np.maximum(5, np.rint(np.minimum(opens, closes) / wicks[1])).astype(np.int64)
        volumes = draw.uniform(10, 1000, HISTORY) / (closes * self.tick)
        rows = zip(*(column[::-1].tolist() for column in (opens, highs, lows, closes, volumes)), strict=True)
        start = end - HISTORY * step
        return [
            Candle(start + n * step, o, h, low, c, v, v * c * self.tick, 20) for n, (o, h, low, c, v) in enumerate(rows)
        ]

    def replace_history(self, interval: str, rows: list[tuple[int, float, float, float, float, float]]) -> None:
        """Take these as the closed candles of the interval, and the last close as the price."""
        series = Series(interval, INTERVALS[interval])
        for ts, open_, high, low, close, volume in rows:
            first, top, bottom, last = (round(value / self.tick) for value in (open_, high, low, close))
            series.candles.append(Candle(ts, first, top, bottom, last, volume, volume * close, 1))
        self.series[interval], self.made[interval] = series, []
        self.ticks = series.candles[-1].close


def _merge(series: Series, part: Candle) -> None:
    """Add a shorter candle to the longer one it is in."""
    ts = part.ts - part.ts % series.step
    if not series.candles or series.candles[-1].ts < ts:
        series.candles.append(Candle(ts, part.open, part.high, part.low, part.close))
    last = series.candles[-1]
    last.high, last.low, last.close = max(last.high, part.high), min(last.low, part.low), part.close
    last.volume += part.volume
    last.quote_volume += part.quote_volume
    last.trades += part.trades
    last.first_id = part.first_id if last.first_id < 0 else last.first_id
    last.last_id = max(last.last_id, part.last_id)
