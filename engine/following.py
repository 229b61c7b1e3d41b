"""Following many plain trades at once from their entries to their exits (`engine.straight`).

All rules of `engine.exits` in their order, on arrays: the stop is trailed by the best of a candle before
the worst may hit it; an exit signal comes before the stop, the stop before ROI, ROI before a stop that moved.
An exit that its candle does not fill rests: prices with binary noise lie a hair beside their own step.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.candles import Bools, Floats
from engine.levels import against, armed_by_offset
from engine.steps import nearest
from engine.straight import (
    BLOCKS,
    CELLS,
    EXIT_SIGNAL,
    FORCE_EXIT,
    NEAR,
    ROI,
    STOP_LOSS,
    TRAILING,
    Course,
    Paths,
    Rows,
)

MOST: Final = CELLS // BLOCKS[-1]
PATIENCE: Final = 64
"""Candles for which a resting order is followed; the machine passes over more of them more quickly."""


def follow(course: Course, entries: Rows) -> Paths:
    """What becomes of an entry on each of these rows, in the order given."""
    parts = [_Group(course, entries[at : at + MOST]).paths() for at in range(0, len(entries), MOST)]
    if len(parts) == 1:
        return parts[0]
    parts = parts or [_Group(course, entries).paths()]
    return Paths(*(np.concatenate([getattr(part, name) for part in parts]) for name in Paths.__slots__))


class _Group:
    """Trades that are followed together; `stop` is where each one's stands, in the side's direction."""

    def __init__(self, course: Course, entries: Rows) -> None:
        candles, count = course.candles, len(entries)
        self.course = course
        self.entry = entries
        self.rate = nearest(candles.open[entries], course.fine) / course.fine
        self.first = course.stops(self.rate, course.far, course.scale[entries])
        self.stop = self.first.copy()
        self.exit = np.full(count, -1, np.intp)
        self.reason = np.zeros(count, np.int8)
        self.close_rate = np.zeros(count)
        self.rests = np.zeros(count, np.bool_)
        self.placed = np.zeros(count, np.intp)
        self.given_up = np.zeros(count, np.int64)
        opened = candles.open[entries]
        self.odd = (opened < candles.low[entries]) | (opened > candles.high[entries])

    def paths(self) -> Paths:
        """Follow them all to their ends."""
        course, everyone = self.course, np.arange(len(self.entry))
        stop = self.stop.copy()
        self._look(everyone, self.entry, stop, self._trailed(everyone, self.entry, stop))
        self._scan(np.flatnonzero(self.exit < 0), 1)
        self._wait()
        sign = course.sign
        return Paths(
            self.entry,
            self.exit,
            self.reason,
            self.rate,
            self.close_rate,
            sign * self.first,
            sign * self.stop,
            self.odd,
            self.given_up,
        )

    # ------------------------------------------------------------ which row

    def _wanted(self, best: Any, rate: Any, near: Any, far: Any) -> Any:
        """Where trailing wants the stop after the best prices, given those near to and far from them."""
        course, settings = self.course, self.course.settings
        if settings.trailing_stop_positive is None and not settings.trailing_only_offset_is_reached:
            return far
        past = best >= course.offset[1] * rate
        before = -np.inf if settings.trailing_only_offset_is_reached else far
        return np.where(past, far if settings.trailing_stop_positive is None else near, before)

    def _is_at_offset(self, best: Any, rate: Any) -> Any:
        """Whether a best price is so near to the trailing offset that it is not plain on which side of it."""
        at, over = self.course.offset
        low, high = min(at - NEAR, over - NEAR), max(at, over) + NEAR
        return (best >= low * rate) & (best <= high * rate)

    def _scan(self, alive: Rows, start: int | Rows) -> None:
        """Follow each of these to its exit, from `start` rows after its entry on: one number, or one for each."""
        sizes = iter(BLOCKS)
        while len(alive):
            size = next(sizes, BLOCKS[-1])
            self._block(alive, start, size)
            living = self.exit[alive] < 0
            alive, start = alive[living], start + size if isinstance(start, int) else start[living] + size

    def _block(self, alive: Rows, start: int | Rows, size: int) -> None:
        """Look at `size` rows of each living trade from `start` rows after its entry on."""
        course = self.course
        first = self.entry[alive] + start
        best, worst = course.window("best", size)[first], course.window("worst", size)[first]
        rate = self.rate[alive, None]
        stops: Any = self.stop[alive, None]
        trails = course.settings.trailing_stop
        if trails:
            near, far = course.window("near", size)[first], course.window("far", size)[first]
            stops = np.maximum(self._wanted(best, rate, near, far), stops)
            np.maximum.accumulate(stops, axis=1, out=stops)
            self.odd[alive] |= self._is_at_offset(best, rate).any(axis=1)
        touched = stops >= worst
        touched |= self._leaves(first, rate, size)
        touched |= self._takes_profit(first, best, rate, start, size)
        at, number = touched.argmax(axis=1), np.arange(len(alive))
        hit = touched[number, at]
        before = after = self.stop[alive]
        if trails:
            before = np.where(at > 0, stops[number, at - 1], before)
            after = stops[number, at]
            self.stop[alive] = stops[:, -1]
        self._look(alive[hit], (first + at)[hit], before[hit], after[hit])

    def _leaves(self, first: Rows, rate: Any, size: int) -> Any:
        course = self.course
        leave = course.window("leave", size)[first]
        if course.settings.exit_profit_only:
            leave = leave & (course.window("open", size)[first] >= (course.least - NEAR) * rate)
        return leave

    def _takes_profit(self, first: Rows, best: Any, rate: Any, start: int | Rows, size: int) -> Any:
        course = self.course
        minutes = (np.asarray(start)[..., None] + np.arange(size)) * course.timeframe
        taken = best >= (course.roi_levels[course.roi_at(minutes)] - NEAR) * rate
        if course.wishes.holds_roi is not None:
            taken &= ~course.window("holds_roi", size)[first]
        return taken

    # ------------------------------------------------------------ why, and at what rate

    def _look(self, who: Rows, rows: Rows, before: Floats, after: Floats) -> None:
        """Decide on one row each: `before` is the stop when it began, `after` once its best has trailed it."""
        course, candles = self.course, self.course.candles
        over = rows >= len(candles)
        if over.any():
            self._end(who[over], before[over])
            who, rows, before, after = who[~over], rows[~over], before[~over], after[~over]
        opened, worst = candles.open[rows], course.worst[rows]
        stop = np.where(before >= worst, before, after)
        moved = stop > self.first[who]
        stopped = stop >= worst
        signalled = self._signalled(who, rows, opened)
        takes, target, odd = self._roi(who, rows, opened)
        # From the last in order to the first: `np.select` would say it shorter and take several times as long.
        reason = np.where(takes, ROI, np.where(stopped, TRAILING, FORCE_EXIT))
        reason = np.where(signalled, EXIT_SIGNAL, np.where(stopped & ~moved, STOP_LOSS, reason))
        price = np.where(reason == ROI, target, self._stop_price(who, rows, stop, moved))
        price = np.where(signalled, opened, price)
        scale = course.scale[rows]
        rate = nearest(price, scale) / scale
        fills = (rate >= candles.low[rows]) & (rate <= candles.high[rows])
        leaves = reason != FORCE_EXIT
        self.stop[who] = stop
        self.odd[who] |= odd | (leaves & ~fills & ~course.may_rest[reason])
        self.odd[who] |= (reason == ROI) & _is_near_tie(price, scale)
        self.odd[who] |= self.rests[who] & (rate == self.close_rate[who]) & _are_several(signalled, stopped, takes)
        self._order(who[leaves], rows[leaves], reason[leaves], rate[leaves])
        self._fill(who, rows)

    # ------------------------------------------------------------ orders

    def _order(self, who: Rows, rows: Rows, reason: Any, rate: Floats) -> None:
        """Ask for the exit, unless one rests at this price already: `engine.leaving.wish_for`."""
        new = ~self.rests[who] | (self.close_rate[who] != rate)
        who, rows, self.rests[who] = who[new], rows[new], True
        self.exit[who] = self.placed[who] = rows
        self.reason[who], self.close_rate[who] = reason[new], rate[new]

    def _fill(self, who: Rows, rows: Rows) -> None:
        """Let the candles fill the orders whose prices they hold."""
        candles, rate = self.course.candles, self.close_rate[who]
        fills = self.rests[who] & (rate >= candles.low[rows]) & (rate <= candles.high[rows])
        who, rows = who[fills], rows[fills]
        self.exit[who], self.rests[who] = rows, False

    def _wait(self) -> None:
        """Go on with those whose order was not filled until one is, or the data end."""
        who = np.flatnonzero(self.rests & ~self.odd)
        while len(who):
            who, rows = self._rest(who)
            self.exit[who] = -1
            self._scan(who, rows - self.entry[who])
            who = who[self.rests[who] & ~self.odd[who]]

    def _rest(self, who: Rows) -> tuple[Rows, Rows]:
        """Candle by candle as long as an order rests; who has none then, and the rows to look at next."""
        rows = self.exit[who] + 1
        free: list[tuple[Rows, Rows]] = [(who[:0], rows[:0])]
        for _ in range(PATIENCE):
            over = rows >= len(self.course.candles)
            if over.any():
                self._end(who[over], self.stop[who[over]])
                who, rows = who[~over], rows[~over]
            if not len(who):
                break
            self._give_up(who, rows)
            stop = self.stop[who]
            self._look(who, rows, stop, self._trailed(who, rows, stop))
            goes_on, rests = ~self.odd[who], self.rests[who]
            given_up = goes_on & ~rests & (self.exit[who] != rows)
            free.append((who[given_up], rows[given_up] + 1))
            who, rows = who[goes_on & rests], rows[goes_on & rests] + 1
        self.odd[who] = True
        return np.concatenate([one for one, _ in free]), np.concatenate([row for _, row in free])

    def _give_up(self, who: Rows, rows: Rows) -> None:
        """Drop the orders that had their time: `engine.pursuit.check_timeouts`."""
        limit, times = self.course.settings.exit_timeout_ms, self.course.candles.ts
        if limit:
            late = who[self.rests[who] & (times[self.placed[who]] <= times[rows] - limit)]
            self.rests[late] = False
            self.given_up[late] += 1

    def _trailed(self, who: Rows, rows: Rows, stop: Floats) -> Floats:
        """The stops after the best of these rows."""
        course = self.course
        if not course.settings.trailing_stop:
            return stop
        best, rate = course.best[rows], self.rate[who]
        self.odd[who] |= self._is_at_offset(best, rate)
        found: Floats = np.maximum(self._wanted(best, rate, course.near_stops[rows], course.far_stops[rows]), stop)
        return found

    def _end(self, who: Rows, stop: Floats) -> None:
        """The data ends: left at the open of the last row."""
        course, candles = self.course, self.course.candles
        last = len(candles) - 1
        rate = (nearest(candles.open[last:], course.scale[last]) / course.scale[last]).item()
        self.exit[who], self.reason[who], self.close_rate[who] = last, FORCE_EXIT, rate
        self.stop[who] = stop
        self.odd[who] |= not candles.low[last] <= rate <= candles.high[last]

    def _signalled(self, who: Rows, rows: Rows, opened: Floats) -> Bools:
        course = self.course
        leave: Bools = course.wishes.leave[rows]
        if not course.settings.exit_profit_only:
            return leave
        level = course.least * self.rate[who]
        price = course.sign * opened
        self.odd[who] |= leave & (np.abs(price - level) <= NEAR * self.rate[who])
        return leave & (price >= level)

    def _roi(self, who: Rows, rows: Rows, opened: Floats) -> tuple[Bools, Floats, Bools]:
        """Whether ROI is taken, at what price, and whether that is odd: `engine.exits.roi_price`."""
        course, rate, sign = self.course, self.rate[who], self.course.sign
        minutes = (rows - self.entry[who]) * course.timeframe
        which = course.roi_at(minutes)
        level = course.roi_levels[which] * rate
        best = course.best[rows]
        takes = best >= level
        odd = np.abs(best - level) <= NEAR * rate
        if course.wishes.holds_roi is not None:
            takes &= ~course.wishes.holds_roi[rows]
        ratio = course.roi_ratios[which]
        target: Floats = rate * course.rate_of(ratio)
        key = course.roi_since[which]
        on_candle = key % course.timeframe == 0
        just_now = (minutes > 0) & (minutes == key) & on_candle
        at_open = (just_now & (sign * opened > sign * target)) | ((ratio == -1.0) & on_candle)
        odd |= just_now & (np.abs(opened - target) <= NEAR * rate)
        closed = course.candles.close[rows]
        fell = (minutes == 0) & (sign * opened > sign * closed) & (sign * rate < sign * opened) & ~at_open
        odd |= fell & (np.abs(target - closed) <= NEAR * rate)
        takes &= ~(fell & (sign * target > sign * closed))
        within = np.minimum(np.maximum(target, course.candles.low[rows]), course.candles.high[rows])
        return takes, np.where(at_open, opened, within), odd

    def _stop_price(self, who: Rows, rows: Rows, stop: Floats, moved: Bools) -> Floats:
        """Where a stop that was hit is left: `engine.exits.stop_price`."""
        course, settings, sign = self.course, self.course.settings, self.course.sign
        opened, best, worst = course.candles.open[rows], course.best[rows], course.worst[rows]
        price = np.where(stop > best, opened, sign * stop)
        inside = np.flatnonzero(moved & (stop <= best) & (rows == self.entry[who]))
        if not len(inside):
            return price
        start, offset = opened[inside], settings.trailing_stop_positive_offset
        positive = settings.trailing_stop_positive
        if settings.trailing_only_offset_is_reached and offset and positive is not None:
            rate = armed_by_offset(start, float(offset), course.near, sign)
        else:
            past = best[inside] >= course.offset[1] * self.rate[who[inside]]
            distance = course.far if positive is None else np.where(past, course.near, course.far)
            rate = against(start, distance, sign)
        price[inside] = sign * np.maximum(worst[inside], sign * rate)
        return price


def _are_several(one: Bools, two: Bools, three: Bools) -> Bools:
    """Where more than one is true: beside an order that rests at the price of the first, the next has its say."""
    return (one & two) | (three & (one | two))


def _is_near_tie(prices: Floats, scale: Floats) -> npt.NDArray[np.bool_]:
    """Whether a price is so near to the middle between two steps that its own noise would round it."""
    steps = prices * scale
    return np.abs(steps - np.floor(steps) - 0.5) <= 1e-12 * steps + 1e-9
