"""Everything wrong with a file's rows is found, and what can be put right is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.candles import MINUTE, Candles, timeframe_ms
from engine.mending import WILD_MAX, Finding, Mended, examine, mend
from engine.repair import FILL_MAX, DataFault, Refusal, Repaired, repair
from engine.resampling import resample

T = 1_700_000_040_000 // MINUTE * MINUTE
FINE = (1.0, 2.0, 0.5, 1.5, 9.0)

Row = tuple[float, float, float, float, float, float]


def arrays(*rows: tuple[float, ...]) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Rows of (minute, open, high, low, close, volume) as columns."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return T + (table[:, 0] * MINUTE).astype(np.int64), tuple(table[:, i] for i in range(1, 6))


def found(*rows: tuple[float, ...]) -> list[Finding]:
    """What is wrong with rows."""
    return examine("1m", *arrays(*rows))


def mended(*rows: tuple[float, ...]) -> Mended:
    """Rows put right, where that may be done."""
    result = mend("1m", *arrays(*rows))
    assert isinstance(result, Mended)
    return result


def minutes(result: Mended) -> list[int]:
    """The minutes of the rows that stayed."""
    return [int(ts - T) // MINUTE for ts in result.ts]


def test_whole_rows_have_no_findings_and_stay() -> None:
    """Nothing is wrong, nothing is dropped."""
    rows = [(i, *FINE) for i in range(3)]

    assert [] == found(*rows)
    assert ([0, 1, 2], 0) == (minutes(mended(*rows)), mended(*rows).dropped)


def test_no_rows_have_no_findings() -> None:
    """An empty file is whole."""
    assert [] == found()


def test_everything_wrong_is_found_at_once() -> None:
    """An absurd row, a late one, a repeated one and a gap are each found, at their rows, as usable or not."""
    rows = [(0, *FINE), (2, *FINE), (1, *FINE), (2, *FINE), (3, 1, 0.4, 0.5, 1, 1), (6, *FINE)]

    assert [(f.fault, f.row, f.usable, f.count) for f in found(*rows)] == [
        (DataFault.OUT_OF_ORDER, 2, True, 1),
        (DataFault.DUPLICATE, 3, True, 1),
        (DataFault.ABSURD, 4, False, 1),
        (DataFault.GAP, 5, True, 3),
    ]
    assert ([0, 1, 2, 6], 2) == (minutes(mended(*rows)), mended(*rows).dropped)


def test_of_two_candles_the_one_that_holds_the_other_is_taken() -> None:
    """A row written before its candle closed lies within the later one: that one is true, in whatever order."""
    early, late = (1, 1.0, 1.2, 0.9, 1.1, 4.0), (1, 1.0, 2.0, 0.5, 1.5, 9.0)
    for rows in ([early, late], [late, early]):
        result = mended((0, *FINE), *rows, (2, *FINE))

        assert [1.5, 1.5, 1.5] == result.columns[3].tolist()
        assert not found((0, *FINE), *rows)[0].usable


def test_of_two_candles_that_contradict_each_other_none_is_taken() -> None:
    """Nobody knows which is true, so the time is missing and said so."""
    rows = [(0, *FINE), (1, 1, 2, 0.5, 1, 5), (1, 1, 3, 0.9, 1, 5), (2, *FINE)]

    assert ([0, 2], 2) == (minutes(mended(*rows)), mended(*rows).dropped)
    assert "none holds the others" in found(*rows)[0].detail


def test_single_wild_rows_are_dropped() -> None:
    """A price a hundred times away for one candle is an error of that row."""
    wild = (1, 100.0, 200.0, 50.0, 150.0, 1.0)
    rows = [(0, *FINE), wild, (2, *FINE)]

    assert [0, 2] == minutes(mended(*rows))
    assert (DataFault.ABSURD, 1, False) == (found(*rows)[0].fault, found(*rows)[0].row, found(*rows)[0].usable)


def test_a_price_that_stays_away_is_not_dropped_but_refused() -> None:
    """After a coin is split its price is another one: that is for a person to decide."""
    rows = [(0, *FINE), *((i, 100.0, 200.0, 50.0, 150.0, 1.0) for i in range(1, WILD_MAX + 2))]
    result = mend("1m", *arrays(*rows))

    assert isinstance(result, Refusal)
    assert "is it a new price" in result.why


def test_a_time_impossibly_far_away_is_refused() -> None:
    """A gap of years is a wrong time, not missing candles."""
    result = mend("1m", *arrays((0, *FINE), (FILL_MAX + 10, *FINE)))

    assert Refusal(1, f"it is impossibly far from {T}") == result


WEEK = timeframe_ms("1w")


def weeks(*starts: int) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Weekly candles that open at these times."""
    return np.array(starts), tuple(np.full(len(starts), value) for value in FINE)


