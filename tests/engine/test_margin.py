"""Isolated margin: tiers, leverage, and the price at which a position must be left (`semantics.md` 1.10)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.exits import Look, first_stop, liquidation_level, tighter, wishes
from engine.margin import (
    FundingRate,
    MarginTier,
    funding_of,
    highest_leverage,
    largest_notional,
    tier_of,
)
from engine.market import Market
from engine.messages import NO_SIGNAL, MarketRange
from engine.order import Fill
from engine.position import Position
from engine.settings import Settings
from engine.sizing import max_stake
from engine.types import Side

D = Decimal
TIERS = (
    MarginTier(notional_max=D(500), rate=D("0.004"), leverage_max=D(50)),
    MarginTier(notional_min=D(500), notional_max=D(5000), rate=D("0.01"), leverage_max=D(20), amount=D(3)),
    MarginTier(notional_min=D(5000), rate=D("0.05"), leverage_max=D(5), amount=D(203)),
)


def market(formula: str = "isolated", tiers: tuple[MarginTier, ...] = TIERS, pair: str = "A/U:U") -> Market:
    """A futures market with a fee of 0.05 %."""
    return Market(
        pair=pair,
        base="A",
        quote="U",
        price_step=D("0.000001"),
        amount_step=D("0.001"),
        taker_fee=D("0.0005"),
        leverage_max=D(50),
        tiers=tiers,
        liquidation=formula,
    )


def held(side: Side, stake: int, leverage: int) -> Position:
    """A position from 50."""
    fill = Fill(
        fill_id="f", client_order_id="c", ts=0, price=D(50), amount=D(stake * leverage) / 50, fee=D(0), fee_currency="U"
    )
    return Position(side=side, leverage=D(leverage)).entered(fill, "A", "U", D(0))


@pytest.mark.parametrize(
    ("stake", "leverage"), [("0.5", 50), (10, 50), ("10.01", 20), (25, 20), (250, 20), (251, 5), (9_999, 5)]
)
def test_the_stake_decides_the_highest_leverage(stake: str | int, leverage: int) -> None:
    """The first tier that the stake fits into at that tier's own leverage; a gap between tiers belongs to the next."""
    assert D(leverage) == highest_leverage(TIERS, D(stake))


def test_the_leverage_decides_the_largest_stake() -> None:
    """The largest notional of the tiers that allow it, less than it where the market takes no more in one order."""
    assert [D(500), D(500), D(5000), None] == [largest_notional(TIERS, D(n)) for n in (50, 21, 20, 5)]
    assert D(0) == largest_notional(TIERS, D(51))
    assert D(25) == max_stake(market(), D(50), D(20)) / 10  # type: ignore[operator]
    assert max_stake(market(), D(50), D(4)) is None


def test_the_tier_is_looked_up_by_the_stake() -> None:
    """As the reference does it: a stake of 100 at leverage 10 is in the tier of 100, not of 1000."""
    assert [TIERS[0], TIERS[1], TIERS[2]] == [tier_of(TIERS, D(n)) for n in (100, 500, 6_000)]
    assert tier_of((), D(100)) is None


@pytest.mark.parametrize(
    ("formula", "side", "stake", "leverage", "expected"),
    [
        ("isolated", Side.LONG, 100, 10, "45.443245"),
        ("isolated", Side.SHORT, 100, 10, "54.515928"),
        ("isolated", Side.LONG, 600, 20, "48.103840"),
        ("binance", Side.LONG, 100, 10, "45.421687"),
        ("binance", Side.SHORT, 100, 10, "54.541833"),
        ("binance", Side.LONG, 600, 20, "48.068813"),
        ("binance", Side.SHORT, 600, 20, "51.892946"),
        ("bybit", Side.LONG, 100, 10, "45.440000"),
        ("bybit", Side.SHORT, 600, 20, "51.900000"),
        ("binance", Side.LONG, 400, 1, "2.500000"),
    ],
)
def test_liquidation_prices(formula: str, side: Side, stake: int, leverage: int, expected: str) -> None:
    """Those that the reference computed of the same positions, with a buffer of 5 % and rounded to the step."""
    assert D(expected) == liquidation_level(held(side, stake, leverage), market(formula), D("0.05"))


def test_no_liquidation_price_without_tiers_or_futures() -> None:
    """Where the market says nothing of margin there is no such price, and the stop is the guard."""
    assert liquidation_level(held(Side.LONG, 100, 10), market(tiers=()), D("0.05")) is None
    assert liquidation_level(held(Side.LONG, 100, 10), market(pair="A/U"), D("0.05")) is None
    assert D(45) == tighter(D(45), None, Side.LONG)
    assert D(46) == tighter(D(45), D(46), Side.LONG)
    assert D(54) == tighter(D(55), D(54), Side.SHORT)


@pytest.mark.parametrize(
    ("low", "high", "opened", "expected"),
    [
        (46, 51, 50, []),
        ("45.4", 51, 50, [("liquidation", D("45.443245"))]),
        (44, 45, 45, [("liquidation", D(45))]),
        (35, 51, 50, [("stop_loss", D(40))]),
    ],
)
def test_liquidation_comes_after_the_stop(
    low: str | int, high: int, opened: int, expected: list[tuple[str, Decimal]]
) -> None:
    """It is left at its price, at the open where that is past it, and not where the range reaches the stop too."""
    position = held(Side.LONG, 100, 10)
    look = Look(
        position=position,
        stop=first_stop(D(50), D("-2"), Side.LONG, D(10), market()),
        rng=MarketRange(pair="A/U:U", ts=60_000, open=D(opened), high=D(high), low=D(low), close=D(low)),
        signal=NO_SIGNAL,
        settings=Settings(timeframe_ms=60_000),
        market=market(),
        fee=D("0.0005"),
        opened_at=0,
        open_rate=D(50),
        liquidation=liquidation_level(position, market(), D("0.05")),
    )

    assert expected == [(wish.reason, wish.price) for wish in wishes(look)]


def test_funding_is_paid_by_longs_when_the_rate_is_positive() -> None:
    """The worth at the mark price times the rate; what one side pays the other receives."""
    due = FundingRate(pair="A/U:U", ts=0, rate=D("0.0001"), price=D(50))

    assert D("-0.01") == funding_of(Side.LONG, D(2), due)
    assert D("0.01") == funding_of(Side.SHORT, D(2), due)


def test_funding_counts_in_profits_and_targets() -> None:
    """What was paid lowers every profit and raises the price of a target; an exit books what came until then, once."""
    plain, paid = held(Side.LONG, 100, 10), held(Side.LONG, 100, 10).funded(D("-1"))

    assert D("-0.01") == paid.profit_ratio_at(D(50), D(0)) - plain.profit_ratio_at(D(50), D(0))
    assert D("-1") == paid.profit_abs_at(D(50), D(0))
    assert D("0.1") == round(paid.profit_ratio_at(paid.price_at_profit(D("0.1"), D(0)), D(0)), 8)
    short = held(Side.SHORT, 100, 10).funded(D(2))
    assert D("0.1") == round(short.profit_ratio_at(short.price_at_profit(D("0.1"), D(0)), D(0)), 8)
    half = Fill(fill_id="g", client_order_id="d", ts=1, price=D(51), amount=D(10), fee=D(0), fee_currency="U")
    left = short.exited(half, "A", "U", D(0)).exit_done()
    assert (D("-8"), D(0)) == (left.booked, left.funding_due)
    assert D("-18") == left.exited(half, "A", "U", D(0)).exit_done().booked
