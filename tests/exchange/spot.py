"""The spot market: funds are locked by orders, moved by fills, and everything is posted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any

from tests.exchange.errors import NO_FUNDS, Refusal, filter_failure, illegal, missing
from tests.exchange.ledger import Ledger
from tests.exchange.listing import SPOT_TYPES
from tests.exchange.orders import TRIGGERED_TYPES, ZERO, Order, Trade
from tests.exchange.venue import EIGHT, Venue, check_steps

BNB_DISCOUNT = Decimal("0.75")


@dataclass(slots=True)
class SpotAccount:
    """One user on spot. `fee_asset` of BNB: fees are paid in BNB, at a discount, as long as there is some."""

    name: str
    ledger: Ledger = field(default_factory=Ledger)
    taker: Decimal = Decimal("0.001")
    maker: Decimal = Decimal("0.001")
    fee_asset: str = ""
    updated: int = 0


def number(params: Mapping[str, str], name: str) -> Decimal:
    """A decimal parameter, or nothing; Binance's refusal if it is no number."""
    text = params.get(name)
    if text is None:
        return ZERO
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0:
        raise Refusal(
            -1100,
            f"Illegal characters found in parameter '{name}'; legal range is '^([0-9]{{1,20}})(\\.[0-9]{{1,20}})?$'.",
        )
    return value


def new_client_id() -> str:
    """What Binance makes up when the user names none."""
    return uuid.uuid4().hex[:22]


