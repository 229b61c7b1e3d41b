"""Killed with -9 and started again: how long a live bot of many pairs takes until it trades, and what it asks for that.

The whole bot against the local exchange, whose every answer comes late by `--answer-ms`. Some pairs hold a position with
its stop, the others have traded before and hold nothing. Times are from the start of the process.

    account_s     until the account was looked at, and the run has begun
    answered_s    until every pair has been told what is true of it, and is counted
    placed_s      until the first order at the exchange
    weight        what the exchange has counted until every pair was answered; `reconciling` without candles
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from actors.sockets import call
from engine.errors import TradepitError
from tests.bots import Failed, ask
from tests.exchange.client import Exchange
from tests.live.bots import LiveBot, pairs_of
from tests.showing.common import JUDGED, last_seq


def answered_after(bot: LiveBot, began: float, timeout_s: float = 120.0) -> float:
    """Seconds from `began` until all pairs are counted."""
    while time.monotonic() - began < timeout_s:
        bot.check_alive()
        try:
            data: dict[str, Any] = call(bot.files.socket, {"request": "status"}, 5.0).get("data", {})
        except (TradepitError, OSError):
            data = {}
        if data.get("portfolio", {}).get("uncounted", -1) == 0:
            return time.monotonic() - began
        time.sleep(0.01)
    raise Failed(f"not every pair was answered within {timeout_s:g} s")


def restart(bot: LiveBot, exchange: Exchange) -> dict[str, Any]:
    """Kill, start, and measure."""
    bot.kill()
    wall, mark = time.time(), last_seq(bot.files)
    market = "futures" if exchange.futures else "spot"
    sent = len(exchange.control("requests")[market])
    exchange.control("limits", reset=True)
    began = time.monotonic()
    bot.start()
    answered = answered_after(bot, began)
    asked = exchange.control("requests")[market][sent:]
    weight = exchange.control("state")["markets"][market]["breaches"]["weight"]
    kinds = Counter(str(one[1]) for one in asked)
    candles = sum(n for name, n in kinds.items() if name.endswith("klines"))
    bot.wait_for("candles judged", f"{JUDGED} AND seq > {mark}", 1, 60)
    bot.wait_for("an order", f"SELECT count(*) FROM entries WHERE kind = 'OrderAccepted' AND seq > {mark}", 1, 90)
    times = {
        kind: ask(bot.files.journal, f"SELECT min(ts) FROM entries WHERE kind = '{kind}' AND seq > {mark}", default=())
        for kind in ("RunStarted", "OrderAccepted")
    }
    started, placed = (float(rows[0][0]) / 1_000 - wall for rows in times.values())
    return {
        "account_s": round(started, 2),
        "answered_s": round(answered, 2),
        "placed_s": round(placed, 2),
        "weight": weight,
        "reconciling": weight - candles * (5 if exchange.futures else 2),
        "requests": dict(kinds.most_common()),
    }


def main(arguments: list[str]) -> int:
    """Run the benchmark and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench restart", description=__doc__)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--answer-ms", type=float, default=50)
    parser.add_argument("--futures", action="store_true")
    parser.add_argument("--json", action="store_true", help="print JSON (always so)")
    given = parser.parse_args(arguments)
    arguments_of = ("--pairs", str(given.pairs), "--seed", "4", "--funds", "USDT=50000")
    try:
        with (
            tempfile.TemporaryDirectory(prefix="tradepit-bench-") as folder,
            Exchange(*arguments_of, futures=given.futures) as exchange,
        ):
            exchange.control("fault", kind="slow", endpoint="*", probability=1, seconds=given.answer_ms / 1_000)
            pairs = pairs_of(exchange, given.pairs)
            bot = LiveBot(Path(folder), exchange, pairs, strategy_parameters={"every": 60, "hold": 6})
            bot.start()
            bot.wait_for("closed trades", "SELECT count(*) FROM entries WHERE kind = 'TradeClosed'", given.pairs, 240)
            found = [restart(bot, exchange) for _ in range(given.rounds)]
            bot.end()
    except Failed as failed:
        print(f"restart: {failed}", file=sys.stderr)
        return 1
    names = [name for name in found[0] if name != "requests"]
    middle = {name: statistics.median(one[name] for one in found) for name in names}
    each = {f"{name}_each": [one[name] for one in found] for name in names}
    print(json.dumps({"bench": "restart", "pairs": given.pairs, **middle, **each, "requests": found[-1]["requests"]}))
    return 0
