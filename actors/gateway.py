"""The only door to a venue's trading side: sends what may be sent, tells what became of it, decides nothing.

Rules
    Immediately before a request leaves, this incarnation must still be the venue's (`epoch`), the request
    not too late, its permit unexpired, unspent and of the present limiter. Otherwise it is refused here.
    A client order id that the venue knows, or of which nobody knows, is never sent a second time.
    A batch of requests is put on record at the venue once, and answered after that. Answers that a crash
    loses are recovered by the pairs: each looks up what it has not heard of. A venue on a network answers
    later, by its events: it checks the permit's time and the incarnation once more at the socket.
    Latency is a timer: nothing here ever sleeps.
"""

from __future__ import annotations

from typing import Final

from actors.answering import Answers
from actors.base import Context
from actors.hearing import HearingActor
from actors.venues.trading import (
    Acknowledged,
    Amended,
    Found,
    InDoubt,
    Permit,
    Refused,
    Sent,
    TradingVenue,
)
from actors.wishes import Wishes
from engine.messages import (
    AmendOrder,
    AmendRejected,
    CancelOrder,
    CancelRejected,
    FreezeMarket,
    MarketMatched,
    MatchMarket,
    OrderAccepted,
    OrderAmended,
    OrderCanceled,
    OrderInDoubt,
    OrderRejected,
    Shutdown,
    ShutdownDone,
    SubmitOrder,
    TimerFired,
)
from engine.order import Order
from engine.types import Millis, OrderStatus

_ENDED: Final = (OrderStatus.CANCELED, OrderStatus.EXPIRED)


