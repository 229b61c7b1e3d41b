"""Requests of one account: orders that the gateway hands over, and the venue's own, which wait for their permits.

Everything here runs on the connection's loop, but for what `Telling` says of itself.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Final

from loguru import logger

from actors.venues.capabilities import Call
from actors.venues.ccxt import Connection
from actors.venues.live.failure import Failure, Verdict
from actors.venues.live.paging import Function, Pages, answer_of, function_of, listing_of
from actors.venues.live.permits import Turnstile, ended_of, in_time, permitted
from actors.venues.live.wire import Answer, Leave
from actors.venues.live.words import rows
from actors.venues.trading import Permit, RequestEnded, VenueEvent
from engine.messages import TakeSnapshot
from engine.types import Millis, Priority

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 30.0
"""A read that came to nothing is tried again after the first, then after twice that, and so on up to this."""


REFUSALS_MOST: Final = 4
"""So often a read is asked for that the exchange refuses, before it counts as refused for good: seven seconds."""

URGENCY: Final[ContextVar[Priority]] = ContextVar("urgency", default=Priority.RECONCILE)
"""How urgent the reads of a task are: a pair that holds something comes before those that hold nothing."""


def urgency_of(question: TakeSnapshot) -> Priority:
    """What has orders there may be without a stop since a crash: it does not wait behind pairs that hold nothing."""
    return Priority.EXIT if question.client_order_ids or question.held else Priority.RECONCILE


class Turns:
    """Who reads what many want: one of a kind at a time, and nobody behind a reader who is less urgent.

    Such a one may wait for its permit until the exchange's window ends, and a stop would wait with it.
    """

    def __init__(self) -> None:
        self._locks: defaultdict[tuple[str, Priority], asyncio.Lock] = defaultdict(asyncio.Lock)

    def of(self, what: str, urgency: Priority | None = None) -> asyncio.Lock:
        """The lock for readers of that urgency; for those as urgent as the present task where none is said."""
        return self._locks[what, URGENCY.get() if urgency is None else urgency]


class Unreadable(Exception):
    """The exchange refuses what must be read, again and again; the text says what, and why."""


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
    """The requests of one account: orders with permits that were given with them, all else through the turnstile."""

    def __init__(self, connection: Connection, telling: Telling, first_wait_s: float = FIRST_WAIT_S) -> None:
        self.connection = connection
        self._first_wait_s = first_wait_s
        self.turnstile = Turnstile(telling.put)
        self._telling = telling
        self._refused: set[tuple[str, str]] = set()

    def method(self, call: Call) -> Function:
        """A capability's call as a function of the instance that trades."""
        return function_of(self.connection.trading, call)

    def listing(self, call: Call) -> Function | Pages:
        """A capability's list, which may come in pages: each is a request of its own."""
        return listing_of(self.connection.trading, call)

    def unused(self, permit: Permit, pair: str = "*", client_order_id: str = "") -> None:
        """Account for a permit that nothing is sent with."""
        ended = RequestEnded(
            permit_id=permit.permit_id, request="none", pair=pair, client_order_id=client_order_id, outcome="UNSENT"
        )
        self._telling.put(ended)

    async def send(
        self,
        kind: str,
        permit: Permit,
        function: Function,
        *,
        pair: str,
        client_order_id: str,
        created_at: Millis = 0,
        leave: Leave | None = None,
    ) -> Answer:
        """Send what the gateway has handed over with its permit, and account for it."""
        answer = await self.connection.request(function, leave=in_time(self.connection.now, permit, leave))
        waited = answer.sent_at - created_at if created_at and answer.sent_at else 0
        ended = ended_of(kind, permit, answer, pair=pair, client_order_id=client_order_id)
        self._telling.put(replace(ended, waited_ms=max(waited, 0)))
        self._set_the_clock(answer)
        return answer

    async def once(
        self, kind: str, asked: Function | Pages, *args: Any, pair: str = "*", urgent: bool = False
    ) -> Answer:
        """A request of the venue's own, or one for each page; as urgent as an entry, or as `URGENCY` says in the task that asks."""
        priority = Priority.ENTRY if urgent else self.urgency()

        async def send(function: Function) -> Answer:
            turn = permitted(self.turnstile, self.connection, kind, function, *args, pair=pair, priority=priority)
            answer: Answer = await turn
            return answer

        answer = await answer_of(send, asked)
        self._set_the_clock(answer)
        return answer

    @staticmethod
    def urgency() -> Priority:
        """How urgent the requests of the present task are."""
        return URGENCY.get()

    def _set_the_clock(self, answer: Answer) -> None:
        if answer.failure is not None and answer.failure.clock:
            self.connection.spawn(self.connection.synchronize(self.once))

    async def read(self, kind: str, asked: Function | Pages, *args: Any, pair: str = "*") -> Answer:
        """Ask until there is an answer or a refusal: what the network swallows is asked again, later each time.

        That a key rests and that it is no good any more is told in the same words: after some times it is a refusal.
        """
        wait_s, rested = self._first_wait_s, 0
        while True:
            answer = await self.once(kind, asked, *args, pair=pair)
            failure = answer.failure
            if failure is None or (failure.verdict is Verdict.REFUSED and _is_final(failure)):
                return answer
            rested += failure.verdict is Verdict.SILENCE and failure.key
            if rested >= REFUSALS_MOST:
                return answer
            if wait_s < LONGEST_WAIT_S <= 2 * wait_s:
                logger.warning("{}: {} has no answer that can be read for long: {}", pair, kind, failure.reason)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def rows(self, kind: str, asked: Function | Pages, *args: Any, pair: str) -> Sequence[Any]:
        """A pair's list, as `read`; a refusal is no list: it is asked for again, or whoever looks would take it for an empty one.

        Of a pair that is not listed any more nothing can be asked, and nothing is there.

        Raises:
            Unreadable: it was refused `REFUSALS_MOST` times; after that each time, until it is not.
        """
        wait_s, tries = self._first_wait_s, 0
        while True:
            answer = await self.read(kind, asked, *args, pair=pair)
            if answer.failure is None:
                self._refused.discard((kind, pair))
                return rows(answer.value)
            if pair not in self.connection.markets():
                return []
            tries += 1
            if tries >= REFUSALS_MOST or (kind, pair) in self._refused:
                self._refused.add((kind, pair))
                if answer.failure.code == "MARKET_CLOSED":  # no such pair, it says: is it listed still?
                    self.connection.doubt_markets()
                raise Unreadable(f"{kind} of {pair}: {answer.failure.reason}")
            logger.warning("{}: {} cannot be read, and is asked for again: {}", pair, kind, answer.failure.reason)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def _is_final(refusal: Failure) -> bool:
    """Whether asking again would bring the same refusal: not if the exchange was down, or did not believe our clock."""
    return refusal.code != "UNREACHABLE" and not refusal.clock
