"""The straight line of a plain trade: entered at a candle's open, left by one exit, found on whole arrays.

Rules
    Plain is a trade whose entry fills on its candle and that is left by one fill, without callbacks.
    For such trades this says what the machine makes of an entry on a row: the row it is left on, why, at
    what rate, and the stop then. `covers` says which rules it is for: only those it knows.
    Rates that come out of a ratio and are rounded are computed as in `engine.exits`, in doubles and in the
    same order, and rounded as `engine.market` does (`engine.steps`). Levels of *profit* are compared in
    doubles with room for their error. What comes nearer to a level than that, and whatever else is not
    plain (an entry price outside of its candle), is marked `odd`: the machine decides it.
    Everything is compared in the direction of the side: a short's prices count negative. So more is better
    for both, a candle's best is its high or its low, and stops only rise.

Why twice: the machine takes a millisecond a trade, this takes microseconds. What one formula can say for a rate
and for an array is said once (`engine.levels`, `engine.steps` beside the market's rounding). The rest cannot be shared without losing
that speed: which reason wins is a sequence of questions there and one selection over thousands of rows here, and
levels of profit are decimals there and bounds with room for error here. That both give equal trades, field for
field, is held by `tests/engine/test_plain.py`, on random cases and on those recorded from the reference;
`backtest --verify` holds it for a user's own run.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.candles import Bools, Candles, Floats
from engine.exits import MINUTE_MS
from engine.levels import against
from engine.market import round8
from engine.settings import Settings
from engine.skipping import is_known
from engine.steps import at_or_above, at_or_below, fits, scale_of
from engine.strategy import LOOKS
from engine.tape import Tape
from engine.types import ONE, ZERO, Side
from engine.work import Rules

Rows = npt.NDArray[np.intp]

EXIT_SIGNAL, STOP_LOSS, ROI, TRAILING, FORCE_EXIT = range(5)
REASONS: Final = ("exit_signal", "stop_loss", "roi", "trailing_stop_loss", "force_exit")
NEAR: Final = 1e-11
"""How near to a level, as a ratio of it, a price is too near for doubles to decide."""
BLOCKS: Final = (12, 36, 144, 576)
"""Rows looked at together, fewer first: most trades are left soon."""
CELLS: Final = 1_000_000
"""How many rows of how many trades are looked at together at most: it bounds the memory."""


def covers(rules: Rules, tape: Tape) -> bool:
    """Whether plain trades by these rules on this tape are what this module knows."""
    settings, market = rules.settings, rules.market
    steps = {market.price_step, *(step for _, step in tape.price_steps)}
    scales = [scale_of(step) for step in (*steps, market.amount_step)]
    return (
        all(is_known(part) for part in (settings, rules, market, tape))
        and settings.callbacks <= LOOKS
        and not settings.stop_on_venue
        and not settings.position_adjustment
        and not market.is_futures
        and not tape.funding
        and tape.detail is None
        and not market.tiers
        and market.contract_size == ONE
        and settings.timeframe_ms % MINUTE_MS == 0
        and _has_plain_levels(settings)
        and ONE <= settings.leverage <= market.leverage_max
        and rules.fee == market.maker_fee == market.taker_fee == round8(rules.fee)
        and ZERO <= rules.fee < Decimal("0.5")
        and all(scale is not None and fits(tape.candles.high, scale) for scale in scales)
        and _is_regular(tape.candles, settings.timeframe_ms)
    )


def _has_plain_levels(settings: Settings) -> bool:
    positive = settings.trailing_stop_positive
    distances = [abs(settings.stoploss), *([] if positive is None else [positive])]
    return all(ZERO < distance < settings.leverage for distance in distances) and all(
        abs(ratio) < 1_000 for ratio in (*(r for _, r in settings.roi), settings.exit_profit_offset)
    )


def _is_regular(candles: Candles, step: int) -> bool:
    count = len(candles)
    return count < 2 or int(candles.ts[-1]) - int(candles.ts[0]) == (count - 1) * step


@dataclass(frozen=True, slots=True)
class Paths:
    """What becomes of entries on the `entry` rows; of the odd ones only that is true.

    `reason` counts in `REASONS`, `given_up` exit orders that were not filled in time. Rates are the doubles nearest to decimals on the market's steps.
    """

    entry: Rows
    exit: Rows
    reason: npt.NDArray[np.int8]
    open_rate: Floats
    close_rate: Floats
    first_stop: Floats
    stop: Floats
    odd: Bools
    given_up: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the rows' signals mean to an open trade: to leave, and not to take a profit by ROI."""

    leave: Bools
    holds_roi: Bools | None = None


