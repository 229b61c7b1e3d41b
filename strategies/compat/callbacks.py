"""Freqtrade's callbacks as a strategy finds them in its base: each answers what Freqtrade does without it.

Only those that a strategy defines itself are ever asked; these are here for `super()`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any


class Callbacks:
    """The defaults."""

    stoploss: Any

    def bot_start(self, **kwargs: Any) -> None:
        """Called once, before the first judgement."""

    def bot_loop_start(self, current_time: datetime, **kwargs: Any) -> None:
        """Called before the first question of a candle."""

    def confirm_trade_entry(self, *args: Any, **kwargs: Any) -> bool:
        """Whether to send an entry."""
        return True

    def confirm_trade_exit(self, *args: Any, **kwargs: Any) -> bool:
        """Whether to send an exit."""
        return True

    def order_filled(self, *args: Any, **kwargs: Any) -> None:
        """Told of a filled order."""

    def check_entry_timeout(self, *args: Any, **kwargs: Any) -> bool:
        """Whether to cancel an entry that waits."""
        return False

    def check_exit_timeout(self, *args: Any, **kwargs: Any) -> bool:
        """Whether to cancel an exit that waits."""
        return False

    check_buy_timeout, check_sell_timeout = check_entry_timeout, check_exit_timeout

    def custom_stake_amount(self, *args: Any, proposed_stake: float, **kwargs: Any) -> float:
        """The stake of an entry."""
        return proposed_stake

    def custom_entry_price(self, *args: Any, proposed_rate: float, **kwargs: Any) -> float:
        """The price of an entry."""
        return proposed_rate

    def custom_exit_price(self, *args: Any, proposed_rate: float, **kwargs: Any) -> float:
        """The price of an exit."""
        return proposed_rate

    def custom_stoploss(self, *args: Any, **kwargs: Any) -> float | None:
        """The stop's distance from the current rate."""
        return float(self.stoploss)

    def custom_roi(self, *args: Any, **kwargs: Any) -> float | None:
        """The profit to leave with."""
        return None

    def custom_exit(self, *args: Any, **kwargs: Any) -> str | bool | None:
        """Whether to leave, and why."""
        return None

    custom_sell = custom_exit

    def adjust_trade_position(self, *args: Any, **kwargs: Any) -> Any:
        """How much to add, or to take out."""
        return None

    def adjust_entry_price(self, *args: Any, current_order_rate: float, **kwargs: Any) -> float | None:
        """The price an entry should wait at."""
        return current_order_rate

    def adjust_exit_price(self, *args: Any, current_order_rate: float, **kwargs: Any) -> float | None:
        """The price an exit should wait at."""
        return current_order_rate

    def adjust_order_price(self, *args: Any, current_order_rate: float, **kwargs: Any) -> float | None:
        """The price any order should wait at."""
        return current_order_rate

    def leverage(self, *args: Any, **kwargs: Any) -> float:
        """The leverage of an entry."""
        return 1.0

    def version(self) -> str | None:
        """The strategy's own version."""
        return None

    def plot_annotations(self, *args: Any, **kwargs: Any) -> list[Any]:
        """What to draw on a chart."""
        return []
