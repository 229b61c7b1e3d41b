"""Windows of candles, and the check of what a strategy answers."""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.candles import Candle
from engine.errors import StrategyError
from engine.messages import NO_SIGNAL
from engine.strategy import Signals, crossed_above, crossed_below
from engine.window import Window, check_signals, last_signal, window_size

MINUTE = 60_000
YES = np.ones(4, dtype=bool)


def candle(minute: int) -> Candle:
    """A candle whose prices tell its minute."""
    return Candle(minute * MINUTE, minute, minute + 0.5, minute - 0.5, minute + 0.25, 1.0)


def test_window_size_is_twice_the_startup() -> None:
    """A window keeps twice the start-up candles, and never less than a hundred."""
    assert (window_size(0), window_size(50), window_size(200)) == (100, 100, 400)


@given(size=st.integers(1, 7), first=st.integers(0, 9), count=st.integers(0, 40))
def test_a_window_keeps_the_latest(size: int, first: int, count: int) -> None:
    """However many candles come, loaded at once or one by one, it holds the last `size` of them in order."""
    rows = [candle(minute) for minute in range(100, 100 + first + count)]
    window = Window("A/B", "1m", size)
    window.load(rows[:first])
    for row in rows[first:]:
        assert window.append(row)

    kept = rows[-size:] if rows else []
    assert list(window.view()) == kept
    assert len(window) == len(kept)
    assert window.last_ts == (rows[-1].ts if rows else None)


@given(minutes=st.lists(st.integers(0, 60), max_size=30))
def test_a_window_never_has_a_gap(minutes: list[int]) -> None:
    """Old candles change nothing; missing ones are flat at the last close, without volume."""
    window, newest = Window("A/B", "1m", 10), -1
    for minute in minutes:
        assert window.append(candle(minute)) == (minute > newest)
        newest = max(newest, minute)

    view = list(window.view())
    assert all(later.ts - earlier.ts == MINUTE for earlier, later in pairwise(view))
    for before, row in pairwise(view):
        filled = row.ts // MINUTE not in minutes
        assert not filled or (row.open, row.high, row.low, row.close, row.volume) == (*[before.close] * 4, 0.0)


def test_loading_replaces_and_fills() -> None:
    """`load` forgets what was there and fills the gaps in what it is given."""
    window = Window("A/B", "1m", 5)
    window.append(candle(500))
    window.load([candle(1), candle(3)])

    assert [row.ts // MINUTE for row in window.view()] == [1, 2, 3]
    assert window.view().close.tolist() == [1.25, 1.25, 3.25]


def test_a_view_cannot_be_written() -> None:
    """A strategy cannot change its own history."""
    window = Window("A/B", "1m", 5)
    window.append(candle(1))

    with pytest.raises(ValueError, match="read-only"):
        window.view().close[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        window.view().ts[0] = 1


BAD: list[tuple[Any, str]] = [
    (None, "signals() returned nothing (None); it must return Signals(...)"),
    (YES, "signals() returned a ndarray; it must return Signals(...)"),
    (Signals(enter_long=YES[:-1]), "signals() gave enter_long with shape (3,) for 4 candles; it must be (4,)"),
    (Signals(exit_long=np.ones((4, 1))), "signals() gave exit_long with shape (4, 1) for 4 candles; it must be (4,)"),
    (
        Signals(exit_short=True),  # type: ignore[arg-type]
        "signals() gave a bool as exit_short; it must be a numpy array",
    ),
    (
        Signals(enter_short=np.array(["x"] * 4)),  # type: ignore[arg-type]
        "signals() gave enter_short as an array of <U1; it must be of bool or numbers",
    ),
    (
        Signals(enter_long=np.full(4, 100)),  # type: ignore[arg-type]
        "signals() gave 100 in enter_long; it must be True or False (or 1, 0, NaN)",
    ),
    (Signals(enter_long=YES, enter_tag=["x"]), "signals() gave 1 values in enter_tag for 4 candles"),
    (
        Signals(enter_long=YES, enter_tag="long"),  # type: ignore[arg-type]
        "signals() gave a str as enter_tag; it must be a list of texts",
    ),
    (
        Signals(enter_long=YES, enter_tag=[1] * 4),  # type: ignore[list-item]
        "signals() gave a int in enter_tag; a tag must be a text",
    ),
    (
        Signals(enter_long=YES, exit_tag=["x" * 256] * 4),
        "signals() gave a text of 256 characters in exit_tag; at most 255 are kept",
    ),
    (Signals(score=np.zeros(3)), "signals() gave score with shape (3,) for 4 candles; it must be (4,)"),
]


@pytest.mark.parametrize(("answer", "reason"), BAD)
def test_nonsense_is_refused_with_its_field(answer: Any, reason: str) -> None:
    """Wrong type, shape, length, values and tags are each named, live and in a backtest alike."""
    for check in (check_signals, last_signal):
        with pytest.raises(StrategyError) as error:
            check(answer, 4)
        assert str(error.value) == reason


def test_nan_is_no_signal() -> None:
    """NaN counts as False, 1.0 as True, as in a Freqtrade column; a missing array is all False."""
    answer = Signals(enter_long=np.array([np.nan, 1.0, 0.0, np.nan]))  # type: ignore[arg-type]
    checked = check_signals(answer, 4)

    assert checked.enter_long.tolist() == [False, True, False, False]
    assert not checked.exit_long.any()
    assert last_signal(answer, 4) is NO_SIGNAL


def test_a_signal_carries_tags_and_score() -> None:
    """The last row's tags and score are taken; None is no tag, a score that is no number is 0."""
    answer = Signals(
        enter_long=YES, exit_short=~YES, enter_tag=["a", "b", "c", "d"], score=np.array([1, np.nan, np.inf, 2.5])
    )
    signal = last_signal(answer, 4)

    assert (signal.enter_long, signal.exit_short, signal.enter_tag, signal.exit_tag) == (True, False, "d", "")
    assert check_signals(answer, 4).score.tolist() == [1.0, 0.0, 0.0, 2.5]
    assert check_signals(answer, 4).at(3) == signal


@given(rows=st.lists(st.tuples(*[st.one_of(st.booleans(), st.just(float("nan")))] * 4), min_size=1, max_size=8))
def test_live_and_backtest_checks_agree(rows: list[tuple[Any, ...]]) -> None:
    """What `last_signal` says of an answer is what `check_signals` says of its last row."""
    columns = np.array(rows, dtype=float)
    answer = Signals(*columns.T)  # type: ignore[arg-type]

    assert last_signal(answer, len(rows)) == check_signals(answer, len(rows)).at(-1)


def test_crossings() -> None:
    """A crossing is where a series is beyond the level and was not before; NaN is on neither side."""
    series = np.array([np.nan, 31.0, 29.0, 30.0, 31.0, 32.0, 30.0, 29.0])

    assert crossed_above(series, 30).nonzero()[0].tolist() == [4]
    assert crossed_below(series, 30).nonzero()[0].tolist() == [2, 7]
    assert crossed_above(series, np.full(8, 30.0)).tolist() == crossed_above(series, 30).tolist()


def test_no_tags_are_a_column_of_empty_ones() -> None:
    """What stands for a column without tags is read, cut and sent like a list of empty texts."""
    none = check_signals(Signals(enter_long=YES), 4).enter_tag
    sent = pickle.loads(pickle.dumps(none[1:]))

    assert ["", "", "", ""] == list(none)
    assert ("", ["", "", ""]) == (none[-1], list(sent))
    with pytest.raises(IndexError):
        none[4]
