"""Pairs that an exchange does not trade for a while, or not any more; and those that it trades again.

A pair that is halted or gone takes no entries: it is locked at the portfolio, with the reason, for as long as it
lasts, and not longer. One that is gone is not asked about; when the exchange lists it again, it is followed again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engine.market import Market
from engine.messages import LockPair, Message, UnlockPair
from engine.types import Millis

LOCK_MS: Final = 10 * 60_000
"""A pair is locked for so long at a time, and locked anew before that is over: who forgets it does not lock it for ever."""

HALTED: Final = "halted"
DELISTED: Final = "delisted"


@dataclass(slots=True)
class _Stop:
    state: str
    why: str
    until: Millis


class Halts:
    """The pairs that are stopped. `say` has a message told to the portfolio, `fault` something recorded and told the user.

    `left` is called with a pair that is gone, `back` with one that is listed again.
    """

    def __init__(
        self,
        say: Callable[[Message], None],
        fault: Callable[[str, str, str], None],
        *,
        left: Callable[[str], None],
        back: Callable[[str], None],
    ) -> None:
        self._say = say
        self._fault = fault
        self._left = left
        self._back = back
        self._stopped: dict[str, _Stop] = {}

    def __contains__(self, pair: object) -> bool:
        return pair in self._stopped

    def states(self) -> dict[str, str]:
        """Each stopped pair, and how."""
        return {pair: stop.state for pair, stop in self._stopped.items()}

    def read(self, pairs: Sequence[str], markets: Mapping[str, Market], now: Millis) -> None:
        """The markets have been read: see which of `pairs` are halted, gone, or traded again."""
        for pair in pairs:
            market = markets.get(pair)
            state = DELISTED if market is None else "" if market.active else HALTED
            stop = self._stopped.get(pair)
            if stop is not None and stop.state != state:
                self._end(pair, stop, state)
                stop = None
            if state and stop is None:
                stop = self._stopped[pair] = self._begin(pair, state)
            if stop is not None and stop.until - now < LOCK_MS / 2:
                stop.until = now + LOCK_MS
                self._say(LockPair(pair=pair, side="*", until=stop.until, reason=stop.why))

    def _begin(self, pair: str, state: str) -> _Stop:
        why = f"the exchange has {'halted' if state == HALTED else 'no'} trading of {pair}"
        self._fault(pair, state, f"{why}: it takes no entries")
        if state == DELISTED:
            self._left(pair)
        return _Stop(state, why, 0)

    def _end(self, pair: str, stop: _Stop, state: str) -> None:
        del self._stopped[pair]
        self._say(UnlockPair(reason=stop.why))
        if stop.state == DELISTED:
            self._back(pair)
        if not state:
            self._fault(pair, "resumed", f"the exchange trades {pair} again")
