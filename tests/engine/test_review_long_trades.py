"""What a trade keeps, however long it is open; and the reserve its stake is reckoned with."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from engine.messages import ReserveCapital, Signal, SignalJudged
from engine.types import Purpose, use_money_context
from tests.scenarios.runner import PAIR, START, Player, Scenario

D = Decimal


def test_a_trade_of_many_stops_keeps_only_the_last_of_them() -> None:
    """Orders that ended with nothing filled are let go of after a while: a state must not grow with time."""
    use_money_context()
    player = Player(Scenario("long", settings={"stop_on_venue": True}))
    for row in ("signal enter_long 100", "granted 1000", "filled i1 10 @ 100"):
        player.play("0", row)
    for number in range(2, 202):
        player.play(str(number), f"accepted i{number}")
        player.play(str(number), f"canceled i{number}")  # by somebody at the venue, again and again

    kept = player.trade.orders
    working = [o for o in kept.values() if not o.is_done]

    assert len(kept) < 30
    assert [o.purpose for o in working] == [Purpose.STOP]
    assert any(o.purpose is Purpose.ENTRY and o.filled for o in kept.values())
    player.play("300", "accepted i202")
    assert player.play("301", "filled i202 10 @ 90").startswith("FLAT closed stoploss_on_exchange")


@pytest.mark.parametrize(("stop", "least"), [("-0.05", "11.05"), ("-0.2", "13.12"), ("-0.5", "15.00")])
def test_the_least_stake_leaves_enough_to_be_sold_at_the_stop(stop: str, least: str) -> None:
    """What a pair asks for can still be sold at its own stop, not at the backtest's fixed one (1.5, 2.3.2)."""
    use_money_context()
    player = Player(Scenario("small", market={"cost_min": D(10)}))
    player.trade.rules = replace(player.trade.rules, reserve_stop=D(stop))
    signal = SignalJudged(pair=PAIR, ts=START, signal=Signal(enter_long=True), price=D(100))

    (ask,) = [a for a in player.step(signal, START).actions if isinstance(a, ReserveCapital)]

    assert f"{ask.stake_min:.2f}" == least
