"""What ccxt tells of orders and executions, in the engine's words.

An exchange's answer is bad input too: fields are missing, null, numbers as text, not finite. What cannot be
read is None here, never an exception and never a guess about money.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from actors.venues.live.markets import number, positive
from engine.market import Market
from engine.messages import FundingPaid, OrderFilled, VenueOrder
from engine.order import Fill
from engine.types import ZERO, OrderSide, OrderStatus, OrderType

S = OrderStatus

_ENDED: Final = {
    "canceled": S.CANCELED,
    "cancelled": S.CANCELED,
    "expired": S.EXPIRED,
    "rejected": S.REJECTED,
}
_SIDES: Final = {"buy": OrderSide.BUY, "sell": OrderSide.SELL}

Ours = Callable[[str], str]
"""Makes our id of the one that the exchange tells."""


def order_of(told: Any, market: Market, ours: Ours) -> VenueOrder | None:
    """An order of `market` as ccxt tells it; None for what names no order, no side or no amount.

    A status that nobody knows counts as working: it exists, and is asked for again.
    """
    if not isinstance(told, Mapping):
        return None
    order_id, client_id = text(told.get("id")), client_id_of(told)
    side = _SIDES.get(text(told.get("side")).lower())
    amount = positive(told.get("amount"))
    if not (order_id or client_id) or side is None or amount is None:
        return None
    size = market.contract_size
    trigger = (
        positive(told.get("triggerPrice")) or positive(told.get("stopPrice")) or positive(told.get("stopLossPrice"))
    )
    filled = max(positive(told.get("filled")) or ZERO, _filled_as_another(told))
    kind = OrderType.STOP if trigger is not None else _type(told)
    return VenueOrder(
        client_order_id=ours(client_id) if client_id else "",
        order_id=order_id,
        status=status_of("open" if became_of(told) and filled < amount else told.get("status"), filled, amount),
        side=side,
        type=kind,
        amount=amount * size,
        price=positive(told.get("price")) or positive(told.get("average")) or trigger or ZERO,
        trigger_price=trigger,
        filled=filled * size,
        ts=int(number(told.get("timestamp")) or ZERO),
        reduce_only=told.get("reduceOnly") is True,
    )


def became_of(told: Any) -> str:
    """The id of the order that a triggered stop has become, where an exchange keeps stops apart; empty for others."""
    info = told.get("info") if isinstance(told, Mapping) else None
    if not isinstance(info, Mapping) or not (info.get("algoId") or info.get("aid")):
        return ""
    found = text(info.get("actualOrderId") or info.get("ai") or info.get("ordId"))
    return "" if found == "0" else found


def _filled_as_another(told: Mapping[str, Any]) -> Decimal:
    """What the order has filled that a stop has become."""
    info = told.get("info")
    if not became_of(told) or not isinstance(info, Mapping):
        return ZERO
    return positive(info.get("actualQty")) or positive(info.get("aq")) or positive(info.get("actualSz")) or ZERO


def _type(told: Mapping[str, Any]) -> OrderType:
    return OrderType.MARKET if "market" in text(told.get("type")).lower() else OrderType.LIMIT


def status_of(told: Any, filled: Decimal, amount: Decimal) -> OrderStatus:
    """The status that ccxt's word means, with what it has filled: closed without being filled has expired."""
    word = text(told).lower()
    if word in _ENDED:
        return S.FILLED if filled >= amount else _ENDED[word]
    if word == "closed":
        return S.FILLED if filled >= amount else S.EXPIRED
    if filled >= amount:
        return S.FILLED
    return S.PARTIALLY_FILLED if filled else S.NEW


def is_known_status(told: Any) -> bool:
    """Whether `status_of` knows the word."""
    return text(told).lower() in {*_ENDED, "closed", "open", "canceling", "cancelling"}


def client_id_of(told: Mapping[str, Any]) -> str:
    """The id that whoever placed an order gave it; the answer to a cancel has a new one, and the old one inside."""
    info = told.get("info")
    if isinstance(info, Mapping) and text(info.get("origClientOrderId")):
        return text(info.get("origClientOrderId"))
    return text(told.get("clientOrderId"))


