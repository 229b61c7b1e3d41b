"""What each key of `config.toml` may be, beside its type; and what Freqtrade calls our keys.

A rule is one row: a test and the words for it. The words are in every refusal and in `docs/config.md`,
so what is checked and what is documented cannot differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from engine.candles import timeframe_ms

PAIR: Final = re.compile(r"[A-Z0-9]{1,20}/([A-Z0-9]{1,20})(:[A-Z0-9]{1,20})?")
"""`BASE/QUOTE`, or `BASE/QUOTE:SETTLE` for a future, as ccxt writes them."""

COIN: Final = re.compile(r"[A-Z0-9]{1,20}")

_NAME: Final = re.compile(r"[a-z][a-z0-9]{1,30}")
_CONFIRMED: Final = re.compile(r"([a-z][a-z0-9]{1,30})?")
_PERCENT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_MEMORY: Final = re.compile(r"[1-9]\d*(\.\d+)?\s*([KMG]i?B)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rule:
    """`allows(value)` says whether a value of the right type will do; `says` ends "it must be …"."""

    allows: Callable[[Any], bool]
    says: str


def between(low: float | str, high: float | str) -> Rule:
    """A number from `low` to `high`, both included."""
    least, most = Decimal(str(low)), Decimal(str(high))
    return Rule(lambda v: least <= v <= most, f"from {low} to {high}")


def above(low: int, high: float | str | None = None) -> Rule:
    """A number above `low`, and at most `high` where one is given."""
    most = None if high is None else Decimal(str(high))
    says = f"above {low}" if high is None else f"above {low} and at most {high}"
    return Rule(lambda v: v > low and (most is None or v <= most), says)


def at_least(low: int) -> Rule:
    """A number of `low` or more."""
    return Rule(lambda v: v >= low, f"{low} or more")


def one_of(*choices: str) -> Rule:
    """One of these words."""
    return Rule(lambda v: v in choices, " or ".join(f'"{c}"' for c in choices))


def percent(text: str) -> Decimal | None:
    """The ratio that `5%` stands for; None when `text` is no percentage."""
    found = _PERCENT.fullmatch(text.strip())
    return Decimal(found[1]) / 100 if found else None


def number_of(value: Any) -> Decimal | None:
    """The finite number that `value` is, as it is written; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return number if number.is_finite() else None


def _is_stake(value: Any) -> bool:
    if isinstance(value, str):
        ratio = percent(value)
        return value == "unlimited" or (ratio is not None and 0 < ratio <= 1)
    return bool(value > 0)


def _is_timeframe(text: str) -> bool:
    try:
        timeframe_ms(text)
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _matches(pattern: re.Pattern[str], says: str) -> Rule:
    return Rule(lambda v: pattern.fullmatch(v) is not None, says)


_RATIO: Final = above(0, 1)
_FEE: Final = between("-0.01", "0.05")
_NOT_EMPTY: Final = Rule(bool, "not empty")
_PRICE_SIDE: Final = one_of("last", "same", "other", "bid", "ask")
_SLOTS: Final = Rule(lambda v: v == -1 or v >= 1, "1 or more, or -1 for no limit")

