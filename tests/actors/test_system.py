"""The whole bot on real threads, with its worker and history processes: it trades, survives, and ends in order."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.batch.audit import examine
from actors.config_file import read_config
from actors.fencing import PR_SET_DUMPABLE
from actors.files import Files, RunLock
from actors.follower import Follower
from actors.history.sql import run_query
from actors.journal import decoded
from actors.judging.facts import load_facts
from actors.system import System, build_system
from engine.errors import StorageError
from engine.types import use_money_context
from tests.bots import command

DEADLINE_S = 100.0
BUSY = Path(__file__).parents[1] / "simulation" / "busy.py"

CONFIG = """
[trading]
max_open_trades = 40
stake_amount = 100
[strategy]
name = "{strategy}"
workers = 1
deadline_ms = 1000
[strategy.overrides]
order_types = {{ entry = "market", exit = "market", stoploss = "market", stoploss_on_exchange = true }}
[feed]
pairs = {pairs}
speed = {speed}
[paper]
latency_ms = 5
taker_fee = 0.0002
spread = 0.0001
orders_per_10s = 1000
[history]
door = false
[runtime]
pin = false
"""

NAUGHTY = """
from busy import Busy

class Naughty(Busy):
    def signals(self, candles):
        if candles.pair.startswith("ETH/"):
            raise ValueError("a bug")
        if candles.pair.startswith("BNB/"):
            while True:
                pass
        if candles.pair.startswith("SOL/"):
            import os
            os._exit(3)
        return super().signals(candles)
"""


class Watched:
    """A running system and what its journal says, read from outside."""

    def __init__(self, system: System, files: Files) -> None:
        self.system = system
        self.files = files
        self.entries: list[tuple[str, str, dict[str, Any]]] = []
        self._seq = 0

    def read(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Every entry so far: (writer, kind, body)."""
        while rows := Follower(self.files).read(self._seq):
            self._seq = rows[-1][0]
            self.entries += [(row[2], row[7], decoded(row)) for row in rows]
        return self.entries

    def count(self, kind: str, **wanted: Any) -> int:
        """How many entries of a kind have these values."""
        return sum(
            kind == found and all(body.get(name) == value for name, value in wanted.items())
            for _, found, body in self.read()
        )

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait until it holds; the test fails when it does not in time."""
        end = time.monotonic() + DEADLINE_S
        while not holds():
            assert time.monotonic() < end, f"not within {DEADLINE_S:g} s: {what}"
            self.system.wait(0.05)
            assert self.system.runtime.exit_request is None, self.system.runtime.exit_request

    def trades_on(self, more: int = 3) -> None:
        """Wait until so many more trades have been opened, and closed, than now."""
        opened, closed = self.count("TradeOpened"), self.count("TradeClosed")
        self.until("new trades", lambda: self.count("TradeOpened") >= opened + more)
        self.until("closed trades", lambda: self.count("TradeClosed") >= closed + more)


@contextmanager
def running(folder: Path, *, strategy: str, pairs: int, speed: int) -> Iterator[Watched]:
    """A system on files in `folder`; ended in order."""
    use_money_context()
    path = folder / "config.toml"
    path.write_text(CONFIG.format(strategy=strategy, pairs=pairs, speed=speed))
    config = read_config(str(path))
    files = Files.beside(folder / "x.duckdb")
    facts = load_facts(config.strategy)
    lock = RunLock(files.lock)
    try:
        system = build_system(config, facts, files)
        system.start()
        try:
            yield Watched(system, files)
        finally:
            system.request_exit(0, "the test is over")
            system.shut_down()
    finally:
        lock.release()
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # the test's own process goes on


def test_it_survives_every_actors_death(tmp_path: Path) -> None:
    """Each actor in turn is killed while it trades: it comes back, trading goes on, and all books agree at the end."""
    with running(tmp_path, strategy=f"{BUSY}:Busy", pairs=12, speed=60) as bot:
        bot.trades_on()
        names = ["persistence", "limiter", "gateway", "portfolio", "feed", "judge:0", "pair:BTC/USDT", "notifier"]
        for name in names:
            bot.system.runtime.kill(name, "a drill")
            bot.until(f"{name} is back", lambda name=name: bot.count("ActorRestarted", name=name) == 1)  # type: ignore[misc]
            bot.trades_on(2)
    report = examine(bot.files)
    _, restarted = run_query(bot.files.db, "SELECT DISTINCT name FROM restarts")

    assert () == report.differences
    assert report.trades > 15
    assert set(names) <= {str(row[0]) for row in restarted}
    assert 1 == bot.count("RunEnded", status=0)


def test_a_bad_strategy_costs_its_own_pair_only(tmp_path: Path) -> None:
    """On one pair it raises, on one it loops, on one it ends its process: the other pairs trade on."""
    strategy = tmp_path / "naughty.py"
    strategy.write_text(NAUGHTY)
    (tmp_path / "busy.py").write_text(BUSY.read_text())
    bad = {"ETH/USDT", "BNB/USDT", "SOL/USDT"}
    with running(tmp_path, strategy=f"{strategy}:Naughty", pairs=8, speed=20) as bot:
        bot.until("the loop is ended", lambda: bot.count("WorkerReplaced", pair="BNB/USDT") > 0)
        bot.until("the exit is noticed", lambda: bot.count("WorkerReplaced", pair="SOL/USDT") > 0)
        failed = {"signal": "judgement", "outcome": "failed"}
        for pair in sorted(bad):
            bot.until(f"{pair} is told", lambda pair=pair: bot.count("SignalDecided", pair=pair, **failed) > 0)  # type: ignore[misc]
        bot.trades_on(4)
        told = {body["pair"] for _, kind, body in bot.read() if kind == "SignalDecided" and body["outcome"] == "failed"}

    assert bad == told
    assert not bad & {body["pair"] for _, kind, body in bot.read() if kind == "TradeOpened"}
    assert 0 == bot.count("ActorRestarted")
    assert () == examine(bot.files).differences


def test_a_second_bot_on_the_same_files_is_refused(tmp_path: Path) -> None:
    """While one runs another one is refused with a sentence, in this process and in another; nothing is harmed."""
    with running(tmp_path, strategy="ema_cross", pairs=2, speed=1) as bot:
        with pytest.raises(StorageError, match="in use by the bot with pid"):
            RunLock(bot.files.lock)
        arguments = ("run", "-c", tmp_path / "config.toml", "--db", bot.files.db, "--no-screen", "--for", "1s")
        second = command(*arguments)

    assert second.returncode != 0
    assert "in use by the bot with pid" in second.stderr + second.stdout
    assert "Traceback" not in second.stderr
    assert () == examine(bot.files).differences
