"""The words of `freqtrade.enums` and the errors of `freqtrade.exceptions` that strategies compare with or raise."""

from __future__ import annotations

from enum import Enum, StrEnum


class RunMode(StrEnum):
    """What a run is for."""

    LIVE = "live"
    DRY_RUN = "dry_run"
    BACKTEST = "backtest"
    HYPEROPT = "hyperopt"
    UTIL_EXCHANGE = "util_exchange"
    UTIL_NO_EXCHANGE = "util_no_exchange"
    PLOT = "plot"
    WEBSERVER = "webserver"
    OTHER = "other"


TRADE_MODES = [RunMode.LIVE, RunMode.DRY_RUN]
OPTIMIZE_MODES = [RunMode.BACKTEST, RunMode.HYPEROPT]
NON_UTIL_MODES = [*TRADE_MODES, *OPTIMIZE_MODES]


class CandleType(StrEnum):
    """What a candle's prices are of."""

    SPOT = "spot"
    FUTURES = "futures"
    MARK = "mark"
    INDEX = "index"
    PREMIUMINDEX = "premiumIndex"
    FUNDING_RATE = "funding_rate"
    OPEN_INTEREST = "open_interest"


class TradingMode(StrEnum):
    """Spot or futures."""

    SPOT = "spot"
    MARGIN = "margin"
    FUTURES = "futures"


class MarginMode(StrEnum):
    """How positions are backed."""

    CROSS = "cross"
    ISOLATED = "isolated"
    NONE = ""


class SignalDirection(StrEnum):
    """The side of a signal."""

    LONG = "long"
    SHORT = "short"


class SignalType(StrEnum):
    """The columns of signals."""

    ENTER_LONG = "enter_long"
    EXIT_LONG = "exit_long"
    ENTER_SHORT = "enter_short"
    EXIT_SHORT = "exit_short"


class SignalTagType(StrEnum):
    """The columns of tags."""

    ENTER_TAG = "enter_tag"
    EXIT_TAG = "exit_tag"


class MarketDirection(Enum):
    """Where a user says the market goes."""

    LONG = "long"
    SHORT = "short"
    EVEN = "even"
    NONE = "none"


class PriceType(StrEnum):
    """Which price triggers a stop."""

    LAST = "last"
    MARK = "mark"
    INDEX = "index"


class ExitType(Enum):
    """Why a position is left."""

    ROI = "roi"
    STOP_LOSS = "stop_loss"
    STOPLOSS_ON_EXCHANGE = "stoploss_on_exchange"
    TRAILING_STOP_LOSS = "trailing_stop_loss"
    LIQUIDATION = "liquidation"
    EXIT_SIGNAL = "exit_signal"
    FORCE_EXIT = "force_exit"
    EMERGENCY_EXIT = "emergency_exit"
    CUSTOM_EXIT = "custom_exit"
    PARTIAL_EXIT = "partial_exit"
    SOLD_ON_EXCHANGE = "sold_on_exchange"
    NONE = ""

    def __str__(self) -> str:
        return self.value


class State(Enum):
    """What the bot is doing."""

    RUNNING = 1
    PAUSED = 2
    STOPPED = 3
    RELOAD_CONFIG = 4

    def __str__(self) -> str:
        return self.name.lower()


class FreqtradeException(Exception):
    """Base of the errors below."""


class OperationalException(FreqtradeException):
    """A mistake that needs a person."""


class ConfigurationError(OperationalException):
    """The configuration cannot be."""


class DependencyException(FreqtradeException):
    """Something that was relied on is not so."""


class PricingError(DependencyException):
    """No price can be had."""


class ExchangeError(DependencyException):
    """The exchange refused."""


class InvalidOrderException(ExchangeError):
    """An order cannot be."""


class RetryableOrderError(InvalidOrderException):
    """An order is not there yet."""


class InsufficientFundsError(InvalidOrderException):
    """There is too little money."""


class TemporaryError(ExchangeError):
    """Trying again may help."""


class DDosProtection(TemporaryError):
    """Too many requests."""


class StrategyError(FreqtradeException):
    """The strategy failed."""
