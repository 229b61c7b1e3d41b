"""A futures account: its wallet, its positions, and what is left for new ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from tests.exchange.ledger import Ledger
from tests.exchange.orders import ZERO
from tests.exchange.quotes import Quote

COIN: Final = "USDT"


@dataclass(slots=True)
class Position:
    """One pair's position: `amount` is negative when short; `realized` is what it has earned so far, without fees."""

    symbol: str
    leverage: int = 20
    isolated: bool = False
    amount: Decimal = ZERO
    entry: Decimal = ZERO
    realized: Decimal = ZERO
    updated: int = 0

    def profit(self, price: Decimal) -> Decimal:
        """Not realized, at this price."""
        return (price - self.entry) * self.amount

    def closing(self, side: str, qty: Decimal) -> Decimal:
        """How much of an order would close it; the rest would open."""
        if self.amount == 0 or (self.amount > 0) == (side == "BUY"):
            return ZERO
        return min(qty, abs(self.amount))


@dataclass(slots=True)
class FuturesAccount:
    """One user on USD-M futures, one-way mode; `hedged` accounts get no orders here."""

    name: str
    quotes: Mapping[str, Quote]
    ledger: Ledger = field(default_factory=Ledger)
    taker: Decimal = Decimal("0.0005")
    maker: Decimal = Decimal("0.0002")
    hedged: bool = False
    positions: dict[str, Position] = field(default_factory=dict)
    reserved: dict[int, Decimal] = field(default_factory=dict)
    income: list[dict[str, Any]] = field(default_factory=list)
    updated: int = 0
    fee_asset: str = ""

    def position(self, symbol: str) -> Position:
        """The pair's position; one of nothing if there is none."""
        there = self.positions.get(symbol)
        if there is None:
            there = self.positions[symbol] = Position(symbol)
        return there

    def held(self) -> list[Position]:
        """The positions that are not nothing."""
        return [position for position in self.positions.values() if position.amount]

    def place_of(self, position: Position) -> str:
        """The ledger's place that pays for this position's losses."""
        return f"isolated:{position.symbol}" if position.isolated else "wallet"

    @property
    def wallet(self) -> Decimal:
        """The cross wallet: all but what isolated positions hold."""
        return self.ledger.at("wallet", COIN)

    def isolated_wallet(self, position: Position) -> Decimal:
        """What an isolated position holds."""
        return self.ledger.at(f"isolated:{position.symbol}", COIN)

    def price(self, position: Position) -> Decimal:
        """The mark price, which here is the last price."""
        return self.quotes[position.symbol].last

    def profit(self, position: Position) -> Decimal:
        """Not realized, now."""
        return position.profit(self.price(position))

    def initial(self, position: Position) -> Decimal:
        """The initial margin of a position, at the mark price."""
        return abs(position.amount) * self.price(position) / position.leverage

    def maintenance(self, position: Position) -> Decimal:
        """The maintenance margin of a position."""
        rate = self.quotes[position.symbol].listing.maintenance
        return abs(position.amount) * self.price(position) * rate

    def available(self) -> Decimal:
        """What new orders may take as margin."""
        cross = [position for position in self.held() if not position.isolated]
        used = sum((self.initial(position) - self.profit(position) for position in cross), ZERO)
        return self.wallet - used - sum(self.reserved.values(), ZERO)

    def liquidation_price(self, position: Position) -> Decimal:
        """Where the margin falls to the maintenance margin, other positions unchanged; 0 if nowhere above 0."""
        if not position.amount:
            return ZERO
        rate = self.quotes[position.symbol].listing.maintenance
        if position.isolated:
            margin = self.isolated_wallet(position)
        else:
            others = [p for p in self.held() if not p.isolated and p is not position]
            margin = self.wallet + sum((self.profit(p) - self.maintenance(p) for p in others), ZERO)
        amount = position.amount
        # margin + (x - entry) * amount = |amount| * x * rate
        at = (position.entry * amount - margin) / (amount - abs(amount) * rate)
        return max(ZERO, at)

    def figures(self) -> dict[str, Decimal]:
        """The sums that `account` and `balance` tell."""
        held = self.held()
        cross = [position for position in held if not position.isolated]
        isolated = sum((self.isolated_wallet(position) for position in held if position.isolated), ZERO)
        profit = sum((self.profit(position) for position in held), ZERO)
        initial = sum((self.initial(position) for position in held), ZERO)
        orders = sum(self.reserved.values(), ZERO)
        return {
            "walletBalance": self.wallet + isolated,
            "unrealizedProfit": profit,
            "marginBalance": self.wallet + isolated + profit,
            "maintMargin": sum((self.maintenance(position) for position in held), ZERO),
            "initialMargin": initial + orders,
            "positionInitialMargin": initial,
            "openOrderInitialMargin": orders,
            "crossWalletBalance": self.wallet,
            "crossUnPnl": sum((self.profit(position) for position in cross), ZERO),
            "availableBalance": max(ZERO, self.available()),
        }
