"""Candles in raw frames: what venues say of a candle's end, read off what their documentation shows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.venues.live.frames import READERS, Frame, rows_of
from engine.candles import Candle

KLINE = {
    "e": "kline",
    "E": 1_672_515_782_136,
    "s": "BNBBTC",
    "k": {
        "t": 1_672_515_780_000,
        "T": 1_672_515_839_999,
        "s": "BNBBTC",
        "i": "1m",
        "o": "0.0010",
        "c": "0.0020",
        "h": "0.0025",
        "l": "0.0009",
        "v": "1000",
        "x": False,
    },
}


def read(name: str, message: Any) -> Any:
    """What the reader of an exchange makes of a frame; ccxt's own class is asked where the reader asks it."""

    async def work() -> Any:
        import ccxt.pro

        instance = getattr(ccxt.pro, name)()
        try:
            return READERS[name](instance, message)
        finally:
            await instance.close()

    return asyncio.run(work())


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("closed", [False, True])
def test_binance_says_when_a_candle_has_closed(*, wrapped: bool, closed: bool) -> None:
    """`k.x` is the flag, in a combined stream's wrapper too."""
    message: dict[str, Any] = {**KLINE, "k": {**KLINE["k"], "x": closed}}  # type: ignore[dict-item]
    frame = Frame("BNBBTC", "1m", Candle(1_672_515_780_000, 0.0010, 0.0025, 0.0009, 0.0020, 1000.0), closed)

    found = READERS["binance"](None, {"stream": "bnbbtc@kline_1m", "data": message} if wrapped else message)
    assert found == (frame,)


@pytest.mark.parametrize("confirm", [False, True])
def test_bybit_says_when_a_candle_has_closed(*, confirm: bool) -> None:
    """`confirm` is the flag; the topic names interval and market."""
    row = {
        "start": 1_672_324_800_000,
        "end": 1_672_325_099_999,
        "interval": "5",
        "open": "16649.5",
        "close": "16677",
        "high": "16677",
        "low": "16608",
        "volume": "2.081",
        "turnover": "34666.4005",
        "confirm": confirm,
        "timestamp": 1_672_324_988_882,
    }
    frame = Frame("5", "5", Candle(1_672_324_800_000, 16649.5, 16677.0, 16608.0, 16677.0, 2.081), confirm)

    found = read("bybit", {"topic": "kline.5.BTCUSDT", "data": [row], "ts": 1, "type": "snapshot"})
    assert found == (frame._replace(market_id="BTCUSDT"),)


@pytest.mark.parametrize("confirm", ["0", "1"])
def test_okx_says_when_a_candle_has_closed(confirm: str) -> None:
    """The ninth value is the flag."""
    row = ["1597026360000", "8533.02", "8553.74", "8527.17", "8548.26", "45247", "529.5858061", "5529.5858061", confirm]
    found = read("okx", {"arg": {"channel": "candle1m", "instId": "BTC-USDT"}, "data": [row]})

    assert [(f.market_id, f.interval, f.closed) for f in found] == [("BTC-USDT", "1m", confirm == "1")]
    assert found[0].candle[:5] == (1_597_026_360_000, 8533.02, 8553.74, 8527.17, 8548.26)


@pytest.mark.parametrize("name", sorted(READERS))
def test_other_frames_are_left_to_ccxt(name: str) -> None:
    """What is no candle is none of ours."""
    others: list[Any] = [{"result": None, "id": 1}, {"e": "trade"}, [], "pong", {"arg": None}, {"topic": 1}]

    assert [READERS[name](None, message) for message in others] == [None] * len(others)


@pytest.mark.parametrize("field", ["t", "o", "v", "x"])
def test_a_candle_that_misses_something_cannot_be_read(field: str) -> None:
    """A frame of a candle without one of its values is broken: whoever reads ends the stream."""
    broken = {**KLINE, "k": {name: value for name, value in KLINE["k"].items() if name != field}}  # type: ignore[attr-defined]

    with pytest.raises((KeyError, TypeError, ValueError)):
        READERS["binance"](None, broken)


def test_rows_that_miss_something_are_left_out() -> None:
    """Of an answer's rows those are taken that are candles."""
    whole = [1_000, 1, "2", 0.5, 1.5, None]

    assert rows_of([whole, [1_000], None, [None, 1, 1, 1, 1, 1], ["x", 1, 1, 1, 1, 1]]) == [
        Candle(1_000, 1.0, 2.0, 0.5, 1.5, 0.0)
    ]
    assert rows_of(None) == []
