"""The notifier: what a user should hear of goes to the log, to a file and to his own targets, and slows nobody down.

Rules
    Whoever tells it something goes on at once; files are written in this actor's own thread, and a process
    of its own talks to the targets (`actors.notifying`): one that hangs costs its notices only.
    Of one event at most `BURST` notices a minute go out; the rest of that minute is one summary.
    What went out, and by which ways, is recorded in the journal's operational stream.
    A file that cannot be written costs the file, never the notice: the log and the journal have it.
    Trades that open and close go to the targets only: log, file and journal have them already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from actors.base import Context, EngineActor
from actors.notifying.mailroom import Mailroom
from actors.outbox import Outbox
from actors.processes import ChildEnded, ChildPrinted, ChildSaid
from engine.announcing import EVENTS
from engine.messages import (
    Entry,
    Notify,
    RecordRefused,
    Shutdown,
    ShutdownDone,
    StateLoaded,
    TimerFired,
    TradingStateChanged,
)
from engine.naming import named
from engine.settings import NotifyConfig
from engine.types import TradingState

BURST: Final = 20
"""Notices of one event that go out one by one within a minute."""

BURST_MS: Final = 60_000
EVENTS_MAX: Final = 200
"""Events counted apart; should there ever be more names than that, they share one count."""

FILE_MAX: Final = 5 * 1024 * 1024
TEXT_MAX: Final = 2_000

GOODBYE_S: Final = 3.0
"""How long an orderly end waits for notices that are on their way."""

_FOR_TARGETS_ONLY: Final = frozenset(EVENTS.values())

_LEVELS: Final = {"info": "INFO", "warning": "WARNING", "alarm": "CRITICAL"}


@dataclass(slots=True)
class _Burst:
    """How often an event came within its minute, and the newest notice that was held back."""

    count: int = 0
    held: Notify | None = None


class NotifierActor(EngineActor):
    """Owns the ways to the user. `file` takes a JSON line a notice; None: only the log and the journal.

    `addresses` are those of the configuration's targets, by name.
    """

    def __init__(
        self,
        ctx: Context,
        *,
        file: Path | None = None,
        config: NotifyConfig | None = None,
        addresses: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(ctx)
        self.outbox = Outbox(self)
        self._file = file
        self._file_failed = False
        self._bursts: dict[str, _Burst] = {}
        self._entries: list[Entry] = []
        self._counts = {"sent": 0, "held": 0, "file_errors": 0}
        self._mailroom = Mailroom(self, config or NotifyConfig(), addresses or {}, self._entries_add)
        self._goodbye: tuple[str, float] | None = None

    def on_start(self) -> None:
        """Learn where this writer's records go on."""
        self.outbox.load()

    def on_state_loaded(self, message: StateLoaded) -> None:
        """Persistence answered."""
        self.outbox.on_state_loaded(message)

    def on_record_refused(self, message: RecordRefused) -> None:
        """The disk may be full: the outbox tries again where that has a point."""
        self.outbox.on_record_refused(message)

    def status(self) -> Mapping[str, Any]:
        """How many notices went out, were held back, how often the file failed; and the same of the targets."""
        return {**self._counts, **self._mailroom.counts, "waiting": self._mailroom.waiting()}

    # ------------------------------------------------------------ what is told

    def on_notify(self, message: Notify) -> None:
        """Send it on, or count it when its event comes too often."""
        event = named(message.event, message.account)
        if event not in self._bursts and len(self._bursts) >= EVENTS_MAX:
            event = "others"
        burst = self._bursts.get(event)
        if burst is None:
            burst = self._bursts[event] = _Burst()
            self.start_timer(event, BURST_MS)
        burst.count += 1
        if burst.count <= BURST:
            self._send(message)
        else:
            burst.held = message
            self._counts["held"] += 1

    def on_trading_state_changed(self, message: TradingStateChanged) -> None:
        """The kill switch was turned."""
        severity = "info" if message.state is TradingState.ACTIVE else "warning"
        text = f"trading is {message.state} now: {message.reason}"
        self.on_notify(Notify(ts=self.now(), severity=severity, event="trading_state", text=text))

    def on_timer_fired(self, message: TimerFired) -> None:
        """An event's minute is over: say in one notice what was held back. Or mail is due."""
        if message.name in (Mailroom.TIMER, "goodbye"):
            self._mailroom.pump()
            self._say_goodbye()
            return
        burst = self._bursts.pop(message.name, None)
        if burst is None or burst.held is None:
            return
        more = burst.count - BURST
        last = burst.held
        text = f"{more} more of {last.event} within a minute, the last: {last.text}"
        self._send(replace(last, text=text), "summary")

    def on_batch_end(self) -> None:
        """Send what is due; record what went out, all of a batch in one."""
        self._mailroom.pump()
        self._record()

    def _entries_add(self, entry: Entry) -> None:
        self._entries.append(entry)

    def _record(self) -> None:
        if self._entries:
            entries, self._entries = self._entries, []
            self.outbox.record(entries)

    # ------------------------------------------------------------ the process that sends

    def on_child_said(self, message: ChildSaid) -> None:
        """What became of a message."""
        self._mailroom.heard(message)
        self._say_goodbye()

    def on_child_printed(self, message: ChildPrinted) -> None:
        """What it prints is a library's word; it may hold an address, so it is counted and not shown."""
        self.log.debug("the sending process printed {} characters", len(message.text))

    def on_child_ended(self, message: ChildEnded) -> None:
        """It is started again when there is something to send."""
        self._mailroom.ended(message)
        self._say_goodbye()

    def on_shutdown(self, message: Shutdown) -> None:
        """Send what waits, for a moment; what has not arrived then is dropped, and on record as that."""
        self._goodbye = (message.reply_to, self.monotonic() + GOODBYE_S)
        self._mailroom.hurry()
        self.start_timer("goodbye", int(GOODBYE_S * 1_000))
        self._say_goodbye()

    def _say_goodbye(self) -> None:
        if self._goodbye is None or (self._mailroom.waiting() and self.monotonic() < self._goodbye[1]):
            return
        reply_to, _ = self._goodbye
        self._goodbye = None
        self.cancel_timer("goodbye")
        self._mailroom.drop("the bot ended")
        self._record()
        self.tell(reply_to, ShutdownDone(name=self.name))

    def release(self) -> None:
        """End the sending process."""
        self._mailroom.close()

    # ------------------------------------------------------------ ways out

    def _send(self, notice: Notify, outcome: str = "sent") -> None:
        account = {"account": notice.account} if notice.account else {}
        text = f"{notice.account}: {notice.text}"[:TEXT_MAX] if account else notice.text[:TEXT_MAX]
        self._mailroom.post(replace(notice, text=text))
        if notice.event in _FOR_TARGETS_ONLY:
            return
        self.log.bind(event=notice.event).log(_LEVELS.get(notice.severity, "WARNING"), text)
        body = {"severity": notice.severity, "event": notice.event, "text": text, **account}
        if self._file is not None and not self._write({"ts": notice.ts, **body}):
            outcome += ", not in the file"
        self._counts["sent"] += 1
        self._entries.append(Entry(kind="Notified", ts=notice.ts, body={**body, "outcome": outcome}, stream="ops"))

    def _write(self, line: Mapping[str, Any]) -> bool:
        """Append to the file, which keeps one older file beside it; False when it cannot be written."""
        assert self._file is not None
        try:
            with self._file.open("ab") as file:
                file.write(orjson.dumps(line) + b"\n")
                size = file.tell()
            if size > FILE_MAX:
                self._file.replace(self._file.with_name(self._file.name + ".1"))
        except OSError as error:
            self._counts["file_errors"] += 1
            if not self._file_failed:
                self.log.error("{} cannot be written: {}; notices go on in the log", self._file, error.strerror)
            self._file_failed = True
            return False
        self._file_failed = False
        return True
