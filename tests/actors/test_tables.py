"""What a run's tables say: on a terminal, in plain text, as JSON, and under two fill models side by side."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from actors.batch.backtest import run_backtest
from actors.batch.outcome import Outcome, outcome_of
from actors.batch.tables import duration_text, figure_text, labelled, summary_table, tables_of, tell
from engine.columns import Labels
from engine.equity import WalletFigures
from engine.summary import Summary
from engine.types import use_money_context
from tests.test_replay import made

Captured = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """A run with trades of four pairs."""
    use_money_context()
    config, taped = made("Long", 3)
    return outcome_of(config, taped, run_backtest(config, taped))


@pytest.fixture(autouse=True)
def _money() -> None:
    use_money_context()


def _plain(capsys: Captured) -> dict[str, list[list[str]]]:
    """The printed tables: title → rows of cells, the header first."""
    found: dict[str, list[list[str]]] = {}
    rows: list[list[str]] = []
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("# "):
            rows = found.setdefault(line[2:], [])
        elif line:
            rows.append(re.split(r"  +", line.strip()))
    return found


def test_plain_tables_can_be_read_by_a_program(outcome: Outcome, capsys: Captured) -> None:
    """Every table has a title, a header, and rows of as many cells; the pairs' counts add up to the total."""
    tell([outcome], ("day", "month"))
    tables = _plain(capsys)

    assert {"Pairs", "Exit reasons", "Days", "Months", "Summary"} <= tables.keys()
    assert all(len(row) == len(rows[0]) for title, rows in tables.items() if title != "Summary" for row in rows)
    header, *pairs, total = tables["Pairs"]
    assert ["pair", "trades"] == header[:2]
    assert int(total[1]) == len(outcome.trades) == sum(int(row[1]) for row in pairs)
    assert int(total[1]) == sum(int(row[1]) for row in tables["Exit reasons"][1:])
    assert int(total[1]) == sum(int(row[1]) for row in tables["Days"][1:])


def test_two_fill_models_stand_side_by_side(outcome: Outcome, capsys: Captured) -> None:
    """A run under two fill models has one summary with a column each, and the other tables once each."""
    other = replace(outcome, fills="realistic", trades=outcome.trades[:5])
    tell([outcome, other])
    tables = _plain(capsys)
    tell([outcome, other], as_json=True)
    figures = json.loads(capsys.readouterr().out)

    assert ["metric", "candle fills", "realistic fills"] == tables["Summary"][0]
    assert str(len(outcome.trades)) == tables["Pairs (candle fills)"][-1][1]
    assert "Pairs (realistic fills)" in tables
    assert "candle" == figures["fills"]
    assert ["realistic"] == list(figures["other_fills"])


def test_json_has_every_figure(outcome: Outcome, capsys: Captured) -> None:
    """`--json` gives the summary by its fields' names, all groups, and the periods that were asked for."""
    tell([outcome], ("week",), as_json=True)
    figures = json.loads(capsys.readouterr().out)

    assert {f.name for f in fields(Summary)} == figures["summary"].keys()
    assert {f.name for f in fields(WalletFigures)} == figures["summary"]["wallet"].keys()
    assert figures["trades"] == sum(group["trades"] for group in figures["pairs"])
    assert ["week"] == list(figures["periods"])
    assert figures["summary"]["profit_total_abs"] == pytest.approx(float(figures["profit"]))


def test_figures_have_labels_of_their_own(outcome: Outcome) -> None:
    """No two figures of the summary have one label, so that a reader knows which is meant."""
    labels = [row[0] for row in summary_table([outcome]).rows]
    everything = [label for label, _ in labelled(outcome.summary, "USDT")]

    assert len(set(labels)) == len(labels)
    assert len(set(everything)) == len(everything)


def test_what_says_nothing_is_left_out(outcome: Outcome) -> None:
    """Without tags there are no tables by tag, without shorts no rows about them."""
    trades = replace(outcome.trades, enter_tag=Labels.of([""] * len(outcome.trades)))
    untagged = replace(outcome, trades=trades)
    titles = [table.title for table in tables_of([untagged])]

    assert "Enter tags" not in titles
    assert not [row for row in summary_table([outcome]).rows if row[0].startswith("Short ")]


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0.01234, "ratio", "1.23%"),
        (1.5, "money", "1.500 USDT"),
        (0, "time", "-"),
        (1_767_225_600_000, "time", "2026-01-01 00:00"),
        (93_600.0, "duration", "1d 2:00"),
        (0.04567, "number", "0.0457"),
        (12.3456, "number", "12.35"),
        ("", "text", "-"),
    ],
)
def test_figures_as_texts(value: float | str, kind: str, text: str) -> None:
    """Each kind of figure is written as it is read."""
    assert text == figure_text(value, kind, "USDT")


def test_durations_are_rounded_to_minutes() -> None:
    """A duration is days, hours and minutes."""
    assert ["0:00", "0:59", "1d 0:01"] == [duration_text(s) for s in (0, 59 * 60 + 12, 86_460)]


DRAWING = """
from actors.batch.tables import Table, draw
draw([Table(title="Pairs", columns=("pair", "avg profit"), rows=[["AAA/USDT", "1.00%"], ["TOTAL", "2.00%"]])])
"""


def test_tables_are_drawn_on_a_terminal() -> None:
    """On a terminal a line is drawn below the header, and no figure is cut off where it is narrow."""
    mine, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", DRAWING], cwd=ROOT, stdout=theirs, check=True, env={**os.environ, "COLUMNS": "20"}
    )
    os.close(theirs)
    text = os.read(mine, 65_536).decode()
    os.close(mine)

    assert 0 == done.returncode
    assert "──" in text
    assert "AAA/USDT" in text
    assert "2.00%" in text
