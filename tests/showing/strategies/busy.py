"""For demonstrations: a few pairs enter with every candle, and leave five candles later."""

from __future__ import annotations

from typing import ClassVar
from zlib import crc32

import talib

from engine.candles import Candles
from engine.strategy import Signals, Strategy


class Busy(Strategy):
    """An ordinary strategy's indicators, and signals by time and the pair's name."""

    timeframe = "1m"
    startup_candles = 60
    minimal_roi: ClassVar = {"0": 10.0}
    stoploss = -0.05
    order_types: ClassVar = {"entry": "market", "exit": "market", "stoploss_on_exchange": True}
    every = 100

    def signals(self, candles: Candles) -> Signals:
        """Enter where the minute and the pair's number meet; leave five minutes later."""
        fast, slow = talib.EMA(candles.close, 9), talib.EMA(candles.close, 21)
        known = (fast > 0) & (slow > 0)
        turn = (candles.ts // 60_000 + crc32(candles.pair.encode())) % self.every
        return Signals(enter_long=known & (turn == 0), exit_long=known & (turn == 5))
