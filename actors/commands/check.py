"""`check`: what a configuration amounts to: its strategy, what would be traded, every value in effect."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from actors.commands.common import all_with_arguments, print_json
from actors.commands.exchange_check import exchange_check
from actors.commands.parsing import OK
from actors.config_file import read_config
from actors.files import Files
from actors.keys import check_apart
from actors.notifying.addresses import check_addresses
from actors.opening import traded_before
from engine.config import effective_facts, effective_protections, make_settings, masked
from engine.config_accounts import speaking_of
from engine.config_venue import PAPER
from engine.errors import ConfigError, Outage, Problem
from engine.settings import Config, Settings
from engine.strategy import StrategyFacts

if TYPE_CHECKING:
    from actors.venues.ccxt import Connection


def run(arguments: argparse.Namespace) -> int:
    """Read, check and say it all; a mistake ends it with the list of all mistakes."""
    config = all_with_arguments(read_config(arguments.config), arguments)
    check_addresses(config.notify)
    check_apart(config.accounts)
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    away: list[str] = []
    for account in config.accounts or (config,):
        try:
            with speaking_of(account.account):
                found[account.account] = _checked(account, arguments)
        except ConfigError as error:
            problems += error.problems
        except Outage as outage:
            away.append(f"accounts.{account.account}: {outage}" if account.account else str(outage))
    if problems:
        raise ConfigError([*problems, *(Problem("exchange", "", said, "Check again when it does") for said in away)])
    if away:
        raise Outage("\n  ".join(away))
    if arguments.json:
        print_json({"accounts": found} if config.accounts else found[""])
    return OK


def _checked(config: Config, arguments: argparse.Namespace) -> dict[str, Any]:
    """One account's configuration, said in lines; or not, but returned as plain data, for a program."""
    from actors.judging.facts import load_facts
    from actors.judging.loader import run_mode, surroundings_of

    facts = effective_facts(
        config, load_facts(config.strategy, surroundings_of(config, run_mode(config), config.trading.pairs))
    )
    settings = make_settings(config, facts)
    exchange = exchange_check(config, settings)
    if exchange is not None and not arguments.json:
        print(*exchange.lines, "", sep="\n")  # needs nobody's answer, so it is said whatever is found of the account
    pairs, account = would_trade(config, facts)
    if not arguments.json:
        name = config.account
        print(f"{arguments.config} is in order{f' for the account {name}' if name else ''}.\n")
        print(*summary(config, facts, settings, pairs), *account, sep="\n")
        print(f"\nEvery value in effect{f' for {name}' if name else ''}:\n")
        print(*toml_lines(masked(config)), *([""] if name else []), sep="\n")
    return {
        "config": masked(config),
        "strategy": {"name": facts.name, "timeframe": facts.timeframe, "callbacks": sorted(settings.callbacks)},
        "protections": [dict(p) for p in effective_protections(config, facts)],
        "pairs": pairs,
        "exchange": exchange.plain if exchange is not None else None,
        "account": account,
    }


def would_trade(config: Config, facts: StrategyFacts) -> tuple[list[str], list[str]]:
    """The pairs that are configured and there, in the configuration's order; and what a live account is found to be.

    Raises:
        ConfigError: a pair is wanted that is not there, or the account cannot be traded with.
        DataError: the folder of candles does not hold what it should.
        Outage: the exchange does not answer.
    """
    if config.exchange.name == PAPER:
        from actors.venues.paper.choice import market_source, wanted_pairs

        return list(wanted_pairs(config, market_source(config, facts.timeframe).pairs)), []
    if config.mode == PAPER:
        return _would_trade_on_paper(config, facts)
    from actors.follower import Follower
    from actors.reaching import connected, looked_at, no_patience, patiently
    from actors.venues.live.examining import described

    files = Files.beside(config.history.db)
    connection = connected(config, facts.timeframe)
    try:
        first = not traded_before(files, config.account)
        pairs, gone, account = patiently(connection, no_patience, lambda: looked_at(connection, config, strict=first))
        deaf = _deaf(connection, pairs, facts) if not account.problems else []
    finally:
        connection.close()
    if account.problems:
        raise ConfigError(account.problems)
    installation = "" if first else Follower(files).installation() or ""
    lines = described(account, config, pairs, installation)
    return list(pairs), [
        *lines,
        *deaf,
        *(f"note        {pair} is configured and not on the exchange any more" for pair in gone),
    ]


