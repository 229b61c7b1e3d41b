"""Pair locks as strategies name them. `scan` refuses a strategy that uses them: the account does not hear of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar


@dataclass(slots=True)
class PairLock:
    """One lock. `side` is long, short or `*`."""

    pair: str
    lock_end_time: datetime
    reason: str | None = None
    side: str = "*"
    active: bool = True


class PairLocks:
    """The locks that strategies of this process have made."""

    locks: ClassVar[list[PairLock]] = []

    @classmethod
    def lock_pair(
        cls, pair: str, until: datetime, reason: str | None = None, *, now: datetime | None = None, side: str = "*"
    ) -> PairLock:
        """Lock `pair` (`*`: all) until then."""
        del now
        end = until if until.tzinfo else until.replace(tzinfo=UTC)
        lock = PairLock(pair, end, reason, side)
        cls.locks.append(lock)
        return lock

    @classmethod
    def unlock_pair(cls, pair: str, now: datetime | None = None, side: str = "*") -> None:
        """Lift the locks of `pair`."""
        del now
        cls.locks = [lock for lock in cls.locks if lock.pair != pair or side not in ("*", lock.side)]

    @classmethod
    def unlock_reason(cls, reason: str, now: datetime | None = None) -> None:
        """Lift all locks with this reason."""
        del now
        cls.locks = [lock for lock in cls.locks if lock.reason != reason]

    @classmethod
    def get_pair_locks(cls, pair: str | None, now: datetime | None = None, side: str | None = None) -> list[PairLock]:
        """The locks of `pair` (None: of all) that hold."""
        moment = now or datetime.now(UTC)
        cls.locks = [lock for lock in cls.locks if lock.lock_end_time > moment] if now is None else cls.locks
        return [
            lock
            for lock in cls.locks
            if pair in (None, lock.pair) and lock.lock_end_time > moment and (side is None or lock.side in (side, "*"))
        ]

    @classmethod
    def is_pair_locked(cls, pair: str, now: datetime | None = None, side: str = "*") -> bool:
        """Whether `pair`, or all pairs, are locked on `side`."""
        return bool(cls._holding(pair, now, side) or cls._holding("*", now, side))

    @classmethod
    def is_global_lock(cls, now: datetime | None = None, side: str = "*") -> bool:
        """Whether all pairs are locked."""
        return bool(cls._holding("*", now, side))

    @classmethod
    def get_all_locks(cls) -> Sequence[PairLock]:
        """All that are known."""
        return list(cls.locks)

    @classmethod
    def reset_locks(cls) -> None:
        """Forget all."""
        cls.locks = []

    @classmethod
    def _holding(cls, pair: str, now: datetime | None, side: str) -> list[PairLock]:
        found = cls.get_pair_locks(pair, now)
        return found if side == "*" else [lock for lock in found if lock.side in (side, "*")]
