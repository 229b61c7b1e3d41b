"""For benchmarks: pairs enter one after another and stay; only their stop can end them."""

from __future__ import annotations

from typing import ClassVar
from zlib import crc32

import talib

from engine.candles import Candles
from engine.strategy import Signals, Strategy


class Stayers(Strategy):
    """No exit signal, no target, no stop on the exchange: the pair's own guard decides."""

    timeframe = "1m"
    startup_candles = 60
    minimal_roi: ClassVar = {"0": 10.0}
    stoploss = -0.3
    order_types: ClassVar = {"entry": "market", "exit": "market", "stoploss_on_exchange": False}
    every = 50

    def signals(self, candles: Candles) -> Signals:
        """Enter where the minute and the pair's number meet."""
        fast, slow = talib.EMA(candles.close, 9), talib.EMA(candles.close, 21)
        turn = (candles.ts // 60_000 + crc32(candles.pair.encode())) % self.every
        return Signals(enter_long=(fast > 0) & (slow > 0) & (turn < 5))
