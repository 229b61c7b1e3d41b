"""Strategies that raise, loop, exit and eat memory; actors killed by hand: the other pairs trade on."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

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
    steady,
)

SPEED = 20.0
START_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1_000)
KILLED_PAIR = "pair:ADA/USDT"
ON_THE_WAY = ("gateway", "portfolio", "persistence", "limiter")
"""Every order goes through these: while one of them is away orders wait, as they must."""
GUARD_S = 5.0
"""How long a position may be without a stop at the venue while somebody is killed and started again."""
HOLDS = """
    SELECT f.pair, EXISTS (SELECT 1 FROM orders g WHERE g.pair = f.pair AND g.purpose IN ('stop', 'exit')
        AND g.status IN ('NEW', 'PARTIALLY_FILLED'))
    FROM fills f JOIN orders o ON o.order_id = f.order_id GROUP BY f.pair
    HAVING sum(CASE o.side WHEN 'buy' THEN 1 ELSE -1 END * CAST(f.amount AS REAL)) > 1e-9"""
"""The pairs that hold something at the venue, and whether something there guards or ends it."""
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
    """Gateway, portfolio, persistence, limiter, feed, a judge and a pair, each made to crash; who waits for them is told."""
    pairs = 40 if quick else 200
    names = ("gateway", "portfolio", "persistence", "limiter", "feed", "judge:0", KILLED_PAIR, "notifier")
    calm: list[float] = []
    beside: list[float] = []
    with Bot(folder, busy(pairs, 60.0, parameters={"every": 20})) as bot, GuardWatch(bot) as guards:
        bot.wait_for("orders", ENTRIES, 10, 90)
        for name in names:
            mark = last_seq(bot.files)
            calm += _orders_of(bot, mark - 1, 3)
            mark = last_seq(bot.files)
            done = command("kill", name, "--db", bot.files.db)
            if done.returncode:
                raise Failed(f"`tradepit kill {name}` says: {(done.stderr or done.stdout).strip()}")
            bot.wait_for(f"candles after {name} was killed", f"{JUDGED} AND seq > {mark}", 4, 60)
            bot.wait_for(f"orders after {name} was killed", f"{ENTRIES} AND seq > {mark}", 1, 60)
            if name not in ON_THE_WAY:
                beside += latencies_ms(bot, 60.0, mark, but=KILLED_PAIR[5:])
    audited(bot.files, "after killed actors")
    told = {str(row["name"]) for row in sql(bot.files, "SELECT DISTINCT name FROM restarts")}
    if missing := [name for name in names if name not in told]:
        raise Failed(f"`restarts` does not tell of {', '.join(missing)}")
    latency = steady(calm, sorted(beside), "when others were killed")
    if not guards.held or guards.longest_s > GUARD_S:
        raise Failed(f"of {guards.held} positions seen, {guards.worst} was without a stop for {guards.longest_s:.1f} s")
    return (
        f"{', '.join(names)} killed one after another among {pairs} pairs: all restarted and told; {latency};"
        f" {guards.held} positions watched, none without a stop or an exit for more than {guards.longest_s:.1f} s; audit clean"
    )


def _orders_of(bot: Bot, since: int, candles: int) -> list[float]:
    """The latencies of some candles' orders, with nobody killed."""
    bot.wait_for("candles in calm", f"{JUDGED} AND seq > {since}", candles, 60)
    return latencies_ms(bot, 60.0, since, but=KILLED_PAIR[5:])


class GuardWatch:
    """Looks at the venue's record, several times a second: who holds something, and has neither stop nor exit there."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._since: dict[str, float] = {}
        self._seen: set[str] = set()
        self.longest_s = 0.0
        self.worst = ""

    @property
    def held(self) -> int:
        """How many pairs were seen holding something."""
        return len(self._seen)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            rows = ask(self._bot.files.venue, HOLDS, default=())
            now = time.monotonic()
            bare = {str(pair) for pair, guarded in rows if not guarded}
            self._seen |= {str(pair) for pair, _ in rows}
            self._since = {pair: self._since.get(pair, now) for pair in bare}
            for pair, since in self._since.items():
                if now - since > self.longest_s:
                    self.longest_s, self.worst = now - since, pair
