"""The file of optimised values: written whole, read by the loader, and overruled by the config."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.judging.loader import load_strategy
from actors.judging.optimised import file_beside, write_optimised
from engine.errors import StrategyError

MINE = """
from engine.parameters import IntParameter
from engine.strategy import Signals, Strategy

class Mine(Strategy):
    stoploss = -0.2
    length = IntParameter(2, 50, default=10, space="buy")
    fixed = IntParameter(2, 50, default=10, space="buy", load=False)
    def signals(self, candles):
        return Signals()
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A strategy's file."""
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    return file


def test_what_is_written_is_read(mine: Path) -> None:
    """Parameters and settings of the file beside the strategy count, but for a parameter that is not to be loaded."""
    values = {"buy": {"length": 21, "fixed": 22}, "roi": {"0": 0.5}, "stoploss": {"stoploss": -0.07}}
    assert write_optimised(mine, "Mine", values) == file_beside(mine)
    write_optimised(mine, "Mine", {"trailing": {"trailing_stop": True, "trailing_stop_positive": 0.02}})
    strategy = load_strategy(str(mine))
    assert strategy.length.value == 21  # type: ignore[attr-defined]
    assert strategy.fixed.value == 10  # type: ignore[attr-defined]
    assert (strategy.stoploss, strategy.minimal_roi) == (-0.07, {"0": 0.5})
    assert (strategy.trailing_stop, strategy.trailing_stop_positive) == (True, 0.02)


def test_the_config_goes_before_the_file(mine: Path) -> None:
    """What a user writes into config.toml is not overruled by a search of last month."""
    write_optimised(mine, "Mine", {"buy": {"length": 21}, "stoploss": {"stoploss": -0.07}})
    strategy = load_strategy(str(mine), {"length": 30}, {"stoploss": -0.1})
    assert (strategy.length.value, strategy.stoploss) == (30, -0.1)  # type: ignore[attr-defined]


def test_another_strategys_values_are_left_alone(mine: Path) -> None:
    """A file that names another class says nothing about this one."""
    write_optimised(mine, "Other", {"buy": {"length": 21}})
    assert load_strategy(str(mine)).length.value == 10  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("[1]", "does not hold optimised values"),
        ('{"strategy_name": "Mine", "params": {"buy": 3}}', "does not hold optimised values"),
        ('{"strategy_name": "Mine", "params": {"buy": {"lenght": 3}}}', "did you mean length"),
        ('{"strategy_name": "Mine", "params": {"buy": {"length": "x"}}}', "length is 'x'; it must be a number"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_sentence(mine: Path, text: str, said: str) -> None:
    """Whatever is wrong with the file is said before anything is traded with half of it."""
    file_beside(mine).write_text(text)
    with pytest.raises(StrategyError) as error:
        load_strategy(str(mine))
    assert said in str(error.value)
