"""The turnstile of requests on the loop, and the actor's side of it: nothing passes without a permit, all is accounted for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from actors.venues.ccxt import Connection
from actors.venues.live.failure import Failure, NotLeaving, Verdict
from actors.venues.live.permits import PermittedInstances, Turnstile, permitted
from actors.venues.live.wire import Answer, Leave
from actors.venues.trading import Permit, PermitWanted, RequestEnded
from actors.wishes import Wishes
from engine.messages import AcquirePermit, Message, PermitGranted, PermitsSpent, UsageReported
from engine.quota import Limits, Pool
from engine.ratelimit import Grant, RateLimiter
from engine.settings import ExchangeConfig
from engine.types import Priority

NOW = 1_000_000
LIMITS = Limits(pools=(Pool("weight", 1_000, 60_000),), costs={"candles": {"weight": 2}})


@dataclass
class Actor:
    """Stands for the actor that serves a venue: keeps what it tells the limiter."""

    name: str = "feed"
    epoch: int = 1
    at: int = NOW
    told: list[Message] = field(default_factory=list)
    timers: set[str] = field(default_factory=set)

    def tell(self, name: str, message: Message) -> None:
        assert name == "limiter"
        self.told.append(message)

    def now(self) -> int:
        return self.at

    def start_timer(self, name: str, delay_ms: int, *, market: bool = False) -> None:
        del delay_ms, market
        self.timers.add(name)

    def cancel_timer(self, name: str) -> None:
        self.timers.discard(name)

    def attach(self, outbox: Any, timers: Any) -> None:
        raise NotImplementedError

    def of(self, kind: type[Message]) -> list[Any]:
        """What was told of one kind."""
        return [message for message in self.told if isinstance(message, kind)]


class Socket:
    """Stands for a connection: asks at the socket as the real one does, and answers what it is told to."""

    def __init__(self) -> None:
        self.at = NOW
        self.sent = 0
        self.slow_ms = 0
        self.failure: Failure | None = None

    def now(self) -> int:
        return self.at

    async def request(self, function: Callable[..., Awaitable[Any]], *args: Any, leave: Leave | None = None) -> Answer:
        self.at, self.slow_ms = self.at + self.slow_ms, 0
        assert leave is not None
        try:
            leave()
        except NotLeaving as late:
            return Answer(failure=Failure(Verdict.UNSENT, late.code, late.reason))
        self.sent += 1
        return Answer(value=await function(*args), failure=self.failure, took_ms=5.0)


async def soon(holds: Callable[[], Any]) -> Any:
    """Wait until something holds."""
    for _ in range(1_000):
        found = holds()
        if found:
            return found
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come")


async def one() -> int:
    """A request."""
    return 1


class Desk:
    """A turnstile with its loop's connection, and what it tells its actor."""

    def __init__(self) -> None:
        self.told: list[PermitWanted | RequestEnded] = []
        self.turnstile = Turnstile(self.told.append)
        self.socket = Socket()

    def send(self) -> asyncio.Future[Answer]:
        """Have one request sent as soon as it may be."""
        return asyncio.ensure_future(permitted(self.turnstile, self.socket, "candles", one, pair="A"))

    async def wish(self, number: int) -> PermitWanted:
        """The wish of this number, from 0 on."""
        await soon(lambda: len(self.wishes) > number)
        return self.wishes[number]

    @property
    def wishes(self) -> list[PermitWanted]:
        return [told for told in self.told if isinstance(told, PermitWanted)]

    @property
    def ended(self) -> list[RequestEnded]:
        return [told for told in self.told if isinstance(told, RequestEnded)]


def test_a_request_leaves_with_its_permit_and_is_told_of() -> None:
    """One wish, one permit, one request; its end says which permit it was, and how it went."""

    async def work() -> None:
        desk = Desk()
        task = desk.send()
        wish = await desk.wish(0)
        assert desk.socket.sent == 0
        desk.turnstile.grant(wish.request_id, Permit("1.1.1001000", NOW + 1_000))
        answer = await task

        assert (answer.value, desk.socket.sent) == (1, 1)
        assert (wish.request, wish.priority) == ("candles", Priority.DATA)
        assert [(told.permit_id, told.outcome, told.pair, told.took_ms) for told in desk.ended] == [
            ("1.1.1001000", "Acknowledged", "A", 5.0)
        ]

    asyncio.run(work())


