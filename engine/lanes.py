"""A pair's possible entries and what becomes of each, for runs that follow plain trades (`engine.straight`).

Paths are followed when they are first asked for, many at a time: where signals are dense most of them lie
inside other trades, so the batches adapt to how many of their paths were wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, TypeGuard

import numpy as np
import numpy.typing as npt

from engine.candles import Bools, Floats
from engine.following import follow
from engine.messages import Signal
from engine.sizing import STOP_RESERVE_MAX
from engine.steps import DIGITS_MAX, at_or_below, scale_of
from engine.straight import EXIT_SIGNAL, REASONS, Course, Rows, Wishes
from engine.tape import Judged, Tape
from engine.types import Millis, Side
from engine.work import Rules

BATCH_FIRST: Final = 4_096
BATCH_LEAST: Final = 16
BATCH_MOST: Final = 16_384
CLOSE: Final = 1.000_001
"""How near to a bound of the market an order is left to the machine."""
SIDES: Final = {1: Side.LONG, -1: Side.SHORT}


class Lane:
    """One pair: `rows` are those with an entry signal, `sides` say which way (1 long, -1 short).

    The columns beside them are filled by `know`: the row of the exit, the number of the first entry `after` it,
    `reason`, rates, stops, `odd`, and how many exit orders were `given_up`.
    With a `stake` that is the same for all trades, `amount` too; an entry that it may be too small for is odd.
    """

    def __init__(self, number: int, tape: Tape, rules: Rules, end: Millis, stake: Decimal | None = None) -> None:
        self.number = number
        self.stake = stake
        self.tape = tape
        self.rules = rules
        self.pair = tape.candles.pair
        self.times = tape.candles.ts
        enter_long, leave_long, enter_short, leave_short = _flags(tape, rules.settings.timeframe_ms)
        shorts = enter_short & rules.settings.can_short
        side = np.zeros(len(self.times), np.int8)
        side[enter_long & ~leave_long & ~shorts] = 1
        side[shorts & ~leave_short & ~enter_long] = -1
        side[(self.times >= end) | (np.arange(len(side)) == 0)] = 0
        self.side_at = side
        self.rows: Rows = np.flatnonzero(side)
        self.sides = side[self.rows]
        self.entry_times: list[Millis] = self.times[self.rows].tolist()
        self.reverses = rules.settings.can_short
        self._flags = {1: (enter_long, leave_long), -1: (enter_short, leave_short)}
        self._courses: dict[int, Course] = {}
        count = len(self.rows)
        self.known = np.zeros(count, np.bool_)
        self.exit: Rows = np.zeros(count, np.intp)
        self.after: Rows = np.zeros(count, np.intp)
        self.reason = np.zeros(count, np.int8)
        self.odd = np.zeros(count, np.bool_)
        self.given_up = np.zeros(count, np.int64)
        self.open_rate, self.close_rate, self.first_stop, self.stop = (np.zeros(count) for _ in range(4))
        self.amount = np.zeros(count)
        self._batch, self._asked = BATCH_FIRST, 0

    def known_to(self, entry: int) -> int:
        """Make sure that the path of this entry is followed; the first entry behind it whose path is not."""
        self.know(entry)
        unknown = int(self.known[entry:].argmin())
        return entry + unknown if unknown else len(self.rows)

    def know(self, entry: int) -> None:
        """Make sure that the path of this entry is followed."""
        if self.known[entry]:
            self._asked += 1
            return
        if self.known.any():
            wanted = self._asked * 4 >= self._batch
            self._batch = min(self._batch * 4, BATCH_MOST) if wanted else max(self._batch // 4, BATCH_LEAST)
        self._asked = 1
        numbers = np.arange(entry, min(entry + self._batch, len(self.rows)))
        for side in (1, -1):
            own = numbers[self.sides[numbers] == side]
            if len(own):
                self._follow(own, side)
        self.known[numbers] = True
        if len(numbers) and numbers[-1] == len(self.rows) - 1:
            self._courses.clear()  # most likely nobody asks for more; their arrays are as large as the candles

    def _follow(self, numbers: Rows, side: int) -> None:
        paths = follow(self.course(side), self.rows[numbers])
        for name in ("exit", "reason", "odd", "open_rate", "close_rate", "first_stop", "stop", "given_up"):
            getattr(self, name)[numbers] = getattr(paths, name)
        self.after[numbers] = np.searchsorted(self.rows, paths.exit, side="right")
        if self.stake is not None:
            self.amount[numbers] = self._amounts(numbers, float(self.stake))
            self.odd[numbers] |= self._may_refuse(numbers, float(self.stake))
        self.given_up[numbers[self.odd[numbers]]] = 0  # the machine counts its own

    def _amounts(self, numbers: Rows, stake: float) -> Floats:
        """What the stake buys: `engine.sizing.entry_amount`."""
        scale = scale_of(self.rules.market.amount_step) or 1.0
        price = self.tape.candles.open[self.rows[numbers]]
        return at_or_below(stake / price * float(self.rules.settings.leverage), scale) / scale

    def _may_refuse(self, numbers: Rows, stake: float) -> Bools:
        """Where the market's bounds may have a say in the stake or the amount."""
        market, settings = self.rules.market, self.rules.settings
        amount, price = self.amount[numbers], self.tape.candles.open[self.rows[numbers]]
        full, reserve = stake * float(settings.leverage), 1 + float(settings.amount_reserve)
        refused: Bools = amount <= 0.0
        if market.amount_min is not None:
            least = float(market.amount_min) * CLOSE
            refused |= (amount < least) | (full < least * price * reserve)
        if market.cost_min is not None:
            least = float(market.cost_min) * CLOSE
            refused |= (amount * price < least) | (full < least * float(STOP_RESERVE_MAX))
        if market.amount_max is not None:
            refused |= (amount * CLOSE > float(market.amount_max)) | (full * CLOSE > float(market.amount_max) * price)
        if market.cost_max is not None:
            refused |= np.full(len(numbers), full * CLOSE > float(market.cost_max))
        return refused | (amount >= DIGITS_MAX / (scale_of(market.amount_step) or 1.0))

    def course(self, side: int) -> Course:
        """The pair's rows as one side sees them."""
        if side not in self._courses:
            settings = self.rules.settings
            enter, leave = self._flags[side]
            leave = leave & ~enter if settings.use_exit_signal else np.zeros(len(leave), np.bool_)
            wishes = Wishes(leave, enter if settings.ignore_roi_if_entry_signal else None)
            self._courses[side] = Course(self.tape, self.rules, SIDES[side], wishes)
        return self._courses[side]

    def next_entry(self, row: int) -> int:
        """The number of the first entry after `row`; the number of all entries where there is none."""
        return int(np.searchsorted(self.rows, row, side="right"))

    def tags(self, rows: Rows) -> list[str]:
        """The tags of the entries on these rows."""
        return self._tags(rows, "enter_tag")

    def reasons(self, entries: Rows) -> list[str]:
        """Why these entries are left, as `engine.pursuit.reason_of` says it: an exit signal by its tag."""
        found = [REASONS[code] for code in self.reason[entries].tolist()]
        signalled = np.flatnonzero(self.reason[entries] == EXIT_SIGNAL)
        tags = self._tags(self.exit[entries[signalled]], "exit_tag")
        for place, tag in zip(signalled.tolist(), tags, strict=True):
            found[place] = tag or found[place]
        return found

    def _tags(self, rows: Rows, name: str) -> list[str]:
        """What the candles before these rows were tagged with."""
        signals = self.tape.signals
        if _is_aligned(signals, self.times):
            own = getattr(signals.answer, name)
            return [own[row - 1][:255] for row in rows.tolist()]
        judged = (self.times[rows] - self.rules.settings.timeframe_ms).tolist()
        return [getattr(signals[ts], name)[:255] for ts in judged]


