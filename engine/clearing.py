"""What an order's life does to the simulated exchange's books: locks, fills, fees, margin.

`engine.matching` decides when an order fills and at what price; this is what that costs. An order works
on one of three `Account`s, settled when it is accepted:

    SPOT    a buy locks quote and receives base; a sell locks base and receives quote
    OPEN    opens or adds to a position on margin: locks cost / leverage as collateral
    REDUCE  closes of a position on margin: locks nothing; profit or loss comes in quote

An order is on margin when its market is a futures market, when its leverage is over 1, when it is an entry
that sells, or when the pair has a position on margin. Funding is paid on positions on margin. An exit that comes too late is never taken for a short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from engine.ledger import Ledger, PositionLedger, VenuePosition, to_places
from engine.margin import FundingRate, funding_of
from engine.market import Market
from engine.messages import FundingPaid
from engine.order import Order
from engine.types import ONE, ZERO, OrderSide, Purpose, Side

BUY, SELL = OrderSide.BUY, OrderSide.SELL


class Account(StrEnum):
    """Which books an order works on."""

    SPOT = "spot"
    OPEN = "open"
    REDUCE = "reduce"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """How fees are taken: in the quote coin; of a buy in the bought coin; or in a third coin while it lasts.

    `coin_price` is what one `coin` is worth in the quote coin. The rates are the market's.
    """

    in_base: bool = False
    coin: str = ""
    coin_price: Decimal = ONE


@dataclass(frozen=True, slots=True)
class Fee:
    """One fill's fee. `worth` is a third coin's in the quote coin, None for the pair's own coins."""

    currency: str
    amount: Decimal
    worth: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Working:
    """An order, and what the exchange holds for it. The order's status and fills are as the exchange sees them."""

    order: Order
    account: Account
    currency: str
    locked: Decimal


