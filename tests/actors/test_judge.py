"""The judge: what a strategy does wrong costs its own pair, whatever it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from actors.base import Context, EngineActor
from actors.judge import JudgeActor
from actors.judging.bench import FrameBench, Judging
from actors.judging.facts import load_facts
from actors.judging.loader import StrategyMaker
from actors.runtime import SimRuntime, ThreadRuntime
from engine.candles import Candle, Candles
from engine.messages import (
    AskStrategy,
    CandlesClosed,
    EpochAnnounced,
    HistoryLoaded,
    LoadHistory,
    Message,
    RoundJudged,
    SignalJudged,
    StrategyAnswered,
    StrategyFailed,
)
from engine.settings import StrategyConfig
from engine.strategy import facts_of
from engine.types import exact
from tests.actors.probes import Disk, MemoryPersistence, Seen, probe
from tests.actors.test_processes import group_ends

MINUTE = 60_000
START = 1_700_000_040_000

STRATEGY = '''
import os, re, sys, time
import numpy as np
from engine.strategy import Signals, Strategy

class Moody(Strategy):
    """Does per pair what the pair's name says; every other pair enters on every candle."""

    timeframe = "1m"
    startup_candles = 3
    calls = 0

    def signals(self, candles):
        self.calls += 1
        n = len(candles)
        mood = candles.pair.split("/")[0]
        enter = np.ones(n, dtype=bool)
        if mood == "RAISE":
            return Signals(enter_long=np.ones(n, dtype=bool) / no_such_name)
        if mood == "LOOP":
            while True:
                pass
        if mood == "HOLD":  # C code that never lets the interpreter go
            re.match(r"(a+)+$", "a" * 60 + "b")
        if mood == "EXIT":
            sys.exit(3)
        if mood == "DIE":
            os._exit(7)
        if mood == "EAT":
            self.food = [bytearray(64 << 20) for _ in range(10_000)]
        if mood == "SHORT":
            return Signals(enter_long=enter[:-1])
        if mood == "WRITE":
            candles.close[0] = 1.0
        if mood == "NAN":
            return Signals(enter_long=np.full(n, np.nan))
        if mood == "NONE":
            return None
        if mood == "ODD" and (candles.ts[-1] // 60_000) % 2:
            raise ValueError("an odd minute")
        if mood == "PRINT":
            print("hello from", candles.pair, n)
        if mood == "FORK":
            if os.fork() == 0:
                time.sleep(1000)
        return Signals(enter_long=enter, enter_tag=[mood] * n, score=np.full(n, float(self.calls)))

    def custom_exit(self, pair, trade, current_time, **kwargs):
        if pair.startswith("STUCK"):
            while True:
                pass
        if pair.startswith("WRONG"):
            return 1 / 0
        return f"{trade.trade_id} at {self.candles.close[-1]}"

    def custom_stoploss(self, pair, current_rate, **kwargs):
        return float("nan")
'''


def candle(at: int, close: float = 100.0) -> Candle:
    """A candle that opens `at` minutes after the start."""
    return Candle(START + at * MINUTE, close, close + 1, close - 1, close, 5.0)


class Feed(EngineActor):
    """Answers `LoadHistory` with flat candles and keeps everything it is told."""

    def __init__(self, ctx: Context, seen: Seen) -> None:
        super().__init__(ctx)
        self.seen = seen
        self.rows = tuple(candle(at) for at in range(-20, 0))

    def receive(self, message: Message) -> None:
        """Keep it; answer what asks."""
        self.seen.add(message)
        if isinstance(message, LoadHistory):
            pairs = tuple((pair, self.rows) for pair in message.pairs)
            self.tell(message.reply_to, HistoryLoaded(timeframe_ms=MINUTE, pairs=pairs))


class Court:
    """A judge with everybody it talks to, on real threads and with real worker processes."""

    def __init__(self, config: StrategyConfig, pairs: Sequence[str]) -> None:
        self.runtime = ThreadRuntime(watchdog_s=0)
        self.pairs = tuple(pairs)
        self.disk, self.feed, self.portfolio, self.notifier = Disk(), Seen(), Seen(), Seen()
        self.seen = {pair: Seen() for pair in pairs}
        self.runtime.spawn("persistence", lambda ctx: MemoryPersistence(ctx, self.disk))
        self.runtime.spawn("feed", lambda ctx: Feed(ctx, self.feed))
        self.runtime.spawn("portfolio", probe(self.portfolio))
        self.runtime.spawn("notifier", probe(self.notifier))
        for pair in pairs:
            self.runtime.spawn(f"pair:{pair}", probe(self.seen[pair]))
        facts = load_facts(config, limit_s=60)
        self.runtime.spawn("judge:0", lambda ctx: JudgeActor(ctx, pairs=pairs, config=config, facts=facts))

    def close(self, at: int, pairs: Sequence[str] | None = None) -> None:
        """Tell the judge that the candles which opened `at` have closed."""
        candles = tuple((pair, candle(at)) for pair in pairs or self.pairs)
        self.runtime.tell("judge:0", CandlesClosed(timeframe_ms=MINUTE, ts=START + at * MINUTE, candles=candles))

    def judge(self, at: int) -> RoundJudged:
        """As `close`, and wait for the round's end."""
        before = len(self.portfolio.of(RoundJudged))
        self.close(at)
        return self.portfolio.wait(RoundJudged, before + 1, timeout_s=120)[-1]

    def ask(self, pair: str, callback: str = "custom_exit") -> StrategyAnswered:
        """Ask the strategy and wait for the answer."""
        seen = self.seen[pair]
        before = len(seen.of(StrategyAnswered))
        arguments = {"pair": pair, "trade": view(pair), "current_time": START, "current_rate": 100.0}
        question = AskStrategy(
            request_id=f"q{before}", pair=pair, callback=callback, arguments=arguments, reply_to=f"pair:{pair}"
        )
        self.runtime.tell("judge:0", question)
        return seen.wait(StrategyAnswered, before + 1)[-1]

    def replaced(self) -> list[str]:
        """The pairs that workers were replaced for, in order."""
        return [entry.body["pair"] for _, entry in self.disk.entries if entry.kind == "WorkerReplaced"]


def view(pair: str) -> dict[str, object]:
    """A trade as a callback is told of it."""
    rates = dict.fromkeys(["open_rate", "stop_loss", "initial_stop_loss", "max_rate", "min_rate"], 100.0)
    return {
        "pair": pair,
        "trade_id": "t1",
        "is_short": False,
        "open_ts": START,
        "amount": 1.0,
        "stake_amount": 100.0,
        "leverage": 1.0,
        "enter_tag": "",
        "entries": 1,
        "exits": 0,
        **rates,
    }


@pytest.fixture
def config(tmp_path: Path) -> StrategyConfig:
    """The moody strategy, with deadlines that no slow machine misses; a test of what hangs makes them shorter."""
    file = tmp_path / "moody.py"
    file.write_text(STRATEGY)
    return StrategyConfig(name=str(file), workers=1, deadline_ms=60_000, callback_deadline_ms=60_000, memory_mb=700)


@pytest.fixture
def court(config: StrategyConfig) -> Iterator[Callable[..., Court]]:
    """Builds courts, and closes them after the test."""
    courts: list[Court] = []

    def build(*pairs: str, **changes: object) -> Court:
        courts.append(Court(replace(config, **changes), pairs))
        return courts[-1]

    yield build
    for each in courts:
        assert each.runtime.close()


def test_signals_reach_their_pairs(court: Callable[..., Court]) -> None:
    """Each pair gets its own signal with price, tag and close time; portfolio and feed get the round."""
    pit = court("A/USDT", "NAN/USDT", "B/USDT")
    judged = pit.judge(0)

    assert RoundJudged(judge="judge:0", ts=START + MINUTE, wishes=("A/USDT", "B/USDT"), judged=3) == judged
    (told,) = pit.seen["A/USDT"].wait(SignalJudged)
    assert (START + MINUTE, exact(100.0), "A", 1.0) == (told.ts, told.price, told.signal.enter_tag, told.signal.score)
    assert [judged] == pit.feed.wait(RoundJudged)
    assert pit.seen["NAN/USDT"].messages == []


@pytest.mark.parametrize("workers", [0, 1])
def test_errors_cost_their_own_pair(court: Callable[..., Court], workers: int) -> None:
    """Raising, exiting and nonsense answers fail with a reason in one sentence; the others are judged."""
    bad = {
        "RAISE/USDT": "moody.py, line 19: NameError: name 'no_such_name' is not defined",
        "EXIT/USDT": "sys.exit() was called",
        "SHORT/USDT": "shape (20,) for 21 candles",
        "WRITE/USDT": "read-only",
        "NONE/USDT": "must return Signals",
    }
    pit = court("A/USDT", *bad, "B/USDT", workers=workers)
    judged = pit.judge(0)

    assert judged.wishes == ("A/USDT", "B/USDT")
    assert set(bad) == set(judged.failed)
    for pair, reason in bad.items():
        assert reason in pit.seen[pair].wait(StrategyFailed)[0].reason
    assert pit.replaced() == []


@pytest.mark.parametrize("mood", ["LOOP", "HOLD", "DIE", "EAT"])
def test_what_breaks_a_worker_costs_one_pair(court: Callable[..., Court], mood: str) -> None:
    """A hang (in Python, in C), an `os._exit`, a memory hog: a new worker judges the others' same candle."""
    bad = f"{mood}/USDT"
    pit = court("A/USDT", bad, "B/USDT", deadline_ms=60_000 if mood == "DIE" else 2_000)
    judged = pit.judge(0)

    assert judged.wishes == ("A/USDT", "B/USDT")
    assert (bad,) == judged.failed
    assert len(pit.seen[bad].wait(StrategyFailed)) == 1
    assert [told.ts for told in pit.seen["B/USDT"].wait(SignalJudged)] == [START + MINUTE]


def test_what_was_done_before_a_hang_is_not_held_back(court: Callable[..., Court]) -> None:
    """A pair judged before one that hangs has its signal long before the deadline."""
    pit = court("A/USDT", "LOOP/USDT")
    pit.close(0)
    pit.seen["A/USDT"].wait(SignalJudged)

    assert pit.portfolio.of(RoundJudged) == []
    assert pit.replaced() == []


def test_three_failures_in_a_row_are_quarantine(court: Callable[..., Court]) -> None:
    """The third failure in a row is told as the last; the pair is then neither judged nor asked."""
    pit = court("A/USDT", "LOOP/USDT", deadline_ms=1_000)
    for at in range(4):
        judged = pit.judge(at)
        assert (judged.wishes, judged.failed) == (("A/USDT",), ("LOOP/USDT",))

    failures = pit.seen["LOOP/USDT"].wait(StrategyFailed, 3)
    assert [failure.quarantined for failure in failures] == [False, False, True]
    assert pit.replaced() == ["LOOP/USDT"] * 3
    assert "quarantined" in pit.ask("LOOP/USDT").failed
    assert [told.event for told in pit.notifier.messages] == ["quarantined"]


def test_a_success_ends_a_row_of_failures(court: Callable[..., Court]) -> None:
    """A pair that fails every other time is never quarantined."""
    pit = court("ODD/USDT")
    outcomes = [bool(pit.judge(at).wishes) for at in range(6)]

    assert outcomes in ([False, True] * 3, [True, False] * 3)
    assert not any(failure.quarantined for failure in pit.seen["ODD/USDT"].wait(StrategyFailed, 3))


def test_callbacks_are_answered(court: Callable[..., Court]) -> None:
    """A callback sees its trade and the candles closed so far; NaN is no answer; unknown ones are refused."""
    pit = court("A/USDT")
    pit.judge(0)

    assert pit.ask("A/USDT").answer == "t1 at 100.0"
    assert (pit.ask("A/USDT", "custom_stoploss").answer, pit.ask("A/USDT", "custom_stoploss").failed) == (None, "")
    assert pit.ask("A/USDT", "leverage").failed == "the strategy has no leverage"


def test_bad_callbacks_leave_the_default(court: Callable[..., Court]) -> None:
    """A callback that raises says so; one that hangs is late, and its worker is replaced; others go on."""
    pit = court("A/USDT", "WRONG/USDT", "STUCK/USDT", callback_deadline_ms=2_000)
    pit.judge(0)

    answers = [pit.ask("WRONG/USDT"), pit.ask("STUCK/USDT"), pit.ask("A/USDT", "leverage")]
    assert "ZeroDivisionError" in answers[0].failed
    assert all(answer.failed for answer in answers)
    assert [False, False, True] == [answer.excused for answer in answers]  # whose fault it was
    assert pit.judge(1).wishes == ("A/USDT", "WRONG/USDT", "STUCK/USDT")
    assert pit.replaced() == ["STUCK/USDT"]


def test_a_killed_worker_is_replaced(court: Callable[..., Court]) -> None:
    """`kill -9` of a worker between two candles costs no judgement."""
    pit = court("A/USDT", "B/USDT")  # its end is seen at once
    pit.judge(0)
    os.kill(worker_pid(pit), 9)

    assert pit.judge(1).wishes == ("A/USDT", "B/USDT")


def test_a_new_feed_is_asked_for_history_again(court: Callable[..., Court]) -> None:
    """When the feed's epoch changes, every window is loaded anew and judging goes on."""
    pit = court("A/USDT")
    pit.judge(0)
    pit.runtime.tell("judge:0", EpochAnnounced(name="feed", epoch=2))
    pit.feed.wait(LoadHistory, 2)

    assert pit.judge(1).wishes == ("A/USDT",)


def test_a_worker_does_not_outlive_its_judge(court: Callable[..., Court]) -> None:
    """When the judge crashes its worker goes too, with whatever the user's code had started."""
    pit = court("A/USDT", "FORK/USDT", deadline_ms=2_000)
    pit.judge(0)
    pid = worker_pid(pit)
    pit.runtime.kill("judge:0")

    assert group_ends(pid)


def test_a_worker_knows_no_secrets(court: Callable[..., Court], monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment variables of the bot do not reach the process that runs a user's code."""
    monkeypatch.setenv("TRADEPIT_SECRET", "hunter2")
    pit = court("A/USDT")
    pit.judge(0)

    assert b"hunter2" not in Path(f"/proc/{worker_pid(pit)}/environ").read_bytes()


def test_a_late_candle_is_taken_in_and_counted(court: Callable[..., Court]) -> None:
    """While a worker is busy a third candle closes: the one that waited is given up, and said to have failed."""
    pit = court("A/USDT", "LOOP/USDT")
    pit.close(0)
    pit.seen["A/USDT"].wait(SignalJudged)
    pit.close(1)
    pit.close(2)
    rounds = pit.portfolio.wait(RoundJudged, 1)

    assert (rounds[0].ts, rounds[0].judged, rounds[0].failed) == (START + 2 * MINUTE, 0, ("A/USDT", "LOOP/USDT"))


def test_frames_are_judged_as_in_a_backtest(config: StrategyConfig) -> None:
    """In a simulation with whole frames a signal is acted at the next candle's open, not within start-up."""
    maker = StrategyMaker(config.name, {}, {})
    ts = START + MINUTE * np.arange(8)
    prices = np.arange(8, dtype=float) + 100
    frame = Candles(
        pair="A/USDT", timeframe="1m", ts=ts, open=prices, high=prices, low=prices, close=prices, volume=prices
    )
    runtime, seen, rounds = SimRuntime(seed=1), Seen(), Seen()

    def bench(*_: object) -> Judging:
        return FrameBench(maker, [frame])

    runtime.spawn("persistence", lambda ctx: MemoryPersistence(ctx, Disk()))
    runtime.spawn("feed", lambda ctx: Feed(ctx, Seen()))
    runtime.spawn("portfolio", probe(rounds))
    runtime.spawn("pair:A/USDT", probe(seen))
    facts = facts_of(maker.make())
    inline = replace(config, workers=0)
    runtime.spawn("judge:0", lambda ctx: JudgeActor(ctx, pairs=["A/USDT"], config=inline, facts=facts, bench=bench))
    for row in frame:
        runtime.tell("judge:0", CandlesClosed(timeframe_ms=MINUTE, ts=row.ts, candles=(("A/USDT", row),)))
        runtime.run(for_ms=1_000)

    told = seen.of(SignalJudged)
    assert [(signal.ts - START) // MINUTE for signal in told] == [4, 5, 6, 7]
    assert [exact(104.0), exact(105.0), exact(106.0), exact(107.0)] == [signal.price for signal in told]
    assert [signal.last_entry for signal in told] == [False, False, False, True]
    assert len(rounds.of(RoundJudged)) == 8


def worker_pid(pit: Court) -> int:
    """The worker's process id: the youngest child of ours that is a worker."""
    workers = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(stat[1]) == os.getpid() and stat[0] != "Z" and b"actors.judging.worker" in command:
                workers.append(int(entry.name))
    return max(workers)
