"""What an account holds at an exchange: balances, positions on margin, and on which pairs there are open orders.

A read serves everybody who has asked before it began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from actors.venues.capabilities import Capability
from actors.venues.live.requests import Requests
from actors.venues.live.words import balances_of, position_of, rows, text
from engine.market import Market
from engine.types import ZERO

Balances = tuple[tuple[str, Decimal, Decimal], ...]


class Holdings:
    """The balances and positions of one account; on the connection's loop, but for `balances`."""

    def __init__(self, requests: Requests, ability: Capability, *, futures: bool) -> None:
        self._requests = requests
        self._ability = ability
        self._futures = futures
        self._balances: Balances = ()
        self._positions: dict[str, Any] = {}
        self._open: frozenset[str] | None = None
        self._locks = {"balances": asyncio.Lock(), "positions": asyncio.Lock(), "open": asyncio.Lock()}
        self._begun = dict.fromkeys(self._locks, float("-inf"))

    @property
    def balances(self) -> Balances:
        """(currency, free, locked) as they were read last; from any thread. Empty: not known yet."""
        return self._balances

    async def read_balances(self) -> Balances:
        """The balances of now or later."""
        asked = asyncio.get_running_loop().time()
        async with self._locks["balances"]:
            if self._begun["balances"] < asked:
                begun = asyncio.get_running_loop().time()
                answer = await self._requests.read("balances", self._requests.connection.trading.fetch_balance)
                if answer.failure is None:
                    self._balances = balances_of(answer.value, futures=self._futures)
                    self._begun["balances"] = begun
            return self._balances

    async def read_positions(self) -> Mapping[str, Any]:
        """All positions of now or later, as ccxt tells them, by pair."""
        asked = asyncio.get_running_loop().time()
        async with self._locks["positions"]:
            if self._begun["positions"] < asked:
                begun = asyncio.get_running_loop().time()
                answer = await self._requests.read("positions", self._requests.connection.trading.fetch_positions)
                if answer.failure is None:
                    told = rows(answer.value)
                    self._positions = {text(one.get("symbol")): one for one in told if isinstance(one, Mapping)}
                    self._begun["positions"] = begun
            return self._positions

    async def position(self, market: Market) -> Decimal | None:
        """Base coins held of a pair: a coin's balance on spot, a short's are negative on margin."""
        if market.is_futures:
            told = (await self.read_positions()).get(market.pair)
            return ZERO if told is None else position_of(told, market)
        balances = await self.read_balances()
        return sum((free + locked for currency, free, locked in balances if currency == market.base), ZERO)

    async def is_empty(self, market: Market) -> bool:
        """Whether a pair has no open order, anybody's, and nothing is held of it, now or later."""
        opened = await self._read_open()
        return opened is not None and market.pair not in opened and not await self.position(market)

    async def _read_open(self) -> frozenset[str] | None:
        """The pairs with open orders; None where it could not be read."""
        asked = asyncio.get_running_loop().time()
        async with self._locks["open"]:
            if self._begun["open"] < asked:
                begun, found = asyncio.get_running_loop().time(), set()
                stops = self._ability.open_stops(None)
                calls = [("open_orders_all", self._ability.open_orders(None))]
                for kind, call in [*calls, *([] if stops is None else [("open_stops_all", stops)])]:
                    answer = await self._requests.read(kind, self._requests.method(call))
                    if answer.failure is not None:
                        return None
                    found |= {text(told.get("symbol")) for told in rows(answer.value) if isinstance(told, Mapping)}
                self._open, self._begun["open"] = frozenset(found), begun
            return self._open
