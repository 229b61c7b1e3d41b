"""The root: starts everybody, restarts who crashed, ends the process when that is no answer any more.

Rules
    One for one: an actor's end restarts that actor alone. The wait grows with every end in a row.
    An actor that many share (`shared`) loses what others had asked of it, so its restart is announced
    to all (`EpochAnnounced`), who then ask again.
    Ends past the intensity: one that is nobody's but its own (a pair) is quarantined, which means
    restarted ever more seldom, with an alarm, and never given up, since its position must stay guarded.
    A shared one takes the process with it: status 70, recorded before, for systemd to start it anew;
    start-up is recovery, there is no third way. Where there are several accounts, one that only its
    account shares is quarantined as a pair is: the other accounts must not end with it.

Theory of operation
    Children start in the order of their specs and end in the reverse, those of one kind
    (`pair:…`) together; an account that joins later is started by itself, and ends with the others. First each stage is asked to finish (`Shutdown`, answered with
    `ShutdownDone`) while all it needs still runs; only when all have, or their time was over, are they
    stopped, in the same order. The first child keeps what the others have to say: it is asked last of
    all, when they are gone, so what it finishes is final. Whoever crashes in between is restarted if its
    stage has not come yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from actors.base import Context, EngineActor, Factory, Outbox
from engine.messages import (
    ChildExited,
    Entry,
    EpochAnnounced,
    Message,
    Plain,
    Recorded,
    RecordRefused,
    Shutdown,
    ShutdownDone,
    StateLoaded,
    TimerFired,
)
from engine.naming import account_of, role_of
from engine.restart import Backoff, RestartHistory, RestartPolicy, ended, recovered, started

EXIT_ESCALATED = 70
"""The process's status when an actor that all need cannot be kept alive (sysexits: EX_SOFTWARE)."""

EXIT_AT_ONCE = 130
"""The process's status after a second request to end."""

DEADMAN_PERIOD_MS = 2_000
ESCALATE_WAIT_MS = 2_000
"""How long the end of the process waits for the disk to take down why."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What the root knows of one child.

    `restart`: `permanent` (always), `transient` (after a crash only), `temporary` (never).
    `shutdown_s` is how long it may take to finish what is in flight when all ends.
    """

    name: str
    factory: Factory
    restart: str = "permanent"
    intensity: int = 5
    period_s: float = 60.0
    backoff: Backoff = field(default_factory=Backoff)
    shutdown_s: float = 5.0
    shared: bool = False

    @property
    def kind(self) -> str:
        """`pair` of `pair:BTC/USDT`: those of one kind end together."""
        return role_of(self.name).partition(":")[0]

    @property
    def account(self) -> str:
        """The account it belongs to, empty where all share it."""
        return account_of(self.name)

    @property
    def escalates(self) -> bool:
        """Whether it takes the process with it: without it nobody can trade. One account's actor leaves the others be."""
        return self.shared and not self.account

    @property
    def policy(self) -> RestartPolicy:
        """The same, as the arithmetic wants it."""
        return RestartPolicy(intensity=self.intensity, period_ms=int(self.period_s * 1_000), backoff=self.backoff)


@dataclass(frozen=True, slots=True)
class ChildrenJoined(Message):
    """system → root: start these too, an account's that has come later, and look after them as after the others.

    `joined` is told to `tell` once they are there: whoever hears of an account may tell its actors something.
    """

    specs: tuple[ChildSpec, ...]
    joined: Message
    tell: tuple[str, ...]


@dataclass(slots=True)
class _Child:
    spec: ChildSpec
    history: RestartHistory = field(default_factory=RestartHistory)
    epoch: int = 0
    alive: bool = False
    restarts: int = 0
    ended_by: ChildExited | None = None


