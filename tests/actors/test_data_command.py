"""`tradepit data`: what it lists, checks, converts and repairs, and how it says what is wrong."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actors.batch.catalog import path_of
from actors.batch.data import load_candles, load_funding
from actors.cli import main
from actors.commands.parsing import BAD_INPUT, FAILED, OK
from tests.actors.test_data import CANDLES, ROWS, STEP, T, csv_text, write_feather, write_parquet

ROOT = Path(__file__).resolve().parents[2]
WILD = (T + 2 * STEP, 900.0, 950.0, 850.0, 900.0, 1.0)


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """The status, and what is said on standard output and error."""
    status = main(["data", *map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out, said.err


def answer(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, Any]:
    """The status, and the JSON that is said."""
    status, out, _ = run(capsys, *arguments, "--json")
    return status, json.loads(out)


def freqtrade_folder(folder: Path) -> Path:
    """Spot, futures, mark and funding files as Freqtrade lays them out."""
    (folder / "futures").mkdir(parents=True)
    write_feather(folder / "ETH_BTC-5m.feather", ROWS)
    write_feather(folder / "futures" / "ETH_USDT_USDT-5m-futures.feather", ROWS)
    write_feather(folder / "futures" / "ETH_USDT_USDT-5m-mark.feather", ROWS)
    write_feather(folder / "futures" / "ETH_USDT_USDT-8h-funding_rate.feather", [(T, 0.1, 0.0, 0.0, 0.0, 0.0)])
    return folder


def test_list_tells_what_each_file_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Kind, pair, timeframe, rows, how many candles are missing, and from when to when."""
    write_feather(tmp_path / "ETH_BTC-5m.feather", [*ROWS[:2], *ROWS[4:]])
    status, out, _ = run(capsys, "list", tmp_path)

    assert OK == status
    line = out.splitlines()[1].split()
    assert ["-", "candles", "ETH/BTC", "5m", "feather", "4", "2", "2018-01-10", "04:55:00"] == line[:9]


def test_list_says_which_files_hold_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with a head and no row is counted, so that nobody looks for it in the table in vain."""
    (tmp_path / "AAA_USDT-5m.csv").write_text("date,open,high,low,close,volume\n")

    assert run(capsys, "list", tmp_path) == (0, "", "1 of 1 files have no row, and are left out.\n")


def test_list_goes_on_past_a_file_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The others are listed, the damaged one is named, and the status says so."""
    write_feather(tmp_path / "ETH_BTC-5m.feather", ROWS)
    (tmp_path / "ADA_BTC-5m.feather").write_bytes(b"torn")
    status, found = answer(capsys, "list", tmp_path)

    assert (FAILED, ["ETH/BTC"]) == (status, [file["pair"] for file in found["files"]])
    assert "ADA_BTC-5m.feather is no whole feather file" in found["unread"][0]


def test_convert_brings_freqtrades_folder_into_one_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Spot, futures, mark prices and funding rates each have their place, and read as before."""
    source = freqtrade_folder(tmp_path / "ft")
    status, out, _ = run(capsys, "convert", source, "--to", tmp_path / "own", "--exchange", "binance")

    assert OK == status
    assert out.endswith("4 converted\n")
    own = tmp_path / "own"
    assert {path_of(own, "binance", kind, pair, timeframe) for kind, pair, timeframe in (
        ("candles", "ETH/BTC", "5m"),
        ("candles", "ETH/USDT:USDT", "5m"),
        ("mark", "ETH/USDT:USDT", "5m"),
        ("funding_rate", "ETH/USDT:USDT", "8h"),
    )} == set(own.rglob("*.*"))  # fmt: skip
    assert list(load_candles(own, ["ETH/BTC"], "5m")["ETH/BTC"]) == CANDLES
    assert load_funding(own, ["ETH/USDT:USDT"])["ETH/USDT:USDT"].rate.tolist() == [0.1]


def test_convert_again_does_only_what_is_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file made of the same source stays; a source that has changed is converted again."""
    source = freqtrade_folder(tmp_path / "ft")
    target = ("--to", tmp_path / "own", "--exchange", "binance")
    run(capsys, "convert", source, *target)
    write_feather(source / "ETH_BTC-5m.feather", ROWS[:4])
    status, done = answer(capsys, "convert", source, *target)

    assert OK == status
    assert {"ETH/BTC": "converted", "ETH/USDT:USDT": "unchanged"} == {one["pair"]: one["what"] for one in done}
    assert 4 == len(load_candles(tmp_path / "own", ["ETH/BTC"], "5m")["ETH/BTC"])


