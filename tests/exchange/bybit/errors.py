"""Refusals, as Bybit words them."""

from __future__ import annotations

from typing import Final

from tests.exchange.errors import NO_FUNDS, Refusal

PARAMS: Final = 10001
NO_ORDER: Final = (170213, "Order does not exist.")
DUPLICATE: Final = (170141, "Duplicate clientOrderId")
NO_BALANCE: Final = (170131, "Insufficient balance.")
BAD_PAIR: Final = (170121, "Invalid symbol.")
CLOSED: Final = (170151, "The trading pair is not open yet.")
TOO_MANY: Final = (10006, "Too many visits. Exceeded the API Rate Limit.")
TRIGGERED: Final = (110093, "expect Falling, but trigger_price >= current")

_OURS: Final = {
    NO_FUNDS: NO_BALANCE,
    (-2010, "Duplicate order sent."): DUPLICATE,
    (-2010, "Stop price would trigger immediately."): TRIGGERED,
    (-1013, "Market is closed."): CLOSED,
    (-1121, "Invalid symbol."): BAD_PAIR,
}
"""What the venue, which both doors lead to, refuses in Binance's words."""


def wrong(what: str) -> Refusal:
    """A parameter that is missing or out of its bounds."""
    return Refusal(PARAMS, f"params error: {what}")


def said(refusal: Refusal) -> tuple[int, str]:
    """`retCode` and `retMsg` of a refusal."""
    return _OURS.get((refusal.code, refusal.msg), (refusal.code, refusal.msg))
