"""The price step that candles show, month by month: what a market's step was when they were recorded."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.candles import Candles, Floats
from engine.types import Millis

_SIGNIFICANT: Final = 14  # digits of a float that are the price's; those behind are the binary's

SAMPLE: Final = 50
"""Rows of a month that are counted digit by digit; of the others those that may have more decimals."""


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
    first, last = (candles.ts[[0, -1]]).astype("datetime64[ms]").astype("datetime64[M]")
    months = np.arange(first, last + 2).astype("datetime64[ms]").astype(np.int64)
    ends = np.searchsorted(candles.ts, months)
    columns = (candles.open, candles.high, candles.low, candles.close)
    return tuple(
        (month, Decimal(1).scaleb(-max(_most_decimals(prices[start:end]) for prices in columns)))
        for month, start, end in zip(months[:-1].tolist(), ends[:-1].tolist(), ends[1:].tolist(), strict=True)
        if start < end
    )


def _most_decimals(prices: Floats) -> int:
    """The most decimals that one of these has."""
    most = int(decimals(prices[:SAMPLE]).max())
    # A number so near to a whole one as 4e-15 of it has, of its 14 digits, none behind the point that is not 0.
    steps = prices * 10.0**most
    away = np.rint(steps)
    away -= steps
    np.abs(away, out=away)
    steps *= 4e-15
    more = decimals(prices[away > steps])
    return max(most, int(more.max())) if len(more) else most
