"""Which market a configuration asks for, and which of its pairs."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

from actors.venues.ports import MarketSource
from engine.errors import ConfigError, Problem
from engine.settings import Config


def market_source(config: Config, timeframe: str) -> MarketSource:
    """The source of prices and candles: the built-in market, or a folder of candles of `timeframe`.

    Raises:
        DataError: the folder does not hold what it should; the text names the file and the row.
    """
    if config.feed.source == "files":
        return _files(config, timeframe)
    from actors.venues.paper.built_in import BuiltInMarket

    return BuiltInMarket.of(config.feed, config.trading.stake_currency)


def _files(config: Config, timeframe: str) -> MarketSource:
    from actors.batch.data import load_candles
    from actors.batch.finer import funding_in
    from actors.batch.markets import read_markets
    from actors.venues.paper.file_market import FileMarket, market_of

    folder = Path(config.feed.data)
    candles, known = load_candles(folder, config.trading.pairs, timeframe), read_markets(folder)
    funding, _ = funding_in(folder, candles)
    markets = {pair: market_of(own, known.get(pair, {})) for pair, own in candles.items()}
    return FileMarket(candles, timeframe, markets, funding)


def notes_on(source: MarketSource) -> tuple[str, ...]:
    """What is not known of a source's futures, and what that means for the run: a sentence each."""
    futures = [pair for pair, market in source.markets().items() if market.is_futures]
    if not futures:
        return ()
    from actors.batch.finer import unfunded, unmargined

    start, end = source.span()
    paid = {rate.pair for rate in source.funding(futures, start - 1, sys.maxsize if end is None else end)}
    tiered = {pair for pair, market in source.markets().items() if market.tiers}
    return (
        *unfunded([pair for pair in futures if pair not in paid]),
        *unmargined([pair for pair in futures if pair not in tiered]),
    )


def wanted_pairs(config: Config, available: Sequence[str]) -> tuple[str, ...]:
    """The pairs to trade, in the configuration's order; all of them that stakes can buy where it names none.

    Raises:
        ConfigError: pairs are named that the source does not have, or nothing is left to trade.
    """
    quote = config.trading.stake_currency
    tradable = tuple(p for p in available if p.partition("/")[2].partition(":")[0] == quote)
    problems = []
    known = set(available)
    for pair in config.trading.pairs:
        if pair not in known:
            close = difflib.get_close_matches(pair, available, n=1)
            cure = (
                f"Did you mean {close[0]}?" if close else f"It has {len(available)}, such as {', '.join(available[:3])}"
            )
            problems.append(Problem("trading.pairs", f'"{pair}"', "the feed does not have this pair", cure))
    if not problems and not tradable:
        why = f"none of the feed's {len(available)} pairs is traded for {quote}"
        problems.append(
            Problem("trading.stake_currency", f'"{quote}"', why, f"The feed has {', '.join(available[:3])} …")
        )
    if problems:
        raise ConfigError(problems)
    return config.trading.pairs or tradable
