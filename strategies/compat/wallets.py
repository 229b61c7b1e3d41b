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


class PositionWallet(NamedTuple):
    """A futures position."""

    symbol: str
    position: float = 0.0
    leverage: float | None = 0.0
    collateral: float = 0.0
    side: str = "long"


class Wallets:
    """What the account holds at the moment of a question; before any, what the run begins with.

    The stake coin is reckoned as the account does it: what is in trades is not in the wallet, what is in
    entries that wait is `used`. Of other coins there is what spot trades hold.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        wallet = surroundings.wallet
        pool = wallet * surroundings.tradable_balance_ratio
        self._figures: Mapping[str, Any] = {
            "start": wallet,
            "free": wallet,
            "tied": 0.0,
            "waiting": 0.0,
            "pool": pool,
            "available": pool,
            "coins": {},
        }
        self._positions: Mapping[str, PositionWallet] = {}

    def hear(self, account: Mapping[str, Any]) -> None:
        """Take the account, as it is from now on."""
        self._figures = account["figures"]
        self._positions = {
            trade["pair"]: PositionWallet(
                trade["pair"],
                trade["amount"],
                trade["leverage"],
                trade["stake_amount"],
                "short" if trade["is_short"] else "long",
            )
            for trade in account["open"]
            if trade["amount"]
        }

    def _wallet(self, currency: str) -> Wallet:
        if currency == self._surroundings.stake_currency:
            free, used = self._figures["free"], self._figures["waiting"]
            return Wallet(currency, free, used, free + used)
        held = self._figures["coins"].get(currency, 0.0)
        return Wallet(currency, held, 0.0, held)

    def get_free(self, currency: str) -> float:
        """What is free of a coin."""
        return self._wallet(currency).free

    def get_used(self, currency: str) -> float:
        """What orders that wait have tied up of a coin."""
        return self._wallet(currency).used

    def get_total(self, currency: str) -> float:
        """What there is of a coin."""
        return self._wallet(currency).total

    def get_owned(self, pair: str, base_currency: str) -> float:
        """What there is to sell of a pair."""
        if pair in self._positions and ":" in pair:
            return self._positions[pair].position
        return self.get_total(base_currency)

    def get_collateral(self) -> float:
        """What backs positions: the stake coin's balance."""
        return self.get_total(self._surroundings.stake_currency)

    def get_starting_balance(self) -> float:
        """What the run began with, as far as it may be traded with."""
        return float(self._figures["start"] * self._surroundings.tradable_balance_ratio)

    def get_total_stake_amount(self) -> float:
        """What may be traded with, open trades included."""
        return float(self._figures["pool"])

    def get_available_stake_amount(self) -> float:
        """What may be traded with and is free."""
        return float(self._figures["available"])

    def get_trade_stake_amount(self, pair: str, max_open_trades: float = 0, update: bool = True) -> float:
        """The stake of a new trade by the run's settings."""
        del pair, update
        stake = self._surroundings.stake_amount
        if stake is not None:
            return float(stake)
        slots = max_open_trades or self._surroundings.max_open_trades
        available = self.get_available_stake_amount()
        return min((available + self._figures["tied"]) / slots, available) if slots > 0 else available

    def get_all_balances(self) -> dict[str, Wallet]:
        """All coins that are known of."""
        return {coin: self._wallet(coin) for coin in (self._surroundings.stake_currency, *self._figures["coins"])}

    def get_all_positions(self) -> dict[str, PositionWallet]:
        """The open futures positions by pair."""
        return {pair: position for pair, position in self._positions.items() if ":" in pair}

    def update(self, require_update: bool = True) -> None:
        """Nothing to do: every question brings the newest figures."""