class Course:
    """A pair's rows under its rules and for one side, made ready to be followed from many entries."""

    def __init__(self, tape: Tape, rules: Rules, side: Side, wishes: Wishes) -> None:
        settings, candles = rules.settings, tape.candles
        self.settings = settings
        self.candles = candles
        self.wishes = wishes
        self.sign = 1.0 if side is Side.LONG else -1.0
        self.leverage = float(settings.leverage)
        self.timeframe = settings.timeframe_ms // MINUTE_MS
        self.best = candles.high if side is Side.LONG else -candles.low
        self.worst = candles.low if side is Side.LONG else -candles.high
        self.fine = scale_of(rules.market.price_step) or 1.0
        self.scale = _scales(tape, self.fine)
        fee = float(rules.fee)
        self.even = (1 + fee) / (1 - fee) if side is Side.LONG else (1 - fee) / (1 + fee)
        self.far = abs(float(settings.stoploss) / self.leverage)
        positive = settings.trailing_stop_positive
        self.near = self.far if positive is None else abs(float(positive) / self.leverage)
        self.may_rest = _may_rest(settings)
        self._set_levels(settings)
        self._padded: dict[str, npt.NDArray[Any]] = {}
        self._windows: dict[tuple[str, int], Any] = {}

    def _set_levels(self, settings: Settings) -> None:
        """Levels of profit, as multiples of the entry rate in the side's direction."""
        self.roi_keys = np.array([key for key, _ in settings.roi], np.int64)
        self.roi_since = np.array([-1, *self.roi_keys])
        self.roi_ratios = np.array([0.0, *(float(ratio) for _, ratio in settings.roi)])
        self.roi_levels = np.array([np.inf, *(self._over(ratio) for _, ratio in settings.roi)])
        self.least = self._over(settings.exit_profit_offset)
        offset = settings.trailing_stop_positive_offset
        self.offset = self._at(offset), self._over(offset)
        if settings.trailing_stop:
            prices = self.sign * self.best
            self.near_stops = self.stops(prices, self.near, self.scale)
            self.far_stops = self.stops(prices, self.far, self.scale)

    def _over(self, ratio: Decimal) -> float:
        """Where a profit that is rounded to 8 digits begins to be over `ratio`."""
        return self._level((ratio * 10**8).to_integral_value(ROUND_FLOOR) + 1)

    def _at(self, ratio: Decimal) -> float:
        """Where a profit that is rounded to 8 digits begins to be `ratio`."""
        return self._level((ratio * 10**8).to_integral_value(ROUND_CEILING))

    def _level(self, units: Decimal) -> float:
        return self.sign * float(self.rate_of(float((units - Decimal("0.5")) / 10**8)))

    def rate_of(self, ratio: Any) -> Any:
        """The price that brings a profit of `ratio`, a number or an array, as a multiple of the entry rate."""
        return self.even * (1 + self.sign * ratio / self.leverage)

    def stops(self, rates: Floats, distance: float, scale: float | Floats) -> Floats:
        """Stops at a distance from rates, in the side's direction: `engine.exits.stop_level`."""
        if self.sign > 0:
            return at_or_above(against(rates, distance, 1.0), scale) / scale
        return -(at_or_below(against(rates, distance, -1.0), scale) / scale)

    def roi_at(self, minutes: npt.NDArray[np.int64]) -> Rows:
        """Which entry of the ROI table is in force after so many minutes; 0 is none."""
        return np.searchsorted(self.roi_keys, minutes, side="right")

    def window(self, name: str, size: int) -> Any:
        """For every row the `size` rows of a column from there on; behind the end is a row that is left on."""
        found = self._windows.get((name, size))
        if found is None:
            if name not in self._padded:
                column, behind = self._column(name)
                self._padded[name] = np.concatenate([column, np.full(BLOCKS[-1], behind, column.dtype)])
            found = np.lib.stride_tricks.sliding_window_view(self._padded[name], size)
            self._windows[name, size] = found
        return found

    def _column(self, name: str) -> tuple[npt.NDArray[Any], float | bool]:
        if name == "leave":
            return self.wishes.leave, True
        if name == "holds_roi":
            assert self.wishes.holds_roi is not None
            return self.wishes.holds_roi, True
        if name == "open":
            return self.sign * self.candles.open, np.inf
        column: Floats = getattr(self, {"near": "near_stops", "far": "far_stops"}.get(name, name))
        return column, np.inf if name == "worst" else -np.inf


def _may_rest(settings: Settings) -> Bools:
    """Of each reason, whether an exit for it that is not filled at once waits as a plain limit order does."""
    ladder = settings.exit_timeout_count or settings.exit_closer_ms or settings.exit_market_ms
    waits = settings.exit_time_in_force == "GTC" and not ladder
    kinds = {EXIT_SIGNAL: settings.exit_type, ROI: settings.exit_type}
    found = [waits and kinds.get(reason, settings.stop_type) == "limit" for reason in range(len(REASONS))]
    return np.array(found, np.bool_)


def _scales(tape: Tape, fine: float) -> Floats:
    """The inverse price step of every row."""
    if not tape.price_steps:
        return np.full(len(tape.candles), fine)
    starts = np.array([first for first, _ in tape.price_steps], np.int64)
    scales = np.array([fine, *(scale_of(step) or fine for _, step in tape.price_steps)])
    found: Floats = scales[np.searchsorted(starts, tape.candles.ts, side="right")]
    return found
