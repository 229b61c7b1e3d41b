"""Random cases in the form of the oracle's, without expected trades: to compare two ways of running them."""

from __future__ import annotations

import random
from typing import Any

from tests.own_cases import BASE, COLUMNS


def random_case(seed: int, count: int = 300) -> dict[str, Any]:
    """A configuration and candles drawn from a seed; every rule of leaving is on in some of them."""
    rng = random.Random(seed)
    keys = sorted(rng.sample(range(0, 1_200, 15), rng.randint(0, 4)))
    positive = rng.choice([None, 0.005, 0.01, 0.02])
    config = {
        **BASE,
        "pairs": [f"P{number}/USDT" for number in range(rng.randint(1, 3))],
        "timeframe_minutes": rng.choice([5, 15, 60]),
        "roi": {str(key): rng.choice([0.08, 0.03, 0.01, 0.0, -0.01, -1]) for key in keys},
        "stoploss": rng.choice([-0.02, -0.05, -0.1, -0.4]),
        "trailing_stop": rng.random() < 0.6,
        "trailing_stop_positive": positive,
        "trailing_stop_positive_offset": rng.choice([0.0, 0.01, 0.03]) if positive else 0.0,
        "trailing_only_offset_is_reached": positive is not None and rng.random() < 0.5,
        "use_exit_signal": rng.random() < 0.7,
        "exit_profit_only": rng.random() < 0.3,
        "ignore_roi_if_entry_signal": rng.random() < 0.3,
        "can_short": rng.random() < 0.5,
        "leverage": rng.choice([1.0, 1.0, 3.0]),
        "max_open_trades": rng.choice([1, 2, 5]),
        "stake": rng.choice(["unlimited", 100.0]),
        "price_tick": rng.choice([0.01, 0.1]),
        "fee": rng.choice([0.001, 0.0]),
    }
    tick, timeframe = config["price_tick"], config["timeframe_minutes"]
    return {
        "seed": seed,
        "config": config,
        "columns": COLUMNS,
        "candles": {pair: _candles(rng, timeframe, count, tick) for pair in config["pairs"]},
    }


def _candles(rng: random.Random, timeframe: int, count: int, tick: float) -> list[list[float]]:
    """A walk in whole ticks, calm or wild, with many or few signals."""
    rows, price, first = [], rng.uniform(20, 200), rng.randint(0, 20)
    wild, often = rng.choice([0.001, 0.004, 0.015]), rng.choice([0.01, 0.04, 0.15])
    for number in range(first, first + count):
        start = price * (1 + rng.gauss(0, wild) * (rng.random() < 0.1))
        end = start * (1 + rng.gauss(0, wild))
        high, low = max(start, end) * (1 + rng.random() * wild), min(start, end) * (1 - rng.random() * wild)
        prices = [round(round(p / tick) * tick, 8) for p in (start, high, low, end)]
        signals = [int(rng.random() < often * share) for share in (1.0, 0.5, 0.7, 0.5)]
        rows.append([number * timeframe, *prices, *signals])
        price = prices[3]
    return rows
