"""Prices at a distance, in doubles: one formula for the trade machine's single rates and for the arrays of plain trades.

`sign` is 1 for a long and -1 for a short; a distance is a ratio of the price, leverage taken off. All take a number or
an array and keep the reference's order of operations, so both give the same bits.
"""

from __future__ import annotations

from typing import Any


def against(rate: Any, distance: Any, sign: float) -> Any:
    """The price so far from `rate` that goes against the position: where a stop is."""
    return rate * (1 - sign * distance)


def armed_by_offset(start: Any, offset: float, near: float, sign: float) -> Any:
    """Where a stop is hit that the offset armed inside the candle that opened at `start`.

    The price went as far as the offset, which is *not* divided by the leverage, and back by `near` (`semantics.md` 2.4.6).
    """
    return start * (1 + sign * abs(offset) - sign * near)
