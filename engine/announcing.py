"""What a user is told of a trade: one line from the entry that the journal has of it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

EVENTS: Final = {"TradeOpened": "trade_opened", "TradeClosed": "trade_closed"}
"""The journal's kinds that are announced, and what the notices are called."""


def announcement(kind: str, body: Mapping[str, Any]) -> str:
    """The line for an entry of one of `EVENTS`."""
    who = f"{body['pair']} {body['side']}"
    if kind == "TradeOpened":
        leverage = Decimal(body["leverage"])
        times = f", leverage {leverage:f}" if leverage != 1 else ""
        tag = f", {body['enter_tag']}" if body.get("enter_tag") else ""
        return f"{who} opened: {_short(body['amount'])} at {_short(body['open_rate'])}, stake {_short(body['stake'])}{times}{tag}"
    ratio = Decimal(body["profit_ratio"]) * 100
    return (
        f"{who} closed by {body['exit_reason']} at {_short(body['close_rate'])}: "
        f"{Decimal(body['profit_abs']):+.8g} ({ratio:+.2f} %)"
    )


def _short(value: Any) -> str:
    return f"{Decimal(value):.8g}"
