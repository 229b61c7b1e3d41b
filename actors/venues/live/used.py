"""What an exchange itself says is used of its limits: read off the headers of its answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from engine.quota import Pool
from engine.types import Millis

_COUNTED: Final = re.compile(r"x-mbx-(used-weight|order-count)-(\d+)([smhd])$", re.IGNORECASE)
_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class _Used(NamedTuple):
    used: int
    window: int
    window_ms: Millis


def pool_of(header: str) -> tuple[str, Millis] | None:
    """The pool that a header counts, `weight_1m` or `orders_10s`, and its window; None for other headers."""
    found = _COUNTED.match(header)
    if found is None:
        return None
    kind = "weight" if found[1].lower() == "used-weight" else "orders"
    unit = found[3].lower()
    return f"{kind}_{found[2]}{unit}", int(found[2]) * _UNIT_MS[unit]


class UsedCounts:
    """The exchange's newest count of each pool's window, aligned to its clock; `reported` are the limits it lists.

    `flying` are the requests that have no answer yet, which nobody can count.
    """

    def __init__(self) -> None:
        self.reported: tuple[Pool, ...] = ()
        self.flying = 0
        self._used: dict[str, _Used] = {}
        self._since: Millis | None = None

    def count(self, headers: Mapping[str, str], sent_at: Millis, now: Millis) -> None:
        """Take down what the headers of an answer say that came at `now`, to a request of `sent_at`.

        Between two windows nobody knows which of them a count belongs to: it is left out.
        """
        self._since = now if self._since is None else self._since
        for header, value in headers.items():
            pool = pool_of(header)
            if pool is None or not str(value).isdigit():
                continue
            name, window_ms = pool
            window = now // window_ms
            if sent_at // window_ms != window:
                continue
            known = self._used.get(name)
            used = int(value) if known is None or known.window != window else max(int(value), known.used)
            self._used[name] = _Used(used, window, window_ms)

    def take(self, told: Any, sent_at: Millis, now: Millis) -> None:
        """As `count`, of an answer that lists what is used: Binance's order counts."""
        for row in told if isinstance(told, Sequence) else ():
            if isinstance(row, Mapping) and row.get("rateLimitType") == "ORDERS":
                unit, many = str(row.get("interval", ""))[:1].lower(), row.get("intervalNum")
                self.count({f"x-mbx-order-count-{many}{unit}": str(row.get("count"))}, sent_at, now)

    def at(self, now: Millis) -> dict[str, int]:
        """The counts of the windows that run at `now`, by pool.

        A window that began since the first answer, and of which none has told anything, has none of ours in it: then a
        limiter that starts anew need not wait for its end. While something is under way nobody says so.
        """
        known = list(self._used.items())
        counts = {pool: told.used for pool, told in known if told.window == now // told.window_ms}
        if not self.flying and self._since is not None:
            quiet = {pool for pool, told in known if self._since // told.window_ms < now // told.window_ms}
            counts |= dict.fromkeys(quiet - counts.keys(), 0)
        return counts
