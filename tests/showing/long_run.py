"""500 pairs of 1m candles at 60 times their speed: no error, flat memory, no mailbox that grows, nobody late."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from tests.bots import Bot, Failed, ask, pss_mb
from tests.showing.common import JUDGED, audited, busy, latencies_ms, percentile

SPEED = 60.0


def show(folder: Path, *, quick: bool) -> str:
    """Watch one run."""
    pairs, seconds = (100, 40) if quick else (500, 300)
    memory: list[float] = []
    waiting: list[int] = []
    with Bot(folder, busy(pairs, SPEED)) as bot:
        bot.wait_for("first candle", JUDGED, 1, 60)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            bot.check_alive()
            memory.append(pss_mb(bot.pid))
            waiting.append(_waiting(bot))
            time.sleep(2.0)
        status = bot.end()
    if status:
        raise Failed(f"the bot ended with status {status}")
    _check_log(bot)
    _check_memory(memory)
    if max(waiting) > 20 * pairs:
        raise Failed(f"mailboxes grew to {max(waiting)} messages")
    candles, late = _candles(bot, pairs)
    report = audited(bot.files, "after the run")
    found = latencies_ms(bot, SPEED)
    return (
        f"{pairs} pairs, {seconds} s, {candles} candles each, {late} late; {report['trades']} trades, {report['orders']}"
        f" orders; memory {memory[len(memory) // 4]:.0f} → {memory[-1]:.0f} MB; at most {max(waiting)} messages waiting;"
        f" order latency p50 {percentile(found, 50):.1f} ms, p99 {percentile(found, 99):.1f} ms; audit clean"
    )


def _waiting(bot: Bot) -> int:
    status = bot.status()
    if not status:
        raise Failed("the bot does not answer `tradepit status`")
    return int(status["runtime"]["mailbox_depth"])


def _check_log(bot: Bot) -> None:
    bad = [line for line in bot.log().splitlines() if re.search(r" (ERROR|CRITICAL) |Traceback", line)]
    if bad:
        raise Failed(f"{len(bad)} errors in the log, the first: {bad[0][:300]}")


def _check_memory(memory: list[float]) -> None:
    settled = memory[len(memory) // 4 :]
    half = len(settled) // 2
    first, second = max(settled[:half]), max(settled[half:])
    if second > first * 1.1 + 3:
        raise Failed(f"the trading process grows: {first:.1f} MB in the first half, {second:.1f} MB in the second")


def _candles(bot: Bot, pairs: int) -> tuple[int, int]:
    """How many candles were judged for all pairs, and how many only after the next one had closed."""
    rows = ask(bot.files.journal, "SELECT ts, body FROM entries WHERE kind = 'Judged'", default=())
    judged: dict[int, int] = {}
    late = 0
    for ts, text in rows:
        body = json.loads(text)
        judged[body["ts"]] = judged.get(body["ts"], 0) + int(body["judged"])
        late += ts > body["ts"] + 60_000
    if not judged:
        raise Failed("no candle was judged")
    short = [ts for ts, count in sorted(judged.items())[1:-1] if count < pairs]
    times = sorted(judged)
    missing = (times[-1] - times[0]) // 60_000 + 1 - len(times)
    if missing or short or late:
        raise Failed(f"{missing} candles were not judged, {len(short)} not for all pairs, {late} late, of {len(times)}")
    return len(times), late
