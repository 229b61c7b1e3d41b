"""A bench of strategies: windows and instances of some pairs, and what is asked of them. No I/O.

The same class serves in a worker process, inside the bot (`workers = 0`) and in a simulation.
Whatever the user's code raises becomes an outcome here; what it may do beyond raising (hang, end
the process, eat memory) is the business of whoever keeps the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from actors.judging.loader import StrategyMaker
from engine.candles import Candle, Candles, timeframe_ms
from engine.errors import StrategyError
from engine.messages import NO_SIGNAL, AskStrategy, Plain, Signal, StrategyAnswered
from engine.resampling import resample
from engine.strategy import Strategy
from engine.types import Millis
from engine.window import CheckedSignals, Window, check_signals, last_signal, window_size
from engine.wishes import wishes_of

DAY_MS: Final = timeframe_ms("1d")
"""Candles that are longer begin on different days with different exchanges: they are not made of shorter ones."""


class Outcome(IntEnum):
    """How a judgement ended. LATE is nobody's fault: the window has newer candles than the one asked about."""

    JUDGED = 0
    FAILED = 1
    LATE = 2
    OUT_OF_MEMORY = 3


class Verdict(NamedTuple):
    """The judgement of one pair's candle; `reason` says in a sentence why there is none.

    `place` is the pair's index on its bench. `price` is the one to act at, where more is known than
    the candle's close; `last_entry` says that the data ends with the next candle. `wishes` are the locks that
    the strategy wants, as plain data (`engine.views`).
    """

    place: int
    signal: Signal = NO_SIGNAL
    outcome: Outcome = Outcome.JUDGED
    reason: str = ""
    price: float | None = None
    last_entry: bool = False
    wishes: Sequence[Sequence[Plain]] = ()


class Answer(NamedTuple):
    """What a callback returned, as plain data; or in `failed` why the stated default must serve.

    `custom_data` and `wishes` are what it has said besides (`engine.views.Aside`).
    """

    answer: Plain = None
    failed: str = ""
    out_of_memory: bool = False
    custom_data: Mapping[str, Plain] | None = None
    wishes: Sequence[Sequence[Plain]] = ()


class Judging(Protocol):
    """What a bench can do; `Bench` judges windows, `FrameBench` looks into finished frames.

    `needs_history`: whether its windows are to be filled before it is asked anything. `looks_around`: whether
    judging one pair looks at others, so that all candles of a round are to be taken before any is judged.
    """

    @property
    def looks_around(self) -> bool: ...

    @property
    def needs_history(self) -> bool: ...

    def load(self, index: int, rows: Iterable[Candle]) -> None: ...

    def take(self, index: int, candle: Candle) -> None: ...

    def hear(self, account: Mapping[str, Plain]) -> None: ...

    def judge(self, index: int, candle: Candle) -> Verdict: ...

    def ask(self, index: int, callback: str, arguments: Mapping[str, Plain]) -> Answer: ...


class _Seats:
    """One strategy instance a pair, made when first needed, and made anew after it has failed."""

    def __init__(self, maker: StrategyMaker, count: int) -> None:
        self.maker = maker
        self._strategies: list[Strategy | None] = [None] * count
        self._heard: list[Mapping[str, Plain] | None] = [None] * count
        self.account: Mapping[str, Plain] | None = None

    def at(self, index: int) -> Strategy:
        """The pair's strategy, which knows the newest account."""
        strategy = self._strategies[index]
        if strategy is None:
            strategy = self._strategies[index] = self.maker.make()
            self._heard[index] = None
        if self._heard[index] is not self.account and self.account is not None:
            strategy.hear(self.account)
            self._heard[index] = self.account
        return strategy

    def failed(self, index: int, error: BaseException) -> tuple[bool, str]:
        """Drop the instance, whose state may be half changed; says whether memory ran out, and the reason."""
        self._strategies[index] = None
        reason = str(error) if isinstance(error, StrategyError) else self.maker.explain(error)
        return isinstance(error, MemoryError), reason

    def ask(self, index: int, callback: str, arguments: Mapping[str, Plain], candles: Candles) -> Answer:
        """Call one callback with those of `arguments` that it takes."""
        strategy: Strategy | None = None
        try:
            strategy = self.at(index)
            if arguments.get("after_fill") and not strategy.takes(callback, "after_fill"):
                return Answer()  # Freqtrade's rule: a method without that argument is not asked after a fill
            answer = Answer(_plain(f"{callback}() returned", strategy.asked(callback, arguments, candles)))
            return _with_aside(answer, strategy)
        except (Exception, SystemExit) as error:  # noqa: BLE001 -- a user's code may raise anything
            out_of_memory, reason = self.failed(index, error)
            answer = Answer(failed=reason, out_of_memory=out_of_memory)
            return answer if strategy is None else _with_wishes(answer, strategy)


