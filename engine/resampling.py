"""Candles of a longer timeframe, made of shorter ones."""

from __future__ import annotations

import math
from typing import Final

from engine.candles import Candles, Floats, timeframe_ms

_DAY: Final = timeframe_ms("1d")


def resample(candles: Candles, timeframe: str) -> Candles:
    """Candles of `timeframe`: the first open, the highest high, the lowest low, the last close, the summed volume.

    Only whole ones: a first or last candle for which shorter ones are missing is left out, since it would
    be another candle than the exchange's.

    Raises:
        ValueError: `timeframe` is no whole multiple, at least two, of the candles' own; or longer than a
            day, as exchanges begin such candles on different days.
    """
    step, own = timeframe_ms(timeframe), timeframe_ms(candles.timeframe)
    parts, rest = divmod(step, own)
    if rest or parts < 2:
        raise ValueError(f"candles of {timeframe} cannot be made of {candles.timeframe}")
    if step > _DAY:
        raise ValueError(f"candles of {timeframe} are not made: exchanges begin them on different days")
    first = int(-candles.ts[0] % step // own) if len(candles) else 0
    whole = max(len(candles) - first, 0) // parts
    used = slice(first, first + whole * parts)

    def by_candle(column: Floats) -> Floats:
        return column[used].reshape(whole, parts)

    return Candles(
        pair=candles.pair,
        timeframe=timeframe,
        ts=candles.ts[used][::parts],
        open=by_candle(candles.open)[:, 0],
        high=by_candle(candles.high).max(axis=1, initial=-math.inf),
        low=by_candle(candles.low).min(axis=1, initial=math.inf),
        close=by_candle(candles.close)[:, -1],
        volume=by_candle(candles.volume).sum(axis=1),
    )
