"""The composition root: who there is, who knows whom, in which order they start and end.

Read from top to bottom: what is opened, then the children in the order of their start: a pair that holds
something finds its prices at once. They end in the reverse, while no entries are granted and the paper
venue's market rests: no more judgements, then the pairs settle what is in flight, the portfolio keeps
its figures, the venue answers for the last time. When all of these are gone nobody has anything to record any
more, and persistence lets the history catch up. This is the only module that knows all actors.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from typing import Final

import orjson
from loguru import logger

from actors.base import Context, EngineActor, Factory
from actors.control import ControlActor
from actors.disk import DiskWatch
from actors.feed import FeedActor
from actors.fencing import hide_memory
from actors.files import Files
from actors.gateway import GatewayActor
from actors.history.process import HistoryProcess, history_end
from actors.host import ExitRequest
from actors.journal import FileJournal
from actors.judge import JudgeActor
from actors.judging.loader import run_mode, surroundings_of
from actors.monitor import MonitorActor, RefreshFigures
from actors.notifier import NotifierActor
from actors.notifying.addresses import addresses_of
from actors.opening import left_pairs, open_journal
from actors.pair import PairActor
from actors.persistence import PersistenceActor
from actors.place import Place
from actors.places import place_of
from actors.portfolio import PortfolioActor
from actors.rate_limiter import RateLimiterActor
from actors.reaching import Patience, no_patience
from actors.runtime import ThreadRuntime
from actors.screen import Snapshot
from actors.supervisor import ChildSpec, RootActor
from actors.venues.trading import TradingVenue
from engine.candles import timeframe_ms
from engine.chronicle import CLOSED_MAX, Chronicle
from engine.codec import to_plain
from engine.config import make_settings
from engine.market import Market
from engine.messages import Entry, FreezeMarket, Notify, Record, SetTradingState
from engine.order import prefix_of
from engine.portfolio import Portfolio
from engine.protections import protections_from
from engine.rounds import Rounds
from engine.settings import Config, Settings
from engine.strategy import ACCOUNT, TRADES, StrategyFacts
from engine.types import Millis, TradingState
from engine.work import Rules

RUNS_KEPT: Final = 50
"""Of so many runs it is kept when they began: what an earlier one has sent, it has sent before the next began."""

HISTORY_STOP_S: Final = 20.0
"""Longer than persistence waits for the history process to catch up."""


@dataclass(slots=True)
class System:
    """A bot that can be started, looked at and ended; see `build_system`."""

    runtime: ThreadRuntime
    config: Config
    files: Files
    specs: Sequence[ChildSpec]
    snapshots: list[Snapshot]
    findings: Sequence[str]
    close_files: Callable[[], None]
    run_seq: int
    run: int

    def start(self) -> None:
        """Start all actors; recovery is part of it."""
        specs = self.specs
        self.runtime.spawn("root", lambda ctx: RootActor(ctx, specs))
        for text in self.findings:
            logger.warning("journal: {}", text)
            notice = Notify(ts=self.runtime.now(), severity="alarm", event="journal", text=text)
            self.runtime.tell("notifier", notice)

    def wait(self, timeout_s: float | None = None) -> ExitRequest | None:
        """Wait for the wish to end; None when the time is over before."""
        return self.runtime.wait(timeout_s)

    def request_exit(self, status: int, reason: str) -> None:
        """Make `wait` return; the first wish counts."""
        self.runtime.request_exit(status, reason)

    def monotonic(self) -> float:
        """The machine's clock in seconds."""
        return self.runtime.monotonic()

    def snapshot(self) -> Snapshot:
        """The newest figures; asks for newer ones, and does not wait for them."""
        if self.runtime.alive("monitor"):
            self.runtime.tell("monitor", RefreshFigures())
        return self.snapshots[-1]

    def shut_down(self) -> None:
        """End in order, within the configuration's time; what is left then is ended at once, and nothing is lost."""
        wish = self.runtime.exit_request
        self.snapshot()
        entry = Entry(
            kind="RunEnded",
            ts=self.runtime.now(),
            body={"run": self.run, "status": wish.status if wish else 0, "reason": wish.reason if wish else ""},
            stream="ops",
        )
        self.runtime.tell("persistence", Record(writer="run", seq=self.run_seq + 1, entries=(entry,)))
        halt = SetTradingState(state=TradingState.EXITS_ONLY, reason="the bot is ending", source="shutdown")
        self.runtime.tell("portfolio", halt)
        self.runtime.tell("gateway", FreezeMarket())
        self.runtime.end_in_order(self.config.runtime.shutdown_s)
        self.runtime.close()
        self.close_files()


