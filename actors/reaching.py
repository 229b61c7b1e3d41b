"""Reaching an exchange before anything is traded there: connected, its markets read, the account looked at.

Used by the start of a live bot and by `check`, so both say the same of the same account.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol, TypeVar

from loguru import logger

from actors.keys import keys_of
from actors.venues.capabilities import capability
from actors.venues.ccxt import Connection, odd_options
from actors.venues.live.examining import Account, examine, is_once_more, refusal_of
from engine.candles import timeframe_ms
from engine.errors import ConfigError, Outage, Problem
from engine.market import Market
from engine.settings import Config

T = TypeVar("T")

WAIT_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""How long an exchange that does not answer is left alone, each time longer."""

LOOK_S: Final = 0.1
"""How often somebody is asked for his patience while a request is under way."""


class Patience(Protocol):
    """Waits so many seconds for an exchange that does not answer; False when nobody wants to wait any more."""

    def __call__(self, seconds: float) -> bool: ...


def no_patience(seconds: float) -> bool:
    """Nobody waits for an exchange that does not answer, though for an answer that is on its way."""
    return seconds == 0


def connected(config: Config, timeframe: str | None = None, *, keyed: bool = True) -> Connection:
    """A started connection with the account's keys, for candles of `timeframe` or none; nothing was asked yet.

    Without `keyed` nobody's keys are looked for: what everybody may see is all that can be asked then.

    Raises:
        CannotTrade: nothing is known of the exchange, or it cannot be traded safely.
        ConfigError: the keys are not there, the options are none of ccxt's, or the exchange has no such candles.
        Unconnected: ccxt knows no such exchange.
    """
    can = capability(config.exchange.name, futures=config.exchange.market == "futures")
    odd = odd_options(config.exchange.name, config.exchange.options)
    if odd:
        raise ConfigError(odd)
    exchange = replace(config.exchange, options=with_options(can.options, config.exchange.options))
    keys = keys_of(exchange, config.account) if keyed else None
    connection = Connection(exchange, futures=exchange.market == "futures", keys=keys)
    connection.start()
    unfit = None if timeframe is None else _unfit(connection, timeframe)
    if unfit is not None:
        connection.close()
        raise ConfigError([Problem("strategy.name", f'"{config.strategy.name}"', *unfit)])
    return connection


def _unfit(connection: Connection, timeframe: str) -> tuple[str, str] | None:
    """Why candles of `timeframe` cannot be had there, and what can; None when they can."""
    there = tuple(connection.data.timeframes or ())
    if there and timeframe not in there:
        return f"{connection.name} has no candles of {timeframe}, which it wants", f"It has {', '.join(there)}"
    if timeframe_ms(timeframe) > timeframe_ms("1d"):
        why = f"it wants candles of {timeframe}, and exchanges begin those longer than a day on different days"
        return why, "Take 1d, or shorter"
    return None


async def looked_at(
    connection: Connection, config: Config, *, strict: bool
) -> tuple[tuple[str, ...], tuple[str, ...], Account]:
    """(the pairs to trade, those configured that are gone, what the account is found to be); `strict` refuses the gone.

    Raises:
        Outage: the exchange does not answer.
        ConfigError: pairs are not there, or the account is not shown; both are told at once.
    """
    try:
        pairs, gone = await listed(connection, config, strict=strict)
    except ConfigError as unknown:
        there = [pair for pair in config.trading.pairs if pair in connection.markets()]
        if there:
            raise ConfigError([*unknown.problems, *await _found_wrong(connection, config, there)]) from None
        raise
    return pairs, gone, await examine(connection, config, pairs, strict=strict)


async def _found_wrong(connection: Connection, config: Config, pairs: Sequence[str]) -> list[Problem]:
    try:
        return (await examine(connection, config, pairs, strict=True)).problems
    except ConfigError as refused:
        return list(refused.problems)


async def listed(connection: Connection, config: Config, *, strict: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(the pairs to trade, those configured that are gone), which needs no keys; `strict` refuses the gone."""
    loaded = await connection.load(again=True)
    if is_once_more(loaded):
        loaded = await connection.load(again=True)
    if loaded.failure is not None:
        raise refusal_of(connection.name, loaded)
    return wanted(config, connection.markets(), strict=strict)


def patiently(connection: Connection, patience: Patience, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What comes of `ask` on the connection's loop, asked again for as long as the exchange does not answer.

    Raises:
        Outage: it does not answer, and the patience is over.
        ConfigError: whatever `ask` finds.
    """
    attempt = 0
    while True:
        try:
            told = _waited(connection, patience, ask())
        except Outage as outage:
            if patience is no_patience:
                raise
            wait = WAIT_S[min(attempt, len(WAIT_S) - 1)]
            logger.warning("{}. It is asked again in {:g} s; Ctrl-C ends", outage, wait)
            if not patience(wait):
                raise
            attempt += 1
        else:
            if attempt:
                logger.info("{} answers again", connection.name)
            return told


def _waited(connection: Connection, patience: Patience, coroutine: Coroutine[Any, Any, T]) -> T:
    future = connection.spawn(coroutine)
    while True:
        try:
            return future.result(LOOK_S)
        except TimeoutError:
            if not patience(0):
                future.cancel()
                raise Outage(f"{connection.name} has not answered yet") from None


def with_options(facts: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The constructor's arguments: what is known to be needed, under what the user gives."""
    return {**given, "options": {**facts, **given.get("options", {})}} if facts else dict(given)


def wanted(config: Config, markets: Mapping[str, Market], *, strict: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The pairs to trade, in the configuration's order, and those it names that the exchange has not (any more).

    `strict` refuses the latter: on a first run they are mistakes. Later they may be delisted pairs, for
    which a bot that has positions elsewhere must not stay down.

    Raises:
        ConfigError: a pair is not there, or none is left.
    """
    named, quote = config.trading.pairs, config.trading.stake_currency
    if not named:
        pairs = tuple(pair for pair, market in markets.items() if market.quote == quote and market.active)
        if not pairs:
            why = f"{config.exchange.name} {config.exchange.market} has no pair that is traded for it"
            raise ConfigError([Problem("trading.stake_currency", f'"{quote}"', why, 'Write "USDT"')])
        return pairs, ()
    gone = tuple(pair for pair in named if pair not in markets)
    pairs = tuple(pair for pair in named if pair in markets)
    if gone and (strict or not pairs):
        raise ConfigError([_unknown(pair, config, markets) for pair in gone])
    return pairs, gone


def _unknown(pair: str, config: Config, markets: Mapping[str, Market]) -> Problem:
    close = difflib.get_close_matches(pair, list(markets), n=1)
    why = f"{config.exchange.name} {config.exchange.market} does not trade it"
    return Problem("trading.pairs", f'"{pair}"', why, f"Did you mean {close[0]}?" if close else "Leave it out")
