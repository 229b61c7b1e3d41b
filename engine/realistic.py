"""A backtest under the second fill model: as an exchange would fill, as far as candles let one tell.

Rules
    A spread and a depth around the price (`engine.depth`). A market order takes from it: a stop from its level
    on, what is left at the open or at the data's end from there; it walks the book by its size.
    A limit order queues: it fills when the price trades *through* it, not when it only touches it, and
    no more than the candle's volume in all. What is left of it waits, and is given up in time.
    An order takes `latency_ms` to arrive: a market order meets the price that much later, as far away as the
    candle's whole range times that part of the candle, and always to its disadvantage.
    Fees are the maker's or the taker's, and nothing is bought for more than there is.

The trade machine, the portfolio and the rules are those of every run; only the exchange is another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np

from engine.backtest import Backtest
from engine.candles import Candles
from engine.depth import Depth
from engine.market import Market
from engine.matching import Accepted, Exchange, Refused, VenueEvent
from engine.matching import Rules as VenueRules
from engine.messages import OrderFilled, TurnRow
from engine.order import Order
from engine.ranges import Range
from engine.types import ONE, ZERO, Millis, OrderSide, OrderType, exact


def exchange_with_depth(markets: Mapping[str, Market], depth: Depth, wallet: Decimal) -> Exchange:
    """The simulated exchange around a book, with the wallet in each coin that is paid with."""
    exchange = Exchange(markets, VenueRules(depth=depth))
    for quote in {market.quote for market in markets.values()}:
        exchange.clearing.ledger.deposit(quote, wallet)
    return exchange


@dataclass(slots=True)
class RealisticBacktest(Backtest):
    """See the module's text. `candles` tell the volumes, by pair."""

    candles: Mapping[str, Candles] = field(default_factory=dict)
    latency_ms: Millis = 0
    row: TurnRow | None = None
    left: Decimal = ZERO

    def turn(self, row: TurnRow, ts: Millis) -> None:
        """One pair's complete turn on one candle, as far as its volume goes."""
        candles = self.candles[row.pair]
        at = int(np.searchsorted(candles.ts, ts, side="right")) - 1
        self.row, self.left = row, exact(float(candles.volume[at])) if at >= 0 else ZERO
        Backtest.turn(self, row, ts)

    def _submit(self, order: Order, ts: Millis) -> Accepted | Refused:
        market, row = self.exchange.markets[order.pair], self.row
        assert row is not None
        order = replace(order, price=market.round_price(order.price))
        if order.type is not OrderType.MARKET:
            return self.exchange.submit(order, ts, market.round_price(row.open))
        length = self.rules[order.pair].settings.timeframe_ms
        late = (row.high - row.low) * min(Decimal(self.latency_ms) / length, ONE)
        price = order.price + late if order.side is OrderSide.BUY else order.price - late
        return self.exchange.submit(order, ts, max(market.round_price(price), market.price_step))

    def _match(self, seen: Range) -> tuple[VenueEvent, ...]:
        events = self.exchange.match(replace(seen, volume=self.left))
        self.left -= sum((event.fill.amount for event in events if isinstance(event, OrderFilled)), ZERO)
        self.left = max(self.left, ZERO)
        return events
