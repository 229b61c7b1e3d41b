"""Every scenario plays as it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.runner import Scenario, played, scenarios

CASES = [(file.stem, case) for file in sorted(Path(__file__).parent.glob("*.txt")) for case in scenarios(file)]


@pytest.mark.parametrize(("name", "scenario"), CASES, ids=[f"{name}: {case.title}" for name, case in CASES])
def test_scenario(name: str, scenario: Scenario) -> None:
    """The machine goes through the states and does the actions of the table, row by row."""
    written, result, player = played(scenario)

    assert written == result
    # A pair's earnings are the sum of its closed trades, and of funding that came too late for them.
    assert sum((trade.profit_abs for trade in player.closed), player.late) == player.trade.earned


def test_every_row_has_a_right_side() -> None:
    """No scenario is left unfinished, and none has the title of another."""
    titles = [case.title for _, case in CASES]

    assert [] == [(case.title, row) for _, case in CASES for row in case.rows if not row[2]]
    assert len(set(titles)) == len(titles)
