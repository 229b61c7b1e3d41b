"""`tradepit download`: what it asks for, what it keeps, and what it says, against the local exchange."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.batch.candle_files import write_parquet
from actors.batch.catalog import CANDLES, FUNDING, path_of
from actors.batch.data import load_candles, load_funding
from actors.batch.downloading import missing, take, target_of, write, write_markets
from actors.batch.markets import read_markets
from actors.cli import main
from actors.commands.check import toml_lines
from actors.commands.parsing import BAD_INPUT, FAILED, INTERRUPTED, OK
from engine.candles import MINUTE
from engine.market import Market
from engine.types import exact
from tests.exchange.client import ROOT, Exchange

T = 1_767_225_600_000
BTC = "BTC/USDT"


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """Three pairs with a past."""
    with Exchange("--pairs", "3", "--rate", "1") as running:
        yield running


def config_of(exchange: Exchange, folder: Path) -> Path:
    """A configuration that points there."""
    options = {name: value for name, value in exchange.options().items() if name in {"urls", "options"}}
    path = folder / "config.toml"
    plain = {
        "mode": "live",
        "live": {"exchange": "binance", "largest_stake": 100},
        "trading": {"stake_amount": 50},
        "exchange": {"name": "binance", "options": options},
    }
    path.write_text("\n".join(toml_lines(plain)) + "\n")
    return path


def arguments(exchange: Exchange, folder: Path, *more: str, hours: float = 20) -> list[str]:
    """The command line: one pair's minutes of the last hours."""
    start = datetime.fromtimestamp(time.time() - hours * 3_600, UTC).strftime("%Y-%m-%dT%H:%M")
    given = ["download", "-c", str(config_of(exchange, folder)), "--data", str(folder / "candles"), "--from", start]
    return [*given, "--pairs", BTC, "--timeframe", "1m", *more]


def download(capsys: pytest.CaptureFixture[str], given: Sequence[str]) -> tuple[int, Any]:
    """The status, and the JSON that is said."""
    status = main([*given, "--json"])
    return status, json.loads(capsys.readouterr().out)


def file_of(folder: Path) -> Path:
    """Where the pair's minutes are."""
    return path_of(folder / "candles", "binance", CANDLES, BTC, "1m")


