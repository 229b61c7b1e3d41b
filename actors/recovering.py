"""An actor that begins from kept state: whatever it is told before it knows that state waits.

A decision made on an empty state would be recorded as the newest one, and bury what was kept.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Final

from actors.base import Context, EngineActor, Outbox
from engine.messages import (
    EpochAnnounced,
    Kill,
    MarketRange,
    Message,
    Plain,
    Recorded,
    RecordRefused,
    ReportStatus,
    ShutdownDone,
    StateLoaded,
    TimerFired,
)

AT_ONCE: Final = frozenset({Kill, Recorded, RecordRefused, ReportStatus, StateLoaded, TimerFired})
"""What needs no state: its own recovery, and what looks at it from outside."""


class RecoveringActor(EngineActor, abc.ABC):
    """Loads its state at the start, hands it to `begin`, and then what came meanwhile to the handlers, in order.

    Prices that came meanwhile are dropped: newer ones follow.
    """

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.outbox = Outbox(self)
        self._early: list[Message] = []
        self._ends_for = ""

    @abc.abstractmethod
    def begin(self, state: Mapping[str, Plain] | None) -> None:
        """Take over the kept state, None where there was none; called once."""

    def on_start(self) -> None:
        """Ask the journal what was: every start is a recovery."""
        self.outbox.load()

    def receive(self, message: Message) -> None:
        """Hand a message to its handler, once the state is known."""
        if self.outbox.loaded or type(message) in AT_ONCE:
            super().receive(message)
        elif isinstance(message, EpochAnnounced):
            self.outbox.on_epoch_announced(message)  # nothing was asked of anybody else yet
        elif type(message) is not MarketRange:
            self._early.append(message)

    def on_state_loaded(self, message: StateLoaded) -> None:
        """Begin, then go through what was told too early."""
        if not self.outbox.on_state_loaded(message):
            return
        self.begin(message.state)
        early, self._early = self._early, []
        for waiting in early:
            self.receive(waiting)

    def on_recorded(self, message: Recorded) -> None:
        """Records of ours are on disk; the end may have waited for that."""
        super().on_recorded(message)
        self._end_if_recorded()

    def on_record_refused(self, message: RecordRefused) -> None:
        """The journal did not want a record."""
        self.outbox.on_record_refused(message)
        self._end_if_recorded()

    def end_when_recorded(self, reply_to: str) -> None:
        """Say that nothing is in flight when all of ours is on disk: the journal's answer needs somebody to hear it."""
        self._ends_for = reply_to
        self._end_if_recorded()

    def _end_if_recorded(self) -> None:
        if self._ends_for and not len(self.outbox):
            self.tell(self._ends_for, ShutdownDone(name=self.name))
            self._ends_for = ""
