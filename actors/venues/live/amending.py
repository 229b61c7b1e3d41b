"""Changing a stop that rests, in place, and what becomes of that: done, refused, in doubt, or not sent.

The order keeps its ids, and stands all the time: as it was, or as it is to be. What is in doubt is looked up by the
pair, by the trigger and the amount that the exchange tells; `Known.amend_sent_at` is since when it could be done.
"""

from __future__ import annotations

from collections.abc import Callable

from loguru import logger

from actors.venues.capabilities import Capability
from actors.venues.live.books import Books, Known
from actors.venues.live.failure import Failure, NotLeaving, Verdict
from actors.venues.live.orders import DOUBT_S, Leaving
from actors.venues.live.requests import Requests, Telling
from actors.venues.live.words import holds_refusal
from actors.venues.trading import Permit
from engine.messages import AmendRejected, OrderAmended, OrderInDoubt
from engine.order import Amendment, Order
from engine.types import Millis


class Amendments:
    """The amendments of one account; on the connection's loop. `epoch` is the venue's present incarnation."""

    def __init__(
        self, requests: Requests, telling: Telling, books: Books, ability: Capability, *, epoch: Callable[[], int]
    ) -> None:
        self._requests = requests
        self._telling = telling
        self._books = books
        self._ability = ability
        self._epoch = epoch

    async def amend(self, order: Order, permit: Permit, epoch: int) -> None:
        """Change a resting order and tell what became of that; a fault of ours leaves it to a look."""
        try:
            await self._amend(order, permit, epoch)
        except Exception as error:  # noqa: BLE001 - a bug must not hide what stands
            logger.exception("{}: amending {} failed", order.pair, order.client_order_id)
            self._doubt(order, f"a fault of ours: {error!r}")

    async def _amend(self, order: Order, permit: Permit, epoch: int) -> None:
        pair, client_id, target = order.pair, order.client_order_id, order.amending
        known, market = self._books.get(client_id), self._requests.connection.markets().get(pair)
        call = None
        if market is not None and known is not None:
            call = self._ability.amend(order, market, known.order_id)
        if call is None or known is None or target is None:
            self._requests.unused(permit, pair, client_id)
            self._reject(order, "INVALID_ORDER", "it is not known there, or cannot be changed")
            return
        known.amend_sent_at = permit.until
        leaving = Leaving(lambda: self._leave(epoch, known), lambda: self._late(order))
        answer = await self._requests.send(
            "amend",
            permit,
            self._requests.method(call),
            pair=pair,
            client_order_id=client_id,
            created_at=order.amended_at,
            leave=leaving,
        )
        leaving.answered()
        if answer.failure is not None:
            self._failed(order, answer.failure)
        elif holds_refusal(answer.value):
            self._doubt(order, "the answer holds a refusal")
        else:
            self._telling.put(self._done(order, target))

    def _leave(self, epoch: int, known: Known) -> None:
        if self._epoch() != epoch:
            raise NotLeaving("NO_PERMIT", f"gateway {epoch} does not have the venue any more")
        known.amend_sent_at = self._now()

    def _late(self, order: Order) -> None:
        self._doubt(order, f"no answer within {DOUBT_S:g} s")

    def _failed(self, order: Order, failure: Failure) -> None:
        if failure.verdict is Verdict.IN_DOUBT or failure.same:  # it is so already, or so they say
            self._doubt(order, failure.reason)
        else:
            self._reject(order, failure.code, failure.reason)

    def _done(self, order: Order, target: Amendment) -> OrderAmended:
        return OrderAmended(
            pair=order.pair,
            client_order_id=order.client_order_id,
            amount=target.amount,
            trigger_price=target.trigger_price,
            ts=self._now(),
        )

    def _doubt(self, order: Order, reason: str) -> None:
        doubt = OrderInDoubt(pair=order.pair, client_order_id=order.client_order_id, reason=reason, ts=self._now())
        self._telling.put(doubt)

    def _reject(self, order: Order, code: str, reason: str) -> None:
        rejected = AmendRejected(
            pair=order.pair, client_order_id=order.client_order_id, code=code, reason=reason, ts=self._now()
        )
        self._telling.put(rejected)

    def _now(self) -> Millis:
        return self._requests.connection.now()
