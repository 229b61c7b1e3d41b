"""Many entries in one candle: how soon the orders leave, each with its stop's budget reserved, within the exchange's counts.

The exchange counts as Binance does: a hundred orders in each ten seconds of its clock on spot, three hundred on futures. An entry leaves only where
there is room for its stop too, so half of a window's count may be entries: the fastest lawful schedule sends so many at the
candle's close, as many when the next window begins, and so on. The bot is held to that.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tests.bots import Failed
from tests.exchange.client import Exchange
from tests.live.bots import LiveBot, pairs_of
from tests.live.ledger import differences, naked, placed
from tests.showing.common import wait_until

CALL_S: Final = 0.05
LAST_S: Final = 1.0
STOP_S: Final = 2.0
"""Bounds for the last entry after its candle's close, and for a position's first stop for all that is held."""

NEAR: Final = 1.1
"""Where several windows are needed, the last entry may come this much later than the counts allow."""

COUNTS: Final = {"spot": {"10S": 100, "1D": 200_000}, "futures": {"10S": 300, "1M": 1_200}}
"""Binance's own."""

WINDOW_S: Final = 10
MINUTE_S: Final = 60
READY_S: Final = 40
"""A bot has so long for its start before the candle in which all enter."""


def fastest_s(entries: int, limit: int) -> float:
    """How long after a candle's close the last of `entries` may leave at the soonest: each takes two places of `limit`.

    One is its stop's. Candles close where a window begins.
    """
    return float((entries - 1) // (limit // 2) * WINDOW_S)


def show(folder: Path, *, quick: bool) -> str:
    """Fifty entries fill one window: all leave at once."""
    return _show(folder, 20 if quick else 50)


def show_hundred(folder: Path, *, quick: bool) -> str:
    """A hundred need two windows: as fast as these allow."""
    return _show(folder, 60 if quick else 100)


def show_futures(folder: Path, *, quick: bool) -> str:
    """A hundred on futures fit into one window: all leave at once."""
    return _show(folder, 40 if quick else 100, futures=True)


def _show(folder: Path, pairs: int, *, futures: bool = False) -> str:
    market = "futures" if futures else "spot"
    limit = COUNTS[market][f"{WINDOW_S}S"]
    soonest_s = fastest_s(pairs, limit)
    with Exchange("--pairs", str(pairs), "--seed", "6", "--funds", "USDT=20000", futures=futures) as exchange:
        exchange.control("fault", kind="slow", endpoint="POST *rder*", probability=1, seconds=CALL_S)
        exchange.control("limits", market=market, orders=COUNTS[market])
        close = int((time.time() + READY_S) // MINUTE_S + 1) * MINUTE_S
        parameters = {"every": 3_600, "offset": -(close - MINUTE_S) % 3_600, "hold": -1, "together": True}
        strategy = {"overrides": {"timeframe": "1m"}, "parameters": parameters}
        with LiveBot(folder, exchange, pairs_of(exchange, pairs), strategy=strategy) as bot:
            wait_until("all stops", lambda: len(_of(exchange, "STOP")) >= pairs, 180)
            bot.check_alive()
        entries = sorted(order["created"] for order in _of(exchange, "MARKET") if order["side"] == "BUY")
        windows = Counter(int(order["created"]) // (WINDOW_S * 1_000) for order in _of(exchange, ""))
        found = differences(exchange, bot.files)
        gap_s, where = naked(exchange, partly=True)
        breaches = exchange.control("state")["markets"][market]["breaches"]
    first, last = entries[0] / 1_000 - close, entries[-1] / 1_000 - close
    at_once = sum(at < (close + WINDOW_S) * 1_000 for at in entries)
    text = (
        f"{len(entries)} entries at {CALL_S * 1_000:.0f} ms a call: the first {first * 1_000:.0f} ms and the last"
        f" {last * 1_000:.0f} ms after the candle's close (the counts allow {soonest_s * 1_000:.0f} ms),"
        f" {at_once} of them in the first {WINDOW_S} s; at most {max(windows.values())} orders in {WINDOW_S} s (limit"
        f" {limit}); longest without a stop {gap_s:.2f} s"
    )
    if found:
        raise Failed(f"{len(found)} differences: {found[0]}; {text}")
    if len(entries) != pairs:
        raise Failed(f"there are {len(entries)} entries of {pairs}: {text}")
    if breaches["order_429"] or breaches["weight_429"]:
        raise Failed(f"the limits were passed by our own fault: {breaches}; {text}")
    if last > max(LAST_S, NEAR * soonest_s):
        raise Failed(f"the last entry came too late: {text}")
    if gap_s > STOP_S:
        raise Failed(f"{where} was without a stop for too long: {text}")
    return f"{text}; no 429; books equal"


def _of(exchange: Exchange, kind: str) -> list[dict[str, Any]]:
    return [
        dict(o)
        for o in placed(exchange.control("ledger", market="futures" if exchange.futures else "spot"))
        if kind in o["type"] and o["client_id"].startswith("tp")
    ]
