"""`tradepit backtest`: what a user types, gets and is told."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loguru import logger

from actors.cli import main
from actors.commands.parsing import BAD_INPUT, FAILED, INTERRUPTED, OK
from tests.bots import command
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
        (["--from", "2026-01-01T03:00", "--to", "2026-01-01T01:00"], "is not before --to"),
        (["--pairs", "AAA/BTC"], "it is traded for BTC, and stakes are in USDT"),
        (["--pairs", "AAAUSDT"], "it is no pair of the form BASE/QUOTE"),
        (["--export", "nowhere/trades.json"], "there is no folder nowhere; make it first"),
        (["--export", "trades.csv"], "trades.csv must end in .json or .parquet"),
        (["--report", "nowhere/run.html"], "there is no folder nowhere; make it first"),
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


def test_a_strategy_that_ends_the_process(tmp_path: Path, words: list[str], capsys: Captured) -> None:
    """sys.exit(0) in a strategy does not end the command as if all were well: it is a failure with file and line."""
    own = tmp_path / "leaving.py"
    own.write_text(
        "import sys\n\nfrom engine.strategy import Signals, Strategy\n\n\n"
        "class Leaving(Strategy):\n"
        '    timeframe = "1m"\n\n'
        "    def signals(self, candles):\n"
        "        if len(candles) < 300:\n"
        "            sys.exit(0)\n"
        '        if candles.pair == "BBB/USDT":\n'
        "            sys.exit(0)\n"
        "        return Signals(enter_long=candles.ts // 60_000 % 9 == 0)\n"
    )
    assert FAILED == main(["backtest", *words, "--strategy", str(own)])
    said = capsys.readouterr().err
    assert "leaving.py, line 13: sys.exit() was called" in said
    assert "fails on AAA/USDT when what comes after is cut off" in said

    assert BAD_INPUT == main(["lookahead", *words, "--strategy", str(own), "--pairs", "AAA/USDT"])
    assert "leaving.py, line 11: sys.exit() was called" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["backtest", "replay"])
def test_a_pair_without_candles_in_the_time_asked_for(
    data: Path, words: list[str], command: str, capsys: Captured
) -> None:
    """It is said, and the others are traded; the JSON names it, too."""
    short = data / "BBB_USDT-1m.parquet"
    pq.write_table(pq.read_table(short).slice(0, 50), short)

    assert OK == main([command, *words, "--from", "2026-01-01T02:00", "--json"])
    out, err = capsys.readouterr()

    assert "BBB/USDT is left out: there is 2026-01-01 00:30 to 2026-01-01 01:19" in err
    assert list(json.loads(out)["left_out"]) == ["BBB/USDT"]
    assert json.loads(out)["trades"] > 0


def test_pairs_of_another_coin_are_not_counted_in_this_one(data: Path, words: list[str], capsys: Captured) -> None:
    """Where all pairs of a folder are meant, those that stakes cannot buy are left out, and it is said."""
    (data / "BBB_USDT-1m.parquet").rename(data / "BBB_EUR-1m.parquet")
    everything = words[: words.index("--pairs")]

    assert OK == main(["backtest", *everything, "--json"])
    out, err = capsys.readouterr()
    assert "BBB/EUR is left out: it is traded for EUR, and stakes are in USDT." in err
    assert "BBB/EUR" not in {pair["key"] for pair in json.loads(out)["pairs"]}

    for file in data.iterdir():
        file.rename(file.with_name(file.name.replace("USDT", "EUR")))
    assert BAD_INPUT == main(["backtest", *everything])
    assert "has no pair that is traded for USDT; there is " in capsys.readouterr().err


def test_what_cannot_be_kept_takes_nothing_with_it(
    tmp_path: Path, data: Path, words: list[str], capsys: Captured
) -> None:
    """Where the history cannot be written, the status says so; tables are shown and the trades are exported."""
    (tmp_path / "full.backtests").write_text("no folder")
    export = tmp_path / "trades.json"

    keeping = ["--db", str(tmp_path / "full.duckdb"), "--export", str(export)]
    assert FAILED == main(["backtest", *words, *keeping])
    out, err = capsys.readouterr()
    assert "full.backtests cannot be written to" in err
    assert "# Summary" in out
    assert len(json.loads(export.read_text())) > 30


@pytest.mark.parametrize("command", ["backtest", "sql"])
def test_a_file_of_another_kind_is_no_history(tmp_path: Path, words: list[str], command: str, capsys: Captured) -> None:
    """A configuration given as --db is refused and stays where and what it is."""
    config = tmp_path / "config.toml"
    before, files = config.read_bytes(), sorted(tmp_path.iterdir())

    asked = ["SELECT 1"] if command == "sql" else words
    assert FAILED == main([command, "--db", str(config), *asked])
    assert "config.toml is no DuckDB file; it is left as it is" in capsys.readouterr().err
    assert config.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == files


@pytest.mark.parametrize("made", ["CREATE TABLE mine (a INTEGER)", "CREATE VIEW mine AS SELECT 1"])
@pytest.mark.parametrize("command", ["backtest", "sql", "run"])
def test_another_programs_database_is_left_alone(
    tmp_path: Path, words: list[str], command: str, made: str, capsys: Captured
) -> None:
    """A DuckDB file that is no history of ours is refused before any work, and no byte of it or its log is changed."""
    db = tmp_path / "theirs.duckdb"
    leave = f"import duckdb, os; duckdb.connect({str(db)!r}).execute({made!r}); os._exit(0)"
    subprocess.run([sys.executable, "-c", leave], check=True)  # its log is not merged into it yet
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    asked = {"sql": ["SELECT 1"], "run": words[: words.index("--data")], "backtest": words}[command]
    assert FAILED == main([command, "--db", str(db), *asked])
    assert "theirs.duckdb is another program's DuckDB file; it is left as it is" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_history_that_stands_alone_is_ours(tmp_path: Path, words: list[str], capsys: Captured) -> None:
    """A history whose journal and stored runs are gone is still known as one."""
    db = tmp_path / "alone.duckdb"
    assert OK == main(["backtest", "--db", str(db), *words])
    shutil.rmtree(tmp_path / "alone.backtests")
    capsys.readouterr()

    assert OK == main(["sql", "--db", str(db), "--json", "SELECT count(*) AS runs FROM backtests"])
    assert [{"runs": 1}] == json.loads(capsys.readouterr().out)


STOPPED_BY_USER = """
import os, signal, time
from tests.candle_strategies import Long

