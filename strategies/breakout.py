"""Buy what leaves its range: Donchian channel breakout, with a stop that follows at a few ATR.

Shows what callbacks are for. `custom_stoploss` is asked while a trade is open; what it answers may
only tighten the stop. A callback sees the candles closed so far as `self.candles`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import talib

from engine.candles import Candles
from engine.strategy import Signals, Strategy, TradeView


class Breakout(Strategy):
    """Long on a close above the highest high of the last candles, out below the lowest low of fewer."""

    timeframe = "1m"
    startup_candles = 100

    minimal_roi: ClassVar = {"0": 10.0}  # never by profit alone: a trend may run
    stoploss = -0.05  # the widest the stop may ever be; the callback tightens it
    use_custom_stoploss = True

    entry_range = 40
    exit_range = 20
    atr_period = 14
    atr_multiple = 3.0

    def signals(self, candles: Candles) -> Signals:
        """A breakout is measured against the candles *before* this one, or nothing could break out."""
        highest = self._before(talib.MAX(candles.high, self.entry_range))
        lowest = self._before(talib.MIN(candles.low, self.exit_range))
        return Signals(
            enter_long=(candles.close > highest) & (candles.volume > 0),
            exit_long=candles.close < lowest,
            enter_tag=["donchian"] * len(candles),
        )

    def custom_stoploss(self, *, trade: TradeView, current_rate: float, **_others: Any) -> float | None:
        """The stop's distance from the current rate, as a ratio; None leaves the stop where it is."""
        recent = self.candles[-self.startup_candles :]
        atr = talib.ATR(recent.high, recent.low, recent.close, self.atr_period)
        if not len(atr) or np.isnan(atr[-1]):
            return None
        return float(self.atr_multiple * atr[-1] / current_rate * trade.leverage)

    @staticmethod
    def _before(values: np.ndarray) -> np.ndarray:
        """Every value moved to the next candle."""
        moved = np.full_like(values, np.nan)
        moved[1:] = values[:-1]
        return moved
