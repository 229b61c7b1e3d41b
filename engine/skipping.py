"""Which candles a pair must see: those on which something can happen to it. The others change nothing.

Rules
    A flat pair sees the rows that carry a signal; one with an order at work, or an evaluation under way,
    sees every row.
    An open position sees, besides, the rows that may reach its stop, its liquidation or a ROI level, or
    move a trailing stop, those on which funding is due, and the last one, on which it is left.
    They are found in doubles with room for every rounding, so that a row too many may be seen and none
    too few; what happens on a row is decided by the machine alone.
    What is passed over leaves one trace, the extremes the price went to; `with_passed` books it.
    Only what is known here is passed over: a setting, a callback or a field of the trade that this
    module has not heard of makes the pair see every row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.candles import Floats
from engine.exits import MINUTE_MS, tighter
from engine.market import Market
from engine.position import Position
from engine.settings import Settings
from engine.strategy import ACCOUNT, LOOKS
from engine.tape import Reel, Tape
from engine.types import ZERO, Side, exact
from engine.work import Rules, Trade

ROUNDING: Final = 2e-8
"""Profit ratios are rounded to 8 digits; a level is looked for so much below where it is."""
NOISE: Final = 1e-9
"""Room for the doubles' own error, as a ratio of a price."""
BLOCKS: Final = (48, 192, 768, 3_072)
"""Rows looked at together, fewer first: most positions are left soon."""

_IDLE: Final = frozenset(
    {
        "confirm_trade_entry",
        "confirm_trade_exit",
        "custom_stake_amount",
        "custom_entry_price",
        "custom_exit_price",
        "leverage",
        ACCOUNT,
    }
)
"""Callbacks that are asked only where a rule of ours has something to do."""

_SETTINGS: Final[dict[str, Callable[[Any], bool]]] = {
    "stop_on_venue": lambda on: not on,
    "position_adjustment": lambda on: not on,
    "callbacks": lambda names: names <= _IDLE or names <= LOOKS,  # who is asked nothing sees nothing
}
"""The settings whose value decides whether rows may be passed over."""

_ANY_SETTING: Final = frozenset(
    {
        "timeframe_ms", "detail_ms", "roi", "stoploss", "trailing_stop", "trailing_stop_positive", "trailing_stop_positive_offset",
        "trailing_only_offset_is_reached", "use_exit_signal", "exit_profit_only", "exit_profit_offset",
        "ignore_roi_if_entry_signal", "can_short", "leverage", "fee", "entry_type", "exit_type", "stop_type",
        "emergency_type", "force_entry_type", "force_exit_type", "entry_time_in_force", "exit_time_in_force",
        "stop_interval_ms", "stop_step", "stop_beside", "stop_replace", "stop_amend", "entry_timeout_ms", "exit_timeout_ms", "exit_timeout_count", "exit_closer_ms",
        "exit_market_ms", "signal_max_age_ms",
        "max_entry_adjustments", "amount_reserve", "liquidation_buffer", "callback_deadline_ms",
    }
)  # fmt: skip
"""Settings that may have any value: those of the rules below, and of what happens only on rows that are seen."""

_TRADE: Final = frozenset(
    {
        "pair", "rules", "state", "run", "number", "intents", "side", "leverage", "position", "orders", "stop",
        "max_rate", "min_rate", "opened_at", "enter_tag", "leaving", "leave_type", "exit_reason", "exit_timeouts",
        "exit_failures", "stop_failed", "stop_touched_at", "retry_at", "replace_at", "signalled_exit_ts", "signal", "signal_ts",
        "price", "pending", "queued", "questions", "earned", "last_closed", "quarantined", "reconciled", "trading",
        "filled_at", "over_ts", "liquidation", "unheard", "left_since", "payment_ids", "payments_before", "reviewed_at",
        "repriced_candle",
    }
)  # fmt: skip
_POSITION: Final = frozenset(
    {
        "side", "leverage", "amount", "cost", "value", "entered_amount", "entered_cost", "entered_value",
        "exited_amount", "exited_cost", "booked", "leaving_value", "left_value", "entry_fee", "exit_fee", "fees", "funding",
        "funding_booked",
    }
)  # fmt: skip
_RULES: Final = frozenset({"settings", "market", "order_prefix", "run", "fee", "reserve_stop"})
_MARKET: Final = frozenset(
    {
        "pair", "base", "quote", "price_step", "amount_step", "amount_min", "amount_max", "cost_min", "cost_max",
        "maker_fee", "taker_fee", "leverage_max", "active", "contract_size", "tiers", "liquidation",
    }
)  # fmt: skip
_TAPE: Final = frozenset({"candles", "signals", "price_steps", "funding", "detail"})


def _unknown(cls: Any, known: frozenset[str]) -> tuple[tuple[str, Any], ...]:
    return tuple((field.name, _default(field)) for field in fields(cls) if field.name not in known)


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


_UNKNOWN: Final = {
    Settings: _unknown(Settings, _ANY_SETTING | _SETTINGS.keys()),
    Rules: _unknown(Rules, _RULES),
    Trade: _unknown(Trade, _TRADE),
    Position: _unknown(Position, _POSITION),
    Market: _unknown(Market, _MARKET),
    Tape: _unknown(Tape, _TAPE),
}


def is_known(value: Any) -> bool:
    """Whether what this module has not heard of is switched off in `value`: it has its default."""
    return all([getattr(value, name) == default for name, default in _UNKNOWN[type(value)]])  # noqa: C419  (quicker)


def may_skip(settings: Settings) -> bool:
    """Whether a position under these settings may pass over rows at all."""
    return is_known(settings) and all(fits(getattr(settings, name)) for name, fits in _SETTINGS.items())


