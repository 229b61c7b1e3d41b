"""The rate limiter: windows are never exceeded, the urgent go first, and nobody waits without need."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from engine.quota import RANK
from engine.ratelimit import Denied, Grant, Limits, Pool, RateLimiter, Wait, read_permit
from engine.types import Priority

GUARD, EXIT, ENTRY, DATA = Priority.GUARD, Priority.EXIT, Priority.ENTRY, Priority.DATA

LIMITS = Limits(
    pools=(Pool("weight", 100, 60_000), Pool("orders", 10, 10_000)),
    costs={
        "order": {"weight": 1, "orders": 1},
        "stop": {"weight": 1, "orders": 1},
        "cancel": {"weight": 1},
        "candles": {"weight": 30},
    },
    urgent_percent=20,
    restart_percent=0,
    permit_ms=1_000,
)


def limiter(limits: Limits = LIMITS, *, known: bool = True, epoch: int = 1) -> RateLimiter:
    return RateLimiter(limits, known=known, epoch=epoch)


def orders(made: RateLimiter, count: int, priority: Priority = ENTRY, now: int = 0, **rest: Any) -> list[str]:
    """Ask for orders and name what came of each; GUARD asks for stops."""
    kind = "stop" if priority is GUARD else "order"
    return [
        type(made.acquire(f"{priority}{now}-{n}", kind, priority, now, now + 30_000, **rest)).__name__
        for n in range(count)
    ]


def test_a_share_is_left_to_the_urgent() -> None:
    """Entries stop at the urgent share; exits and guards use it; then all wait for the window's end."""
    made = limiter()

    assert orders(made, 9) == ["Grant"] * 8 + ["Wait"]
    assert orders(made, 1, EXIT) == ["Grant"]
    assert orders(made, 2, GUARD) == ["Grant", "Wait"]


def test_an_entry_reserves_its_stop() -> None:
    """An entry with a reservation takes two places, and the stop uses the second."""
    made = limiter()

    assert orders(made, 5, ENTRY, reserve=1) == ["Grant"] * 4 + ["Wait"]
    assert orders(made, 3, EXIT) == ["Grant"] * 2 + ["Wait"]
    assert orders(made, 5, GUARD) == ["Grant"] * 4 + ["Wait"]


def test_a_stop_makes_room_only_when_the_next_ones_budget_is_there() -> None:
    """The cancel of a stop that is to be replaced reserves an order, though a cancel itself needs none: the gap must not wait."""
    made = limiter()
    orders(made, 10, GUARD)

    assert isinstance(made.acquire("plain", "cancel", GUARD, 0, 30_000), Grant)
    assert made.acquire("room", "cancel", GUARD, 0, 30_000, reserve=1) == Wait(10_000)
    made.release("1.1.1000")
    assert [g.request_id for g in made.poll(1)] == ["room"]
    assert orders(made, 1, EXIT, 2) == ["Wait"]
    assert orders(made, 1, GUARD, 3) == ["Grant"]


def test_a_reservation_may_be_part_of_the_urgent_share() -> None:
    """Where it is, five entries and their five stops use a window of ten whole; exits are left what nobody reserved."""
    made = limiter(replace(LIMITS, reserve_is_urgent=True))

    assert orders(made, 6, ENTRY, reserve=1) == ["Grant"] * 5 + ["Wait"]
    assert orders(made, 1, EXIT) == ["Wait"]
    assert orders(made, 6, GUARD) == ["Grant"] * 5 + ["Wait"]
    assert orders(limiter(replace(LIMITS, reserve_is_urgent=True)), 9) == ["Grant"] * 8 + ["Wait"]


def test_an_entry_that_came_to_nothing_gives_its_stops_place_back() -> None:
    """Its own order stays counted; what is said twice, or of a stop that is on its way, changes nothing."""
    made = limiter(replace(LIMITS, reserve_is_urgent=True))
    granted = [made.acquire(f"e{n}", "order", ENTRY, 0, 30_000, reserve=1) for n in range(5)]
    permits = [grant.permit_id for grant in granted if isinstance(grant, Grant)]
    for permit_id in permits:
        made.spent(permit_id, 1)
    assert orders(made, 1, ENTRY, 2, reserve=1) == ["Wait"]
    made.unfollowed(permits[0])
    made.unfollowed(permits[0])
    assert orders(made, 1, EXIT, 3) == ["Grant"]
    assert orders(made, 1, EXIT, 4) == ["Wait"]

    assert orders(made, 5, GUARD, 5) == ["Grant"] * 4 + ["Wait"]
    made.unfollowed(permits[1])
    assert orders(made, 1, GUARD, 6) == ["Wait"]


