"""The rate limiter's actor: gives permits by `engine.ratelimit`, to whoever asks, the urgent first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from actors.base import Context, EngineActor
from engine.messages import (
    AcquirePermit,
    PermitDenied,
    PermitGranted,
    PermitsSpent,
    Plain,
    ReportUsage,
    TimerFired,
    UsageReported,
)
from engine.ratelimit import Denied, Grant, Limits, RateLimiter, Wait

ASK_MS: Final = 1_000
"""So often the gateway is asked for the exchange's counts until they are known."""

KEY_QUIET_MS: Final = 60_000
"""A key that is refused again within so long of the last time is the same trouble, which the user knows."""

KEY_AGAIN_MS: Final = 3_600_000
"""But he is told again after so long."""


class RateLimiterActor(EngineActor):
    """Owns the permit pools of one account.

    A new incarnation knows nothing of what is used: until the gateway has reported it, or a window has
    ended, only the restart share is given. What waited with the old one is asked again by its sender.
    `neighbours` are the limiters of other accounts at the same exchange: when it wants silence, it means all.
    """

    def __init__(
        self, ctx: Context, limits: Limits, *, gateway: str = "gateway", neighbours: Sequence[str] = ()
    ) -> None:
        super().__init__(ctx)
        self._limiter = RateLimiter(limits, epoch=ctx.epoch)
        self._gateway = gateway
        self._neighbours = tuple(neighbours)
        self._askers: dict[str, str] = {}
        self._counts = {"granted": 0, "waited": 0, "denied": 0}
        self._key_told_at = self._key_told_until = 0

    def on_start(self) -> None:
        """Ask what the exchange has counted; at the very start the gateway, which starts later, says so by itself."""
        if self.epoch == 1:
            self.start_timer("usage", ASK_MS)
        else:
            self._ask_usage()

    def status(self) -> Mapping[str, Plain]:
        """How many permits were given, had to wait, were denied; and each pool's use."""
        return {**self._counts, "pools": self._limiter.usage()}

    def _ask_usage(self) -> None:
        if not self._limiter.is_known:
            self.tell(self._gateway, ReportUsage(epoch=self.epoch, reply_to=self.name))
            self.start_timer("usage", ASK_MS)

    # ------------------------------------------------------------ permits

    def on_acquire_permit(self, message: AcquirePermit) -> None:
        """Grant, deny, or let it wait."""
        outcome = self._limiter.acquire(
            message.request_id, message.request, message.priority, self.now(), message.not_after, message.reserve
        )
        if isinstance(outcome, Wait):
            if message.request_id not in self._askers:
                self._counts["waited"] += 1
            self._askers[message.request_id] = message.reply_to
        else:
            self._askers.pop(message.request_id, None)
            self._decide(message.reply_to, outcome)

    def on_permits_spent(self, message: PermitsSpent) -> None:
        """What became of permits; what comes back may serve others."""
        for permit_id, at in message.spent:
            self._limiter.spent(permit_id, at)
        for permit_id, at in message.sent:
            self._limiter.sent(permit_id, at)
        for permit_id, at in message.answered:
            self._limiter.answered(permit_id, at)
        for permit_id in message.unused:
            self._limiter.release(permit_id)
        for permit_id in message.unfollowed:
            self._limiter.unfollowed(permit_id)

    def on_usage_reported(self, message: UsageReported) -> None:
        """The exchange knows better; and it may want silence."""
        now = self.now()
        if message.used is not None:
            self._limiter.report(message.pool, message.used, now, message.sent_at)
        if message.retry_after_ms:
            self._limiter.penalize(now + message.retry_after_ms, signed=message.signed)
            for neighbour in () if message.passed_on or message.signed else self._neighbours:
                self.tell(neighbour, replace(message, used=None, passed_on=True))
            if message.passed_on:
                return  # whom it was said to has told the user
            if message.signed:
                self._tell_of_key(message)
                return
            what = "has banned us" if message.banned else "wants silence"
            text = f"the exchange {what} for {message.retry_after_ms / 1_000:g} s: nothing is sent until then"
            text += f" ({message.why})" if message.why else ""
            severity = "alarm" if message.banned else "warning"
            self.notify(severity, "rate_limit", text)

    def _tell_of_key(self, message: UsageReported) -> None:
        """A key that is refused is an alarm, once: until it is taken again, no order and no cancel can leave."""
        now = self.now()
        if now >= self._key_told_until:
            text = (
                "the exchange refuses our key: no order can leave, and only the stops that stand at the exchange guard;"
                f" it is tried again each {message.retry_after_ms / 1_000:g} s"
            )
            self.notify("alarm", "rate_limit", text + (f" ({message.why})" if message.why else ""))
            self._key_told_at = now
        self._key_told_until = min(now + KEY_QUIET_MS, self._key_told_at + KEY_AGAIN_MS)

    def on_timer_fired(self, message: TimerFired) -> None:
        """Ask for usage again; `poll` needs nothing but the batch's end."""
        if message.name == "usage":
            self._ask_usage()

    def on_batch_end(self) -> None:
        """Serve who waits, as far as that goes, and see when it may go on."""
        if not self._askers:
            return
        for decided in self._limiter.poll(self.now()):
            asker = self._askers.pop(decided.request_id, None)
            if asker is not None:
                self._decide(asker, decided)
        at = self._limiter.next_at()
        if at is not None:
            self.start_timer("poll", max(1, at - self.now()), market=True)

    def _decide(self, asker: str, decided: Grant | Denied) -> None:
        if isinstance(decided, Grant):
            self._counts["granted"] += 1
            granted = PermitGranted(request_id=decided.request_id, permit_id=decided.permit_id, expires=decided.expires)
            self.tell(asker, granted)
        else:
            self._counts["denied"] += 1
            self.tell(asker, PermitDenied(request_id=decided.request_id, reason=decided.reason))
