"""Rounding of whole arrays is that of the market, digit for digit, ties and binary noise included."""

from __future__ import annotations

import random
from decimal import Decimal

import numpy as np

from engine.market import Market
from engine.steps import at_or_above, at_or_below, fits, nearest, scale_of
from engine.types import exact, use_money_context


def drawn(rng: random.Random, places: int) -> float:
    """A positive number on a step, between two, in the middle, or off by its last bit."""
    whole = rng.randint(1, 10 ** rng.randint(1, 9)) / 10**places
    value = rng.choice(
        [
            whole,
            whole * (1 - rng.choice([0.05, 0.1, 0.01, 0.005, 0.5])),
            whole + 0.5 / 10**places,
            rng.uniform(0.01, 1e5),
        ]
    )
    return float(value * (1 + rng.choice([0, 0, 1.2e-16, -1.2e-16, 2.3e-16, -2.3e-16])))


def test_the_markets_rounding() -> None:
    """To the nearest, halves up, up, and down: equal to the decimals for 20,000 numbers and steps of 1 to 1e-8."""
    use_money_context()
    rng = random.Random(1)
    for _ in range(20_000):
        places = rng.randint(0, 8)
        step, value = Decimal(1).scaleb(-places), drawn(rng, places)
        scale = scale_of(step)
        market = Market(pair="A/B", base="A", quote="B", price_step=step, amount_step=step)
        assert scale is not None
        for fast, slow in (
            (nearest, market.round_price),
            (at_or_above, market.round_price_up),
            (at_or_below, market.truncate_amount),
        ):
            assert slow(exact(value)) == exact(float((fast(np.array([value]), scale) / scale)[0])), (value, step)


def test_steps_that_are_no_power_of_ten() -> None:
    """They have no scale, so nothing is rounded by them here."""
    assert 100.0 == scale_of(Decimal("0.010"))
    assert scale_of(Decimal("0.05")) is None
    assert not fits(np.array([2e9]), 1e8)
