"""Two averages that cross, their lengths to be searched: the strategy that an epoch is measured with."""

from __future__ import annotations

from typing import ClassVar

import talib

from engine.candles import Candles
from engine.parameters import IntParameter
from engine.strategy import Signals, Strategy, crossed_above, crossed_below


class EmaCrossSearch(Strategy):
    """Long only; its exits are by ROI, by the crossing back, and by the stop."""

    timeframe = "5m"
    startup_candles = 60
    minimal_roi: ClassVar = {"120": 0.005, "60": 0.01, "30": 0.02, "0": 0.04}
    stoploss = -0.05
    fast = IntParameter(5, 20, default=12, space="buy")
    slow = IntParameter(21, 50, default=26, space="buy")

    def signals(self, candles: Candles) -> Signals:
        """Enter where the fast average crosses above the slow one, leave where it crosses below."""
        fast, slow = talib.EMA(candles.close, self.fast.value), talib.EMA(candles.close, self.slow.value)
        traded = candles.volume > 0
        return Signals(enter_long=crossed_above(fast, slow) & traded, exit_long=crossed_below(fast, slow) & traded)
