"""The simulated exchange: what it does with orders, as a pure state machine over its own books.

Rules
    It knows orders, its books and prices that it is told; nothing of bots, trades or strategies.
    Every order locks what it could cost, every fill moves it, every end releases the rest exactly.
    What an exchange refuses is a `Refused`, never an exception; a refused order leaves no trace.
    Order and fill ids count per pair, so equal requests in equal order give equal ids.

Two fill models with one interface
    `candle`  (`semantics.md` 2.3) An order rests until `match` names a range with its price in it and
              fills wholly at that price, market orders too: their `price` is the reference. The fee is
              the taker's, in the quote coin. Funds are not refused: whoever replays reserves them.
    `book`    A spread and depth around the price (`engine.depth`). Market orders walk it. Limit orders
              take what it gives within their limit (taker) and rest with what is left; resting ones
              fill when the price trades *through* them (maker), as far as the range's volume goes.
              Stops wait for their trigger and then are market orders from there.

Orders against a position on margin (`engine.clearing`) never turn it around: beyond it they are refused,
and when it is gone the exchange ends those that are left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from engine.change import changed
from engine.clearing import Account, Clearing, Fees, Working
from engine.depth import Depth
from engine.ledger import InsufficientFunds, VenuePosition
from engine.margin import FundingRate
from engine.market import Market
from engine.messages import FundingPaid, OrderCanceled, OrderFilled
from engine.order import Fill, Order, OrderEvent
from engine.ranges import Range, stop_price, through
from engine.types import ONE, ZERO, Millis, OrderSide, OrderType, Purpose, TimeInForce

BUY, SELL = OrderSide.BUY, OrderSide.SELL

VenueEvent = OrderFilled | OrderCanceled | FundingPaid
"""What can happen by itself: to an order, or to a position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How this exchange fills: `depth` of None is the `candle` model."""

    depth: Depth | None = None
    fees: Fees = field(default_factory=Fees)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The order exists, as `order_id`; `events` are what happened to it at once."""

    order_id: str
    events: tuple[VenueEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The order does not exist; `code` as in `OrderRejected`. `events`: the end of the one that it was to replace."""

    code: str
    reason: str
    events: tuple[VenueEvent, ...] = ()


_INVALID: Final = "INVALID_ORDER"


class Exchange:
    """The simulated exchange; see the module's rules. Not for several threads."""

    def __init__(self, markets: Mapping[str, Market], rules: Rules) -> None:
        self.markets = dict(markets)
        self.rules = rules
        self.clearing = Clearing(rules.fees, overdraft=rules.depth is None)
        self.working: dict[str, Working] = {}
        self.changed: dict[str, Working] = {}
        self.fills: list[OrderFilled] = []
        self.payments: list[FundingPaid] = []
        self.counts: dict[str, tuple[int, int]] = {}
        self._by_pair: dict[str, dict[str, None]] = {}
        self._events: list[VenueEvent] = []

    # ------------------------------------------------------------ questions

    def pairs(self) -> tuple[str, ...]:
        """The pairs with working orders."""
        return tuple(self._by_pair)

    def orders(self, pair: str) -> tuple[Working, ...]:
        """The pair's working orders, oldest first."""
        return tuple(self.working[client_id] for client_id in self._by_pair.get(pair, ()))

    # ------------------------------------------------------------ requests

    def submit(self, order: Order, now: Millis, price: Decimal | None = None) -> Accepted | Refused:
        """Take the order or refuse it; `price` is the pair's last one, which the `book` model needs.

        One that `replaces` another is taken as Binance does (STOP_ON_FAILURE): with wrong numbers, or where the other
        does not work any more, all stays as it is; else that ends first.
        """
        market = self.markets.get(order.pair)
        if market is None:
            return Refused(_INVALID, f"{order.pair} is not traded here")
        account = self.clearing.account(order, market)
        if order.replaces:
            wrong = self._bad_numbers(order, market, account, price)
            if wrong is not None:
                return wrong
            if order.replaces not in self.working:
                return Refused("NOT_ATTEMPTED", f"{order.replaces} does not work any more")
            self._end(order.replaces, now, OrderEvent.CANCELED)
        refusal = self._refusal(order, market, account, price)
        if refusal is not None:
            return replace(refusal, events=self._drain())
        orders, fills = self.counts.get(order.pair, (0, 0))
        order = changed(order, created_at=now).after(OrderEvent.ACCEPTED, now, order_id=f"{order.pair}#{orders + 1}")
        try:
            kept = self.clearing.accept(order, market, account, self._worst(order, market, price))
        except InsufficientFunds as error:
            return Refused("INSUFFICIENT_FUNDS", f"{error}.", self._drain())
        self.counts[order.pair] = (orders + 1, fills)
        self._keep(kept)
        if self.rules.depth is not None and price is not None and order.type is not OrderType.STOP:
            self._take(order.client_order_id, price, now)
        return Accepted(order.order_id, self._drain())

    def named(self, pair: str, client_order_id: str, order_id: str) -> str:
        """Our id of a pair's working order that has either of these; empty where none has."""
        for order in (kept.order for kept in self.orders(pair)):
            if client_order_id == order.client_order_id or (order_id and order_id == order.order_id):
                return order.client_order_id
        return ""

    def amend(self, order: Order, price: Decimal | None) -> Refused | None:
        """Change a resting stop to what it is `amending` to; refused, it stays as it is. `price` as in `submit`."""
        kept, target = self.working.get(order.client_order_id), order.amending
        if kept is None or target is None or kept.order.filled or kept.order.type is not OrderType.STOP:
            return Refused("NOT_FOUND", f"{order.client_order_id} is no stop that waits")
        trigger = target.trigger_price
        after = changed(kept.order, amount=target.amount, trigger_price=trigger, price=trigger)
        market = self.markets[after.pair]
        wrong = (
            self._bad_numbers(after, market, kept.account, price)
            or self._beyond_position(after, market, kept.account)
            or self._bad_now(after, market, price)
        )
        if wrong is not None:
            return wrong
        ledger = self.clearing.ledger
        ledger.release(kept.currency, kept.locked)
        try:
            self._keep(self.clearing.accept(after, market, kept.account, trigger))
        except InsufficientFunds as error:
            ledger.lock(kept.currency, kept.locked)
            return Refused("INSUFFICIENT_FUNDS", f"{error}.")
        return None

    def cancel(self, client_order_id: str, now: Millis) -> tuple[VenueEvent, ...]:
        """End a working order; nothing is returned when there is none of that id."""
        if client_order_id in self.working:
            self._end(client_order_id, now, OrderEvent.CANCELED)
        return self._drain()

    def reached(self, seen: Range) -> tuple[Order, ...]:
        """The orders that `match` of the range would fill or end, were there volume enough."""
        return tuple(kept.order for kept in self.orders(seen.pair) if self._reaches(kept.order, seen))

    def _reaches(self, order: Order, seen: Range) -> bool:
        if order.type is OrderType.STOP:
            return stop_price(order, seen) is not None
        if self.rules.depth is not None:
            return through(order, seen)
        return self._candle_price(order, seen) is not None or order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)

    def match(self, seen: Range) -> tuple[VenueEvent, ...]:
        """Fill what the range fills, stops before limits, and say what happened."""
        if seen.pair in self._by_pair:
            (self._match_candle if self.rules.depth is None else self._match_book)(seen)
        return self._drain()

    def settle(
        self, due: Iterable[FundingRate], then: Mapping[str, VenuePosition] | None = None
    ) -> tuple[VenueEvent, ...]:
        """Let the positions of these pairs pay or receive funding, and say what was paid.

        `then`, where rates are told after their time, are the positions there were: others pay nothing.
        """
        for rate in due:
            payment = self.clearing.fund(rate, self.markets[rate.pair], then)
            if payment is not None:
                # No two payments of a pair are for the same fills and moment, so equal runs give equal ids.
                number = self.counts[rate.pair][1]
                paid = replace(payment, payment_id=f"{rate.pair}#p{number}.{rate.ts}")
                self.payments.append(paid)
                self._events.append(paid)
        return self._drain()

    def restore(self, working: Iterable[Working], counts: Mapping[str, tuple[int, int]]) -> None:
        """Take over orders and counters; the ledgers are restored by themselves."""
        self.working, self._by_pair, self.changed, self.fills, self.payments = {}, {}, {}, [], []
        self.counts = dict(counts)
        for kept in working:
            self.working[kept.order.client_order_id] = kept
            self._by_pair.setdefault(kept.order.pair, {})[kept.order.client_order_id] = None

    # ------------------------------------------------------------ may it be?

    def _refusal(self, order: Order, market: Market, account: Account, price: Decimal | None) -> Refused | None:
        if not market.active:
            return Refused("MARKET_CLOSED", f"{order.pair} is not traded at present")
        if order.client_order_id in self.working:
            return Refused(_INVALID, f"client order id {order.client_order_id} belongs to a working order")
        if order.leverage < ONE or (account is Account.OPEN and order.leverage > max(ONE, market.leverage_max)):
            return Refused(_INVALID, f"leverage {order.leverage} is over the maximum of {market.leverage_max}")
        return (
            self._bad_numbers(order, market, account, price)
            or self._beyond_position(order, market, account)
            or self._bad_now(order, market, price)
        )

    def _bad_numbers(self, order: Order, market: Market, account: Account, price: Decimal | None) -> Refused | None:
        over_candles = self.rules.depth is None  # they carry binary noise, and bound the prices asked
        # What is left of a position can always be closed.
        closes = account is Account.REDUCE or (over_candles and order.purpose is not Purpose.ENTRY)
        asked = order.price
        if order.type is OrderType.STOP:
            if order.trigger_price is None:
                return Refused(_INVALID, "a stop needs a trigger price")
            asked = order.trigger_price
        elif order.type is OrderType.MARKET:
            asked = market.round_price(price if price is not None else order.price)
        if over_candles:
            asked = market.round_price(asked)  # a month's prices may have finer steps than today's market
        why = market.refusal(order.amount, asked, any_price=over_candles, any_cost=closes)
        return Refused(_INVALID, why) if why else None

    def _beyond_position(self, order: Order, market: Market, account: Account) -> Refused | None:
        most = self.clearing.reducible(order, market, account)
        if most is None or order.amount <= most:
            return None
        return Refused(_INVALID, f"{order.amount} {market.base} is beyond the position of {most}")

    def _bad_now(self, order: Order, market: Market, price: Decimal | None) -> Refused | None:
        if self.rules.depth is None:
            return None
        if price is None:
            return Refused("MARKET_CLOSED", f"{order.pair} has no price yet")
        if order.type is OrderType.STOP and order.trigger_price is not None:
            if order.trigger_price >= price if order.side is SELL else order.trigger_price <= price:
                return Refused("WOULD_TRIGGER", f"the price of {price} is at or past the trigger {order.trigger_price}")
        elif order.type is OrderType.LIMIT and order.time_in_force is TimeInForce.PO:
            best = self.rules.depth.best(market, price, order.side)
            if order.price >= best if order.side is BUY else order.price <= best:
                return Refused(_INVALID, f"a post-only order at {order.price} would take at {best}")
        return None

    def _worst(self, order: Order, market: Market, price: Decimal | None) -> Decimal:
        """The price it is locked for; a triggered stop may meet a worse one."""
        if order.type is OrderType.STOP and order.trigger_price is not None:
            return order.trigger_price
        if order.type is OrderType.MARKET and self.rules.depth is not None and price is not None:
            return self.rules.depth.take(market, price, order.side, order.amount).price
        return order.price

    # ------------------------------------------------------------ filling

    def _match_candle(self, seen: Range) -> None:
        for kept in self.orders(seen.pair):
            order = kept.order
            client_id = order.client_order_id
            if client_id not in self.working:
                continue  # ended by a fill just before: it was against a position that is gone
            if seen.entries_only and order.purpose is not Purpose.ENTRY:
                continue
            at = self._candle_price(order, seen)
            if at is not None:
                at = self.markets[seen.pair].round_price(at)  # candles' prices, but for their binary noise, are on it
                self._fill(client_id, order.remaining, at, seen.ts, maker=False)
            elif order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
                self._end(client_id, seen.ts, OrderEvent.EXPIRED)

    @staticmethod
    def _candle_price(order: Order, seen: Range) -> Decimal | None:
        if order.type is OrderType.STOP:
            return stop_price(order, seen)
        if order.type is OrderType.MARKET and seen.tolerant:
            return min(max(order.price, seen.low), seen.high)
        return order.price if seen.low <= order.price <= seen.high else None

    def _match_book(self, seen: Range) -> None:
        kept = [kept.order for kept in self.orders(seen.pair)]
        for order in kept:
            if order.type is OrderType.STOP and order.client_order_id in self.working:
                at = stop_price(order, seen)
                if at is not None:
                    self._take(order.client_order_id, at, seen.ts)
        left = seen.volume
        limits = [order for order in kept if order.type is OrderType.LIMIT and through(order, seen)]
        # Best price first, as the price passes them; of equal ones the older, since sorting is stable.
        limits.sort(key=lambda order: -order.price if order.side is BUY else order.price)
        market = self.markets[seen.pair]
        for order in limits:
            if order.client_order_id not in self.working:
                continue
            amount = order.remaining if left is None else min(order.remaining, market.truncate_amount(left))
            if amount:
                left = None if left is None else left - amount
                self._fill(order.client_order_id, amount, order.price, seen.ts, maker=True)

    def _take(self, client_id: str, price: Decimal, now: Millis) -> None:
        """Let an order take from the book around `price`; what does not fill rests, or ends."""
        assert self.rules.depth is not None
        kept = self.working[client_id]
        order = kept.order
        market = self.markets[order.pair]
        limit = order.price if order.type is OrderType.LIMIT else None
        take = self.rules.depth.take(market, price, order.side, order.remaining, limit)
        if take.amount and not (order.time_in_force is TimeInForce.FOK and take.amount < order.remaining):
            if not self.clearing.affords(kept, market, take.amount, take.price):
                self._end(client_id, now, OrderEvent.EXPIRED)  # a stop's market price was worse than its lock
                return
            self._fill(client_id, take.amount, take.price, now, maker=False)
        rests = limit is not None and order.time_in_force in (TimeInForce.GTC, TimeInForce.PO)
        if client_id in self.working and not rests:
            self._end(client_id, now, OrderEvent.EXPIRED)

    def _fill(self, client_id: str, amount: Decimal, price: Decimal, ts: Millis, *, maker: bool) -> None:
        kept = self.working[client_id]
        order = kept.order
        amount = self.clearing.fillable(kept, amount)
        if not amount:
            self._end(client_id, ts, OrderEvent.EXPIRED)
            return
        fee, locked = self.clearing.fill(kept, self.markets[order.pair], amount, price, maker=maker)
        orders, fills = self.counts[order.pair]
        self.counts[order.pair] = (orders, fills + 1)
        fill = Fill(
            fill_id=f"{order.pair}#f{fills + 1}",
            client_order_id=client_id,
            ts=ts,
            price=price,
            amount=amount,
            fee=fee.amount,
            fee_currency=fee.currency,
            maker=maker,
            fee_cost=fee.worth,
        )
        filled = OrderFilled(pair=order.pair, fill=fill, order_id=order.order_id)
        self.fills.append(filled)
        self._events.append(filled)
        self._keep(Working(order.with_fill(fill), kept.account, kept.currency, locked))
        if kept.account is Account.REDUCE and self.clearing.positions.get(order.pair) is None:
            for other in self.orders(order.pair):
                if other.account is Account.REDUCE:
                    self._end(other.order.client_order_id, ts, OrderEvent.EXPIRED)

    # ------------------------------------------------------------ bookkeeping

    def _end(self, client_id: str, ts: Millis, how: OrderEvent) -> None:
        kept = self.working[client_id]
        order = kept.order.after(how, ts)
        self._keep(Working(order, kept.account, kept.currency, kept.locked))
        self._events.append(
            OrderCanceled(
                pair=order.pair,
                client_order_id=client_id,
                filled=order.filled,
                ts=ts,
                expired=how is OrderEvent.EXPIRED,
            )
        )

    def _keep(self, kept: Working) -> None:
        order = kept.order
        client_id = order.client_order_id
        if order.is_done:
            self.clearing.ledger.release(kept.currency, kept.locked)
            kept = Working(order, kept.account, kept.currency, ZERO)
            self.working.pop(client_id, None)
            of_pair = self._by_pair.get(order.pair, {})
            of_pair.pop(client_id, None)
            if not of_pair:
                self._by_pair.pop(order.pair, None)
        else:
            self.working[client_id] = kept
            self._by_pair.setdefault(order.pair, {})[client_id] = None
        self.changed[order.order_id] = kept

    def _drain(self) -> tuple[VenueEvent, ...]:
        events, self._events = tuple(self._events), []
        return events
