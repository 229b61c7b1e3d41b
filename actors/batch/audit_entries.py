"""Journal entries of a trade as what they say: orders, fills, and what became of an order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from engine.change import changed
from engine.order import Amendment, Fill, Order, OrderEvent
from engine.position import Position
from engine.types import ONE, ZERO, Millis, OrderSide, OrderStatus, OrderType, Purpose, Side, TimeInForce

Event = tuple[int, Millis, str, str]
"""seq, ts, kind, body (JSON)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldOrder:
    """An order as the venue has it, with what an adopted one needs."""

    client_order_id: str
    order_id: str
    pair: str
    side: OrderSide
    type: OrderType
    amount: Decimal
    price: Decimal
    ts: Millis


def side_of(events: Iterable[Event], told: Mapping[str, ToldOrder]) -> tuple[Side, Decimal]:
    """Which way the trade goes and its leverage: by any intent of it, else by the first order the venue tells of."""
    first: Side | None = None
    for _seq, _ts, kind, text in events:
        body = orjson.loads(text)
        if kind == "OrderIntended":
            buys_first = (body["side"] == OrderSide.BUY) == (body["purpose"] == Purpose.ENTRY)
            return (Side.LONG if buys_first else Side.SHORT), Decimal(body["leverage"])
        if kind in ("TradeOpened", "TradeClosed"):
            return Side(body["side"]), Decimal(body["leverage"])
        adopted = told.get(body.get("client_order_id", ""))
        if first is None and adopted is not None and kind != "OrderIntended":
            first = Side.LONG if adopted.side is OrderSide.BUY else Side.SHORT
    return first or Side.LONG, ONE


def ends_exit(order: Order) -> bool:
    """Whether the end of this order is the end of an exit, so that its profit is booked."""
    return order.purpose is Purpose.EXIT or (order.purpose is Purpose.STOP and order.filled > ZERO)


def order_after(order: Order, kind: str, body: Mapping[str, Any], ts: Millis) -> Order:
    """The order after an entry about it; raises `IllegalTransition` where that cannot be."""
    if kind == "OrderAccepted":
        return order.after(OrderEvent.ACCEPTED, ts, order_id=body["order_id"])
    if kind == "OrderInDoubt":
        return order.after(OrderEvent.DOUBTED, ts)
    if kind == "AmendIntended":
        target = Amendment(amount=Decimal(body["amount"]), trigger_price=Decimal(body["trigger_price"]))
        return changed(order, amending=target)
    if kind == "AmendRejected":
        return _amended(order, order.amount, order.trigger_price or order.price, ts)
    if kind == "OrderAmended":
        return _amended(order, Decimal(body["amount"]), Decimal(body["trigger_price"]), ts)
    if kind == "OrderCanceled":
        return order.after(OrderEvent.EXPIRED if body["expired"] else OrderEvent.CANCELED, ts)
    if body["code"] == "NOT_FOUND" and order.status is not OrderStatus.PENDING_NEW:
        return order.after(OrderEvent.DOUBTED, ts).after(OrderEvent.NOT_FOUND, ts)
    return order.after(OrderEvent.REJECTED, ts)


def _amended(order: Order, amount: Decimal, trigger: Decimal, ts: Millis) -> Order:
    """The order with another amount, which it may have filled already, and another trigger."""
    after = changed(order, amount=amount, price=trigger, trigger_price=trigger, amending=None)
    return after.after(OrderEvent.FULLY_FILLED, ts) if after.filled >= amount else after


def intended_order(body: Mapping[str, Any], ts: Millis) -> Order:
    """The order of an `OrderIntended`."""
    trigger = body["trigger_price"]
    return Order(
        pair=body["pair"],
        client_order_id=body["client_order_id"],
        purpose=Purpose(body["purpose"]),
        side=OrderSide(body["side"]),
        type=OrderType(body["type"]),
        amount=Decimal(body["amount"]),
        price=Decimal(body["price"]),
        created_at=ts,
        trigger_price=None if trigger is None else Decimal(trigger),
        time_in_force=TimeInForce(body["time_in_force"]),
        reduce_only=bool(body["reduce_only"]),
        leverage=Decimal(body["leverage"]),
    )


def adopted_order(told: ToldOrder, position: Position) -> Order:
    """An order that was taken over from the venue, for a trade that holds `position`."""
    entering = told.side is (OrderSide.BUY if position.side is Side.LONG else OrderSide.SELL)
    exits = Purpose.STOP if told.type is OrderType.STOP else Purpose.EXIT
    return Order(
        pair=told.pair,
        client_order_id=told.client_order_id,
        purpose=Purpose.ENTRY if entering else exits,
        side=told.side,
        type=told.type,
        amount=told.amount,
        price=told.price,
        created_at=told.ts,
        order_id=told.order_id,
        status=OrderStatus.NEW,
    )


def fill_of(body: Mapping[str, Any], ts: Millis) -> Fill:
    """The fill of an `OrderFilled`."""
    cost = body.get("fee_cost")
    return Fill(
        fill_id=body["fill_id"],
        client_order_id=body["client_order_id"],
        ts=ts,
        price=Decimal(body["price"]),
        amount=Decimal(body["amount"]),
        fee=Decimal(body["fee"]),
        fee_currency=body["fee_currency"],
        maker=bool(body["maker"]),
        fee_cost=None if cost is None else Decimal(cost),
    )
