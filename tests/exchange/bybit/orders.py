"""An account's orders and executions: created, amended, cancelled, listed.

The lists are Bybit's: newest first, in pages with a cursor, over seven days at most, an order's id before its link id
before its pair. `realtime` tells open orders, and by their ids the newest 500 that have ended, too; `history` those
that have ended.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any, Final, TypeVar

from tests.exchange.bybit.door import Endpoint
from tests.exchange.bybit.errors import BAD_PAIR, DUPLICATE, NO_ORDER, wrong
from tests.exchange.bybit.market import MAX_AMOUNT
from tests.exchange.bybit.words import execution_row, is_stop, order_row, plain
from tests.exchange.door import Asked, Params
from tests.exchange.errors import Refusal
from tests.exchange.listing import Listing
from tests.exchange.orders import ZERO, Order, Trade
from tests.exchange.spot import SpotAccount, SpotVenue, new_client_id

WEEK_MS: Final = 7 * 86_400_000
RECENT: Final = 500
STOPS_MAX: Final = 30
LINK_ID_MAX: Final = 36
BAND: Final = Decimal("0.05")
"""How far a limit order may lie beyond the price."""

Row = TypeVar("Row", Order, Trade)


class Orders:
    """The endpoints of an account's orders."""

    def __init__(self, venue: SpotVenue) -> None:
        self.venue = venue
        self.forgotten: set[int] = set()

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        """All of them, by method and path."""
        order = "/v5/order/"
        return {
            ("POST", order + "create"): Endpoint(handler=self.create, access="trade", per_second=20),
            ("POST", order + "amend"): Endpoint(handler=self.amend, access="trade", per_second=20),
            ("POST", order + "cancel"): Endpoint(handler=self.cancel, access="trade", per_second=20),
            ("GET", order + "realtime"): Endpoint(handler=self.realtime, access="read", per_second=50),
            ("GET", order + "history"): Endpoint(handler=self.history, access="read", per_second=50),
            ("GET", "/v5/execution/list"): Endpoint(handler=self.executions, access="read", per_second=50),
        }

    def restart(self) -> int:
        """What has ended is told by the history only, as after a release of Bybit's."""
        ended = {order.id for order in self.venue.orders.values() if not order.working}
        self.forgotten |= ended
        return len(ended)

    # ------------------------------------------------------------ doing

    def create(self, asked: Asked) -> Any:
        """A new order; the answer has its ids only."""
        account, order = self._account(asked), self.order_from(asked.account, asked.params)
        if any(
            one.client_id == order.client_id for one in self.venue.by_client.get((account.name, order.client_id), [])
        ):
            raise Refusal(*DUPLICATE)
        if order.tif == "PO" and order.rests_at is not None and not order.stop_price:
            self._post_only(account, order)
        else:
            self.venue.place(account, order)
        return _ids(order)

    def _post_only(self, account: SpotAccount, order: Order) -> None:
        """Taken, and cancelled where it would not rest: Bybit says so on the stream, not in the answer."""
        quote, order.tif = self.venue.quotes[order.symbol], "GTC"
        takes = quote.ask <= order.price if order.buys else quote.bid >= order.price
        price = order.price
        if takes:  # as it lies in the book nobody sees it
            order.price = quote.listing.tick if order.buys else price * 100
        self.venue.place(account, order)
        order.price, order.tif = price, "PO"
        if takes:
            self.venue.end(order, "CANCELED", by="post only")

    def order_from(self, account: str, params: Params, *, origin: str = "api") -> Order:
        """The order that a request asks for, checked against the pair's bounds."""
        listing = self._listing(params)
        side, kind = params.get("side", "").upper(), params.get("orderType", "").upper()
        if side not in ("BUY", "SELL"):
            raise Refusal(170117, "Invalid side.")
        if kind not in ("MARKET", "LIMIT"):
            raise Refusal(170116, "Invalid orderType.")
        link = params.get("orderLinkId") or new_client_id()
        if len(link) > LINK_ID_MAX:
            raise wrong("The orderLinkId is longer than 36 characters")
        stop, market = self._trigger(account, listing, params), kind == "MARKET"
        price = ZERO if market else number(params, "price")
        qty, money = self._qty(listing, params, side, market=market and not stop)
        self._bounds(listing, side, qty, price, stop)
        tif = {"PostOnly": "PO"}.get(params.get("timeInForce", "GTC"), params.get("timeInForce", "GTC"))
        if tif not in ("GTC", "IOC", "FOK", "PO"):
            raise Refusal(170115, "Invalid timeInForce.")
        return Order(
            id=0,
            client_id=link,
            account=account,
            symbol=listing.symbol,
            side=side,
            type=self._type(listing, params, side, stop) if stop else kind,
            tif="GTC" if market else tif,
            qty=qty,
            price=price,
            stop_price=stop,
            created=0,
            quote_qty=money,
            origin=origin,
        )

    def _trigger(self, account: str, listing: Listing, params: Params) -> Decimal:
        """The trigger of a TP/SL order, which locks the coins at once; conditional orders that do not are not built."""
        place = params.get("orderFilter", "Order")
        if place not in ("Order", "tpslOrder"):
            raise Refusal(170202, "Invalid orderFilter parameter.")
        if place == "Order":
            return ZERO
        stop = number(params, "triggerPrice")
        if not stop:
            raise Refusal(170203, "Please enter the TP/SL price.")
        if sum(one.waiting for one in self.venue.working(account)) >= STOPS_MAX:
            raise Refusal(170210, "The number of TP/SL orders exceeds the limit.")
        return stop

    def _type(self, listing: Listing, params: Params, side: str, stop: Decimal) -> str:
        """`triggerDirection` says whether it is a stop; without one its place beside the price does."""
        falls = {"1": False, "2": True}.get(params.get("triggerDirection", ""))
        if falls is None:
            falls = stop < self.venue.quotes[listing.symbol].last
        kind = "STOP_LOSS" if falls == (side == "SELL") else "TAKE_PROFIT"
        return kind if params.get("orderType") == "Market" else f"{kind}_LIMIT"

    def _qty(self, listing: Listing, params: Params, side: str, *, market: bool) -> tuple[Decimal, Decimal]:
        """Base coins, and the money they were given in where they were."""
        qty = number(params, "qty")
        unit = params.get("marketUnit") or ("quoteCoin" if side == "BUY" else "baseCoin")
        if not market or unit == "baseCoin":
            return qty, ZERO
        quote = self.venue.quotes[listing.symbol]
        best = quote.ask if side == "BUY" else quote.bid
        return (qty / best / listing.step).to_integral_value(ROUND_DOWN) * listing.step, qty

    def _bounds(self, listing: Listing, side: str, qty: Decimal, price: Decimal, stop: Decimal) -> None:
        last = self.venue.quotes[listing.symbol].last
        for value in (price, stop):
            if value % listing.tick:
                raise Refusal(170134, "Order price has too many decimals.")
        if qty % listing.step:
            raise Refusal(170137, "Order quantity has too many decimals.")
        if qty < listing.step:
            raise Refusal(170136, "Order quantity exceeded lower limit.")
        if qty > listing.max_qty:
            raise Refusal(170135, "Order quantity exceeded upper limit.")
        value = qty * (price or stop or last)
        if value < listing.min_notional:
            raise Refusal(170140, "Order value exceeded lower limit.")
        if value > MAX_AMOUNT:
            raise Refusal(170124, "Order amount too large.")
        if price and not stop and side == "BUY" and price > last * (1 + BAND):
            raise Refusal(170193, f"Buy order price cannot be higher than {plain(last * (1 + BAND))}.")
        if price and not stop and side == "SELL" and price < last * (1 - BAND):
            raise Refusal(170194, f"Sell order price cannot be lower than {plain(last * (1 - BAND))}.")

    def amend(self, asked: Asked) -> Any:
        """Change a working order's price, amount or trigger; it keeps both its ids."""
        order, params = self._named(asked), asked.params
        if order is None or not order.working:
            raise Refusal(*NO_ORDER)
        qty = number(params, "qty") if params.get("qty") else order.qty
        price = number(params, "price") if params.get("price") else order.price
        stop = number(params, "triggerPrice") if params.get("triggerPrice") else order.stop_price
        if (qty, price, stop) == (order.qty, order.price, order.stop_price):
            raise wrong("order not modified")
        if bool(stop) != bool(order.stop_price) or bool(price) != bool(order.price) or order.quote_qty:
            raise wrong("the order has no such field to modify")
        if qty <= order.filled:
            raise Refusal(170210, "The quantity cannot be less than what is filled.")
        listing = self.venue.listing(order.symbol)
        self._bounds(listing, order.side, qty, price, stop if order.waiting else ZERO)
        if order.waiting and stop != order.stop_price:
            self._still_waits(order, stop)
        self.venue.amend(order, qty, price, stop)
        return _ids(order)

    def _still_waits(self, order: Order, stop: Decimal) -> None:
        before, order.stop_price = order.stop_price, stop
        jumped = self.venue.triggered(order, self.venue.quotes[order.symbol].last)
        order.stop_price = before
        if jumped:
            raise self.venue.would_trigger()

    def cancel(self, asked: Asked) -> Any:
        """End one order; a TP/SL order that waits is found with its `orderFilter` only."""
        order, place = self._named(asked), asked.params.get("orderFilter", "Order")
        if order is None or not order.working or (order.waiting != (place == "tpslOrder")):
            raise Refusal(*NO_ORDER)
        self.venue.cancel(order)
        return _ids(order)

    # ------------------------------------------------------------ looking

    def realtime(self, asked: Asked) -> Any:
        """Open orders; with an id, or with `openOnly`, the newest that have ended too."""
        _category(asked)
        ended = self._ended(asked.account)[:RECENT]
        recent = [order for order in ended if order.id not in self.forgotten]
        found = list(self.venue.working(asked.account))
        if _by_id(asked):
            found = self._narrow(asked, [*found, *recent])
        else:
            found = self._narrow(asked, recent if asked.params.get("openOnly") == "1" else found)
        return self._page(asked, found, order_row, (20, 50))

    def history(self, asked: Asked) -> Any:
        """Orders that have ended, of seven days at most."""
        _category(asked)
        found = self._narrow(asked, self._ended(asked.account))
        start, end = _span(asked)
        found = [order for order in found if _by_id(asked) or start <= order.created <= end]
        return self._page(asked, found, order_row, (20, 50))

    def executions(self, asked: Asked) -> Any:
        """Fills, of seven days at most; by an order's id whenever they were."""
        _category(asked)
        orders = [order for order in self.venue.orders.values() if order.account == asked.account]
        start, end = _span(asked)
        found = [
            trade
            for order in self._narrow(asked, orders)
            for trade in order.trades
            if _by_id(asked) or start <= trade.ts <= end
        ]
        return self._page(asked, found, lambda one: execution_row(self.venue.orders[one.order_id], one), (50, 100))

    def _ended(self, account: str) -> list[Order]:
        """An account's orders that have ended, the one that ended last first."""
        ended = [order for order in self.venue.orders.values() if order.account == account and not order.working]
        return sorted(ended, key=lambda order: (order.updated, order.id), reverse=True)

    @staticmethod
    def _narrow(asked: Asked, orders: list[Order]) -> list[Order]:
        params = asked.params
        place = params.get("orderFilter", "")
        for name, of in (("orderId", lambda o: str(o.id)), ("orderLinkId", lambda o: o.client_id)):
            if params.get(name):
                return [order for order in orders if of(order) == params[name]]
        if params.get("symbol"):
            orders = [order for order in orders if order.symbol == params["symbol"]]
        return [order for order in orders if not place or is_stop(order) == (place == "tpslOrder")]

    @staticmethod
    def _page(asked: Asked, found: list[Row], row: Callable[[Row], Any], sizes: tuple[int, int]) -> Any:
        """So many rows behind the cursor, newest first; a cursor is where the page before ended."""
        default, most = sizes
        limit = min(max(asked.integer("limit") or default, 1), most)
        newest = sorted(found, key=_place, reverse=True)
        if cursor := asked.params.get("cursor"):
            ts, _, number_ = cursor.partition("_")
            newest = [one for one in newest if _place(one) < (int(ts), int(number_))]
        chosen = newest[:limit]
        after = "{}_{}".format(*_place(chosen[-1])) if len(newest) > limit else ""
        return {"category": "spot", "nextPageCursor": after, "list": [row(one) for one in chosen]}

    # ------------------------------------------------------------ finding

    def _account(self, asked: Asked) -> SpotAccount:
        return self.venue.accounts[asked.account]

    def _listing(self, params: Params) -> Listing:
        listing = self.venue.listings.get(params.get("symbol", ""))
        if params.get("category") != "spot" or listing is None or not listing.listed:
            raise Refusal(*BAD_PAIR)
        return listing

    def _named(self, asked: Asked) -> Order | None:
        """The order of a pair by its id, else by its link id, the newest."""
        listing, params = self._listing(asked.params), asked.params
        if not (params.get("orderId") or params.get("orderLinkId")):
            raise wrong("orderId or orderLinkId is required")
        order_id = params.get("orderId")
        if order_id and not order_id.isdigit():
            return None
        return self.venue.find(
            asked.account, listing.symbol, int(order_id) if order_id else None, params.get("orderLinkId")
        )


