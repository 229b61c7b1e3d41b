"""The live screen: what it shows, that it never holds the bot up, and that the terminal comes back."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from loguru import logger
from rich.console import Console

from actors.drawing import Picture
from actors.logs import set_up_logs
from actors.processes import PROJECT
from actors.screen import DecisionRow, Screen, Snapshot, TradeRow, plain_line
from engine.errors import TradepitError
from engine.settings import RuntimeConfig

TRADE = TradeRow(
    pair="BTC/USDT",
    side="long",
    state="OPEN",
    opened_ts=1_767_225_600_000,
    open_rate=100.0,
    price=101.0,
    profit_ratio=0.0098,
    profit_abs=9.8,
    stop=98.0,
    stop_distance=0.0297,
    tag="[bold]cross[/bold]",
)
SNAPSHOT = Snapshot(
    at=10.0,
    ts=1_767_225_600_000,
    strategy="EmaCross",
    state="EXITS_ONLY",
    reason="paused by the user",
    currency="USDT",
    pair_states={"FLAT": 499, "OPEN": 1},
    total=10_100.0,
    free=9_000.0,
    tied=1_100.0,
    start=10_000.0,
    closed_profit=90.2,
    closed_trades=7,
    slots=10,
    open_trades=(TRADE,),
    messages=5_000,
    orders=20,
    candles=1_000,
    mailbox_depth=3,
    deepest="portfolio",
    restarts=1,
    decisions=(
        DecisionRow(ts=1_767_225_600_000, pair="ETH/USDT", signal="enter_long", outcome="denied", code="LOCKED"),
    ),
    notices=("feed: a gap on ETH/USDT",),
)
ALTERNATE = b"\x1b[?1049h"
BACK = b"\x1b[?1049l"


def drawn(*snapshots: Snapshot, width: int = 120, height: int = 40) -> str:
    """The picture of the last of these snapshots, as plain text."""
    picture = Picture()
    text = ""
    for snapshot in snapshots:
        console = Console(width=width, height=height, file=io.StringIO())
        console.print(picture.draw(json.loads(orjson.dumps(snapshot)), width, height))
        text = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_everything_is_on_the_picture() -> None:
    """State, capital, trades with profit and distance to stop, rates, health and last decisions are shown."""
    later = replace(SNAPSHOT, at=12.0, messages=7_000, orders=30, candles=1_100)
    text = drawn(SNAPSHOT, later)

    for words in (
        "EXITS_ONLY (paused by the user)", "EmaCross", "500 pairs", "10,100.00 USDT +1.00%", "free 9,000.00",
        "7 trades +90.20", "1,000 messages/s", "5.0 orders/s", "50 candles/s", "3 waiting (portfolio)", "1 restarts",
        "1 of 10 open trades", "BTC/USDT", "+0.98%", "+9.80", "98", "2.97%", "[bold]cross[/bold]",
        "ETH/USDT", "denied", "LOCKED", "a gap on ETH/USDT", "Ctrl-C",
    ):  # fmt: skip
        assert words in text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 15), (200, 60), (40, 5)])
def test_the_picture_fits(width: int, height: int) -> None:
    """On any terminal no line is wider than it, and hundreds of trades don't make it longer than it."""
    many = replace(SNAPSHOT, open_trades=(TRADE,) * 300, decisions=SNAPSHOT.decisions * 50)
    lines = drawn(many, width=width, height=height).splitlines()

    assert all(len(line) <= width for line in lines)
    assert len(lines) <= max(height, 20)


def test_an_empty_bot_can_be_drawn() -> None:
    """Before anything has happened there is a picture too, without a division by nothing."""
    assert "0 open trades" in drawn(Snapshot(at=0.0, ts=0, strategy="x", state="RECONCILING"))


def test_the_plain_line_says_the_same() -> None:
    """Without a terminal the same figures come as one line."""
    line = plain_line(replace(SNAPSHOT, at=12.0, messages=7_000), SNAPSHOT)

    assert "EXITS_ONLY total=10100.00 free=9000.00 USDT open=1 closed=7 profit=+90.20" in line
    assert "messages/s=1000" in line
    assert "\n" not in line


# ---------------------------------------------------------------- the process and the terminal

SHOW = """
import sys, actors.screen, tests.actors.test_screen as t
screen = actors.screen.Screen()
for line in sys.stdin:
    screen.show(t.SNAPSHOT)
screen.close()
"""


