"""Turns what a strategy and the config's `[strategy.overrides]` say into the trade machine's `Settings`.

Strategy values arrive as plain data from a worker in which a user's file was loaded, so nothing about
them is taken on trust. The rules between the trailing settings are Freqtrade's.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from engine.candles import timeframe_ms
from engine.config_rules import FREQTRADE, number_of, shown
from engine.config_venue import PAPER
from engine.errors import ConfigError, Problem
from engine.protection_settings import check_protections
from engine.settings import Config, EntryPricingConfig, PricingConfig, Settings
from engine.strategy import AFTER_FILL, CALLBACKS, LOOKS, SETTINGS, Strategy, StrategyFacts
from engine.types import ZERO

Complain = Callable[[str, Any, str, str], None]
"""Takes key, value, why and cure."""

_SWITCHES: Final = frozenset(
    {
        "trailing_stop",
        "trailing_only_offset_is_reached",
        "use_exit_signal",
        "exit_profit_only",
        "ignore_roi_if_entry_signal",
        "use_custom_stoploss",
        "use_custom_roi",
        "can_short",
        "position_adjustment_enable",
    }
)
_ORDER_TYPES: Final = ("entry", "exit", "stoploss", "emergency_exit", "force_entry", "force_exit")
_ORDER_KEYS: Final = (
    *_ORDER_TYPES, "stoploss_on_exchange", "stoploss_on_exchange_interval", "stoploss_on_exchange_step",
)  # fmt: skip
_OLD_ORDER_KEYS: Final = {
    "buy": "entry",
    "sell": "exit",
    "forcebuy": "force_entry",
    "forcesell": "force_exit",
    "emergencysell": "emergency_exit",
}
_TIMES_IN_FORCE: Final = ("GTC", "FOK", "IOC", "PO")


def effective_facts(config: Config, facts: StrategyFacts) -> StrategyFacts:
    """`facts` as the config's overrides make them; equal where they were applied already."""
    over = config.strategy.overrides
    return replace(
        facts,
        timeframe=over.get("timeframe", facts.timeframe),
        startup_candles=over.get("startup_candles", facts.startup_candles),
        settings={**facts.settings, **{k: v for k, v in over.items() if k in SETTINGS}},
    )


def effective_protections(config: Config, facts: StrategyFacts) -> tuple[Mapping[str, Any], ...]:
    """The config's protections, and then the strategy's own."""
    return (*config.protections, *effective_facts(config, facts).settings.get("protections", ()))


def make_settings(config: Config, facts: StrategyFacts) -> Settings:
    """The settings that every pair's trade machine goes by: config over strategy over default.

    Raises:
        ConfigError: with every value of the strategy or its overrides that cannot be.
    """
    facts = effective_facts(config, facts)
    problems: list[Problem] = []
    given = {"timeframe": facts.timeframe, "startup_candles": facts.startup_candles, **facts.settings}
    check_strategy_values(given, f"{facts.name}.", problems)
    if problems:
        raise ConfigError(problems)
    values = {name: given.get(name, getattr(Strategy, name)) for name in SETTINGS}
    _check_trailing(values, f"{facts.name}.", problems)
    _check_pricing(config, values, problems)
    if problems:
        raise ConfigError(problems)
    return _settings(config, facts, values)


def candle_settings(config: Config, facts: StrategyFacts) -> Settings:
    """`make_settings` for trading on stored candles: they have no book, and their prices are what an order asks.

    Raises:
        ConfigError: as there.
    """
    return replace(make_settings(config, facts), entry_pricing=EntryPricingConfig(), exit_pricing=PricingConfig())


