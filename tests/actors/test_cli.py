"""The command line: what a user types, reads and gets back as a status."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from loguru import logger

from actors.arguments import duration, pair_list
from actors.cli import main
from actors.commands.check import toml_lines
from actors.commands.common import percent_text, print_table, time_text
from actors.commands.parsing import BAD_INPUT, FAILED, NOT_RUNNING, OK
from actors.config_file import read_config
from actors.files import Files, RunLock
from engine.config import masked, parse_config
from engine.errors import ConfigError, TradepitError
from tests.actors.control_bot import Bot

ROOT = Path(__file__).resolve().parent.parent.parent
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Commands set the log up for their process; other tests get it back."""
    yield
    logger.remove()
    logger.add(sys.__stderr__ or sys.stderr)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A small configuration that works."""
    path = tmp_path / "config.toml"
    path.write_text(f'[feed]\npairs = 3\n[history]\ndb = "{tmp_path / "x.duckdb"}"\n')
    return path


def test_help_is_quick() -> None:
    """`tradepit --help` takes under 0.15 s of processor time: nothing heavy is imported for it."""
    assert any(_help_seconds() < 0.15 for _ in range(20))  # what others do on this machine costs it time too


def _help_seconds() -> float:
    before = os.times()
    subprocess.run([sys.executable, "-m", "actors.cli", "--help"], cwd=ROOT, capture_output=True, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def test_help_imports_nothing_heavy() -> None:
    """Asking for help loads neither numpy nor loguru nor duckdb."""
    code = (
        "import sys, contextlib, actors.cli\n"
        "with contextlib.suppress(SystemExit): actors.cli.main(['--help'])\n"
        "print(sorted({'numpy', 'loguru', 'duckdb', 'orjson', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("2h", 7200), ("1d", 86_400), ("1h30m", 5400), ("2.5", 2.5)]
)
def test_durations(text: str, seconds: float) -> None:
    """Durations are numbers with units; a bare number is seconds."""
    assert seconds == duration(text)


@pytest.mark.parametrize("text", ["", "5x", "m", "-5s", "0s", "5 s", "1e3", "99999d", "5s!"])
def test_what_is_no_duration(text: str) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(argparse.ArgumentTypeError):
        duration(text)


def test_pair_lists() -> None:
    """Pairs are separated by commas, in capitals whatever was typed; none at all is refused."""
    assert ("ETH/BTC", "LTC/BTC") == pair_list("eth/btc, LTC/BTC,")
    with pytest.raises(argparse.ArgumentTypeError):
        pair_list(" , ")


@pytest.mark.parametrize(
    "words", [[], ["trade"], ["run", "--for", "soon"], ["exit"], ["enter"], ["sql", "--json", "--csv", "x"]]
)
def test_a_wrong_command_line_ends_with_status_2(words: list[str], capsys: Captured) -> None:
    """What the parser does not take ends with status 2 and its usage."""
    with pytest.raises(SystemExit) as caught:
        main(words)

    assert BAD_INPUT == caught.value.code
    assert "usage: tradepit" in capsys.readouterr().err


# ---------------------------------------------------------------- files of configuration


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[trading\n", "line 1, column 9"),
        (b"a = 1\nb = \n", "line 2"),
        (b"a = \xff\xfe\n", "line 1 holds the byte 0xff"),
        (b"a = 1e99999999999999999999\n", "not TOML"),
        (b"#" * (1 << 20) + b"#", "larger than 1 MiB"),
        (b"a = 1\na = 2\n", "line 2"),
    ],
)
def test_a_file_that_is_no_toml_is_a_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    """What is wrong is said with the file and the line."""
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(TradepitError) as caught:
        read_config(path)

    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_deep_nesting_is_a_sentence(tmp_path: Path) -> None:
    """A file made to exhaust the parser is refused as well."""
    path = tmp_path / "config.toml"
    path.write_text("a = " + "[" * 100_000)
    with pytest.raises(TradepitError, match="not TOML"):
        read_config(path)


def test_a_missing_file_and_a_folder_are_sentences(tmp_path: Path) -> None:
    """No such file, and a folder in its place, are said with what would do."""
    with pytest.raises(TradepitError, match="no such file"):
        read_config(tmp_path / "none.toml")
    with pytest.raises(TradepitError, match="is a folder"):
        read_config(tmp_path)


def test_mistakes_name_the_file(tmp_path: Path, capsys: Captured) -> None:
    """All mistakes of a file come at once, each with the file's name, without a traceback, status 2."""
    path = tmp_path / "config.toml"
    path.write_text('[trading]\nleverage = 0\n[feed]\nsource = "x"\n')
    status = main(["check", "-c", str(path)])
    lines = capsys.readouterr().err.splitlines()

    assert BAD_INPUT == status
    assert 2 == len(lines)
    assert all(str(path) in line for line in lines)
    with pytest.raises(ConfigError):
        read_config(path)


