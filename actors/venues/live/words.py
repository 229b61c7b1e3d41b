"""What ccxt tells of orders and executions, in the engine's words.

An exchange's answer is bad input too: fields are missing, null, numbers as text, not finite. What cannot be
read is None here, never an exception and never a guess about money. That an order is done counts only with
what it has filled; else it is asked about again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from actors.venues.live.markets import number, positive
from engine.market import Market
from engine.messages import FundingPaid, OrderFilled, VenueOrder
from engine.order import Fill
from engine.types import ZERO, Millis, OrderSide, OrderStatus, OrderType

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

TEXT_MAX: Final = 200
"""No exchange has ids so long; what is longer is none."""

AHEAD_MS: Final = 60_000
"""Clocks differ; what is further ahead than this is no time."""

_THEIR_IDS: Final = ("clOrdId", "algoClOrdId", "orderLinkId", "text", "clientOrderId", "cl_ord_id")
"""What exchanges call an order's client id beside an execution, or beside a stop, where ccxt passes it over."""

_LIQUIDATIONS: Final = ("autoclose-", "adl_autoclose", "settlement_autoclose-")
"""Client ids of orders by which Binance closes a position itself."""

_TAKEN: Final = {
    "execType": ("BustTrade", "AdlTrade"),
    "createType": ("CreateByLiq", "CreateByTakeOver_PassThrough", "CreateByAdl_PassThrough"),
}
"""Bybit's words, beside an execution, for positions that it closes itself."""

_OWN_WORDS: Final = ("status", "X", "orderStatus", "state")
"""Where exchanges have their own word for what became of an order: ccxt's is "closed" for filled and ended alike."""


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
    counted = number(told.get("filled"))
    filled = max(counted or ZERO, _filled_as_another(told))
    if not filled and _says_filled(told):  # ccxt makes 0 of an amount that is missing; its executions will tell
        filled = amount
    kind = OrderType.STOP if trigger is not None else _type(told)
    unsaid = counted is None and text(told.get("status")).lower() == "closed"
    goes_on = unsaid or (bool(became_of(told)) and not _is_the_other(told))
    status = "open" if goes_on and filled < amount else told.get("status")
    return VenueOrder(
        client_order_id=ours(client_id) if client_id else "",
        order_id=order_id,
        status=status_of(status, filled, amount),
        side=side,
        type=kind,
        amount=amount * size,
        price=positive(told.get("price")) or positive(told.get("average")) or trigger or ZERO,
        trigger_price=trigger,
        filled=filled * size,
        ts=int(positive(told.get("timestamp")) or ZERO),
        reduce_only=told.get("reduceOnly") is True,
    )


def word_alone(told: Mapping[str, Any]) -> dict[str, Any]:
    """An answer to a request of ours without the ids in it, which are another order's or new ones: what we asked for is known."""
    info = told.get("info")
    words = {name: info.get(name) for name in _OWN_WORDS} if isinstance(info, Mapping) else None
    return {**told, "clientOrderId": "", "info": words}


def _says_filled(told: Mapping[str, Any]) -> bool:
    """Whether the exchange's own word for what became of an order is that it is filled."""
    info = told.get("info")
    return isinstance(info, Mapping) and any(text(info.get(name)).lower() == "filled" for name in _OWN_WORDS)


def holds_refusal(told: Any) -> bool:
    """Whether the answer to a request about one order is a refusal all the same: OKX's `sCode`, an order's state for ccxt."""
    return isinstance(told, Mapping) and text(told.get("status")).lower() == "rejected"


def became_of(told: Any) -> str:
    """The id of the order that a triggered stop has become, where an exchange keeps stops apart; empty for others."""
    info = told.get("info") if isinstance(told, Mapping) else None
    if not isinstance(info, Mapping) or not (info.get("algoId") or info.get("aid")):
        return ""
    found = text(info.get("actualOrderId") or info.get("ai") or info.get("ordId"))
    return "" if found == "0" else found


