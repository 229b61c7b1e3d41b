"""What a user gives ccxt's constructor: kinds of values, and settings that would have it repeat orders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from engine.errors import Problem

SANDBOX: Final = ("sandbox", "testnet")
"""What ccxt takes for a wish for the exchange's test network."""

_LIKE_SANDBOX: Final = frozenset(
    {
        "sandbox",
        "sandboxmode",
        "setsandboxmode",
        "issandboxmodeenabled",
        "testnet",
        "test",
        "testmode",
        "demo",
        "demomode",
    }
)


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


def untested(options: Mapping[str, Any], where: str) -> list[Problem]:
    """The settings that look as if they led to a test network, and do not: ccxt goes by `sandbox` and `testnet` only."""
    found = []
    for key, value in options.items():
        if re.sub("[^a-z]", "", key.lower()) in _LIKE_SANDBOX and key not in SANDBOX:
            why = "it leads to no test network: orders would be real"
            cure = "Write sandbox = true in its place, where the exchange has a test network"
            found.append(Problem(f"{where}.{key}", f"{value}".lower(), why, cure))
        elif isinstance(value, Mapping) and key != "urls":
            found += untested(value, f"{where}.{key}")
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
