"""Counts of what was recorded since the start, and the last decisions: for the screen, no more."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Final

from engine.messages import Entry, Plain, Record
from engine.naming import account_of, named

DECISIONS: Final = 8
NOTICES: Final = 3


class Tally:
    """Fed with records that are on disk."""

    def __init__(self) -> None:
        self._kinds: Counter[str] = Counter()
        self._judged = 0
        self._decisions: deque[tuple[str, Entry]] = deque(maxlen=DECISIONS)
        self._notices: deque[str] = deque(maxlen=NOTICES)

    def count(self, batch: Sequence[Record]) -> None:
        """Take these records in."""
        for record in batch:
            for entry in record.entries:
                self._kinds[entry.kind] += 1
                if entry.kind == "SignalDecided":
                    self._decisions.append((record.writer, entry))
                elif entry.kind == "Judged":
                    self._judged += int(entry.body.get("judged", 0))
                elif entry.kind == "Notified":
                    self._notices.append(str(entry.body.get("text", "")))

    def figures(self) -> Mapping[str, Plain]:
        """The counts, the last decisions (newest last), the last notices."""
        return {
            "kinds": dict(self._kinds),
            "judged": self._judged,
            "decisions": [
                {
                    "ts": e.ts,
                    "pair": named(str(e.body.get("pair", "")), account_of(writer)),
                    **{name: str(e.body.get(name, "")) for name in ("signal", "outcome", "code", "detail")},
                }
                for writer, e in self._decisions
            ],
            "notices": list(self._notices),
        }
