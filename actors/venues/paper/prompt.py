"""A market that answers at once, for a feed that does not wait for answers: stored, built in or written down."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from actors.venues.ports import Fault, MarketSource, PriceRange
from actors.venues.trading import Permit, PermitWanted, RequestEnded
from engine.candles import Candle
from engine.depth import ENDLESS, Depth
from engine.messages import AskQuote, Message, QuoteTold
from engine.types import Millis, exact


class PromptMarket:
    """`MarketStream` over a `MarketSource`: everything has come when it has been asked for.

    Quotes are those of the book that the simulated exchange pretends to have around each price.
    """

    def __init__(self, source: MarketSource, book: Depth = ENDLESS) -> None:
        self._source = source
        self._book = book
        self._quotes: list[QuoteTold] = []
        self._histories: list[tuple[str, tuple[Candle, ...]]] = []

    @property
    def pairs(self) -> tuple[str, ...]:
        """See `MarketStream`."""
        return self._source.pairs

    def span(self) -> tuple[Millis, Millis | None]:
        """See `MarketStream`."""
        return self._source.span()

    def open(self, name: str, wake: Callable[[], None]) -> None:
        """Nothing comes by itself, so nobody is woken."""

    def follow(self, pairs: Sequence[str], timeframe_ms: Millis) -> None:
        """Every candle is there already."""

    def ask_history(self, pairs: Sequence[str], timeframe_ms: Millis, before: Millis, count: int) -> None:
        """See `MarketStream`."""
        found = self._source.history(pairs, timeframe_ms, before, count)
        self._histories += [(pair, tuple(found[pair]) if pair in found else ()) for pair in pairs]

    def histories(self) -> Sequence[tuple[str, tuple[Candle, ...]]]:
        """See `MarketStream`."""
        histories, self._histories = self._histories, []
        return histories

    def go_on(self, pair: str, timeframe_ms: Millis, next_ts: Millis) -> float | None:
        """See `MarketStream`."""
        known = self._source.history((pair,), timeframe_ms, next_ts, 1).get(pair)
        return float(known.close[-1]) if known is not None and len(known) else None

    def closed(self, pairs: Sequence[str], timeframe_ms: Millis, ts: Millis) -> Sequence[tuple[str, Candle]]:
        """See `MarketSource`."""
        return self._source.closed(pairs, timeframe_ms, ts)

    def awaited(self, ts: Millis) -> Collection[str]:  # noqa: ARG002
        """Nobody: what is not there now will not come."""
        return ()

    def is_held_up(self, ts: Millis) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def watch(self, pairs: Collection[str]) -> None:
        """Every price is there already."""

    def ranges(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[PriceRange]:
        """See `MarketSource`."""
        return self._source.ranges(pairs, after, until)

    def prices(self, pairs: Sequence[str], at: Millis) -> Sequence[PriceRange]:
        """See `MarketSource`."""
        return self._source.prices(pairs, at)

    def grant(self, request_id: str, permit: Permit | None) -> None:
        """It asks for no permits."""

    def permits(self) -> Sequence[PermitWanted | RequestEnded]:
        """None."""
        return ()

    def said(self) -> Sequence[tuple[str, Message]]:
        """Nothing."""
        return ()

    def ask_quote(self, question: AskQuote, at: Millis) -> None:
        """The book around the pair's newest price."""
        pair = question.pair
        found, market = self._source.prices((pair,), at), self._source.markets().get(pair)
        quote, why = None, "the market has no price of it"
        if found and market is not None:
            price = market.round_price(exact(found[0].close))
            quote = self._book.quote(market, price, question.level, ts=found[0].ts, whole=question.levels > 0)
            why = "" if quote is not None else f"the book does not reach to level {question.level}"
        self._quotes.append(QuoteTold(request_id=question.request_id, pair=pair, quote=quote, failed=why))

    def quotes(self) -> Sequence[QuoteTold]:
        """See `MarketStream`."""
        quotes, self._quotes = self._quotes, []
        return quotes

    def faults(self) -> Sequence[Fault]:
        """None but those that the feed finds."""
        return ()

    def status(self) -> Mapping[str, Any]:
        """Nothing of its own."""
        return {}
