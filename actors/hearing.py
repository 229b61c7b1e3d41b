"""The hearing side of a gateway: what a venue tells, its permits, its usage, and the answers that others wait for."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Final

from actors.answering import Answers
from actors.base import Context, EngineActor
from actors.outbox import Outbox
from actors.venues.trading import (
    Answered,
    BalancesMoved,
    Happened,
    Looked,
    Missed,
    PermitWanted,
    ReadsRefused,
    Remark,
    RequestEnded,
    TradingVenue,
)
from actors.wishes import Wishes
from engine.messages import (
    BalancesChanged,
    Entry,
    EpochAnnounced,
    OrderAccepted,
    OrderFilled,
    OrderInDoubt,
    OrderRejected,
    PermitDenied,
    PermitGranted,
    Plain,
    RecordRefused,
    ReportUsage,
    SetTradingState,
    StateLoaded,
    TakeSnapshot,
    UsageReported,
    VenueMissed,
    VenueSnapshot,
    VenueStirred,
)
from engine.types import Millis, TradingState

BALANCES_MS: Final = 1_000
"""Balances are told so often at most."""

_COUNTED: Final[Mapping[type, str]] = {
    OrderFilled: "fills",
    OrderAccepted: "accepted",
    OrderRejected: "refused",
    OrderInDoubt: "in_doubt",
}
"""What is counted of a venue's events; what it answers at once is counted where it is told."""


class Superseded(Exception):
    """A newer incarnation has the venue: this one must not touch it any more."""


