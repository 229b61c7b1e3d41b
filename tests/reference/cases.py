"""Seeded cases: settings, callbacks and candles drawn from a seed, by kind. What is expected of them is recorded.

A kind is a function in `KINDS` that changes a drawn case; `mixed` takes several of them. A new kind is one more
function: it may add keys to `config`, rules to `callbacks`, and tables beside `candles`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from tests.reference import futures_cases

COLUMNS: Final = ["minute", "open", "high", "low", "close", "enter_long", "exit_long", "enter_short", "exit_short"]
PAIRS: Final = ("AAA/USDT", "BBB/USDT", "CCC/USDT")
CANDLES: Final = 120

Case = dict[str, Any]


def draw_case(kind: str, seed: int) -> Case:
    """The case of a kind and seed, without what is expected of it."""
    rng = random.Random(f"{kind}:{seed}")
    case: Case = {"kind": kind, "seed": seed, "config": _config(rng), "callbacks": {}, "columns": COLUMNS}
    KINDS[kind](rng, case)
    config = case["config"]
    case["candles"] = {
        pair: candles(rng, config["timeframe_minutes"], config["price_tick"], busy=case.pop("busy", 1.0))
        for pair in config["pairs"]
    }
    futures_cases.finish(rng, case)
    return case


def _config(rng: random.Random) -> Case:
    pick = rng.choice
    positive = pick([None, 0.005, 0.01, 0.02])
    trailing = rng.random() < 0.4
    can_short = rng.random() < 0.35
    offset = pick([0.0, 0.015, 0.03]) if positive else 0.0
    offset = max(offset, (positive or 0.0) * 1.5) if offset else 0.0
    slots = pick([1, 2, 3])
    return {
        "timeframe_minutes": pick([5, 60, 60]),
        "fee": pick([0.0, 0.0005, 0.001]),
        "roi": pick(
            [
                {"0": 0.03, "120": 0.015, "600": 0.0},
                {"0": 0.05},
                {"0": 0.02, "60": 0.01},
                {"0": 10.0},
                {"0": 0.1, "300": -1},
            ]
        ),
        "stoploss": pick([-0.02, -0.04, -0.08]),
        "trailing_stop": trailing,
        "trailing_stop_positive": positive if trailing else None,
        "trailing_stop_positive_offset": offset if trailing else 0.0,
        "trailing_only_offset_is_reached": bool(trailing and offset and rng.random() < 0.5),
        "use_exit_signal": rng.random() < 0.8,
        "exit_profit_only": rng.random() < 0.2,
        "exit_profit_offset": pick([0.0, 0.005]),
        "ignore_roi_if_entry_signal": rng.random() < 0.2,
        "wallet": 1000.0,
        "tradable_balance_ratio": 0.99,
        "stake": pick([50.0, 100.0, 100.0, "unlimited"]),
        "max_open_trades": slots,
        "can_short": can_short,
        "leverage": pick([1.0, 1.0, 2.0, 3.0]) if can_short else 1.0,
        "price_tick": 0.01,
        "amount_lot": pick([0.001, 0.01]),
        "pairs": list(PAIRS[: pick([1, 1, 2, 3])]),
    }


def candles(rng: random.Random, timeframe: int, tick: float, *, busy: float = 1.0) -> list[list[float]]:
    """A walk of prices with wicks and gaps, and signals now and then."""
    digits = max(0, len(f"{tick:.10f}".rstrip("0").partition(".")[2]))
    rows, price = [], rng.uniform(20, 200)
    swing = rng.choice([0.004, 0.008, 0.015])
    for number in range(CANDLES):
        start = price * (1 + rng.gauss(0, swing) * (rng.random() < 0.15))
        end = start * (1 + rng.gauss(0, swing))
        high = max(start, end) * (1 + abs(rng.gauss(0, swing)) * (rng.random() < 0.8))
        low = min(start, end) * (1 - abs(rng.gauss(0, swing)) * (rng.random() < 0.8))
        prices = [round(p, digits) for p in (start, high, low, end)]
        chances = (0.14 * busy, 0.06, 0.1 * busy, 0.06)
        rows.append([number * timeframe, *prices, *(int(rng.random() < chance) for chance in chances)])
        price = prices[3]
    return rows


# ---------------------------------------------------------------- kinds


def plain(rng: random.Random, case: Case) -> None:
    """No callbacks: the settings alone."""


def priced(rng: random.Random, case: Case) -> None:
    """The strategy's own entry and exit prices, so that orders rest."""
    case["callbacks"]["custom_entry_price"] = {
        "offset": rng.choice([-0.002, -0.006, -0.012, 0.004]),
        "spread": rng.choice([0.0, 0.01]),
        "chance": rng.choice([0.6, 1.0]),
    }
    if rng.random() < 0.6:
        case["callbacks"]["custom_exit_price"] = {
            "offset": rng.choice([-0.003, -0.008, 0.004]),
            "spread": rng.choice([0.0, 0.01]),
            "chance": rng.choice([0.6, 1.0]),
        }


