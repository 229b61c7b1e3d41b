"""Pair locks as strategies name them: those of the account, and what the strategy wants done about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from engine.strategy import Wishes
from strategies.compat.helpers import timeframe_to_next_date
from strategies.compat.order import moment_of


@dataclass(slots=True)
class PairLock:
    """One lock. `side` is long, short or `*`."""

    pair: str
    lock_end_time: datetime
    reason: str | None = None
    side: str = "*"
    active: bool = True

    @property
    def lock_end_time_utc(self) -> datetime:
        """The same: all times are UTC here."""
        return self.lock_end_time


class LockBook:
    """The locks that one strategy knows. What it locks or lifts holds here at once; the account hears of it with the answer.

    `sees` says that it is told of the account's locks.
    """

    def __init__(self, wishes: Wishes, timeframe: str, *, sees: bool) -> None:
        self.wishes = wishes
        self.timeframe = timeframe
        self.sees = sees
        self.now = datetime(1970, 1, 1, tzinfo=UTC)
        self.locks: list[PairLock] = []

    def hear(self, told: Sequence[Sequence[Any]]) -> None:
        """Take the account's locks, as they are from now on."""
        self.locks = [PairLock(pair, moment_of(until), reason, side) for pair, side, until, reason in told]

    def holding(self, pair: str | None, now: datetime | None, side: str | None) -> list[PairLock]:
        """The locks of `pair` (None: of any) that hold on all of `side` (None: on any)."""
        if not self.sees:
            raise LookupError(
                "the strategy asks for locks in a way that its text does not show, so it was not told of any; "
                "call is_pair_locked or PairLocks by name"
            )
        moment = _utc(now) if now is not None else self.now
        return [
            lock
            for lock in self.locks
            if pair in (None, lock.pair) and lock.lock_end_time > moment and (side is None or lock.side in (side, "*"))
        ]


class PairLocks:
    """The locks of the account; `book` is that of the strategy at work."""

    use_db: ClassVar[bool] = False
    timeframe: ClassVar[str] = ""
    book: ClassVar[LockBook | None] = None

    @classmethod
    def _book(cls) -> LockBook:
        if cls.book is None:
            raise LookupError("there are no locks before a strategy is at work")
        return cls.book

    @classmethod
    def lock_pair(
        cls, pair: str, until: datetime, reason: str | None = None, *, now: datetime | None = None, side: str = "*"
    ) -> PairLock:
        """Lock `pair` (`*`: all) from now to the end of the candle that `until` lies in."""
        del now
        book, moment = cls._book(), _utc(until)
        book.wishes.lock(pair, side, int(moment.timestamp() * 1_000), reason or "")
        lock = PairLock(pair, timeframe_to_next_date(book.timeframe, moment), reason, side)
        book.locks.append(lock)
        return lock

    @classmethod
    def unlock_pair(cls, pair: str, now: datetime | None = None, side: str = "*") -> None:
        """Lift the locks of `pair` that hold on all of `side`."""
        del now
        book = cls._book()
        book.wishes.unlock(pair, side)
        book.locks = [lock for lock in book.locks if lock.pair != pair or lock.side not in (side, "*")]

    @classmethod
    def unlock_reason(cls, reason: str, now: datetime | None = None) -> None:
        """Lift all locks with this reason."""
        del now
        book = cls._book()
        book.wishes.unlock_reason(reason)
        book.locks = [lock for lock in book.locks if lock.reason != reason]

    @classmethod
    def get_pair_locks(cls, pair: str | None, now: datetime | None = None, side: str | None = None) -> list[PairLock]:
        """The locks of `pair` (None: of all) that hold."""
        return cls._book().holding(pair, now, side)

    @classmethod
    def get_pair_longest_lock(cls, pair: str, now: datetime | None = None, side: str = "*") -> PairLock | None:
        """The lock of `pair` that ends last."""
        return max(cls.get_pair_locks(pair, now, side), key=lambda lock: lock.lock_end_time, default=None)

    @classmethod
    def is_pair_locked(cls, pair: str, now: datetime | None = None, side: str = "*") -> bool:
        """Whether `pair`, or all pairs, are locked on `side`."""
        return bool(cls.get_pair_locks(pair, now, side)) or cls.is_global_lock(now, side)

    @classmethod
    def is_global_lock(cls, now: datetime | None = None, side: str = "*") -> bool:
        """Whether all pairs are locked."""
        return bool(cls.get_pair_locks("*", now, side))

    @classmethod
    def get_all_locks(cls) -> Sequence[PairLock]:
        """All that are known and hold."""
        return cls.get_pair_locks(None)


def _utc(moment: datetime) -> datetime:
    """A time without a zone is meant in UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
