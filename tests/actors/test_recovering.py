"""What the simulation found: actors that acted before they knew their state, and messages that stayed lost."""

from __future__ import annotations

from typing import Any

from actors.base import Context
from actors.pair import PairActor
from actors.portfolio import CENSUS_TICKS, PortfolioActor
from actors.sending import PERMIT_MS
from actors.sim import SimRuntime
from engine import messages as m
from engine.market import Market
from engine.portfolio import Portfolio
from engine.rounds import Rounds
from engine.settings import RiskConfig, Settings, TradingConfig
from engine.types import Side
from engine.work import Rules
from tests.actors.probes import Disk, MemoryPersistence, Seen, probe
from tests.actors.ticks import D

MINUTE = 60_000
PAIR = "BTC/USDT"
NAME = f"pair:{PAIR}"
EVERYBODY = ("root", "persistence", "limiter", "gateway", "portfolio", "feed", "judge:0", "notifier", NAME)


class Stage:
    """Probes for everybody, until one of them is cast with the real actor."""

    def __init__(self) -> None:
        self.sim = SimRuntime(1, start_ms=MINUTE)
        self.seen = {name: Seen() for name in EVERYBODY}
        self.disk = Disk()
        self.actors: dict[str, Any] = {}

    def cast(self, *real: str) -> None:
        """Start all; those of `real` as they are, `persistence` as one in memory."""
        for name in EVERYBODY:
            if name not in real:
                self.sim.spawn(name, probe(self.seen[name]))
        for name in real:
            self.sim.spawn(name, lambda ctx: self.actors.setdefault(ctx.name, self._make(ctx)))
        self.sim.settle()

    def _make(self, ctx: Context) -> Any:
        if ctx.name == "persistence":
            return MemoryPersistence(ctx, self.disk)
        if ctx.name == "portfolio":
            trading = TradingConfig(max_open_trades=2, stake_amount=D(100))
            return PortfolioActor(
                ctx,
                portfolio=lambda epoch: Portfolio(trading, RiskConfig(), (), MINUTE, D(1_000), epoch=epoch),
                pairs=[PAIR],
                rounds=lambda: Rounds([], {PAIR: 0}),
            )
        market = Market(pair=PAIR, base="BTC", quote="USDT", price_step=D("0.01"), amount_step=D("0.001"))
        settings = Settings(timeframe_ms=MINUTE, entry_type="market", signal_max_age_ms=0)
        rules = Rules(settings=settings, market=market, order_prefix="tpABCDEFr1p0000beef", run=1, fee=D(0))
        return PairActor(ctx, rules=rules, judge="judge:0")

    def tell(self, to: str, message: m.Message) -> None:
        """Tell, and let it be handled."""
        self.sim.tell(to, message)
        self.sim.settle()

    def enter(self) -> None:
        """Bring the pair to the point where its entry is told to persistence."""
        take = self.seen["gateway"].of(m.TakeSnapshot)[-1]
        snapshot = m.VenueSnapshot(
            request_id=take.request_id, pair=PAIR, ts=self.sim.now(), orders=(), fills=(), unknown=()
        )
        self.tell(NAME, snapshot)
        self.tell(NAME, m.SignalJudged(pair=PAIR, ts=MINUTE, signal=m.Signal(enter_long=True), price=D(100)))
        ask = self.seen["portfolio"].of(m.ReserveCapital)[-1]
        granted = m.CapitalReserved(request_id=ask.request_id, pair=PAIR, stake=D(100), available=D(100), epoch=1)
        self.tell(NAME, granted)


def test_a_pair_acts_on_nothing_before_its_state_is_there() -> None:
    """What comes first would be decided on an empty state, and that recorded over the kept one."""
    stage = Stage()
    stage.cast(NAME)
    signal = m.SignalJudged(pair=PAIR, ts=MINUTE, signal=m.Signal(enter_long=True), price=D(100))
    stage.tell(NAME, signal)
    stage.tell(NAME, m.EpochAnnounced(name="gateway", epoch=2))
    early = [*stage.seen["gateway"].messages, *stage.seen["persistence"].of(m.Record)]
    stage.tell(NAME, m.StateLoaded(writer=NAME, state=None, seq=7))

    assert [] == early
    assert 1 == len(stage.seen["gateway"].of(m.TakeSnapshot))
    (record,) = stage.seen["persistence"].of(m.Record)
    assert 8 == record.seq
    assert "RECONCILING" == record.entries[0].body["code"]


