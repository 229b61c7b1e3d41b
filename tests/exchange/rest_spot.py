"""The spot endpoints of an account."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from zlib import crc32

from tests.exchange.door import Asked, Endpoint, Params, User, by_symbol, whole
from tests.exchange.errors import NO_SUCH_ORDER, Refusal, missing
from tests.exchange.orders import TRIGGERED_TYPES, ZERO, Order, Trade
from tests.exchange.rest_market import MarketRest
from tests.exchange.spot import SpotAccount, SpotVenue, new_client_id
from tests.exchange.windows import Limits


class SpotRest(MarketRest):
    """`/api/v3`, and the few `/sapi` endpoints that ccxt asks when it starts."""

    venue: SpotVenue

    def __init__(self, venue: SpotVenue, limits: Limits, users: dict[str, User]) -> None:
        super().__init__(venue, limits)
        self.users = users

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        """All of them, by method and path."""
        api, sapi = "/api/v3/", "/sapi/v1/"
        return {
            ("GET", api + "ping"): Endpoint(handler=self.ping, weight=1),
            ("GET", api + "time"): Endpoint(handler=self.time, weight=1),
            ("GET", api + "exchangeInfo"): Endpoint(handler=self.exchange_info, weight=20),
            ("GET", api + "klines"): Endpoint(handler=self.klines, weight=2),
            ("GET", api + "depth"): Endpoint(handler=self.depth, weight=_depth_weight),
            ("GET", api + "trades"): Endpoint(handler=self.trades, weight=25),
            ("GET", api + "ticker/24hr"): Endpoint(handler=self.ticker_24hr, weight=_tickers_weight),
            ("GET", api + "ticker/price"): Endpoint(handler=self.ticker_price, weight=by_symbol(2, 4)),
            ("GET", api + "ticker/bookTicker"): Endpoint(handler=self.book_ticker, weight=by_symbol(2, 4)),
            ("GET", api + "account"): Endpoint(handler=self.account, weight=20, access="read"),
            ("POST", api + "order"): Endpoint(handler=self.create, weight=1, access="trade", counts=True),
            ("POST", api + "order/test"): Endpoint(handler=self.test, weight=1, access="trade"),
            ("GET", api + "order"): Endpoint(handler=self.order, weight=4, access="read"),
            ("DELETE", api + "order"): Endpoint(handler=self.cancel, weight=1, access="trade"),
            ("POST", api + "order/cancelReplace"): Endpoint(
                handler=self.cancel_replace, weight=1, access="trade", counts=True
            ),
            ("GET", api + "openOrders"): Endpoint(handler=self.open_orders, weight=by_symbol(6, 80), access="read"),
            ("DELETE", api + "openOrders"): Endpoint(handler=self.cancel_all, weight=1, access="trade"),
            ("GET", api + "allOrders"): Endpoint(handler=self.all_orders, weight=20, access="read"),
            ("GET", api + "myTrades"): Endpoint(handler=self.my_trades, weight=_trades_weight, access="read"),
            ("GET", api + "rateLimit/order"): Endpoint(handler=self.order_counts, weight=40, access="read"),
            ("GET", sapi + "system/status"): Endpoint(handler=lambda _: {"status": 0, "msg": "normal"}, weight=1),
            ("GET", sapi + "account/apiRestrictions"): Endpoint(handler=self.restrictions, weight=1, access="read"),
            ("GET", sapi + "capital/config/getall"): Endpoint(handler=lambda _: [], weight=10, access="read"),
            ("GET", sapi + "margin/allPairs"): Endpoint(handler=lambda _: [], weight=1, access="read"),
            ("GET", sapi + "margin/isolated/allPairs"): Endpoint(handler=lambda _: [], weight=10, access="read"),
            ("GET", "/dapi/v1/exchangeInfo"): Endpoint(handler=lambda _: {"symbols": []}, weight=1),
            ("GET", sapi + "asset/tradeFee"): Endpoint(handler=self.trade_fees, weight=1, access="read"),
        }

    # ------------------------------------------------------------ account

    def _account(self, asked: Asked) -> SpotAccount:
        return self.venue.accounts[asked.account]

    def account(self, asked: Asked) -> Any:
        """Balances and what the account may do."""
        account, user = self._account(asked), asked.user
        assert user is not None
        ledger = account.ledger
        rows = [
            {"asset": a, "free": f"{ledger.at('free', a):.8f}", "locked": f"{ledger.at('locked', a):.8f}"}
            for a in ledger.assets("free", "locked")
        ]
        return {
            "makerCommission": int(account.maker * 10_000),
            "takerCommission": int(account.taker * 10_000),
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {
                "maker": f"{account.maker:.8f}",
                "taker": f"{account.taker:.8f}",
                "buyer": "0.00000000",
                "seller": "0.00000000",
            },
            "canTrade": user.can_trade,
            "canWithdraw": user.can_withdraw,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": account.updated,
            "accountType": "SPOT",
            "balances": [row for row in rows if asked.params.get("omitZeroBalances") != "true" or _some(row)],
            "permissions": ["SPOT"],
            "uid": crc32(user.name.encode()),
        }

    def restrictions(self, asked: Asked) -> Any:
        """What the key may do."""
        user = asked.user
        assert user is not None
        return {
            "ipRestrict": False,
            "createTime": 1_600_000_000_000,
            "enableReading": user.can_read,
            "enableWithdrawals": user.can_withdraw,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": user.can_futures and user.can_trade,
            "permitsUniversalTransfer": False,
            "enableVanillaOptions": False,
            "enableSpotAndMarginTrading": user.can_trade,
        }

    def trade_fees(self, asked: Asked) -> Any:
        """The account's fees of each pair."""
        account = self._account(asked)
        rates = {"makerCommission": str(account.maker), "takerCommission": str(account.taker)}
        return [{"symbol": symbol, **rates} for symbol in self.venue.listings]

    def order_counts(self, asked: Asked) -> Any:
        """The order counts of the present windows."""
        rows = [row for row in self.limits.describe() if row["rateLimitType"] == "ORDERS"]
        for row, name in zip(rows, self.limits.orders, strict=True):
            row["count"] = self.limits.used(asked.account, name)
        return rows

    # ------------------------------------------------------------ orders

    def create(self, asked: Asked) -> Any:
        """A new order; the answer as full as `newOrderRespType` asks."""
        order = self.venue.order_from(asked.account, asked.params)
        self.venue.place(self._account(asked), order)
        return self._created(order, asked.params)

    def test(self, asked: Asked) -> Any:
        """All checks of a new order but the funds; nothing is kept."""
        self.venue.order_from(asked.account, asked.params)
        return {}

    @staticmethod
    def _created(order: Order, params: Params) -> dict[str, Any]:
        kind = params.get("newOrderRespType") or ("FULL" if order.type in ("MARKET", "LIMIT") else "ACK")
        short = {
            "symbol": order.symbol,
            "orderId": order.id,
            "orderListId": -1,
            "clientOrderId": order.client_id,
            "transactTime": order.updated,
        }
        if kind == "ACK":
            return short
        result = {**short, **_state(order), "workingTime": order.created, "selfTradePreventionMode": "EXPIRE_MAKER"}
        return result if kind == "RESULT" else {**result, "fills": [_fill(trade) for trade in order.trades]}

    def _found(self, asked: Asked, by: str = "origClientOrderId") -> Order | None:
        symbol = self.venue.listing(asked.need("symbol")).symbol
        order_id, client_id = asked.integer("orderId"), asked.params.get(by)
        if order_id is None and not client_id:
            raise missing(by)
        return self.venue.find(asked.account, symbol, order_id, client_id)

    def order(self, asked: Asked) -> Any:
        """One order."""
        order = self._found(asked)
        if order is None:
            raise Refusal(*NO_SUCH_ORDER)
        return self.view(order)

    def cancel(self, asked: Asked) -> Any:
        """End one order; the answer has a new client id, as Binance's has."""
        order, cancel_id = self._found(asked), asked.params.get("newClientOrderId") or new_client_id()
        return self._canceled(self.venue.cancel(order, cancel_id=cancel_id), cancel_id)

    @staticmethod
    def _canceled(order: Order, cancel_id: str) -> dict[str, Any]:
        return {
            "symbol": order.symbol,
            "origClientOrderId": order.client_id,
            "orderId": order.id,
            "orderListId": -1,
            "clientOrderId": cancel_id,
            "transactTime": order.updated,
            **_state(order),
            "selfTradePreventionMode": "EXPIRE_MAKER",
        }

    def cancel_all(self, asked: Asked) -> Any:
        """End all orders of a pair."""
        orders = self.venue.working(asked.account, self.venue.listing(asked.need("symbol")).symbol)
        if not orders:
            self.venue.cancel(None)
        return [self._canceled(self.venue.cancel(order), new_client_id()) for order in orders]

    def cancel_replace(self, asked: Asked) -> Any:
        """End one order and place another: `STOP_ON_FAILURE` or `ALLOW_FAILURE`.

        As at Binance the pair's filters and the order count are looked at before anything is done, and the count stays
        used where the new order is not attempted. `cancelRestrictions` of `ONLY_NEW` ends nothing that has filled in part.
        """
        mode, only = asked.need("cancelReplaceMode"), asked.params.get("cancelRestrictions")
        self.venue.order_from(asked.account, asked.params)
        params = {**asked.params, "origClientOrderId": asked.params.get("cancelOrigClientOrderId", "")}
        if asked.params.get("cancelOrderId"):
            params["orderId"] = asked.params["cancelOrderId"]
        result: dict[str, Any] = {"cancelResult": "SUCCESS", "newOrderResult": "SUCCESS"}
        try:
            old = self._found(Asked(params, asked.user, asked.now))
            if only is not None and old is not None and old.status != only.removeprefix("ONLY_"):
                raise Refusal(-2011, "Order was not canceled due to cancel restrictions.")
            cancel_id = asked.params.get("cancelNewClientOrderId") or new_client_id()
            result["cancelResponse"] = self._canceled(self.venue.cancel(old, cancel_id=cancel_id), cancel_id)
        except Refusal as refusal:
            result["cancelResult"], result["cancelResponse"] = "FAILURE", refusal.body()
        if result["cancelResult"] == "FAILURE" and mode == "STOP_ON_FAILURE":
            result["newOrderResult"], result["newOrderResponse"] = "NOT_ATTEMPTED", None
            raise Refusal(-2022, "Order cancel-replace failed.", 400, {"data": result})
        try:
            result["newOrderResponse"] = self.create(asked)
        except Refusal as refusal:
            result["newOrderResult"], result["newOrderResponse"] = "FAILURE", refusal.body()
            if result["cancelResult"] == "FAILURE":
                raise Refusal(-2022, "Order cancel-replace failed.", 400, {"data": result}) from None
        if "FAILURE" in (result["cancelResult"], result["newOrderResult"]):
            raise Refusal(-2021, "Order cancel-replace partially failed.", 409, {"data": result})
        return result

    def open_orders(self, asked: Asked) -> Any:
        """Working orders of a pair, or of all."""
        symbol = asked.params.get("symbol")
        if symbol:
            self.venue.listing(symbol)
        return [self.view(order) for order in self.venue.working(asked.account, symbol)]

    def all_orders(self, asked: Asked) -> Any:
        """All orders of a pair, ended ones included."""
        symbol = self.venue.listing(asked.need("symbol")).symbol
        first, limit = asked.integer("orderId"), min(asked.integer("limit") or 500, 1000)
        start, end = asked.integer("startTime"), asked.integer("endTime")
        found = [
            order
            for order in self.venue.by_pair.get((asked.account, symbol), [])
            if (first is None or order.id >= first)
            and (start is None or order.created >= start)
            and (end is None or order.created <= end)
        ]
        chosen = found[:limit] if first is not None or start is not None else found[-limit:]
        return [self.view(order) for order in chosen]

    def my_trades(self, asked: Asked) -> Any:
        """The account's trades of a pair."""
        symbol = self.venue.listing(asked.need("symbol")).symbol
        order_id, first = asked.integer("orderId"), asked.integer("fromId")
        start, end = asked.integer("startTime"), asked.integer("endTime")
        if first is not None and (start is not None or end is not None):
            raise Refusal(-1128, "Combination of optional parameters invalid.")
        if start is not None and end is not None and end - start > 86_400_000:
            raise Refusal(-1127, "More than 24 hours between startTime and endTime.")
        limit = min(asked.integer("limit") or 500, 1000)
        found = [
            trade
            for trade in self.venue.trades_of(asked.account, symbol)
            if (order_id is None or trade.order_id == order_id)
            and (first is None or trade.id >= first)
            and (start is None or trade.ts >= start)
            and (end is None or trade.ts <= end)
        ]
        chosen = found[:limit] if first is not None or start is not None else found[-limit:]
        return [_trade(trade) for trade in chosen]

    @staticmethod
    def view(order: Order) -> dict[str, Any]:
        """An order as `GET order` has it."""
        return {
            "symbol": order.symbol,
            "orderId": order.id,
            "orderListId": -1,
            "clientOrderId": order.client_id,
            **_state(order),
            "stopPrice": f"{order.stop_price:.8f}",
            "icebergQty": "0.00000000",
            "time": order.created,
            "updateTime": order.updated,
            "isWorking": not order.waiting,
            "workingTime": order.created,
            "origQuoteOrderQty": f"{order.quote_qty:.8f}",
            "selfTradePreventionMode": "EXPIRE_MAKER",
        }


