"""Hundreds of pairs of candles by websocket, on one core: how long after its close each is judged, and prices beside."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from engine.candles import MINUTE
from engine.messages import WatchPrice
from tests.actors.live_feed import LiveFeed
from tests.bots import Failed
from tests.exchange.client import Exchange

PAIRS: Final = 500
QUIET: Final = 20
"""Pairs that are not traded, and of whose candles the exchange does not say that they have closed: they are asked for."""

WATCHED: Final = 50
"""Pairs with an open trade: their prices are followed."""

BOUND_MS: Final = 1_000
CALL_S: Final = 0.1
"""What a REST call for candles takes."""


def show(folder: Path, *, quick: bool) -> str:
    """Every candle of every pair is judged once, within a second of its close."""
    del folder
    minutes = 2 if quick else 5
    with Exchange("--pairs", str(PAIRS), "--rate", "0.5", "--seed", "5") as exchange:
        bot = LiveFeed(exchange, count=PAIRS, timeframe="1m", window=50)
        quiet = [pair.replace("/", "") for pair in bot.pairs[-QUIET:]]
        for symbol in quiet:
            exchange.control("play", symbol=symbol, on=False)
            exchange.control("pair", symbol=symbol, quiet=True)
        exchange.control("fault", kind="slow", endpoint="GET /api/v3/klines", seconds=CALL_S)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        began = time.monotonic()
        with bot:
            bot.wait("windows", lambda: len(bot.windows) == PAIRS, 120)
            started_s = time.monotonic() - began
            bot.wait("the streams", lambda: bot.market.status()["lines_up"] == bot.market.status()["lines"], 60)
            for pair in bot.pairs[:WATCHED]:
                bot.runtime.tell("feed", WatchPrice(pair=pair, watch=True))
            bot.wait("prices", lambda: bot.market.status()["prices_up"], 30)
            bot.ages.clear()
            first = (bot.connection.now() // MINUTE + 1) * MINUTE
            cpu, began = time.process_time(), time.monotonic()
            last = first + (minutes - 1) * MINUTE
            bot.wait("all candles", lambda: _have(bot, last), minutes * 60 + 90)
            share = (time.process_time() - cpu) / (time.monotonic() - began)
            return _figures(bot, first, last, started_s, share)


def _have(bot: LiveFeed, last: int) -> bool:
    return len(bot.candles) == PAIRS and all(rows[-1].ts >= last - MINUTE for rows in bot.candles.values())


def _figures(bot: LiveFeed, first: int, last: int, started_s: float, share: float) -> str:
    quiet = set(bot.pairs[-QUIET:])
    delays = [(late, pair) for pair, ts, late in bot.delays if first <= ts + MINUTE and ts < last]
    streamed = sorted(late for late, pair in delays if pair not in quiet)
    asked = sorted(late for late, pair in delays if pair in quiet)
    for pair in bot.pairs:
        times = [candle.ts for candle in (*bot.windows[pair], *bot.candles[pair])]
        if times != list(range(times[0], times[-1] + 1, MINUTE)):
            raise Failed(f"the candles of {pair} have a hole, or one comes twice")
    worst, ages = max(streamed[-1], asked[-1]), sorted(bot.ages)
    text = (
        f"{len(streamed)} candles of {PAIRS - QUIET} pairs by stream: median {streamed[len(streamed) // 2]} ms after the "
        f"close, 99 % {streamed[len(streamed) * 99 // 100]} ms, worst {streamed[-1]} ms; {len(asked)} candles of {QUIET} quiet "
        f"pairs asked for: median {asked[len(asked) // 2]} ms, worst {asked[-1]} ms; windows of all after {started_s:.1f} s; "
        f"{len(ages)} prices of {WATCHED} watched pairs, from the frame to the pair: median {ages[len(ages) // 2]} ms, "
        f"99 % {ages[len(ages) * 99 // 100]} ms, worst {ages[-1]} ms; "
        f"{share * 100:.1f} % of one core"
    )
    if worst > BOUND_MS:
        raise Failed(f"over {BOUND_MS} ms: {text}")
    return text
