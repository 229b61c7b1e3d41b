"""The market of the paper venue: what it asks of whoever knows prices, and sources that know everything at once."""

from __future__ import annotations

import abc
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Final

from actors.venues.ports import MarketSource, PriceRange
from engine.margin import FundingRate
from engine.market import Market
from engine.types import Millis, exact

TICK_MS: Final = 1_000
"""Prices are looked at in steps of so long: a look holds for it, a range of it is one price."""


class VenueMarket(abc.ABC):
    """Prices and funding as the paper venue meets them, by market time.

    A market may know its prices later than they were (a network's); then it says how far it knows them, and
    the venue waits for the rest.
    """

    @abc.abstractmethod
    def markets(self) -> Mapping[str, Market]:
        """The rules of each pair."""

    @abc.abstractmethod
    def follow(self, since: Mapping[str, Millis]) -> None:
        """Prices of exactly these pairs will be asked for, of each from its time on."""

    @abc.abstractmethod
    def known_until(self, pair: str, now: Millis) -> Millis:
        """Up to when all prices of a pair that is followed are known; `now` at most."""

    @abc.abstractmethod
    def ranges(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[PriceRange]:
        """See `MarketSource`."""

    @abc.abstractmethod
    def price(self, pair: str, now: Millis) -> Decimal | None:
        """The pair's newest price, unless it is too old to be one."""

    @abc.abstractmethod
    def traded(self, pair: str, ts: Millis) -> tuple[Millis, Decimal] | None:
        """When the candle of `ts` began, and how much was traded of it until the end of that tick; None: not known."""

    @abc.abstractmethod
    def funded_until(self, pairs: Collection[str], since: Millis, now: Millis) -> Millis:
        """Up to when all funding of these pairs is known, of which that until `since` was paid; `now` at most."""

    @abc.abstractmethod
    def funding(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[FundingRate]:
        """See `MarketSource`."""


class PromptVenueMarket(VenueMarket):
    """A `MarketSource` of which everything is known at once. `timeframe_ms` is that of its candles."""

    def __init__(self, source: MarketSource, timeframe_ms: Millis) -> None:
        self._source = source
        self._timeframe_ms = timeframe_ms
        self._prices: tuple[Millis, dict[str, float]] = (-TICK_MS, {})
        self._volumes: dict[str, tuple[Millis, float]] = {}

    def markets(self) -> Mapping[str, Market]:
        """See `MarketSource`."""
        return self._source.markets()

    def follow(self, since: Mapping[str, Millis]) -> None:
        """Every price is there already."""

    def known_until(self, pair: str, now: Millis) -> Millis:  # noqa: ARG002
        """All of them."""
        return now

    def ranges(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[PriceRange]:
        """See `MarketSource`."""
        return self._source.ranges(pairs, after, until)

    def price(self, pair: str, now: Millis) -> Decimal | None:
        """See `VenueMarket`; one look for all pairs costs what one for a single pair does."""
        at, prices = self._prices
        if not 0 <= now - at < TICK_MS:
            prices = {found.pair: found.close for found in self._source.prices(self._source.pairs, now)}
            self._prices = (now, prices)
        price = prices.get(pair)
        return None if price is None else exact(price)

    def traded(self, pair: str, ts: Millis) -> tuple[Millis, Decimal] | None:
        """See `VenueMarket`; a candle's volume is taken to be spread evenly over it."""
        length = self._timeframe_ms
        candle_ts, volume = self._volumes.get(pair, (-length, 0.0))
        if not candle_ts <= ts < candle_ts + length:
            candles = self._source.history([pair], length, ts + 1, 1).get(pair)
            if candles is None or not len(candles):
                return None
            candle_ts, volume = int(candles.ts[-1]), float(candles.volume[-1])
            self._volumes[pair] = (candle_ts, volume)
        return candle_ts, exact(volume) * min(ts + TICK_MS - candle_ts, length) / length

    def funded_until(self, pairs: Collection[str], since: Millis, now: Millis) -> Millis:  # noqa: ARG002
        """All of it."""
        return now

    def funding(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[FundingRate]:
        """See `MarketSource`."""
        return self._source.funding(pairs, after, until)
