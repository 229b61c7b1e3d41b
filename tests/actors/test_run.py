"""The command `run`: how it ends, and with which status."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from loguru import logger

from actors.commands.parsing import INTERRUPTED, OK
from actors.commands.run import _watch
from actors.host import ExitRequest
from actors.processes import PROJECT
from actors.screen import Snapshot


class Clockwork:
    """A system that only has a clock: each wait is as long as it was asked to be."""

    def __init__(self) -> None:
        self.now = 0.0
        self.wish: ExitRequest | None = None
        self.shown = 0

    def start(self) -> None:
        """Nothing to start."""

    def wait(self, timeout_s: float | None = None) -> ExitRequest | None:
        """Let the time go by."""
        self.now += timeout_s or 0.0
        return self.wish

    def request_exit(self, status: int, reason: str) -> None:
        """Keep the first wish."""
        self.wish = self.wish or ExitRequest(status, reason)

    def monotonic(self) -> float:
        """The clock."""
        return self.now

    def snapshot(self) -> Snapshot:
        """A picture of nothing, counted."""
        self.shown += 1
        return Snapshot(at=self.now, ts=0, strategy="x", state="ACTIVE")

    def shut_down(self) -> None:
        """Nothing to end."""


def test_for_ends_after_its_time() -> None:
    """`--for` asks for an orderly end when its time is over, to the moment."""
    system = Clockwork()
    wish = _watch(system, None, 90.25, [])

    assert (0, "the time of --for is over") == (wish.status, wish.reason)
    assert 90.25 == system.now


def test_a_signal_asks_for_an_orderly_end() -> None:
    """SIGTERM is noticed within half a second, and its name is the reason."""
    system = Clockwork()
    wish = _watch(system, None, None, [signal.SIGTERM])

    assert (0, "SIGTERM was received") == (wish.status, wish.reason)
    assert system.now <= 0.5


def test_the_roots_giving_up_is_the_status() -> None:
    """When the root gives up, its status is the command's."""
    system = Clockwork()
    system.request_exit(70, "the feed failed 6 times within 60 s")

    assert 70 == _watch(system, None, 90, []).status


def test_without_a_screen_a_line_a_minute_says_how_it_goes() -> None:
    """The first line comes after three seconds, then one a minute; figures are asked for just before."""
    system = Clockwork()
    lines: list[str] = []
    handler = logger.add(lambda m: lines.append(str(m)), format="{message}")
    _watch(system, None, 200, [])
    logger.remove(handler)

    assert 4 == sum(line.startswith("ACTIVE total=") for line in lines)
    assert 4 < system.shown <= 12


# ---------------------------------------------------------------- the real thing


class Bot:
    """A bot in a process of its own."""

    def __init__(self, folder: Path) -> None:
        config = folder / "config.toml"
        config.write_text(
            f'[feed]\npairs = 5\nspeed = 60\n[history]\ndb = "{folder / "x.duckdb"}"\ndisk_reserve_mb = 1\n'
        )
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "actors.cli", "run", "-c", str(config)],
            cwd=folder,
            env={"PYTHONPATH": str(PROJECT), "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        assert self.process.stderr is not None
        self.stderr: IO[str] = self.process.stderr

    def until(self, words: str) -> None:
        """Read the log until a line has `words`."""
        while line := self.stderr.readline():
            self.lines.append(line)
            if words in line:
                return
        pytest.fail(f"ended without saying {words!r}:\n{''.join(self.lines)}")

    def end(self) -> tuple[int, str]:
        """The status, and all that was logged."""
        _, rest = self.process.communicate(timeout=60)
        return self.process.returncode, "".join(self.lines) + rest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_in_order(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end with status 0 and a line that says so; log lines are plain and there is no traceback."""
    bot = Bot(tmp_path)
    bot.until("ACTIVE")
    bot.process.send_signal(number)
    status, log = bot.end()

    assert OK == status, log
    assert f"ending in order: {number.name} was received" in log
    assert "ended in order: " in log
    assert "Traceback" not in log
    assert all(re.match(r"\d{4}-\d\d-\d\dT\S+ (INFO|WARNING|CRITICAL) \S+ \S", line) for line in log.splitlines()), log


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    """Two signals in a row end with status 130 at once; the next start goes on from there."""
    bot = Bot(tmp_path)
    bot.until("ACTIVE")
    bot.process.send_signal(signal.SIGSTOP)
    bot.process.send_signal(signal.SIGINT)
    bot.process.send_signal(signal.SIGTERM)
    bot.process.send_signal(signal.SIGCONT)
    status, _ = bot.end()
    again = Bot(tmp_path)
    again.until("ACTIVE")
    again.process.send_signal(signal.SIGTERM)
    status_again, log = again.end()

    assert INTERRUPTED == status
    assert OK == status_again, log
