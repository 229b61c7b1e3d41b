"""USD-M futures: margin, positions (one-way), funding, liquidation, and conditional ("algo") orders.

The mark price is the last price. A liquidated position is closed at the price there is; what is left of its margin
goes to the insurance fund, and what is missing comes from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from tests.exchange.algo import AlgoBook
from tests.exchange.errors import Refusal, missing
from tests.exchange.events import account_update, order_update
from tests.exchange.listing import Listing
from tests.exchange.margin import COIN, FuturesAccount, Position
from tests.exchange.orders import ZERO, Order, Trade
from tests.exchange.spot import new_client_id, number
from tests.exchange.venue import EIGHT, Venue

FUNDING_MS: Final = 28_800_000
LIQUIDATION_FEE: Final = Decimal("0.0125")


class FuturesVenue(Venue[FuturesAccount]):
    """The futures' own part of the venue."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.algos = AlgoBook(self)
        self.funding_rate = Decimal("0.0001")
        self.next_funding = self.clock.now() // FUNDING_MS * FUNDING_MS + FUNDING_MS
        self.rates: list[dict[str, Any]] = []
        self._transfers = 1

    def forget(self) -> None:
        """As everywhere; conditional orders and funding rates too."""
        super().forget()
        self.algos = AlgoBook(self)
        self.rates.clear()

    # ------------------------------------------------------------ orders

    def order_from(self, account: str, params: Mapping[str, str], *, origin: str = "api") -> Order:
        """The order a request asks for, checked against the pair's filters."""
        listing = self.listing(params.get("symbol", ""))
        kind, side, tif = params.get("type", ""), params.get("side", ""), params.get("timeInForce", "")
        if side not in ("BUY", "SELL"):
            raise Refusal(-1117, "Invalid side.")
        self.check_side(self.accounts[account], params)
        if kind not in ("LIMIT", "MARKET"):
            msg = "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
            raise Refusal(-4120, msg) if kind else Refusal(-1116, "Invalid orderType.")
        if kind == "LIMIT" and tif not in ("GTC", "IOC", "FOK", "GTX", "GTD"):
            raise missing("timeinforce")
        qty, price = number(params, "quantity"), number(params, "price")
        reduce_only = params.get("reduceOnly", "false").lower() == "true"
        if kind == "LIMIT" and not price:
            raise missing("price")
        self.check_numbers(listing, qty, price, market=kind == "MARKET", reduce_only=reduce_only)
        if len(self.working(account, listing.symbol)) >= 200:
            raise Refusal(-2025, "Reach max open order limit.")
        return Order(
            id=0,
            client_id=params.get("newClientOrderId") or new_client_id(),
            account=account,
            symbol=listing.symbol,
            side=side,
            type=kind,
            tif=tif or "GTC",
            qty=qty,
            price=price if kind == "LIMIT" else ZERO,
            stop_price=ZERO,
            created=0,
            reduce_only=reduce_only,
            origin=origin,
        )

    @staticmethod
    def check_side(account: FuturesAccount, params: Mapping[str, str]) -> None:
        """The order's position side must fit the account's mode; hedged accounts are known, not traded."""
        if account.hedged != (params.get("positionSide", "BOTH") != "BOTH"):
            raise Refusal(-4061, "Order's position side does not match user's setting.")
        if account.hedged:
            raise Refusal(-1000, "positions of hedge mode are not played here")

    def check_numbers(self, listing: Listing, qty: Decimal, price: Decimal, *, market: bool, reduce_only: bool) -> None:
        """The filters of futures, each with its own code."""
        last = self.quotes[listing.symbol].last
        if qty <= 0:
            raise Refusal(-4003, "Quantity less than or equal to zero.")
        if qty % listing.step:
            raise Refusal(-1111, "Precision is over the maximum defined for this asset.")
        if qty > (listing.max_qty / 2 if market else listing.max_qty):
            raise Refusal(-4005, "Quantity greater than max quantity.")
        if price and price % listing.tick:
            raise Refusal(-4014, "Price not increased by tick size.")
        if price > last * Decimal("1.15"):
            raise Refusal(-4016, f"Limit price can't be higher than {last * Decimal('1.15')}.")
        if price and price < last * Decimal("0.85"):
            raise Refusal(-4024, f"Limit price can't be lower than {last * Decimal('0.85')}.")
        if not reduce_only and qty * (price or last) < listing.min_notional:
            least = f"{listing.min_notional:f}"
            raise Refusal(-4164, f"Order's notional must be no smaller than {least} (unless you choose reduce only).")

    def closed(self) -> Refusal:
        """The pair is halted."""
        return Refusal(-4140, "Invalid symbol status for opening position.")

    def duplicate(self) -> Refusal:
        """The client id belongs to a working order."""
        return Refusal(-4116, "ClientOrderId is duplicated.")

    def would_trigger(self) -> Refusal:
        """The price is at or past the trigger."""
        return Refusal(-2021, "Order would immediately trigger.")

    def would_take(self) -> Refusal:
        """A post-only order that would not rest."""
        msg = "Due to the order could not be executed as maker, the Post Only order will be rejected."
        return Refusal(-5022, f"{msg} The order will not be recorded in the order history")

    def amend(self, order: Order, qty: Decimal, price: Decimal) -> Order:
        """Change a working limit order; it keeps its ids and loses its place."""
        account, listing = self.accounts[order.account], self.listings[order.symbol]
        if (qty, price) == (order.qty, order.price):
            raise Refusal(-5027, "No need to modify the order.")
        self.check_numbers(listing, qty, price, market=False, reduce_only=order.reduce_only)
        if qty <= order.filled:
            return self.cancel(order)
        before = order.qty, order.price
        self.release(account, order)
        order.qty, order.price = qty, price
        try:
            self.reserve(account, order, price)
        except Refusal:
            order.qty, order.price = before
            self.reserve(account, order, order.price)
            raise
        order.updated = self.clock.now()
        self.tell(order, "AMENDMENT")
        self.take(account, order, self.quotes[order.symbol])
        return order

    # ------------------------------------------------------------ margin

    def reserve(self, account: FuturesAccount, order: Order, worst: Decimal) -> None:
        """Set margin aside for what the order would open, or refuse it."""
        position = account.position(order.symbol)
        closing = position.closing(order.side, order.remaining)
        if order.reduce_only:
            if not closing:
                raise Refusal(-2022, "ReduceOnly Order is rejected.")
            return
        opening = (order.remaining - closing) * worst
        margin = opening / position.leverage
        if opening and margin + opening * account.taker > account.available():
            raise Refusal(-2019, "Margin is insufficient.")
        if margin:
            account.reserved[order.id] = margin
        order.reserved = margin

    def release(self, account: FuturesAccount, order: Order) -> None:
        """The margin is free again."""
        order.reserved = ZERO
        account.reserved.pop(order.id, None)

    def fillable(self, account: FuturesAccount, order: Order, qty: Decimal) -> Decimal:
        """A reduce-only order never goes beyond the position."""
        return account.position(order.symbol).closing(order.side, qty) if order.reduce_only else qty

    def settle(self, account: FuturesAccount, order: Order, price: Decimal, qty: Decimal, *, maker: bool) -> Trade:
        """Close what it closes, open the rest, take the fee."""
        now, quote = self.clock.now(), self.quotes[order.symbol]
        ref, position = f"{order.symbol}#{quote.trade_id}", account.position(order.symbol)
        closing = position.closing(order.side, qty)
        realized = self._close(account, position, price, closing, ref) if closing else ZERO
        if qty > closing:
            self._open(account, position, price, (qty - closing) * (1 if order.buys else -1), ref)
        fee = (price * qty * (account.maker if maker else account.taker)).quantize(EIGHT, ROUND_DOWN)
        account.ledger.post(now, "fee", ref, [("wallet", COIN, -fee), ("fees", COIN, fee)])
        if account.reserved.get(order.id):
            account.reserved[order.id] *= 1 - qty / order.remaining
        position.updated = account.updated = now
        self._income(account, order.symbol, "COMMISSION", -fee, str(quote.trade_id))
        if realized:
            self._income(account, order.symbol, "REALIZED_PNL", realized, str(quote.trade_id))
        return Trade(
            id=quote.trade_id,
            order_id=order.id,
            client_id=order.client_id,
            symbol=order.symbol,
            side=order.side,
            price=price,
            qty=qty,
            fee=fee,
            fee_asset=COIN,
            maker=maker,
            ts=now,
            realized=realized,
        )

    def _close(self, account: FuturesAccount, position: Position, price: Decimal, qty: Decimal, ref: str) -> Decimal:
        sign = 1 if position.amount > 0 else -1
        realized = ((price - position.entry) * qty * sign).quantize(EIGHT)
        pays, now = account.place_of(position), self.clock.now()
        share = (account.isolated_wallet(position) * qty / abs(position.amount)).quantize(EIGHT)
        account.ledger.post(now, "profit", ref, [(pays, COIN, realized), ("profit", COIN, -realized)])
        position.amount -= qty * sign
        position.realized += realized
        if position.isolated:
            back = share + realized if position.amount else account.isolated_wallet(position)
            account.ledger.post(now, "margin", ref, [(pays, COIN, -back), ("wallet", COIN, back)])
        if not position.amount:
            position.entry = ZERO
        return realized

    def _open(self, account: FuturesAccount, position: Position, price: Decimal, amount: Decimal, ref: str) -> None:
        whole = abs(position.amount) + abs(amount)
        position.entry = (position.entry * abs(position.amount) + price * abs(amount)) / whole
        position.amount += amount
        if position.isolated:
            margin = (price * abs(amount) / position.leverage).quantize(EIGHT)
            legs = [("wallet", COIN, -margin), (account.place_of(position), COIN, margin)]
            account.ledger.post(self.clock.now(), "margin", ref, legs)

    def fill(self, account: FuturesAccount, order: Order, price: Decimal, qty: Decimal, *, maker: bool) -> None:
        """One trade; reduce-only orders end when the position is gone."""
        super().fill(account, order, price, qty, maker=maker)
        if not account.position(order.symbol).amount:
            for other in self.working(account.name, order.symbol):
                if other.reduce_only:
                    self.end(other, "EXPIRED", by="exchange")

    # ------------------------------------------------------------ prices

    def trade(self, symbol: str, ticks: int, volume: float) -> None:
        """As everywhere; then conditional orders are triggered, and whoever cannot pay is liquidated."""
        super().trade(symbol, ticks, volume)
        if self.listings[symbol].status == "TRADING":
            self.algos.match(symbol)
        for account in self.accounts.values():
            if account.positions.get(symbol):
                self._liquidate(account, account.positions[symbol])

    def _liquidate(self, account: FuturesAccount, position: Position) -> None:
        if position.isolated:
            doomed = [position] if position.amount else []
            margin = account.isolated_wallet(position) + account.profit(position)
            needed = account.maintenance(position)
        else:
            doomed = [other for other in account.held() if not other.isolated]
            margin = account.wallet + sum((account.profit(other) for other in doomed), ZERO)
            needed = sum((account.maintenance(other) for other in doomed), ZERO)
        if doomed and margin <= needed:
            for each in doomed:
                self.liquidate(account, each)

    def liquidate(self, account: FuturesAccount, position: Position) -> Order:
        """Close a position by the exchange's own order, since its margin does not do any more."""
        isolated = account.isolated_wallet(position) + account.profit(position)
        order = self._close_by_force(account, position, "autoclose", "LIQUIDATION")
        left = isolated if position.isolated else account.wallet
        if position.isolated or not any(not other.isolated for other in account.held()):
            cleared = min(left, order.cost * LIQUIDATION_FEE).quantize(EIGHT, ROUND_DOWN)
            legs = [("wallet", COIN, -cleared), ("insurance", COIN, cleared)]
            account.ledger.post(order.updated, "insurance", order.client_id, legs)
            self._income(account, order.symbol, "INSURANCE_CLEAR", -cleared, "")
            self.publish(account.name, account_update(account, "INSURANCE_CLEAR", [], self.clock.now()))
        return order

    def delist(self, symbol: str) -> None:
        """As everywhere; waiting conditional orders end too, and positions are settled at the last price."""
        super().delist(symbol)
        for algo in list(self.algos.open.get(symbol, {}).values()):
            self.algos.cancel(algo, "EXPIRED")
        for account in self.accounts.values():
            if account.position(symbol).amount:
                self._close_by_force(account, account.position(symbol), "settlement_autoclose", "MARKET")

    def _close_by_force(self, account: FuturesAccount, position: Position, who: str, kind: str) -> Order:
        """An order of the exchange that takes the whole position; the pair's other orders end first."""
        for other in self.working(account.name, position.symbol):
            self.end(other, "CANCELED", by=who)
        quote, now = self.quotes[position.symbol], self.clock.now()
        self.next_order += 1
        order = Order(
            id=self.next_order,
            client_id=f"{who}-{now}",
            account=account.name,
            symbol=position.symbol,
            side="SELL" if position.amount > 0 else "BUY",
            type=kind,
            tif="IOC",
            qty=abs(position.amount),
            price=quote.last,
            stop_price=ZERO,
            created=now,
            updated=now,
            reduce_only=True,
            original_type=kind,
            origin=who,
        )
        self.keep(account, order)
        self.tell(order, "NEW")
        self.fill(account, order, quote.last, order.qty, maker=False)
        return order

    # ------------------------------------------------------------ money from elsewhere

    def fund(self, symbol: str, rate: Decimal) -> None:
        """Every position of the pair pays (or gets) this rate of its value."""
        now, quote = self.clock.now(), self.quotes[symbol]
        self.rates.append(
            {"symbol": symbol, "fundingTime": now, "fundingRate": f"{rate:.8f}", "markPrice": str(quote.last)}
        )
        for account in self.accounts.values():
            position = account.position(symbol)
            if position.amount:
                paid = (position.amount * quote.last * rate).quantize(EIGHT, ROUND_DOWN)
                legs = [(account.place_of(position), COIN, -paid), ("funding", COIN, paid)]
                account.ledger.post(now, "funding", symbol, legs)
                account.updated = now
                self._income(account, symbol, "FUNDING_FEE", -paid, "")
                kept = [position] if position.isolated else []
                self.publish(account.name, account_update(account, "FUNDING_FEE", kept, now))

    def fund_if_due(self) -> None:
        """Every eight hours of the exchange's time."""
        if self.clock.now() >= self.next_funding:
            self.next_funding += FUNDING_MS
            for symbol in self.quotes:
                self.fund(symbol, self.funding_rate)

    def deposit(self, account: FuturesAccount, asset: str, amount: Decimal) -> None:
        """Move coins into the wallet, or out of it."""
        now = self.clock.now()
        account.ledger.post(now, "deposit", "", [("opening", asset, -amount), ("wallet", asset, amount)])
        account.updated = now
        self._income(account, "", "TRANSFER", amount, "")
        self.publish(account.name, account_update(account, "DEPOSIT" if amount > 0 else "WITHDRAW", [], now))

    def _income(self, account: FuturesAccount, symbol: str, kind: str, amount: Decimal, trade: str) -> None:
        self._transfers += 1
        account.income.append(
            {
                "symbol": symbol,
                "incomeType": kind,
                "income": f"{amount:.8f}",
                "asset": COIN,
                "info": trade or kind,
                "time": self.clock.now(),
                "tranId": self._transfers,
                "tradeId": trade,
            }
        )

    # ------------------------------------------------------------ the user's stream

    def tell(self, order: Order, what: str, trade: Trade | None = None, cancel_id: str | None = None) -> None:
        """`ACCOUNT_UPDATE` of a fill, then `ORDER_TRADE_UPDATE`; an algo order learns of its order."""
        account = self.accounts[order.account]
        if trade is not None:
            self.publish(account.name, account_update(account, "ORDER", [account.position(order.symbol)], trade.ts))
        self.publish(account.name, order_update(self, order, what, trade))
        self.algos.heard(order)
