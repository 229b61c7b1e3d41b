"""Kinds of cases about futures and finer candles: leverage tiers, liquidation, funding, the detail timeframe.

Each kind changes a drawn case before its candles are drawn; what goes with the candles is drawn by `finish`.
"""

from __future__ import annotations

import random
from typing import Any

Case = dict[str, Any]


def _tiers(rng: random.Random) -> list[list[float]]:
    """One to five, each larger than the one before, with less leverage and more margin."""
    rows, low, leverage, amount = [], 0.0, rng.choice([20.0, 50.0, 125.0]), 0.0
    rate, high = rng.choice([0.004, 0.005, 0.01]), rng.choice([200.0, 500.0, 5_000.0, 50_000.0])
    count = rng.randint(1, 5)
    for number in range(count):
        top = 1e9 if number == count - 1 else high
        rows.append([low, top, rate, leverage, round(amount, 8)])
        more = round(rate * rng.choice([1.5, 2.0, 2.5]), 6)
        amount += high * (more - rate)
        rate, low, high, leverage = more, high, high * rng.choice([2, 4, 10]), max(1.0, leverage // 2)
    return rows


def leveraged(rng: random.Random, case: Case) -> None:
    """Both sides with any leverage, as the tiers allow; contracts of several sizes, three formulas of liquidation."""
    config = case["config"]
    config.update(
        futures=True,
        can_short=rng.random() < 0.8,
        leverage=rng.choice([1.0, 2.0, 3.5, 5.0, 10.0, 20.0, 50.0]),
        exchange=rng.choice(["binance", "gate", "bybit"]),
        contract_size=rng.choice([1.0, 1.0, 0.01, 0.1, 10.0]),
        liquidation_buffer=rng.choice([0.05, 0.05, 0.0, 0.1, 0.01]),
        tiers=_tiers(rng),
        stake=rng.choice([100.0, 333.33, "unlimited"]),
        tradable_balance_ratio=rng.choice([0.99, 1.0, 0.5]),
        stoploss=-rng.choice([0.05, 0.1, 0.2, 0.3]),
        roi=rng.choice([{"0": 0.1, "120": 0.05, "600": 0.02}, {"0": 10.0}, {"0": 0.2, "60": 0.1, "240": 0.0}]),
    )


def liquidation(rng: random.Random, case: Case) -> None:
    """Stops so far away that the liquidation price comes first."""
    leveraged(rng, case)
    case["config"].update(
        leverage=rng.choice([5.0, 10.0, 20.0, 50.0]),
        stoploss=-rng.choice([0.6, 0.9, 0.99, 0.99]),
        trailing_stop=False,
        trailing_stop_positive=None,
        trailing_stop_positive_offset=0.0,
        trailing_only_offset_is_reached=False,
        use_exit_signal=rng.random() < 0.4,
        roi=rng.choice([{"0": 10.0}, {"0": 0.5}, {"0": 1.0, "600": 0.2}]),
        fee=rng.choice([0.0004, 0.001]),  # of a market without a fee the reference takes another one, its exchange's
    )


def funding(rng: random.Random, case: Case) -> None:
    """Large rates of both signs, every hour, every four or every eight."""
    leveraged(rng, case)
    case["config"]["funding_hours"] = rng.choice([1, 4, 8, 8])
    case["config"]["roi"] = rng.choice([{"0": 10.0}, {"0": 0.1, "600": 0.02}, {"0": 0.05}])


def detail(rng: random.Random, case: Case) -> None:
    """Trades made on a finer timeframe, spot or on margin; its data may begin later and end earlier."""
    if rng.random() < 0.6:
        funding(rng, case) if rng.random() < 0.5 else leveraged(rng, case)
    else:
        case["config"].update(can_short=False, leverage=1.0)
    case["config"]["detail_minutes"] = 1 if case["config"]["timeframe_minutes"] == 5 else rng.choice([5, 15])
    if rng.random() < 0.4:
        case["config"]["ignore_buying_expired_candle_after"] = case["config"]["detail_minutes"] * rng.choice([60, 120])


def finish(rng: random.Random, case: Case) -> None:
    """What goes with the candles: finer ones of which they are made, mark prices, funding rates."""
    config = case["config"]
    if "detail_minutes" in config:
        case["detail"] = {pair: _finer(rng, case, pair) for pair in config["pairs"]}
    if "funding_hours" in config:
        case["marks"], case["funding"] = {}, {}
        for pair in config["pairs"]:
            case["marks"][pair], case["funding"][pair] = _funded(rng, case, pair)


def _finer(rng: random.Random, case: Case, pair: str) -> list[list[float]]:
    """Finer candles, and in their place those they make up; the reference enters in the last candle, so none may."""
    config, rows = case["config"], case["candles"][pair]
    step, digits = config["detail_minutes"], len(f"{config['price_tick']:.10f}".rstrip("0").partition(".")[2])
    count, price, swing = config["timeframe_minutes"] // step, rows[0][1], rng.choice([0.002, 0.004, 0.008])
    finer = []
    for number, row in enumerate(rows):
        for part in range(count):
            start = price * (1 + rng.gauss(0, swing) * (rng.random() < 0.15))
            end = start * (1 + rng.gauss(0, swing))
            high = max(start, end) * (1 + abs(rng.gauss(0, swing)) * (rng.random() < 0.8))
            low = min(start, end) * (1 - abs(rng.gauss(0, swing)) * (rng.random() < 0.8))
            prices = [round(p, digits) for p in (start, high, low, end)]
            finer.append([row[0] + part * step, *prices])
            price = prices[3]
        made = finer[-count:]
        row[1:5] = [made[0][1], max(r[2] for r in made), min(r[3] for r in made), made[-1][4]]
        if number == len(rows) - 2:
            row[5:9] = [0, 0, 0, 0]
    missing = rng.choice([(0, 0), (0, 0), (10, 0), (0, 7), (4, 9)])
    return finer[missing[0] * count : len(finer) - missing[1] * count]


def _funded(rng: random.Random, case: Case, pair: str) -> tuple[list[list[float]], list[list[float]]]:
    """Hourly mark prices near the candles' opens, and the rates."""
    rows, hours = case["candles"][pair], case["config"]["funding_hours"]
    opens = {row[0]: row[1] for row in rows}
    marks, rates, price = [], [], rows[0][1]
    for minute in range(0, rows[-1][0] + 60, 60):
        price = opens.get(minute, price)
        near = round(price * (1 + rng.gauss(0, 0.0005)), 6)
        marks.append([minute, near, near, near, near])
        if minute % (hours * 60) == 0:
            rates.append([minute, round(rng.gauss(0.0001, 0.002), 8)])
    return marks, rates
