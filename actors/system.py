"""The composition root: who there is, who knows whom, in which order they start and end.

Read from top to bottom: what is opened, then the children in the order of their start: first who writes and who
tells, then each account's own actors (`actors.cast`), those of one kind together, then who is asked. A pair that
holds something so finds its prices at once. They end in the reverse, while no entries are granted and the paper
venue's market rests: no more judgements, then the pairs settle what is in flight, the portfolio keeps
its figures, the venue answers for the last time. When all of these are gone nobody has anything to record any
more, and persistence lets the history catch up. With `actors.cast` this is the only module that knows all actors.

Of several accounts each is reached by itself (`actors.arrivals`): one whose exchange does not answer joins later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from typing import Any, Final

import orjson
from loguru import logger

from actors.arrivals import Arrivals
from actors.cast import Cast, cast_of, shared_child
from actors.control import ControlActor
from actors.disk import DiskWatch
from actors.fencing import hide_memory
from actors.files import Files
from actors.history.process import HistoryProcess, history_end
from actors.host import ExitRequest
from actors.journal import FileJournal
from actors.keys import check_apart
from actors.monitor import MonitorActor, RefreshFigures
from actors.notifier import NotifierActor
from actors.notifying.addresses import addresses_of
from actors.opening import Opening, check_left_accounts, open_journal
from actors.persistence import PersistenceActor
from actors.place import Place
from actors.places import place_of
from actors.reaching import Patience, no_patience
from actors.runtime import MarketClock, ThreadRuntime
from actors.screen import Snapshot
from actors.supervisor import ChildrenJoined, ChildSpec, RootActor
from actors.whose_trades import place_of_trades
from engine.codec import to_plain
from engine.config_accounts import speaking_of
from engine.config_venue import PAPER
from engine.errors import ConfigError, Problem
from engine.messages import AccountAway, AccountJoined, Entry, FreezeMarket, Notify, Record, SetTradingState
from engine.naming import named
from engine.quota import Sharers
from engine.settings import Config
from engine.strategy import StrategyFacts
from engine.types import Millis, TradingState

RUNS_KEPT: Final = 50
"""Of so many runs it is kept when they began: what an earlier one has sent, it has sent before the next began."""

HISTORY_STOP_S: Final = 20.0
"""Longer than persistence waits for the history process to catch up."""

Facts = StrategyFacts | Mapping[str, StrategyFacts]
"""What is known of the strategy; where there are accounts, of each one's, by its name."""


