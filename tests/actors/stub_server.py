"""An HTTP server that answers what it is told to, byte by byte: for the ways in which an answer goes wrong."""

from __future__ import annotations

import socket
import struct
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import orjson


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]


Reply = Callable[[Asked, socket.socket], None]
"""Does with the socket what this request deserves; it is closed afterwards."""


def whole(body: object, status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer; `body` is sent as JSON unless it is bytes."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    lines = [
        f"HTTP/1.1 {status}",
        "Content-Type: application/json",
        f"Content-Length: {len(data)}",
        "Connection: close",
    ]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


def say(answer: bytes) -> Reply:
    """Send these bytes, then close."""
    return lambda _, sock: sock.sendall(answer)


def reset(_: Asked, sock: socket.socket) -> None:
    """Cut the connection."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@dataclass
class StubServer:
    """Listens on a free port of the loopback; `routes` are replies by path, `asked` what came."""

    routes: dict[str, Reply] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        return [f"{asked.method} {asked.path}" for asked in self.asked]

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(sock,), daemon=True).start()

    def _answer(self, sock: socket.socket) -> None:
        with sock:
            head, _, body = sock.recv(65_536).partition(b"\r\n\r\n")
            if not head:
                return
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            path, _, query = target.partition("?")
            asked = Asked(method, path, dict(urllib.parse.parse_qsl(query or body.decode())))
            self.asked.append(asked)
            self.routes.get(path, say(whole({"code": -1, "msg": f"no {path}"}, "404 Not Found")))(asked, sock)
