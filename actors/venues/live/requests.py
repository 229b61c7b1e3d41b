"""Requests of a live venue's own: each waits for its permit, leaves while it is good, and is accounted for.

Everything here runs on the connection's loop, but for `grant`, `wishes` and what `Telling` says of itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final

from actors.venues.ccxt import Answer, Connection
from actors.venues.live.failure import NotLeaving, Verdict
from actors.venues.live.wire import Leave
from actors.venues.trading import Permit, PermitWanted, RequestEnded, VenueEvent
from engine.types import Millis, Priority

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 30.0
"""A read that came to nothing is tried again after the first, then after twice that, and so on up to this."""


URGENCY: Final[ContextVar[Priority]] = ContextVar("urgency", default=Priority.RECONCILE)
"""How urgent the reads of a task are: a pair that holds something comes before those that hold nothing."""


class Telling:
    """What a venue has to tell, from any thread; whoever fetches it is woken once."""

    def __init__(self) -> None:
        self._events: deque[VenueEvent] = deque()
        self._wake: Callable[[], None] | None = None
        self._woken = False

    def attach(self, wake: Callable[[], None] | None) -> None:
        """From now on `wake` is called when something has come; None lets it wait."""
        self._wake, self._woken = wake, False
        if self._events:
            self._stir()

    def put(self, event: VenueEvent) -> None:
        """Have an event told."""
        self._events.append(event)
        self._stir()

    def take(self) -> tuple[VenueEvent, ...]:
        """All there is, in order."""
        self._woken = False
        taken = []
        while self._events:
            taken.append(self._events.popleft())
        return tuple(taken)

    def _stir(self) -> None:
        wake = self._wake
        if wake is not None and not self._woken:
            self._woken = True
            wake()


class Requests:
    """The permits and the requests of one account."""

    def __init__(self, connection: Connection, telling: Telling) -> None:
        self.connection = connection
        self._telling = telling
        self._number = 0
        self._waiting: dict[str, tuple[PermitWanted, asyncio.Future[Permit | None]]] = {}

    # ------------------------------------------------------------ permits

    async def permit(self, request: str, priority: Priority = Priority.RECONCILE) -> Permit | None:
        """A permit for one request of that kind; None when there will be none."""
        self._number += 1
        wanted = PermitWanted(f"live.{self._number}", request, priority)
        future: asyncio.Future[Permit | None] = asyncio.get_running_loop().create_future()
        self._waiting[wanted.request_id] = wanted, future
        self._telling.put(wanted)
        try:
            return await future
        finally:
            self._waiting.pop(wanted.request_id, None)

    def grant(self, request_id: str, permit: Permit | None) -> None:
        """A permit is there; from any thread."""
        self.connection.call(self._grant, request_id, permit)

    def wish_again(self) -> None:
        """A new gateway knows nothing of what the old one was asked; from any thread."""
        self.connection.call(self._wish_again)

    def _wish_again(self) -> None:
        for wanted, _ in list(self._waiting.values()):
            self._telling.put(wanted)

    def _grant(self, request_id: str, permit: Permit | None) -> None:
        _, future = self._waiting.pop(request_id, (None, None))
        if future is not None and not future.done():
            future.set_result(permit)
        elif permit is not None:
            self.unused(permit)

    def unused(self, permit: Permit, pair: str = "*", client_order_id: str = "") -> None:
        """Account for a permit that nothing is sent with."""
        ended = RequestEnded(
            permit_id=permit.permit_id, request="none", pair=pair, client_order_id=client_order_id, outcome="UNSENT"
        )
        self._telling.put(ended)

    # ------------------------------------------------------------ requests

    async def send(
        self,
        kind: str,
        permit: Permit,
        function: Callable[..., Awaitable[Any]],
        *args: Any,
        pair: str = "*",
        client_order_id: str = "",
        created_at: Millis = 0,
        leave: Leave | None = None,
    ) -> Answer:
        """Send one request with its permit, and account for it."""

        def check() -> None:
            now = self.connection.now()
            if now > permit.until:
                raise NotLeaving("NO_PERMIT", f"it could not leave until {permit.until}, now is {now}")
            if leave is not None:
                leave()

        answer = await self.connection.request(function, *args, leave=check)
        failure = answer.failure
        waited = answer.sent_at - created_at if created_at and answer.sent_at else 0
        ended = RequestEnded(
            permit_id=permit.permit_id,
            request=kind,
            pair=pair,
            client_order_id=client_order_id,
            outcome="Acknowledged" if failure is None else failure.code or str(failure.verdict),
            waited_ms=max(waited, 0),
            took_ms=answer.took_ms,
            retry_after_ms=failure.retry_after_ms if failure is not None else 0,
            banned=failure.banned if failure is not None else False,
        )
        self._telling.put(ended)
        if failure is not None and failure.clock:
            self.connection.spawn(self.connection.synchronize())
        return answer

    async def read(
        self,
        kind: str,
        function: Callable[..., Awaitable[Any]],
        *args: Any,
        pair: str = "*",
    ) -> Answer:
        """Ask until there is an answer or a refusal: what the network swallows is asked again, later each time.

        It is as urgent as `URGENCY` says in the task that asks.
        """
        wait_s = FIRST_WAIT_S
        while True:
            permit = await self.permit(kind, URGENCY.get())
            if permit is not None:
                answer = await self.send(kind, permit, function, *args, pair=pair)
                failure = answer.failure
                if failure is None or (failure.verdict is Verdict.REFUSED and failure.code != "UNREACHABLE"):
                    return answer
                if failure.code == "NO_PERMIT" and failure.verdict is Verdict.UNSENT:
                    continue
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
