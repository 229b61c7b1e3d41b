"""What is known of our orders at an exchange, and what of it is still to be told: each thing once, in any order.

Rules
    An order is ours by its client id's installation and account; all others are the user's and are left alone.
    Acceptance, each fill (by the exchange's own id) and the end are told once, whoever brings them first:
    the answer to a request, a stream or a look-up. An end waits for the fills that the exchange counts.
    A fill whose order is not known yet waits for it. One whose fee is not told whole is booked all the same, by the
    market's rate, and that is said once an order: a position does not wait for its stop, and a fill is booked once.
    All this is the connection's loop's; only `find` is asked from other threads.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from actors.venues.live.words import fill_of, is_fee_whole, text
from actors.venues.trading import Found, Remark, VenueEvent
from engine.market import Market
from engine.messages import OrderAccepted, OrderCanceled, OrderFilled, OrderRejected, VenueOrder
from engine.order import Order
from engine.reconcile import is_of_account
from engine.types import ZERO, Millis, OrderStatus, OrderType

KEPT: Final = 5_000
"""Orders that are remembered; the oldest that have ended are forgotten first."""

NEVER_MS: Final = 86_400_000
"""An order that nobody has told of so long after it was sent has not come; who was in doubt of it has given it up long ago."""

ORPHANS: Final = 1_000

_GONE: Final = (OrderStatus.CANCELED, OrderStatus.EXPIRED)
_WORKS: Final = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


@dataclass(slots=True)
class Known:
    """One order of ours. `sent_at` is 0 where its request was not this process's, or has not left.

    `amend_sent_at`: until when its newest amendment of this process may have left.
    `leaves_until`: after this its request is held back for good, if it has not left by then; 0 as above.
    `filled` is the most that the exchange has counted. `ending`: it works no longer, and fills are missing.
    `silent`: it is of earlier times, and whoever looks is told of it; nobody waits for its events.
    `fee_unsaid`: it was said that the exchange does not tell its fee.
    """

    pair: str
    client_order_id: str
    is_stop: bool = False
    order_id: str = ""
    sent_at: Millis = 0
    leaves_until: Millis = 0
    amend_sent_at: Millis = 0
    in_doubt: bool = False
    accepted: bool = False
    ended: bool = False
    silent: bool = False
    fee_unsaid: bool = False
    filled: Decimal = ZERO
    ending: VenueOrder | None = None
    told: VenueOrder | None = None
    fills: dict[str, OrderFilled] = field(default_factory=dict)
    order_ids: set[str] = field(default_factory=set)
    heard_at: float = 0.0

    @property
    def booked(self) -> Decimal:
        """What the fills that are here come to."""
        return sum((filled.fill.amount for filled in self.fills.values()), ZERO)

    @property
    def is_missing_fills(self) -> bool:
        """Whether the exchange has counted more than has come here."""
        return self.filled > self.booked


class Books:
    """Our orders of one account, of the name `account` where there are several.

    `put` takes what is to be told, `clock` is a steady one in seconds, `now` the exchange's. `unechoed`: our ids of the
    orders whose fills an answer has told and the stream has not, and since when.
    """

    def __init__(
        self,
        installation: str,
        put: Callable[[VenueEvent], None],
        clock: Callable[[], float],
        now: Callable[[], Millis],
        *,
        account: str = "",
    ) -> None:
        self._installation = installation
        self._name = account
        self._put = put
        self._clock = clock
        self._now = now
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._by_order_id: dict[tuple[str, str], str] = {}
        self._foreign: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._orphans: OrderedDict[tuple[str, str], dict[str, tuple[OrderFilled, bool]]] = OrderedDict()
        self.unechoed: dict[str, float] = {}

    def is_ours(self, pair: str, client_order_id: str) -> bool:
        """Whether a pair's order was made by this account of this installation."""
        return is_of_account(client_order_id, self._installation, pair, self._name)

    def get(self, client_order_id: str) -> Known | None:
        """What is known of an order."""
        return self._known.get(client_order_id)

    def owner(self, pair: str, order_id: str) -> str:
        """Our id of the exchange's order; empty for an order that is foreign, or not known."""
        return self._by_order_id.get((pair, order_id), "")

    def is_seen(self, pair: str, order_id: str) -> bool:
        """Whether this order was told of before, ours or not."""
        return (pair, order_id) in self._by_order_id or (pair, order_id) in self._foreign

    def foreign(self, pair: str, order_id: str) -> str | None:
        """The client id of an order that is known not to be ours; None for all others."""
        return self._foreign.get((pair, order_id))

    def leave(self, pair: str, order_id: str) -> None:
        """Count an order as foreign unless it is known to be ours."""
        if not self.owner(pair, order_id):
            self._foreign.setdefault((pair, order_id), "")
            self._orphans.pop((pair, order_id), None)
            while len(self._foreign) > KEPT:
                self._foreign.popitem(last=False)

    def all(self) -> list[Known]:
        """All that are remembered."""
        return list(self._known.values())

    # ------------------------------------------------------------ requests

    def expect(self, order: Order, until: Millis) -> Known:
        """An order is about to be sent, `until` then or not at all."""
        known = Known(order.pair, order.client_order_id, order.type is OrderType.STOP, leaves_until=until)
        self._known[order.client_order_id] = known
        self._forget()
        return known

    def unsent(self, client_order_id: str) -> None:
        """It did not leave, or was definitely not taken: it may be sent again."""
        known = self._known.get(client_order_id)
        if known is not None and not known.accepted:
            del self._known[client_order_id]

    def find(self, client_order_id: str) -> Found | None:
        """An order that the exchange is known to have; from any thread: nothing is gone through here step by step."""
        known = self._known.get(client_order_id)
        told = None if known is None else known.told
        if known is None or told is None or not known.accepted:
            return None
        return Found(told, tuple(known.fills.values()))

    # ------------------------------------------------------------ hearing

    def hear_order(self, pair: str, told: VenueOrder, became: str = "", *, old: bool = False) -> Known | None:
        """The exchange tells of an order; None for one that is not ours.

        `became` is the order that a stop has become. `old`: it is in a list of all there ever was; one that has
        ended and was not known tells nothing.
        """
        client_id = self.owner(pair, told.order_id) or told.client_order_id
        known = self._known.get(client_id)
        if known is None:
            if not self.is_ours(pair, client_id):
                self._foreign[pair, told.order_id] = told.client_order_id
                self.leave(pair, told.order_id)
                return None
            known = self._known[client_id] = Known(pair, client_id, told.type == OrderType.STOP)
            known.silent = old and told.status not in _WORKS
            self._forget()
        known.told, known.heard_at = told, self._clock()
        known.filled = max(known.filled, told.filled)
        if told.status == OrderStatus.REJECTED:
            self._reject(known, told)
            return known
        self._accept(known, told)
        if became:
            self._learn_id(known, became)
        if told.status in _GONE and not known.ended:
            known.ending = told
        self._settle(known)
        return known

    def _accept(self, known: Known, told: VenueOrder) -> None:
        known.order_id = known.order_id or told.order_id
        known.in_doubt = False
        if not known.accepted and known.order_id:
            known.accepted = True
            accepted = OrderAccepted(
                pair=known.pair, client_order_id=known.client_order_id, order_id=known.order_id, ts=told.ts
            )
            self._tell(known, accepted)
        self._learn_id(known, told.order_id)

    def _learn_id(self, known: Known, order_id: str) -> None:
        """An id of the exchange's that means this order; a triggered stop has two."""
        if not order_id:
            return
        self._by_order_id[known.pair, order_id] = known.client_order_id
        known.order_ids.add(order_id)
        for filled, is_whole in self._orphans.pop((known.pair, order_id), {}).values():
            self._book(known, filled, is_whole=is_whole)

    def _reject(self, known: Known, told: VenueOrder) -> None:
        if not known.ended:
            known.ended, known.in_doubt = True, False
            reason = "the exchange tells it as rejected"
            refused = OrderRejected(
                pair=known.pair, client_order_id=known.client_order_id, code="REFUSED", reason=reason, ts=told.ts
            )
            self._tell(known, refused)

    def hear_fill(self, market: Market, told: Mapping[str, Any]) -> OrderFilled | None:
        """The exchange tells of an execution; None for one that cannot be read, is foreign, or waits for its order."""
        order_id = text(told.get("order"))
        client_id = self.owner(market.pair, order_id)
        filled = fill_of(told, client_id, market, self._now())
        if filled is None:
            return None
        is_whole = is_fee_whole(told)
        if not client_id:
            orphans = self._orphans.setdefault((market.pair, order_id), {})
            orphans[filled.fill.fill_id] = filled, is_whole
            while len(self._orphans) > ORPHANS:
                self._orphans.popitem(last=False)
            return None
        known = self._known[client_id]
        filled = self._book(known, filled, is_whole=is_whole)
        self._settle(known)
        return filled

    def hear_answered(self, market: Market, told: Mapping[str, Any]) -> None:
        """An answer to an order tells of an execution: the stream is to tell it too, if it has not been faster."""
        known = self._known.get(self.owner(market.pair, text(told.get("order"))))
        before = 0 if known is None else len(known.fills)
        self.hear_fill(market, told)
        if known is not None and len(known.fills) > before:
            self.unechoed.setdefault(known.client_order_id, self._clock())

    def hear_echo(self, pair: str, order_id: str) -> None:
        """The stream tells of this order's executions."""
        self.unechoed.pop(self.owner(pair, order_id), None)

    def _book(self, known: Known, filled: OrderFilled, *, is_whole: bool) -> OrderFilled:
        """Book an execution once; `is_whole`: its fee is as the exchange told it."""
        fill = filled.fill
        if fill.client_order_id != known.client_order_id:
            filled = replace(filled, fill=replace(fill, client_order_id=known.client_order_id))
        if fill.fill_id not in known.fills:
            known.fills[fill.fill_id] = filled
            known.filled = max(known.filled, known.booked)
            self._tell(known, filled)
            if not is_whole and not known.fee_unsaid:
                known.fee_unsaid = True
                text = f"the exchange does not say what it took for {known.client_order_id} ({known.pair}): the market's rate"
                booked = f"{text} is booked ({fill.fee:f} {fill.fee_currency} of the first such fill), and stays booked"
                self._tell(known, Remark("warning", "fee_unsaid", f"{booked}. Compare with your account"))
        return filled

    def _settle(self, known: Known) -> None:
        """Tell an end once all that the exchange counts is here."""
        if known.is_missing_fills or known.ended:
            return
        if known.ending is not None:
            self.end(known)
        elif known.told is not None and (
            known.told.status == OrderStatus.FILLED or known.booked >= known.told.amount
        ):  # whatever word the exchange has for it: nothing of it can come any more
            known.ended = True

    def end(self, known: Known) -> None:
        """Tell an end with the exchange's own figure, whether or not its fills are here."""
        told, known.ending = known.ending, None
        if told is None or known.ended:
            return
        known.ended = True
        canceled = OrderCanceled(
            pair=known.pair,
            client_order_id=known.client_order_id,
            filled=known.filled,
            ts=told.ts,
            expired=told.status == OrderStatus.EXPIRED,
        )
        self._tell(known, canceled)

    def _tell(self, known: Known, event: VenueEvent) -> None:
        if not known.silent:
            self._put(event)

    def _forget(self) -> None:
        while len(self._known) > KEPT:
            gone = next((known for known in self._known.values() if known.ended or self._never_came(known)), None)
            if gone is None:
                return
            del self._known[gone.client_order_id]
            for order_id in gone.order_ids:
                self._by_order_id.pop((gone.pair, order_id), None)

    def _never_came(self, known: Known) -> bool:
        """Whether it was sent so long ago that no exchange can take it any more, and none has."""
        until = max(known.sent_at, known.leaves_until)
        return 0 < until < self._now() - NEVER_MS and not (known.accepted or known.fills)
