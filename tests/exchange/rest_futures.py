"""The futures endpoints of an account's orders, ordinary and conditional."""

from __future__ import annotations

from typing import Any

from tests.exchange.algo import AlgoOrder
from tests.exchange.door import Asked, Endpoint, Params, User, by_symbol, whole
from tests.exchange.errors import NO_SUCH_ORDER, Refusal, missing
from tests.exchange.events import short
from tests.exchange.futures import FuturesVenue
from tests.exchange.listing import places
from tests.exchange.margin import FuturesAccount
from tests.exchange.orders import Order, Trade
from tests.exchange.rest_market import MarketRest
from tests.exchange.spot import number
from tests.exchange.windows import Limits


class FuturesRest(MarketRest):
    """`/fapi/v1` of orders; `rest_margin` has the account's."""

    venue: FuturesVenue

    def __init__(self, venue: FuturesVenue, limits: Limits, users: dict[str, User]) -> None:
        super().__init__(venue, limits)
        self.users = users

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        """The market's and the orders' endpoints, by method and path."""
        api = "/fapi/v1/"
        return {
            ("GET", api + "ping"): Endpoint(handler=self.ping, weight=1),
            ("GET", api + "time"): Endpoint(handler=self.time, weight=1),
            ("GET", api + "exchangeInfo"): Endpoint(handler=self.exchange_info, weight=1),
            ("GET", api + "klines"): Endpoint(handler=self.klines, weight=_klines_weight),
            ("GET", api + "depth"): Endpoint(handler=self.depth, weight=_depth_weight),
            ("GET", api + "trades"): Endpoint(handler=self.trades, weight=5),
            ("GET", api + "ticker/24hr"): Endpoint(handler=self.ticker_24hr, weight=by_symbol(1, 40)),
            ("GET", api + "ticker/price"): Endpoint(handler=self.ticker_price, weight=by_symbol(1, 2)),
            ("GET", "/fapi/v2/ticker/price"): Endpoint(handler=self.ticker_price, weight=by_symbol(1, 2)),
            ("GET", api + "ticker/bookTicker"): Endpoint(handler=self.book_ticker, weight=by_symbol(2, 5)),
            ("POST", api + "order"): Endpoint(handler=self.create, weight=0, access="trade", counts=True),
            ("POST", api + "order/test"): Endpoint(handler=self.test, weight=0, access="trade"),
            ("PUT", api + "order"): Endpoint(handler=self.amend, weight=1, access="trade", counts=True),
            ("GET", api + "order"): Endpoint(handler=self.order, weight=1, access="read"),
            ("DELETE", api + "order"): Endpoint(handler=self.cancel, weight=1, access="trade"),
            ("GET", api + "openOrder"): Endpoint(handler=self.order, weight=1, access="read"),
            ("GET", api + "openOrders"): Endpoint(handler=self.open_orders, weight=by_symbol(1, 40), access="read"),
            ("DELETE", api + "allOpenOrders"): Endpoint(handler=self.cancel_all, weight=1, access="trade"),
            ("GET", api + "allOrders"): Endpoint(handler=self.all_orders, weight=5, access="read"),
            ("GET", api + "userTrades"): Endpoint(handler=self.my_trades, weight=5, access="read"),
            ("GET", api + "rateLimit/order"): Endpoint(handler=self.order_counts, weight=1, access="read"),
            ("POST", api + "algoOrder"): Endpoint(handler=self.create_algo, weight=0, access="trade", counts=True),
            ("GET", api + "algoOrder"): Endpoint(handler=self.algo, weight=1, access="read"),
            ("DELETE", api + "algoOrder"): Endpoint(handler=self.cancel_algo, weight=1, access="trade"),
            ("GET", api + "openAlgoOrders"): Endpoint(handler=self.open_algos, weight=by_symbol(1, 40), access="read"),
            ("DELETE", api + "algoOpenOrders"): Endpoint(handler=self.cancel_algos, weight=1, access="trade"),
            ("GET", api + "allAlgoOrders"): Endpoint(handler=self.all_algos, weight=5, access="read"),
        }

    def _account(self, asked: Asked) -> FuturesAccount:
        return self.venue.accounts[asked.account]

    # ------------------------------------------------------------ orders

    def create(self, asked: Asked) -> Any:
        """A new order; `ACK` answers what it was when it came in."""
        order = self.venue.order_from(asked.account, asked.params)
        self.venue.place(self._account(asked), order)
        view = self.view(order)
        if asked.params.get("newOrderRespType", "ACK") == "ACK":
            view.update(status="NEW", executedQty="0", cumQty="0", cumQuote="0", avgPrice="0.00")
        return view

    def test(self, asked: Asked) -> Any:
        """All checks of a new order but the margin; nothing is kept."""
        self.venue.order_from(asked.account, asked.params)
        return {}

    def amend(self, asked: Asked) -> Any:
        """Change quantity and price of a limit order."""
        order = self._found(asked)
        if order is None or not order.working:
            raise Refusal(*NO_SUCH_ORDER)
        asked.need("quantity"), asked.need("price")
        return self.view(self.venue.amend(order, number(asked.params, "quantity"), number(asked.params, "price")))

    def _found(self, asked: Asked) -> Order | None:
        symbol = self.venue.listing(asked.need("symbol")).symbol
        order_id, client_id = asked.integer("orderId"), asked.params.get("origClientOrderId")
        if order_id is None and not client_id:
            raise missing("orderId")
        return self.venue.find(asked.account, symbol, order_id, client_id)

    def order(self, asked: Asked) -> Any:
        """One order; those without a fill are forgotten by Binance after days, here never."""
        order = self._found(asked)
        if order is None:
            raise Refusal(*NO_SUCH_ORDER)
        return self.view(order)

    def cancel(self, asked: Asked) -> Any:
        """End one order."""
        return self.view(self.venue.cancel(self._found(asked)))

    def cancel_all(self, asked: Asked) -> Any:
        """End all orders of a pair."""
        for order in self.venue.working(asked.account, self.venue.listing(asked.need("symbol")).symbol):
            self.venue.cancel(order)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def open_orders(self, asked: Asked) -> Any:
        """Working orders of a pair, or of all."""
        symbol = asked.params.get("symbol")
        if symbol:
            self.venue.listing(symbol)
        return [self.view(order) for order in self.venue.working(asked.account, symbol)]

    def all_orders(self, asked: Asked) -> Any:
        """All orders of a pair, ended ones included."""
        symbol = self.venue.listing(asked.need("symbol")).symbol
        rows = self.venue.by_pair.get((asked.account, symbol), [])
        return [self.view(order) for order in _page(asked, rows, "orderId", lambda order: order.created)]

    def my_trades(self, asked: Asked) -> Any:
        """The account's trades of a pair."""
        symbol = self.venue.listing(asked.need("symbol")).symbol
        order_id = asked.integer("orderId")
        rows = [t for t in self.venue.trades_of(asked.account, symbol) if order_id is None or t.order_id == order_id]
        return [self._trade(trade) for trade in _page(asked, rows, "fromId", lambda trade: trade.ts)]

    def order_counts(self, asked: Asked) -> Any:
        """The order counts of the present windows."""
        rows = [row for row in self.limits.describe() if row["rateLimitType"] == "ORDERS"]
        for row, name in zip(rows, self.limits.orders, strict=True):
            row["count"] = self.limits.used(asked.account, name)
        return rows

    def view(self, order: Order) -> dict[str, Any]:
        """An order as futures have it."""
        digits = places(self.venue.listings[order.symbol].tick)
        average = order.cost / order.filled if order.filled else 0
        return {
            "orderId": order.id,
            "symbol": order.symbol,
            "status": order.status,
            "clientOrderId": order.client_id,
            "price": f"{order.price:.{digits}f}",
            "avgPrice": f"{average:.{digits + 3}f}",
            "origQty": short(order.qty),
            "executedQty": short(order.filled),
            "cumQty": short(order.filled),
            "cumQuote": short(order.cost),
            "timeInForce": order.tif,
            "type": order.type,
            "reduceOnly": order.reduce_only,
            "closePosition": False,
            "side": order.side,
            "positionSide": "BOTH",
            "stopPrice": f"{order.stop_price:.{digits}f}",
            "workingType": "CONTRACT_PRICE",
            "priceProtect": False,
            "origType": order.original_type or order.type,
            "priceMatch": "NONE",
            "selfTradePreventionMode": "EXPIRE_MAKER",
            "goodTillDate": 0,
            "time": order.created,
            "updateTime": order.updated,
        }

    @staticmethod
    def _trade(trade: Trade) -> dict[str, Any]:
        return {
            "symbol": trade.symbol,
            "id": trade.id,
            "orderId": trade.order_id,
            "side": trade.side,
            "price": short(trade.price),
            "qty": short(trade.qty),
            "realizedPnl": short(trade.realized),
            "quoteQty": short(trade.cost),
            "commission": short(trade.fee),
            "commissionAsset": trade.fee_asset,
            "time": trade.ts,
            "positionSide": "BOTH",
            "buyer": trade.side == "BUY",
            "maker": trade.maker,
        }

    # ------------------------------------------------------------ conditional orders

    def create_algo(self, asked: Asked) -> Any:
        """A new conditional order."""
        return self.algo_view(self.venue.algos.place(asked.account, asked.params))

    def _algo(self, asked: Asked) -> AlgoOrder | None:
        algo_id, client_id = asked.integer("algoId"), asked.params.get("clientAlgoId")
        if algo_id is None and not client_id:
            raise missing("algoId")
        return self.venue.algos.find(asked.account, algo_id, client_id)

    def algo(self, asked: Asked) -> Any:
        """One conditional order."""
        algo = self._algo(asked)
        if algo is None:
            raise Refusal(*NO_SUCH_ORDER)
        return self.algo_view(algo)

    def cancel_algo(self, asked: Asked) -> Any:
        """End one that waits."""
        algo = self.venue.algos.cancel(self._algo(asked))
        return {"algoId": algo.id, "clientAlgoId": algo.client_id, "code": "200", "msg": "success"}

    def cancel_algos(self, asked: Asked) -> Any:
        """End all of a pair that wait."""
        for algo in self.venue.algos.working(asked.account, self.venue.listing(asked.need("symbol")).symbol):
            self.venue.algos.cancel(algo)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def open_algos(self, asked: Asked) -> Any:
        """Those that wait, of a pair or of all."""
        return [self.algo_view(a) for a in self.venue.algos.working(asked.account, asked.params.get("symbol"))]

    def all_algos(self, asked: Asked) -> Any:
        """All of a pair, ended ones included."""
        symbol = self.venue.listing(asked.need("symbol")).symbol
        rows = [a for a in self.venue.algos.all.values() if a.account == asked.account and a.symbol == symbol]
        return [self.algo_view(algo) for algo in _page(asked, rows, "algoId", lambda algo: algo.created)]

    def algo_view(self, algo: AlgoOrder) -> dict[str, Any]:
        """A conditional order as the algo service has it."""
        order = self.venue.orders.get(algo.order_id)
        average = order.cost / order.filled if order and order.filled else 0
        return {
            "algoId": algo.id,
            "clientAlgoId": algo.client_id,
            "algoType": "CONDITIONAL",
            "orderType": algo.type,
            "symbol": algo.symbol,
            "side": algo.side,
            "positionSide": "BOTH",
            "timeInForce": algo.tif,
            "quantity": short(algo.qty),
            "algoStatus": algo.status,
            "actualOrderId": str(algo.order_id) if algo.order_id else "",
            "actualPrice": f"{average:.8f}",
            "actualQty": short(order.filled) if order else "0",
            "triggerPrice": short(algo.trigger),
            "price": short(algo.price),
            "icebergQuantity": None,
            "selfTradePreventionMode": "EXPIRE_MAKER",
            "workingType": algo.working_type,
            "priceMatch": "NONE",
            "closePosition": algo.close_position,
            "priceProtect": False,
            "reduceOnly": algo.reduce_only,
            "createTime": algo.created,
            "updateTime": algo.updated,
            "triggerTime": algo.triggered_at,
            "goodTillDate": 0,
            **({"callbackRate": str(algo.callback)} if algo.callback else {}),
        }


def _page(asked: Asked, rows: list[Any], first_name: str, when: Any) -> list[Any]:
    """The rows from an id or within a time (seven days at most), oldest first; without either the newest."""
    first, start, end = asked.integer(first_name), asked.integer("startTime"), asked.integer("endTime")
    if start is not None and end is not None and end - start > 7 * 86_400_000:
        raise Refusal(-4166, "Search window is restricted to recent 7 days only.")
    if start is not None and end is None:
        end = start + 7 * 86_400_000
    limit = min(asked.integer("limit") or 500, 1000)
    found = [
        row
        for row in rows
        if (first is None or row.id >= first)
        and (start is None or when(row) >= start)
        and (end is None or when(row) <= end)
    ]
    return found[:limit] if first is not None or start is not None else found[-limit:]


def _klines_weight(params: Params) -> int:
    limit = whole(params, "limit") or 500
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10


def _depth_weight(params: Params) -> int:
    limit = whole(params, "limit") or 500
    return 2 if limit <= 50 else 5 if limit <= 100 else 10 if limit <= 500 else 20
