"""Which place a configuration asks for, and the simulated exchange as one."""

from __future__ import annotations

from actors.files import Files
from actors.market_time import market_clock
from actors.place import Place
from actors.reaching import Patience
from actors.venues.paper.choice import market_source, notes_on, wanted_pairs
from actors.venues.paper.prompt import PromptMarket
from actors.venues.paper.reading import rules_of
from actors.venues.paper.venue import PaperVenue
from engine.candles import timeframe_ms
from engine.config_venue import PAPER
from engine.depth import ENDLESS
from engine.quota import ALONE, Sharers, paper_limits
from engine.settings import Config
from engine.strategy import StrategyFacts
from engine.window import window_size


def place_of(config: Config, facts: StrategyFacts, files: Files, patience: Patience, sharers: Sharers = ALONE) -> Place:
    """The place that a configuration asks for; `sharers` are the accounts of ours at its exchange.

    Raises:
        ConfigError: pairs that are not there, keys that are refused, or whatever else is in the way.
        DataError: candles that cannot be read.
        StorageError: the simulated exchange's record is another market's.
        Outage: the exchange does not answer, and nobody wants to wait for it any more.
    """
    if config.exchange.name == PAPER:
        return _paper(config, facts, files)
    from actors.live_place import dry_place, live_place

    return (dry_place if config.mode == PAPER else live_place)(config, facts, files, patience, sharers)


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
        stream=PromptMarket(source, rules_of(config.paper).depth or ENDLESS),
        venue=lambda _, __: venue,
        limits=paper_limits(config.paper),
        clock=clock,
        wallet=config.paper.wallet,
        fee=config.paper.taker_fee,
        stop_replace=True,
        tick_ms=config.feed.tick_ms,
        latency_ms=config.paper.latency_ms,
        notes=notes_on(source),
    )
