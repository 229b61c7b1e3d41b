"""Freqtrade's well-known sample strategy by its rules: RSI crossings, guarded by TEMA and Bollinger's middle.

Its signals equal the original's candle for candle, which makes it the yardstick for users who come
from there; it is not meant to earn.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import talib

from engine.candles import Candles
from engine.strategy import Signals, Strategy, crossed_above


class Sample(Strategy):
    """Buy a recovery from oversold below the middle band; sell when overbought above it turns."""

    timeframe = "5m"
    startup_candles = 200

    minimal_roi: ClassVar = {"0": 0.04, "30": 0.02, "60": 0.01}
    stoploss = -0.10

    buy_rsi = 30
    sell_rsi = 70
    short_rsi = 70
    exit_short_rsi = 30

    def signals(self, candles: Candles) -> Signals:
        """Shorts mirror the longs; they are taken only where `can_short` is set."""
        rsi = talib.RSI(candles.close, 14)
        tema = talib.TEMA(candles.close, 9)
        typical_price = (candles.high + candles.low + candles.close) / 3
        middle_band = talib.SMA(typical_price, 20)

        change = np.diff(tema, prepend=np.nan)
        traded = candles.volume > 0
        turning_up = (tema <= middle_band) & (change > 0) & traded
        turning_down = (tema > middle_band) & (change < 0) & traded
        return Signals(
            enter_long=crossed_above(rsi, self.buy_rsi) & turning_up,
            exit_long=crossed_above(rsi, self.sell_rsi) & turning_down,
            enter_short=crossed_above(rsi, self.short_rsi) & turning_down,
            exit_short=crossed_above(rsi, self.exit_short_rsi) & turning_up,
        )
