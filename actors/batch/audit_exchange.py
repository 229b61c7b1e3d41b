"""The audit's second reader: a real exchange's record of an account, read and never changed.

What an exchange shows is less than the simulated one's own books: orders and executions of a pair, and what is
held. So everything of ours is compared order by order and fill by fill; that its balances follow from all
deposits is the exchange's business. Prices of orders that name none are not compared.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

from actors.batch.audit_books import Books
from actors.batch.audit_entries import ToldOrder
from actors.batch.audit_venue import VenueBooks, VenueSide
from actors.reaching import connected, looked_at, no_patience, patiently
from actors.venues.capabilities import Capability, capability
from actors.venues.ccxt import Connection
from actors.venues.live.examining import refusal_of
from actors.venues.live.histories import Rows, order_list, pages
from actors.venues.live.paging import Function, Pages, answer_of, function_of, listing_of
from actors.venues.live.wire import Answer
from actors.venues.live.words import fill_of, order_of, rows, text
from engine.candles import MINUTE
from engine.market import Market
from engine.messages import VenueOrder
from engine.order import Order
from engine.settings import Config
from engine.types import ONE, ZERO, Millis, OrderSide, OrderStatus, OrderType

OVERLAP_MS: Final = 60_000
BUDGET: Final = 2
"""The part of the exchange's weight in a minute that an audit leaves to others: it goes slowly beside a bot."""


@dataclass(slots=True, kw_only=True)
class ExchangeBooks(VenueBooks):
    """An exchange's record: ids of orders and fills are its own within a pair.

    `buys_by_limit`: a market order to buy would name money there, and is sent as a limit order that takes.
    """

    buys_by_limit: bool = False

    @property
    def shows_prices(self) -> bool:
        """Only of orders that name one."""
        return False

    def key(self, told: ToldOrder) -> str:
        """Where an order is found."""
        return f"{told.pair} {told.order_id}"

    def sent_as(self, order: Order) -> OrderType:
        """A market order to buy may be a limit order."""
        is_buy = order.type is OrderType.MARKET and order.side is OrderSide.BUY
        return OrderType.LIMIT if is_buy and self.buys_by_limit else order.type


def exchange_reader(config: Config) -> Callable[[Books], VenueBooks]:
    """Reads the configured account; each call connects and looks anew."""

    def read(books: Books) -> VenueBooks:
        can = capability(config.exchange.name, futures=config.exchange.market == "futures")
        connection = connected(config)
        try:
            patiently(connection, no_patience, lambda: looked_at(connection, config, strict=False))
            return _Reading(connection, can).books(books.pairs())
        finally:
            connection.close()

    return read


