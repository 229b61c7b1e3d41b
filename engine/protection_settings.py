"""Checks protections, as `[[protections]]` or a strategy gives them in Freqtrade's words (`semantics.md` 1.11).

What passes here is what `engine.protections` may rely on.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine.config_rules import number_of, shown
from engine.errors import Problem
from engine.types import ZERO

_SPANS: Final = ("stop_duration", "stop_duration_candles", "unlock_at")
_LOOKBACK: Final = ("lookback_period", "lookback_period_candles")

METHODS: Final[dict[str, tuple[str, ...]]] = {
    "CooldownPeriod": _SPANS,
    "StoplossGuard": (*_SPANS, *_LOOKBACK, "trade_limit", "required_profit", "only_per_pair", "only_per_side"),
    "LowProfitPairs": (*_SPANS, *_LOOKBACK, "trade_limit", "required_profit", "only_per_side"),
    "MaxDrawdown": (*_SPANS, *_LOOKBACK, "trade_limit", "max_allowed_drawdown", "calculation_mode"),
}
"""The protections there are, and the keys that each takes beside `method`."""

_COUNTS: Final = frozenset(
    {"stop_duration", "stop_duration_candles", "lookback_period", "lookback_period_candles", "trade_limit"}
)
_EXAMPLE: Final = {"trade_limit": 4, "stop_duration_candles": 12, "lookback_period_candles": 24}
_SWITCHES: Final = frozenset({"only_per_pair", "only_per_side"})
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def check_protections(given: Iterable[Any], prefix: str, problems: list[Problem]) -> tuple[Mapping[str, Any], ...]:
    """The protections of `given` that are sound, as plain mappings; what is wrong goes to `problems`."""
    sound = []
    for number, rule in enumerate(given):
        before = len(problems)
        _check_one(rule, f"{prefix}[{number}]", problems)
        if len(problems) == before:
            sound.append(dict(rule))
    return tuple(sound)


def _check_one(rule: Any, place: str, problems: list[Problem]) -> None:
    if not isinstance(rule, Mapping):
        problems.append(
            Problem(place, shown(place, rule), "it must be a table", "Write [[protections]], and its keys below")
        )
        return
    method = rule.get("method")
    if method not in METHODS:
        close = difflib.get_close_matches(str(method), METHODS, n=1)
        cure = f'Did you mean "{close[0]}"?' if close else f"Known are {', '.join(METHODS)}"
        why = "no protection has that name" if "method" in rule else "it does not say which protection it is"
        problems.append(Problem(f"{place}.method", shown(place, method) if "method" in rule else "", why, cure))
        return
    for key, value in rule.items():
        if key != "method":
            _check_key(str(method), key, value, f"{place}.{key}", problems)
    _check_pairs_of_keys(rule, str(method), place, problems)


def _check_key(method: str, key: str, value: Any, place: str, problems: list[Problem]) -> None:
    why = cure = ""
    if key not in METHODS[method]:
        close = difflib.get_close_matches(key, METHODS[method], n=1)
        why = f"{method} has no such key"
        cure = f"Did you mean {close[0]}?" if close else f"It takes {', '.join(METHODS[method])}"
    elif key in _COUNTS:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            why, cure = (
                "it must be a whole number of 1 or more",
                f"Write {key} = {_EXAMPLE.get(key, 60)}",
            )
    elif key in _SWITCHES:
        if not isinstance(value, bool):
            why, cure = "it must be true or false", "Write true or leave it out"
    elif key == "unlock_at":
        if not isinstance(value, str) or not _CLOCK.fullmatch(value):
            why, cure = "it must be a time of the day in UTC", 'Write "07:30"'
    elif key == "calculation_mode":
        if value not in ("ratios", "equity"):
            why, cure = 'it must be "ratios" or "equity"', 'Leave it out for "ratios"'
    elif number_of(value) is None:
        why, cure = "it must be a number", "Write a ratio: 0.05 is 5 %"
    if why:
        problems.append(Problem(place, shown(place, value), why, cure))


def _check_pairs_of_keys(rule: Mapping[str, Any], method: str, place: str, problems: list[Problem]) -> None:
    for keys in (_SPANS, _LOOKBACK):
        both = [k for k in keys if k in rule]
        if len(both) > 1:
            problems.append(
                Problem(
                    f"{place}.{both[1]}", shown(place, rule[both[1]]), f"{both[0]} says it already", "Keep one of them"
                )
            )
    if method == "MaxDrawdown":
        limit = number_of(rule.get("max_allowed_drawdown"))
        if limit is None and "max_allowed_drawdown" not in rule:
            why = "it needs to know how much is too much"
            problems.append(
                Problem(f"{place}.max_allowed_drawdown", "", why, "Write max_allowed_drawdown = 0.2 for 20 %")
            )
        elif limit is not None and limit < ZERO:
            problems.append(
                Problem(
                    f"{place}.max_allowed_drawdown", shown(place, limit), "it must be 0 or more", "Write 0.2 for 20 %"
                )
            )
