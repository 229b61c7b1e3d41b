"""What happens to the account, and the domain events that tell of it: the same ones however the trading is driven.

The portfolio actor and the backtest both come here, so a lock, a halt or a new day is written in one
place. `Portfolio` is changed; nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.actions import Emit
from engine.messages import SetTradingState, TradeClosed
from engine.portfolio import Hold, Portfolio
from engine.protections import DAY_MS, Lock
from engine.types import ZERO, Millis
from engine.venue_capital import WORTH_TELLING


def close_trade(portfolio: Portfolio, trade: TradeClosed, ts: Millis) -> list[Emit]:
    """Book a closed trade: the locks and the halt that it brings, the end of yesterday's."""
    before = dict(portfolio.holds)
    locks, halt = portfolio.trade_closed(trade)
    found = [_locked(lock, ts) for lock in locks]
    found += _new_day(portfolio, before, ts)
    return found if halt is None else found + turn_switch(portfolio, halt, ts)


def turn_switch(portfolio: Portfolio, order: SetTradingState, ts: Millis) -> list[Emit]:
    """Turn one hand of the kill switch.

    An event for every hand that takes hold, lets go or has another reason, also where a stricter one
    keeps the switch as it is: who holds it later must be known. None for a repetition.
    """
    before = dict(portfolio.holds)
    portfolio.set_state(order)
    return _turned(portfolio, before, order.reason, order.source, ts)


def pass_time(portfolio: Portfolio, ts: Millis) -> list[Emit]:
    """Let time pass: a new UTC day lifts the halt for the daily loss, ended locks go."""
    before = dict(portfolio.holds)
    portfolio.tick(ts)
    return _new_day(portfolio, before, ts)


def pass_until(portfolio: Portfolio, ts: Millis, first_time: Callable[[Millis, Millis], Millis]) -> list[Emit]:
    """Let time pass until `ts`, over candles at which nobody did anything.

    A halt for the day's loss ends with the next day's first candle all the same: `first_time(since, end)` says
    when the first candle at or after `since` opens, at most `end`.
    """
    found = []
    if "daily_loss" in portfolio.holds:
        found = pass_time(portfolio, first_time(portfolio.day + DAY_MS, ts))
    return found + pass_time(portfolio, ts)


def follow_venue(portfolio: Portfolio, ts: Millis) -> list[Emit]:
    """Let the capital follow what the exchange says; an event for what the user has moved, and for the first look."""
    first = portfolio.start == ZERO
    moved = portfolio.reconcile(ts)
    if not moved or (not first and abs(moved) < portfolio.balance * WORTH_TELLING):
        return []
    why = "first seen" if first else "deposit" if moved > ZERO else "withdrawal"
    return [Emit("CapitalMoved", ts, {"by": moved, "why": why, "start": portfolio.start, "total": portfolio.balance})]


def lock_pair(portfolio: Portfolio, lock: Lock, ts: Millis) -> list[Emit]:
    """Take over a lock that a user or a strategy wants; one that is there already is none more."""
    if lock in portfolio.locks:
        return []
    portfolio.locks.append(lock)
    return [_locked(lock, ts)]


def unlock(portfolio: Portfolio, pair: str, side: str, reason: str, ts: Millis) -> list[Emit]:
    """Lift the locks of `pair` on `side` (`*`: any), or where `pair` is empty all that have this reason."""

    def meant(lock: Lock) -> bool:
        if not pair:
            return lock.reason == reason
        return lock.pair == pair and side in ("*", lock.side)

    ended = [lock for lock in portfolio.locks if lock.until > ts and meant(lock)]
    portfolio.locks = [lock for lock in portfolio.locks if lock not in ended]
    return [Emit("PairUnlocked", ts, _told(lock)) for lock in ended]


def _locked(lock: Lock, ts: Millis) -> Emit:
    return Emit("PairLocked", ts, _told(lock))


def _told(lock: Lock) -> dict[str, Any]:
    return {"pair": lock.pair, "side": lock.side, "until": lock.until, "reason": lock.reason}


def _new_day(portfolio: Portfolio, before: dict[str, Hold], ts: Millis) -> list[Emit]:
    return _turned(portfolio, before, "a new day", "daily_loss", ts)


def _turned(portfolio: Portfolio, before: dict[str, Hold], reason: str, source: str, ts: Millis) -> list[Emit]:
    if portfolio.holds == before:
        return []
    return [Emit("TradingStateChanged", ts, {"state": portfolio.state.value, "reason": reason, "source": source})]
