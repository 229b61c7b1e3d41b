"""What becomes of Freqtrade's keys that need no thought: a name of ours, or why they are not taken over."""

from __future__ import annotations

from typing import Final

SAME: Final = {
    **{
        name: f"trading.{name}"
        for name in (
            "stake_currency", "stake_amount", "tradable_balance_ratio", "available_capital", "amend_last_stake_amount",
            "last_stake_amount_min_ratio", "amount_reserve_percent", "liquidation_buffer",
            "custom_price_max_distance_ratio",
        )
    },
    **{f"unfilledtimeout.{name}": f"unfilledtimeout.{name}" for name in ("entry", "exit", "unit", "exit_timeout_count")},
    **{
        f"{section}.{name}": f"{section}.{name}"
        for section in ("entry_pricing", "exit_pricing")
        for name in ("price_side", "use_order_book", "order_book_top", "price_last_balance")
    },
    "timeframe": "strategy.overrides.timeframe",
    "logfile": "runtime.log_file",
}  # fmt: skip
"""Freqtrade's keys that mean the same here, under our name. A strategy's settings become overrides besides."""

_ELSEWHERE: Final = "say it on the command line of `tradepit backtest` or `optimize`"
_NO_LOOP: Final = "Tradepit reacts to events and needs no such setting"

NEEDED_NOT: Final = {
    "$schema": "it is for editors",
    "add_config_files": "the files are read in",
    "bot_name": "a bot is known by its history file",
    "config_files": "the files are read in",
    "fiat_display_currency": "profits are counted in the stake currency",
    "margin_mode": "positions are isolated; live, margin_mode under [exchange] says it",
    "process_only_new_candles": "a candle is judged once, when it has closed",
    "initial_state": "`tradepit pause` and `tradepit resume` turn entries off and on",
    "force_entry_enable": "`tradepit enter PAIR` always works",
    "cancel_open_orders_on_exit": "an orderly end cancels open entries and leaves stops in place",
    "internals": _NO_LOOP,
    "strategy_path": "the strategy is given by its file",
    "recursive_strategy_search": "the strategy is given by its file",
    "user_data_dir": "files are given by their paths",
    "datadir": "`--data DIR` says where candles are; see `tradepit data`",
    "dataformat_ohlcv": "formats are told apart by themselves",
    "dataformat_trades": "no trades of the market are read",
    "db_url": "give the database itself: --sqlite FILE --db HISTORY.duckdb",
    "export": _ELSEWHERE,
    "exportfilename": _ELSEWHERE,
    "timerange": _ELSEWHERE,
    "timeframe_detail": _ELSEWHERE,
    "enable_protections": "protections always count",
    "backtest_breakdown": _ELSEWHERE,
    "position_stacking": "there is one position a pair",
    "disable_dataframe_checks": "what a strategy answers is always checked",
    "reduce_df_footprint": "candles are kept as they are, once",
    "new_pairs_days": "`tradepit data` says what is there",
    "download_trades": "no trades of the market are read",
    "coingecko": "it is for a pair list of Freqtrade's",
    "exchange.skip_pair_validation": _NO_LOOP,
    "exchange.markets_refresh_interval": _NO_LOOP,
    "exchange.outdated_offset": "a pair without new candles is reported; see [feed] stale_after_candles",
    "exchange.unknown_fee_rate": "a fee in a third coin is kept as it was paid",
    "exchange.log_responses": "what is sent and answered is in the table `requests`",
    "exchange.enable_ws": _NO_LOOP,
    "exchange.only_from_ccxt": _NO_LOOP,
}

_MESSAGES: Final = (
    "write [[notify.targets]] with a name and url_env; Apprise knows tgram://, discord://, json:// and more"
)
_ANSWERS: Final = "`tradepit status --json` and `tradepit sql` answer what it did"

LACKED: Final = {
    "telegram": _MESSAGES,
    "webhook": _MESSAGES,
    "discord": _MESSAGES,
    "api_server": _ANSWERS,
    "external_message_consumer": "one bot trades hundreds of pairs; none listens to another",
    "freqai": "there are no trained models here",
    "edge": "Freqtrade has dropped it, too",
    "futures_funding_rate": "funding rates come from the data",
    "freqaimodel": "there are no trained models here",
    "freqaimodel_path": "there are no trained models here",
}

SECTIONS: Final = (
    "exchange", "unfilledtimeout", "entry_pricing", "exit_pricing", "telegram", "api_server", "webhook", "discord",
    "internals", "external_message_consumer", "freqai", "edge", "coingecko",
)  # fmt: skip
"""Tables whose keys are told one by one; any other table is one value."""
