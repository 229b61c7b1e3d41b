"""A real exchange as a place to trade: connected, its clock and markets read, its account looked at.

On paper it is the same exchange without an account: its market data, and our own venue for the orders. Started during an outage it waits, with a word now and then, for as long as somebody has the patience.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from actors.files import Files
from actors.market_time import claim_record
from actors.opening import traded_before
from actors.place import Place
from actors.reaching import Patience, connected, listed, looked_at, patiently
from actors.runtime import MarketClock
from actors.venues.capabilities import Capability, capability
from actors.venues.ccxt import Connection
from actors.venues.live.examining import described, too_much_leverage
from actors.venues.live.market import LiveMarket
from actors.venues.live.on_paper import ExchangeMarket
from actors.venues.live.venue import CcxtVenue
from actors.venues.paper.patient import PatientVenue
from actors.venues.paper.reading import as_listed
from actors.venues.paper.venue import PaperVenue
from engine.candles import timeframe_ms
from engine.config import make_settings
from engine.errors import ConfigError, StorageError
from engine.market import Market
from engine.quota import Sharers, shared_by
from engine.settings import Config, Settings
from engine.strategy import StrategyFacts
from engine.types import Millis
from engine.venue_capital import VenueCapital

PAPER_ASKS: Final = "by the prices of {}, which is asked what needs no keys, and sent no order"


class ExchangeClock(MarketClock):
    """The exchange's own time, as its connection knows it."""

    def __init__(self, tell: Callable[[], Millis]) -> None:
        super().__init__(tell(), time.time())
        self._tell = tell

    def now(self) -> Millis:
        """Market time in milliseconds since 1970-01-01 UTC."""
        return self._tell()


def live_place(config: Config, facts: StrategyFacts, files: Files, patience: Patience, sharers: Sharers) -> Place:
    """Connect, look, and describe; the errors are those of `actors.places.place_of`."""
    if files.venue.exists():
        raise StorageError(
            f"{files.db.name} holds what was traded on paper, and no money is behind that. "
            "Give live trading files of its own: --db live.duckdb, or db under [history]."
        )
    can, settings = _able(config, facts)
    connection = connected(config, facts.timeframe)
    try:
        first = not traded_before(files, config.account)
        pairs, gone, account = patiently(connection, patience, lambda: looked_at(connection, config, strict=first))
    except BaseException:
        connection.close()
        raise
    if account.problems:
        connection.close()
        raise ConfigError(account.problems)

    def capital() -> VenueCapital:
        largest = config.live.largest_stake
        return VenueCapital(config.trading.stake_currency, futures=connection.futures, largest_stake=largest)

    return Place(
        pairs=pairs,
        uid=account.uid,
        markets=connection.markets(),
        stream=LiveMarket(connection),
        venue=lambda installation, began: CcxtVenue(
            connection,
            can,
            installation,
            margin_mode=config.exchange.margin_mode,
            began=began,
            seen=account.seen,
            account=config.account,
        ),
        limits=shared_by(can.limits(connection.reported), sharers),
        clock=ExchangeClock(connection.now),
        capital=capital,
        stop_on_venue=can.stop is not None,
        stop_beside=can.stop_beside,
        stop_replace=can.stop_replace,
        stop_amend=can.stop_amend,
        findings=tuple(f"{pair} is configured and not on the exchange any more" for pair in gone),
        notes=tuple(can.notes(settings)),
        ready=lambda installation: described(account, config, pairs, installation),
        close=connection.close,
    )


def dry_place(config: Config, facts: StrategyFacts, files: Files, patience: Patience, sharers: Sharers) -> Place:
    """The exchange's market data and our own venue for the orders; the errors are those of `actors.places.place_of`.

    The exchange is asked what everybody may ask, and never sent an order: there are no keys.
    """
    first = not traded_before(files, config.account)
    if not first and not files.venue.exists():
        raise StorageError(
            f"{files.db.name} holds what was traded with real money. "
            "Give paper trading files of its own: --db paper.duckdb, or db under [history]."
        )
    can, settings = _able(config, facts)
    claim_record(files.venue, f"exchange {config.exchange.name} {config.exchange.market}")
    connection = connected(config, facts.timeframe, keyed=False)
    try:
        pairs, gone = patiently(connection, patience, lambda: listed(connection, config, strict=first))
        markets, notes = paper_markets(connection, config, pairs)
    except BaseException:
        connection.close()
        raise
    seen, limits = ExchangeMarket(connection), shared_by(can.limits(connection.reported), sharers)

    def venue(_: str, __: Mapping[int, Millis]) -> PatientVenue:
        paper = PaperVenue(
            files.venue,
            config.paper,
            seen,
            currency=config.trading.stake_currency,
            timeframe_ms=timeframe_ms(facts.timeframe),
            markets=markets,
        )
        return PatientVenue(paper, seen, limits)

    return Place(
        pairs=pairs,
        markets=markets,
        stream=LiveMarket(connection, onlooker=seen),
        venue=venue,
        limits=limits,
        clock=ExchangeClock(connection.now),
        wallet=config.paper.wallet,
        stop_replace=True,
        stop_on_venue=can.stop is not None,
        tick_ms=config.feed.tick_ms,
        latency_ms=config.paper.latency_ms,
        findings=tuple(f"{pair} is configured and not on the exchange any more" for pair in gone),
        notes=(*can.notes(settings), *notes),
        ready=lambda _: [f"paper: orders are filled here, {PAPER_ASKS.format(config.exchange.name)}"],
        close=connection.close,
    )


def paper_markets(
    connection: Connection, config: Config, pairs: Sequence[str]
) -> tuple[Mapping[str, Market], tuple[str, ...]]:
    """The exchange's markets as they are traded on paper, and what of `pairs` it does not tell without keys: a sentence each.

    Raises:
        ConfigError: more leverage is wanted than a pair may have.
    """
    told, paper = connection.markets(), config.paper
    markets = as_listed(told, paper, config.exchange.name)
    problems = too_much_leverage(markets, config, pairs)
    if problems:
        raise ConfigError(problems)
    blind = [pair for pair in pairs if markets[pair].is_futures and not told[pair].tiers]
    if not blind:
        return markets, ()
    rate, most = paper.maintenance_rate, max(markets[pair].leverage_max for pair in blind)
    note = (
        "the exchange has not told its margin tiers (some tell them to account holders only): on paper a position is "
        "liquidated when less than "
        f"{f'{rate * 100:f}'.rstrip('0').rstrip('.')} % of its worth is left (paper.maintenance_rate), "
        f"and leverage is taken up to {most:f}"
    )
    return markets, (note,)


def _able(config: Config, facts: StrategyFacts) -> tuple[Capability, Settings]:
    """What the exchange can do, and the settings that it is asked for.

    Raises:
        CannotTrade: nothing is known of it, or it cannot be traded safely.
        ConfigError: it has not what the settings want.
    """
    futures, options = config.exchange.market == "futures", config.exchange.options
    can = capability(config.exchange.name, futures=futures).under(options)
    settings = make_settings(config, facts)
    refused = can.refusals(settings, config.trading.stake_currency)
    if refused:
        raise ConfigError(refused)
    return can, settings
