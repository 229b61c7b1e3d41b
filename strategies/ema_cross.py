"""Follow the trend: buy when a fast moving average crosses a slow one, sell when it crosses back.

The smallest useful strategy, and the default of `config.toml`. Start here.
"""

from __future__ import annotations

from typing import ClassVar

import talib

from engine.candles import Candles
from engine.strategy import Signals, Strategy, crossed_above, crossed_below


class EmaCross(Strategy):
    """Long while the fast exponential average is above the slow one."""

    timeframe = "1m"
    startup_candles = 60  # about three times the slow period: an EMA has forgotten its start by then

    # Leave with 3 % at once, with 1.5 % after half an hour, with whatever is not a loss after two hours.
    minimal_roi: ClassVar = {"0": 0.03, "30": 0.015, "120": 0.0}
    # Leave with a loss of 2 %, fees included.
    stoploss = -0.02

    # Your own settings: `[strategy.parameters]` in config.toml may set them (`fast = 12`).
    fast = 9
    slow = 21

    def signals(self, candles: Candles) -> Signals:
        """Judge every candle; all arrays have the length of `candles`, the newest candle last."""
        fast = talib.EMA(candles.close, self.fast)
        slow = talib.EMA(candles.close, self.slow)
        return Signals(
            # No volume means nobody traded: a crossing there is an artefact of a filled gap.
            enter_long=crossed_above(fast, slow) & (candles.volume > 0),
            exit_long=crossed_below(fast, slow),
        )