BACKTEST = os.getpid()

class Stopped(Long):
    def signals(self, candles):
        if candles.pair == {pair!r}:
            os.kill(BACKTEST, signal.SIGINT)
        time.sleep(0.5)  # long enough to be spread over processes
        return super().signals(candles)
"""


def with_ctrl_c(folder: Path, words: list[str], workers: int, pair: str) -> subprocess.CompletedProcess[str]:
    """A backtest in a process of its own, which gets a Ctrl-C while a pair is judged."""
    strategy = folder / "stopped.py"
    strategy.write_text(STOPPED_BY_USER.format(pair=pair))
    with (folder / "config.toml").open("a") as config:
        config.write(f"[strategy]\nworkers = {workers}\n")
    return command("backtest", *words, "--strategy", f"{strategy}:Stopped", "--json")


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_while_pairs_are_judged(tmp_path: Path, words: list[str], workers: int) -> None:
    """The pairs judged until then are traded and told, the others named, and the status says how it ended."""
    told = with_ctrl_c(tmp_path, words, workers, PAIRS[-2])
    found = json.loads(told.stdout)
    left = [pair for pair in PAIRS if pair in found["left_out"]]

    assert INTERRUPTED == told.returncode
    assert PAIRS[-1] in left
    assert {"Ctrl-C came before it."} == set(found["left_out"].values())
    assert f"Ended early: {len(left)} of {len(PAIRS)} pairs were not judged" in told.stderr
    assert {} == found["failed"]
    assert found["trades"] > 0
    assert {pair["key"] for pair in found["pairs"]} <= set(PAIRS) - set(left)


def test_ctrl_c_before_any_pair_is_judged(tmp_path: Path, words: list[str]) -> None:
    """There is nothing to tell then but the status."""
    told = with_ctrl_c(tmp_path, words, 1, PAIRS[0])

    assert (INTERRUPTED, "", "") == (told.returncode, told.stdout, told.stderr)


def test_a_stake_above_the_wallet_is_said(tmp_path: Path, words: list[str], capsys: Captured) -> None:
    """Nothing can be traded then: no trades alone would look like a strategy without signals."""
    (tmp_path / "config.toml").write_text("[trading]\nstake_amount = 50\n[paper]\nwallet = 40\n")
    assert OK == main(["backtest", *words])
    out, err = capsys.readouterr()
    assert "No trade can be opened: the stake is 50 USDT, and of the wallet's 40 only 39.60 may be used." in err
    assert "0 trades, profit 0" in out
