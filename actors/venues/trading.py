"""The port to the trading side of a venue: what the gateway asks, whoever implements it.

Rules
    A venue belongs to one gateway at a time: `open` says which incarnation, and an older one must not
    use it any more (`epoch`). What exchanges do, refusals and lost answers included, is a value that is
    returned or told, never an exception; an exception means that the venue itself is broken.
    A venue may answer at once, or say `Sent` and tell later. All that it tells is fetched with `events`,
    in order; `wake` is called when something has come by itself, from whatever thread.
    Nothing may be told to anybody before `commit` has returned: then it is on record at the venue.
    Each request of the venue's own, a look-up or a stream's log-in, waits for a permit: it is wished for by
    `PermitWanted` and given by `grant`. A request leaves until its permit's time or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from engine.margin import FundingRate
from engine.market import Market
from engine.matching import Refused
from engine.matching import VenueEvent as Happened
from engine.messages import (
    AmendRejected,
    CancelRejected,
    ForeignFill,
    FundingPaid,
    OrderAccepted,
    OrderAmended,
    OrderFilled,
    OrderInDoubt,
    OrderRejected,
    TakeSnapshot,
    VenueOrder,
)
from engine.order import Order
from engine.types import Millis, Priority

__all__ = [
    "Acknowledged",
    "Amended",
    "Answered",
    "BalancesMoved",
    "Canceled",
    "Found",
    "Happened",
    "InDoubt",
    "Looked",
    "Missed",
    "Permit",
    "PermitWanted",
    "ReadsRefused",
    "RealMarket",
    "Refused",
    "Remark",
    "RequestEnded",
    "Sent",
    "Snapshot",
    "TradingVenue",
    "VenueEvent",
]


@dataclass(frozen=True, slots=True)
class Permit:
    """What one request may leave with, until `until` (market time)."""

    permit_id: str
    until: Millis


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The venue has the order, as `order_id`. What happened to it comes with the events."""

    order_id: str


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The request was sent, and nobody knows whether it arrived."""

    reason: str


@dataclass(frozen=True, slots=True)
class Canceled:
    """The order works no longer; that it was cancelled comes with the events."""


@dataclass(frozen=True, slots=True)
class Amended:
    """The order stands as it was to be."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The request is on its way. What becomes of it, and `RequestEnded`, come with the events."""


