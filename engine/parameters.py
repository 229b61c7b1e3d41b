"""Values of a strategy that may be searched for: what they are, where they may lie, what they are now.

    class Mine(Strategy):
        fast = IntParameter(5, 20, default=9, space="buy")
        ...  talib.EMA(candles.close, self.fast.value)

The names and their meaning are Freqtrade's, so a strategy reads alike in both. A parameter outside a
search is simply its value: the config's `[strategy.parameters]`, else the optimised values beside the
strategy's file, else the default.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

BUY, SELL, PROTECTION = "buy", "sell", "protection"
SPACES: Final = {"buy": BUY, "enter": BUY, "entry": BUY, "sell": SELL, "exit": SELL, "protection": PROTECTION}
"""Prefixes of a parameter's name that say its space where it names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One axis of a search. `default` is what counts now; `kind` is int, float or choice; floats lie on multiples of `step` from `low` if there is one."""

    name: str
    space: str
    kind: str
    default: Any
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    choices: tuple[Any, ...] = ()


class Parameter:
    """What all parameters have. `value` is the one that counts now; `range` all that is to be computed ahead.

    `optimize=False` keeps it out of searches, `load=False` keeps it from being read from the file of
    optimised values.
    """

    def __init__(self, *, default: Any, space: str | None = None, optimize: bool = True, load: bool = True) -> None:
        self.name = ""
        self.space = space or ""
        self.default = default
        self.value = default
        self.optimize = optimize
        self.load = load

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        if not self.space:
            self.space = SPACES.get(name.partition("_")[0], "")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"

    @property
    def range(self) -> Sequence[Any]:
        """The values that indicators are computed for: here only the one that counts, in searches too.

        Every trial judges afresh, so nothing needs to be computed for values that are not tried.
        """
        return [self.value]

    def with_value(self, value: Any) -> Self:
        """The same parameter at another value.

        Raises:
            ValueError: no such value can be, as a sentence.
        """
        twin = copy.copy(self)
        twin.value = self.checked(value)
        return twin

    def checked(self, value: Any) -> Any:
        """`value` as this parameter holds it; ValueError says what it must be."""
        raise NotImplementedError

    def dimension(self) -> Dimension:
        """Where it may lie."""
        raise NotImplementedError


class _Number(Parameter):
    def __init__(self, low: Any, high: Any = None, *, default: Any, **others: Any) -> None:
        """`low` and `high` are inclusive; both may be given as one pair."""
        if high is None:
            low, high = low
        if not low <= default <= high:
            raise ValueError(f"default {default} must lie between {low} and {high}")
        super().__init__(default=default, **others)
        self.low, self.high = low, high

    def checked(self, value: Any) -> Any:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number:
            raise ValueError(f"{self.name} is {value!r}; it must be a number")
        return value


class IntParameter(_Number):
    """A whole number from `low` to `high`."""

    def checked(self, value: Any) -> int:
        """As for all; a float must be whole."""
        number = super().checked(value)
        if number != int(number):
            raise ValueError(f"{self.name} is {value!r}; it must be a whole number")
        return int(number)

    def dimension(self) -> Dimension:
        """Every whole number of the range."""
        return Dimension(name=self.name, space=self.space, kind="int", default=self.value, low=self.low, high=self.high)


class RealParameter(_Number):
    """Any number from `low` to `high`."""

    def dimension(self) -> Dimension:
        """The whole range."""
        return Dimension(
            name=self.name, space=self.space, kind="float", default=self.value, low=self.low, high=self.high
        )


class DecimalParameter(_Number):
    """A number from `low` to `high` with so many `decimals`: far fewer values to search than all."""

    def __init__(self, low: Any, high: Any = None, *, default: Any, decimals: int = 3, **others: Any) -> None:
        """`decimals` are the digits after the point; the default is rounded to them, too."""
        super().__init__(low, high, default=round(default, decimals), **others)
        self.decimals = decimals

    def checked(self, value: Any) -> float:
        """As for all, rounded."""
        return round(float(super().checked(value)), self.decimals)

    def dimension(self) -> Dimension:
        """The multiples of the last decimal."""
        return Dimension(
            name=self.name,
            space=self.space,
            kind="float",
            default=self.value,
            low=round(self.low, self.decimals),
            high=round(self.high, self.decimals),
            step=10.0**-self.decimals,
        )


class CategoricalParameter(Parameter):
    """One of several values."""

    def __init__(self, categories: Iterable[Any], *, default: Any = None, **others: Any) -> None:
        """Without a default it is the first."""
        choices = tuple(categories)
        if len(choices) < 2:
            raise ValueError("a choice needs at least two values")
        super().__init__(default=choices[0] if default is None else default, **others)
        if self.default not in choices:
            raise ValueError(f"default {default!r} must be one of {list(choices)}")
        self.categories = choices

    def checked(self, value: Any) -> Any:
        """One of the choices, as the choice itself."""
        for choice in self.categories:
            if choice == value and isinstance(choice, bool) == isinstance(value, bool):
                return choice
        raise ValueError(f"{self.name} is {value!r}; it must be one of {list(self.categories)}")

    def dimension(self) -> Dimension:
        """Each of the choices."""
        return Dimension(name=self.name, space=self.space, kind="choice", default=self.value, choices=self.categories)


class BooleanParameter(CategoricalParameter):
    """True or False."""

    def __init__(self, *, default: Any = None, **others: Any) -> None:
        super().__init__((True, False), default=default, **others)


def parameters_of(strategy: object) -> dict[str, Parameter]:
    """A strategy's parameters by name, in the order they are written; those of its bases first."""
    names = {name for cls in reversed(_lineage(strategy)) for name in vars(cls)} | set(vars(strategy))
    ordered = [name for cls in reversed(_lineage(strategy)) for name in vars(cls)]
    ordered += sorted(names.difference(ordered))
    found = {name: getattr(strategy, name, None) for name in dict.fromkeys(ordered)}
    return {name: value for name, value in found.items() if isinstance(value, Parameter)}


def _lineage(strategy: object) -> tuple[type, ...]:
    return type(strategy).__mro__[:-1]


def set_values(strategy: object, values: Mapping[str, Any]) -> None:
    """Give a strategy's attributes these values; one that is a parameter keeps being one.

    Raises:
        ValueError: a parameter cannot have its value, as a sentence.
    """
    for name, value in values.items():
        held = getattr(strategy, name, None)
        setattr(strategy, name, held.with_value(value) if isinstance(held, Parameter) else value)
