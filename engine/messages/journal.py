"""Between those who record and the persistence actor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.messages.base import Message, Plain
from engine.types import Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event for the journal. `stream` is `domain` (equal in backtest, replay and live) or `ops`.

    `body` holds plain values, decimals, and frozen dataclasses of such.
    """

    kind: str
    ts: Millis
    body: Mapping[str, Plain]
    stream: str = "domain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Message):
    """anyone → persistence: put these on disk, in this order, and then say `Recorded`.

    `seq` counts the writer's own records, from the last recorded one on, over restarts: a repetition
    is recognised by it. `state` is the writer's whole state after the entries (plain values), kept as
    the newest; None leaves the one before. `grant_epoch` is the portfolio's epoch of an intent that
    spends a grant; an older one is refused with `RecordRefused`. `epoch` is the writer's incarnation.
    """

    writer: str
    seq: int
    entries: tuple[Entry, ...]
    state: Mapping[str, Plain] | None = None
    grant_epoch: int | None = None
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Message):
    """persistence → writer: everything of yours up to `seq` is on disk."""

    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRefused(Message):
    """persistence → writer: record `seq` was not written, and why (an old grant, a full disk).

    Nothing of it is on disk; the writer takes back what it was for. `retryable` says whether the
    same record may be sent again later.
    """

    seq: int
    code: str
    detail: str
    retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadState(Message):
    """writer → persistence: what was my last recorded state?"""

    writer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLoaded(Message):
    """persistence → writer: your newest state (None: never recorded one) and your last `seq`."""

    writer: str
    state: Mapping[str, Plain] | None
    seq: int
