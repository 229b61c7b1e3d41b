"""What a strategy finds in `self.config`: the run's settings under Freqtrade's keys."""

from __future__ import annotations

from typing import Any

from engine.strategy import Surroundings
from strategies.compat.enums import CandleType, MarginMode, RunMode, TradingMode


def config_of(cls: Any, surroundings: Surroundings) -> dict[str, Any]:
    """The configuration of a run, as far as a strategy can use it; no keys, no passwords."""
    futures = bool(getattr(cls, "can_short", False)) or surroundings.futures
    stake: Any = surroundings.stake_amount
    return {
        "stake_currency": surroundings.stake_currency,
        "stake_amount": "unlimited" if stake is None else stake,
        "max_open_trades": surroundings.max_open_trades,
        "tradable_balance_ratio": surroundings.tradable_balance_ratio,
        "dry_run": True,
        "dry_run_wallet": surroundings.wallet,
        "fee": surroundings.fee,
        "timeframe": getattr(cls, "timeframe", ""),
        "runmode": RunMode(surroundings.mode),
        "trading_mode": TradingMode.FUTURES if futures else TradingMode.SPOT,
        "margin_mode": MarginMode.ISOLATED if futures else MarginMode.NONE,
        "candle_type_def": CandleType.FUTURES if futures else CandleType.SPOT,
        "strategy": cls.__name__,
        "exchange": {
            "name": surroundings.exchange,
            "pair_whitelist": list(surroundings.pairs),
            "pair_blacklist": [],
        },
        "minimal_roi": getattr(cls, "minimal_roi", {}),
        "stoploss": getattr(cls, "stoploss", None),
        "startup_candle_count": getattr(cls, "startup_candle_count", 0),
        "bot_name": "tradepit",
        "original_config": {},
    }
