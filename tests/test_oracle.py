"""Recorded cases through the pure engine, trade for trade."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from engine.types import use_money_context
from tests.oracle import Case, difference, main, read_cases, run_case
from tests.own_cases import OWN_CASES, VARIANTS, own_case

RECORDED = Path(__file__).resolve().parents[2] / "shared" / "data" / "oracle" / "random_cases.jsonl.gz"
OURS = list(read_cases(OWN_CASES))


@pytest.mark.parametrize("case", OURS, ids=[f"seed {case['seed']}" for case in OURS])
def test_own_cases(case: Case) -> None:
    """What was recorded of our own is still so: dates, rates, amounts, reasons, profits, rejected signals."""
    use_money_context()

    assert "" == difference(case, run_case(case))


def test_own_cases_cover_the_ways_to_leave() -> None:
    """The recorded cases leave by every reason a candle has, on both sides, and reject signals."""
    trades = list(itertools.chain.from_iterable(case["expected"]["trades"] for case in OURS))
    reasons = {trade["exit_reason"] for trade in trades}

    assert len(VARIANTS) == len(OURS)
    assert {"roi", "stop_loss", "trailing_stop_loss", "exit_signal", "force_exit"} <= reasons
    assert {"long", "short"} == {trade["side"] for trade in trades}
    assert any(case["expected"]["rejected_entry_signals"] for case in OURS)


def test_the_same_case_twice_gives_the_same_events() -> None:
    """Not the trades only: every domain event of every writer, in its order."""
    use_money_context()
    first, second = (run_case(OURS[2]) for _ in range(2))

    assert first.events == second.events
    assert sum(map(len, first.events.values())) > 100


def test_a_difference_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A case that is not met names its trade and the value, and the status is 1."""
    use_money_context()
    case = json.loads(json.dumps(OURS[0]))
    case["expected"]["trades"][1]["profit_abs"] += 0.01
    wrong = tmp_path / "cases.jsonl"
    wrong.write_text("\n".join(json.dumps(c) for c in (OURS[0], case)))

    assert 1 == main([str(wrong)])
    said = capsys.readouterr().out
    assert "case 2 (seed 0): trade 1" in said
    assert "profit_abs is" in said
    assert "1 passed, 1 failed" in said


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The status is 2."""
    assert 2 == main([str(tmp_path / "none.jsonl")])
    assert "FileNotFoundError" in capsys.readouterr().err
    assert 2 == main([])


def test_a_seed_makes_its_case_again() -> None:
    """The cases are what their seeds make: nothing in the file was written by hand."""
    use_money_context()

    assert OURS[1] == json.loads(json.dumps(own_case(1)))


@pytest.mark.skipif(not RECORDED.exists(), reason="the reference's recorded cases are not part of the project")
def test_recorded_cases(capsys: pytest.CaptureFixture[str]) -> None:
    """All cases recorded from the reference come out equal."""
    assert 0 == main([str(RECORDED)]), capsys.readouterr().out
    assert "120 passed, 0 failed" in capsys.readouterr().out
