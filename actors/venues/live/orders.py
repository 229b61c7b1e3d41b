"""Sending orders and cancels over a network, and what becomes of each: accepted, refused, in doubt, or not sent.

Rules
    A request leaves once. The incarnation that handed it over and its permit are checked at the socket.
    What an answer tells of executions, where it names them as the exchange's lists do, is heard at once.
    Accepted is what has the exchange's id; an answer without one is in doubt, as is all that `failure` does
    not know to have been refused. What is in doubt is never sent again: the pair looks it up.
    An answer that is long in coming leaves its order in doubt too: it is looked up while the request still waits.
    Of an order that replaces another one nobody knows more than of that one: both are in doubt, or neither.
    Margin mode and leverage are set once a pair, before its first entry, and again where they change.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from loguru import logger

from actors.venues.capabilities import Call, CannotTrade, Capability
from actors.venues.live.books import Books, Known
from actors.venues.live.failure import Failure, NotLeaving, Verdict
from actors.venues.live.replacing import replaced
from actors.venues.live.requests import Requests, Telling
from actors.venues.live.wire import Answer
from actors.venues.live.words import fills_in, order_of, text, word_alone
from actors.venues.trading import Permit
from engine.market import Market
from engine.messages import CancelRejected, OrderInDoubt, OrderRejected
from engine.order import Order
from engine.types import OrderStatus, OrderType, Purpose

DOUBT_S: Final = 2.0
"""An answer that is not there so long after its request was written leaves the order in doubt; it may still come."""


@dataclass(slots=True)
class Cancelling:
    """A cancel to be sent."""

    pair: str
    client_order_id: str
    order_id: str


@dataclass(slots=True)
class Leaving:
    """A request at the socket: `check` says that it may leave, `late` is called when its answer is long in coming."""

    check: Callable[[], None]
    late: Callable[[], None]
    _timer: asyncio.TimerHandle | None = None

    def __call__(self) -> None:
        self.check()
        self.answered()
        self._timer = asyncio.get_running_loop().call_later(DOUBT_S, self.late)

    def answered(self) -> None:
        """There is an answer, or none will come."""
        if self._timer is not None:
            self._timer.cancel()


class Orders:
    """The sending side of one account. On the connection's loop; `epoch` is the venue's present incarnation."""

    def __init__(
        self,
        requests: Requests,
        telling: Telling,
        books: Books,
        ability: Capability,
        *,
        epoch: Callable[[], int],
        margin: str,
    ) -> None:
        self._requests = requests
        self._telling = telling
        self._books = books
        self._ability = ability
        self._epoch = epoch
        self._margin = margin
        self._set: dict[str, Decimal] = {}

    @property
    def _apart(self) -> bool:
        return self._ability.stop is not None and bool(self._ability.stop.open)

    @property
    def _markets(self) -> Mapping[str, Market]:
        return self._requests.connection.markets()

    def _leave(self, epoch: int, known: Known | None = None) -> None:
        if self._epoch() != epoch:
            raise NotLeaving("NO_PERMIT", f"gateway {epoch} does not have the venue any more")
        if known is not None:
            known.sent_at = self._requests.connection.now()

    # ------------------------------------------------------------ orders

    async def submit(self, order: Order, permit: Permit, epoch: int) -> None:
        """Send an order and tell what became of it; a fault of ours leaves it in doubt.

        An id that was sent before is in doubt until it is found.
        """
        if self._books.get(order.client_order_id) is not None:
            self._give_back(order, permit)
            self._tell_doubts(order, "it was sent before, and nobody knows yet whether it arrived")
            return
        self._books.expect(order, permit.until)
        try:
            await self._submit(order, permit, epoch)
        except Exception as error:  # noqa: BLE001 - a bug must not hide an order
            logger.exception("{}: sending {} failed", order.pair, order.client_order_id)
            known = self._books.get(order.client_order_id) or self._books.expect(order, permit.until)
            known.sent_at = known.sent_at or self._requests.connection.now()
            self._doubt(order, f"a fault of ours: {error!r}")

    async def _submit(self, order: Order, permit: Permit, epoch: int) -> None:
        market = self._markets.get(order.pair)
        if market is None:
            self._give_back(order, permit)
            self._refuse(order, "DELISTED", f"the exchange does not trade {order.pair} any more")
            return
        try:
            call = self._ability.create(order, market, margin=self._margin)
        except CannotTrade as error:
            self._give_back(order, permit)
            self._refuse(order, "INVALID_ORDER", str(error))
            return
        failure = await self._prepare(order)
        if failure is not None:
            self._give_back(order, permit)
            self._failed(order, failure)
            return
        known = self._books.get(order.client_order_id) or self._books.expect(order, permit.until)
        leaving = Leaving(functools.partial(self._leave, epoch, known), functools.partial(self._late, order, known))
        answer = await self._requests.send(
            _kind(order),
            permit,
            self._requests.method(call),
            pair=order.pair,
            client_order_id=order.client_order_id,
            created_at=order.created_at,
            leave=leaving,
        )
        leaving.answered()
        known.sent_at = answer.sent_at or known.sent_at
        if order.replaces:
            self._replaced(order, known, answer, market)
        elif answer.failure is not None:
            self._failed(order, answer.failure)
        else:
            self._accepted(order, known, answer.value, market)

    def _late(self, order: Order, known: Known) -> None:
        if not known.accepted:
            self._doubt(order, f"no answer within {DOUBT_S:g} s")

    def _replaced(self, order: Order, known: Known, answer: Answer, market: Market) -> None:
        """Tell what became of both orders; the end of the one before first, where the other did not come."""
        trading, connection = self._requests.connection.trading, self._requests.connection
        outcome = replaced(answer, trading, connection.now())
        if outcome.failure is None:
            self._accepted(order, known, answer.value, market)
        if outcome.ended is not None:
            told = order_of(trading.parse_order(dict(outcome.ended)), market, self._ability.ours)
            if told is not None and told.status == OrderStatus.CANCELED:
                self._books.hear_order(order.pair, replace(told, client_order_id=order.replaces))
            else:
                self._tell_doubt(order.pair, order.replaces, "the exchange has ended it without saying what is left")
        if outcome.failure is not None:
            self._failed(order, outcome.failure)

    def _accepted(self, order: Order, known: Known, told: Any, market: Market) -> None:
        order_id = text(told.get("id")) if isinstance(told, Mapping) else ""
        if not order_id:
            self._doubt(order, "the exchange answered without an order's id")
            return
        found = order_of(word_alone(told), market, self._ability.ours)
        if found is None:  # some tell only the id: what was sent is known
            bare: dict[str, Any] = {
                "id": order_id,
                "side": str(order.side),
                "amount": str(order.amount / market.contract_size),
            }
            bare |= {"status": "open", "price": str(order.price), "type": str(order.type)}
            bare |= {"timestamp": told.get("timestamp") or known.sent_at}
            found = order_of(bare, market, self._ability.ours)
        if found is not None:
            kind = OrderType.STOP if order.type is OrderType.STOP else found.type
            self._books.hear_order(
                order.pair,
                replace(found, client_order_id=order.client_order_id, type=kind, ts=found.ts or known.sent_at),
            )
        if self._ability.answer_fills:  # told again by the stream they are known by their ids
            for executed in fills_in(told, order_id):
                self._books.hear_answered(market, executed)

    def _failed(self, order: Order, failure: Failure) -> None:
        if failure.verdict is Verdict.IN_DOUBT:
            self._doubt(order, failure.reason)
        else:
            self._refuse(order, failure.code, failure.reason)

    def _doubt(self, order: Order, reason: str) -> None:
        known = self._books.get(order.client_order_id)
        if known is not None:
            known.in_doubt = not known.accepted
        self._tell_doubts(order, reason)

    def _tell_doubts(self, order: Order, reason: str) -> None:
        self._tell_doubt(order.pair, order.client_order_id, reason)
        before = self._books.get(order.replaces)
        if order.replaces and (before is None or not before.ended):
            self._tell_doubt(order.pair, order.replaces, reason)

    def _tell_doubt(self, pair: str, client_order_id: str, reason: str) -> None:
        now = self._requests.connection.now()
        self._telling.put(OrderInDoubt(pair=pair, client_order_id=client_order_id, reason=reason, ts=now))

    def _refuse(self, order: Order, code: str, reason: str) -> None:
        known = self._books.get(order.client_order_id)
        if known is not None and known.accepted:  # a stream was faster, and it knows better
            self._doubt(order, reason)
            return
        self._books.unsent(order.client_order_id)
        market = self._markets.get(order.pair)
        if code == "MARKET_CLOSED" and market is not None and market.active:
            self._requests.connection.doubt_markets()
        refusal = OrderRejected(
            pair=order.pair,
            client_order_id=order.client_order_id,
            code=code,
            reason=reason,
            ts=self._requests.connection.now(),
        )
        self._telling.put(refusal)

    def _give_back(self, order: Order, permit: Permit) -> None:
        self._requests.unused(permit, order.pair, order.client_order_id)

    # ------------------------------------------------------------ what an entry needs

    async def _prepare(self, order: Order) -> Failure | None:
        """Set what the pair's position is to be held with; why the order cannot be sent, if it cannot."""
        market = self._markets[order.pair]
        if not market.is_futures or order.purpose is not Purpose.ENTRY or self._set.get(order.pair) == order.leverage:
            return None
        for kind, call in self._ability.prepare(order.pair, order.leverage, self._margin):
            if kind == "margin_mode" and order.pair in self._set:
                continue
            failure = await self._set_up(kind, call, order.pair)
            if failure is not None:
                return failure
        self._set[order.pair] = order.leverage
        return None

    async def _set_up(self, kind: str, call: Call, pair: str) -> Failure | None:
        answer = await self._requests.once(kind, self._requests.method(call), pair=pair, urgent=True)
        failure = answer.failure
        if failure is None or failure.same:
            return None
        if failure.verdict is Verdict.IN_DOUBT:  # nothing was ordered: it is set again with the next entry
            return replace(failure, verdict=Verdict.REFUSED, code="REFUSED")
        return failure

    # ------------------------------------------------------------ cancels

    async def cancel(self, cancel: Cancelling, permit: Permit, epoch: int) -> None:
        """Cancel an order and tell what became of that; a fault of ours leaves it to a look."""
        try:
            await self._cancel(cancel, permit, epoch)
        except Exception as error:  # noqa: BLE001 - likewise
            logger.exception("{}: cancelling {} failed", cancel.pair, cancel.client_order_id)
            self._reject_cancel(cancel, f"a fault of ours: {error!r}")

    async def _cancel(self, cancel: Cancelling, permit: Permit, epoch: int) -> None:
        pair, client_id = cancel.pair, cancel.client_order_id
        known = self._books.get(client_id)
        order_id = cancel.order_id or (known.order_id if known is not None else "")
        is_stop = known is not None and known.is_stop
        call = self._ability.cancel(pair, client_id, order_id, stop=is_stop)
        if call is None or pair not in self._markets:
            self._requests.unused(permit, pair, client_id)
            self._reject_cancel(cancel, "the exchange's id of it is not known")
            return
        leaving = Leaving(functools.partial(self._leave, epoch), functools.partial(self._cancel_late, cancel))
        answer = await self._requests.send(
            "cancel_stop" if is_stop else "cancel",
            permit,
            self._requests.method(call),
            pair=pair,
            client_order_id=client_id,
            leave=leaving,
        )
        leaving.answered()
        failure = answer.failure
        if failure is None:
            self._canceled(cancel, answer.value)
        elif failure.verdict is Verdict.IN_DOUBT:
            self._tell_doubt(pair, client_id, failure.reason)
        else:
            self._reject_cancel(cancel, "NO_PERMIT" if failure.code == "NO_PERMIT" else failure.reason)

    def _cancel_late(self, cancel: Cancelling) -> None:
        known = self._books.get(cancel.client_order_id)
        if known is None or not known.ended:
            self._tell_doubt(cancel.pair, cancel.client_order_id, f"no answer within {DOUBT_S:g} s")

    def _canceled(self, cancel: Cancelling, told: Any) -> None:
        """Take the answer's word where it has one; what it leaves open is looked up by the pair."""
        pair, client_id = cancel.pair, cancel.client_order_id
        found = order_of(told, self._markets[pair], self._ability.ours)
        known = self._books.get(client_id)
        if known is not None and known.is_stop and known.told is not None and self._apart:
            # Stops that are kept apart fill as another order: one that can still be cancelled has filled nothing.
            found = replace(known.told, status=OrderStatus.CANCELED)
        if found is not None and found.status in ("CANCELED", "EXPIRED", "FILLED"):
            self._books.hear_order(pair, replace(found, client_order_id=client_id))
        else:
            self._reject_cancel(cancel, "the exchange has taken the cancel without saying what is left")

    def _reject_cancel(self, cancel: Cancelling, reason: str) -> None:
        rejected = CancelRejected(
            pair=cancel.pair,
            client_order_id=cancel.client_order_id,
            reason=reason,
            ts=self._requests.connection.now(),
        )
        self._telling.put(rejected)


def _kind(order: Order) -> str:
    if order.replaces:
        return "replace"
    return "stop" if order.purpose is Purpose.STOP else "order"
