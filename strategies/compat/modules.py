"""Which of Freqtrade's modules there are here, and what each shows.

module → our module → its names, separated by blanks; `name=ours` where ours is called otherwise, `*` for
all that ours has, `name=*` for the module itself.
"""

from __future__ import annotations

from typing import Final

EVERYTHING: Final = "*"

_TIMES = "timeframe_to_minutes timeframe_to_seconds timeframe_to_msecs timeframe_to_prev_date timeframe_to_next_date"
_MERGING = "merge_informative_pair stoploss_from_open stoploss_from_absolute"
_PARAMETERS = "IntParameter RealParameter DecimalParameter CategoricalParameter BooleanParameter"
_STRATEGY = {
    "interface": "IStrategy",
    "informative": "informative",
    "helpers": f"{_TIMES} {_MERGING}",
    "parameters": _PARAMETERS,
    "trade": "Trade",
    "order": "Order",
    "locks": "PairLocks",
    "extras": "AnnotationType",
}
_SPACE = {"parameters": "Categorical Dimension Integer Real SKDecimal"}
_CONVERTER = {"extras": "order_book_to_dataframe ohlcv_fill_up_missing_data trim_dataframe reduce_dataframe_footprint"}

MODULES: Final[dict[str, dict[str, str]]] = {
    "freqtrade": {"extras": "__version__"},
    "freqtrade.strategy": _STRATEGY,
    "freqtrade.strategy.interface": {**_STRATEGY, "enums": "CandleType ExitType RunMode SignalType SignalTagType"},
    "freqtrade.strategy.hyper": {"parameters": f"{_PARAMETERS} BaseParameter NumericParameter", "extras": "HyperStrategyMixin"},
    "freqtrade.strategy.parameters": {"parameters": f"{_PARAMETERS} BaseParameter NumericParameter"},
    "freqtrade.strategy.strategy_helper": {"helpers": _MERGING},
    "freqtrade.strategy.informative_decorator": {"informative": "informative"},
    "freqtrade.strategy.strategy_wrapper": {"extras": "strategy_safe_wrapper"},
    "freqtrade.persistence": {"trade": "Trade LocalTrade", "order": "Order", "locks": "PairLocks", "extras": "CustomDataWrapper"},
    "freqtrade.persistence.models": {"trade": "Trade LocalTrade", "order": "Order", "locks": "PairLocks PairLock"},
    "freqtrade.persistence.trade_model": {"trade": "Trade LocalTrade", "order": "Order"},
    "freqtrade.persistence.pairlock_middleware": {"locks": "PairLocks"},
    "freqtrade.exchange": {
        "helpers": f"{_TIMES} date_minus_candles timeframe_to_resample_freq ROUND_UP ROUND_DOWN",
        "extras": "market_is_active",
    },
    "freqtrade.exchange.exchange": {"helpers": _TIMES},
    "freqtrade.exchange.exchange_utils": {"helpers": f"{_TIMES} date_minus_candles"},
    "freqtrade.exchange.exchange_utils_timeframe": {"helpers": f"{_TIMES} timeframe_to_resample_freq"},
    "freqtrade.data": {"provider": "dataprovider=*", "extras": "converter=* history=*"},
    "freqtrade.data.dataprovider": {"provider": "DataProvider"},
    "freqtrade.data.converter": _CONVERTER,
    "freqtrade.data.history": {"extras": "load_pair_history"},
    "freqtrade.vendor": {},
    "freqtrade.vendor.qtpylib": {"indicators": "indicators=*"},
    "freqtrade.vendor.qtpylib.indicators": {"indicators": "*"},
    "freqtrade.misc": {"extras": "chunks safe_value_fallback safe_value_fallback2 plural round_dict deep_merge_dicts"},
    "freqtrade.util": {"extras": "dt_now dt_utc dt_from_ts dt_ts dt_floor_day format_date fmt_coin"},
    "freqtrade.enums": {
        "enums": (
            "RunMode CandleType TradingMode MarginMode SignalDirection SignalType SignalTagType MarketDirection PriceType "
            "ExitType State TRADE_MODES OPTIMIZE_MODES NON_UTIL_MODES SellType=ExitType"
        ),
        "extras": "ExitCheckTuple",
    },
    "freqtrade.state": {"enums": "RunMode State"},
    "freqtrade.exceptions": {
        "enums": (
            "FreqtradeException OperationalException ConfigurationError DependencyException PricingError ExchangeError "
            "InvalidOrderException RetryableOrderError InsufficientFundsError TemporaryError DDosProtection StrategyError"
        )
    },
    "freqtrade.constants": {
        "extras": (
            "Config ListPairsWithTimeframes PairWithTimeframe DEFAULT_DATAFRAME_COLUMNS UNLIMITED_STAKE_AMOUNT "
            "DATETIME_PRINT_FORMAT CUSTOM_TAG_MAX_LENGTH LongShort BuySell EntryExit"
        )
    },
    "freqtrade.wallets": {"wallets": "Wallet Wallets"},
    "freqtrade.typing": {"extras": "AnnotationType"},
    "freqtrade.ft_types": {"extras": "AnnotationType"},
    "freqtrade.optimize": {},
    "freqtrade.optimize.space": _SPACE,
    "freqtrade.optimize.space.decimalspace": {"parameters": "SKDecimal"},
    "freqtrade.optimize.hyperopt": {"hyperopt": "IHyperOpt IHyperOptLoss"},
    "freqtrade.optimize.hyperopt_interface": {"hyperopt": "IHyperOpt"},
    "freqtrade.optimize.hyperopt_loss_interface": {"hyperopt": "IHyperOptLoss"},
    "freqtrade.optimize.hyperopt.hyperopt_interface": {"hyperopt": "IHyperOpt"},
    "freqtrade.optimize.hyperopt.hyperopt_loss_interface": {"hyperopt": "IHyperOptLoss"},
    "skopt": {},
    "skopt.space": _SPACE,
}  # fmt: skip

STANDINS: Final = {"skopt": ("skopt", "skopt.space")}
"""Packages that old strategies need only for the names of search spaces."""
