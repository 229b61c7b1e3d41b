"""An order's handshake: recorded → permitted → submitted, for orders and cancels alike.

Rules
    Nothing is asked a permit for before its intent is on disk, and nothing is sent without a permit.
    An intent is recorded at once; what has only happened is recorded with it, or at the batch's end. A
    crash before that loses nothing: the trade on disk is of before, and the venue is asked what happened.
    An entry leaves in its signal's time or not at all; what guards or leaves a position asks again
    until it has a permit. What was recorded and not sent can be taken back here, without the venue.
"""

from __future__ import annotations

import abc
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from actors.base import Context
from actors.recovering import RecoveringActor
from engine.actions import Amend, Cancel, Place
from engine.denials import Denial
from engine.guarding import REPLACED
from engine.keeping import kept_facts
from engine.messages import (
    AcquirePermit,
    AmendOrder,
    AmendRejected,
    CancelOrder,
    Entry,
    Message,
    PermitDenied,
    PermitGranted,
    PermitsSpent,
    Recorded,
    RecordRefused,
    SubmitOrder,
    TradingStateChanged,
)
from engine.order import RESTING, Order
from engine.types import ZERO, Millis, OrderStatus, Priority, Purpose, TradingState
from engine.work import PlaceAborted, Rules, Trade

RETRY_MS: Final = 1_000
PERMIT_MS: Final = 5_000
"""How long a permit may be without an answer before it is asked for again."""
WAITS_MS: Final = 10_000
"""How long an amendment waits for its permit before it is taken back; less than what the trade gives it for its answer."""
REMEMBERED: Final = 64
"""Of so many requests that were taken back, and permits that were used, a late or repeated answer is known as such."""
ANSWER_MS: Final = 15_000
"""How long an order may be without an answer before the venue is asked about it."""
DAY_MS: Final = 86_400_000
NO_PERMIT: Final = "NO_PERMIT"
"""What the gateway says of a request whose permit had run out before it could leave."""


_SUFFIX: Final[Mapping[type, str]] = {Place: "", Cancel: ":cancel", Amend: ":amend"}


@dataclass(slots=True)
class Sending:
    """An order, its cancel or its amendment on its way out: the record it waits for, then its permit."""

    order: Order
    what: type[Place | Cancel | Amend]
    seq: int
    not_after: Millis
    asked: bool = False
    refusal: tuple[str, str] | None = None

    @property
    def request_id(self) -> str:
        return f"{self.order.client_order_id}{_SUFFIX[self.what]}"

    @property
    def cancel(self) -> bool:
        """Whether it is an order's cancel."""
        return self.what is Cancel

    @property
    def places(self) -> bool:
        """Whether it is the order itself."""
        return self.what is Place