@pytest.mark.parametrize(("seconds", "pairs"), [(10, 5), (60, 4)], ids=["a window of seconds", "a longer one"])
def test_stops_that_come_at_once_leave_room_for_as_many_entries(seconds: int, pairs: int) -> None:
    """Where each entry's stop is sent before the next entry asks, a short window is used whole; a longer one keeps its share."""
    pools = (Pool("weight", 100, 60_000), Pool("orders", 10, seconds * 1_000))
    made = limiter(replace(LIMITS, reserve_is_urgent=True, pools=pools))
    granted = 0
    for number in range(10):
        entry = made.acquire(f"entry{number}", "order", ENTRY, number, 500_000, reserve=1)
        if isinstance(entry, Grant):
            granted += 1
            made.spent(entry.permit_id, number)
            stop = made.acquire(f"stop{number}", "stop", GUARD, number, 500_000)
            assert isinstance(stop, Grant)
            made.spent(stop.permit_id, number)

    assert granted == pairs
    assert len(made.poll(seconds * 1_000)) == 5  # those that waited have the next window whole


def test_the_urgent_overtakes_those_who_wait() -> None:
    """When the window ends, the guard that came last is served first."""
    made = limiter()
    granted = [made.acquire(f"e{n}", "order", ENTRY, 0, 30_000) for n in range(12)]
    for grant in granted[:8]:
        assert isinstance(grant, Grant)
        made.spent(grant.permit_id, 1)
    orders(made, 2, EXIT)
    assert isinstance(made.acquire("guard", "order", GUARD, 9_000, 30_000), Wait)

    assert [g.request_id for g in made.poll(10_000)] == ["guard", "e8", "e9", "e10", "e11"]


def test_who_needs_another_pool_does_not_wait() -> None:
    """With the orders of ten seconds used up, a cancel goes on: it needs weight only."""
    made = limiter()
    orders(made, 9)

    assert isinstance(made.acquire("c", "cancel", ENTRY, 0, 30_000), Grant)


def test_what_the_urgent_waits_for_is_kept_from_others() -> None:
    """Weight that waiting exits will need before its window ends is not given to nice requests."""
    made = limiter(replace(LIMITS, pools=(Pool("weight", 42, 60_000), Pool("orders", 10, 10_000))))
    orders(made, 10, EXIT)
    assert orders(made, 10, EXIT, 1) == ["Wait"] * 10

    assert isinstance(made.acquire("data", "candles", DATA, 1, 30_000), Wait)


def test_an_unspent_permit_weighs_in_the_next_window_too() -> None:
    """Permits that may still be sent after the window's edge are not given twice."""
    made = limiter()
    grants = [made.acquire(f"x{n}", "order", EXIT, 9_900, 30_000) for n in range(10)]

    assert orders(made, 1, EXIT, 10_000) == ["Wait"]
    assert isinstance(grants[0], Grant)
    made.spent(grants[0].permit_id, 9_950)
    assert orders(made, 1, EXIT, 10_001) == ["Wait"]  # the one that has waited got it
    assert isinstance(grants[1], Grant)
    made.release(grants[1].permit_id)
    assert len(made.poll(10_002)) == 2


def test_a_forgotten_permit_counts_as_sent() -> None:
    """A permit of which nothing is heard counts in the window in which it expired."""
    made = limiter()
    orders(made, 10, GUARD, 9_500)
    made.poll(10_600)

    assert made.usage()["orders"] == {"used": 10, "outstanding": 0, "limit": 10, "sent": 10}


def test_what_leaves_just_before_the_edge_counts_on_both_sides() -> None:
    """A request that may arrive in the next window is counted there too."""
    made = limiter(replace(LIMITS, margin_ms=300))
    for number in range(10):
        grant = made.acquire(f"x{number}", "order", EXIT, 9_600, 30_000)
        assert isinstance(grant, Grant)
        made.spent(grant.permit_id, 9_600 if number < 6 else 9_800)
    made.poll(10_000)

    assert made.usage()["orders"]["used"] == 4


def test_a_repeated_request_gets_the_same_permit() -> None:
    """Asking again with the same id costs nothing and gives the same permit, or the same place."""
    made = limiter()
    first = made.acquire("a", "order", ENTRY, 0, 30_000)

    assert made.acquire("a", "order", ENTRY, 5, 30_000) == first
    assert made.usage()["orders"]["outstanding"] == 1


