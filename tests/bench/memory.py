"""Memory (PSS) of each process of a bot with 500 pairs, some minutes of market time after its start."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.bots import Bot, Failed, pss_mb
from tests.showing.common import JUDGED, busy


def main(arguments: list[str]) -> int:
    """Run the benchmark and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench memory", description=__doc__)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--speed", type=float, default=60.0, help="market seconds a second")
    parser.add_argument("--candles", type=int, default=20, help="how many are judged before the measurement")
    parser.add_argument("--json", action="store_true", help="print JSON (always so)")
    given = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="tradepit-bench-") as folder:
            began = time.monotonic()
            with Bot(Path(folder), busy(given.pairs, given.speed)) as bot:
                bot.wait_for("first candle", JUDGED, 1, 120)
                first = time.monotonic() - began
                bot.wait_for("candles", JUDGED, given.candles, 240)
                memory: dict[str, list[float]] = {}
                for process in bot.processes():
                    memory.setdefault(process.kind, []).append(round(pss_mb(process.pid), 1))
    except Failed as failed:
        print(f"memory: {failed}", file=sys.stderr)
        return 1
    figures = {"bench": "memory", "pairs": given.pairs, "first_candle_s": round(first, 1), "pss_mb": memory}
    print(json.dumps(figures))
    return 0
