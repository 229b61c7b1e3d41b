"""`self.wallets`: the account as a strategy sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.strategy import Surroundings


class Wallet(NamedTuple):
    """One coin's balance."""

    currency: str
    free: float = 0.0
    used: float = 0.0
    total: float = 0.0


class Wallets:
    """The stake currency's balance, as the question's facts tell it; before any, the run's wallet."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._free = surroundings.wallet
        self._tied = 0.0
        self._available: float | None = None

    def tell(self, facts: Mapping[str, Any]) -> None:
        """Take what a question says of the account."""
        self._free, self._tied = float(facts["free"]), float(facts["tied"])
        self._available = float(facts["available"])

    def get_free(self, currency: str) -> float:
        """What is free of a coin."""
        return self._free if currency == self._surroundings.stake_currency else 0.0

    def get_used(self, currency: str) -> float:
        """What orders that wait have tied up of a coin."""
        del currency
        return 0.0

    def get_total(self, currency: str) -> float:
        """What there is of a coin."""
        return self.get_free(currency)

    def get_starting_balance(self) -> float:
        """What the run began with, as far as it may be traded with."""
        return self._surroundings.wallet * self._surroundings.tradable_balance_ratio

    def get_total_stake_amount(self) -> float:
        """What may be traded with, open trades included."""
        return (self._free + self._tied) * self._surroundings.tradable_balance_ratio

    def get_available_stake_amount(self) -> float:
        """What may be traded with and is free."""
        if self._available is not None:
            return self._available
        return min(self.get_total_stake_amount() - self._tied, self._free)

    def get_trade_stake_amount(self, pair: str, max_open_trades: float = 0, update: bool = True) -> float:
        """The stake of a new trade by the run's settings."""
        del pair, update
        stake = self._surroundings.stake_amount
        if stake is not None:
            return float(stake)
        slots = max_open_trades or self._surroundings.max_open_trades
        available = self.get_available_stake_amount()
        return min((available + self._tied) / slots, available) if slots else available

    def get_all_balances(self) -> dict[str, Wallet]:
        """All coins that are known of."""
        currency = self._surroundings.stake_currency
        return {currency: Wallet(currency, self._free, 0.0, self._free)}

    def update(self, require_update: bool = True) -> None:
        """Nothing to do: every question brings the newest figures."""
