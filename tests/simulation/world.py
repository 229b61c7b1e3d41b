"""A whole bot in a hostile world, by a seed: what goes wrong, when, and everything that must hold all the same.

The trading side is the real one: root, persistence, limiter, gateway, portfolio, pairs, judge and feed on
virtual time. Hostile are the actors' lives (they are killed), their messages (lost, doubled, late), the
journal (refuses), the venue (`FaultyVenue`) and the process, which ends at any instant and starts again on
what is durable: the journal and the venue's own record.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from actors.base import Context, EngineActor
from actors.feed import FeedActor
from actors.files import Files
from actors.gateway import GatewayActor
from actors.history.store import open_store
from actors.journal import JournalUnwritable, MemoryJournal
from actors.judge import JudgeActor
from actors.judging.loader import StrategyMaker
from actors.pair import PairActor
from actors.persistence import PersistenceActor
from actors.portfolio import PortfolioActor
from actors.rate_limiter import RateLimiterActor
from actors.sim import Faults, SimRuntime
from actors.supervisor import ChildSpec, RootActor
from actors.venues.paper.built_in import BuiltInMarket
from actors.venues.paper.prompt import PromptMarket
from actors.venues.paper.reading import rules_of
from actors.venues.paper.venue import PaperVenue
from actors.venues.trading import Permit
from engine.config import make_settings, parse_config
from engine.depth import ENDLESS
from engine.messages import ForceEnter, ForceExit, LockPair, SetTradingState
from engine.order import Order, prefix_of
from engine.portfolio import Portfolio
from engine.protections import protections_from
from engine.quota import paper_limits
from engine.restart import Backoff
from engine.rounds import Rounds
from engine.settings import Config
from engine.strategy import facts_of
from engine.types import Millis, Side, TradingState
from engine.work import Rules
from tests.faulty_venue import FaultyVenue, VenueFaults
from tests.simulation.checks import invariants, unsettled

D = Decimal
START_MS = 1_767_225_600_000
MINUTE = 60_000
SHARED = ("persistence", "limiter", "gateway", "portfolio", "feed", "judge:0")
QUIET = VenueFaults()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What one seed is about: the settings drawn from it."""

    config: Config
    faults: Faults
    venue: VenueFaults
    kill_every_ms: int
    restart_chance: float
    unwritable: float
    power_cuts: float


def scene_of(seed: int) -> Scene:
    """Draw the settings and the faults of a seed."""
    rng = Random(f"scene {seed}")
    config = config_of(rng, Random(f"prices {seed}"))
    level = rng.choice([0.0, 0.3, 1.0, 2.5])
    rate = rng.choice([0.05, 0.2])
    return Scene(
        config=config,
        faults=Faults(
            drop=0.02 * level, duplicate=0.02 * level, delay=0.05 * level, delay_max_ms=rng.choice([500, 4_000, 20_000])
        ),
        venue=VenueFaults(
            lost_before=rng.choice([0, rate]),
            lost_after=rng.choice([0, rate]),
            late=rng.choice([0, rate]),
            refused=rng.choice([0, rate]),
            doubled=rng.choice([0, 0.2]),
            delayed=rng.choice([0, 0.2]),
        ),
        kill_every_ms=rng.choice([0, 4_000, 15_000]),
        restart_chance=rng.choice([0.0, 0.02]),
        unwritable=rng.choice([0.0, 0.01, 0.1]),
        power_cuts=rng.choice([0.0, 0.0, 0.3]),
    )


def prices_of(rng: Random, order_types: Mapping[str, Any]) -> dict[str, Any]:
    """Draw whose prices orders ask: the last, or one side of the book, which a market order takes anyway."""
    sides = {kind: rng.choice(["last", "same", "other"]) for kind in ("entry", "exit")}
    for kind, side in sides.items():
        sides[kind] = "other" if order_types[kind] == "market" and side == "same" else side
    weighed = {"bids_to_ask_delta": D("0.5")} if rng.random() < 0.3 else {}
    return {
        "entry_pricing": {"price_side": sides["entry"], **weighed},
        "exit_pricing": {"price_side": sides["exit"]},
    }


