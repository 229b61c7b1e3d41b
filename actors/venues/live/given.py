"""What a user gives ccxt's constructor: kinds of values, what would have it repeat orders, what is no test network."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from actors.venues.live.failure import sentence_of
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
            found.append(Problem(f"{where}.{key}", "", why, cure))  # never its value: it may hold a secret
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


def odd(name: str, base: Any, options: Mapping[str, Any]) -> list[Problem]:
    """What of a user's settings ccxt's class of this exchange, `base`, would take to no effect or to harm, or not at all."""
    plain = base()
    known = [key for key in dir(plain) if not key.startswith("_") and not callable(getattr(plain, key))]
    found = [*repeating(options, "exchange.options"), *untested(options, "exchange.options")]
    told = {problem.key for problem in found}
    for key, value in options.items():
        usual = False if key in SANDBOX else getattr(plain, key, None)
        if f"exchange.options.{key}" in told:
            continue
        why, cure = _no_good(key, value, plain)
        if why:
            found.append(Problem(f"exchange.options.{key}", f"{value}".lower(), f"{name} {why}", cure))
        elif key not in known and key not in SANDBOX:
            close = difflib.get_close_matches(key, known, n=1)
            cure = f"Did you mean {close[0]}?" if close else "Leave it out"
            found.append(Problem(f"exchange.options.{key}", "", f"ccxt has no such setting of {name}", cure))
        elif usual is not None and kind_of(value) != kind_of(usual):
            found.append(
                Problem(f"exchange.options.{key}", "", f"it must be {kind_of(usual)}", "Write one, or leave it out")
            )
    return found or _impossible(base, options)


def _no_good(key: str, value: Any, plain: Any) -> tuple[str, str]:
    """Why a setting that ccxt has is no good with this value, and what to do; empty where it is."""
    if key == "timeout" and isinstance(value, int | float | Decimal) and value <= 0:
        return "would be waited for without an end, or not at all", "Write milliseconds, such as 10000, or leave it out"
    if key in SANDBOX and value is True and not plain.urls.get("test"):
        return "has no test network", 'Leave it out: mode = "paper" trades at its prices without money'
    return "", ""


def _impossible(base: Any, options: Mapping[str, Any]) -> list[Problem]:
    try:
        base(dict(options))
    except Exception as error:  # noqa: BLE001 - whatever ccxt stumbles over is the user's to mend
        why = f"ccxt cannot take them ({sentence_of(error)})"
        return [Problem("exchange.options", "", why, "Look at them, or leave them out")]
    return []