def build_system(config: Config, facts: StrategyFacts, files: Files, patience: Patience = no_patience) -> System:
    """Open what a bot works on and describe its actors; nothing runs before `start`.

    The caller holds the run lock. `patience` waits for an exchange that does not answer.

    Raises:
        StorageError: a file of ours is damaged beyond use, newer, or cannot be written.
        ConfigError: pairs, settings or addresses that cannot be.
        DataError: candles that cannot be read.
        Outage: the exchange does not answer, and nobody wants to wait for it any more.
    """
    hide_memory()
    addresses = addresses_of(config.notify)
    place = place_of(config, facts, files, patience)
    try:
        return _built(config, facts, files, place, addresses)
    except BaseException:
        place.close()
        raise


def _built(
    config: Config, facts: StrategyFacts, files: Files, place: Place, addresses: Mapping[str, Sequence[str]]
) -> System:
    for note in place.notes:
        logger.warning(note)
    now = place.clock.now()
    opening = open_journal(
        files, now=now, segment_mb=config.history.segment_mb, history_end=partial(history_end, files)
    )
    journal, markets = opening.journal, place.markets
    for line in place.ready(journal.installation):
        logger.info(line)
    settings = make_settings(config, facts)
    rests = settings.stop_on_venue and place.stop_on_venue
    settings = replace(settings, stop_on_venue=rests, stop_beside=place.stop_beside, stop_replace=place.stop_replace)
    left, findings = left_pairs(journal, place.pairs, markets)
    pairs = (*place.pairs, *left)
    rules = {p: _rules(markets[p], settings, journal.installation, journal.run, place.fee) for p in pairs}
    limits = config.runtime
    runtime = ThreadRuntime(place.clock, watchdog_s=limits.watchdog_s, deadman_s=limits.deadman_s, pin=limits.pin)
    run_seq, began = _record_start(journal, config, facts, place.fills, now)
    snapshots = [Snapshot(at=runtime.monotonic(), ts=now, strategy=facts.name, state="STARTING")]
    cast = _Cast(
        config,
        facts,
        files,
        journal,
        place,
        place.venue(journal.installation, began),
        rules,
        frozenset(left),
        addresses,
    )
    specs = cast.children(snapshots)
    findings = (*opening.findings, *place.findings, *findings)

    def close() -> None:
        place.close()
        journal.close()

    return System(runtime, config, files, specs, snapshots, findings, close, run_seq=run_seq, run=journal.run)


def _record_start(
    journal: FileJournal, config: Config, facts: StrategyFacts, fills: str, now: Millis
) -> tuple[int, dict[int, Millis]]:
    """The run's first entry: what runs, and as what; its number among the records of runs, and when runs began."""
    body = {
        "run": journal.run,
        "config_sha": sha256(orjson.dumps(to_plain(config), option=orjson.OPT_SORT_KEYS, default=str)).hexdigest(),
        "strategy": facts.name,
        "fills": fills,
        "mode": config.mode,
        "version": version("tradepit"),
    }
    seq = journal.last("run") + 1
    started = Entry(kind="RunStarted", ts=now, body=body, stream="ops")
    kept = journal.state("run") or {}
    began = {**dict(list(kept.get("began", {}).items())[1 - RUNS_KEPT :]), str(journal.run): now}
    journal.append([Record(writer="run", seq=seq, entries=(started,), state={"began": began})])
    return seq, {int(run): ts for run, ts in began.items()}