def timeouts(rng: random.Random, case: Case) -> None:
    """Resting orders that are given up: by age, or by the strategy's word."""
    priced(rng, case)
    minutes = case["config"]["timeframe_minutes"]
    case["config"]["unfilledtimeout"] = {
        "entry": minutes * rng.choice([1, 2, 5]) - rng.choice([0, 1]),
        "exit": minutes * rng.choice([1, 2, 5]) - rng.choice([0, 1]),
        "unit": "minutes",
    }
    for name in ("check_entry_timeout", "check_exit_timeout"):
        if rng.random() < 0.5:
            case["callbacks"][name] = {"after": minutes * rng.choice([1, 2, 3]), "chance": rng.choice([0.4, 1.0])}


def adjusting(rng: random.Random, case: Case) -> None:
    """Resting orders whose price is changed, or which are cancelled, by the strategy."""
    priced(rng, case)
    if rng.random() < 0.5:
        minutes = case["config"]["timeframe_minutes"]
        case["config"]["unfilledtimeout"] = {"entry": minutes * 3, "exit": minutes * 4, "unit": "minutes"}

    def rule() -> Case:
        return {
            "cancel": rng.choice([0.0, 0.1, 0.3]),
            "follow": rng.choice([0.3, 0.6]),
            "offset": rng.choice([-0.01, -0.003, 0.002]),
        }

    if rng.random() < 0.4:
        case["callbacks"]["adjust_order_price"] = rule()
    else:
        case["callbacks"]["adjust_entry_price"] = rule()
        if rng.random() < 0.7:
            case["callbacks"]["adjust_exit_price"] = rule()


def dca(rng: random.Random, case: Case) -> None:
    """Position adjustment: further entries under a loss, partial exits over a profit."""
    config = case["config"]
    config["max_entry_position_adjustment"] = rng.choice([-1, 1, 2, 4])
    config["stoploss"] = rng.choice([-0.04, -0.08, -0.15])
    config["stake"] = rng.choice([50.0, 100.0])
    rule: Case = {"chance": rng.choice([0.3, 1.0])}
    if rng.random() < 0.85:
        rule["add_under"] = rng.choice([-0.01, -0.005, 0.01])
        rule["of_stake"] = rng.random() < 0.5
        rule["add"] = rng.choice([0.3, 1.0, 1.7]) if rule["of_stake"] else rng.choice([20.0, 77.7, 400.0])
    if rng.random() < 0.7 or "add_under" not in rule:
        rule["reduce_over"] = rng.choice([0.005, 0.015, 0.03])
        rule["reduce"] = rng.choice([0.2, 0.5, 0.9])
    if rng.random() < 0.4:
        rule["tag"] = "dca"
    case["callbacks"]["adjust_trade_position"] = rule
    if rng.random() < 0.4:
        priced(rng, case)
    if rng.random() < 0.3:
        config["cost_min"] = rng.choice([5.0, 20.0])
    if rng.random() < 0.3:
        case["callbacks"]["custom_stoploss"] = _stop_rule(rng)
    if rng.random() < 0.3:
        case["callbacks"]["order_filled"] = {}
        case["callbacks"]["custom_exit"] = {"after_fills": rng.choice([2, 3, 5])}


