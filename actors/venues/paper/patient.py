"""The paper venue at a real exchange's prices: requests wait until the price they meet is known.

Rules
    Requests of a pair are met in the order they came. One waits while the market does not know its prices up to
    then, `PATIENCE_MS` at most: then it is refused as UNREACHABLE, which a real order would be too.
    What waits is in no record. Killed, it is gone: whoever sent it finds that the venue never had it.
    While one waits, no answer about its pair is final.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from actors.venues.live.on_paper import ExchangeMarket
from actors.venues.paper.venue import PaperVenue
from actors.venues.trading import (
    Acknowledged,
    Amended,
    BalancesMoved,
    Canceled,
    Found,
    Looked,
    Permit,
    RealMarket,
    Refused,
    RequestEnded,
    Sent,
    VenueEvent,
)
from engine.market import Market
from engine.messages import CancelRejected, OrderAccepted, OrderRejected, TakeSnapshot
from engine.order import Order
from engine.quota import Limits
from engine.types import Millis

PATIENCE_MS: Final = 10_000
"""Shorter than a pair waits for an answer before it asks what became of its order."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request on its way: an order, or a cancel of one."""

    pair: str
    client_order_id: str
    permit: Permit
    arrived: Millis
    order: Order | None = None
    order_id: str = ""


