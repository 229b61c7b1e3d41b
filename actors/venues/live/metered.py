"""Permits without a limiter's actor: the same arithmetic, for a program that reads an exchange and trades nothing.

What the exchange says of its own counts corrects ours after each answer, so that a bot which runs beside it on the
same address has its part.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from actors.venues.trading import Permit, RequestEnded
from engine.quota import Limits
from engine.ratelimit import Denied, Grant, RateLimiter
from engine.types import Priority

PATIENCE_MS: Final = 3_600_000
POLL_S: Final = 0.05
POLL_S_MAX: Final = 1.0


class Meter:
    """The permits of one connection, on its loop: `Permits`, as a `Turnstile` is."""

    def __init__(self, connection: Any, limits: Limits) -> None:
        self._connection = connection
        self._pools = {pool.name for pool in limits.pools}
        self._limiter = RateLimiter(limits, known=True)
        self._decided: dict[str, Grant | Denied] = {}
        self._number = 0
        self._report()

    async def acquire(self, request: str, priority: Priority = Priority.DATA) -> Permit:
        """Wait until one `request` may be sent; the caller sends it at once."""
        while True:
            self._number += 1
            granted = await self._granted(str(self._number), request, priority)
            if isinstance(granted, Grant):
                self._limiter.sent(granted.permit_id, self._connection.now())
                return Permit(granted.permit_id, granted.expires)

    async def _granted(self, request_id: str, request: str, priority: Priority) -> Grant | Denied:
        now = self._connection.now()
        outcome = self._limiter.acquire(request_id, request, priority, now, now + PATIENCE_MS)
        while not isinstance(outcome, Grant | Denied):
            at = self._limiter.next_at() or now
            await asyncio.sleep(min(max((at - now) / 1_000, POLL_S), POLL_S_MAX))
            now = self._connection.now()
            self._decided.update((decided.request_id, decided) for decided in self._limiter.poll(now))
            if request_id in self._decided:
                outcome = self._decided.pop(request_id)
        if isinstance(outcome, Denied):
            await asyncio.sleep(POLL_S_MAX)
        return outcome

    def ended(self, ended: RequestEnded) -> None:
        """The request is done with; what the exchange has counted is known now, and whether it wants silence."""
        now = self._connection.now()
        self._limiter.answered(ended.permit_id, now)
        if ended.retry_after_ms:
            self._limiter.penalize(now + ended.retry_after_ms)
        self._report()

    def _report(self) -> None:
        now = self._connection.now()
        for pool, used in self._connection.usage(now).items():
            if pool in self._pools:
                self._limiter.report(pool, used, now)
