"""A dictionary that knows the sums over its values: hundreds of pairs are not added up for every question."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar

from engine.types import ZERO

V = TypeVar("V")

EXACT: Final = decimal.Context(prec=400)
"""Wide enough that adding and taking off again leaves nothing behind."""


class Summed(dict[str, V], Generic[V]):
    """Values by pair; `total(n)` is the sum of the n-th of the functions given, without going through them."""

    __slots__ = ("_of", "_totals")

    def __init__(self, *of: Callable[[V], Decimal]) -> None:
        super().__init__()
        self._of = of
        self._totals = [ZERO] * len(of)

    def total(self, number: int = 0) -> Decimal:
        """The sum, rounded once, as the calling thread's context says."""
        return +self._totals[number]

    def __setitem__(self, key: str, value: V) -> None:
        self._take_off(key)
        self._totals = [EXACT.add(t, of(value)) for t, of in zip(self._totals, self._of, strict=True)]
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self._take_off(key)
        super().__delitem__(key)

    def pop(self, key: str, default: Any = None) -> Any:
        """Take a value out; `default` when it is not there."""
        self._take_off(key)
        return super().pop(key, default)

    def _take_off(self, key: str) -> None:
        before = self.get(key)
        if before is not None:
            self._totals = [EXACT.subtract(t, of(before)) for t, of in zip(self._totals, self._of, strict=True)]
