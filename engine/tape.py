"""A pair's candles with the signals judged on them, and the rows of turns that are read off them.

A row is candle t with the signal judged on the candle before it (`semantics.md` 2.1.2); so the first
candle is only judged, and rows are numbered as the candles are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from engine.candles import Candles, Floats
from engine.margin import FundingRate
from engine.messages import NO_SIGNAL, Signal, TurnRow
from engine.types import Millis, exact
from engine.window import CheckedSignals


@dataclass(frozen=True, slots=True)
class Tape:
    """A pair's candles and the signals judged on them, by the open time of the judged candle.

    `price_steps` are those of each month from its first millisecond on (2.1.6), `funding` what a future's
    holders pay each other, in order of time. `detail` are candles of a finer timeframe: trades are made on them,
    judged is what the candles are (2.7).
    """

    candles: Candles
    signals: Mapping[Millis, Signal]
    price_steps: tuple[tuple[Millis, Decimal], ...] = ()
    funding: tuple[FundingRate, ...] = ()
    detail: Candles | None = None

    def price_step(self, ts: Millis) -> Decimal | None:
        """The price step in the month of `ts`, None where it is not known."""
        at = bisect_right(self.price_steps, ts, key=lambda s: s[0])
        return self.price_steps[at - 1][1] if at else None


class Judged(Mapping[Millis, Signal]):
    """All signals of a pair's candles, kept as the arrays they were judged as: a `Signal` is made when it is asked for.

    `answer` has a row for every candle of `ts`.
    """

    __slots__ = ("_rows", "answer", "ts")

    def __init__(self, answer: CheckedSignals, ts: npt.NDArray[np.int64]) -> None:
        self.answer = answer
        self.ts = ts
        some = answer.enter_long | answer.exit_long | answer.enter_short | answer.exit_short
        self._rows = np.flatnonzero(some)

    def __getitem__(self, ts: Millis) -> Signal:
        row = int(np.searchsorted(self.ts, ts))
        if row < len(self.ts) and self.ts[row] == ts:
            signal = self.answer.at(row)
            if signal:
                return signal
        raise KeyError(ts)

    def __iter__(self) -> Iterator[Millis]:
        return iter(self.times().tolist())

    def __len__(self) -> int:
        return len(self._rows)

    def times(self) -> npt.NDArray[np.int64]:
        """The open times of the candles with a signal."""
        found: npt.NDArray[np.int64] = self.ts[self._rows]
        return found


class Reel:
    """A tape as it is read: the row of any candle, and which rows carry a signal or funding.

    `high` and `low` are what is seen of each candle: those of its finer candles, where there are any. `passing` is
    what `engine.skipping` has found out last: under these rules rows may be passed over, or not.
    """

    __slots__ = ("funded", "high", "low", "pair", "passing", "signalled", "tape", "timeframe_ms", "times")

    def __init__(self, tape: Tape, timeframe_ms: Millis) -> None:
        self.tape = tape
        self.pair = tape.candles.pair
        self.timeframe_ms = timeframe_ms
        self.times = tape.candles.ts
        self.signalled = _signalled(tape, timeframe_ms)
        self.funded = _funded(tape)
        self.high, self.low = _seen(tape, timeframe_ms)
        self.passing: tuple[object, bool] | None = None

    def __len__(self) -> int:
        return len(self.times)

    def rows(self, number: int, end: Millis) -> list[TurnRow]:
        """The rows of candle `number`: those of the finer timeframe where there are any, else the candle itself."""
        detail, candle = self.tape.detail, self.row(number, end)
        if detail is None:
            return [candle]
        first, last = map(int, np.searchsorted(detail.ts, (candle.ts, candle.ts + self.timeframe_ms)))
        after = max(int(self.times[number - 1]), int(detail.ts[first - 1]) if first else 0)
        found = []
        for at in range(first, last):
            ts = int(detail.ts[at])
            found.append(
                TurnRow(
                    pair=candle.pair,
                    ts=ts,
                    open=exact(float(detail.open[at])),
                    high=exact(float(detail.high[at])),
                    low=exact(float(detail.low[at])),
                    close=exact(float(detail.close[at])),
                    signal=candle.signal,
                    last_entry=candle.last_entry,
                    price_step=candle.price_step,
                    funding=self._funding(after, ts),
                    candle_ts=candle.ts,
                )
            )
            after = ts
        return found or [replace(candle, funding=self._funding(after, candle.ts))]

    def row(self, number: int, end: Millis) -> TurnRow:
        """Candle `number` as a row; the data of all pairs ends at `end`."""
        candles, ts = self.tape.candles, int(self.times[number])
        return TurnRow(
            pair=self.pair,
            ts=ts,
            open=exact(float(candles.open[number])),
            high=exact(float(candles.high[number])),
            low=exact(float(candles.low[number])),
            close=exact(float(candles.close[number])),
            signal=self.tape.signals.get(ts - self.timeframe_ms, NO_SIGNAL),
            last_entry=ts == end,
            price_step=self.tape.price_step(ts),
            funding=self._funding(int(self.times[number - 1]), ts) if self.tape.funding else (),
        )

    def _funding(self, after: Millis, ts: Millis) -> tuple[FundingRate, ...]:
        """What was due in (after, ts]."""
        due = self.tape.funding
        first = bisect_right(due, after, key=lambda rate: rate.ts)
        return due[first : bisect_right(due, ts, key=lambda rate: rate.ts)]

    def next_signalled(self, number: int) -> int:
        """The first row after `number` that carries a signal; the number of rows where none does."""
        return self._next(self.signalled, number)

    def next_funded(self, number: int) -> int:
        """The first row after `number` on which funding may be due; the number of rows where none is."""
        return self._next(self.funded, number)

    def _next(self, rows: npt.NDArray[np.intp], number: int) -> int:
        at = int(rows.searchsorted(number, side="right"))
        return int(rows[at]) if at < len(rows) else len(self)


class Calendar:
    """When the candles of several pairs open."""

    __slots__ = ("_times",)

    def __init__(self, times: Sequence[npt.NDArray[np.int64]]) -> None:
        self._times = times

    def first_time(self, since: Millis, end: Millis) -> Millis:
        """The time of the first row at or after `since`, at most `end`."""
        for times in self._times:
            at = max(int(np.searchsorted(times, since)), 1)
            if at < len(times):
                end = min(int(times[at]), end)
        return end


def _signalled(tape: Tape, timeframe_ms: Millis) -> npt.NDArray[np.intp]:
    """The numbers of the rows that carry a signal, in order."""
    signals = tape.signals
    judged = signals.times() if isinstance(signals, Judged) else np.fromiter(signals, np.int64, len(signals))
    at = np.searchsorted(tape.candles.ts, judged + timeframe_ms)
    at = np.sort(at[(at > 0) & (at < len(tape.candles))])
    return at[np.append(True, at[1:] != at[:-1])] if len(at) else at


def _funded(tape: Tape) -> npt.NDArray[np.intp]:
    """The numbers of the rows on which funding may be due, in order; with finer candles of some on which none is."""
    times = tape.candles.ts
    due = np.array([rate.ts for rate in tape.funding], np.int64)
    at = times.searchsorted(due)
    if tape.detail is not None:
        at = np.concatenate([at, times.searchsorted(due, side="right") - 1])
    at = np.sort(at[(at > 0) & (at < len(times))])
    return at[np.append(True, at[1:] != at[:-1])] if len(at) else at


def _seen(tape: Tape, timeframe_ms: Millis) -> tuple[Floats, Floats]:
    """The highest and the lowest price of each candle that a position is shown."""
    candles, detail = tape.candles, tape.detail
    if detail is None or not len(detail) or not len(candles):
        return candles.high, candles.low
    bounds = np.column_stack([detail.ts.searchsorted(candles.ts), detail.ts.searchsorted(candles.ts + timeframe_ms)])
    has = bounds[:, 0] < bounds[:, 1]
    found = []
    for own, fine, extreme in ((candles.high, detail.high, np.maximum), (candles.low, detail.low, np.minimum)):
        seen = own.copy()
        # A bound behind the last price would be no place; of the slices between bounds every second is a candle's.
        seen[has] = extreme.reduceat(np.append(fine, fine[-1]), bounds[has].ravel())[::2]
        found.append(seen)
    return found[0], found[1]


def walk(tapes: Mapping[str, Tape], timeframe_ms: Millis) -> Iterator[tuple[Millis, dict[str, TurnRow]]]:
    """(time, the rows of that time by pair) from the second candle to the end, each candle in turn."""
    reels = [Reel(tape, timeframe_ms) for tape in tapes.values()]
    times = sorted({ts for reel in reels for ts in reel.times[1:].tolist()})
    at = [1] * len(reels)
    for ts in times:
        found = {}
        for place, reel in enumerate(reels):
            if at[place] < len(reel) and reel.times[at[place]] == ts:
                found[reel.pair] = reel.rows(at[place], times[-1])
                at[place] += 1
        yield from moments(ts, found)


def moments(ts: Millis, rows: Mapping[str, list[TurnRow]]) -> Iterator[tuple[Millis, dict[str, TurnRow]]]:
    """The rows of one candle by time, all pairs of a moment together; a pair without finer rows comes with the first."""
    if all(len(of_pair) == 1 and of_pair[0].ts == ts for of_pair in rows.values()):
        yield ts, {pair: of_pair[0] for pair, of_pair in rows.items()}
        return
    times = sorted({ts, *(row.ts for of_pair in rows.values() for row in of_pair)})
    for at in times:
        found = {pair: row for pair, of_pair in rows.items() for row in of_pair if row.ts == at}
        if found:
            yield at, found


def last_rows(tapes: Mapping[str, Tape]) -> dict[str, TurnRow]:
    """Each pair's last candle as the row that ends its data."""
    found = {}
    for pair, tape in tapes.items():
        candles = tape.candles
        if len(candles):
            ts = int(candles.ts[-1])
            price, high, low = (exact(float(c[-1])) for c in (candles.open, candles.high, candles.low))
            found[pair] = TurnRow(
                pair=pair,
                ts=ts,
                open=price,
                high=high,
                low=low,
                close=price,
                signal=NO_SIGNAL,
                price_step=tape.price_step(ts),
                final=True,
            )
    return found