def next_row(trade: Trade, reel: Reel, number: int) -> int:
    """The first row after `number` that `trade` must see; the number of rows where there is none."""
    rules = trade.rules
    if trade.working() or trade.pending is not None or trade.queued is not None or trade.leaving is not None:
        return number + 1
    if not (_may_pass(reel, rules) and is_known(trade)):
        return number + 1
    if trade.position.amount <= ZERO:
        return reel.next_signalled(number)
    if trade.stop is None or trade.stop_touched_at or not is_known(trade.position):
        return number + 1
    if number + 1 >= len(reel):
        return number + 1
    end = min(reel.next_signalled(number), reel.next_funded(number), len(reel) - 1)
    return _first_touch(trade, reel, number + 1, end)


def _may_pass(reel: Reel, rules: Rules) -> bool:
    """Whether rows of this tape may be passed over under these rules at all; asked anew only where they are others."""
    if reel.passing is None or reel.passing[0] is not rules:
        fits = all(map(is_known, (reel.tape, rules, rules.market))) and may_skip(rules.settings)
        reel.passing = (rules, fits)
    return reel.passing[1]


def with_passed(trade: Trade, reel: Reel, first: int, end: int) -> Trade:
    """`trade` after the price went through rows [first, end) that it did not have to see."""
    if first >= end or trade.position.amount <= ZERO:
        return trade
    twin = trade.copy()
    twin.max_rate = max(trade.max_rate, exact(float(reel.high[first:end].max())))
    twin.min_rate = min(trade.min_rate, exact(float(reel.low[first:end].min())))
    return twin


def _first_touch(trade: Trade, reel: Reel, first: int, end: int) -> int:
    """The first row in [first, end) that may touch a level of the open position; `end` where none does."""
    levels = _Levels(trade, reel)
    for size in (*BLOCKS, len(reel)):
        if first >= end:
            break
        last = min(first + size, end)
        part = slice(first, last)
        touched = levels.touched(reel.times[part], reel.high[part], reel.low[part])
        at = int(touched.argmax())
        if touched[at]:
            return first + at
        first = last
    return end


class _Levels:
    """The prices at which something may happen to a position, as bounds of a candle's best and worst."""

    __slots__ = ("guard", "is_long", "keys", "opened_at", "span_ms", "stop", "targets", "trail")

    def __init__(self, trade: Trade, reel: Reel) -> None:
        settings, position = trade.rules.settings, trade.position
        assert trade.stop is not None
        self.is_long = position.side is Side.LONG
        self.opened_at = trade.opened_at
        self.span_ms = 0 if reel.tape.detail is None else reel.timeframe_ms
        self.stop = float(trade.stop.level)
        self.guard = float(tighter(trade.stop.level, trade.liquidation, position.side))
        self.keys = np.array([key for key, _ in settings.roi], np.int64)
        targets = [self._price_at(trade, float(ratio) - ROUNDING) for _, ratio in settings.roi]
        nowhere = np.inf if self.is_long else -np.inf
        self.targets = np.array([nowhere, *targets])  # before the first key there is no target
        self.trail = self._trail(trade, reel.tape) if settings.trailing_stop else nowhere

    def _price_at(self, trade: Trade, ratio: float) -> float:
        """A price from which the profit may be over `ratio`."""
        position, fee = trade.position, float(trade.rules.fee)
        amount, value, leverage = float(position.amount), float(position.value), float(position.leverage)
        due = float(position.funding_due)
        if self.is_long:
            return (value * (1 + ratio / leverage) - due) / (amount * (1 - fee)) * (1 - NOISE)
        return (value * (1 - ratio / leverage) + due) / (amount * (1 + fee)) * (1 + NOISE)

    def _trail(self, trade: Trade, tape: Tape) -> float:
        """A price from which trailing may move the stop: past the offset where that counts, closer than the stop is."""
        settings = trade.rules.settings
        leverage = float(trade.position.leverage)
        offset = float(settings.trailing_stop_positive_offset) - ROUNDING
        step = max([float(trade.rules.market.price_step), *(float(s) for _, s in tape.price_steps)])
        far = abs(float(settings.stoploss)) / leverage
        near = far
        if settings.trailing_stop_positive is not None:
            near = abs(float(settings.trailing_stop_positive)) / leverage
        past = self._price_at(trade, offset)
        if self.is_long:
            moves_far = (self.stop - step) / (1 - far) if far < 1 else -np.inf
            moves_near = (self.stop - step) / (1 - near) if near < 1 else -np.inf
            closer = max(past, moves_near) * (1 - NOISE)
            return closer if settings.trailing_only_offset_is_reached else min(closer, moves_far * (1 - NOISE))
        moves_far, moves_near = (self.stop + step) / (1 + far), (self.stop + step) / (1 + near)
        closer = min(past, moves_near) * (1 + NOISE)
        return closer if settings.trailing_only_offset_is_reached else max(closer, moves_far * (1 + NOISE))

    def touched(self, ts: npt.NDArray[np.int64], high: Floats, low: Floats) -> npt.NDArray[np.bool_]:
        """The rows that may touch one of the levels, or within which the target is another one."""
        keys = self.keys.searchsorted((ts - self.opened_at) // MINUTE_MS, side="right")
        target = self.targets[keys]
        found: npt.NDArray[np.bool_]
        if self.is_long:
            found = (low <= self.guard * (1 + NOISE)) | (high >= np.minimum(target, self.trail))
        else:
            found = (high >= self.guard * (1 - NOISE)) | (low <= np.maximum(target, self.trail))
        if self.span_ms and len(self.keys):
            found |= keys != self.keys.searchsorted((ts + self.span_ms - self.opened_at) // MINUTE_MS, side="right")
        return found
