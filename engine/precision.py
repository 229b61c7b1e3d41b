"""The price step that candles show, month by month: what a market's step was when they were recorded."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.candles import Candles, Floats
from engine.types import Millis

_SIGNIFICANT: Final = 14  # digits of a float that are the price's; those behind are the binary's


def decimals(values: Floats) -> npt.NDArray[np.int64]:
    """How many decimals each positive number is written with, of its 14 significant digits."""
    size = np.floor(np.log10(values)).astype(np.int64)
    digits = np.rint(values * 10.0 ** (_SIGNIFICANT - 1 - size)).astype(np.int64)
    zeros = np.zeros(len(values), np.int64)
    rest = np.flatnonzero(digits % 10 == 0)
    digits = digits[rest]
    while len(rest):
        digits = digits // 10
        zeros[rest] += 1
        more = digits % 10 == 0
        rest, digits = rest[more], digits[more]
    places: npt.NDArray[np.int64] = np.maximum(_SIGNIFICANT - 1 - size - zeros, 0)
    return places


def price_steps(candles: Candles) -> tuple[tuple[Millis, Decimal], ...]:
    """For each calendar month (UTC) with candles: its first millisecond and the price step in it.

    The step is ten to the minus the most decimals that an open, high, low or close of the month has
    (`semantics.md` 2.1.6); 1 where no price had any. Months are in order.
    """
    if not len(candles):
        return ()
    months = candles.ts.astype("datetime64[ms]").astype("datetime64[M]")
    starts = np.flatnonzero(np.concatenate([[True], months[1:] != months[:-1]]))
    most = np.zeros(len(starts), np.int64)
    for prices in (candles.open, candles.high, candles.low, candles.close):
        np.maximum(most, np.maximum.reduceat(decimals(prices), starts), out=most)
    firsts = months[starts].astype("datetime64[ms]").astype(np.int64).tolist()
    return tuple((first, Decimal(1).scaleb(-places)) for first, places in zip(firsts, most.tolist(), strict=True))