def _is_the_other(told: Mapping[str, Any]) -> bool:
    """Whether it is the order that a stop has become, which OKX tells of under the stop's id."""
    info = told.get("info")
    return isinstance(info, Mapping) and "accFillSz" in info


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
    """The id that whoever placed an order gave it; the answer to a cancel has a new one, and the old one inside.

    Of an execution too, where the exchange tells it there.
    """
    info = told.get("info")
    info = info if isinstance(info, Mapping) else {}
    told_ids = (info.get("origClientOrderId"), told.get("clientOrderId"), *(info.get(name) for name in _THEIR_IDS))
    return next((found for one in told_ids if (found := text(one))), "")


def is_liquidation(told: Mapping[str, Any], client_id: str = "") -> bool:
    """Whether an execution is the exchange's own doing, by what stands beside it or its order's client id.

    It is a liquidation or an automatic deleveraging; others that name neither count as the user's.
    """
    info = told.get("info")
    words = info if isinstance(info, Mapping) else {}
    is_taken = any(text(words.get(name)) in found for name, found in _TAKEN.items())
    return is_taken or client_id.startswith(_LIQUIDATIONS)


def fill_of(told: Any, client_order_id: str, market: Market, now: Millis) -> OrderFilled | None:
    """An execution of one of our orders; None for what has no id, no price or no amount.

    Without a time, or with one far ahead, it happened `now`: it is money all the same, and what is read since the
    last execution must not begin in the future. A fee that is not told whole is the market's usual one (`is_fee_whole`).
    """
    if not isinstance(told, Mapping):
        return None
    fill_id, price, amount = text(told.get("id")), positive(told.get("price")), positive(told.get("amount"))
    if not fill_id or price is None or amount is None or _is_id_borrowed(told.get("info")):
        return None
    ts = positive(told.get("timestamp"))
    amount *= market.contract_size
    fee, currency = _fee(told) if is_fee_whole(told) else _usual_fee(told, market, amount, price)
    fill = Fill(
        fill_id=fill_id,
        client_order_id=client_order_id,
        ts=now if ts is None or ts > now + AHEAD_MS else int(ts),
        price=price,
        amount=amount,
        fee=fee,
        fee_currency=currency,
        maker=text(told.get("takerOrMaker")) == "maker",
    )
    return OrderFilled(pair=market.pair, fill=fill, order_id=text(told.get("order")))


def _is_id_borrowed(info: Any) -> bool:
    """Whether an event of Binance's that tells of an execution is without its id: ccxt takes the number of something else then."""
    return isinstance(info, Mapping) and info.get("x") == "TRADE" and not text(info.get("t"))


def fills_in(told: Mapping[str, Any], order_id: str) -> list[dict[str, Any]]:
    """The executions that the answer to an order carries (Binance's `FULL`), as `fill_of` reads them.

    Whatever fills in the answer has taken what was there. They are taken all or not at all: one without the exchange's
    id, its price or its fee, or others than the order has filled by its own word, leave it to the stream and the lists.
    """
    found: list[dict[str, Any]] = [
        {**one, "order": order_id} for one in rows(told.get("trades")) if isinstance(one, Mapping)
    ]
    sums = ZERO
    for one in found:
        info, amount = one.get("info"), positive(one.get("amount"))
        told_id = text(info.get("tradeId")) if isinstance(info, Mapping) else ""
        fee = one.get("fee")
        named = is_fee_told(fee) and isinstance(fee, Mapping) and bool(text(fee.get("currency")))
        if not told_id or told_id != text(one.get("id")) or amount is None or not named:
            return []
        one["timestamp"], one["takerOrMaker"] = told.get("lastUpdateTimestamp"), "taker"
        sums += amount
    return found if sums == (number(told.get("filled")) or ZERO) else []


def _fee(told: Mapping[str, Any]) -> tuple[Decimal, str]:
    """What was charged and in which coin; several fees in one coin are summed, of several coins the first counts."""
    fees = [told.get("fee"), *rows(told.get("fees"))]
    if is_fee_told(told.get("fee")):
        fees = fees[:1]  # else the list says the same again
    found = [
        (cost, text(fee.get("currency")))
        for fee in fees
        if isinstance(fee, Mapping) and (cost := number(fee.get("cost"))) is not None and cost
    ]
    if not found:
        return ZERO, ""
    currency = found[0][1]
    return sum((cost for cost, coin in found if coin == currency), ZERO), currency


