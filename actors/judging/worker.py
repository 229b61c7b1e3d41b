"""A worker process: judges candles and answers questions with a user's code, and nothing else.

    python -P -m actors.judging.worker SOCKET_FD DESK_FD PARENT_PID

It is fenced in before a line of the user's code runs: its memory is limited, it gives way to the
trading process, dies with it, ignores Ctrl-C, and has no terminal. What the user prints goes to
the bot's log. It keeps no state that would be missed: it may be killed at any moment.
"""

from __future__ import annotations

import faulthandler
import gc
import io
import os
import select
import socket
import sys
import time
from collections import deque
from typing import Any, Final

import orjson

from actors.fencing import fence_in
from actors.judging.accounts import Seen
from actors.judging.bench import Bench, Outcome
from actors.judging.loader import StrategyMaker
from actors.judging.protocol import Batch, Desk, Frames, Kind, frame, frame_json, read_judge, read_load
from engine.errors import StrategyError
from engine.strategy import heard

PROGRESS_S: Final = 0.010
ASKS_S: Final = 0.001


class Prints(io.TextIOBase):
    """What a user's `print` writes to: the bot's log, at most `BUDGET` bytes a second; the rest is dropped.

    Never waits: a strategy must not hang because it talks a lot.
    """

    BUDGET: Final = 16_384

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._left = self.BUDGET
        self._filled_at = time.monotonic()

    def writable(self) -> bool:
        """It is for writing only."""
        return True

    def write(self, text: str) -> int:
        """Pass on what the budget allows."""
        now = time.monotonic()
        self._left = min(self.BUDGET, self._left + int((now - self._filled_at) * self.BUDGET))
        self._filled_at = now
        data = text.encode(errors="replace")[: self._left]
        self._left -= len(data)
        try:
            os.write(self._fd, data)
        except OSError:
            self._left = 0  # nobody reads fast enough, or at all
        return len(text)


class Worker:
    """The loop: frames in, verdicts onto the desk, answers out."""

    def __init__(
        self, sock: socket.socket, desk: Desk, bench: Bench, frames: Frames, waiting: list[tuple[int, bytes]]
    ) -> None:
        self._sock = sock
        self._desk = desk
        self._bench = bench
        self._frames = frames
        self._waiting = deque(waiting)
        self._account = Seen()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def run(self) -> None:
        """Serve until the bot hangs up."""
        while True:
            while self._waiting:
                self._serve(*self._waiting.popleft())
            self._receive()

    def _receive(self) -> None:
        data = self._sock.recv(1 << 20)
        if not data:
            os._exit(0)
        self._waiting.extend(self._frames.feed(data))

    def _serve(self, kind: int, body: bytes) -> None:
        if kind == Kind.JUDGE:
            self._judge(read_judge(body))
        elif kind == Kind.ASK:
            self._ask(body)
        elif kind == Kind.ACCOUNT:
            self._bench.hear(self._account.take(body))
        elif kind == Kind.LOAD:
            self._bench.load(*read_load(body))

    def _judge(self, batch: Batch) -> None:
        if not batch.judge or self._bench.looks_around:
            for place, candle in zip(batch.places, batch.candles, strict=True):
                self._bench.take(place, candle)
        if not batch.judge:
            return
        self._desk.begin(batch.number)
        told = asked = time.monotonic()
        for place, candle in zip(batch.places, batch.candles, strict=True):
            self._desk.hold(place)
            verdict = self._bench.judge(place, candle)
            self._desk.put(verdict)
            if verdict.outcome == Outcome.OUT_OF_MEMORY:
                self._give_up()
            now = time.monotonic()
            if now - asked > ASKS_S:
                asked = now
                self._serve_asks()
            if now - told > PROGRESS_S:
                told = now
                self._sock.sendall(frame(Kind.PROGRESS))
        self._desk.release()
        self._sock.sendall(frame(Kind.PROGRESS))

    def _serve_asks(self) -> None:
        """Answer questions about open trades before going on with the candles."""
        while self._poll.poll(0):
            self._receive()
        later = deque[tuple[int, bytes]]()
        while self._waiting:
            kind, body = self._waiting.popleft()
            if kind in (Kind.ASK, Kind.ACCOUNT):
                self._serve(kind, body)
            else:
                later.append((kind, body))
        self._waiting = later

    def _ask(self, body: bytes) -> None:
        request_id, place, callback, arguments = orjson.loads(body)
        self._desk.hold(place, asked=True)
        answer = self._bench.ask(place, callback, arguments)
        self._desk.release()
        said = [request_id, answer.answer, answer.failed, answer.custom_data, answer.wishes]
        self._sock.sendall(frame_json(Kind.ANSWER, said))
        if answer.out_of_memory:
            self._give_up()

    def _give_up(self) -> None:
        """Memory has run out and somebody may hold on to it: a fresh process is the only sure cure."""
        self._desk.release()
        self._sock.sendall(frame(Kind.PROGRESS))
        os._exit(os.EX_OSERR)


def main(arguments: list[str]) -> None:
    """Take the first frame for orders, load the strategy, serve."""
    sock_fd, desk_fd, parent = (int(argument) for argument in arguments)
    faulthandler.enable()
    os.dup2(2, 1)
    os.set_blocking(2, False)
    sys.stdout = sys.stderr = Prints(2)
    sock, frames = socket.socket(fileno=sock_fd), Frames()
    received: list[tuple[int, bytes]] = []
    while not received:
        data = sock.recv(1 << 20)
        if not data:
            os._exit(0)
        received = frames.feed(data)
    (_, body), *rest = received
    orders: dict[str, Any] = orjson.loads(body)
    fence_in(parent, orders["memory_mb"])
    desk = Desk(desk_fd, len(orders["pairs"]))
    try:
        maker = StrategyMaker(orders["name"], orders["parameters"], orders["overrides"], heard(orders["surroundings"]))
        bench = Bench(maker, orders["pairs"])
    except (StrategyError, MemoryError) as error:
        sock.sendall(frame_json(Kind.BROKEN, str(error) or "the strategy needs more memory than memory_mb allows"))
        os._exit(os.EX_CONFIG)
    # What is loaded now stays for good; the collector need not look at it again.
    gc.collect()
    gc.freeze()
    sock.sendall(frame(Kind.READY))
    Worker(sock, desk, bench, frames, rest).run()


if __name__ == "__main__":
    main(sys.argv[1:])
