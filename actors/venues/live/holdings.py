"""What an account holds at an exchange, read as a whole: balances, positions on margin, and all open orders.

A read serves everybody who is content with one that began then: who asks for now gets one that began after he asked.
An answer without what it must have is none: what was read before is not told as of now.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from actors.venues.capabilities import Capability
from actors.venues.live.requests import Requests, Turns
from actors.venues.live.words import balances_of, names_coins, position_of, rows, text, unreadable_of
from engine.market import Market
from engine.types import ZERO

Balances = tuple[tuple[str, Decimal, Decimal], ...]

_LISTS: Final = ("balances", "positions", "orders")

SEEN_S: Final = 10.0
"""What was read so long ago, before the first question, is read again."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a start has read of an account before anything was asked: as ccxt tells it, `at` by the steady clock."""

    at: float
    balances: Any
    positions: Sequence[Any]
    orders: Sequence[Any]


class Holdings:
    """The balances, positions and open orders of one account; on the connection's loop, but for `balances`.

    With what a start has `seen` the first questions cost nothing. `names_none`: the last answer about balances named no
    coin, so the account is empty, or it was an answer that says nothing.
    """

    def __init__(self, requests: Requests, ability: Capability, *, futures: bool, seen: Seen | None = None) -> None:
        self._requests = requests
        self._ability = ability
        self._futures = futures
        self._balances: Balances = ()
        self.names_none = False
        self._unreadable: frozenset[str] = frozenset()
        self._positions: Mapping[str, Sequence[Any]] = {}
        self._orders: Mapping[str, Sequence[Any]] = {}
        self._turns = Turns()
        self._begun = dict.fromkeys(_LISTS, float("-inf"))
        if seen is not None:
            self._balances = balances_of(seen.balances, futures=futures)
            self._unreadable = unreadable_of(seen.balances)
            self._positions = _grouped(seen.positions)
            self._orders = _grouped(seen.orders)
            self._begun = dict.fromkeys(_LISTS, seen.at)
            if not names_coins(seen.balances):
                self._begun["balances"] = float("-inf")

    @property
    def balances(self) -> Balances:
        """(currency, free, locked) as they were read last; from any thread. Empty: not known yet."""
        return self._balances

    async def read_balances(self, since: float | None = None) -> Balances | None:
        """The balances of now or later; of `since` or later, by the steady clock, where that is said; None: not told."""
        asked = time.monotonic() if since is None else since
        async with self._turns.of("balances"):
            if self._begun["balances"] < asked:
                begun = time.monotonic()
                answer = await self._requests.read("balances", self._requests.connection.trading.fetch_balance)
                self.names_none = answer.failure is None and not names_coins(answer.value)
                if answer.failure is not None or self.names_none:
                    return None
                if begun > self._begun["balances"]:
                    self._balances = balances_of(answer.value, futures=self._futures)
                    self._unreadable = unreadable_of(answer.value)
                    self._begun["balances"] = begun
            return self._balances

    async def read_positions(self, since: float | None = None) -> Mapping[str, Sequence[Any]] | None:
        """All positions likewise, as ccxt tells them, by pair; None where they were not told."""
        asked = time.monotonic() if since is None else since
        async with self._turns.of("positions"):
            if self._begun["positions"] < asked:
                begun = time.monotonic()
                answer = await self._requests.read("positions", self._requests.listing(self._ability.positions()))
                if answer.failure is not None or not isinstance(answer.value, Sequence):
                    return None
                if begun > self._begun["positions"]:
                    self._positions, self._begun["positions"] = _grouped(rows(answer.value)), begun
            return self._positions

    async def position(self, market: Market, since: float | None = None) -> Decimal | None:
        """Base coins held of a pair: a coin's balance on spot, a short's are negative on margin; None: not known.

        What no list tells of is not known: a contract settled in another coin than the lists are of.
        """
        if market.is_futures and not self._ability.settled.tells_of(market.pair):
            return None
        if market.is_futures:
            positions = await self.read_positions(since)
            held = [None] if positions is None else [position_of(one, market) for one in positions.get(market.pair, ())]
            return None if None in held else sum((one for one in held if one is not None), ZERO)
        balances = await self.read_balances(since)
        if balances is None or market.base in self._unreadable:
            return None  # it may not be read: that nothing is known is not that nothing is there
        return sum((free + locked for currency, free, locked in balances if currency == market.base), ZERO)

    async def read_orders(self, since: float | None = None) -> Mapping[str, Sequence[Any]] | None:
        """All open orders likewise, anybody's, as ccxt tells them, by pair; None where they could not be read."""
        asked = time.monotonic() if since is None else since
        async with self._turns.of("orders"):
            if self._begun["orders"] < asked:
                begun, found, lists = time.monotonic(), list[Any](), self._ability.open_lists(None)
                if not lists:
                    return None
                for kind, call in lists:
                    answer = await self._requests.read(kind, self._requests.listing(call))
                    if answer.failure is not None or not isinstance(answer.value, Sequence):
                        return None
                    found += rows(answer.value)
                if begun > self._begun["orders"]:
                    self._orders, self._begun["orders"] = _grouped(found), begun
            return self._orders


def _grouped(told: Sequence[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in told:
        if isinstance(one, Mapping):
            found.setdefault(text(one.get("symbol")), []).append(one)
    return found
