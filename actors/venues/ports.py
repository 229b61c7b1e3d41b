"""The ports: what the actors ask of a market or a venue, whoever implements it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from engine.candles import Candle, Candles
from engine.margin import FundingRate
from engine.market import Market
from engine.types import Millis


class PriceRange(NamedTuple):
    """Where a pair's price went in a time: its first, highest, lowest and last tick; `ts` is the last one's."""

    pair: str
    ts: Millis
    open: float
    high: float
    low: float
    close: float


class MarketSource(Protocol):
    """The market-data side of a venue, as the feed asks it, by market time.

    Answers are what the source has, raw: candles may be missing, repeated, late or absurd; checking
    them is the feed's work. Prices are floats that are written as multiples of the market's price
    step. Pairs that the source does not know are left out of an answer. A source belongs to one actor.
    """

    @property
    def pairs(self) -> tuple[str, ...]:
        """The pairs there are, in the source's own order."""
        ...

    def markets(self) -> Mapping[str, Market]:
        """The rules of each pair."""
        ...

    def span(self) -> tuple[Millis, Millis | None]:
        """The open time of the first candle there is, and of the last; None where no end is known."""
        ...

    def history(self, pairs: Sequence[str], timeframe_ms: Millis, before: Millis, count: int) -> Mapping[str, Candles]:
        """At most `count` candles of each pair, the newest ones of those that open before `before`."""
        ...

    def closed(self, pairs: Sequence[str], timeframe_ms: Millis, ts: Millis) -> Sequence[tuple[str, Candle]]:
        """The candles that open at `ts`, which have closed; a source may also hand on late ones."""
        ...

    def ranges(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[PriceRange]:
        """Where each pair's price went in (after, until]; pairs without a tick in it are left out."""
        ...

    def funding(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[FundingRate]:
        """What holders of these pairs owe each other in (after, until], in order of time; spot markets have none."""
        ...

    def prices(self, pairs: Sequence[str], at: Millis) -> Sequence[PriceRange]:
        """Each pair's newest tick at `at`, as a range of one price; pairs that had none yet are left out."""
        ...
