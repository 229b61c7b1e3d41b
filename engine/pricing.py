"""What a limit order asks: which side of the book, which level of it, and whether there is book enough (`semantics.md` 1.4).

    same    where an order of ours would rest: the bid to buy, the ask to sell
    other   where it is taken at once: the ask to buy, the bid to sell
    bid, ask    that side, whatever is bought or sold
    last    the last price known; no book is asked for

A price is asked for when the decision is made, by the machine: the evaluation under way waits for it as for a
strategy's answer, no longer than the deadline. Without a quote there is no entry; an exit takes the last price
then, for nothing may keep a position from being left. What guards a position never asks.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from engine.messages import AskQuote, QuoteTold
from engine.quotes import Priced, Quote
from engine.settings import EntryPricingConfig, PricingConfig
from engine.types import Millis, OrderSide, Priority, Purpose, Side, order_side
from engine.work import WAITING, Trade, Work

ENTRY_QUOTE_MS: Final = 2_000
"""How long an entry waits for its quote; then it is denied."""
EXIT_QUOTE_MS: Final = 1_000
"""How long an exit waits for its quote; then it takes the last price."""
DENIED_MS: Final = 5_000
"""An exit that the strategy has denied at the book's price is proposed to it again after this, or on the next candle."""
KEY: Final = "quote"
"""What a quote is kept under among an evaluation's answers, alone or before the id of the order that it is for."""
BOOK_LEVELS: Final = 1_000
"""So many levels of each side are counted for `bids_to_ask_delta`, where the exchange gives that many."""


def takes(price_side: str, side: OrderSide) -> str:
    """Whose price it is, `bid` or `ask`, for an order of this side."""
    rests, crosses = ("bid", "ask") if side is OrderSide.BUY else ("ask", "bid")
    return {"same": rests, "other": crosses}.get(price_side, price_side)


def quoted_price(pricing: PricingConfig, quote: Quote, side: OrderSide, purpose: Purpose, last: Decimal) -> Decimal:
    """What the order asks by this quote, before the market's step; `last` serves where the quote has no last price.

    `price_last_balance` moves the best price towards the last one: an entry's down to it, an exit's up to it,
    never the other way. Not a deeper level's: who names one wants that.
    """
    price = quote.bid if takes(pricing.price_side, side) == "bid" else quote.ask
    traded = last if quote.last is None else quote.last
    if pricing.use_order_book or not traded:
        return price
    away = price > traded if purpose is Purpose.ENTRY else price < traded
    return price + pricing.price_last_balance * (traded - price) if away else price


def thin_book(pricing: EntryPricingConfig, quote: Quote, side: Side) -> str | None:
    """Why the book speaks against an entry on `side`: too little rests on its own side; None where it does not."""
    least, bids, asks = pricing.bids_to_ask_delta, quote.bids, quote.asks
    if least is None or bids is None or asks is None:
        return None
    ours, theirs = (bids, asks) if side is Side.LONG else (asks, bids)
    if ours >= least * theirs:
        return None
    ratio = ours / theirs
    wants = f"bids_to_ask_delta wants {least:f} or more"
    return f"bids {bids:f}, asks {asks:f}: {'bids' if side is Side.LONG else 'asks'} are {ratio:.3f} of the others, {wants}"


def is_quoted(pricing: PricingConfig) -> bool:
    """Whether prices are made of quotes."""
    return pricing.price_side != "last"


def waits_for_quote(trade: Trade) -> bool:
    """Whether an evaluation stands still until a quote comes."""
    pending = trade.pending
    return pending is not None and bool(pending.waiting) and pending.key.startswith(KEY)


def told_quote(work: Work, pricing: PricingConfig, priority: Priority, *, key: str = KEY, whole: bool = False) -> Any:
    """The answer to the question for a quote (`QuoteTold`), asked if it was not yet; WAITING until it is there."""
    pending = work.pending
    if key in pending.answers:
        return pending.answers[key]
    work.do(
        AskQuote(
            request_id=work.request_id(key),
            pair=work.trade.pair,
            level=pricing.order_book_top if pricing.use_order_book and is_quoted(pricing) else 1,
            levels=BOOK_LEVELS if whole else 0,
            priority=priority,
            deadline_ms=ENTRY_QUOTE_MS if priority is Priority.ENTRY else EXIT_QUOTE_MS,
        )
    )
    return WAITING


def price_by(
    work: Work, pricing: PricingConfig, told: QuoteTold, purpose: Purpose, price: Decimal
) -> tuple[Decimal, Priced]:
    """The price that a quote makes instead of `price`, and why; `price` itself where there is no quote."""
    quote = told.quote
    if quote is None:
        return price, Priced(how=f"last: {told.failed}")
    how = pricing.price_side
    if pricing.use_order_book and is_quoted(pricing):
        how = f"{how} {pricing.order_book_top}"
    of = work.pending.side if work.pending.kind in ("entry", "adjust") else work.trade.side
    side = order_side(of, purpose)
    if is_quoted(pricing):
        price = work.market.price_near(quoted_price(pricing, quote, side, purpose, work.trade.price))
    return price, Priced(how=f"{how} ({quote.source})", bid=quote.bid, ask=quote.ask, quoted_at=quote.ts)


def exit_price(work: Work, price: Decimal, *, key: str = KEY) -> Any:
    """An exit's price, and why it is that (None: no quote is wanted), or WAITING; the last one, `price`, without a quote."""
    pricing = work.settings.exit_pricing
    if not is_quoted(pricing):
        return price, None
    told = told_quote(work, pricing, Priority.EXIT, key=key)
    return told if told is WAITING else price_by(work, pricing, told, Purpose.EXIT, price)


def note_denied(work: Work, reason: str) -> None:
    """The strategy wants no exit for this reason at the book's price of now."""
    others = tuple(told for told in work.trade.denied if told[0] != reason)
    work.trade.denied = (*others, (reason, work.now))


def is_denied_still(work: Work, reason: str, candle_ms: Millis) -> bool:
    """Whether an exit that was denied at the book's price is not worth another question yet: books cost requests."""
    at = dict(work.trade.denied).get(reason)
    return at is not None and work.now - at < DENIED_MS and at // candle_ms == work.now // candle_ms


def nearer(first: Decimal, second: Decimal, side: Side) -> Decimal:
    """Of two prices of an exit that which is filled sooner: the lower one for a long."""
    return min(first, second) if side is Side.LONG else max(first, second)
