"""A venue that does to requests and events what real networks and exchanges do, by a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import TypeVar

from actors.venues.paper.prompt_reads import PromptReads
from actors.venues.paper.venue import PaperVenue
from actors.venues.trading import Acknowledged, Amended, Canceled, Found, InDoubt, Permit, Refused, Snapshot, VenueEvent
from engine.margin import FundingRate
from engine.market import Market
from engine.messages import OrderFilled, TakeSnapshot
from engine.order import Order
from engine.types import Millis

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueFaults:
    """Probabilities; the first five are of a request and exclude one another, the rest are of an event.

    An order or cancel is `lost_before` it arrives, its answer is lost after (`lost_after`), an order
    arrives only `late_ms` later (`late`), or is `refused`. Fills come twice (`doubled`) or `delay_ms`
    later (`delayed`), and then overtake nothing of their own order but whatever else there is.
    """

    lost_before: float = 0.0
    lost_after: float = 0.0
    late: float = 0.0
    late_ms: Millis = 3_000
    refused: float = 0.0
    doubled: float = 0.0
    delayed: float = 0.0
    delay_ms: Millis = 2_000


class FaultyVenue:
    """A `TradingVenue` around another one; what that one knows is the truth. Equal seeds, equal faults."""

    def __init__(self, venue: PaperVenue, seed: int, faults: VenueFaults) -> None:
        self.venue = venue
        self.faults = faults
        self.injected = 0
        self._rng = Random(seed)
        self._now: Millis = 0
        self._late: list[tuple[Millis, Order, Permit]] = []
        self._late_amends: list[tuple[Millis, Order, Permit]] = []
        self._told: list[VenueEvent] = []
        self._reads = PromptReads(self.snapshot, self._tell)
        self._held: list[tuple[Millis, VenueEvent]] = []

    @property
    def epoch(self) -> int:
        return self.venue.epoch

    def open(self, epoch: int, now: Millis, wake: Callable[[], None]) -> None:
        """What is on its way stays on its way; events that were held are lost with the gateway."""
        self._now = now
        self._held = []
        self._told.clear()
        self._reads.forget()
        self.venue.open(epoch, now, wake)
        self._arrive(now)

    def close(self) -> None:
        self.venue.close()

    def markets(self) -> Mapping[str, Market]:
        return self.venue.markets()

    def _draw(self, *chances: tuple[str, float]) -> str:
        drawn = self._rng.random()
        for name, chance in chances:
            if drawn < chance:
                self.injected += 1
                return name
            drawn -= chance
        return ""

    def submit(self, order: Order, now: Millis, permit: Permit) -> Acknowledged | Refused | InDoubt:
        self._arrive(now)
        return self._sent(order, now, permit, self._late, self.venue.submit)

    def cancel(
        self, pair: str, client_order_id: str, order_id: str, now: Millis, permit: Permit
    ) -> Canceled | Refused | InDoubt:
        self._arrive(now)
        fate = self._draw(("before", self.faults.lost_before), ("after", self.faults.lost_after))
        if fate == "before":
            return InDoubt("no answer: the cancel was lost")
        outcome = self.venue.cancel(pair, client_order_id, order_id, now, permit)
        return InDoubt("no answer: it was lost") if fate == "after" else outcome

    def amend(self, order: Order, now: Millis, permit: Permit) -> Amended | Refused | InDoubt:
        self._arrive(now)
        return self._sent(order, now, permit, self._late_amends, self.venue.amend)

    def _sent(
        self,
        order: Order,
        now: Millis,
        permit: Permit,
        late: list[tuple[Millis, Order, Permit]],
        do: Callable[[Order, Millis, Permit], T],
    ) -> T | Refused | InDoubt:
        """One request of an order, and what becomes of it on the way."""
        f = self.faults
        match self._draw(("before", f.lost_before), ("after", f.lost_after), ("late", f.late), ("refused", f.refused)):
            case "before":
                return InDoubt("no answer: the request was lost")
            case "late":
                late.append((now + f.late_ms, order, permit))
                return InDoubt("no answer: the request is slow")
            case "refused":
                return Refused("REFUSED", "the exchange did not want it")
            case "after":
                do(order, now, permit)
                return InDoubt("no answer: it was lost")
        return do(order, now, permit)

    def find(self, pair: str, client_order_id: str) -> Found | None:
        return self.venue.find(pair, client_order_id)

    def look(self, question: TakeSnapshot, now: Millis) -> None:
        self._reads.look(question)

    def grant(self, request_id: str, permit: Permit | None, now: Millis) -> None:
        self._reads.grant(request_id, permit, now)

    def snapshot(self, pair: str, client_order_ids: Sequence[str], since: Millis, now: Millis) -> Snapshot:
        """Final only when none of the unknown is still on its way."""
        self._arrive(now)
        told = self.venue.snapshot(pair, client_order_ids, since, now)
        coming = {order.client_order_id for _, order, _ in self._late}
        amended = {order.client_order_id for _, order, _ in self._late_amends}
        return Snapshot(
            told.orders,
            told.fills,
            told.unknown,
            told.position,
            final=not (coming & set(told.unknown) or amended & set(client_order_ids)),
            payments=told.payments,
        )

    def match(
        self,
        pair: str,
        ts: Millis,
        low: Decimal,
        high: Decimal,
        open: Decimal | None = None,
        *,
        entries_only: bool = False,
    ) -> None:
        self.venue.match(pair, ts, low, high, open, entries_only=entries_only)

    def settle(self, due: Sequence[FundingRate]) -> None:
        self.venue.settle(due)

    def advance(self, now: Millis) -> None:
        self._arrive(now)
        self.venue.advance(now)

    def _arrive(self, now: Millis) -> None:
        self._now = max(now, self._now)
        due = [late for late in self._late if late[0] <= now]
        for late in due:
            self._late.remove(late)
            self.venue.submit(late[1], now, late[2])
        for slow in [slow for slow in self._late_amends if slow[0] <= now]:
            self._late_amends.remove(slow)
            self.venue.amend(slow[1], now, slow[2])

    def _tell(self, event: VenueEvent) -> None:
        """Whatever happened before this is told before it."""
        self._told += self._faulty()
        self._told.append(event)

    def events(self) -> tuple[VenueEvent, ...]:
        """The venue's, some fills twice, some held back."""
        told = (*self._told, *self._faulty())
        self._told.clear()
        return told

    def _faulty(self) -> list[VenueEvent]:
        told: list[VenueEvent] = [event for due, event in self._held if due <= self._now]
        self._held = [(due, event) for due, event in self._held if due > self._now]
        for event in self.venue.events():
            if not isinstance(event, OrderFilled):
                told.append(event)
                continue
            match self._draw(("delayed", self.faults.delayed), ("doubled", self.faults.doubled)):
                case "delayed":
                    self._held.append((self._now + self.faults.delay_ms, event))
                case "doubled":
                    told += [event, event]
                case _:
                    told.append(event)
        return told

    def commit(self) -> bool:
        return self.venue.commit()

    def balances(self) -> tuple[tuple[str, Decimal, Decimal], ...]:
        return self.venue.balances()

    def usage(self, now: Millis) -> Mapping[str, int]:
        return self.venue.usage(now)
