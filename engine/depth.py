"""The order book that the simulated exchange pretends to have around a price.

    ask = price × (1 + spread / 2), bid = price × (1 - spread / 2), on the step outside.
    Beyond them rests `depth` of the quote coin in every further `spread × price`, evenly, until 5%
    away from the price; there the book ends.

So an order of `cost` (amount × price) that takes walks `spread × price × cost / depth` into the book
and pays half of that on average:

    average = ask × (1 + spread × cost / (2 × depth))    for a buy
    average = bid × (1 - spread × cost / (2 × depth))    for a sell

rounded to the price step against whoever takes. The book is whole again for the next order: the
simulation does not say who stands behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from engine.market import Market
from engine.quotes import Quote
from engine.types import ONE, ZERO, Millis, OrderSide

END: Final = Decimal("0.05")
"""How far from the price the book goes, as a ratio."""

_TWO: Final = Decimal(2)


@dataclass(frozen=True, slots=True)
class Take:
    """What an order that takes gets at once: how much, and the average price on the step."""

    amount: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class Depth:
    """The shape of the book; a spread of 0 is a book without end at the price itself."""

    spread: Decimal
    depth: Decimal

    def best(self, market: Market, price: Decimal, side: OrderSide) -> Decimal:
        """What a `side` order meets first: the ask for a buy, the bid for a sell."""
        if side is OrderSide.BUY:
            return market.round_price_up(price * (ONE + self.spread / _TWO))
        return max(market.round_price_down(price * (ONE - self.spread / _TWO)), market.price_step)

    def quote(self, market: Market, price: Decimal, level: int, *, ts: Millis, whole: bool) -> Quote | None:
        """Both sides at `level`, each one price step behind the one before; None where the book does not go so far.

        `whole` counts what rests on each side up to the end, base coins; a book without an end has as much on both.
        """
        away = market.price_step * (level - 1)
        bid = self.best(market, price, OrderSide.SELL) - away
        ask = self.best(market, price, OrderSide.BUY) + away
        if bid <= ZERO or (self.spread and max(price - bid, ask - price) > price * END):
            return None
        rests = market.truncate_amount(self.depth * (END / self.spread if self.spread else ONE) / price)
        side = rests if whole else None
        return Quote(ts=ts, bid=bid, ask=ask, last=price, bids=side, asks=side, source="paper")

    def take(
        self, market: Market, price: Decimal, side: OrderSide, amount: Decimal, limit: Decimal | None = None
    ) -> Take:
        """What of `amount` fills at once, not beyond `limit`; nothing when the best price is beyond it.

        A limit at the best price itself takes what rests within one price step of it.
        """
        best = self.best(market, price, side)
        buys = side is OrderSide.BUY
        if limit is not None and (limit < best if buys else limit > best):
            return Take(ZERO, best)
        if not self.spread:
            return Take(amount, best)
        reach = price * END
        if limit is not None:
            reach = min(reach, abs(limit - best) + market.price_step)
        available = market.truncate_amount(self.depth * reach / (self.spread * price) / price)
        filled = min(amount, available)
        worse = self.spread * filled * price / (_TWO * self.depth)
        if buys:
            average = market.round_price_up(best * (ONE + worse))
            return Take(filled, average if limit is None else min(average, limit))
        average = max(market.round_price_down(best * (ONE - worse)), market.price_step)
        return Take(filled, average if limit is None else max(average, limit))


ENDLESS: Final = Depth(ZERO, ONE)
"""Where both sides are at the price itself: what fills by candles has no book."""
