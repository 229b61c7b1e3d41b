"""The account: nobody is granted what is not there, and whoever stops entries is obeyed."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.denials import Denial
from engine.messages import (
    CapitalDenied,
    CapitalReserved,
    ExposureChanged,
    ReserveCapital,
    SetTradingState,
    TradeClosed,
)
from engine.portfolio import Portfolio
from engine.protections import DAY_MS, Lock, protections_from
from engine.settings import RiskConfig, TradingConfig
from engine.types import ZERO, Side, TradingState, use_money_context

D = Decimal
HOUR = 3_600_000
NOW = 100 * DAY_MS


def account(
    start: int = 1_000, risk: RiskConfig | None = None, protections: tuple[Any, ...] = (), **trading: Any
) -> Portfolio:
    """An account of 1000 with stakes of 100."""
    config = TradingConfig(**{"stake_amount": D(100), "max_open_trades": 3, "tradable_balance_ratio": D(1), **trading})
    return Portfolio(config, risk or RiskConfig(), protections_from(protections, HOUR), HOUR, D(start))


def ask(pair: str = "A/U", number: int = 1, **more: Any) -> ReserveCapital:
    """A pair's question."""
    values = {"side": Side.LONG, "price": D(10), "round_ts": NOW, "stake_min": ZERO, "stake_max": None, **more}
    return ReserveCapital(request_id=f"{pair}{number}", pair=pair, **values)


def holds(pair: str = "A/U", stake: int | str = 100, earned: int | str = 0, **more: Any) -> ExposureChanged:
    """What a pair holds."""
    return ExposureChanged(pair=pair, trade_id=f"{pair}#1", stake=D(stake), earned=D(earned), **more)


def flat(pair: str = "A/U", earned: int | str = 0) -> ExposureChanged:
    """A pair that holds nothing."""
    return ExposureChanged(pair=pair, trade_id="", stake=ZERO, earned=D(earned))


def closed(
    pair: str = "A/U", number: int = 1, profit: int | str = 10, ts: int = NOW, reason: str = "roi"
) -> TradeClosed:
    """A trade's end."""
    return TradeClosed(
        pair=pair,
        trade_id=f"{pair}#1-{number}",
        side=Side.LONG,
        open_ts=0,
        close_ts=ts,
        open_rate=D(1),
        close_rate=D(1),
        amount=D(1),
        stake=D(100),
        leverage=D(1),
        fee_open=ZERO,
        fee_close=ZERO,
        profit_abs=D(profit),
        profit_ratio=D(profit) / 100,
        exit_reason=reason,
        enter_tag="",
        max_rate=D(1),
        min_rate=D(1),
        initial_stop=D(1),
        stop=D(1),
    )


def code(answer: CapitalReserved | CapitalDenied) -> str:
    """Why not; empty when granted."""
    return answer.code if isinstance(answer, CapitalDenied) else ""


def test_a_reservation_counts_as_spent() -> None:
    """Pairs that ask at once share what there is: slots and capital."""
    portfolio = account(start=250)

    assert ["", "", Denial.NOT_ENOUGH_CAPITAL] == [code(portfolio.reserve(ask(p), NOW)) for p in ("A/U", "B/U", "C/U")]
    assert (D(200), D(50), 2) == (portfolio.tied, portfolio.free, portfolio.open_trades)


def test_a_reservation_becomes_a_trade_or_goes_back() -> None:
    """What the pair says it holds replaces it."""
    portfolio = account()
    portfolio.reserve(ask("A/U"), NOW)
    portfolio.reserve(ask("B/U"), NOW)
    portfolio.exposure_changed(holds("A/U", 90))
    portfolio.exposure_changed(flat("B/U"))

    assert (D(90), D(910), 1) == (portfolio.tied, portfolio.free, portfolio.open_trades)


def test_a_repeated_question_gets_the_answer_it_had() -> None:
    """And a new one of the same pair replaces its reservation instead of adding to it."""
    portfolio = account()
    first = portfolio.reserve(ask(), NOW)

    assert portfolio.reserve(ask(), NOW) is first
    portfolio.reserve(ask(number=2, stake=D(300)), NOW)
    assert D(300) == portfolio.tied


def test_slots() -> None:
    """Unfilled entries and reservations use one; further entries of an open trade need none."""
    portfolio = account(max_open_trades=1)
    portfolio.exposure_changed(holds())

    assert Denial.NO_FREE_SLOT == code(portfolio.reserve(ask("B/U"), NOW))
    assert Denial.ALREADY_OPEN == code(portfolio.reserve(ask("A/U"), NOW))
    assert "" == code(portfolio.reserve(ask("A/U", adding=True), NOW))
    assert 1 == portfolio.rejected
    assert "" == code(account(max_open_trades=-1).reserve(ask(), NOW))
    assert Denial.NO_FREE_SLOT == code(account(max_open_trades=0).reserve(ask(), NOW))