class Terminal:
    """A program whose output is a terminal of ours."""

    def __init__(self, code: str) -> None:
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=theirs,
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": str(PROJECT), "TERM": "xterm", "COLUMNS": "100", "LINES": "30"},
        )
        os.close(theirs)
        self.text = b""

    def wait_for(self, words: bytes) -> bool:
        """Read until `words` came; False when the output ends or nothing comes any more."""
        while words not in self.text:
            ready, _, _ = select.select([self.ours], [], [], 60)
            try:
                part = os.read(self.ours, 65536) if ready else b""
            except OSError:  # the last writer has gone
                part = b""
            if not part:
                return False
            self.text += part
        return True

    def more(self) -> None:
        """Have a snapshot shown."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def close(self) -> None:
        """Give all back."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)
        os.close(self.ours)


def test_the_screen_comes_and_goes() -> None:
    """The bot's picture is on the other screen of the terminal; at the end the first one is back."""
    terminal = Terminal(SHOW)
    terminal.more()
    shown = terminal.wait_for(ALTERNATE) and terminal.wait_for(b"EXITS_ONLY")
    assert terminal.process.stdin is not None
    terminal.process.stdin.close()
    back = terminal.wait_for(BACK)
    terminal.close()

    assert shown
    assert back


def test_kill_9_gives_the_terminal_back() -> None:
    """A bot killed at once leaves a usable terminal."""
    terminal = Terminal(SHOW)
    terminal.more()
    shown = terminal.wait_for(b"EXITS_ONLY")
    terminal.process.kill()
    back = terminal.wait_for(BACK)
    terminal.close()

    assert shown
    assert back


def test_showing_never_waits(tmp_path: Path) -> None:
    """While the drawing process stands still snapshots are left out; when it is gone, that is said."""
    before = os.dup(1)
    with (tmp_path / "out").open("wb") as sink:
        os.dup2(sink.fileno(), 1)
        screen = Screen()
        os.dup2(before, 1)
    os.close(before)
    child = screen._child
    os.kill(child.pid, signal.SIGSTOP)
    big = replace(SNAPSHOT, decisions=SNAPSHOT.decisions * 1000)
    shown = [screen.show(big) for _ in range(100)]
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    gone = [screen.show(big) for _ in range(3)][-1]
    screen.close()

    assert [True] * 100 == shown
    assert gone is False


# ---------------------------------------------------------------- the log


@pytest.fixture
def log_stream() -> Iterator[io.StringIO]:
    """A stream that is no terminal; the log goes where it went afterwards."""
    yield io.StringIO()
    logger.remove()
    logger.add(sys.__stderr__ or sys.stderr)


def test_log_lines_are_plain_where_nobody_looks(log_stream: io.StringIO) -> None:
    """Off a terminal a line is `time level actor message`, without colours."""
    set_up_logs(RuntimeConfig(), stream=log_stream)
    logger.bind(actor="pair:BTC/USDT").info("FLAT -> ENTERING on SignalJudged")
    logger.info("nobody's")
    logger.debug("not at this level")
    first, second = log_stream.getvalue().splitlines()

    assert ["INFO", "pair:BTC/USDT", "FLAT"] == first.split()[1:4]
    assert ["INFO", "-", "nobody's"] == second.split()[1:]
    assert "\x1b" not in first


def test_a_log_line_is_one_line(log_stream: io.StringIO) -> None:
    """What comes from outside cannot fake another line."""
    set_up_logs(RuntimeConfig(), stream=log_stream)
    logger.info("reason: a\n2026-01-01 INFO gateway all is well")

    assert 1 == len(log_stream.getvalue().splitlines())


def test_the_log_file_is_written_and_its_trouble_said(tmp_path: Path, log_stream: io.StringIO) -> None:
    """The config's file gets the same lines; one that cannot be opened is a sentence."""
    set_up_logs(RuntimeConfig(log_file=str(tmp_path / "a.log")), stream=log_stream, on_stream=False)
    logger.warning("hello")
    logger.complete()

    assert "WARNING - hello" in (tmp_path / "a.log").read_text()
    assert "" == log_stream.getvalue()
    with pytest.raises(TradepitError, match="cannot be opened"):
        set_up_logs(RuntimeConfig(log_file=str(tmp_path)), stream=log_stream)
