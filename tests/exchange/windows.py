"""Binance's limits: fixed windows by real time, for the request weight of an address and the orders of an account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.exchange.errors import Refusal

BAN_AFTER = 10
"""Requests sent in spite of 429s until the address is banned."""

BAN_FIRST_S = 120

RAW: dict[str, object] = {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5}
"""Said, and not enforced: no header tells it, and the weight runs out long before."""


@dataclass(slots=True)
class Window:
    """A count that begins anew with every full interval of the clock."""

    limit: int
    seconds: int
    index: int = -1
    used: int = 0

    def roll(self, now: float) -> None:
        """Begin anew if the interval is over."""
        index = int(now // self.seconds)
        if index != self.index:
            self.index, self.used = index, 0

    def ends_in(self, now: float) -> int:
        """Whole seconds until the next window."""
        return int((self.index + 1) * self.seconds - now) + 1


@dataclass(slots=True)
class Breaches:
    """What went over the limits by the client's own fault; ordered 429s do not count."""

    weight_429: int = 0
    order_429: int = 0
    bans_418: int = 0
    most_weight: int = 0
    weight: int = 0
    requests: int = 0


@dataclass(slots=True)
class Limits:
    """The limits of one API (spot or futures)."""

    wall: Callable[[], float]
    weight: Window
    orders: dict[str, Window]
    counts: dict[tuple[str, str], Window] = field(default_factory=dict)
    breaches: Breaches = field(default_factory=Breaches)
    ignored: int = 0
    banned_until: float = 0.0
    ban_s: int = BAN_FIRST_S
    raw: int = 0

    def spend(self, weight: int) -> None:
        """Count a request's weight, or refuse it with 429, and after too many of these with 418."""
        now = self.wall()
        self.breaches.requests += 1
        if now < self.banned_until:
            raise self._ban(now)
        before = self.weight.index
        self.weight.roll(now)
        if self.weight.index != before:
            self.ignored = 0
        self.weight.used += weight
        self.breaches.weight += weight
        self.breaches.most_weight = max(self.breaches.most_weight, self.weight.used)
        if self.weight.used <= self.weight.limit:
            return
        self.ignored += 1
        if self.ignored > BAN_AFTER:
            self.banned_until = now + self.ban_s
            self.ban_s *= 2
            raise self._ban(now)
        self.breaches.weight_429 += 1
        raise _slow_down(
            429,
            f"Too much request weight used; current limit is {self.weight.limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
            self.weight.ends_in(now),
        )

    def _ban(self, now: float) -> Refusal:
        self.breaches.bans_418 += 1
        until = int(self.banned_until * 1000)
        return _slow_down(
            418,
            f"Way too much request weight used; IP banned until {until}. "
            "Please use WebSocket Streams for live updates to avoid bans.",
            int(self.banned_until - now) + 1,
        )

    def order(self, account: str) -> dict[str, str]:
        """Count one new order of an account, or refuse it; the headers of its answer."""
        now = self.wall()
        headers: dict[str, str] = {}
        windows = {name: self._count(account, name) for name in self.orders}
        for name, window in windows.items():
            window.roll(now)
            if window.used >= window.limit:
                self.breaches.order_429 += 1
                words = {"10S": "10 SECOND", "1M": "1 MINUTE", "1D": "1 DAY"}[name]
                msg = f"Too many new orders; current limit is {window.limit} orders per {words}."
                raise _slow_down(429, msg, window.ends_in(now), -1015)
        for name, window in windows.items():
            window.used += 1
            headers[f"X-MBX-ORDER-COUNT-{name}"] = str(window.used)
        return headers

    def forget(self) -> None:
        """Nothing was used, nobody is banned."""
        self.banned_until, self.ignored, self.weight.used, self.ban_s = 0.0, 0, 0, BAN_FIRST_S
        self.counts.clear()
        self.breaches = Breaches()

    def ban(self, seconds: float) -> None:
        """Refuse every request with 418 for so long."""
        self.banned_until = self.wall() + seconds

    def others_used(self, weight: int, orders: int, account: str) -> None:
        """Somebody else at the address, or with the account, has used this much of the present windows."""
        self.weight.roll(self.wall())
        self.weight.used += weight
        for name in self.orders:
            window = self._count(account, name)
            window.roll(self.wall())
            window.used += orders

    def used(self, account: str, name: str) -> int:
        """How many orders of this account the present window has."""
        window = self._count(account, name)
        window.roll(self.wall())
        return window.used

    def _count(self, account: str, name: str) -> Window:
        there = self.counts.get((account, name))
        if there is None:
            model = self.orders[name]
            there = self.counts[account, name] = Window(model.limit, model.seconds)
        return there

    def headers(self) -> dict[str, str]:
        """The used weight, as every answer says it."""
        return {"X-MBX-USED-WEIGHT": str(self.weight.used), "X-MBX-USED-WEIGHT-1M": str(self.weight.used)}

    def describe(self) -> list[dict[str, object]]:
        """`rateLimits` of `exchangeInfo`."""
        names = {"10S": ("SECOND", 10), "1M": ("MINUTE", 1), "1D": ("DAY", 1)}
        return [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.weight.limit},
            *(
                {
                    "rateLimitType": "ORDERS",
                    "interval": names[name][0],
                    "intervalNum": names[name][1],
                    "limit": window.limit,
                }
                for name, window in self.orders.items()
            ),
            *([{**RAW, "limit": self.raw}] if self.raw else []),
        ]


def spot_limits(wall: Callable[[], float]) -> Limits:
    """6000 a minute; 100 orders in 10 seconds, 200000 a day; 61000 requests in five minutes."""
    return Limits(wall, Window(6000, 60), {"10S": Window(100, 10), "1D": Window(200_000, 86_400)}, raw=61_000)


def futures_limits(wall: Callable[[], float]) -> Limits:
    """2400 a minute; 300 orders in 10 seconds, 1200 a minute."""
    return Limits(wall, Window(2400, 60), {"10S": Window(300, 10), "1M": Window(1200, 60)})


def _slow_down(status: int, msg: str, seconds: int, code: int = -1003) -> Refusal:
    refusal = Refusal(code, msg, status)
    refusal.headers["Retry-After"] = str(seconds)
    return refusal
