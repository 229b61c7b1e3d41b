"""All that a strategy's author needs to read.

A strategy is a class with settings as attributes and one method, `signals(candles) -> Signals`, on
numpy arrays. Names and meanings are Freqtrade's where it has them. Callbacks are methods with
Freqtrade's names; those a class does not define cost nothing. They are called in a worker process,
with plain values, and have a deadline; where one raises or is late, the stated default serves.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from engine.candles import Bools, Candles, Floats
from engine.parameters import set_values
from engine.spaces import NO_SPACES, OwnSpace, OwnSpaces
from engine.views import AccountView, Aside, LockView, OrderView, TradeView, Wishes, account_view, trade_view

__all__ = [
    "ACCOUNT",
    "AFTER_FILL",
    "CALLBACKS",
    "LOOKS",
    "SETTINGS",
    "TAG_MAX",
    "TRADES",
    "AccountView",
    "Aside",
    "CandleSource",
    "LockView",
    "OrderView",
    "OwnSpace",
    "OwnSpaces",
    "Signals",
    "Strategy",
    "StrategyFacts",
    "Surroundings",
    "TradeView",
    "Wishes",
    "crossed_above",
    "crossed_below",
    "facts_of",
    "heard",
    "no_candles",
    "told",
]

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
    "adjust_trade_position",
    "adjust_entry_price",
    "adjust_exit_price",
    "adjust_order_price",
    "check_entry_timeout",
    "check_exit_timeout",
    "order_filled",
)
"""The callbacks the trade machine knows; their arguments are Freqtrade's (`semantics.md` 4.2), as plain
values: `current_time` in milliseconds, `trade` a `TradeView`, `order` an `OrderView`."""
AFTER_FILL: Final = "after_fill"
"""Listed among the callbacks where `custom_stoploss` takes this argument: then it is asked after fills too."""
ACCOUNT: Final = "account"
"""Listed among the callbacks of a strategy that looks at the account: its questions bring the figures and the locks."""
TRADES: Final = "trades"
"""Listed besides where it looks at all trades: its questions bring these, too."""
LOOKS: Final = frozenset({ACCOUNT, TRADES})


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


CandleSource = Callable[[str, str], Candles | None]
"""Gives the candles of a pair and timeframe; None where there are none."""


def no_candles(pair: str, timeframe: str) -> Candles | None:
    """There are none of other pairs and timeframes."""
    del pair, timeframe
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a strategy may know of the run it is in: as plain data, and the candles of others by asking.

    `stake_amount` is None where it is unlimited. `candles` gives those of a pair and timeframe, None where
    there is no data; `is_whole` says that they will not grow. `mode` is live, dry_run or backtest.
    """

    mode: str = "dry_run"
    pairs: tuple[str, ...] = ()
    stake_currency: str = ""
    stake_amount: float | None = None
    max_open_trades: int = 0
    tradable_balance_ratio: float = 1.0
    wallet: float = 0.0
    fee: float = 0.0
    exchange: str = "paper"
    futures: bool = False
    candles: CandleSource = no_candles
    is_whole: bool = False


def told(surroundings: Surroundings) -> dict[str, Any]:
    """Surroundings as plain data for another process; candles it has of its own."""
    return {f.name: getattr(surroundings, f.name) for f in fields(surroundings) if f.name != "candles"}


def heard(data: Mapping[str, Any]) -> Surroundings:
    """What `told` said."""
    return Surroundings(**{**data, "pairs": tuple(data["pairs"])})