def test_the_exchange_knows_better() -> None:
    """A higher count from the exchange is believed, a lower one is not."""
    made = limiter()
    made.report("orders", 9, 0)
    made.report("orders", 1, 0)
    made.report("something else", 1, 0)

    assert orders(made, 2, EXIT) == ["Grant", "Wait"]


def test_silence_is_kept_by_all() -> None:
    """During a ban nobody gets a permit, and who cannot wait so long is told at once."""
    made = limiter()
    made.penalize(20_000)

    assert made.acquire("g", "order", GUARD, 0, 30_000) == Wait(20_000)
    assert made.acquire("late", "order", GUARD, 0, 19_999) == Denied("late", "the exchange wants silence")
    assert made.poll(19_999) == []
    assert [g.request_id for g in made.poll(20_000)] == ["g"]


def test_a_key_that_is_refused_holds_what_carries_it() -> None:
    """While our key is refused public requests go on, and do not wait behind those that carry it; a ban holds all."""
    made = limiter(replace(LIMITS, public=frozenset({"candles"})))
    made.penalize(20_000, signed=True)

    assert made.acquire("g", "order", GUARD, 0, 30_000) == Wait(20_000)
    assert isinstance(made.acquire("c", "candles", DATA, 10, 30_000), Grant)
    made.penalize(15_000)
    assert made.acquire("d", "candles", DATA, 20, 30_000) == Wait(15_000)
    assert made.next_at() == 15_000
    assert [g.request_id for g in made.poll(15_000)] == ["d"]
    assert [g.request_id for g in made.poll(20_000)] == ["g"]


def test_who_cannot_be_served_in_time_is_told() -> None:
    """A wish ends when its time does, at once when the window outlasts it, or when it is too large for any."""
    made = limiter()
    orders(made, 10, EXIT, 0)
    waiting = made.acquire("w", "order", EXIT, 500, 800)

    assert isinstance(waiting, Wait)  # the permits may be given back
    assert made.next_at() == 801
    assert made.poll(801) == [Denied("w", "its time ran out before there was budget")]
    assert made.poll(1_500) == []
    assert made.acquire("h", "order", EXIT, 2_000, 3_000) == Denied("h", "orders is used up")
    assert made.acquire("o", "order", EXIT, 2_000, 1_000) == Denied("o", "its time has run out")
    small = limiter(replace(LIMITS, pools=(Pool("weight", 20, 60_000), Pool("orders", 10, 10_000))))
    assert isinstance(small.acquire("x", "candles", DATA, 0, 9), Denied)


def test_after_a_restart_the_window_is_unknown() -> None:
    """Until the exchange has told its count, or the window ends, only the restart share is used, by the urgent."""
    limits = replace(LIMITS, restart_percent=20)

    made = limiter(limits, known=False)
    assert orders(made, 1, ENTRY, 5_000) == ["Wait"]
    assert orders(made, 3, EXIT, 5_000) == ["Grant", "Grant", "Wait"]
    made = limiter(limits, known=False)
    assert orders(made, 2, Priority.RECONCILE, 5_000) == ["Grant", "Wait"]  # reading is half of it
    assert orders(made, 2, EXIT, 5_000) == ["Grant", "Wait"]
    made = limiter(limits, known=False)
    made.report("orders", 3, 5_000)
    made.report("weight", 3, 5_000)
    assert orders(made, 6, EXIT, 5_000) == ["Grant"] * 5 + ["Wait"]
    made = limiter(limits, known=False)
    made.report("weight", 3, 5_000)
    assert orders(made, 1, ENTRY, 5_000) == ["Wait"]
    assert len(made.poll(10_000)) == 1


def test_permits_tell_who_gave_them_and_until_when() -> None:
    """Whoever sends can see from a permit alone whether it still holds."""
    grant = limiter(epoch=7).acquire("a", "order", ENTRY, 100, 30_000)
    assert isinstance(grant, Grant)

    assert read_permit(grant.permit_id) == (7, 1_100)
    assert read_permit("nonsense") is None
    assert read_permit("1.2.x") is None


@pytest.mark.parametrize("kind", ["order", "candles"])
def test_next_at_is_when_something_can_happen(kind: str) -> None:
    """Polling at `next_at` again and again serves everybody, and there is no time when nobody waits."""
    made = limiter()
    waiting = {f"r{n}" for n in range(40) if isinstance(made.acquire(f"r{n}", kind, DATA, 0, 10**9), Wait)}
    while waiting:
        at = made.next_at()
        assert at is not None
        for decided in made.poll(at):
            assert isinstance(decided, Grant)
            waiting.discard(decided.request_id)

    assert made.next_at() is None


