"""The ports: what the actors ask of a market or a venue, whoever implements it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from actors.venues.trading import Permit, PermitWanted, RequestEnded
from engine.candles import Candle, Candles
from engine.margin import FundingRate
from engine.market import Market
from engine.messages import AskQuote, Message, QuoteTold
from engine.types import Millis


class PriceRange(NamedTuple):
    """Where a pair's price went in a time: its first, highest, lowest and last tick; `ts` is the last one's."""

    pair: str
    ts: Millis
    open: float
    high: float
    low: float
    close: float

    def with_tick(self, ts: Millis, at: float) -> PriceRange:
        """The range with one more tick."""
        return PriceRange(self.pair, ts, self.open, max(self.high, at), min(self.low, at), at)


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


class Fault(NamedTuple):
    """Something that went wrong with market data, or is well again; `kind` is a word for SQL (`stalled`, `outage` …)."""

    pair: str
    kind: str
    detail: str


class MarketStream(Protocol):
    """The market-data side of a venue, as the feed uses it: asked and told, never waited for.

    Answers that take time come later: the stream calls `wake` (from any thread), and the feed looks at
    everything there may be. What the stream wants of others (permits, locks) the feed carries to them.
    Candles come raw; checking them is the feed's work. One feed at a time; a new one opens it again, and goes on.
    """

    @property
    def pairs(self) -> tuple[str, ...]:
        """The pairs there are, in the venue's own order."""
        ...

    def span(self) -> tuple[Millis, Millis | None]:
        """The open time of the first candle there is, and of the last; None where no end is known."""
        ...

    def open(self, name: str, wake: Callable[[], None]) -> None:
        """The actor `name` reads from now on."""
        ...

    def follow(self, pairs: Sequence[str], timeframe_ms: Millis) -> None:
        """Candles of these will be asked for."""
        ...

    def ask_history(self, pairs: Sequence[str], timeframe_ms: Millis, before: Millis, count: int) -> None:
        """Have at most `count` candles of each pair brought, the newest before `before`; asking again changes nothing."""
        ...

    def histories(self) -> Sequence[tuple[str, tuple[Candle, ...]]]:
        """The histories that have come since the last call; a pair that is not known has an empty one."""
        ...

    def go_on(self, pair: str, timeframe_ms: Millis, next_ts: Millis) -> float | None:
        """Hand on candles from `next_ts` on, for a feed that starts again; the close before it, where it is known."""
        ...

    def closed(self, pairs: Sequence[str], timeframe_ms: Millis, ts: Millis) -> Sequence[tuple[str, Candle]]:
        """Candles up to the one that opens at `ts` that have closed and were not handed on yet."""
        ...

    def awaited(self, ts: Millis) -> Collection[str]:
        """Pairs whose candles up to `ts` may still come: nobody needs to make them up."""
        ...

    def is_held_up(self, ts: Millis) -> bool:
        """Whether candles of `ts` are about to come, of pairs that are being traded."""
        ...

    def watch(self, pairs: Collection[str]) -> None:
        """From now on prices of exactly these are wanted."""
        ...

    def ranges(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[PriceRange]:
        """Where each pair's price went in (after, until], or since it was last asked for; unmoved pairs are left out."""
        ...

    def prices(self, pairs: Sequence[str], at: Millis) -> Sequence[PriceRange]:
        """Each pair's newest price, as a range of one price; pairs that had none yet are left out."""
        ...

    def grant(self, request_id: str, permit: Permit | None) -> None:
        """The permit that a `PermitWanted` of `permits` asked for; None: there will be none."""
        ...

    def permits(self) -> Sequence[PermitWanted | RequestEnded]:
        """The wishes for permits, and the requests that are done with, since the last call."""
        ...

    def said(self) -> Sequence[tuple[str, Message]]:
        """What is to be told to others, (name, message), since the last call."""
        ...

    def ask_quote(self, question: AskQuote, at: Millis) -> None:
        """Have a pair's quote brought; at `at`, where the market is one that can be asked of any time."""
        ...

    def quotes(self) -> Sequence[QuoteTold]:
        """The answers to such questions that have come since the last call; some questions have none."""
        ...

    def faults(self) -> Sequence[Fault]:
        """What went wrong, or is well again, since the last call."""
        ...

    def status(self) -> Mapping[str, Any]:
        """Figures of its own, plain values."""
        ...
