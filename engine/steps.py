"""The market's rounding of whole arrays of prices and amounts: equal to that of `engine.market`, digit for digit.

A double stands here for the decimal it is written as (`engine.types.exact`), and a step is one of 1, 0.1,
0.01, …, given as its inverse, `scale`. The nearest double of a number of steps is that number divided by the
scale, which one correctly rounded division gives; and doubles are in the order of what they are written as.
So the right number of steps is found by comparing doubles, and no product's noise decides a tie.
It holds while numbers have no more than 15 digits, which `fits` checks.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.candles import Floats

DIGITS_MAX: Final = 1e14
"""From this number of steps on, halves of steps have more digits than a double keeps apart."""

_SCALES: Final = {Decimal(1).scaleb(-places): 10.0**places for places in range(16)}


def scale_of(step: Decimal) -> float | None:
    """How many steps are in 1; None where `step` is none of 1, 0.1, … 1e-15."""
    return _SCALES.get(step.normalize())


def fits(values: Floats, scale: float | Floats) -> bool:
    """Whether all values, which are positive, have few enough digits for the functions below."""
    return not len(values) or bool((values * scale).max() < DIGITS_MAX)


def nearest(values: Floats, scale: float | Floats) -> Floats:
    """The number of steps nearest to each positive value, halves up: `Market.round_price`."""
    steps = np.rint(values * scale)
    steps -= values < (2.0 * steps - 1.0) / (2.0 * scale)
    steps += values >= (2.0 * steps + 1.0) / (2.0 * scale)
    return steps


def at_or_above(values: Floats, scale: float | Floats) -> Floats:
    """The least number of steps that is not under each value: `Market.round_price_up`."""
    steps: npt.NDArray[np.float64] = np.rint(values * scale)
    steps += steps / scale < values
    return steps


def at_or_below(values: Floats, scale: float | Floats) -> Floats:
    """The largest number of steps that is not over each value: `round_price_down`, `truncate_amount`."""
    steps: npt.NDArray[np.float64] = np.rint(values * scale)
    steps -= steps / scale > values
    return steps
