"""The bot's end of judging: a worker process, or (`workers = 0`) the same bench in the actor's own thread.

Neither waits. Verdicts of the batch given last are fetched with `collect`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Final, NamedTuple, Protocol

from actors.judging.accounts import Shown
from actors.judging.bench import Answer, Judging, Verdict
from actors.judging.protocol import Batch, Desk, Frames, Hand, Kind, frame_json, judge_frame, load_frame
from actors.processes import ChildProcess, python_command
from engine.candles import Candle
from engine.messages import Message, Plain
from engine.settings import StrategyConfig
from engine.strategy import Surroundings, told

START_S: Final = 15.0
START_S_MAX: Final = 120.0
STANDSTILL_S: Final = 1.0


def start_s(stumbles: int) -> float:
    """How long a worker may take to start after so many that did not: each longer, or a slow machine would never have one."""
    return min(START_S * (1 << min(stumbles, 10)), START_S_MAX)


class Overdue(NamedTuple):
    """Why a worker must go, and at which place it was when it stopped answering (None: at none)."""

    reason: str
    place: int | None = None
    asked: bool = False


class Handle(Protocol):
    """What a `JudgeActor` needs of whoever judges for it."""

    @property
    def ready(self) -> bool: ...

    @property
    def pid(self) -> int: ...

    @property
    def needs_history(self) -> bool: ...

    def load(self, place: int, rows: Sequence[Candle]) -> None: ...

    def judge(self, batch: Batch) -> None: ...

    def collect(self) -> list[Verdict]: ...

    def hear(self, account: Mapping[str, Plain]) -> None: ...

    def ask(self, request_id: str, place: int, callback: str, arguments: Mapping[str, Plain]) -> Answer | None: ...

    def overdue(self, *, busy: bool) -> Overdue | None: ...

    def in_hand(self) -> Hand | None: ...

    def kill(self) -> None: ...


class InlineHandle:
    """Judges at once, in the caller's thread: nothing protects the bot from the strategy."""

    ready = True
    pid = 0

    def __init__(self, bench: Judging) -> None:
        self._bench = bench
        self.needs_history = bench.needs_history
        self._verdicts: list[Verdict] = []

    def load(self, place: int, rows: Sequence[Candle]) -> None:
        """Fill a window."""
        self._bench.load(place, rows)

    def judge(self, batch: Batch) -> None:
        """Judge a batch, or only take it in."""
        if batch.judge and self._bench.looks_around:
            self.judge(batch._replace(judge=False))
        for place, candle in zip(batch.places, batch.candles, strict=True):
            if batch.judge:
                self._verdicts.append(self._bench.judge(place, candle))
            else:
                self._bench.take(place, candle)

    def collect(self) -> list[Verdict]:
        """The verdicts since the last call."""
        verdicts, self._verdicts = self._verdicts, []
        return verdicts

    def hear(self, account: Mapping[str, Plain]) -> None:
        """Let what is judged and asked from here on see this account."""
        self._bench.hear(account)

    def ask(self, request_id: str, place: int, callback: str, arguments: Mapping[str, Plain]) -> Answer | None:
        """Call the callback."""
        del request_id
        return self._bench.ask(place, callback, _without_objects(arguments))

    def overdue(self, *, busy: bool) -> Overdue | None:
        """Nobody could tell from outside."""
        del busy
        return None

    def in_hand(self) -> None:
        """Nothing: whoever asks has the thread."""

    def kill(self) -> None:
        """There is no process."""


class WorkerHandle:
    """One worker process with its desk. `tell` gets what the child says; the actor passes it to `receive`.

    `may_take_s`: how long it may take until it is ready.
    """

    needs_history = True

    def __init__(
        self,
        config: StrategyConfig,
        pairs: Sequence[str],
        *,
        token: str,
        tell: Callable[[Message], None],
        clock: Callable[[], float],
        surroundings: Surroundings | None = None,
        may_take_s: float = START_S,
    ) -> None:
        self.ready = False
        self._may_take_s = may_take_s
        self._pairs = pairs
        self._deadline_s = config.deadline_ms / 1_000
        self._callback_deadline_s = config.callback_deadline_ms / 1_000
        self._clock = clock
        self._started_at = self._given_at = clock()
        self._batch = 0
        self._seen = 0
        self._shown = Shown()
        self._frames = Frames()
        self._desk, fd = Desk.make(len(pairs))
        try:
            self.child = ChildProcess(
                lambda socket_fd: python_command("actors.judging.worker", str(socket_fd), str(fd), str(os.getpid())),
                token=token,
                tell=tell,
                pass_fds=(fd,),
            )
        finally:
            os.close(fd)
        orders = {
            "name": config.name,
            "parameters": dict(config.parameters),
            "overrides": dict(config.overrides),
            "memory_mb": config.memory_mb,
            "pairs": list(pairs),
            "surroundings": told(surroundings or Surroundings()),
        }
        self.child.send(frame_json(Kind.START, orders))

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self.child.pid

    def receive(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames in what the child said. Raises ValueError on what is none."""
        return self._frames.feed(data)

    def load(self, place: int, rows: Sequence[Candle]) -> None:
        """Send a window's candles."""
        self.child.send(load_frame(place, rows))

    def judge(self, batch: Batch) -> None:
        """Send a batch. One that is to be judged may only follow when the one before is complete or given up."""
        if batch.judge:
            self._batch, self._seen = batch.number, 0
            self._given_at = self._clock()
        self.child.send(judge_frame(batch))

    def collect(self) -> list[Verdict]:
        """The verdicts that have come onto the desk since the last call. Raises StrategyError on a damaged desk."""
        verdicts, self._seen = self._desk.verdicts(self._batch, self._seen)
        return verdicts

    def hear(self, account: Mapping[str, Plain]) -> None:
        """Send what is new of the account."""
        self.child.send(self._shown.frame(account))

    def ask(self, request_id: str, place: int, callback: str, arguments: Mapping[str, Plain]) -> Answer | None:
        """Send a question; the answer comes as a frame."""
        self._given_at = self._clock()
        self.child.send(frame_json(Kind.ASK, [request_id, place, callback, _without_objects(arguments)]))
        return None

    def overdue(self, *, busy: bool) -> Overdue | None:
        """Whether the worker must be given up: too long at one pair, or (while `busy`) at nothing at all."""
        now = self._clock()
        if not self.ready:
            late = now - self._started_at > self._may_take_s
            return Overdue(f"did not start within {self._may_take_s:.0f} s") if late else None
        hand = self.in_hand()
        if hand is not None:
            limit = self._callback_deadline_s if hand.asked else self._deadline_s
            if now - hand.since <= limit:
                return None
            what = "a callback" if hand.asked else "signals()"
            return Overdue(f"{what} took longer than {limit * 1_000:.0f} ms", hand.place, hand.asked)
        still = now - max(self._desk.since(), self._given_at)
        return Overdue("it stands still") if busy and still > self._deadline_s + STANDSTILL_S else None

    def in_hand(self) -> Hand | None:
        """What was in hand when the worker died; None when nothing was."""
        hand = self._desk.hand()
        return hand if hand is not None and 0 <= hand.place < len(self._pairs) else None

    def kill(self) -> None:
        """End the process at once."""
        self.child.kill()


def _without_objects(arguments: Mapping[str, Plain]) -> dict[str, Plain]:
    """Arguments as plain data: a `TradeView` becomes a mapping, as it would on its way to a worker."""
    return {
        name: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        for name, value in arguments.items()
    }