def number(params: Params, name: str) -> Decimal:
    """A decimal parameter, which must be there."""
    try:
        value = Decimal(params.get(name, ""))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0:
        raise Refusal(170130, f"Data sent for parameter '{name}' is not valid.")
    return value


def _category(asked: Asked) -> None:
    """The market, and no id that is there without a value: whether Bybit passes over such a one is not known."""
    if asked.need("category") != "spot":
        raise wrong("category: only spot is here")
    for name in ("orderId", "orderLinkId"):
        if asked.params.get(name) == "":
            raise wrong(f"{name} is blank")


def _by_id(asked: Asked) -> bool:
    return bool(asked.params.get("orderId") or asked.params.get("orderLinkId"))


def _span(asked: Asked) -> tuple[int, int]:
    """The seven days that the two times name together."""
    start, end = asked.integer("startTime"), asked.integer("endTime")
    if start is None:
        end = asked.now if end is None else end
        return end - WEEK_MS, end
    if end is None:
        return start, start + WEEK_MS
    if end - start > WEEK_MS:
        raise wrong("The time range between startTime and endTime cannot exceed 7 days")
    return start, end


def _place(one: Order | Trade) -> tuple[int, int]:
    return (one.created if isinstance(one, Order) else one.ts), one.id


def _ids(order: Order) -> dict[str, str]:
    return {"orderId": str(order.id), "orderLinkId": order.client_id}
