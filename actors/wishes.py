"""The permits of an actor that serves a venue: each is asked of the limiter until it is decided, and accounted for.

The same for orders and for market data: what runs behind the actor, on a network's loop or at once, wishes for a
permit (`PermitWanted`), is given it, and says when its request is done with (`RequestEnded`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from actors.outbox import Owner
from actors.venues.trading import Permit, PermitWanted, RequestEnded
from engine.messages import AcquirePermit, PermitDenied, PermitGranted, UsageReported
from engine.permits import PermitBook

ASK_MS: Final = 5_000
"""A permit that was not answered is asked for again after this."""

PATIENCE_MS: Final = 86_400_000


class Wishes:
    """An actor's wishes at its limiter, by its venue's own ids, and the book of the permits it was given.

    What is not good any more when it comes is asked for again, what nobody wishes any more goes back.
    `settle` tells the limiter what became of them; it is for the end of each batch.
    """

    TIMER = "wishes"

    def __init__(self, actor: Owner, limiter: str) -> None:
        self._actor = actor
        self._limiter = limiter
        self._open: dict[str, PermitWanted] = {}
        self.book = PermitBook()

    def __len__(self) -> int:
        return len(self._open)

    # ------------------------------------------------------------ wishes

    def hear(self, told: PermitWanted | RequestEnded) -> None:
        """A wish, or the end of a request."""
        if isinstance(told, PermitWanted):
            self.want(told)
        else:
            self.ended(told)

    def want(self, wanted: PermitWanted) -> None:
        """Ask for a permit."""
        if not self._open:
            self._actor.start_timer(self.TIMER, ASK_MS)
        self._open[wanted.request_id] = wanted
        self._ask(wanted)

    def granted(self, message: PermitGranted) -> tuple[str, Permit] | None:
        """The wish that a permit is for, and the permit, which is spent: its request leaves with it or not at all."""
        wanted = self._take(message.request_id)
        if wanted is None:
            self.book.give_back(message.permit_id)
        elif not self.book.spend(message.permit_id, self._actor.now(), flies=True):
            self._again(wanted)
        else:
            return wanted.request_id, Permit(message.permit_id, message.expires)
        return None

    def denied(self, message: PermitDenied) -> str | None:
        """The wish that will not come true; None for what nobody wishes."""
        wanted = self._take(message.request_id)
        return None if wanted is None else wanted.request_id

    def ask_again(self) -> None:
        """Ask for all that have no answer: it was lost, or the limiter is new."""
        for wanted in self._open.values():
            self._ask(wanted)
        if self._open:
            self._actor.start_timer(self.TIMER, ASK_MS)

    # ------------------------------------------------------------ the limiter

    def limiter_is(self, epoch: int) -> None:
        """A limiter of this epoch gives permits now: older ones are not good any more, and it knows of no wish."""
        if self.book.void_before(epoch):
            self.ask_again()

    def ended(self, ended: RequestEnded) -> None:
        """A request is done with. Where the exchange wants silence, nothing leaves until it is over, and all are told.

        Silence of our key alone is the limiter's: here nobody knows which permits are for requests that carry no key.
        """
        now = self._actor.now()
        self.book.answered(ended.permit_id, now)
        if ended.retry_after_ms:
            if not ended.signed:
                self.book.silence(now + ended.retry_after_ms)
            silence = UsageReported(pool="", retry_after_ms=ended.retry_after_ms, banned=ended.banned, why=ended.why)
            self._actor.tell(self._limiter, replace(silence, signed=ended.signed))

    def settle(self) -> None:
        """Tell the limiter what became of permits."""
        settled = self.book.settle(self._actor.now())
        if settled is not None:
            self._actor.tell(self._limiter, settled)

    # ------------------------------------------------------------ inside

    @property
    def _prefix(self) -> str:
        return f"{self._actor.name}:{self._actor.epoch}."

    def _take(self, request_id: str) -> PermitWanted | None:
        found = self._open.pop(request_id.removeprefix(self._prefix), None)
        if not self._open:
            self._actor.cancel_timer(self.TIMER)
        return found

    def _again(self, wanted: PermitWanted) -> None:
        """Ask anew for what came too late: at once, or after a silence that the limiter may not know of and grants in."""
        silent_ms = self.book.silent_until - self._actor.now()
        if silent_ms > 0:
            self._open[wanted.request_id] = wanted
            self._actor.start_timer(self.TIMER, min(silent_ms, ASK_MS))
        else:
            self.want(wanted)

    def _ask(self, wanted: PermitWanted) -> None:
        acquire = AcquirePermit(
            request_id=f"{self._prefix}{wanted.request_id}",
            request=wanted.request,
            priority=wanted.priority,
            not_after=self._actor.now() + PATIENCE_MS,
            reply_to=self._actor.name,
        )
        self._actor.tell(self._limiter, acquire)
