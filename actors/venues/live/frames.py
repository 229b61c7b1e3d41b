"""What a venue's raw websocket frames say of candles that ccxt drops: that they have closed.

ccxt parses candles of these venues too, but leaves the flag out, so that a candle would show as closed with
the next one only: for a quiet pair minutes later. Each reader takes a decoded frame and gives its candles, or
None for a frame of another kind, which is ccxt's. Volumes are what `fetch_ohlcv` of the venue gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from engine.candles import Candle


class Frame(NamedTuple):
    """One candle as it stands: `market_id` is the venue's own name of the pair, `interval` of the timeframe."""

    market_id: str
    interval: str
    candle: Candle
    closed: bool


Reader = Callable[[Any, Any], Sequence[Frame] | None]
"""(ccxt's instance, a decoded frame) → the candles in it; raises what broken frames raise."""


def _binance(exchange: Any, message: Any) -> Sequence[Frame] | None:
    del exchange
    data = message.get("data", message) if isinstance(message, Mapping) else None
    if not isinstance(data, Mapping) or data.get("e") != "kline":
        return None
    k = data["k"]
    candle = Candle(int(k["t"]), *(_number(float(k[name])) for name in "ohlcv"))
    return (Frame(k["s"], k["i"], candle, bool(k["x"])),)


def _bybit(exchange: Any, message: Any) -> Sequence[Frame] | None:
    topic = message.get("topic") if isinstance(message, Mapping) else None
    if not isinstance(topic, str) or not topic.startswith("kline."):
        return None
    _, interval, market_id = topic.split(".", 2)
    return tuple(
        Frame(market_id, interval, Candle(*map(_number, exchange.parse_ws_ohlcv(row))), bool(row["confirm"]))
        for row in message["data"]
    )


def _okx(exchange: Any, message: Any) -> Sequence[Frame] | None:
    about = message.get("arg") if isinstance(message, Mapping) else None
    if not isinstance(about, Mapping) or "data" not in message:
        return None
    channel = str(about.get("channel"))
    if not channel.startswith("candle"):
        return None
    market = exchange.safe_market(about["instId"])
    return tuple(
        Frame(
            about["instId"],
            channel.removeprefix("candle"),
            Candle(*map(_number, exchange.parse_ohlcv(row, market))),
            row[8] == "1",
        )
        for row in message["data"]
    )


def _number(value: Any) -> Any:
    if value is None or not math.isfinite(value) or value < 0:
        raise ValueError(f"a candle with the value {value}")
    return value


READERS: Final[Mapping[str, Reader]] = {
    "binance": _binance,
    "binanceusdm": _binance,
    "binanceus": _binance,
    "bybit": _bybit,
    "okx": _okx,
}
"""By ccxt's name of the exchange. Others' candles are closed when a newer one comes, or by a question."""


def rows_of(answer: Any) -> list[Candle]:
    """The candles of a `fetch_ohlcv` or `watch_ohlcv` answer; a row that misses something is left out."""
    rows = []
    for row in answer if isinstance(answer, Sequence) else ():
        try:
            ts, opened, high, low, close, volume = row[:6]
            values = (float(opened), float(high), float(low), float(close), float(volume or 0.0))
            rows.append(Candle(int(_number(ts)), *map(_number, values)))
        except (TypeError, ValueError, OverflowError):
            continue
    return rows
