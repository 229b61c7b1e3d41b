"""What a strategy is told of its trade, its orders and the account: plain values, read from the machine's state."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from engine.messages import Plain, TradeTold
from engine.order import Order
from engine.types import ZERO, Purpose, Side
from engine.work import Trade, Work


def trade_facts(work: Work, rate: Decimal, **more: Any) -> dict[str, Any]:
    """The arguments of a callback about an open trade; none where there is no callback to read them."""
    if not work.settings.callbacks:
        return {}
    trade = work.trade
    position = trade.position
    profit = float(position.profit_ratio_at(rate, trade.rules.fee)) if position.amount else 0.0
    return {
        "pair": trade.pair,
        "current_time": work.now,
        "current_rate": float(rate),
        "current_profit": profit,
        "entry_tag": trade.enter_tag,
        "side": trade.side.value,
        "trade": trade_view(trade),
        **more,
    }


def trade_view(trade: Trade) -> dict[str, Any]:
    """The fields of `engine.strategy.TradeView`."""
    position, stop = trade.position, trade.stop
    orders = [o for o in trade.orders.values() if o.filled or not (o.is_done or o.purpose is Purpose.STOP)]
    rate, stake = float(position.rate), position.told_stake
    amount = float(position.amount)
    if not position.amount:
        rate, stake, amount = _without_position(trade)
    return {
        "pair": trade.pair,
        "trade_id": trade.trade_id,
        "is_short": trade.side is Side.SHORT,
        "open_ts": trade.opened_at,
        "open_rate": rate,
        "amount": amount,
        "stake_amount": stake,
        "max_stake_amount": float(position.entered_cost / position.leverage),
        "leverage": float(trade.leverage),
        "enter_tag": trade.enter_tag,
        "stop_loss": float(stop.level) if stop else 0.0,
        "stop_loss_ratio": float(stop.ratio) if stop else 0.0,
        "initial_stop_loss": float(stop.initial) if stop else 0.0,
        "initial_stop_loss_ratio": float(stop.initial_ratio) if stop else 0.0,
        "liquidation_price": None if trade.liquidation is None else float(trade.liquidation),
        "max_rate": float(trade.max_rate),
        "min_rate": float(trade.min_rate),
        "realized_profit": float(position.booked),
        "funding_fees": float(position.funding),
        "exit_reason": trade.exit_reason,
        "entries": sum(1 for o in orders if o.purpose is Purpose.ENTRY and o.filled),
        "exits": sum(1 for o in orders if o.purpose is not Purpose.ENTRY and o.filled),
        "orders": [order_view(order) for order in orders],
        "custom_data": dict(trade.custom_data),
    }


def _without_position(trade: Trade) -> tuple[float, float, float]:
    """Rate, stake and amount while nothing is held: those of the first entry asked for, or of what the last exit sold."""
    position, orders = trade.position, trade.orders.values()
    sold = next((o.filled for o in reversed(orders) if o.purpose is not Purpose.ENTRY and o.filled), ZERO)
    if sold:
        return float(position.rate), float(sold * position.rate / trade.leverage), float(sold)
    first = next((o for o in orders if o.purpose is Purpose.ENTRY), None)
    if first is None:
        return 0.0, 0.0, 0.0
    return float(first.price), float(first.amount * first.price / trade.leverage), 0.0


def show_trade(work: Work, *, final: bool = False) -> None:
    """Tell the portfolio how the open trade looks, where that has changed: strategies look at it when asked of others.

    `final`: it is about to be closed.
    """
    trade = work.trade
    if not final and (trade.is_closed or not (trade.position.amount or trade.working(Purpose.ENTRY))):
        trade.shown = None
        return
    view = trade_view(trade)
    if view != trade.shown:
        trade.shown = view
        work.do(TradeTold(pair=trade.pair, view=view))


def order_view(order: Order) -> dict[str, Any]:
    """The fields of `engine.strategy.OrderView`."""
    average = order.average
    return {
        "order_id": order.order_id or order.client_order_id,
        "is_entry": order.purpose is Purpose.ENTRY,
        "side": order.side.value,
        "type": order.type.value,
        "status": order.status.value,
        "is_open": not order.is_done,
        "price": float(order.price),
        "average": None if average is None else float(average),
        "amount": float(order.amount),
        "filled": float(order.filled),
        "remaining": float(order.remaining),
        "cost": float(order.cost),
        "created_ts": order.created_at,
        "updated_ts": order.updated_at,
        "tag": order.tag,
    }


def tell_changed(work: Work, **more: Plain) -> None:
    """Record what is held now, and what it has cost; `more` says what else is to be known of the change."""
    position = work.trade.position
    held = {"amount": position.amount, "stake": position.stake, "open_rate": position.open_rate}
    work.emit("TradeChanged", **held, realized=position.booked, **more)
