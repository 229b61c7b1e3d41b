"""From the command to a bot that trades: 500 pairs, and a journal and a venue that remember 100,000 trades.

It trades when every pair has been reconciled with the venue and counted by the portfolio, and every pair's
window is filled. The past is written as a bot would have written it, in records of one trade each.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from actors.opening import open_journal
from actors.sockets import call
from engine.errors import TradepitError
from engine.messages import Entry, Record
from engine.types import use_money_context
from tests.bots import Bot, Failed, pss_mb
from tests.showing.common import JUDGED, busy

T0 = 1_767_225_600_000
VENUE_ORDER = (
    "INSERT INTO orders (order_id, client_order_id, pair, purpose, side, type, amount, price, time_in_force,"
    " reduce_only, leverage, tag, status, filled, cost, ts, updated_at, account, currency, locked)"
    " VALUES (?, ?, ?, ?, ?, 'market', '1', '10', 'GTC', 0, '1', '', 'FILLED', '1', '10', ?, ?, 'spot', 'USDT', '0')"
)


def write_past(bot: Bot, trades: int, pairs: list[str]) -> None:
    """Append `trades` closed trades to the journal, and their orders to the venue's record."""
    use_money_context()
    journal = open_journal(bot.files, now=T0).journal
    orders = []
    for start in range(0, trades, 1_000):
        records: list[Record] = []
        for number in range(start, min(start + 1_000, trades)):
            pair = pairs[number % len(pairs)]
            seq = journal.last(f"past:{pair}") + 1 + sum(r.writer == f"past:{pair}" for r in records[-600:])
            records.append(Record(writer=f"past:{pair}", seq=seq, entries=tuple(_trade(number, pair))))
            for part, side in ((1, "buy"), (2, "sell")):
                name = f"past{number}i{part}"
                orders.append((f"p{number}-{part}", name, pair, "entry" if part == 1 else "exit", side, T0, T0))
        journal.append(records)
    journal.close()
    with closing(sqlite3.connect(bot.files.venue)) as db:
        db.executemany(VENUE_ORDER, orders)
        db.commit()


def _trade(number: int, pair: str) -> list[Entry]:
    ids: dict[str, Any] = {"pair": pair, "trade_id": f"{pair}#0-{number}"}
    entries = []
    for part, (side, purpose) in enumerate((("buy", "entry"), ("sell", "exit")), 1):
        order = {**ids, "client_order_id": f"past{number}i{part}"}
        intent = {"purpose": purpose, "side": side, "type": "market", "amount": "1", "price": "10", "tag": "",
                  "trigger_price": None, "time_in_force": "GTC", "reduce_only": part == 2, "leverage": "1"}  # fmt: skip
        fill = {"fill_id": f"f{number}-{part}", "price": "10", "amount": "1", "fee": "0.01", "fee_currency": "USDT"}
        entries.append(Entry(kind="OrderIntended", ts=T0, body=order | intent))
        entries.append(Entry(kind="OrderAccepted", ts=T0, body={**order, "order_id": f"p{number}-{part}"}))
        entries.append(
            Entry(kind="OrderFilled", ts=T0, body={**order, **fill, "order_id": f"p{number}", "maker": False})
        )
    closed = {"side": "long", "open_ts": T0, "close_ts": T0, "open_rate": "10", "close_rate": "10", "amount": "1",
              "stake": "10", "leverage": "1", "fee_open": "0.001", "fee_close": "0.001", "profit_abs": "-0.02",
              "profit_ratio": "-0.002", "exit_reason": "exit_signal", "enter_tag": "", "max_rate": "10",
              "min_rate": "10", "initial_stop": "9", "stop": "9", "fees": []}  # fmt: skip
    entries.append(Entry(kind="TradeClosed", ts=T0, body=ids | closed))
    return entries


def ready_after(bot: Bot, pairs: int, timeout_s: float = 120.0) -> float:
    """Seconds until the running bot says that all pairs are counted and judged for."""
    began = time.monotonic()
    while time.monotonic() - began < timeout_s:
        bot.check_alive()
        try:
            data: dict[str, Any] = call(bot.files.socket, {"request": "status"}, 5.0).get("data", {})
        except (TradepitError, OSError):
            data = {}
        counted = data.get("portfolio", {}).get("uncounted", -1) == 0
        if counted and data.get("feed", {}).get("pairs", 0) == pairs:
            return time.monotonic() - began
        time.sleep(0.02)
    raise Failed(f"the bot was not ready after {timeout_s:g} s")


def main(arguments: list[str]) -> int:
    """Run the benchmark and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench startup", description=__doc__)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--trades", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON (always so)")
    given = parser.parse_args(arguments)
    found = []
    try:
        with tempfile.TemporaryDirectory(prefix="tradepit-bench-") as folder:
            bot = Bot(Path(folder), busy(given.pairs, 10.0))
            with bot:
                empty = ready_after(bot, given.pairs)
                bot.wait_for("first candle", JUDGED, 1, 60)
            write_past(bot, given.trades, [f"P{n}/USDT" for n in range(given.pairs)])
            for _ in range(given.rounds):
                with bot:
                    found.append(ready_after(bot, given.pairs))
                    memory = pss_mb(bot.pid)
    except Failed as failed:
        print(f"startup: {failed}", file=sys.stderr)
        return 1
    figures = {"bench": "startup", "pairs": given.pairs, "trades": given.trades, "empty_s": round(empty, 2)}
    times = sorted(round(f, 2) for f in found)
    print(json.dumps(figures | {"start_s": times[len(times) // 2], "start_s_each": times, "pss_mb": round(memory, 1)}))
    return 0
