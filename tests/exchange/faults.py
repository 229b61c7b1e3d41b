"""What is to go wrong, when, and how often.

A fault is ordered through the control endpoint as a JSON object: `kind`, and any of

    endpoint      which requests, as a pattern of `METHOD /path` (`POST /api/v3/order`, `* /fapi/*`); default all
    stream        which stream events, as a pattern (`btcusdt@kline_*`, `user`, `*`); for the stream kinds
    symbol, side, type   only requests with this parameter
    probability   of each matching one; default 1
    skip, count   leave the first ones alone; end after so many
    seed          for the probability; equal seeds and requests give equal faults
    seconds, status, code, msg, body, retry_after, field, value   what the kind needs, see KINDS
"""

from __future__ import annotations

import dataclasses
import random
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

import orjson

KINDS: Final = {
    # before the exchange has seen the request
    "reset_before": "the connection is reset; nothing was done",
    "refuse": "answered with `status` (400), `code`, `msg`; nothing was done",
    "unavailable": "answered with `status` (503) and a `body` that is no JSON; nothing was done",
    "unavailable_code": "answered with `status` (503), `code` (-1001) and JSON; nothing was done",
    "too_many": "429 with `retry_after` (5) seconds; nothing was done",
    "banned": "418 with `retry_after` (120) seconds; nothing was done",
    "hang_before": "no answer for `seconds`, then the connection is reset; nothing was done",
    # after the exchange has done what was asked for
    "lost": "done, then the connection is reset instead of an answer",
    "hang": "done, but no answer for `seconds`, then the connection is reset",
    "cut": "done, but the body ends midway",
    "broken_json": "done, answered 200 with broken JSON",
    "done_unavailable": "done, but answered with `status` (503) and a body that is no JSON",
    "done_unavailable_code": "done, but answered with `status` (503), `code` (-1006; -1007 means unknown) and JSON",
    "field": "done; in the answer `field` (a.b.c; lists are gone through) is set to `value`, or taken out without one;"
    " a value of `@raw:NaN` is written without quotes",
    "body": "done; answered 200 with `body` as it is",
    # the exchange does it later
    "late": "no answer and a reset after `seconds`; the exchange does it only then",
    # besides any other fault
    "slow": "done and answered `seconds` late",
    "slow_before": "done `seconds` late, and answered then",
    # streams
    "drop": "the event is not sent",
    "duplicate": "the event is sent twice",
    "reorder": "the event is sent after the next one",
    "delay": "the event is sent `seconds` late",
    "garbage": "a frame that is no JSON is sent before the event",
    "cut_frame": "the event is sent without its second half",
    "field_event": "in the event `field` is set to `value`, or taken out without one",
    "close": "the socket is closed instead",
    "reset_stream": "the connection is reset instead",
    "stall": "the socket stays open, pings are answered, and nothing is ever sent there again",
    "refuse_stream": "a new websocket is refused with `status` (503)",
}
"""The kinds and what they do."""

BEFORE: Final = (
    "reset_before", "refuse", "unavailable", "unavailable_code", "too_many", "banned", "hang_before", "late",
)  # fmt: skip
AFTER: Final = (
    "lost", "hang", "cut", "broken_json", "done_unavailable", "done_unavailable_code", "field", "body",
)  # fmt: skip

RAW: Final = re.compile(rb'"@raw:([^"]*)"')


@dataclass(slots=True)
class Fault:
    """One order of trouble, and how often it has come."""

    id: int
    kind: str
    endpoint: str = "*"
    stream: str = "*"
    symbol: str = ""
    side: str = ""
    type: str = ""
    probability: float = 1.0
    skip: int = 0
    count: int | None = None
    seed: int = 0
    seconds: float = 0.0
    status: int = 0
    code: int = 0
    msg: str = ""
    body: str = ""
    retry_after: int | None = None
    field: str = ""
    value: Any = None
    remove: bool = True
    hits: int = 0
    draw: random.Random = dataclasses.field(default_factory=random.Random)

    @property
    def over(self) -> bool:
        """Whether it has come as often as was ordered."""
        return self.count is not None and self.hits >= self.count

    def strikes(self) -> bool:
        """Draw whether it comes this time, and count it."""
        if self.over:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.probability < 1 and self.draw.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def facts(self) -> dict[str, Any]:
        """What was ordered and what came of it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "endpoint": self.endpoint,
            "stream": self.stream,
            "symbol": self.symbol,
            "probability": self.probability,
            "count": self.count,
            "hits": self.hits,
        }


class Faults:
    """All faults that are ordered, in the order they came: the first that strikes is the one."""

    def __init__(self) -> None:
        self.ordered: list[Fault] = []
        self._next = 1
        self.on_stream = False

    def order(self, wish: dict[str, Any]) -> Fault:
        """Take an order for a fault."""
        names = {name for name in Fault.__dataclass_fields__ if name not in ("id", "hits", "draw", "remove")}
        if unknown := set(wish) - names:
            raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
        if wish.get("kind") not in KINDS:
            raise ValueError(f"no fault is called {wish.get('kind')!r}; there are {', '.join(KINDS)}")
        fault = Fault(self._next, **wish)
        fault.remove = "value" not in wish
        fault.draw = random.Random(fault.seed)
        self._next += 1
        self.ordered.append(fault)
        self.on_stream = True
        return fault

    def clear(self, fault_id: int | None = None) -> None:
        """End one fault, or all."""
        self.ordered = [] if fault_id is None else [f for f in self.ordered if f.id != fault_id]
        self.on_stream = bool(self.ordered)

    def of_request(self, kinds: tuple[str, ...], endpoint: str, params: dict[str, str]) -> Fault | None:
        """The fault that this request meets, if any."""
        for fault in self.ordered:
            if (
                fault.kind in kinds
                and fnmatchcase(endpoint, fault.endpoint)
                and all(not wanted or params.get(name) == wanted for name, wanted in _wanted(fault))
                and fault.strikes()
            ):
                return fault
        return None

    def of_event(self, stream: str, symbol: str, kinds: tuple[str, ...]) -> Fault | None:
        """The fault that this event meets, if any."""
        for fault in self.ordered:
            if (
                fault.kind in kinds
                and fnmatchcase(stream, fault.stream)
                and (not fault.symbol or fault.symbol == symbol)
                and fault.strikes()
            ):
                return fault
        return None


def _wanted(fault: Fault) -> tuple[tuple[str, str], ...]:
    return ("symbol", fault.symbol), ("side", fault.side), ("type", fault.type)


def written(answer: Any) -> bytes:
    """The answer's JSON, with `@raw:` values without their quotes: NaN and Infinity are no JSON, yet they come."""
    text = orjson.dumps(answer)
    return RAW.sub(rb"\1", text) if b'"@raw:' in text else text


def change(answer: Any, fault: Fault) -> Any:
    """The answer with the fault's field set or taken out; `a.b` goes into objects, and into every item of lists."""
    _walk(answer, fault.field.split("."), fault)
    return answer


def _walk(node: Any, path: list[str], fault: Fault) -> None:
    if isinstance(node, list):
        for item in node:
            _walk(item, path, fault)
        return
    if not isinstance(node, dict) or path[0] not in node:
        return
    if len(path) > 1:
        _walk(node[path[0]], path[1:], fault)
    elif fault.remove:
        del node[path[0]]
    else:
        node[path[0]] = fault.value