def test_convert_into_the_folder_it_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was converted before is no source: a newer file beside it is."""
    for rows in (ROWS, ROWS[:4]):
        write_feather(tmp_path / "ETH_BTC-5m.feather", rows)
        status, done = answer(capsys, "convert", tmp_path, "--to", tmp_path, "--exchange", "x")

        assert (OK, [("converted", len(rows))]) == (status, [(one["what"], one["rows"]) for one in done])


def test_convert_does_not_replace_what_was_made_of_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another file of the same pair is refused, until it is said that it may replace the first."""
    for name, rows in (("a", ROWS), ("b", ROWS[:3])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ETH_BTC-5m.csv").write_text(csv_text(rows))
    target = ("--to", tmp_path / "own", "--exchange", "x")
    run(capsys, "convert", tmp_path / "a", *target)
    status, _, said = run(capsys, "convert", tmp_path / "b", *target)

    assert FAILED == status
    assert "made of something else; --overwrite replaces it" in said
    assert OK == run(capsys, "convert", tmp_path / "b", *target, "--overwrite")[0]
    assert 3 == len(load_candles(tmp_path / "own", ["ETH/BTC"], "5m")["ETH/BTC"])


def test_convert_keeps_gaps_and_puts_rows_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file written newest first comes out in order, and no candle is made up."""
    (tmp_path / "ETH_BTC-5m.csv").write_text(csv_text([ROWS[5], ROWS[3], ROWS[3], ROWS[0]]))
    status, done = answer(capsys, "convert", tmp_path, "--to", tmp_path / "own", "--exchange", "x")

    assert (OK, 3) == (status, done[0]["rows"])


def test_convert_makes_longer_candles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whole candles of 15 minutes are made of those of five."""
    write_feather(tmp_path / "ETH_BTC-5m.feather", ROWS)
    target = ("--to", tmp_path / "own", "--exchange", "x", "--resample", "15m")
    status, done = answer(capsys, "convert", tmp_path, *target)
    made = load_candles(tmp_path / "own", ["ETH/BTC"], "15m")["ETH/BTC"]

    assert (OK, 1) == (status, done[0]["rows"])
    assert [(T + STEP, ROWS[1][1], ROWS[3][2], ROWS[1][3], ROWS[3][4], 600.0)] == list(made)


REFUSED: dict[str, tuple[str, tuple[str, ...], str]] = {
    "no exchange": ("ETH_BTC-5m.csv", (), "give --exchange NAME"),
    "no pair": ("ETHBTC-5m.csv", ("--exchange", "x"), "give --pairs BASE/QUOTE"),
    "a length that does not fit": (
        "ETH_BTC-5m.csv",
        ("--exchange", "x", "--resample", "7m"),
        "7m cannot be made of 5m",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_convert_cannot_know_is_asked_for(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is named, and what to say."""
    name, arguments, said = REFUSED[case]
    (tmp_path / name).write_text(csv_text(ROWS))
    status, _, error = run(capsys, "convert", tmp_path, "--to", tmp_path / "own", *arguments)

    assert FAILED == status
    assert said in error
    assert name in error


def test_a_pair_that_is_asked_for_names_a_file_without_a_stroke(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ETHBTC` is ETH/BTC when that is asked for."""
    (tmp_path / "ETHBTC-5m.csv").write_text(csv_text(ROWS))
    status, _, _ = run(capsys, "convert", tmp_path, "--to", tmp_path / "own", "--exchange", "x", "--pairs", "ETH/BTC")

    assert OK == status
    assert 6 == len(load_candles(tmp_path / "own", ["ETH/BTC"], "5m")["ETH/BTC"])


def test_check_finds_everything_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each fault has its file, its line and its time; only what cannot be used makes the status 1."""
    path = tmp_path / "ETH_BTC-5m.csv"
    path.write_text(csv_text([ROWS[1], ROWS[0], ROWS[4]]))
    status, out, _ = run(capsys, "check", tmp_path)

    assert OK == status
    assert f"{path}, line 3 (row 2), 2018-01-10 04:55:00: out_of_order: 1 row comes after a later one" in out
    assert f"{path}, line 4 (row 3), 2018-01-10 05:15:00: gap: 2 candles are missing before it" in out
    path.write_text(csv_text([*ROWS[:2], WILD, *ROWS[3:]]))
    status, out, _ = run(capsys, "check", tmp_path)

    assert FAILED == status
    assert "line 4 (row 3), 2018-01-10 05:05:00: cannot be used: absurd: the open 900.0 is more than 50 times" in out
    assert "1 file: 1 cannot be used as they are" in out


def test_check_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A program reads the same; a file that cannot be read is no traceback."""
    write_parquet(tmp_path / "ETH_BTC-5m.parquet", [*ROWS[:2], WILD, *ROWS[3:]])
    (tmp_path / "ADA_BTC-5m.json").write_text("{}")
    status, (ada, eth) = answer(capsys, "check", tmp_path)

    assert FAILED == status
    assert (False, "absurd", 3) == (eth["usable"], eth["findings"][0]["fault"], eth["findings"][0]["row"])
    assert "a list of candles is expected" in ada["unread"]


@pytest.mark.parametrize("name", ["ETH_BTC-5m.feather", "ETH_BTC-5m.parquet"])
def test_repair_replaces_a_file_and_keeps_the_old_one(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The wild row is gone, the file is read again, the old one lies beside it untouched; a second time nothing is done."""
    path = tmp_path / name
    (write_parquet if name.endswith("parquet") else write_feather)(path, [*ROWS[:2], WILD, *ROWS[3:]])
    before = path.read_bytes()
    status, out, _ = run(capsys, "repair", tmp_path)

    assert OK == status
    assert f"1 dropped; {name}.before-1 is the old one" in out
    assert before == (tmp_path / f"{name}.before-1").read_bytes()
    assert [c.volume for c in load_candles(tmp_path, ["ETH/BTC"], "5m")["ETH/BTC"]] == [0.0, 100.0, 0.0, 300, 400, 500]
    assert (OK, "1 whole\n") == run(capsys, "repair", tmp_path)[:2]


def test_repair_in_our_layout_stays_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of ours is repaired as one of ours."""
    path = path_of(tmp_path, "x", "candles", "ETH/BTC", "5m")
    path.parent.mkdir(parents=True)
    write_parquet(path, [ROWS[1], ROWS[0], WILD])
    status, _, _ = run(capsys, "repair", tmp_path)

    assert OK == status
    assert list(load_candles(tmp_path, ["ETH/BTC"], "5m")["ETH/BTC"]) == CANDLES[:2]


def test_repair_of_text_makes_a_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A CSV file is left as it is: repaired copies go where it is said."""
    (tmp_path / "ETH_BTC-5m.csv").write_text(csv_text([*ROWS[:2], WILD]))
    status, _, error = run(capsys, "repair", tmp_path)

    assert FAILED == status
    assert "csv files are not written; give --to DIR" in error
    assert OK == run(capsys, "repair", tmp_path, "--to", tmp_path / "own", "--exchange", "x")[0]
    assert list(load_candles(tmp_path / "own", ["ETH/BTC"], "5m")["ETH/BTC"]) == CANDLES[:2]


def test_repair_leaves_what_a_person_must_decide(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A price that stays elsewhere is refused with its row, and the file is as it was."""
    rows = [ROWS[0], *((T + i * STEP, 900.0, 950.0, 850.0, 900.0, 1.0) for i in range(1, 9))]
    write_feather(tmp_path / "ETH_BTC-5m.feather", rows)
    status, _, error = run(capsys, "repair", tmp_path)

    assert FAILED == status
    assert "ETH_BTC-5m.feather, row 7: the open 900.0" in error
    assert ["ETH_BTC-5m.feather"] == [path.name for path in tmp_path.iterdir()]


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "no target": (("convert", "."), "--to DIR"),
    "no such folder": (("list", "nowhere"), "nowhere does not exist"),
    "nothing there": (("list", "."), "has no candle file; 0 others"),
    "a wrong timeframe": (("list", ".", "--timeframe", "5x"), "'5x' is no timeframe"),
    "a wish that is another's": (("check", ".", "--resample", "1h"), "--resample belongs to"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_wish_is_a_sentence(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing or wrong on the command line is said, with status 2."""
    monkeypatch.chdir(tmp_path)
    arguments, said = WRONG[case]
    status, _, error = run(capsys, *arguments)

    assert BAD_INPUT == status
    assert said in error


def test_a_terminal_sees_how_far_it_is(tmp_path: Path) -> None:
    """On a terminal a bar goes along on standard error; the answer on standard output is the same."""
    write_feather(tmp_path / "ETH_BTC-5m.feather", ROWS)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "actors.cli", "data", "check", str(tmp_path)]
    environment = {**os.environ, "TERM": "xterm"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, env=environment, cwd=ROOT, check=True)
    os.close(theirs)
    shown = os.read(ours, 65_536)
    os.close(ours)

    assert b"1 file: all can be used\n" == done.stdout
    assert b"checking" in shown


def test_what_a_killed_convert_left_is_in_nobodys_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that was being written when the process died is no candle file, and the next convert goes on."""
    write_feather(tmp_path / "ETH_BTC-5m.feather", ROWS)
    target = path_of(tmp_path / "own", "x", "candles", "ETH/BTC", "5m")
    target.parent.mkdir(parents=True)
    (target.parent / ".candles.parquet.123.new").write_bytes(b"half a file")
    status, done = answer(capsys, "convert", tmp_path, "--to", tmp_path / "own", "--exchange", "x")

    assert (OK, "converted") == (status, done[0]["what"])
    assert 6 == len(load_candles(tmp_path / "own", ["ETH/BTC"], "5m")["ETH/BTC"])
