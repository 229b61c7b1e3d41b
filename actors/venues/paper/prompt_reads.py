"""Questions to a venue that knows the answer at once: one permit serves all that wait for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actors.venues.trading import Looked, Permit, PermitWanted, RequestEnded, Snapshot, VenueEvent
from engine.messages import TakeSnapshot
from engine.types import Millis

Read = Callable[[str, Sequence[str], Millis, Millis], Snapshot]
"""(pair, client order ids, since, now): what is true of the pair."""


class PromptReads:
    """The questions that wait; `tell` takes what the venue is to tell, in order, and `read` finds out what is true."""

    def __init__(self, read: Read, tell: Callable[[VenueEvent], None]) -> None:
        self._read = read
        self._tell = tell
        self._questions: dict[str, TakeSnapshot] = {}
        self._request = ""
        self._number = 0

    def forget(self) -> None:
        """A new gateway is there: whoever has asked the old one asks again."""
        self._questions, self._request = {}, ""

    def look(self, question: TakeSnapshot) -> None:
        """See `TradingVenue.look`."""
        self._questions[question.reply_to] = question
        if not self._request:
            self._number += 1
            self._request = f"look.{self._number}"
            self._tell(PermitWanted(self._request, "snapshot"))

    def grant(self, request_id: str, permit: Permit | None, now: Millis) -> None:
        """See `TradingVenue.grant`."""
        if request_id != self._request or permit is None:
            return
        questions, self._questions, self._request = self._questions, {}, ""
        for question in questions.values():
            snapshot = self._read(question.pair, question.client_order_ids, question.since, now)
            self._tell(Looked(question, snapshot))
        outcome = f"{len(questions)} pairs"
        self._tell(RequestEnded(permit_id=permit.permit_id, request="snapshot", outcome=outcome))