class Bench:
    """Judges the newest candle of each pair on its window.

    `pairs` gives each pair its index, which is how it is called everywhere below.
    """

    needs_history = True

    def __init__(self, maker: StrategyMaker, pairs: Sequence[str]) -> None:
        maker.use_candles(self.candles)
        strategy = maker.make()
        self.looks_around = bool(strategy.other_pairs)
        self._places = {pair: place for place, pair in enumerate(pairs)}
        self._slower: dict[tuple[str, str], Candles] = {}
        self._seats = _Seats(maker, len(pairs))
        self._startup = int(strategy.startup_candles)
        size = window_size(self._startup, int(strategy.window_candles))
        self._windows = [Window(pair, strategy.timeframe, size) for pair in pairs]

    def load(self, index: int, rows: Iterable[Candle]) -> None:
        """Replace the pair's window by these candles, oldest first."""
        self._windows[index].load(rows)

    def take(self, index: int, candle: Candle) -> None:
        """Add a closed candle without judging it."""
        self._windows[index].append(candle)

    def judge(self, index: int, candle: Candle) -> Verdict:
        """Add the candle, unless the window has it, and say what the strategy thinks of it.

        While there are not more candles than the strategy's start-up candles it is not asked
        (`semantics.md` 2.1.1-2: the first row after them is the first whose signal counts).
        """
        window = self._windows[index]
        if not window.append(candle) and window.last_ts != candle.ts:
            return Verdict(index, outcome=Outcome.LATE, reason="a newer candle had closed before this one was judged")
        if len(window) <= self._startup:
            return Verdict(index)
        try:
            strategy = self._seats.at(index)
            signal = last_signal(strategy.signals(window.view()), len(window))
            return Verdict(index, signal, wishes=strategy.aside().wishes)
        except (Exception, SystemExit) as error:  # noqa: BLE001 -- a user's code may raise anything
            return _failure(index, self._seats, error)

    def hear(self, account: Mapping[str, Plain]) -> None:
        """The account is like this from now on."""
        self._seats.account = account

    def candles(self, pair: str, timeframe: str) -> Candles | None:
        """The window of a pair that is judged here, or slower candles made of it; None where there is neither."""
        place = self._places.get(pair)
        if place is None or not len(self._windows[place]):
            return None
        window = self._windows[place].view()
        if timeframe == window.timeframe:
            return window
        if timeframe_ms(timeframe) % timeframe_ms(window.timeframe) or timeframe_ms(timeframe) > DAY_MS:
            return None
        closed = int(window.ts[-1] + timeframe_ms(window.timeframe)) // timeframe_ms(timeframe)
        known = self._slower.get((pair, timeframe))
        if known is None or not len(known) or int(known.ts[-1]) // timeframe_ms(timeframe) != closed - 1:
            known = self._slower[pair, timeframe] = resample(window, timeframe)
        return known

    def ask(self, index: int, callback: str, arguments: Mapping[str, Plain]) -> Answer:
        """Call a callback of the pair's instance, with the pair's candles at hand."""
        return self._seats.ask(index, callback, arguments, self._windows[index].view())


