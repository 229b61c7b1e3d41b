"""What a permit costs, however many wait and however much is counted: `python -m tests.bench limiter`.

Prints one JSON object, CPU microseconds of this process. `free` asks while there is budget; `waiting` asks while so
many others wait in line behind all kinds of priorities; `served` is the cost of a wait's end, each, when a window
opens for all of them; `rolling` asks with so many counted in rolling windows. With n in line the cost may grow as log n.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from itertools import cycle

from actors.venues.capabilities import capability
from engine.quota import Limits, Pool, exchange_limits
from engine.ratelimit import Grant, RateLimiter
from engine.types import Priority

SIZES = (10, 1_000, 100_000)
ASKED = 5_000
KINDS = ("order", "cancel", "candles", "fetch_order")


def _limits(limit: int, *, rolling: bool = False) -> Limits:
    pools = (
        Pool("weight", limit, 60_000, rolling=rolling),
        Pool("orders", limit, 10_000, rolling=rolling),
        Pool("orders_1d", limit, 86_400_000, rolling=rolling),
    )
    order = {"weight": 1, "orders": 1, "orders_1d": 1}
    return exchange_limits(
        pools,
        {
            "order": order,
            "stop": order,
            "cancel": {"weight": 1},
            "candles": {"weight": 2},
            "fetch_order": {"weight": 4},
        },
    )


def _us(began: float, count: int) -> float:
    return round((time.process_time() - began) * 1e6 / count, 2)


def free() -> float:
    """A permit asked for, given, sent and answered on Binance's limits, with budget left."""
    limits = capability("binance").limits()
    made = RateLimiter(limits, known=True)
    began = time.process_time()
    for number in range(ASKED):
        now = number * 20
        grant = made.acquire(str(number), "cancel", Priority.EXIT, now, now + 1_000)
        assert isinstance(grant, Grant)
        made.sent(grant.permit_id, now)
        made.answered(grant.permit_id, now + 15)
    return _us(began, ASKED)


def waiting(size: int) -> tuple[float, float]:
    """(one more asked for while `size` wait, one of those served when the window opens)."""
    made = RateLimiter(_limits(10 * (size + ASKED)), known=True)
    made.report("weight", 100 * (size + ASKED), 0)
    made.report("orders", 100 * (size + ASKED), 0)
    kinds = cycle([(kind, priority) for priority in Priority for kind in KINDS])
    for number in range(size):
        kind, priority = next(kinds)
        made.acquire(str(number), kind, priority, 0, 10**9)
    began = time.process_time()
    for number in range(size, size + ASKED):
        kind, priority = next(kinds)
        made.acquire(str(number), kind, priority, 1, 10**9)
    asked = _us(began, ASKED)
    began, served = time.process_time(), 0
    for window in range(1, 60):
        served += len(made.poll(window * 60_000 + 200))
        if served == size + ASKED:
            break
    assert served == size + ASKED, served
    return asked, _us(began, served)


def rolling(size: int) -> float:
    """One more asked for while `size` requests are counted in rolling windows."""
    made = RateLimiter(_limits(10 * (size + ASKED), rolling=True), known=True)
    for number in range(size):
        grant = made.acquire(f"a{number}", "cancel", Priority.EXIT, number % 5, 10**9)
        assert isinstance(grant, Grant)
        made.spent(grant.permit_id, 5)
    began = time.process_time()
    for number in range(ASKED):
        grant = made.acquire(f"b{number}", "order", Priority.ENTRY, 6, 10**9, reserve=1)
        assert isinstance(grant, Grant)
        made.spent(grant.permit_id, 6)
    return _us(began, ASKED)


def main(arguments: Sequence[str]) -> None:
    """Measure all of it."""
    del arguments
    found: dict[str, object] = {"free_us": free()}
    for size in SIZES:
        asked, served = waiting(size)
        found[f"{size}"] = {"waiting_us": asked, "served_us": served, "rolling_us": rolling(size)}
    print(json.dumps(found))