class Clearing:
    """The books and the rules by which orders move them; see the module's text."""

    def __init__(self, fees: Fees, *, overdraft: bool) -> None:
        self.fees = fees
        self.ledger = Ledger(overdraft=overdraft)
        self.positions = PositionLedger()

    def account(self, order: Order, market: Market) -> Account:
        """What the order works on if it is accepted now."""
        held = self.positions.get(order.pair)
        if held is not None:
            return Account.OPEN if (held.side is Side.LONG) == (order.side is BUY) else Account.REDUCE
        if order.purpose is not Purpose.ENTRY or order.reduce_only:
            return Account.SPOT if order.side is SELL and not market.is_futures else Account.REDUCE
        return Account.OPEN if market.is_futures or order.leverage > ONE or order.side is SELL else Account.SPOT

    def reducible(self, order: Order, market: Market, account: Account) -> Decimal | None:
        """The most that the order may be for since it must not open anything; None where it may."""
        if account is Account.REDUCE:
            held = self.positions.get(order.pair)
            return held.amount if held else ZERO
        if not order.reduce_only:
            return None
        if account is Account.SPOT:
            return self.ledger.free(market.base) + self.ledger.locked(market.base)
        return ZERO

    def needs(self, order: Order, market: Market, account: Account, amount: Decimal, price: Decimal) -> Decimal:
        """What filling `amount` at `price` takes at most, in the coin that the order locks."""
        if account is Account.REDUCE:
            return ZERO
        if account is Account.SPOT and order.side is SELL:
            return amount
        cost = amount * price
        fee = to_places(cost * max(market.maker_fee, market.taker_fee))
        if account is Account.OPEN:
            return self.positions.collateral(amount, price, order.leverage) + fee
        return cost if self.fees.in_base else cost + fee

    def accept(self, order: Order, market: Market, account: Account, price: Decimal) -> Working:
        """Lock what the order needs at `price`; raises `InsufficientFunds`."""
        currency = market.base if account is Account.SPOT and order.side is SELL else market.quote
        locked = self.needs(order, market, account, order.amount, price)
        self.ledger.lock(currency, locked)
        return Working(order, account, currency, locked)

    def affords(self, kept: Working, market: Market, amount: Decimal, price: Decimal) -> bool:
        """Whether its lock and what is free pay for this fill; a stop's market price may be worse than its lock."""
        needs = self.needs(kept.order, market, kept.account, amount, price)
        return self.ledger.covers(kept.currency, needs - kept.locked)

    def fillable(self, kept: Working, amount: Decimal) -> Decimal:
        """How much of `amount` can fill: an order against a position ends with it.

        An entry whose pair came to hold the other side meanwhile fills nothing: there is one position a pair.
        """
        held = self.positions.get(kept.order.pair)
        if kept.account is Account.REDUCE:
            return min(amount, held.amount) if held else ZERO
        opens = Side.LONG if kept.order.side is BUY else Side.SHORT
        if kept.account is Account.OPEN and held is not None and held.side is not opens:
            return ZERO
        return amount

    def fill(
        self, kept: Working, market: Market, amount: Decimal, price: Decimal, *, maker: bool
    ) -> tuple[Fee, Decimal]:
        """Move the money of one fill; (its fee, what is still locked for the order)."""
        fee = self._fee(kept, market, amount, price, market.maker_fee if maker else market.taker_fee)
        if kept.account is Account.REDUCE:
            profit, collateral = self.positions.close(kept.order.pair, amount, price)
            self.ledger.release(market.quote, collateral)
            self.ledger.receive(market.quote, profit)
            self.ledger.pay_fee(fee.currency, fee.amount)
            return fee, kept.locked
        locked = kept.locked
        if kept.account is Account.OPEN:
            side = Side.LONG if kept.order.side is BUY else Side.SHORT
            collateral = self.positions.open(kept.order.pair, side, amount, price, kept.order.leverage)
            from_lock = min(locked, collateral)
            self.ledger.lock(market.quote, collateral - from_lock)
        elif kept.order.side is BUY:
            from_lock = min(locked, amount * price)
            self.ledger.pay(market.quote, amount * price, from_lock)
            self.ledger.receive(market.base, amount)
        else:
            from_lock = amount
            self.ledger.pay(market.base, amount, from_lock)
            self.ledger.receive(market.quote, amount * price)
        locked -= from_lock
        from_lock = min(locked, fee.amount) if fee.currency == kept.currency else ZERO
        self.ledger.pay_fee(fee.currency, fee.amount, from_lock)
        return fee, locked - from_lock

    def fund(
        self, due: FundingRate, market: Market, then: Mapping[str, VenuePosition] | None = None
    ) -> FundingPaid | None:
        """Move the money of one funding; None where the pair has no position. The payment's id is the caller's.

        `then` are the positions of that time where the rate is told later: what came after it pays nothing.
        """
        held = self.positions.get(due.pair)
        was = held if then is None else then.get(due.pair)
        if held is None or was is None or was.side is not held.side:
            return None
        amount = min(held.amount, was.amount)
        received = to_places(funding_of(held.side, amount, due))
        self.ledger.receive(market.quote, received)
        return FundingPaid(
            pair=due.pair,
            payment_id="",
            ts=due.ts,
            received=received,
            currency=market.quote,
            rate=due.rate,
            price=due.price,
            amount=amount,
        )

    def _fee(self, kept: Working, market: Market, amount: Decimal, price: Decimal, rate: Decimal) -> Fee:
        cost = to_places(amount * price * rate)
        if self.fees.coin:
            in_coin = to_places(cost / self.fees.coin_price)
            if self.ledger.free(self.fees.coin) >= in_coin:
                return Fee(self.fees.coin, in_coin, cost)
        if self.fees.in_base and kept.order.side is BUY and kept.account is Account.SPOT:
            return Fee(market.base, to_places(amount * rate))
        return Fee(market.quote, cost)