def _is_aligned(signals: Mapping[Millis, Signal], times: npt.NDArray[np.int64]) -> TypeGuard[Judged]:
    """Whether the signals are arrays with a row for every candle."""
    if not isinstance(signals, Judged) or len(signals.ts) != len(times):
        return False
    return not len(times) or bool(signals.ts[0] == times[0])


def _flags(tape: Tape, timeframe_ms: Millis) -> tuple[Bools, Bools, Bools, Bools]:
    """Of every row whether its signal, which was judged on the candle before, enters or leaves long or short."""
    signals, times = tape.signals, tape.candles.ts
    count = len(times)
    flags = tuple(np.zeros(count, np.bool_) for _ in range(4))
    enter_long, leave_long, enter_short, leave_short = flags
    if _is_aligned(signals, times):
        answer = signals.answer
        columns = (answer.enter_long, answer.exit_long, answer.enter_short, answer.exit_short)
        for flag, column in zip(flags, columns, strict=True):
            flag[1:] = column[:-1]
        return enter_long, leave_long, enter_short, leave_short
    judged = np.fromiter(signals, np.int64, len(signals))
    rows: npt.NDArray[np.intp] = np.searchsorted(times, judged + timeframe_ms)
    for row, ts in zip(rows.tolist(), judged.tolist(), strict=True):
        if 0 < row < count and times[row] == ts + timeframe_ms:
            signal = signals[ts]
            enter_long[row], leave_long[row] = signal.enter_long, signal.exit_long
            enter_short[row], leave_short[row] = signal.enter_short, signal.exit_short
    return enter_long, leave_long, enter_short, leave_short
