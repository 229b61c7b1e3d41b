"""The account as a whole, compared now and then: orders that no pair would ever ask about, and funding.

Each pair compares what is its own. Here is what is left: orders of ours on pairs that nobody trades any
more, and those of others. Both are left as they are, and said once.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from actors.venues.capabilities import Capability
from actors.venues.live.books import Books
from actors.venues.live.payments import Payments
from actors.venues.live.requests import Requests, Telling
from actors.venues.live.words import became_of, order_of, rows, text
from actors.venues.trading import Missed, Remark
from engine.messages import VenueOrder
from engine.reconcile import installation_of
from engine.types import Millis

FUNDING_MS: Final = 2 * 3_600_000
"""Funding is read from so long ago on."""


class Account:
    """The open orders of the whole account; on the connection's loop. `paid`: when each payment was made that was told."""

    def __init__(
        self, requests: Requests, telling: Telling, books: Books, payments: Payments, ability: Capability
    ) -> None:
        self._payments = payments
        self._requests = requests
        self._telling = telling
        self._books = books
        self._ability = ability
        self._said: set[tuple[str, str]] = set()
        self.paid: dict[str, Millis] = {}
        self._began = requests.connection.now()

    async def compare(self, traded: Collection[str]) -> None:
        """Read all open orders; tell the pairs `traded` of theirs, and the user once of all others."""
        seen: set[tuple[str, str]] = set()
        for kind, call in self._ability.open_lists(None):
            answer = await self._requests.read(kind, self._requests.listing(call))
            if answer.failure is not None:
                return
            seen |= {self._take(told, traded) for told in rows(answer.value)}
        self._said &= seen  # what is gone need not be remembered

    async def read_funding(self, pairs: Collection[str]) -> None:
        """Tell each funding payment of these pairs once; those from before this process are told by looks."""
        since = max(self._began, self._requests.connection.now() - FUNDING_MS)
        for pair in sorted(pairs):
            for paid in await self._payments.of(pair, since):
                if paid.payment_id not in self.paid:
                    self.paid[paid.payment_id] = paid.ts
                    self._telling.put(paid)
        # What is older is not read again; the exchange's time may be set back by a little.
        self.paid = {number: ts for number, ts in self.paid.items() if ts >= since - FUNDING_MS}

    def _take(self, told: Any, traded: Collection[str]) -> tuple[str, str]:
        """Tell a pair of its order, or the user of one that is no pair's; which one it was."""
        pair = text(told.get("symbol")) if isinstance(told, dict) else ""
        market = self._requests.connection.markets().get(pair)
        order = None if market is None else order_of(told, market, self._ability.ours)
        if order is None:
            return "", ""
        is_ours = self._books.is_ours(pair, order.client_order_id)
        if is_ours and pair in traded:
            known = self._books.get(order.client_order_id)
            if known is None or known.ended:  # its pair believes that there is no such order, or that it has ended
                self._telling.put(Missed(pair))
            self._books.hear_order(pair, order, became_of(told))
        elif (pair, order.order_id) not in self._said:
            self._said.add((pair, order.order_id))
            self._say(pair, order, is_ours=is_ours)
        return pair, order.order_id

    def _say(self, pair: str, order: VenueOrder, *, is_ours: bool) -> None:
        what = f"{order.side} {order.amount:f} {pair} at {order.trigger_price or order.price:f}"
        if is_ours:
            text = f"an order of ours works on a pair that is not traded any more ({what}): cancel it there if you want"
            self._telling.put(Remark("warning", "left_order", text))
        elif installation_of(order.client_order_id):
            text = f"an order of another Tradepit works in the account ({what}): two bots on an account spend the same money"
            self._telling.put(Remark("warning", "second_bot", text))
        else:
            text = f"an order that is not ours works in the account ({what}): it is left alone"
            self._telling.put(Remark("info", "foreign_order", text))