class HearingActor(EngineActor, abc.ABC):
    """Owns a venue while it lives; whoever sends is the subclass. `latency_ms` delays every answer, in real time."""

    def __init__(self, ctx: Context, venue: TradingVenue, *, latency_ms: int, limiter: str) -> None:
        super().__init__(ctx)
        self._venue = venue
        self._limiter = limiter
        self._answers = Answers(self, latency_ms)
        self._doubted: set[str] = set()
        self._requests: list[Entry] = []
        self._wishes = Wishes(self, limiter)
        self._permits = self._wishes.book
        self._usage_due = False
        self._unread = ""
        self._balances_due = self.epoch > 1  # at the start the portfolio asks, when it is there
        self._balances_timer = False
        self._counts = dict.fromkeys(
            ("sent", "accepted", "refused", "in_doubt", "repeated", "late", "no_permit", "cancels", "fills", "reads"), 0
        )
        self.outbox = Outbox(self)

    def on_start(self) -> None:
        """Read the venue's record, let its market catch up, and say what it has counted."""
        self._venue.open(self.epoch, self.now(), lambda: self.tell(self.name, VenueStirred()))
        self.outbox.load()
        self._collect()
        self._report_usage()
        self._flush()

    def release(self) -> None:
        """Let go of the venue, unless a newer incarnation has it."""
        if self._venue.epoch == self.epoch:
            self._venue.close()

    def status(self) -> Mapping[str, Plain]:
        """How many requests were sent and what came of them, and what waits."""
        return {**self._counts, "answers_waiting": len(self._answers), "permits_wanted": len(self._wishes)}

    def on_state_loaded(self, message: StateLoaded) -> None:
        """Go on from this writer's last record."""
        self.outbox.on_state_loaded(message)

    def on_record_refused(self, message: RecordRefused) -> None:
        """What was sent is told again when there is room, or not at all: it is no reason to send less."""
        self.outbox.on_record_refused(message)

    def on_epoch_announced(self, message: EpochAnnounced) -> None:
        """A portfolio that is new knows no balances, and grants nothing before it does."""
        super().on_epoch_announced(message)
        if message.role == "portfolio":
            self._balances_due = True
            if self._unread:
                self._hold_entries()

    # ------------------------------------------------------------ permits

    def on_report_usage(self, message: ReportUsage) -> None:
        """A limiter wants to know what is used: from now on its predecessors' permits are void."""
        self._report_usage()
        self._wishes.limiter_is(message.epoch)

    def _report_usage(self) -> None:
        for pool, used in self._own_venue().usage(self.now()).items():
            self.tell(self._limiter, UsageReported(pool=pool, used=used))

    # ------------------------------------------------------------ reading

    def on_take_snapshot(self, message: TakeSnapshot) -> None:
        """Let the venue find out; of a pair's questions the last is answered."""
        self._own_venue().look(message, self.now())
        self._collect()

    def on_permit_granted(self, message: PermitGranted) -> None:
        """Let the venue's own request leave; a permit that is not good any more is asked for again."""
        given = self._wishes.granted(message)
        if given is not None:
            self._own_venue().grant(*given, self.now())
            self._collect()

    def on_permit_denied(self, message: PermitDenied) -> None:
        """The venue's own request cannot be sent."""
        request_id = self._wishes.denied(message)
        if request_id is not None:
            self._own_venue().grant(request_id, None, self.now())
            self._collect()

    def on_venue_stirred(self, message: VenueStirred) -> None:
        """Something has come at the venue by itself."""
        del message
        self._collect()

    # ------------------------------------------------------------ what the venue tells

    def _own_venue(self) -> TradingVenue:
        if self._venue.epoch != self.epoch:
            raise Superseded(f"the venue belongs to gateway {self._venue.epoch}, this is {self.epoch}")
        return self._venue

    def _collect(self) -> None:
        """Take what the venue tells: what happened goes to the orders' pairs, the rest is for here."""
        for event in self._own_venue().events():
            if isinstance(event, PermitWanted):
                self._wishes.want(event)
            elif isinstance(event, RequestEnded):
                self._ended(event)
            elif isinstance(event, Looked):
                self._looked(event)
            elif isinstance(event, Missed):
                self._answers.put(f"pair:{event.pair}", VenueMissed(pair=event.pair))
            elif isinstance(event, Remark):
                self.notify(event.severity, event.event, event.text)
            elif isinstance(event, BalancesMoved):
                self._balances_due = True
            elif isinstance(event, ReadsRefused):
                self._unreadable(event.reason)
            else:
                self._happened(event)

    def _happened(self, event: Happened | Answered) -> None:
        count = _COUNTED.get(type(event))
        if count is not None:
            self._counts[count] += 1
        if isinstance(event, OrderInDoubt):
            self._doubted.add(event.client_order_id)
        self._answers.put(f"pair:{event.pair}", event)
        self._balances_due = True

    def _ended(self, ended: RequestEnded) -> None:
        """A request that took its way is over."""
        self._wishes.ended(ended)
        self._usage_due = self._usage_due or ended.took_ms is not None
        self._note(
            ended.request, ended.pair, ended.client_order_id, ended.waited_ms, ended.outcome, took_ms=ended.took_ms
        )

    def _looked(self, looked: Looked) -> None:
        take, snapshot = looked.question, looked.snapshot
        self._counts["reads"] += 1
        told = VenueSnapshot(
            request_id=take.request_id,
            pair=take.pair,
            ts=self.now(),
            orders=snapshot.orders,
            fills=snapshot.fills,
            unknown=snapshot.unknown,
            position=snapshot.position,
            final=snapshot.final,
            payments=snapshot.payments,
            foreign=snapshot.foreign,
        )
        if snapshot.final:
            self._doubted.difference_update(take.client_order_ids)
        self._answers.put(take.reply_to, told)

    def _unreadable(self, reason: str) -> None:
        """Nothing new is begun on an account that cannot be read; what is held is guarded and left as ever."""
        was, self._unread = self._unread, reason
        if reason and not was:
            text = f"the exchange refuses what must be read ({reason}): no entries until it does not; it is asked again"
            self.notify("alarm", "reads_refused", text)
        elif was and not reason:
            self.notify("info", "reads_refused", "the account can be read again: entries go on")
        self._hold_entries()

    def _hold_entries(self) -> None:
        state = TradingState.EXITS_ONLY if self._unread else TradingState.ACTIVE
        reason = self._unread or "the account can be read again"
        self.tell("portfolio", SetTradingState(state=state, reason=reason, source="reads"))

    # ------------------------------------------------------------ telling

    def _flush(self) -> None:
        self._own_venue().commit()
        self._answers.flush()
        self._wishes.settle()
        if self._requests:
            self.outbox.record(self._requests)
            self._requests = []
        if self._usage_due:
            self._usage_due = False
            self._report_usage()
        self._tell_balances()

    def _tell_balances(self) -> None:
        if not self._balances_due or self._balances_timer:
            return
        balances = self._own_venue().balances()
        if not balances:
            return  # not known yet
        changed = BalancesChanged(ts=self.now(), balances=balances, account=self.ctx.account)
        self.tell("portfolio", changed)
        self.tell("persistence", changed)
        self._balances_due, self._balances_timer = False, True
        self.start_timer("balances", BALANCES_MS)

    def _note(
        self,
        request: str,
        pair: str,
        client_order_id: str,
        waited_ms: Millis,
        outcome: str,
        *,
        took_ms: float | None = None,
    ) -> None:
        body: dict[str, Plain] = {"request": request, "pair": pair, "client_order_id": client_order_id}
        body |= {"waited_ms": waited_ms, "outcome": outcome}
        if took_ms is not None:
            body["took_ms"] = round(took_ms, 3)
        self._requests.append(Entry(kind="RequestSent", ts=self.now(), body=body, stream="ops"))