def test_a_portfolio_keeps_its_figures_whatever_comes_first() -> None:
    """An exposure that is told before the kept figures are loaded counts after them, and buries nothing."""
    stage = Stage()
    stage.cast("portfolio")
    exposure = m.ExposureChanged(pair=PAIR, trade_id="", stake=D(0), earned=D(7))
    lock = m.LockPair(pair=PAIR, side="*", until=10 * MINUTE, reason="by hand")
    stage.tell("portfolio", exposure)
    stage.tell("portfolio", lock)
    early = stage.seen["persistence"].of(m.Record)
    kept = Portfolio(TradingConfig(), RiskConfig(), (), MINUTE, D(500)).to_plain()
    stage.tell("portfolio", m.StateLoaded(writer="portfolio", state=kept, seq=3))

    assert [] == early
    assert D(507) == stage.actors["portfolio"].account.balance
    assert "500" == stage.seen["persistence"].of(m.Record)[-1].state["start"]  # type: ignore[index]


def test_a_permit_without_an_answer_is_asked_for_again() -> None:
    """A lost answer of the limiter does not hold up an order for ever."""
    stage = Stage()
    stage.cast("persistence", NAME)
    stage.enter()
    asked = stage.seen["limiter"].of(m.AcquirePermit)
    stage.sim.run(PERMIT_MS + 1)

    assert [asked[0], asked[0]] == stage.seen["limiter"].of(m.AcquirePermit)


def test_no_permit_is_asked_for_before_the_intent_is_on_disk() -> None:
    """Not even when other permits are asked for again, by the timer or for a new limiter."""
    stage = Stage()
    stage.cast(NAME)
    stage.tell(NAME, m.StateLoaded(writer=NAME, state=None, seq=0))
    stage.enter()
    newest = stage.seen["persistence"].of(m.Record)[-1]
    stage.tell(NAME, m.EpochAnnounced(name="limiter", epoch=2))
    stage.tell(NAME, m.Recorded(seq=newest.seq - 1))
    before = stage.seen["limiter"].of(m.AcquirePermit)
    stage.tell(NAME, m.Recorded(seq=newest.seq))

    assert [] == before
    assert 1 == len(stage.seen["limiter"].of(m.AcquirePermit))


def test_lost_exposures_are_found_by_counting_again() -> None:
    """Capital of a pair whose last word was lost is free again within a minute; what is asked for stays reserved."""
    stage = Stage()
    stage.cast("persistence", "portfolio")
    flat = m.ExposureChanged(pair=PAIR, trade_id="", stake=D(0))
    held = m.ExposureChanged(pair=PAIR, trade_id="t", stake=D(100), amount=D(1), open_rate=D(100))
    for exposure in (flat, held):
        stage.tell("portfolio", exposure)
    stage.sim.run(CENSUS_TICKS * 1_000)
    count = stage.seen[NAME].of(m.TakeCensus)[-1]
    stage.tell("portfolio", m.CensusAnswered(epoch=count.epoch, exposure=flat))
    account = stage.actors["portfolio"].account
    free = account.free
    ask = m.ReserveCapital(
        request_id="r", pair=PAIR, side=Side.LONG, price=D(1), round_ts=0, stake_min=D(1), stake_max=None, forced=True
    )
    stage.tell("portfolio", ask)
    stage.tell("portfolio", m.CensusAnswered(epoch=count.epoch, exposure=flat, asking=True))
    reserved = dict(account.reserved)
    stage.tell("portfolio", m.CensusAnswered(epoch=count.epoch, exposure=flat))

    assert D(1_000) == free
    assert [PAIR] == list(reserved)
    assert {} == account.reserved
