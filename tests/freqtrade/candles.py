"""Seeded candles of two pairs in two timeframes, written as Freqtrade writes them: for it and for us alike."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather

PAIRS = ("AAA/USDT", "BBB/USDT")
COUNT = 2_400
START = 1_700_006_400_000  # a full hour


def columns(seed: int, count: int = COUNT) -> dict[str, np.ndarray]:
    """5m candles: a random walk in cents, with bursts."""
    random = np.random.RandomState(seed)
    burst = np.where(random.uniform(size=count) < 0.03, 4.0, 1.0)
    close = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.0022, count) * burst)), 2)
    open_ = np.concatenate([[100.0], close[:-1]])
    high = np.round(np.maximum(open_, close) * (1 + np.abs(random.normal(0, 0.0011, count))), 2)
    low = np.round(np.minimum(open_, close) * (1 - np.abs(random.normal(0, 0.0011, count))), 2)
    volume = np.round(random.uniform(1, 90, count), 3)
    ts = START + 300_000 * np.arange(count)
    return {"ts": ts, "open": open_, "high": high, "low": low, "close": close, "volume": volume}


def hourly(fast: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same in candles of an hour."""
    parts = {name: values.reshape(-1, 12) for name, values in fast.items()}
    return {
        "ts": parts["ts"][:, 0],
        "open": parts["open"][:, 0],
        "high": parts["high"].max(axis=1),
        "low": parts["low"].min(axis=1),
        "close": parts["close"][:, -1],
        "volume": np.round(parts["volume"].sum(axis=1), 3),
    }


def write(folder: Path) -> None:
    """Both pairs and timeframes as Feather files."""
    for seed, pair in enumerate(PAIRS, start=11):
        fast = columns(seed)
        for timeframe, candles in (("5m", fast), ("1h", hourly(fast))):
            dates = pa.array(candles["ts"].astype("M8[ms]"), pa.timestamp("ms", "UTC"))
            table = {"date": dates, **{name: candles[name] for name in ("open", "high", "low", "close", "volume")}}
            name = f"{pair.replace('/', '_')}-{timeframe}.feather"
            pyarrow.feather.write_feather(pa.table(table), folder / name)