def _state(order: Order) -> dict[str, Any]:
    state = {
        "price": f"{order.price:.8f}",
        "origQty": f"{order.qty:.8f}",
        "executedQty": f"{order.filled:.8f}",
        "origQuoteOrderQty": f"{order.quote_qty:.8f}",
        "cummulativeQuoteQty": f"{order.cost:.8f}",
        "status": order.status,
        "timeInForce": "GTC" if order.tif == "PO" else order.tif,
        "type": order.original_type or order.type,
        "side": order.side,
    }
    if order.type in TRIGGERED_TYPES:
        state["stopPrice"] = f"{order.stop_price:.8f}"
    return state


def _fill(trade: Trade) -> dict[str, Any]:
    return {
        "price": f"{trade.price:.8f}",
        "qty": f"{trade.qty:.8f}",
        "commission": f"{trade.fee:.8f}",
        "commissionAsset": trade.fee_asset,
        "tradeId": trade.id,
    }


def _trade(trade: Trade) -> dict[str, Any]:
    return {
        "symbol": trade.symbol,
        "id": trade.id,
        "orderId": trade.order_id,
        "orderListId": -1,
        "price": f"{trade.price:.8f}",
        "qty": f"{trade.qty:.8f}",
        "quoteQty": f"{trade.cost:.8f}",
        "commission": f"{trade.fee:.8f}",
        "commissionAsset": trade.fee_asset,
        "time": trade.ts,
        "isBuyer": trade.side == "BUY",
        "isMaker": trade.maker,
        "isBestMatch": True,
    }


def _some(row: dict[str, str]) -> bool:
    return Decimal(row["free"]) != ZERO or Decimal(row["locked"]) != ZERO


def _trades_weight(params: Params) -> int:
    return 5 if params.get("orderId") else 20


def _tickers_weight(params: Params) -> int:
    if params.get("symbol"):
        return 2
    symbols = params.get("symbols", "")
    count = symbols.count(",") + 1 if symbols else 1000
    return 2 if count <= 20 else 40 if count <= 100 else 80


def _depth_weight(params: Params) -> int:
    limit = whole(params, "limit") or 100
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250
