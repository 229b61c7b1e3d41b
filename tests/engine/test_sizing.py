"""From a balance to a stake to an amount (`semantics.md` 1.5)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.market import Market
from engine.settings import TradingConfig
from engine.sizing import entry_amount, max_stake, min_stake, proposed_stake, validated_stake, within_distance
from engine.types import ONE, ZERO

D = Decimal
MONEY = st.decimals(0, 100_000, places=2)


def market(**limits: Decimal) -> Market:
    """A market with some limits."""
    return Market(pair="A/B", base="A", quote="B", price_step=D("0.01"), amount_step=D("0.001"), **limits)


@pytest.mark.parametrize(
    ("limits", "stoploss", "leverage", "least"),
    [
        ({}, "-0.05", 1, "0"),
        ({"cost_min": "10"}, "-0.05", 1, "11.05263157894736842105263157894736842105"),  # 10 × 1.05 / 0.95
        ({"cost_min": "10"}, "-0.9", 1, "15"),  # never more than half as much again
        ({"cost_min": "10"}, "-1", 1, "15"),
        ({"amount_min": "0.2"}, "-0.05", 1, "21"),  # 0.2 × 100 × 1.05
        ({"cost_min": "10", "amount_min": "0.2"}, "-0.05", 3, "7"),  # the larger of both, a third of it
    ],
)
def test_min_stake(limits: dict[str, str], stoploss: str, leverage: int, least: str) -> None:
    """The least that can be entered and still be sold at the stop."""
    rules = market(**{k: D(v) for k, v in limits.items()})

    assert pytest.approx(D(least), abs=D("1e-12")) == min_stake(rules, D(100), D(stoploss), D("0.05"), D(leverage))


def test_max_stake() -> None:
    """The smaller of the market's bounds, divided by the leverage; None where it has none."""
    assert max_stake(market(), D(100), ONE) is None
    assert D(250) == max_stake(market(cost_max=D(500), amount_max=D(20)), D(100), D(2))
    assert D(100) == max_stake(market(cost_max=D(500), amount_max=D(2)), D(100), D(2))


@pytest.mark.parametrize(
    ("config", "free", "tied", "profit", "expected"),
    [
        ({"stake_amount": "unlimited", "max_open_trades": 4}, 1000, 0, 0, ("247.5", "990")),
        ({"stake_amount": "unlimited", "max_open_trades": 4}, 500, 500, 0, ("247.5", "490")),
        ({"stake_amount": "unlimited", "max_open_trades": 2}, 100, 900, 0, ("90", "90")),  # what is left
        ({"stake_amount": D(300)}, 1000, 0, 0, ("300", "990")),
        ({"stake_amount": D(300)}, 200, 800, 0, ("0", "190")),
        ({"stake_amount": D(300), "amend_last_stake_amount": True}, 200, 800, 0, ("190", "190")),
        ({"stake_amount": D(400), "amend_last_stake_amount": True}, 200, 800, 0, ("0", "190")),  # not above half
        ({"stake_amount": "5%"}, 1000, 0, 0, ("49.5", "990")),
        ({"stake_amount": D(300), "available_capital": D(500)}, 1000, 0, 20, ("300", "520")),
        ({"stake_amount": D(300), "available_capital": D(500)}, 1000, 400, 20, ("0", "120")),
        ({"stake_amount": D(300), "tradable_balance_ratio": D("0.5")}, 1000, 0, 0, ("300", "500")),
    ],
)
def test_proposed_stake(
    config: dict[str, object], free: int, tied: int, profit: int, expected: tuple[str, str]
) -> None:
    """(stake, available) by the way that stakes are configured."""
    trading = TradingConfig(**config)  # type: ignore[arg-type]
    result = proposed_stake(trading, free=D(free), tied=D(tied), profit=D(profit))

    assert (D(expected[0]), D(expected[1])) == result


@pytest.mark.parametrize(
    ("stake", "least", "most", "available", "expected"),
    [
        ("100", "10", None, "1000", "100"),
        ("100", "10", "50", "1000", "50"),
        ("100", "10", None, "60", "60"),
        ("8", "10", None, "1000", "10"),  # raised, since 8 × 1.3 is 10 or more
        ("7", "10", None, "1000", "0"),
        ("100", "10", "5", "1000", "0"),  # the least is over the most
        ("100", "10", None, "9", "0"),
        ("0", "0", None, "1000", "0"),
        ("-5", "0", None, "1000", "0"),
    ],
)
def test_validated_stake(stake: str, least: str, most: str | None, available: str, expected: str) -> None:
    """Within the market's bounds and what there is, or nothing."""
    top = None if most is None else D(most)

    assert D(expected) == validated_stake(D(stake), least=D(least), most=top, available=D(available))


def test_entry_amount_never_buys_more_than_the_stake() -> None:
    """Truncated to the market's step, with leverage."""
    assert D("33.333") == entry_amount(market(), D(1000), D(90), D(3))


@given(
    free=MONEY,
    tied=MONEY,
    profit=MONEY,
    stake=st.one_of(st.just("unlimited"), st.just("10%"), MONEY.filter(bool)),
    amend=st.booleans(),
)
def test_a_proposed_stake_is_never_more_than_there_is(
    free: Decimal, tied: Decimal, profit: Decimal, stake: Decimal | str, amend: bool
) -> None:
    """Whatever is configured: 0 <= stake <= available <= free."""
    config = TradingConfig(stake_amount=stake, amend_last_stake_amount=amend, max_open_trades=3)
    proposed, available = proposed_stake(config, free=free, tied=tied, profit=profit)

    assert ZERO <= proposed <= max(available, ZERO)
    assert available <= free


def test_own_prices_keep_their_distance() -> None:
    """A strategy's price is bounded at 2 % on both sides."""
    assert [D(98), D(99), D(102)] == [within_distance(D(p), D(100), D("0.02")) for p in (50, 99, 150)]
