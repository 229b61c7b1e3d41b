"""Candles, and the window of them that a strategy is handed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.types import Millis

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MINUTE: Millis = 60_000

_UNITS = {"s": 1_000, "m": MINUTE, "h": 60 * MINUTE, "d": 24 * 60 * MINUTE, "w": 7 * 24 * 60 * MINUTE}


def timeframe_ms(timeframe: str) -> Millis:
    """The length of a candle in milliseconds: `5m` is 300,000. Raises ValueError on anything else."""
    number, unit = timeframe[:-1], timeframe[-1:]
    if not number.isdigit() or int(number) == 0 or unit not in _UNITS:
        raise ValueError(f"{timeframe!r} is no timeframe; write a number and s, m, h, d or w, such as 5m")
    return int(number) * _UNITS[unit]


def timeframe_text(length_ms: Millis) -> str:
    """The timeframe of candles of `length_ms`, in the largest unit that fits: 300,000 is `5m`."""
    unit = next((unit for unit in "dhms" if length_ms % _UNITS[unit] == 0), None)
    if unit is None or length_ms <= 0:
        raise ValueError(f"candles of {length_ms} ms have no name; a timeframe is of whole seconds")
    return f"{length_ms // _UNITS[unit]}{unit}"


class Candle(NamedTuple):
    """One closed candle. `ts` is its *open* time; it covers [ts, ts + timeframe)."""

    ts: Millis
    open: float
    high: float
    low: float
    close: float
    volume: float


class Candles:
    """A run of candles of one pair as numpy columns, oldest first, without gaps.

    `ts` is int64 milliseconds, the others float64, all of one length and read-only. This is what a
    strategy's `signals(candles)` gets; it answers with arrays of the same length.
    """

    __slots__ = ("close", "high", "low", "open", "pair", "timeframe", "ts", "volume")

    def __init__(
        self,
        *,
        pair: str,
        timeframe: str,
        ts: npt.NDArray[np.int64],
        open: Floats,
        high: Floats,
        low: Floats,
        close: Floats,
        volume: Floats,
    ) -> None:
        self.pair = pair
        self.timeframe = timeframe
        self.ts = ts
        self.open = open
        self.high = high
        self.low = low
        self.close = close
        self.volume = volume

    def __len__(self) -> int:
        return len(self.ts)

    def __iter__(self) -> Iterator[Candle]:
        columns = (c.tolist() for c in (self.ts, self.open, self.high, self.low, self.close, self.volume))
        return (Candle(*row) for row in zip(*columns, strict=True))

    def __getitem__(self, part: slice) -> Candles:
        """The candles of a slice, as views of the same memory."""
        return Candles(
            pair=self.pair,
            timeframe=self.timeframe,
            ts=self.ts[part],
            open=self.open[part],
            high=self.high[part],
            low=self.low[part],
            close=self.close[part],
            volume=self.volume[part],
        )
