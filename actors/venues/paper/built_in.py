"""The built-in market as a source of market data: a seed and a number of pairs, no network, no end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from actors.venues.ports import PriceRange
from engine.candles import Candle, Candles
from engine.margin import FundingRate
from engine.market import Market
from engine.settings import FeedConfig
from engine.synthetic import SyntheticMarket
from engine.types import Millis


class BuiltInMarket:
    """`MarketSource` over `engine.synthetic`; it has every candle of every whole-minute timeframe, always."""

    def __init__(self, market: SyntheticMarket) -> None:
        self._market = market
        self._everybody = np.arange(len(market.pairs))

    @classmethod
    def of(cls, config: FeedConfig, quote: str = "USDT") -> BuiltInMarket:
        """The market that a configuration asks for."""
        return cls(SyntheticMarket(config.seed, config.pairs, quote))

    @property
    def pairs(self) -> tuple[str, ...]:
        """See `MarketSource`."""
        return self._market.pairs

    def markets(self) -> Mapping[str, Market]:
        """See `MarketSource`."""
        return self._market.markets()

    def span(self) -> tuple[Millis, Millis | None]:
        """From 1970 on, without an end."""
        return 0, None

    def history(self, pairs: Sequence[str], timeframe_ms: Millis, before: Millis, count: int) -> Mapping[str, Candles]:
        """See `MarketSource`."""
        end = -(-before // timeframe_ms)
        count = min(count, end)
        return self._market.candles(self._known(pairs), timeframe_ms, (end - count) * timeframe_ms, count)

    def closed(self, pairs: Sequence[str], timeframe_ms: Millis, ts: Millis) -> Sequence[tuple[str, Candle]]:
        """See `MarketSource`."""
        known = self._known(pairs)
        found = self._market.columns(self._indices(known), timeframe_ms, ts, 1)
        columns = (c[0].tolist() for c in (found.open, found.high, found.low, found.close, found.volume))
        return [(pair, Candle(ts, *row)) for pair, row in zip(known, zip(*columns, strict=True), strict=True)]

    def ranges(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[PriceRange]:
        """See `MarketSource`."""
        known = self._known(pairs)
        found = self._market.ranges(self._indices(known), after, until) if known else None
        if found is None:
            return []
        columns = (c.tolist() for c in (found.open, found.high, found.low, found.close))
        rows = zip(*columns, strict=True)
        return [PriceRange(pair, found.ts, *row) for pair, row in zip(known, rows, strict=True)]

    def funding(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[FundingRate]:  # noqa: ARG002
        """None: it is a spot market."""
        return ()

    def prices(self, pairs: Sequence[str], at: Millis) -> Sequence[PriceRange]:
        """See `MarketSource`."""
        return self.ranges(pairs, at // 1_000 * 1_000 - 1, at)

    def _known(self, pairs: Sequence[str]) -> Sequence[str]:
        index = self._market.index
        return pairs if all(pair in index for pair in pairs) else [pair for pair in pairs if pair in index]

    def _indices(self, pairs: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        if len(pairs) == len(self._everybody) and tuple(pairs) == self._market.pairs:
            return self._everybody
        return np.array([self._market.index[pair] for pair in pairs], np.int64)
