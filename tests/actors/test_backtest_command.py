"""`tradepit backtest`: what a user types, gets and is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loguru import logger

from actors.cli import main
from actors.commands.parsing import BAD_INPUT, FAILED, OK
from tests.test_replay import PAIRS, STRATEGIES, made_candles

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Commands set the log up for their process; other tests get it back."""
    yield
    logger.remove()
    logger.add(lambda text: print(text, end=""))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of candle files of made pairs."""
    folder = tmp_path / "candles"
    folder.mkdir()
    for pair in PAIRS:
        candles = made_candles(pair, 1, 400)
        columns = {name: getattr(candles, name) for name in ("open", "high", "low", "close", "volume")}
        date = pa.array(candles.ts.astype("datetime64[ms]"), pa.timestamp("ms", "UTC"))
        pq.write_table(pa.table({"date": date, **columns}), folder / f"{pair.replace('/', '_')}-1m.parquet")
    return folder


@pytest.fixture
def words(tmp_path: Path, data: Path) -> list[str]:
    """The command line of a backtest that works, but for where it writes."""
    config = tmp_path / "config.toml"
    config.write_text("[trading]\nmax_open_trades = 2\n")
    return ["-c", str(config), "--strategy", f"{STRATEGIES}:Long", "--data", str(data), "--pairs", ",".join(PAIRS)]


def test_the_trades_are_those_of_the_replay(tmp_path: Path, words: list[str], capsys: Captured) -> None:
    """Fast, candle by candle, and through the actors: the same file of trades; --verify says that events are, too."""
    exports = [tmp_path / f"{name}.json" for name in ("fast", "slow", "replay")]

    assert OK == main(["backtest", *words, "--export", str(exports[0]), "--verify"])
    assert "The replay gives the same" in capsys.readouterr().err
    assert OK == main(["backtest", *words, "--export", str(exports[1]), "--candle-by-candle"])
    assert OK == main(["replay", *words, "--export", str(exports[2])])
    fast, slow, replay = (json.loads(export.read_text()) for export in exports)
    assert len(fast) > 30
    assert fast == slow == replay


def test_the_summary(words: list[str], capsys: Captured) -> None:
    """A table with a line a pair and one of all; with --json the figures."""
    assert OK == main(["backtest", *words])
    said = capsys.readouterr().out
    assert OK == main(["backtest", *words, "--json"])
    figures = json.loads(capsys.readouterr().out)

    assert all(pair in said for pair in PAIRS)
    assert f"{figures['trades']} trades, profit {figures['profit']} USDT" in said
    assert figures["rejected_signals"] > 0


def test_from_and_to(words: list[str], tmp_path: Path) -> None:
    """Only what lies in the time asked for is traded on."""
    export = tmp_path / "part.json"
    span = ["--from", "2026-01-01T01:00", "--to", "2026-01-01T03:00"]
    assert OK == main(["backtest", *words, *span, "--export", str(export)])
    times = [time for trade in json.loads(export.read_text()) for time in (trade["open_time"], trade["close_time"])]

    assert min(times) > "2026-01-01T01:00"
    assert max(times) < "2026-01-01T03:00"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--pairs", "AAA/USDT,ZZZ/USDT"], "for ZZZ/USDT; there is AAA/USDT 1m, BBB/USDT 1m"),
        (["--data", "nowhere"], "nowhere does not exist"),
        (["--from", "2027-01-01"], "no candles are left in the time asked for"),
        (["--from", "soon"], '"soon" is no time'),
        (["--strategy", "none_such"], "none_such"),
    ],
)
def test_bad_input(words: list[str], change: list[str], said: str, capsys: Captured) -> None:
    """Missing pairs, folders, times and strategies are named, with what there is."""
    assert BAD_INPUT == main(["backtest", *words, *change])
    assert said in capsys.readouterr().err


def test_a_strategy_that_fails_on_one_pair(tmp_path: Path, words: list[str], capsys: Captured) -> None:
    """The pair is reported with the line of the strategy, and the rest runs."""
    own = tmp_path / "stumbling.py"
    own.write_text(
        "from engine.strategy import Signals, Strategy\n\n\n"
        "class Stumbling(Strategy):\n"
        '    timeframe = "1m"\n\n'
        "    def signals(self, candles):\n"
        '        if candles.pair == "BBB/USDT":\n'
        '            raise ValueError("no such luck")\n'
        "        return Signals(enter_long=candles.ts // 60_000 % 9 == 0)\n"
    )
    assert FAILED == main(["backtest", *words, "--strategy", str(own), "--json"])
    out, err = capsys.readouterr()

    assert "stumbling.py, line 9: ValueError: no such luck" in json.loads(out)["failed"]["BBB/USDT"]
    assert "BBB/USDT is left out" in err
    assert json.loads(out)["trades"] >= 2
    assert np.isfinite(float(json.loads(out)["profit"]))


def test_two_fill_models_side_by_side(words: list[str], capsys: Captured) -> None:
    """The second model's figures stand beside the first's, as JSON and in the summary."""
    assert OK == main(["backtest", *words, "--fills", "realistic", "--json"])
    figures = json.loads(capsys.readouterr().out)
    assert OK == main(["backtest", *words, "--fills", "realistic"])
    said = capsys.readouterr().out

    assert "candle" == figures["fills"]
    assert "realistic" == figures["other_fills"]["realistic"]["fills"]
    assert 0 < figures["other_fills"]["realistic"]["trades"]
    assert "realistic" in said
