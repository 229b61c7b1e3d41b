"""The machine's plain values as the objects that Freqtrade's callbacks expect."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

from strategies.compat.order import Order
from strategies.compat.trade import Trade


def converted(callback: str, arguments: Mapping[str, Any], *, strategy: Any, now: datetime) -> dict[str, Any]:
    """The arguments of `callback` that the strategy's method takes."""
    given = {**arguments, "current_time": now}
    facts = given.get("trade")
    if facts is not None:
        given["trade"] = Trade.of(facts, strategy)
    order = given.get("order")
    if order is not None:
        given["order"] = Order.of(order, given.get("trade"))
    if callback == "custom_entry_price":
        given.setdefault("trade", None)
    if callback == "confirm_trade_exit":
        given["sell_reason"] = given.get("exit_reason")
    names, takes_all = _parameters(getattr(type(strategy), callback))
    passed = PASSED[callback]
    return {name: value for name, value in given.items() if name in names or (takes_all and name in passed)}


def newest_price(arguments: Mapping[str, Any]) -> float | None:
    """The price of the moment that a question is asked at, where it says one."""
    price = arguments.get("current_rate", arguments.get("rate"))
    return None if price is None else float(price)


_ENTRY = "pair current_time entry_tag side"
_TRADE = "pair trade current_time current_rate current_profit"
_PROPOSED = f"{_ENTRY} trade order proposed_rate current_order_rate"
PASSED: Final = {
    callback: frozenset(names.split())
    for callback, names in {
        "confirm_trade_entry": f"{_ENTRY} order_type amount rate time_in_force",
        "confirm_trade_exit": "pair trade order_type amount rate time_in_force exit_reason sell_reason current_time",
        "order_filled": "pair trade order current_time",
        "check_entry_timeout": "pair trade order current_time",
        "check_exit_timeout": "pair trade order current_time",
        "custom_stake_amount": f"{_ENTRY} current_rate proposed_stake min_stake max_stake leverage",
        "custom_entry_price": f"{_ENTRY} trade proposed_rate",
        "custom_exit_price": "pair trade current_time proposed_rate current_profit exit_tag",
        "custom_stoploss": f"{_TRADE} after_fill",
        "custom_roi": "pair trade current_time trade_duration entry_tag side",
        "custom_exit": _TRADE,
        "adjust_trade_position": (
            "trade current_time current_rate current_profit min_stake max_stake current_entry_rate current_exit_rate "
            "current_entry_profit current_exit_profit"
        ),
        "adjust_entry_price": _PROPOSED,
        "adjust_exit_price": _PROPOSED,
        "adjust_order_price": f"{_PROPOSED} is_entry",
        "leverage": f"{_ENTRY} current_rate proposed_leverage max_leverage",
    }.items()
}
"""What Freqtrade passes to each callback: a method that takes any arguments gets these, and no more."""


@cache
def _parameters(method: Any) -> tuple[frozenset[str], bool]:
    parameters = inspect.signature(method).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return frozenset(parameters), takes_all
