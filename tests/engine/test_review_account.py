"""The account: exposure with leverage, hands of the kill switch over a restart, rounds that nobody ends."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.denials import Denial
from engine.messages import (
    CapitalDenied,
    CapitalReserved,
    ExposureChanged,
    PassTurn,
    ReserveCapital,
    RoundJudged,
    SetTradingState,
)
from engine.portfolio import Portfolio
from engine.rounds import Rounds
from engine.settings import RiskConfig, TradingConfig
from engine.types import ONE, ZERO, Side, TradingState, use_money_context

D = Decimal


def an_account(**risk: Any) -> Portfolio:
    use_money_context()
    trading = TradingConfig(stake_amount=D(100), tradable_balance_ratio=ONE)
    return Portfolio(trading, RiskConfig(**risk), (), 60_000, D(1_000))


def ask(pair: str, leverage: int = 1) -> ReserveCapital:
    return ReserveCapital(
        request_id=f"{pair}?",
        pair=pair,
        side=Side.LONG,
        price=D(10),
        round_ts=0,
        stake_min=ZERO,
        stake_max=None,
        leverage=D(leverage),
    )


def entering(pair: str, stake: int, leverage: int) -> ExposureChanged:
    return ExposureChanged(pair=pair, trade_id=f"{pair}#1", stake=D(stake), leverage=D(leverage))


def test_a_reservation_counts_with_its_own_leverage() -> None:
    """What others have reserved counts as the positions it becomes, not as one of the leverage just asked for."""
    account = an_account(max_exposure=D(1_000))
    assert isinstance(account.reserve(ask("A", 9), 0), CapitalReserved)

    second = account.reserve(ask("B", 2), 0)

    assert isinstance(second, CapitalDenied)
    assert second.code == Denial.MAX_EXPOSURE
    assert isinstance(account.reserve(ask("C", 1), 0), CapitalReserved)


def test_an_entry_that_is_not_filled_counts_with_its_leverage() -> None:
    """The worst case of an open order is the limit's business, filled or not."""
    account = an_account(max_exposure=D(1_000))
    account.exposure_changed(entering("A", 100, 9))

    assert isinstance(account.reserve(ask("B", 2), 0), CapitalDenied)
    assert isinstance(account.reserve(ask("B", 1), 0), CapitalReserved)


@pytest.mark.parametrize("source", ["disk", "shutdown"])
def test_a_halt_of_this_run_is_not_kept(source: str) -> None:
    """Who halts for a state of the machine says so again; over a restart nobody else would lift it."""
    account = an_account()
    account.set_state(SetTradingState(state=TradingState.EXITS_ONLY, reason="full", source=source))
    account.set_state(SetTradingState(state=TradingState.STOPPED, reason="I said so", source="user"))

    again = an_account()
    again.restore(account.to_plain())

    assert set(again.holds) == {"user"}
    assert again.state is TradingState.STOPPED


def test_rounds_that_nobody_ends_are_forgotten() -> None:
    """A round whose judge never reports, or that a forced entry's pass began, does not keep all later ones."""
    rounds = Rounds(("judge:0", "judge:1"), {"A": 0})
    rounds.passed(PassTurn(pair="A", round_ts=12_345))
    for number in range(1, 100):
        rounds.judged(RoundJudged(judge="judge:0", ts=number * 60_000, wishes=(), judged=1))

    assert len(rounds.waiting()) <= 5


def test_a_round_with_somebody_waiting_is_kept_until_its_time_is_over() -> None:
    """However many candles close meanwhile, whoever asked is granted by the round's own deadline."""
    rounds = Rounds(("judge:0", "judge:1"), {"A": 0})
    waiting = ask("A")
    assert rounds.asked(waiting) is None
    for number in range(1, 20):
        rounds.judged(RoundJudged(judge="judge:0", ts=number * 60_000, wishes=(), judged=1))

    granting = rounds.over(0)

    assert granting is not None
    assert granting.asks == (waiting,)
