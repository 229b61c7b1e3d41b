"""Parameters that a Freqtrade strategy declares in its class, and the spaces they are searched in.

They are Tradepit's own parameters, more lenient where Freqtrade is: a default may lie outside its range,
and options of Freqtrade's optimiser are taken and not used. `freqtrade.optimize.space` and `skopt.space`
name the dimensions that old hyperopt files are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import parameters


class Dimension:
    """A range of values to search, called `name`."""

    def __init__(self, *, name: str | None = None, **_more: Any) -> None:
        self.name = name


class Categorical(Dimension):
    """Any of `categories`."""

    def __init__(self, categories: Sequence[Any], **more: Any) -> None:
        super().__init__(**more)
        self.categories = list(categories)


class Integer(Dimension):
    """Whole numbers from `low` to `high`, both included."""

    def __init__(self, low: int, high: int, **more: Any) -> None:
        super().__init__(**more)
        self.low, self.high = int(low), int(high)


class Real(Dimension):
    """Numbers from `low` to `high`."""

    def __init__(self, low: float, high: float, **more: Any) -> None:
        super().__init__(**more)
        self.low, self.high = low, high


class SKDecimal(Real):
    """Numbers of so many decimals from `low` to `high`."""

    def __init__(self, low: float, high: float, *, decimals: int = 3, **more: Any) -> None:
        super().__init__(low, high, **more)
        self.decimals = decimals


class _Lenient:
    """What Freqtrade's parameters have besides: the optimiser asks by these whether it is at work."""

    in_space = False
    can_optimize = False


class _Number(_Lenient):
    def __init__(
        self,
        low: Any,
        high: Any = None,
        *,
        default: Any,
        space: str | None = None,
        optimize: bool = True,
        load: bool = True,
        **more: Any,
    ) -> None:
        """`low` and `high` may be given as one pair; other options are Freqtrade's optimiser's, and not used."""
        if high is None:
            low, high = low
        decimals = {"decimals": more["decimals"]} if "decimals" in more else {}
        inside = min(max(default, low), high)
        super().__init__(low, high, default=inside, space=space, optimize=optimize, load=load, **decimals)  # type: ignore[call-arg]
        if inside != default:
            self.default = self.value = default


class IntParameter(_Number, parameters.IntParameter):
    """A whole number."""


class RealParameter(_Number, parameters.RealParameter):
    """A number, with no limit to its decimals."""


class DecimalParameter(_Number, parameters.DecimalParameter):
    """A number of `decimals` decimals."""


class CategoricalParameter(_Lenient, parameters.CategoricalParameter):
    """One of several values."""

    def __init__(
        self,
        categories: Sequence[Any],
        *,
        default: Any = None,
        space: str | None = None,
        optimize: bool = True,
        load: bool = True,
        **_more: Any,
    ) -> None:
        """Other options are Freqtrade's optimiser's, and not used."""
        known = default is None or default in categories
        super().__init__(categories, default=default if known else None, space=space, optimize=optimize, load=load)
        self.opt_range = list(categories)
        if not known:
            self.default = self.value = default

    def checked(self, value: Any) -> Any:
        """The value itself: Freqtrade takes from a file or a class what is not among the choices, too."""
        return value


class BooleanParameter(CategoricalParameter):
    """True or False."""

    def __init__(self, *, default: Any = None, **more: Any) -> None:
        super().__init__([True, False], default=default, **more)
