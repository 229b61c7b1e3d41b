"""Candles from files, played as if they happened: a source of market data with a beginning and an end.

Inside a candle the price goes from the open to one extreme, to the other and to the close, at a third,
two thirds and the last second of its time: a rising candle falls to its low first, a falling one rises
to its high first. That is a guess, as any backtest's is; the candle itself comes out exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from actors.venues.ports import PriceRange
from engine.candles import Candle, Candles, Floats, timeframe_ms, timeframe_text
from engine.errors import DataError
from engine.margin import FundingRate
from engine.market import Market
from engine.precision import price_steps
from engine.types import Millis

AMOUNT_STEP: Final = Decimal("1E-8")


class FileMarket:
    """`MarketSource` over whole candles of one timeframe, as `actors.batch.data.load_candles` reads them."""

    def __init__(
        self,
        candles: Mapping[str, Candles],
        timeframe: str,
        markets: Mapping[str, Market] | None = None,
        funding: Mapping[str, Sequence[FundingRate]] | None = None,
    ) -> None:
        """Play `candles`; without `markets`, steps are those the prices show, and there are no minima.

        `funding` is each future's, in order of time.

        Raises:
            DataError: there are no candles at all.
        """
        self._candles = {pair: own for pair, own in candles.items() if len(own)}
        if not self._candles:
            raise DataError(f"there are no candles of {timeframe} to play.")
        self._timeframe_ms = timeframe_ms(timeframe)
        self._funding = funding or {}
        self._markets = markets if markets is not None else {p: market_of(c) for p, c in self._candles.items()}

    @property
    def pairs(self) -> tuple[str, ...]:
        """See `MarketSource`."""
        return tuple(self._candles)

    def markets(self) -> Mapping[str, Market]:
        """See `MarketSource`."""
        return self._markets

    def span(self) -> tuple[Millis, Millis | None]:
        """The first and the last candle of all pairs."""
        every = self._candles.values()
        return min(int(c.ts[0]) for c in every), max(int(c.ts[-1]) for c in every)

    def history(self, pairs: Sequence[str], timeframe_ms: Millis, before: Millis, count: int) -> Mapping[str, Candles]:
        """See `MarketSource`."""
        self._check(timeframe_ms)
        result = {}
        for pair in pairs:
            candles = self._candles.get(pair)
            if candles is not None:
                end = int(np.searchsorted(candles.ts, before))
                result[pair] = candles[max(0, end - count) : end]
        return result

    def closed(self, pairs: Sequence[str], timeframe_ms: Millis, ts: Millis) -> Sequence[tuple[str, Candle]]:
        """See `MarketSource`."""
        self._check(timeframe_ms)
        found = []
        for pair in pairs:
            candles = self._candles.get(pair)
            if candles is None:
                continue
            at, off = divmod(ts - int(candles.ts[0]), timeframe_ms)
            if 0 <= at < len(candles) and not off:
                columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
                found.append((pair, Candle(ts, *(float(column[at]) for column in columns))))
        return found

    def ranges(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[PriceRange]:
        """See `MarketSource`."""
        found = []
        for pair in pairs:
            times, prices = self._ticks(pair, after, until)
            if len(times):
                own = (float(prices[0]), float(prices.max()), float(prices.min()), float(prices[-1]))
                found.append(PriceRange(pair, int(times[-1]), *own))
        return found

    def funding(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[FundingRate]:
        """See `MarketSource`."""
        found = [rate for pair in pairs for rate in self._funding.get(pair, ()) if after < rate.ts <= until]
        return sorted(found, key=lambda rate: rate.ts)

    def prices(self, pairs: Sequence[str], at: Millis) -> Sequence[PriceRange]:
        """See `MarketSource`."""
        found = []
        for pair in pairs:
            candles = self._candles.get(pair)
            if candles is not None and at >= candles.ts[0]:
                times, prices = self._ticks(pair, min(at, int(candles.ts[-1])) - self._timeframe_ms, at)
                last = float(prices[-1])
                found.append(PriceRange(pair, int(times[-1]), last, last, last, last))
        return found

    def _check(self, asked_ms: Millis) -> None:
        if asked_ms != self._timeframe_ms:
            have, wish = timeframe_text(self._timeframe_ms), timeframe_text(asked_ms)
            raise DataError(f"the files hold candles of {have}, but {wish} are asked for.")

    def _ticks(self, pair: str, after: Millis, until: Millis) -> tuple[npt.NDArray[np.int64], Floats]:
        """The times and prices of the pair's ticks in (after, until]: four a candle."""
        candles = self._candles.get(pair)
        if candles is None:
            return np.empty(0, np.int64), np.empty(0)
        length = self._timeframe_ms
        first = int(np.searchsorted(candles.ts, after - length, side="right"))
        part = candles[first : int(np.searchsorted(candles.ts, until, side="right"))]
        offsets = np.array([0, length // 3, length * 2 // 3, length - 1_000 if length >= 4_000 else length - 1])
        times = (part.ts[:, None] + offsets).ravel()
        rising = part.close >= part.open
        early = np.where(rising, part.low, part.high)
        late = np.where(rising, part.high, part.low)
        prices = np.stack([part.open, early, late, part.close], axis=1).ravel()
        inside = (times > after) & (times <= until)
        return times[inside], prices[inside]


def market_of(candles: Candles, known: Mapping[str, Any] | None = None) -> Market:
    """The rules that candles let one guess: the finest price step of any month, fine amounts, no minima.

    `known` are fields that are known besides; of the price steps the candles know better.
    """
    base, _, quote = candles.pair.partition("/")
    step = min(step for _, step in price_steps(candles))
    guessed = Market(
        pair=candles.pair, base=base, quote=quote.partition(":")[0], price_step=step, amount_step=AMOUNT_STEP
    )
    return replace(guessed, **{name: value for name, value in (known or {}).items() if name != "price_step"})
