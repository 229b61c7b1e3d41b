"""Notices on their way to one target: which it wants, gathered, in what order, when again, and which are dropped.

Rules
    One message is under way at a time; what comes meanwhile, or within `batch_ms`, is gathered into the next.
    An alarm does not wait for company. A message that failed is sent again after twice the time, up to
    `RETRY_MAX_MS`, and given up after `attempts`.
    At most `limit` notices wait: past that the oldest of the least severe goes.
    Times are of the machine's own clock, in milliseconds: market time may run faster, mail does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from engine.messages import Notify
from engine.notify_settings import SEVERITIES
from engine.types import Millis

RETRY_MS: Final = 2_000
RETRY_MAX_MS: Final = 300_000

BODY_MAX: Final = 3_500
"""Characters in one message: below what Telegram and Discord's bots take at once, with room for a title."""

BATCH_MAX: Final = 50


def wants(target: Mapping[str, Any], notice: Notify) -> bool:
    """Whether a target, as `check_targets` leaves it, is to be told this."""
    severe = _rank(notice.severity) >= _rank(target["severity"])
    return severe and any(fnmatchcase(notice.event, pattern) for pattern in target["events"])


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


@dataclass(frozen=True, slots=True)
class Held:
    """A notice that waits, and since when."""

    notice: Notify
    since: Millis


class Mailbag:
    """The notices for one target; see the module's rules."""

    def __init__(self, *, batch_ms: Millis, attempts: int, limit: int) -> None:
        self._batch_ms = batch_ms
        self._attempts_max = attempts
        self._limit = limit
        self._waiting: list[Held] = []
        self._hand: tuple[Held, ...] = ()
        self._under_way = False
        self._failures = 0
        self._due: Millis = 0
        self.attempts = 0
        """How often what is in hand was sent."""

    def __len__(self) -> int:
        return len(self._waiting) + len(self._hand)

    @property
    def under_way(self) -> bool:
        """Whether a message is out and not answered yet."""
        return self._under_way

    @property
    def failing(self) -> bool:
        """Whether the last message failed."""
        return self._failures > 0

    def next_at(self) -> Millis | None:
        """When `take` will have something; None while nothing waits, or one is under way."""
        return self._due if len(self) and not self._under_way else None

    def hurry(self) -> None:
        """Let nothing wait for company or for better times."""
        self._due = 0

    def add(self, notice: Notify, now: Millis) -> Held | None:
        """Take a notice; returns the one that is dropped for it where too many wait."""
        if not len(self):
            self._due = max(self._due, now + self._batch_ms) if self._failures else now + self._batch_ms
        if _rank(notice.severity) >= _rank("alarm") and not self._failures:
            self._due = now
        self._waiting.append(Held(notice, now))
        if len(self._waiting) <= self._limit:
            return None
        place = min(range(len(self._waiting)), key=lambda i: (_rank(self._waiting[i].notice.severity), i))
        return self._waiting.pop(place)

    def take(self, now: Millis) -> tuple[Held, ...]:
        """What is to leave now as one message; it is under way from here on. Empty when nothing is due."""
        if self._under_way or not len(self) or now < self._due:
            return ()
        if not self._hand:
            count, size = 0, 0
            for held in self._waiting[:BATCH_MAX]:
                size += len(held.notice.text) + 1
                if count and size > BODY_MAX:
                    break
                count += 1
            self._hand, self._waiting = tuple(self._waiting[:count]), self._waiting[count:]
            self.attempts = 0
        self.attempts += 1
        self._under_way = True
        return self._hand

    def arrived(self, now: Millis) -> tuple[Held, ...]:
        """The message has arrived: what was in it."""
        self._failures, self._under_way = 0, False
        self._due = now + self._batch_ms
        hand, self._hand = self._hand, ()
        return hand

    def failed(self, now: Millis) -> tuple[Held, ...]:
        """The message has not arrived: what is given up of it, which is nothing or all."""
        self._failures += 1
        self._under_way = False
        self._due = now + min(RETRY_MS * 2 ** min(self._failures - 1, 20), RETRY_MAX_MS)
        if self.attempts < self._attempts_max:
            return ()
        return self.give_up()

    def give_up(self) -> tuple[Held, ...]:
        """Drop what is in hand."""
        hand, self._hand = self._hand, ()
        self._under_way = False
        return hand

    def empty(self) -> tuple[Held, ...]:
        """Drop everything."""
        left = (*self.give_up(), *self._waiting)
        self._waiting = []
        return left


def written(notices: tuple[Notify, ...]) -> tuple[str, str, str]:
    """(severity, title, body) of one message: the worst of its notices, how many, a line each."""
    worst = max(notices, key=lambda n: _rank(n.severity)).severity
    title = f"Tradepit: {notices[0].event}" if len(notices) == 1 else f"Tradepit: {len(notices)} notices"
    return worst, title, "\n".join(n.text for n in notices)
