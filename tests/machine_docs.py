"""The generated pages about the trade machine and the denials; `python -m tests.docs` writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from engine.denials import MEANING
from engine.order import ORDER_TRANSITIONS, TERMINAL
from engine.trade import TRADE_TRANSITIONS
from engine.types import TradeState

ROOT: Final = Path(__file__).resolve().parent.parent
MACHINE_PAGE: Final = ROOT / "docs" / "trade-machine.md"
DENIALS_PAGE: Final = ROOT / "docs" / "denials.md"

_MACHINE_HEAD: Final = """# The trade machine

<!-- Written by `python -m tests.docs` from engine/trade.py and engine/order.py; do not edit by hand. -->

Every pair has one trade machine: `step(trade, event, now)` says what becomes of its trade, and what must be done
about it. It is the same in live trading, on paper, in a replay and in a backtest. Every event has a row in every
state, so one that comes late is never a crash; what may follow is all there is. `tests/scenarios` plays it, row by row.

## States of a trade

| state | it is |
|---|---|
"""

_STATES: Final = {
    TradeState.RECONCILING: "where every start begins: facts are booked, nothing is sent before the venue has answered",
    TradeState.FLAT: "nothing is held, nothing works at the venue",
    TradeState.ENTERING: "an entry works, and nothing is held yet",
    TradeState.OPEN: "something is held, and guarded: by a stop at the venue, else by the bot at every price",
    TradeState.EXITING: "there is a reason to leave, and it is pursued until nothing is held",
    TradeState.QUARANTINED: "as flat, but the strategy failed too often and is not listened to",
}

_ORDERS_HEAD: Final = """
## States of an order

FIX OrdStatus, and `IN_DOUBT`: sent, and nobody knows whether it arrived. It is left by what the venue says, or by
`not_found` once the venue could not accept it any more. Ends absorb repetitions; only a fill, or an acceptance after
a false refusal, is still a fact.
"""

_DENIALS_HEAD: Final = """# Why it did not trade

<!-- Written by `python -m tests.docs` from engine/denials.py; do not edit by hand. -->

Every signal leaves a row in the table `decisions`. Its `code` is `TRADED`, or one of these:

| code | meaning |
|---|---|
"""


def machine_page() -> str:
    """The text of `docs/trade-machine.md`."""
    text = _MACHINE_HEAD + "".join(f"| `{state}` | {what} |\n" for state, what in _STATES.items())
    ways: dict[tuple[str, str], list[str]] = {}
    for (state, event), allowed in TRADE_TRANSITIONS.items():
        for after in TradeState:
            if after in allowed and after is not state:
                ways.setdefault((state, after), []).append(event.__name__)
    text += "\n" + _diagram(ways, [(TradeState.RECONCILING, "")])
    text += "\n| in | on | may follow | because |\n|---|---|---|---|\n"
    why = _comments("trade.py")
    for (state, event), allowed in TRADE_TRANSITIONS.items():
        follow = ", ".join(after for after in TradeState if after in allowed | {state})
        text += f"| `{state}` | `{event.__name__}` | {follow} | {why.get((state, event.__name__), '')} |\n"
    return text + _orders()


def _orders() -> str:
    ways: dict[tuple[str, str], list[str]] = {}
    for (before, happened), after in ORDER_TRANSITIONS.items():
        if after is not before:
            ways.setdefault((before, after), []).append(happened)
    text = _ORDERS_HEAD + "\n" + _diagram(ways, [("PENDING_NEW", "")], sorted(TERMINAL))
    text += "\n| in | on | then | because |\n|---|---|---|---|\n"
    why = _comments("order.py")
    for (before, happened), after in ORDER_TRANSITIONS.items():
        text += f"| `{before}` | `{happened}` | `{after}` | {why.get((before, happened.name), '')} |\n"
    return text


def _diagram(ways: Mapping[tuple[str, str], list[str]], starts: Any, ends: Iterable[str] = ()) -> str:
    lines = [f"    [*] --> {state}" for state, _ in starts]
    for (before, after), events in ways.items():
        shown = ", ".join(events) if len(events) <= 3 else f"{', '.join(events[:3])} and {len(events) - 3} more"
        lines.append(f"    {before} --> {after}: {shown}")
    lines += [f"    {state} --> [*]" for state in ends]
    return "```mermaid\nstateDiagram-v2\n" + "\n".join(lines) + "\n```\n"


def _comments(module: str) -> dict[tuple[str, str], str]:
    """What stands beside the rows of a table in the source, by its two words; `as above` is written out."""
    found: dict[tuple[str, str], str] = {}
    last = ""
    source = (ROOT / "engine" / module).read_text(encoding="utf-8")
    for state, event, comment in re.findall(r"^    \(S\.(\w+), (?:V\.)?(\w+)\): .*,  # (.*)$", source, re.MULTILINE):
        last = last if comment.endswith("as above") else comment
        found[state, event] = last
    return found


def denials_page() -> str:
    """The text of `docs/denials.md`."""
    return _DENIALS_HEAD + "".join(f"| `{code}` | {meaning} |\n" for code, meaning in MEANING.items())