class PatientVenue(RealMarket):
    """A `TradingVenue` around a paper venue whose market is a real exchange's; see the module's rules."""

    def __init__(self, venue: PaperVenue, market: ExchangeMarket, limits: Limits) -> None:
        self._venue = venue
        self._market = market
        self._limits = limits
        self._waiting: dict[str, list[Waiting]] = {}
        self._events: list[VenueEvent] = []

    # ------------------------------------------------------------ life

    @property
    def epoch(self) -> int:
        """See `TradingVenue`."""
        return self._venue.epoch

    def open(self, epoch: int, now: Millis, wake: Callable[[], None]) -> None:
        """See `TradingVenue`; what waited is forgotten: nobody has heard that it was taken."""
        self._waiting.clear()
        self._events.clear()
        self._market.listen(wake)
        self._market.wait_for({})
        self._venue.open(epoch, now, wake)

    def close(self) -> None:
        """See `TradingVenue`."""
        self._venue.close()

    def markets(self) -> Mapping[str, Market]:
        """See `TradingVenue`."""
        return self._venue.markets()

    # ------------------------------------------------------------ requests

    def submit(self, order: Order, now: Millis, permit: Permit) -> Acknowledged | Refused | Sent:
        """See `TradingVenue`; at once where the price is known, or where nothing is traded."""
        refusal = self._market.refusal(order.pair)
        if refusal is not None:
            return refusal
        waiting = self._waiting.get(order.pair, ())
        if any(other.order is not None and other.client_order_id == order.client_order_id for other in waiting):
            self._events.append(RequestEnded(permit_id=permit.permit_id, request="order", outcome="Sent"))
            return Sent()
        if not waiting and self._market.is_ready(order.pair, now):
            return self._venue.submit(order, now, permit)
        self._wait(Waiting(order.pair, order.client_order_id, permit, now, order))
        return Sent()

    def cancel(
        self, pair: str, client_order_id: str, order_id: str, now: Millis, permit: Permit
    ) -> Canceled | Refused | Sent:
        """See `TradingVenue`; at once where it is known what came before."""
        if pair not in self._waiting and self._market.is_ready(pair, now):
            return self._venue.cancel(pair, client_order_id, order_id, now, permit)
        self._wait(Waiting(pair, client_order_id, permit, now, order_id=order_id))
        return Sent()

    def amend(self, order: Order, now: Millis, permit: Permit) -> Amended | Refused:
        """See `TradingVenue`; refused where it is not known what came before: it stands as it did."""
        if order.pair not in self._waiting and self._market.is_ready(order.pair, now):
            return self._venue.amend(order, now, permit)
        return _UNREACHABLE

    def find(self, pair: str, client_order_id: str) -> Found | None:
        """See `TradingVenue`."""
        return self._venue.find(pair, client_order_id)

    def look(self, question: TakeSnapshot, now: Millis) -> None:
        """See `TradingVenue`."""
        self._venue.look(question, now)

    def grant(self, request_id: str, permit: Permit | None, now: Millis) -> None:
        """See `TradingVenue`."""
        self._venue.grant(request_id, permit, now)

    # ------------------------------------------------------------ the market goes on

    def advance(self, now: Millis) -> None:
        """See `TradingVenue`."""
        self._venue.advance(now)
        for pair in self._market.gone():
            self._venue.end(pair, now)
        self._serve(now)

    def events(self) -> tuple[VenueEvent, ...]:
        """See `TradingVenue`."""
        if self._waiting:
            self._serve(self._market.now())
        self._take()
        events, self._events = tuple(self._events), []
        return events

    def commit(self) -> bool:
        """See `TradingVenue`."""
        return self._venue.commit()

    def balances(self) -> tuple[tuple[str, Decimal, Decimal], ...]:
        """See `TradingVenue`."""
        return self._venue.balances()

    def usage(self, now: Millis) -> Mapping[str, int]:
        """What the exchange has counted of our questions, and this venue of our orders, by its pools."""
        used = self._market.usage(now)
        costs = self._limits.costs
        for pool in self._limits.pools:
            if pool.name in costs.get("order", {}) and pool.name not in costs.get("candles", {}):
                begin = now - pool.window_ms if pool.rolling else now // pool.window_ms * pool.window_ms
                used[pool.name] = self._venue.orders_since(begin)
        return used

    # ------------------------------------------------------------ what waits

    def _wait(self, request: Waiting) -> None:
        self._waiting.setdefault(request.pair, []).append(request)
        self._tell_market()

    def _tell_market(self) -> None:
        self._market.wait_for({pair: requests[0].arrived for pair, requests in self._waiting.items()})

    def _serve(self, now: Millis) -> None:
        """Let requests meet the market that may, refuse those that have waited too long."""
        before = sum(map(len, self._waiting.values()))
        for pair in list(self._waiting):
            requests = self._waiting[pair]
            while requests:
                head = requests[0]
                ready = self._market.is_ready(pair, head.arrived)
                if not ready and now - head.arrived <= PATIENCE_MS:
                    break
                self._take()
                self._end(head, now, ready=ready)
                del requests[0]
            if not requests:
                del self._waiting[pair]
        if before != sum(map(len, self._waiting.values())):
            self._tell_market()

    def _end(self, request: Waiting, now: Millis, *, ready: bool) -> None:
        """A request has arrived, or cannot."""
        outcome: Acknowledged | Canceled | Refused = _UNREACHABLE
        if ready and request.order is not None:
            outcome = self._venue.submit(request.order, now, request.permit)
        elif ready:
            outcome = self._venue.cancel(request.pair, request.client_order_id, request.order_id, now, request.permit)
        pair, client_id = request.pair, request.client_order_id
        if isinstance(outcome, Acknowledged):
            accepted = OrderAccepted(pair=pair, client_order_id=client_id, order_id=outcome.order_id, ts=now)
            self._events.append(accepted)
        elif isinstance(outcome, Refused) and request.order is not None:
            code, reason = outcome.code, outcome.reason
            self._events.append(OrderRejected(pair=pair, client_order_id=client_id, code=code, reason=reason, ts=now))
        elif isinstance(outcome, Refused):
            self._events.append(CancelRejected(pair=pair, client_order_id=client_id, reason=outcome.reason, ts=now))
        ended = RequestEnded(
            permit_id=request.permit.permit_id,
            request="cancel" if request.order is None else "order",
            pair=pair,
            client_order_id=client_id,
            outcome=outcome.code if isinstance(outcome, Refused) else type(outcome).__name__,
            waited_ms=now - request.arrived,
        )
        self._take()
        self._events += [ended, BalancesMoved()]

    def _take(self) -> None:
        """What the paper venue tells; an answer is not final while something of its pair waits."""
        for event in self._venue.events():
            if isinstance(event, Looked) and event.question.pair in self._waiting:
                self._events.append(replace(event, snapshot=replace(event.snapshot, final=False)))
            else:
                self._events.append(event)


_UNREACHABLE: Final = Refused("UNREACHABLE", "the exchange does not tell the price that the order would meet")
