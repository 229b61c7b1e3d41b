"""From a price tick to the decision of a stop: 500 pairs that run at 60 times their speed, 100 open trades.

The bot is built in this process, so that ticks can be put in by hand: each open trade is told a price
beneath its stop while all the rest goes on. The decision's time is that of the recorded intent to leave.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from loguru import logger

from actors.config_file import read_config
from actors.files import Files, RunLock
from actors.judging.facts import load_facts
from actors.system import build_system
from engine.messages import MarketRange
from engine.types import use_money_context
from tests.bots import Failed, ask, toml
from tests.showing.common import busy, percentile

OPENED = "SELECT json_extract(body, '$.pair'), json_extract(body, '$.stop') FROM entries WHERE kind = 'TradeOpened'"
LEFT = (
    "SELECT json_extract(body, '$.pair'), ts FROM entries WHERE kind IN ('OrderIntended', 'OrderCanceled')"
    " AND seq > {} AND coalesce(json_extract(body, '$.purpose'), 'cancel') <> 'entry'"
    " AND coalesce(json_extract(body, '$.purpose'), 'cancel') <> 'stop'"
)


def main(arguments: list[str]) -> int:
    """Run the benchmark and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench tick_to_stop", description=__doc__)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--trades", type=int, default=100)
    parser.add_argument("--speed", type=float, default=60.0, help="market seconds a second")
    parser.add_argument("--json", action="store_true", help="print JSON (always so)")
    given = parser.parse_args(arguments)
    use_money_context()
    logger.remove()  # the bot runs in this process; its log is no part of the figures
    try:
        with tempfile.TemporaryDirectory(prefix="tradepit-bench-") as folder:
            found = measure(Path(folder), given.pairs, given.trades, given.speed)
    except Failed as failed:
        print(f"tick_to_stop: {failed}", file=sys.stderr)
        return 1
    figures = {f"p{p:g}_ms": round(percentile(found, p), 2) for p in (50, 90, 99, 100)}
    print(json.dumps({"bench": "tick_to_stop", "pairs": given.pairs, "ticks": len(found)} | figures))
    return 0


def measure(folder: Path, pairs: int, trades: int, speed: float) -> list[float]:
    """Milliseconds of each tick, sorted."""
    settings = busy(pairs, speed, trading={"max_open_trades": trades}, parameters={"every": 50})
    settings["strategy"]["name"] = str(Path(__file__).with_name("strategies") / "stayers.py")
    path = folder / "config.toml"
    path.write_text(toml(settings), encoding="utf-8")
    config = read_config(path)
    files = Files.beside(folder / "x.duckdb")
    lock = RunLock(files.lock)
    system = build_system(config, load_facts(config.strategy), files)
    system.start()
    try:
        deadline = time.monotonic() + 120
        while len(opened := ask(files.journal, OPENED, default=())) < trades:
            if time.monotonic() > deadline:
                raise Failed(f"{len(opened)} of {trades} trades were open after 120 s")
            time.sleep(0.2)
        return _tick(system.runtime, files, dict(opened), speed)
    finally:
        system.shut_down()
        lock.release()


def _tick(runtime: Any, files: Files, stops: dict[str, str], speed: float) -> list[float]:
    mark = int(ask(files.journal, "SELECT max(seq) FROM entries", default=((0,),))[0][0])
    sent: dict[str, int] = {}
    for pair, stop in stops.items():
        price = Decimal(stop) * Decimal("0.99")
        sent[pair] = now = runtime.now()
        runtime.tell(f"pair:{pair}", MarketRange(pair=pair, ts=now, open=price, high=price, low=price, close=price))
        time.sleep(0.03)  # ticks come one after another, not in one heap
    time.sleep(2.0)
    first: dict[str, int] = {}
    for pair, ts in ask(files.journal, LEFT.format(mark) + " ORDER BY seq", default=()):
        if pair in sent and ts >= sent[pair]:
            first.setdefault(pair, ts)
    if len(first) < len(sent) * 0.9:
        raise Failed(f"{len(first)} of {len(sent)} ticks led to a decision")
    return sorted((ts - sent[pair]) / speed for pair, ts in first.items())
