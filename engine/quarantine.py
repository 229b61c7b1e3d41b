"""When a strategy is not listened to any more on a pair: after three failures in a row, until the run ends.

Judgements and callbacks are counted apart, since one may fail while the other is well. Judgements are
counted where they are made; a callback is the trade machine's question, so the machine counts its
answers, and a backtest, a replay and a live bot come to the same end. What is not the strategy's fault
(a worker that another pair's code has broken, a late answer) does not count.
"""

from __future__ import annotations

from typing import Final

from engine.actions import Alarm
from engine.denials import Denial
from engine.work import Work

STRIKES_MAX: Final = 3


class Strikes:
    """Counts failures in a row for each place, and who has had too many: they are not asked any more."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.quarantined: set[int] = set()

    def clear(self, place: int) -> None:
        """It went well."""
        self._counts.pop(place, None)

    def strike(self, place: int) -> bool:
        """It failed; True if that was once too often, which is told only once."""
        count = self._counts[place] = self._counts.get(place, 0) + 1
        if count < STRIKES_MAX or place in self.quarantined:
            return False
        self.quarantined.add(place)
        return True


def callback_failed(work: Work, reason: str) -> None:
    """A callback failed by the strategy's own fault; the third time in a row it is asked no more."""
    trade = work.trade
    trade.strikes += 1
    if trade.strikes >= STRIKES_MAX and not trade.quarantined:
        trade.quarantined = True
        work.decide("judgement", "failed", Denial.STRATEGY_QUARANTINED, reason)
        text = f"{trade.pair}: the strategy's callbacks failed three times in a row, it enters no more in this run: {reason}"
        work.do(Alarm("quarantined", text, "warning"))
