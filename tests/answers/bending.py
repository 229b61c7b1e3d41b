"""Answers gone wrong: one value somewhere in a well-formed answer missing, null, of another kind, or beyond all measure."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any, Final

GONE: Final = object()

ODD: Final[tuple[Any, ...]] = (
    GONE, None, "", 0, -1, "-3.5", "NaN", "Infinity", "-inf", "1e999", "1e-999", "9" * 5_000, "nonsense", True, [], {}, [None],
    {"data": None}, 4_102_444_800_000_000, "HALF_DONE",
)  # fmt: skip
"""What a value may turn into. JSON has no NaN and no infinity; as text they come."""


def places(told: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in an answer, the answer itself first."""
    yield path
    inner = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    for name, one in inner:
        yield from places(one, (*path, name))


def bent(told: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The answer with another value at one place; `GONE` takes it out."""
    if not path:
        return None if value is GONE else value
    made = copy.deepcopy(told)
    inner = made
    for name in path[:-1]:
        inner = inner[name]
    if value is not GONE:
        inner[path[-1]] = value
    elif isinstance(inner, dict):
        del inner[path[-1]]
    else:
        inner.pop(path[-1])
    return made


def all_bent(told: Any, chance: random.Random, count: int) -> Iterator[tuple[str, Any]]:
    """So many answers that are wrong at one place, and doubled rows; each with what was done to it."""
    ways = [(path, value) for path in places(told) for value in ODD]
    for path, value in chance.sample(ways, min(count, len(ways))):
        shown = "gone" if value is GONE else repr(value)[:20]
        yield f"{'.'.join(map(str, path)) or 'all'} = {shown}", bent(told, path, value)
