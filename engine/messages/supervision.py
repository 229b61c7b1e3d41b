"""How actors live and end."""

from __future__ import annotations

from dataclasses import dataclass

from engine.messages.base import Message
from engine.naming import role_of
from engine.types import Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildExited(Message):
    """runtime → supervisor: an actor is gone. `reason` is empty after an orderly stop."""

    name: str
    epoch: int
    reason: str
    trace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochAnnounced(Message):
    """a restarted shared actor → everyone: I am a new incarnation; what you asked of the old one is lost.

    One of an account is announced to that account's actors, and to those that all accounts share.
    """

    name: str
    epoch: int

    @property
    def role(self) -> str:
        """Which of an account's actors it is: `gateway`."""
        return role_of(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired(Message):
    """runtime → actor: the timer `name` it had started is due. `token` tells a stale one."""

    name: str
    token: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown(Message):
    """root → actor: finish what is in flight, record it, say `ShutdownDone`. No new entries.

    After `within_ms` nobody waits any more; 0: for as long as it takes.
    """

    reply_to: str
    within_ms: Millis = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownDone(Message):
    """actor → root: nothing of mine is in flight any more."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill(Message):
    """control, tests → actor: crash now, as if by a bug of ours. For drills."""

    reason: str = "killed by hand"