def _usual_fee(told: Mapping[str, Any], market: Market, amount: Decimal, price: Decimal) -> tuple[Decimal, str]:
    """What the market's own rate takes, where the exchange does not say it: none would be too much profit.

    Nobody knows in which coin: of what may be a purchase on spot, in the bought one, so that no more counts as held than
    there is, or its stop would be refused; but not where another is named. How much of a third coin it was is not known
    either: its worth is in the quote coin.
    """
    fees = [fee for fee in (told.get("fee"), *rows(told.get("fees"))) if isinstance(fee, Mapping)]
    named = next((coin for fee in fees if (coin := text(fee.get("currency")))), "")
    may_be_bought = not market.is_futures and text(told.get("side")).lower() != "sell"
    in_base = named == market.base if named else may_be_bought
    is_maker = text(told.get("takerOrMaker")) == "maker"
    return market.usual_fee(amount, price, maker=is_maker, in_base=in_base)


def is_fee_told(fee: Any) -> bool:
    """Whether a fee says how much it is; nothing is an amount too."""
    return isinstance(fee, Mapping) and number(fee.get("cost")) is not None


def is_fee_whole(told: Mapping[str, Any]) -> bool:
    """Whether an execution says what was charged, and in which coin where anything was: a fee changes what is held."""
    fees = [told.get("fee")] if is_fee_told(told.get("fee")) else rows(told.get("fees"))
    return bool(fees) and all(
        isinstance(fee, Mapping) and is_fee_told(fee) and (not number(fee["cost"]) or bool(text(fee.get("currency"))))
        for fee in fees
    )


def payment_of(told: Any, pair: str) -> FundingPaid | None:
    """Funding that was paid for a position; ccxt tells neither the rate nor what was held.

    Where an exchange gives payments no id (Gate), the pair and the time are it: a position is paid for once at a time.
    """
    if not isinstance(told, Mapping):
        return None
    received, ts = _received(told), positive(told.get("timestamp"))
    if received is None or ts is None:
        return None
    payment_id = text(told.get("id")) or (f"{pair} {int(ts)}" if pair else "")
    if not payment_id:
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


def _received(told: Mapping[str, Any]) -> Decimal | None:
    """What a payment brought, negative where it took.

    Bybit tells funding as an execution, whose fee is what it costs, and ccxt hands that on as what was received
    (its issue 26404). Bybit's own field is read, so that this stays right when ccxt is mended.
    """
    info = told.get("info")
    if isinstance(info, Mapping) and info.get("execType") == "Funding":
        paid = number(info.get("execFee"))
        return None if paid is None else ZERO - paid
    return number(told.get("amount"))


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


def names_coins(told: Any) -> bool:
    """Whether an answer says of any coin how much there is: one that names none has said nothing of what is held."""
    return isinstance(told, Mapping) and any(isinstance(one, Mapping) and "total" in one for one in told.values())


NO_COINS: Final = "the exchange names no coin in the account: it is empty, or the answer says nothing"


def unreadable_of(told: Any) -> frozenset[str]:
    """The coins of which an answer does not say how much there is: nobody may think that there is none."""
    if not isinstance(told, Mapping):
        return frozenset()
    coins = ((name, one) for name, one in told.items() if isinstance(one, Mapping) and "total" in one)
    return frozenset(str(name) for name, one in coins if number(one.get("total")) is None)


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
    """Base coins of a position, a short's negative; None for what says nothing, or not on which side it is."""
    if not isinstance(told, Mapping):
        return None
    contracts, side = number(told.get("contracts")), text(told.get("side"))
    if contracts is None or (contracts and side not in ("long", "short")):
        return None
    held = abs(contracts) * market.contract_size
    return -held if side == "short" else held


def text(value: Any) -> str:
    """An id or a word, whatever it is written as; empty for null, and for what is neither."""
    if value is None or isinstance(value, bool | Mapping | list | tuple):
        return ""
    written = str(value)
    return written if len(written) <= TEXT_MAX else ""


def rows(value: Any) -> Sequence[Any]:
    """A list as an exchange should answer it; whatever else came is no row."""
    return value if _is_list(value) else ()


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
