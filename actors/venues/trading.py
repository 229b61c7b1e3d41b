"""The port to the trading side of a venue: what the gateway asks, whoever implements it.

Rules
    A venue belongs to one gateway at a time: `open` says which incarnation, and an older one must not
    use it any more (`epoch`). What exchanges do, refusals and lost answers included, is a value that is
    returned, never an exception; an exception means that the venue itself is broken.
    What happens to orders is collected and fetched with `events`, in order.
    Nothing may be told to anybody before `commit` has returned: then it is on record at the venue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from engine.margin import FundingRate
from engine.market import Market
from engine.matching import Refused, VenueEvent
from engine.messages import FundingPaid, OrderFilled, VenueOrder
from engine.order import Order
from engine.types import Millis

__all__ = ["Acknowledged", "Canceled", "Found", "InDoubt", "Refused", "Snapshot", "TradingVenue", "VenueEvent"]


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
class Found:
    """An order that the venue has, and all its fills."""

    order: VenueOrder
    fills: tuple[OrderFilled, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is true of a pair: its open orders and those asked for, fills since, ids that the venue does not know.

    `final`: none of the unknown could still arrive. `position`: base coins held, a short's are negative.
    `payments` are funding since, oldest first.
    """

    orders: tuple[VenueOrder, ...]
    fills: tuple[OrderFilled, ...]
    unknown: tuple[str, ...]
    position: Decimal | None
    final: bool = True
    payments: tuple[FundingPaid, ...] = ()


class TradingVenue(Protocol):
    """The trading side of one account at a venue. Times are market time."""

    @property
    def epoch(self) -> int:
        """The incarnation of the gateway that opened it last."""
        ...

    def open(self, epoch: int, now: Millis) -> None:
        """Read the venue's own record again, dropping what was not committed, and go on from there.

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

    def submit(self, order: Order, now: Millis) -> Acknowledged | Refused | InDoubt:
        """Send an order, once."""
        ...

    def cancel(self, pair: str, client_order_id: str, order_id: str, now: Millis) -> Canceled | Refused | InDoubt:
        """Cancel an order that is known by either id; `Refused` does not say whether it has filled."""
        ...

    def find(self, pair: str, client_order_id: str) -> Found | None:
        """Look one order up by our id; the newest, where the id was used more than once."""
        ...

    def snapshot(self, pair: str, client_order_ids: Sequence[str], since: Millis, now: Millis) -> Snapshot:
        """See `Snapshot`; `fills` begin a little before `since`."""
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
        """What has happened to orders and positions since the last call."""
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
