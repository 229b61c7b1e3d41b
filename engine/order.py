"""Orders: what was asked of a venue, and every way that can go.

Rules
    Everything that changes an order's status is a row of `ORDER_TRANSITIONS`; nothing else writes it.
    A fill is counted once, by the venue's own fill id, whenever and however often it arrives.
    Terminal states absorb, but for fills: real venues report a fill after the cancel, before the
    acknowledgement, and twice. Such rows are marked; they are facts, and facts are booked.

IN_DOUBT is a state, not an error: the request was sent and nobody knows whether it arrived. It is left
only by what the venue says, or by NOT_FOUND after the venue could no longer accept it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from engine.change import changed
from engine.errors import IllegalTransition
from engine.types import ZERO, Millis, OrderSide, OrderStatus, OrderType, Purpose, TimeInForce

S = OrderStatus


class OrderEvent(StrEnum):
    """What may be heard of an order."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    PARTLY_FILLED = "partly_filled"
    FULLY_FILLED = "fully_filled"
    CANCEL_REQUESTED = "cancel_requested"
    CANCEL_REJECTED = "cancel_rejected"
    CANCELED = "canceled"
    EXPIRED = "expired"
    DOUBTED = "doubted"
    NOT_FOUND = "not_found"


V = OrderEvent

ORDER_TRANSITIONS: Final[dict[tuple[OrderStatus, OrderEvent], OrderStatus]] = {
    (S.PENDING_NEW, V.ACCEPTED): S.NEW,
    (S.PENDING_NEW, V.REJECTED): S.REJECTED,
    (S.PENDING_NEW, V.DOUBTED): S.IN_DOUBT,
    (S.PENDING_NEW, V.PARTLY_FILLED): S.PARTIALLY_FILLED,  # real world: the fill overtakes the acknowledgement
    (S.PENDING_NEW, V.FULLY_FILLED): S.FILLED,  # real world: as above
    (S.PENDING_NEW, V.CANCELED): S.CANCELED,  # real world: IOC, or ended by the venue before the answer
    (S.PENDING_NEW, V.EXPIRED): S.EXPIRED,  # real world: FOK that found nothing
    (S.PENDING_NEW, V.CANCEL_REQUESTED): S.PENDING_CANCEL,
    (S.PENDING_NEW, V.NOT_FOUND): S.REJECTED,  # restart: recorded, and never sent
    (S.NEW, V.ACCEPTED): S.NEW,  # real world: stream and answer both say so
    (S.NEW, V.PARTLY_FILLED): S.PARTIALLY_FILLED,
    (S.NEW, V.FULLY_FILLED): S.FILLED,
    (S.NEW, V.CANCEL_REQUESTED): S.PENDING_CANCEL,
    (S.NEW, V.CANCELED): S.CANCELED,  # real world: by the user, or by the venue (delisting, self-trade)
    (S.NEW, V.REJECTED): S.REJECTED,  # real world: accepted, then refused by the matching engine
    (S.NEW, V.EXPIRED): S.EXPIRED,
    (S.NEW, V.DOUBTED): S.IN_DOUBT,  # a cancel whose answer was lost may hide a fill
    (S.NEW, V.CANCEL_REJECTED): S.NEW,  # real world: a late answer, after a look-up has shown it working
    (S.NEW, V.NOT_FOUND): S.IN_DOUBT,  # real world: venues forget and lag; look again before believing it
    (S.PARTIALLY_FILLED, V.ACCEPTED): S.PARTIALLY_FILLED,
    (S.PARTIALLY_FILLED, V.PARTLY_FILLED): S.PARTIALLY_FILLED,
    (S.PARTIALLY_FILLED, V.FULLY_FILLED): S.FILLED,
    (S.PARTIALLY_FILLED, V.CANCEL_REQUESTED): S.PENDING_CANCEL,
    (S.PARTIALLY_FILLED, V.CANCEL_REJECTED): S.PARTIALLY_FILLED,  # real world: as above
    (S.PARTIALLY_FILLED, V.REJECTED): S.CANCELED,  # real world: what was left is refused
    (S.PARTIALLY_FILLED, V.CANCELED): S.CANCELED,
    (S.PARTIALLY_FILLED, V.EXPIRED): S.EXPIRED,
    (S.PARTIALLY_FILLED, V.DOUBTED): S.IN_DOUBT,
    (S.PARTIALLY_FILLED, V.NOT_FOUND): S.IN_DOUBT,
    (S.PENDING_CANCEL, V.ACCEPTED): S.PENDING_CANCEL,
    (S.PENDING_CANCEL, V.PARTLY_FILLED): S.PENDING_CANCEL,
    (S.PENDING_CANCEL, V.FULLY_FILLED): S.FILLED,
    (S.PENDING_CANCEL, V.CANCEL_REQUESTED): S.PENDING_CANCEL,
    (S.PENDING_CANCEL, V.CANCELED): S.CANCELED,
    (S.PENDING_CANCEL, V.CANCEL_REJECTED): S.IN_DOUBT,  # filled, cancelled or never there: ask which
    (S.PENDING_CANCEL, V.REJECTED): S.REJECTED,
    (S.PENDING_CANCEL, V.EXPIRED): S.EXPIRED,
    (S.PENDING_CANCEL, V.DOUBTED): S.IN_DOUBT,
    (S.PENDING_CANCEL, V.NOT_FOUND): S.IN_DOUBT,
    (S.IN_DOUBT, V.ACCEPTED): S.NEW,
    (S.IN_DOUBT, V.REJECTED): S.REJECTED,
    (S.IN_DOUBT, V.PARTLY_FILLED): S.PARTIALLY_FILLED,
    (S.IN_DOUBT, V.FULLY_FILLED): S.FILLED,
    (S.IN_DOUBT, V.CANCEL_REQUESTED): S.IN_DOUBT,  # its cancel follows when it is known to exist
    (S.IN_DOUBT, V.CANCELED): S.CANCELED,
    (S.IN_DOUBT, V.CANCEL_REJECTED): S.IN_DOUBT,
    (S.IN_DOUBT, V.EXPIRED): S.EXPIRED,
    (S.IN_DOUBT, V.DOUBTED): S.IN_DOUBT,
    (S.IN_DOUBT, V.NOT_FOUND): S.REJECTED,  # only after the venue could not accept it any more
    # Terminal states absorb repetitions; a fill that comes late is booked all the same.
    (S.FILLED, V.ACCEPTED): S.FILLED,
    (S.FILLED, V.REJECTED): S.FILLED,
    (S.FILLED, V.PARTLY_FILLED): S.FILLED,
    (S.FILLED, V.FULLY_FILLED): S.FILLED,
    (S.FILLED, V.CANCEL_REQUESTED): S.FILLED,
    (S.FILLED, V.CANCEL_REJECTED): S.FILLED,  # real world: the cancel came too late
    (S.FILLED, V.CANCELED): S.FILLED,
    (S.FILLED, V.EXPIRED): S.FILLED,
    (S.FILLED, V.DOUBTED): S.FILLED,
    (S.FILLED, V.NOT_FOUND): S.FILLED,
    (S.CANCELED, V.ACCEPTED): S.CANCELED,
    (S.CANCELED, V.REJECTED): S.CANCELED,
    (S.CANCELED, V.PARTLY_FILLED): S.CANCELED,  # real world: fill reported after the cancel
    (S.CANCELED, V.FULLY_FILLED): S.FILLED,  # real world: as above
    (S.CANCELED, V.CANCEL_REQUESTED): S.CANCELED,
    (S.CANCELED, V.CANCEL_REJECTED): S.CANCELED,
    (S.CANCELED, V.CANCELED): S.CANCELED,
    (S.CANCELED, V.EXPIRED): S.CANCELED,
    (S.CANCELED, V.DOUBTED): S.CANCELED,
    (S.CANCELED, V.NOT_FOUND): S.CANCELED,
    (S.EXPIRED, V.ACCEPTED): S.EXPIRED,
    (S.EXPIRED, V.REJECTED): S.EXPIRED,
    (S.EXPIRED, V.PARTLY_FILLED): S.EXPIRED,
    (S.EXPIRED, V.FULLY_FILLED): S.FILLED,
    (S.EXPIRED, V.CANCEL_REQUESTED): S.EXPIRED,
    (S.EXPIRED, V.CANCEL_REJECTED): S.EXPIRED,
    (S.EXPIRED, V.CANCELED): S.EXPIRED,
    (S.EXPIRED, V.EXPIRED): S.EXPIRED,
    (S.EXPIRED, V.DOUBTED): S.EXPIRED,
    (S.EXPIRED, V.NOT_FOUND): S.EXPIRED,
    (S.REJECTED, V.ACCEPTED): S.NEW,  # real world: accepted late, after we gave it up
    (S.REJECTED, V.REJECTED): S.REJECTED,
    (S.REJECTED, V.PARTLY_FILLED): S.PARTIALLY_FILLED,  # real world: as above
    (S.REJECTED, V.FULLY_FILLED): S.FILLED,  # real world: as above
    (S.REJECTED, V.CANCEL_REQUESTED): S.REJECTED,
    (S.REJECTED, V.CANCEL_REJECTED): S.REJECTED,
    (S.REJECTED, V.CANCELED): S.REJECTED,
    (S.REJECTED, V.EXPIRED): S.REJECTED,
    (S.REJECTED, V.DOUBTED): S.REJECTED,
    (S.REJECTED, V.NOT_FOUND): S.REJECTED,
}
"""Every legal step of an order; a pair that is not here raises `IllegalTransition`."""