# ---------------------------------------------------------------- check


def test_check_says_what_it_amounts_to(config: Path, capsys: Captured) -> None:
    """Strategy, pairs and every value in effect are said."""
    status = main(["check", "-c", str(config)])
    out = capsys.readouterr().out

    assert OK == status
    assert "EmaCross" in out
    assert "pairs       3:" in out
    assert "[trading]" in out


def test_check_answers_programs(config: Path, capsys: Captured) -> None:
    """`--json` has the same for programs, secrets masked."""
    config.write_text(config.read_text() + '[exchange]\noptions = { apiKey = "SECRET", rateLimit = 5 }\n')
    status = main(["check", "-c", str(config), "--json"])
    out = capsys.readouterr().out
    answer = json.loads(out)

    assert OK == status
    assert 3 == len(answer["pairs"])
    assert "***" == answer["config"]["exchange"]["options"]["apiKey"]
    assert "SECRET" not in out


def test_check_refuses_pairs_that_the_feed_has_not(config: Path, capsys: Captured) -> None:
    """A pair that cannot be traded is refused with the nearest there is."""
    config.write_text(config.read_text() + '[trading]\npairs = ["BTCC/USDT"]\n')
    status = main(["check", "-c", str(config)])

    assert BAD_INPUT == status
    assert "BTC/USDT" in capsys.readouterr().err


def test_what_check_prints_is_a_configuration(tmp_path: Path) -> None:
    """The values in effect, read again, are the same configuration."""
    path = tmp_path / "config.toml"
    path.write_text(
        '[strategy.overrides]\nminimal_roi = { "0" = 0.05 }\n[exchange.options]\na = [1, { b = true }]\n'
        '[[protections]]\nmethod = "MaxDrawdown"\nmax_allowed_drawdown = 0.2\n'
    )
    config = read_config(path)
    again = parse_config(tomllib.loads("\n".join(toml_lines(masked(config))), parse_float=Decimal))

    assert config == again


# ---------------------------------------------------------------- a running bot


def test_asking_when_no_bot_runs(config: Path, capsys: Captured) -> None:
    """Every request to a bot that does not run is a sentence and status 3."""
    for words in (
        ["status"],
        ["pause"],
        ["resume"],
        ["stop"],
        ["enter", "BTC/USDT"],
        ["exit", "--all"],
        ["kill", "feed"],
    ):
        assert NOT_RUNNING == main([*words, "-c", str(config)])
        assert "No bot runs on" in capsys.readouterr().err


def test_asking_a_running_bot(tmp_path: Path, capsys: Captured) -> None:
    """Answers come as words, or as JSON; what is refused has status 1."""
    files = Files.beside(tmp_path / "x.duckdb")
    bot = Bot(files.socket).start()
    db = ["--db", str(files.db)]
    statuses = [main(["status", *db]), main(["status", "BTC/USDT", *db]), main(["pause", "--reason", "lunch", *db])]
    said = capsys.readouterr().out
    statuses.append(main(["exit", "ETH/USDT", *db]))
    refused = capsys.readouterr()
    statuses.append(main(["status", "--json", *db]))
    answer = json.loads(capsys.readouterr().out)
    bot.runtime.close()

    assert [OK, OK, OK, FAILED, OK] == statuses
    assert "ACTIVE: 2 pairs, 1 open trades." in said
    assert "No new entries are made" in said
    assert "there is no open trade" in refused.err
    assert "EXITS_ONLY" == answer["data"]["portfolio"]["state"]


def test_a_second_bot_is_refused(config: Path, tmp_path: Path, capsys: Captured) -> None:
    """Two bots on one set of files: the second says who holds them, and ends with status 1."""
    lock = RunLock(Files.beside(tmp_path / "x.duckdb").lock)
    status = main(["run", "-c", str(config), "--for", "1s"])
    lock.release()

    assert FAILED == status
    assert f"in use by the bot with pid {os.getpid()}" in capsys.readouterr().err