def check_strategy_values(given: Mapping[str, Any], prefix: str, problems: list[Problem]) -> None:
    """Check each strategy setting of `given` by itself; what is wrong goes to `problems`."""

    def complain(key: str, value: Any, why: str, cure: str) -> None:
        problems.append(Problem(prefix + key, shown(key, value), why, cure))

    for name, value in given.items():
        if name in _SWITCHES:
            if not isinstance(value, bool):
                complain(name, value, "it must be true or false", "Write one of these two, without quotes")
        elif name == "protections":
            _check_protections(value, prefix, complain, problems)
        elif name in _CHECKS:
            _CHECKS[name](name, value, complain)
        else:
            close = difflib.get_close_matches(name, [*SETTINGS, "timeframe", "startup_candles"], n=1)
            cure = (
                f"Did you mean {close[0]}?"
                if close
                else "It must be one of a strategy's settings; parameters have their own section, [strategy.parameters]"
            )
            old = FREQTRADE.get(name, "")
            complain(name, value, "no strategy setting has that name", f"It is Freqtrade's. {old}" if old else cure)


# ---------------------------------------------------------------- one value each


def _check_timeframe(name: str, value: Any, complain: Complain) -> None:
    try:
        timeframe_ms(value if isinstance(value, str) else "")
    except ValueError:
        complain(name, value, "it is no timeframe", 'Write a number and s, m, h, d or w, such as "5m"')


def _check_whole(least: int) -> Callable[[str, Any, Complain], None]:
    def check(name: str, value: Any, complain: Complain) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            complain(name, value, f"it must be a whole number of {least} or more", f"Write {max(least, 0)}, or more")

    return check


def _check_stoploss(name: str, value: Any, complain: Complain) -> None:
    number = number_of(value)
    if number is None or not -1 <= number < 0:
        positive = number is not None and 0 < number <= 1
        cure = f"Write {-number}" if positive and number is not None else "Write -0.05 for 5 % of the stake"
        complain(name, value, "it must be a ratio below 0 and not under -1, the whole stake", cure)


def _check_positive(name: str, value: Any, complain: Complain) -> None:
    number = number_of(value)
    if value is not None and (number is None or not 0 < number < 1):
        complain(name, value, "it must be a ratio above 0 and below 1", "Write 0.01 for 1 %, or leave it out")


def _check_offset(name: str, value: Any, complain: Complain) -> None:
    number = number_of(value)
    if number is None or number < 0:
        complain(name, value, "it must be a ratio of 0 or more", "Write 0.02 for 2 %")


def _check_signed(name: str, value: Any, complain: Complain) -> None:
    if number_of(value) is None:
        complain(name, value, "it must be a number", "Write a ratio: 0.02 is 2 %")


def _check_roi(name: str, value: Any, complain: Complain) -> None:
    if not isinstance(value, Mapping):
        complain(name, value, "it must be a table from minutes to ratios", 'Write { "0" = 0.05, "60" = 0.01 }')
        return
    seen: dict[int, str] = {}
    for minutes, ratio in value.items():
        key = f"{name}.{minutes}"
        if not str(minutes).isascii() or not str(minutes).isdigit():
            complain(key, ratio, "its key must be a whole number of minutes", 'Write "0" = 0.05 for at once')
        elif int(minutes) in seen:
            complain(key, ratio, f"{seen[int(minutes)]!r} says the same minute", "Keep one of them")
        else:
            seen[int(minutes)] = str(minutes)
            number = number_of(ratio)
            if number is None or number < -1:
                complain(
                    key,
                    ratio,
                    "it must be a ratio of -1 or more",
                    "Write 0.02 for 2 %; -1 leaves at that minute whatever the profit",
                )


