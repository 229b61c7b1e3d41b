"""The functions and indicators that Freqtrade strategies import, against what Freqtrade's own gave."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

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
