"""How what an actor has to say gets onto the disk, whatever crashes or is lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from engine.messages import (
    Entry,
    EpochAnnounced,
    LoadState,
    Message,
    Plain,
    Record,
    Recorded,
    RecordRefused,
    StateLoaded,
)
from engine.types import Millis


class Owner(Protocol):
    """What a helper needs of its actor; every `EngineActor` is one."""

    name: str
    epoch: int

    def tell(self, name: str, message: Message) -> None: ...

    def now(self) -> Millis: ...

    def start_timer(self, name: str, delay_ms: int, *, market: bool = False) -> None: ...

    def cancel_timer(self, name: str) -> None: ...

    def attach(self, outbox: Outbox, timers: Mapping[str, Callable[[], None]]) -> None: ...


class Outbox:
    """An actor's records on their way to the journal: each is kept and sent again until it is on disk.

    Guarantees that every record arrives in order and takes effect once, over crashes of the
    persistence actor and lost messages: records are numbered, persistence knows the last number.
    A record that is refused for good leaves an empty one under its number, so no number is missing.
    Numbers go on from where this writer's earlier incarnations ended, so `load` comes first; what
    is recorded before the answer waits for it.

    What has no answer is sent again after `RESEND_MS`, then after twice that, and so on up to
    `RESEND_MAX_MS`: a slow line is not filled with repetitions. An answer that moves things on, or a new
    persistence actor, begins anew with the shortest wait.
    """

    RESEND_MS = 2_000
    RESEND_MAX_MS = 16_000
    TIMER = "outbox"

    def __init__(self, actor: Owner, persistence: str = "persistence") -> None:
        self._actor = actor
        self._persistence = persistence
        self._seq = 0
        self._loaded = False
        self._loading = False
        self._waiting: list[tuple[tuple[Entry, ...], Mapping[str, Plain] | None, int | None]] = []
        self._pending: dict[int, Record] = {}
        self._watching = False
        self._oldest = 0  # the first number without an answer when the timer was started
        self._newest = 0  # the last number there was then
        self._wait_ms = self.RESEND_MS
        actor.attach(self, {self.TIMER: self._check})

    @property
    def seq(self) -> int:
        """The number of the newest record, sent or on disk."""
        return self._seq

    @property
    def recorded(self) -> int:
        """The number up to which everything is on disk, as far as this actor has heard."""
        return next(iter(self._pending), self._seq + 1) - 1

    @property
    def loaded(self) -> bool:
        """Whether persistence has said where the numbers go on."""
        return self._loaded

    def __len__(self) -> int:
        return len(self._pending) + len(self._waiting)

    def load(self) -> None:
        """Ask for the last state and number; asked again until `on_state_loaded` is called."""
        self._loading = True
        self.resend()

    def on_state_loaded(self, message: StateLoaded) -> bool:
        """Go on from the number of the answer; False if it is a repetition, to be ignored."""
        if self._loaded:
            return False
        self._loaded, self._loading, self._seq = True, False, message.seq
        waiting, self._waiting = self._waiting, []
        for entries, state, grant_epoch in waiting:
            self.record(entries, state, grant_epoch)
        self._wait_anew()
        return True

    def record(
        self, entries: Sequence[Entry], state: Mapping[str, Plain] | None = None, grant_epoch: int | None = None
    ) -> int:
        """Send these to the journal and return the record's number; `Recorded` of it or a higher one follows.

        Returns 0 before the last number is known: such records are sent, in order, once it is.
        """
        if not self._loaded:
            self._waiting.append((tuple(entries), state, grant_epoch))
            return 0
        self._seq += 1
        record = Record(
            writer=self._actor.name,
            seq=self._seq,
            entries=tuple(entries),
            state=state,
            grant_epoch=grant_epoch,
            epoch=self._actor.epoch,
        )
        self._pending[self._seq] = record
        self._actor.tell(self._persistence, record)
        self._watch()
        return self._seq

    def on_recorded(self, message: Recorded) -> None:
        """Let go of everything up to that number."""
        done = [seq for seq in self._pending if seq <= message.seq]
        for seq in done:
            del self._pending[seq]
        if done and self._wait_ms > self.RESEND_MS:
            self._wait_anew()

    def on_record_refused(self, message: RecordRefused) -> None:
        """Give the record up, unless it may be tried again: then it stays, and is sent by the timer."""
        if message.retryable or message.seq not in self._pending:
            return
        self._pending[message.seq] = Record(
            writer=self._actor.name, seq=message.seq, entries=(), epoch=self._actor.epoch
        )
        self.resend()

    def on_epoch_announced(self, message: EpochAnnounced) -> None:
        """A new persistence actor knows nothing of what the old one held: send it all again, in order."""
        if message.name == self._persistence:
            self.resend()
            self._wait_anew()

    def resend(self) -> None:
        """Send again whatever has had no answer, oldest first."""
        self._send_again(self._seq)

    def _send_again(self, newest: int) -> None:
        if self._loading:
            self._actor.tell(self._persistence, LoadState(writer=self._actor.name))
        for seq, record in self._pending.items():
            if seq > newest:
                break
            self._actor.tell(self._persistence, record)
        self._watch()

    def _wait_anew(self) -> None:
        self._wait_ms = self.RESEND_MS
        self._watching = False
        self._watch()

    def _watch(self) -> None:
        # One timer at a time and few cancelled: a record a millisecond must not mean a timer a millisecond.
        if not self._watching and (self._loading or self._pending):
            self._watching = True
            self._oldest, self._newest = next(iter(self._pending), 0), self._seq
            self._actor.start_timer(self.TIMER, self._wait_ms)

    def _check(self) -> None:
        self._watching = False
        waits = self._loading or bool(self._pending)
        if waits and next(iter(self._pending), 0) == self._oldest:
            self._wait_ms = min(2 * self._wait_ms, self.RESEND_MAX_MS)
            self._send_again(self._newest)  # what came later has not waited for long
        else:
            self._wait_ms = self.RESEND_MS
        self._watch()
