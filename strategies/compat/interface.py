"""`IStrategy`: a class written for Freqtrade, judged and asked as any other strategy here.

Attributes, methods and their arguments are those of Freqtrade's public interface, the names before its
version 3 included. The base of the user's class is Tradepit's own `Strategy`: `signals` runs the three
`populate_*` methods over the candles once, `asked` turns the machine's plain values into the objects
that callbacks expect. One instance serves all pairs of a process, as in Freqtrade, so what a strategy
remembers of one pair it knows when it is asked about another.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final

from engine.candles import Candles
from engine.parameters import parameters_of, set_values
from engine.strategy import ACCOUNT, CALLBACKS, TRADES, Aside, OwnSpaces, Signals, Strategy, Surroundings
from strategies.compat.asking import converted, newest_price
from strategies.compat.book import TradeBook
from strategies.compat.callbacks import Callbacks
from strategies.compat.configuration import config_of
from strategies.compat.enums import MarketDirection
from strategies.compat.frames import frame_of, no_tags, renamed, signals_of
from strategies.compat.helpers import timeframe_to_minutes, timeframe_to_next_date
from strategies.compat.hyperopt import own_spaces_of
from strategies.compat.informative import asset_of, informatives_of, with_informative
from strategies.compat.locks import LockBook, PairLocks
from strategies.compat.looks import looks_of
from strategies.compat.order import moment_of
from strategies.compat.provider import DataProvider
from strategies.compat.trade import Trade
from strategies.compat.wallets import Wallets

LEGACY_SETTINGS: Final = {
    "ticker_interval": "timeframe",
    "use_sell_signal": "use_exit_signal",
    "sell_profit_only": "exit_profit_only",
    "sell_profit_offset": "exit_profit_offset",
    "ignore_roi_if_buy_signal": "ignore_roi_if_entry_signal",
}
LEGACY_CALLBACKS: Final = {
    "custom_sell": "custom_exit",
    "check_buy_timeout": "check_entry_timeout",
    "check_sell_timeout": "check_exit_timeout",
}
_LEGACY_KEYS: Final = {
    "buy": "entry",
    "sell": "exit",
    "forcebuy": "force_entry",
    "forcesell": "force_exit",
    "emergencysell": "emergency_exit",
}
WINDOW: Final = 1_000
"""Candles that Freqtrade hands a strategy live: an exchange's usual page."""
WINDOW_MAX: Final = 30_000
SLOW_CANDLES: Final = 50
"""Candles of a slower timeframe that a window is to be good for, besides the start-up candles."""


