"""The second fill model: a spread, depth, volume and latency, on the same machine and the same candles."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from actors.batch.backtest import run_backtest
from engine.candles import Candles
from engine.types import exact, use_money_context
from tests.test_replay import made


def both(name: str = "Long", seed: int = 1, **paper: Any) -> tuple[Any, Any]:
    """A run of made candles under both models."""
    use_money_context()
    config, taped = made(
        name,
        seed,
        trading={"stake_amount": exact(100)},
        paper={name: exact(value) if isinstance(value, float) else value for name, value in paper.items()},
    )
    return run_backtest(config, taped), run_backtest(config, taped, fills="realistic")


def test_no_entry_is_better_than_the_first_model_s() -> None:
    """Entries and exits at the same times cost what the book takes: less is earned, and it is the same trades at least in part."""
    candle, realistic = both(spread=0.002)
    times = {(t.pair, t.open_ts, t.close_ts): t for t in candle.trades}
    same = [(times[key], t) for t in realistic.trades if (key := (t.pair, t.open_ts, t.close_ts)) in times]

    assert len(same) > 5
    assert realistic.profit < candle.profit
    assert all(mine.profit_abs <= theirs.profit_abs for theirs, mine in same)
    assert any(mine.profit_abs < theirs.profit_abs for theirs, mine in same)


def test_a_wider_spread_and_a_later_order_cost_more() -> None:
    """Stops meet a worse price the wider the spread is, and the longer an order takes."""
    near, wide, late = (
        both(spread=spread, latency_ms=latency)[1] for spread, latency in ((0.0002, 0), (0.004, 0), (0.0002, 30_000))
    )

    def stops(result: Any) -> list[Decimal]:
        found = [t.close_rate / t.stop for t in result.trades if "stop" in t.exit_reason]
        return [sum(found, Decimal(0)) / len(found)]

    assert stops(wide) < stops(near)
    assert stops(late) < stops(near)


def thinner(candles: Candles) -> Candles:
    """The same candles with a tenth of their volume."""
    columns = {name: getattr(candles, name) for name in Candles.__slots__}
    return Candles(**{**columns, "volume": candles.volume / 10})


def test_no_more_fills_than_was_traded() -> None:
    """A candle's volume bounds what limit orders get: a stake larger than that is filled in parts, and less is held."""
    use_money_context()
    config, taped = made("Long", 2, trading={"stake_amount": exact(2_000)}, paper={"wallet": exact(10_000)})
    whole = run_backtest(config, taped, fills="realistic")
    thin = {pair: replace(tape, candles=thinner(tape.candles)) for pair, tape in taped.tapes.items()}
    less = run_backtest(config, replace(taped, tapes=thin), fills="realistic")

    assert max(t.amount for t in less.trades) < max(t.amount for t in whole.trades)
