"""Whether an exchange can be reached: by how all requests fare, whoever makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.venues.live.failure import Failure, Verdict

OUTAGE_AFTER: Final = 3
"""So many requests in a row without an answer are an outage."""


class Health:
    """Hears of every request of a connection; `say` is told (`outage` or `reachable`, a sentence), once each."""

    def __init__(self) -> None:
        self.say: Callable[[str, str], None] = _nobody
        self._failures = 0

    @property
    def is_reachable(self) -> bool:
        """Whether the exchange has answered lately."""
        return self._failures < OUTAGE_AFTER

    def heard(self, failure: Failure | None) -> None:
        """What came of a request. One that the exchange has refused in words of its own shows that it is there."""
        if failure is None:
            was_reachable, self._failures = self.is_reachable, 0
            if not was_reachable:
                self.say("reachable", "the exchange can be reached again")
            return
        held_back = failure.verdict is Verdict.UNSENT and failure.code != "UNREACHABLE"
        if held_back or (failure.verdict in (Verdict.REFUSED, Verdict.SILENCE) and failure.code != "UNREACHABLE"):
            return
        self._failures += 1
        if self._failures == OUTAGE_AFTER:
            self.say("outage", f"the exchange cannot be reached; it is tried again: {failure.reason}")


def _nobody(kind: str, text: str) -> None:
    """Nobody wants to know yet."""
