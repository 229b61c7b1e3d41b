"""kill -9, of the whole bot at random moments, and of its helpers alone."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from tests.bots import Bot, Failed
from tests.showing.common import (
    ENTRIES,
    JUDGED,
    audited,
    busy,
    last_seq,
    latencies_ms,
    sql,
    steady,
    wait_until,
)

SPEED = 60.0


def bot(folder: Path, *, quick: bool) -> str:
    """Kill the trading process again and again; audit beside each next run."""
    pairs, times = (60, 5) if quick else (200, 20)
    chance = random.Random(7)  # moments to kill at
    one = Bot(folder, busy(pairs, SPEED))
    orders = 0
    for number in range(times):
        one.start()
        began = last_seq(one.files)
        one.wait_for("candles after a restart", f"{JUDGED} AND seq > {began}", 1, 60)
        report = audited(one.files, f"after kill {number}")
        time.sleep(chance.uniform(0.0, 4.0))
        one.check_alive()
        one.kill()
        orders = report["orders"]
    with one:
        one.wait_for("candles after the last kill", f"{JUDGED} AND seq > {last_seq(one.files)}", 3, 60)
    report = audited(one.files, "at the end")
    if report["orders"] <= orders // 2 or report["trades"] < times:
        raise Failed(f"only {report['trades']} trades and {report['orders']} orders: too quiet to show anything")
    return (
        f"{times} kills of {pairs} pairs at {SPEED:g}x; {report['trades']} trades, {report['orders']} orders,"
        f" {report['fills']} fills; every audit clean"
    )


def children(folder: Path, *, quick: bool) -> str:
    """Kill the history process, then a judge worker; trading goes on."""
    pairs = 60 if quick else 200
    with Bot(folder, busy(pairs, SPEED)) as one:
        one.wait_for("orders", ENTRIES, 10, 90)
        calm = latencies_ms(one, SPEED)
        mark = last_seq(one.files)
        history = _pid(one, "history")
        os.kill(history, signal.SIGKILL)
        one.wait_for("candles without a history", f"{JUDGED} AND seq > {mark}", 3, 30)
        wait_until("a new history process", lambda: _pid(one, "history") not in (0, history), 30)
        back = last_seq(one.files)
        disturbed = latencies_ms(one, SPEED, mark, back)
        one.wait_for("candles beside the new history", f"{JUDGED} AND seq > {back}", 8, 60)
        mark = last_seq(one.files)
        calm += latencies_ms(one, SPEED, back, mark)
        worker = _pid(one, "worker")
        os.kill(worker, signal.SIGKILL)
        one.wait_for("candles without a worker", f"{JUDGED} AND seq > {mark}", 6, 60)
        replaced = "SELECT count(*) FROM entries WHERE kind = 'WorkerReplaced'"
        one.wait_for("the worker's replacement in the journal", replaced, 1, 10)
    report = audited(one.files, "after both kills")
    restarts = sql(one.files, "SELECT name, reason FROM restarts ORDER BY seq")
    latency = steady(calm, disturbed, "when the history was killed")
    return (
        f"history killed: {latency}; worker killed and replaced;"
        f" {len(restarts)} restarts told; {report['orders']} orders, audit clean"
    )


def _pid(one: Bot, kind: str) -> int:
    return next((process.pid for process in one.processes() if process.kind == kind), 0)
