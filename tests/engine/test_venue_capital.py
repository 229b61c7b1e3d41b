"""Capital on a real exchange: never more than is free there or confirmed, and the user's own movements are no profit."""

from __future__ import annotations

from decimal import Decimal

from engine.account import follow_venue
from engine.messages import CapitalDenied, CapitalReserved, ExposureChanged, ReserveCapital
from engine.portfolio import Portfolio
from engine.settings import RiskConfig, TradingConfig
from engine.types import Side
from engine.venue_capital import CLAIM_MS, SETTLED_MS, VenueCapital

D = Decimal
ONE = D(1)


def account(stake: Decimal | str = D(100), largest: Decimal | None = None, *, futures: bool = False) -> Portfolio:
    """An account on an exchange, before it has said anything."""
    trading = TradingConfig(stake_amount=stake, max_open_trades=10, tradable_balance_ratio=ONE)
    venue = VenueCapital("USDT", futures=futures, largest_stake=largest)
    return Portfolio(trading, RiskConfig(), (), 60_000, D(0), venue=venue)


def hear(portfolio: Portfolio, free: int | str, locked: int | str = 0, now: int = 0) -> list[str]:
    """The exchange says its balances; the kinds of movement that are recorded."""
    assert portfolio.venue is not None
    portfolio.venue.heard((("BNB", D(1), D(0)), ("USDT", D(free), D(locked))), now)
    return [f"{e.body['why']} {e.body['by']:f}" for e in follow_venue(portfolio, now)]


def ask(portfolio: Portfolio, pair: str, now: int = 0, *, adding: bool = False) -> Decimal | str:
    """What a pair is granted, or why nothing."""
    wish = ReserveCapital(
        request_id=f"{pair}{now}",
        pair=pair,
        side=Side.LONG,
        price=ONE,
        round_ts=0,
        stake_min=ONE,
        stake_max=None,
        adding=adding,
    )
    answer = portfolio.reserve(wish, now)
    if isinstance(answer, CapitalDenied):
        return f"{answer.code}: {answer.detail}"
    assert isinstance(answer, CapitalReserved)
    return answer.stake


def hold(portfolio: Portfolio, pair: str, amount: int, rate: int = 1, *, earned: int = 0) -> None:
    """A pair has bought, or with an amount of 0 is flat."""
    portfolio.exposure_changed(
        ExposureChanged(
            pair=pair,
            trade_id=f"{pair}#1" if amount else "",
            stake=D(amount * rate),
            amount=D(amount),
            open_rate=D(rate),
            earned=D(earned),
        )
    )


def test_nothing_is_granted_before_the_exchange_has_spoken() -> None:
    """The first entries after a start are denied, with the reason; after the first balances capital is there."""
    portfolio = account()
    assert "NOT_ENOUGH_CAPITAL: 0 available" in str(ask(portfolio, "A"))

    assert ["first seen 1000"] == hear(portfolio, 1_000)
    assert D(100) == ask(portfolio, "A")
    assert (D(1_000), D(0)) == (portfolio.balance, portfolio.closed_profit)


def test_grants_end_with_what_is_free_on_the_exchange() -> None:
    """The user's own orders lock money that our books call free: it is not granted, and promises count until they show there."""
    portfolio = account()
    hear(portfolio, 250, locked=750)

    assert [D(100), D(100), D(50)] == [ask(portfolio, pair) for pair in "ABC"]
    assert "250 is free there, 250 of it promised" in str(ask(portfolio, "D"))
    later = CLAIM_MS + 1
    assert D(100) == ask(portfolio, "E", later)


def test_no_trade_ties_up_more_than_was_confirmed() -> None:
    """A stake is cut to the largest one, and a further entry of the same trade gets only what is left of it."""
    portfolio = account("unlimited", largest=D(60))
    hear(portfolio, 1_000)

    assert D(60) == ask(portfolio, "A")
    hold(portfolio, "A", 45)
    assert D(15) == ask(portfolio, "A", 1, adding=True)
    hold(portfolio, "A", 60)
    assert "live.largest_stake is 60" in str(ask(portfolio, "A", 2, adding=True))


def test_a_deposit_is_neither_profit_nor_lost_drawdown() -> None:
    """What the user moves becomes part of the start once it has settled; peak and the day's start move with it."""
    portfolio = account()
    hear(portfolio, 1_000)
    assert [] == hear(portfolio, 400, now=10)
    assert ["withdrawal -600"] == hear(portfolio, 400, now=10 + SETTLED_MS)

    assert (D(400), D(400), D(400), D(0)) == (
        portfolio.balance, portfolio.peak, portfolio.day_start, portfolio.closed_profit,
    )  # fmt: skip
    assert [] == hear(portfolio, 400, now=11 + 2 * SETTLED_MS)


def test_fills_on_their_way_are_no_deposits() -> None:
    """Money that was spent or came back before its fill is told here moves nothing, if the fill comes in time."""
    portfolio = account()
    hear(portfolio, 1_000)
    assert [] == hear(portfolio, 900, now=1_000)
    hold(portfolio, "A", 100)
    assert [] == hear(portfolio, 900, now=SETTLED_MS + 2_000)
    assert [] == hear(portfolio, 1_010, now=SETTLED_MS + 3_000)
    hold(portfolio, "A", 0, earned=10)

    assert [] == hear(portfolio, 1_010, now=3 * SETTLED_MS)
    assert (D(1_000), D(1_010)) == (portfolio.start, portfolio.balance)


def test_a_position_in_futures_spends_nothing() -> None:
    """Margin stays in the wallet: an open position is no withdrawal, its profit at the close no deposit."""
    portfolio = account(futures=True)
    hear(portfolio, 1_000)
    hold(portfolio, "A", 100)
    assert [] == hear(portfolio, 900, locked=100, now=1)
    assert [] == hear(portfolio, 900, locked=100, now=2 * SETTLED_MS)
    hold(portfolio, "A", 0, earned=-5)

    assert [] == hear(portfolio, 995, now=4 * SETTLED_MS)
    assert D(1_000) == portfolio.start


def test_a_small_difference_is_followed_without_a_word() -> None:
    """Fees in another coin and dust make our books differ a little: the start follows, and nobody is told."""
    portfolio = account()
    hear(portfolio, 1_000)
    hear(portfolio, 999, now=1)

    assert [] == hear(portfolio, 999, now=1 + SETTLED_MS)
    assert D(999) == portfolio.balance


def test_a_kept_start_is_gone_on_from() -> None:
    """After a restart the start is the kept one: what was moved meanwhile shows as a deposit."""
    first = account()
    hear(first, 1_000)
    second = account()
    second.restore(first.to_plain())

    assert [] == hear(second, 1_200)
    assert ["deposit 200"] == hear(second, 1_200, now=SETTLED_MS)
