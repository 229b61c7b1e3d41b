"""The permits that a venue wishes for, for requests of its own: each is asked of the limiter until it is decided."""

from __future__ import annotations

from typing import Final

from actors.outbox import Owner
from actors.venues.trading import PermitWanted
from engine.messages import AcquirePermit

ASK_MS: Final = 5_000
"""A permit that was not answered is asked for again after this."""

PATIENCE_MS: Final = 86_400_000


class Wishes:
    """An actor's wishes at its limiter, by the venue's own ids."""

    TIMER = "wishes"

    def __init__(self, actor: Owner, limiter: str) -> None:
        self._actor = actor
        self._limiter = limiter
        self._open: dict[str, PermitWanted] = {}

    def __len__(self) -> int:
        return len(self._open)

    def want(self, wanted: PermitWanted) -> None:
        """Ask for a permit."""
        if not self._open:
            self._actor.start_timer(self.TIMER, ASK_MS)
        self._open[wanted.request_id] = wanted
        self._ask(wanted)

    def take(self, request_id: str) -> PermitWanted | None:
        """The wish that a decision belongs to; it is not open any more. None for what nobody wishes."""
        found = self._open.pop(request_id.removeprefix(self._prefix), None)
        if not self._open:
            self._actor.cancel_timer(self.TIMER)
        return found

    def ask_again(self) -> None:
        """Ask for all that have no answer: it was lost, or the limiter is new."""
        for wanted in self._open.values():
            self._ask(wanted)
        if self._open:
            self._actor.start_timer(self.TIMER, ASK_MS)

    @property
    def _prefix(self) -> str:
        return f"{self._actor.name}:{self._actor.epoch}."

    def _ask(self, wanted: PermitWanted) -> None:
        acquire = AcquirePermit(
            request_id=f"{self._prefix}{wanted.request_id}",
            request=wanted.request,
            priority=wanted.priority,
            not_after=self._actor.now() + PATIENCE_MS,
            reply_to=self._actor.name,
        )
        self._actor.tell(self._limiter, acquire)
