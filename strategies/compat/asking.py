"""The machine's plain values as the objects that Freqtrade's callbacks expect."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

from strategies.compat.order import Order
from strategies.compat.trade import Trade

_TAGS: Final = ("entry_tag", "exit_tag")


def converted(callback: str, arguments: Mapping[str, Any], *, strategy: Any, now: datetime) -> dict[str, Any]:
    """The arguments of `callback` that the strategy's method takes.

    A tag that is not there is None, as in Freqtrade; `entry_tag` of a trade is its own.
    """
    given = {**arguments, "current_time": now}
    for name in _TAGS:
        if name in given:
            given[name] = given[name] or None
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
    return {name: value for name, value in given.items() if name in names or (takes_all and name in _PASSED)}


_PASSED: Final = frozenset({"sell_reason"})
"""Old names that Freqtrade passes besides, for strategies that take any arguments."""


@cache
def _parameters(method: Any) -> tuple[frozenset[str], bool]:
    parameters = inspect.signature(method).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return frozenset(parameters), takes_all
