"""Parameters of a strategy: their values, where they may lie, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from engine.candles import Candles
from engine.parameters import (
    BooleanParameter,
    CategoricalParameter,
    DecimalParameter,
    IntParameter,
    RealParameter,
    parameters_of,
)
from engine.strategy import Signals, Strategy


class Base(Strategy):
    """What the other builds on."""

    buy_length = IntParameter(5, 20, default=9)
    sell_ratio = DecimalParameter(0.0, 1.0, default=0.12345, decimals=2)

    def signals(self, candles: Candles) -> Signals:
        """Nothing."""
        return Signals()


class Mine(Base):
    """Parameters of every kind."""

    plain = 3
    kind = CategoricalParameter(["ema", "sma"], space="buy")
    trend = BooleanParameter(default=False, space="sell", optimize=False)
    weight = RealParameter([0.5, 2.0], default=1.0, space="mine")


def test_a_strategy_holds_its_parameters_by_name_and_space() -> None:
    """They are found in order, bases first, each in the space it names or that its name begins with."""
    found = parameters_of(Mine())
    assert list(found) == ["buy_length", "sell_ratio", "kind", "trend", "weight"]
    assert [p.space for p in found.values()] == ["buy", "sell", "buy", "sell", "mine"]
    assert [p.value for p in found.values()] == [9, 0.12, "ema", False, 1.0]


def test_a_value_from_the_config_stays_a_parameter_of_this_instance_alone() -> None:
    """Values of the constructor are the parameter's `value`; other instances and plain attributes are as ever."""
    mine = Mine({"buy_length": 7, "plain": 4, "kind": "sma"})
    assert (mine.buy_length.value, mine.plain, mine.kind.value) == (7, 4, "sma")
    assert mine.buy_length.range == [7]
    assert Mine().buy_length.value == 9


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("buy_length", 7.5, "buy_length is 7.5; it must be a whole number"),
        ("buy_length", "7", "buy_length is '7'; it must be a number"),
        ("weight", float("nan"), "weight is nan; it must be a number"),
        ("kind", "wma", "kind is 'wma'; it must be one of ['ema', 'sma']"),
        ("trend", 1, "trend is 1; it must be one of [True, False]"),
    ],
)
def test_a_value_that_cannot_be_is_a_sentence(name: str, value: Any, why: str) -> None:
    """A parameter refuses what it cannot hold, by name and with what it must be."""
    with pytest.raises(ValueError) as error:
        Mine({name: value})
    assert str(error.value) == why


def test_dimensions_say_what_a_search_may_try() -> None:
    """Ranges are inclusive, decimals are a step, choices are kept as they are."""
    found = {name: p.dimension() for name, p in parameters_of(Mine()).items()}
    assert (found["buy_length"].kind, found["buy_length"].low, found["buy_length"].high) == ("int", 5, 20)
    assert (found["sell_ratio"].kind, found["sell_ratio"].step) == ("float", 0.01)
    assert found["kind"].choices == ("ema", "sma")
    assert found["weight"].step is None


def test_a_default_outside_the_range_is_refused() -> None:
    """An author's slip is said when the file is loaded, not when a search begins."""
    with pytest.raises(ValueError, match="default 4 must lie between 5 and 20"):
        IntParameter(5, 20, default=4)
    with pytest.raises(ValueError, match="must be one of"):
        CategoricalParameter(["a", "b"], default="c")
