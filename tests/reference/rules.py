"""Callbacks as data: what a case's strategy answers, computed alike on both sides.

A case names a rule for each callback its strategy has: `{"custom_exit": {"chance": 0.05}}`. The recorder's
strategy inside Freqtrade and `tests.oracle` both hand plain facts to `answer`, so that a difference
between the two can only come from *when* and *with what* a callback is called.

Only the standard library: Freqtrade's own Python imports this file too. Times are minutes from the case's start.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

Rule = Mapping[str, Any]
Facts = Mapping[str, Any]
"""What a rule may look at: `pair`, `minute`, `sign` (1 long, -1 short), the callback's own numbers by their
names, `entries`, `exits`, `stake`, `fills` of the trade, `age` of the order in minutes, of cases that look
at the account in `account` what a strategy sees of it, and of those with `views` in `seen` all that a callback
is handed: every chance hangs on it."""


def draw(seed: int, facts: Facts, what: str) -> float:
    """A number in [0, 1) that depends on the case, the callback, the pair and the minute, and on nothing else."""
    key = f"{seed}|{what}|{facts['pair']}|{facts['minute']}"
    if "seen" in facts:
        key += f"|{facts['seen']}"
    return zlib.crc32(key.encode()) / 2**32


def answer(seed: int, callback: str, rule: Rule, facts: Facts) -> Any:
    """What the case's strategy returns from `callback`."""
    return _RULES[callback](rule, facts, lambda what="": draw(seed, facts, f"{callback}{what}"))


Draw = Callable[..., float]


def _price(rule: Rule, facts: Facts, chance: Draw) -> float:
    """The proposed rate, at times better or worse by `offset` (towards a better price when it is negative)."""
    proposed = float(facts["proposed_rate"])
    if chance() >= rule.get("chance", 1.0):
        return proposed
    spread = rule.get("spread", 0.0) * (chance("spread") - 0.5)
    return proposed * (1 + facts["sign"] * (rule["offset"] + spread))


def _adjusted(rule: Rule, facts: Facts, chance: Draw) -> float | None:
    """None (cancel), a price near the proposed one (replace), or the order's own (keep)."""
    drawn = chance()
    if drawn < rule.get("cancel", 0.0):
        return None
    if drawn < rule.get("cancel", 0.0) + rule.get("follow", 0.5):
        side = facts["sign"] if facts.get("is_entry", True) else -facts["sign"]
        # Freqtrade would take a price between two of the market's steps as it is, and fill it.
        return round(facts["proposed_rate"] * (1 + side * rule["offset"]), 2)
    return float(facts["current_order_rate"])


def _adjusted_exit(rule: Rule, facts: Facts, chance: Draw) -> float | None:
    return _adjusted(rule, {**facts, "is_entry": False}, chance)


def _stake(rule: Rule, facts: Facts, chance: Draw) -> float:
    low, high = rule["factors"]
    of = facts["account"][rule["of"]] if "of" in rule else facts["proposed_stake"]
    return float(of) * (low + (high - low) * chance())


def _leverage(rule: Rule, facts: Facts, chance: Draw) -> float:
    choices = rule["choices"]
    return float(choices[int(chance() * len(choices))])


def _confirm(rule: Rule, facts: Facts, chance: Draw) -> bool:
    if "open_max" in rule and facts["account"]["open"] >= rule["open_max"]:
        return False
    return chance(facts.get("exit_reason", "").partition(" ")[0]) >= rule["deny"]


def _exit(rule: Rule, facts: Facts, chance: Draw) -> str | bool | None:
    if facts["fills"] is not None and facts["fills"] >= rule.get("after_fills", 1_000):
        return "fills"
    if chance() >= rule.get("chance", 0.0):
        return None
    if "tells" in rule:
        return "saw " + " ".join(f"{name}={_written(facts['account'][name])}" for name in rule["tells"])
    tags = rule.get("tags", [])
    drawn = int(chance("tag") * (len(tags) + 1))
    return tags[drawn] if drawn < len(tags) else True


def _written(value: Any) -> str:
    """A number to 8 digits; money has 10 at most, so what is added keeps the doubles' error from deciding a tie."""
    return f"{value + 3.3e-11:.8f}" if isinstance(value, float) else str(value)


def _stoploss(rule: Rule, facts: Facts, chance: Draw) -> float | None:
    if facts.get("after_fill"):
        return rule.get("after_fill")
    if chance() >= rule.get("chance", 1.0):
        return None
    low, high = rule["distances"]
    return float(-(low + (high - low) * chance("distance")))


def _roi(rule: Rule, facts: Facts, chance: Draw) -> float | None:
    if chance() >= rule.get("chance", 1.0):
        return None
    return max(rule["start"] - rule["slope"] * float(facts["trade_duration"]), rule.get("least", 0.0))


def _timed_out(rule: Rule, facts: Facts, chance: Draw) -> bool:
    return facts["age"] >= rule["after"] and chance() < rule.get("chance", 1.0)


def _position(rule: Rule, facts: Facts, chance: Draw) -> Any:
    """More stake under a loss, part of it back above a profit; with a tag where the rule has one."""
    profit, drawn = float(facts["current_profit"]), chance()
    tag = rule.get("tag", "")
    if profit < rule.get("add_under", -9.0) and drawn < rule.get("chance", 1.0):
        more = facts["stake"] * rule["add"] if rule.get("of_stake") else rule["add"]
        return (float(more), f"{tag}+") if tag else float(more)
    if profit > rule.get("reduce_over", 9.0) and drawn < rule.get("chance", 1.0):
        less = -float(facts["stake"]) * rule["reduce"]
        return (less, f"{tag}-") if tag else less
    return None


_RULES: dict[str, Callable[[Rule, Facts, Draw], Any]] = {
    "custom_entry_price": _price,
    "custom_exit_price": lambda rule, facts, chance: _price(rule, {**facts, "sign": -facts["sign"]}, chance),
    "custom_stake_amount": _stake,
    "leverage": _leverage,
    "confirm_trade_entry": _confirm,
    "confirm_trade_exit": _confirm,
    "custom_exit": _exit,
    "custom_stoploss": _stoploss,
    "custom_roi": _roi,
    "check_entry_timeout": _timed_out,
    "check_exit_timeout": _timed_out,
    "adjust_entry_price": _adjusted,
    "adjust_exit_price": _adjusted_exit,
    "adjust_order_price": _adjusted,
    "adjust_trade_position": _position,
    "order_filled": lambda rule, facts, chance: (facts["fills"] or 0) + 1,
}
"""`order_filled` answers what the trade's custom data `fills` becomes; `custom_exit` may wait for it."""
