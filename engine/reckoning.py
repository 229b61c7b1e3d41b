"""The money of many plain trades at once: profits, ratios and stakes as the doubles nearest to the exact decimals.

Computed in extended doubles, 64 bits of mantissa, from whole numbers of steps. Where a value lies so near to
a rounding's tie that their error could turn it, it is marked, and whoever asks computes that trade in decimals.
On machines without extended doubles all are marked.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np

from engine.candles import Bools, Floats

IS_EXTENDED: Final = np.finfo(np.longdouble).nmant >= 63
ERROR: Final = 2.0**-60
"""Sixteen times the rounding of one operation: more than those of a sum here can add up to."""
RATIO_ERROR: Final = 2.0**-61
"""Eight times: a ratio takes half as many."""


@dataclass(frozen=True, slots=True)
class Money:
    """Profit in the stake currency, profit ratio and stake of trades; `unsure` are those to be computed in decimals."""

    profit_abs: Floats
    profit_ratio: Floats
    stake: Floats
    unsure: Bools


def reckon(
    sides: Floats, lots: Floats, entry: Floats, exit: Floats, scales: Any, fee: Decimal, leverage: Decimal
) -> Money:
    """The money of trades of `lots` steps, entered and left at `entry` and `exit` steps of the price.

    `sides` is 1 for a long and -1 for a short; `scales` is how many products of both steps are in one coin.
    """
    extended = np.longdouble
    rate = extended(int(fee * 10**8)) / extended(10**8)
    times = extended(int(leverage * 10**8)) / extended(10**8)
    size = lots.astype(extended) / scales.astype(extended)
    cost, worth = size * entry, size * exit
    value = cost + sides * (cost * rate)
    gain = sides * (worth - sides * (worth * rate) - value)
    profit, unsure = _to_8(gain, np.maximum(cost, worth))
    stake, unsure_stake = _to_8(cost / times, cost)
    # Whole numbers as far as they are exact, so that few operations round: this one's ties are frequent.
    paid = lots.astype(extended) * entry * (10**8 + sides * int(fee * 10**8))
    precise: Any = np.rint(profit * 1e8) * scales.astype(extended) / paid * times
    ratio = precise.astype(np.float64)
    off = np.abs(precise - ratio) - np.spacing(np.abs(ratio)).astype(extended) / 2
    unsure |= unsure_stake | (np.abs(off) <= RATIO_ERROR * np.abs(precise))
    if not IS_EXTENDED:
        unsure[:] = True
    return Money(profit, ratio, stake, unsure)


def _to_8(values: Any, size: Any) -> tuple[Floats, Bools]:
    """Values to 8 digits, and which are too near to a tie, given the size of what they were computed of."""
    units = values * np.longdouble(10**8)
    room = ERROR * size.astype(np.float64) * 1e8 + 1e-9
    unsure: Bools = np.asarray(np.abs(units - np.floor(units) - 0.5) <= room)
    whole: Floats = np.rint(units).astype(np.float64)
    return whole / 1e8, unsure | (np.abs(whole) >= 2.0**53)
