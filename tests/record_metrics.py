"""Records what Freqtrade's metrics say of random trades, run as a black box, into tests/data/metric_cases.jsonl.gz.

`FREQTRADE_VENV/bin/python tests/record_metrics.py tests/data/metric_cases.jsonl.gz [COUNT]` renews the file;
it runs in the virtual environment of a Freqtrade 2026.9 and imports nothing of ours. No two trades of a
case end in the same minute: of such Freqtrade's order is that of an unstable sort.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

PAIRS = ("AAA/USDT", "BBB/USDT", "CCC/USDT", "DDD/USDT")
MINUTE = 60_000
FEE = 0.001
COUNTERS = ("timedout_entry_orders", "timedout_exit_orders", "canceled_trade_entries")
COUNTERS += ("rejected_signals", "canceled_entry_orders", "replaced_entry_orders")
LEFT_OUT = ("trades", "locks", "pairlist", "periodic_breakdown", "minimal_roi")


def made_case(seed: int) -> dict[str, Any]:
    """A run's trades and balances, drawn."""
    rng = np.random.default_rng(seed)
    span = int(rng.choice([20, 300, 1_500, 20_000, 130_000]))
    count = min(int(rng.choice([0, 1, 2, 3, 5, 20, 60], p=[0.03, 0.06, 0.08, 0.1, 0.14, 0.39, 0.2])), span // 2)
    first = 1_600_000_020_000 + int(rng.integers(0, 10**6)) * MINUTE
    kind = str(rng.choice(["mixed", "wins", "losses", "draws"], p=[0.79, 0.07, 0.07, 0.07]))
    ends = np.sort(rng.choice(np.arange(1, span + 1), count, replace=False))
    steps = rng.normal(0.0002, 0.004, int(rng.integers(2, 120)))
    start = int(rng.choice([10, 100, 1_000]))
    return {
        "start": start,
        "first": first,
        "last": first + span * MINUTE,
        "trades": [_trade(rng, kind, first, int(end), span) for end in ends],
        "balance_step": 1 if span < 100 else 137,
        "balances": [round(b, 8) for b in (start * np.cumprod(1 + steps)).tolist()],
    }


def _trade(rng: Any, kind: str, first: int, end: int, span: int) -> dict[str, Any]:
    begin = max(0, end - int(rng.integers(0, max(2, span // 5))))
    short, leverage = bool(rng.random() < 0.3), float(rng.choice([1, 1, 2, 3]))
    rate, stake = round(float(rng.uniform(1, 50)), 2), float(rng.choice([10, 50, 33.3]))
    amount = round(stake * leverage / rate, 6)
    drawn = float(rng.normal(0.004, 0.03))
    move = {"wins": abs(drawn) + 0.003, "losses": -abs(drawn), "mixed": drawn, "draws": drawn}[kind]
    close = round(rate * (1 + (-move if short else move)), 2)
    opened = amount * rate * (1 - FEE if short else 1 + FEE)
    closed = amount * close * (1 + FEE if short else 1 - FEE)
    profit = round(opened - closed if short else closed - opened, 8)
    if kind == "draws" and rng.random() < 0.6:
        profit = 0.0
    return {
        "pair": str(rng.choice(PAIRS[:3])),
        "is_short": short,
        "leverage": leverage,
        "stake_amount": stake,
        "amount": amount,
        "open_timestamp": first + begin * MINUTE,
        "close_timestamp": first + end * MINUTE,
        "open_rate": rate,
        "close_rate": close,
        "profit_abs": profit,
        "profit_ratio": profit / opened * leverage,
        "exit_reason": str(rng.choice(["roi", "stop_loss", "exit_signal", "force_exit"])),
        "enter_tag": str(rng.choice(["", "up", "down"])),
    }


def frame_of(trades: list[dict[str, Any]]) -> Any:
    """The trades as Freqtrade's result frame."""
    import pandas as pd

    zeros = (
        *("pair", "stake_amount", "max_stake_amount", "amount", "open_rate", "close_rate", "fee_open", "fee_close"),
        *("profit_ratio", "profit_abs", "exit_reason", "initial_stop_loss_abs", "initial_stop_loss_ratio"),
        *("stop_loss_abs", "stop_loss_ratio", "min_rate", "max_rate", "enter_tag", "leverage", "is_short"),
        *("open_timestamp", "close_timestamp", "funding_fees"),
    )
    names = (*zeros, "open_date", "close_date", "trade_duration", "is_open", "orders")
    rows = []
    for trade in trades:
        begin, end = trade["open_timestamp"], trade["close_timestamp"]
        times = {
            "open_date": pd.Timestamp(begin, unit="ms", tz="UTC"),
            "close_date": pd.Timestamp(end, unit="ms", tz="UTC"),
            "trade_duration": (end - begin) // MINUTE,
        }
        orders = [{"cost": trade["amount"] * trade[rate] * (1 + FEE)} for rate in ("open_rate", "close_rate")]
        rows.append({**dict.fromkeys(zeros, 0.0), **trade, **times, "is_open": False, "orders": orders})
    return pd.DataFrame(rows, columns=names)


def expected_of(case: dict[str, Any]) -> dict[str, Any]:
    """What Freqtrade says of a case."""
    import pandas as pd
    from freqtrade.optimize.optimize_reports import optimize_reports as reports

    frame = frame_of(case["trades"])
    config = {"stake_currency": "USDT", "stake_amount": 10, "dry_run_wallet": case["start"], "max_open_trades": 3}
    config |= {"timeframe": "5m", "stoploss": -0.1, "trading_mode": "futures", "margin_mode": "isolated"}
    config |= {"trailing_stop_positive": None, "trailing_stop_positive_offset": 0.0, "exit_profit_offset": 0.0}
    flags = ("trailing_stop", "trailing_only_offset_is_reached", "use_custom_stoploss", "exit_profit_only")
    config |= dict.fromkeys((*flags, "use_exit_signal", "ignore_roi_if_entry_signal"), False)
    content = {"results": frame, "config": {**config, "minimal_roi": {}}, "locks": [], "wallet_captures": []}
    content |= {"final_balance": case["start"] + (float(frame.profit_abs.sum()) if len(frame) else 0.0)}
    content |= {"backtest_start_time": 0, "backtest_end_time": 1, "run_id": "", "wallet_df": pd.DataFrame()}
    content |= dict.fromkeys(COUNTERS, 0)
    first, last = (pd.Timestamp(case[name], unit="ms", tz="UTC") for name in ("first", "last"))
    found = reports.generate_strategy_stats(list(PAIRS), "S", content, first, last, 0.25)
    count = len(case["balances"])
    dates = [first + pd.Timedelta(minutes=case["balance_step"] * place) for place in range(count)]
    wallet = {"date": dates, "currency": "USDT", "rate": 1.0, "balance": case["balances"]}
    frame = pd.DataFrame({**wallet, "total_quote": case["balances"]})
    found["wallet_stats"] = reports.generate_wallet_stats(frame, "USDT")
    for name in LEFT_OUT:
        found.pop(name, None)
    return found


def plain(value: Any) -> Any:
    """Only what JSON has; a figure that is none is null."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return value if isinstance(value, str | int | bool | None) else str(value)


def main(file: Path, count: int) -> None:
    """Write `count` cases."""
    with gzip.open(file, "wt") as lines:
        for seed in range(count):
            case = made_case(seed)
            lines.write(json.dumps({**case, "expected": plain(expected_of(case))}, separators=(",", ":")) + "\n")
            lines.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 60)
