"""What exchanges count: aligned and rolling windows, whatever the latency, and what they say of it themselves."""

from __future__ import annotations

from collections import Counter
from heapq import heappop, heappush
from random import Random

import pytest

from engine.permits import PermitBook
from engine.quota import (
    Limits,
    Pool,
    RollingWindow,
    Sharers,
    Window,
    exchange_limits,
    reported_pools,
    shared_by,
    wait_for_room,
)
from engine.ratelimit import Denied, Grant, RateLimiter, Wait
from engine.types import Priority

GUARD, EXIT, ENTRY, DATA = Priority.GUARD, Priority.EXIT, Priority.ENTRY, Priority.DATA

KINDS = {
    "order": {"weight": 1, "orders": 1, "rate": 1},
    "stop": {"weight": 1, "orders": 1, "rate": 1},
    "candles": {"weight": 5, "rate": 1},
}
POOLS = (Pool("weight", 30, 60_000), Pool("orders", 5, 10_000), Pool("rate", 4, 2_000, rolling=True))


class Exchange:
    """Counts what arrives by its own clock, in aligned windows or over the last of them at every instant."""

    def __init__(self, limits: Limits, skew: int = 0) -> None:
        self.limits = limits
        self.skew = skew
        self.counted: Counter[tuple[str, int]] = Counter()
        self.came: dict[str, list[tuple[int, int]]] = {pool.name: [] for pool in limits.pools}
        self.over: list[str] = []

    def arrive(self, kind: str, now: int) -> None:
        """One request is here at `now` of our clock."""
        there = now + self.skew
        for pool in self.limits.pools:
            weight = self.limits.costs[kind].get(pool.name, 0)
            if pool.rolling:
                came = [(ts, w) for ts, w in self.came[pool.name] if ts > there - pool.window_ms]
                self.came[pool.name] = came = [*came, (there, weight)]
                used = sum(w for _, w in came)
            else:
                self.counted[pool.name, there // pool.window_ms] += weight
                used = self.counted[pool.name, there // pool.window_ms]
            if used > pool.limit:
                self.over.append(f"{pool.name}: {used} of {pool.limit} at {now}")


class World:
    """A limiter, requests that are long on their way, and the exchange that counts them on arrival."""

    def __init__(self, limits: Limits, rng: Random, skew: int = 0) -> None:
        self.limiter = RateLimiter(limits, known=True)
        self.exchange = Exchange(limits, skew)
        self.rng = rng
        self.now = 0
        self.asked: dict[str, str] = {}
        self.held: list[tuple[Grant, str]] = []
        self.coming: list[tuple[int, int, str, str]] = []
        self.number = 0

    def acquire(self, kind: str, priority: Priority, patience: int = 10**9, reserve: int = 0) -> None:
        self.number += 1
        self.asked[str(self.number)] = kind
        self.take(
            self.limiter.acquire(str(self.number), kind, priority, self.now, self.now + patience, reserve=reserve)
        )

    def take(self, decided: Grant | Wait | Denied) -> None:
        if isinstance(decided, Grant):
            self.held.append((decided, self.asked.pop(decided.request_id)))
        elif isinstance(decided, Denied):
            self.asked.pop(decided.request_id)

    def send(self, which: int, up: int, down: int) -> None:
        """One of the permits is used: its request takes `up` there, the answer `down` back."""
        grant, kind = self.held.pop(which)
        if grant.expires < self.now:
            return
        self.limiter.sent(grant.permit_id, self.now)
        self.number += 1
        heappush(self.coming, (self.now + up, self.number, "arrive", kind))
        heappush(self.coming, (self.now + up + down, self.number, "answer", grant.permit_id))

    def go_on(self, until: int) -> None:
        """Time passes: requests arrive, answers come, who waits is served."""
        while self.coming and self.coming[0][0] <= until:
            self.now, _, what, which = heappop(self.coming)
            if what == "arrive":
                self.exchange.arrive(which, self.now)
            else:
                self.limiter.answered(which, self.now)
        self.now = until
        for decided in self.limiter.poll(self.now):
            self.take(decided)

    def step(self) -> None:
        """Something happens: a wish, a sending after a while, time that passes, often to the edge of a window."""
        rng = self.rng
        drawn = rng.random()
        if drawn < 0.4:
            kind = rng.choice(list(KINDS))
            self.acquire(kind, rng.choice(list(Priority)), rng.randrange(20_000), rng.choice([0, 0, 1]))
        elif drawn < 0.75:
            if self.held:
                longest = rng.choice([5, 5, 300, 15_000])
                self.send(rng.randrange(len(self.held)), rng.randrange(longest), rng.randrange(5))
        elif drawn < 0.85:
            self.go_on(self.now + rng.randrange(4_000))
        elif drawn < 0.97:
            self.go_on(max(self.now, (self.now // 10_000 + rng.randrange(2)) * 10_000 + rng.randrange(-200, 200)))
        elif self.held:
            self.limiter.release(self.held.pop()[0].permit_id)


@pytest.mark.parametrize("block", range(6))
def test_no_window_is_exceeded_whatever_the_latency(block: int) -> None:
    """Requests that take up to 15 s, a clock that is wrong by as much as we reckon with: the exchange never counts over."""
    for seed in range(block * 40, block * 40 + 40):
        rng = Random(seed)
        limits = Limits(pools=POOLS, costs=KINDS, clock_ms=150, reserve_is_urgent=bool(seed % 2))
        world = World(limits, rng, skew=rng.randrange(-150, 151))
        for _ in range(150):
            world.step()
        world.go_on(world.now + 60_000)

        assert world.exchange.over == [], seed
        assert sum(world.exchange.counted.values()) > 0


@pytest.mark.parametrize(
    ("pool", "seconds"),
    [(Pool("used", 1_200, 60_000), 240), (Pool("used", 100, 10_000, restart_percent=0), 60)],
    ids=["a minute", "ten seconds"],
)
def test_nine_tenths_of_an_aligned_window_are_used(pool: Pool, seconds: int) -> None:
    """With always somebody urgent and somebody nice in line, the exchange counts 90 % of its limit and never more than it."""
    limits = exchange_limits((pool,), {"order": {"used": 1}, "stop": {"used": 1}, "candles": {"used": 1}})

    assert 0.9 <= _share_used(limits, pool, seconds) <= 1


def test_nine_tenths_of_a_rolling_window_are_used() -> None:
    """So it is where the exchange counts the last five seconds at every instant, with 50 ms of way."""
    pool = Pool("used", 600, 5_000, rolling=True, restart_percent=0)
    limits = exchange_limits((pool,), {"order": {"used": 1}, "stop": {"used": 1}, "candles": {"used": 1}})

    assert 0.9 <= _share_used(limits, pool, 60) <= 1


def _share_used(limits: Limits, pool: Pool, seconds: int) -> float:
    world = World(limits, Random(1))
    total = 0
    while world.now < seconds * 1_000:
        while sum(kind == "order" for kind in world.asked.values()) < 20:
            world.acquire("order", EXIT)
        while sum(kind == "candles" for kind in world.asked.values()) < 20:
            world.acquire("candles", DATA)
        total += len(world.held)
        while world.held:
            world.send(0, 25, 25)
        world.go_on(world.now + 10)
    assert world.exchange.over == []
    return total / (pool.limit * seconds * 1_000 / pool.window_ms)


def test_what_is_on_its_way_weighs_until_it_is_answered() -> None:
    """A request of before the edge may arrive after it: its place is kept in the next window until the answer is there."""
    limits = Limits(pools=(Pool("orders", 2, 10_000),), costs={"order": {"orders": 1}, "stop": {}}, restart_percent=0)
    made = RateLimiter(limits, known=True)
    first, second = (made.acquire(name, "order", EXIT, 9_000, 10**9) for name in "ab")
    assert isinstance(first, Grant)
    assert isinstance(second, Grant)
    made.sent(first.permit_id, 9_100)
    made.sent(second.permit_id, 9_100)
    made.answered(first.permit_id, 9_900)

    assert isinstance(made.acquire("c", "order", EXIT, 10_000, 10**9), Grant)
    assert isinstance(made.acquire("d", "order", EXIT, 10_000, 10**9), Wait)
    made.answered(second.permit_id, 10_100)  # it may have been counted on either side
    assert made.usage()["orders"] == {"used": 1, "outstanding": 1, "limit": 2, "sent": 2}
    assert [g.request_id for g in made.poll(20_000)] == ["d"]


def test_an_answer_that_never_comes_is_not_waited_for_for_ever() -> None:
    """After the longest flight a request is counted as arrived, and a late answer to it changes nothing."""
    limits = Limits(
        pools=(Pool("orders", 2, 10_000),), costs={"order": {"orders": 1}, "stop": {}}, flight_ms=5_000, permit_ms=1_000
    )
    made = RateLimiter(limits, known=True)
    grant = made.acquire("a", "order", EXIT, 0, 10**9)
    assert isinstance(grant, Grant)
    made.sent(grant.permit_id, 0)

    made.poll(5_001)
    assert made.usage()["orders"] == {"used": 1, "outstanding": 0, "limit": 2, "sent": 1}
    made.answered(grant.permit_id, 6_000)
    assert made.usage()["orders"] == {"used": 1, "outstanding": 0, "limit": 2, "sent": 1}


def test_an_answer_of_the_window_before_says_nothing() -> None:
    """A count that came with an answer over the edge is left aside; one from within the window is believed."""
    limits = Limits(pools=(Pool("orders", 10, 10_000),), costs={"order": {"orders": 1}, "stop": {}}, clock_ms=100)
    made = RateLimiter(limits, known=True)
    made.report("orders", 10, 10_200, sent_at=9_950)
    assert made.usage()["orders"]["used"] == 0
    made.report("orders", 4, 10_900, sent_at=10_200)

    assert made.usage()["orders"]["used"] == 4


def test_a_rolling_window_after_a_restart() -> None:
    """What is used is not known until the exchange has said so, or a whole window has gone by."""
    pools = (Pool("rate", 100, 2_000, rolling=True),)
    limits = Limits(pools=pools, costs={"order": {"rate": 1}, "stop": {"rate": 1}}, restart_percent=2)
    made = RateLimiter(limits)

    outcomes = [made.acquire(str(n), "order", EXIT, 5_000, 10**9) for n in range(3)]
    assert [type(o) for o in outcomes] == [Grant, Grant, Wait]
    assert outcomes[2] == Wait(7_000)
    assert len(made.poll(7_000)) == 1
    told = RateLimiter(limits)
    told.report("rate", 97, 5_000)
    assert [type(told.acquire(str(n), "order", EXIT, 5_000, 10**9)) for n in range(2)] == [Grant, Wait]


def test_who_waits_for_a_rolling_window_is_told_when_it_goes_on() -> None:
    """The time to wait for is when the oldest request is forgotten, and then as many go as were forgotten."""
    limits = Limits(
        pools=(Pool("rate", 2, 2_000, rolling=True),),
        costs={"order": {"rate": 1}, "stop": {"rate": 1}},
        restart_percent=0,
    )
    made = RateLimiter(limits, known=True)
    for at in (0, 1_000):
        grant = made.acquire(f"a{at}", "order", EXIT, at, 10**9)
        assert isinstance(grant, Grant)
        made.spent(grant.permit_id, at)

    waiting = made.acquire("b", "order", EXIT, 1_500, 10**9)
    assert waiting == Wait(2_100)  # a twentieth of the window late at most
    assert made.next_at() == 2_100
    assert made.poll(2_099) == []
    (granted,) = made.poll(2_100)
    assert isinstance(granted, Grant)
    made.spent(granted.permit_id, 2_100)
    assert made.acquire("c", "order", EXIT, 2_200, 2_300) == Denied("c", "rate is used up")


def test_the_exchanges_own_numbers_win() -> None:
    """Limits that the exchange lists replace the facts' of the same window; what it lists besides, or wrongly, does not."""
    facts = (Pool("weight_1m", 6_000, 60_000), Pool("orders_10s", 100, 10_000, restart_percent=0))
    said = reported_pools(
        [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 1_200},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50},
            {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 160_000},
            {"rateLimitType": "ORDERS", "interval": "FORTNIGHT", "intervalNum": 1, "limit": 1},
            {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": "1", "limit": None},
            None,
        ]
    )

    assert said == (
        Pool("weight_1m", 1_200, 60_000),
        Pool("orders_10s", 50, 10_000),
        Pool("orders_1d", 160_000, 86_400_000),
    )
    limits = exchange_limits(facts, {"order": {"weight_1m": 1}}, said)
    assert limits.pools == (Pool("weight_1m", 1_200, 60_000), Pool("orders_10s", 50, 10_000, restart_percent=0))
    assert reported_pools({"no": "list"}) == ()


def test_a_window_that_ended_a_moment_ago_is_kept() -> None:
    """Within the error of our clock the exchange may still be in the window before: its count holds until that is over."""
    limits = Limits(pools=(), costs={}, clock_ms=100, restart_percent=0)
    window = Window(Pool("orders", 5, 10_000), limits)
    window.advance(9_000)
    window.count(5, 9_800, 9_950)

    window.advance(10_050)
    assert window.room(0, 0) == 0
    window.advance(10_100)
    assert window.room(0, 0) == 0  # it may have come after the edge
    window.advance(20_100)
    assert window.room(0, 0) == 5


def test_a_rolling_window_takes_times_in_any_order() -> None:
    """What is reported late, of an earlier time, is kept as long as what is newer, and never lost."""
    window = RollingWindow(Pool("rate", 5, 2_000, rolling=True), Limits(pools=(), costs={}, restart_percent=0))
    window.advance(0)
    window.count(1, 1_000, 1_000)
    window.count(2, 0, 500)

    window.advance(2_700)
    assert window.counted == 3
    window.advance(3_100)
    assert window.counted == 0


def test_silence_holds_for_permits_that_were_given_before() -> None:
    """When the exchange wants silence, a permit in hand is no good until that is over, and then until it expires."""
    book = PermitBook()
    book.silence(2_000)

    assert not book.spend("1.1.3000", 1_999)
    assert book.spend("1.1.3000", 2_000)


def test_a_sender_tells_what_flies_and_what_was_answered() -> None:
    """Each permit's fate is told once: sent, answered, spent at once, or unused; nothing to tell is nothing told."""
    book = PermitBook()
    assert book.settle(0) is None
    book.spend("1.1.3000", 10, flies=True)
    book.spend("1.2.3000", 20)
    book.give_back("1.3.3000")
    told = book.settle(30)
    book.answered("1.1.3000", 40)
    then = book.settle(50)

    assert told is not None
    assert then is not None
    assert (told.sent, told.spent, told.unused) == ((("1.1.3000", 10),), (("1.2.3000", 20),), ("1.3.3000",))
    assert (then.answered, then.sent, then.spent) == ((("1.1.3000", 40),), (), ())


@pytest.mark.parametrize("seed", range(5))
def test_accounts_of_one_address_together_stay_within_its_pool(seed: int) -> None:
    """Three limiters that know of each other by the exchange's count alone never send more than it allows, and use five parts in six."""
    whole = Limits(
        pools=(Pool("weight_1m", 60, 60_000),), costs={"order": {"weight_1m": 1}}, urgent_percent=0, restart_percent=0
    )
    rng, now, minutes = Random(seed), 0, Counter[int]()
    limiters = [RateLimiter(shared_by(whole, Sharers(3, 3)), known=True) for _ in range(3)]
    for number in range(4_000):
        now += rng.randrange(60)
        limiter = limiters[rng.randrange(3)]
        granted = limiter.acquire(f"{number}", "order", ENTRY, now, now)
        if isinstance(granted, Grant):
            minutes[now // 60_000] += 1
            limiter.spent(granted.permit_id, now)
        limiter.report("weight_1m", minutes[now // 60_000], now)

    assert max(minutes.values()) <= 60
    assert min(list(minutes.values())[:-1]) >= 50


def test_a_shared_count_is_divided_as_its_limit_is() -> None:
    """The exchange's count of all is held against its whole limit; pools of an account's own are left as they are."""
    pools = (Pool("weight_1m", 60, 60_000), Pool("orders_10s", 50, 10_000), Pool("public_1s", 1, 1_000, rolling=True))
    weight, orders, public = shared_by(Limits(pools=pools, costs={}), Sharers(2, 1)).pools
    shared = shared_by(Limits(pools=pools, costs={}), Sharers(2, 2)).pools

    assert (60, 50) == (weight.limit, orders.limit)
    assert (1, 2_000) == (public.limit, public.window_ms)
    assert (30, 50) == (shared[0].limit, shared[1].limit)
    assert pools == shared_by(Limits(pools=pools, costs={}), Sharers()).pools


@pytest.mark.parametrize(
    ("used", "wait_ms"),
    [({}, 0), ({"weight": 80}, 0), ({"weight": 81}, 40_000), ({"orders": 99}, 0), ({"weight": 999}, 40_000)],
    ids=["nothing used", "just room", "just none", "another pool", "over"],
)
def test_a_start_waits_for_room(used: dict[str, int], wait_ms: int) -> None:
    """What is asked without permits waits for the next window where it would fill more than nine tenths of this one."""
    pools = (Pool("weight", 100, 60_000), Pool("orders", 100, 10_000))
    limits = Limits(pools=pools, costs={"balances": {"weight": 6}, "open_orders_all": {"weight": 4}})

    assert wait_for_room(limits, ["balances", "open_orders_all"], used, 20_000) == wait_ms