def _check_order_types(name: str, value: Any, complain: Complain) -> None:
    if not isinstance(value, Mapping):
        complain(name, value, "it must be a table", 'Write { entry = "limit", exit = "limit", stoploss = "market" }')
        return
    for key, kind in value.items():
        place = f"{name}.{key}"
        if key in _ORDER_TYPES:
            if kind not in ("limit", "market"):
                complain(
                    place, kind, 'it must be "limit" or "market"', 'Write "limit" to name a price, "market" to be quick'
                )
        elif key == "stoploss_on_exchange":
            if not isinstance(kind, bool):
                complain(place, kind, "it must be true or false", "Write true to rest stops at the exchange")
        elif key == "stoploss_on_exchange_interval":
            _check_whole(1)(place, kind, complain)
        elif key == "stoploss_on_exchange_step":
            _check_offset(place, kind, complain)
        else:
            close = difflib.get_close_matches(str(key), _ORDER_KEYS, n=1)
            cure = f"Did you mean {close[0]}?" if close else f"Known are {', '.join(_ORDER_KEYS)}"
            if key in _OLD_ORDER_KEYS:
                cure = f"It is an old name of Freqtrade's. Write {_OLD_ORDER_KEYS[key]}"
            elif key in FREQTRADE:
                cure = f"It is Freqtrade's. {FREQTRADE[key]}"
            complain(place, kind, "no kind of order has that name", cure)


def _check_times_in_force(name: str, value: Any, complain: Complain) -> None:
    if not isinstance(value, Mapping):
        complain(name, value, "it must be a table", 'Write { entry = "GTC", exit = "GTC" }')
        return
    for key, kind in value.items():
        if key not in ("entry", "exit"):
            cure = f"Write {_OLD_ORDER_KEYS.get(str(key), 'entry or exit')}"
            complain(f"{name}.{key}", kind, "only entry and exit have one", cure)
        elif kind not in _TIMES_IN_FORCE:
            upper = str(kind).upper()
            cure = f'Write "{upper}"' if upper in _TIMES_IN_FORCE else 'Write "GTC"'
            complain(f"{name}.{key}", kind, f"it must be {', '.join(_TIMES_IN_FORCE[:-1])} or PO", cure)


def _check_protections(value: Any, prefix: str, complain: Complain, problems: list[Problem]) -> None:
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        check_protections(value, f"{prefix}protections", problems)
    else:
        complain("protections", value, "it must be a list of tables", 'Write [{ method = "CooldownPeriod" }]')


_CHECKS: Final[dict[str, Callable[[str, Any, Complain], None]]] = {
    "timeframe": _check_timeframe,
    "startup_candles": _check_whole(0),
    "minimal_roi": _check_roi,
    "stoploss": _check_stoploss,
    "trailing_stop_positive": _check_positive,
    "trailing_stop_positive_offset": _check_offset,
    "exit_profit_offset": _check_signed,
    "max_entry_position_adjustment": _check_whole(-1),
    "ignore_buying_expired_candle_after": _check_offset,
    "order_types": _check_order_types,
    "order_time_in_force": _check_times_in_force,
}


# ---------------------------------------------------------------- all together


def _check_trailing(values: Mapping[str, Any], prefix: str, problems: list[Problem]) -> None:
    """Freqtrade's rules between the four trailing settings; they only count when the stop trails."""
    if not values["trailing_stop"]:
        return
    positive = number_of(values["trailing_stop_positive"])
    offset = number_of(values["trailing_stop_positive_offset"]) or ZERO
    if values["trailing_only_offset_is_reached"] and offset == 0:
        why = "it waits for an offset, and trailing_stop_positive_offset is 0"
        cure = "Give trailing_stop_positive_offset a ratio, such as 0.02"
        problems.append(Problem(f"{prefix}trailing_only_offset_is_reached", "true", why, cure))
    if positive is not None and 0 < offset <= positive:
        why = f"it must be above trailing_stop_positive ({positive}), or the first move would stop the trade out"
        cure = f"Raise it above {positive}, or set it to 0"
        problems.append(Problem(f"{prefix}trailing_stop_positive_offset", str(offset), why, cure))


