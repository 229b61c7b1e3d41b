"""One pair's candles as they come: each passed on once, in order, without a hole, or refused with a reason.

Rules
    A missing candle is filled as soon as its time is over, so the strategy's window stays whole and the
    pair takes part in its round. Should it come later, it is a duplicate.
    After `stale_after` missing ones in a row the pair is stale: no more are made up, since nobody should
    trade on them. With the next real candle it is healed, and those between are filled first.
    A candle that may still come (`late`) is not made up: the pair waits, and is stale as soon.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from engine.candles import Candle
from engine.repair import DataFault, check_arrival, filler
from engine.types import Millis


class Taken(NamedTuple):
    """What to pass on, oldest first, and what was found wrong: (fault, the detail in words)."""

    candles: tuple[Candle, ...] = ()
    faults: tuple[tuple[DataFault, str], ...] = ()


NOTHING: Final = Taken()


class CandleStream:
    """The state of one pair's candles: the newest one's time and close, and how many are missing since."""

    __slots__ = ("close", "missed", "pair", "stale", "stale_after", "step_ms", "ts")

    def __init__(self, pair: str, step_ms: Millis, stale_after: int) -> None:
        self.pair = pair
        self.step_ms = step_ms
        self.stale_after = stale_after
        self.ts: Millis | None = None
        self.close: float | None = None
        self.missed = 0
        self.stale = False

    def start(self, ts: Millis | None, close: float | None) -> None:
        """Go on after the candle that opened at `ts`; None where the pair has had none yet."""
        self.ts, self.close, self.missed, self.stale = ts, close, 0, False

    def take(self, candle: Candle, newest_ts: Millis) -> Taken:
        """A candle has come; `newest_ts` is the open time of the newest one that can have closed."""
        if candle.ts > newest_ts:
            return Taken((), ((DataFault.ABSURD, f"a candle of {candle.ts} has not closed yet"),))
        arrival = check_arrival(candle, self.step_ms, self.ts, self.close)
        if not arrival.accepted:
            assert arrival.fault is not None
            return Taken((), ((arrival.fault, arrival.detail),))
        taken = self._accepted(candle, arrival.detail if arrival.fault is not None else "")
        self.ts, self.close, self.missed, self.stale = candle.ts, candle.close, 0, False
        return taken

    def missing(self, ts: Millis) -> Taken:
        """The candle that opened at `ts` should have come by now. Has it? If not, it is made up, or the pair is stale."""
        if self.stale or (self.ts is not None and self.ts >= ts):
            return NOTHING
        self.missed += 1
        if self.missed >= self.stale_after:
            return self._gone_stale()
        if self.ts is None:
            return NOTHING
        made = self._fillers(ts + self.step_ms)
        self.ts = ts
        return Taken(made, ((DataFault.GAP, f"{len(made)} missing up to {ts}"),))

    def late(self, ts: Millis) -> Taken:
        """The candle that opened at `ts` may still come, so none is made up; but a pair that waits long is stale."""
        if self.stale or (self.ts is not None and self.ts >= ts):
            return NOTHING
        self.missed += 1
        if self.missed < self.stale_after:
            return NOTHING
        return self._gone_stale()

    def _gone_stale(self) -> Taken:
        self.stale = True
        since = "ever" if self.ts is None else f"since the one of {self.ts}"
        return Taken((), ((DataFault.STALE, f"no candle {since}"),))

    def _accepted(self, candle: Candle, gap: str) -> Taken:
        faults = [(DataFault.GAP, gap)] if gap else []
        if self.stale:
            faults.append((DataFault.HEALED, f"candles come again from {candle.ts} on"))
        fillers = self._fillers(candle.ts) if gap else ()
        return Taken((*fillers, candle), tuple(faults))

    def _fillers(self, before: Millis) -> tuple[Candle, ...]:
        assert self.ts is not None
        if self.close is None:
            return ()
        return tuple(filler(ts, self.close) for ts in range(self.ts + self.step_ms, before, self.step_ms))
