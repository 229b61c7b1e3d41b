"""What an entry asks for before it becomes an order: leverage, capital, a stake (`semantics.md` 1.4, 1.5).

Each function is part of an evaluation under way: None means that an answer is still to come.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine import pricing
from engine.denials import Denial
from engine.margin import highest_leverage
from engine.messages import CapitalReserved, ReserveCapital
from engine.quotes import Priced
from engine.sizing import validated_stake, within_distance
from engine.telling import trade_view
from engine.types import ONE, ZERO, OrderType, Priority, Purpose, Side
from engine.work import WAITING, Work, entering


def order_type(work: Work) -> OrderType:
    """The kind of order the entry under way is placed as."""
    settings = work.settings
    return OrderType(settings.force_entry_type if work.pending.forced else settings.entry_type)


@dataclass(frozen=True, slots=True)
class NotPriced:
    """The book speaks against the entry, or says nothing."""

    code: Denial
    detail: str


def entry_price(work: Work) -> Decimal | NotPriced | None:
    """The entry order's price, by the book and the strategy's own where it has one; None while these are asked."""
    pending, market = work.pending, work.market
    # Stored candles have opens with binary noise; rounded, such a price may lie outside its own candle.
    price = market.round_price(pending.price) if pending.bound is None else pending.price
    quoted = _quoted(work, price)
    if not isinstance(quoted, Decimal):
        return quoted
    price = quoted
    if order_type(work) is OrderType.MARKET:
        return price
    wanted = work.number("custom_entry_price", facts(work, price))
    if wanted is WAITING:
        return None
    if wanted is not None:
        price = market.price_near(
            within_distance(wanted, price, work.settings.price_distance) if pending.bound is None else wanted
        )
    if pending.bound is None:
        return price
    return min(price, pending.bound) if pending.side is Side.LONG else max(price, pending.bound)


def _quoted(work: Work, price: Decimal) -> Decimal | NotPriced | None:
    """`price`, or what the book makes of it where it is to be asked; None while it is.

    A first entry has its slot and capital first: a book costs requests, and most signals of a round get no slot.
    What a user wants at market price waits for nothing, and what is added to a trade is not weighed against the book.
    """
    pending, settings = work.pending, work.settings.entry_pricing
    first = pending.kind == "entry"
    whole = first and not pending.forced and settings.bids_to_ask_delta is not None
    at_once = pending.forced and order_type(work) is OrderType.MARKET
    if at_once or not (whole or pricing.is_quoted(settings)):
        return price
    if first and _size(work, price) is None:
        return None
    told = pricing.told_quote(work, settings, Priority.ENTRY, whole=whole)
    if told is WAITING:
        return None
    if told.quote is None:
        return NotPriced(Denial.NO_QUOTE, told.failed)
    thin = pricing.thin_book(settings, told.quote, pending.side) if whole else None
    if thin is not None:
        return NotPriced(Denial.THIN_BOOK, thin)
    price, pending.answers["priced"] = pricing.price_by(work, settings, told, Purpose.ENTRY, price)
    return price


def priced(work: Work) -> Priced | None:
    """Why the entry under way has its price; None where no book was asked."""
    found: Priced | None = work.pending.answers.get("priced")
    return found


def leverage_of(work: Work, price: Decimal) -> Decimal | None:
    """The entry's leverage, as much as the market lets a position of its size have; None while that is asked."""
    market = work.market
    most = market.leverage_max
    if market.tiers:
        size = _size(work, price)
        if size is None:
            return None
        most = min(most, highest_leverage(market.tiers, size))
    wanted = work.number("leverage", facts(work, price, leverage=work.settings.leverage, max_leverage=most))
    if wanted is WAITING:
        return None
    return min(max(work.settings.leverage if wanted is None else wanted, ONE), most)


def _size(work: Work, price: Decimal) -> Decimal | None:
    """What the portfolio grants before leverage and least stake are known; None while that is asked, once."""
    answers = work.pending.answers
    if "size" not in answers:
        if "capital" not in answers:
            reserve(work, price, ONE, ZERO, None)
            return None
        answers["size"] = answers.pop("capital").stake
    size: Decimal = answers["size"]
    return size


def reserve(
    work: Work, price: Decimal, leverage: Decimal, least: Decimal, most: Decimal | None, *, adding: bool = False
) -> None:
    """Ask the portfolio for capital, between what the market takes at least and at most.

    `adding` to an open trade needs no slot, and waits for no round.
    """
    pending, trade = work.pending, work.trade
    work.do(
        ReserveCapital(
            request_id=work.request_id("capital"),
            pair=trade.pair,
            side=pending.side,
            price=price,
            round_ts=trade.signal_ts,
            stake_min=least,
            stake_max=most,
            score=trade.signal.score,
            stake=pending.answers.get("own_stake"),
            leverage=leverage,
            forced=pending.forced,
            adding=adding,
            replaces=entering(trade) if adding else ZERO,
        )
    )


def stake_of(
    work: Work, granted: CapitalReserved, price: Decimal, leverage: Decimal, least: Decimal, most: Decimal | None
) -> Decimal | None:
    """The stake after the strategy's own wish; None while it, or more capital, is asked for."""
    pending = work.pending
    own = work.number(
        "custom_stake_amount",
        facts(
            work, price, leverage=leverage, proposed_stake=granted.stake, min_stake=least, max_stake=granted.available
        ),
        positive=False,
    )
    if own is WAITING:
        return None
    if own is None and "custom_stake_amount" not in work.settings.callbacks:
        return granted.stake
    wanted = validated_stake(granted.stake if own is None else own, least=least, most=most, available=granted.available)
    if wanted <= granted.stake:
        return wanted
    pending.answers.pop("capital")
    pending.answers["own_stake"] = wanted
    reserve(work, price, leverage, least, most)
    return None


def facts(work: Work, price: Decimal, **more: Any) -> dict[str, Any]:
    """The arguments of an entry callback, as plain values; none where there is no callback to read them."""
    if not work.settings.callbacks:
        return {}
    pending, trade = work.pending, work.trade
    told: dict[str, Any] = {
        "pair": trade.pair,
        "current_time": work.now,
        "current_rate": float(price),
        "rate": float(price),
        "proposed_rate": float(price),
        "order_type": order_type(work).value,
        "time_in_force": work.settings.entry_time_in_force,
        "entry_tag": pending.tag,
        "side": pending.side.value,
        "trade": trade_view(trade) if pending.kind == "adjust" else None,
        "proposed_leverage": float(work.settings.leverage),
        "max_leverage": float(work.market.leverage_max),
    }
    told.update({name: float(v) if isinstance(v, Decimal) else v for name, v in more.items()})
    return told