class SpotVenue(Venue[SpotAccount]):
    """Spot's own part of the venue."""

    def order_from(self, account: str, params: Mapping[str, str], *, origin: str = "api") -> Order:
        """The order a request asks for, checked against the pair's filters."""
        listing = self.listing(params.get("symbol", ""))
        quote = self.quotes[listing.symbol]
        kind, side = params.get("type", ""), params.get("side", "")
        if side not in ("BUY", "SELL"):
            raise Refusal(-1117, "Invalid side.")
        if kind not in SPOT_TYPES:
            raise Refusal(-1116, "Invalid orderType.")
        self._asked_for(kind, params)
        market = kind in ("MARKET", "STOP_LOSS", "TAKE_PROFIT")
        qty, quote_qty = number(params, "quantity"), number(params, "quoteOrderQty")
        price, stop = number(params, "price"), number(params, "stopPrice")
        if quote_qty:
            best = quote.ask if side == "BUY" else quote.bid
            qty = (quote_qty / best / listing.step).to_integral_value(ROUND_DOWN) * listing.step
            if qty < listing.step:
                raise filter_failure("NOTIONAL")
        prices = [value for value, asked in ((price, not market), (stop, kind in TRIGGERED_TYPES)) if asked]
        check_steps(listing, qty, prices, market=market)
        reference = quote.last if market and not stop else (price or stop)
        if qty * reference < listing.min_notional:
            raise filter_failure("NOTIONAL")
        if price and not quote.last / 5 <= price <= quote.last * 5:
            raise filter_failure("PERCENT_PRICE_BY_SIDE")
        self._not_too_many(account, listing.symbol, kind)
        return Order(
            id=0,
            client_id=params.get("newClientOrderId") or new_client_id(),
            account=account,
            symbol=listing.symbol,
            side=side,
            type=kind,
            tif="PO" if kind == "LIMIT_MAKER" else ("GTC" if market else params["timeInForce"]),
            qty=qty,
            price=ZERO if market else price,
            stop_price=stop,
            created=0,
            quote_qty=quote_qty,
            origin=origin,
        )

    @staticmethod
    def _asked_for(kind: str, params: Mapping[str, str]) -> None:
        needed = {
            "LIMIT": ("timeInForce", "quantity", "price"),
            "LIMIT_MAKER": ("quantity", "price"),
            "STOP_LOSS": ("quantity", "stopPrice"),
            "TAKE_PROFIT": ("quantity", "stopPrice"),
            "STOP_LOSS_LIMIT": ("timeInForce", "quantity", "price", "stopPrice"),
            "TAKE_PROFIT_LIMIT": ("timeInForce", "quantity", "price", "stopPrice"),
        }.get(kind, ())
        for name in needed:
            if not params.get(name):
                raise missing(name)
        if kind == "MARKET" and ("quantity" in params) == ("quoteOrderQty" in params):
            raise missing("quantity")
        if kind in ("MARKET", "LIMIT_MAKER") and params.get("timeInForce"):
            raise Refusal(-1106, "Parameter 'timeInForce' sent when not required.")
        if kind == "MARKET" and params.get("price"):
            raise Refusal(-1106, "Parameter 'price' sent when not required.")
        if params.get("timeInForce", "GTC") not in ("GTC", "IOC", "FOK"):
            raise Refusal(-1115, "Invalid timeInForce.")
        if len(params.get("newClientOrderId", "")) > 36:
            raise illegal("newClientOrderId", r"^[\.A-Z\:/a-z0-9_-]{1,36}$")

    def _not_too_many(self, account: str, symbol: str, kind: str) -> None:
        there = self.working(account, symbol)
        if len(there) >= 200:
            raise filter_failure("MAX_NUM_ORDERS")
        if kind in TRIGGERED_TYPES and sum(order.waiting for order in there) >= 5:
            raise filter_failure("MAX_NUM_ALGO_ORDERS")

    def amend(self, order: Order, qty: Decimal, price: Decimal, stop: Decimal) -> None:
        """Change a working order in place: it keeps its ids and what it has filled; refused, it is as it was."""
        account, quote = self.accounts[order.account], self.quotes[order.symbol]
        before = order.qty, order.price, order.stop_price
        self.release(account, order)
        order.qty, order.price, order.stop_price = qty, price, stop
        try:
            self.reserve(account, order, self.worst(order, quote))
        except Refusal:
            order.qty, order.price, order.stop_price = before
            self.reserve(account, order, self.worst(order, quote))
            raise
        order.updated = self.clock.now()
        self.tell(order, "REPLACED")
        if not order.waiting and self.crosses(order, quote):
            self.take(account, order, quote)

    # ------------------------------------------------------------ funds

    def reserve(self, account: SpotAccount, order: Order, worst: Decimal) -> None:
        """Lock the quote coin of a buy, the base coin of a sell."""
        listing = self.listings[order.symbol]
        asset, amount = (listing.quote, order.remaining * worst) if order.buys else (listing.base, order.remaining)
        if account.ledger.at("free", asset) < amount:
            raise Refusal(*NO_FUNDS)
        order.reserved, order.reserved_asset = amount, asset
        ref = order.client_id
        account.ledger.post(self.clock.now(), "lock", ref, [("free", asset, -amount), ("locked", asset, amount)])

    def release(self, account: SpotAccount, order: Order) -> None:
        """Give back what the order has not used."""
        amount, asset = order.reserved, order.reserved_asset
        order.reserved = ZERO
        if amount:
            ref = order.client_id
            account.ledger.post(self.clock.now(), "release", ref, [("locked", asset, -amount), ("free", asset, amount)])

    def fillable(self, account: SpotAccount, order: Order, qty: Decimal) -> Decimal:
        """A triggered stop buys at what the market asks: as far as the funds go, or not at all."""
        if not order.buys or order.rests_at is not None:
            return qty
        listing, quote = self.listings[order.symbol], self.quotes[order.symbol]
        there = order.reserved + account.ledger.at("free", listing.quote)
        return qty if quote.ask * qty <= there else ZERO

    def settle(self, account: SpotAccount, order: Order, price: Decimal, qty: Decimal, *, maker: bool) -> Trade:
        """Swap the coins and take the fee."""
        listing, quote, ledger = self.listings[order.symbol], self.quotes[order.symbol], account.ledger
        now, ref, cost = self.clock.now(), f"{order.symbol}#{quote.trade_id}", price * qty
        base, coins = (listing.base, qty), (listing.quote, cost)
        gives, gets = (coins, base) if order.buys else (base, coins)
        locked = min(order.reserved, order.price * qty if order.buys and order.price else gives[1])
        order.reserved -= locked
        ledger.post(
            now,
            "fill",
            ref,
            [
                ("locked", gives[0], -locked),
                ("free", gives[0], locked - gives[1]),
                ("market", gives[0], gives[1]),
                ("market", gets[0], -gets[1]),
                ("free", gets[0], gets[1]),
            ],
        )
        fee, asset = self._fee(account, gets, cost, maker=maker)
        ledger.post(now, "fee", ref, [("free", asset, -fee), ("fees", asset, fee)])
        account.updated = now
        return Trade(
            id=quote.trade_id,
            order_id=order.id,
            client_id=order.client_id,
            symbol=order.symbol,
            side=order.side,
            price=price,
            qty=qty,
            fee=fee,
            fee_asset=asset,
            maker=maker,
            ts=now,
        )

    def _fee(
        self, account: SpotAccount, gets: tuple[str, Decimal], cost: Decimal, *, maker: bool
    ) -> tuple[Decimal, str]:
        rate = account.maker if maker else account.taker
        coin = account.fee_asset
        market = self.quotes.get(f"{coin}USDT") if coin else None
        if market is not None:
            fee = (cost * rate * BNB_DISCOUNT / market.last).quantize(EIGHT, ROUND_DOWN)
            if account.ledger.at("free", coin) >= fee:
                return fee, coin
        return (gets[1] * rate).quantize(EIGHT, ROUND_DOWN), gets[0]

    def deposit(self, account: SpotAccount, asset: str, amount: Decimal) -> None:
        """Put coins into the account, or with a negative amount take them out."""
        now = self.clock.now()
        account.ledger.post(now, "deposit", "", [("opening", asset, -amount), ("free", asset, amount)])
        account.updated = now
        self.publish(account.name, {"e": "balanceUpdate", "E": now, "a": asset, "d": f"{amount:.8f}", "T": now})
        self.publish(account.name, self.position_event(account, [asset]))
        for hear in self.hearers:
            hear(account.name, None, None)

    # ------------------------------------------------------------ the user's stream

    def tell(self, order: Order, what: str, trade: Trade | None = None, cancel_id: str | None = None) -> None:
        """`executionReport`, and `outboundAccountPosition` with the coins it moved."""
        account, listing = self.accounts[order.account], self.listings[order.symbol]
        account.updated = order.updated
        self.publish(account.name, self.report(order, what, trade, cancel_id))
        assets = [listing.base, listing.quote]
        if trade is not None and trade.fee_asset not in assets:
            assets.append(trade.fee_asset)
        self.publish(account.name, self.position_event(account, assets))
        for hear in self.hearers:
            hear(account.name, order, trade)

    def report(self, order: Order, what: str, trade: Trade | None, cancel_id: str | None) -> dict[str, Any]:
        """The event of one change of an order."""
        now = self.clock.now()
        return {
            "e": "executionReport",
            "E": now,
            "s": order.symbol,
            "c": (cancel_id or new_client_id()) if what == "CANCELED" else order.client_id,
            "S": order.side,
            "o": order.original_type or order.type,
            "f": "GTC" if order.tif == "PO" else order.tif,
            "q": f"{order.qty:.8f}",
            "p": f"{order.price:.8f}",
            "P": f"{order.stop_price:.8f}",
            "F": "0.00000000",
            "g": -1,
            "C": order.client_id if what == "CANCELED" else "",
            "x": what,
            "X": order.status,
            "r": "NONE",
            "i": order.id,
            "l": f"{trade.qty if trade else ZERO:.8f}",
            "z": f"{order.filled:.8f}",
            "L": f"{trade.price if trade else ZERO:.8f}",
            "n": f"{trade.fee:.8f}" if trade else "0",
            "N": trade.fee_asset if trade else None,
            "T": order.updated,
            "t": trade.id if trade else -1,
            "I": order.id * 2,
            "w": order.working and not order.waiting,
            "m": bool(trade and trade.maker),
            "M": False,
            "O": order.created,
            "Z": f"{order.cost:.8f}",
            "Y": f"{trade.cost if trade else ZERO:.8f}",
            "Q": f"{order.quote_qty:.8f}",
            "W": order.created,
            "V": "EXPIRE_MAKER",
        }

    def position_event(self, account: SpotAccount, assets: list[str]) -> dict[str, Any]:
        """`outboundAccountPosition` of these coins."""
        return {
            "e": "outboundAccountPosition",
            "E": self.clock.now(),
            "u": account.updated,
            "B": [
                {"a": a, "f": f"{account.ledger.at('free', a):.8f}", "l": f"{account.ledger.at('locked', a):.8f}"}
                for a in assets
            ],
        }
