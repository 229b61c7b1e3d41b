"""What may be sent to an exchange, and when: the exchange's own counting, followed exactly.

Exchanges count in fixed windows that are aligned to the clock (10 seconds, the minute, the day) or in rolling
ones, in several pools at once (weight, orders), and punish whoever goes over. A token bucket either goes
over at the edge of a window or leaves half of the budget unused; this counts as they do (`engine.quota`).

Rules
    A request may leave only with a permit. A permit that nobody has accounted for yet weighs in *every*
    window until it is `spent`, `release`d or expired, since it may be sent in any of them; one that is
    `sent` does until it is `answered`, since it may arrive in any of them. Then it is counted in all windows
    that its way may have touched. So no window is ever exceeded, however late a permit is used and however
    long its way is. `spent` is for those who need not wait: it is `sent` with an arrival within `margin_ms`.
    Priorities: whoever is more urgent goes first, and what he waits for is not given to others. A share
    of each window is for GUARD and EXIT; an entry reserves its stop's budget, which GUARD uses up.
    Nobody waits while what he may use is free: only requests that need the same pools wait for each other.

After a restart the current windows are unknown: until the exchange says what it has counted (`report`), or
the window ends, only the restart share can be used, which is not used otherwise: by GUARD and EXIT, and half
of it by RECONCILE.
Permits of an earlier incarnation carry its epoch: whoever sends must refuse them before reporting.

Cost: constant for a grant, O(log n) with n waiting.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

from engine.quota import GUARD, RANK, Limits, Pool, Silence, Window, window_of
from engine.types import Millis, Priority

__all__ = ["STOP", "Denied", "Grant", "Limits", "Pool", "RateLimiter", "Wait", "read_permit"]

_PERMIT_ID: Final = re.compile(r"([0-9]+)\.[0-9]+\.([0-9]+)")

STOP: Final = "stop"
"""The kind of request that a reservation is for."""


@dataclass(frozen=True, slots=True)
class Grant:
    """`request_id` may send one request until `expires`, with this permit."""

    request_id: str
    permit_id: str
    expires: Millis


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now; nothing is to be expected before `until`, unless others give back what they hold."""

    until: Millis


@dataclass(frozen=True, slots=True)
class Denied:
    """`request_id` gets no permit in time, and why."""

    request_id: str
    reason: str


def read_permit(permit_id: str) -> tuple[int, Millis] | None:
    """(epoch of the limiter that gave it, when it expires); None for what is no permit."""
    found = _PERMIT_ID.fullmatch(permit_id)
    return None if found is None else (int(found[1]), int(found[2]))


@dataclass(slots=True)
class _Wish:
    request_id: str
    number: int
    not_after: Millis
    waiting: bool = True


@dataclass(slots=True)
class _Line:
    """Wishes that stand behind one another; those that gave up stay in it until they come first."""

    wishes: deque[_Wish] = field(default_factory=deque)
    live: int = 0

    def strip(self) -> None:
        while self.wishes and not self.wishes[0].waiting:
            self.wishes.popleft()


@dataclass(frozen=True, slots=True)
class _Permit:
    request_id: str
    kind: str
    grant: Grant
    reserved: bool = False
    """Whether it is a stop whose budget had been reserved."""


_Key = tuple[int, str, int]  # rank, kind, reserve: wishes that stand in one line