def test_stakes_at_the_bounds() -> None:
    """Raised to the market's minimum, cut at its maximum, or denied."""
    assert D(110) == account().reserve(ask(stake_min=D(110)), NOW).stake  # type: ignore[union-attr]
    assert D(40) == account().reserve(ask(stake_max=D(40)), NOW).stake  # type: ignore[union-attr]
    assert Denial.STAKE_UNDER_MINIMUM == code(account().reserve(ask(stake_min=D(140)), NOW))


def test_free_is_what_the_wallet_has() -> None:
    """Start, closed profit and partial exits, less what is tied (2.5)."""
    portfolio = account()
    portfolio.exposure_changed(holds("A/U", 100, earned=50, realized=D(7)))

    assert (D(1050), D(957)) == (portfolio.balance, portfolio.free)


def test_earnings_are_totals() -> None:
    """A message that is lost or repeated changes nothing in the end."""
    portfolio = account()
    for exposure in (flat(earned=10), flat(earned=10), flat("B/U", -5), flat(earned=30)):
        portfolio.exposure_changed(exposure)

    assert D(25) == portfolio.closed_profit


def test_exposure_limits() -> None:
    """Of a pair and of all, with leverage, reservations counted."""
    risk = RiskConfig(max_exposure_per_pair=D(250), max_exposure=D(450))
    portfolio = account(risk=risk)

    assert Denial.MAX_EXPOSURE_PAIR == code(portfolio.reserve(ask(leverage=D(3)), NOW))
    assert "" == code(portfolio.reserve(ask(leverage=D(2)), NOW))
    assert "" == code(portfolio.reserve(ask("B/U", leverage=D(2)), NOW))
    assert Denial.MAX_EXPOSURE == code(portfolio.reserve(ask("C/U"), NOW))


def test_locks_and_protections_are_told_apart() -> None:
    """A user's lock is one, a protection's another; both end, and `*` means all."""
    portfolio = account(protections=({"method": "CooldownPeriod", "stop_duration": 60},))
    portfolio.locks.append(Lock(pair="B/U", side="long", until=NOW + 5, reason="by hand"))
    portfolio.trade_closed(closed())

    assert Denial.PROTECTION == code(portfolio.reserve(ask(), NOW))
    assert Denial.PAIR_LOCKED == code(portfolio.reserve(ask("B/U"), NOW))
    assert "" == code(portfolio.reserve(ask("B/U", side=Side.SHORT), NOW))
    assert "" == code(portfolio.reserve(ask("B/U"), NOW + 5))
    assert "" == code(portfolio.reserve(ask("A/U"), NOW + 2 * HOUR))
    assert not portfolio.tick(NOW + 3 * HOUR)
    assert [] == portfolio.locks


def test_a_closed_trade_counts_once() -> None:
    """Its repetition brings neither locks nor profit."""
    portfolio = account(protections=({"method": "CooldownPeriod", "stop_duration": 60},))

    assert 1 == len(portfolio.trade_closed(closed())[0])
    assert ([], None) == portfolio.trade_closed(closed())
    assert 1 == len(portfolio.locks)


def test_what_is_heard_late_is_looked_back_on_in_its_place() -> None:
    """A pair whose message was lost is heard later: its trade stands where it closed, and an older one is no news."""
    portfolio = account(protections=({"method": "StoplossGuard", "lookback_period": 600, "trade_limit": 9},))
    for pair, number, ts in (("A/U", 1, NOW), ("A/U", 12, NOW + 3), ("B/U", 1, NOW + 1), ("A/U", 2, NOW + 2)):
        portfolio.trade_closed(closed(pair, number, ts=ts))

    assert ["A/U#1-1", "B/U#1-1", "A/U#1-12"] == [trade.trade_id for trade in portfolio.closed]


def test_the_strictest_hand_holds() -> None:
    """Each hand lets go of its own only."""
    portfolio = account()

    def turn(state: TradingState, source: str) -> bool:
        return portfolio.set_state(SetTradingState(state=state, reason=source, source=source))

    assert turn(TradingState.EXITS_ONLY, "disk")
    assert turn(TradingState.STOPPED, "user")
    assert Denial.STOPPED == code(portfolio.reserve(ask(), NOW))
    assert turn(TradingState.ACTIVE, "user")
    assert Denial.EXITS_ONLY == code(portfolio.reserve(ask(), NOW))
    assert not turn(TradingState.EXITS_ONLY, "foreign_order")
    assert not turn(TradingState.ACTIVE, "foreign_order")
    assert turn(TradingState.ACTIVE, "disk")
    assert "" == code(portfolio.reserve(ask(), NOW))


def lose(portfolio: Portfolio, number: int, total: int, ts: int = NOW, loss: int = -60) -> SetTradingState | None:
    """A losing trade's end, as the pair tells it: the total first."""
    portfolio.exposure_changed(flat(earned=total))
    return portfolio.trade_closed(closed(number=number, profit=loss, ts=ts))[1]


