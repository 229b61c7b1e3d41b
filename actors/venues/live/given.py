"""What a user gives ccxt's constructor: kinds of values, and settings that would have it repeat orders."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.errors import Problem


def repeating(options: Mapping[str, Any], where: str) -> list[Problem]:
    """The settings, however deep, by which ccxt would repeat requests by itself."""
    found = []
    for key, value in options.items():
        if key in ("maxRetriesOnFailure", "defaultMaxRetriesOnFailure"):
            why = "ccxt would send an order again whose first answer was lost, and it could be filled twice"
            found.append(Problem(f"{where}.{key}", f"{value}", why, "Leave it out: what may be asked again is"))
        elif isinstance(value, Mapping):
            found += repeating(value, f"{where}.{key}")
    return found


def kind_of(value: Any) -> str:
    """What a value is, in a word for users; all that TOML has no other word for is a text."""
    kinds = (
        (bool, "true or false"),
        (int | float | Decimal, "a number"),
        (Mapping, "a table"),
        (list | tuple, "a list"),
    )
    return next((word for kind, word in kinds if isinstance(value, kind)), "a text")
