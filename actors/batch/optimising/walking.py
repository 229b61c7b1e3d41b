"""Walk-forward: search in one stretch of time, trade the next with what was found, and move on.

Only the stretches that no search has seen say what a way of searching is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actors.batch.optimising.laboratory import Laboratory, Outcome
from engine.errors import DataError
from engine.types import Millis

Find = Callable[[Laboratory, str], tuple[Mapping[str, Any], Outcome] | None]
"""Searches in a laboratory, in a study of this name: the best point and its outcome."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where a search looks, [start, middle), and where its find is tried, [middle, end)."""

    start: Millis
    middle: Millis
    end: Millis


@dataclass(frozen=True, slots=True)
class Walked:
    """One step: what was found, how it did where it was found, and how in the time after."""

    stretch: Stretch
    point: Mapping[str, Any]
    searched: Outcome
    tried: Outcome


def stretches(first: Millis, last: Millis, train: Millis, test: Millis) -> list[Stretch]:
    """Stretches over [first, last), whose tests follow one another without a gap.

    Raises:
        DataError: the time is too short for one.
    """
    if first + train + test > last:
        days = (last - first) / 86_400_000
        raise DataError(
            f"The candles cover {days:.1f} days, and one step of --walk-forward needs "
            f"{(train + test) / 86_400_000:.1f}; ask for shorter stretches, or give more data."
        )
    found, start = [], first
    while start + train + test <= last:
        found.append(Stretch(start, start + train, start + train + test))
        start += test
    return found


def walk_forward(laboratory: Laboratory, steps: Sequence[Stretch], find: Find) -> Iterator[Walked]:
    """Each step as it is done; one in which nothing could be found is left out."""
    for number, step in enumerate(steps):
        found = find(laboratory.within(step.start, step.middle), f"step {number}")
        if found is not None:
            point, searched = found
            yield Walked(step, point, searched, laboratory.within(step.middle, step.end).run(point))
