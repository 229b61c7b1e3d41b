"""The field's own words, as types: sides, order types, order states, money.

Enumerations are strings, so that a value reads the same in Python, in the journal and in SQL.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Any

Millis = int
"""A point in market time: milliseconds since 1970-01-01 UTC."""

ZERO = Decimal(0)
ONE = Decimal(1)

MONEY = decimal.Context(
    prec=38,
    rounding=decimal.ROUND_HALF_EVEN,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)
"""The one decimal context. Contexts belong to threads, so every actor thread enters it at its start."""


def use_money_context() -> None:
    """Make `MONEY` the calling thread's decimal context; without it, sums would depend on the thread."""
    decimal.setcontext(MONEY.copy())


def is_number(value: Any) -> bool:
    """Whether a strategy's answer is a number: finite, and not True or False."""
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def exact(value: float | int | str | Decimal) -> Decimal:
    """The decimal that `value` is written as: `exact(0.1)` is 0.1, not its binary neighbour."""
    return value if isinstance(value, Decimal) else Decimal(repr(value) if isinstance(value, float) else value)


def exact_all(values: Iterable[float]) -> Iterator[Decimal]:
    """`exact` of many floats."""
    return map(Decimal, map(repr, values))


class Side(StrEnum):
    """Which way a trade earns: LONG when the price rises, SHORT when it falls."""

    LONG = "long"
    SHORT = "short"


class OrderSide(StrEnum):
    """What an order does to the base coin."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """How an order is filled. A STOP waits for its trigger price and then is a market order."""

    LIMIT = "limit"
    MARKET = "market"
    STOP = "stop"


class TimeInForce(StrEnum):
    """How long an order works: until cancelled, fill all or nothing, what fills at once, maker only."""

    GTC = "GTC"
    FOK = "FOK"
    IOC = "IOC"
    PO = "PO"


class Purpose(StrEnum):
    """What an order is for; it decides its priority at the rate limiter and its rules in the trade."""

    ENTRY = "entry"
    EXIT = "exit"
    STOP = "stop"


class OrderStatus(StrEnum):
    """FIX OrdStatus(39), and IN_DOUBT: sent, and nobody knows yet whether it arrived."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    IN_DOUBT = "IN_DOUBT"


class TradeState(StrEnum):
    """Where a pair's trade is. Every start, the first one too, begins in RECONCILING."""

    RECONCILING = "RECONCILING"
    FLAT = "FLAT"
    ENTERING = "ENTERING"
    OPEN = "OPEN"
    EXITING = "EXITING"
    QUARANTINED = "QUARANTINED"


class TradingState(StrEnum):
    """The kill switch: trade, only leave positions, or send nothing new but what guards a position."""

    ACTIVE = "ACTIVE"
    EXITS_ONLY = "EXITS_ONLY"
    STOPPED = "STOPPED"


class Priority(StrEnum):
    """Who goes first at the rate limiter, in this order."""

    GUARD = "guard"
    EXIT = "exit"
    ENTRY = "entry"
    RECONCILE = "reconcile"
    DATA = "data"


def trade_order(trade_id: str) -> tuple[int, int]:
    """Where a trade stands among its pair's: the run it began in, and its number; of `BTC/USDT#3-17` these are 3, 17."""
    run, _, number = trade_id.rpartition("#")[2].partition("-")
    return int(run), int(number)


def order_side(side: Side, purpose: Purpose) -> OrderSide:
    """The order side that opens (ENTRY) or reduces (EXIT, STOP) a position of `side`."""
    opens = purpose is Purpose.ENTRY
    return OrderSide.BUY if (side is Side.LONG) == opens else OrderSide.SELL