TERMINAL: Final = frozenset({S.FILLED, S.CANCELED, S.REJECTED, S.EXPIRED})
"""States in which an order no longer works at the venue."""

RESTING: Final = frozenset({S.NEW, S.PARTIALLY_FILLED})
"""States in which an order works there, and nothing is being done about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution at the venue, unique by `fill_id` there.

    `fee` is what was taken, in `fee_currency` (the base coin, the quote coin, or a third one).
    `fee_cost` is a third coin's fee in the quote coin, where the gateway could tell.
    """

    fill_id: str
    client_order_id: str
    ts: Millis
    price: Decimal
    amount: Decimal
    fee: Decimal = ZERO
    fee_currency: str = ""
    maker: bool = False
    fee_cost: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """What a resting stop is to become by a request under way: its `amount`, in base coins, and its trigger.

    `doubted`: the venue is asked what stands, since the answer was lost, is not to be waited for, or was a refusal, which
    `code` and `reason` tell.
    """

    amount: Decimal
    trigger_price: Decimal
    doubted: bool = False
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Order:
    """One order, from the intent on.

    `amount` is in base coins. `price` is the limit, or for MARKET and STOP orders the price the
    decision was made at (its reference). `trigger_price` is a STOP's. `tag` is why: the enter tag
    or the exit reason. `cost` is the sum of amount × price over the fills. `replaces` is our id of the order that
    goes in the same request as this one comes, where the venue does both or neither. `amending` is what a stop that
    rests is to become, begun at `amended_at`; until the venue says that it has, it counts as it was.
    """

    pair: str
    client_order_id: str
    purpose: Purpose
    side: OrderSide
    type: OrderType
    amount: Decimal
    price: Decimal
    created_at: Millis
    trigger_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    leverage: Decimal = Decimal(1)
    tag: str = ""
    order_id: str = ""
    status: OrderStatus = OrderStatus.PENDING_NEW
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    fill_ids: tuple[str, ...] = ()
    updated_at: Millis = 0
    reason: str = ""
    replaces: str = ""
    amending: Amendment | None = None
    amended_at: Millis = 0

    @property
    def most(self) -> Decimal:
        """The most that it may fill, in base coins: while it is being amended, nobody knows by which amount."""
        return self.amount if self.amending is None else max(self.amount, self.amending.amount)

    @property
    def unsettled(self) -> Order:
        """The order with its amendment in doubt, where there is one: who hears that it works asks what stands."""
        return self if self.amending is None else changed(self, amending=replace(self.amending, doubted=True))

    @property
    def remaining(self) -> Decimal:
        """What is not filled yet, in base coins."""
        return self.amount - self.filled

    @property
    def average(self) -> Decimal | None:
        """The mean fill price, None before the first fill."""
        return self.cost / self.filled if self.filled else None

    @property
    def is_done(self) -> bool:
        """Whether it no longer works at the venue."""
        return self.status in TERMINAL

    def after(self, event: OrderEvent, ts: Millis, *, order_id: str = "", reason: str = "") -> Order:
        """This order after `event`; raises `IllegalTransition` where the table has no row."""
        status = ORDER_TRANSITIONS.get((self.status, event))
        if status is None:
            raise IllegalTransition(f"order {self.client_order_id}: {event} does not happen to a {self.status} order")
        return changed(
            self,
            status=status,
            updated_at=ts,
            order_id=order_id or self.order_id,
            reason=reason or self.reason,
        )

    def with_fill(self, fill: Fill) -> Order:
        """This order with `fill` booked; the same object when that fill is known already."""
        if fill.fill_id in self.fill_ids:
            return self
        filled = self.filled + fill.amount
        event = OrderEvent.FULLY_FILLED if filled >= self.most else OrderEvent.PARTLY_FILLED
        return changed(
            self,
            status=ORDER_TRANSITIONS[self.status, event],
            filled=filled,
            cost=self.cost + fill.amount * fill.price,
            fill_ids=(*self.fill_ids, fill.fill_id),
            updated_at=fill.ts,
        )


def prefix_of(installation: str, run: int, pair_checksum: int) -> str:
    """The beginning of a pair's client order ids in this run; at most 23 characters up to run 9999."""
    return f"tp{installation}r{run}p{pair_checksum:08x}"
