"""A real exchange as a place to trade: connected, its clock and markets read, its account looked at.

Started during an outage it waits, with a word now and then, for as long as somebody has the patience.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from actors.files import Files
from actors.place import Place
from actors.reaching import Patience, connected, looked_at, patiently
from actors.runtime import MarketClock
from actors.venues.capabilities import capability
from actors.venues.live.examining import described
from actors.venues.live.market import LiveMarket
from actors.venues.live.venue import CcxtVenue
from engine.config import make_settings
from engine.errors import ConfigError
from engine.settings import Config
from engine.strategy import StrategyFacts
from engine.types import Millis
from engine.venue_capital import VenueCapital


class ExchangeClock(MarketClock):
    """The exchange's own time, as its connection knows it."""

    def __init__(self, tell: Callable[[], Millis]) -> None:
        super().__init__(tell(), time.time())
        self._tell = tell

    def now(self) -> Millis:
        """Market time in milliseconds since 1970-01-01 UTC."""
        return self._tell()


def live_place(config: Config, facts: StrategyFacts, files: Files, patience: Patience) -> Place:
    """Connect, look, and describe; the errors are those of `actors.places.place_of`."""
    can = capability(config.exchange.name, futures=config.exchange.market == "futures")
    settings = make_settings(config, facts)
    refused = can.refusals(settings)
    if refused:
        raise ConfigError(refused)
    connection = connected(config, facts.timeframe)
    try:
        first = not files.journal.exists()
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
        markets=connection.markets(),
        stream=LiveMarket(connection),
        venue=lambda installation, began: CcxtVenue(
            connection, can, installation, margin_mode=config.exchange.margin_mode, began=began, seen=account.seen
        ),
        limits=can.limits(connection.reported),
        clock=ExchangeClock(connection.now),
        capital=capital,
        stop_on_venue=can.stop is not None,
        stop_beside=can.stop_beside,
        fills=config.exchange.name,
        findings=tuple(f"{pair} is configured and not on the exchange any more" for pair in gone),
        notes=tuple(can.notes(settings)),
        ready=lambda installation: described(account, config, pairs, installation),
        close=connection.close,
    )
