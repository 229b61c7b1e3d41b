"""A market for tests, tick by tick, and orders for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from actors.venues.ports import PriceRange
from actors.venues.trading import Permit
from engine.candles import Candle, Candles
from engine.margin import FundingRate
from engine.market import Market
from engine.order import Order
from engine.types import ONE, Millis, OrderSide, OrderType, Purpose

D = Decimal
PAIR = "BTC/USDT"

PERMIT = Permit("1.1.99999999999", 99_999_999_999)


def undisturbed() -> None:
    """A wake-up call that nobody waits for."""


class Ticks:
    """A market told by the test: (time, price) of each pair, and a volume for every candle."""

    def __init__(self, ticks: Mapping[str, Sequence[tuple[Millis, float]]], volume: float = 1e6) -> None:
        self.ticks = dict(ticks)
        self.volume = volume
        self.looks = 0
        self.rates: list[FundingRate] = []

    @property
    def pairs(self) -> tuple[str, ...]:
        return tuple(self.ticks)

    def markets(self) -> Mapping[str, Market]:
        return {
            pair: Market(
                pair=pair,
                base=pair.partition("/")[0],
                quote="USDT",
                price_step=D("0.01"),
                amount_step=D("0.001"),
                cost_min=D(5),
            )
            for pair in self.ticks
        }

    def span(self) -> tuple[Millis, Millis | None]:
        return 0, None

    def history(self, pairs: Sequence[str], timeframe_ms: Millis, before: Millis, count: int) -> Mapping[str, Candles]:
        assert count == 1
        one = np.array([1.0])
        ts = np.array([(before - 1) // timeframe_ms * timeframe_ms])
        return {
            p: Candles(pair=p, timeframe="1m", ts=ts, open=one, high=one, low=one, close=one, volume=one * self.volume)
            for p in pairs
        }

    def closed(self, pairs: Sequence[str], timeframe_ms: Millis, ts: Millis) -> Sequence[tuple[str, Candle]]:
        return []

    def ranges(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[PriceRange]:
        self.looks += 1
        found = []
        for pair in pairs:
            inside = [(ts, price) for ts, price in self.ticks[pair] if after < ts <= until]
            if inside:
                prices = [price for _, price in inside]
                found.append(PriceRange(pair, inside[-1][0], prices[0], max(prices), min(prices), prices[-1]))
        return found

    def funding(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[FundingRate]:
        return [rate for rate in self.rates if rate.pair in pairs and after < rate.ts <= until]

    def prices(self, pairs: Sequence[str], at: Millis) -> Sequence[PriceRange]:
        found = []
        for pair in pairs:
            before = [price for ts, price in self.ticks[pair] if ts <= at]
            if before:
                found.append(PriceRange(pair, at, *before[-1:] * 4))
        return found


def an_order(client_id: str = "a", **changes: Any) -> Order:
    order = Order(
        pair=PAIR,
        client_order_id=client_id,
        purpose=Purpose.ENTRY,
        side=OrderSide.BUY,
        type=OrderType.LIMIT,
        amount=ONE,
        price=D(99),
        created_at=0,
    )
    return replace(order, **changes)
