"""Where a price went, and which resting orders that reaches."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from engine.order import Order
from engine.types import Millis, OrderSide

BUY, SELL = OrderSide.BUY, OrderSide.SELL


@dataclass(frozen=True, slots=True)
class Range:
    """Where a pair's price went until `ts`. `volume` in base coins limits what resting orders get; None does not.

    `open` None: only the bounds are known. `tolerant`: market orders of the `candle` model fill at the
    nearest price of the range instead of waiting for their own; it is for prices that come as they come.
    `entries_only`: in the `candle` model other orders are left alone, since their turn comes later (2.3).
    """

    pair: str
    ts: Millis
    low: Decimal
    high: Decimal
    open: Decimal | None = None
    close: Decimal | None = None
    volume: Decimal | None = None
    tolerant: bool = False
    entries_only: bool = False


def stop_price(order: Order, seen: Range) -> Decimal | None:
    """Where a stop becomes a market order: at its trigger, or where the range began beyond it."""
    trigger = order.trigger_price
    if trigger is None:
        return None
    if order.side is SELL:
        return min(trigger, seen.high if seen.open is None else seen.open) if seen.low <= trigger else None
    return max(trigger, seen.low if seen.open is None else seen.open) if seen.high >= trigger else None


def through(order: Order, seen: Range) -> bool:
    """Whether the price went past a resting order, not only up to it."""
    return seen.low < order.price if order.side is BUY else seen.high > order.price
