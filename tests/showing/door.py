"""The SQL door under attack, beside a bot that trades: refused, or costing the door only."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from actors.history.sql import run_query
from engine.errors import TradepitError
from tests.bots import Bot, Failed
from tests.showing.common import (
    ENTRIES,
    audited,
    busy,
    last_seq,
    latencies_ms,
    sql,
    steady,
    wait_until,
)

SPEED = 60.0
REFUSED = (
    "INSERT INTO trades (trade_id) VALUES ('x')",
    "DELETE FROM trades",
    "UPDATE trades SET pair = 'x'",
    "DROP TABLE trades",
    "COPY trades TO '/tmp/stolen.csv'",
    "SET memory_limit = '10GB'",
    "ATTACH '/tmp/other.duckdb'",
    "INSTALL httpfs",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM quack_serve('quack:localhost:1')",
    "CALL quack_stop('quack:localhost:1')",
    "SELECT nextval('x')",
    "SELECT getenv('HOME')",
    "SELECT * FROM tradepit_meta",
    "SELECT 1; DELETE FROM trades",
)
COSTLY = (
    "SELECT count(*) FROM (SELECT * FROM range(1000000000000)) WHERE range % 7 = 3",
    "SELECT len(list(range)) FROM range(700000000)",
)


def show(folder: Path, *, quick: bool) -> str:
    """Ask once a second, attack meanwhile, and compare the orders' latency with that before and after."""
    pairs = 60 if quick else 500
    seconds = {"statement_seconds": 3 if quick else 10}
    with Bot(folder, busy(pairs, SPEED, history=seconds)) as bot:
        bot.wait_for("orders", ENTRIES, 10, 120)
        wait_until("the door", lambda: _answers(bot), 30)
        time.sleep(5 if quick else 20)
        calm = latencies_ms(bot, SPEED)
        mark = last_seq(bot.files)
        asked, ended = [0], threading.Event()
        client = threading.Thread(target=_ask_each_second, args=(bot, asked, ended))
        client.start()
        try:
            for statement in REFUSED:
                if _answers(bot, statement):
                    raise Failed(f"the door executed: {statement}")
            for statement in COSTLY:
                _answers(bot, statement)
                bot.check_alive()
                wait_until("the door after a costly statement", lambda: _answers(bot), 40)
        finally:
            ended.set()
            client.join()
        over = last_seq(bot.files)
        attacked = latencies_ms(bot, SPEED, mark, over)
        time.sleep(5 if quick else 20)
        calm += latencies_ms(bot, SPEED, over)
        rows = sql(bot.files, "SELECT count(*) AS n FROM trades")[0]["n"]
    audited(bot.files, "after the attack")
    latency = steady(calm, attacked, "under attack")
    return (
        f"{len(REFUSED)} statements refused, {len(COSTLY)} cost the door only, {asked[0]} questions answered beside them;"
        f" {rows} trades; {latency}; audit clean"
    )


def _answers(bot: Bot, query: str = "SELECT count(*) FROM trades") -> bool:
    """Whether a DuckDB client gets an answer; one in this process, since starting `tradepit sql` costs more."""
    try:
        run_query(bot.files.db, query)
    except TradepitError:
        return False
    return True


def _ask_each_second(bot: Bot, asked: list[int], ended: threading.Event) -> None:
    while not ended.wait(1.0):
        asked[0] += _answers(bot)