def test_the_drawdown_limit_stops_entries_until_the_user_says_so() -> None:
    """It is passed, not reached; the user's ACTIVE begins a new peak."""
    portfolio = account(risk=RiskConfig(max_drawdown=D("0.12")))

    assert lose(portfolio, 1, -60) is None
    assert lose(portfolio, 2, -120) is None
    halt = lose(portfolio, 3, -180)
    assert halt is not None
    assert (TradingState.EXITS_ONLY, "drawdown") == (halt.state, halt.source)
    portfolio.set_state(halt)
    assert lose(portfolio, 4, -240) is None  # it holds already
    portfolio.set_state(SetTradingState(state=TradingState.ACTIVE, reason="", source="user"))
    assert TradingState.ACTIVE is portfolio.state
    assert lose(portfolio, 5, -300) is None


def test_the_daily_loss_limit_ends_with_the_utc_day() -> None:
    """Losses of yesterday do not count today, and the halt is lifted at midnight."""
    portfolio = account(risk=RiskConfig(max_daily_loss=D("0.1")))

    assert lose(portfolio, 1, -60, NOW - 1) is None
    assert lose(portfolio, 2, -120, NOW) is None
    halt = lose(portfolio, 3, -180, NOW + 1)
    assert halt is not None
    assert "daily_loss" == halt.source
    assert portfolio.set_state(halt)
    assert not portfolio.tick(NOW + DAY_MS - 1)
    assert portfolio.tick(NOW + DAY_MS)
    assert TradingState.ACTIVE is portfolio.state


def test_a_close_of_yesterday_that_is_told_late_does_not_begin_a_day() -> None:
    """Around midnight pairs are heard in any order: the day's first balance stays."""
    portfolio = account(risk=RiskConfig(max_daily_loss=D("0.1")))
    lose(portfolio, 1, -60, NOW)
    lose(portfolio, 2, -120, NOW - 1)

    assert (NOW, D(1000)) == (portfolio.day, portfolio.day_start)


def test_kept_and_restored() -> None:
    """A new incarnation knows what the pairs cannot tell it, through JSON."""
    protections = ({"method": "StoplossGuard", "lookback_period": 600, "trade_limit": 1},)
    portfolio = account(protections=protections)
    portfolio.exposure_changed(flat(earned=-60))
    portfolio.trade_closed(closed(profit=-60, reason="stop_loss"))
    portfolio.set_state(SetTradingState(state=TradingState.STOPPED, reason="enough", source="user"))
    again = account(start=1, protections=protections)
    again.restore(json.loads(json.dumps(portfolio.to_plain())))

    assert portfolio.to_plain() == again.to_plain()
    assert (D(940), TradingState.STOPPED) == (again.balance, again.state)
    assert portfolio.locks == again.locks
    assert portfolio.closed == again.closed
    assert ([], None) == again.trade_closed(closed(profit=-60, reason="stop_loss"))


def test_open_pairs_are_in_opening_order() -> None:
    """Their turns come first, the oldest trade before the others."""
    portfolio = account()
    for pair, at in (("A/U", 3), ("B/U", 1), ("C/U", 2)):
        portfolio.exposure_changed(replace(holds(pair), opened_at=at))

    assert ["B/U", "C/U", "A/U"] == portfolio.open_order


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "hold", "flat", "earn"]),
        st.sampled_from(["A/U", "B/U", "C/U", "D/U"]),
        st.integers(1, 400),
    ),
    max_size=40,
)


@pytest.mark.parametrize("stake", [D(150), "unlimited", "20%"])
@given(events=EVENTS)
def test_never_more_is_granted_than_there_is(stake: Decimal | str, events: list[tuple[str, str, int]]) -> None:
    """However pairs ask, hold, earn and let go: reserved and held together stay within the balance."""
    use_money_context()
    portfolio = account(stake_amount=stake)
    granted: dict[str, Decimal] = {}
    earned: dict[str, int] = {}
    for number, (what, pair, size) in enumerate(events):
        if what == "ask":
            answer = portfolio.reserve(ask(pair, number, stake=D(size) if size % 3 == 0 else None), NOW)
            if isinstance(answer, CapitalReserved):
                granted[pair] = answer.stake
        elif what == "hold" and pair in granted:
            portfolio.exposure_changed(holds(pair, str(granted.pop(pair)), earned.get(pair, 0)))
        elif what in ("flat", "earn"):
            granted.pop(pair, None)
            earned[pair] = earned.get(pair, 0) + (size if what == "earn" else 0)
            portfolio.exposure_changed(flat(pair, earned[pair]))
        assert portfolio.free >= 0
        assert portfolio.free + portfolio.tied == portfolio.balance
        assert portfolio.open_trades <= 3
