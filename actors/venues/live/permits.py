"""Permits for reads that are made on a connection's loop: asked for and told of by the actor that owns them.

The loop waits for a permit (`acquire`), the actor carries wishes to the limiter and its answers back. Nothing
passes without a permit that is unexpired, unspent and of the present limiter; a wish that is not answered
is made again, under the same name, so that it never counts twice.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Final

from actors.venues.live.times import USUAL, Times
from engine.messages import AcquirePermit, Message, PermitDenied, PermitGranted, UsageReported
from engine.permits import PermitBook
from engine.types import Millis, Priority

PATIENCE_MS: Final = 60_000
"""A wish is dropped by the limiter after this, and made again."""


class Turnstile:
    """The permits of one reader. `stir` has the actor call `said`; `owner` is that actor's name."""

    def __init__(
        self,
        now: Callable[[], Millis],
        stir: Callable[[], None],
        *,
        owner: str,
        limiter: str,
        times: Times = USUAL,
    ) -> None:
        self._now = now
        self._stir = stir
        self._times = times
        self._owner = owner
        self._limiter = limiter
        self._lock = threading.Lock()
        self._permits = PermitBook()
        self._waiting: dict[str, asyncio.Future[PermitGranted | None]] = {}
        self._said: list[tuple[str, Message]] = []
        self._number = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    # ------------------------------------------------------------ on the loop

    async def acquire(self, request: str) -> str:
        """Wait until one `request` may be sent, and spend its permit: the caller sends it at once.

        Returns the permit; its answer, or the end of waiting for it, is told by `answered`.
        """
        self._loop = asyncio.get_running_loop()
        self._number += 1
        number, tries = self._number, 0
        while True:
            request_id = f"{self._owner}:{number}.{tries}"
            granted = await self._granted(request_id, request)
            if granted is None:
                tries += 1
                continue
            with self._lock:
                good = self._permits.spend(granted.permit_id, self._now(), flies=True)
            if good:
                self._settle()
                return granted.permit_id
            tries += 1
            await asyncio.sleep(self._times.not_good)

    def answered(self, permit_id: str) -> None:
        """The request that left with this permit is done with, whatever came of it."""
        with self._lock:
            self._permits.answered(permit_id, self._now())
        self._settle()

    async def _granted(self, request_id: str, request: str) -> PermitGranted | None:
        """The limiter's answer to one wish; None when it was denied."""
        assert self._loop is not None
        future: asyncio.Future[PermitGranted | None] = self._loop.create_future()
        self._waiting[request_id] = future
        try:
            while True:
                wish = AcquirePermit(
                    request_id=request_id,
                    request=request,
                    priority=Priority.DATA,
                    not_after=self._now() + PATIENCE_MS,
                    reply_to=self._owner,
                )
                self.say(self._limiter, wish)
                done, _ = await asyncio.wait([future], timeout=self._times.again)
                if done:
                    return future.result()
        finally:
            self._waiting.pop(request_id, None)

    def silence(self, retry_after_ms: Millis, *, banned: bool) -> None:
        """The exchange wants silence: permits that are out are not good until it is over, and the limiter gives none."""
        with self._lock:
            self._permits.silence(self._now() + retry_after_ms)
        self.say(self._limiter, UsageReported(pool="", retry_after_ms=retry_after_ms, banned=banned))

    def say(self, to: str, message: Message) -> None:
        """Have the actor tell this; from any thread."""
        with self._lock:
            self._said.append((to, message))
        self._stir()

    # ------------------------------------------------------------ in the actor

    def heard(self, message: PermitGranted | PermitDenied) -> None:
        """The limiter has answered; what nobody waits for any more is given back."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._answer, message)

    def void_before(self, epoch: int) -> None:
        """A new limiter: older permits are not good any more."""
        with self._lock:
            self._permits.void_before(epoch)

    def said(self) -> list[tuple[str, Message]]:
        """What is to be told, and to whom, since the last call."""
        with self._lock:
            said, self._said = self._said, []
        return said

    # ------------------------------------------------------------ inside

    def _answer(self, message: PermitGranted | PermitDenied) -> None:
        future = self._waiting.get(message.request_id)
        if future is not None and not future.done():
            future.set_result(message if isinstance(message, PermitGranted) else None)
        elif isinstance(message, PermitGranted):
            with self._lock:
                self._permits.give_back(message.permit_id)
            self._settle()

    def _settle(self) -> None:
        with self._lock:
            told = self._permits.settle(self._now())
        if told is not None:
            self.say(self._limiter, told)
