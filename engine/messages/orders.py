"""Between pairs and the gateway: orders, fills, funding, and what is true at the venue."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from engine.margin import FundingRate
from engine.messages.base import Message
from engine.order import Fill, Order
from engine.types import ZERO, Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOrder(Message):
    """pair → gateway: send this order, if `permit_id` is still good and it is not later than `not_after`."""

    order: Order
    permit_id: str
    not_after: Millis
    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder(Message):
    """pair → gateway: cancel this order, known there by either id."""

    pair: str
    client_order_id: str
    order_id: str
    permit_id: str
    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAccepted(Message):
    """gateway → pair: the venue has it, as `order_id`."""

    pair: str
    client_order_id: str
    order_id: str
    ts: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRejected(Message):
    """gateway → pair: the venue (or the gateway before sending) definitely refused it.

    `code`: INSUFFICIENT_FUNDS, INVALID_ORDER, WOULD_TRIGGER, TOO_LATE, NO_PERMIT, MARKET_CLOSED,
    DELISTED, UNREACHABLE, NOT_ATTEMPTED, REFUSED.
    """

    pair: str
    client_order_id: str
    code: str
    reason: str
    ts: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderInDoubt(Message):
    """gateway → pair: it was sent and nobody knows whether it arrived; a look-up is under way."""

    pair: str
    client_order_id: str
    reason: str
    ts: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilled(Message):
    """gateway → pair: one execution. May come twice, late, or before the acceptance."""

    pair: str
    fill: Fill
    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingPaid(Message):
    """gateway → pair: the venue has paid (or, negative, taken) funding for the position held at `ts`.

    `received` is in `currency`; it was reckoned by `rate` on `amount` base coins at the mark `price`.
    """

    pair: str
    payment_id: str
    ts: Millis
    received: Decimal
    currency: str
    rate: Decimal
    price: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCanceled(Message):
    """gateway → pair: it works no longer; `filled` is the venue's own figure, to find missing fills by."""

    pair: str
    client_order_id: str
    filled: Decimal
    ts: Millis
    expired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRejected(Message):
    """gateway → pair: could not be cancelled: filled, cancelled before, or unknown. Ask which."""

    pair: str
    client_order_id: str
    reason: str
    ts: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendOrder(Message):
    """pair → gateway: change this resting order to what it is `amending` to."""

    order: Order
    permit_id: str
    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAmended(Message):
    """gateway → pair: the order stands with this amount and trigger from now on."""

    pair: str
    client_order_id: str
    amount: Decimal
    trigger_price: Decimal
    ts: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendRejected(Message):
    """gateway → pair: it was definitely not changed: it stands as it did, or works no longer. Codes as `OrderRejected`'s."""

    pair: str
    client_order_id: str
    code: str
    reason: str
    ts: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderNotFound(Message):
    """gateway → pair: the venue knows no such order, and could not accept it any more (`final`)."""

    pair: str
    client_order_id: str
    ts: Millis
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeSnapshot(Message):
    """pair → gateway: what is true of this pair at the venue, and of these orders of ours?

    `since` is the time of the last fill known; fills from a little before it on are answered. `held` is what the pair
    believes to hold, `ended` the venue's ids of orders that it knows to the end: nothing more can come of those.
    `doubted` says of orders whose answer was lost until when they have been sent, `amended` of those that are being
    amended since when.
    """

    request_id: str
    pair: str
    client_order_ids: tuple[str, ...]
    since: Millis
    reply_to: str
    held: Decimal = ZERO
    ended: tuple[str, ...] = ()
    doubted: tuple[tuple[str, Millis], ...] = ()
    amended: tuple[tuple[str, Millis], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueMissed(Message):
    """gateway → pair: something may have happened at the venue unseen: a stream was broken, or it is time to compare."""

    pair: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueStirred(Message):
    """a venue's own thread → gateway: something has come; fetch it. One is enough for all that has come until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as the venue tells it. `status` is one of OrderStatus' venue-side values."""

    client_order_id: str
    order_id: str
    status: str
    side: str
    type: str
    amount: Decimal
    price: Decimal
    trigger_price: Decimal | None
    filled: Decimal
    ts: Millis
    reduce_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignFill:
    """An execution of an order that is not ours; `why` is manual (the user's own hand) or liquidation."""

    fill: Fill
    side: str
    order_id: str
    why: str = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSnapshot(Message):
    """gateway → pair: open orders on the pair, every order asked for that exists, and fills since.

    `unknown` are the asked client ids that the venue does not have; `final` says that it could not
    still accept them, nor an amendment that was asked about. `orders` include foreign ones; the prefix of the client id tells whose.
    `position` is the base held on the venue (spot: the base coin's balance, free and locked).
    Each of `fills` names the order that made it, which for a triggered stop may be another than the one that was placed.
    `payments` are funding since then, oldest first. `foreign` are executions of others' orders since then.
    """

    request_id: str
    pair: str
    ts: Millis
    orders: tuple[VenueOrder, ...]
    fills: tuple[OrderFilled, ...]
    unknown: tuple[str, ...]
    position: Decimal | None = None
    final: bool = True
    payments: tuple[FundingPaid, ...] = ()
    foreign: tuple[ForeignFill, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchMarket(Message):
    """pair → gateway: let this pair's orders meet the candle [low, high]; for runs that go by candles.

    What fills is told first, then `MarketMatched`. `open`, where given, says where a stop fills after a gap.
    `entries_only` leaves other orders alone: their turn comes later (`semantics.md` 2.3). With funding `due` it is
    the position that meets it, and no order.
    """

    pair: str
    ts: Millis
    low: Decimal
    high: Decimal
    reply_to: str
    open: Decimal | None = None
    entries_only: bool = False
    due: tuple[FundingRate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketMatched(Message):
    """gateway → pair: everything that `MatchMarket` of `ts` brought has been told."""

    pair: str
    ts: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancesChanged(Message):
    """gateway → portfolio, persistence: what the venue says of each currency: (currency, free, locked)."""

    ts: Millis
    balances: tuple[tuple[str, Decimal, Decimal], ...]
    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeMarket(Message):
    """system → gateway, at the end of a run: answer what is asked, but let the venue's own market rest.

    What it would do now would only be heard by the next start, which lets it go on from here.
    """
