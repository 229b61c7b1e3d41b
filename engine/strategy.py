"""All that a strategy's author needs to read.

A strategy is a class with settings as attributes and one method, `signals(candles) -> Signals`, on
numpy arrays. Names and meanings are Freqtrade's where it has them. Callbacks are methods with
Freqtrade's names; those a class does not define cost nothing. They are called in a worker process,
with plain values, and have a deadline; where one raises or is late, the stated default serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from engine.candles import Bools, Candles, Floats
from engine.parameters import set_values

TAG_MAX: Final = 255


def crossed_above(series: Floats, level: Floats | float) -> Bools:
    """Where `series` is above `level` and was not one candle before; NaN on either side is no crossing."""
    return _crossed(series > level, series <= level)


def crossed_below(series: Floats, level: Floats | float) -> Bools:
    """Where `series` is below `level` and was not one candle before; NaN on either side is no crossing."""
    return _crossed(series < level, series >= level)


def _crossed(is_beyond: Bools, is_before: Bools) -> Bools:
    crossed = np.zeros(len(is_beyond), dtype=np.bool_)
    np.logical_and(is_beyond[1:], is_before[:-1], out=crossed[1:])
    return crossed


CALLBACKS: Final = (
    "confirm_trade_entry",
    "confirm_trade_exit",
    "custom_stake_amount",
    "custom_entry_price",
    "custom_exit_price",
    "custom_stoploss",
    "custom_roi",
    "custom_exit",
    "leverage",
)
"""The callbacks the trade machine knows; their arguments are Freqtrade's (`semantics.md` 4.2), as plain
values: `current_time` in milliseconds, `trade` a `TradeView`."""
NOT_CALLED: Final = (
    "adjust_trade_position",
    "adjust_entry_price",
    "adjust_exit_price",
    "adjust_order_price",
    "check_entry_timeout",
    "check_exit_timeout",
    "order_filled",
)
"""Callbacks of Freqtrade's that nobody would call here: a strategy that counts on one is refused when it is
loaded, rather than traded without it."""


@dataclass(frozen=True, slots=True)
class Signals:
    """A strategy's answer: one value a candle, as arrays of the candles' length.

    An array left out is all False. Tags are lists of strings (or None), at most 255 characters each.
    `score` orders the pairs of a round when the config asks for it: the higher, the earlier.
    """

    enter_long: Bools | None = None
    exit_long: Bools | None = None
    enter_short: Bools | None = None
    exit_short: Bools | None = None
    enter_tag: list[str] | npt.NDArray[np.str_] | None = None
    exit_tag: list[str] | npt.NDArray[np.str_] | None = None
    score: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeView:
    """What a callback is told of its trade; floats, since a strategy computes in floats."""

    pair: str
    trade_id: str
    is_short: bool
    open_ts: int
    open_rate: float
    amount: float
    stake_amount: float
    leverage: float
    enter_tag: str
    stop_loss: float
    initial_stop_loss: float
    max_rate: float
    min_rate: float
    entries: int
    exits: int


class Strategy:
    """Base of all strategies: the settings with their defaults. Config overrides class, class overrides this."""

    timeframe: ClassVar[str] = "5m"
    startup_candles: ClassVar[int] = 0
    """Candles a strategy needs before its first signal counts; the window it is handed live holds
    at least these, and the same number again."""

    minimal_roi: ClassVar[Mapping[str, float]] = {"0": 10.0}
    stoploss: ClassVar[float] = -0.1
    trailing_stop: ClassVar[bool] = False
    trailing_stop_positive: ClassVar[float | None] = None
    trailing_stop_positive_offset: ClassVar[float] = 0.0
    trailing_only_offset_is_reached: ClassVar[bool] = False
    use_exit_signal: ClassVar[bool] = True
    exit_profit_only: ClassVar[bool] = False
    exit_profit_offset: ClassVar[float] = 0.0
    ignore_roi_if_entry_signal: ClassVar[bool] = False
    use_custom_stoploss: ClassVar[bool] = False
    use_custom_roi: ClassVar[bool] = False
    can_short: ClassVar[bool] = False
    position_adjustment_enable: ClassVar[bool] = False
    max_entry_position_adjustment: ClassVar[int] = -1
    ignore_buying_expired_candle_after: ClassVar[int] = 0
    order_types: ClassVar[Mapping[str, Any]] = {
        "entry": "limit",
        "exit": "limit",
        "stoploss": "market",
        "emergency_exit": "market",
        "force_entry": "market",
        "force_exit": "market",
        "stoploss_on_exchange": False,
        "stoploss_on_exchange_interval": 60,
    }
    order_time_in_force: ClassVar[Mapping[str, str]] = {"entry": "GTC", "exit": "GTC"}
    protections: ClassVar[list[Mapping[str, Any]]] = []

    candles: Candles
    """For callbacks: the pair's candles that are closed at `current_time`, the newest last. Set before
    every callback, live and in a backtest alike, so an indicator computed of it looks at nothing later."""

    def __init__(self, parameters: Mapping[str, Any] | None = None) -> None:
        """`parameters` are the config's `[strategy.parameters]`; they set attributes of the same name."""
        set_values(self, parameters or {})

    def signals(self, candles: Candles) -> Signals:
        """Say of every candle whether to enter or leave; only what was known at its close may be used."""
        raise NotImplementedError(f"{type(self).__name__} has no signals(candles) method")

    def defined_callbacks(self) -> tuple[str, ...]:
        """The callbacks this strategy defines; only these are ever asked."""
        return tuple(name for name in CALLBACKS if hasattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyFacts:
    """The settings and callbacks of a loaded strategy as plain data: all that the engine knows of it.

    The trading process never imports a user's file: a worker loads it and sends these.
    """

    name: str
    timeframe: str
    startup_candles: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    callbacks: tuple[str, ...] = ()


SETTINGS: Final = (
    "minimal_roi",
    "stoploss",
    "trailing_stop",
    "trailing_stop_positive",
    "trailing_stop_positive_offset",
    "trailing_only_offset_is_reached",
    "use_exit_signal",
    "exit_profit_only",
    "exit_profit_offset",
    "ignore_roi_if_entry_signal",
    "use_custom_stoploss",
    "use_custom_roi",
    "can_short",
    "position_adjustment_enable",
    "max_entry_position_adjustment",
    "ignore_buying_expired_candle_after",
    "order_types",
    "order_time_in_force",
    "protections",
)
"""The strategy attributes that the engine's `Settings` are made of."""


def facts_of(strategy: Strategy) -> StrategyFacts:
    """The plain data of `strategy` that the engine needs."""
    return StrategyFacts(
        name=type(strategy).__name__,
        timeframe=strategy.timeframe,
        startup_candles=strategy.startup_candles,
        settings={name: getattr(strategy, name) for name in SETTINGS},
        callbacks=strategy.defined_callbacks(),
    )