def test_a_broken_strategy_is_a_sentence(config: Path, tmp_path: Path, capsys: Captured) -> None:
    """A strategy that does not load ends `run` and `check` with file and line, status 2, before anything starts."""
    broken = tmp_path / "broken.py"
    broken.write_text("from engine.strategy import Strategy\n\nclass A(Strategy):\n    timeframe = = 5\n")
    for command in ("run", "check"):
        assert BAD_INPUT == main([command, "-c", str(config), "--strategy", str(broken)])
        said = capsys.readouterr().err
        assert "broken.py, line 4" in said
        assert "Traceback" not in said


def test_a_strategys_impossible_settings_are_said(config: Path, capsys: Captured) -> None:
    """Overrides that do not fit the strategy's other settings are refused before anything starts."""
    config.write_text(
        config.read_text() + "[strategy.overrides]\ntrailing_stop = true\ntrailing_only_offset_is_reached = true\n"
    )
    status = main(["run", "-c", str(config), "--for", "1s"])

    assert BAD_INPUT == status
    assert "trailing_stop_positive_offset" in capsys.readouterr().err


# ---------------------------------------------------------------- the rest


def test_new_strategy_writes_one_that_works(config: Path, tmp_path: Path, capsys: Captured) -> None:
    """The written file passes `check`; a second one of that name is refused, and leaves the first alone."""
    folder = tmp_path / "mine"
    first = main(["new-strategy", "my_idea", "--dir", str(folder)])
    text = (folder / "my_idea.py").read_text()
    second = main(["new-strategy", "my_idea", "--dir", str(folder)])
    checked = main(["check", "-c", str(config), "--strategy", str(folder / "my_idea.py")])
    capsys.readouterr()

    assert (OK, OK) == (first, checked)
    assert second != OK
    assert text == (folder / "my_idea.py").read_text()


def test_sql_without_a_query_says_where_and_what(tmp_path: Path, capsys: Captured) -> None:
    """Path, whether a bot runs, and every view with an example."""
    status = main(["sql", "--db", str(tmp_path / "x.duckdb")])
    out = capsys.readouterr().out

    assert OK == status
    assert str(tmp_path / "x.duckdb") in out
    assert "none runs on it" in out
    assert "SELECT * FROM denials;" in out


def test_sql_without_a_history_is_a_sentence(tmp_path: Path, capsys: Captured) -> None:
    """Asking what is not there is a sentence and status 1."""
    status = main(["sql", "--db", str(tmp_path / "x.duckdb"), "select 1"])

    assert FAILED == status
    assert "There is no history" in capsys.readouterr().err


def test_audit_of_nothing_is_a_sentence(tmp_path: Path, capsys: Captured) -> None:
    """An audit needs something to look at."""
    status = main(["audit", "--db", str(tmp_path / "x.duckdb")])

    assert FAILED == status
    assert "nothing to audit" in capsys.readouterr().err


def test_a_reader_that_stops_reading_is_no_error() -> None:
    """`| head` ends the output without a word of Python's."""
    shell = f"{sys.executable} -m actors.cli check | head -1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {shell}"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stderr
    assert "" == done.stderr
    assert "is in order" in done.stdout


def test_tables_are_plain(capsys: Captured) -> None:
    """Numbers stand to the right, nothing is a dash, and an empty table is its header."""
    print_table(("pair", "profit"), [("BTC/USDT", Decimal("1.5")), ("ETH/USDT", None)])
    print_table(("a", "b"), [])

    assert "pair      profit\nBTC/USDT     1.5\nETH/USDT       -\na  b\n" == capsys.readouterr().out


def test_small_words() -> None:
    """Times are UTC, ratios percentages; what is none is a dash."""
    assert "2026-01-01 00:00:00" == time_text(1_767_225_600_000)
    assert ("-", "-") == (time_text(None), percent_text(""))
    assert "-1.23%" == percent_text("-0.0123")


def test_version() -> None:
    """Asking for the version says it, and ends with status 0."""
    done = subprocess.run(
        [sys.executable, "-m", "actors.cli", "--version"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith("tradepit ")


def test_tracebacks_of_any_command_show_no_values() -> None:
    """What a command logs of a crash names the lines, and not what variables held: a key may be among them."""
    code = (
        "from actors.cli import main\n"
        "main(['check', '-c', 'no-such-file.toml'])\n"
        "from loguru import logger\n"
        "secret = 'hush' + 'hush'\n"
        "try:\n"
        "    len(secret) / 0\n"
        "except ZeroDivisionError:\n"
        "    logger.exception('a crash')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "ZeroDivisionError" in done.stderr
    assert "hushhush" not in done.stderr
