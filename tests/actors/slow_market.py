"""A market on a wire, for tests of the feed: the test is its wire, and says what comes when."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from actors.venues.ports import Fault, PriceRange
from actors.venues.trading import Permit, PermitWanted, RequestEnded
from engine.candles import Candle
from engine.gathering import Gathering
from engine.messages import AskQuote, Message, QuoteTold
from engine.types import Millis


class SlowMarket:
    """`MarketStream` over `Gathering`; nothing comes by itself."""

    def __init__(self, pairs: Sequence[str], step_ms: Millis) -> None:
        self.pairs = tuple(pairs)
        self.gathering = Gathering(step_ms, flagged=True)
        self.wake: Callable[[], None] = lambda: None
        self.asked: list[tuple[tuple[str, ...], Millis, int]] = []
        self.come: list[tuple[str, tuple[Candle, ...]]] = []
        self.watched: frozenset[str] = frozenset()
        self.moved: list[PriceRange] = []
        self.granted: list[tuple[str, Permit | None]] = []
        self.wanted: list[PermitWanted | RequestEnded] = []
        self.saying: list[tuple[str, Message]] = []
        self.wrong: list[Fault] = []
        self.questions: list[AskQuote] = []
        self.answers: list[QuoteTold] = []

    def give_history(self, pair: str, rows: Sequence[Candle], before: Millis) -> None:
        """A window has come."""
        self.gathering.start(pair, rows[-1] if rows else None, before)
        self.come.append((pair, tuple(rows)))
        self.wake()

    def tell(self, pair: str, candle: Candle, *, closed: bool = True) -> None:
        """A frame has come."""
        if self.gathering.heard(pair, candle, closed):
            self.wake()

    def open(self, name: str, wake: Callable[[], None]) -> None:
        """See `MarketStream`."""
        del name
        self.wake = wake

    def follow(self, pairs: Sequence[str], timeframe_ms: Millis) -> None:
        """See `MarketStream`."""
        del timeframe_ms
        self.gathering.follow(pairs)

    def ask_history(self, pairs: Sequence[str], timeframe_ms: Millis, before: Millis, count: int) -> None:
        """See `MarketStream`."""
        del timeframe_ms
        self.asked.append((tuple(pairs), before, count))

    def histories(self) -> Sequence[tuple[str, tuple[Candle, ...]]]:
        """See `MarketStream`."""
        come, self.come = self.come, []
        return come

    def go_on(self, pair: str, timeframe_ms: Millis, next_ts: Millis) -> float | None:
        """See `MarketStream`."""
        del timeframe_ms
        self.gathering.go_back(pair, next_ts)
        before = self.gathering.newest_before(pair, next_ts)
        return None if before is None else before.close

    def closed(self, pairs: Sequence[str], timeframe_ms: Millis, ts: Millis) -> Sequence[tuple[str, Candle]]:
        """See `MarketStream`."""
        del timeframe_ms
        return self.gathering.take(pairs, ts)

    def awaited(self, ts: Millis) -> Collection[str]:
        """See `MarketStream`."""
        return self.gathering.awaited(ts)

    def is_held_up(self, ts: Millis) -> bool:
        """See `MarketStream`."""
        return self.gathering.is_held_up(ts)

    def span(self) -> tuple[Millis, Millis | None]:
        """See `MarketStream`."""
        return 0, None

    def watch(self, pairs: Collection[str]) -> None:
        """See `MarketStream`."""
        self.watched = frozenset(pairs)

    def ranges(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[PriceRange]:
        """See `MarketStream`."""
        del after, until
        moved, self.moved = [price for price in self.moved if price.pair in pairs], []
        return moved

    def prices(self, pairs: Sequence[str], at: Millis) -> Sequence[PriceRange]:
        """See `MarketStream`."""
        del pairs, at
        return ()

    def grant(self, request_id: str, permit: Permit | None) -> None:
        """See `MarketStream`."""
        self.granted.append((request_id, permit))

    def permits(self) -> Sequence[PermitWanted | RequestEnded]:
        """See `MarketStream`."""
        wanted, self.wanted = self.wanted, []
        return wanted

    def said(self) -> Sequence[tuple[str, Message]]:
        """See `MarketStream`."""
        saying, self.saying = self.saying, []
        return saying

    def ask_quote(self, question: AskQuote, at: Millis) -> None:
        """See `MarketStream`."""
        del at
        self.questions.append(question)

    def quotes(self) -> Sequence[QuoteTold]:
        """See `MarketStream`."""
        come, self.answers = self.answers, []
        return come

    def faults(self) -> Sequence[Fault]:
        """See `MarketStream`."""
        wrong, self.wrong = self.wrong, []
        return wrong

    def status(self) -> Mapping[str, Any]:
        """See `MarketStream`."""
        return {"lines": 1}