@dataclass(slots=True)
class System:
    """A bot that can be started, looked at and ended; see `build_system`."""

    runtime: ThreadRuntime
    config: Config
    files: Files
    journal: FileJournal
    facts: Mapping[str, StrategyFacts]
    began: Mapping[int, Millis]
    run_seq: int
    snapshots: list[Snapshot]
    findings: list[str]
    arrivals: Arrivals
    addresses: Mapping[str, Sequence[str]]
    casts: list[Cast] = field(default_factory=list)

    def configs(self) -> list[Config]:
        """The configurations of the accounts that are there."""
        return [cast.config for cast in self.casts]

    def start(self) -> None:
        """Start all actors; recovery is part of it."""
        specs = self.children()
        self.runtime.spawn("root", lambda ctx: RootActor(ctx, specs))
        for text in self.findings:
            self._warn("alarm", "journal", text)
        self.arrivals.later(self._arrived, self._left_out)

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
        self.arrivals.close()
        self.snapshot()
        entry = Entry(
            kind="RunEnded",
            ts=self.runtime.now(),
            body={"run": self.journal.run, "status": wish.status if wish else 0, "reason": wish.reason if wish else ""},
            stream="ops",
        )
        self.runtime.tell("persistence", Record(writer="run", seq=self.run_seq + 1, entries=(entry,)))
        halt = SetTradingState(state=TradingState.EXITS_ONLY, reason="the bot is ending", source="shutdown")
        for cast in self.casts:
            self.runtime.tell(named("portfolio", cast.account), halt)
            self.runtime.tell(named("gateway", cast.account), FreezeMarket())
        self.runtime.end_in_order(self.config.runtime.shutdown_s)
        self.runtime.close()
        self.close()

    def close(self) -> None:
        """Give back what was opened."""
        self.arrivals.close()
        for cast in self.casts:
            cast.place.close()
        self.journal.close()

    # ------------------------------------------------------------ accounts

    def admit(self, config: Config, place: Place) -> tuple[Cast, list[str]]:
        """Make the cast of an account whose exchange is there; it, and what is found of it.

        Raises:
            ConfigError: one that is there trades in the same account of the exchange, or it holds what it has bought elsewhere.
        """
        self._check_apart(config, place)
        self._keep(place_of_trades(config, place.uid, self.journal))
        return self._admitted(config, place)

    def _keep(self, record: Record | None) -> None:
        """Put a record on disk: by the journal's owner, once there is one."""
        if record is None:
            return
        if self.runtime.alive("persistence"):
            self.runtime.tell("persistence", record)
        else:
            self.journal.append([record])

    def _check_apart(self, config: Config, place: Place) -> None:
        """Refuse an account whose number at its exchange is another's: two keys may lead to one account."""
        exchange = config.exchange
        for cast in self.casts:
            other = cast.config.exchange
            is_same = (other.name, other.market) == (exchange.name, exchange.market)
            if place.uid and is_same and cast.place.uid == place.uid:
                why = f"its keys lead to the account in which {cast.account} trades: they would be one account"
                cure = "Give it keys of another account of the exchange, or take it out"
                raise ConfigError([Problem(f"accounts.{config.account}.exchange", "", why, cure)])

    def _admitted(self, config: Config, place: Place) -> tuple[Cast, list[str]]:
        account = config.account
        ahead = f"{account}: " if account else ""
        for note in place.notes:
            logger.warning("{}{}", ahead, note)
        for line in place.ready(self.journal.installation):
            logger.info("{}{}", ahead, line)
        others = _at_exchange(config, self.config.accounts)
        cast, findings = cast_of(
            config,
            self.facts[account],
            place,
            self.journal,
            self.began,
            neighbours=[other.account for other in others if other is not config],
            crowd=max(1, len(self.config.accounts)),
        )
        if account:
            self.runtime.add_clock(account, place.clock)
        self.casts.append(cast)
        return cast, [f"{ahead}{finding}" for finding in (*place.findings, *findings)]

    def _arrived(self, config: Config, place: Place) -> None:
        """An account's exchange answers at last: its actors join. In the thread that has searched for it."""
        cast, findings = self.admit(config, place)
        joined = ChildrenJoined(specs=tuple(cast.children()), joined=_joined(cast), tell=("control", "monitor"))
        self.runtime.tell("root", joined)
        self._warn("info", "account", f"{config.account} joins: its exchange answers")
        for text in findings:
            self._warn("alarm", "journal", text)

    def _left_out(self, config: Config, error: Exception) -> None:
        away = AccountAway(account=config.account, why=str(error))
        self.runtime.tell("control", away)
        self._warn("alarm", "account", f"{config.account} is left out of this run: {error}")

    def _warn(self, severity: str, event: str, text: str) -> None:
        logger.warning("{}: {}", event, text)
        notice = Notify(ts=self.runtime.now(), severity=severity, event=event, text=text)
        self.runtime.tell("notifier", notice)

    # ------------------------------------------------------------ the children

    def children(self) -> list[ChildSpec]:
        """All children that are there at the start, in the order of it."""
        kinds: dict[str, list[ChildSpec]] = {}
        for cast in self.casts:
            for spec in cast.children():
                kinds.setdefault(spec.kind, []).append(spec)
        return [*self._services(), *(spec for specs in kinds.values() for spec in specs), *self._asked()]

    def _services(self) -> list[ChildSpec]:
        config, files, journal = self.config, self.files, self.journal
        history = HistoryProcess(files, config.history)
        disk = DiskWatch(files.reserve, reserve_mb=config.history.disk_reserve_mb)
        return [
            shared_child(
                config,
                "persistence",
                lambda ctx: PersistenceActor(ctx, journal=journal, history=history, disk=disk),
                HISTORY_STOP_S,
            ),
            shared_child(
                config,
                "notifier",
                lambda ctx: NotifierActor(ctx, file=files.notices, config=config.notify, addresses=self.addresses),
            ),
        ]

    def _asked(self) -> list[ChildSpec]:
        """Who tells users how it goes; each new incarnation begins with the accounts that are there by then."""
        files, casts = self.files, self.casts
        about = {"version": version("tradepit"), "db": str(files.db), "run": self.journal.run}
        missing = self.arrivals.missing

        def publish(snapshot: Snapshot) -> None:
            self.snapshots[:] = [snapshot]

        return [
            shared_child(
                self.config,
                "control",
                lambda ctx: ControlActor(
                    ctx,
                    socket_path=files.socket,
                    accounts=[_joined(cast) for cast in casts],
                    away=missing(),
                    about=about,
                ),
            ),
            shared_child(
                self.config,
                "monitor",
                lambda ctx: MonitorActor(ctx, accounts=[_joined(cast) for cast in casts], publish=publish),
            ),
        ]


