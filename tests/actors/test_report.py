"""The report: one file that needs no network, with every trade, and thinned series that keep their shape."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.batch.backtest import run_backtest
from actors.batch.outcome import Outcome, outcome_of
from actors.batch.report import extremes, joined, monthly, write_report
from actors.cli import OK, main
from engine.candles import Candles
from engine.columns import Labels, TradeColumns
from engine.types import use_money_context
from tests.actors.test_backtest_command import data, log_as_before, words
from tests.engine.test_metrics import closed
from tests.test_replay import PAIRS, made

ROOT = Path(__file__).resolve().parents[2]
__all__ = ["data", "log_as_before", "words"]


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """A run with trades of four pairs."""
    use_money_context()
    config, taped = made("Long", 3)
    return outcome_of(config, taped, run_backtest(config, taped))


class Page(HTMLParser):
    """What a browser would load from elsewhere, and the page's texts by tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.data: dict[str, Any] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [str(value) for name, value in attrs if name in {"src", "href"}]
        self.open.append("data" if ("id", "data") in attrs else tag)

    def handle_data(self, text: str) -> None:
        if self.open[-1:] == ["data"]:
            self.data = json.loads(text)
        elif text.strip():
            self.texts.setdefault(self.open[-1], []).append(text.strip())

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() not in {tag, "data"}:
            pass


def page_of(tmp_path: Path, *outcomes: Outcome) -> Page:
    """A written report, read again."""
    file = tmp_path / "report.html"
    write_report(file, outcomes, ("month",))
    text = file.read_text()
    assert "{{" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    return Page(text)


def numbers(packed: dict[str, str]) -> list[float]:
    """The numbers of a packed column."""
    values: list[float] = np.frombuffer(base64.b64decode(packed["b"]), f"<{packed['t']}").tolist()
    return values


def test_it_needs_no_network_and_has_everything(tmp_path: Path, outcome: Outcome) -> None:
    """Nothing is loaded from elsewhere; every pair's trades are there to the digit, with reasons and stops."""
    page = page_of(tmp_path, outcome)
    pairs = {pair["name"]: pair for pair in page.data["pairs"]}
    trades = outcome.trades

    assert [] == page.loaded
    assert set(PAIRS) == set(pairs)
    for name, pair in pairs.items():
        own = trades[trades.pair.is_any(name)]
        assert own.open_rate.tolist() == numbers(pair["trades"]["open_rate"])
        assert own.close_ts.tolist() == numbers(pair["trades"]["close_ts"])
        assert [float(t.stop) for t in outcome.result.trades if t.pair == name] == numbers(pair["trades"]["stop"])
        reasons = [pair["trades"]["reasons"][int(code)] for code in numbers(pair["trades"]["reason"])]
        assert own.exit_reason.texts() == reasons
    assert outcome.equity.total.tolist() == numbers(page.data["runs"][0]["equity"]["y"])
    assert {"Pairs", "Exit reasons", "Months", "Summary"} <= set(page.texts["summary"])
    assert f"{outcome.summary.profit_total:.2%}" in page.texts["b"]


def test_two_fill_models_in_one_report(tmp_path: Path, outcome: Outcome) -> None:
    """Both runs' curves and returns are drawn, and the summary has a column each."""
    page = page_of(tmp_path, outcome, replace(outcome, fills="realistic"))

    assert ["candle", "realistic"] == [run["fills"] for run in page.data["runs"]]
    assert {"candle fills", "realistic fills"} <= set(page.texts["th"])
    assert "Pairs (realistic fills)" in page.texts["summary"]


def test_texts_of_users_stay_texts(tmp_path: Path, outcome: Outcome) -> None:
    """A tag or a strategy's name that looks like HTML does nothing in the page."""
    bad = "</script><img src=x onerror=alert(1)>"
    tagged = replace(outcome.trades, enter_tag=Labels.of([bad] * len(outcome.trades)))
    page = page_of(tmp_path, replace(outcome, strategy=bad, trades=tagged))

    assert [] == page.loaded
    assert [bad] == page.data["pairs"][0]["trades"]["tags"]
    assert bad in page.texts["h1"]


def test_a_run_without_trades(tmp_path: Path, outcome: Outcome) -> None:
    """Nothing traded is a report, too."""
    none = np.zeros(len(outcome.trades), np.bool_)
    page = page_of(tmp_path, replace(outcome, trades=outcome.trades[none]))

    assert [] == numbers(page.data["runs"][0]["returns"])
    assert {0} == {pair["count"] for pair in page.data["pairs"]}


def test_a_thinned_curve_keeps_its_extremes() -> None:
    """Of a long curve the lowest and the highest of each stretch stay, and both ends."""
    curve = np.cumsum(np.random.default_rng(1).normal(0, 1, 100_000))
    kept = extremes(curve, 1_000)

    assert len(kept) <= 1_002
    assert (curve.min(), curve.max()) == (curve[kept].min(), curve[kept].max())
    assert (0, 99_999) == (kept[0], kept[-1])
    assert list(range(5)) == extremes(curve[:5], 1_000).tolist()


def test_joined_candles_are_true() -> None:
    """Longer candles open with the first, close with the last, and have the highs, lows and volume of all."""
    column = np.arange(10.0)
    columns = {"open": column, "high": column + 5, "low": column - 5, "close": column + 1, "volume": column}
    whole, every = joined(Candles(pair="A", timeframe="5m", ts=np.arange(10) * 300_000, **columns), 4)

    assert (3, "15m", [0, 900_000, 1_800_000, 2_700_000]) == (every, whole.timeframe, whole.ts.tolist())
    assert ([0, 3, 6, 9], [3, 6, 9, 10]) == (whole.open.tolist(), whole.close.tolist())
    assert ([7, 10, 13, 14], [-5, -2, 1, 4], [3, 12, 21, 9]) == (
        whole.high.tolist(),
        whole.low.tolist(),
        whole.volume.tolist(),
    )


def test_months_count_from_the_balance_at_their_start() -> None:
    """A month's ratio is of the closed balance when it began, a year's of that year's."""
    day = 24 * 60
    trades = TradeColumns.of([closed("A", (0, day), ("10", "20")), closed("A", (day, 40 * day), ("20", "42"))])

    assert {1970: {1: 0.1, 2: 0.2, 0: 0.32}} == {y: pytest.approx(m) for y, m in monthly(trades, 100.0).items()}


def test_the_command_writes_it(tmp_path: Path, words: list[str]) -> None:
    """`backtest --report FILE.html` writes the page."""
    file = tmp_path / "run.html"

    assert OK == main(["backtest", *words, "--report", str(file)])
    assert "<h2>Equity and drawdown</h2>" in file.read_text()


WITHOUT = "import sys; sys.modules['plotly'] = None; from actors.cli import main; sys.exit(main(sys.argv[1:]))"


def test_without_the_library_it_says_how_to_install_it(tmp_path: Path, words: list[str]) -> None:
    """Where plotly is missing that is said before the run, in a sentence, and nothing is written."""
    command = [sys.executable, "-c", WITHOUT, "backtest", *words, "--report", str(tmp_path / "run.html")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert 2 == done.returncode
    assert "tradepit: A report needs plotly for its charts: pip install 'tradepit[report]'.\n" == done.stderr
    assert not (tmp_path / "run.html").exists()