class FrameBench:
    """Judges from whole frames, as a backtest does: each pair's signals are computed once, for all candles.

    For replay, where the frames are known: equal to Freqtrade's way (`semantics.md` 2.1), and fast.
    A signal is acted on at the next candle's open; where that does not exist there is no signal.
    """

    needs_history = looks_around = False

    def __init__(self, maker: StrategyMaker, frames: Sequence[Candles]) -> None:
        self._seats = _Seats(maker, len(frames))
        self._startup = int(maker.make().startup_candles)
        self._frames = frames
        self._answers: list[CheckedSignals | Verdict | None] = [None] * len(frames)
        self._end: Millis = max((int(frame.ts[-1]) for frame in frames if len(frame)), default=0)

    def load(self, index: int, rows: Iterable[Candle]) -> None:
        """The frame has it already."""

    def take(self, index: int, candle: Candle) -> None:
        """The frame has it already."""

    def hear(self, account: Mapping[str, Plain]) -> None:
        """The account is like this from now on."""
        self._seats.account = account

    def judge(self, index: int, candle: Candle) -> Verdict:
        """Look up the candle's signal; the first call for a pair computes all of them."""
        answer = self._answers[index]
        if answer is None:
            answer = self._answers[index] = self._all(index)
        if isinstance(answer, Verdict):
            return answer
        frame = self._frames[index]
        row = self._row(index, candle.ts)
        if row is None or row < self._startup or row + 1 >= len(frame):
            return Verdict(index)
        return Verdict(
            index,
            answer.at(row) or NO_SIGNAL,
            price=float(frame.open[row + 1]),
            last_entry=int(frame.ts[row + 1]) >= self._end,
        )

    def ask(self, index: int, callback: str, arguments: Mapping[str, Plain]) -> Answer:
        """Call a callback with the candles that were closed at its `current_time`, none later."""
        frame = self._frames[index]
        now = int(arguments.get("current_time", self._end))
        closed = int(np.searchsorted(frame.ts, now - timeframe_ms(frame.timeframe), side="right"))
        return self._seats.ask(index, callback, arguments, frame[:closed])

    def _row(self, index: int, ts: Millis) -> int | None:
        column = self._frames[index].ts
        row = int(np.searchsorted(column, ts))
        return row if row < len(column) and column[row] == ts else None

    def _all(self, index: int) -> CheckedSignals | Verdict:
        frame = self._frames[index]
        try:
            strategy = self._seats.at(index)
            signals = check_signals(strategy.signals(frame), len(frame))
        except (Exception, SystemExit) as error:  # noqa: BLE001 -- a user's code may raise anything
            return _failure(index, self._seats, error)
        strategy.aside()  # what it would lock lies before the first trade
        return signals


def answered(ask: AskStrategy, answer: Answer) -> StrategyAnswered:
    """What the machine is told of a bench's answer."""
    trade = ask.arguments.get("trade") or {}
    return StrategyAnswered(
        request_id=ask.request_id,
        pair=ask.pair,
        answer=answer.answer,
        failed=answer.failed,
        trade_id=trade.get("trade_id", ""),
        custom_data=answer.custom_data,
        wishes=wishes_of(answer.wishes),
    )


def _failure(index: int, seats: _Seats, error: BaseException) -> Verdict:
    out_of_memory, reason = seats.failed(index, error)
    return Verdict(index, outcome=Outcome.OUT_OF_MEMORY if out_of_memory else Outcome.FAILED, reason=reason)


def _with_aside(answer: Answer, strategy: Strategy) -> Answer:
    """An answer, and what the strategy has said besides."""
    data, wishes = strategy.aside()
    if not data and not wishes:
        return answer
    kept = {str(key): _plain(f"custom data {key!r} is", value, mappings=True) for key, value in data.items()}
    return answer._replace(custom_data=kept, wishes=wishes)


def _with_wishes(answer: Answer, strategy: Strategy) -> Answer:
    """The locks that a callback wanted before it failed; what it kept with its trade may be half done, and is dropped."""
    return answer._replace(wishes=strategy.aside().wishes)


def _plain(what: str, value: Any, *, mappings: bool = False) -> Plain:
    """A strategy's value as plain data; NaN and infinity are none (`semantics.md` 1.7)."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(what, part, mappings=mappings) for part in value]
    if mappings and isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(what, part, mappings=True) for key, part in value.items()}
    more = ", or a list or dict of such" if mappings else ""
    raise StrategyError(f"{what} a {type(value).__name__}; it must be a number, a text, True, False or None{more}")
