"""The history process: follows the journal into the DuckDB file, and serves the SQL door.

Rules
    It may be killed at any instant: what it has written is exactly what `applied_seq` says.
    It is of no use to anyone but its parent: when its standard input ends, so does it. An alarm of the
    kernel's, pushed back in every round, ends it when it hangs, whatever it hangs in.
    Standard input: one line of JSON with its settings; then `stop SEQ` asks it to catch up, up to that
    entry at least, and end; a later one may move the entry.
    Standard output: lines of JSON: `applied` (in step with the journal up to here), `finding` and
    `fatal` (sentences), `door` (the port it serves at).
Status: 0 stopped; 3 a client's statement went past its limit; 4 the file is refused; 5 anything else.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final, NoReturn

import duckdb

from actors.files import Files
from actors.history.door import Door
from actors.history.store import BATCH, HistoryNewer, Store, is_damage, open_store
from actors.lean import without_pandas
from engine.errors import StorageError
from engine.types import use_money_context

STOPPED: Final = 0
PAST_LIMIT: Final = 3
REFUSED: Final = 4
FAILED: Final = 5

ROUND_S: Final = 0.3
"""How long entries are gathered: what a batch costs is much the same for one and for a thousand."""
IDLE_ROUNDS: Final = 7
"""So often it looks again for the journal's last entry, which a segment being closed may hide for a moment."""
HANG_S: Final = 20.0
IMPORTS_S: Final = 2.0
HEADROOM_BYTES: Final = 768 * 1_048_576
"""Address space that the process may take beyond what it has when the door opens."""


def say(**line: Any) -> None:
    """Tell the parent a line; a parent that is gone ends us by other means."""
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(line).encode() + b"\n")


def leave(status: int) -> NoReturn:
    """End now: closing the database in order would wait for the statements of clients, which may never end."""
    sys.stdout.flush()
    os._exit(status)


class Parent:
    """Listens to standard input from a thread: `stopping` is set by the word or by its end.

    `last` is the entry that must be in the history before an orderly end.
    """

    orphaned = False
    last = 0

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.settings: dict[str, Any] = json.loads(sys.stdin.readline() or "{}")
        threading.Thread(target=self._listen, name="parent", daemon=True).start()

    def _listen(self) -> None:
        while (line := sys.stdin.readline().strip()).startswith("stop "):
            self.last = int(line[5:])
            self.stopping.set()
        # The next bot wants the file: the batch in hand may be finished, no more.
        signal.setitimer(signal.ITIMER_REAL, 3.0)
        self.orphaned = True
        self.stopping.set()


def modest() -> None:
    """Be nobody's rival: nice, on the cores the traders leave, without core dumps, deaf to the terminal's Ctrl-C."""
    os.nice(15)
    everything = set(range(os.cpu_count() or 1))
    traders = os.sched_getaffinity(0)  # theirs, inherited: a single core when they keep to one
    os.sched_setaffinity(0, (everything - traders if len(traders) == 1 else everything) or everything)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def limit_memory() -> None:
    """Bound the address space, since not all of a statement's memory is counted by DuckDB."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    bound = pages * resource.getpagesize() + HEADROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))


def open_door(store: Store, settings: dict[str, Any]) -> Door | None:
    """Open the door and say where; without it the history goes on."""
    try:
        door = Door(store.connection, port=int(settings["port"]), token=str(settings["token"]))
    except StorageError as error:
        say(finding=str(error))
        return None
    leave_word(store.files, port=door.port, token=settings["token"], pid=os.getpid())
    say(door=door.port)
    return door


def leave_word(files: Files, **word: Any) -> None:
    """Write what a client must know of the door, in a file that only its owner may read."""
    aside = files.door.with_name(files.door.name + ".new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(json.dumps(word) + "\n")
    aside.rename(files.door)


def follow(parent: Parent, store: Store, door: Door | None, statement_s: float) -> NoReturn:
    """Keep in step with the journal until told to stop."""
    told = -1
    heard = 0.0
    looked = 0.0
    idle = 0
    limit_memory()
    while True:
        signal.setitimer(signal.ITIMER_REAL, 3.0 if parent.orphaned else HANG_S)
        last_round = parent.stopping.is_set()
        written = store.catch_up(limit=1)
        applied = store.writer.applied
        while store.findings:
            say(finding=store.findings.pop(0))
        now = time.monotonic()
        if applied != told or now - heard > 1.0:
            say(applied=applied)
            told, heard = applied, now
        if now - looked > IMPORTS_S:
            looked = now
            for finding in store.take_imports():
                say(finding=finding)
        idle = 0 if written or not last_round else idle + 1
        if last_round and (parent.orphaned or (idle and (applied >= parent.last or idle > IDLE_ROUNDS))):
            leave(STOPPED)
        if door is not None and (ran := door.oldest_statement_s()) > statement_s:
            say(fatal=f"A statement of a client ran for {ran:.0f} s, past the limit of {statement_s:g} s.")
            leave(PAST_LIMIT)
        if idle:
            time.sleep(ROUND_S)
        elif written < BATCH:
            parent.stopping.wait(ROUND_S)


def _begin(parent: Parent, store: Store) -> None:
    """Catch up before anybody asks; a file that fails then is damaged, and the next process makes it again."""
    try:
        while store.catch_up(limit=4_000) and not parent.stopping.is_set():
            say(applied=store.writer.applied)
    except duckdb.Error as error:
        if is_damage(error):
            store.give_up(error)
            say(finding=store.findings.pop())
        raise


def serve() -> NoReturn:
    """The whole life of the process."""
    modest()
    parent = Parent()
    settings = parent.settings
    files = Files.beside(Path(settings["db"]))
    try:
        store = open_store(files, memory_limit=settings["memory_limit"], threads=int(settings["threads"]), wait_s=10.0)
        while store.findings:
            say(finding=store.findings.pop(0))
        _begin(parent, store)
        if settings["door"]:
            door = open_door(store, settings)
        else:
            door = None
            leave_word(files, off=True, bot=os.getppid())
        follow(parent, store, door, float(settings["statement_seconds"]))
    except HistoryNewer as error:
        say(fatal=str(error))
        leave(REFUSED)
    except StorageError as error:
        say(fatal=str(error))
        leave(FAILED)
    except (duckdb.Error, MemoryError) as error:
        # Clients' statements may have taken all memory, or a damaged page was met: the next process finds out.
        say(fatal=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        leave(FAILED)


def main(arguments: list[str]) -> int:
    """`follow`: be the history process; `position DB`: print the last entry that the history holds."""
    use_money_context()
    if arguments == ["follow"]:
        with without_pandas():
            serve()
    if len(arguments) == 2 and arguments[0] == "position":
        try:
            store = open_store(Files.beside(Path(arguments[1])))
        except StorageError as error:
            sys.stderr.write(f"{error}\n")
            return REFUSED
        sys.stdout.write(f"{store.writer.applied}\n")
        store.close()
        return STOPPED
    sys.stderr.write("usage: python -m actors.history follow | position FILE.duckdb\n")
    return 2


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
