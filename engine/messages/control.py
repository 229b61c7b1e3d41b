"""What users ask for, and what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from engine.messages.base import Message, Plain
from engine.types import Millis, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRequested(Message):
    """control socket → control: the user at connection `client` wants something; not checked yet."""

    client: int
    request: Mapping[str, Plain]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceEnter(Message):
    """control → pair: enter now, as if the strategy had signalled."""

    request_id: str
    pair: str
    side: Side
    tag: str
    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceExit(Message):
    """control → pair: leave the position now."""

    request_id: str
    pair: str
    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlAnswered(Message):
    """actor → control: the outcome of a request by a user, in a sentence."""

    request_id: str
    ok: bool
    detail: str
    data: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportStatus(Message):
    """control → any actor: send `ControlAnswered` with your figures as `data`."""

    request_id: str
    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountJoined(Message):
    """system → control, monitor: an account's actors are there; its `pairs` are named with it.

    `start` is the capital it begins with in `currency`, zero where the exchange says it.
    """

    account: str
    pairs: tuple[str, ...]
    strategy: str
    mode: str
    currency: str
    start: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAway(Message):
    """system → control: an account takes no part in this run, since `why`."""

    account: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify(Message):
    """anyone → notifier: tell the user. `severity`: info, warning, alarm. `account`: whom it is about, where several are."""

    ts: Millis
    severity: str
    event: str
    text: str
    account: str = ""
