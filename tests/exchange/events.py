"""The events of a futures account's stream."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.exchange.listing import places
from tests.exchange.margin import COIN, FuturesAccount, Position
from tests.exchange.orders import ZERO, Order, Trade

if TYPE_CHECKING:
    from tests.exchange.algo import AlgoOrder
    from tests.exchange.futures import FuturesVenue


def short(value: Decimal) -> str:
    """A number without more zeros than needed, as futures events have them."""
    text = f"{value:.8f}".rstrip("0").rstrip(".")
    return text or "0"


def account_update(account: FuturesAccount, why: str, positions: list[Position], now: int) -> dict[str, Any]:
    """`ACCOUNT_UPDATE`: the wallet, and the positions that changed."""
    figures = account.figures()
    return {
        "e": "ACCOUNT_UPDATE",
        "E": now,
        "T": now,
        "a": {
            "m": why,
            "B": [{"a": COIN, "wb": f"{figures['walletBalance']:.8f}", "cw": f"{account.wallet:.8f}", "bc": "0"}],
            "P": [
                {
                    "s": position.symbol,
                    "pa": short(position.amount),
                    "ep": short(position.entry),
                    "bep": short(position.entry),
                    "cr": short(position.realized),
                    "up": f"{account.profit(position):.8f}",
                    "mt": "isolated" if position.isolated else "cross",
                    "iw": f"{account.isolated_wallet(position) if position.isolated else ZERO:.8f}",
                    "ps": "BOTH",
                    "ma": COIN,
                }
                for position in positions
            ],
        },
    }


def order_update(venue: FuturesVenue, order: Order, what: str, trade: Trade | None) -> dict[str, Any]:
    """`ORDER_TRADE_UPDATE`; a liquidation's fills are `CALCULATED`."""
    now, listing = venue.clock.now(), venue.listings[order.symbol]
    if trade is not None and order.type == "LIQUIDATION":
        what = "CALCULATED"
    average = order.cost / order.filled if order.filled else ZERO
    told: dict[str, Any] = {
        "s": order.symbol,
        "c": order.client_id,
        "S": order.side,
        "o": order.type,
        "f": order.tif,
        "q": short(order.qty),
        "p": short(order.price),
        "ap": f"{average:.{places(listing.tick) + 3}f}" if average else "0",
        "sp": short(order.stop_price),
        "x": what,
        "X": order.status,
        "i": order.id,
        "l": short(trade.qty if trade else ZERO),
        "z": short(order.filled),
        "L": short(trade.price if trade else ZERO),
        "T": order.updated,
        "t": trade.id if trade else 0,
        "b": "0",
        "a": "0",
        "m": bool(trade and trade.maker),
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": order.original_type or order.type,
        "ps": "BOTH",
        "cp": False,
        "rp": short(trade.realized if trade else ZERO),
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "EXPIRE_MAKER",
        "pm": "NONE",
        "gtd": 0,
    }
    if trade is not None:
        told["n"], told["N"] = short(trade.fee), trade.fee_asset
    return {"e": "ORDER_TRADE_UPDATE", "E": now, "T": order.updated, "o": told}


def algo_update(venue: FuturesVenue, algo: AlgoOrder) -> dict[str, Any]:
    """`ALGO_UPDATE`; `ai` is the order it has become, or empty."""
    order = venue.orders.get(algo.order_id)
    now = venue.clock.now()
    told: dict[str, Any] = {
        "caid": algo.client_id,
        "aid": algo.id,
        "at": "CONDITIONAL",
        "o": algo.type,
        "s": algo.symbol,
        "S": algo.side,
        "ps": "BOTH",
        "f": algo.tif,
        "q": short(algo.qty),
        "X": algo.status,
        "ai": str(algo.order_id) if algo.order_id else "",
        "ap": short(order.cost / order.filled) if order and order.filled else "0",
        "aq": short(order.filled) if order else "0",
        "act": order.type if order else "0",
        "tp": short(algo.trigger),
        "p": short(algo.price),
        "V": "EXPIRE_MAKER",
        "wt": algo.working_type,
        "pm": "NONE",
        "cp": algo.close_position,
        "pP": False,
        "R": algo.reduce_only,
        "tt": algo.triggered_at,
        "gtd": 0,
    }
    if algo.reason:
        told["rm"] = algo.reason
    return {"e": "ALGO_UPDATE", "E": now, "T": algo.updated, "o": told}