@dataclass(frozen=True, slots=True)
class Found:
    """An order that the venue has, and all its fills."""

    order: VenueOrder
    fills: tuple[OrderFilled, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is true of a pair: its open orders and those asked for, fills since, ids that the venue does not know.

    `final`: none of the unknown, and no amendment asked about, could still arrive. `position`: base coins held, a short's are negative.
    `payments` are funding since, oldest first, `foreign` the executions of orders that are not ours.
    """

    orders: tuple[VenueOrder, ...]
    fills: tuple[OrderFilled, ...]
    unknown: tuple[str, ...]
    position: Decimal | None
    final: bool = True
    payments: tuple[FundingPaid, ...] = ()
    foreign: tuple[ForeignFill, ...] = ()


# ---------------------------------------------------------------- what a venue tells


@dataclass(frozen=True, slots=True)
class PermitWanted:
    """The venue has a request of its own to send, of the kind `request`; `grant` answers, with the same id."""

    request_id: str
    request: str
    priority: Priority = Priority.RECONCILE


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEnded:
    """A request has come to an end, whatever it was: its permit, for the books.

    `waited_ms` is how long an order was on its way to the socket, `took_ms` how long its answer took: None
    where there was no way to go. With `retry_after_ms` the exchange wants silence; `why` in its words. `signed`: of
    requests with our key only.
    """

    permit_id: str
    request: str
    pair: str = "*"
    client_order_id: str = ""
    outcome: str = "Acknowledged"
    waited_ms: Millis = 0
    took_ms: float | None = None
    retry_after_ms: Millis = 0
    banned: bool = False
    why: str = ""
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Looked:
    """The answer to a question."""

    question: TakeSnapshot
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Missed:
    """Events of this pair may have been lost, or have happened unseen: whoever trades it should look."""

    pair: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that the user should know of his account; see `Notify`."""

    severity: str
    event: str
    text: str


@dataclass(frozen=True, slots=True)
class BalancesMoved:
    """`balances` has something new."""


@dataclass(frozen=True, slots=True)
class ReadsRefused:
    """The exchange refuses again and again what must be read of the account; without a `reason` it does not any more."""

    reason: str


Answered = OrderAccepted | OrderRejected | OrderInDoubt | CancelRejected | OrderAmended | AmendRejected
"""What becomes of a request that was `Sent`."""

VenueEvent = Happened | Answered | PermitWanted | RequestEnded | Looked | Missed | Remark | BalancesMoved | ReadsRefused
"""All that a venue tells; the first two are messages to the pair that they name."""


class TradingVenue(Protocol):
    """The trading side of one account at a venue. Times are market time."""

    @property
    def epoch(self) -> int:
        """The incarnation of the gateway that opened it last."""
        ...

    def open(self, epoch: int, now: Millis, wake: Callable[[], None]) -> None:
        """Read the venue's own record again, dropping what was not committed, and go on from there.

        `wake` is called, from any thread, when `events` has something that no call has brought.

        Raises:
            StorageError: the record cannot be read, or is not one of this version.
        """
        ...

    def close(self) -> None:
        """Give back files and connections; what was not committed is dropped."""
        ...

    def markets(self) -> Mapping[str, Market]:
        """The rules of each pair."""
        ...

    def submit(self, order: Order, now: Millis, permit: Permit) -> Acknowledged | Refused | InDoubt | Sent:
        """Send an order, once; one that `replaces` another comes only as that one goes, which the events tell.

        `Refused` does not say whether the other stands; NOT_ATTEMPTED says that it could not be ended, and nothing was
        done. Where it is in doubt both are.
        """
        ...

    def cancel(
        self, pair: str, client_order_id: str, order_id: str, now: Millis, permit: Permit
    ) -> Canceled | Refused | InDoubt | Sent:
        """Cancel an order that is known by either id; `Refused` does not say whether it has filled."""
        ...

    def amend(self, order: Order, now: Millis, permit: Permit) -> Amended | Refused | InDoubt | Sent:
        """Change a resting order to what it is `amending` to; `Refused`: it stands as it did, or works no longer."""
        ...

    def find(self, pair: str, client_order_id: str) -> Found | None:
        """What is known here of an order by our id, without asking anybody; the newest, where there are several."""
        ...

    def look(self, question: TakeSnapshot, now: Millis) -> None:
        """Find out what is true of a pair; `Looked` answers. Of one asker's questions the last is answered."""
        ...

    def grant(self, request_id: str, permit: Permit | None, now: Millis) -> None:
        """The permit that `PermitWanted` asked for; None: there will be none."""
        ...

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
        """Let a pair's orders meet a candle: for runs that go by candles."""
        ...

    def settle(self, due: Sequence[FundingRate]) -> None:
        """Let positions meet the funding that is due: for runs that go by candles."""
        ...

    def advance(self, now: Millis) -> None:
        """Let the market go on until `now`."""
        ...

    def events(self) -> tuple[VenueEvent, ...]:
        """What has happened, and what the venue wishes for, since the last call."""
        ...

    def commit(self) -> bool:
        """Put everything since the last commit on record; False when there was nothing."""
        ...

    def balances(self) -> tuple[tuple[str, Decimal, Decimal], ...]:
        """(currency, free, locked)."""
        ...

    def usage(self, now: Millis) -> Mapping[str, int]:
        """What the venue itself has counted in the current window of each pool."""
        ...


class RealMarket:
    """The part of a `TradingVenue` whose market is a real one: it goes on by itself, whoever steps it."""

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
        """See `TradingVenue`; a real market matches by itself."""

    def settle(self, due: Sequence[FundingRate]) -> None:
        """See `TradingVenue`; a real market settles by itself."""

    def advance(self, now: Millis) -> None:
        """See `TradingVenue`; a real market goes on by itself."""