class IStrategy(Callbacks, Strategy):
    """Base of strategies written for Freqtrade. `config`, `dp` and `wallets` are there before `bot_start`."""

    INTERFACE_VERSION: int = 3
    one_for_all: ClassVar[bool] = True

    minimal_roi: ClassVar[Any] = {}
    order_types: ClassVar[Any] = {
        "entry": "limit",
        "exit": "limit",
        "stoploss": "limit",
        "stoploss_on_exchange": False,
        "stoploss_on_exchange_interval": 60,
    }
    process_only_new_candles: bool = True
    disable_dataframe_checks: bool = False
    startup_candle_count: int = 0
    plot_config: ClassVar[dict[str, Any]] = {}
    unfilledtimeout: ClassVar[dict[str, Any]] = {}
    max_open_trades: Any = 0
    market_direction: MarketDirection = MarketDirection.NONE
    config: dict[str, Any]
    dp: DataProvider
    wallets: Wallets

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        """`config` is what the run says, under Freqtrade's keys."""
        self.config = config or {}

    # ------------------------------------------------------------ as the engine sees it

    @classmethod
    def made(cls, parameters: Mapping[str, Any], surroundings: Surroundings) -> Strategy:
        """One instance, with the names before version 3 translated, and everything about it that it may ask."""
        _take_legacy(cls)
        config = config_of(cls, surroundings)
        strategy = cls(config)
        strategy.config = config
        strategy.dp = DataProvider(strategy, surroundings)
        strategy.wallets = Wallets(surroundings)
        strategy._began = strategy._begun_at = None
        strategy.looks_at = looks_of(cls)
        strategy._book = TradeBook(sees_all=TRADES in strategy.looks_at)
        strategy._locks = LockBook(strategy._wishes, strategy.timeframe, sees=ACCOUNT in strategy.looks_at)
        set_values(strategy, {**_values_in(strategy), **parameters})
        strategy.other_pairs, strategy.window_candles = needs_of(strategy)
        return strategy

    _began: Any = None
    _begun_at: Any = None
    _book: TradeBook
    _locks: LockBook

    @property
    def startup_candles(self) -> int:
        """`startup_candle_count`, as the engine calls it."""
        return int(self.startup_candle_count)

    @startup_candles.setter
    def startup_candles(self, value: int) -> None:
        self.startup_candle_count = value

    window_candles: int = WINDOW  # type: ignore[misc]  # what a strategy needs is found out when it is made
    other_pairs: tuple[str, ...] = ()  # type: ignore[misc]  # likewise
    looks_at: tuple[str, ...] = ()  # type: ignore[misc]  # likewise

    def defined_callbacks(self) -> tuple[str, ...]:
        """Those that the class itself defines; Freqtrade's defaults need not be asked."""
        return tuple(name for name in CALLBACKS if self.defines(name))

    def defines(self, callback: str) -> bool:
        """Whether the class has a method of its own for this."""
        return getattr(type(self), callback, None) is not getattr(IStrategy, callback, None)

    def signals(self, candles: Candles) -> Signals:
        """Run `populate_*` over the candles; keep the frame for `get_analyzed_dataframe`."""
        self._begin()
        self._locks.now = self.dp.judging(candles)
        metadata = {"pair": candles.pair}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = self.advise_indicators(frame_of(candles), metadata)
            frame["enter_tag"] = no_tags(frame)
            frame = self.advise_entry(frame, metadata)
            frame["exit_tag"] = no_tags(frame)
            frame = self.advise_exit(frame, metadata)
        self.dp.analysed(candles, frame)
        return signals_of(frame, candles, with_shorts=bool(self.can_short))

    def asked(self, callback: str, arguments: Mapping[str, Any], candles: Candles) -> Any:
        """Call `callback` with Freqtrade's objects; `candles` are those closed until now."""
        self._begin()
        now = self._locks.now = moment_of(int(arguments["current_time"]))
        self.dp.at(now, candles, newest_price(arguments))
        if self._begun_at != now and self.defines("bot_loop_start"):
            self._begun_at = now
            self.bot_loop_start(current_time=now)
        given = converted(callback, arguments, strategy=self, now=now)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(self, callback)(**given)

    def hear(self, account: Mapping[str, Any]) -> None:
        """Take the account: its trades, locks and balances."""
        self._book.hear(account)
        self._locks.hear(account["locks"])
        self.wallets.hear(account)

    def aside(self) -> Aside:
        """Custom data that was set on the trade, and locks that were made and lifted, since this was last asked."""
        return Aside(self._book.take_changed(), self._wishes.take())

    def _at_work(self) -> None:
        """What `Trade` and `PairLocks` say is of this strategy from here on: in a process there may be several."""
        Trade.book, PairLocks.book, PairLocks.timeframe = self._book, self._locks, self.timeframe

    def _begin(self) -> None:
        self._at_work()
        if self._began is None:
            self._began = True
            self.bot_start()

    def own_spaces(self) -> OwnSpaces:
        """Those that a nested `class HyperOpt` sets."""
        return own_spaces_of(self)

    # ------------------------------------------------------------ judging

    def advise_indicators(self, dataframe: Any, metadata: dict[str, Any]) -> Any:
        """The frame with the decorated methods' columns and `populate_indicators`'."""
        for wanted, populate in informatives_of(self):
            dataframe = with_informative(self, dataframe, metadata["pair"], wanted, populate)
        return self.populate_indicators(dataframe, metadata)

    def advise_entry(self, dataframe: Any, metadata: dict[str, Any]) -> Any:
        """The frame with the columns of entries, under today's names."""
        return renamed(self.populate_entry_trend(dataframe, metadata))

    def advise_exit(self, dataframe: Any, metadata: dict[str, Any]) -> Any:
        """The frame with the columns of exits, under today's names."""
        return renamed(self.populate_exit_trend(dataframe, metadata))

    def populate_indicators(self, dataframe: Any, metadata: dict[str, Any]) -> Any:
        """The strategy's indicators."""
        raise NotImplementedError(f"{type(self).__name__} has no populate_indicators(dataframe, metadata)")

    def populate_entry_trend(self, dataframe: Any, metadata: dict[str, Any]) -> Any:
        """The columns of entries; by default by the name before version 3."""
        return self.populate_buy_trend(dataframe, metadata)

    def populate_exit_trend(self, dataframe: Any, metadata: dict[str, Any]) -> Any:
        """The columns of exits, likewise."""
        return self.populate_sell_trend(dataframe, metadata)

    def populate_buy_trend(self, dataframe: Any, metadata: dict[str, Any]) -> Any:
        """The columns of entries before version 3."""
        del metadata
        return dataframe

    def populate_sell_trend(self, dataframe: Any, metadata: dict[str, Any]) -> Any:
        """The columns of exits before version 3."""
        del metadata
        return dataframe

    def informative_pairs(self) -> list[Any]:
        """Other pairs and timeframes that the strategy asks its data provider for."""
        return []

    def gather_informative_pairs(self) -> list[tuple[str, str, str]]:
        """All (pair, timeframe, candle type) besides the traded ones: as stated, and as decorated."""
        stake = str(self.config.get("stake_currency", ""))
        found = [(str(p[0]), str(p[1]), str(p[2]) if len(p) > 2 else "") for p in self.informative_pairs()]
        for wanted, _populate in informatives_of(self):
            pairs = self.dp.current_whitelist()
            found += [(asset_of(wanted, pair, stake), wanted.timeframe, wanted.candle_type) for pair in pairs]
        return list(dict.fromkeys(found))

    # ------------------------------------------------------------ helpers

    def get_strategy_name(self) -> str:
        """The class's name."""
        return type(self).__name__

    def lock_pair(  # type: ignore[override]  # Freqtrade's take times as such
        self, pair: str, until: datetime, reason: str | None = None, side: str = "*"
    ) -> None:
        """Let `pair` (`*`: all) not be entered until the candle after that time."""
        self._at_work()
        PairLocks.lock_pair(pair, until, reason, side=side)

    def unlock_pair(self, pair: str) -> None:  # type: ignore[override]  # as above
        """Lift the locks of `pair` that hold on both sides."""
        self._at_work()
        PairLocks.unlock_pair(pair)

    def unlock_reason(self, reason: str) -> None:
        """Lift all locks with this reason."""
        self._at_work()
        PairLocks.unlock_reason(reason)

    def is_pair_locked(self, pair: str, *, candle_date: datetime | None = None, side: str = "*") -> bool:
        """Whether `pair` is locked: when the candle of that date has closed, else now."""
        self._at_work()
        when = timeframe_to_next_date(self.timeframe, candle_date) if candle_date is not None else None
        return PairLocks.is_pair_locked(pair, when, side)