def _check_pricing(config: Config, values: Mapping[str, Any], problems: list[Problem]) -> None:
    """A market order takes the other side, whatever it is priced at: who writes another one expects what cannot be."""
    types = {**Strategy.order_types, **values["order_types"]}
    sides = (("entry", config.entry_pricing.price_side, "ask"), ("exit", config.exit_pricing.price_side, "bid"))
    for name, side, crosses in sides:
        if types[name] == "market" and side not in ("last", "other", crosses):
            key, why = f"{name}_pricing.price_side", f'order_types has {name} = "market", which takes the other side'
            problems.append(Problem(key, shown(key, side), why, f'Write "other", or {name} = "limit" in order_types'))


def _settings(config: Config, facts: StrategyFacts, values: Mapping[str, Any]) -> Settings:
    """The settings of checked values."""
    types = {**Strategy.order_types, **values["order_types"]}
    force = {**Strategy.order_time_in_force, **values["order_time_in_force"]}
    timeout = config.unfilledtimeout
    unit = 1_000 if timeout.unit == "seconds" else 60_000
    positive = values["trailing_stop_positive"]
    return Settings(
        timeframe_ms=timeframe_ms(facts.timeframe),
        roi=tuple(sorted((int(minutes), _exact(ratio)) for minutes, ratio in values["minimal_roi"].items())),
        stoploss=_exact(values["stoploss"]),
        trailing_stop=values["trailing_stop"],
        trailing_stop_positive=None if positive is None else _exact(positive),
        trailing_stop_positive_offset=_exact(values["trailing_stop_positive_offset"]),
        trailing_only_offset_is_reached=values["trailing_only_offset_is_reached"],
        use_exit_signal=values["use_exit_signal"],
        exit_profit_only=values["exit_profit_only"],
        exit_profit_offset=_exact(values["exit_profit_offset"]),
        ignore_roi_if_entry_signal=values["ignore_roi_if_entry_signal"],
        can_short=values["can_short"],
        leverage=config.trading.leverage,
        entry_type=types["entry"],
        exit_type=types["exit"],
        stop_type=types["stoploss"],
        emergency_type=types["emergency_exit"],
        force_entry_type=types["force_entry"],
        force_exit_type=types["force_exit"],
        entry_time_in_force=force["entry"],
        exit_time_in_force=force["exit"],
        stop_on_venue=types["stoploss_on_exchange"]
        or (config.exchange.name != PAPER and config.live.stops_on_exchange),
        stop_interval_ms=types["stoploss_on_exchange_interval"] * 1_000,
        stop_step=_exact(types["stoploss_on_exchange_step"]),
        entry_timeout_ms=timeout.entry * unit,
        exit_timeout_ms=timeout.exit * unit,
        exit_timeout_count=timeout.exit_timeout_count,
        exit_closer_ms=timeout.exit_closer * unit,
        exit_market_ms=timeout.exit_market * unit,
        entry_pricing=config.entry_pricing,
        exit_pricing=config.exit_pricing,
        price_distance=config.trading.custom_price_max_distance_ratio,
        signal_max_age_ms=int(_exact(values["ignore_buying_expired_candle_after"]) * 1_000),
        position_adjustment=values["position_adjustment_enable"],
        max_entry_adjustments=values["max_entry_position_adjustment"],
        amount_reserve=config.trading.amount_reserve_percent,
        liquidation_buffer=config.trading.liquidation_buffer,
        callbacks=_callbacks(facts, values),
        callback_deadline_ms=config.strategy.callback_deadline_ms,
    )


def _callbacks(facts: StrategyFacts, values: Mapping[str, Any]) -> frozenset[str]:
    """The callbacks that will be asked: those defined, less those whose switch is off."""
    switched_off = {
        name
        for name, switch in (
            ("custom_stoploss", "use_custom_stoploss"),
            ("custom_roi", "use_custom_roi"),
        )
        if not values[switch]
    }
    return frozenset(name for name in facts.callbacks if name in (*CALLBACKS, AFTER_FILL, *LOOKS)) - switched_off


def _exact(value: Any) -> Decimal:
    number = number_of(value)
    assert number is not None
    return number