def fill_of(told: Any, client_order_id: str, market: Market) -> OrderFilled | None:
    """An execution of one of our orders; None for what has no id, no price or no amount."""
    if not isinstance(told, Mapping):
        return None
    fill_id, price, amount = text(told.get("id")), positive(told.get("price")), positive(told.get("amount"))
    ts = number(told.get("timestamp"))
    if not fill_id or price is None or amount is None or ts is None:
        return None
    fee, currency = _fee(told)
    fill = Fill(
        fill_id=fill_id,
        client_order_id=client_order_id,
        ts=int(ts),
        price=price,
        amount=amount * market.contract_size,
        fee=fee,
        fee_currency=currency,
        maker=text(told.get("takerOrMaker")) == "maker",
    )
    return OrderFilled(pair=market.pair, fill=fill, order_id=text(told.get("order")))


def _fee(told: Mapping[str, Any]) -> tuple[Decimal, str]:
    """What was charged and in which coin; several fees in one coin are summed, of several coins the first counts."""
    fees = [told.get("fee")] if isinstance(told.get("fee"), Mapping) else list(rows(told.get("fees")))
    found = [
        (cost, text(fee.get("currency")))
        for fee in fees
        if isinstance(fee, Mapping) and (cost := number(fee.get("cost"))) is not None and cost
    ]
    if not found:
        return ZERO, ""
    currency = found[0][1]
    return sum((cost for cost, coin in found if coin == currency), ZERO), currency


def payment_of(told: Any, pair: str) -> FundingPaid | None:
    """Funding that was paid for a position; ccxt tells neither the rate nor what was held."""
    if not isinstance(told, Mapping):
        return None
    payment_id, received, ts = text(told.get("id")), number(told.get("amount")), number(told.get("timestamp"))
    if not payment_id or received is None or ts is None:
        return None
    return FundingPaid(
        pair=pair,
        payment_id=payment_id,
        ts=int(ts),
        received=received,
        currency=text(told.get("code")),
        rate=ZERO,
        price=ZERO,
        amount=ZERO,
    )


def balances_of(told: Any, *, futures: bool) -> tuple[tuple[str, Decimal, Decimal], ...]:
    """(currency, free, locked) of each coin that there is; a futures wallet without the profit of open positions."""
    if not isinstance(told, Mapping):
        return ()
    wallets = _wallets(told) if futures else {}
    found = []
    for currency, one in told.items():
        if not isinstance(one, Mapping) or "total" not in one:
            continue
        free, total = number(one.get("free")) or ZERO, number(one.get("total")) or ZERO
        total = wallets.get(currency, total)
        if total:
            found.append((str(currency), min(free, total), max(total - free, ZERO)))
    return tuple(sorted(found))


def _wallets(told: Mapping[str, Any]) -> dict[str, Decimal]:
    info = told.get("info")
    rows: Any = info.get("assets") if isinstance(info, Mapping) else info
    if not _is_list(rows):
        return {}
    wallets = {}
    for row in rows:
        if isinstance(row, Mapping):
            amount = number(row.get("walletBalance", row.get("balance")))
            if amount is not None and text(row.get("asset")):
                wallets[text(row.get("asset"))] = amount
    return wallets


def position_of(told: Any, market: Market) -> Decimal | None:
    """Base coins of a position, a short's negative; None for what says nothing."""
    if not isinstance(told, Mapping):
        return None
    contracts = number(told.get("contracts"))
    if contracts is None:
        return None
    held = abs(contracts) * market.contract_size
    return -held if text(told.get("side")) == "short" else held


def text(value: Any) -> str:
    """An id or a word, whatever it is written as; empty for null."""
    return "" if value is None else str(value)


def rows(value: Any) -> Sequence[Any]:
    """A list as an exchange should answer it; whatever else came is no row."""
    return value if _is_list(value) else ()


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