def needs_of(strategy: IStrategy) -> tuple[tuple[str, ...], int]:
    """The pairs whose candles are needed to judge others, and how many candles a window must hold.

    Where a strategy lists every traded pair of a timeframe, it is each pair's own that it asks for.
    """
    listed = [(str(p[0]), str(p[1])) for p in strategy.informative_pairs()]
    traded = set(strategy.dp.current_whitelist())
    own = {tf for _, tf in listed if traded and traded <= {pair for pair, other in listed if other == tf}}
    others = [pair for pair, tf in listed if tf not in own]
    timeframes = [tf for _, tf in listed]
    stake = str(strategy.config.get("stake_currency", ""))
    for wanted, _populate in informatives_of(strategy):
        timeframes.append(wanted.timeframe)
        if wanted.asset:
            others += [a for pair in traded or {""} if (a := asset_of(wanted, pair, stake)) != pair]
    base = timeframe_to_minutes(strategy.timeframe) or 1
    ratio = max((timeframe_to_minutes(tf) // base for tf in timeframes), default=1)
    window = max(WINDOW, ratio * (strategy.startup_candles + SLOW_CANDLES)) if ratio > 1 else WINDOW
    return tuple(dict.fromkeys(others)), min(window, WINDOW_MAX)


def _values_in(strategy: IStrategy) -> dict[str, Any]:
    """The values that a class itself gives its parameters in `buy_params`, `sell_params` and the like."""
    parameters = parameters_of(strategy)
    groups = {f"{parameter.space or 'buy'}_params" for parameter in parameters.values()}
    found: dict[str, Any] = {}
    for group in sorted({*groups, "buy_params", "sell_params"}):
        given = getattr(strategy, group, None)
        if isinstance(given, Mapping):
            found |= {name: value for name, value in given.items() if name in parameters and parameters[name].load}
    return found


def _take_legacy(cls: type[IStrategy]) -> None:
    """Give a class today's names for what it has under the names before version 3, where it has only those."""
    for was, now in LEGACY_SETTINGS.items():
        if hasattr(cls, was) and not _has_own(cls, now):
            setattr(cls, now, getattr(cls, was))
    for was, now in LEGACY_CALLBACKS.items():
        if _has_own(cls, was) and not _has_own(cls, now):
            setattr(cls, now, getattr(cls, was))
    for name in ("order_types", "order_time_in_force"):
        given = getattr(cls, name, None)
        if isinstance(given, Mapping):
            setattr(cls, name, {_LEGACY_KEYS.get(str(key), key): _plain(name, value) for key, value in given.items()})
    if not cls.minimal_roi:
        cls.minimal_roi = dict(Strategy.minimal_roi)


def _plain(name: str, value: Any) -> Any:
    return value.upper() if name == "order_time_in_force" and isinstance(value, str) else value


def _has_own(cls: type[IStrategy], name: str) -> bool:
    """Whether `cls` or a user's base of it says `name` itself."""
    before = cls.__mro__[: cls.__mro__.index(IStrategy)]
    return any(name in vars(base) for base in before)
