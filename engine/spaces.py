"""What can be searched besides a strategy's own parameters: its ROI table, stop and trailing stop.

Ranges and forms are those that Freqtrade documents for its default spaces, so results can be compared.
A search moves along dimensions; `assign` turns the point it is at into values a strategy can hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from engine.parameters import PROTECTION, Dimension, Parameter
from engine.types import Millis

ROI, STOPLOSS, TRAILING = "roi", "stoploss", "trailing"
SETTINGS_SPACES: Final = (ROI, STOPLOSS, TRAILING)
_PREFIX: Final = "@"
"""Begins the names of our own dimensions: no strategy attribute can have it."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """A point of a search as a strategy takes it, and the same by space as the file of optimised values has it."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    by_space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OwnSpace:
    """A strategy's own range of one of its settings' spaces: the axes, and the settings that a point on them stands for."""

    dimensions: Sequence[Dimension]
    settings: Callable[[Mapping[str, Any]], Mapping[str, Any]]


OwnSpaces = Mapping[str, OwnSpace]
"""By space; those that are not there are ours."""
NO_SPACES: Final[OwnSpaces] = {}


def own_name(space: str, name: str) -> str:
    """What an axis of a strategy's own space is called in a search."""
    return f"{_PREFIX}{space}:{name}"


def spaces_of(parameters: Mapping[str, Parameter]) -> list[str]:
    """The spaces that a strategy can be searched in: those of its parameters, then its settings'."""
    own = dict.fromkeys(p.space for p in parameters.values() if p.optimize and p.space)
    return [*own, *SETTINGS_SPACES]


def dimensions(
    parameters: Mapping[str, Parameter], spaces: Sequence[str], timeframe_ms: Millis, own_spaces: OwnSpaces = NO_SPACES
) -> list[Dimension]:
    """The axes of a search in these spaces; a space without any axis adds none."""
    own = [p.dimension() for p in parameters.values() if p.optimize and p.space in spaces]
    ours = {ROI: _roi(timeframe_ms), STOPLOSS: [_STOPLOSS], TRAILING: _TRAILING}
    ours |= {space: list(given.dimensions) for space, given in own_spaces.items()}
    return own + [dimension for space in SETTINGS_SPACES if space in spaces for dimension in ours[space]]


def assign(
    point: Mapping[str, Any], parameters: Mapping[str, Parameter], own_spaces: OwnSpaces = NO_SPACES
) -> Assigned:
    """The values that a point of a search stands for."""
    own = {name: value for name, value in point.items() if not name.startswith(_PREFIX)}
    by_space: dict[str, dict[str, Any]] = {}
    for name, value in own.items():
        by_space.setdefault(parameters[name].space, {})[name] = value
    settings: dict[str, Any] = {}
    if "@roi_t1" in point:
        settings["minimal_roi"] = by_space[ROI] = _roi_table(point)
    if "@stoploss" in point:
        settings |= by_space.setdefault(STOPLOSS, {"stoploss": point["@stoploss"]})
    if "@trailing_stop_positive" in point:
        settings |= by_space.setdefault(TRAILING, _trailing(point))
    for space, given in own_spaces.items():
        begins = own_name(space, "")
        values = {name.removeprefix(begins): value for name, value in point.items() if name.startswith(begins)}
        if values:
            by_space[space] = dict(given.settings(values))
            settings |= {"minimal_roi": by_space[space]} if space == ROI else by_space[space]
    return Assigned(own, settings, by_space)


def needs_judging(name: str, parameters: Mapping[str, Parameter]) -> bool:
    """Whether another value of this dimension may change signals, so that the candles must be judged again."""
    return not name.startswith(_PREFIX) and parameters[name].space != PROTECTION


# ---------------------------------------------------------------- the settings' spaces


def _real(name: str, space: str, low: float, high: float, default: float) -> Dimension:
    return Dimension(name=name, space=space, kind="float", low=low, high=high, step=0.001, default=default)


_STOPLOSS: Final = _real("@stoploss", STOPLOSS, -0.35, -0.02, -0.1)
_TRAILING: Final = [
    _real("@trailing_stop_positive", TRAILING, 0.01, 0.35, 0.05),
    _real("@trailing_stop_positive_offset_p1", TRAILING, 0.001, 0.1, 0.01),
    Dimension(
        name="@trailing_only_offset_is_reached", space=TRAILING, kind="choice", choices=(True, False), default=True
    ),
]


def _trailing(point: Mapping[str, Any]) -> dict[str, Any]:
    """The offset is searched as what it is above the distance: below it, it would mean nothing."""
    positive = point["@trailing_stop_positive"]
    return {
        "trailing_stop": True,
        "trailing_stop_positive": positive,
        "trailing_stop_positive_offset": round(positive + point["@trailing_stop_positive_offset_p1"], 3),
        "trailing_only_offset_is_reached": point["@trailing_only_offset_is_reached"],
    }


def _roi(timeframe_ms: Millis) -> list[Dimension]:
    """Four steps: times grow with the timeframe, profits with its logarithm; 5m is the measure of both."""
    minutes = timeframe_ms / 60_000
    longer, larger = minutes / 5, math.log1p(minutes) / math.log1p(5)

    def times(name: str, high: int) -> Dimension:
        low = max(1, round(10 * longer))
        top = max(low + 1, round(high * longer))
        return Dimension(name=name, space=ROI, kind="int", low=low, high=top, default=(low + top) // 2)

    def profits(name: str, high: float) -> Dimension:
        low, top = round(0.01 * larger, 3), round(high * larger, 3)
        return _real(name, ROI, low, top, round((low + top) / 2, 3))

    return [
        times("@roi_t1", 120),
        times("@roi_t2", 60),
        times("@roi_t3", 40),
        profits("@roi_p1", 0.04),
        profits("@roi_p2", 0.07),
        profits("@roi_p3", 0.20),
    ]


def _roi_table(point: Mapping[str, Any]) -> dict[str, float]:
    """From high to nothing: all three profits at once, then one less after each time."""
    t1, t2, t3 = (point[f"@roi_t{n}"] for n in (1, 2, 3))
    p1, p2, p3 = (point[f"@roi_p{n}"] for n in (1, 2, 3))
    return {
        "0": round(p1 + p2 + p3, 3),
        str(t3): round(p1 + p2, 3),
        str(t3 + t2): round(p1, 3),
        str(t3 + t2 + t1): 0.0,
    }
