"""The judge of some pairs: has their candles judged by a worker process, and answers for what that does.

Rules
    A user's code runs in the worker, never here (unless `workers = 0`). The worker may do anything;
    the judge believes nothing it says before it is checked, and never waits for it.
    What a pair's strategy does wrong costs that pair: a failure is told to the pair, three in a row
    end in quarantine, which lasts for the run. The others lose one candle at most. Failed callbacks are
    counted by the pair's machine; the answer says when the fault is not the strategy's.

Theory of operation
    A round is one closed candle of all pairs. One round is with the worker, at most one more waits;
    an older one that nobody could judge in time is given up, its candles still go into the windows.
    While anything is out, a timer looks onto the desk (`judging.protocol`): verdicts that are there,
    and what is in hand for how long. Past the deadline the worker is killed and another hired; the
    pair that was in hand has failed, the rest of the round is judged by the new one if no newer
    candle has closed by then. The new worker's windows come from the feed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from actors.base import Context
from actors.judging.bench import Answer, Outcome, Verdict
from actors.judging.keeper import BenchFactory, WorkerKeeper, windowed_bench
from actors.judging.protocol import Batch
from actors.judging.rounds import Histories, Round
from engine.candles import Candle
from engine.errors import StrategyError
from engine.messages import (
    AccountTold,
    AskStrategy,
    CandlesClosed,
    EpochAnnounced,
    HistoryLoaded,
    LoadHistory,
    Plain,
    RoundJudged,
    SignalJudged,
    StrategyAnswered,
    StrategyFailed,
    TimerFired,
)
from engine.quarantine import Strikes
from engine.settings import StrategyConfig
from engine.strategy import StrategyFacts, Surroundings
from engine.types import Millis, exact
from engine.window import window_size
from engine.wishes import wishes_of

CHECK_MS: Final = 50
HISTORY_MS: Final = 5_000
IN_TIME_S: Final = 20.0
WAITING_MAX: Final = 1
NOWHERE: Final = -1


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question that is with the worker."""

    pair: str
    place: int
    reply_to: str
    expires: float
    trade_id: str


