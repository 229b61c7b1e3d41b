"""What may be wrong with candles: gaps filled, repetitions dropped, nonsense refused with its row."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.candles import MINUTE, Candle, Candles, timeframe_ms, timeframe_text
from engine.precision import decimals, price_steps
from engine.repair import DataFault, Refusal, Repaired, check_arrival, filler, repair

T = 1_700_000_040_000 // MINUTE * MINUTE


def made(*rows: tuple[float, ...]) -> Repaired | Refusal:
    """Rows of (minute, open, high, low, close, volume) through `repair`."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    ts = T + (table[:, 0] * MINUTE).astype(np.int64)
    return repair("A/B", "1m", ts, tuple(table[:, i] for i in range(1, 6)))


def whole(*rows: tuple[float, ...]) -> Repaired:
    """As `made`, where nothing may be refused."""
    result = made(*rows)
    assert isinstance(result, Repaired)
    return result


def refused(*rows: tuple[float, ...]) -> Refusal:
    """As `made`, where something must be refused."""
    result = made(*rows)
    assert isinstance(result, Refusal)
    return result


def test_whole_candles_stay_as_they_are() -> None:
    """Nothing wrong, nothing counted, nothing changed."""
    result = whole((0, 1, 2, 0.5, 1.5, 9), (1, 1.5, 1.6, 1.4, 1.5, 3))

    assert [Candle(T, 1, 2, 0.5, 1.5, 9), Candle(T + MINUTE, 1.5, 1.6, 1.4, 1.5, 3)] == list(result.candles)
    assert (result.gaps, result.duplicates, result.out_of_order) == (0, 0, 0)


def test_missing_candles_are_filled_at_the_close_before() -> None:
    """Two missing minutes become candles of volume 0 at the last close, and are counted."""
    result = whole((0, 1, 2, 0.5, 1.5, 9), (3, 1, 1, 1, 1, 3))

    assert [filler(T + MINUTE, 1.5), filler(T + 2 * MINUTE, 1.5)] == list(result.candles)[1:3]
    assert result.gaps == 2


def test_rows_out_of_order_are_put_in_order() -> None:
    """A row that comes too late is sorted in, and counted."""
    result = whole((1, 2, 2, 2, 2, 1), (0, 1, 1, 1, 1, 1), (2, 3, 3, 3, 3, 1))

    assert result.candles.open.tolist() == [1, 2, 3]
    assert (result.gaps, result.duplicates, result.out_of_order) == (0, 0, 1)


def test_a_repeated_row_is_dropped() -> None:
    """The same row twice counts once."""
    result = whole((0, 1, 1, 1, 1, 1), (0, 1, 1, 1, 1, 1), (1, 1, 1, 1, 1, 1))

    assert (len(result.candles), result.duplicates) == (2, 1)


def test_two_rows_of_one_time_that_differ_are_refused() -> None:
    """Nobody can know which of two contradicting rows is true: the second one is named."""
    assert refused((0, 1, 1, 1, 1, 1), (1, 1, 1, 1, 1, 1), (0, 1, 1, 1, 1, 2)).row == 2


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ((1, 1, 0.5, 0.9, 1, 1), "under the low"),
        ((1, 1, 2, 1.5, 1.6, 1), "outside of low"),
        ((1, 0, 1, 0, 1, 1), "not positive"),
        ((1, 1, 1, -1, 1, 1), "not positive"),
        ((1, math.nan, 1, 1, 1, 1), "not a finite number"),
        ((1, 1, math.inf, 1, 1, 1), "not a finite number"),
        ((1, 1, 1, 1, 1, -1), "the volume -1"),
        ((1.5, 1, 1, 1, 1, 1), "no candle of 1m opens at"),
        ((1, 60, 60, 60, 60, 1), "more than 50 times away"),
        ((1, 0.01, 0.01, 0.01, 0.01, 1), "more than 50 times away"),
        ((1, 1, 70, 1, 1, 1), "more than 50 times the low"),
        ((9e6, 1, 1, 1, 1, 1), "impossibly far"),
    ],
)
def test_absurd_rows_are_refused(row: tuple[float, ...], why: str) -> None:
    """Each kind of nonsense names its row and says what is wrong; a stream refuses it alike."""
    refusal = refused((0, 1, 1, 1, 1, 1), row)

    assert refusal.row == 1
    assert why in refusal.why
    if row[0] < 1e6:
        arrival = check_arrival(Candle(T + int(row[0] * MINUTE), *row[1:]), MINUTE, T, 1.0)
        assert (arrival.accepted, arrival.fault) == (False, DataFault.ABSURD)
        assert why in arrival.detail