def _deaf(connection: Connection, pairs: Sequence[str], facts: StrategyFacts) -> list[str]:
    """That the stream of candles cannot be opened, as a line; none where it can."""
    from actors.venues.live.hearing import unheard

    why = connection.spawn(unheard(connection, pairs[0], facts.timeframe)).result() if pairs else ""
    return [f"note        {why}"] if why else []


def _would_trade_on_paper(config: Config, facts: StrategyFacts) -> tuple[list[str], list[str]]:
    """As `would_trade`, of a real exchange's market without an account there."""
    from actors.live_place import paper_markets
    from actors.reaching import connected, listed, no_patience, patiently

    first = not traded_before(Files.beside(config.history.db), config.account)
    connection = connected(config, facts.timeframe, keyed=False)
    try:
        pairs, gone = patiently(connection, no_patience, lambda: listed(connection, config, strict=first))
        markets, notes = paper_markets(connection, config, pairs)
        deaf = _deaf(connection, pairs, facts)
    finally:
        connection.close()
    halted = [pair for pair in pairs if not markets[pair].active]
    makers, takers = (sorted({getattr(markets[pair], name) for pair in pairs}) for name in ("maker_fee", "taker_fee"))
    fees = " and ".join(
        f"{kind} {' to '.join(f'{rate * 100:f}'.rstrip('0').rstrip('.') for rate in dict.fromkeys((rates[0], rates[-1])))} %"
        for kind, rates in (("maker", makers), ("taker", takers))
    )
    return list(pairs), [
        f"fees        {fees}, as the exchange lists them",
        *(f"note        {note}" for note in notes),
        *deaf,
        *(f"note        {pair} is halted on the exchange; no entries there until trading goes on" for pair in halted),
        *(f"note        {pair} is configured and not on the exchange any more" for pair in gone),
        'live        mode = "live", your keys, the confirmation under [live] and a db of its own are all that it takes',
    ]


def summary(config: Config, facts: StrategyFacts, settings: Settings, pairs: list[str]) -> list[str]:
    """What it amounts to, in a few lines."""
    trading = config.trading
    slots = "without limit" if trading.max_open_trades == -1 else f"{trading.max_open_trades} at once"
    live, real = config.mode != PAPER, config.exchange.name != PAPER
    market = f"the built-in market (seed {config.feed.seed}, {config.feed.speed} times as fast as the world)"
    source = (
        "the exchange's own"
        if real
        else market
        if config.feed.source == "market"
        else f"the candles in {config.feed.data}"
    )
    shown = ", ".join(pairs[:6]) + (f" and {len(pairs) - 6} more" if len(pairs) > 6 else "")
    stop = f"stop at {settings.stoploss * 100:g} %{', trailing' if settings.trailing_stop else ''}"
    roi = ", ".join(f"{ratio * 100:g} % after {minutes} min" for minutes, ratio in settings.roi) or "none"
    callbacks = ", ".join(sorted(settings.callbacks)) or "none"
    protections = ", ".join(str(p["method"]) for p in effective_protections(config, facts)) or "none"
    largest = f"real money, {config.live.largest_stake} {trading.stake_currency} a trade at most"
    paper = f"{'no real money, ' if real else ''}{config.paper.wallet} {trading.stake_currency}, fills by {config.paper.fills}"
    return [
        f"venue       {config.exchange.name}: {largest if live else paper}",
        f"prices      {source}",
        f"pairs       {len(pairs)}: {shown}",
        f"trades      {slots}, stake {trading.stake_amount}, leverage {trading.leverage}",
        f"strategy    {facts.name}: {facts.timeframe} candles, {facts.startup_candles} to start with, callbacks: {callbacks}",
        f"exits       {stop}; return wanted: {roi}",
        f"protections {protections}",
        f"history     {config.history.db}",
    ]


def toml_lines(plain: Mapping[str, Any]) -> list[str]:
    """The configuration as TOML: what stands above the first section first; values of None are left out."""
    lines = [f"{k} = {_toml(v)}" for k, v in plain.items() if not isinstance(v, Mapping) and v is not None]
    for name, table in plain.items():
        if isinstance(table, Mapping):
            lines += ["", f"[{name}]"]
            lines += [f"{k} = {_toml(v)}" for k, v in table.items() if v is not None]
    return lines


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{orjson.dumps(k).decode()} = {_toml(v)}" for k, v in value.items()) + " }"
            if value
            else "{}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, str):
        return orjson.dumps(value).decode()
    return str(value)
