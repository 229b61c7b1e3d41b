"""The trade machine against a venue where everything goes wrong that can: what always holds, and that it comes to rest."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine import messages as m
from engine.depth import Depth
from engine.settings import EntryPricingConfig, PricingConfig, Settings
from engine.types import ONE, Side, TradeState, use_money_context
from tests.engine.venue_world import CANDLE, PAIR, World

D = Decimal
FATES = st.sampled_from(["arrives", "arrives", "arrives", "arrives", "lost", "answer lost", "late"])
RARELY = st.integers(0, 3)
PRICES = st.integers(-12, 12).map(lambda percent: D(percent) / 100)


class TradeInTheWorld(RuleBasedStateMachine):
    """Random signals, prices, fills, faults and restarts on one trade machine."""

    world: World

    @initialize(
        stop_on_venue=st.booleans(),
        trailing=st.booleans(),
        book=st.booleans(),
        short=st.booleans(),
        market_exit=st.booleans(),
        beside=st.booleans(),
        way=st.sampled_from(["cancel", "replace", "amend", "amend"]),
        callbacks=st.sampled_from([(), ("custom_exit", "confirm_trade_entry")]),
        priced=st.sampled_from(["last", "same", "other"]),
    )
    def begin(
        self,
        stop_on_venue: bool,
        trailing: bool,
        book: bool,
        short: bool,
        market_exit: bool,
        beside: bool,
        way: str,
        callbacks: tuple[str, ...],
        priced: str,
    ) -> None:
        """A world of its own for each run."""
        use_money_context()
        self.side = "short" if short else "long"
        self.world = World(
            Settings(
                timeframe_ms=CANDLE,
                roi=((0, D("0.06")),),
                stoploss=D("-0.05"),
                trailing_stop=trailing,
                stop_on_venue=stop_on_venue,
                stop_beside=beside and short,
                stop_replace=way == "replace",
                stop_amend=way == "amend",
                stop_interval_ms=60_000 if trailing else 1_000,
                can_short=short,
                leverage=D(2) if short else ONE,
                exit_type="market" if market_exit else "limit",
                exit_timeout_count=2,
                callbacks=frozenset(callbacks),
                entry_pricing=EntryPricingConfig(price_side=priced),
                exit_pricing=PricingConfig(price_side=priced),
                exit_closer_ms=0 if market_exit else 60_000,
            ),
            Depth(D("0.0004"), D(1_000_000)) if book else None,
        )

    @rule(enter=st.booleans())
    def judged(self, enter: bool) -> None:
        """A candle is judged."""
        world = self.world
        world.now += CANDLE - world.now % CANDLE
        signal = m.Signal(**{f"{'enter' if enter else 'exit'}_{self.side}": True})  # type: ignore[arg-type]
        world.step(m.SignalJudged(pair=PAIR, ts=world.now, signal=signal, price=world.price))
        if world.asked and isinstance(world.asked[0], m.ReserveCapital):
            world.answer(D(1_000))

    @precondition(lambda self: self.world.trade.state is TradeState.FLAT and not self.world.asked)
    @rule(parts=st.sampled_from([None, D(2)]))
    def entered(self, parts: Decimal | None) -> None:
        """An entry goes as it should, so that there is a position for the rest to go wrong with."""
        self.judged(enter=True)
        while self.world.asked:
            self.world.answer(D(1_000))
        if self.world.sending:
            self.world.send(0, "arrives")
            sign = -1 if self.side == "long" else 1
            self.world.move(self.world.price + sign * D("0.05"), parts)
            self.all_told()

    @precondition(lambda self: self.world.asked)
    @rule(stake=st.sampled_from([None, D(500), D(1_000)]))
    def answered(self, stake: Decimal | None) -> None:
        """Somebody answers."""
        self.world.answer(stake)

    @precondition(lambda self: self.world.sending)
    @rule(fate=FATES)
    def sent(self, fate: str) -> None:
        """The oldest request leaves."""
        self.world.send(0, fate)

    @precondition(lambda self: self.world.delayed or self.world.delayed_amends)
    @rule(index=st.integers(0, 3))
    def arrived_late(self, index: int) -> None:
        """A request arrives that was thought lost."""
        self.world.arrive_late(index)

    @rule(change=PRICES, volume=st.sampled_from([None, D("0.5"), D(3)]))
    def moved(self, change: Decimal, volume: Decimal | None) -> None:
        """The price moves, with little or much traded on the way."""
        self.world.now += 1_000
        self.world.move((D(100) * (1 + change)).quantize(D("0.01")), volume)

    @precondition(lambda self: self.world.mail)
    @rule(index=st.integers(0, 5), twice=st.booleans())
    def told(self, index: int, twice: bool) -> None:
        """Something the venue said arrives: in any order, once or twice."""
        mail = self.world.mail
        message = mail[index % len(mail)] if twice else mail.pop(index % len(mail))
        self.world.step(message)

    @precondition(lambda self: self.world.mail)
    @rule()
    def all_told(self) -> None:
        """All that was said arrives, in order."""
        while self.world.mail:
            self.world.step(self.world.mail.pop(0))

    @precondition(lambda self: self.world.mail)
    @rule(index=st.integers(0, 5))
    def never_told(self, index: int) -> None:
        """Something is lost on the way from the venue; sooner or later the actor's timer looks it up."""
        self.world.mail.pop(index % len(self.world.mail))
        self.world.looking = True

    @rule(hidden=st.sampled_from([0, 0, 1]))
    def looked_up(self, hidden: int) -> None:
        """The venue says what is true there; its newest fill may be missing in the list."""
        self.world.looking = bool(hidden)
        self.world.step(self.world.snapshot(hidden=hidden))

    @rule(seconds=st.sampled_from([1, 6, 60, 600]))
    def waited(self, seconds: int) -> None:
        """Time passes."""
        self.world.wait(seconds * 1_000)

    @rule(index=st.integers(0, 3))
    def cancelled_by_user(self, index: int) -> None:
        """Somebody cancels at the venue."""
        self.world.cancel_by_user(index)

    @precondition(lambda self: self.world.trade.reconciled)
    @rule(enter=st.booleans(), really=RARELY)
    def forced(self, enter: bool, really: int) -> None:
        """A user wants in, or out."""
        if really:
            return
        if enter:
            side = Side(self.side)
            self.world.step(m.ForceEnter(request_id="1", pair=PAIR, side=side, tag="", reply_to="control"))
        else:
            self.world.step(m.ForceExit(request_id="1", pair=PAIR, reply_to="control"))

    @precondition(lambda self: self.world.trade.reconciled)
    @rule(new_run=st.booleans(), really=RARELY)
    def crashed(self, new_run: bool, really: int) -> None:
        """The actor, or the whole bot, begins anew."""
        if not really:
            self.world.crash(new_run=new_run)

    @precondition(lambda self: not (self.world.delayed or self.world.delayed_amends))
    @rule(lost=st.integers(1, 12), really=RARELY)
    def lost_tail(self, lost: int, really: int) -> None:
        """The journal's last records are gone: the venue alone knows what happened since."""
        if not really:
            self.world.crash(new_run=True, lost=lost)

    @rule(really=RARELY)
    def rested(self, really: int) -> None:
        """A quiet hour in between: all comes to rest."""
        if really:
            return
        self.world.quiet()
        self.world.check_at_rest()

    @invariant()
    def holds(self) -> None:
        """What must hold after every step."""
        self.world.check()

    def teardown(self) -> None:
        """When the faults end, all comes to rest, and the venue and the machine agree."""
        if hasattr(self, "world"):
            self.world.quiet()
            self.world.check()
            self.world.check_at_rest()
            self.world.step(self.world.snapshot())
            self.world.check_at_rest()


TestTradeInTheWorld = TradeInTheWorld.TestCase
TestTradeInTheWorld.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
