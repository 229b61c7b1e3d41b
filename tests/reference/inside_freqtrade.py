"""The part that runs under Freqtrade's own Python: cases on standard input, with what came of them on standard output.

    python -m tests.reference.inside_freqtrade          one JSON line a case, in and out

Freqtrade is a black box here: a configuration, candle files and a strategy go in, its result comes out. What it
would ask an exchange is answered by a ccxt object without a network.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

START = datetime(2024, 1, 1, tzinfo=UTC)
"""Minute 0 of every case: a midnight, and the first of a month."""
CURRENT: list[dict[str, Any]] = []
"""The case under way, for the strategy's file."""


def minute_of(moment: Any) -> int:
    """Minutes from the case's start."""
    return int((moment - START).total_seconds() // 60)


def symbol_of(case: dict[str, Any], pair: str) -> str:
    """Freqtrade's name of a case's pair: futures name the coin they settle in."""
    return f"{pair}:{pair.partition('/')[2]}" if is_futures(case) else pair


def is_futures(case: dict[str, Any]) -> bool:
    """Whether the case needs shorts, leverage or what comes with them."""
    config = case["config"]
    return bool(config["can_short"] or config["leverage"] != 1.0 or config.get("futures"))


def markets_of(case: dict[str, Any]) -> dict[str, Any]:
    """The case's pairs as ccxt's markets."""
    return {symbol_of(case, pair): _market(case, pair) for pair in case["config"]["pairs"]}


def _market(case: dict[str, Any], pair: str) -> dict[str, Any]:
    config, futures = case["config"], is_futures(case)
    base, quote = pair.split("/")
    unused = ("index", "expiry", "expiryDatetime", "strike", "optionType", "created")
    limits = {name: {"min": None, "max": None} for name in ("price", "leverage", "market")}
    limits["amount"] = {"min": config.get("amount_min"), "max": None}
    limits["cost"] = {"min": config.get("cost_min"), "max": None}
    steps = {"price": config["price_tick"], "amount": config["amount_lot"], "base": 1e-8, "quote": 1e-8, "cost": None}
    return {
        **dict.fromkeys(unused),
        **dict.fromkeys(("margin", "future", "option", "tierBased"), False),
        **dict.fromkeys(("settle", "settleId"), quote if futures else None),
        **dict.fromkeys(("taker", "maker"), config["fee"]),
        "id": base + quote,
        "lowercaseId": (base + quote).lower(),
        "symbol": symbol_of(case, pair),
        "base": base,
        "quote": quote,
        "baseId": base,
        "quoteId": quote,
        "active": True,
        "type": "swap" if futures else "spot",
        "spot": not futures,
        "swap": futures,
        "contract": futures,
        "linear": True if futures else None,
        "inverse": False if futures else None,
        "subType": "linear" if futures else None,
        "contractSize": config.get("contract_size", 1) if futures else None,
        "percentage": True,
        "feeSide": "get",
        "marginModes": {},
        "precision": steps,
        "limits": limits,
        "info": {},
    }


def tiers_of(case: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Each pair's leverage tiers as ccxt gives them: the case's, else one without a maintenance margin.

    A case's `tiers` are rows of [least notional, largest notional, maintenance margin rate, maximum leverage, amount].
    """
    found = []
    for number, tier in enumerate(case["config"].get("tiers", [[0.0, 1e12, 0.0, 1000.0, 0.0]]), 1):
        least, most, margin, leverage, amount = tier
        found.append(
            {
                "tier": number,
                "currency": case["config"]["pairs"][0].partition("/")[2],
                "minNotional": least,
                "maxNotional": most,
                "maintenanceMarginRate": margin,
                "maxLeverage": leverage,
                "info": {"cum": str(amount)},
            }
        )
    return {symbol_of(case, pair): found for pair in case["config"]["pairs"]}


def install_exchange() -> None:
    """Let Freqtrade's exchange classes talk to ccxt objects that answer from the current case."""
    import ccxt
    import ccxt.pro
    from freqtrade.exchange import Exchange

    def offline(base: Any) -> Any:
        class Offline(base):  # type: ignore[misc]
            def load_markets(self, reload: bool = False, params: Any = None) -> Any:
                return self.set_markets(markets_of(CURRENT[0]))

            def fetch2(self, *request: Any, **more: Any) -> Any:
                raise ccxt.NotSupported(f"there is no network here: {request[:3]}")

            fetch = fetch2

        return Offline

    def offline_async(base: Any) -> Any:
        class Offline(base):  # type: ignore[misc]
            async def load_markets(self, reload: bool = False, params: Any = None) -> Any:
                return self.set_markets(markets_of(CURRENT[0]))

            async def fetch2(self, *request: Any, **more: Any) -> Any:
                raise ccxt.NotSupported(f"there is no network here: {request[:3]}")

            fetch = fetch2

            async def close(self) -> None:
                return None

        return Offline

    def init(self: Any, exchange_config: Any, sync: bool, ccxt_kwargs: Any) -> Any:
        name = exchange_config["name"]
        kind = offline(getattr(ccxt, name)) if sync else offline_async(getattr(ccxt.pro, name))
        return kind({"apiKey": "", "secret": "", **(ccxt_kwargs or {})})

    Exchange._init_ccxt = init
    Exchange.additional_exchange_init = lambda self: None
    Exchange.load_leverage_tiers = lambda self: tiers_of(CURRENT[0])
    from freqtrade.exchange import Binance

    Binance.load_leverage_tiers = Exchange.load_leverage_tiers
    Binance.additional_exchange_init = Exchange.additional_exchange_init


def config_of(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The case's settings as Freqtrade's configuration."""
    config = case["config"]
    futures = is_futures(case)
    timeout = {"entry": 10_000_000, "exit": 10_000_000, "exit_timeout_count": 0, "unit": "minutes"}
    pairs = [symbol_of(case, pair) for pair in config["pairs"]]
    return {
        "max_open_trades": config["max_open_trades"],
        "stake_currency": config["pairs"][0].partition("/")[2],
        "stake_amount": config["stake"],
        "tradable_balance_ratio": config["tradable_balance_ratio"],
        "fiat_display_currency": "",
        "dry_run": True,
        "dry_run_wallet": config["wallet"],
        "trading_mode": "futures" if futures else "spot",
        "margin_mode": "isolated" if futures else "",
        "timeframe": f"{config['timeframe_minutes']}m" if config["timeframe_minutes"] < 60 else "1h",
        "unfilledtimeout": {**timeout, **config.get("unfilledtimeout", {})},
        "entry_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
        "exit_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
        "exchange": {
            "name": config.get("exchange", "binance"),
            "key": "",
            "secret": "",
            "pair_whitelist": pairs,
            "pair_blacklist": [],
        },
        "pairlists": [{"method": "StaticPairList"}],
        "initial_state": "running",
        "internals": {},
        "dataformat_ohlcv": "feather",
        "liquidation_buffer": config.get("liquidation_buffer", 0.05),
        "futures_funding_rate": 0.0,
        **({"timeframe_detail": f"{config['detail_minutes']}m"} if "detail_minutes" in config else {}),
        "user_data_dir": str(folder / "user"),
    }


def write_data(case: dict[str, Any], data: Path) -> None:
    """The case's candles in the files that Freqtrade reads."""
    import pandas as pd

    config, futures = case["config"], is_futures(case)
    folder = data / "futures" if futures else data
    folder.mkdir(parents=True)
    suffix = "-futures" if futures else ""

    def write(rows: list[list[float]], name: str) -> None:
        frame = pd.DataFrame([row[:5] for row in rows], columns=["date", "open", "high", "low", "close"])
        frame["date"] = pd.to_datetime(frame["date"] * 60 + int(START.timestamp()), unit="s", utc=True)
        frame = frame.astype(dict.fromkeys(("open", "high", "low", "close"), "float64"))
        frame["volume"] = 1.0
        frame.to_feather(folder / f"{name}.feather")

    minutes = config["timeframe_minutes"]
    timeframe = f"{minutes}m" if minutes < 60 else "1h"
    for pair in config["pairs"]:
        name = symbol_of(case, pair).replace("/", "_").replace(":", "_")
        rows = case["candles"][pair]
        write(rows, f"{name}-{timeframe}{suffix}")
        if "detail_minutes" in config:
            write(case["detail"][pair], f"{name}-{config['detail_minutes']}m{suffix}")
        if futures:
            first, last = rows[0][0], rows[-1][0]
            hours = range(first - first % 60, last + 60, 60)
            funding = case.get("funding", {}).get(pair, [[m, 0.0] for m in hours if m % 480 == 0])
            marks = case.get("marks", {}).get(pair, [[m, 1.0, 1.0, 1.0, 1.0] for m in hours])
            write(marks, f"{name}-1h-mark")
            write([[m, rate, 0.0, 0.0, 0.0] for m, rate in funding], f"{name}-1h-funding_rate")


class _Done(Exception):
    """Raised once the result is there: what Freqtrade would print of it is not needed."""


def run(case: dict[str, Any]) -> dict[str, Any]:
    """Freqtrade's result of a case, in the form of the recorded ones."""
    from freqtrade.configuration import setup_utils_configuration
    from freqtrade.enums import RunMode
    from freqtrade.optimize.backtesting import Backtesting

    CURRENT[:] = [case]
    folder = Path(tempfile.mkdtemp(prefix="reference"))
    kept: dict[str, Any] = {}

    try:
        (folder / "config.json").write_text(json.dumps(config_of(case, folder)))
        for name in ("user", "strategies"):
            (folder / name).mkdir()
        shutil.copy(Path(__file__).with_name("rule_strategy.py"), folder / "strategies" / "rule_strategy.py")
        write_data(case, folder / "data")
        wanted = {
            "config": [str(folder / "config.json")],
            "strategy": "RuleStrategy",
            "strategy_path": str(folder / "strategies"),
            "user_data_dir": str(folder / "user"),
            "datadir": folder / "data",
            "export": "none",
            "fee": case["config"]["fee"],
            "backtest_cache": "none",
            "enable_protections": bool(case["config"].get("protections")),
        }
        backtesting = Backtesting(setup_utils_configuration(wanted, RunMode.BACKTEST))
        whole = backtesting.backtest

        def keeping(*arguments: Any, **more: Any) -> None:
            kept.update(whole(*arguments, **more))
            raise _Done

        backtesting.backtest = keeping
        with contextlib.suppress(_Done):
            backtesting.start()
        return expected_of(case, kept)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


COUNTERS = (
    "timedout_entry_orders",
    "timedout_exit_orders",
    "canceled_trade_entries",
    "canceled_entry_orders",
    "replaced_entry_orders",
)


def expected_of(case: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """The recorded form of Freqtrade's result."""
    trades = [trade_of(row) for row in result["results"].to_dict("records")]
    return {
        "trades": trades,
        "rejected_entry_signals": int(result["rejected_signals"]),
        **{name: int(result[name]) for name in COUNTERS},
        "final_balance": float(result["final_balance"]),
        "locks": len(result["locks"]),
    }


def trade_of(row: dict[str, Any]) -> dict[str, Any]:
    """One closed trade."""
    orders = [
        [
            minute_from_ms(order["order_filled_timestamp"]),
            "entry" if order["ft_is_entry"] else "exit",
            order["amount"],
            order["safe_price"],
            order.get("ft_order_tag") or "",
        ]
        for order in row["orders"]
    ]
    return {
        "pair": row["pair"].partition(":")[0],
        "side": "short" if row["is_short"] else "long",
        "open_minute": minute_of(row["open_date"]),
        "close_minute": minute_of(row["close_date"]),
        "open_rate": float(row["open_rate"]),
        "close_rate": float(row["close_rate"]),
        "amount": float(row["amount"]),
        "stake": float(row["stake_amount"]),
        "profit_abs": float(row["profit_abs"]),
        "profit_ratio": float(row["profit_ratio"]),
        "exit_reason": row["exit_reason"],
        "leverage": float(row["leverage"]),
        "max_rate": float(row["max_rate"]),
        "min_rate": float(row["min_rate"]),
        "initial_stop": float(row["initial_stop_loss_abs"]),
        "stop": float(row["stop_loss_abs"]),
        "funding_fees": float(row["funding_fees"] or 0.0),
        "max_stake": float(row["max_stake_amount"]),
        "orders": orders,
    }


def minute_from_ms(ms: Any) -> int | None:
    """Minutes from the case's start of an order's time in milliseconds; None for one that never filled."""
    return None if ms is None else int((int(ms) // 1_000 - int(START.timestamp())) // 60)


def main() -> None:
    """Run each case of the input."""
    install_exchange()
    import freqtrade

    logging.disable(logging.WARNING)
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        case = json.loads(line)
        try:
            said = {"expected": run(case), "engine": f"freqtrade {freqtrade.__version__}"}
        except Exception as error:  # noqa: BLE001 -- the other cases go on
            said = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(said, separators=(",", ":")), file=answers, flush=True)


if __name__ == "__main__":
    sys.modules["tests.reference.inside_freqtrade"] = sys.modules["__main__"]
    main()