class GatewayActor(HearingActor):
    """The gateway of one account.

    The venue outlives the gateway: each incarnation opens it anew and so reads its record again.
    `tick_ms` is how often the venue's market goes on, in real time; 0 leaves that to `MatchMarket`.
    `latency_ms` delays every answer, in real time.
    """

    def __init__(
        self, ctx: Context, venue: TradingVenue, *, tick_ms: int = 250, latency_ms: int = 0, limiter: str = "limiter"
    ) -> None:
        super().__init__(ctx, venue, latency_ms=latency_ms, limiter=limiter)
        self._tick_ms = tick_ms

    # ------------------------------------------------------------ life

    def on_start(self) -> None:
        """As every gateway starts; then the venue's market goes on by itself."""
        super().on_start()
        if self._tick_ms:
            self.start_timer("tick", self._tick_ms)

    def on_freeze_market(self, message: FreezeMarket) -> None:
        """Let the market rest until the next start."""
        del message
        self._tick_ms = 0
        self.cancel_timer("tick")

    def on_shutdown(self, message: Shutdown) -> None:
        """Put all on record and answer at once what was to be answered later."""
        self._answers.hurry()
        self._flush()
        self.tell(message.reply_to, ShutdownDone(name=self.name))

    # ------------------------------------------------------------ orders

    def on_submit_order(self, message: SubmitOrder) -> None:
        """Send an order that may be sent; look one up that was sent before."""
        order, to = message.order, message.reply_to
        venue = self._own_venue()
        found = venue.find(order.pair, order.client_order_id)
        if found is not None or order.client_order_id in self._doubted:
            self._permits.give_back(message.permit_id)
            self._repeat(to, order, found)
            return
        now = self.now()
        if now > message.not_after:
            self._permits.give_back(message.permit_id)
            self._refuse(to, order, "late", "TOO_LATE", f"it was to be sent until {message.not_after}, now is {now}")
            return
        if not self._permits.spend(message.permit_id, now):
            self._refuse(to, order, "no_permit", "NO_PERMIT", f"permit {message.permit_id!r} is not good any more")
            return
        until = min(message.not_after, self._permits.expires(message.permit_id))
        outcome = self._own_venue().submit(order, now, Permit(message.permit_id, until))
        self._counts["sent"] += 1
        self._balances_due = True
        if order.replaces:
            self._collect()  # the end of the one before is heard before what came of its replacement
        if isinstance(outcome, Refused):
            self._refuse(to, order, "refused", outcome.code, outcome.reason)
        elif isinstance(outcome, Acknowledged):
            self._counts["accepted"] += 1
            self._answers.put(to, self._accepted(order, outcome.order_id, now))
        elif isinstance(outcome, Sent):
            self._permits.flies(message.permit_id)
        else:
            self._counts["in_doubt"] += 1
            self._answers.put(to, self._in_doubt(order, outcome.reason))
            if order.replaces:
                self._answers.put(to, self._replaced_in_doubt(order, outcome.reason))
        if not isinstance(outcome, Sent):
            request = "replace" if order.replaces else "order"
            self._note(request, order.pair, order.client_order_id, now - order.created_at, _code(outcome))
        self._collect()

    def _repeat(self, to: str, order: Order, found: Found | None) -> None:
        """Answer a repeated order with what is true of the first one."""
        self._counts["repeated"] += 1
        if found is None:
            self._answers.put(to, self._in_doubt(order, "it was sent before, and the venue does not show it yet"))
            return
        self._doubted.discard(order.client_order_id)
        self._answers.put(to, self._accepted(order, found.order.order_id, found.order.ts))
        for filled in found.fills:
            self._answers.put(to, filled)
        if found.order.status in _ENDED:
            ended = OrderCanceled(
                pair=order.pair,
                client_order_id=order.client_order_id,
                filled=found.order.filled,
                ts=self.now(),
                expired=found.order.status == OrderStatus.EXPIRED,
            )
            self._answers.put(to, ended)

    def on_cancel_order(self, message: CancelOrder) -> None:
        """Cancel an order; whether it worked still is the venue's word."""
        now = self.now()
        if not self._permits.spend(message.permit_id, now):
            self._counts["no_permit"] += 1
            self._reject_cancel(message, "NO_PERMIT", now)
            return
        permit = Permit(message.permit_id, self._permits.expires(message.permit_id))
        pair, client_id = message.pair, message.client_order_id
        outcome = self._own_venue().cancel(pair, client_id, message.order_id, now, permit)
        self._counts["cancels"] += 1
        self._balances_due = True
        if isinstance(outcome, Refused):
            self._reject_cancel(message, outcome.reason, now)
        elif isinstance(outcome, InDoubt):
            doubt = OrderInDoubt(pair=pair, client_order_id=client_id, reason=outcome.reason, ts=now)
            self._answers.put(message.reply_to, doubt)
        if isinstance(outcome, Sent):
            self._permits.flies(message.permit_id)
        else:
            self._note("cancel", pair, client_id, 0, _code(outcome))
        self._collect()

    def on_amend_order(self, message: AmendOrder) -> None:
        """Change a resting order; it stands whatever comes of it, unless it has filled."""
        now, order, to = self.now(), message.order, message.reply_to
        pair, client_id, target = order.pair, order.client_order_id, order.amending
        if target is None:
            raise ValueError(f"{client_id} is not being amended")
        if not self._permits.spend(message.permit_id, now):
            self._counts["no_permit"] += 1
            self._reject_amend(to, order, Refused("NO_PERMIT", f"permit {message.permit_id!r} is not good any more"))
            return
        permit = Permit(message.permit_id, self._permits.expires(message.permit_id))
        outcome = self._own_venue().amend(order, now, permit)
        self._counts["sent"] += 1
        self._collect()  # what it has filled is heard before what came of this
        if isinstance(outcome, Amended):
            done = OrderAmended(
                pair=pair, client_order_id=client_id, amount=target.amount, trigger_price=target.trigger_price, ts=now
            )
            self._answers.put(to, done)
        elif isinstance(outcome, Refused):
            self._reject_amend(to, order, outcome)
        elif isinstance(outcome, InDoubt):
            doubt = OrderInDoubt(pair=pair, client_order_id=client_id, reason=outcome.reason, ts=now)
            self._answers.put(to, doubt)
        if isinstance(outcome, Sent):
            self._permits.flies(message.permit_id)
        else:
            self._note("amend", pair, client_id, 0, _code(outcome))

    def _reject_amend(self, to: str, order: Order, why: Refused) -> None:
        rejected = AmendRejected(
            pair=order.pair, client_order_id=order.client_order_id, code=why.code, reason=why.reason, ts=self.now()
        )
        self._answers.put(to, rejected)

    def _reject_cancel(self, message: CancelOrder, reason: str, now: Millis) -> None:
        client_id = message.client_order_id
        self._answers.put(
            message.reply_to, CancelRejected(pair=message.pair, client_order_id=client_id, reason=reason, ts=now)
        )

    def on_match_market(self, message: MatchMarket) -> None:
        """A candle's turn: fill what it fills, then say so."""
        m, venue = message, self._own_venue()
        if m.due:
            venue.settle(m.due)
        else:
            venue.match(m.pair, m.ts, m.low, m.high, m.open, entries_only=m.entries_only)
        self._collect()
        self._answers.put(message.reply_to, MarketMatched(pair=message.pair, ts=message.ts))

    # ------------------------------------------------------------ time, batches, answers

    def on_timer_fired(self, message: TimerFired) -> None:
        """Let the market go on; send what was delayed; tell balances; ask again for a permit to read."""
        if message.name == "tick":
            self._own_venue().advance(self.now())
            self._collect()
            self.start_timer("tick", self._tick_ms)
        elif message.name == Answers.TIMER:
            self._answers.send_due()
        elif message.name == "balances":
            self._balances_timer = False
        elif message.name == Wishes.TIMER:
            self._wishes.ask_again()

    def on_batch_end(self) -> None:
        """One commit at the venue for the whole batch, then its answers."""
        self._flush()

    # ------------------------------------------------------------ helpers

    def _refuse(self, to: str, order: Order, count: str, code: str, reason: str) -> None:
        self._counts[count] += 1
        refusal = OrderRejected(
            pair=order.pair, client_order_id=order.client_order_id, code=code, reason=reason, ts=self.now()
        )
        self._answers.put(to, refusal)

    @staticmethod
    def _accepted(order: Order, order_id: str, ts: Millis) -> OrderAccepted:
        return OrderAccepted(pair=order.pair, client_order_id=order.client_order_id, order_id=order_id, ts=ts)

    def _replaced_in_doubt(self, order: Order, reason: str) -> OrderInDoubt:
        return OrderInDoubt(pair=order.pair, client_order_id=order.replaces, reason=reason, ts=self.now())

    def _in_doubt(self, order: Order, reason: str) -> OrderInDoubt:
        self._doubted.add(order.client_order_id)
        return OrderInDoubt(pair=order.pair, client_order_id=order.client_order_id, reason=reason, ts=self.now())


def _code(outcome: object) -> str:
    return outcome.code if isinstance(outcome, Refused) else type(outcome).__name__