def config_of(rng: Random, prices: Random) -> Config:
    """Draw what a user may have set."""
    asked, limit = rng.random() < 0.3, rng.random() < 0.5
    shorts = rng.random() < 0.4
    slots = rng.choice([2, 4, -1])
    strategy = Path(__file__).with_name("busy.py")
    config: dict[str, Any] = {
        "trading": {
            "max_open_trades": slots,
            "stake_amount": D(500) if slots < 0 else rng.choice([D(500), D(20), "unlimited"]),
            "entry_order": rng.choice(["pairs", "score"]),
            "leverage": D(3) if shorts else D(1),
        },
        "unfilledtimeout": {"entry": 1, "exit": 1, "exit_timeout_count": rng.choice([0, 2])},
        "strategy": {
            "name": f"{strategy}:{'Asked' if asked else 'Busy'}",
            "workers": 0,
            "overrides": {
                "can_short": shorts,
                "trailing_stop": rng.random() < 0.3,
                "order_types": {
                    "entry": "limit" if limit else "market",
                    "exit": rng.choice(["limit", "market"]),
                    "stoploss": "market",
                    "stoploss_on_exchange": rng.random() < 0.5,
                },
            },
        },
        "feed": {"pairs": 6, "seed": rng.randrange(1, 1_000), "tick_ms": 1_000},
        "paper": {
            "fee_in_base": not shorts and rng.random() < 0.4,
            "latency_ms": rng.choice([0, 200]),
            "maker_fee": D("0.0002"),
            "taker_fee": D("0.0002"),
            "spread": D("0.0001"),
            "depth": rng.choice([D(50_000), D(2_000)]),
            "orders_per_10s": rng.choice([100, 12]),
            "weight_per_minute": rng.choice([6_000, 400]),
            "fee_coin": "FEE" if rng.random() < 0.2 else "",
            "fee_coin_wallet": D("0.5"),
            "leverage_max": D(5) if shorts else D(1),
        },
        "protections": [{"method": "CooldownPeriod", "stop_duration_candles": 1}] if rng.random() < 0.2 else [],
    }
    return parse_config(config | prices_of(prices, config["strategy"]["overrides"]["order_types"]))


class ShakyJournal(MemoryJournal):
    """A journal on a disk that sometimes refuses, and that outlives the process."""

    def __init__(self, rng: Random) -> None:
        super().__init__(installation="simula")
        self.refusing = 0.0
        self._rng = rng
        self._commits: deque[tuple[int, int, bytes, dict[str, Any], dict[str, int]]] = deque(maxlen=8)

    def _write(self, rows: Any, states: Any, /) -> None:
        if self._rng.random() < self.refusing:
            raise JournalUnwritable("the disk does not want to")
        self._commits.append((len(self.rows), self.seq, self.hash, dict(self._states), dict(self._writers)))
        super()._write(rows, states)

    def open_again(self, lost: int) -> None:
        """A new process on the same files: the next run, which knows nothing of grants, and not the last commits."""
        self.run += 1
        self.grant_epochs.clear()
        for _ in range(min(lost, len(self._commits))):
            length, self.seq, self.hash, self._states, self._writers = self._commits.pop()
            del self.rows[length:]


