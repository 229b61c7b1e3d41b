"""The strategy that peers are measured with: two averages that cross, a ROI table, a stop that trails from an offset."""

from __future__ import annotations

from typing import ClassVar

import talib

from engine.candles import Candles
from engine.strategy import Signals, Strategy, crossed_above, crossed_below


class EmaCrossRoi(Strategy):
    """Long only; its exits are by ROI, by the crossing back, and by the stop."""

    timeframe = "5m"
    startup_candles = 30
    minimal_roi: ClassVar = {"120": 0.005, "60": 0.01, "30": 0.02, "0": 0.04}
    stoploss = -0.05
    trailing_stop = True
    trailing_stop_positive = 0.01
    trailing_stop_positive_offset = 0.015
    trailing_only_offset_is_reached = True

    def signals(self, candles: Candles) -> Signals:
        """Enter where the fast average crosses above the slow one, leave where it crosses below."""
        fast, slow = talib.EMA(candles.close, 12), talib.EMA(candles.close, 26)
        traded = candles.volume > 0
        return Signals(enter_long=crossed_above(fast, slow) & traded, exit_long=crossed_below(fast, slow) & traded)
