"""Reads a mapping, as `config.toml` parses to, into a `Config` that is checked through and through.

Every mistake is found in one go, and each says its key, the value, why that is wrong and what would do.
Numbers must come as int or Decimal (`parse_float=Decimal`): a price of 0.1 is 0.1 here.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from engine.config_accounts import parse_accounts
from engine.config_rules import COIN, FREQTRADE, PAIR, RULES, percent, shown, without_secrets
from engine.config_venue import check_venue
from engine.errors import ConfigError, Problem
from engine.notify_settings import check_targets
from engine.protection_settings import check_protections
from engine.settings import Config
from engine.strategy_settings import (
    candle_settings,
    check_strategy_values,
    effective_facts,
    effective_protections,
    make_settings,
)

__all__ = [
    "candle_settings",
    "checked_pairs",
    "effective_facts",
    "effective_protections",
    "fingerprint",
    "known_keys",
    "make_settings",
    "masked",
    "parse_config",
    "quote_of",
    "shown",
]

_MISSING: Final = object()
_KINDS: Final[dict[type, str]] = {
    str: "text in quotes",
    int: "a whole number",
    Decimal: "a number",
    bool: "true or false",
}


def parse_config(mapping: Mapping[str, Any]) -> Config:
    """The checked configuration that `mapping` says, defaults filled in.

    Raises:
        ConfigError: with every mistake in it, in the order of the keys.
    """
    if "accounts" in mapping:
        return parse_accounts(mapping, parse_config)
    problems: list[Problem] = []
    values = _read_table(Config, mapping, "", problems)
    config = Config(**values)
    problems += _combinations(config, {p.key for p in problems})
    if problems:
        raise ConfigError(problems)
    return config


def masked(config: Config) -> dict[str, Any]:
    """The whole configuration as plain data to show or keep, every secret in it replaced by `***`."""
    plain = typing.cast("dict[str, Any]", without_secrets(_plain(config)))
    plain.pop("account")
    return plain if config.accounts else {key: value for key, value in plain.items() if key != "accounts"}


def fingerprint(config: Config) -> str:
    """A short hash that is equal for equal configurations; secrets play no part in it."""
    text = json.dumps(masked(config), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def known_keys() -> dict[str, Any]:
    """Every key with its type, sections dotted: `trading.pairs`."""
    keys: dict[str, Any] = {}
    for field in dataclasses.fields(Config):
        kind = _written(Config).get(field.name)
        if dataclasses.is_dataclass(kind):
            inner = typing.get_type_hints(kind)
            keys |= {f"{field.name}.{f.name}": inner[f.name] for f in dataclasses.fields(kind)}
        elif kind is not None:
            keys[field.name] = kind
    return keys


def _written(section: type) -> dict[str, Any]:
    """The types of what a user writes in a section; `Config.account` is none of it."""
    hints = typing.get_type_hints(section)
    return {field.name: hints[field.name] for field in dataclasses.fields(section) if field.metadata}


# ---------------------------------------------------------------- reading


def _read_table(section: type, table: Mapping[str, Any], prefix: str, problems: list[Problem]) -> dict[str, Any]:
    """The arguments of dataclass `section` that `table` gives; mistakes go to `problems`, their keys are left out."""
    hints = _written(section)
    values: dict[str, Any] = {}
    for name, given in table.items():
        key = prefix + str(name)
        kind = hints.get(name)
        if kind is None:
            problems.append(_unknown(key, str(name), prefix, list(hints), given))
        elif dataclasses.is_dataclass(kind):
            if isinstance(given, Mapping):
                values[name] = typing.cast("type", kind)(
                    **_read_table(typing.cast("type", kind), given, f"{key}.", problems)
                )
            else:
                why = "it is a section, not a value"
                problems.append(Problem(key, shown(key, given), why, f"Write [{key}], and its keys below"))
        else:
            value = _read_value(key, kind, given, problems)
            if value is not _MISSING:
                values[name] = value
    return values


def _unknown(key: str, name: str, prefix: str, siblings: list[str], given: Any) -> Problem:
    """The refusal of a key that nobody knows, with the best guess at what was meant."""
    elsewhere = [k for k in known_keys() if k.rpartition(".")[2] == name]
    close = difflib.get_close_matches(name, siblings, n=1, cutoff=0.6)
    far = difflib.get_close_matches(name, [k.rpartition(".")[2] for k in known_keys()], n=1, cutoff=0.75)
    if elsewhere:
        section, _, _ = elsewhere[0].rpartition(".")
        cure = f"It belongs under [{section}]" if section else "It belongs at the top, above the first section"
    elif name in FREQTRADE:
        cure = f"It is Freqtrade's. {FREQTRADE[name]}"
    elif close:
        cure = f"Did you mean {prefix}{close[0]}?"
    elif far:
        found = next(k for k in known_keys() if k.rpartition(".")[2] == far[0])
        cure = f"Did you mean {found}?"
    else:
        cure = f"Known here: {', '.join(siblings)}"
    return Problem(key, "" if isinstance(given, Mapping) else shown(key, given), "nothing has that name", cure)


def _read_value(key: str, kind: Any, given: Any, problems: list[Problem]) -> Any:
    """`given` as `kind`, or `_MISSING` after telling `problems` what is wrong with it."""
    if typing.get_origin(kind) in (tuple, Mapping) or kind is Mapping:
        return _read_collection(key, kind, given, problems)
    union = isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union
    allowed = [k for k in (typing.get_args(kind) if union else (kind,)) if k is not type(None)]
    value = _as_one_of(key, given, allowed)
    if value is _MISSING:
        why = f"it must be {' or '.join(_KINDS[k] for k in allowed)}"
        problems.append(Problem(key, shown(key, given), why, _type_cure(key, given, allowed)))
        return _MISSING
    rule = RULES.get(key)
    if rule is not None and not rule.allows(value):
        problems.append(Problem(key, shown(key, given), f"it must be {rule.says}", _rule_cure(key, value)))
        return _MISSING
    return value


def _as_one_of(key: str, given: Any, allowed: list[type]) -> Any:
    """`given` where its type is allowed: whole numbers are numbers, times are text; nothing else is turned."""
    if isinstance(given, datetime) and key == "feed.start":
        return given.isoformat()
    if isinstance(given, bool):
        return given if bool in allowed else _MISSING
    if isinstance(given, int):
        if int in allowed:
            return given
        return Decimal(given) if Decimal in allowed else _MISSING
    if isinstance(given, Decimal):
        return given if Decimal in allowed and given.is_finite() else _MISSING
    if isinstance(given, str):
        return given if str in allowed else _MISSING
    return _MISSING


def _type_cure(key: str, given: Any, allowed: list[type]) -> str:
    """What to write instead of a value of the wrong type."""
    numbers = int in allowed or Decimal in allowed
    if isinstance(given, str) and numbers:
        ratio = percent(given)
        if ratio is not None and Decimal in allowed:
            return f"Write {ratio.normalize():f}, without quotes"
        try:
            number = Decimal(given)
        except ArithmeticError:
            return _example(key)
        fits = number.is_finite() and (Decimal in allowed or number == number.to_integral_value())
        return f"Write {given.strip()}, without quotes" if fits else _example(key)
    if isinstance(given, str) and bool in allowed and given.lower() in {"true", "false", "yes", "no", "on", "off"}:
        return f"Write {'true' if given.lower() in {'true', 'yes', 'on'} else 'false'}, without quotes"
    if isinstance(given, int | Decimal) and str in allowed:
        return f'Write "{given}", in quotes'
    return _example(key)


def _rule_cure(key: str, value: Any) -> str:
    """What to write instead of a value that its rule refuses."""
    rule = RULES[key]
    if isinstance(value, str):
        words = [w.strip('"') for w in rule.says.split(" or ") if w.startswith('"')]
        close = difflib.get_close_matches(value.lower(), [w.lower() for w in words], n=1, cutoff=0.5)
        if rule.says == f'"{"".join(words)}"':
            return f'Write "{words[0]}"; nothing else is there yet'
        if close:
            return f'Did you mean "{next(w for w in words if w.lower() == close[0])}"?'
        if percent(value) is None and rule.allows(value.upper()):
            return f'Write "{value.upper()}"'
    elif isinstance(value, Decimal) and value > 1 and rule.allows(value / 100):
        return f"If you meant {value} %, write {(value / 100).normalize():f}"
    elif key == "trading.max_open_trades":
        return "Write -1 for no limit; `tradepit pause` stops entries"
    return _example(key)


def _example(key: str) -> str:
    """The default as a proposal."""
    default = _default(key)
    return "Leave it out for none" if default is None else f"The default is {shown(key, default)}"


def _default(key: str) -> Any:
    value: Any = Config()
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _read_collection(key: str, kind: Any, given: Any, problems: list[Problem]) -> Any:
    """A list or table; its content is checked where it has a meaning here."""
    if typing.get_origin(kind) is tuple:
        if not isinstance(given, list | tuple):
            cure = f"Write {key} = [{shown(key, given)}]" if isinstance(given, str) else "Write a list: […]"
            problems.append(Problem(key, shown(key, given), "it must be a list", cure))
            return _MISSING
        if key == "protections":
            return check_protections(given, "protections", problems)
        if key == "notify.targets":
            return check_targets(given, key, problems)
        return _read_pairs(key, given, problems)
    if not isinstance(given, Mapping):
        why = "it must be a table"
        problems.append(Problem(key, shown(key, given), why, f"Write [{key}], and its keys below, or {{…}}"))
        return _MISSING
    if key == "strategy.overrides":
        check_strategy_values(given, f"{key}.", problems)
    return _with_floats(given)


def _with_floats(value: Any) -> Any:
    """What goes to a user's code or into ccxt has floats, as they expect."""
    if isinstance(value, Mapping):
        return {str(k): _with_floats(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_with_floats(v) for v in value]
    return float(value) if isinstance(value, Decimal) else value


def _read_pairs(key: str, given: list[Any] | tuple[Any, ...], problems: list[Problem]) -> tuple[str, ...]:
    """The pairs, each written as ccxt does and none of them twice."""
    pairs: list[str] = []
    for number, pair in enumerate(given):
        place = f"{key}[{number}]"
        if not isinstance(pair, str) or not PAIR.fullmatch(pair):
            upper = str(pair).upper().replace("_", "/").replace("-", "/")
            cure = f'Did you mean "{upper}"?' if PAIR.fullmatch(upper) else 'Write a pair such as "BTC/USDT"'
            problems.append(Problem(place, shown(place, pair), "it is no pair of the form BASE/QUOTE", cure))
        elif pair in pairs:
            why = f"it is there already, as number {pairs.index(pair)}"
            problems.append(Problem(place, shown(place, pair), why, "Leave one of them out"))
        else:
            pairs.append(pair)
    return tuple(pairs)


def checked_pairs(key: str, pairs: tuple[str, ...], currency: str) -> tuple[str, ...]:
    """Pairs that come from elsewhere than the file, held to its rules; `key` is what a refusal calls them.

    Raises:
        ConfigError: one is no pair, is there twice, or is traded for another coin than stakes are in.
    """
    problems: list[Problem] = []
    checked = _read_pairs(key, pairs, problems)
    problems += _other_coins(key, checked, currency)
    if problems:
        raise ConfigError(problems)
    return checked


def _other_coins(key: str, pairs: tuple[str, ...], currency: str) -> list[Problem]:
    """A problem for each pair that is not traded for the coin of the stakes: its profits would be in another one."""
    return [
        Problem(
            key,
            shown(key, pair),
            f"it is traded for {quote_of(pair)}, and stakes are in {currency}",
            f"Take pairs that end in /{currency}, or set trading.stake_currency",
        )
        for pair in pairs
        if quote_of(pair) != currency
    ]


def quote_of(pair: str) -> str:
    """The coin that a pair is traded for: USDT of BTC/USDT, and of the future BTC/USDT:USDT."""
    return pair.partition("/")[2].partition(":")[0]


# ---------------------------------------------------------------- what must fit together


def _combinations(config: Config, broken: set[str]) -> list[Problem]:
    """Mistakes that no key shows by itself; keys that are `broken` anyway are left out of it."""
    found: list[Problem] = []
    trading, feed, runtime, risk = config.trading, config.feed, config.runtime, config.risk

    def say(key: str, value: Any, why: str, cure: str) -> None:
        if key not in broken:
            found.append(Problem(key, shown(key, value), why, cure))

    if (
        trading.stake_amount == "unlimited"
        and trading.max_open_trades == -1
        and not broken & {"trading.max_open_trades", "trading.stake_amount"}
    ):
        why = "slots without limit cannot share the balance"
        say("trading.stake_amount", "unlimited", why, 'Give max_open_trades a number, or the stake an amount or "5%"')
    if COIN.fullmatch(trading.stake_currency) and not broken & {"trading.stake_currency", "trading.pairs"}:
        found += _other_coins("trading.pairs", trading.pairs, trading.stake_currency)
    if feed.source == "files" and not feed.data:
        say("feed.data", "", "candles from files need a folder", 'Write data = "FOLDER" under [feed]')
    for name, pricing in (("entry_pricing", config.entry_pricing), ("exit_pricing", config.exit_pricing)):
        if pricing.price_side == "last":
            cure = f'Write price_side = "same" or "other" under [{name}]'
            if pricing.use_order_book:
                say(f"{name}.use_order_book", True, "price_side says that no book is looked at", cure)
            if pricing.price_last_balance:
                value = pricing.price_last_balance
                say(f"{name}.price_last_balance", value, "price_side says that it is the last price anyway", cure)
    if runtime.watchdog_s >= runtime.deadman_s:
        why = f"it must be below deadman_s ({runtime.deadman_s}): the watchdog acts first"
        say("runtime.watchdog_s", runtime.watchdog_s, why, "The defaults are 10 and 60")
    if risk.max_exposure is not None and (risk.max_exposure_per_pair or 0) > risk.max_exposure:
        why = f"one pair may not have more than all together (max_exposure = {risk.max_exposure})"
        say("risk.max_exposure_per_pair", risk.max_exposure_per_pair, why, "Lower it, or raise max_exposure")
    return found + check_venue(config, broken)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value
