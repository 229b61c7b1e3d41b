"""What we send beside what ccxt's own tests expect to be sent for the same call: the place, the fields, what they look like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from actors.venues.capabilities import Capability
from tests.answers.fixtures import Entry, entries
from tests.requests.recorder import Request, calls, fields_of, recorder, request_of

CAMEL: Final = {
    "create_order": "createOrder",
    "fetch_order": "fetchOrder",
    "cancel_order": "cancelOrder",
    "fetch_open_orders": "fetchOpenOrders",
    "fetch_positions": "fetchPositions",
    "fetch_canceled_and_closed_orders": "fetchCanceledAndClosedOrders",
    "set_leverage": "setLeverage",
    "set_margin_mode": "setMarginMode",
}
_ID: Final = re.compile(r"^(?=.*\d)[\w-]{6,}$|^t-")
_NUMBER: Final = re.compile(r"^-?\d+(\.\d+)?$")


@dataclass(slots=True)
class Asked:
    """What came of comparing: requests like one of ccxt's, those that it has no like of, and those that are otherwise."""

    alike: int = 0
    without: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def compare(static: Path, able: Capability, into: Asked) -> None:
    """Compare everything that we ask of one market about orders."""
    expected = [
        (entry.method, _of(entry)) for entry in entries(static, "request", able.exchange) if _is_of(entry, able)
    ]
    made = recorder(able)
    for name, call in calls(able):
        if call is None:
            continue
        ours, title = request_of(made, call), f"{able.exchange} {able.market} {name}"
        like = [request for method, request in expected if method == CAMEL[call.method]]
        there = [request for request in like if _place(request.path) == _place(ours.path)]
        if not there:
            into.without.append(f"{title}: {ours.path}")
            continue
        differs = list(_differences(ours, there))
        into.wrong += [f"{title}: {what}" for what in differs]
        into.alike += not differs


def _is_of(entry: Entry, able: Capability) -> bool:
    symbol = next((one for one in entry.said.get("input", []) if isinstance(one, str) and "/" in one), "")
    return bool(symbol) and (":" in symbol) == (able.market == "futures")


def _of(entry: Entry) -> Request:
    path, fields = fields_of(str(entry.said.get("url", "")), entry.said.get("output"))
    return Request("", path, fields)


def _place(path: str) -> str:
    return "/".join("*" if _ID.match(part) else part for part in path.split("/"))


def _differences(ours: Request, expected: list[Request]) -> Iterator[str]:
    """Fields that look otherwise than in any request of ccxt's to the same place; one that it never sends is passed over."""
    for name, value in ours.fields.items():
        seen = {_kind(request.fields[name]) for request in expected if name in request.fields}
        if seen and "id" not in name.lower() and _kind(value) not in seen:
            yield f"{name} is {value}, where ccxt's tests have {' or '.join(sorted(seen))}"


def _kind(value: str) -> str:
    if _NUMBER.match(value):
        return "a number"
    return "yes or no" if value.lower() in ("true", "false", "yes", "no") else "a word"