class RootActor(EngineActor):
    """Supervisor of all actors; its own crash ends the process."""

    def __init__(self, ctx: Context, children: Sequence[ChildSpec]) -> None:
        super().__init__(ctx)
        self._children = {spec.name: _Child(spec) for spec in children}
        if len(self._children) != len(children):
            raise ValueError("two children have the same name")
        self._steps: list[tuple[str, list[str]]] = []
        self.outbox = Outbox(self)
        self._phase = "run"  # run | finish | stop | ended
        self._step = 0
        self._finished: set[str] = set()
        self._awaited: set[str] = set()
        self._late: list[str] = []
        self._escalation = ""

    def on_start(self) -> None:
        """Start all children, the first first, and keep the dead man from acting."""
        self._rearm_deadman()
        for child in self._children.values():
            self._spawn(child)
            self.ctx.progress()
        if "persistence" in self._children:
            self.outbox.load()

    def status(self) -> dict[str, Plain]:
        """How many children there are, who is down or quarantined, and how often each was restarted."""
        children = self._children.values()
        return {
            "phase": self._phase,
            "children": len(children),
            "down": [child.spec.name for child in children if not child.alive],
            "quarantined": [child.spec.name for child in children if self._quarantined(child)],
            "restarts": {child.spec.name: child.restarts for child in children if child.restarts},
        }

    def on_children_joined(self, message: ChildrenJoined) -> None:
        """Start more children, unless all are ending."""
        if self._phase != "run":
            return
        for spec in message.specs:
            if spec.name not in self._children:
                child = self._children[spec.name] = _Child(spec)
                self._spawn(child)
                self.ctx.progress()
        for name in message.tell:
            self.tell(name, message.joined)

    # ------------------------------------------------------------ ends and restarts

    def on_child_exited(self, message: ChildExited) -> None:
        """A child is gone: wait, then start the next incarnation, unless all are ending or it is hopeless."""
        child = self._children.get(message.name)
        if child is None or message.epoch != child.epoch or not child.alive:
            return
        child.alive = False
        child.ended_by = message
        if message.name in self._finished:
            self._done(message.name)
            return
        wanted = child.spec.restart == "permanent" or (child.spec.restart == "transient" and message.reason)
        if not wanted:
            return
        was_exceeded = self._quarantined(child)
        child.history, restart = ended(child.spec.policy, child.history, self._now_ms())
        if restart.exceeded and child.spec.escalates:
            self._escalate(child, message)
            return
        if restart.exceeded and not was_exceeded:
            self._alarm(child, message)
        self.log.warning("{} will be restarted in {} ms: {}", message.name, restart.delay_ms, message.reason or "ended")
        self.start_timer(f"restart:{message.name}", restart.delay_ms)

    def _restart(self, child: _Child) -> None:
        self._spawn(child)
        child.restarts += 1
        if child.spec.shared:
            announced = EpochAnnounced(name=child.spec.name, epoch=child.epoch)
            account = child.spec.account
            for other in self._children.values():
                concerned = not account or other.spec.account in (account, "")
                if concerned and other is not child and other.alive:
                    self.tell(other.spec.name, announced)
            self.on_epoch_announced(announced)
        self._record(child, "quarantined" if child.history.exceeded else "restarted")

    def _spawn(self, child: _Child) -> None:
        child.epoch = self.ctx.spawn(child.spec.name, child.spec.factory)
        child.alive = True
        child.history = started(child.history, self._now_ms())

    def _quarantined(self, child: _Child) -> bool:
        lives_well = child.alive and recovered(child.spec.policy, child.history, self._now_ms())
        return child.history.exceeded and not lives_well

    def _alarm(self, child: _Child, message: ChildExited) -> None:
        name, spec = message.name, child.spec
        text = (
            f"{name} crashed more than {spec.intensity} times in {spec.period_s:g} s and is restarted ever more seldom;"
            f" the last time: {message.reason}"
        )
        self.log.error(text)
        if "notifier" in self._children:
            self.notify("alarm", "ActorQuarantined", text)

    def _escalate(self, child: _Child, message: ChildExited) -> None:
        spec = child.spec
        self._escalation = f"{spec.name} crashed more than {spec.intensity} times in {spec.period_s:g} s; the last time: {message.reason}"
        self.log.critical("the process ends with status {}: {}", EXIT_ESCALATED, self._escalation)
        self._record(child, "escalated")
        if not self._children.get("persistence", child).alive:
            self._end_escalated()
        else:
            self.start_timer("escalate", ESCALATE_WAIT_MS)

    def _end_escalated(self) -> None:
        self.ctx.request_exit(EXIT_ESCALATED, self._escalation)

    def _record(self, child: _Child, outcome: str) -> None:
        if "persistence" not in self._children or child.ended_by is None:
            return
        body = {
            "name": child.spec.name,
            "epoch": child.epoch,
            "reason": child.ended_by.reason,
            "trace": child.ended_by.trace,
            "outcome": outcome,
        }
        self.outbox.record([Entry(kind="ActorRestarted", ts=self.now(), body=body, stream="ops")])

    # ------------------------------------------------------------ the orderly end

    def on_shutdown(self, message: Shutdown) -> None:  # noqa: ARG002  (`wait` is the answer)
        """End everything in order; asked a second time, at once. Whoever asks sees `wait` return."""
        if self._phase != "run":
            self.ctx.request_exit(EXIT_AT_ONCE, "asked twice to end")
            return
        self._steps = self._order_of_end()
        self._begin_step()

    def _order_of_end(self) -> list[tuple[str, list[str]]]:
        """What is done with whom: kind by kind, the last first."""
        kinds: dict[str, list[str]] = {}
        for child in self._children.values():
            kinds.setdefault(child.spec.kind, []).append(child.spec.name)
        stages = list(kinds.values())[::-1]
        parts = (stages[:-1], stages[-1:])
        return [(phase, names) for part in parts for phase in ("finish", "stop") for names in part]

    def on_shutdown_done(self, message: ShutdownDone) -> None:
        """A child has nothing in flight any more."""
        if self._phase == "finish":
            self._done(message.name)

    def _begin_step(self) -> None:
        while self._step < len(self._steps):
            self._phase, names = self._steps[self._step]
            self._finished.update(names)
            for name in names:
                self.cancel_timer(f"restart:{name}")
            self._awaited = {name for name in names if self._children[name].alive}
            if self._awaited:
                self._ask_to_end(names)
                return
            self._step += 1
        self._end()

    def _ask_to_end(self, names: Sequence[str]) -> None:
        limit_ms = int(max(self._children[name].spec.shutdown_s for name in self._awaited) * 1_000)
        for name in names:
            if name not in self._awaited:
                continue
            if self._phase == "finish":
                self.tell(name, Shutdown(reply_to=self.name, within_ms=limit_ms))
            else:
                self.ctx.stop_child(name)
        self.start_timer("step", limit_ms)

    def _done(self, name: str) -> None:
        if name not in self._awaited:
            return
        self._awaited.remove(name)
        if not self._awaited:
            self._next_step()

    def _next_step(self) -> None:
        self.cancel_timer("step")
        self._step += 1
        self._begin_step()

    def _end(self) -> None:
        self._phase = "ended"
        self._awaited = set()
        late = f"; out of time: {', '.join(self._late)}" if self._late else ""
        self.ctx.request_exit(0, f"ended in order{late}")

    # ------------------------------------------------------------ timers and the journal

    def on_timer_fired(self, message: TimerFired) -> None:
        """Restart who is due, push the dead man back, go on without who is late."""
        what, _, name = message.name.partition(":")
        if what == "deadman":
            self._rearm_deadman()
        elif what == "restart":
            self._restart(self._children[name])
        elif what == "escalate":
            self._end_escalated()
        elif what == "step":
            late = sorted(self._awaited)
            self.log.warning("out of time to {}: {}", self._phase, ", ".join(late))
            self._late += [name for name in late if name not in self._late]
            self._next_step()
        else:
            super().on_timer_fired(message)

    def on_state_loaded(self, message: StateLoaded) -> None:
        """The journal says where our records go on."""
        self.outbox.on_state_loaded(message)

    def on_recorded(self, message: Recorded) -> None:
        """Records are on disk; the end of the process may have waited for that."""
        self.outbox.on_recorded(message)
        if self._escalation and not len(self.outbox):
            self._end_escalated()

    def on_record_refused(self, message: RecordRefused) -> None:
        """The journal did not want a record."""
        self.outbox.on_record_refused(message)

    def _rearm_deadman(self) -> None:
        if self.ctx.rearm_deadman():
            self.start_timer("deadman", DEADMAN_PERIOD_MS)

    def _now_ms(self) -> int:
        return int(self.monotonic() * 1_000)
