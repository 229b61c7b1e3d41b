"""From the exchange's tick to our exit order, the bot being the guard: a live bot on the local exchange, over real sockets.

The bot holds a position on every pair, and no stop stands at the exchange. One pair after another jumps beneath its
stop, while all others go on moving. The exchange tells both times, by its one clock: when the price was traded there,
and when the exit order was accepted there. All between is measured: its frame, both sockets, ccxt, the feed, the pair,
the record on disk, the permit, the signature, and the exchange's own work on both ends, which nobody takes off.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from tests.bots import Failed
from tests.exchange.client import Exchange
from tests.live.bots import LiveBot, pairs_of
from tests.live.ledger import placed
from tests.showing.common import percentile, wait_until

FALL: Final = 0.95
EVERY_S: Final = 0.2
"""From one stop-out to the next: they come one after another, not in one heap."""

OPENED: Final = "SELECT count(*) FROM entries WHERE kind = 'TradeOpened'"
ORDERS: Final = {"10S": 100_000, "1D": 10_000_000}
QUIET: Final = {"entry": "market", "exit": "market", "stoploss_on_exchange": False}


def main(arguments: list[str]) -> int:
    """Run the benchmark and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench live_stop", description=__doc__)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3, help="how often each pair is entered and stopped out")
    parser.add_argument("--rate", type=float, default=2.0, help="ticks a second of each pair beside them")
    parser.add_argument("--timeframe", default="1m")
    parser.add_argument("--json", action="store_true", help="print JSON (always so)")
    given = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="tradepit-bench-") as folder:
            found = measure(Path(folder), given.pairs, given.rounds, given.rate, given.timeframe)
    except Failed as failed:
        print(f"live_stop: {failed}", file=sys.stderr)
        return 1
    figures = {f"p{p:g}_ms": round(percentile(found, p), 1) for p in (50, 90, 99, 100)}
    print(json.dumps({"bench": "live_stop", "pairs": given.pairs, "stop_outs": len(found)} | figures))
    return 0


def measure(folder: Path, pairs: int, rounds: int, rate: float, timeframe: str) -> list[float]:
    """Milliseconds of each stop-out, sorted."""
    arguments = ("--pairs", str(pairs), "--seed", "9", "--rate", str(rate), "--volatility", "0.00002")
    found: list[float] = []
    with Exchange(*arguments, "--funds", "USDT=20000") as exchange:
        exchange.control("limits", orders=ORDERS)
        names = pairs_of(exchange, pairs)
        sections: dict[str, Any] = {
            "live": {"stops_on_exchange": False},
            "strategy_parameters": {"every": 1, "hold": -1, "together": True},
            "strategy_overrides": {"timeframe": timeframe, "order_types": QUIET},
            "runtime": {"log_level": "WARNING"},
        }
        with LiveBot(folder, exchange, names, **sections) as bot:
            for number in range(rounds):
                bot.wait_for("open trades", OPENED, pairs * (number + 1), 180)
                time.sleep(3.0)
                found += _stop_all_out(exchange, names)
    return sorted(found)


def _stop_all_out(exchange: Exchange, names: list[str]) -> list[float]:
    """How long each took from its tick to its order."""
    fell: dict[str, float] = {}
    for name in names:
        symbol = name.replace("/", "")
        price = float(exchange.control("state")["markets"]["spot"]["pairs"][symbol]["price"])
        fell[symbol] = float(exchange.control("price", symbol=symbol, price=price * FALL)["ts"])
        time.sleep(EVERY_S)
    wait_until("all exits", lambda: len(_exits(exchange, fell)) == len(fell), 30)
    exits = _exits(exchange, fell)
    return [exits[symbol] - at for symbol, at in fell.items()]


def _exits(exchange: Exchange, fell: dict[str, float]) -> dict[str, float]:
    """When the first exit order of each pair was accepted after its price fell."""
    found: dict[str, float] = {}
    for order in placed(exchange.control("ledger")):
        symbol, at = order["symbol"], float(order["created"])
        if order["side"] == "SELL" and at >= fell.get(symbol, at + 1):
            found.setdefault(symbol, at)
    return found
