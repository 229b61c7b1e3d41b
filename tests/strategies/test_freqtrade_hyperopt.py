"""A Freqtrade strategy's own search ranges: its nested `HyperOpt` class."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.judging.loader import StrategyMaker
from engine.parameters import parameters_of
from engine.spaces import assign, dimensions
from engine.strategy import Strategy

HEAD = """
from freqtrade.optimize.space import Categorical, Dimension, Integer, Real, SKDecimal
from freqtrade.strategy import IStrategy

class Searched(IStrategy):
    stoploss = -0.03
    trailing_stop_positive = 0.02
    def populate_indicators(self, dataframe, metadata):
        return dataframe

    class HyperOpt:
"""
STOP = """
        def stoploss_space():
            return [SKDecimal(-0.05, -0.01, decimals=3, name="stoploss")]
"""
TABLE = """
        def roi_space(self) -> list[Dimension]:
            return [Integer(10, 20, name="after"), Real(0.01, 0.02, name="profit")]

        def generate_roi_table(params: dict) -> dict[int, float]:
            return {0: params["profit"], params["after"]: 0}
"""
TRAILING = """
        @staticmethod
        def trailing_space():
            return [
                Categorical([True], name="trailing_stop"),
                SKDecimal(0.01, 0.35, decimals=3, name="trailing_stop_positive"),
                SKDecimal(0.001, 0.1, decimals=3, name="trailing_stop_positive_offset_p1"),
                Categorical([True, False], name="trailing_only_offset_is_reached"),
            ]
"""


def strategy(tmp_path: Path, hooks: str) -> Strategy:
    """One whose `HyperOpt` has these hooks."""
    file = tmp_path / "searched.py"
    file.write_text(HEAD + hooks)
    return StrategyMaker(str(file), {}, {}).make()


def test_own_ranges_are_searched(tmp_path: Path) -> None:
    """Each space's axes are the strategy's own, from where it stands; a point on them becomes its settings."""
    own = strategy(tmp_path, STOP + TABLE + TRAILING).own_spaces()
    parameters = parameters_of(strategy(tmp_path, STOP))
    axes = {axis.name: axis for axis in dimensions(parameters, ["roi", "stoploss", "trailing"], 300_000, own)}
    point = {name: axis.default for name, axis in axes.items()} | {"@roi:after": 15, "@roi:profit": 0.0125}
    assigned = assign(point, parameters, own)

    assert ("float", -0.05, -0.01, 0.001, -0.03) == tuple(
        getattr(axes["@stoploss:stoploss"], name) for name in ("kind", "low", "high", "step", "default")
    )
    assert ("int", 10, 20) == tuple(getattr(axes["@roi:after"], name) for name in ("kind", "low", "high"))
    assert {"0": 0.0125, "15": 0.0} == assigned.settings["minimal_roi"] == assigned.by_space["roi"]
    assert {"stoploss": -0.03} == assigned.by_space["stoploss"]
    assert {
        "trailing_stop": True,
        "trailing_stop_positive": 0.02,
        "trailing_stop_positive_offset": pytest.approx(0.02 + point["@trailing:trailing_stop_positive_offset_p1"]),
        "trailing_only_offset_is_reached": False,
    } == assigned.by_space["trailing"]


def test_a_space_that_is_not_set_is_ours(tmp_path: Path) -> None:
    """Where `HyperOpt` names one space the others are searched in our ranges."""
    own = strategy(tmp_path, STOP).own_spaces()
    names = {axis.name for axis in dimensions({}, ["roi", "stoploss"], 300_000, own)}

    assert {"@stoploss:stoploss", "@roi_t1"} <= names
    assert "@stoploss" not in names


def test_freqtrades_default_table(tmp_path: Path) -> None:
    """`roi_space` alone is made a table as Freqtrade makes one of its own six values."""
    names = ["roi_t1", "roi_t2", "roi_t3"], ["roi_p1", "roi_p2", "roi_p3"]
    listed = [f"Integer(1, 99, name='{name}')" for name in names[0]] + [
        f"Real(0, 1, name='{name}')" for name in names[1]
    ]
    own = strategy(tmp_path, f"        def roi_space():\n            return [{', '.join(listed)}]\n").own_spaces()
    point = dict(zip((f"@roi:{name}" for name in (*names[0], *names[1])), (30, 20, 10, 0.01, 0.02, 0.04), strict=True))

    assert {"0": 0.07, "10": 0.03, "30": 0.01, "60": 0.0} == assign(point, {}, own).by_space["roi"]


def test_a_table_without_its_ranges_is_refused(tmp_path: Path) -> None:
    """Half of a space is said, not guessed."""
    with pytest.raises(ValueError, match="generate_roi_table, and no roi_space"):
        strategy(tmp_path, "        def generate_roi_table(params):\n            return {}\n").own_spaces()
