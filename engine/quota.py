"""What an exchange counts: its pools, and how much of each one's current window is used.

`engine.ratelimit` tells the whole story; this is the counting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, NamedTuple

from engine.settings import PaperConfig
from engine.types import ONE, Millis, Priority

RANK: Final = {priority: rank for rank, priority in enumerate(Priority)}
"""The place of each priority; the most urgent is 0."""

GUARD: Final = RANK[Priority.GUARD]
URGENT: Final = RANK[Priority.EXIT]
"""Ranks up to this one may use the urgent share."""
READING: Final = RANK[Priority.RECONCILE]
"""Of the restart share half is for whoever reads: nobody can leave or guard what nobody knows of."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One thing that the exchange counts: at most `limit` in each window of `window_ms`.

    Windows are aligned to the clock, or `rolling`: then in any `window_ms` whatever, which also holds for
    exchanges whose counter runs down steadily, or whose window begins with the first request.
    `restart_percent` overrides the limits' own: a window of seconds is waited for, not kept a share of.
    `sharers` are the accounts among which `limit` has been divided: the exchange's own count is of all of them.
    """

    name: str
    limit: int
    window_ms: Millis
    rolling: bool = False
    restart_percent: int | None = None
    sharers: int = 1


BY_ADDRESS: Final = ("weight_", "ip_", "public_")
"""Beginnings of the names of pools that exchanges count by IP address; the others are each account's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """An exchange's pools and what each kind of request costs in them.

    `urgent_percent` of a window is left to GUARD and EXIT, `restart_percent` to the time after a restart.
    With `reserve_is_urgent` the stops that entries have reserved are part of the urgent share, not besides it; in windows
    of `brief_ms` or less they stay a part of it when they are sent: entries and their stops may fill such a window,
    however soon the stops come, and whoever is urgent beyond that waits no longer than it lasts.
    `permit_ms` is how long a permit holds, `reserve_ms` how long a stop's budget is kept, `flight_ms` how long
    a request may be without an answer. `margin_ms` is the longest way to the exchange for a request whose
    answer is not reported; `clock_ms` is the error of our clock against the exchange's. `public` are the kinds that
    carry no key.
    """

    pools: tuple[Pool, ...]
    costs: Mapping[str, Mapping[str, int]]
    urgent_percent: int = 20
    restart_percent: int = 3
    reserve_is_urgent: bool = False
    brief_ms: Millis = 10_000
    permit_ms: Millis = 5_000
    reserve_ms: Millis = 30_000
    flight_ms: Millis = 60_000
    margin_ms: Millis = 0
    clock_ms: Millis = 0
    public: frozenset[str] = frozenset()


@dataclass(slots=True)
class Silence:
    """Until when an exchange wants to hear nothing: of anybody, or of our key (`signed`), which public reads do not carry."""

    public: frozenset[str]
    all_until: Millis = 0
    signed_until: Millis = 0

    def want(self, until: Millis, *, signed: bool) -> None:
        """Keep silent until then; one that is under way is not made shorter."""
        self.signed_until = max(self.signed_until, until)
        if not signed:
            self.all_until = max(self.all_until, until)

    def until(self, kind: str) -> Millis:
        """When a request of this kind may leave again."""
        return self.all_until if kind in self.public else self.signed_until


def paper_limits(config: PaperConfig, speed: Decimal = ONE) -> Limits:
    """What the simulated exchange counts, in market time; waiting times of ours grow with the market's `speed`."""
    pace = max(ONE, speed)
    return Limits(
        pools=(
            Pool("weight_1m", config.weight_per_minute, 60_000),
            Pool("orders_10s", config.orders_per_10s, 10_000),
            Pool("orders_1d", config.orders_per_day, 86_400_000),
        ),
        costs={
            "order": {"weight_1m": 1, "orders_10s": 1, "orders_1d": 1},
            "stop": {"weight_1m": 1, "orders_10s": 1, "orders_1d": 1},
            "amend": {"weight_1m": 1},
            "replace": {"weight_1m": 1, "orders_10s": 1, "orders_1d": 1},
            "cancel": {"weight_1m": 1},
            "cancel_stop": {"weight_1m": 1},
            "fetch_order": {"weight_1m": 4},
            "snapshot": {"weight_1m": 20},
            "candles": {"weight_1m": 2},
        },
        permit_ms=int(5_000 * pace),
        reserve_ms=int(30_000 * pace),
    )


