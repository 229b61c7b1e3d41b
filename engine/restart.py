"""How often an actor may be restarted, how long to wait before, and when that is no answer any more.

Rules
    Restart intensity is OTP's: more than `intensity` ends within `period_ms` is too much.
    The wait doubles with every end in a row, up to a cap. A row is over when an incarnation has lived
    for `period_ms`; then everything is forgotten.
    What too much means is not decided here: `exceeded` says it, the supervisor acts on it.

All times are milliseconds of a clock that only goes forward.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """The wait before a restart: `first_ms`, then `factor` times as long each time, at most `cap_ms`."""

    first_ms: int = 100
    factor: int = 2
    cap_ms: int = 60_000

    def delay_ms(self, streak: int) -> int:
        """The wait after the `streak`-th end in a row, which counts from 1."""
        doublings = min(streak - 1, 64)  # 2**64 is past any cap, and a longer number is of no use
        return int(min(self.cap_ms, self.first_ms * self.factor**doublings))


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """What a supervisor allows one child."""

    intensity: int = 5
    period_ms: int = 60_000
    backoff: Backoff = Backoff()


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartHistory:
    """What is remembered of one child's ends: those within the period, and how many in a row."""

    started_ms: int = 0
    ends_ms: tuple[int, ...] = ()
    streak: int = 0
    exceeded: bool = False


@dataclass(frozen=True, slots=True)
class Restart:
    """The answer to an end: start again in `delay_ms`; `exceeded` when the intensity has been passed."""

    delay_ms: int
    exceeded: bool


def started(history: RestartHistory, now_ms: int) -> RestartHistory:
    """Take down that an incarnation starts now."""
    return replace(history, started_ms=now_ms)


def recovered(policy: RestartPolicy, history: RestartHistory, now_ms: int) -> bool:
    """Whether the present incarnation has lived long enough for what was before it to be forgotten."""
    return now_ms - history.started_ms >= policy.period_ms


def ended(policy: RestartPolicy, history: RestartHistory, now_ms: int) -> tuple[RestartHistory, Restart]:
    """Take down that the child's incarnation has ended unasked, and say when to start the next.

    `exceeded` stays until an incarnation has lived for the period: waits longer than the period
    must not make a child that always crashes look like one that crashes seldom.
    """
    if recovered(policy, history, now_ms):
        history = RestartHistory(started_ms=history.started_ms)
    ends = (*(at for at in history.ends_ms if now_ms - at < policy.period_ms), now_ms)
    exceeded = history.exceeded or len(ends) > policy.intensity
    streak = history.streak + 1
    after = replace(history, ends_ms=ends[-policy.intensity - 1 :], streak=streak, exceeded=exceeded)
    return after, Restart(policy.backoff.delay_ms(streak), exceeded)