class RateLimiter:
    """Gives permits by the module's rules. Time must not run backwards; a step back counts as standing still."""

    def __init__(self, limits: Limits, *, epoch: int = 1, known: bool = False) -> None:
        self._limits = limits
        self._epoch = epoch
        self._windows = {pool.name: window_of(pool, limits) for pool in limits.pools}
        for window in self._windows.values():
            window.unknown = not known
        self._costs = {
            kind: tuple((self._windows[pool], weight) for pool, weight in cost.items())
            for kind, cost in limits.costs.items()
        }
        self._stop_cost = {window.name: weight for window, weight in self._costs.get(STOP, ())}
        self._now: Millis = 0
        self._silence = Silence(limits.public)
        self._numbers = 0
        self._lines: dict[_Key, _Line] = {}
        self._wishes: dict[str, tuple[_Key, _Wish]] = {}
        self._deadlines: list[tuple[Millis, int, str]] = []
        self._permits: OrderedDict[str, _Permit] = OrderedDict()
        self._flying: OrderedDict[str, tuple[_Permit, Millis]] = OrderedDict()
        self._holders: dict[str, str] = {}
        self._reserves: OrderedDict[str, tuple[Millis, int]] = OrderedDict()
        self._reserved = 0
        self._decided: list[Grant | Denied] = []

    # ------------------------------------------------------------ asking

    def acquire(
        self, request_id: str, request: str, priority: Priority, now: Millis, not_after: Millis, reserve: int = 0
    ) -> Grant | Wait | Denied:
        """Ask for one request; a repeated `request_id` gets the same permit, or its place in the line.

        Who gets `Wait` hears of it from `poll`. Raises `KeyError` for a kind without a cost.
        """
        cost = self._costs[request]
        self._advance(now)
        holder = self._holders.get(request_id)
        if holder is not None:
            return self._permits[holder].grant
        rank = RANK[priority]
        if not self._lines and self._now >= self._silence.until(request) and not self._blocked(cost, rank, reserve):
            return self._grant(request_id, request, rank, reserve)
        if any(weight > window.total for window, weight in cost):
            return Denied(request_id, f"a {request} costs more than the exchange allows at all")
        if not_after < self._now:
            return Denied(request_id, "its time has run out")
        key = (rank, request, reserve)
        if request_id not in self._wishes:
            self._numbers += 1
            wish = _Wish(request_id, self._numbers, not_after)
            self._wishes[request_id] = (key, wish)
            line = self._lines.setdefault(key, _Line())
            line.wishes.append(wish)
            line.live += 1
            heappush(self._deadlines, (not_after, wish.number, request_id))
        self._settle()
        return self._answer(request_id, request, rank, reserve, not_after)

    def _answer(self, request_id: str, kind: str, rank: int, reserve: int, not_after: Millis) -> Grant | Wait | Denied:
        cost, silent_until = self._costs[kind], self._silence.until(kind)
        if request_id not in self._wishes:
            mine = next(decided for decided in self._decided if decided.request_id == request_id)
            self._decided.remove(mine)
            return mine
        # Permits may be given back, but what has been sent stays counted until its window ends.
        until = max([silent_until, *(w.end for w, _ in self._blocked(cost, rank, reserve))])
        hopeless = [w for w, weight in cost if w.end > not_after and w.hopeless(rank, weight)]
        if silent_until > not_after or hopeless:
            self._leave(*self._wishes[request_id])
            what = "the exchange wants silence" if silent_until > not_after else f"{hopeless[0].name} is used up"
            return Denied(request_id, what)
        return Wait(until)

    def poll(self, now: Millis) -> list[Grant | Denied]:
        """What has become possible, or hopeless, by `now`: the urgent first."""
        self._advance(now)
        self._settle()
        decided, self._decided = self._decided, []
        return decided

    def next_at(self) -> Millis | None:
        """When `poll` may have something to say; None while nobody waits."""
        if not self._wishes:
            return None
        times = [self._deadlines[0][0] + 1, *(window.end for window in self._windows.values())]
        times.extend(permit.grant.expires + 1 for permit in list(self._permits.values())[:1])
        silence = {self._silence.until(kind) for _, kind, _ in self._lines}
        if min(silence) > self._now:  # nobody gets anything before
            times = [self._deadlines[0][0] + 1]
        times.extend(until for until in silence if until > self._now)
        return max(min(times), self._now + 1)

    # ------------------------------------------------------------ what became of permits

    def spent(self, permit_id: str, at: Millis) -> None:
        """The request left at `at`, and arrived; an unknown permit has expired and is counted already."""
        self._advance(at)
        self._count(permit_id, at, at + self._limits.margin_ms)

    def sent(self, permit_id: str, at: Millis) -> None:
        """The request left at `at`, and nobody knows yet when it arrives: it weighs in every window until `answered`."""
        self._advance(at)
        permit = self._permits.pop(permit_id, None)
        if permit is not None:
            del self._holders[permit.request_id]
            self._flying[permit_id] = (permit, at)

    def answered(self, permit_id: str, at: Millis) -> None:
        """The answer came at `at`: the request was counted by the exchange between its leaving and then."""
        self._advance(at)
        permit, left = self._flying.pop(permit_id, (None, 0))
        if permit is not None:
            self._book(permit, left, at)

    def release(self, permit_id: str) -> None:
        """The request was not sent and will not be: its budget, and its reservation, are free again."""
        if self._drop(permit_id) is not None:
            self.unfollowed(permit_id)

    def unfollowed(self, permit_id: str) -> None:
        """What was sent with this permit came to nothing: what it had reserved, and nobody has used yet, is free again."""
        self._reserved -= self._reserves.pop(permit_id, (0, 0))[1]

    def report(self, pool: str, used: int, now: Millis, sent_at: Millis | None = None) -> None:
        """What the exchange has counted of the current window: more than we know of is believed, less is not.

        In an unknown window it is the only knowledge; what was sent of the restart share may come on top.
        `sent_at` is when the request left whose answer says so; one that spans two windows says nothing.
        Where several accounts share the pool, this one's part of the count is held against its part of the limit:
        together they stop where the exchange does.
        """
        self._advance(now)
        window = self._windows.get(pool)
        if window is not None:
            window.believe(-(-used // window.sharers), now, sent_at)

    def penalize(self, until: Millis, *, signed: bool = False) -> None:
        """The exchange wants silence (Retry-After, a ban): nobody gets anything before `until`, or nothing `signed`."""
        self._silence.want(until, signed=signed)

    @property
    def is_known(self) -> bool:
        """Whether the current window of every pool is known: reported, or begun under our eyes."""
        return not any(window.unknown for window in self._windows.values())

    def usage(self) -> dict[str, dict[str, int]]:
        """Of each pool: used and handed out in this window, its usable limit, all that was ever sent; and how many wait."""
        pools = {
            name: {"used": w.counted, "outstanding": w.outstanding, "limit": w.total, "sent": w.sent}
            for name, w in self._windows.items()
        }
        pools["waiting"] = {priority.value: 0 for priority in Priority}
        for (rank, _, _), line in self._lines.items():
            pools["waiting"][list(Priority)[rank].value] += line.live
        return pools

    # ------------------------------------------------------------ inside

    def _advance(self, now: Millis) -> None:
        self._now = now = max(now, self._now)
        for window in self._windows.values():
            window.advance(now)
        while self._permits:
            # All hold equally long, so the first given is the first to expire. It may have been sent at the last moment.
            permit_id, permit = next(iter(self._permits.items()))
            if permit.grant.expires >= now:
                break
            self._count(permit_id, permit.grant.expires, permit.grant.expires + self._limits.margin_ms)
        while self._flying:
            permit_id, (permit, left) = next(iter(self._flying.items()))
            if left + self._limits.flight_ms >= now:
                break
            del self._flying[permit_id]
            self._book(permit, left, left + self._limits.flight_ms)
        while self._reserves:
            permit_id, (expires, count) = next(iter(self._reserves.items()))
            if expires >= now:
                break
            del self._reserves[permit_id]
            self._reserved -= count
        while self._deadlines and (self._deadlines[0][0] < now or self._deadlines[0][2] not in self._wishes):
            _, number, request_id = heappop(self._deadlines)
            if request_id in self._wishes and self._wishes[request_id][1].number == number:
                self._leave(*self._wishes[request_id])
                self._decided.append(Denied(request_id, "its time ran out before there was budget"))

    def _settle(self) -> None:
        """Serve the lines, the urgent first; what one of them waits for is kept from those behind it."""
        held: dict[str, int] = {}
        for key in sorted(self._lines, key=lambda k: (k[0], self._lines[k].wishes[0].number)):
            rank, kind, reserve = key
            line, cost = self._lines[key], self._costs[kind]
            while line.live and self._now >= self._silence.until(kind):
                blocked = self._blocked(cost, rank, reserve, held)
                if blocked:
                    self._hold(held, blocked, cost, line.live)
                    break
                wish = line.wishes[0]
                self._leave(key, wish)
                self._decided.append(self._grant(wish.request_id, kind, rank, reserve))

    @staticmethod
    def _hold(
        held: dict[str, int],
        blocked: list[tuple[Window, int]],
        cost: tuple[tuple[Window, int], ...],
        count: int,
    ) -> None:
        # Keeping back helps only where the window still runs when the blocked one ends.
        until = max(window.end for window, _ in blocked)
        for window, weight in cost:
            if window.lasts_beyond(until) or any(window is other for other, _ in blocked):
                held[window.name] = held.get(window.name, 0) + weight * count

    def _blocked(
        self,
        cost: tuple[tuple[Window, int], ...],
        rank: int,
        reserve: int,
        held: Mapping[str, int] | None = None,
    ) -> list[tuple[Window, int]]:
        """The windows that have no room for one such request, and its reservation, now."""
        result = []
        for window, weight in cost if not reserve else self._with_stop(cost):
            stop_cost = self._stop_cost.get(window.name, 0)
            needed = weight + reserve * stop_cost + (held.get(window.name, 0) if held else 0)
            if needed > window.room(rank, self._reserved * stop_cost):
                result.append((window, weight))
        return result

    def _with_stop(self, cost: tuple[tuple[Window, int], ...]) -> Iterator[tuple[Window, int]]:
        """The windows that a request needs, and those that only the stop needs which it reserves."""
        yield from cost
        own = [window for window, _ in cost]
        for window in self._windows.values():
            if window.name in self._stop_cost and not any(window is other for other in own):
                yield window, 0

    def _grant(self, request_id: str, kind: str, rank: int, reserve: int) -> Grant:
        self._numbers += 1
        expires = self._now + self._limits.permit_ms
        grant = Grant(request_id, f"{self._epoch}.{self._numbers}.{expires}", expires)
        reserved = rank == GUARD and kind == STOP and not reserve and bool(self._reserves)
        for window, weight in self._costs[kind]:
            window.outstanding += weight
            window.stops_out += weight if reserved else 0
        self._permits[grant.permit_id] = _Permit(request_id, kind, grant, reserved)
        self._holders[request_id] = grant.permit_id
        if reserve:
            self._reserves[grant.permit_id] = (self._now + self._limits.reserve_ms, reserve)
            self._reserved += reserve
        elif reserved:
            permit_id, (until, count) = next(iter(self._reserves.items()))
            self._reserved -= 1
            if count == 1:
                del self._reserves[permit_id]
            else:
                self._reserves[permit_id] = (until, count - 1)
        return grant

    def _count(self, permit_id: str, first: Millis, last: Millis) -> None:
        permit = self._permits.pop(permit_id, None)
        if permit is not None:
            del self._holders[permit.request_id]
            self._book(permit, first, last)

    def _book(self, permit: _Permit, first: Millis, last: Millis) -> None:
        for window, weight in self._costs[permit.kind]:
            stops = weight if permit.reserved else 0
            window.outstanding -= weight
            window.stops_out -= stops
            window.sent += weight
            window.count(weight, first, last, stops)

    def _drop(self, permit_id: str) -> _Permit | None:
        permit = self._permits.pop(permit_id, None)
        if permit is not None:
            del self._holders[permit.request_id]
            for window, weight in self._costs[permit.kind]:
                window.outstanding -= weight
                window.stops_out -= weight if permit.reserved else 0
        return permit

    def _leave(self, key: _Key, wish: _Wish) -> None:
        del self._wishes[wish.request_id]
        wish.waiting = False
        line = self._lines[key]
        line.live -= 1
        line.strip()
        if not line.live:
            del self._lines[key]
