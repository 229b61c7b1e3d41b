"""Choosing points by a tree-structured Parzen estimator, fitted once for a batch of trials.

Where good trials lie close together and others do not, the next is tried (Bergstra et al., "Algorithms for
Hyper-Parameter Optimization", 2011). Optuna's sampler of this kind fits anew for each trial and dimension, which
takes longer than a trial does here; this one takes a millisecond or two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from engine.candles import Floats
from engine.parameters import Dimension

GOOD_SHARE: Final = 0.1
GOOD_MOST: Final = 25
CANDIDATES: Final = 24
"""Points that are drawn near the good ones for each that is chosen."""
_ROUND: Final = 10

Told = Sequence[tuple[Mapping[str, Any], float | None]]
"""Points that were tried and their losses, None where there was none."""


def random_point(dimensions: Sequence[Dimension], rng: np.random.Generator) -> dict[str, Any]:
    """A point anywhere."""
    return {d.name: _value(d, float(rng.random())) for d in dimensions}


class Parzen:
    """What was told, ready to choose from."""

    def __init__(self, dimensions: Sequence[Dimension], told: Told) -> None:
        ordered = sorted(told, key=lambda one: math.inf if one[1] is None else one[1])
        good = min(math.ceil(len(ordered) * GOOD_SHARE), GOOD_MOST)
        self._dimensions = dimensions
        self._good = [_Density(d, [point[d.name] for point, _ in ordered[:good]]) for d in dimensions]
        self._rest = [_Density(d, [point[d.name] for point, _ in ordered[good:]]) for d in dimensions]

    def point(self, rng: np.random.Generator) -> dict[str, Any]:
        """The next point to try; another generator, another point."""
        found = {}
        for dimension, good, rest in zip(self._dimensions, self._good, self._rest, strict=True):
            drawn = good.draw(rng)
            best = int(np.argmax(good.at(drawn) / rest.at(drawn)))
            found[dimension.name] = _value(dimension, float(drawn[best]))
        return found


class _Density:
    """How densely values lie along one dimension, whose range is 0 to 1; one value more lies everywhere alike."""

    def __init__(self, dimension: Dimension, values: Sequence[Any]) -> None:
        self._cells = len(dimension.choices)
        places = np.sort([_place(dimension, value) for value in values])
        if self._cells:
            counts = np.bincount((places * self._cells).astype(int), minlength=self._cells)
            self._shares = (counts + 1 / self._cells) / (len(places) + 1)
            return
        # A value spreads as far as its farther neighbour, so lonely ones leave room around them.
        edges = np.concatenate([[0.0], places, [1.0]])
        gaps = np.diff(edges)
        widths = np.maximum(gaps[:-1], gaps[1:])
        self._places, self._widths = places, np.clip(widths, 1 / min(100, len(places) + 2), 1.0)

    def draw(self, rng: np.random.Generator) -> Floats:
        """Candidates that lie as the values do."""
        if self._cells:
            return (rng.choice(self._cells, CANDIDATES, p=self._shares) + 0.5) / self._cells
        anywhere = rng.random(CANDIDATES)
        which = rng.integers(0, len(self._places) + 1, CANDIDATES)
        spread = rng.standard_normal(CANDIDATES)
        near = np.minimum(which, len(self._places) - 1)
        around = self._places[near] + self._widths[near] * spread
        return np.where(which == len(self._places), anywhere, _folded(around))

    def at(self, places: Floats) -> Floats:
        """The density there."""
        if self._cells:
            found: Floats = self._shares[(places * self._cells).astype(int)]
            return found
        total = np.ones(len(places))
        for images in (self._places, -self._places, 2 - self._places):  # what is folded back at the ends
            away = (places[:, None] - images) / self._widths
            total += (np.exp(-0.5 * away * away) / (self._widths * math.sqrt(2 * math.pi))).sum(axis=1)
        return total / (len(self._places) + 1)


def _folded(places: Floats) -> Floats:
    """Places outside of 0 to 1 mirrored back into it."""
    turned = np.abs(places) % 2
    return np.minimum(np.where(turned > 1, 2 - turned, turned), np.nextafter(1, 0))


def _count(dimension: Dimension) -> int:
    """How many values there are; 0 where they have no step."""
    if dimension.choices:
        return len(dimension.choices)
    step = 1 if dimension.kind == "int" else dimension.step
    return round((dimension.high - dimension.low) / step) + 1 if step else 0


def _value(dimension: Dimension, place: float) -> Any:
    """What lies at a place from 0 to 1."""
    count = _count(dimension)
    if not count:
        return dimension.low + place * (dimension.high - dimension.low)
    number = min(int(place * count), count - 1)
    if dimension.choices:
        return dimension.choices[number]
    if dimension.kind == "int":
        return int(dimension.low) + number
    return round(dimension.low + number * (dimension.step or 0.0), _ROUND)


def _place(dimension: Dimension, value: Any) -> float:
    """Where a value lies, from 0 to 1."""
    if dimension.choices:
        return (dimension.choices.index(value) + 0.5) / len(dimension.choices)
    count, width = _count(dimension), (dimension.high - dimension.low) or 1.0
    share = float((value - dimension.low) / width)
    return (share * (count - 1) + 0.5) / count if count else share


def inside(dimension: Dimension) -> Any:
    """The value it has now, or the nearest that can be searched."""
    value = dimension.default
    if dimension.choices:
        return value if value in dimension.choices else dimension.choices[0]
    return min(max(value, dimension.low), dimension.high)