def protections(rng: random.Random, case: Case) -> None:
    """Locks after closed trades, of every kind."""
    minutes = case["config"]["timeframe_minutes"]

    def span(name: str) -> Case:
        if rng.random() < 0.6:
            return {f"{name}_candles": rng.choice([1, 2, 5, 12])}
        return {name: minutes * rng.choice([1, 3, 10]) + rng.choice([0, 0, 7])}

    made: list[Case] = []
    if rng.random() < 0.5:
        made.append({"method": "CooldownPeriod", **span("stop_duration")})
    if rng.random() < 0.5:
        guard = {"only_per_pair": rng.random() < 0.4, "required_profit": rng.choice([0.0, -0.01])}
        sides = {"only_per_side": rng.random() < 0.4} if case["config"]["can_short"] else {}
        guard = {"trade_limit": rng.choice([1, 2, 3]), **guard, **sides}
        made.append({"method": "StoplossGuard", **span("lookback_period"), **span("stop_duration"), **guard})
    if rng.random() < 0.5:
        low = {"trade_limit": rng.choice([1, 2, 3]), "required_profit": rng.choice([0.0, 0.01, -0.01])}
        made.append({"method": "LowProfitPairs", **span("lookback_period"), **span("stop_duration"), **low})
    if rng.random() < 0.5 or not made:
        fall = {"trade_limit": rng.choice([1, 3]), "max_allowed_drawdown": rng.choice([0.01, 0.03, 0.1])}
        mode = {"calculation_mode": rng.choice(["ratios", "equity"])} if rng.random() < 0.7 else {}
        made.append({"method": "MaxDrawdown", **span("lookback_period"), **span("stop_duration"), **fall, **mode})
    case["config"]["protections"] = made
    case["busy"] = 2.0


def _stop_rule(rng: random.Random) -> Case:
    takes = rng.random() < 0.5
    rule: Case = {
        "distances": rng.choice([[0.01, 0.03], [0.03, 0.1], [0.005, 0.2]]),
        "chance": rng.choice([0.5, 1.0]),
        "takes_after_fill": takes,
    }
    if takes:
        rule["after_fill"] = rng.choice([-0.03, -0.1, None])
    return rule


def callbacks(rng: random.Random, case: Case) -> None:
    """The callbacks about price, stake, leverage, stop, ROI, exits and confirmation, some of them."""
    rules = case["callbacks"]
    if rng.random() < 0.4:
        rules["custom_stake_amount"] = {"factors": rng.choice([[0.5, 2.0], [0.001, 0.2], [0.8, 20.0]])}
    if rng.random() < 0.5 and case["config"]["can_short"]:
        rules["leverage"] = {"choices": rng.choice([[1, 2, 3], [5], [0.5, 2.5]])}
    if rng.random() < 0.4:
        rules["confirm_trade_entry"] = {"deny": 0.3}
    if rng.random() < 0.4:
        rules["confirm_trade_exit"] = {"deny": 0.4}
    if rng.random() < 0.4:
        rules["custom_exit"] = {"chance": rng.choice([0.05, 0.2]), "tags": rng.choice([[], ["early", "late"]])}
    if rng.random() < 0.4:
        rules["custom_stoploss"] = _stop_rule(rng)
    if rng.random() < 0.4:
        start, slope = rng.choice([(0.02, 0.0001), (0.05, 0.00002), (0.01, 0.0)])
        rules["custom_roi"] = {"start": start, "slope": slope, "chance": rng.choice([0.5, 1.0])}
    if rng.random() < 0.3 or not rules:
        priced(rng, case)
    if rng.random() < 0.2:
        case["config"]["cost_min"] = rng.choice([20.0, 60.0])


