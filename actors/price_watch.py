"""Prices of the pairs that watch: each is told where its price went, as soon as it is known."""

from __future__ import annotations

from actors.base import EngineActor
from actors.venues.ports import MarketStream, PriceRange
from engine.messages import MarketRange
from engine.types import Millis, exact


class PriceWatch:
    """The watching pairs of one feed; looked after every `tick_ms`, and whenever the stream has stirred."""

    TIMER = "tick"

    def __init__(self, actor: EngineActor, source: MarketStream, tick_ms: int) -> None:
        self._actor = actor
        self._source = source
        self._tick_ms = tick_ms
        self._watched: dict[str, Millis] = {}
        self._fresh: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._watched)

    def begin(self, pair: str) -> None:
        """A pair watches; answered by `answer_fresh`."""
        if pair not in self._watched:
            self._fresh[pair] = None

    def end(self, pair: str) -> None:
        """A pair watches no more."""
        self._fresh.pop(pair, None)
        if self._watched.pop(pair, None) is not None:
            self._source.watch(self._watched)

    def answer_fresh(self) -> None:
        """Answer all that have begun to watch together: a hundred pairs after a restart cost one look."""
        if not self._fresh:
            return
        now = self._actor.now()
        fresh, self._fresh = tuple(self._fresh), {}
        if not self._watched:
            self._actor.start_timer(self.TIMER, self._tick_ms)
        self._watched.update(dict.fromkeys(fresh, now))
        self._source.watch(self._watched)
        for price in self._source.prices(fresh, now):
            self._tell(price)

    def tick(self) -> None:
        """Tell what there is, and look again later."""
        self.tell_ranges()
        if self._watched:
            self._actor.start_timer(self.TIMER, self._tick_ms)

    def tell_ranges(self) -> None:
        """Tell where prices went since they were told last."""
        now = self._actor.now()
        since: dict[Millis, list[str]] = {}
        for pair, after in self._watched.items():
            since.setdefault(after, []).append(pair)
        for after, pairs in since.items():
            for price in self._source.ranges(pairs, after, now):
                self._tell(price)
        self._watched = dict.fromkeys(self._watched, now)

    def _tell(self, price: PriceRange) -> None:
        pair, ts, opened, high, low, close = price
        message = MarketRange(
            pair=pair, ts=ts, open=exact(opened), high=exact(high), low=exact(low), close=exact(close)
        )
        self._actor.tell(f"pair:{pair}", message)
