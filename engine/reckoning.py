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
PLACES: Final = 18
"""The books keep fees to so many (`engine.ledger`)."""
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
    times = extended(int(leverage * 10**8)) / extended(10**8)
    wide = scales.astype(extended)
    cost, cost_fee, unsure = _with_fee(lots, entry, wide, fee)
    worth, worth_fee, unsure_exit = _with_fee(lots, exit, wide, fee)
    value = cost + sides * cost_fee
    gain = sides * (worth - sides * worth_fee - value)
    profit, unsure_profit = _to_8(gain, np.maximum(cost, worth))
    stake, unsure_stake = _to_8(cost / times, cost)
    precise: Any = np.rint(profit * 1e8) / extended(10**8) / value * times
    ratio = precise.astype(np.float64)
    off = np.abs(precise - ratio) - np.spacing(np.abs(ratio)).astype(extended) / 2
    unsure |= unsure_exit | unsure_profit | unsure_stake | (np.abs(off) <= RATIO_ERROR * np.abs(precise))
    if not IS_EXTENDED:
        unsure[:] = True
    return Money(profit, ratio, stake, unsure)


def _with_fee(lots: Floats, ticks: Floats, scales: Any, fee: Decimal) -> tuple[Any, Any, Bools]:
    """What `lots` cost at so many `ticks`, the fee of that, to 18 places as it is booked, and what is unsure of it."""
    unsure: Bools = lots * ticks >= 2.0**62
    products = np.where(unsure, 0, lots).astype(np.int64) * ticks.astype(np.int64)
    cost = products.astype(np.longdouble) / scales
    digits = fee.normalize()
    places = -int(digits.as_tuple().exponent)
    beyond = np.rint(np.log10(scales.astype(np.float64))).astype(np.int64) + max(places, 0) - PLACES
    if (beyond <= 0).all():
        return cost, cost * (np.longdouble(int(fee * 10**8)) / np.longdouble(10**8)), unsure
    rate = int(digits.scaleb(places)) if places > 0 else int(digits)
    unsure |= (lots * ticks * rate >= 2.0**62) | (beyond > 18)
    units = np.where(unsure, 0, products) * rate
    step = 10 ** np.clip(beyond, 0, 18)
    whole, rest = np.divmod(units, step)
    whole += (2 * rest > step) | ((2 * rest == step) & (whole % 2 == 1))
    booked = whole.astype(np.longdouble) / (np.longdouble(10) ** (PLACES + np.minimum(beyond, 0)))
    return cost, booked, unsure


def _to_8(values: Any, size: Any) -> tuple[Floats, Bools]:
    """Values to 8 digits, and which are too near to a tie, given the size of what they were computed of."""
    units = values * np.longdouble(10**8)
    room = ERROR * size.astype(np.float64) * 1e8 + 1e-9
    unsure: Bools = np.asarray(np.abs(units - np.floor(units) - 0.5) <= room)
    whole: Floats = np.rint(units).astype(np.float64)
    return whole / 1e8, unsure | (np.abs(whole) >= 2.0**53)
