"""What waits for a trade's other orders to be gone: a new price, a further entry, a partial exit.

None of these is kept over a restart: what they came from is asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from engine.quotes import Priced
from engine.types import OrderType


@dataclass(frozen=True, slots=True)
class Replacement:
    """The order `of` makes room for one at `price`, for what it has not filled."""

    of: str
    price: Decimal
    priced: Priced | None = None


@dataclass(frozen=True, slots=True)
class Increase:
    """A further entry that is to be placed when the trade's other orders are gone; its capital is granted.

    `held` is what the position was when the strategy wanted it: once it is another, this is not wanted any more.
    """

    amount: Decimal
    price: Decimal
    kind: OrderType
    tag: str
    epoch: int
    held: Decimal
    priced: Priced | None = None


@dataclass(frozen=True, slots=True)
class Reduction:
    """A part of the position that is to be left; `held` as above."""

    amount: Decimal
    price: Decimal
    kind: OrderType
    tag: str
    held: Decimal
    priced: Priced | None = None
