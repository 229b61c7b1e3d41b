"""The requests of every exchange as one text, a line each: what `sent.txt` holds and the tests compare."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.requests.recorder import Request, calls, capabilities, recorder, request_of

FILE: Final = Path(__file__).with_name("sent.txt")


def written() -> dict[str, dict[str, Request | None]]:
    """By market, `binance spot`, and name of the call: the request, or None where there is none."""
    found: dict[str, dict[str, Request | None]] = {}
    for able in capabilities():
        made = recorder(able)
        found[f"{able.exchange} {able.market}"] = {
            name: None if call is None else request_of(made, call) for name, call in calls(able)
        }
    return found


def as_text(requests: Mapping[str, Mapping[str, Request | None]]) -> str:
    """One line a request."""
    lines = []
    for market, named in requests.items():
        lines.append(f"== {market}")
        for name, request in named.items():
            if request is None:
                lines.append(f"{name:18} -")
                continue
            fields = " ".join(f"{k}={v}" for k, v in request.fields.items())
            lines.append(f"{name:18} {request.method} {request.path} {fields}".rstrip())
        lines.append("")
    return "\n".join(lines)
