"""For tests and demonstrations: each pair enters when its turn comes, and leaves some candles later, or by its stop."""

from __future__ import annotations

from typing import ClassVar
from zlib import crc32

import numpy as np

from engine.candles import Candles
from engine.strategy import Signals, Strategy


class Turns(Strategy):
    """Signals by time and the pair's name: the same ones in every run, whatever the prices."""

    timeframe = "1s"
    startup_candles = 2
    minimal_roi: ClassVar = {"0": 10.0}
    stoploss = -0.02
    order_types: ClassVar = {"entry": "market", "exit": "market", "stoploss_on_exchange": True}
    can_short = False
    every = 8
    hold = 4
    offset = 0
    together = False

    def signals(self, candles: Candles) -> Signals:
        """Enter where the second and the pair's number meet; leave `hold` seconds later."""
        own = 0 if self.together else crc32(candles.pair.encode())
        turn = (candles.ts // 1_000 + own + self.offset) % self.every
        enter, leave = turn == 0, turn == self.hold
        none = np.zeros(len(turn), dtype=bool)
        if self.can_short and crc32(candles.pair.encode()) % 2:
            return Signals(enter_short=enter, exit_short=leave, enter_long=none, exit_long=none)
        return Signals(enter_long=enter, exit_long=leave)
