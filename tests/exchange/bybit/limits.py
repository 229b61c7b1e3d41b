"""Bybit's limits, by real time: an account's requests to each endpoint in any second, an address's in any five seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.exchange.bybit.errors import TOO_MANY
from tests.exchange.errors import Refusal

ADDRESS: Final = 600
ADDRESS_S: Final = 5.0
BAN_S: Final = 600.0


@dataclass(slots=True)
class Breaches:
    """What went over the limits by the client's own fault; ordered ones do not count."""

    visits_10006: int = 0
    bans_403: int = 0
    requests: int = 0


@dataclass(slots=True)
class Visits:
    """The limits of one API."""

    wall: Callable[[], float]
    breaches: Breaches = field(default_factory=Breaches)
    banned_until: float = 0.0
    _address: deque[float] = field(default_factory=deque)
    _visits: dict[tuple[str, str], deque[float]] = field(default_factory=dict)

    def address(self) -> None:
        """Count one request, or refuse it with 403 for ten minutes."""
        now = self.wall()
        self.breaches.requests += 1
        _drop(self._address, now - ADDRESS_S)
        self._address.append(now)
        if len(self._address) > ADDRESS and now >= self.banned_until:
            self.banned_until = now + BAN_S
        if now < self.banned_until:
            self.breaches.bans_403 += 1
            raise Refusal(403, "access too frequent", 403)

    def visit(self, account: str, endpoint: str, limit: int) -> dict[str, str]:
        """Count one request of an account, or refuse it; the headers of its answer."""
        now = self.wall()
        visits = self._visits.setdefault((account, endpoint), deque())
        _drop(visits, now - 1.0)
        if len(visits) >= limit:
            self.breaches.visits_10006 += 1
            refusal = Refusal(*TOO_MANY, 200)
            refusal.headers.update(told(limit, 0, visits[0] + 1.0))
            raise refusal
        visits.append(now)
        return told(limit, limit - len(visits), now)

    def others_used(self, account: str, endpoint: str, count: int, seconds: float) -> None:
        """Others with the account have asked so often, and their requests count for so long from now on."""
        self._visits.setdefault((account, endpoint), deque()).extend([self.wall() + seconds - 1.0] * count)

    def forget(self) -> None:
        """Nothing was asked, nobody is banned."""
        self.banned_until = 0.0
        self._address.clear()
        self._visits.clear()
        self.breaches = Breaches()


def told(limit: int, left: int, reset: float) -> dict[str, str]:
    """The headers that tell of an endpoint's limit."""
    return {
        "X-Bapi-Limit": str(limit),
        "X-Bapi-Limit-Status": str(left),
        "X-Bapi-Limit-Reset-Timestamp": str(int(reset * 1000)),
    }


def _drop(times: deque[float], before: float) -> None:
    while times and times[0] <= before:
        times.popleft()
