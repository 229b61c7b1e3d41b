"""Passing over candles changes nothing: on random cases every event is that of the walk over all candles."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.margin import FundingRate
from engine.settings import Settings
from engine.skipping import may_skip
from engine.straight import covers
from engine.types import exact, use_money_context
from tests.oracle import prepared, run_case
from tests.random_cases import random_case
from tests.reference.cases import draw_case


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


@pytest.mark.parametrize("kind", ["funding", "detail", "liquidation"])
def test_funding_and_finer_candles_pass_over_nothing_that_counts(kind: str) -> None:
    """With funding, or traded on finer candles, every event is that of the walk over all candles, in fewer steps."""
    use_money_context()
    few = many = 0
    for seed in range(12):
        case = draw_case(kind, seed)
        fast, slow = run_case(case), run_case(case, every_candle=True)
        few, many = few + fast.visited, many + slow.visited

        assert slow.trades == fast.trades, f"seed {seed}"
        assert slow.events == fast.events, f"seed {seed}"
    assert few < many * 0.8


def test_plain_trades_know_neither_funding_nor_finer_candles() -> None:
    """What is passed over by the machine is not thereby followed on arrays."""
    use_money_context()
    run, tapes = prepared(random_case(0))
    pair, tape = next(iter(tapes.items()))
    finer = replace(tape, detail=tape.candles)
    funded = replace(tape, funding=(FundingRate(pair=pair, ts=0, rate=exact("0.1"), price=exact(1)),))

    assert [True, False, False] == [covers(run.rules[pair], one) for one in (tape, finer, funded)]


def test_settings_that_need_every_candle() -> None:
    """A stop at the venue, position adjustment, or a callback that is asked on every candle passes nothing over."""
    plain = Settings(timeframe_ms=60_000)

    assert may_skip(plain)
    assert may_skip(replace(plain, callbacks=frozenset({"confirm_trade_entry", "leverage"})))
    assert not may_skip(replace(plain, callbacks=frozenset({"custom_stoploss"})))
    assert not may_skip(replace(plain, callbacks=frozenset({"one_of_tomorrow"})))
    assert not may_skip(replace(plain, stop_on_venue=True))
    assert not may_skip(replace(plain, position_adjustment=True))
