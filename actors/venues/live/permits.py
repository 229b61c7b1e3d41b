"""The turnstile: every request that a network's loop makes of its own waits here for its permit, and is accounted for.

One rule for market data and for the account, for what ccxt repeats by itself, for REST and for sockets that are
opened: a wish goes to the actor that serves the venue (`PermitWanted`), which carries it to the limiter; the permit
comes back by `grant`; that the request is done with is told by `RequestEnded`. A request leaves before its permit's
time is over or takes another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from actors.venues.live.failure import NotLeaving, Verdict
from actors.venues.live.wire import Leave
from actors.venues.trading import Permit, PermitWanted, RequestEnded
from engine.types import Millis, Priority

DENIED_S: Final = 1.0
"""A wish that was denied is made again after this."""

LATE_S: Final = 0.25
"""A request whose permit had run out before the socket wishes for another one after this."""


class Permits(Protocol):
    """Who lets requests through: a `Turnstile`, or the `Meter` of a program that has no actors."""

    async def acquire(self, request: str, priority: Priority = Priority.DATA) -> Permit: ...

    def ended(self, ended: RequestEnded) -> None: ...


class Requester(Protocol):
    """Who sends: the `Connection`."""

    async def request(self, function: Any, *args: Any, leave: Leave | None = None) -> Any: ...

    def now(self) -> Millis: ...


class Instances(Protocol):
    """Who makes instances of ccxt: the `Connection`."""

    async def instance(self, *, keyed: bool = False) -> Any: ...

    async def release(self, instance: Any) -> None: ...


class PermittedInstances:
    """Instances whose own requests wait for permits: some exchanges are asked for a socket's address at each opening."""

    def __init__(self, instances: Instances, permits: Permits) -> None:
        self._instances = instances
        self._permits = permits

    async def instance(self, *, keyed: bool = False) -> Any:
        """See `Instances`."""
        made = await self._instances.instance(keyed=keyed)
        made.by_itself = self._by_itself
        return made

    async def release(self, instance: Any) -> None:
        """See `Instances`."""
        await self._instances.release(instance)

    async def _by_itself(self, send: Callable[[], Awaitable[Any]]) -> Any:
        permit = await self._permits.acquire("user_stream")  # exchanges count it alike for everybody's streams
        try:
            return await send()
        finally:
            self._permits.ended(RequestEnded(permit_id=permit.permit_id, request="user_stream", took_ms=0.0))


class Turnstile:
    """The wishes of one venue; on its loop. `tell` takes what its actor is to hear."""

    def __init__(self, tell: Callable[[PermitWanted | RequestEnded], None]) -> None:
        self._tell = tell
        self._waiting: dict[str, tuple[PermitWanted, asyncio.Future[Permit | None]]] = {}
        self._number = 0

    async def acquire(self, request: str, priority: Priority = Priority.DATA) -> Permit:
        """Wait until one `request` may be sent; whoever asks says `ended` of it, whatever becomes of the request."""
        while True:
            permit = await self._wish(request, priority)
            if permit is not None:
                return permit
            await asyncio.sleep(DENIED_S)

    async def _wish(self, request: str, priority: Priority) -> Permit | None:
        self._number += 1
        wanted = PermitWanted(f"live.{self._number}", request, priority)
        future: asyncio.Future[Permit | None] = asyncio.get_running_loop().create_future()
        self._waiting[wanted.request_id] = wanted, future
        self._tell(wanted)
        try:
            return await future
        except asyncio.CancelledError:  # it may have been granted a moment ago
            if future.done() and not future.cancelled():
                self._give_back(future.result())
            raise
        finally:
            self._waiting.pop(wanted.request_id, None)

    def grant(self, request_id: str, permit: Permit | None) -> None:
        """The permit that was wished for; None: there will be none. What nobody waits for any more is done with."""
        _, future = self._waiting.pop(request_id, (None, None))
        if future is not None and not future.done():
            future.set_result(permit)
        else:
            self._give_back(permit)

    def _give_back(self, permit: Permit | None) -> None:
        if permit is not None:
            self.ended(RequestEnded(permit_id=permit.permit_id, request="none", outcome="UNSENT"))

    def again(self) -> None:
        """A new actor knows nothing of what the old one was asked."""
        for wanted, _ in list(self._waiting.values()):
            self._tell(wanted)

    def ended(self, ended: RequestEnded) -> None:
        """A request is done with."""
        self._tell(ended)


def in_time(now: Callable[[], Millis], permit: Permit, leave: Leave | None = None) -> Leave:
    """What is asked at the socket: whether the permit is still good; then `leave`."""

    def check() -> None:
        at = now()
        if at > permit.until:
            raise NotLeaving("NO_PERMIT", f"it could not leave until {permit.until}, now is {at}")
        if leave is not None:
            leave()

    return check


def ended_of(kind: str, permit: Permit, answer: Any, *, pair: str = "*", client_order_id: str = "") -> RequestEnded:
    """What is told of a request that came to this answer; None: it was given up before there was one."""
    if answer is None:
        return RequestEnded(permit_id=permit.permit_id, request=kind, pair=pair, outcome="UNSENT")
    failure = answer.failure
    return RequestEnded(
        permit_id=permit.permit_id,
        request=kind,
        pair=pair,
        client_order_id=client_order_id,
        outcome="Acknowledged" if failure is None else failure.code or str(failure.verdict),
        took_ms=answer.took_ms,
        retry_after_ms=failure.retry_after_ms if failure is not None else 0,
        banned=failure.banned if failure is not None else False,
        why=failure.reason if failure is not None and failure.retry_after_ms else "",
        signed=failure is not None and failure.key,
    )


async def permitted(
    permits: Permits,
    requester: Requester,
    kind: str,
    function: Callable[..., Awaitable[Any]],
    *args: Any,
    pair: str = "*",
    priority: Priority = Priority.DATA,
    patience_s: float | None = None,
) -> Any:
    """Send one request with a permit of its own; its `Answer`, whatever came of it.

    Raises:
        TimeoutError: no permit came within `patience_s`; nothing was sent.
    """
    while True:
        permit = await asyncio.wait_for(permits.acquire(kind, priority), patience_s)
        answer = None
        try:
            answer = await requester.request(function, *args, leave=in_time(requester.now, permit))
        finally:
            permits.ended(ended_of(kind, permit, answer, pair=pair))
        failure = answer.failure
        if failure is None or failure.verdict is not Verdict.UNSENT or failure.code != "NO_PERMIT":
            return answer
        await asyncio.sleep(LATE_S)
