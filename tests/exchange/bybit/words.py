"""An order, an execution and a wallet, as Bybit writes them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from tests.exchange.orders import TRIGGERED_TYPES, ZERO, Order, Trade
from tests.exchange.spot import SpotAccount, SpotVenue

UNSAID: Final = (
    "blockTradeId", "orderIv", "takeProfit", "stopLoss", "tpslMode", "tpLimitPrice", "slLimitPrice", "tpTriggerBy",
    "slTriggerBy", "triggerBy", "lastPriceOnCreated", "placeType", "smpOrderId",
)  # fmt: skip
"""What spot's orders have and say nothing in."""


def plain(value: Decimal) -> str:
    """A number without an exponent or needless zeros."""
    written = f"{value:f}"
    return written.rstrip("0").rstrip(".") or "0" if "." in written else written


def is_stop(order: Order) -> bool:
    """Whether it was placed as a TP/SL order; it stays one when it has triggered."""
    return (order.original_type or order.type) in TRIGGERED_TYPES


def status_of(order: Order) -> str:
    """`orderStatus`: one that ended before its trigger was reached is `Deactivated`, one that filled in part says so."""
    if order.working:
        if order.waiting:
            return "Untriggered"
        return "PartiallyFilled" if order.filled else "New"
    if order.status == "FILLED":
        return "Filled"
    if order.filled:
        return "PartiallyFilledCanceled"
    return "Deactivated" if order.waiting else "Cancelled"


def _is_market(order: Order) -> bool:
    return order.rests_at is None


def _fees(order: Order) -> dict[str, str]:
    fees: dict[str, Decimal] = {}
    for trade in order.trades:
        fees[trade.fee_asset] = fees.get(trade.fee_asset, ZERO) + trade.fee
    return {asset: plain(fee) for asset, fee in fees.items()}


def order_row(order: Order) -> dict[str, Any]:
    """An order as the lists and the stream tell it; `qty` is money where the order was given in money."""
    left = order.remaining if order.working else ZERO
    fees = _fees(order)
    average = plain(round(order.cost / order.filled, 12)) if order.filled else ""
    cancels = {"": "UNKNOWN", "user": "CancelByUser"}
    refused = order.ended_by == "post only"
    return {
        "orderId": str(order.id),
        "orderLinkId": order.client_id,
        "symbol": order.symbol,
        "price": plain(order.price),
        "qty": plain(order.quote_qty or order.qty),
        "side": order.side.capitalize(),
        "isLeverage": "0",
        "positionIdx": 0,
        "orderStatus": status_of(order),
        "cancelType": cancels.get(order.ended_by, "UNKNOWN"),
        "rejectReason": "EC_PostOnlyWillTakeLiquidity" if refused else "EC_NoError",
        "avgPrice": average,
        "leavesQty": plain(left),
        "leavesValue": plain(left * (order.price or order.stop_price)),
        "cumExecQty": plain(order.filled),
        "cumExecValue": plain(order.cost),
        "cumExecFee": next(iter(fees.values()), "0"),
        "cumFeeDetail": fees,
        "timeInForce": _tif(order),
        "orderType": "Market" if _is_market(order) else "Limit",
        "stopOrderType": "tpslOrder" if is_stop(order) else "",
        "marketUnit": ("quoteCoin" if order.quote_qty else "baseCoin") if _is_market(order) else "",
        "triggerPrice": plain(order.stop_price),
        "triggerDirection": 0,
        "reduceOnly": False,
        "closeOnTrigger": False,
        **dict.fromkeys(UNSAID, ""),
        "smpType": "None",
        "smpGroup": 0,
        "createdTime": str(order.created),
        "updatedTime": str(order.updated),
    }


def _tif(order: Order) -> str:
    if _is_market(order):
        return "IOC"
    return {"PO": "PostOnly"}.get(order.tif, order.tif)


def execution_row(order: Order, trade: Trade) -> dict[str, Any]:
    """One fill of an order, as the list of executions tells it."""
    before = sum((one.qty for one in order.trades if one.id <= trade.id), ZERO)
    return {
        "symbol": trade.symbol,
        "orderId": str(trade.order_id),
        "orderLinkId": trade.client_id,
        "side": trade.side.capitalize(),
        "orderPrice": plain(order.price),
        "orderQty": plain(order.qty),
        "orderType": "Market" if _is_market(order) else "Limit",
        "stopOrderType": "tpslOrder" if is_stop(order) else "",
        "leavesQty": plain(order.qty - before),
        "execId": str(trade.id),
        "execType": "Trade",
        "execPrice": plain(trade.price),
        "execQty": plain(trade.qty),
        "execValue": plain(trade.cost),
        "execFee": plain(trade.fee),
        "feeRate": "0.001",
        "feeCurrency": trade.fee_asset,
        "execTime": str(trade.ts),
        "isMaker": trade.maker,
        "isLeverage": "0",
        "marketUnit": "",
        "closedSize": "",
        "blockTradeId": "",
        "markPrice": "",
        "indexPrice": "",
        "underlyingPrice": "",
        "tradeIv": "",
        "markIv": "",
        "seq": trade.id,
    }


def wallet_row(venue: SpotVenue, account: SpotAccount) -> dict[str, Any]:
    """The unified account: what is free is not said of a coin any more, what spot orders lock is."""
    coins, total = [], ZERO
    for asset in account.ledger.assets("free", "locked"):
        free, locked = account.ledger.at("free", asset), account.ledger.at("locked", asset)
        quote = venue.quotes.get(f"{asset}USDT")
        value = (free + locked) * (quote.last if quote is not None else 1)
        total += value
        coins.append(
            {
                "coin": asset,
                "equity": plain(free + locked),
                "usdValue": plain(value),
                "walletBalance": plain(free + locked),
                "locked": plain(locked),
                "spotHedgingQty": "0",
                "borrowAmount": "0",
                "availableToWithdraw": "",
                "availableToBorrow": "",
                "accruedInterest": "0",
                "totalOrderIM": "0",
                "totalPositionIM": "0",
                "totalPositionMM": "0",
                "unrealisedPnl": "0",
                "cumRealisedPnl": "0",
                "bonus": "0",
                "marginCollateral": True,
                "collateralSwitch": True,
            }
        )
    nothing = ("accountIMRate", "accountMMRate", "totalPerpUPL", "totalInitialMargin", "totalMaintenanceMargin")
    return {
        "accountType": "UNIFIED",
        **dict.fromkeys(
            ("totalEquity", "totalWalletBalance", "totalMarginBalance", "totalAvailableBalance"), plain(total)
        ),
        **dict.fromkeys(nothing, "0"),
        "accountLTV": "0",
        "coin": coins,
    }