def test_a_stream_tells_gap_duplicate_and_out_of_order_apart() -> None:
    """After the candle of minute 5: 5 is a duplicate, 4 out of order, 6 fine, 8 fine with two missing."""
    verdicts = [
        check_arrival(Candle(T + minute * MINUTE, 1, 1, 1, 1, 1), MINUTE, T + 5 * MINUTE, 1.0)
        for minute in (5, 4, 6, 8)
    ]

    assert [v.accepted for v in verdicts] == [False, False, True, True]
    assert [v.fault for v in verdicts] == [DataFault.DUPLICATE, DataFault.OUT_OF_ORDER, None, DataFault.GAP]
    assert [v.missing for v in verdicts] == [0, 0, 0, 2]


@given(st.permutations(range(8)), st.sets(st.integers(0, 7)), st.sets(st.integers(1, 6)))
def test_repair_gives_the_same_whole_candles_of_any_order(order: list[int], twice: set[int], missing: set[int]) -> None:
    """However rows are shuffled, repeated or left out between the ends: each minute once, in order, all counted."""
    rows = {m: (m, 10 + m, 10 + m, 10 + m, 10 + m, 1) for m in range(8) if m not in missing}
    given_rows = [rows[m] for m in order if m in rows] + [rows[m] for m in sorted(twice) if m in rows]
    result = whole(*given_rows)

    assert [T + m * MINUTE for m in range(8)] == result.candles.ts.tolist()
    assert len(missing) == result.gaps == int(np.count_nonzero(result.candles.volume == 0))
    assert len(twice & set(rows)) == result.duplicates


def test_no_rows_are_no_candles() -> None:
    """An empty file gives empty candles, not an error."""
    assert len(whole().candles) == 0


def test_the_price_step_is_the_month_s_most_decimals() -> None:
    """Each calendar month has its own step: ten to the minus the most decimals in it."""
    ts = np.array(["2024-01-31T23:59", "2024-02-01T00:00", "2024-02-01T00:01"], "datetime64[ms]").astype(np.int64)
    one = np.array([1.5, 100.0, 0.1 + 0.2])
    high = np.array([1.75, 100.0, 16_000.12])
    candles = Candles(pair="A/B", timeframe="1m", ts=ts, open=one, high=high, low=one, close=one, volume=one)

    assert ((1_704_067_200_000, Decimal("0.01")), (1_706_745_600_000, Decimal("0.01"))) == price_steps(candles)


@given(st.integers(1, 10**9), st.integers(0, 9))
def test_decimals_counts_what_is_written(digits: int, places: int) -> None:
    """A number written with n decimals, the last not 0, has n, whatever its binary neighbour says."""
    value = Decimal(digits).scaleb(-places).normalize()
    expected = max(0, -int(value.as_tuple().exponent))

    assert [expected] == decimals(np.array([float(value)])).tolist()
    assert [expected] == decimals(np.array([np.nextafter(float(value), 9e9)])).tolist()


@pytest.mark.parametrize("text", ["1s", "30s", "1m", "5m", "90m", "1h", "4h", "1d", "3d"])
def test_a_timeframe_survives_its_length(text: str) -> None:
    """A timeframe's name and its length lead to one another."""
    assert text == timeframe_text(timeframe_ms(text))
