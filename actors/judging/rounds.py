"""The books of a judge: which candle is being judged, whose history is missing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.candles import Candle
from engine.types import Millis

HISTORY_CHUNK = 10_000


@dataclass(slots=True)
class Round:
    """The candles that closed at `ts`, on their way to being judged. `waiting` holds the places not judged yet."""

    ts: Millis
    candles: dict[int, Candle]
    started: float
    waiting: set[int]
    wishes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    judged: int = 0
    with_signal: int = 0

    def add(self, candles: Mapping[int, Candle], failed: Iterable[str]) -> None:
        """More candles of the same time have closed, of other pairs."""
        self.candles.update(candles)
        self.waiting.update(candles)
        self.failed.extend(failed)


class Histories:
    """Whose history is to be asked for, a few pairs at a time.

    The history of hundreds of pairs in one message would be tens of megabytes at once; in chunks it
    is a steady trickle.
    """

    def __init__(self, count: int) -> None:
        self._chunk = max(1, HISTORY_CHUNK // max(count, 1))
        self._later: list[int] = []
        self.asked: set[int] = set()

    def begin(self, places: Iterable[int]) -> None:
        """All of these are missing."""
        self._later = sorted(places, reverse=True)
        self.asked = set()

    def loaded(self, place: int) -> bool:
        """One has come; False if it was not asked for."""
        if place not in self.asked:
            return False
        self.asked.remove(place)
        return True

    def next(self) -> Sequence[int]:
        """The next places to ask for, once those asked for before have come; empty when there is nothing to ask."""
        if self.asked or not self._later:
            return ()
        self._later, chunk = self._later[: -self._chunk], self._later[: -self._chunk - 1 : -1]
        self.asked = set(chunk)
        return chunk

    @property
    def complete(self) -> bool:
        """Whether no history is missing."""
        return not self.asked and not self._later