def dca_futures(rng: random.Random, case: Case) -> None:
    """Position adjustment on margin, with any leverage, at times with funding."""
    futures_cases.funding(rng, case) if rng.random() < 0.4 else futures_cases.leveraged(rng, case)
    dca(rng, case)
    if case["config"]["contract_size"] != 1.0:
        case["config"].pop("cost_min", None)  # the reference takes it times the size of a contract


def protected_dca(rng: random.Random, case: Case) -> None:
    """Protections beside partial exits."""
    protections(rng, case)
    dca(rng, case)


TELLS: Final = ["open", "closed", "of_pair", "earned", "free", "pool", "available", "stakes", "last", "ratio", "locked"]


def account(rng: random.Random, case: Case) -> None:
    """A strategy that looks at the account, tells what it sees as the reason of its exits, and locks pairs."""
    config, rules = case["config"], case["callbacks"]
    config["pairs"] = list(PAIRS[: rng.choice([2, 3])])
    config["can_short"], config["leverage"] = False, 1.0
    case["looks"], case["busy"] = True, 2.0
    rules["custom_exit"] = {"chance": rng.choice([0.1, 0.3]), "tells": TELLS}
    if rng.random() < 0.3:
        rules["custom_exit"]["tells"] = ["pairs", "tags", "earned"]
    if rng.random() < 0.5:
        rules["custom_stake_amount"] = {
            "of": rng.choice(["free", "pool", "available"]),
            "factors": rng.choice([[0.05, 0.3], [0.4, 0.9]]),
        }
    if rng.random() < 0.4:
        rules["confirm_trade_entry"] = {"deny": 0.1, "open_max": rng.choice([1, 2])}
    if rng.random() < 0.7:
        minutes = config["timeframe_minutes"]
        rules["confirm_trade_exit"] = {
            "deny": rng.choice([0.0, 0.2]),
            "lock": {
                "chance": rng.choice([0.3, 0.8]),
                "all": rng.choice([0.0, 0.15]),
                "minutes": minutes * rng.choice([1, 4, 10]) - rng.choice([0, 3]),
                "side": rng.choice(["*", "*", "long", "short"]),
            },
        }


def views(rng: random.Random, case: Case) -> None:
    """Everything that callbacks are handed decides what they answer: further entries, moved orders, time-outs, exits."""
    case["views"] = True
    for kind in [dca, callbacks] if rng.random() < 0.5 else rng.sample([timeouts, adjusting, callbacks], 2):
        kind(rng, case)
    rules = case["callbacks"]
    if "adjust_trade_position" in rules:  # Freqtrade tells of more money while a further entry rests
        rules.pop("custom_entry_price", None)
    rules.setdefault("order_filled", {})
    rules.setdefault("custom_exit", {"chance": 0.05, "tags": ["a", "b"]})


def mixed(rng: random.Random, case: Case) -> None:
    """Two to four of the other kinds at once."""
    for kind in rng.sample([timeouts, adjusting, dca, protections, callbacks], rng.choice([2, 3, 4])):
        kind(rng, case)


KINDS: Final[dict[str, Callable[[random.Random, Case], None]]] = {
    "plain": plain,
    "timeouts": timeouts,
    "adjusting": adjusting,
    "dca": dca,
    "dca_futures": dca_futures,
    "protected_dca": protected_dca,
    "protections": protections,
    "callbacks": callbacks,
    "mixed": mixed,
    "account": account,
    "views": views,
    "leveraged": futures_cases.leveraged,
    "liquidation": futures_cases.liquidation,
    "funding": futures_cases.funding,
    "detail": futures_cases.detail,
}
