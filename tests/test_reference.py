"""Cases recorded from Freqtrade through the pure engine: a sample of each kind, the whole by `python -m tests.oracle`."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from engine.types import use_money_context
from tests.oracle import difference, read_cases, run_case
from tests.reference.cases import KINDS, draw_case

DATA = Path(__file__).parent / "data"
FILES = sorted(DATA.glob("reference_*.jsonl.gz"))
SAMPLE = 12
SEED = 1


@pytest.mark.parametrize("path", FILES, ids=[path.name.split(".")[0] for path in FILES])
def test_recorded_cases_come_out_equal(path: Path) -> None:
    """Dates, rates, amounts, reasons, stops and profits of a sample of the file are Freqtrade's."""
    use_money_context()
    cases = list(read_cases(path))

    for case in random.Random(SEED).sample(cases, min(SAMPLE, len(cases))):
        assert "" == difference(case, run_case(case)), f"{path.name}: seed {case['seed']}"


@pytest.mark.parametrize("kind", ["adjusting", "dca", "callbacks", "timeouts", "mixed"])
def test_callbacks_come_out_equal_through_freqtrades_interface(kind: str) -> None:
    """The strategy that Freqtrade ran gives its trades here, asked through our side of Freqtrade's interface."""
    use_money_context()
    cases = [case for case in read_cases(DATA / f"reference_{kind}.jsonl.gz") if case["callbacks"]]

    for case in random.Random(SEED).sample(cases, SAMPLE // 2):
        assert "" == difference(case, run_case(case, compat=True)), f"{kind}: seed {case['seed']}"


@pytest.mark.parametrize("path", FILES, ids=[path.name.split(".")[0] for path in FILES])
def test_recorded_cases_are_what_their_seeds_draw(path: Path) -> None:
    """Nothing in a file but the results was written by anybody: its seeds draw the same cases again."""
    for case in random.Random(SEED).sample(list(read_cases(path)), 3):
        drawn = draw_case(case["kind"], case["seed"])

        assert case["kind"] in KINDS
        assert json.loads(json.dumps(drawn)) == {k: v for k, v in case.items() if k not in ("expected", "engine")}
