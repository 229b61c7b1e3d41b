"""What a gateway has to tell others, held until the venue has it on record, and as long as its latency."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from actors.outbox import Owner
from engine.messages import Message


class Clocked(Owner, Protocol):
    """An actor with a steady clock; every `EngineActor` is one."""

    def monotonic(self) -> float: ...


class Answers:
    """Answers in the order in which they are put; `flush` tells them, `latency_ms` later in real time. Never sleeps."""

    TIMER = "answers"

    def __init__(self, actor: Clocked, latency_ms: int) -> None:
        self._actor = actor
        self._latency_ms = latency_ms
        self._held: list[tuple[str, Message]] = []
        self._delayed: deque[tuple[float, list[tuple[str, Message]]]] = deque()

    def __len__(self) -> int:
        return sum(len(answers) for _, answers in self._delayed)

    def put(self, to: str, message: Message) -> None:
        """Hold an answer until the next `flush`."""
        self._held.append((to, message))

    def flush(self) -> None:
        """Tell what is held, after the latency."""
        held, self._held = self._held, []
        if held and self._latency_ms:
            self._delayed.append((self._actor.monotonic() + self._latency_ms / 1_000, held))
            if len(self._delayed) == 1:
                self._actor.start_timer(self.TIMER, self._latency_ms)
        else:
            for to, message in held:
                self._actor.tell(to, message)

    def hurry(self) -> None:
        """Tell at once what is late, and whatever comes from now on."""
        self._latency_ms = 0
        self._send(float("inf"))

    def send_due(self) -> None:
        """Tell those whose time has come."""
        self._send(self._actor.monotonic())

    def _send(self, until: float) -> None:
        while self._delayed and self._delayed[0][0] <= until:
            for to, message in self._delayed.popleft()[1]:
                self._actor.tell(to, message)
        if self._delayed:
            wait_ms = round((self._delayed[0][0] - self._actor.monotonic()) * 1_000)
            self._actor.start_timer(self.TIMER, max(1, wait_ms))
