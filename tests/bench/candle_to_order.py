"""What an entry in every pair at once costs, from the candle's close to the last order at the venue.

The real bot: threads, judge workers, a journal on disk, the paper venue. Every two milliseconds the CPU
clocks of all its processes are read, each to the nanosecond. When an order came to the venue is the
venue's own record, in market time, whose speed is known.

    cpu_to_first_order_s, cpu_to_last_order_s   from the candle's close to that order at the venue; whatever
                                                 the processes did in that time is in it, nothing is taken off
    cpu_until_quiet_s                            until fills, acknowledgements and the history's rows are done
                                                 too; what the bot uses anyhow (its rate just before the close,
                                                 and with all positions open just after) is taken off

Each for all processes, and as `cpu_trading_…` for the trading process alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from bisect import bisect
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bots import Bot, Failed, ask, pss_mb, running

CYCLE: Final = 4
"""Candles between two candles with entries."""

BEFORE_S: Final = 1.5
AFTER_S: Final = 2.0
SAMPLE_S: Final = 0.002
EACH: Final = ("cpu_to_last_order_s", "cpu_until_quiet_s", "last_order_s")
STRATEGY: Final = Path(__file__).with_name("strategies") / "everybody.py"


@dataclass(frozen=True, slots=True)
class Sample:
    """CPU seconds at a moment: of all processes, and of the trading process."""

    at: float
    everybody: float
    trading: float


def config_of(pairs: int, rtt_ms: int, speed: float, **strategy: Any) -> dict[str, dict[str, Any]]:
    """A bot without limits on requests or capital."""
    return {
        "trading": {"max_open_trades": pairs, "stake_amount": 100},
        "strategy": {"name": str(STRATEGY), **strategy},
        "feed": {"source": "market", "pairs": pairs, "speed": speed},
        "paper": {
            "wallet": 200 * pairs + 10_000,
            "latency_ms": rtt_ms,
            "depth": 10_000_000,
            "weight_per_minute": 10_000_000,
            "orders_per_10s": 1_000_000,
            "orders_per_day": 10_000_000,
        },
    }


def _cpu_clock(pid: int) -> int:
    """The number of a process's CPU clock, as Linux makes it (`clock_getcpuclockid`)."""
    return (~pid << 3) | 2


def watch(bot: Bot, until: float) -> list[Sample]:
    """Samples until a moment; children are looked for once, as that is dear."""
    clocks = [_cpu_clock(process.pid) for process in bot.processes()]
    samples = []
    while (now := time.time()) < until:
        used = [time.clock_gettime(clock) for clock in clocks]
        samples.append(Sample(now, sum(used), used[0]))
        time.sleep(SAMPLE_S)
    return samples


def measure(bot: Bot, pairs: int, speed: float) -> dict[str, float]:
    """Wait for the next candle with entries, and measure it."""
    cycle_ms = CYCLE * 60_000
    # A candle that opens in minute 1 of the cycle closes at its minute 2.
    close = (int(bot.market_now() + BEFORE_S * 2_000 * speed) // cycle_ms + 1) * cycle_ms + 120_000
    wall = bot.wall_of(close)
    time.sleep(max(0.0, wall - BEFORE_S - time.time()))
    candle_s = 60 / speed
    samples = watch(bot, wall + min(candle_s - 0.5, candle_s * 0.9))
    query = f"SELECT ts FROM orders WHERE purpose = 'entry' AND ts >= {close} AND ts < {close + 60_000} ORDER BY ts"
    orders = [bot.wall_of(row[0]) - wall for row in ask(bot.files.venue, query, default=())]
    if len(orders) < pairs:
        raise Failed(f"{len(orders)} of {pairs} entries came within the candle")
    found = {"first_order_s": orders[0], "last_order_s": orders[-1]}
    for name, who in (("cpu", "everybody"), ("cpu_trading", "trading")):
        closed = _at(samples, wall, who)
        found[f"{name}_to_first_order_s"] = _at(samples, wall + orders[0], who) - closed
        found[f"{name}_to_last_order_s"] = _at(samples, wall + orders[-1], who) - closed
        found[f"{name}_until_quiet_s"] = _until_quiet(samples, wall, wall + orders[-1], who)
    return found


def _at(samples: list[Sample], moment: float, who: str) -> float:
    """The CPU used until a moment, between two samples in proportion."""
    later = bisect(samples, moment, key=lambda s: s.at)
    a, b = samples[later - 1], samples[later]
    start, end = getattr(a, who), getattr(b, who)
    return float(start + (end - start) * (moment - a.at) / (b.at - a.at))


def _until_quiet(samples: list[Sample], wall: float, end: float, who: str) -> float:
    """CPU from the close until all is quiet again, without what is used at all times."""
    before = [s for s in samples if s.at <= wall - 0.05]
    after = [s for s in samples if s.at >= max(end + 0.3, samples[-1].at - AFTER_S)]
    idle, held = _rate(before, who), _rate(after, who)
    first, last = before[-1], after[0]
    used = float(getattr(last, who) - getattr(first, who))
    return used - idle * (end - first.at) - held * (last.at - end)


def _rate(samples: list[Sample], who: str) -> float:
    first, last = samples[0], samples[-1]
    return float((getattr(last, who) - getattr(first, who)) / (last.at - first.at))


def bench(pairs: int, rtt_ms: int, rounds: int, speed: float) -> dict[str, Any]:
    """Measure one number of pairs; medians over the candles."""
    with tempfile.TemporaryDirectory(prefix="tradepit-bench-") as folder:
        began = time.monotonic()
        with running(Path(folder), config_of(pairs, rtt_ms, speed)) as bot:
            started = time.monotonic() - began
            found = [measure(bot, pairs, speed) for _ in range(rounds)]
            memory = pss_mb(bot.pid)
    middle = {name: round(statistics.median(f[name] for f in found), 4) for name in found[0]}
    each = {f"{name}_each": [round(f[name], 4) for f in found] for name in EACH}
    return {
        "pairs": pairs,
        "rtt_ms": rtt_ms,
        **middle,
        **each,
        "pss_mb": round(memory, 1),
        "start_s": round(started, 1),
    }


def main(arguments: list[str]) -> int:
    """Run the benchmark and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench candle_to_order", description=__doc__)
    parser.add_argument("--pairs", default="100,500", help="numbers of pairs, with commas between")
    parser.add_argument("--rtt-ms", type=int, default=0, help="how long the venue takes to answer")
    parser.add_argument("--rounds", type=int, default=3, help="candles with entries")
    parser.add_argument("--speed", type=float, default=6.0, help="market seconds a second")
    parser.add_argument("--json", action="store_true", help="print JSON (always so)")
    given = parser.parse_args(arguments)
    try:
        results = [bench(int(n), given.rtt_ms, given.rounds, given.speed) for n in given.pairs.split(",")]
    except Failed as failed:
        print(f"candle_to_order: {failed}", file=sys.stderr)
        return 1
    print(json.dumps({"bench": "candle_to_order", "results": results}))
    return 0
