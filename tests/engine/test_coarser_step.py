"""A market whose price step has become coarser than that with which a stop's level is kept."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from engine.types import Purpose, use_money_context
from tests.scenarios.runner import Player, Scenario

D = Decimal


@pytest.mark.parametrize(("side", "kept", "asked"), [("long", "90.02", "90.1"), ("short", "109.98", "109.9")])
def test_a_stop_is_placed_on_the_markets_present_step(side: str, kept: str, asked: str) -> None:
    """The kept level goes to the step on the side of the price: there is a stop at the exchange, and no alarm."""
    use_money_context()
    settings = {"stop_on_venue": True, "stoploss": D("-0.0998"), "can_short": True}
    player = Player(Scenario("coarser step", settings=settings))
    for row in (f"signal enter_{side} 100", "granted 1000", "accepted i1", "filled i1 10 @ 100", "accepted i2"):
        player.play("0", row)
    trade = player.trade
    assert trade.stop is not None
    level = trade.stop.level

    trade.rules = replace(trade.rules, market=replace(trade.rules.market, price_step=D("0.1")))
    shown = player.play("60", "canceled i2")
    (stop,) = player.trade.working(Purpose.STOP)

    assert level == D(kept)
    assert (stop.trigger_price, stop.price) == (D(asked), D(asked))
    assert "place i3 stop" in shown
    assert "stop_impossible" not in shown
