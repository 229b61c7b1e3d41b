"""The market-data side of an exchange: every candle to its judge once, prices of open trades as they go.

Rules
    One round at a time: a candle is announced when the judges have reported the one before, or when
    `round_timeout_ms` have passed. So a market that runs faster than the judges can think is noticed and
    counted (`late`), and what waits is a time in the market, not a queue.
    Nobody is sent candles before having asked for its history (`LoadHistory`), which says where they
    begin. After a crash the feed goes on where its recorded state says: what has closed meanwhile is sent
    first, in order.
    What is wrong with the data is told to the journal, gathered: at most `ALERTS_MAX` entries in
    `ALERT_MS`, the rest of them summed.

Why no thread
    The feed asks its source when market time says that something is there. A source that is a network
    hides its own thread behind the port.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from actors.base import Context, EngineActor
from actors.outbox import Outbox
from actors.venues.ports import MarketSource, PriceRange
from engine.candles import Candle, timeframe_ms
from engine.messages import (
    CandlesClosed,
    Entry,
    EpochAnnounced,
    HistoryLoaded,
    LoadHistory,
    MarketRange,
    Notify,
    Plain,
    Recorded,
    RecordRefused,
    RoundJudged,
    Shutdown,
    ShutdownDone,
    StateLoaded,
    TimerFired,
    WatchPrice,
)
from engine.repair import DataFault
from engine.settings import FeedConfig
from engine.stream import CandleStream, Taken
from engine.types import Millis, exact

ALERT_MS = 5_000
ALERTS_MAX = 20
HISTORY_PAIRS = 50
CATCH_UP_MAX = 500
OUTBOX_MAX = 50
STATE_MS = 5_000
EVERYBODY = "*"
SLOW = "slow"


class FeedActor(EngineActor):
    """Announces closed candles to judges and prices to pairs that watch; checks and repairs what it is given.

    `keep_candles` records every candle that is announced. `judges` names the judge of each pair; whoever asks for a pair's history becomes its judge.
    """

    def __init__(
        self,
        ctx: Context,
        source: MarketSource,
        pairs: Sequence[str],
        timeframe: str,
        judges: Mapping[str, str],
        config: FeedConfig,
        *,
        round_timeout_ms: int = 10_000,
        keep_candles: bool = False,
    ) -> None:
        super().__init__(ctx)
        self._keep_candles = keep_candles
        self._source = source
        self._step = timeframe_ms(timeframe)
        self._tick_ms = config.tick_ms
        self._round_timeout_ms = round_timeout_ms
        self._judges = dict(judges)
        self._streams = {pair: CandleStream(pair, self._step, config.stale_after_candles) for pair in pairs}
        self._ready: dict[str, CandleStream] = {}
        self._watched: dict[str, Millis] = {}
        self._fresh: dict[str, None] = {}
        self._next: Millis | None = None
        self._round: Millis | None = None
        self._waiting: set[str] = set()
        self._alerts: dict[tuple[str, str], tuple[int, str, Millis]] = {}
        self._counts: Counter[str] = Counter()
        self._reply_to = ""
        self._ending = False
        self._early: dict[tuple[str, tuple[str, ...]], LoadHistory] | None = None
        self.outbox = Outbox(self)

    def on_start(self) -> None:
        """Learn how far an earlier incarnation came."""
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
            self._alert(EVERYBODY, DataFault.GAP, "too old to be announced after a restart", skipped)
            last += skipped * self._step
        history = self._source.history(tuple(self._streams), self._step, last + self._step, 1)
        for pair, stream in self._streams.items():
            known = history.get(pair)
            stream.start(behind.get(pair, last), float(known.close[-1]) if known is not None and len(known) else None)
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
            rows = tuple(self._window(pairs, max(0, message.count), message.reply_to).items())
            self.tell(message.reply_to, HistoryLoaded(timeframe_ms=self._step, pairs=rows))
            self.ctx.progress()
        self._record_state()
        self._schedule()

    def _window(self, pairs: Sequence[str], count: int, judge: str) -> dict[str, tuple[Candle, ...]]:
        assert self._next is not None
        history = self._source.history(pairs, self._step, self._next, max(1, count))
        windows: dict[str, tuple[Candle, ...]] = {}
        for pair in pairs:
            rows = tuple(history[pair]) if pair in history else ()
            windows[pair] = rows[-count:] if count else ()
            stream = self._streams.get(pair)
            if stream is not None:
                stream.start(rows[-1].ts if rows else None, rows[-1].close if rows else None)
                self._ready[pair] = stream
                self._judges[pair] = judge
        return windows

    # ------------------------------------------------------------ candles

    def _schedule(self) -> None:
        """Wait for the next candle's close, unless a round is open or there is nobody to tell."""
        if self._next is None or self._waiting or self._ending:
            return
        self.start_timer("candle", max(0, self._next + self._step - self.now()), market=True)

    def _announce(self) -> None:
        ts = self._next
        assert ts is not None
        if self.now() < ts + self._step:  # a timer may be rounded to be early; a candle may not
            self._schedule()
            return
        _, end = self._source.span()
        if end is not None and ts > end:
            self._notify("info", "data_ended", f"The candles end at {_when(end)}.")
            return
        late = (self.now() - ts) // self._step - 1
        if late > 0:
            self._alert(EVERYBODY, SLOW, f"judging is {late} candles behind the market")
        outgoing: dict[Millis, dict[str, list[tuple[str, Candle]]]] = {}
        for pair, candle in self._source.closed(tuple(self._ready), self._step, ts):
            stream = self._ready.get(pair)
            if stream is not None:
                self._pass_on(pair, stream.take(candle, ts), outgoing)
        for pair, stream in self._ready.items():
            if stream.ts != ts:
                self._pass_on(pair, stream.missing(ts), outgoing)
        if self._keep_candles:
            self._record_candles(outgoing)
        for at in sorted(outgoing):
            for judge, candles in outgoing[at].items():
                self.tell(judge, CandlesClosed(timeframe_ms=self._step, ts=at, candles=tuple(candles)))
        self._next = ts + self._step
        self._record_state()
        self._open_round(ts, set(outgoing.get(ts, ())))

    def _record_candles(self, outgoing: Mapping[Millis, Mapping[str, list[tuple[str, Candle]]]]) -> None:
        for at in sorted(outgoing):
            rows = [[pair, *candle[1:]] for candles in outgoing[at].values() for pair, candle in candles]
            body = {"ts": at, "timeframe_ms": self._step, "candles": rows}
            self.outbox.record([Entry(kind="CandlesJudged", ts=self.now(), body=body, stream="ops")])

    def _pass_on(self, pair: str, taken: Taken, outgoing: dict[Millis, dict[str, list[tuple[str, Candle]]]]) -> None:
        for candle in taken.candles:
            outgoing.setdefault(candle.ts, {}).setdefault(self._judges[pair], []).append((pair, candle))
        for fault, detail in taken.faults:
            self._alert(pair, fault, detail)

    def _open_round(self, ts: Millis, judges: set[str]) -> None:
        self._counts["candles"] += 1
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
        self._alert(EVERYBODY, SLOW, f"no report from {names} within {self._round_timeout_ms} ms")
        self._waiting = set()
        self._schedule()

    # ------------------------------------------------------------ prices

    def on_watch_price(self, message: WatchPrice) -> None:
        """Begin with the newest price at once, so that a guard knows where it stands; or end."""
        if not message.watch:
            self._fresh.pop(message.pair, None)
            self._watched.pop(message.pair, None)
        elif message.pair not in self._watched:
            self._fresh[message.pair] = None

    def on_batch_end(self) -> None:
        """Answer all that have begun to watch together: a hundred pairs after a restart cost one look."""
        if not self._fresh:
            return
        now = self.now()
        fresh, self._fresh = tuple(self._fresh), {}
        if not self._watched:
            self.start_timer("tick", self._tick_ms)
        self._watched.update(dict.fromkeys(fresh, now))
        for price in self._source.prices(fresh, now):
            self._tell_range(price)

    def _tick(self) -> None:
        now = self.now()
        since: dict[Millis, list[str]] = {}
        for pair, after in self._watched.items():
            since.setdefault(after, []).append(pair)
        for after, pairs in since.items():
            for price in self._source.ranges(pairs, after, now):
                self._tell_range(price)
        self._watched = dict.fromkeys(self._watched, now)
        if self._watched:
            self.start_timer("tick", self._tick_ms)

    def _tell_range(self, price: PriceRange) -> None:
        pair, ts, opened, high, low, close = price
        message = MarketRange(
            pair=pair, ts=ts, open=exact(opened), high=exact(high), low=exact(low), close=exact(close)
        )
        self.tell(f"pair:{pair}", message)

    # ------------------------------------------------------------ what is said of it

    def _alert(self, pair: str, kind: str, detail: str, count: int = 1) -> None:
        self._counts[kind] += count
        if not self._alerts:
            self.start_timer("alerts", ALERT_MS)
        earlier = self._alerts.get((pair, kind))
        self._alerts[pair, kind] = (count + (earlier[0] if earlier else 0), detail, self.now())

    def _flush_alerts(self) -> None:
        if len(self.outbox) >= OUTBOX_MAX:
            self.start_timer("alerts", ALERT_MS)
            return
        alerts, self._alerts = self._alerts, {}
        # What is said once goes first: a flood of gaps must not hide that a pair has gone stale.
        once = (DataFault.STALE, DataFault.HEALED)
        ordered = sorted(alerts.items(), key=lambda item: item[0][1] not in once)
        shown = [(pair, kind, *rest) for (pair, kind), rest in ordered[:ALERTS_MAX]]
        summed: dict[str, tuple[int, int]] = {}
        for (_, kind), (count, _, _) in ordered[ALERTS_MAX:]:
            pairs, total = summed.get(kind, (0, 0))
            summed[kind] = (pairs + 1, total + count)
        shown += [(EVERYBODY, k, n, f"on {pairs} more pairs", self.now()) for k, (pairs, n) in summed.items()]
        self.outbox.record([_entry(*alert) for alert in shown])
        for kind in once:
            pairs_of_kind = [pair for pair, of_kind in alerts if of_kind == kind]
            if pairs_of_kind:
                some = ", ".join(pairs_of_kind[:5]) + (" and others" if len(pairs_of_kind) > 5 else "")
                text = "no candles come" if kind is DataFault.STALE else "candles come again"
                self._notify("warning", f"data_{kind}", f"{len(pairs_of_kind)} pairs: {text}: {some}.")

    def _notify(self, severity: str, event: str, text: str) -> None:
        self.tell("notifier", Notify(ts=self.now(), severity=severity, event=event, text=text))

    def status(self) -> Mapping[str, Plain]:
        """The figures of the feed: what it serves, how far it is, what was wrong."""
        last = None if self._next is None else self._next - self._step
        return {
            "pairs": len(self._ready),
            "stale": sum(stream.stale for stream in self._ready.values()),
            "watched": len(self._watched),
            "last_candle": last,
            "behind": 0 if last is None else max(0, (self.now() - last) // self._step - 1),
            "waiting_for": sorted(self._waiting),
            "counts": dict(self._counts),
        }

    # ------------------------------------------------------------ timers and the end

    def on_timer_fired(self, message: TimerFired) -> None:
        """A candle has closed, a round takes too long, prices are due, or alerts are."""
        match message.name:
            case "candle":
                self._announce()
            case "round":
                self._give_up_round()
            case "tick":
                self._tick()
            case "state":  # without a journal the bot cannot trade, but its windows can be filled
                self._answer_early()
            case "alerts":
                self._flush_alerts()
            case _:
                super().on_timer_fired(message)

    def on_epoch_announced(self, message: EpochAnnounced) -> None:
        """A new judge will ask for its history; a new persistence actor is sent what is not on disk."""
        super().on_epoch_announced(message)
        self._reported(message.name)

    def on_shutdown(self, message: Shutdown) -> None:
        """No more candles; prices go on, since positions are guarded to the end."""
        self._reply_to, self._ending = message.reply_to, True
        self.cancel_timer("candle")
        if self._alerts:
            self.cancel_timer("alerts")
            self._flush_alerts()
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


def _entry(pair: str, kind: str, count: int, detail: str, ts: Millis) -> Entry:
    body = {"pair": pair, "kind": str(kind), "detail": detail, "count": count}
    return Entry(kind="DataAlert", ts=ts, body=body, stream="ops")


def _when(ts: Millis) -> str:
    return f"{np.datetime64(ts, 'ms').astype('datetime64[m]')} UTC".replace("T", " ")
