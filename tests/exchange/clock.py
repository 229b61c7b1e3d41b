"""The exchange's time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Milliseconds since 1970 as this exchange has them.

    `speed` above 1 lets candles pass quicker than real ones: a minute takes 60 / speed seconds. The exchange's
    time then runs away from everyone else's, so that signed requests are not checked for their timestamp, and
    windows of the rate limits still go by real time (`wall`). `skew_ms` is an error of the exchange's clock
    against ours.
    """

    def __init__(self, speed: float = 1.0, start_ms: int | None = None) -> None:
        self.speed = speed
        self.skew_ms = 0
        self._began = time.time()
        self._moment: int | None = None
        self.start_ms = int(self._began * 1000) if start_ms is None else start_ms

    def now(self) -> int:
        """The exchange's time."""
        return self._ran() if self._moment is None else self._moment

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """All that is done meanwhile happens at once: an order's trades have the time of its answer."""
        self._moment = self._ran()
        try:
            yield
        finally:
            self._moment = None

    def _ran(self) -> int:
        return self.start_ms + self.skew_ms + int((time.time() - self._began) * 1000 * self.speed)

    @staticmethod
    def wall() -> float:
        """Real seconds, for rate limits and delays."""
        return time.time()

    def until(self, moment_ms: int) -> float:
        """How many real seconds it is until the exchange's time is `moment_ms`."""
        return max(0.0, (moment_ms - self.now()) / 1000 / self.speed)

    def facts(self) -> dict[str, float]:
        """What a client needs to keep the same time."""
        return {
            "now": self.now(),
            "wall": self.wall(),
            "speed": self.speed,
            "start": self.start_ms,
            "began": self._began,
            "skew_ms": self.skew_ms,
        }
