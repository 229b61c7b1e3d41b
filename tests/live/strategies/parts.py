"""For tests: enters below the price, so that the order rests, and sells half of what is held once it is worth more."""

from __future__ import annotations

from typing import Any, ClassVar

from engine.strategy import TradeView
from tests.live.strategies.turns import Turns


class Parts(Turns):
    """An entry that is filled when the test says so, and a partial exit at a profit of 2 %."""

    order_types: ClassVar = {
        "entry": "limit",
        "exit": "market",
        "stoploss_on_exchange": True,
        "stoploss_on_exchange_interval": 1,
    }
    position_adjustment_enable = True
    hold = -1

    def custom_entry_price(self, *, proposed_rate: float, **_: Any) -> float:
        """Below the price."""
        return proposed_rate * 0.99

    def adjust_trade_position(self, *, trade: TradeView, current_profit: float, **_: Any) -> float | None:
        """Half of it, once."""
        whole = trade.stake_amount > 0.8 * trade.max_stake_amount
        return -trade.stake_amount / 2 if whole and current_profit > 0.02 else None