class SendingActor(RecoveringActor, abc.ABC):
    """The sending side of a pair; whoever hears the venue is the subclass."""

    def __init__(self, ctx: Context, rules: Rules) -> None:
        super().__init__(ctx)
        self.pair = rules.market.pair
        self.rules = rules
        self.trade = Trade(pair=self.pair, rules=rules)
        self.sending: dict[str, Sending] = {}
        self._gathered: list[Entry] = []
        self._after_gathered = self.trade
        self._entry_until: Millis = 0
        self._stop_budgets: dict[str, str] = {}
        self._taken_back: deque[str] = deque(maxlen=REMEMBERED)
        self._in_use: deque[str] = deque(maxlen=REMEMBERED)
        self._said_left: list[str] = []

    @abc.abstractmethod
    def tell_trade(self, event: Message) -> None:
        """Advance the trade by an event and do what it wants."""

    @abc.abstractmethod
    def go_on(self) -> None:
        """Go on with whatever waited for an outcome."""

    @abc.abstractmethod
    def end_if_done(self) -> None:
        """Say that nothing is in flight, if somebody waits to hear it."""

    def send_out(self, entries: Sequence[Entry], orders: Sequence[Place | Cancel | Amend]) -> None:
        """Put the entries and the trade on disk; what is to be sent follows when they are.

        Entries that nothing is sent for are gathered until something is, or the mailbox is empty: what a
        venue says at once of an order is one record.
        """
        if not orders:
            self._gathered += entries
            self._after_gathered = self.trade
            return
        epoch = next((o.grant_epoch for o in orders if isinstance(o, Place) and o.grant_epoch is not None), None)
        if epoch is not None:
            self.record_gathered()  # a record that may be refused takes nothing else with it
        gathered, self._gathered = self._gathered, []
        seq = self.outbox.record([*gathered, *entries], kept_facts(self.trade), epoch)
        for action in orders:
            order, cancel = action.order, isinstance(action, Cancel)
            if cancel:
                self._take_back(f"{order.client_order_id}{_SUFFIX[Amend]}")  # not wanted any more
            if cancel and order.client_order_id in self.sending:
                self._take_back(order.client_order_id)  # recorded, and never sent: nothing to cancel there
                aborted = PlaceAborted(pair=self.pair, client_order_id=order.client_order_id, code=Denial.UNFILLED)
                self.tell_trade(aborted)
                continue
            if isinstance(action, Place) and order.purpose is Purpose.ENTRY:
                self._entry_until = self._end_of_entry(order)
            self._put(order, type(action), seq=seq)

    def record_gathered(self) -> None:
        """Put what is gathered on disk, with the trade as it was after it."""
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self.outbox.record(gathered, kept_facts(self._after_gathered))

    def on_batch_end(self) -> None:
        """The mailbox is empty: nothing more is to be gathered."""
        self.record_gathered()
        if self._stop_budgets:
            self._give_back_reserves()

    def _give_back_reserves(self) -> None:
        """Entries that came to nothing need no stop: what they had reserved for it is free at once."""
        unfollowed = []
        for client_order_id, permit_id in list(self._stop_budgets.items()):
            order = self.trade.orders.get(client_order_id)
            if order is not None and not order.is_done:
                continue
            del self._stop_budgets[client_order_id]
            if order is None or not order.filled:
                unfollowed.append(permit_id)
        if unfollowed:
            self.tell("limiter", PermitsSpent(unfollowed=tuple(unfollowed)))

    def send_again(self, client_order_id: str, what: type[Place | Cancel | Amend]) -> bool:
        """Ask anew for the permit of a request that came back unsent; False when it is not wanted any more."""
        order = self.trade.orders.get(client_order_id)
        if order is None or order.is_done or (what is Amend and not _awaits_amending(order)):
            return False
        self._acquire(self._put(order, what, seq=self.outbox.recorded))
        return True

    def keep_back_entries(self, code: str, reason: str) -> None:
        """Take back entries that have not left; one whose intent is not on disk yet, when it is there."""
        for sending in [s for s in self.sending.values() if s.order.purpose is Purpose.ENTRY and s.places]:
            if sending.seq <= self.outbox.recorded:
                self._abort(sending, code, reason)
            else:
                sending.refusal = (code, reason)

    def _put(self, order: Order, what: type[Place | Cancel | Amend], *, seq: int) -> Sending:
        sending = Sending(order, what, seq, self._not_after(order, cancel=what is Cancel))
        self.sending[sending.request_id] = sending
        return sending

    def _end_of_entry(self, order: Order) -> Millis:
        """Until when an entry may leave: a signal's in its time, one that was moved or added in the candle of that."""
        settings, orders = self.rules.settings, self.trade.orders.values()
        last = settings.timeframe_ms - 1
        if any(one.purpose is Purpose.ENTRY and one.client_order_id != order.client_order_id for one in orders):
            return order.created_at - order.created_at % settings.timeframe_ms + last
        return self.trade.signal_ts + min(settings.signal_max_age_ms or last, last)

    def _not_after(self, order: Order, *, cancel: bool) -> Millis:
        """Until when it may leave: an entry in its time, whatever was judged since; all else may wait."""
        is_entry = order.purpose is Purpose.ENTRY and not cancel
        return self._entry_until if is_entry else self.now() + DAY_MS

    def on_recorded(self, message: Recorded) -> None:
        """The intents up to there are on disk: ask for their permits."""
        self.outbox.on_recorded(message)
        self.acquire_all(again=False)
        self.go_on()
        self.end_if_done()

    def on_record_refused(self, message: RecordRefused) -> None:
        """An intent may not be recorded: it is not sent."""
        self.outbox.on_record_refused(message)
        refused = [s for s in self.sending.values() if s.seq == message.seq and not s.cancel]
        for sending in refused:
            if message.retryable and sending.order.purpose is not Purpose.ENTRY:
                continue
            self._abort(sending, message.code, message.detail)
        self.go_on()

    def _abort(self, sending: Sending, code: str, detail: str) -> None:
        self._take_back(sending.request_id)
        order = sending.order
        if sending.what is Amend:
            self.tell_trade(_unsent(order, code, detail, self.now()))
            return
        aborted = PlaceAborted(pair=self.pair, client_order_id=order.client_order_id, code=code, detail=detail)
        self.tell_trade(aborted)

    def acquire_all(self, *, again: bool) -> None:
        """Ask for the permits of all that is on disk; `again` for those too that were asked for."""
        for sending in [s for s in self.sending.values() if s.seq <= self.outbox.recorded and (again or not s.asked)]:
            if sending.refusal is not None:
                self._abort(sending, *sending.refusal)
            else:
                self._acquire(sending)

    def _acquire(self, sending: Sending) -> None:
        sending.asked = True
        self.start_timer("permit", PERMIT_MS)
        order = sending.order
        self.tell(
            "limiter",
            AcquirePermit(
                request_id=sending.request_id,
                request=_request(sending),
                priority=_priority(order, cancel=sending.cancel),
                not_after=sending.not_after,
                reply_to=self.name,
                reserve=1 if self._needs_stop(sending) else 0,
            ),
        )

    def _needs_stop(self, sending: Sending) -> bool:
        """Whether a stop follows whose budget must be there first: after an entry, or after a stop that makes room."""
        order = sending.order
        if sending.cancel:
            return order.purpose is Purpose.STOP and order.reason == REPLACED
        return order.purpose is Purpose.ENTRY and self.rules.settings.stop_on_venue

    def on_permit_granted(self, message: PermitGranted) -> None:
        """Send it; from here on only the venue knows."""
        sending = self.sending.get(message.request_id)
        is_late = sending is None and message.request_id in self._taken_back
        if is_late or (sending is not None and sending.seq > self.outbox.recorded):  # or it answers an earlier wish
            if message.permit_id not in self._in_use:
                self.tell("limiter", PermitsSpent(spent=(), unused=(message.permit_id,)))
            return
        if sending is None:
            return  # told twice: it is in use
        del self.sending[message.request_id]
        if not self.sending:
            self.cancel_timer("permit")
        known = self.trade.orders.get(sending.order.client_order_id)
        stale = sending.what is Amend and (known is None or known.amending != sending.order.amending)
        if known is None or known.is_done or stale:  # it has come to an end while it waited
            self.tell("limiter", PermitsSpent(spent=(), unused=(message.permit_id,)))
            self.go_on()
            return
        order = sending.order
        replaced = self.trade.orders.get(order.replaces)
        if sending.places and order.replaces and (replaced is None or replaced.is_done):
            # What it was to replace has ended by itself: the machine decides anew what is needed now.
            self.tell("limiter", PermitsSpent(spent=(), unused=(message.permit_id,)))
            self._abort(sending, Denial.UNFILLED, "what it was to replace has ended")
            self.go_on()
            return
        self._in_use.append(message.permit_id)
        if sending.cancel:
            cancel = CancelOrder(
                pair=self.pair,
                client_order_id=order.client_order_id,
                order_id=known.order_id,
                permit_id=message.permit_id,
                reply_to=self.name,
            )
            self.tell("gateway", cancel)
        elif sending.what is Amend:
            amend = AmendOrder(order=known, permit_id=message.permit_id, reply_to=self.name)
            self.tell("gateway", amend)
        else:
            if self._needs_stop(sending):
                self._stop_budgets[order.client_order_id] = message.permit_id
            submit = SubmitOrder(
                order=order, permit_id=message.permit_id, not_after=sending.not_after, reply_to=self.name
            )
            self.tell("gateway", submit)
        self.start_timer("answer", ANSWER_MS)

    def on_permit_denied(self, message: PermitDenied) -> None:
        """No permit in time: an entry is dropped, whatever guards or leaves a position asks again."""
        sending = self.sending.get(message.request_id)
        if sending is None:
            return
        if sending.order.purpose is Purpose.ENTRY and not sending.cancel:
            self._abort(sending, "RATE_LIMIT", message.reason)
            self.go_on()
        else:
            sending.asked = False
            sending.not_after = self._not_after(sending.order, cancel=sending.cancel)
            self.start_timer("permit", RETRY_MS)

    def _take_back(self, request_id: str) -> None:
        """It does not leave: a permit that comes for it all the same goes back."""
        if self.sending.pop(request_id, None) is not None:
            self._taken_back.append(request_id)

    def take_back_late(self) -> None:
        """Give up amendments that have no permit for long: the stop stands, and what the venue tells of it is no answer."""
        since = self.now() - WAITS_MS
        for sending in [s for s in self.sending.values() if s.what is Amend and s.order.amended_at <= since]:
            self._abort(sending, Denial.RATE_LIMIT, "it had no permit in time")

    def take_back_entries(self) -> None:
        """The bot ends: entries that have not left stay here, and those at the venue, which nobody would guard, end there.

        So do exits that rest on the coins of a stop.
        """
        state = self.trade.trading if self.trade.trading is TradingState.STOPPED else TradingState.EXITS_ONLY
        ending = TradingStateChanged(state=state, reason="the bot is ending", ending=True)
        self.keep_back_entries(ending.state, ending.reason)
        self.tell_trade(ending)

    def say_unguarded(self) -> None:
        """Tell the user, once, of what is held or may be bought without a stop that stands at the venue: nobody guards it from now on."""
        trade, left = self.trade, []
        stands = sum((order.remaining for order in trade.working(Purpose.STOP) if order.status in RESTING), ZERO)
        bare = trade.rules.market.tradable(trade.position.amount) - stands
        if bare > ZERO and self.rules.settings.stop_on_venue:
            leaves = ", only an exit that rests" if trade.working(Purpose.EXIT) else ""
            left.append(f"{bare:f} is held without a stop at the exchange{leaves}")
        if any(order.status is not OrderStatus.PENDING_NEW for order in trade.working(Purpose.ENTRY)):
            left.append("an entry may still rest at the exchange")
        if left and left != self._said_left:
            self._said_left = left
            self.notify("alarm", "left_unguarded", f"{self.pair}: the bot ends, and {', and '.join(left)}")

    def is_at_rest(self) -> bool:
        """Whether nothing is under way and everything is on disk; nor may there be an order to cancel of which the venue was not asked yet."""
        if self.sending or self.unanswered() or len(self.outbox):
            return False
        return self.trade.reconciled or not (self.trade.working(Purpose.ENTRY) or self.trade.working(Purpose.EXIT))

    def unanswered(self) -> list[str]:
        """Orders that were sent and have no answer yet."""
        waiting = (OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL, OrderStatus.IN_DOUBT)
        return [
            client_id
            for client_id, order in self.trade.orders.items()
            if (order.status in waiting or (order.amending is not None and not order.is_done))
            and not any(f"{client_id}{suffix}" in self.sending for suffix in _SUFFIX.values())
        ]


def _awaits_amending(order: Order) -> bool:
    return order.amending is not None and not order.amending.doubted


def _unsent(order: Order, code: str, detail: str, now: Millis) -> AmendRejected:
    return AmendRejected(pair=order.pair, client_order_id=order.client_order_id, code=code, reason=detail, ts=now)


def _request(sending: Sending) -> str:
    order = sending.order
    stop = order.purpose is Purpose.STOP
    if sending.cancel:
        return "cancel_stop" if stop else "cancel"
    if sending.what is Amend:
        return "amend"
    if order.replaces:
        return "replace"
    return "stop" if stop else "order"


def _priority(order: Order, *, cancel: bool) -> Priority:
    if order.purpose is Purpose.STOP:
        return Priority.GUARD
    if order.purpose is Purpose.EXIT or cancel:
        return Priority.EXIT
    return Priority.ENTRY
