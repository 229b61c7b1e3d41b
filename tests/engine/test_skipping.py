"""Passing over candles changes nothing: on random cases every event is that of the walk over all candles."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.settings import Settings
from engine.skipping import may_skip
from engine.types import use_money_context
from tests.oracle import run_case
from tests.random_cases import random_case


@pytest.mark.parametrize("seeds", [range(first, first + 10) for first in range(0, 60, 10)], ids=lambda r: f"{r[0]}-")
def test_passing_over_changes_nothing(seeds: range) -> None:
    """Trades and every domain event are equal, and candles were indeed passed over."""
    use_money_context()
    for seed in seeds:
        case = random_case(seed)
        fast, slow = run_case(case), run_case(case, every_candle=True)

        assert slow.trades == fast.trades, f"seed {seed}"
        assert slow.events == fast.events, f"seed {seed}"
        assert fast.visited < slow.visited, f"seed {seed}"


def test_settings_that_need_every_candle() -> None:
    """A stop at the venue, position adjustment, or a callback that is asked on every candle passes nothing over."""
    plain = Settings(timeframe_ms=60_000)

    assert may_skip(plain)
    assert may_skip(replace(plain, callbacks=frozenset({"confirm_trade_entry", "leverage"})))
    assert not may_skip(replace(plain, callbacks=frozenset({"custom_stoploss"})))
    assert not may_skip(replace(plain, callbacks=frozenset({"one_of_tomorrow"})))
    assert not may_skip(replace(plain, stop_on_venue=True))
    assert not may_skip(replace(plain, position_adjustment=True))
