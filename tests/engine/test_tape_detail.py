"""Tapes with finer candles and funding: which rows a candle has, when, and what is due on them (`semantics.md` 2.7)."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from engine.candles import Candles
from engine.margin import FundingRate
from engine.messages import Signal
from engine.tape import Reel, Tape, walk

D = Decimal
FIVE, MINUTE = 300_000, 60_000
ENTER = Signal(enter_long=True)


def candles(count: int, step: int, pair: str = "A/U:U", first: int = 0) -> Candles:
    """Candles whose open is their number."""
    ts = np.arange(first, first + count) * step
    price = np.arange(first, first + count, dtype=float) + 1
    rest = {"high": price + 0.5, "low": price - 0.5, "close": price, "volume": price}
    return Candles(pair=pair, timeframe=f"{step // MINUTE}m", ts=ts, open=price, **rest)


def due(*minutes: int) -> tuple[FundingRate, ...]:
    """Funding at these minutes."""
    return tuple(FundingRate(pair="A/U:U", ts=m * MINUTE, rate=D("0.001"), price=D(1)) for m in minutes)


def shown(tape: Tape, number: int) -> list[tuple[int, int | None, list[int]]]:
    """(minute, candle's minute, minutes of funding) of each row of a candle."""
    rows = Reel(tape, FIVE).rows(number, 0)
    return [
        (
            row.ts // MINUTE,
            None if row.candle_ts is None else row.candle_ts // MINUTE,
            [rate.ts // MINUTE for rate in row.funding],
        )
        for row in rows
    ]


def test_a_candle_is_replaced_by_its_finer_ones() -> None:
    """Each with the candle's signal; where there are none the candle itself is traded on."""
    tape = Tape(candles(4, FIVE), {0: ENTER}, detail=candles(7, MINUTE, first=5))

    assert [(minute, 5, []) for minute in range(5, 10)] == shown(tape, 1)
    assert [(10, 10, []), (11, 10, [])] == shown(tape, 2)
    assert [(15, None, [])] == shown(tape, 3)
    assert {True} == {row.signal.enter_long for row in Reel(tape, FIVE).rows(1, 0)}


def test_funding_is_due_once_on_the_first_row_at_or_after_its_time() -> None:
    """On candles, on finer rows, and where finer rows end and candles go on."""
    funding = due(3, 5, 8, 10, 12, 15)

    plain = Tape(candles(4, FIVE), {}, funding=funding)
    assert [[(5, None, [3, 5])], [(10, None, [8, 10])], [(15, None, [12, 15])]] == [shown(plain, n) for n in (1, 2, 3)]
    finer = Tape(candles(4, FIVE), {}, funding=funding, detail=candles(10, MINUTE, first=0))
    assert [(5, 5, [5]), (6, 5, []), (7, 5, []), (8, 5, [8]), (9, 5, [])] == shown(finer, 1)
    assert [[(10, None, [10])], [(15, None, [12, 15])]] == [shown(finer, n) for n in (2, 3)]


def test_moments_come_in_order_with_all_pairs_of_each() -> None:
    """Time-major: every pair at 5:00, then those with finer rows at 6:00; one without comes with the first."""
    tapes = {
        "A/U:U": Tape(candles(2, FIVE), {}, detail=candles(3, MINUTE, first=5)),
        "B/U": Tape(candles(2, FIVE, "B/U"), {}),
    }

    assert [(5, ["A/U:U", "B/U"]), (6, ["A/U:U"]), (7, ["A/U:U"])] == [
        (ts // MINUTE, list(rows)) for ts, rows in walk(tapes, FIVE)
    ]