class Strategy:
    """Base of all strategies: the settings with their defaults. Config overrides class, class overrides this."""

    timeframe: ClassVar[str] = "5m"
    startup_candles: ClassVar[int] = 0
    """Candles a strategy needs before its first signal counts; the window it is handed live holds
    at least these, and the same number again."""

    window_candles: ClassVar[int] = 0
    """More candles that the window shall hold than that: 0 is enough for what the start-up candles cover."""
    one_for_all: ClassVar[bool] = False
    """One instance for all pairs of a process, instead of one for each."""
    other_pairs: ClassVar[tuple[str, ...]] = ()
    """Pairs whose candles are needed to judge any other: all pairs are then judged in one process."""
    looks_at: ClassVar[tuple[str, ...]] = ()
    """What of the account `self.account` is to show: "account" for figures and locks, "trades" for all trades
    besides. It costs time with every question; nothing where it is empty."""

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
        "stoploss_on_exchange_step": 0.001,
    }
    order_time_in_force: ClassVar[Mapping[str, str]] = {"entry": "GTC", "exit": "GTC"}
    protections: ClassVar[list[Mapping[str, Any]]] = []

    candles: Candles
    """For callbacks: the pair's candles that are closed at `current_time`, the newest last. Set before
    every callback, live and in a backtest alike, so an indicator computed of it looks at nothing later."""
    account: AccountView | None = None
    """For strategies that look at it (`looks_at`): the account at the moment of the question; while candles are
    judged live, as it was a second before at most, and in a backtest None: candles are judged before any trade."""

    def __init__(self, parameters: Mapping[str, Any] | None = None) -> None:
        """`parameters` are the config's `[strategy.parameters]`; they set attributes of the same name."""
        set_values(self, parameters or {})

    @classmethod
    def made(cls, parameters: Mapping[str, Any], surroundings: Surroundings) -> Strategy:
        """One instance, as the loader makes them; what a strategy here needs to know it is handed when asked."""
        del surroundings
        return cls(parameters)

    def signals(self, candles: Candles) -> Signals:
        """Say of every candle whether to enter or leave; only what was known at its close may be used."""
        raise NotImplementedError(f"{type(self).__name__} has no signals(candles) method")

    def own_spaces(self) -> OwnSpaces:
        """Ranges of its own to search its ROI table, stop and trailing stop in (`tradepit optimize`); by default ours."""
        return NO_SPACES

    def defined_callbacks(self) -> tuple[str, ...]:
        """The callbacks this strategy defines; only these are ever asked."""
        return tuple(name for name in CALLBACKS if self.defines(name))

    def defines(self, callback: str) -> bool:
        """Whether there is a method for this callback."""
        return callable(getattr(self, callback, None))

    def asked(self, callback: str, arguments: Mapping[str, Any], candles: Candles) -> Any:
        """Call a callback with those of `arguments` that it takes; `candles` are those closed until now."""
        self.candles = candles
        method = getattr(self, callback)
        names, takes_all = _parameters(method.__func__)
        given = {name: value for name, value in arguments.items() if takes_all or name in names}
        if isinstance(given.get("order"), Mapping):
            given["order"] = OrderView(**given["order"])
        told = given.get("trade")
        if isinstance(told, Mapping):
            given["trade"] = view = trade_view(told)
            self._trade, self._kept = view, told.get("custom_data", {})
        return method(**given)

    def hear(self, account: Mapping[str, Any]) -> None:
        """Take what the account is from now on, as plain values; told only to strategies that look at it."""
        self.account = account_view(account, self._known)

    def lock_pair(self, pair: str, until: int, reason: str = "", side: str = "*") -> None:
        """Let `pair` (`*`: all) not be entered on `side` (long, short, `*`: both) before the candle after `until`.

        The lock is the account's: it holds for all, over restarts too, and is a row of `locks` in SQL.
        """
        self._wishes.lock(pair, side, until, reason)

    def unlock_pair(self, pair: str, side: str = "*") -> None:
        """Lift the locks of `pair`."""
        self._wishes.unlock(pair, side)

    def unlock_reason(self, reason: str) -> None:
        """Lift all locks that were made for this reason."""
        self._wishes.unlock_reason(reason)

    def aside(self) -> Aside:
        """What it has said besides its answers since this was last asked: custom data of its trade, and locks."""
        view, self._trade = self._trade, None
        changed = {}
        if view is not None and view.custom_data != self._kept:
            changed = {k: v for k, v in view.custom_data.items() if k not in self._kept or self._kept[k] != v}
        return Aside(changed, self._wishes.take())

    @cached_property
    def _wishes(self) -> Wishes:
        """Made when first needed: a subclass may have an `__init__` of its own. So the next."""
        return Wishes()

    @cached_property
    def _known(self) -> dict[str, TradeView]:
        return {}

    _trade: TradeView | None = None
    _kept: Mapping[str, Any] = MappingProxyType({})

    def takes(self, callback: str, argument: str) -> bool:
        """Whether a callback states an argument of that name."""
        return argument in _parameters(getattr(type(self), callback))[0]


@cache
def _parameters(function: Any) -> tuple[frozenset[str], bool]:
    """The argument names that a callback states, and whether it takes any others too (`**kwargs`)."""
    parameters = inspect.signature(function).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return frozenset(parameters), takes_all


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
    window_candles: int = 0
    other_pairs: tuple[str, ...] = ()


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


def _after_fill(strategy: Strategy) -> tuple[str, ...]:
    """`AFTER_FILL` where the strategy's stop wants to be asked after a fill."""
    asks = strategy.defines("custom_stoploss") and strategy.takes("custom_stoploss", AFTER_FILL)
    return (AFTER_FILL,) if asks else ()


def _looked_at(strategy: Strategy) -> tuple[str, ...]:
    """The marks of what a strategy looks at; whoever sees trades, or may add to them, sees the account."""
    if TRADES in strategy.looks_at:
        return (ACCOUNT, TRADES)
    adds = strategy.position_adjustment_enable and strategy.defines("adjust_trade_position")
    return (ACCOUNT,) if adds or ACCOUNT in strategy.looks_at else ()


def facts_of(strategy: Strategy) -> StrategyFacts:
    """The plain data of `strategy` that the engine needs."""
    return StrategyFacts(
        name=type(strategy).__name__,
        timeframe=strategy.timeframe,
        startup_candles=strategy.startup_candles,
        settings={name: getattr(strategy, name) for name in SETTINGS},
        callbacks=(*strategy.defined_callbacks(), *_after_fill(strategy), *_looked_at(strategy)),
        window_candles=strategy.window_candles,
        other_pairs=strategy.other_pairs,
    )
