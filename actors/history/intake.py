"""Taking stored runs (`actors.spool`) into the history: into the same tables as the bot's own, each once.

A run's row says when it is whole: one that was cut short by the end of the process is taken out and taken
in again. Their numbers are below 0, so they never meet those of the bot's journal; trades and orders carry
their run in their ids for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

import orjson

from actors.files import Files
from actors.history.rows import Changes, changes_of
from actors.history.writer import ENTRY_AT_FAULT, HistoryWriter
from actors.segment import Row
from actors.spool import Spooled, read, spooled
from engine.errors import StorageError

WHOLE: Final = "0"
BROKEN: Final = "unreadable"
SEQS: Final = 1 << 40
"""Entries that a run may have: run -2's are numbered from -2 << 40 on."""

ABOUT: Final = (
    *("started", "ended", "strategy", "mode", "fills", "config_sha", "version", "timeframe", "data_from", "data_to"),
    *("currency", "wallet", "pairs", "settings", "metrics"),
)
"""What a run's first line says; each is a column of `runs`."""


class Intake:
    """Brings a history up to date with the stored runs beside it, some rows at a time."""

    def __init__(self, files: Files, writer: HistoryWriter, tell: Callable[[str], None]) -> None:
        self._files = files
        self._writer = writer
        self._tell = tell
        self._known = writer.statuses()
        self._now: Spooled | None = None
        self._lines: Iterator[Any] = iter(())
        self._about: dict[str, Any] = {}
        self._seq = 0

    def step(self, limit: int) -> int:
        """Take in about `limit` lines of the oldest run that is not whole; returns how many were."""
        if self._now is None and not self._begin():
            return 0
        assert self._now is not None
        try:
            events = list(islice(self._lines, limit))
            if not events:
                return self._end(WHOLE, self._about)
            changes = changes_of(self._row(self._now.run, event) for event in events)
            self._writer.add(self._as_added(named(changes, self._now.number)))
        except (StorageError, *ENTRY_AT_FAULT) as error:
            return self._leave_out(self._now, error)
        return len(events)

    def _as_added(self, changes: Changes) -> Changes:
        """Trades as new rows where each is told once, at its end: that is far quicker than changing them."""
        if self._about.get("orders", True):
            return changes
        return Changes(added={**changes.added, "trades": list(changes.trades.values())})

    def _begin(self) -> bool:
        """Open the next file that can be read, and take out what an earlier attempt left of it."""
        for run in spooled(self._files):
            if self._known.get(run.run) is not None:
                continue
            self._now, self._seq, self._lines = run, 0, read(run)
            self._writer.forget(run.run)
            try:
                self._about = dict(next(self._lines))
            except StorageError as error:
                self._leave_out(run, error)
                continue
            # The run is known from the start, so no view takes its trades for the bot's.
            self._writer.add(Changes(runs={run.run: {"run": run.run, "mode": self._about.get("mode")}}))
            return True
        return False

    def _leave_out(self, run: Spooled, error: Exception) -> int:
        self._tell(f"The stored backtest {run.path.name} is left out: {error}")
        self._writer.forget(run.run)
        return self._end(BROKEN, {"mode": "backtest"})

    def _row(self, run: int, event: Any) -> Row:
        ts, writer, stream, kind, body = event
        self._seq += 1
        return (run * SEQS + self._seq, ts, writer, self._seq, 0, run, stream, kind, orjson.dumps(body).decode(), b"")

    def _end(self, status: str, about: dict[str, Any]) -> int:
        assert self._now is not None
        run = self._now.run
        values = {name: _text(about.get(name)) for name in ABOUT if about.get(name) is not None}
        self._writer.add(Changes(runs={run: {"run": run, "status": status, **values}}))
        self._known[run] = status
        self._now = None
        return 1


def named(changes: Changes, number: int) -> Changes:
    """The same rows with ids that only this run has."""
    rows = [*changes.trades.values(), *changes.orders.values()]
    for added in changes.added.values():
        rows += added
    for row in rows:
        for name in ("trade_id", "client_order_id"):
            if row.get(name):
                row[name] = f"backtest{number}:{row[name]}"
    return Changes(
        added=changes.added,
        trades={row["trade_id"]: row for row in changes.trades.values()},
        orders={row["client_order_id"]: row for row in changes.orders.values()},
        runs=changes.runs,
    )


def _text(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value
