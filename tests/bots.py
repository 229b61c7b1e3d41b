"""A real bot as a user starts it, in a process of its own, watched from outside; for benchmarks and demonstrations."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from actors.cli import main
from actors.files import Files

ROOT: Final = Path(__file__).resolve().parent.parent
TRADEPIT: Final = (sys.executable, "-c", "import sys; from actors.cli import main; sys.exit(main())")
Config = Mapping[str, Mapping[str, Any]]


class Failed(Exception):
    """What was to be shown is not so; the text says what was seen."""


def toml(config: Config) -> str:
    """A configuration as text."""
    lines = []
    for section, values in config.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def environment() -> dict[str, str]:
    """This process's, with the project importable from anywhere."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def command(*arguments: str | Path, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run a `tradepit` command and wait for its end."""
    line = [*TRADEPIT, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=timeout_s, check=False)


def at_once(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a `tradepit` command in this process: what `command` gives, without the second that a process takes to start."""
    said, complaint = io.StringIO(), io.StringIO()
    line = list(map(str, arguments))
    with redirect_stdout(said), redirect_stderr(complaint):
        status = main(line)
    return subprocess.CompletedProcess(line, status, said.getvalue(), complaint.getvalue())


@dataclass(frozen=True, slots=True)
class Process:
    """A process of the bot: `kind` is trading, worker or history."""

    pid: int
    kind: str


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def pss_mb(pid: int) -> float:
    """Memory of a process: its own and its share of what it shares, MiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise OSError("this machine does not tell the memory of a process")


def children_of(pid: int) -> list[int]:
    """The living children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields is not None and int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


class Bot:
    """A bot that runs on `files`; ended in order at the end of the `with`, unless it is gone."""

    def __init__(self, folder: Path, config: Config, *, for_s: float | None = None) -> None:
        self.folder = folder
        self.files = Files.beside(folder / "x.duckdb")
        self.config_path = folder / "config.toml"
        self.config_path.write_text(toml(config), encoding="utf-8")
        self.log_path = folder / "bot.log"
        self._for_s = for_s
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.end()

    def start(self) -> None:
        """Start it; does not wait."""
        line = [*TRADEPIT, "run", "-c", str(self.config_path), "--db", str(self.files.db), "--no-screen"]
        if self._for_s is not None:
            line += ["--for", f"{self._for_s:g}s"]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(line, stdout=log, stderr=log, env=environment(), cwd=self.folder)

    @property
    def pid(self) -> int:
        """The trading process."""
        assert self.process is not None
        return self.process.pid

    def end(self, timeout_s: float = 60.0) -> int:
        """End it in order, as Ctrl-C does; its status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"the bot did not end in order within {timeout_s:g} s") from None

    def kill(self) -> None:
        """End it as kill -9 does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def check_alive(self) -> None:
        """Raises `Failed` with the end of its log when it is gone."""
        assert self.process is not None
        status = self.process.poll()
        if status is not None:
            raise Failed(f"the bot ended with status {status}: {self.log()[-600:]}")

    def log(self) -> str:
        """What it has printed."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def processes(self) -> list[Process]:
        """Its processes that live now."""
        found = [Process(self.pid, "trading")]
        for pid in children_of(self.pid):
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            found.append(Process(pid, "history" if "actors.history" in line else "worker"))
        return found

    # ------------------------------------------------------------ what it says

    def status(self) -> Mapping[str, Any]:
        """The data of `tradepit status`; empty while it does not answer."""
        done = at_once("status", "--db", self.files.db, "--json")
        if done.returncode:
            return {}
        data: dict[str, Any] = json.loads(done.stdout).get("data", {})
        return data

    def figures(self, timeout_s: float = 60.0) -> Mapping[str, Any]:
        """The same, asked for until it answers: on a busy machine an answer may come too late."""
        deadline = time.monotonic() + timeout_s
        while not (data := self.status()):
            self.check_alive()
            if time.monotonic() > deadline:
                raise Failed(f"`tradepit status` did not answer within {timeout_s:g} s")
        return data

    def wait_for(self, what: str, query: str, least: int, timeout_s: float, *, venue: bool = False) -> int:
        """Wait until a count in the journal (or the venue's record) is at least `least`; returns it."""
        path = self.files.venue if venue else self.files.journal
        deadline = time.monotonic() + timeout_s
        count = -1
        while time.monotonic() < deadline:
            self.check_alive()
            count = int(ask(path, query, default=((0,),))[0][0] or 0)
            if count >= least:
                return count
            time.sleep(0.05)
        raise Failed(f"{what}: {count} of {least} after {timeout_s:g} s")

    def market_now(self) -> float:
        """Market time in ms, by the clock that the venue keeps."""
        start, wall, speed = self._clock()
        return start + (time.time() - wall) * 1_000 * speed

    def wall_of(self, market_ms: float) -> float:
        """The machine's time at which the market's is `market_ms`."""
        start, wall, speed = self._clock()
        return wall + (market_ms - start) / 1_000 / speed

    def _clock(self) -> tuple[float, float, float]:
        rows = ask(self.files.venue, "SELECT value FROM meta WHERE key = 'clock'", default=())
        if not rows:
            raise Failed("the bot's venue keeps no clock")
        start, wall, speed = map(float, rows[0][0].split())
        return start, wall, speed


def ask(path: Path, query: str, *, default: Sequence[Any]) -> Sequence[Any]:
    """Rows of a SQLite file beside its writer; `default` while the file is not there, or not legible."""
    if not path.exists():
        return default
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)) as db:
            return db.execute(query).fetchall()
    except sqlite3.DatabaseError:
        return default


@contextmanager
def running(folder: Path, config: Config, *, ready_s: float = 60.0) -> Iterator[Bot]:
    """A bot that has judged its first candle."""
    with Bot(folder, config) as bot:
        judged = "SELECT count(*) FROM entries WHERE kind = 'Judged'"
        bot.wait_for("candles judged", judged, 1, ready_s)
        yield bot
