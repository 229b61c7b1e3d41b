"""Child processes: bytes both ways, prints, ends; and nothing of them blocks or is left behind."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256

import pytest

from actors.processes import ChildEnded, ChildPrinted, ChildProcess, ChildSaid, child_environment
from tests.actors.probes import Seen

ECHO = "import socket,sys\ns=socket.socket(fileno=int(sys.argv[1]))\nwhile d:=s.recv(1<<16): s.sendall(d)\n"


@pytest.fixture
def child() -> Iterator[Callable[[str], tuple[ChildProcess, Seen]]]:
    """Starts a child that runs a piece of Python, and ends it after the test."""
    children: list[ChildProcess] = []

    def start(code: str) -> tuple[ChildProcess, Seen]:
        seen = Seen()
        command = lambda fd: [sys.executable, "-c", code, str(fd)]  # noqa: E731
        children.append(ChildProcess(command, token=f"t{len(children)}", tell=seen.add))
        return children[-1], seen

    yield start
    for each in children:
        each.kill()
        each.join(60)


def said(seen: Seen, count: int) -> bytes:
    """What the child said, once there are `count` bytes of it."""
    while True:
        messages = seen.of(ChildSaid)
        data = b"".join(message.data for message in messages)
        if len(data) >= count:
            return data
        seen.wait(ChildSaid, len(messages) + 1)


def group_ends(pid: int) -> bool:
    """Whether every process of this group is gone, or will be soon: they are nobody's children here to wait for."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.005)
    return False


def test_bytes_go_both_ways_in_order(child: Callable[[str], tuple[ChildProcess, Seen]]) -> None:
    """Far more than a pipe holds arrives whole and in order, and sending it has not waited."""
    process, seen = child(ECHO)
    parts = [bytes([at % 251]) * 100_000 for at in range(100)]
    for part in parts:
        process.send(part)

    assert sha256(said(seen, 10_000_000)).hexdigest() == sha256(b"".join(parts)).hexdigest()


def test_sending_to_a_hung_child_does_not_wait(child: Callable[[str], tuple[ChildProcess, Seen]]) -> None:
    """A child that never reads costs memory until it is killed, not time."""
    process, seen = child("import time\ntime.sleep(1000)")
    before = time.monotonic()
    for _ in range(100):
        process.send(bytes(100_000))

    assert time.monotonic() - before < 60.0  # it sleeps for a thousand
    process.kill()
    (ended,) = seen.wait(ChildEnded)
    assert (ended.token, ended.how) == ("t0", "it was ended by SIGKILL")


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("", "it ended with status 0"),
        ("import os; os._exit(3)", "it ended with status 3"),
        ("import os; os.abort()", "it was ended by SIGABRT"),
        ("import os\nif os.fork(): os._exit(4)\nimport time; time.sleep(1000)", "it ended with status 4"),
    ],
)
def test_an_end_is_told(child: Callable[[str], tuple[ChildProcess, Seen]], code: str, how: str) -> None:
    """Whichever way it ends, and even if something it started still holds the socket, its end is told once."""
    process, seen = child(code)
    process.join(60)

    assert [ended.how for ended in seen.of(ChildEnded)] == [how]
    assert group_ends(process.pid)
    process.send(b"nobody hears this")
    process.kill()


def test_prints_are_passed_on(child: Callable[[str], tuple[ChildProcess, Seen]]) -> None:
    """What a child writes to standard error comes as text; standard input is empty."""
    process, seen = child("import sys\nprint('äh', repr(sys.stdin.read()), file=sys.stderr)")
    process.join(60)

    assert "".join(message.text for message in seen.of(ChildPrinted)) == "äh ''\n"


def test_endless_prints_are_held_back(child: Callable[[str], tuple[ChildProcess, Seen]]) -> None:
    """A child that prints without end is read at a bounded rate, and what it says on its socket still comes."""
    loud = "import socket,sys,threading\ns=socket.socket(fileno=int(sys.argv[1]))\n"
    loud += (
        "threading.Thread(target=lambda: [sys.stderr.write('x'*65536) for _ in iter(int, 1)], daemon=True).start()\n"
    )
    loud += "while d:=s.recv(1<<16): s.sendall(d)\n"
    process, seen = child(loud)
    seen.wait(ChildPrinted, 2)
    before, began = len(seen.of(ChildPrinted)), time.monotonic()
    process.send(b"still there?")

    assert said(seen, 12) == b"still there?"
    seen.wait(ChildPrinted, before + 5)
    assert time.monotonic() - began > 0.15


def test_a_child_gets_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a short list of variables is passed on."""
    monkeypatch.setenv("EXCHANGE_API_SECRET", "hunter2")

    assert "hunter2" not in child_environment().values()
    assert child_environment({"MORE": "1"})["MORE"] == "1"
