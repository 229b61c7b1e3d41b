"""The control socket: a Unix socket (0600) of JSON lines, its server thread, and the client's call.

Rules
    One thread serves all clients and never waits for one of them. It parses a line, hands it on, and
    has nothing to do with what it means. All is bounded: clients, a line's length, what is kept for a
    client. It has one request in hand, and its next one is looked at when the answer has left; so one
    that does not read waits for itself only. Who sends garbage is told so a few times, then hung up on.
    The socket appears under its name with its permissions, at once or not at all. What lies there from
    an earlier bot is replaced; a file that is no socket is not ours, and is left alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import stat
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from engine.errors import NotRunning, StorageError, TradepitError

PATH_MAX: Final = 107
"""Bytes that the address of a Unix socket can hold."""

CLIENTS_MAX: Final = 64
LINE_MAX: Final = 64 * 1024
FAULTS_MAX: Final = 10
"""Lines of garbage that a client is answered before it is hung up on."""

_READ: Final = 64 * 1024

OnRequest = Callable[[int, Mapping[str, Any]], None]
"""Takes the client's number and its request; called in the server's thread, and must not wait."""


@dataclass(slots=True)
class _Client:
    number: int
    connection: socket.socket
    received: bytearray = field(default_factory=bytearray)
    pending: bytearray = field(default_factory=bytearray)
    busy: bool = False
    faults: int = 0
    closing: bool = False
    ended: bool = False


class SocketServer:
    """Serves the control socket from a thread of its own, between `start` and `close`."""

    def __init__(self, path: Path, on_request: OnRequest) -> None:
        self.path = path
        self._on_request = on_request
        self._clients: dict[int, _Client] = {}
        self._next = 0
        self._replies: list[tuple[int, bytes]] = []
        self._lock = threading.Lock()
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = socket.socketpair()
        self._thread: threading.Thread | None = None
        self._listener: socket.socket | None = None
        self._inode = 0

    def start(self) -> None:
        """Bind and serve.

        Raises:
            StorageError: another bot answers there, something that is no socket has the name, or the
                folder does not take one.
        """
        self._listener = _listen(self.path)
        self._inode = self.path.stat().st_ino
        self._listener.setblocking(False)
        self._wake.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="control-socket", daemon=True)
        self._thread.start()

    def reply(self, client: int, answer: Mapping[str, Any]) -> None:
        """Send a client its answer; from any thread, without waiting. A client that has gone is no error."""
        line = orjson.dumps(answer, default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n"
        with self._lock:
            self._replies.append((client, line))
        self._poke()

    def close(self, timeout_s: float = 2.0) -> None:
        """Send what is pending and can be sent, end the thread, remove the socket."""
        with self._lock:
            self._stopping = True
        self._poke()
        if self._thread is None:
            self._wake.close()
            self._selector.close()
        elif self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        self._waker.close()
        with contextlib.suppress(OSError):
            if self._listener is not None and self.path.stat().st_ino == self._inode:
                self.path.unlink()

    # ------------------------------------------------------------ the thread

    def _poke(self) -> None:
        with contextlib.suppress(OSError):
            self._waker.send(b"!")

    def _serve(self) -> None:
        with contextlib.ExitStack() as stack:
            for thing in (self._listener, self._wake, self._selector):
                if thing is not None:
                    stack.callback(thing.close)
            while True:
                for key, events in self._selector.select():
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj is self._wake:
                        with contextlib.suppress(OSError):
                            self._wake.recv(_READ)
                    elif key.data.number in self._clients:
                        self._serve_client(key.data, events)
                self._take_replies()
                if self._stopping:
                    break
            for client in list(self._clients.values()):
                self._drop(client)

    def _accept(self) -> None:
        """Take one connection; an idle one gives way where there are too many."""
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE) and self._clients:
                self._drop(next(iter(self._clients.values())))  # its descriptor lets the next one in
            return
        connection.setblocking(False)
        self._next += 1
        client = _Client(self._next, connection)
        self._clients[client.number] = client
        self._selector.register(connection, selectors.EVENT_READ, client)
        if len(self._clients) > CLIENTS_MAX:
            idle = [c for c in self._clients.values() if not c.busy and c is not client]
            self._drop(idle[0] if idle else client)

    def _serve_client(self, client: _Client, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._write(client)
        if events & selectors.EVENT_READ and client.number in self._clients:
            self._read(client)
        self._go_on(client)

    def _read(self, client: _Client) -> None:
        try:
            received = client.connection.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)
            return
        client.received += received
        client.ended = not received

    def _go_on(self, client: _Client) -> None:
        """Hand on the next whole line, unless an answer is on its way; then wait for what can happen next."""
        while not client.busy and not client.pending and not client.closing and client.number in self._clients:
            end = client.received.find(b"\n")
            if max(end, len(client.received) if end < 0 else 0) > LINE_MAX:
                client.closing = True
                self._refuse(client, f"A request is a line of at most {LINE_MAX} bytes.")
            elif end < 0:
                client.closing = client.ended
                break
            else:
                line = bytes(client.received[:end])
                del client.received[: end + 1]
                if line.strip():
                    self._hand_on(client, line)
        if client.closing and not client.pending:
            self._drop(client)
        elif client.number in self._clients:
            self._watch(client)

    def _hand_on(self, client: _Client, line: bytes) -> None:
        try:
            request = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            self._refuse(client, f"That is not JSON: {error}.")
            return
        if not isinstance(request, dict):
            self._refuse(client, 'A request is a JSON object, such as {"request": "status"}.')
            return
        client.busy = True
        self._on_request(client.number, request)

    def _refuse(self, client: _Client, detail: str) -> None:
        client.faults += 1
        client.closing = client.closing or client.faults >= FAULTS_MAX
        client.pending += orjson.dumps({"ok": False, "detail": detail, "data": {}}) + b"\n"
        self._write(client)

    def _take_replies(self) -> None:
        with self._lock:
            replies, self._replies = self._replies, []
        for number, line in replies:
            client = self._clients.get(number)
            if client is not None:
                client.busy = False
                client.pending += line
                self._write(client)
                self._go_on(client)

    def _write(self, client: _Client) -> None:
        try:
            while client.pending:
                sent = client.connection.send(client.pending)
                del client.pending[:sent]
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)

    def _watch(self, client: _Client) -> None:
        """Read only what can be taken: no more while a request is in hand and a long line waits."""
        full = len(client.received) > LINE_MAX
        reads = 0 if full or client.closing or client.ended else selectors.EVENT_READ
        events = reads | (selectors.EVENT_WRITE if client.pending else 0)
        registered = client.connection in self._selector.get_map()
        if events and registered:
            self._selector.modify(client.connection, events, client)
        elif events:
            self._selector.register(client.connection, events, client)
        elif registered:
            self._selector.unregister(client.connection)

    def _drop(self, client: _Client) -> None:
        if self._clients.pop(client.number, None) is None:
            return
        if client.connection in self._selector.get_map():
            self._selector.unregister(client.connection)
        client.connection.close()


# ---------------------------------------------------------------- addresses


def _listen(path: Path) -> socket.socket:
    """A listening socket at `path`, however long that is: bound under a short name in its folder, then renamed."""
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = -1
    try:
        os.fchmod(listener.fileno(), 0o600)  # Linux gives the socket file these permissions from the start
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        short = f".tradepit-{os.getpid()}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(short, dir_fd=folder)
        listener.bind(f"/proc/self/fd/{folder}/{short}")
        listener.listen(CLIENTS_MAX)
        os.rename(short, path.name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError as error:
        listener.close()
        raise StorageError(f"The control socket {path} cannot be made: {error.strerror}.") from None
    finally:
        if folder >= 0:
            os.close(folder)
    return listener


def _clear(path: Path) -> None:
    """Refuse what must not be replaced; a socket that nobody answers at may be."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"The control socket {path} cannot be made: {error.strerror}.") from None
    if not stat.S_ISSOCK(kind):
        raise StorageError(f"{path} is in the way of the control socket and is no socket; move it away.")
    with contextlib.suppress(OSError), _connected(path, 1.0):
        raise StorageError(f"Another bot answers at {path}; stop it first or give another --db.")


