"""The only door to a venue's trading side: sends what may be sent, tells what became of it, decides nothing.

Rules
    Immediately before a request leaves, this incarnation must still be the venue's (`epoch`), the request
    not too late, its permit unexpired, unspent and of the present limiter. Otherwise it is refused here.
    A client order id that the venue knows, or of which nobody knows, is never sent a second time.
    A batch of requests is put on record at the venue once, and answered after that. Answers that a crash
    loses are recovered by the pairs: each looks up what it has not heard of.
    Latency is a timer: nothing here ever sleeps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

from actors.base import Context, EngineActor
from actors.outbox import Outbox
from actors.venues.trading import Acknowledged, Found, InDoubt, Refused, TradingVenue
from engine.messages import (
    AcquirePermit,
    BalancesChanged,
    CancelOrder,
    CancelRejected,
    Entry,
    FreezeMarket,
    MarketMatched,
    MatchMarket,
    Message,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderInDoubt,
    OrderRejected,
    PermitDenied,
    PermitGranted,
    Plain,
    RecordRefused,
    ReportUsage,
    Shutdown,
    ShutdownDone,
    StateLoaded,
    SubmitOrder,
    TakeSnapshot,
    TimerFired,
    UsageReported,
    VenueSnapshot,
)
from engine.order import Order
from engine.permits import PermitBook
from engine.types import Millis, OrderStatus, Priority

BALANCES_MS: Final = 1_000
"""Balances are told so often at most."""

READ_MS: Final = 5_000
"""A permit for reading that was not answered is asked for again after this."""

READ_PATIENCE_MS: Final = 86_400_000

_ENDED: Final = (OrderStatus.CANCELED, OrderStatus.EXPIRED)


class Superseded(Exception):
    """A newer incarnation has the venue: this one must not touch it any more."""


class GatewayActor(EngineActor):
    """The gateway of one account.

    The venue outlives the gateway: each incarnation opens it anew and so reads its record again.
    `tick_ms` is how often the venue's market goes on, in real time; 0 leaves that to `MatchMarket`.
    `latency_ms` delays every answer, in real time.
    """

    def __init__(
        self, ctx: Context, venue: TradingVenue, *, tick_ms: int = 250, latency_ms: int = 0, limiter: str = "limiter"
    ) -> None:
        super().__init__(ctx)
        self._venue = venue
        self._tick_ms = tick_ms
        self._latency_ms = latency_ms
        self._limiter = limiter
        self._answers: list[tuple[str, Message]] = []
        self._delayed: deque[tuple[float, list[tuple[str, Message]]]] = deque()
        self._permits = PermitBook()
        self._doubted: set[str] = set()
        self._requests: list[Entry] = []
        self._reads: dict[str, TakeSnapshot] = {}
        self._read_request = ""
        self._read_number = 0
        self._balances_due = True
        self._balances_timer = False
        self._counts = dict.fromkeys(
            ("sent", "accepted", "refused", "in_doubt", "repeated", "late", "no_permit", "cancels", "fills", "reads"), 0
        )
        self.outbox = Outbox(self)

    # ------------------------------------------------------------ life

    def on_start(self) -> None:
        """Read the venue's record, let its market catch up, and say what it has counted."""
        self._venue.open(self.epoch, self.now())
        self.outbox.load()
        self._collect()
        self._report_usage()
        self._flush()
        if self._tick_ms:
            self.start_timer("tick", self._tick_ms)

    def release(self) -> None:
        """Let go of the venue, unless a newer incarnation has it."""
        if self._venue.epoch == self.epoch:
            self._venue.close()

    def on_freeze_market(self, message: FreezeMarket) -> None:
        """Let the market rest until the next start."""
        del message
        self._tick_ms = 0
        self.cancel_timer("tick")

    def on_shutdown(self, message: Shutdown) -> None:
        """Put all on record and answer at once what was to be answered later."""
        self._latency_ms = 0
        self._flush()
        self._send_due(float("inf"))
        self.tell(message.reply_to, ShutdownDone(name=self.name))

    def status(self) -> Mapping[str, Plain]:
        """How many requests were sent and what came of them, and what waits."""
        waiting = sum(len(answers) for _, answers in self._delayed)
        return {**self._counts, "answers_waiting": waiting, "reads_waiting": len(self._reads)}

    def on_state_loaded(self, message: StateLoaded) -> None:
        """Go on from this writer's last record."""
        self.outbox.on_state_loaded(message)

    def on_record_refused(self, message: RecordRefused) -> None:
        """What was sent is told again when there is room, or not at all: it is no reason to send less."""
        self.outbox.on_record_refused(message)

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
        outcome = self._own_venue().submit(order, now)
        self._counts["sent"] += 1
        if isinstance(outcome, Refused):
            self._refuse(to, order, "refused", outcome.code, outcome.reason)
        elif isinstance(outcome, Acknowledged):
            self._counts["accepted"] += 1
            self._answer(to, self._accepted(order, outcome.order_id, now))
        else:
            self._counts["in_doubt"] += 1
            self._doubted.add(order.client_order_id)
            self._answer(to, self._in_doubt(order, outcome.reason))
        self._balances_due = True
        self._note("order", order.pair, order.client_order_id, now - order.created_at, _code(outcome))
        self._collect()

    def _repeat(self, to: str, order: Order, found: Found | None) -> None:
        """Answer a repeated order with what is true of the first one."""
        self._counts["repeated"] += 1
        if found is None:
            self._answer(to, self._in_doubt(order, "it was sent before, and the venue does not show it yet"))
            return
        self._doubted.discard(order.client_order_id)
        self._answer(to, self._accepted(order, found.order.order_id, found.order.ts))
        for filled in found.fills:
            self._answer(to, filled)
        if found.order.status in _ENDED:
            ended = OrderCanceled(
                pair=order.pair,
                client_order_id=order.client_order_id,
                filled=found.order.filled,
                ts=self.now(),
                expired=found.order.status == OrderStatus.EXPIRED,
            )
            self._answer(to, ended)

    def on_cancel_order(self, message: CancelOrder) -> None:
        """Cancel an order; whether it worked still is the venue's word."""
        now = self.now()
        if not self._permits.spend(message.permit_id, now):
            self._counts["no_permit"] += 1
            self._reject_cancel(message, "NO_PERMIT", now)
            return
        outcome = self._own_venue().cancel(message.pair, message.client_order_id, message.order_id, now)
        self._counts["cancels"] += 1
        self._balances_due = True
        if isinstance(outcome, Refused):
            self._reject_cancel(message, outcome.reason, now)
        elif isinstance(outcome, InDoubt):
            doubt = OrderInDoubt(
                pair=message.pair, client_order_id=message.client_order_id, reason=outcome.reason, ts=now
            )
            self._answer(message.reply_to, doubt)
        self._note("cancel", message.pair, message.client_order_id, 0, _code(outcome))
        self._collect()

    def _reject_cancel(self, message: CancelOrder, reason: str, now: Millis) -> None:
        client_id = message.client_order_id
        self._answer(
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
        self._answer(message.reply_to, MarketMatched(pair=message.pair, ts=message.ts))

    # ------------------------------------------------------------ permits

    def on_report_usage(self, message: ReportUsage) -> None:
        """A limiter wants to know what is used: from now on its predecessors' permits are void."""
        newer = self._permits.void_before(message.epoch)
        self._report_usage()
        if newer and self._read_request:
            self._ask_to_read()

    def _report_usage(self) -> None:
        for pool, used in self._own_venue().usage(self.now()).items():
            self.tell(self._limiter, UsageReported(pool=pool, used=used))

    # ------------------------------------------------------------ reading

    def on_take_snapshot(self, message: TakeSnapshot) -> None:
        """Read as soon as there is a permit; one permit serves all who wait for it, and of a pair's questions the last."""
        self._reads[message.reply_to] = message

    def on_permit_granted(self, message: PermitGranted) -> None:
        """Read for all who wait."""
        now = self.now()
        if message.request_id != self._read_request or not self._permits.spend(message.permit_id, now):
            self._permits.give_back(message.permit_id)
            return
        self._read_request = ""
        self.cancel_timer("read")
        reads, self._reads = self._reads, {}
        venue = self._own_venue()
        for to, take in reads.items():
            snapshot = venue.snapshot(take.pair, take.client_order_ids, take.since, now)
            self._collect()
            self._counts["reads"] += 1
            told = VenueSnapshot(
                request_id=take.request_id,
                pair=take.pair,
                ts=now,
                orders=snapshot.orders,
                fills=tuple(filled.fill for filled in snapshot.fills),
                unknown=snapshot.unknown,
                position=snapshot.position,
                final=snapshot.final,
                payments=snapshot.payments,
            )
            if snapshot.final:
                self._doubted.difference_update(take.client_order_ids)
            self._answer(to, told)
        if reads:
            self._note("snapshot", "*", "", 0, f"{len(reads)} pairs")

    def on_permit_denied(self, message: PermitDenied) -> None:
        """Ask again a little later; the timer is running."""

    def _ask_to_read(self) -> None:
        if not self._read_request:
            self._read_number += 1
            self._read_request = f"{self.name}:{self.epoch}.{self._read_number}"
        acquire = AcquirePermit(
            request_id=self._read_request,
            request="snapshot",
            priority=Priority.RECONCILE,
            not_after=self.now() + READ_PATIENCE_MS,
            reply_to=self.name,
        )
        self.tell(self._limiter, acquire)
        self.start_timer("read", READ_MS)

    # ------------------------------------------------------------ time, batches, answers

    def on_timer_fired(self, message: TimerFired) -> None:
        """Let the market go on; send what was delayed; tell balances; ask again for a permit to read."""
        if message.name == "tick":
            self._own_venue().advance(self.now())
            self._collect()
            self.start_timer("tick", self._tick_ms)
        elif message.name == "answers":
            self._send_due(self.monotonic())
        elif message.name == "balances":
            self._balances_timer = False
        elif message.name == "read":
            self._ask_to_read()

    def on_batch_end(self) -> None:
        """One commit at the venue for the whole batch, then its answers."""
        self._flush()

    def _flush(self) -> None:
        self._own_venue().commit()
        answers, self._answers = self._answers, []
        if answers and self._latency_ms:
            self._delayed.append((self.monotonic() + self._latency_ms / 1_000, answers))
            if len(self._delayed) == 1:
                self.start_timer("answers", self._latency_ms)
        else:
            for to, message in answers:
                self.tell(to, message)
        self._settle_permits()
        if self._requests:
            self.outbox.record(self._requests)
            self._requests = []
        if self._reads and not self._read_request:
            self._ask_to_read()
        self._tell_balances()

    def _settle_permits(self) -> None:
        settled = self._permits.settle(self.now())
        if settled is not None:
            self.tell(self._limiter, settled)

    def _send_due(self, until: float) -> None:
        while self._delayed and self._delayed[0][0] <= until:
            for to, message in self._delayed.popleft()[1]:
                self.tell(to, message)
        if self._delayed:
            self.start_timer("answers", max(1, round((self._delayed[0][0] - self.monotonic()) * 1_000)))

    def _tell_balances(self) -> None:
        if not self._balances_due or self._balances_timer:
            return
        changed = BalancesChanged(ts=self.now(), balances=self._own_venue().balances())
        self.tell("portfolio", changed)
        self.tell("persistence", changed)
        self._balances_due, self._balances_timer = False, True
        self.start_timer("balances", BALANCES_MS)

    # ------------------------------------------------------------ helpers

    def _own_venue(self) -> TradingVenue:
        if self._venue.epoch != self.epoch:
            raise Superseded(f"the venue belongs to gateway {self._venue.epoch}, this is {self.epoch}")
        return self._venue

    def _collect(self) -> None:
        """Route what has happened at the venue to the orders' pairs."""
        for event in self._own_venue().events():
            self._answers.append((f"pair:{event.pair}", event))
            self._balances_due = True
            if isinstance(event, OrderFilled):
                self._counts["fills"] += 1

    def _answer(self, to: str, message: Message) -> None:
        self._answers.append((to, message))

    def _refuse(self, to: str, order: Order, count: str, code: str, reason: str) -> None:
        self._counts[count] += 1
        refusal = OrderRejected(
            pair=order.pair, client_order_id=order.client_order_id, code=code, reason=reason, ts=self.now()
        )
        self._answer(to, refusal)

    @staticmethod
    def _accepted(order: Order, order_id: str, ts: Millis) -> OrderAccepted:
        return OrderAccepted(pair=order.pair, client_order_id=order.client_order_id, order_id=order_id, ts=ts)

    def _in_doubt(self, order: Order, reason: str) -> OrderInDoubt:
        return OrderInDoubt(pair=order.pair, client_order_id=order.client_order_id, reason=reason, ts=self.now())

    def _note(self, request: str, pair: str, client_order_id: str, waited_ms: Millis, outcome: str) -> None:
        body: dict[str, Plain] = {"request": request, "pair": pair, "client_order_id": client_order_id}
        body |= {"waited_ms": waited_ms, "outcome": outcome}
        self._requests.append(Entry(kind="RequestSent", ts=self.now(), body=body, stream="ops"))


def _code(outcome: object) -> str:
    return outcome.code if isinstance(outcome, Refused) else type(outcome).__name__
