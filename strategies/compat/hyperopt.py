"""A strategy's own search ranges (its nested `class HyperOpt`), and the bases of old hyperopt files, which load."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.parameters import Dimension
from engine.strategy import OwnSpace
from strategies.compat import parameters as spaces

Settings = Callable[[Mapping[str, Any]], Mapping[str, Any]]

_SPACES: Final = {
    "roi": ("roi_space", "generate_roi_table"),
    "stoploss": ("stoploss_space", ""),
    "trailing": ("trailing_space", "generate_trailing_params"),
}
"""The hooks of each space: its dimensions, and what makes settings of a point."""


def own_spaces_of(strategy: Any) -> dict[str, OwnSpace]:
    """The spaces that a strategy's `HyperOpt` sets."""
    hooks = getattr(type(strategy), "HyperOpt", None)
    found = {}
    for space, (ranges, maker) in _SPACES.items():
        made = _hook(hooks, maker)
        if _hook(hooks, ranges) is None and made is None:
            continue
        given = _hook(hooks, ranges)
        if given is None:
            raise ValueError(f"HyperOpt has {maker}, and no {ranges} to say what it is asked with")
        dimensions = [_dimension(space, each, getattr(strategy, str(each.name), None)) for each in given()]
        settings = made if made is not None else _DEFAULTS[space]
        found[space] = OwnSpace(dimensions, _minutes_as_texts(settings) if space == "roi" else settings)
    return found


def _minutes_as_texts(made: Settings) -> Settings:
    """An ROI table as a strategy's file has it: its keys are texts."""
    return lambda point: {str(minute): float(profit) for minute, profit in made(point).items()}


def _hook(hooks: Any, name: str) -> Callable[..., Any] | None:
    """A method of `HyperOpt`, however it is written: with `self`, without, or static."""
    method = inspect.getattr_static(hooks, name, None) if hooks is not None and name else None
    if method is None:
        return None
    found: Callable[..., Any] = getattr(hooks, name)
    if isinstance(method, staticmethod | classmethod):
        return found
    takes_self = next(iter(inspect.signature(method).parameters), "") == "self"
    return getattr(hooks(), name) if takes_self else found


def _dimension(space: str, given: Any, now: Any) -> Dimension:
    """One axis; its default is what the strategy has now, where that lies on it."""
    name = f"@{space}:{given.name}"
    if isinstance(given, spaces.Categorical):
        choices = tuple(given.categories)
        return Dimension(
            name=name, space=space, kind="choice", choices=choices, default=now if now in choices else choices[0]
        )
    if not isinstance(given, spaces.Integer | spaces.Real):
        raise TypeError(f"{given!r} is no dimension that can be searched")
    low, high = given.low, given.high
    lies = isinstance(now, int | float) and not isinstance(now, bool) and low <= now <= high
    if isinstance(given, spaces.Integer):
        default = now if lies else (low + high) // 2
        return Dimension(name=name, space=space, kind="int", low=low, high=high, default=default)
    decimals = given.decimals if isinstance(given, spaces.SKDecimal) else None
    step = None if decimals is None else 10.0**-decimals
    middle = (low + high) / 2
    default = now if lies else middle if decimals is None else round(middle, decimals)
    return Dimension(name=name, space=space, kind="float", low=low, high=high, step=step, default=default)


def _roi_table(point: Mapping[str, Any]) -> dict[str, float]:
    """Freqtrade's own: all profits at once, then one less after each time."""
    times = [point[f"roi_t{number}"] for number in (3, 2, 1)]
    profits = [point[f"roi_p{number}"] for number in (1, 2, 3)]
    table = {"0": sum(profits)}
    for number in range(3):
        table[str(sum(times[: number + 1]))] = sum(profits[: 2 - number])
    return {minute: round(profit, 8) for minute, profit in table.items()}


def _trailing(point: Mapping[str, Any]) -> dict[str, Any]:
    """Freqtrade's own: the offset is given as what it is above the distance."""
    positive = point["trailing_stop_positive"]
    return {
        "trailing_stop": point["trailing_stop"],
        "trailing_stop_positive": positive,
        "trailing_stop_positive_offset": round(positive + point["trailing_stop_positive_offset_p1"], 8),
        "trailing_only_offset_is_reached": point["trailing_only_offset_is_reached"],
    }


_DEFAULTS: Final[dict[str, Settings]] = {
    "roi": _roi_table,
    "stoploss": dict,
    "trailing": _trailing,
}


class IHyperOpt:
    """Base of an old hyperopt class: spaces and generators of signals, which parameters in a strategy replace."""

    timeframe: str = ""
    ticker_interval: str = ""
    strategy: Any = None

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        self.config = config or {}


class IHyperOptLoss:
    """Base of a loss function: the lower its value, the better."""

    timeframe: str = ""
