"""From the grant (or the decision to leave) until the order leaves the gateway, with all pairs running.

Some ten orders a second among 500 pairs at 60 times their speed. The figure is the journal's own
(`requests.waited_ms`, in market time): it holds the intent's way to the disk, the permit and the gateway.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.bots import Bot, Failed, pss_mb
from tests.showing.common import ENTRIES, JUDGED, busy, last_seq, latencies_ms, percentile


def main(arguments: list[str]) -> int:
    """Run the benchmark and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench grant_to_order", description=__doc__)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--speed", type=float, default=60.0, help="market seconds a second")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long orders are watched")
    parser.add_argument("--json", action="store_true", help="print JSON (always so)")
    given = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="tradepit-bench-") as folder:
            config = busy(given.pairs, given.speed, parameters={"every": given.pairs // 3})
            config["strategy"]["callback_deadline_ms"] = 500
            with Bot(Path(folder), config) as bot:
                bot.wait_for("first candle", JUDGED, 1, 120)
                bot.wait_for("first orders", ENTRIES, 20, 120)
                mark, began = last_seq(bot.files), time.monotonic()
                time.sleep(given.seconds)
                found = latencies_ms(bot, given.speed, mark)
                seconds = time.monotonic() - began
                memory = {process.kind: round(pss_mb(process.pid), 1) for process in bot.processes()}
    except Failed as failed:
        print(f"grant_to_order: {failed}", file=sys.stderr)
        return 1
    figures = {f"p{p:g}_ms": round(percentile(found, p), 2) for p in (50, 90, 99, 100)}
    rate = round(len(found) / seconds, 1)
    print(json.dumps({"bench": "grant_to_order", "pairs": given.pairs, "orders": len(found), "orders_per_s": rate}
                     | figures | {"pss_mb": memory}))  # fmt: skip
    return 0