@contextlib.contextmanager
def _connected(path: Path, timeout_s: float) -> Iterator[socket.socket]:
    """A connection to the socket at `path`, through a short link where its name is too long."""
    with contextlib.ExitStack() as stack:
        address = str(path)
        if len(os.fsencode(address)) > PATH_MAX:
            link = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tp-"))) / "s"
            link.symlink_to(path.absolute())
            address = str(link)
        connection = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        # With Python's own timeout a full queue of connections would be an error at once; this waits.
        span = struct.pack("ll", int(timeout_s), int(timeout_s % 1 * 1e6))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)
        connection.connect(address)
        connection.settimeout(timeout_s)
        yield connection


def call(path: Path, request: Mapping[str, Any], timeout_s: float = 10.0) -> dict[str, Any]:
    """Send one request to the bot at `path` and return its answer: `ok`, `detail`, `data`.

    Raises:
        NotRunning: nobody is there.
        TradepitError: somebody is, and does not answer in time or not in our words.
    """
    try:
        with _connected(path, timeout_s) as connection:
            connection.sendall(orjson.dumps(request) + b"\n")
            received = bytearray()
            while not received.endswith(b"\n"):
                part = connection.recv(_READ)
                if not part:
                    raise TradepitError(f"The bot at {path} hung up without an answer.")
                received += part
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotRunning(f"No bot runs on {path.with_suffix('.duckdb')}. Start one with `tradepit run`.") from None
    except (TimeoutError, BlockingIOError):
        raise TradepitError(f"The bot at {path} did not answer within {timeout_s:g} s.") from None
    except OSError as error:
        raise TradepitError(f"The bot at {path} cannot be asked: {error.strerror}.") from None
    answer = orjson.loads(received)
    if not isinstance(answer, dict):
        raise TradepitError(f"What answers at {path} is no bot of ours.")
    return answer
