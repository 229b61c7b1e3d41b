"""The functions and indicators that Freqtrade strategies import, against what Freqtrade's own gave."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.compat import helpers, indicators
from tests.freqtrade.qtpylib_calls import CALLS, shown

REFERENCE = json.loads((Path(__file__).resolve().parent.parent / "data" / "qtpylib.json").read_text())
NOON = datetime(2024, 5, 15, 13, 17, 33, tzinfo=UTC)


@pytest.mark.parametrize("call", CALLS)
def test_indicators_are_qtpylibs(call: str) -> None:
    """An indicator has qtpylib's values in qtpylib's columns, and is unknown where that is."""
    found = shown(CALLS[call](indicators))

    assert list(REFERENCE[call]) == list(found)
    for name, expected in REFERENCE[call].items():
        wanted, given = (np.array(values, dtype=float) for values in (expected, found[name]))
        np.testing.assert_allclose(given, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((0.05, 0.1), 0.045454545454545525),
        ((0.05, 0.02), 0.0),
        ((-0.05, 0.1), 0.13636363636363646),
        ((-0.05, -1), 1),
        ((0.05, 0.1, True, 1), 0.05555555555555558),
        ((-0.05, 0.02, True, 3.0), 0.07046979865771785),
        ((0.05, 0.1, False, 5.0), 0.04901960784313708),
        ((0.1, 1.0, True, 1.0), 1),
    ],
)
def test_stoploss_from_open(arguments: tuple[float, ...], expected: float) -> None:
    """A stop relative to the open rate becomes Freqtrade's distance from the current one."""
    assert expected == pytest.approx(helpers.stoploss_from_open(*arguments), rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [((95, 100), 0.05), ((105, 100), 0.0), ((105, 100, True), 0.05), ((105, 100, True, 3.0), 0.15), ((95, 0), 1)],
)
def test_stoploss_from_absolute(arguments: tuple[float, ...], expected: float) -> None:
    """A stop price becomes Freqtrade's distance from the current rate."""
    assert expected == pytest.approx(helpers.stoploss_from_absolute(*arguments), rel=1e-12)


@pytest.mark.parametrize(
    ("timeframe", "minutes", "before", "after"),
    [
        ("5m", 5, "2024-05-15T13:15", "2024-05-15T13:20"),
        ("4h", 240, "2024-05-15T12:00", "2024-05-15T16:00"),
        ("1d", 1_440, "2024-05-15T00:00", "2024-05-16T00:00"),
        ("1w", 10_080, "2024-05-13T00:00", "2024-05-20T00:00"),
        ("1M", 43_200, "2024-05-01T00:00", "2024-06-01T00:00"),
    ],
)
def test_timeframes(timeframe: str, minutes: int, before: str, after: str) -> None:
    """A candle's length and its borders around a time are Freqtrade's, weeks from Monday and months as they are."""
    assert minutes == helpers.timeframe_to_minutes(timeframe)
    assert before == helpers.timeframe_to_prev_date(timeframe, NOON).isoformat()[:16]
    assert after == helpers.timeframe_to_next_date(timeframe, NOON).isoformat()[:16]


def test_merging_shows_a_slow_candle_only_when_it_has_closed() -> None:
    """The 00:00 hour is known to the candle that closes at 01:00, and repeated until the next hour has closed."""
    fast = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=9, freq="15min", tz="UTC"), "x": np.arange(9.0)})
    slow = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=3, freq="1h", tz="UTC"), "v": [1.0, 2.0, 3.0]})
    merged = helpers.merge_informative_pair(fast, slow, "15m", "1h")
    once = helpers.merge_informative_pair(fast, slow, "15m", "1h", ffill=False)

    assert ["date", "x", "date_1h", "v_1h"] == list(merged.columns)
    assert [0, 0, 0, 1, 1, 1, 1, 2, 2] == merged["v_1h"].fillna(0).tolist()
    assert [0, 0, 0, 1, 0, 0, 0, 2, 0] == once["v_1h"].fillna(0).tolist()
    assert ["date", "v"] == list(slow.columns)


def test_merging_a_faster_frame_is_refused() -> None:
    """Merging faster candles into slower ones would make new rows, and is refused."""
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=3, freq="1h", tz="UTC")})

    with pytest.raises(ValueError, match="faster"):
        helpers.merge_informative_pair(frame, frame, "1h", "15m")


KINDS = ("float", "int", "bool", "text", "dates")
HOLES = st.sets(st.integers(0, 59), max_size=12)


def slow_column(kind: str, count: int) -> pd.Series:
    """A column of a kind, with a value missing where the kind knows that."""
    if kind == "float":
        return pd.Series(np.where(np.arange(count) % 5 == 2, np.nan, np.arange(count) * 1.5))
    if kind == "int":
        return pd.Series(np.arange(count))
    if kind == "bool":
        return pd.Series(np.arange(count) % 3 == 0)
    if kind == "text":
        return pd.Series([f"t{number}" for number in range(count)], dtype=object)
    return pd.Series(pd.date_range("2024-01-01", periods=count, freq="h", tz="UTC"))


@settings(max_examples=120, deadline=None)
@given(
    gone=HOLES,
    slow_gone=st.sets(st.integers(0, 6), max_size=4),
    begins=st.integers(-300, 200),
    timeframe=st.sampled_from(["15m", "1h", "5m"]),
    ffill=st.booleans(),
    kinds=st.lists(st.sampled_from(KINDS), max_size=3, unique=True),
    twice=st.booleans(),
)
def test_merging_by_rows_is_pandas_merging(
    gone: set[int], slow_gone: set[int], begins: int, timeframe: str, ffill: bool, kinds: list[str], twice: bool
) -> None:
    """Frames with any candles missing, slow ones that begin earlier or later, all types: values and types as by pandas."""
    fast = pd.DataFrame(
        {"date": pd.date_range("2024-01-01 06:00", periods=60, freq="5min", tz="UTC"), "own": range(60)}
    )
    fast = fast[~fast.index.isin(gone)]
    start = pd.Timestamp("2024-01-01 06:00", tz="UTC") + pd.Timedelta(minutes=begins)
    slow = pd.DataFrame(
        {
            "date": pd.date_range(
                start.floor(timeframe.replace("m", "min")), periods=8, freq=timeframe.replace("m", "min")
            )
        }
    )
    for kind in kinds:
        slow[kind] = slow_column(kind, 8)
    slow = slow[~slow.index.isin(slow_gone)]
    if twice:  # dates that are not in order are pandas' to merge
        slow = pd.concat([slow, slow])
    quick = helpers.merge_informative_pair(fast, slow, "5m", timeframe, ffill=ffill)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(helpers, "merged_by_rows", lambda *_, **__: None)
        by_pandas = helpers.merge_informative_pair(fast, slow, "5m", timeframe, ffill=ffill)

    pd.testing.assert_frame_equal(by_pandas, quick, check_column_type=False)


def test_a_merged_frame_is_its_own() -> None:
    """What a strategy writes into a merged frame is in neither of those that it was made of."""
    fast = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=24, freq="5min", tz="UTC"), "own": np.zeros(24)})
    slow = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=2, freq="h", tz="UTC"), "x": np.zeros(2)})
    merged = helpers.merge_informative_pair(fast, slow, "5m", "1h")
    merged.loc[:, "own"] = 1.0
    merged.loc[:, "x_1h"] = 1.0

    assert 0.0 == fast["own"].sum() == slow["x"].sum()
