"""The live screen of `tradepit run`: a picture of the bot twice a second, drawn by a process of its own.

Rules
    The trading process only writes a line of JSON into a pipe, and never waits for it: what cannot be
    written at once is left out. Drawing, and the library for it, cost the child, not the actors.
    The child gives the terminal back when the pipe ends, so also when the bot was killed.

`actors.drawing` is the child.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from actors.processes import child_environment, python_command

REFRESH_S: Final = 0.5
_OF_TERMINAL: Final = ("TERM", "COLORTERM", "NO_COLOR", "COLUMNS", "LINES")


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRow:
    """An open trade on the screen. Ratios: `profit_ratio` of the stake, `stop_distance` from the price to the stop."""

    pair: str
    side: str
    state: str
    opened_ts: int
    open_rate: float
    price: float
    profit_ratio: float
    profit_abs: float
    stop: float
    stop_distance: float
    tag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """One of the last decisions: what the strategy said of a pair, and what came of it."""

    ts: int
    pair: str
    signal: str
    outcome: str
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """One account's figures; `slots` of -1 are without limit."""

    name: str
    state: str
    reason: str
    currency: str
    total: float
    free: float
    tied: float
    start: float
    profit: float
    open: int
    pairs: int
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that the screen shows, as plain figures; counts are totals since the start, rates are made of them.

    `at` is in seconds of the machine's clock, `ts` market time in milliseconds. `pair_states` counts
    every pair once. `accounts` are those that have names; the figures of capital sum them all, so where their
    currencies differ only `accounts` say what they are.
    """

    at: float
    ts: int
    strategy: str
    state: str
    reason: str = ""
    currency: str = ""
    pair_states: Mapping[str, int] = field(default_factory=dict)
    total: float = 0.0
    free: float = 0.0
    tied: float = 0.0
    start: float = 0.0
    closed_profit: float = 0.0
    closed_trades: int = 0
    slots: int = -1
    open_trades: tuple[TradeRow, ...] = ()
    messages: int = 0
    orders: int = 0
    candles: int = 0
    mailbox_depth: int = 0
    deepest: str = ""
    restarts: int = 0
    dead_letters: int = 0
    decisions: tuple[DecisionRow, ...] = ()
    notices: tuple[str, ...] = ()
    accounts: tuple[AccountRow, ...] = ()


class Screen:
    """The trading process's end: starts the drawing process, hands it snapshots, ends it."""

    def __init__(self) -> None:
        """Take the terminal. Raises OSError where no process can be started."""
        self._child = subprocess.Popen(  # noqa: S603 -- our own interpreter and module
            python_command("actors.drawing"),
            stdin=subprocess.PIPE,
            env=child_environment({name: os.environ[name] for name in _OF_TERMINAL if name in os.environ}),
            start_new_session=True,  # Ctrl-C is the bot's; its end closes the pipe
        )
        assert self._child.stdin is not None
        self._pipe = self._child.stdin.fileno()
        os.set_blocking(self._pipe, False)
        self._pending = b""

    def show(self, snapshot: Snapshot) -> bool:
        """Hand on a picture without waiting; False when the drawing process has gone."""
        if not self._pending:
            self._pending = orjson.dumps(snapshot, default=float) + b"\n"
        try:
            self._pending = self._pending[os.write(self._pipe, self._pending) :]
        except BlockingIOError:
            pass  # it still draws: this picture is left out
        except OSError:
            return False
        return self._child.poll() is None

    def close(self, timeout_s: float = 2.0) -> None:
        """Give the terminal back; past the time the process is killed."""
        with contextlib.suppress(OSError):
            if self._child.stdin is not None:
                self._child.stdin.close()
        try:
            self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def plain_line(snapshot: Snapshot, before: Snapshot | None = None) -> str:
    """The same in one line, for a log: capital, trades, rates, health."""
    rates = rates_of(_figures(snapshot), _figures(before) if before else None)
    if snapshot.accounts:
        capital = "  ".join(
            f"{row.name}: {row.state} total={row.total:.2f} free={row.free:.2f} {row.currency} open={row.open} profit={row.profit:+.2f}"
            for row in snapshot.accounts
        )
        capital += f"  all: closed={snapshot.closed_trades} "
    else:
        held = snapshot.pair_states.get("open", len(snapshot.open_trades))
        capital = (
            f"{snapshot.state} total={snapshot.total:.2f} free={snapshot.free:.2f} {snapshot.currency} "
            f"open={held} closed={snapshot.closed_trades} profit={snapshot.closed_profit:+.2f} "
        )
    return capital + (
        f"messages/s={rates['messages']:.0f} orders/s={rates['orders']:.1f} candles/s={rates['candles']:.0f} "
        f"waiting={snapshot.mailbox_depth} restarts={snapshot.restarts} dead_letters={snapshot.dead_letters}"
    )


def rates_of(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, float]:
    """Messages, orders and candles a second between two pictures; zeros before there are two."""
    span = now["at"] - before["at"] if before else 0.0
    if before is None or span <= 0:
        return dict.fromkeys(("messages", "orders", "candles"), 0.0)
    return {name: max(0.0, (now[name] - before[name]) / span) for name in ("messages", "orders", "candles")}


def _figures(snapshot: Snapshot) -> dict[str, Any]:
    return {name: getattr(snapshot, name) for name in ("at", "messages", "orders", "candles")}
