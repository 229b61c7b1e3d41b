"""Strategies that raise, loop, exit and eat memory; actors killed by hand: the other pairs trade on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.bots import Bot, Failed, ask, command
from tests.showing.common import (
    ENTRIES,
    JUDGED,
    audited,
    busy,
    last_seq,
    latencies_ms,
    percentile,
    sql,
)

SPEED = 20.0
START_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1_000)
BAD = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT")


def strategies(folder: Path, *, quick: bool) -> str:
    """Four pairs' strategies turn hostile in the midst of a run."""
    pairs, calm_candles = (40, 8) if quick else (200, 15)
    parameters = {"since": START_MS + calm_candles * 60_000}
    config = busy(pairs, SPEED, strategy="hostile.py", parameters=parameters)
    config["strategy"] |= {"deadline_ms": 500, "memory_mb": 512}
    with Bot(folder, config) as bot:
        bot.wait_for("candles", JUDGED, calm_candles - 2, 120)
        calm = latencies_ms(bot, SPEED)
        mark = last_seq(bot.files)
        bot.wait_for("candles beside hostile strategies", f"{JUDGED} AND seq > {mark}", 12, 180)
        beside = latencies_ms(bot, SPEED, mark)
        query = f"SELECT count(DISTINCT json_extract(body, '$.pair')) FROM entries WHERE kind = 'OrderIntended' AND seq > {mark}"
        traded = int(ask(bot.files.journal, query, default=((0,),))[0][0])
    audited(bot.files, "after hostile strategies")
    failures = sql(
        bot.files,
        "SELECT pair, count(*) AS n, min(detail) AS detail FROM decisions WHERE outcome = 'failed' GROUP BY pair ORDER BY pair",
    )
    missing = set(BAD) - {str(row["pair"]) for row in failures}
    if missing:
        raise Failed(f"nothing in `decisions` tells of {', '.join(sorted(missing))}")
    innocent = {str(row["pair"]) for row in failures} - set(BAD)
    if innocent and not quick and len(innocent) > pairs // 20:
        raise Failed(f"{len(innocent)} innocent pairs failed too, such as {min(innocent)}")
    if traded < 3:
        raise Failed(f"only {traded} pairs traded beside the hostile ones")
    restarts = sql(bot.files, "SELECT count(*) AS n FROM restarts WHERE name LIKE 'worker%'")[0]["n"]
    return (
        f"raise, loop, exit, memory on one pair each of {pairs}: {traded} pairs traded beside them, {restarts} workers"
        f" replaced, {len(innocent)} innocent pairs missed a candle; order latency p99"
        f" {percentile(calm, 99):.1f} → {percentile(beside, 99):.1f} ms; audit clean"
    )


def actors(folder: Path, *, quick: bool) -> str:
    """Gateway, portfolio, persistence, limiter, feed, a judge and a pair, each made to crash."""
    pairs = 40 if quick else 200
    names = ("gateway", "portfolio", "persistence", "limiter", "feed", "judge:0", "pair:ADA/USDT", "notifier")
    with Bot(folder, busy(pairs, 60.0, parameters={"every": 20})) as bot:
        bot.wait_for("orders", ENTRIES, 10, 90)
        for name in names:
            mark = last_seq(bot.files)
            done = command("kill", name, "--db", bot.files.db)
            if done.returncode:
                raise Failed(f"`tradepit kill {name}` says: {(done.stderr or done.stdout).strip()}")
            bot.wait_for(f"candles after {name} was killed", f"{JUDGED} AND seq > {mark}", 4, 60)
            bot.wait_for(f"orders after {name} was killed", f"{ENTRIES} AND seq > {mark}", 1, 60)
    audited(bot.files, "after killed actors")
    told = {str(row["name"]) for row in sql(bot.files, "SELECT DISTINCT name FROM restarts")}
    if missing := [name for name in names if name not in told]:
        raise Failed(f"`restarts` does not tell of {', '.join(missing)}")
    return f"{', '.join(names)} killed one after another among {pairs} pairs: all restarted and told, audit clean"
