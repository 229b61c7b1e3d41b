"""`python -m tests.own_cases`: records cases of our own as regression data, in the form of the oracle's.

They say what the engine did when they were recorded, not what is right: that is what the cases recorded from
the reference are for (`tests/oracle.py`), which the 120 of them agreed with at that time. Run it again only
when a rule was changed on purpose, and say so in the commit.
"""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any, Final

from engine.types import use_money_context
from tests.oracle import as_expected, run_case

OWN_CASES: Final = Path(__file__).resolve().parent / "data" / "own_cases.jsonl.gz"
COLUMNS: Final = ["minute", "open", "high", "low", "close", "enter_long", "exit_long", "enter_short", "exit_short"]

BASE: Final[dict[str, Any]] = {
    "timeframe_minutes": 60,
    "fee": 0.001,
    "roi": {"0": 0.06, "120": 0.02, "600": 0.0},
    "stoploss": -0.04,
    "trailing_stop": False,
    "trailing_stop_positive": None,
    "trailing_stop_positive_offset": 0.0,
    "trailing_only_offset_is_reached": False,
    "use_exit_signal": True,
    "exit_profit_only": False,
    "exit_profit_offset": 0.0,
    "ignore_roi_if_entry_signal": False,
    "wallet": 1000.0,
    "tradable_balance_ratio": 0.99,
    "stake": 100.0,
    "max_open_trades": 2,
    "can_short": False,
    "leverage": 1.0,
    "price_tick": 0.01,
    "amount_lot": 0.001,
    "pairs": ["AAA/USDT", "BBB/USDT", "CCC/USDT"],
}
TRAILING: Final = {
    "trailing_stop": True,
    "trailing_stop_positive": 0.01,
    "trailing_stop_positive_offset": 0.025,
    "trailing_only_offset_is_reached": True,
}
VARIANTS: Final[list[dict[str, Any]]] = [
    {},
    {"stake": "unlimited", "max_open_trades": 3, **TRAILING},
    {"can_short": True, "leverage": 3.0, "roi": {"0": 0.1}, "stoploss": -0.09},
    {"exit_profit_only": True, "exit_profit_offset": 0.005, "trailing_stop": True, "timeframe_minutes": 5},
    {"can_short": True, "ignore_roi_if_entry_signal": True, "fee": 0.0, "max_open_trades": 1, **TRAILING},
]


def candles(rng: random.Random, timeframe: int, count: int = 150) -> list[list[float]]:
    """A walk of prices, with signals now and then and sometimes a gap from one close to the next open."""
    rows, price = [], rng.uniform(20, 200)
    for number in range(count):
        start = price * (1 + rng.gauss(0, 0.01) * (rng.random() < 0.1))
        end = start * (1 + rng.gauss(0, 0.012))
        high, low = max(start, end) * (1 + rng.random() * 0.01), min(start, end) * (1 - rng.random() * 0.01)
        prices = [round(p, 2) for p in (start, high, low, end)]
        signals = [int(rng.random() < chance) for chance in (0.12, 0.06, 0.08, 0.06)]
        rows.append([number * timeframe, *prices, *signals])
        price = prices[3]
    return rows


def own_case(seed: int) -> dict[str, Any]:
    """The case of a seed, with what the engine makes of it now."""
    rng = random.Random(seed)
    config = {**BASE, **VARIANTS[seed % len(VARIANTS)]}
    tapes = {pair: candles(rng, config["timeframe_minutes"]) for pair in config["pairs"]}
    case = {"seed": seed, "config": config, "columns": COLUMNS, "candles": tapes}
    backtest = run_case(case)
    trades = [as_expected(trade) for trade in backtest.trades]
    return {**case, "expected": {"trades": trades, "rejected_entry_signals": backtest.portfolio.rejected}}


def main() -> None:
    """Write the file."""
    use_money_context()
    lines = [json.dumps(own_case(seed), separators=(",", ":")) for seed in range(len(VARIANTS))]
    OWN_CASES.parent.mkdir(exist_ok=True)
    OWN_CASES.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))
    print(f"{len(lines)} cases are written to {OWN_CASES.name}")


if __name__ == "__main__":
    main()
