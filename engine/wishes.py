"""What a strategy wants of the account besides trading: locks made and lifted. From plain values to what is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.account import lock_pair, unlock
from engine.actions import Emit
from engine.messages import LockPair, UnlockPair
from engine.portfolio import Portfolio
from engine.protections import Lock, next_candle
from engine.types import Millis


def wishes_of(plain: Sequence[Sequence[Any]]) -> tuple[LockPair | UnlockPair, ...]:
    """What a strategy said (`engine.views.Wishes`), as messages.

    Raises:
        ValueError, TypeError: it makes no sense.
    """
    return tuple(map(_wish, plain))


def _wish(plain: Sequence[Any]) -> LockPair | UnlockPair:
    what, *given = plain
    if what == "lock":
        pair, side, until, reason = given
        return LockPair(pair=str(pair), side=str(side), until=int(until), reason=str(reason))
    if what == "unlock":
        pair, side = given
        return UnlockPair(pair=str(pair), side=str(side))
    if what == "unlock_reason":
        (reason,) = given
        return UnlockPair(reason=str(reason))
    raise ValueError(f"{what!r} is nothing that a strategy may want")


def grant(portfolio: Portfolio, wish: LockPair | UnlockPair, ts: Millis) -> list[Emit]:
    """Make or lift locks as was wished; the events that tell of it, none where nothing changes by it.

    A lock ends at the first candle open after its end, as a protection's does.
    """
    if isinstance(wish, UnlockPair):
        return unlock(portfolio, wish.pair, wish.side, wish.reason, ts)
    until = next_candle(wish.until, portfolio.timeframe_ms)
    return lock_pair(portfolio, Lock(pair=wish.pair, side=wish.side, until=until, reason=wish.reason), ts)
