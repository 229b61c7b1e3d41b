"""What happens to the account is told once and the same, whoever drives the trading."""

from __future__ import annotations

from typing import Any

from engine.account import close_trade, lock_pair, pass_time, turn_switch
from engine.actions import Emit
from engine.messages import SetTradingState
from engine.portfolio import Portfolio
from engine.protections import DAY_MS, Lock
from engine.settings import RiskConfig
from engine.types import TradingState
from tests.engine.test_portfolio import HOUR, NOW, D, account, closed, flat


def lose(portfolio: Portfolio, number: int, ts: int = NOW) -> list[Emit]:
    """A trade that loses 60 more."""
    portfolio.exposure_changed(flat(earned=-60 * number))
    return close_trade(portfolio, closed(number=number, profit=-60, ts=ts), ts)


def turned(portfolio: Portfolio, state: TradingState, source: str = "user", reason: str = "so") -> list[Any]:
    """A hand of the switch is turned; what that is told as."""
    order = SetTradingState(state=state, reason=reason, source=source)
    return [dict(event.body) for event in turn_switch(portfolio, order, NOW)]


def test_a_halt_is_told_although_the_switch_stands_there_already() -> None:
    """The user has paused entries, then a limit is passed: when the user resumes, a row says who held it too."""
    portfolio = account(risk=RiskConfig(max_drawdown=D("0.1")))
    turned(portfolio, TradingState.EXITS_ONLY)
    assert [] == lose(portfolio, 1)

    (event,) = lose(portfolio, 2)

    assert ("TradingStateChanged", NOW) == (event.kind, event.ts)
    assert ("EXITS_ONLY", "drawdown") == (event.body["state"], event.body["source"])
    assert event.body["reason"].startswith("drawdown 12.00%")


def test_a_repetition_is_not_told() -> None:
    """The same hand, state and reason once more change nothing; another reason does, and so does letting go."""
    portfolio = account()

    assert 1 == len(turned(portfolio, TradingState.EXITS_ONLY, "disk", "1 MB free"))
    assert [] == turned(portfolio, TradingState.EXITS_ONLY, "disk", "1 MB free")
    assert 1 == len(turned(portfolio, TradingState.EXITS_ONLY, "disk", "0 MB free"))
    assert [{"state": "ACTIVE", "reason": "so", "source": "disk"}] == turned(portfolio, TradingState.ACTIVE, "disk")
    assert [] == turned(portfolio, TradingState.ACTIVE, "disk")


def test_a_new_day_is_told_however_it_is_noticed() -> None:
    """By time that passes, or by the first trade that closes on it."""
    for by_time in (True, False):
        portfolio = account(risk=RiskConfig(max_daily_loss=D("0.1")))
        assert ["daily_loss"] == [e.body["source"] for number in (1, 2) for e in lose(portfolio, number)]
        assert [] == pass_time(portfolio, NOW + DAY_MS - 1)

        found = pass_time(portfolio, NOW + DAY_MS) if by_time else lose(portfolio, 3, NOW + DAY_MS)

        assert [{"state": "ACTIVE", "reason": "a new day", "source": "daily_loss"}] == [dict(e.body) for e in found]
        assert NOW + DAY_MS == found[0].ts


def test_a_lock_is_told_as_the_protections_locks_are() -> None:
    """By the same event, whoever wants it."""
    portfolio = account(protections=({"method": "CooldownPeriod", "stop_duration": 60},))
    by_hand = lock_pair(portfolio, Lock(pair="A/U", side="*", until=NOW + HOUR, reason="by hand"), NOW)
    by_rule = close_trade(portfolio, closed(), NOW)

    assert [("PairLocked", "by hand"), ("PairLocked", "CooldownPeriod: Cooldown")] == [
        (event.kind, event.body["reason"]) for event in (*by_hand, *by_rule)
    ]
    assert by_hand[0].body.keys() == by_rule[0].body.keys()
    assert 2 == len(portfolio.locks)