RULES: Final[dict[str, Rule]] = {
    "mode": one_of("paper", "live"),
    "trading.stake_currency": _matches(COIN, "a coin in capitals, such as USDT"),
    "trading.stake_amount": Rule(_is_stake, 'an amount above 0, a percentage such as "5%", or "unlimited"'),
    "trading.max_open_trades": _SLOTS,
    "trading.tradable_balance_ratio": _RATIO,
    "trading.available_capital": above(0),
    "trading.last_stake_amount_min_ratio": between(0, 1),
    "trading.liquidation_buffer": Rule(lambda v: 0 <= v < 1, "a ratio from 0 to below 1"),
    "trading.amount_reserve_percent": Rule(lambda v: 0 <= v < 1, "a ratio from 0 to below 1"),
    "trading.leverage": between(1, 125),
    "trading.entry_order": one_of("pairs", "score"),
    "trading.round_deadline_ms": between(1, 60_000),
    "unfilledtimeout.entry": at_least(0),
    "unfilledtimeout.exit": at_least(0),
    "unfilledtimeout.unit": one_of("minutes", "seconds"),
    "unfilledtimeout.exit_timeout_count": at_least(0),
    "unfilledtimeout.exit_closer": at_least(0),
    "unfilledtimeout.exit_market": at_least(0),
    "trading.custom_price_max_distance_ratio": Rule(lambda v: 0 <= v < 1, "a ratio from 0 to below 1"),
    "entry_pricing.price_side": _PRICE_SIDE,
    "entry_pricing.order_book_top": between(1, 50),
    "entry_pricing.price_last_balance": between(0, 1),
    "entry_pricing.bids_to_ask_delta": above(0),
    "exit_pricing.price_side": _PRICE_SIDE,
    "exit_pricing.order_book_top": between(1, 50),
    "exit_pricing.price_last_balance": between(0, 1),
    "risk.max_exposure_per_pair": above(0),
    "risk.max_exposure": above(0),
    "risk.max_drawdown": _RATIO,
    "risk.max_daily_loss": _RATIO,
    "strategy.name": _NOT_EMPTY,
    "strategy.workers": between(0, 256),
    "strategy.deadline_ms": between(1, 600_000),
    "strategy.callback_deadline_ms": between(1, 60_000),
    "strategy.memory_mb": at_least(256),
    "feed.timeframe_detail": Rule(lambda v: not v or _is_timeframe(v), 'a timeframe such as "1m", or empty'),
    "feed.source": one_of("market", "files"),
    "feed.pairs": between(1, 5_000),
    "feed.seed": at_least(0),
    "feed.speed": above(0, 3_600),
    "feed.start": Rule(_is_time, "a time with its zone in ISO 8601, such as 2026-01-01T00:00:00Z"),
    "feed.tick_ms": between(10, 60_000),
    "feed.stale_after_candles": at_least(1),
    "exchange.name": _matches(_NAME, "a name in small letters, as ccxt has it"),
    "exchange.market": one_of("spot", "futures"),
    "exchange.margin_mode": one_of("isolated", "cross"),
    "live.exchange": _matches(_CONFIRMED, "the name under [exchange]"),
    "live.largest_stake": above(0),
    "paper.wallet": above(0),
    "paper.fills": one_of("book", "candle"),
    "paper.maker_fee": _FEE,
    "paper.taker_fee": _FEE,
    "paper.latency_ms": between(0, 60_000),
    "paper.spread": between(0, "0.5"),
    "paper.depth": above(0),
    "paper.fee_coin_price": above(0),
    "paper.fee_coin_wallet": at_least(0),
    "paper.leverage_max": at_least(1),
    "paper.maintenance_rate": between("0.001", "0.5"),
    "paper.weight_per_minute": at_least(100),
    "paper.orders_per_10s": at_least(10),
    "paper.orders_per_day": at_least(100),
    "history.db": _NOT_EMPTY,
    "history.memory_limit": _matches(_MEMORY, "a size such as 128MB"),
    "history.threads": between(1, 64),
    "history.door_port": between(0, 65_535),
    "history.statement_seconds": between(1, 3_600),
    "history.segment_mb": at_least(1),
    "history.disk_reserve_mb": at_least(0),
    "notify.batch_ms": between(0, 600_000),
    "notify.attempts": between(1, 100),
    "notify.timeout_s": between(1, 300),
    "notify.queue": between(10, 100_000),
    "runtime.restarts": at_least(1),
    "runtime.restart_period_s": at_least(1),
    "runtime.watchdog_s": at_least(1),
    "runtime.deadman_s": at_least(1),
    "runtime.shutdown_s": at_least(1),
    "runtime.log_level": one_of("TRACE", "DEBUG", "INFO", "WARNING", "ERROR"),
}
"""The rule of each key that has one; a key without a rule takes any value of its type."""

_KEEP_OUT = (
    "Keep secrets out of this file: set TRADEPIT_KEY and TRADEPIT_SECRET, or write keys_file = … under [exchange]"
)
_NOT_NEEDED = "Leave it out: Tradepit reacts to events and needs no such setting"
_NOT_YET = "Leave it out: there is nothing like it here yet"
_NOTIFY = "Write [[notify.targets]] with a name and url_env; Apprise knows tgram://, discord://, json:// and many more"
_IN_STRATEGY = "Set it in the strategy's file, or under [strategy.overrides]"

