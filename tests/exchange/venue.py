"""What spot and futures have in common: taking orders, triggering, filling and ending them.

A taker gets the best price of the other side, as much as the pair's `top` offers (all, if it is None). Resting
orders fill at their own price when the price reaches them. Orders with a trigger wait until the last price is
at or past it and then are market or limit orders from there. What an account may do, and what a fill moves,
is the subclass's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final, Generic, Protocol, TypeVar

from tests.exchange.clock import Clock
from tests.exchange.errors import UNKNOWN_ORDER, Refusal, filter_failure, invalid_symbol
from tests.exchange.listing import Listing
from tests.exchange.orders import TRIGGERED_TYPES, Order, Trade
from tests.exchange.quotes import Quote

EIGHT: Final = Decimal("0.00000001")


class Owner(Protocol):
    """An account, as far as the venue needs to know it."""

    name: str


A = TypeVar("A", bound=Owner)


class Venue(Generic[A]):
    """One market with its orders; see the module."""

    def __init__(self, listings: dict[str, Listing], clock: Clock, seed: int) -> None:
        self.listings = listings
        self.clock = clock
        now = clock.now()
        self.quotes = {symbol: Quote(listing, seed, now) for symbol, listing in listings.items()}
        self.accounts: dict[str, A] = {}
        self.orders: dict[int, Order] = {}
        self.by_client: dict[tuple[str, str], list[Order]] = {}
        self.by_pair: dict[tuple[str, str], list[Order]] = {}
        self.open: dict[str, dict[int, Order]] = {}
        self.trades: dict[tuple[str, str], list[Trade]] = {}
        self.next_order = 1_000_000
        self.publish: Callable[[str, dict[str, Any]], None] = lambda account, event: None
        self.movers: list[Callable[[str], None]] = []
        self.hearers: list[Callable[[str, Order | None, Trade | None], None]] = []

    def forget(self) -> None:
        """No accounts, no orders, no trades; every pair is listed and traded at its first price, as at the start."""
        for record in (self.accounts, self.orders, self.by_client, self.by_pair, self.open, self.trades):
            record.clear()
        for listing in self.listings.values():
            listing.listed, listing.status, listing.top, listing.parts, listing.spread = True, "TRADING", None, 1, 1
        for quote in self.quotes.values():
            quote.quiet = False
            quote.trade(int(quote.listing.first_price / quote.listing.tick), 1.0, self.clock.now())

    # ------------------------------------------------------------ look-ups

    def listing(self, symbol: str) -> Listing:
        """The pair, or Binance's refusal."""
        found = self.listings.get(symbol)
        if found is None or not found.listed:
            raise invalid_symbol()
        return found

    def working(self, account: str, symbol: str | None = None) -> list[Order]:
        """An account's working orders, oldest first."""
        where = [symbol] if symbol else list(self.open)
        found = [order for pair in where for order in self.open.get(pair, {}).values() if order.account == account]
        return sorted(found, key=lambda order: order.id)

    def trades_of(self, account: str, symbol: str) -> list[Trade]:
        """An account's trades of a pair, oldest first."""
        return self.trades.get((account, symbol), [])

    def find(self, account: str, symbol: str, order_id: int | None, client_id: str | None) -> Order | None:
        """An order by its id, or the newest of that client id."""
        if order_id is not None:
            order = self.orders.get(order_id)
            return order if order and order.account == account and order.symbol == symbol else None
        for order in reversed(self.by_client.get((account, client_id or ""), [])):
            if order.symbol == symbol:
                return order
        return None

    # ------------------------------------------------------------ what subclasses say

    def reserve(self, account: A, order: Order, worst: Decimal) -> None:
        """Lock what the order may cost, or refuse it."""
        raise NotImplementedError

    def settle(self, account: A, order: Order, price: Decimal, qty: Decimal, *, maker: bool) -> Trade:
        """Move what one fill moves and return it."""
        raise NotImplementedError

    def release(self, account: A, order: Order) -> None:
        """Unlock what an ended order still has."""
        raise NotImplementedError

    def tell(self, order: Order, what: str, trade: Trade | None = None, cancel_id: str | None = None) -> None:
        """Send the order's new state down the user's stream."""
        raise NotImplementedError

    def order_from(self, account: str, params: Mapping[str, str], *, origin: str = "api") -> Order:
        """The order a request asks for, checked against the pair's filters."""
        raise NotImplementedError

    def deposit(self, account: A, asset: str, amount: Decimal) -> None:
        """Put coins into the account, or with a negative amount take them out."""
        raise NotImplementedError

    def fillable(self, account: A, order: Order, qty: Decimal) -> Decimal:
        """How much of it may fill now (a reduce-only order is bounded by the position)."""
        return qty

    # ------------------------------------------------------------ orders

    def place(self, account: A, order: Order) -> Order:
        """Take an order that has passed its filters, and let it do at once what it does."""
        listing, quote = self.listing(order.symbol), self.quotes[order.symbol]
        if listing.status != "TRADING":
            raise self.closed()
        if any(o.working for o in self.by_client.get((account.name, order.client_id), [])):
            raise self.duplicate()
        if order.type in TRIGGERED_TYPES:
            if self.triggered(order, quote.last):
                raise self.would_trigger()
            order.waiting = True
        elif order.tif in ("GTX", "PO") and self.crosses(order, quote):
            raise self.would_take()
        order.id = self.next_order + 1
        self.reserve(account, order, self.worst(order, quote))
        self.next_order += 1
        order.created = order.updated = self.clock.now()
        order.original_type = order.original_type or order.type
        self.keep(account, order)
        self.tell(order, "NEW")
        if not order.waiting:
            self.take(account, order, quote)
        return order

    def keep(self, account: A, order: Order) -> None:
        """Take a working order into the books."""
        self.orders[order.id] = order
        self.by_client.setdefault((account.name, order.client_id), []).append(order)
        self.by_pair.setdefault((account.name, order.symbol), []).append(order)
        self.open.setdefault(order.symbol, {})[order.id] = order

    def cancel(self, order: Order | None, *, cancel_id: str | None = None, by: str = "user") -> Order:
        """End a working order."""
        if order is None or not order.working:
            raise Refusal(*UNKNOWN_ORDER)
        self.end(order, "CANCELED", by=by, cancel_id=cancel_id)
        return order

    def end(self, order: Order, status: str, *, by: str, cancel_id: str | None = None) -> None:
        """Close an order's books."""
        order.status = status
        order.updated = self.clock.now()
        order.ended_by = by
        self.open.get(order.symbol, {}).pop(order.id, None)
        self.release(self.accounts[order.account], order)
        self.tell(order, status, cancel_id=cancel_id)

    def delist(self, symbol: str) -> None:
        """The pair leaves the exchange: its orders end."""
        for order in list(self.open.get(symbol, {}).values()):
            self.end(order, "EXPIRED", by="delisting")

    def closed(self) -> Refusal:
        """The pair is halted."""
        return Refusal(-1013, "Market is closed.")

    def duplicate(self) -> Refusal:
        """The client id belongs to a working order."""
        return Refusal(-2010, "Duplicate order sent.")

    def would_trigger(self) -> Refusal:
        """The price is at or past the trigger."""
        return Refusal(-2010, "Stop price would trigger immediately.")

    def would_take(self) -> Refusal:
        """A post-only order that would not rest."""
        return Refusal(-2010, "Order would immediately match and take.")

    # ------------------------------------------------------------ prices

    def trade(self, symbol: str, ticks: int, volume: float) -> None:
        """The price moves to `ticks`; orders that wait for it are triggered and filled."""
        quote = self.quotes[symbol]
        quote.trade(ticks, volume, self.clock.now())
        for moved in self.movers:
            moved(symbol)
        if self.open.get(symbol) and self.listings[symbol].status == "TRADING":
            self.match(symbol)

    def match(self, symbol: str) -> None:
        """Trigger and fill what the present price triggers and fills, stops first."""
        quote = self.quotes[symbol]
        for order in list(self.open.get(symbol, {}).values()):
            if order.waiting and order.working and self.triggered(order, quote.last):
                self.trigger(order, quote)
        for order in list(self.open.get(symbol, {}).values()):
            limit = order.rests_at
            if order.waiting or not order.working or limit is None:
                continue
            if (quote.ask <= limit) if order.buys else (quote.bid >= limit):
                self._fill(
                    self.accounts[order.account], order, limit, self._offered(quote, order.remaining), maker=True
                )

    def triggered(self, order: Order, last: Decimal) -> bool:
        """Whether the last price is at or past the order's trigger."""
        falls = order.buys if order.type.startswith("TAKE_PROFIT") else not order.buys
        return last <= order.stop_price if falls else last >= order.stop_price

    def trigger(self, order: Order, quote: Quote) -> None:
        """A waiting order becomes a market or a limit order."""
        order.waiting = False
        order.updated = self.clock.now()
        self.take(self.accounts[order.account], order, quote)

    # ------------------------------------------------------------ filling

    def crosses(self, order: Order, quote: Quote) -> bool:
        """Whether it would be filled as things are."""
        limit = order.rests_at
        return limit is None or (quote.ask <= limit if order.buys else quote.bid >= limit)

    def worst(self, order: Order, quote: Quote) -> Decimal:
        """The price that an order's funds must do for."""
        best = quote.ask if order.buys else quote.bid
        if order.rests_at is not None:
            return order.price
        return order.stop_price if order.waiting else best

    def _offered(self, quote: Quote, qty: Decimal) -> Decimal:
        return qty if quote.left is None else min(qty, quote.left)

    def take(self, account: A, order: Order, quote: Quote) -> None:
        """Take what is there within the order's limit; what is left rests or ends."""
        best = quote.ask if order.buys else quote.bid
        if self.crosses(order, quote):
            offered = self._offered(quote, order.remaining)
            if not (order.tif == "FOK" and offered < order.remaining):
                self._fill(account, order, best, offered, maker=False)
        rests = order.rests_at is not None and order.tif not in ("IOC", "FOK")
        if order.working and not rests:
            self.end(order, "EXPIRED", by="exchange")

    def _fill(self, account: A, order: Order, price: Decimal, qty: Decimal, *, maker: bool) -> None:
        listing, quote = self.listings[order.symbol], self.quotes[order.symbol]
        qty = self.fillable(account, order, qty)
        qty = (qty / listing.step).to_integral_value(ROUND_DOWN) * listing.step
        if qty <= 0:
            return
        if quote.left is not None:
            quote.left -= qty
        part = (qty / listing.parts / listing.step).to_integral_value(ROUND_DOWN) * listing.step or qty
        with self.clock.one_moment():
            while qty > 0 and order.working:
                now = qty if qty < 2 * part else part
                self.fill(account, order, price, now, maker=maker)
                qty -= now

    def fill(self, account: A, order: Order, price: Decimal, qty: Decimal, *, maker: bool) -> None:
        """One trade of an order."""
        self.quotes[order.symbol].trade_id += 1
        trade = self.settle(account, order, price, qty, maker=maker)
        order.filled += qty
        order.cost += price * qty
        order.updated = trade.ts
        order.status = "FILLED" if order.filled == order.qty else "PARTIALLY_FILLED"
        order.trades.append(trade)
        self.trades.setdefault((account.name, order.symbol), []).append(trade)
        if order.status == "FILLED":
            self.open.get(order.symbol, {}).pop(order.id, None)
            self.release(account, order)
        self.tell(order, "TRADE", trade)


def check_steps(listing: Listing, qty: Decimal, prices: list[Decimal], *, market: bool) -> None:
    """Binance's PRICE_FILTER and LOT_SIZE."""
    for price in prices:
        if price <= 0 or price % listing.tick or price > 1_000_000:
            raise filter_failure("PRICE_FILTER")
    if qty < listing.step or qty % listing.step or qty > listing.max_qty:
        raise filter_failure("LOT_SIZE")
    if market and qty > listing.max_qty / 2:
        raise filter_failure("MARKET_LOT_SIZE")
