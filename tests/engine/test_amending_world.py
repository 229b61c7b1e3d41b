"""Stops that are changed in place, where everything goes wrong that can: the trade machine's world, with little else in it."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from engine.depth import Depth
from engine.settings import Settings
from engine.types import Purpose, TradeState, use_money_context
from tests.engine.test_trade_world import FATES, TradeInTheWorld
from tests.engine.venue_world import CANDLE, World

D = Decimal


class StopsInTheWorld(TradeInTheWorld):
    """A long trade whose stop trails closely; prices rise mostly."""

    @initialize(parts=st.sampled_from([None, D(2)]), market_exit=st.booleans())
    def begin(self, parts: Decimal | None, market_exit: bool) -> None:  # type: ignore[override]
        """A position, wholly or partly bought, with its stop."""
        use_money_context()
        self.side = "long"
        self.world = World(
            Settings(
                timeframe_ms=CANDLE,
                stoploss=D("-0.05"),
                trailing_stop=True,
                stop_on_venue=True,
                stop_amend=True,
                stop_interval_ms=1_000,
                exit_type="market" if market_exit else "limit",
            ),
            Depth(D("0.0004"), D(1_000_000)),
        )
        self.entered(parts)
        while self.world.sending or self.world.mail:
            if self.world.sending:
                self.world.send(0, "arrives")
            self.all_told()

    @precondition(lambda self: self.world.trade.state is TradeState.OPEN)
    @rule(percent=st.integers(1, 4), fate=FATES, heard=st.booleans())
    def raised(self, percent: int, fate: str, heard: bool) -> None:
        """The price rises, and the stop is to follow."""
        world = self.world
        world.now += 2_000
        world.move((world.price * (1 + D(percent) / 100)).quantize(D("0.01")), None)
        if world.sending:
            world.send(0, fate)
        if heard:
            self.all_told()

    @rule()
    def is_guarded(self) -> None:
        """A stop that is being changed, or of which nobody knows whether it was, rests all the time."""
        stops = [order for order in self.world.trade.working(Purpose.STOP) if order.amending is not None]
        resting = {kept.order.client_order_id for kept in self.world.exchange.orders("BTC/USDT")}
        ended = {order.client_order_id for order in self.world.at_venue.values() if order.is_done}
        assert all(stop.client_order_id in resting | ended for stop in stops)


TestStopsInTheWorld = StopsInTheWorld.TestCase
TestStopsInTheWorld.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