FREQTRADE: Final[dict[str, str]] = {
    "dry_run": 'Write mode = "paper"',
    "dry_run_wallet": "Write wallet = … under [paper]",
    "trading_mode": "Write market = … under [exchange]",
    "pair_whitelist": "Write pairs = […] under [trading]",
    "pair_blacklist": "Leave those pairs out of pairs under [trading]",
    "pairlists": "Write pairs = […] under [trading]",
    "key": _KEEP_OUT,
    "secret": _KEEP_OUT,
    "password": _KEEP_OUT,
    "uid": _KEEP_OUT,
    "ccxt_config": "Write options = {…} under [exchange]",
    "ccxt_sync_config": "Write options = {…} under [exchange]",
    "ccxt_async_config": "Write options = {…} under [exchange]",
    "timeframe": _IN_STRATEGY,
    "fee": "Write maker_fee and taker_fee under [paper]",
    "db_url": "Write db = … under [history]",
    "logfile": "Write log_file = … under [runtime]",
    "verbosity": "Write log_level = … under [runtime]",
    "datadir": "Write data = … under [feed]",
    "dataformat_ohlcv": "Leave it out: Parquet, Feather and CSV are told apart by themselves",
    "strategy_path": "Write the path itself as name = … under [strategy]",
    "check_depth_of_market": "Write bids_to_ask_delta = … under [entry_pricing]",
    "cancel_open_orders_on_exit": "Leave it out: an orderly end cancels open entries and leaves stops in place",
    "process_only_new_candles": _NOT_NEEDED,
    "process_throttle_secs": _NOT_NEEDED,
    "internals": _NOT_NEEDED,
    "initial_state": "Leave it out: `tradepit pause` and `tradepit resume` turn entries off and on",
    "force_entry_enable": "Leave it out: `tradepit enter PAIR` always works",
    "stoploss_on_exchange_limit_ratio": "Leave it out: our stop orders sell at market price and have no limit",
    "telegram": _NOTIFY,
    "api_server": "Leave it out: `tradepit status --json` and `tradepit sql` answer what it did",
    "webhook": _NOTIFY,
    "discord": _NOTIFY,
    "freqai": _NOT_YET,
    "bot_name": _NOT_NEEDED,
    "user_data_dir": _NOT_NEEDED,
    "add_config_files": "Run `tradepit import-freqtrade CONFIG.json`, which reads them in",
    "use_sell_signal": "Write use_exit_signal in the strategy's file, or under [strategy.overrides]",
    "max_entry_position_adjustment": _IN_STRATEGY,
    "position_adjustment_enable": _IN_STRATEGY,
    "minimal_roi": _IN_STRATEGY,
    "stoploss": _IN_STRATEGY,
    "trailing_stop": _IN_STRATEGY,
    "trailing_stop_positive": _IN_STRATEGY,
    "trailing_stop_positive_offset": _IN_STRATEGY,
    "trailing_only_offset_is_reached": _IN_STRATEGY,
    "use_exit_signal": _IN_STRATEGY,
    "exit_profit_only": _IN_STRATEGY,
    "exit_profit_offset": _IN_STRATEGY,
    "ignore_roi_if_entry_signal": _IN_STRATEGY,
    "ignore_buying_expired_candle_after": _IN_STRATEGY,
    "order_types": _IN_STRATEGY,
    "order_time_in_force": _IN_STRATEGY,
    "startup_candle_count": "Write startup_candles in the strategy's file",
    "apiKey": _KEEP_OUT,
}
"""Freqtrade's keys that are not ours, and what to write instead."""

_SECRETS: Final = (
    "apikey",
    "secret",
    "password",
    "passphrase",
    "passwd",
    "token",
    "privatekey",
    "walletaddress",
    "accountid",
    "mnemonic",
    "credential",
    "authorization",
    "cookie",
    "twofa",
)
_SECRETS_EXACT: Final = frozenset({"key", "uid", "login", "auth", "sign", "signature"})
_USERINFO: Final = re.compile(r"(?<=//)[^/@\s]+(?=@)")

_LONGEST_SHOWN: Final = 60

HIDDEN: Final = "***"
"""What is shown in the place of a secret."""


def is_secret(key: str) -> bool:
    """Whether the value of `key` is of the kind that nobody should see."""
    bare = re.sub(r"[^a-z0-9]", "", key.lower())
    return bare in _SECRETS_EXACT or any(word in bare for word in _SECRETS)


def without_secrets(value: Any) -> Any:
    """`value` with every secret in it replaced: those under a telling key, and passwords inside addresses."""
    if isinstance(value, dict):
        return {k: HIDDEN if is_secret(str(k)) else without_secrets(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(v) for v in value]
    if isinstance(value, str):
        return _USERINFO.sub(HIDDEN, value)
    return value


def shown(key: str, value: Any) -> str:
    """`value` as a user would write it, short, and never a secret."""
    if is_secret(key.rpartition(".")[2]):
        return HIDDEN
    value = without_secrets(value)
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, Decimal):
        text = str(value)
    elif isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = json.dumps(value, default=_number_or_text, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def _number_or_text(value: Any) -> float | str:
    return float(value) if isinstance(value, Decimal) and value.is_finite() else str(value)