def exchange_limits(
    pools: Sequence[Pool],
    costs: Mapping[str, Mapping[str, int]],
    reported: Sequence[Pool] = (),
    *,
    clock_ms: Millis = 100,
    public: frozenset[str] = frozenset(),
) -> Limits:
    """The limits of a real exchange: its facts, and over them what it says itself of the same windows.

    A pool that is only `reported` is left out: nobody knows what a request costs in it. The numbers that are
    `reported` win over the facts', which are older.
    """
    said = {(pool.name, pool.window_ms): pool.limit for pool in reported}
    return Limits(
        pools=tuple(replace(p, limit=said.get((p.name, p.window_ms), p.limit)) for p in pools),
        costs=costs,
        reserve_is_urgent=True,
        flight_ms=30_000,
        margin_ms=1_000,
        clock_ms=clock_ms,
        public=public,
    )


class Sharers(NamedTuple):
    """How many accounts of ours, this one among them, are at the same exchange, and at the same market of it."""

    exchange: int = 1
    market: int = 1


ALONE: Final = Sharers()


def shared_by(limits: Limits, sharers: Sharers) -> Limits:
    """The limits of one of several accounts that reach an exchange from one address: its part of what is counted there.

    A limit that is too small to be divided is met in a window that is longer by as much. Weight is Binance's, which
    counts its markets apart.
    """
    return replace(limits, pools=tuple(_divided(pool, sharers) for pool in limits.pools))


