"""What the paper venue reads off its configuration, its record and its market, in the words of port and exchange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from actors.venues.live.markets import with_rate
from actors.venues.paper.record import VenueRecord
from actors.venues.ports import PriceRange
from actors.venues.trading import Snapshot
from engine.candles import MINUTE
from engine.clearing import Clearing, Fees
from engine.depth import Depth
from engine.market import Market
from engine.matching import Rules
from engine.ranges import Range
from engine.settings import PaperConfig
from engine.types import ONE, Millis, Side, exact


def rules_of(config: PaperConfig) -> Rules:
    """How an exchange of this configuration fills and charges."""
    fees = Fees(in_base=config.fee_in_base, coin=config.fee_coin, coin_price=config.fee_coin_price)
    if config.fills == "candle":
        return Rules(fees=Fees())
    return Rules(depth=Depth(config.spread, config.depth), fees=fees)


def configured(markets: Mapping[str, Market], config: PaperConfig) -> dict[str, Market]:
    """A source's markets with the fees and the leverage of this configuration."""
    return {
        pair: replace(
            market,
            leverage_max=max((tier.leverage_max for tier in market.tiers), default=config.leverage_max),
            maker_fee=config.taker_fee if config.fills == "candle" else config.maker_fee,
            taker_fee=config.taker_fee,
        )
        for pair, market in markets.items()
    }


def as_listed(markets: Mapping[str, Market], config: PaperConfig, exchange: str) -> dict[str, Market]:
    """A real exchange's markets as it lists them; only what it does not tell without keys is the configuration's."""
    return {
        pair: replace(
            _with_margin(market, config, exchange),
            maker_fee=market.taker_fee if config.fills == "candle" else market.maker_fee,
        )
        for pair, market in markets.items()
    }


def _with_margin(market: Market, config: PaperConfig, exchange: str) -> Market:
    if market.tiers or not market.is_futures:
        return market
    most = config.leverage_max if market.leverage_max <= ONE else market.leverage_max
    return with_rate(market, config.maintenance_rate, most, exchange)


def position_of(clearing: Clearing, market: Market) -> Decimal:
    """Base coins held of a pair, a short's are negative."""
    spot = clearing.ledger.free(market.base) + clearing.ledger.locked(market.base)
    held = clearing.positions.get(market.pair)
    if held is None:
        return spot
    return spot + (held.amount if held.side is Side.LONG else -held.amount)


def snapshot_of(
    record: VenueRecord, pair: str, client_order_ids: Sequence[str], since: Millis, position: Decimal | None
) -> Snapshot:
    """What is true of a pair; fills and funding from `since` on, and all fills of the orders asked for."""
    orders = {order.order_id: order for order in record.open_orders(pair)}
    fills = {filled.fill.fill_id: filled for filled in record.fills_since(pair, since)}
    unknown = []
    for client_id in client_order_ids:
        order = record.find(client_id)
        if order is None:
            unknown.append(client_id)
        else:
            orders[order.order_id] = order
            fills.update((filled.fill.fill_id, filled) for filled in record.fills_of(order.order_id))
    # A fill is of use only with its order: whoever lost his books knows neither.
    for client_id in {filled.fill.client_order_id for filled in fills.values()}:
        order = record.find(client_id)
        if order is not None:
            orders.setdefault(order.order_id, order)
    paid = tuple(record.payments_since(pair, since))
    return Snapshot(tuple(orders.values()), tuple(fills.values()), tuple(unknown), position, payments=paid)


def range_of(found: PriceRange) -> Range:
    """A source's range for the exchange: prices that come as they come."""
    low, high, first, last = (exact(price) for price in (found.low, found.high, found.open, found.close))
    return Range(found.pair, found.ts, low, high, open=first, close=last, tolerant=True)


class UsedWeight:
    """The weight of the requests of this minute."""

    def __init__(self) -> None:
        self._minute = 0
        self._used = 0

    def count(self, weight: int, now: Millis) -> None:
        """A request of this weight has come."""
        self._used = self.at(now) + weight
        self._minute = now // MINUTE

    def at(self, now: Millis) -> int:
        """What was used of the minute of `now`."""
        return self._used if self._minute == now // MINUTE else 0
