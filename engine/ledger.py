"""The simulated exchange's own books: balances and positions, to the last digit.

Rules
    Double entry: every movement takes from one account what it gives to another, so the accounts of a
    currency always sum to zero. `FREE` and `LOCKED` are the customer's; `FEES` is what the exchange
    earned, `MARKET` the other side of every trade, `DEPOSITS` where the money came from.
    Nothing rounds but fees and collateral, to 18 places (SQL's); what they round is what is booked.
    Only a loss on a position beyond its collateral, or `overdraft`, can make `FREE` negative.

The books know no orders: `engine.matching` locks for an order, pays from its lock, releases the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_UP, Decimal
from typing import Final

from engine.errors import TradepitError
from engine.types import ZERO, Side

PLACES: Final = Decimal("1e-18")
"""The last digit that the books keep; `DECIMAL(38,18)` in SQL."""

FREE, LOCKED, FEES, MARKET, DEPOSITS = range(5)
ACCOUNTS: Final = ("free", "locked", "fees", "market", "deposits")


class InsufficientFunds(TradepitError):
    """There is less free than was to be locked or paid; nothing was moved."""


def to_places(value: Decimal, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    """`value` to 18 places."""
    return value.quantize(PLACES, rounding) if -int(value.as_tuple().exponent) > 18 else value


class Ledger:
    """Balances of every currency; see the module's rules.

    With `overdraft` nothing is refused for want of funds: Freqtrade's backtest books fees at the close
    of a trade, and lets stakes take the whole balance.
    """

    __slots__ = ("_accounts", "changed", "overdraft")

    def __init__(self, *, overdraft: bool = False) -> None:
        self.overdraft = overdraft
        self._accounts: dict[str, list[Decimal]] = {}
        self.changed: set[str] = set()

    def deposit(self, currency: str, amount: Decimal) -> None:
        """Money from outside, free at once."""
        self._move(currency, amount, DEPOSITS, FREE)

    def free(self, currency: str) -> Decimal:
        """What can be locked or paid."""
        accounts = self._accounts.get(currency)
        return accounts[FREE] if accounts else ZERO

    def locked(self, currency: str) -> Decimal:
        """What open orders and positions hold."""
        accounts = self._accounts.get(currency)
        return accounts[LOCKED] if accounts else ZERO

    def covers(self, currency: str, amount: Decimal) -> bool:
        """Whether `amount` could be locked now."""
        return self.overdraft or self.free(currency) >= amount

    def lock(self, currency: str, amount: Decimal) -> None:
        """Set `amount` aside; raises `InsufficientFunds`."""
        if not self.covers(currency, amount):
            raise InsufficientFunds(f"{amount} {currency} are needed, {self.free(currency)} are free")
        self._move(currency, amount, FREE, LOCKED)

    def release(self, currency: str, amount: Decimal) -> None:
        """Give back what was set aside."""
        self._move(currency, amount, LOCKED, FREE)

    def pay(self, currency: str, amount: Decimal, from_lock: Decimal = ZERO) -> None:
        """Hand `amount` to the market, `from_lock` of it out of the lock, the rest out of what is free."""
        self._move(currency, from_lock, LOCKED, MARKET)
        self._move(currency, amount - from_lock, FREE, MARKET)

    def pay_fee(self, currency: str, fee: Decimal, from_lock: Decimal = ZERO) -> None:
        """Hand `fee` to the exchange; as `pay`."""
        self._move(currency, from_lock, LOCKED, FEES)
        self._move(currency, fee - from_lock, FREE, FEES)

    def receive(self, currency: str, amount: Decimal) -> None:
        """Take `amount` from the market; a negative one is a loss, paid out of what is free."""
        self._move(currency, amount, MARKET, FREE)

    def _move(self, currency: str, amount: Decimal, source: int, target: int) -> None:
        if not amount:
            return
        accounts = self._accounts.get(currency)
        if accounts is None:
            accounts = self._accounts[currency] = [ZERO] * len(ACCOUNTS)
        accounts[source] -= amount
        accounts[target] += amount
        self.changed.add(currency)

    def balances(self) -> tuple[tuple[str, Decimal, Decimal], ...]:
        """(currency, free, locked) of every currency ever held, by name."""
        return tuple((name, a[FREE], a[LOCKED]) for name, a in sorted(self._accounts.items()))

    def accounts(self, currency: str) -> tuple[Decimal, ...]:
        """The five accounts in the order of `ACCOUNTS`; they sum to zero."""
        return tuple(self._accounts.get(currency, [ZERO] * len(ACCOUNTS)))

    def restore(self, rows: Iterable[tuple[str, tuple[Decimal, ...]]]) -> None:
        """Take over accounts as `accounts` gave them; whatever was there is forgotten."""
        self._accounts = {currency: list(accounts) for currency, accounts in rows}
        self.changed = set()


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """What is held on margin of one pair: base amount, its cost at entry, the quote set aside for it."""

    side: Side
    amount: Decimal
    cost: Decimal
    collateral: Decimal


class PositionLedger:
    """Positions on margin, one a pair, one way at a time; collateral and profit are in the quote coin.

    It says what the balances must do; `Ledger` does it. A part that is closed takes its share of cost
    and collateral with it, to 18 places; closing the last of it takes exactly what is left.
    """

    __slots__ = ("_positions", "changed")

    def __init__(self) -> None:
        self._positions: dict[str, VenuePosition] = {}
        self.changed: set[str] = set()

    def get(self, pair: str) -> VenuePosition | None:
        """The pair's position, None when flat."""
        return self._positions.get(pair)

    @staticmethod
    def collateral(amount: Decimal, price: Decimal, leverage: Decimal) -> Decimal:
        """What must be set aside to open `amount` at `price`: cost / leverage, rounded up."""
        return to_places(amount * price / leverage, ROUND_UP)

    def open(self, pair: str, side: Side, amount: Decimal, price: Decimal, leverage: Decimal) -> Decimal:
        """Open or add, and return the collateral to be locked for it."""
        held = self._positions.get(pair) or VenuePosition(side, ZERO, ZERO, ZERO)
        assert held.side is side, f"{pair}: an entry against the position"
        collateral = self.collateral(amount, price, leverage)
        self._positions[pair] = VenuePosition(
            side, held.amount + amount, held.cost + amount * price, held.collateral + collateral
        )
        self.changed.add(pair)
        return collateral

    def close(self, pair: str, amount: Decimal, price: Decimal) -> tuple[Decimal, Decimal]:
        """Close `amount` of it and return (profit, collateral to release)."""
        held = self._positions[pair]
        assert ZERO < amount <= held.amount, f"{pair}: {amount} of a position of {held.amount}"
        self.changed.add(pair)
        if amount == held.amount:
            cost, collateral = held.cost, held.collateral
            del self._positions[pair]
        else:
            cost = to_places(held.cost * amount / held.amount)
            collateral = to_places(held.collateral * amount / held.amount)
            self._positions[pair] = VenuePosition(
                held.side, held.amount - amount, held.cost - cost, held.collateral - collateral
            )
        gain = amount * price - cost
        return (gain if held.side is Side.LONG else -gain), collateral

    def items(self) -> tuple[tuple[str, VenuePosition], ...]:
        """Every open position, by pair."""
        return tuple(sorted(self._positions.items()))

    def restore(self, positions: Iterable[tuple[str, VenuePosition]]) -> None:
        """Take over positions as `items` gave them; whatever was there is forgotten."""
        self._positions = dict(positions)
        self.changed = set()
