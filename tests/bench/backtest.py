"""A whole `tradepit backtest` as a user runs it: seconds of its stages and of the process, and peak memory.

The candles are made by this file from a seed, in Freqtrade's layout (Feather, LZ4) with the markets' steps
beside them, and the strategy is `strategies/ema_cross_roi.py`: its like is what peers are measured with. With
`--data` those of a folder are traded instead. The time is the best of some rounds; memory (PSS of all its
processes) is sampled in a round of its own, since looking costs time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.bots import children_of, pss_mb

STRATEGY: Final = Path(__file__).with_name("strategies") / "ema_cross_roi.py"
START_MS: Final = 1_672_531_200_000
STEP_MS: Final = 300_000
CONFIG: Final = """
[trading]
stake_amount = 100
max_open_trades = {slots}
[paper]
wallet = 1000000
"""


def make_pair(number: int, count: int) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, float]]:
    """A seeded walk of calm and wild times, four prices a candle, on steps of five digits; and the market's steps."""
    rng = np.random.default_rng([11, number])
    usual = math.exp(rng.uniform(math.log(0.02), math.log(40_000)))
    calm = np.repeat(rng.lognormal(0, 0.5, count // 288 + 1), 288)[:count]
    moves = rng.normal(0, rng.uniform(0.0006, 0.0018), (count, 4)) * calm[:, None]
    path = np.cumsum(moves.ravel()).reshape(count, 4)
    path = np.column_stack([np.append(0.0, path[:-1, -1]), path])
    step = 10.0 ** (math.floor(math.log10(usual)) - 4)
    digits = max(0, -round(math.log10(step)))
    prices = np.round(np.maximum(np.rint(usual * np.exp(path) / step), 1.0) * step, digits)
    columns = {"open": prices[:, 0], "high": prices.max(1), "low": prices.min(1), "close": prices[:, -1]}
    columns["volume"] = np.round(rng.lognormal(8, 0.7, count) / usual, 4) + 0.0001
    return columns, {"price": step, "amount": 10.0 ** -min(8, max(0, math.ceil(math.log10(usual)) + 2))}


def make_data(folder: Path, pairs: int, count: int) -> list[str]:
    """Write the candles of all pairs, and their markets; the pairs' names."""
    import pyarrow as pa
    from pyarrow import feather

    date = pa.array((START_MS + STEP_MS * np.arange(count)).astype("datetime64[ms]"), pa.timestamp("ms", "UTC"))
    markets = {}
    for number in range(pairs):
        columns, markets[f"B{number:03d}/USDT"] = make_pair(number, count)
        table = pa.table({"date": date, **columns})
        feather.write_feather(table, folder / f"B{number:03d}_USDT-5m.feather", compression="lz4")
    (folder / "markets.json").write_text(json.dumps(markets))
    return list(markets)


def run(words: list[str], *, sampled: bool) -> tuple[float, float, float, dict[str, Any]]:
    """One backtest: seconds, CPU seconds, peak memory in MiB (where it is sampled), and what it printed."""
    before = os.times()
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, subprocess.Popen([sys.executable, *words], stdout=out) as process:
        peak = 0.0
        while sampled and process.poll() is None:
            peak = max(peak, _memory(process.pid))
            time.sleep(0.01)
        process.wait()
        took = time.perf_counter() - began
        out.seek(0)
        if process.returncode:
            raise SystemExit(f"backtest: the command ended with status {process.returncode}")
        told = json.load(out)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return took, cpu, peak, told


def _memory(pid: int) -> float:
    total = 0.0
    for own in (pid, *children_of(pid)):
        try:
            total += pss_mb(own)
        except OSError:
            continue  # it has just ended
    return total


def main(arguments: list[str]) -> int:
    """Run the benchmark and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench backtest", description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--candles", type=int, default=105_120, help="of each pair")
    parser.add_argument("--slots", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, help="trade the first pairs of this folder instead")
    parser.add_argument("--export", type=Path, help="keep the trades there")
    parser.add_argument("--json", action="store_true", help="print JSON (always so)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="tradepit-bench-") as folder:
        place = Path(folder)
        data = given.data or place / "data"
        if given.data is None:
            data.mkdir()
            pairs = make_data(data, given.pairs, given.candles)
        else:
            pairs = sorted(file.name.split("-")[0].replace("_", "/") for file in data.glob("*-5m.*"))[: given.pairs]
        config = place / "config.toml"
        config.write_text(CONFIG.format(slots=given.slots))
        words = ["-m", "actors.cli", "backtest", "-c", str(config), "--strategy", str(STRATEGY), "--data", str(data)]
        words += ["--pairs", ",".join(pairs), "--export", str(given.export or place / "trades.json"), "--json"]
        rounds = [run(words, sampled=False) for _ in range(given.rounds)]
        _, _, peak, _ = run(words, sampled=True)
    took, cpu, _, told = min(rounds, key=lambda one: one[0])
    figures = {"bench": "backtest", "pairs": len(pairs), "candles": told["candles"], "trades": told["trades"]}
    seconds = {name: round(value, 3) for name, value in told["seconds"].items()}
    seconds["start and end"] = round(took - sum(told["seconds"].values()), 3)
    figures |= {"total_s": round(took, 3), "cpu_s": round(cpu, 3), "seconds": seconds, "peak_pss_mb": round(peak, 1)}
    print(json.dumps(figures))
    return 0