def test_what_is_missing_is_found() -> None:
    """Before, after and in between, near holes in one; what was asked for in vain is left out."""
    target = target_of(Path("none"), "binance", CANDLES, BTC, "1m")
    minutes = [*range(300), *range(305, 1_000), *range(1_002, 2_000)]
    target.ts = np.array([T + n * MINUTE for n in minutes if n >= 10])

    spans = missing(target, T, T + 2_010 * MINUTE)
    assert [((a - T) // MINUTE, (b - T) // MINUTE) for a, b in spans] == [
        (0, 10), (300, 305), (1_000, 1_002), (2_000, 2_010)
    ]  # fmt: skip
    target.empty = [(T - MINUTE, T + 10 * MINUTE), (T + 300 * MINUTE, T + 305 * MINUTE)]
    spans = missing(target, T, T + 2_000 * MINUTE)
    assert [((a - T) // MINUTE, (b - T) // MINUTE) for a, b in spans] == [(1_000, 1_002)]


def test_funding_is_asked_for_around_what_is_known() -> None:
    """Rates come at no fixed times: those before and after the known ones are missing."""
    target = target_of(Path("none"), "binance", FUNDING, "BTC/USDT:USDT", "8h")
    assert missing(target, T, T + 100) == [(T, T + 100)]

    target.ts = np.array([T + 10, T + 50])
    assert missing(target, T, T + 100) == [(T, T + 10), (T + 51, T + 100)]
    target.empty = [(T, T + 10)]
    assert missing(target, T, T + 100) == [(T + 51, T + 100)]


def test_a_hole_is_asked_for_once(tmp_path: Path) -> None:
    """What the exchange has no candle for is kept in the file as asked for, but not what is too fresh to be sure."""
    target = target_of(tmp_path, "binance", CANDLES, BTC, "1m")
    target.settled = T + 5 * MINUTE
    rows = [(T + n * MINUTE, 10.0, 11.0, 9.0, 10.0, 1.0) for n in (0, 1, 4)]
    take(target, rows, (T, T + 8 * MINUTE))
    write(target)

    again = target_of(tmp_path, "binance", CANDLES, BTC, "1m")
    assert again.ts.tolist() == [row[0] for row in rows]
    assert missing(again, T, T + 8 * MINUTE) == [(T + 5 * MINUTE, T + 8 * MINUTE)]


def test_rows_that_no_market_gives_are_left_out(tmp_path: Path) -> None:
    """They are counted, and the others are stored."""
    target = target_of(tmp_path, "binance", CANDLES, BTC, "1m")
    rows = [(T, 10.0, 11.0, 9.0, 10.0, 1.0), (T + MINUTE, 10.0, 1.0, 9.0, 10.0, 1.0)]
    take(target, rows, (T, T + 2 * MINUTE))
    write(target)

    assert (len(target.ts), target.dropped) == (1, 1)


def test_rules_of_markets_lie_beside_the_candles(tmp_path: Path) -> None:
    """They are read again as they were, contracts in base coins; what was there of other pairs, and tiers, stay."""
    (tmp_path / "markets.json").write_text('{"X/Y": {"price": 1}, "A/USDT:USDT": {"liquidation": "isolated"}}')
    market = Market(
        pair="A/USDT:USDT",
        base="A",
        quote="USDT",
        price_step=exact("0.01"),
        amount_step=exact("0.1"),
        amount_min=exact("0.1"),
        cost_min=exact(5),
        contract_size=exact("0.1"),
    )
    write_markets(tmp_path, {market.pair: market})

    known = read_markets(tmp_path)
    assert known["X/Y"] == {"price_step": 1}
    mine = known["A/USDT:USDT"]
    assert mine.pop("liquidation") == "isolated"
    assert mine == {
        "price_step": exact("0.01"), "amount_step": exact("0.1"), "amount_min": exact("0.1"), "cost_min": exact(5),
        "contract_size": exact("0.1"),
    }  # fmt: skip


def test_a_file_is_filled_and_then_only_what_is_missing(
    exchange: Exchange, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All pages of the first run; then nothing; then the hole that was torn, with the exchange's own candles."""
    status, (first,) = download(capsys, arguments(exchange, tmp_path))
    assert (status, first["what"]) == (OK, "downloaded")
    assert first["rows"] == first["added"] >= 1_190
    whole = load_candles(tmp_path / "candles", [BTC], "1m")[BTC]
    assert len(whole) == first["rows"]
    assert read_markets(tmp_path / "candles")[BTC]["amount_step"] > 0

    asked = len(exchange.control("requests")["spot"])
    _, (second,) = download(capsys, arguments(exchange, tmp_path))
    pages = [request for request in exchange.control("requests")["spot"][asked:] if "klines" in str(request)]
    assert second["rows"] - first["rows"] == second["added"] <= 2
    assert len(pages) <= 1

    kept = np.ones(len(whole), np.bool_)
    kept[100:150] = False
    columns = [whole.open, whole.high, whole.low, whole.close, whole.volume]
    write_parquet(file_of(tmp_path), CANDLES, whole.ts[kept], [column[kept] for column in columns])
    _, (third,) = download(capsys, arguments(exchange, tmp_path))
    mended = load_candles(tmp_path / "candles", [BTC], "1m")[BTC]
    assert third["what"] == "extended"
    assert 50 <= third["added"] <= 52
    assert mended.close[100:150].tolist() == whole.close[100:150].tolist()


def test_trouble_is_outlived(exchange: Exchange, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A 503, a broken answer and a 429 with its silence cost time, and no candle."""
    for kind in ("unavailable", "broken_json"):
        exchange.control("fault", kind=kind, endpoint="GET /api/v3/klines", count=1)
    exchange.control("fault", kind="too_many", endpoint="GET /api/v3/klines", count=1, skip=2, retry_after=1)
    status, (told,) = download(capsys, arguments(exchange, tmp_path))
    exchange.control("clear")

    assert (status, told["what"]) == (OK, "downloaded")
    candles = load_candles(tmp_path / "candles", [BTC], "1m")[BTC]
    assert len(candles) == told["rows"] >= 1_190


def test_what_the_exchange_refuses_is_not_asked_for_minutes(
    exchange: Exchange, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refusal in the exchange's own words fails the file at once, with these words."""
    exchange.control("fault", kind="refuse", endpoint="GET /api/v3/klines", code=-1121, msg="Invalid symbol.")
    status, (told,) = download(capsys, arguments(exchange, tmp_path))
    exchange.control("clear")

    assert (status, told["what"]) == (FAILED, "failed")
    assert "Invalid symbol" in told["why"]


def test_ctrl_c_keeps_what_is_there(exchange: Exchange, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After Ctrl-C the file holds what had come, the status says so, and a later run brings the rest."""
    exchange.control("fault", kind="slow", endpoint="GET /api/v3/klines", seconds=20, skip=1)
    command = [sys.executable, "-m", "actors.cli", *arguments(exchange, tmp_path, "--json")]
    asked = len(exchange.control("requests")["spot"])
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    while sum("klines" in str(request) for request in exchange.control("requests")["spot"][asked:]) < 2:
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=100)
    exchange.control("clear")
    (told,) = json.loads(out)
    assert (running.returncode, told["what"]) == (INTERRUPTED, "stopped")

    status, (again,) = download(capsys, arguments(exchange, tmp_path))
    assert (status, again["rows"]) == (OK, told["rows"] + again["added"])
    assert len(load_candles(tmp_path / "candles", [BTC], "1m")[BTC]) == again["rows"] >= 1_190


def test_futures_have_their_funding_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the candles lie the rates that were due, and a later run asks for later ones only."""
    pair = "BTC/USDT:USDT"
    with Exchange("--pairs", "2", futures=True) as running:
        running.control("fund", symbol="BTCUSDT", rate=0.0002)
        given = arguments(running, tmp_path, "--pairs", pair, hours=1)
        status, told = download(capsys, given)
        running.control("fund", symbol="BTCUSDT", rate=-0.0001)
        _, again = download(capsys, given)

    assert status == OK
    assert [one["kind"] for one in told] == [CANDLES, FUNDING]
    assert again[1]["added"] == 1
    assert load_funding(tmp_path / "candles", [pair])[pair].rate.tolist() == [0.0002, -0.0001]


def test_a_terminal_is_shown_a_bar(exchange: Exchange, tmp_path: Path) -> None:
    """While it goes on, on standard error; what was done is said on standard output as ever."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "actors.cli", *arguments(exchange, tmp_path)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs, check=True, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode(errors="replace")
    os.close(ours)

    assert "downloading" in shown
    assert b"BTC/USDT candles 1m: downloaded" in done.stdout


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--pairs", "BTC/USD"), "binance does not have this pair. Did you mean BTC/USDT?"),
        (("--timeframe", "7m"), "binance has no candles of this length"),
        (("--timeframe", "7x"), "is no timeframe"),
        (("--pairs", "BTC/USDT,BTC/USDT:USDT"), "one kind at a time"),
        (("--exchange", "paper"), "the simulated exchange has nothing to download"),
        (("--exchange", "nowhere"), "ccxt knows no exchange"),
        (("--from", "yesterday"), "is no time"),
    ],
)
def test_what_cannot_be_is_said(
    exchange: Exchange, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], says: str
) -> None:
    """One sentence, and nothing is written."""
    assert main(arguments(exchange, tmp_path, *more)) == BAD_INPUT
    assert says in capsys.readouterr().err
    assert not (tmp_path / "candles").exists()


def test_an_exchange_that_is_away_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody there is a sentence."""
    with Exchange("--pairs", "3") as gone:
        given = arguments(gone, tmp_path)
    assert main(given) in {BAD_INPUT, FAILED}
    assert "does not answer" in capsys.readouterr().err