def _divided(pool: Pool, sharers: Sharers) -> Pool:
    accounts = sharers.market if pool.name.startswith("weight_") else sharers.exchange
    if accounts <= 1 or not pool.name.startswith(BY_ADDRESS):
        return pool
    if pool.limit < accounts:
        return replace(pool, window_ms=pool.window_ms * accounts, sharers=accounts)
    return replace(pool, limit=pool.limit // accounts, sharers=accounts)


_KINDS: Final = {"REQUEST_WEIGHT": "weight", "ORDERS": "orders", "RAW_REQUESTS": "requests"}
_UNITS: Final = {"SECOND": ("s", 1_000), "MINUTE": ("m", 60_000), "HOUR": ("h", 3_600_000), "DAY": ("d", 86_400_000)}


def reported_pools(rate_limits: object) -> tuple[Pool, ...]:
    """The pools that an exchange of Binance's kind lists as `rateLimits` in its `exchangeInfo`.

    What is not understood is left out: this is the exchange's word, and may be anything.
    """
    pools = []
    for given in rate_limits if isinstance(rate_limits, list) else ():
        if not isinstance(given, Mapping):
            continue
        kind, unit = _KINDS.get(str(given.get("rateLimitType"))), _UNITS.get(str(given.get("interval")))
        number, limit = given.get("intervalNum"), given.get("limit")
        if kind and unit and isinstance(number, int) and isinstance(limit, int) and number > 0 and limit > 0:
            pools.append(Pool(f"{kind}_{number}{unit[0]}", limit, number * unit[1]))
    return tuple(pools)


class Window:
    """One pool and what is used of its current window."""

    __slots__ = (
        "brief",
        "clock_ms",
        "counted",
        "counted_next",
        "index",
        "joint",
        "name",
        "outstanding",
        "restart",
        "sent",
        "sharers",
        "size",
        "stops",
        "stops_next",
        "stops_out",
        "total",
        "unknown",
        "urgent",
    )

    def __init__(self, pool: Pool, limits: Limits) -> None:
        share = limits.restart_percent if pool.restart_percent is None else pool.restart_percent
        self.name = pool.name
        self.size = pool.window_ms
        self.restart = pool.limit * share // 100
        self.total = pool.limit - self.restart
        self.urgent = pool.limit * limits.urgent_percent // 100
        self.joint = limits.reserve_is_urgent
        self.brief = pool.window_ms <= limits.brief_ms
        self.clock_ms = 0 if pool.rolling else limits.clock_ms
        self.sharers = pool.sharers
        self.index = -1
        self.counted = 0
        self.counted_next = 0
        self.outstanding = 0
        self.stops = 0
        self.stops_next = 0
        self.stops_out = 0
        self.sent = 0
        self.unknown = False

    @property
    def end(self) -> Millis:
        """Before this time nothing that is counted is forgotten."""
        return (self.index + 1) * self.size + self.clock_ms

    def lasts_beyond(self, until: Millis) -> bool:
        """Whether what is taken now is still counted at `until`."""
        return self.end > until

    def advance(self, now: Millis) -> None:
        """Forget what the exchange has forgotten for certain: a window that ended a moment ago is kept."""
        index = (now - self.clock_ms) // self.size
        if index <= self.index:
            return
        follows = index == self.index + 1
        self.counted, self.stops = (self.counted_next, self.stops_next) if follows else (0, 0)
        self.counted_next = self.stops_next = 0
        self.unknown = self.unknown and self.index == -1
        self.index = index

    def count(self, weight: int, first: Millis, last: Millis, stops: int = 0) -> None:
        """Count what the exchange got between `first` and `last`, by our clock; `stops` of it had been reserved."""
        first, last = (first - self.clock_ms) // self.size, (last + self.clock_ms) // self.size
        if first <= self.index <= last:
            self.counted += weight
            self.stops += stops
        if last > self.index:
            self.counted_next += weight
            self.stops_next += stops

    def believe(self, used: int, now: Millis, sent_at: Millis | None) -> None:
        """What the exchange has counted, as its answer to a request of `sent_at` says: more than we know of is true.

        An answer of the window before says nothing of this one. In an unknown window it is the only knowledge.
        """
        if sent_at is not None and (sent_at - self.clock_ms) // self.size != (now + self.clock_ms) // self.size:
            return
        self.counted = used + self.counted if self.unknown else max(self.counted, used)
        self.unknown = False

    def room(self, rank: int, reserved: int) -> int:
        """What somebody of `rank` could still use."""
        if self.unknown:
            most = self.restart if rank <= URGENT else self.restart // 2 if rank == READING else 0
        elif rank <= URGENT:
            most = self.total - (0 if rank == GUARD else reserved)
        elif self.joint:
            sent = self.stops + self.stops_out if self.brief else 0
            most = self.total - max(self.urgent - sent, reserved)
        else:
            most = self.total - (self.urgent + reserved)
        return most - self.counted - self.outstanding

    def hopeless(self, rank: int, weight: int) -> bool:
        """Whether `weight` has no room until `end`, even if all that is handed out were given back."""
        return not self.unknown and self.room(rank, 0) + self.outstanding < weight


PARTS: Final = 20
"""A rolling window forgets in so many steps: up to a twentieth of it late."""


class RollingWindow(Window):
    """A pool that counts what came in the last `size` milliseconds, at every instant.

    A request counts from when its permit is given until `size` after the last moment it may have arrived.
    Why that suffices: of the requests in any window of the exchange's, take the one whose permit was given
    last. At that moment all others were counted here, since they arrived less than `size` before it arrived.
    """

    __slots__ = ("known_at", "now", "parts", "step")

    def __init__(self, pool: Pool, limits: Limits) -> None:
        super().__init__(pool, limits)
        self.step = max(1, -(-self.size // PARTS))
        self.parts: deque[list[int]] = deque()
        self.now = 0
        self.known_at = -1

    @property
    def end(self) -> Millis:
        """Before this time nothing that is counted is forgotten."""
        if self.unknown:
            return self.known_at
        return (self.parts[0][0] + 1) * self.step + self.size if self.parts else self.now + self.size

    def lasts_beyond(self, until: Millis) -> bool:
        """Whether what is taken now is still counted at `until`."""
        return self.now + self.size > until

    def advance(self, now: Millis) -> None:
        """Forget what came more than `size` ago."""
        if self.known_at < 0:
            self.known_at = now + self.size
        self.now = now
        self.unknown = self.unknown and now < self.known_at
        while self.parts and (self.parts[0][0] + 1) * self.step + self.size <= now:
            _, weight, stops = self.parts.popleft()
            self.counted -= weight
            self.stops -= stops

    def count(self, weight: int, first: Millis, last: Millis, stops: int = 0) -> None:
        """Count what came by `last`; with what came later, where that was counted before."""
        del first
        self.counted += weight
        self.stops += stops
        part = last // self.step
        if self.parts and self.parts[-1][0] >= part:
            self.parts[-1][1] += weight
            self.parts[-1][2] += stops
        else:
            self.parts.append([part, weight, stops])

    def believe(self, used: int, now: Millis, sent_at: Millis | None) -> None:
        """As of an aligned window; what we did not know of is taken to have come just now."""
        del sent_at
        more = used if self.unknown else used - self.counted
        self.unknown = False
        if more > 0:
            self.count(more, now, now)


def window_of(pool: Pool, limits: Limits) -> Window:
    """The counting of one pool."""
    return RollingWindow(pool, limits) if pool.rolling else Window(pool, limits)


FULL_PERCENT: Final = 90
"""Whoever asks without permits leaves the rest of a window alone."""


def wait_for_room(limits: Limits, kinds: Iterable[str], used: Mapping[str, int], now: Millis) -> Millis:
    """How long to wait before one request of each of `kinds` may be sent without permits, as a start does.

    `used` is what the exchange itself has counted of the windows of `now`, by pool. A bot that is started again and
    again would otherwise be refused, or banned, for what its starts ask.
    """
    needed: dict[str, int] = {}
    for kind in kinds:
        for name, weight in limits.costs.get(kind, {}).items():
            needed[name] = needed.get(name, 0) + weight
    full = [
        pool
        for pool in limits.pools
        if needed.get(pool.name) and used.get(pool.name, 0) + needed[pool.name] > pool.limit * FULL_PERCENT // 100
    ]
    return max((pool.window_ms - now % pool.window_ms + limits.clock_ms for pool in full), default=0)
