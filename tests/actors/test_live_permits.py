"""Permits of reads on the loop: nothing passes without one, and every one is accounted for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from actors.venues.live.permits import Turnstile
from actors.venues.live.times import USUAL, Times
from engine.messages import AcquirePermit, Message, PermitDenied, PermitGranted, PermitsSpent, UsageReported
from engine.quota import Limits, Pool
from engine.ratelimit import Grant, RateLimiter

NOW = 1_000_000
LIMITS = Limits(pools=(Pool("weight", 1_000, 60_000),), costs={"candles": {"weight": 2}})


class Desk:
    """A turnstile, and what its actor would carry to the limiter."""

    def __init__(self, times: Times = USUAL) -> None:
        self.now = NOW
        self.stirs = 0
        self.turnstile = Turnstile(lambda: self.now, self._stir, owner="feed", limiter="limiter", times=times)

    def _stir(self) -> None:
        self.stirs += 1

    def said(self, kind: type[Message]) -> list[Any]:
        """What was said to the limiter, of one kind."""
        said = self.turnstile.said()
        assert all(to == "limiter" for to, _ in said)
        return [message for _, message in said if isinstance(message, kind)]


async def soon(holds: Callable[[], Any]) -> Any:
    """Wait until something holds."""
    for _ in range(1_000):
        found = holds()
        if found:
            return found
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come")


def test_a_permit_is_asked_for_spent_and_settled() -> None:
    """One wish, one permit of the real limiter, which then knows that it left and that its answer is there."""

    async def work() -> None:
        desk, limiter = Desk(), RateLimiter(LIMITS, known=True)
        task = asyncio.ensure_future(desk.turnstile.acquire("candles"))
        wish = (await soon(lambda: desk.said(AcquirePermit)))[0]
        granted = limiter.acquire(wish.request_id, wish.request, wish.priority, NOW, wish.not_after)
        assert isinstance(granted, Grant)
        desk.turnstile.heard(
            PermitGranted(request_id=wish.request_id, permit_id=granted.permit_id, expires=granted.expires)
        )
        permit_id = await task
        sent = desk.said(PermitsSpent)[0]
        desk.turnstile.answered(permit_id)
        answered = desk.said(PermitsSpent)[0]

        assert permit_id == granted.permit_id
        assert (sent.sent, sent.answered) == (((permit_id, NOW),), ())
        assert (answered.sent, answered.answered) == ((), ((permit_id, NOW),))

    asyncio.run(work())


def test_a_denied_wish_is_made_again() -> None:
    """A denial is no end: the read waits on, under another name."""

    async def work() -> None:
        desk = Desk()
        task = asyncio.ensure_future(desk.turnstile.acquire("candles"))
        first = (await soon(lambda: desk.said(AcquirePermit)))[0]
        desk.turnstile.heard(PermitDenied(request_id=first.request_id, reason="used up"))
        second = (await soon(lambda: desk.said(AcquirePermit)))[0]
        assert second.request_id != first.request_id
        desk.turnstile.heard(PermitGranted(request_id=second.request_id, permit_id="1.1.1001000", expires=1_001_000))

        assert await task == "1.1.1001000"

    asyncio.run(work())


@pytest.mark.parametrize("why", ["expired", "older limiter", "silence"])
def test_a_permit_that_is_not_good_any_more_is_not_used(why: str) -> None:
    """An expired one, one of a limiter that is gone, and one from before a ban: another is asked for."""

    async def work() -> None:
        desk = Desk()
        task = asyncio.ensure_future(desk.turnstile.acquire("candles"))
        first = (await soon(lambda: desk.said(AcquirePermit)))[0]
        expires = NOW - 1 if why == "expired" else NOW + 5_000
        if why == "older limiter":
            desk.turnstile.void_before(2)
        if why == "silence":
            desk.turnstile.silence(3_000, banned=False)
            assert desk.said(UsageReported)[0].retry_after_ms == 3_000
        desk.turnstile.heard(PermitGranted(request_id=first.request_id, permit_id=f"1.1.{expires}", expires=expires))
        second = (await soon(lambda: desk.said(AcquirePermit)))[0]
        assert second.request_id != first.request_id
        assert not task.done()
        desk.now += 4_000
        desk.turnstile.heard(PermitGranted(request_id=second.request_id, permit_id=f"2.2.{desk.now}", expires=desk.now))
        assert await task == f"2.2.{desk.now}"

    asyncio.run(work())


def test_a_permit_that_nobody_waits_for_is_given_back() -> None:
    """An answer to a read that was given up costs nothing."""

    async def work() -> None:
        desk = Desk()
        task = asyncio.ensure_future(desk.turnstile.acquire("candles"))
        wish = (await soon(lambda: desk.said(AcquirePermit)))[0]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        desk.turnstile.heard(PermitGranted(request_id=wish.request_id, permit_id="1.1.1001000", expires=1_001_000))

        assert (await soon(lambda: desk.said(PermitsSpent)))[0].unused == ("1.1.1001000",)

    asyncio.run(work())


def test_a_wish_that_is_lost_is_told_again() -> None:
    """A limiter that was replaced knows nothing: the same wish comes again, under the same name."""

    async def work() -> None:
        desk = Desk(Times(again=0.01))
        task = asyncio.ensure_future(desk.turnstile.acquire("candles"))
        first = (await soon(lambda: desk.said(AcquirePermit)))[0]
        again = (await soon(lambda: desk.said(AcquirePermit)))[0]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert again.request_id == first.request_id

    asyncio.run(work())
