"""What whoever sends keeps of permits: each is good once, in its time, and its fate is told to the limiter."""

from __future__ import annotations

from engine.ratelimit import read_permit
from engine.types import Millis


class PermitBook:
    """The permits that one sender has used. Those of limiters before `void_before` are not good any more."""

    def __init__(self) -> None:
        self._epoch = 0
        self._used: dict[str, Millis] = {}
        self._spent: list[tuple[str, Millis]] = []
        self._unused: list[str] = []

    def void_before(self, epoch: int) -> bool:
        """A limiter of this epoch gives permits now; False if that is known."""
        newer = epoch > self._epoch
        self._epoch = max(self._epoch, epoch)
        return newer

    def spend(self, permit_id: str, now: Millis) -> bool:
        """Whether the permit is good for one request now; it is not afterwards."""
        permit = read_permit(permit_id)
        if permit is None or permit_id in self._used:
            return False
        epoch, expires = permit
        if epoch < self._epoch or expires < now:
            return False
        self._used[permit_id] = expires
        self._spent.append((permit_id, now))
        return True

    def give_back(self, permit_id: str) -> None:
        """The request will not be sent; a permit that was used stays used."""
        if permit_id not in self._used:
            self._unused.append(permit_id)

    def settle(self, now: Millis) -> tuple[tuple[tuple[str, Millis], ...], tuple[str, ...]]:
        """(spent with their times, unused) since the last call; permits that have expired are forgotten."""
        settled = tuple(self._spent), tuple(self._unused)
        self._spent, self._unused = [], []
        self._used = {permit_id: expires for permit_id, expires in self._used.items() if expires >= now}
        return settled