class JudgeActor(WorkerKeeper):
    """Owns one worker process and the rounds of its pairs.

    `config.workers == 0` judges inside, with the bench that `bench` makes: for debugging, and for
    simulation and replay (`FrameBench`). `facts` come from `judging.facts.load_facts`.
    Says `SignalJudged` to a pair that has a signal, `RoundJudged` to portfolio and feed for every
    round, `StrategyFailed` to a pair for every failure to judge; of a callback's the answer tells.
    """

    def __init__(
        self,
        ctx: Context,
        *,
        pairs: Sequence[str],
        config: StrategyConfig,
        facts: StrategyFacts,
        bench: BenchFactory = windowed_bench,
        surroundings: Surroundings | None = None,
    ) -> None:
        super().__init__(ctx, pairs, config, bench, surroundings or Surroundings(pairs=tuple(pairs)))
        self._places = {pair: place for place, pair in enumerate(self.pairs)}
        self._facts = facts
        self._window = window_size(facts.startup_candles, facts.window_candles)
        self._strikes = Strikes()
        self._histories = Histories(self._window)
        self._rounds: deque[Round] = deque()
        self._round: Round | None = None
        self._asked: dict[str, _Asked] = {}
        self._batches = 0
        self._watching = False
        self._account: Mapping[str, Plain] | None = None

    def status(self) -> dict[str, Plain]:
        """Figures for `ReportStatus`."""
        return {
            "pairs": len(self.pairs),
            "worker_pid": self.handle.pid if self.handle else 0,
            "workers_hired": self.hired,
            "quarantined": [self.pairs[place] for place in sorted(self._strikes.quarantined)],
            "rounds_waiting": len(self._rounds) + (self._round is not None),
        }

    # ------------------------------------------------------------ candles in

    def on_candles_closed(self, message: CandlesClosed) -> None:
        """Line up a round of those pairs that are ours and still judged."""
        quarantined = self._strikes.quarantined
        candles: dict[int, Candle] = {}
        failed: list[str] = []
        for pair, candle in message.candles:
            place = self._places.get(pair)
            if place is None:
                continue
            if place in quarantined:
                failed.append(pair)
            else:
                candles[place] = candle
        if not candles and not failed:
            return
        ts = message.ts + message.timeframe_ms
        if self._rounds and self._rounds[-1].ts == ts:
            self._rounds[-1].add(candles, failed)  # the rest of a candle that is waiting already
        else:
            self._rounds.append(Round(ts, candles, self.monotonic(), set(candles), failed=failed))
            self._give_up_all_but(WAITING_MAX)
        self._dispatch()

    def on_history_loaded(self, message: HistoryLoaded) -> None:
        """Fill windows, and ask for the next pairs'."""
        for pair, rows in message.pairs:
            place = self._places.get(pair)
            if place is not None and self._histories.loaded(place) and self.handle is not None:
                self.handle.load(place, rows)
        self._ask_history()
        self._dispatch()

    def _load_histories(self) -> None:
        if self.handle is not None and not self.handle.needs_history:
            return  # it has all candles already
        self._histories.begin(set(self._places.values()) - self._strikes.quarantined)
        self._ask_history()

    def _ask_history(self, *, again: bool = False) -> None:
        """Ask for the next pairs' candles once the last ones have come; `again` asks for those once more."""
        places = sorted(self._histories.asked) if again else self._histories.next()
        if places:
            pairs = tuple(self.pairs[place] for place in places)
            self.tell("feed", LoadHistory(pairs=pairs, count=self._window, reply_to=self.name))
            self.start_timer("history", HISTORY_MS)
        elif self._histories.complete:
            self.cancel_timer("history")

    def _dispatch(self) -> None:
        """Give the next round to the worker, if it can take one."""
        while self._round is None and self._rounds and self._histories.complete:
            handle = self.handle
            if handle is None or not handle.ready:
                break
            current = self._round = self._rounds.popleft()
            places = sorted(current.waiting)
            if places:
                self._batches += 1
                handle.judge(Batch(self._batches, places, [current.candles[place] for place in places]))
            self._collect()
        if self._busy():
            self._watch()

    def _give_up_all_but(self, count: int) -> None:
        while len(self._rounds) > count:
            self._give_up(self._rounds.popleft())

    def _give_up(self, late: Round) -> None:
        """A newer candle has closed before this round was judged: its candles count, its judgement is missing."""
        places = sorted(late.candles)
        if self.handle is not None and places:
            self.handle.judge(Batch(0, places, [late.candles[place] for place in places], judge=False))
        late.failed += [self.pairs[place] for place in sorted(late.waiting)]
        self._conclude(late)

    # ------------------------------------------------------------ verdicts out

    def _collect(self) -> None:
        """Take what is on the desk, and end the round if that was all of it."""
        current, handle = self._round, self.handle
        if current is None or handle is None:
            return
        try:
            verdicts = handle.collect()
        except StrategyError as error:
            self.replace(str(error))
            return
        for verdict in verdicts:
            if verdict.place in current.waiting:
                current.waiting.remove(verdict.place)
                self._settle(current, verdict)
        if not current.waiting:
            self._round = None
            self._conclude(current)

    def _settle(self, current: Round, verdict: Verdict) -> None:
        pair, signal = self.pairs[verdict.place], verdict.signal
        if verdict.outcome is Outcome.JUDGED:
            current.judged += 1
            self._strikes.clear(verdict.place)
            for wish in wishes_of(verdict.wishes):
                self.tell("portfolio", wish)  # before the signal, which it may be meant to stop
            if signal:
                current.with_signal += 1
                if signal.enter_long or signal.enter_short:
                    current.wishes.append(pair)
                price = exact(current.candles[verdict.place].close if verdict.price is None else verdict.price)
                judged = SignalJudged(
                    pair=pair, ts=current.ts, signal=signal, price=price, last_entry=verdict.last_entry
                )
                self.tell(f"pair:{pair}", judged)
            return
        current.failed.append(pair)
        if verdict.outcome is not Outcome.LATE:
            self._fail(verdict.place, current.ts, verdict.reason)

    def _fail(self, place: int, ts: Millis, reason: str) -> None:
        """Tell a pair that its strategy could not judge, and that it is not asked any more if that was the third time."""
        pair = self.pairs[place]
        quarantined = self._strikes.strike(place)
        self.log.warning("{}: the strategy failed: {}", pair, reason)
        self.tell(f"pair:{pair}", StrategyFailed(pair=pair, ts=ts, reason=reason, quarantined=quarantined))
        if quarantined:
            text = f"{pair} is judged no more in this run, its strategy failed three times in a row: {reason}"
            self.log.error(text)
            self.notify("warning", "quarantined", text)

    def _conclude(self, done: Round) -> None:
        wishes, failed = tuple(done.wishes), tuple(done.failed)
        judged = RoundJudged(judge=self.name, ts=done.ts, wishes=wishes, judged=done.judged, failed=failed)
        self.tell("portfolio", judged)
        self.tell("feed", judged)
        body = {
            "ts": done.ts,
            "judged": done.judged,
            "with_signal": done.with_signal,
            "failed": len(failed),
            "took_ms": round((self.monotonic() - done.started) * 1_000, 3),
        }
        self.note("Judged", body)

    # ------------------------------------------------------------ questions

    def on_ask_strategy(self, message: AskStrategy) -> None:
        """Have a callback called; where that is not possible, say so at once: the asker has a default."""
        place = self._places.get(message.pair, NOWHERE)
        expires = self.monotonic() + self.config.callback_deadline_ms / 1_000
        trade = message.arguments.get("trade") or {}
        asked = _Asked(message.pair, place, message.reply_to, expires, trade.get("trade_id", ""))
        refusal = self._refusal(place, message.callback)
        if self.handle is None or refusal:
            self._answer(message.request_id, asked, Answer(failed=refusal), excused=True)
            return
        if message.account is not None:
            self._hear(message.account)
        answer = self.handle.ask(message.request_id, place, message.callback, message.arguments)
        if answer is None:
            self._asked[message.request_id] = asked
            self._watch()
        else:
            self._answered(message.request_id, asked, answer)

    def _refusal(self, place: int, callback: str) -> str:
        if place == NOWHERE:
            return f"{self.name} does not judge this pair"
        if place in self._strikes.quarantined:
            return "the strategy is quarantined on this pair"
        if callback not in self._facts.callbacks:
            return f"the strategy has no {callback}"
        if self.handle is None or not self.handle.ready:
            return "the worker is being replaced"
        return ""

    def _answered(self, request_id: str, asked: _Asked, answer: Answer) -> None:
        if answer.failed:
            self.log.warning("{}: the strategy failed: {}", asked.pair, answer.failed)
        self._answer(request_id, asked, answer)

    def _answer(self, request_id: str, asked: _Asked, answer: Answer, *, excused: bool = False) -> None:
        said = StrategyAnswered(
            request_id=request_id,
            pair=asked.pair,
            answer=answer.answer,
            failed=answer.failed,
            excused=excused,
            trade_id=asked.trade_id,
            custom_data=answer.custom_data,
            wishes=wishes_of(answer.wishes),
        )
        self.tell(asked.reply_to, said)

    def worker_answered(self, request_id: str, answer: Answer) -> None:
        """Pass the answer on, unless it has come too late."""
        asked = self._asked.pop(request_id, None)
        if asked is not None:
            self._answered(request_id, asked, answer)

    def on_account_told(self, message: AccountTold) -> None:
        """The account has changed: candles judged from here on see it."""
        self._hear(message.account)

    def _hear(self, account: Mapping[str, Plain]) -> None:
        self._account = account
        if self.handle is not None:
            self.handle.hear(account)

    # ------------------------------------------------------------ the worker

    def worker_hired(self) -> None:
        """Ask for the candles of its windows."""
        if self._account is not None and self.handle is not None:
            self.handle.hear(self._account)
        self._load_histories()
        if self.config.workers != 0:
            self._watch()

    def worker_heard(self) -> None:
        """Take the verdicts; the worker may be free for the next round."""
        self._collect()
        self._dispatch()

    def worker_lost(self, reason: str, place: int | None, *, asked: bool, ready: bool) -> None:
        """The pair in hand has failed; open questions take their defaults; the rest of the round waits."""
        lost, self._asked = self._asked, {}
        for request_id, question in lost.items():
            excused = not asked or question.place != place
            self._answer(request_id, question, Answer(failed=f"the worker was replaced: {reason}"), excused=excused)
        current, self._round = self._round, None
        if place is not None and not asked:
            if current is not None:
                current.waiting.discard(place)
                current.failed.append(self.pairs[place])
            self._fail(place, current.ts if current else self.now(), reason)
        if current is not None:
            self._rounds.appendleft(current)
        self._give_up_all_but(WAITING_MAX if ready else 0)

    # ------------------------------------------------------------ watching

    def _busy(self) -> bool:
        return self._round is not None or bool(self._asked) or bool(self._rounds)

    def _watch(self) -> None:
        if not self._watching:
            self._watching = True
            self.start_timer("check", CHECK_MS)

    def on_timer_fired(self, message: TimerFired) -> None:
        """Look after the worker, or ask again for histories that have not come."""
        if message.name == "check":
            self._watching = False
            self._check()
        elif message.name == "history":
            self._ask_history(again=True)
        else:
            super().on_timer_fired(message)

    def _check(self) -> None:
        self._collect()
        now = self.monotonic()
        hand = None if self.handle is None else self.handle.in_hand()
        hangs = hand.place if hand is not None and hand.asked else NOWHERE  # its fault; the worker is replaced for it
        for request_id in [r for r, asked in self._asked.items() if now > asked.expires and asked.place != hangs]:
            asked = self._asked.pop(request_id)
            late = f"no answer within {self.config.callback_deadline_ms} ms"
            self._answer(request_id, asked, Answer(failed=late), excused=True)
        handle = self.handle
        overdue = None if handle is None else handle.overdue(busy=self._round is not None or bool(self._asked))
        if overdue is not None:
            self.replace(overdue.reason, overdue.place, asked=overdue.asked)
        while self._rounds and now - self._rounds[0].started > IN_TIME_S:
            self._give_up(self._rounds.popleft())
        self._dispatch()
        if self.handle is not None and not self.handle.ready:
            self._watch()

    # ------------------------------------------------------------ others

    def on_epoch_announced(self, message: EpochAnnounced) -> None:
        """A new feed knows nothing of our pairs: ask for their candles again."""
        super().on_epoch_announced(message)
        if message.role == "feed":
            self._load_histories()
