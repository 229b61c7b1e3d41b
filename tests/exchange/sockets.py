"""One websocket as the exchange sees it: an outbox, and the faults that its events meet."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import Any, ClassVar, Final

import orjson
from aiohttp import WSCloseCode, web

from tests.exchange.door import reset
from tests.exchange.faults import Fault, Faults, change, written

STREAM_KINDS: Final = (
    "drop", "duplicate", "reorder", "delay", "garbage", "cut_frame", "field_event", "close", "reset_stream", "stall",
)  # fmt: skip

BROKEN: Final = "<<<this frame is no JSON"


class Socket:
    """A client's websocket; events are queued at once and sent by a task of its own, so nobody waits for it."""

    written: ClassVar[deque[tuple[float, str]]] = deque(maxlen=1_000)
    """The last frames that any socket has written, and the real seconds then."""

    def __init__(self, ws: web.WebSocketResponse, request: web.Request, faults: Faults, *, talk_limit: int) -> None:
        self.ws = ws
        self.request = request
        self.faults = faults
        self.talk_limit = talk_limit
        self.streams: set[str] = set()
        self.account = ""
        self.wrap: int | None = None
        self.stalled = False
        self._outbox: deque[str] = deque()
        self._wake = asyncio.Event()
        self._held: str | None = None
        self._said: deque[float] = deque(maxlen=talk_limit)
        self._writer = asyncio.get_running_loop().create_task(self._write())

    # ------------------------------------------------------------ events

    def event(self, stream: str, symbol: str, text: str) -> None:
        """Send an event down this socket, or what an ordered fault makes of it."""
        if self.stalled:
            return
        fault = self.faults.of_event(stream, symbol, STREAM_KINDS) if self.faults.ordered else None
        if fault is None:
            self.put(text)
        else:
            self._trouble(fault, text)
        if self._held is not None and (fault is None or fault.kind != "reorder"):
            self.put(self._held)
            self._held = None

    def _trouble(self, fault: Fault, text: str) -> None:
        loop = asyncio.get_running_loop()
        match fault.kind:
            case "duplicate":
                self.put(text)
                self.put(text)
            case "reorder":
                if self._held is not None:
                    self.put(self._held)
                self._held = text
            case "delay":
                loop.call_later(fault.seconds, self.put, text)
            case "garbage":
                self.put(BROKEN)
                self.put(text)
            case "cut_frame":
                self.put(text[: len(text) // 2])
            case "field_event":
                self.put(written(change(orjson.loads(text), fault)).decode())
            case "close":
                self.close()
            case "reset_stream":
                reset(self.request)
            case "stall":
                self.stalled = True

    def put(self, text: str) -> None:
        """Send this as it is, in turn."""
        if not self.stalled:
            self._outbox.append(text)
            self._wake.set()

    def answer(self, message: dict[str, Any]) -> None:
        """Send the answer to a request."""
        self.put(orjson.dumps(message).decode())

    def close(self, code: int = WSCloseCode.OK, why: str = "") -> None:
        """Close it in order, once the outbox is empty."""
        self._outbox.append(f"\0{int(code)}{why}")
        self._wake.set()

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while not self.ws.closed:
                await self._wake.wait()
                self._wake.clear()
                while self._outbox:
                    text = self._outbox.popleft()
                    if text.startswith("\0"):
                        await self.ws.close(code=int(text[1:5]), message=text[5:].encode())
                        return
                    self.written.append((time.time(), text))
                    await self.ws.send_str(text)

    # ------------------------------------------------------------ requests

    def talks_too_much(self) -> bool:
        """Whether the client has sent more than `talk_limit` messages within a second."""
        now = asyncio.get_running_loop().time()
        busy = len(self._said) == self.talk_limit and now - self._said[0] < 1.0
        self._said.append(now)
        return busy

    def end(self) -> None:
        """The client is gone."""
        self._writer.cancel()
