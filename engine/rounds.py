"""Rounds: capital goes by the stated order, never to the fastest thread.

When a candle has closed, the judges say which pairs wish to enter. The round is granted when all those
have asked or passed, or when its deadline is over; then in the order of the pairs, or of the
strategy's score. Whoever is late has a round of its own. Pure: it is told, and says what to grant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from engine.messages import PassTurn, ReserveCapital, RoundJudged
from engine.types import Millis

KEPT = 4
"""Rounds remembered: whoever asks for an older one is late, and asks alone."""


@dataclass(slots=True)
class _Round:
    judges: set[str] = field(default_factory=set)
    wishes: set[str] = field(default_factory=set)
    asked: dict[str, ReserveCapital] = field(default_factory=dict)
    passed: set[str] = field(default_factory=set)
    granted: bool = False


@dataclass(frozen=True, slots=True)
class Granting:
    """A round that is ready: who asked, in order; who was waited for in vain; whether time was over."""

    ts: Millis
    asks: tuple[ReserveCapital, ...]
    missing: tuple[str, ...] = ()


class Rounds:
    """The rounds of the newest candles. `judges` must all report; `order` is that of the pairs."""

    def __init__(self, judges: Iterable[str], order: Mapping[str, int], *, by_score: bool = False) -> None:
        self._judges = frozenset(judges)
        self._order = order
        self._by_score = by_score
        self._rounds: dict[Millis, _Round] = {}

    def judged(self, message: RoundJudged) -> Granting | None:
        """A judge has reported."""
        current = self._at(message.ts)
        current.judges.add(message.judge)
        current.wishes.update(message.wishes)
        return self._if_complete(message.ts, current)

    def asked(self, ask: ReserveCapital) -> Granting | None:
        """A pair asks; alone when its round is over, or it is no matter of rounds."""
        current = self._rounds.get(ask.round_ts)
        if ask.adding or ask.forced or (current is not None and current.granted):
            return Granting(ask.round_ts, (ask,))
        current = self._at(ask.round_ts)
        if current.granted:
            return Granting(ask.round_ts, (ask,))
        current.asked[ask.pair] = ask
        return self._if_complete(ask.round_ts, current)

    def passed(self, message: PassTurn) -> Granting | None:
        """A pair that was expected does not ask."""
        current = self._at(message.round_ts)
        current.passed.add(message.pair)
        return self._if_complete(message.round_ts, current)

    def over(self, ts: Millis) -> Granting | None:
        """The round's time is over: grant to those present."""
        current = self._rounds.get(ts)
        return None if current is None or current.granted else self._grant(ts, current)

    def waiting(self) -> list[Millis]:
        """The rounds that are not granted yet."""
        return [ts for ts, current in self._rounds.items() if not current.granted]

    def _at(self, ts: Millis) -> _Round:
        current = self._rounds.get(ts)
        if current is None:
            current = self._rounds[ts] = _Round()
            if len(self._rounds) > KEPT:
                oldest = min(self._rounds)
                if oldest == ts:
                    current.granted = True
                if self._rounds[oldest].granted or not self._rounds[oldest].asked:
                    del self._rounds[oldest]
        return current

    def _if_complete(self, ts: Millis, current: _Round) -> Granting | None:
        if current.granted or current.judges < self._judges:
            return None
        if not current.wishes <= current.asked.keys() | current.passed:
            return None
        return self._grant(ts, current)

    def _grant(self, ts: Millis, current: _Round) -> Granting:
        current.granted = True
        asks = sorted(current.asked.values(), key=lambda a: self._order.get(a.pair, len(self._order)))
        if self._by_score:
            asks.sort(key=lambda a: -a.score)
        missing = sorted(current.wishes - current.asked.keys() - current.passed)
        return Granting(ts, tuple(asks), tuple(missing))
