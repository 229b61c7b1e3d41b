"""For benchmarks: every pair enters on one candle of four, and leaves two candles later."""

from __future__ import annotations

from typing import ClassVar

import talib

from engine.candles import Candles
from engine.strategy import Signals, Strategy


class Everybody(Strategy):
    """The indicators of an ordinary strategy, and signals that depend on the time alone."""

    timeframe = "1m"
    startup_candles = 60
    minimal_roi: ClassVar = {"0": 10.0}
    stoploss = -0.5
    order_types: ClassVar = {"entry": "market", "exit": "market"}

    def signals(self, candles: Candles) -> Signals:
        """Enter with the candle that opens in minute 1, 5, 9, …; leave with that of minute 3, 7, 11, …"""
        fast, slow = talib.EMA(candles.close, 9), talib.EMA(candles.close, 21)
        known = (fast > 0) & (slow > 0)
        minute = candles.ts // 60_000 % 4
        return Signals(enter_long=known & (minute == 1), exit_long=known & (minute == 3))
