"""The portfolio while it counts: who asks is answered in time, and asked pairs learn of a halt."""

from __future__ import annotations

from typing import Any

from actors.portfolio import PortfolioActor
from actors.runtime import SimRuntime
from engine import messages as m
from engine.denials import Denial
from engine.portfolio import Portfolio
from engine.rounds import Rounds
from engine.settings import RiskConfig, TradingConfig
from engine.types import ONE, ZERO, Side, TradingState
from tests.actors.probes import Disk, MemoryPersistence, Seen, probe
from tests.actors.ticks import D

PAIRS = ("A/USDT", "B/USDT")


class World:
    """A portfolio, two pairs that only listen, and a journal."""

    def __init__(self) -> None:
        self.sim = SimRuntime(1, start_ms=86_380_000)
        self.disk = Disk()
        self.pairs = {pair: Seen() for pair in PAIRS}
        self.root = Seen()
        self.actor: Any = None
        self.sim.spawn("root", probe(self.root))
        self.sim.spawn("notifier", probe(Seen()))
        for pair, seen in self.pairs.items():
            self.sim.spawn(f"pair:{pair}", probe(seen))
        self.sim.spawn("persistence", lambda ctx: MemoryPersistence(ctx, self.disk))
        self.sim.spawn("portfolio", self.portfolio)
        self.sim.settle()

    def portfolio(self, ctx: Any) -> PortfolioActor:
        config = TradingConfig(stake_amount=D(100), tradable_balance_ratio=ONE)

        def account(epoch: int) -> Portfolio:
            return Portfolio(config, RiskConfig(), (), 60_000, D(1_000), epoch=epoch)

        self.actor = PortfolioActor(ctx, portfolio=account, pairs=PAIRS, rounds=lambda: Rounds((), {}))
        assert isinstance(self.actor, PortfolioActor)
        return self.actor

    def tell(self, message: m.Message) -> None:
        self.sim.tell("portfolio", message)
        self.sim.settle()

    def ask(self, pair: str) -> None:
        self.tell(
            m.ReserveCapital(
                request_id=f"{pair}?",
                pair=pair,
                side=Side.LONG,
                price=D(10),
                round_ts=0,
                stake_min=ZERO,
                stake_max=None,
            )
        )

    def flat(self, pair: str) -> None:
        self.tell(m.ExposureChanged(pair=pair, trade_id="", stake=ZERO))


def test_whoever_asks_while_a_pair_cannot_be_counted_is_told_so() -> None:
    """A pair that does not answer the census keeps all from entering, and each signal's row says that, with its name."""
    world = World()
    world.flat("A/USDT")
    for _ in range(3):
        world.ask("A/USDT")

    world.sim.run_for(5_000)
    (denied,) = world.pairs["A/USDT"].of(m.CapitalDenied)

    assert denied.code == Denial.CENSUS
    assert "B/USDT" in denied.detail
    assert world.pairs["A/USDT"].of(m.CapitalReserved) == []


def test_whoever_asked_is_granted_once_when_all_are_counted() -> None:
    """Asking again while the portfolio counts does not ask twice."""
    world = World()
    world.flat("A/USDT")
    for _ in range(3):
        world.ask("A/USDT")

    world.flat("B/USDT")

    assert len(world.pairs["A/USDT"].of(m.CapitalReserved)) == 1


def test_a_pair_that_can_never_be_counted_stops_nobody_for_long() -> None:
    """After half a minute it is reckoned with a whole stake, said so, and the others are granted; its own word counts."""
    world = World()
    world.flat("A/USDT")

    world.sim.run_for(35_000)
    world.ask("A/USDT")
    (granted,) = world.pairs["A/USDT"].of(m.CapitalReserved)

    assert D(900) == granted.available

    world.flat("B/USDT")
    world.flat("A/USDT")
    world.ask("A/USDT")

    assert D(1_000) == world.pairs["A/USDT"].of(m.CapitalReserved)[-1].available


def test_a_pair_that_begins_anew_hears_of_a_halt() -> None:
    """A new incarnation says what it holds and is told that trading is stopped, without anybody turning the switch."""
    world = World()
    world.tell(m.SetTradingState(state=TradingState.STOPPED, reason="a drill", source="user"))
    before = len(world.pairs["B/USDT"].of(m.TradingStateChanged))

    world.flat("B/USDT")

    assert before == 1
    assert [t.state for t in world.pairs["B/USDT"].of(m.TradingStateChanged)] == [TradingState.STOPPED] * 2


def test_the_end_of_a_days_halt_is_a_row_and_kept() -> None:
    """A new day lifts the daily loss: the pairs hear it, the journal has it, and no restart brings the halt back."""
    world = World()
    world.tell(m.SetTradingState(state=TradingState.EXITS_ONLY, reason="lost too much", source="daily_loss"))

    world.sim.run_for(30_000)

    rows = [entry.body for _, entry in world.disk.entries if entry.kind == "TradingStateChanged"]
    assert [row["state"] for row in rows] == ["EXITS_ONLY", "ACTIVE"]
    assert world.disk.states["portfolio"][1]["holds"] == {}
    assert world.pairs["A/USDT"].of(m.TradingStateChanged)[-1].state is TradingState.ACTIVE


def test_it_ends_when_its_last_figures_are_on_disk() -> None:
    """Whoever is stopped before hears nothing any more: the journal's answer would be told to nobody."""
    world = World()
    world.sim.tell("portfolio", m.Shutdown(reply_to="root"))

    world.sim.run_until(lambda: bool(world.root.of(m.ShutdownDone)), 1_000)

    assert world.root.of(m.ShutdownDone) == [m.ShutdownDone(name="portfolio")]
    assert not len(world.actor.outbox)


def test_nobody_is_counted_while_the_bot_ends() -> None:
    """Pairs end before the portfolio does: from the word that the bot ends none is asked any more."""
    world = World()
    world.sim.run_for(5_000)
    halt = m.SetTradingState(state=TradingState.EXITS_ONLY, reason="the bot is ending", source="shutdown")
    world.tell(halt)
    before = sum(len(seen.of(m.TakeCensus)) for seen in world.pairs.values())
    world.sim.run_for(120_000)

    assert before
    assert sum(len(seen.of(m.TakeCensus)) for seen in world.pairs.values()) == before
