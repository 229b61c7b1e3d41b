"""The history process as its parent sees it: started, heard, started again, stopped; never waited for.

Nothing here imports DuckDB: this is the trading process.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from actors.files import Files
from actors.processes import child_environment, ending, python_command
from engine.messages import Plain
from engine.settings import HistoryConfig

BACKOFF_S: Final = (0.1, 0.5, 2.0, 5.0, 15.0)
HEALTHY_S: Final = 30.0
SILENT_S: Final = 30.0
OPENING_S: Final = 600.0
PAST_LIMIT: Final = 3
REFUSED: Final = 4


class HistoryProcess:
    """Keeps one history process alive for as long as it is polled; survives the persistence actor's crashes.

    The door's port and token stay the same over restarts of the process, so clients can come back.
    """

    def __init__(self, files: Files, config: HistoryConfig) -> None:
        self.files = files
        self.starts = 0
        self.applied = 0
        self.door_port: int | None = None
        self._settings = {
            "db": str(files.db.absolute()),
            "memory_limit": config.memory_limit,
            "threads": config.threads,
            "door": config.door,
            "port": config.door_port,
            "token": secrets.token_hex(16),
            "statement_seconds": config.statement_seconds,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._refused = False
        self._failures = 0
        self._due = 0.0
        self._started = 0.0
        self._heard = 0.0
        self._received = b""
        self._fatal = ""
        self._other: list[str] = []

    @property
    def pid(self) -> int | None:
        """Its process id, None while it is not there."""
        return None if self._process is None else self._process.pid

    @property
    def stopped(self) -> bool:
        """Whether it is gone after `begin_stop`."""
        return self._stopping and self._process is None

    def status(self) -> Mapping[str, Plain]:
        """Its figures: pid, last entry in the history, starts, and the door's port."""
        return {"pid": self.pid, "applied": self.applied, "starts": self.starts, "door": self.door_port}

    def poll(self, monotonic: float) -> list[str]:
        """Start it when that is due, hear it, and tell in a sentence each what has become of it."""
        if self._process is None:
            if not self._stopping and not self._refused and monotonic >= self._due:
                self._start(monotonic)
            return []
        news = self._hear(monotonic)
        status = self._process.poll()
        if status is None:
            limit = SILENT_S if self.door_port is not None or self.applied else OPENING_S
            if monotonic - self._heard > limit:
                self.kill()
                self._fatal = f"it was silent for {limit:g} s and was killed"
            return news
        news += self._hear(monotonic)
        self._forget()
        if self._stopping:
            return news
        return [*news, self._ended(status, monotonic)]

    def begin_stop(self, seq: int) -> None:
        """Have it catch up with the journal, up to entry `seq` at least, and end; `stopped` says when, if it is polled."""
        self._stopping = True
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.write(b"stop %d\n" % seq)
                self._process.stdin.flush()

    def kill(self) -> None:
        """End it at once; harmless when it is gone."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill it and wait for its end; for tests and for a bot that ends at once."""
        self._stopping = True
        self.kill()
        if self._process is not None:
            self._process.wait()
            self._forget()

    def _start(self, monotonic: float) -> None:
        if self._settings["door"] and not self._settings["port"]:
            self._settings["port"] = _free_port()
        self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and module)
            python_command("actors.history", "follow"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=child_environment(),
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(self._settings).encode() + b"\n")
            self._process.stdin.flush()
        self.starts += 1
        self._started = self._heard = monotonic
        self._received, self._fatal, self._other = b"", "", []

    def _hear(self, monotonic: float) -> list[str]:
        assert self._process is not None
        assert self._process.stdout is not None
        while True:
            try:
                data = os.read(self._process.stdout.fileno(), 65_536)
            except BlockingIOError:
                break
            if not data:
                break
            self._heard = monotonic
            self._received += data
        *lines, self._received = self._received.split(b"\n")
        return [text for line in lines if (text := self._understand(line))]

    def _understand(self, line: bytes) -> str:
        """One line of its; returns what is worth telling."""
        try:
            said: dict[str, Any] = json.loads(line)
        except ValueError:
            self._other = [
                *self._other[-5:],
                line.decode(errors="replace"),
            ]  # a traceback, or the C library's last word
            return ""
        self.applied = said.get("applied", self.applied)
        self.door_port = said.get("door", self.door_port)
        self._fatal = said.get("fatal", self._fatal)
        return str(said.get("finding", ""))

    def _ended(self, status: int, monotonic: float) -> str:
        healthy = monotonic - self._started > HEALTHY_S
        # A statement past its limit is the client's doing: the door is open again at once.
        self._failures = 0 if healthy or status == PAST_LIMIT else self._failures + 1
        self._refused = status == REFUSED
        self._due = monotonic + BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)]
        why = self._fatal or (self._other[-1] if self._other else "")
        again = "it is not started again" if self._refused else "it is started again"
        return f"The history process is gone: {ending(status)}; {again}. {why}".strip()

    def _forget(self) -> None:
        process, self._process = self._process, None
        assert process is not None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def history_end(files: Files) -> int | None:
    """The last journal entry that the history holds; None when that cannot be found out."""
    command = python_command("actors.history", "position", str(files.db.absolute()))
    done = subprocess.run(command, capture_output=True, env=child_environment(), timeout=60, check=False)  # noqa: S603
    text = done.stdout.strip()
    return int(text) if done.returncode == 0 and text.isdigit() else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
