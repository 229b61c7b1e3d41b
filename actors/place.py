"""Where a bot trades: everything that differs between the simulated exchange and a real one, made in one place.

What is built on it asks for none of that: the same actors, from the feed to the portfolio, run on either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from actors.files import Files
from actors.market_time import market_clock
from actors.reaching import Patience
from actors.runtime import MarketClock
from actors.venues.choice import market_source, notes_on, wanted_pairs
from actors.venues.paper import PaperVenue
from actors.venues.ports import MarketStream
from actors.venues.prompt import PromptMarket
from actors.venues.trading import TradingVenue
from engine.candles import timeframe_ms
from engine.config_venue import PAPER
from engine.market import Market
from engine.quota import Limits, paper_limits
from engine.settings import Config
from engine.strategy import StrategyFacts
from engine.types import ZERO
from engine.venue_capital import VenueCapital
from engine.window import window_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An exchange that is ready to be traded on.

    `pairs` are those that are configured and there. `wallet` is the capital to start with, or ZERO where
    `capital` learns it from the exchange. `fee` is what exits are reckoned with; None takes each market's own.
    `stop_beside`: a stop may stand beside another one, or beside an exit. `fills` names the model, for the record.
    `stop_on_venue`: it takes guarding stops; `stop_beside`: one may stand beside another, or beside an exit.
    `ready` is called with the installation's id once the journal is open: what the account holds is said then.
    """

    pairs: tuple[str, ...]
    markets: Mapping[str, Market]
    stream: MarketStream
    venue: Callable[[str], TradingVenue]
    limits: Limits
    clock: MarketClock
    wallet: Decimal = ZERO
    capital: Callable[[], VenueCapital] | None = None
    fee: Decimal | None = None
    stop_beside: bool = False
    stop_on_venue: bool = True
    tick_ms: int = 0
    latency_ms: int = 0
    fills: str = ""
    findings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ready: Callable[[str], list[str]] = lambda _: []
    close: Callable[[], None] = lambda: None


def place_of(config: Config, facts: StrategyFacts, files: Files, patience: Patience) -> Place:
    """The place that a configuration asks for.

    Raises:
        ConfigError: pairs that are not there, keys that are refused, or whatever else is in the way.
        DataError: candles that cannot be read.
        StorageError: the simulated exchange's record is another market's.
        Outage: the exchange does not answer, and nobody wants to wait for it any more.
    """
    if config.mode == PAPER:
        return _paper(config, facts, files)
    from actors.live_place import live_place

    return live_place(config, facts, files, patience)


def _paper(config: Config, facts: StrategyFacts, files: Files) -> Place:
    """The simulated exchange; its market and the feed's are two of a kind, and share nothing."""
    step = timeframe_ms(facts.timeframe)
    source = market_source(config, facts.timeframe)
    warm_up_ms = window_size(facts.startup_candles, facts.window_candles) * step
    pairs = wanted_pairs(config, source.pairs)
    clock = market_clock(files.venue, config, source, warm_up_ms)
    own = market_source(config, facts.timeframe)
    venue = PaperVenue(files.venue, config.paper, own, currency=config.trading.stake_currency, timeframe_ms=step)
    return Place(
        pairs=pairs,
        markets=venue.markets(),
        stream=PromptMarket(source),
        venue=lambda _: venue,
        limits=paper_limits(config.paper),
        clock=clock,
        wallet=config.paper.wallet,
        fee=config.paper.taker_fee,
        tick_ms=config.feed.tick_ms,
        latency_ms=config.paper.latency_ms,
        fills=config.paper.fills,
        notes=notes_on(source),
    )
