"""What a judge works on: the window of a pair's latest candles, and the check of a strategy's answer.

A window keeps a bounded number of candles whatever comes, so memory is flat over months. A
strategy's answer is checked before anything believes it: it was written by somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from engine.candles import Bools, Candle, Candles, Floats, timeframe_ms
from engine.errors import StrategyError
from engine.messages import NO_SIGNAL, Signal
from engine.strategy import TAG_MAX, Signals
from engine.types import Millis

WINDOW_MIN: Final = 100

_FLAGS: Final = ("enter_long", "exit_long", "enter_short", "exit_short")
_COLUMNS: Final = 5


def window_size(startup_candles: int, window_candles: int = 0) -> int:
    """How many candles a pair's window keeps: twice the start-up candles, what is asked for, and at least 100."""
    return max(2 * startup_candles, window_candles, WINDOW_MIN)


class Window:
    """The latest `size` candles of one pair, oldest first, without gaps.

    Appending costs a handful of stores: the columns lie in a buffer of twice the size, and are moved
    to its start once every `size` candles. `view()` is of that memory, not a copy: it is good until
    the next `append`.
    """

    __slots__ = ("_columns", "_end", "_frozen", "_frozen_ts", "_ts", "pair", "size", "step", "timeframe")

    def __init__(self, pair: str, timeframe: str, size: int) -> None:
        self.pair = pair
        self.timeframe = timeframe
        self.size = size
        self.step = timeframe_ms(timeframe)
        self._columns = np.empty((_COLUMNS, 2 * size))
        self._ts = np.empty(2 * size, dtype=np.int64)
        self._end = 0
        # Slices of these are read-only, at no further cost: a strategy cannot change its own history.
        self._frozen = self._columns.view()
        self._frozen.flags.writeable = False
        self._frozen_ts = self._ts.view()
        self._frozen_ts.flags.writeable = False

    def __len__(self) -> int:
        return min(self._end, self.size)

    @property
    def last_ts(self) -> Millis | None:
        """The open time of the newest candle; None while there is none."""
        return int(self._ts[self._end - 1]) if self._end else None

    def load(self, rows: Iterable[Candle]) -> None:
        """Replace everything by these candles, oldest first; only the last `size` are kept."""
        self._end = 0
        table = np.array(list(rows), dtype=np.float64).reshape(-1, 1 + _COLUMNS)[-self.size :]
        ts = table[:, 0].astype(np.int64)
        if (np.diff(ts) == self.step).all():
            self._end = len(ts)
            self._ts[: self._end] = ts
            self._columns[:, : self._end] = table[:, 1:].T
            return
        for row in table.tolist():
            self.append(Candle(int(row[0]), *row[1:]))

    def append(self, candle: Candle) -> bool:
        """Add one closed candle; False if it is not newer than the newest, which changes nothing.

        Where candles are missing in between they are filled flat at the last close, with no volume
        (`semantics.md` 2.1.1), so that a strategy never sees a gap.
        """
        if self._end:
            missing = (candle.ts - int(self._ts[self._end - 1])) // self.step - 1
            if missing < 0:
                return False
            if missing:
                self._fill(min(missing, self.size), candle.ts)
        self._put(candle.ts, candle.open, candle.high, candle.low, candle.close, candle.volume)
        return True

    def _fill(self, count: int, until: Millis) -> None:
        close = float(self._columns[3, self._end - 1])
        for ts in range(until - count * self.step, until, self.step):
            self._put(ts, close, close, close, close, 0.0)

    def _put(self, ts: Millis, *values: float) -> None:
        if self._end == 2 * self.size:
            # One of the kept candles makes room for the new one.
            kept = self.size - 1
            self._columns[:, :kept] = self._columns[:, self._end - kept :]
            self._ts[:kept] = self._ts[self._end - kept :]
            self._end = kept
        self._columns[:, self._end] = values
        self._ts[self._end] = ts
        self._end += 1

    def view(self) -> Candles:
        """The kept candles, read-only."""
        part = slice(max(0, self._end - self.size), self._end)
        open_, high, low, close, volume = self._frozen[:, part]
        return Candles(
            pair=self.pair,
            timeframe=self.timeframe,
            ts=self._frozen_ts[part],
            open=open_,
            high=high,
            low=low,
            close=close,
            volume=volume,
        )


# ---------------------------------------------------------------- what a strategy answered


class NoTags(Sequence[str]):
    """A column of `count` empty tags: a list would take as much memory as the prices' column."""

    __slots__ = ("_count",)

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> NoTags: ...
    def __getitem__(self, index: int | slice) -> str | NoTags:
        rows = range(self._count)[index]
        return NoTags(len(rows)) if isinstance(rows, range) else ""


class CheckedSignals(NamedTuple):
    """A strategy's answer after its check: all columns of one length, NaN turned into no signal; no `score`: all 0."""

    enter_long: Bools
    exit_long: Bools
    enter_short: Bools
    exit_short: Bools
    enter_tag: Sequence[str]
    exit_tag: Sequence[str]
    score: Floats | None

    def since(self, first: int) -> CheckedSignals:
        """The answer from row `first` on."""
        given = {name: column for name, column in self._asdict().items() if column is not None}
        return self._replace(**{name: column[first:] for name, column in given.items()})

    def at(self, index: int) -> Signal:
        """The signal of one candle."""
        return Signal(
            enter_long=bool(self.enter_long[index]),
            exit_long=bool(self.exit_long[index]),
            enter_short=bool(self.enter_short[index]),
            exit_short=bool(self.exit_short[index]),
            enter_tag=self.enter_tag[index],
            exit_tag=self.exit_tag[index],
            score=0.0 if self.score is None else float(self.score[index]),
        )


