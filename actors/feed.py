"""The market-data side of an exchange: every candle to its judge once, prices of open trades as they go.

Rules
    One round at a time: a candle is announced when the judges have reported the one before, or when
    `round_timeout_ms` have passed. So a market that runs faster than the judges can think is noticed and
    counted (`late`), and what waits is a time in the market, not a queue.
    Nobody is sent candles before having asked for its history (`LoadHistory`), which says where they
    begin. After a crash the feed goes on where its recorded state says: what has closed meanwhile is sent
    first, in order.
    A candle is announced when its time is over and it has come; the round waits up to `GATHER_MS` for
    pairs that are being traded and whose candle is still on its way, and not at all for others. Those follow
    when they come, in order, and are judged late.

Why no thread
    The feed asks its stream when market time says that something is there, or when the stream has it woken
    (`MarketStirred`). A stream that is a network hides its own thread behind the port.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from actors.base import Context
from actors.data_alerts import EVERYBODY, OUTBOX_MAX, DataAlerts
from actors.outbox import Outbox
from actors.price_watch import PriceWatch
from actors.quoting import QuotingActor
from actors.venues.ports import MarketStream
from actors.wishes import Wishes
from engine.candles import Candle, timeframe_ms
from engine.messages import (
    CandlesClosed,
    Entry,
    EpochAnnounced,
    HistoryLoaded,
    LoadHistory,
    MarketStirred,
    PermitDenied,
    PermitGranted,
    Plain,
    Recorded,
    RecordRefused,
    RoundJudged,
    Shutdown,
    ShutdownDone,
    StateLoaded,
    TimerFired,
)
from engine.repair import DataFault
from engine.settings import FeedConfig
from engine.stream import CandleStream, Taken
from engine.types import Millis

HISTORY_PAIRS: Final = 50
CATCH_UP_MAX: Final = 500
STATE_MS: Final = 5_000
SLOW: Final = "slow"
GATHER_MS: Final = 250
"""So long after its close a round waits for candles that are on their way: a stream of hundreds of pairs takes a moment."""

_Outgoing = dict[Millis, dict[str, list[tuple[str, Candle]]]]
"""Candles to be sent, by their time, by judge."""


class FeedActor(QuotingActor):
    """Announces closed candles to judges and prices to pairs that watch; checks and repairs what it is given.

    `keep_candles` records every candle that is announced. `judges` names the judge of each pair; whoever asks for a pair's history becomes its judge.
    """

    def __init__(
        self,
        ctx: Context,
        source: MarketStream,
        pairs: Sequence[str],
        timeframe: str,
        judges: Mapping[str, str],
        config: FeedConfig,
        *,
        round_timeout_ms: int = 10_000,
        keep_candles: bool = False,
    ) -> None:
        super().__init__(ctx, source, config.tick_ms)
        self._keep_candles = keep_candles
        self._step = timeframe_ms(timeframe)
        self._round_timeout_ms = round_timeout_ms
        self._judges = dict(judges)
        self._streams = {pair: CandleStream(pair, self._step, config.stale_after_candles) for pair in pairs}
        self._ready: dict[str, CandleStream] = {}
        self._asked: dict[str, tuple[str, int]] = {}
        self._next: Millis | None = None
        self._gathering = False
        self._round: Millis | None = None
        self._waiting: set[str] = set()
        self._reply_to = ""
        self._ending = False
        self._early: dict[tuple[str, tuple[str, ...]], LoadHistory] | None = None
        self.outbox = Outbox(self)
        self._wishes = Wishes(self, "limiter")
        self.alerts = DataAlerts(self, self.outbox)

    def on_start(self) -> None:
        """Learn how far an earlier incarnation came, and have the stream wake this one."""
        name, tell = self.name, self.ctx.tell
        self._source.open(name, lambda: tell(name, MarketStirred()))
        self._source.follow(tuple(self._streams), self._step)
        self.outbox.load()
        if self.epoch > 1:
            self._early = {}
            self.start_timer("state", STATE_MS)

    # ------------------------------------------------------------ going on after a crash

    def on_state_loaded(self, message: StateLoaded) -> None:
        """After a crash, go on for everybody from the last candle that was announced."""
        if not self.outbox.on_state_loaded(message):
            return
        last = message.state.get("ts") if message.state else None
        if self.epoch == 1:
            if self._next is None:  # what an earlier run of the bot came to, no judge of this one knows
                self.outbox.record((), {"ts": None})
        elif last is not None and self._next is None:
            behind: Mapping[str, Millis] = message.state.get("behind", {}) if message.state else {}
            self._go_on(last, behind)
        self._answer_early()

    def _answer_early(self) -> None:
        """Answer who has asked before it was known where the candles go on."""
        early, self._early = self._early, None
        for message in (early or {}).values():
            self.on_load_history(message)

    def _go_on(self, last: Millis, behind: Mapping[str, Millis]) -> None:
        newest = self.now() // self._step * self._step - self._step
        skipped = (newest - last) // self._step - CATCH_UP_MAX
        if skipped > 0:
            self.alerts.add(EVERYBODY, DataFault.GAP, "too old to be announced after a restart", skipped)
            last += skipped * self._step
        for pair, stream in self._streams.items():
            stream.start(behind.get(pair, last), self._source.go_on(pair, self._step, last + self._step))
            self._ready[pair] = stream
        self._next = last + self._step
        self._schedule()

    def _record_state(self) -> None:
        # Only the newest state matters: while the journal cannot write (a full disk), none is piled up.
        if len(self.outbox) < OUTBOX_MAX:
            last = None if self._next is None else self._next - self._step
            behind = {pair: s.ts for pair, s in self._ready.items() if s.ts is not None and s.ts != last}
            self.outbox.record((), {"ts": last, "behind": behind})

    # ------------------------------------------------------------ history

    def on_load_history(self, message: LoadHistory) -> None:
        """Send the windows, and every candle that closes from here on."""
        if self._early is not None:
            self._early[message.reply_to, message.pairs] = message
            return
        if self._next is None:
            self._next = self.now() // self._step * self._step
        for start in range(0, len(message.pairs), HISTORY_PAIRS):
            pairs = message.pairs[start : start + HISTORY_PAIRS]
            self._asked.update(dict.fromkeys(pairs, (message.reply_to, max(0, message.count))))
            self._source.ask_history(pairs, self._step, self._next, max(1, message.count))
            self._pass_histories_on()
            self.ctx.progress()
        self._record_state()
        self._schedule()

    def _pass_histories_on(self) -> None:
        """Give each judge the windows that have come, and have their pairs take part in the rounds."""
        windows: dict[str, list[tuple[str, tuple[Candle, ...]]]] = {}
        for pair, rows in self._source.histories():
            if pair not in self._asked:
                continue
            judge, count = self._asked.pop(pair)
            windows.setdefault(judge, []).append((pair, rows[-count:] if count else ()))
            stream = self._streams.get(pair)
            if stream is not None:
                newest = rows[-1] if rows else None
                if stream.ts is None or (newest is not None and newest.ts >= stream.ts):
                    stream.start(newest.ts if newest else None, newest.close if newest else None)
                self._ready[pair] = stream
                self._judges[pair] = judge
        for judge, pairs in windows.items():
            self.tell(judge, HistoryLoaded(timeframe_ms=self._step, pairs=tuple(pairs)))

    # ------------------------------------------------------------ candles

    def _schedule(self) -> None:
        """Wait for the next candle's close, unless a round is open or there is nobody to tell."""
        if self._next is None or self._waiting or self._ending:
            return
        self.start_timer("candle", max(0, self._next + self._step - self.now()), market=True)

    def _announce(self) -> None:
        ts = self._next
        assert ts is not None
        now = self.now()
        if now < ts + self._step:  # a timer may be rounded to be early; a candle may not
            self._schedule()
            return
        patience = ts + self._step + GATHER_MS - now
        self._gathering = patience > 0 and self._source.is_held_up(ts)
        if self._gathering:
            self.start_timer("candle", patience, market=True)
            return
        self.cancel_timer("candle")
        _, end = self._source.span()
        if end is not None and ts > end:
            self.alerts.notify("info", "data_ended", f"The candles end at {_when(end)}.")
            return
        late = (now - ts) // self._step - 1
        if late > 0:
            self.alerts.add(EVERYBODY, SLOW, f"judging is {late} candles behind the market")
        outgoing = self._collected(ts)
        awaited = self._source.awaited(ts)
        for pair, stream in self._ready.items():
            if stream.ts != ts:
                self._pass_on(pair, stream.late(ts) if pair in awaited else stream.missing(ts), outgoing)
        self._send(outgoing)
        self._next = ts + self._step
        self._record_state()
        self._open_round(ts, set(outgoing.get(ts, ())))

    def _collected(self, newest: Millis) -> _Outgoing:
        """What has come of the candles up to `newest`."""
        outgoing: _Outgoing = {}
        for pair, candle in self._source.closed(tuple(self._ready), self._step, newest):
            stream = self._ready.get(pair)
            if stream is not None:
                self._pass_on(pair, stream.take(candle, newest), outgoing)
        return outgoing

    def _send(self, outgoing: _Outgoing) -> None:
        if self._keep_candles:
            self._record_candles(outgoing)
        for at in sorted(outgoing):
            for judge, candles in outgoing[at].items():
                self.tell(judge, CandlesClosed(timeframe_ms=self._step, ts=at, candles=tuple(candles)))

    def on_market_stirred(self, message: MarketStirred) -> None:
        """Look at everything that may have come."""
        del message
        for name, said in self._source.said():
            self.tell(name, said)
        for told in self._source.permits():
            self._wishes.hear(told)
        for pair, kind, detail in self._source.faults():
            self.alerts.add(pair, kind, detail)
        self.prices.tell_ranges()
        self.tell_quotes()
        self._pass_histories_on()
        if self._gathering:
            self._announce()
        elif self._next is not None and not self._ending:
            self._send(self._collected(self._next - self._step))

    def _record_candles(self, outgoing: Mapping[Millis, Mapping[str, list[tuple[str, Candle]]]]) -> None:
        for at in sorted(outgoing):
            rows = [[pair, *candle[1:]] for candles in outgoing[at].values() for pair, candle in candles]
            body = {"ts": at, "timeframe_ms": self._step, "candles": rows}
            self.outbox.record([Entry(kind="CandlesJudged", ts=self.now(), body=body, stream="ops")])

    def _pass_on(self, pair: str, taken: Taken, outgoing: _Outgoing) -> None:
        for candle in taken.candles:
            outgoing.setdefault(candle.ts, {}).setdefault(self._judges[pair], []).append((pair, candle))
        for fault, detail in taken.faults:
            self.alerts.add(pair, fault, detail)

    def _open_round(self, ts: Millis, judges: set[str]) -> None:
        self.alerts.counts["candles"] += 1
        self._round = ts + self._step
        self._waiting = judges
        if judges:
            self.start_timer("round", self._round_timeout_ms)
        self._schedule()

    def on_round_judged(self, message: RoundJudged) -> None:
        """A judge is done with a candle: when all are, the next one may come."""
        if message.ts == self._round:
            self._reported(message.judge)

    def _reported(self, judge: str) -> None:
        if judge in self._waiting:
            self._waiting.discard(judge)
            if not self._waiting:
                self.cancel_timer("round")
                self._schedule()

    def _give_up_round(self) -> None:
        names = ", ".join(sorted(self._waiting))
        self.alerts.add(EVERYBODY, SLOW, f"no report from {names} within {self._round_timeout_ms} ms")
        self._waiting = set()
        self._schedule()

    # ------------------------------------------------------------ prices

    def on_batch_end(self) -> None:
        """Answer those that have begun to watch; account for permits."""
        self.prices.answer_fresh()
        self._wishes.settle()

    # ------------------------------------------------------------ permits of the stream

    def on_permit_granted(self, message: PermitGranted) -> None:
        """The stream may ask one thing."""
        given = self._wishes.granted(message)
        if given is not None:
            self._source.grant(*given)

    def on_permit_denied(self, message: PermitDenied) -> None:
        """The stream may not ask it now."""
        request_id = self._wishes.denied(message)
        if request_id is not None:
            self._source.grant(request_id, None)

    # ------------------------------------------------------------ what is said of it

    def status(self) -> Mapping[str, Plain]:
        """The figures of the feed: what it serves, how far it is, what was wrong."""
        last = None if self._next is None else self._next - self._step
        return {
            "pairs": len(self._ready),
            "stale": sum(stream.stale for stream in self._ready.values()),
            "watched": len(self.prices),
            "last_candle": last,
            "behind": 0 if last is None else max(0, (self.now() - last) // self._step - 1),
            "waiting_for": sorted(self._waiting),
            "counts": dict(self.alerts.counts),
            **self._source.status(),
        }

    # ------------------------------------------------------------ timers and the end

    def on_timer_fired(self, message: TimerFired) -> None:
        """A candle has closed, a round takes too long, prices are due, or alerts are."""
        match message.name:
            case "candle":
                self._announce()
            case "round":
                self._give_up_round()
            case PriceWatch.TIMER:
                self.prices.tick()
            case "state":  # without a journal the bot cannot trade, but its windows can be filled
                self._answer_early()
            case DataAlerts.TIMER:
                self.alerts.flush()
            case Wishes.TIMER:
                self._wishes.ask_again()
            case _:
                super().on_timer_fired(message)

    def on_epoch_announced(self, message: EpochAnnounced) -> None:
        """A new judge will ask for its history; a new persistence actor is sent what is not on disk."""
        super().on_epoch_announced(message)
        self._reported(message.name)
        if message.role == "limiter":
            self._wishes.limiter_is(message.epoch)

    def on_shutdown(self, message: Shutdown) -> None:
        """No more candles; prices go on, since positions are guarded to the end."""
        self._reply_to, self._ending = message.reply_to, True
        self.cancel_timer("candle")
        if self.alerts:
            self.cancel_timer(DataAlerts.TIMER)
            self.alerts.flush()
        self._end_when_recorded()

    def on_recorded(self, message: Recorded) -> None:
        """Let go of what is on disk; at the end, say so."""
        super().on_recorded(message)
        self._end_when_recorded()

    def on_record_refused(self, message: RecordRefused) -> None:
        """Nothing waits for an alert or for the feed's own state: the outbox tries again, or lets go."""
        self.outbox.on_record_refused(message)
        self._end_when_recorded()

    def _end_when_recorded(self) -> None:
        if self._reply_to and not len(self.outbox):
            self.tell(self._reply_to, ShutdownDone(name=self.name))
            self._reply_to = ""


def _when(ts: Millis) -> str:
    return f"{np.datetime64(ts, 'ms').astype('datetime64[m]')} UTC".replace("T", " ")