def test_a_request_that_is_late_at_the_socket_takes_another_permit() -> None:
    """Connecting took longer than the permit lasts: nothing leaves with it, and the next one serves."""

    async def work() -> None:
        desk = Desk()
        desk.socket.slow_ms = 6_000
        task = desk.send()
        desk.turnstile.grant((await desk.wish(0)).request_id, Permit("1.1.1005000", NOW + 5_000))
        second = await desk.wish(1)
        assert desk.socket.sent == 0
        desk.turnstile.grant(second.request_id, Permit("1.2.1012000", NOW + 12_000))
        await task

        assert desk.socket.sent == 1
        assert [told.outcome for told in desk.ended] == ["NO_PERMIT", "Acknowledged"]

    asyncio.run(work())


def test_a_wish_that_is_denied_is_made_again() -> None:
    """A denial is no end: the request waits on, under another name."""

    async def work() -> None:
        desk = Desk()
        task = desk.send()
        first = await desk.wish(0)
        desk.turnstile.grant(first.request_id, None)
        second = await desk.wish(1)
        desk.turnstile.grant(second.request_id, Permit("1.1.1001000", NOW + 1_000))
        await task

        assert second.request_id != first.request_id

    asyncio.run(work())


def test_a_permit_that_nobody_waits_for_is_done_with() -> None:
    """A read that was given up before its permit came, or while it was under way, is accounted for."""

    async def work() -> None:
        desk = Desk()
        task = desk.send()
        wish = await desk.wish(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        desk.turnstile.grant(wish.request_id, Permit("1.1.1001000", NOW + 1_000))

        assert [(told.permit_id, told.outcome) for told in desk.ended] == [("1.1.1001000", "UNSENT")]

    asyncio.run(work())


def test_a_permit_that_was_granted_as_its_task_ended_is_given_back() -> None:
    """The task is cancelled between the grant and its next step: the limiter does not wait for a request that never leaves."""
    told = list[Any]()

    async def work() -> None:
        turnstile = Turnstile(told.append)
        task = asyncio.ensure_future(turnstile.acquire("user_stream"))
        await asyncio.sleep(0)
        turnstile.grant(told[0].request_id, Permit("p1", NOW + 1_000))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(work())

    assert told[1:] == [RequestEnded(permit_id="p1", request="none", outcome="UNSENT")]


def test_a_new_actor_hears_of_all_that_waits() -> None:
    """Wishes that an actor took with it when it died are told again, under the same names."""

    async def work() -> None:
        desk = Desk()
        tasks = [desk.send(), desk.send()]
        await desk.wish(1)
        desk.turnstile.again()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        assert [wish.request_id for wish in desk.wishes] == ["live.1", "live.2"] * 2

    asyncio.run(work())


def test_the_actor_spends_each_permit_once_and_settles_it() -> None:
    """A wish, a permit of the real limiter, which then knows that it left, and that its answer is there."""
    actor, limiter = Actor(), RateLimiter(LIMITS, known=True)
    wishes = Wishes(actor, "limiter")
    wishes.hear(PermitWanted("live.1", "candles"))
    (asked,) = actor.of(AcquirePermit)
    granted = limiter.acquire(asked.request_id, asked.request, asked.priority, NOW, asked.not_after)
    assert isinstance(granted, Grant)
    message = PermitGranted(request_id=asked.request_id, permit_id=granted.permit_id, expires=granted.expires)
    given, again = wishes.granted(message), wishes.granted(message)
    wishes.settle()
    wishes.hear(RequestEnded(permit_id=granted.permit_id, request="candles"))
    wishes.settle()
    sent, answered = actor.of(PermitsSpent)

    assert given == ("live.1", Permit(granted.permit_id, granted.expires))
    assert again is None
    assert (sent.sent, sent.answered, sent.unused) == (((granted.permit_id, NOW),), (), ())
    assert (answered.sent, answered.answered) == ((), ((granted.permit_id, NOW),))
    assert actor.timers == set()


def test_a_permit_that_is_not_good_any_more_is_asked_for_again() -> None:
    """An expired one, one of a limiter that is gone, and one from before a ban: the venue is not given them."""
    for why in ("expired", "older limiter"):
        actor = Actor()
        wishes = Wishes(actor, "limiter")
        wishes.hear(PermitWanted("live.1", "candles"))
        expires = NOW - 1 if why == "expired" else NOW + 5_000
        if why == "older limiter":
            wishes.limiter_is(2)
        asked = len(actor.of(AcquirePermit))
        request_id = actor.of(AcquirePermit)[0].request_id
        given = wishes.granted(PermitGranted(request_id=request_id, permit_id=f"1.1.{expires}", expires=expires))

        assert given is None, why
        assert len(actor.of(AcquirePermit)) == asked + 1, why
        actor.at += 4_000
        later = f"2.2.{actor.at}"
        assert wishes.granted(PermitGranted(request_id=request_id, permit_id=later, expires=actor.at)) is not None


def test_in_a_silence_a_permit_is_not_asked_for_again_before_its_end() -> None:
    """A limiter that knows of no silence grants at once, again and again: the wish waits for the timer, and comes true."""
    actor = Actor()
    wishes = Wishes(actor, "limiter")
    wishes.hear(PermitWanted("live.1", "candles"))
    wishes.hear(RequestEnded(permit_id="", request="candles", retry_after_ms=3_000, banned=True))
    (asked,) = actor.of(AcquirePermit)
    early = wishes.granted(PermitGranted(request_id=asked.request_id, permit_id=f"1.1.{NOW}", expires=NOW))

    assert (early, len(actor.of(AcquirePermit)), actor.timers) == (None, 1, {Wishes.TIMER})
    assert [told.banned for told in actor.of(UsageReported)] == [True]
    actor.at += 3_000
    wishes.ask_again()
    assert len(actor.of(AcquirePermit)) == 2
    given = wishes.granted(PermitGranted(request_id=asked.request_id, permit_id=f"1.2.{actor.at}", expires=actor.at))
    assert given == ("live.1", Permit(f"1.2.{actor.at}", actor.at))


def test_a_silence_of_our_key_lets_public_requests_leave() -> None:
    """A refused key holds back what the limiter does not grant: a public read that it grants leaves at once."""
    actor = Actor()
    wishes = Wishes(actor, "limiter")
    wishes.hear(RequestEnded(permit_id="", request="balances", retry_after_ms=10_000, signed=True))
    wishes.hear(PermitWanted("live.1", "time"))
    (asked,) = actor.of(AcquirePermit)
    given = wishes.granted(PermitGranted(request_id=asked.request_id, permit_id=f"1.1.{NOW}", expires=NOW))

    assert given == ("live.1", Permit(f"1.1.{NOW}", NOW))
    assert [(told.retry_after_ms, told.signed) for told in actor.of(UsageReported)] == [(10_000, True)]


def test_a_price_line_asks_for_its_sockets_address_with_a_permit() -> None:
    """KuCoin is asked by REST where the socket is, at each opening: not before there is a permit, and it is given back."""

    class Counted:
        """Stands for the turnstile: writes down what is wished for and what has ended."""

        async def acquire(self, request: str, priority: Priority = Priority.DATA) -> Permit:
            del priority
            seen.append(f"permit for {request}")
            return Permit("1", NOW)

        def ended(self, ended: RequestEnded) -> None:
            seen.append(f"{ended.request} ended")

    async def work() -> None:
        made = await PermittedInstances(connection, Counted()).instance()

        async def answer(url: str, *rest: Any) -> Any:
            del rest
            seen.append(url.rsplit("/", 1)[-1])
            return {"data": {"token": "t", "instanceServers": [{"endpoint": "wss://x", "pingInterval": 1}]}}

        made._fetch = answer
        await made.negotiate(False)
        await connection.release(made)

    seen: list[str] = []
    connection = Connection(ExchangeConfig(name="kucoin"))
    connection.start()
    try:
        connection.spawn(work()).result(60)
    finally:
        connection.close()

    assert seen == ["permit for user_stream", "bullet-public", "user_stream ended"]
