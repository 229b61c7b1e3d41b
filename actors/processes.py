"""Child processes of an actor: started, listened to, written to and killed without the actor ever waiting.

Rules
    One small thread a child moves bytes between the pipes and the actor's mailbox; it decides nothing
    and never holds the interpreter for long. A child never outlives its actor: `kill` takes its whole
    process group, and a child that ties itself to its parent dies with the bot.
    A child gets a minimal environment, so that no secret of the bot's reaches it.
    Messages carry the child's `token`: what an earlier child still had to say is told apart by it.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.messages import Message

PROJECT: Final = Path(__file__).resolve().parent.parent
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
_CHUNK: Final = 1 << 20
_PRINTS_CHUNK: Final = 1 << 16
_PRINTS_PAUSE_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSaid(Message):
    """child → its actor: bytes from its socket, in order, cut anywhere."""

    token: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPrinted(Message):
    """child → its actor: text that it wrote to its standard output or error."""

    token: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnded(Message):
    """child → its actor: it is gone; `how` says with which status or by which signal."""

    token: str
    how: str


def child_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child: what a program needs to run, nothing that could be a secret.

    Libraries that start threads for arithmetic are held to one: the cores are for the pairs.
    """
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    return environment | dict(more or {})


def python_command(module: str, *arguments: str) -> list[str]:
    """The command that runs one of our modules in a process of its own (`-P`: nothing of the working directory)."""
    return [sys.executable, "-P", "-m", module, *arguments]


def ending(status: int) -> str:
    """A process's return code in words."""
    if status >= 0:
        return f"it ended with status {status}"
    try:
        return f"it was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"it was ended by signal {-status}"


class ChildProcess:
    """A running child with a socket between it and us; what it says arrives as messages.

    `command` is called with the number of the child's end of the socket. `tell` is called from the
    child's thread. `send` queues what the pipe does not take at once; nothing here waits.
    """

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        *,
        token: str,
        tell: Callable[[Message], None],
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.token = token
        self._tell = tell
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 -- our own interpreter and module
                command(theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=child_environment(),
                pass_fds=(theirs.fileno(), *pass_fds),
                start_new_session=True,  # its own group: Ctrl-C is not for it, and `kill` gets its children too
            )
        assert self._process.stderr is not None
        self._prints = self._process.stderr
        self._socket.setblocking(False)
        os.set_blocking(self._prints.fileno(), False)
        self._lock = threading.Lock()
        self._unsent: deque[memoryview] = deque()
        self._waker, self._alarm = socket.socketpair()
        self._waker.setblocking(False)
        self._thread = threading.Thread(target=self._serve, name=f"child {token}", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def send(self, data: bytes) -> None:
        """Write `data` to the child, now as far as the pipe takes it and the rest later; a dead child loses it."""
        with self._lock:
            if not self._unsent:
                data = data[self._write(data) :]
            if data:
                self._unsent.append(memoryview(data))
                self._wake()

    def kill(self) -> None:
        """End the child and whatever it has started, at once; `ChildEnded` still follows."""
        with self._lock:
            self._kill_group()
        self._wake()

    def join(self, timeout_s: float) -> None:
        """Wait until the child is gone and its thread too; for the end of an actor's life."""
        self._thread.join(timeout_s)

    def _kill_group(self) -> None:
        # The number is the child's own for as long as nobody has waited for it; `_serve` does, under the lock.
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _wake(self) -> None:
        with suppress(OSError):  # the thread is awake already, or has ended with the child
            self._waker.send(b"!")

    def _write(self, data: bytes | memoryview) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)  # nobody is there to read it; the thread notices the end by itself

    # ------------------------------------------------------------ the child's thread

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector, self._socket, self._prints, self._waker, self._alarm:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._alarm, selectors.EVENT_READ)
            selector.register(self._prints, selectors.EVENT_READ)
            self._move(selector)
            with self._lock:
                self._kill_group()  # what it has started must not live on
                self._read_prints()
                status = self._process.wait()
        self._tell(ChildEnded(token=self.token, how=ending(status)))

    def _move(self, selector: selectors.BaseSelector) -> None:
        """Move bytes until the child has ended."""
        prints_at = 0.0
        while not self._has_ended():
            for key, events in selector.select(_PRINTS_PAUSE_S if prints_at else 1.0):
                if key.fileobj is self._alarm:
                    self._alarm.recv(_CHUNK)
                elif key.fileobj is self._prints:
                    # A child that prints without end must not keep us busy: look again after a while.
                    open_ = self._read_prints()
                    selector.unregister(self._prints)
                    prints_at = time.monotonic() + _PRINTS_PAUSE_S if open_ else 0.0
                elif not self._serve_socket(events):
                    return
            if prints_at and time.monotonic() >= prints_at:
                selector.register(self._prints, selectors.EVENT_READ)
                prints_at = 0.0
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
            if selector.get_key(self._socket).events != wanted:
                selector.modify(self._socket, wanted)

    def _has_ended(self) -> bool:
        """Whether the child is dead; it is left to be waited for, so that its number stays taken."""
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _serve_socket(self, events: int) -> bool:
        """Read and write what is possible; False when the child has closed its end."""
        if events & selectors.EVENT_WRITE:
            with self._lock:
                while self._unsent:
                    rest = self._unsent[0][self._write(self._unsent[0]) :]
                    if rest:
                        self._unsent[0] = rest
                        break
                    self._unsent.popleft()
        if events & selectors.EVENT_READ:
            try:
                data = self._socket.recv(_CHUNK)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            self._tell(ChildSaid(token=self.token, data=data))
        return True

    def _read_prints(self) -> bool:
        """Pass on what was printed; False when nothing can come any more."""
        try:
            data = os.read(self._prints.fileno(), _PRINTS_CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if data:
            self._tell(ChildPrinted(token=self.token, text=data.decode(errors="replace")))
        return bool(data)