@dataclass(frozen=True, slots=True)
class _Cast:
    """Everything that the actors of one bot are made of."""

    config: Config
    facts: StrategyFacts
    files: Files
    journal: FileJournal
    place: Place
    venue: TradingVenue
    rules: Mapping[str, Rules]
    left: frozenset[str]
    addresses: Mapping[str, Sequence[str]]

    def children(self, snapshots: list[Snapshot]) -> list[ChildSpec]:
        """All children, in the order of their start."""
        judges = _judge_names(self.config, self.facts, tuple(self.rules))
        return [
            *self._services(),
            self._feed(judges),
            self._portfolio(judges),
            *self._pairs(judges),
            *(
                self._shared(judge, _judge_factory(own, self.config, self.facts, tuple(self.rules)))
                for judge, own in judges.items()
            ),
            self._control(),
            self._monitor(snapshots),
        ]

    def _shared(self, name: str, factory: Factory, shutdown_s: float = 5.0) -> ChildSpec:
        limits = self.config.runtime
        return ChildSpec(
            name,
            factory,
            intensity=limits.restarts,
            period_s=limits.restart_period_s,
            shutdown_s=shutdown_s,
            shared=True,
        )

    def _services(self) -> list[ChildSpec]:
        config, files, journal, place, venue = self.config, self.files, self.journal, self.place, self.venue
        history = HistoryProcess(files, config.history)
        disk = DiskWatch(files.reserve, reserve_mb=config.history.disk_reserve_mb)
        tick_ms, latency_ms = place.tick_ms, place.latency_ms
        return [
            self._shared(
                "persistence",
                lambda ctx: PersistenceActor(ctx, journal=journal, history=history, disk=disk),
                HISTORY_STOP_S,
            ),
            self._shared(
                "notifier",
                lambda ctx: NotifierActor(ctx, file=files.notices, config=config.notify, addresses=self.addresses),
            ),
            self._shared("limiter", lambda ctx: RateLimiterActor(ctx, place.limits)),
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
                f"pair:{pair}",
                _pair_factory(rules, judge_of[pair]),
                intensity=limits.restarts,
                period_s=limits.restart_period_s,
                shutdown_s=limits.shutdown_s / 2,
            )
            for pair, rules in self.rules.items()
        ]

    def _control(self) -> ChildSpec:
        files, pairs = self.files, tuple(self.rules)
        about = {
            "version": version("tradepit"),
            "strategy": self.facts.name,
            "db": str(files.db),
            "run": self.journal.run,
            "mode": self.config.mode,
        }
        return self._shared(
            "control", lambda ctx: ControlActor(ctx, socket_path=files.socket, pairs=pairs, about=about)
        )

    def _monitor(self, snapshots: list[Snapshot]) -> ChildSpec:
        config, name = self.config, self.facts.name

        def publish(snapshot: Snapshot) -> None:
            snapshots[:] = [snapshot]

        return self._shared(
            "monitor",
            lambda ctx: MonitorActor(
                ctx,
                strategy=name,
                currency=config.trading.stake_currency,
                start=float(self.place.wallet),
                publish=publish,
            ),
        )


def _rules(market: Market, settings: Settings, installation: str, run: int, fee: Decimal | None) -> Rules:
    prefix = prefix_of(installation, run, zlib.crc32(market.pair.encode()))
    return Rules(
        settings=settings,
        market=market,
        order_prefix=prefix,
        run=run,
        fee=market.taker_fee if fee is None else fee,
        reserve_stop=settings.stoploss,
    )


def _judge_names(config: Config, facts: StrategyFacts, pairs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The judges and their pairs: as many as there are workers, evenly; one where each pair needs another's candles."""
    wanted = 1 if facts.other_pairs else config.strategy.workers
    count = max((os.cpu_count() or 1) - 1, 1) if wanted is None else max(wanted, 1)
    count = min(count, len(pairs))
    return {f"judge:{number}": tuple(pairs[number::count]) for number in range(count)}


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
