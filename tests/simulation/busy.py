"""Strategies for the simulation: they trade all the time, by a number made of the candle's time and the pair."""

from __future__ import annotations

import zlib
from typing import Any, ClassVar

import numpy as np

from engine.candles import Candles
from engine.strategy import Signals, Strategy, TradeView


class Busy(Strategy):
    """Enters a third of the candles, leaves by signal at every fifth, by ROI and stop in between."""

    timeframe = "1m"
    startup_candles = 1
    minimal_roi: ClassVar = {"0": 0.001, "2": 0.0}
    stoploss = -0.002

    def signals(self, candles: Candles) -> Signals:
        """The same for equal candles, whatever was before."""
        minutes = candles.ts // 60_000
        drawn = (minutes * 2_654_435_761 + zlib.crc32(candles.pair.encode())) >> 7
        return Signals(
            enter_long=drawn % 2 == 0,
            exit_long=drawn % 5 == 1,
            enter_short=drawn % 7 == 2,
            exit_short=drawn % 5 == 3,
            score=(drawn % 11).astype(np.float64),
        )


class Asked(Busy):
    """The same, and it has something to say of every entry, stop and exit; sometimes nonsense."""

    use_custom_stoploss = True

    def confirm_trade_entry(self, pair: str, current_time: int, **_: Any) -> bool:
        """Deny some entries."""
        return (current_time // 60_000 + zlib.crc32(pair.encode())) % 4 != 0

    def custom_stoploss(self, trade: TradeView, current_profit: float, **_: Any) -> float | None:
        """Follow a profit closely."""
        return -0.002 if current_profit > 0.001 else None

    def custom_exit(self, trade: TradeView, current_time: int, **_: Any) -> str | None:
        """Leave old trades with words of its own; raise at times."""
        age = current_time - trade.open_ts
        if age > 400_000:
            return "old enough"
        if age > 200_000 and zlib.crc32(trade.trade_id.encode()) % 9 == 0:
            raise ValueError("a bug in a strategy")
        return None
