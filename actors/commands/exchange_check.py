"""The exchange's part of `check`: what it can do for this configuration, and what it cannot do safely."""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.errors import ConfigError
from engine.settings import Config, Settings


class ExchangeCheck(NamedTuple):
    """What the configured exchange can do: in lines to print, and as plain data."""

    lines: list[str]
    plain: dict[str, Any]


def exchange_check(config: Config, settings: Settings) -> ExchangeCheck | None:
    """What the configured exchange can do; None for the simulated one.

    Raises:
        CannotTrade: nothing is known of it, or it cannot be traded live safely.
        ConfigError: it has not what the settings want.
    """
    if config.exchange.name == "paper":
        return None
    from actors.venues import capability_table
    from actors.venues.capabilities import capability
    from actors.venues.ccxt import traits

    exchange = config.exchange
    able = capability(exchange.name, futures=exchange.market == "futures").under(exchange.options)
    refused = able.refusals(settings, config.trading.stake_currency)
    if refused:
        raise ConfigError(refused)
    found, notes = traits(able.exchange), able.notes(settings)
    head = f"What {able.title} ({able.market}) can do, by ccxt and {able.docs}:\n"
    lines = [head, *capability_table.lines(able, found), *(f"note        {note}" for note in notes)]
    return ExchangeCheck(lines, {**capability_table.plain(able, found), "notes": notes})
