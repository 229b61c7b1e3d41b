"""For demonstrations: does to four pairs what no strategy should, and trades the others."""

from __future__ import annotations

import sys
from typing import ClassVar
from zlib import crc32

import talib

from engine.candles import Candles
from engine.strategy import Signals, Strategy


class Hostile(Strategy):
    """Raises for BTC, loops for ever for ETH, exits for SOL, eats memory for XRP, 90 candles after its start."""

    timeframe = "1m"
    startup_candles = 60
    minimal_roi: ClassVar = {"0": 10.0}
    stoploss = -0.05
    order_types: ClassVar = {"entry": "market", "exit": "market", "stoploss_on_exchange": True}
    every = 20
    since = 0

    def signals(self, candles: Candles) -> Signals:
        """Trade honestly until `since`, market time in ms."""
        if candles.ts[-1] >= self.since:
            _misbehave(candles.pair)
        fast, slow = talib.EMA(candles.close, 9), talib.EMA(candles.close, 21)
        known = (fast > 0) & (slow > 0)
        turn = (candles.ts // 60_000 + crc32(candles.pair.encode())) % self.every
        return Signals(enter_long=known & (turn == 0), exit_long=known & (turn == 15))


def _misbehave(pair: str) -> None:
    if pair == "BTC/USDT":
        raise RuntimeError("a bug of the user's")
    if pair == "ETH/USDT":
        while True:
            pass
    if pair == "SOL/USDT":
        sys.exit("a library's idea of an error")
    if pair == "XRP/USDT":
        hoard = []
        while True:
            hoard.append(bytearray(64 * 1_048_576))
