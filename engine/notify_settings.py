"""Checks `[[notify.targets]]`: who is told what. A target's address is a secret, so it is never in the configuration itself."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine.config_rules import HIDDEN, shown
from engine.errors import Problem

KEYS: Final[dict[str, str]] = {
    "name": "what this target is called in the log and in SQL",
    "url_env": "the environment variable that holds its Apprise address, or several, one a line",
    "url_file": "or the file that does; only its owner may read it (mode 0600)",
    "severity": 'the least that it is told: "info", "warning" or "alarm"; "warning" when left out',
    "events": 'which events, as patterns such as "trade_*"; all when left out',
}
"""The keys of a target, and what each is for."""

SEVERITIES: Final = ("info", "warning", "alarm")
"""What a notice may be, the least first."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_ADDRESSES: Final = ("url", "urls", "address", "token", "apprise")


def check_targets(given: Iterable[Any], prefix: str, problems: list[Problem]) -> tuple[Mapping[str, Any], ...]:
    """The targets of `given` that are sound, with all their keys; what is wrong goes to `problems`."""
    sound: list[Mapping[str, Any]] = []
    names: dict[str, int] = {}
    for number, target in enumerate(given):
        before, place = len(problems), f"{prefix}[{number}]"
        if not isinstance(target, Mapping):
            cure = "Write [[notify.targets]], and its keys below"
            problems.append(Problem(place, HIDDEN, "it must be a table", cure))
            continue
        _check_keys(target, place, problems)
        name = target.get("name")
        if isinstance(name, str) and name in names:
            why = f"number {names[name]} is called so already"
            problems.append(Problem(f"{place}.name", shown(place, name), why, "Give it another name"))
        names.setdefault(str(name), number)
        if len(problems) == before:
            sound.append({"url_env": "", "url_file": "", "severity": "warning", **target, "events": _events(target)})
    return tuple(sound)


def _events(target: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(target.get("events", ("*",)))


def _check_keys(target: Mapping[str, Any], place: str, problems: list[Problem]) -> None:
    def say(key: str, value: Any, why: str, cure: str) -> None:
        problems.append(Problem(f"{place}.{key}", value, why, cure))

    for key in target:
        if key in _ADDRESSES:
            say(key, HIDDEN, "an address holds secrets", 'Write url_env = "NAME" and set that variable, or url_file')
        elif key not in KEYS:
            close = difflib.get_close_matches(str(key), KEYS, n=1)
            cure = f"Did you mean {close[0]}?" if close else f"It takes {', '.join(KEYS)}"
            say(str(key), HIDDEN, "a target has no such key", cure)
    name = target.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        why = "it must be letters, digits, - and _, at most 40" if "name" in target else "it does not say its name"
        say("name", shown(place, name) if "name" in target else "", why, 'Write name = "phone"')
    ways = [key for key in ("url_env", "url_file") if key in target]
    if len(ways) != 1:
        why = "it says two ways to its address" if ways else "it does not say where its address is"
        say("url_env", "", why, 'Write url_env = "NAME" or url_file = "PATH"')
    for key in ways:
        value = target[key]
        if not isinstance(value, str) or not (_VARIABLE.fullmatch(value) if key == "url_env" else value):
            what = "the name of an environment variable" if key == "url_env" else "a path"
            say(key, HIDDEN, f"it must be {what}", "Keep the address itself out of this file")
    if target.get("severity", "info") not in SEVERITIES:
        why = "it must be " + " or ".join(f'"{s}"' for s in SEVERITIES)
        say("severity", shown(place, target["severity"]), why, 'Leave it out for "warning"')
    events = target.get("events", [])
    if not isinstance(events, list | tuple) or not all(isinstance(e, str) and e for e in events):
        say("events", shown(place, events), "it must be a list of patterns", 'Write events = ["trade_*"]')