def build_system(config: Config, facts: Facts, files: Files, patience: Patience = no_patience) -> System:
    """Open what a bot works on and describe its actors; nothing runs before `start`.

    The caller holds the run lock. `patience` waits for an exchange that does not answer.

    Raises:
        StorageError: a file of ours is damaged beyond use, newer, or cannot be written.
        ConfigError: pairs, settings or addresses that cannot be; an account that is gone and holds something.
        DataError: candles that cannot be read.
        Outage: the exchange does not answer, and nobody wants to wait for it any more.
    """
    hide_memory()
    addresses = addresses_of(config.notify)
    told = {"": facts} if isinstance(facts, StrategyFacts) else facts
    check_apart(config.accounts)

    def reach(account: Config, patience: Patience) -> Place:
        at_exchange = _at_exchange(account, config.accounts)
        of_market = [other for other in at_exchange if other.exchange.market == account.exchange.market]
        own = files.of_account(account.account)
        sharers = Sharers(max(1, len(at_exchange)), max(1, len(of_market)))
        with speaking_of(account.account):
            return place_of(account, told[account.account], own, patience, sharers)

    arrivals = Arrivals(config.accounts or (config,), reach, patience)
    places = arrivals.first()
    opened: list[Callable[[], object]] = [arrivals.close, *(place.close for _, place in places)]
    try:
        return _built(config, told, files, arrivals, places, addresses, opened)
    except BaseException:
        for close in opened:
            close()
        raise


def _built(
    config: Config,
    facts: Mapping[str, StrategyFacts],
    files: Files,
    arrivals: Arrivals,
    places: Sequence[tuple[Config, Place]],
    addresses: Mapping[str, Sequence[str]],
    opened: list[Callable[[], object]],
) -> System:
    limits = config.runtime
    clock = MarketClock.real() if config.accounts else places[0][1].clock
    now = clock.now()
    opening: Opening = open_journal(
        files, now=now, segment_mb=config.history.segment_mb, history_end=partial(history_end, files)
    )
    journal = opening.journal
    opened.append(journal.close)
    accounts = config.accounts or (config,)
    check_left_accounts(journal, [account.account for account in accounts])
    runtime = ThreadRuntime(clock, watchdog_s=limits.watchdog_s, deadman_s=limits.deadman_s, pin=limits.pin)
    opened.append(runtime.close)
    run_seq, began = _record_start(journal, config, facts, now)
    names = ", ".join(dict.fromkeys(facts[account.account].name for account in accounts))
    system = System(
        runtime=runtime,
        config=config,
        files=files,
        journal=journal,
        facts=facts,
        began=began,
        run_seq=run_seq,
        snapshots=[Snapshot(at=runtime.monotonic(), ts=now, strategy=names, state="STARTING")],
        findings=list(opening.findings),
        arrivals=arrivals,
        addresses=addresses,
    )
    for account, place in places:
        _, findings = system.admit(account, place)
        system.findings += findings
    return system


def _at_exchange(config: Config, accounts: Sequence[Config]) -> list[Config]:
    """The accounts at the same real exchange, this one among them."""
    if config.exchange.name == PAPER:
        return []
    return [other for other in accounts if other.exchange.name == config.exchange.name]


def _joined(cast: Cast) -> AccountJoined:
    config = cast.config
    return AccountJoined(
        account=cast.account,
        pairs=cast.pairs,
        strategy=cast.facts.name,
        mode=config.mode,
        currency=config.trading.stake_currency,
        start=cast.place.wallet,
    )


def _record_start(
    journal: FileJournal, config: Config, facts: Mapping[str, StrategyFacts], now: Millis
) -> tuple[int, dict[int, Millis]]:
    """The run's first entry: what runs, and as what; its number among the records of runs, and when runs began."""
    about = {account.account: _about(account, facts) for account in config.accounts or (config,)}
    told: dict[str, Any] = {
        key: ", ".join(dict.fromkeys(one[key] for one in about.values())) for key in ("strategy", "fills", "mode")
    }
    body = {
        "run": journal.run,
        "config_sha": sha256(orjson.dumps(to_plain(config), option=orjson.OPT_SORT_KEYS, default=str)).hexdigest(),
        **told,
        "version": version("tradepit"),
    }
    if config.accounts:
        body["accounts"] = about
    seq = journal.last("run") + 1
    started = Entry(kind="RunStarted", ts=now, body=body, stream="ops")
    kept = journal.state("run") or {}
    began = {**dict(list(kept.get("began", {}).items())[1 - RUNS_KEPT :]), str(journal.run): now}
    journal.append([Record(writer="run", seq=seq, entries=(started,), state={"began": began})])
    return seq, {int(run): ts for run, ts in began.items()}


def _about(config: Config, facts: Mapping[str, StrategyFacts]) -> dict[str, str]:
    fills = config.paper.fills if config.mode == PAPER else config.exchange.name
    return {"strategy": facts[config.account].name, "fills": fills, "mode": config.mode}