# ---------------------------------------------------------------- the promises, for any course of events


class World:
    """An exchange that counts arrivals, requests on their way, and reports that come late."""

    def __init__(self) -> None:
        self.limits = replace(
            LIMITS,
            pools=(Pool("weight", 12, 60_000), Pool("orders", 3, 10_000)),
            costs={**LIMITS.costs, "candles": {"weight": 5}},
            urgent_percent=34,
            permit_ms=5_000,
            margin_ms=300,
            restart_percent=34,
        )
        self.limiter = limiter(self.limits)
        self.now = 0
        self.counted: Counter[tuple[str, int]] = Counter()
        self.held: list[tuple[Grant, str]] = []
        self.kinds: dict[str, tuple[str, Priority, int]] = {}
        self.unreported: list[tuple[str, int]] = []
        self.restarted: set[tuple[str, int]] = set()
        self.epoch = 1

    def take(self, decided: Grant | Wait | Denied) -> None:
        if isinstance(decided, Grant):
            self.held.append((decided, self.kinds.pop(decided.request_id)[0]))
        elif isinstance(decided, Denied):
            self.kinds.pop(decided.request_id, None)

    def acquire(self, number: int, kind: str, priority: Priority, patience: int, reserve: int) -> None:
        self.kinds[str(number)] = (kind, priority, reserve)
        self.take(self.limiter.acquire(str(number), kind, priority, self.now, self.now + patience, reserve))

    def send(self, which: int, travel: int) -> None:
        if not self.held:
            return
        grant, kind = self.held.pop(which % len(self.held))
        if grant.expires < self.now:
            return
        for pool in self.limits.pools:
            self.counted[pool.name, (self.now + travel) // pool.window_ms] += self.limits.costs[kind].get(pool.name, 0)
        self.unreported.append((grant.permit_id, self.now))

    def restart(self) -> None:
        windows = {(pool.name, self.now // pool.window_ms) for pool in self.limits.pools}
        if windows & self.restarted:
            return  # without word from the exchange one restart a window is what is promised
        self.restarted |= windows
        # What is still on its way counts at its arrival; the new limiter comes after that.
        self.now += 300
        self.restarted |= {(pool.name, self.now // pool.window_ms) for pool in self.limits.pools}
        self.epoch += 1
        self.limiter = limiter(self.limits, known=False, epoch=self.epoch)
        self.held, self.unreported, self.kinds = [], [], {}

    def check(self, seed: int) -> None:
        for pool in self.limits.pools:
            assert all(n <= pool.limit for (name, _), n in self.counted.items() if name == pool.name), seed
        for decided in self.limiter.poll(self.now):
            self.take(decided)
        if self.kinds:
            # The most urgent of all who wait could not be served even if nobody else were there.
            first = min(self.kinds.values(), key=lambda wish: RANK[wish[1]])
            same = [w for w in self.kinds.values() if w[1] == first[1]]
            assert any(self.limiter._blocked(self.limiter._costs[kind], RANK[p], r) for kind, p, r in same), seed

    def step(self, rng: Random, number: int) -> None:
        drawn = rng.random()
        if drawn < 0.40:
            kind, priority = rng.choice(["order", "stop", "cancel", "candles"]), rng.choice(list(Priority))
            self.acquire(number, kind, priority, rng.randrange(20_000), rng.choice([0, 0, 1]))
        elif drawn < 0.48:
            self.now += rng.randrange(7_000)
        elif drawn < 0.53:  # a little before the next window
            self.now = (self.now // 10_000 + 1) * 10_000 - rng.randrange(1, 200)
        elif drawn < 0.85:
            self.send(rng.randrange(6), rng.randrange(300))
        elif drawn < 0.88 and self.held:
            self.limiter.release(self.held.pop()[0].permit_id)
        elif drawn < 0.90:
            self.restart()
        else:
            for permit_id, at in self.unreported:
                self.limiter.spent(permit_id, at)
            self.unreported = []


@pytest.mark.parametrize("block", range(8))
def test_no_window_is_ever_exceeded(block: int) -> None:
    """Whatever is asked, sent late, given back, forgotten or restarted, the exchange never counts over its limits."""
    for seed in range(block * 50, block * 50 + 50):
        world, rng = World(), Random(seed)
        for number in range(100):
            world.step(rng, number)
            world.check(seed)
