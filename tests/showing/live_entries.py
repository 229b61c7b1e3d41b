"""Fifty entries in one candle: how soon the orders leave, each with its stop's budget reserved, within the exchange's counts."""

from __future__ import annotations

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

ORDERS_10S: Final = 200
"""The exchange's count is doubled for this, as accounts of a higher tier have it: fifty entries and their stops are a
hundred orders, of which a fifth is kept for exits."""


def show(folder: Path, *, quick: bool) -> str:
    """All pairs enter with the same candle; each call takes 50 ms."""
    pairs = 20 if quick else 50
    with Exchange("--pairs", str(pairs), "--seed", "6", "--funds", "USDT=20000") as exchange:
        exchange.control("fault", kind="slow", endpoint="POST *rder*", probability=1, seconds=CALL_S)
        exchange.control("limits", orders={"10S": ORDERS_10S, "1D": 200_000})
        parameters = {"every": 60, "hold": 30, "together": True}
        with LiveBot(folder, exchange, pairs_of(exchange, pairs), strategy_parameters=parameters) as bot:
            wait_until("all stops", lambda: len(_of(exchange, "STOP")) >= pairs, 180)
            bot.check_alive()
        entries = sorted(order["created"] for order in _of(exchange, "MARKET") if order["side"] == "BUY")[:pairs]
        found = differences(exchange, bot.files)
        gap_s, where = naked(exchange, partly=True)
        breaches = exchange.control("state")["markets"]["spot"]["breaches"]
    close = entries[0] // 1_000 * 1_000
    last = (entries[-1] - close) / 1_000
    if found:
        raise Failed(f"{len(found)} differences: {found[0]}")
    if breaches["order_429"] or breaches["weight_429"]:
        raise Failed(f"the limits were passed by our own fault: {breaches}")
    if last > LAST_S:
        raise Failed(f"the last of {pairs} entries came {last:.2f} s after its candle's close")
    if gap_s > STOP_S:
        raise Failed(f"{where} was without a stop for {gap_s:.2f} s")
    return (
        f"{pairs} entries at {CALL_S * 1_000:.0f} ms a call: the first {(entries[0] - close):.0f} ms and the last"
        f" {last * 1_000:.0f} ms after the candle's close; longest without a stop {gap_s:.2f} s; no 429; books equal"
    )


def _of(exchange: Exchange, kind: str) -> list[dict[str, Any]]:
    return [
        dict(o) for o in placed(exchange.control("ledger")) if kind in o["type"] and o["client_id"].startswith("tp")
    ]
