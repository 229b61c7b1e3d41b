"""Taking stored runs (`actors.spool`) into the history: into the same tables as the bot's own, each once.

A run's row says when it is whole: one that was cut short by the end of the process is taken out and taken
in again. Their numbers are below 0, so they never meet those of the bot's journal; trades and orders carry
their run in their ids for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import duckdb
import orjson

from actors.files import Files
from actors.history.rows import Changes
from actors.history.writer import ENTRY_AT_FAULT, HistoryWriter
from actors.spool import Spooled, read_about, spooled
from engine.errors import StorageError

WHOLE: Final = "0"
BROKEN: Final = "unreadable"
BULK: Final = 20_000
"""So many rows are taken in at once: a running bot's journal waits for no longer."""

ABOUT: Final = (
    *("started", "ended", "strategy", "mode", "fills", "config_sha", "version", "timeframe", "data_from", "data_to"),
    *("currency", "wallet", "pairs", "settings", "metrics"),
)
"""What is known of a run; each is a column of `runs`."""


class Intake:
    """Brings a history up to date with the stored runs beside it, some rows at a time."""

    def __init__(self, files: Files, writer: HistoryWriter, tell: Callable[[str], None]) -> None:
        self._files = files
        self._writer = writer
        self._tell = tell
        self._known = writer.statuses()
        self._now: Spooled | None = None
        self._about: dict[str, Any] = {}
        self._todo: list[str] = []
        self._place = 0

    def step(self, limit: int = BULK) -> int:
        """Take in so many rows at most of the oldest run that is not whole; returns whether there was anything to do."""
        if self._now is None and not self._begin():
            return 0
        assert self._now is not None
        if not self._todo:
            return self._end(WHOLE, self._about)
        table = self._todo[0]
        try:
            taken = self._writer.take_rows(table, self._now.table(table), self._place, limit)
        except (*ENTRY_AT_FAULT, duckdb.BinderException, duckdb.CatalogException) as error:
            return self._leave_out(self._now, error)
        self._place += taken
        if taken < limit:
            self._todo.pop(0)
            self._place = 0
        return taken or 1

    def _begin(self) -> bool:
        """Look at the next run that can be read, and take out what an earlier attempt left of it."""
        for run in spooled(self._files):
            if self._known.get(run.run) is not None:
                continue
            self._now, self._place = run, 0
            self._writer.forget(run.run)
            try:
                self._about = read_about(run)
            except StorageError as error:
                self._leave_out(run, error)
                continue
            self._todo = list(self._about["tables"])
            # The run is known from the start, so no view takes its trades for the bot's.
            self._writer.add(Changes(runs={run.run: {"run": run.run, "mode": self._about.get("mode")}}))
            return True
        return False

    def _leave_out(self, run: Spooled, error: Exception) -> int:
        self._tell(f"The stored backtest {run.path.name} is left out: {error}")
        self._writer.forget(run.run)
        return self._end(BROKEN, {"mode": "backtest"})

    def _end(self, status: str, about: dict[str, Any]) -> int:
        assert self._now is not None
        run = self._now.run
        values = {name: _text(about.get(name)) for name in ABOUT if about.get(name) is not None}
        self._writer.add(Changes(runs={run: {"run": run, "status": status, **values}}))
        self._known[run] = status
        self._now = None
        return 1


def _text(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value
