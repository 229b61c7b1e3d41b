"""A pair's trade as plain data and back: what the journal keeps, and a new incarnation begins from.

An evaluation under way is not kept: what it asked is asked again when the next range or candle comes.
Kept are the facts: orders, fills, the stop, why it was entered and is being left. A quarantine is the
judge's, who knows it better: after a restart of the bot the strategy may be another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final

from engine.codec import from_plain, to_plain
from engine.errors import StorageError
from engine.exits import ExitWish, Stop
from engine.messages import Signal, TradeClosed
from engine.order import TERMINAL, Order
from engine.position import Position
from engine.types import ZERO, OrderType, Side
from engine.work import Rules, Trade

_NOT_KEPT: Final = frozenset(
    {
        "pair", "rules", "pending", "queued", "reconciled", "state", "quarantined", "strikes", "trading", "ending",
        "untold", "told", "shown", "review_due", "reviewed_at", "repriced_candle", "adjusted_at", "unadjusted_candle",
        "replacement", "increasing", "reducing", "missing", "quoted", "denied",
    }
)  # fmt: skip
_KEPT: Final = tuple(f.name for f in fields(Trade) if f.name not in _NOT_KEPT)
_LISTS: Final = ("orders", "unheard")
_FIELDS: Final = tuple(name for name in _KEPT if name != "orders")
_fields_of: Final = attrgetter(*_FIELDS)
_CLASSES: Final[Mapping[str, type]] = {
    "position": Position,
    "stop": Stop,
    "leaving": ExitWish,
    "put_off": ExitWish,
    "signal": Signal,
    "last_closed": TradeClosed,
}


def kept_facts(trade: Trade) -> dict[str, Any]:
    """The facts of `trade` as the frozen values they are: what a journal that writes JSON makes plain by itself.

    Written, they are equal to `trade_to_plain`; making them plain here first would cost more than the rest
    of a step.
    """
    facts = dict(zip(_FIELDS, _fields_of(trade), strict=True))
    facts["orders"] = list(trade.orders.values())
    return facts


def trade_to_plain(trade: Trade) -> dict[str, Any]:
    """The facts of `trade` as plain values."""
    plain = {name: to_plain(getattr(trade, name)) for name in _FIELDS}
    plain["orders"] = [to_plain(o) for o in trade.orders.values()]
    return plain


def kept_amount(plain: Mapping[str, Any]) -> Decimal | None:
    """What a kept trade holds, where there is something to look after: a position, or an order; else None."""
    amount = Decimal(plain["position"]["amount"])
    return amount if amount or any(o["status"] not in TERMINAL for o in plain["orders"]) else None


def trade_from_plain(pair: str, rules: Rules, plain: Mapping[str, Any]) -> Trade:
    """The trade that `plain` was made of, to be reconciled."""
    trade = Trade(pair=pair, rules=rules)
    try:
        for name in _KEPT:
            if name not in plain or name in _LISTS:
                continue
            value, cls = plain[name], _CLASSES.get(name)
            if name == "side":
                value = Side(value)
            elif name == "liquidation":
                value = None if value is None else Decimal(value)
            elif name in ("payment_ids", "payments_before"):
                value = tuple(value)
            elif cls is not None and value is not None:
                value = from_plain(cls, value)
            elif isinstance(getattr(trade, name), type(rules.fee)):
                value = type(rules.fee)(value)
            setattr(trade, name, value)
        trade.unheard = tuple(from_plain(TradeClosed, each) for each in plain.get("unheard", ()))
        trade.orders = {o.client_order_id: o for o in (from_plain(Order, each) for each in plain["orders"])}
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"the kept state of {pair} cannot be read: {error}") from error
    if trade.put_off is not None and trade.position.amount > ZERO and trade.leaving is None:
        trade.leaving, trade.leave_type = trade.put_off, OrderType.LIMIT
    trade.put_off = None
    return trade


def figures_of(trade: Trade) -> dict[str, Any]:
    """What a user asks of a pair, as plain values: its state, and what is held at the last price heard of."""
    position, fee = trade.position, trade.rules.fee
    figures: dict[str, Any] = {"pair": trade.pair, "state": trade.state.value, "earned": str(trade.earned)}
    if position.amount > ZERO and trade.price > ZERO:
        figures |= {
            "trade_id": trade.trade_id,
            "side": trade.side.value,
            "amount": str(position.amount),
            "open_rate": str(position.open_rate),
            "price": str(trade.price),
            "profit_ratio": str(position.profit_ratio_at(trade.price, fee)),
            "profit_abs": str(position.profit_abs_at(trade.price, fee)),
            "stop": str(trade.stop.level) if trade.stop else "",
            "opened_at": trade.opened_at,
            "tag": trade.enter_tag,
        }
    return figures
