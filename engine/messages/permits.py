"""Between those who send requests and the rate limiter."""

from __future__ import annotations

from dataclasses import dataclass

from engine.messages.base import Message
from engine.types import Millis, Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class AcquirePermit(Message):
    """pair, gateway → limiter: may I send one `request` (`order`, `cancel`, `fetch_order`, …)?

    `reserve` further requests are kept back at GUARD priority: an entry's stop. Past `not_after`
    (market time) the wish is dropped with `PermitDenied`.
    """

    request_id: str
    request: str
    priority: Priority
    not_after: Millis
    reply_to: str
    reserve: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitGranted(Message):
    """limiter → asker: one request may leave until `expires` (market time)."""

    request_id: str
    permit_id: str
    expires: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitDenied(Message):
    """limiter → asker: it cannot be had in time; `reason` says what was in the way."""

    request_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitsSpent(Message):
    """gateway, pair → limiter: what became of permits. Those of `unused` are never used.

    `spent`: their requests left at these times, and arrived. `sent`: they left, and the answer is to come;
    `answered`: it came at these times, or was given up. `unfollowed`: entries that came to nothing, so that no stop follows.
    """

    spent: tuple[tuple[str, Millis], ...] = ()
    unused: tuple[str, ...] = ()
    sent: tuple[tuple[str, Millis], ...] = ()
    answered: tuple[tuple[str, Millis], ...] = ()
    unfollowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportUsage(Message):
    """limiter → gateway: I am `epoch`; refuse older permits, then say what the exchange has counted."""

    epoch: int
    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReported(Message):
    """gateway → limiter: what the exchange itself says is used, or how long it wants silence, and `why` in its words.

    `sent_at` is when the request left whose answer says so, where that is known: near a window's edge the
    answer may be of the window before. `passed_on`: it was said to another account at the same exchange.
    `signed`: our key is refused for a while, and what does not carry it may go on.
    """

    pool: str
    used: int | None = None
    sent_at: Millis | None = None
    retry_after_ms: Millis = 0
    banned: bool = False
    why: str = ""
    passed_on: bool = False
    signed: bool = False
