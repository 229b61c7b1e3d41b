"""The notifier's end of what goes to the user's own targets: a bag each, one process that sends, outcomes for the journal."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from actors.processes import ChildEnded, ChildProcess, ChildSaid, python_command
from engine.delivering import Held, Mailbag, wants, written
from engine.messages import Entry, Message, Notify
from engine.settings import NotifyConfig

PATIENCE_S: Final = 5.0
"""How much longer than its own time-out the process may be silent before it is ended."""

RESTART_S: Final = (0.5, 2.0, 10.0, 60.0)
_PASSED_ON: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE")


class Owner(Protocol):
    """What a mail room needs of its actor."""

    name: str
    epoch: int

    @property
    def ctx(self) -> Any: ...

    @property
    def log(self) -> Any: ...

    def monotonic(self) -> float: ...

    def now(self) -> int: ...

    def start_timer(self, name: str, delay_ms: int, *, market: bool = False) -> None: ...


class Mailroom:
    """Delivers to `addresses` (by target's name) what each target wants; nothing here waits for the world.

    `record` gets an entry a notice and target once its fate is known: sent, failed or dropped.
    """

    TIMER: Final = "mail"

    def __init__(
        self,
        actor: Owner,
        config: NotifyConfig,
        addresses: Mapping[str, Sequence[str]],
        record: Callable[[Entry], None],
    ) -> None:
        self._actor = actor
        self._config = config
        self._addresses = addresses
        self._record = record
        self._targets = {target["name"]: target for target in config.targets}
        self._bags = {
            name: Mailbag(batch_ms=config.batch_ms, attempts=config.attempts, limit=config.queue)
            for name in self._targets
        }
        self._child: ChildProcess | None = None
        self._starts = 0
        self._failed_starts = 0
        self._start_at = 0.0
        self._received = b""
        self._number = 0
        self._sent: dict[int, tuple[str, float]] = {}
        self.counts = {"delivered": 0, "failed": 0, "dropped": 0, "attempts": 0}

    def waiting(self) -> int:
        """How many notices are not delivered yet."""
        return sum(len(bag) for bag in self._bags.values())

    def post(self, notice: Notify) -> None:
        """Take a notice for every target that wants it."""
        now = self._now_ms()
        for name, target in self._targets.items():
            if wants(target, notice):
                dropped = self._bags[name].add(notice, now)
                if dropped is not None:
                    self._close(name, (dropped,), "dropped", f"more than {self._config.queue} waited", 0)

    def hurry(self) -> None:
        """Send all that waits now."""
        for bag in self._bags.values():
            bag.hurry()
        self.pump()

    def pump(self) -> None:
        """Send what is due, and set the clock for what is not."""
        now = self._now_ms()
        self._end_silent()
        for name, bag in self._bags.items():
            if self._ready() and (held := bag.take(now)):
                self._send(name, held)
        times = [at for bag in self._bags.values() if (at := bag.next_at()) is not None]
        if times and self._child is None:
            times = [max(*times, round(self._start_at * 1_000))]
        times += [round(until * 1_000) for _, until in self._sent.values()]
        if times:
            self._actor.start_timer(self.TIMER, max(1, min(times) - now))

    def heard(self, message: ChildSaid) -> None:
        """The process answers."""
        if self._child is None or message.token != self._child.token:
            return
        self._failed_starts = 0
        *lines, self._received = (self._received + message.data).split(b"\n")
        for line in lines:
            answer = json.loads(line)
            name, _ = self._sent.pop(answer["number"], ("", 0.0))
            if name:
                self._answered(name, answer["why"])
        self.pump()

    def ended(self, message: ChildEnded) -> None:
        """The process is gone: what it had under way has failed, and it is started again when it is needed."""
        if self._child is None or message.token != self._child.token:
            return
        self._child = None
        self._start_at = self._actor.monotonic() + RESTART_S[min(self._failed_starts, len(RESTART_S) - 1)]
        self._failed_starts += 1
        sent, self._sent = self._sent, {}
        for name, _ in sent.values():
            self._answered(name, f"the sending process is gone: {message.how}")
        self.pump()

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.kill()
            self._child.join(2.0)

    def drop(self, why: str) -> None:
        """Give up all that waits."""
        for name, bag in self._bags.items():
            attempts = bag.attempts
            self._close(name, bag.empty(), "dropped", why, attempts)

    # ------------------------------------------------------------ inside

    def _now_ms(self) -> int:
        return int(self._actor.monotonic() * 1_000)

    def _ready(self) -> bool:
        if self._child is not None:
            return True
        if self._actor.monotonic() < self._start_at:
            return False
        self._starts += 1
        actor = self._actor
        tell: Callable[[Message], None] = lambda said: actor.ctx.tell(actor.name, said)  # noqa: E731
        self._child = ChildProcess(
            lambda fd: python_command("actors.notifying.sender", str(fd), str(os.getpid())),
            token=f"{actor.name}:{actor.epoch}.{self._starts}",
            tell=tell,
        )
        self._received = b""
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        addresses = {name: list(urls) for name, urls in self._addresses.items()}
        self._say({"targets": addresses, "timeout_s": self._config.timeout_s, "environment": environment})
        return True

    def _say(self, line: Mapping[str, Any]) -> None:
        assert self._child is not None
        self._child.send(json.dumps(line).encode() + b"\n")

    def _send(self, name: str, held: tuple[Held, ...]) -> None:
        self._number += 1
        self.counts["attempts"] += 1
        severity, title, body = written(tuple(h.notice for h in held))
        self._sent[self._number] = (name, self._actor.monotonic() + self._config.timeout_s + PATIENCE_S)
        message = {"number": self._number, "target": name, "severity": severity, "title": title, "body": body}
        self._say(message)

    def _end_silent(self) -> None:
        now = self._actor.monotonic()
        if self._child is not None and any(until <= now for _, until in self._sent.values()):
            self._child.kill()  # its end is told, and answers for what it had
            self._sent = {number: (name, now + PATIENCE_S) for number, (name, _) in self._sent.items()}

    def _answered(self, name: str, why: str) -> None:
        bag, now = self._bags[name], self._now_ms()
        attempts = bag.attempts
        if not why:
            if bag.failing:
                self._actor.log.info("notices to {} go out again", name)
            self._close(name, bag.arrived(now), "sent", "", attempts)
            return
        if not bag.failing:
            self._actor.log.warning("notices to {} fail and are tried again: {}", name, why)
        self._close(name, bag.failed(now), "failed", why, attempts)

    def _close(self, name: str, held: Sequence[Held], outcome: str, reason: str, attempts: int) -> None:
        """Put the fate of notices on record."""
        counted = {"sent": "delivered"}.get(outcome, outcome)
        now = self._now_ms()
        for one in held:
            self.counts[counted] += 1
            notice = one.notice
            body = {
                "target": name,
                "event": notice.event,
                "severity": notice.severity,
                "text": notice.text,
                "outcome": outcome,
                "reason": reason,
                "attempts": attempts,
                "waited_ms": now - one.since,
            } | ({"account": notice.account} if notice.account else {})
            self._record(Entry(kind="NoticeDelivered", ts=self._actor.now(), body=body, stream="ops"))
