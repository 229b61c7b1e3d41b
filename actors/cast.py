"""One account's actors: who there is, who knows whom, each called by its role and its account.

They share nothing with another account's: not the exchange's connection, the limits, the capital, the strategy or
its processes. What they tell by role stays in the account; see `engine.naming`.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from actors.base import Context, EngineActor, Factory
from actors.feed import FeedActor
from actors.gateway import GatewayActor
from actors.journal import FileJournal
from actors.judge import JudgeActor
from actors.judging.loader import run_mode, surroundings_of
from actors.opening import left_pairs
from actors.pair import PairActor
from actors.place import Place
from actors.portfolio import PortfolioActor
from actors.rate_limiter import RateLimiterActor
from actors.supervisor import ChildSpec
from actors.venues.trading import TradingVenue
from engine.candles import timeframe_ms
from engine.chronicle import CLOSED_MAX, Chronicle
from engine.config import make_settings
from engine.market import Market
from engine.naming import named
from engine.order import prefix_of
from engine.portfolio import Portfolio
from engine.protections import protections_from
from engine.rounds import Rounds
from engine.settings import Config, Settings
from engine.strategy import ACCOUNT, TRADES, StrategyFacts
from engine.types import Millis
from engine.work import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Everything that the actors of one account are made of.

    `rules` are by pair, `left` the pairs that are only traded down. `neighbours` are the names of other accounts at
    the same exchange, `crowd` is how many accounts divide this machine's cores.
    """

    config: Config
    facts: StrategyFacts
    place: Place
    venue: TradingVenue
    rules: Mapping[str, Rules]
    left: frozenset[str]
    neighbours: Sequence[str] = ()
    crowd: int = 1

    @property
    def account(self) -> str:
        """Its name, empty where there is one account."""
        return self.config.account

    @property
    def pairs(self) -> tuple[str, ...]:
        """Its pairs, as users name them."""
        return tuple(named(pair, self.account) for pair in self.rules)

    def children(self) -> list[ChildSpec]:
        """Its actors, in the order of their start."""
        judges = self._judge_names()
        return [
            *self._services(),
            self._feed(judges),
            self._portfolio(judges),
            *self._pairs(judges),
            *(self._judge(judge, own) for judge, own in judges.items()),
        ]

    def _shared(self, role: str, factory: Factory) -> ChildSpec:
        return shared_child(self.config, named(role, self.account), factory)

    def _judge(self, name: str, own: tuple[str, ...]) -> ChildSpec:
        return shared_child(self.config, name, _judge_factory(own, self.config, self.facts, tuple(self.rules)))

    def _judge_names(self) -> dict[str, tuple[str, ...]]:
        """The judges and their pairs: as many as there are workers, evenly; one where each pair needs another's candles."""
        pairs = tuple(self.rules)
        wanted = 1 if self.facts.other_pairs else self.config.strategy.workers
        count = max(((os.cpu_count() or 1) - 1) // self.crowd, 1) if wanted is None else max(wanted, 1)
        count = min(count, len(pairs))
        return {named(f"judge:{number}", self.account): tuple(pairs[number::count]) for number in range(count)}

    def _services(self) -> list[ChildSpec]:
        place, venue = self.place, self.venue
        tick_ms, latency_ms = place.tick_ms, place.latency_ms
        neighbours = tuple(named("limiter", account) for account in self.neighbours)
        return [
            self._shared("limiter", lambda ctx: RateLimiterActor(ctx, place.limits, neighbours=neighbours)),
            self._shared("gateway", lambda ctx: GatewayActor(ctx, venue, tick_ms=tick_ms, latency_ms=latency_ms)),
        ]

    def _feed(self, judges: Mapping[str, Sequence[str]]) -> ChildSpec:
        config, stream, pairs, timeframe = self.config, self.place.stream, tuple(self.rules), self.facts.timeframe
        judge_of = {pair: judge for judge, own in judges.items() for pair in own}
        keep = config.history.candles
        return self._shared(
            "feed",
            lambda ctx: FeedActor(ctx, stream, pairs, timeframe, judge_of, config.feed, keep_candles=keep),
        )

    def _portfolio(self, judges: Mapping[str, Sequence[str]]) -> ChildSpec:
        config, pairs, step = self.config, tuple(self.rules), timeframe_ms(self.facts.timeframe)
        left, place, callbacks = self.left, self.place, self.facts.callbacks
        protections = protections_from((*config.protections, *self.facts.settings.get("protections", ())), step)

        def account(epoch: int) -> Portfolio:
            return Portfolio(
                config.trading,
                config.risk,
                protections,
                step,
                place.wallet,
                epoch=epoch,
                exits_only=left,
                venue=place.capital() if place.capital else None,
                chronicle=Chronicle(CLOSED_MAX) if TRADES in callbacks else None,
            )

        def rounds() -> Rounds:
            order = {pair: number for number, pair in enumerate(pairs)}
            return Rounds(judges, order, by_score=config.trading.entry_order == "score")

        deadline_ms = config.trading.round_deadline_ms
        return self._shared(
            "portfolio",
            lambda ctx: PortfolioActor(
                ctx,
                portfolio=account,
                pairs=pairs,
                rounds=rounds,
                round_deadline_ms=deadline_ms,
                judges=tuple(judges) if ACCOUNT in callbacks else (),
            ),
        )

    def _pairs(self, judges: Mapping[str, Sequence[str]]) -> list[ChildSpec]:
        limits = self.config.runtime
        judge_of = {pair: judge for judge, own in judges.items() for pair in own}
        return [
            ChildSpec(
                named(f"pair:{pair}", self.account),
                _pair_factory(rules, judge_of[pair]),
                intensity=limits.restarts,
                period_s=limits.restart_period_s,
                shutdown_s=limits.shutdown_s / 2,
            )
            for pair, rules in self.rules.items()
        ]


def shared_child(config: Config, name: str, factory: Factory, shutdown_s: float = 5.0) -> ChildSpec:
    """An actor whose loss others must hear of."""
    limits = config.runtime
    return ChildSpec(
        name,
        factory,
        intensity=limits.restarts,
        period_s=limits.restart_period_s,
        shutdown_s=shutdown_s,
        shared=True,
    )


def cast_of(
    config: Config,
    facts: StrategyFacts,
    place: Place,
    journal: FileJournal,
    began: Mapping[int, Millis],
    *,
    neighbours: Sequence[str] = (),
    crowd: int = 1,
) -> tuple[Cast, tuple[str, ...]]:
    """An account's cast, and what its journal says that nobody can look after."""
    settings = make_settings(config, facts)
    rests = settings.stop_on_venue and place.stop_on_venue
    settings = replace(
        settings,
        stop_on_venue=rests,
        stop_beside=place.stop_beside,
        stop_replace=place.stop_replace,
        stop_amend=place.stop_amend,
    )
    left, findings = left_pairs(journal, place.pairs, place.markets, config.account)
    rules = {
        pair: _rules(place.markets[pair], settings, journal, named(pair, config.account), place.fee)
        for pair in (*place.pairs, *left)
    }
    cast = Cast(
        config=config,
        facts=facts,
        place=place,
        venue=place.venue(journal.installation, began),
        rules=rules,
        left=frozenset(left),
        neighbours=neighbours,
        crowd=crowd,
    )
    return cast, findings


def _rules(market: Market, settings: Settings, journal: FileJournal, name: str, fee: Decimal | None) -> Rules:
    prefix = prefix_of(journal.installation, journal.run, zlib.crc32(name.encode()))
    return Rules(
        settings=settings,
        market=market,
        order_prefix=prefix,
        run=journal.run,
        fee=market.taker_fee if fee is None else fee,
        reserve_stop=settings.stoploss,
        name=name,
    )


def _pair_factory(rules: Rules, judge: str) -> Callable[[Context], EngineActor]:
    return lambda ctx: PairActor(ctx, rules=rules, judge=judge)


def _judge_factory(
    pairs: tuple[str, ...], config: Config, facts: StrategyFacts, traded: Sequence[str]
) -> Callable[[Context], EngineActor]:
    return lambda ctx: JudgeActor(
        ctx,
        pairs=pairs,
        config=config.strategy,
        facts=facts,
        surroundings=surroundings_of(config, run_mode(config), traded),
    )