def check_signals(answer: object, count: int) -> CheckedSignals:
    """A whole answer of `signals()` for `count` candles, checked: for backtests, which use every row.

    Raises StrategyError, naming the field, on a wrong type, shape or length, on values that are
    neither true nor false, and on a tag that is no text or too long.
    """
    signals = _the_signals(answer)
    score = _scores(signals.score, count)
    return CheckedSignals(
        enter_long=_flags("enter_long", signals.enter_long, count),
        exit_long=_flags("exit_long", signals.exit_long, count),
        enter_short=_flags("enter_short", signals.enter_short, count),
        exit_short=_flags("exit_short", signals.exit_short, count),
        enter_tag=_checked_tags("enter_tag", signals.enter_tag, count),
        exit_tag=_checked_tags("exit_tag", signals.exit_tag, count),
        score=None if score is None else np.where(np.isfinite(score), score, 0.0),
    )


def last_signal(answer: object, count: int) -> Signal:
    """The newest candle's signal of an answer for `count` candles: all that is needed live.

    Types, shapes and lengths are checked as by `check_signals`; values only in the last row.
    """
    signals = _the_signals(answer)
    flags = [_last_flag(name, getattr(signals, name), count) for name in _FLAGS]
    enter_tags = _tags("enter_tag", signals.enter_tag, count)
    exit_tags = _tags("exit_tag", signals.exit_tag, count)
    scores = _scores(signals.score, count)
    if not any(flags):
        return NO_SIGNAL
    score = 0.0 if scores is None else float(scores[-1])
    return Signal(
        enter_long=flags[0],
        exit_long=flags[1],
        enter_short=flags[2],
        exit_short=flags[3],
        enter_tag="" if enter_tags is None else _tag("enter_tag", enter_tags[-1]),
        exit_tag="" if exit_tags is None else _tag("exit_tag", exit_tags[-1]),
        score=score if np.isfinite(score) else 0.0,
    )


def _the_signals(answer: object) -> Signals:
    if not isinstance(answer, Signals):
        raise StrategyError(f"signals() returned {_kind(answer)}; it must return Signals(...)")
    return answer


def _array(name: str, values: Any, count: int, kinds: str) -> npt.NDArray[Any]:
    if not isinstance(values, np.ndarray):
        raise StrategyError(f"signals() gave {_kind(values)} as {name}; it must be a numpy array")
    if values.shape != (count,):
        raise StrategyError(
            f"signals() gave {name} with shape {values.shape} for {count} candles; it must be ({count},)"
        )
    if values.dtype.kind not in kinds:
        raise StrategyError(f"signals() gave {name} as an array of {values.dtype}; it must be of bool or numbers")
    return values


def _flags(name: str, values: Any, count: int) -> Bools:
    if values is None:
        return np.zeros(count, dtype=np.bool_)
    array = _array(name, values, count, "bfiu")
    if array.dtype.kind == "b":
        return array
    true: Bools = array == 1
    strange = ~(true | (array == 0) | np.isnan(array))
    if strange.any():
        raise _neither(name, array[strange][0])
    return true


def _last_flag(name: str, values: Any, count: int) -> bool:
    if values is None:
        return False
    array = _array(name, values, count, "bfiu")
    if not count:
        return False
    value = array.item(-1)
    if value is True or value is False:
        return bool(value)
    if value in {0, 1} or value != value:  # noqa: PLR0124 -- NaN, which is no signal
        return bool(value == 1)
    raise _neither(name, value)


def _neither(name: str, value: Any) -> StrategyError:
    return StrategyError(f"signals() gave {value} in {name}; it must be True or False (or 1, 0, NaN)")


def _tags(name: str, values: Any, count: int) -> list[Any] | None:
    if values is None:
        return None
    if isinstance(values, np.ndarray):
        values = _array(name, values, count, "UO").tolist()
    if not isinstance(values, list | tuple):
        raise StrategyError(f"signals() gave {_kind(values)} as {name}; it must be a list of texts")
    if len(values) != count:
        raise StrategyError(f"signals() gave {len(values)} values in {name} for {count} candles")
    return list(values)


def _checked_tags(name: str, values: Any, count: int) -> Sequence[str]:
    tags = _tags(name, values, count)
    if tags is None:
        return NoTags(count)
    are_fine = {*map(type, tags)} == {str} and max(map(len, tags)) <= TAG_MAX
    return tags if are_fine else [_tag(name, tag) for tag in tags]


def _tag(name: str, value: Any) -> str:
    if value is None or value != value:  # noqa: PLR0124 -- NaN, as from an outer join
        return ""
    if not isinstance(value, str):
        raise StrategyError(f"signals() gave {_kind(value)} in {name}; a tag must be a text")
    if len(value) > TAG_MAX:
        raise StrategyError(f"signals() gave a text of {len(value)} characters in {name}; at most {TAG_MAX} are kept")
    return value


def _scores(values: Any, count: int) -> npt.NDArray[Any] | None:
    return None if values is None else _array("score", values, count, "bfiu")


def _kind(value: object) -> str:
    return "nothing (None)" if value is None else f"a {type(value).__name__}"
