"""Where a request of ccxt is watched: at the socket, and where its whole answer is read.

ccxt tells of a failure by an exception's class, which does not say whether the request was written, and
keeps an answer's headers in one attribute for all requests at once. Both are taken here where they
happen: aiohttp's request object is ours and knows when it is written, and a context variable names the
request that an answer belongs to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from actors.venues.live.failure import Exchanged, Failure
from actors.venues.live.rereading import rereading
from actors.venues.live.used import UsedCounts
from engine.quota import reported_pools
from engine.types import Millis

Leave = Callable[[], None]
"""Called immediately before a request is written; raises `NotLeaving` where it must not leave any more."""


@dataclass(slots=True)
class Request:
    """The request that a coroutine is in; one call to ccxt may make several, and the last one's facts count."""

    leave: Leave | None = None
    facts: Exchanged = field(default_factory=Exchanged)
    sent_at: Millis = 0


@dataclass(slots=True)
class Answer:
    """What came of a request: `value`, unless `failure` says why there is none.

    `sent_at` is the exchange's time at which it was written, 0 if it never was; `took_ms` how long it all took.
    `told` is the last answer's JSON as it came, None where it was none.
    """

    value: Any = None
    failure: Failure | None = None
    sent_at: Millis = 0
    took_ms: float = 0.0
    told: Any = None


Ask = Callable[[str, Callable[..., Awaitable[Any]]], Awaitable[Answer]]
"""Sends a request of a kind that the limiter knows, when it may be sent; its answer."""

REQUEST: ContextVar[Request | None] = ContextVar("request", default=None)


def watched(base: Any, now: Callable[[], Millis], used: UsedCounts) -> Any:
    """A class of ccxt with our ears: a request's start and its whole answer."""

    class Watched(rereading(base)):  # type: ignore[misc]
        by_itself: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]] | None = None
        """Sends what ccxt asks for without being asked to: a stream's log-in, and what keeps it open."""

        def nonce(self) -> Any:
            """The time that a request is signed with: that of `now`, by which it is judged, whatever ours is set to."""
            return now() if "timeDifference" in self.options else super().nonce()

        async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            if REQUEST.get() is None and self.by_itself is not None:
                return await self.by_itself(lambda: self._fetch(url, method, headers, body))
            return await self._fetch(url, method, headers, body)

        async def _fetch(self, url: str, method: str, headers: Any, body: Any) -> Any:
            request = REQUEST.get()
            if request is not None:
                request.facts = Exchanged()
            answer = await super().fetch(url, method, headers, body)
            if isinstance(answer, dict) and "rateLimits" in answer:
                used.reported = reported_pools(answer["rateLimits"])
            return answer

        def get_socks_proxy_session(self, proxy: str) -> Any:
            request = REQUEST.get()
            if request is not None:  # a session that is not ours: nobody can tell when it writes, so it has
                if request.leave is not None:
                    request.leave()
                request.facts.written = True
                request.sent_at = now()
            return super().get_socks_proxy_session(proxy)

        def parse_json(self, http_response: str) -> Any:
            told, request = super().parse_json(http_response), REQUEST.get()
            if request is not None:
                request.facts.told = told
            return told

        def on_rest_response(self, code: int, *args: Any) -> Any:
            request, headers = REQUEST.get(), args[3]
            if request is not None:
                request.facts.status, request.facts.headers = code, headers
            at = now()
            used.count(headers, at if request is None else request.sent_at, at)
            return super().on_rest_response(code, *args)

    Watched.__name__ = base.__name__
    return Watched


def request_class(now: Callable[[], Millis]) -> Any:
    """A request of aiohttp, which asks once more before it is written, remembers that it was, and is not repeated."""
    import aiohttp

    class Guarded(aiohttp.ClientRequest):
        async def send(self, conn: Any) -> Any:
            request = REQUEST.get()
            if request is not None:
                if request.facts.written and self.method != "GET":
                    # aiohttp repeats a DELETE whose connection breaks: what became of the first one is in doubt.
                    raise ConnectionResetError("the connection broke after it was written")
                if request.leave is not None:
                    request.leave()
                request.facts.written = True
                request.sent_at = now()
            return await super().send(conn)

    return Guarded