class _Reading:
    """One reading of the account."""

    def __init__(self, connection: Connection, can: Capability) -> None:
        self._connection = connection
        self._can = can
        self._weight = next((pool.limit for pool in can.pools if pool.name == "weight_1m"), 0)

    def books(self, pairs: Mapping[str, Millis]) -> VenueBooks:
        """All orders and executions of these pairs since these times."""
        books = ExchangeBooks(name=self._connection.name, buys_by_limit=self._can.market_buy == "cost")
        markets = self._connection.markets()
        for pair, since in pairs.items():
            market = markets.get(pair)
            if market is None:
                books.gone.append(pair)
            else:
                self._read_pair(market, max(since - OVERLAP_MS, 0), books)
        return books

    def _read_pair(self, market: Market, since: Millis, books: ExchangeBooks) -> None:
        trading = self._connection.trading
        orders: dict[str, VenueOrder] = {}
        method = order_list(trading.has)
        for told in [] if method is None else self._pages(getattr(trading, method), market, since):
            self._take(told, market, orders)
        for call in (self._can.open_orders(market.pair), self._can.open_stops(market.pair)):
            if call is not None:
                for told in rows(self._ask(listing_of(trading, call)).value):
                    self._take(told, market, orders)
        self._read_stops(market, since, orders)
        fills: dict[str, list[Any]] = {}
        for told in self._pages(trading.fetch_my_trades, market, since):
            fills.setdefault(text(told.get("order")), []).append(told)
        for order_id in fills.keys() - orders.keys():  # not every exchange lists all orders that have ended
            for call in self._can.fetch(market.pair, "", order_id) if method != "fetch_orders" else ():
                value = self._ask(function_of(trading, call)).value
                for told in value if isinstance(value, list) else (value,):
                    self._take(told, market, orders)
        for order in orders.values():
            self._add(order, fills.get(order.order_id, []), market, books)

    def _read_stops(self, market: Market, since: Millis, orders: dict[str, VenueOrder]) -> None:
        """Stops that have ended, where they are orders of another kind: triggered ones are among the orders already."""
        if self._can.stop is None or not self._can.stop.open:
            return
        known = {order.client_order_id for order in orders.values()}
        found: dict[str, VenueOrder] = {}
        method = order_list(self._connection.trading.has)
        history = [] if method is None else [getattr(self._connection.trading, method)]
        for told in self._pages(history[0], market, since, **self._can.stop.open) if history else []:
            self._take(told, market, found)
        orders.update((key, order) for key, order in found.items() if order.client_order_id not in known)

    def _take(self, told: Any, market: Market, orders: dict[str, VenueOrder]) -> None:
        order = order_of(told, market, self._can.ours)
        if order is not None and order.order_id:
            orders[order.order_id] = order

    def _add(self, order: VenueOrder, trades: list[Any], market: Market, books: ExchangeBooks) -> None:
        told = ToldOrder(
            client_order_id=order.client_order_id,
            order_id=order.order_id,
            pair=market.pair,
            side=OrderSide(order.side),
            type=OrderType(order.type),
            amount=order.amount,
            price=order.price,
            ts=order.ts,
        )
        key, now = books.key(told), self._connection.now()
        found = [fill for one in trades if (fill := fill_of(one, order.client_order_id, market, now)) is not None]
        cost = sum((f.fill.amount * f.fill.price for f in found), ZERO)
        side = VenueSide(
            told=told,
            status=OrderStatus(order.status),
            filled=order.filled,
            cost=cost,
            leverage=ONE,
            account="",
            currency="",
            locked=ZERO,
        )
        books.orders[key] = side
        books.by_client_id.setdefault(order.client_order_id or key, []).append(side)
        for one in sorted(found, key=lambda f: f.fill.ts):
            books.fills.append((key, one.fill))
            books.fills_of.setdefault(key, []).append(one.fill)

    # ------------------------------------------------------------ asking, slowly

    def _pages(self, method: Callable[..., Any], market: Market, since: Millis, **more: Any) -> Rows:
        rule, now = self._can.lists, self._connection.now()
        if method != self._connection.trading.fetch_my_trades:
            rule = rule.of_orders
        pair = None if rule.whole_account else market.pair

        async def ask(start: Millis | None, until: Millis | None) -> Rows:
            params = {**more, **({} if until is None else {"until": until})}
            told = rows(self._ask(method, pair, start, rule.page, params=params).value)
            return [one for one in told if isinstance(one, Mapping)]

        found = _driven(pages(ask, rule, max(since, 1), now))
        return [told for told in found if text(told.get("symbol")) in ("", market.pair)]

    def _ask(self, asked: Function | Pages, *args: Any, **params: Any) -> Answer:
        connection = self._connection
        if not isinstance(asked, Pages):
            asked = functools.partial(asked, *args, **params)
        now = connection.now()
        if self._weight and connection.usage(now).get("weight_1m", 0) > self._weight // BUDGET:
            time.sleep((MINUTE - now % MINUTE) / 1_000)
        answer = connection.spawn(answer_of(connection.request, asked)).result()
        if answer.failure is not None:
            raise refusal_of(connection.name, answer)
        return answer


def _driven(walk: Coroutine[Any, Any, Rows]) -> Rows:
    """What comes of a walk whose questions are answered at once: it never waits, so it needs no loop."""
    try:
        walk.send(None)
    except StopIteration as done:
        found: Rows = done.value
        return found
    raise AssertionError("a question was not answered at once")