class CountingVenue(FaultyVenue):
    """Counts what is sent in each window of ten seconds, as the exchange does."""

    def __init__(self, venue: PaperVenue, seed: int) -> None:
        super().__init__(venue, seed, QUIET)
        self.paper = venue
        self.sent: Counter[Millis] = Counter()
        self.amended: Counter[str] = Counter()

    def amend(self, order: Order, now: Millis, permit: Permit) -> Any:
        """Note what stops are changed to."""
        outcome = super().amend(order, now, permit)
        self.amended[type(outcome).__name__] += 1
        return outcome

    def submit(self, order: Order, now: Millis, permit: Permit) -> Any:
        """Count it, whatever becomes of it."""
        self.sent[now // 10_000] += 1
        return super().submit(order, now, permit)


class World:
    """One seed's world. `chaos`, `quiet` and `leave` let time pass; `invariants` checks what must always hold."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.scene = scene_of(seed)
        self.rng = Random(f"world {seed}")
        config = self.config = self.scene.config
        self.facts = facts_of(
            StrategyMaker(config.strategy.name, config.strategy.parameters, config.strategy.overrides).make()
        )
        way = Random(f"stops {seed}").choice(["cancel", "replace", "amend"])
        ways: dict[str, Any] = {"stop_replace": way == "replace"}
        if way == "amend":  # often, so that every trouble comes to some
            ways = {"stop_amend": True, "stop_on_venue": True, "trailing_stop": True}
            ways |= {"stop_interval_ms": 1_000, "stop_step": Decimal(0)}
        self.settings = replace(make_settings(config, self.facts), **ways)
        self.journal = ShakyJournal(Random(f"disk {seed}"))
        paper = PaperVenue(None, config.paper, self._market(), timeframe_ms=MINUTE)
        self.venue = CountingVenue(paper, seed)
        self.markets = self.venue.markets()
        self.pairs = tuple(self.markets)
        self.kills: Counter[str] = Counter()
        self.runs = 0
        self.escalations = 0
        self.trace: list[tuple[Millis, str, str, Any]] = []
        self.runtime = self._start(START_MS)

    # ------------------------------------------------------------ the bot

    def _market(self) -> BuiltInMarket:
        return BuiltInMarket.of(self.config.feed)

    def _start(self, now: Millis) -> SimRuntime:
        self.runs += 1
        runtime = SimRuntime(self.rng.randrange(1 << 30), start_ms=now, on_delivery=self._note)
        specs = self._specs()
        runtime.spawn("root", lambda ctx: RootActor(ctx, specs))
        return runtime

    def _note(self, now: Millis, sender: str, to: str, message: Any) -> None:
        self.trace.append((now, sender, to, message))
        if len(self.trace) > 400_000:
            del self.trace[:200_000]

    def _specs(self) -> list[ChildSpec]:
        config = self.config
        stream = PromptMarket(self._market(), rules_of(config.paper).depth or ENDLESS)
        order = {pair: number for number, pair in enumerate(self.pairs)}
        run = self.journal.run

        def account(epoch: int) -> Portfolio:
            protections = protections_from(config.protections, MINUTE)
            return Portfolio(config.trading, config.risk, protections, MINUTE, config.paper.wallet, epoch=epoch)

        def rounds() -> Rounds:
            return Rounds(["judge:0"], order, by_score=config.trading.entry_order == "score")

        def shared(name: str, factory: Callable[[Context], EngineActor]) -> ChildSpec:
            return ChildSpec(name, factory, intensity=8, backoff=Backoff(), shared=True)

        judge_of = dict.fromkeys(self.pairs, "judge:0")
        return [
            shared("persistence", lambda ctx: PersistenceActor(ctx, journal=self.journal)),
            shared("limiter", lambda ctx: RateLimiterActor(ctx, paper_limits(config.paper))),
            shared(
                "gateway",
                lambda ctx: GatewayActor(ctx, self.venue, tick_ms=1_000, latency_ms=config.paper.latency_ms),
            ),
            shared(
                "portfolio",
                lambda ctx: PortfolioActor(ctx, portfolio=account, pairs=self.pairs, rounds=rounds),
            ),
            *(ChildSpec(f"pair:{pair}", self._pair(pair, run), intensity=8) for pair in self.pairs),
            shared("judge:0", lambda ctx: JudgeActor(ctx, pairs=self.pairs, config=config.strategy, facts=self.facts)),
            shared("feed", lambda ctx: FeedActor(ctx, stream, self.pairs, "1m", judge_of, config.feed)),
        ]

    def _pair(self, pair: str, run: int) -> Callable[[Context], PairActor]:
        prefix = prefix_of(self.journal.installation, run, zlib.crc32(pair.encode()))
        fee = self.config.paper.taker_fee
        rules = Rules(settings=self.settings, market=self.markets[pair], order_prefix=prefix, run=run, fee=fee)
        return lambda ctx: PairActor(ctx, rules=rules, judge="judge:0")

    def actor(self, name: str) -> Any:
        """The living incarnation of that name, None while there is none."""
        host = self.runtime._hosts.get(name)
        return None if host is None else host._actor

    def trade(self, pair: str) -> Any:
        """A pair's trade as its actor has it."""
        return self.actor(f"pair:{pair}").trade

    @property
    def names(self) -> list[str]:
        """Every actor that is to live."""
        return [*SHARED, *(f"pair:{pair}" for pair in self.pairs)]

    # ------------------------------------------------------------ phases

    def chaos(self, minutes: int) -> None:
        """Let everything go wrong that can."""
        scene = self.scene
        self.runtime.run(3_000)  # a start is rarely disturbed, a restart often
        self.runtime.faults, self.venue.faults, self.journal.refusing = scene.faults, scene.venue, scene.unwritable
        end = self.runtime.now() + minutes * MINUTE
        next_kill = self._after(scene.kill_every_ms)
        while self.runtime.now() < end:
            self._run(self.rng.randrange(1, 2_000))
            invariants(self)
            if scene.kill_every_ms and self.runtime.now() >= next_kill:
                next_kill = self._after(scene.kill_every_ms)
                for _ in range(self.rng.choice([1, 1, 1, 3])):
                    self._kill()
            if self.rng.random() < 0.03:
                self._let_the_user_act()
            if self.rng.random() < scene.restart_chance:
                self.restart()

    def _after(self, mean_ms: int) -> Millis:
        return self.runtime.now() + self.rng.randrange(mean_ms * 2 + 1)

    def _kill(self) -> None:
        self._into_the_midst()
        name = self.rng.choice(self.names)
        self.kills[name.partition(":")[0]] += 1
        self.runtime.kill(name)

    def _let_the_user_act(self) -> None:
        """Something that a user may do at any time, by the control socket."""
        pair = self.rng.choice(self.pairs)
        state = self.rng.choice([TradingState.ACTIVE, TradingState.ACTIVE, TradingState.EXITS_ONLY])
        until = self.runtime.now() + 2 * MINUTE
        to, wish = self.rng.choice(
            [
                (f"pair:{pair}", ForceEnter(request_id="e", pair=pair, side=Side.LONG, tag="by hand", reply_to="test")),
                (f"pair:{pair}", ForceExit(request_id="x", pair=pair, reply_to="test")),
                ("portfolio", SetTradingState(state=state, reason="a whim", source="user")),
                ("portfolio", LockPair(pair=pair, side="*", until=until, reason="a whim")),
            ]
        )
        self.runtime.tell(to, wish)

    def _into_the_midst(self) -> None:
        """Go on to a moment in which everybody talks: some messages on."""
        left = self.rng.randrange(60)

        def is_moment() -> bool:
            nonlocal left
            left -= 1
            return left < 0

        self.runtime.run_until(is_moment, limit_ms=1_000)

    def restart(self) -> None:
        """End the process as kill -9 does, or the machine as a power cut does; start another one a while later."""
        self._into_the_midst()
        now = self.runtime.now() + self.rng.choice([0, 5_000, 90_000])
        faults = self.runtime.faults
        lost = self.rng.randrange(1, 6) if self.rng.random() < self.scene.power_cuts else 0
        self.journal.open_again(lost)
        self.runtime = self._start(now)
        self.runtime.faults = faults

    def calm(self) -> None:
        """From here on nothing goes wrong any more."""
        self.runtime.faults, self.venue.faults, self.journal.refusing = None, QUIET, 0.0
        on = SetTradingState(state=TradingState.ACTIVE, reason="the test", source="user")
        self.runtime.tell("portfolio", on)

    def quiet(self, limit_ms: Millis = 4 * MINUTE) -> list[str]:
        """Wait until everything has come right; what has not within `limit_ms`."""
        self.calm()
        end = self.runtime.now() + limit_ms
        self._run(20_000)
        while (wrong := unsettled(self)) and self.runtime.now() < end:
            self._run(500)
            invariants(self)
        return wrong

    def leave(self, limit_ms: Millis = 5 * MINUTE) -> list[str]:
        """Have every pair leave, and wait until nothing is held; what still is after `limit_ms`."""
        halt = SetTradingState(state=TradingState.EXITS_ONLY, reason="the end", source="user")
        self.runtime.tell("portfolio", halt)
        end = self.runtime.now() + limit_ms
        while self.runtime.now() < end:
            for pair in self.pairs:
                trade = self.trade(pair)
                if trade.position.amount or trade.working():
                    self.runtime.tell(f"pair:{pair}", ForceExit(request_id="end", pair=pair, reply_to="test"))
            self._run(5_000)
            invariants(self)
            if not self.held() and not unsettled(self):
                return []
        return self.held() + unsettled(self)

    def pass_time(self, minutes: int) -> None:
        """Let it trade undisturbed."""
        for _ in range(minutes * 6):
            self._run(10_000)
            invariants(self)

    def story(self) -> str:
        """What has happened, in a line."""
        kinds = Counter(row[7] for row in self.journal.rows)
        counted = ", ".join(f"{kinds[kind]} {kind}" for kind in ("OrderFilled", "TradeClosed", "OrderInDoubt"))
        killed = sum(self.kills.values())
        return f"{self.runs} runs, {killed} kills, {self.venue.injected} venue faults; {counted}"

    def save(self, files: Files) -> None:
        """Write what is durable where an audit finds it."""
        self.journal.dump(files)
        self.sql("SELECT 1")
        self.venue.commit()
        with closing(sqlite3.connect(files.venue)) as file:
            self.venue.paper._opened()._db.backup(file)
        store = open_store(files)
        store.catch_up()
        store.close()

    def _run(self, ms: int) -> None:
        self.runtime.run(ms)
        if self.runtime.exit_request is not None:
            self.escalations += 1
            self.restart()

    # ------------------------------------------------------------ what must hold

    def held(self) -> list[str]:
        """Pairs that hold something or have orders, by their own word or the venue's."""
        found = []
        for pair in self.pairs:
            trade = self.trade(pair)
            if trade.position.amount or trade.working():
                found.append(f"{pair} is {trade.state} with {trade.position.amount} held")
        return found + [f"{pair} has an order at the venue" for (pair,) in self.sql(OPEN_ORDERS)]

    def sql(self, query: str) -> list[Any]:
        """Ask the venue's own record."""
        self.venue.paper._flush()
        return self.venue.paper._opened()._db.execute(query).fetchall()


OPEN_ORDERS = "SELECT DISTINCT pair FROM orders WHERE status IN ('NEW', 'PARTIALLY_FILLED')"
