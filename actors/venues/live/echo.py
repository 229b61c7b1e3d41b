"""Whether the stream of our orders has told what happened to them: its silence, compared with the account's open orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.venues.capabilities import Capability
from actors.venues.live.books import Books
from actors.venues.live.requests import Requests
from actors.venues.live.words import order_of, rows
from engine.types import ZERO


class Echo:
    """The comparison; on the connection's loop. One request for all pairs (two where stops are kept apart)."""

    def __init__(self, requests: Requests, books: Books, ability: Capability) -> None:
        self._requests = requests
        self._books = books
        self._ability = ability

    async def is_deaf(self) -> bool:
        """Whether an order that works for all that we know has ended there, or filled further.

        Only orders that were known before the question was asked count, and that still work for us after it: what a
        request of ours has changed meanwhile is no news. An exchange that does not answer leaves it open.
        """
        working = [known for known in self._books.all() if known.accepted and not known.ended and not known.in_doubt]
        if not working:
            return False
        found: dict[str, Any] = {}
        lists = self._ability.open_lists(None)
        for kind, call in lists:
            answer = await self._requests.once(kind, self._requests.listing(call))
            if answer.failure is not None:
                return False
            found.update(self._read(answer.value))
        late = [known for known in working if not known.ended and known.ending is None]
        return bool(lists) and any(
            known.order_id not in found or found[known.order_id] > known.filled for known in late
        )

    def _read(self, told: Any) -> dict[str, Any]:
        """How far each listed order is filled, by the exchange's id."""
        found = {}
        for one in rows(told):
            market = (
                self._requests.connection.markets().get(str(one.get("symbol"))) if isinstance(one, Mapping) else None
            )
            order = None if market is None else order_of(one, market, self._ability.ours)
            if order is not None:
                found[order.order_id] = order.filled or ZERO
        return found