@pytest.mark.parametrize("weekday", range(7))
def test_weeks_begin_when_the_exchange_says(weekday: int) -> None:
    """Weekly candles open on a Monday here and on a Thursday there: any day will do, if it is one."""
    first = 2_000 * WEEK + weekday * (WEEK // 7)
    ts, columns = weeks(first, first + WEEK, first + 3 * WEEK)
    result = repair("A/B", "1w", ts, columns)

    assert isinstance(result, Repaired)
    assert ([first + i * WEEK for i in range(4)], 1) == (result.candles.ts.tolist(), result.gaps)


def test_a_week_that_begins_on_another_day_is_refused_and_dropped() -> None:
    """The row that does not fit the others is named, and mending takes it out."""
    first = 2_000 * WEEK
    ts, columns = weeks(first, first + WEEK, first + WEEK + WEEK // 7, first + 2 * WEEK)
    result = mend("1w", ts, columns)

    assert 2 == getattr(repair("A/B", "1w", ts, columns), "row", None)
    assert [(2, False)] == [(finding.row, finding.usable) for finding in examine("1w", ts, columns)]
    assert isinstance(result, Mended)
    assert [first, first + WEEK, first + 2 * WEEK] == result.ts.tolist()


prices = st.sampled_from([0.0, 1.0, 1.5, 2.0, 500.0, float("nan")])
rows_of_any_kind = st.lists(st.tuples(st.integers(0, 12), prices, prices, prices, prices, prices), max_size=14)


@given(rows_of_any_kind)
def test_what_is_mended_is_never_refused_and_examine_agrees_with_repair(rows: list[Row]) -> None:
    """Rows are usable by `repair` exactly where `examine` finds nothing unusable; mended rows always are."""
    ts, columns = arrays(*rows)
    usable = all(finding.usable for finding in examine("1m", ts, columns))
    result = mend("1m", ts, columns)

    assert usable == isinstance(repair("A/B", "1m", ts, columns), Repaired)
    if isinstance(result, Mended):
        assert [] == [f for f in examine("1m", result.ts, result.columns) if f.fault is not DataFault.GAP]
        assert isinstance(repair("A/B", "1m", result.ts, result.columns), Repaired)
        assert result.dropped == len(rows) - len(result.ts)


# ---------------------------------------------------------------- resampling


def candles(first: int, count: int, timeframe: str = "1m") -> Candles:
    """Candles from minute `first` on, each different."""
    n = np.arange(float(count))
    ts = (first + np.arange(count)) * MINUTE
    return Candles(pair="A/B", timeframe=timeframe, ts=ts, open=n + 5, high=n + 9, low=n + 1, close=n + 6, volume=n + 1)


def test_longer_candles_are_made_of_whole_ones_only() -> None:
    """The candles before the first whole one, and those after the last, are left out."""
    made = resample(candles(3, 14), "5m")

    assert [5 * MINUTE, 10 * MINUTE] == made.ts.tolist()
    assert ([7, 12], [15, 20], [3, 8], [12, 17]) == tuple(
        column.tolist() for column in (made.open, made.high, made.low, made.close)
    )
    assert [3 + 4 + 5 + 6 + 7, 8 + 9 + 10 + 11 + 12] == made.volume.tolist()
    assert ("A/B", "5m") == (made.pair, made.timeframe)


@pytest.mark.parametrize(("first", "count"), [(0, 0), (1, 3), (0, 4), (7, 2)])
def test_too_few_candles_make_none(first: int, count: int) -> None:
    """Where no longer candle is whole there is none."""
    assert 0 == len(resample(candles(first, count), "5m"))


@pytest.mark.parametrize(("own", "asked"), [("5m", "5m"), ("5m", "12m"), ("15m", "5m"), ("1d", "1w")])
def test_lengths_that_do_not_fit_are_refused(own: str, asked: str) -> None:
    """Equal, shorter, no multiple, or longer than a day: none can be made."""
    with pytest.raises(ValueError, match=asked):
        resample(candles(0, 30, own), asked)
