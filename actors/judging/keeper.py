"""An actor that keeps one worker process: hires it, listens to it, replaces it when it has to go."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Final

import orjson

from actors.base import Context, EngineActor
from actors.judging.bench import Answer, Bench, Judging
from actors.judging.handle import Handle, InlineHandle, WorkerHandle, start_s
from actors.judging.loader import StrategyMaker
from actors.judging.protocol import Kind
from actors.outbox import Outbox
from actors.processes import ChildEnded, ChildPrinted, ChildSaid
from engine.messages import Entry, Message, Plain, RecordRefused, StateLoaded, TimerFired
from engine.settings import StrategyConfig
from engine.strategy import Surroundings

HIRE_MS: Final = 250
HIRE_MS_MAX: Final = 30_000
LINES_MAX: Final = 20
LINE_MAX: Final = 500

BenchFactory = Callable[[StrategyConfig, Sequence[str], Surroundings], Judging]


def windowed_bench(config: StrategyConfig, pairs: Sequence[str], surroundings: Surroundings) -> Judging:
    """The bench that judges inside the bot: windows that grow candle by candle, as in a worker."""
    return Bench(StrategyMaker(config.name, config.parameters, config.overrides, surroundings), pairs)


class WorkerKeeper(EngineActor, abc.ABC):
    """The part of a judge that has a worker; what the worker is for is the subclass's business.

    A worker that ends before it was ready (a strategy that does not load) is replaced after a pause
    that doubles each time; any other at once. The time in which it must be ready doubles too, up to two minutes: on a
    machine with too much to do none would ever be.
    """

    def __init__(
        self,
        ctx: Context,
        pairs: Sequence[str],
        config: StrategyConfig,
        bench: BenchFactory,
        surroundings: Surroundings,
    ) -> None:
        super().__init__(ctx)
        self.pairs = tuple(pairs)
        self.config = config
        self.handle: Handle | None = None
        self.hired = 0
        self.outbox = Outbox(self)
        self._bench = bench
        self._surroundings = surroundings
        self._stumbles = 0

    # ------------------------------------------------------------ for the subclass

    @abc.abstractmethod
    def worker_hired(self) -> None:
        """There is a new worker: its windows are empty, and it may not be ready yet."""

    @abc.abstractmethod
    def worker_heard(self) -> None:
        """The worker has said something: there may be verdicts, or it has become ready."""

    @abc.abstractmethod
    def worker_answered(self, request_id: str, answer: Answer) -> None:
        """The worker has answered a question."""

    @abc.abstractmethod
    def worker_lost(self, reason: str, place: int | None, *, asked: bool, ready: bool) -> None:
        """The worker is gone: take back what it had. `place` was in hand; `ready` says if it ever worked."""

    # ------------------------------------------------------------ life

    def on_start(self) -> None:
        """Hire the first worker."""
        self.outbox.load()
        self.hire()

    def release(self) -> None:
        """No worker outlives its keeper."""
        if self.handle is not None:
            self.handle.kill()

    def hire(self) -> None:
        """Start a worker, or with `workers = 0` make a bench in here."""
        self.hired += 1
        if self.config.workers == 0:
            self.handle = InlineHandle(self._bench(self.config, self.pairs, self._surroundings))
        else:
            token = f"{self.name}/{self.epoch}/{self.hired}"
            self.handle = WorkerHandle(
                self.config,
                self.pairs,
                token=token,
                tell=self._tell_myself,
                clock=self.monotonic,
                surroundings=self._surroundings,
                may_take_s=start_s(self._stumbles),
            )
        self.worker_hired()

    def replace(self, reason: str, place: int | None = None, *, asked: bool = False) -> None:
        """Kill the worker and hire another; the pair at `place` was in hand, for a question if `asked`."""
        handle, self.handle = self.handle, None
        if handle is None:
            return
        handle.kill()
        pair = "" if place is None else self.pairs[place]
        self.log.warning("the worker is replaced: {}{}", f"{pair}: " if pair else "", reason)
        self.note("WorkerReplaced", {"judge": self.name, "reason": reason, "pair": pair})
        self.worker_lost(reason, place, asked=asked, ready=handle.ready)
        if handle.ready:
            self.hire()
        else:
            self.start_timer("hire", min(HIRE_MS_MAX, HIRE_MS << self._stumbles))
            self._stumbles += 1

    def note(self, kind: str, body: dict[str, Plain]) -> None:
        """Put an operational event into the journal."""
        self.outbox.record((Entry(kind=kind, ts=self.now(), body=body, stream="ops"),))

    def _tell_myself(self, message: Message) -> None:
        self.ctx.tell(self.name, message)

    # ------------------------------------------------------------ handlers

    def on_child_said(self, message: ChildSaid) -> None:
        """Frames of the worker; anything that is none means that it is not ours any more."""
        handle = self.handle
        if not isinstance(handle, WorkerHandle) or message.token != handle.child.token:
            return
        try:
            for kind, body in handle.receive(message.data):
                self._on_frame(handle, kind, body)
        except (ValueError, TypeError) as error:
            self.replace(f"it said what makes no sense ({error})")
            return
        self.worker_heard()

    def _on_frame(self, handle: WorkerHandle, kind: int, body: bytes) -> None:
        if kind == Kind.READY:
            handle.ready = True
            self._stumbles = 0
        elif kind == Kind.ANSWER:
            request_id, answer, failed, custom_data, wishes = orjson.loads(body)
            said = Answer(answer, str(failed), custom_data=custom_data, wishes=wishes)
            self.worker_answered(str(request_id), said)
        elif kind == Kind.BROKEN:
            text = f"the strategy cannot be loaded: {orjson.loads(body)}"
            self.log.error(text)
            self.notify("alarm", "strategy", text)

    def on_child_printed(self, message: ChildPrinted) -> None:
        """What a strategy prints is the log's, in bounded measure."""
        lines = message.text.splitlines()
        for line in lines[:LINES_MAX]:
            self.log.info("printed: {}", line[:LINE_MAX])
        if len(lines) > LINES_MAX:
            self.log.info("printed: … and {} more lines", len(lines) - LINES_MAX)

    def on_child_ended(self, message: ChildEnded) -> None:
        """The worker is gone by itself: the pair that was in hand has ended it."""
        handle = self.handle
        if not isinstance(handle, WorkerHandle) or message.token != handle.child.token:
            return
        self.worker_heard()  # what it had finished before is on the desk
        if self.handle is handle:
            hand = handle.in_hand()
            self.replace(message.how, None if hand is None else hand.place, asked=hand is not None and hand.asked)

    def on_timer_fired(self, message: TimerFired) -> None:
        """Try again to hire."""
        if message.name == "hire":
            self.hire()
        else:
            super().on_timer_fired(message)

    def on_state_loaded(self, message: StateLoaded) -> None:
        """The journal says where our records go on."""
        self.outbox.on_state_loaded(message)

    def on_record_refused(self, message: RecordRefused) -> None:
        """The journal would not take an event; the outbox knows what to do."""
        self.outbox.on_record_refused(message)
