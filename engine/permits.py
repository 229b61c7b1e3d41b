"""What whoever sends keeps of permits: each is good once, in its time, and its fate is told to the limiter."""

from __future__ import annotations

from engine.messages import PermitsSpent
from engine.ratelimit import read_permit
from engine.types import Millis


class PermitBook:
    """The permits that one sender has used. Those of limiters before `void_before` are not good any more.

    `silent_until`: the exchange wants to hear nothing before.
    """

    def __init__(self) -> None:
        self._epoch = 0
        self.silent_until: Millis = 0
        self._used: dict[str, Millis] = {}
        self._spent: list[tuple[str, Millis]] = []
        self._unused: list[str] = []
        self._sent: list[tuple[str, Millis]] = []
        self._answered: list[tuple[str, Millis]] = []

    def void_before(self, epoch: int) -> bool:
        """A limiter of this epoch gives permits now; False if that is known."""
        newer = epoch > self._epoch
        self._epoch = max(self._epoch, epoch)
        return newer

    def silence(self, until: Millis) -> None:
        """The exchange wants silence: permits given before it said so are not good until then either."""
        self.silent_until = max(self.silent_until, until)

    def spend(self, permit_id: str, now: Millis, *, flies: bool = False) -> bool:
        """Whether the permit is good for one request now; it is not afterwards.

        With `flies` the request's arrival is not known before its answer: tell of that by `answered`.
        """
        permit = read_permit(permit_id)
        if permit is None or permit_id in self._used or now < self.silent_until:
            return False
        epoch, expires = permit
        if epoch < self._epoch or expires < now:
            return False
        self._used[permit_id] = expires
        (self._sent if flies else self._spent).append((permit_id, now))
        return True

    def expires(self, permit_id: str) -> Millis:
        """Until when a permit that was spent lets its request leave."""
        return self._used[permit_id]

    def flies(self, permit_id: str) -> None:
        """The request of a permit that was just spent is on its way: when it arrives is not known before its answer."""
        found = next(spent for spent in reversed(self._spent) if spent[0] == permit_id)
        self._spent.remove(found)
        self._sent.append(found)

    def answered(self, permit_id: str, now: Millis) -> None:
        """The answer to the request that left with this permit is there, or is not waited for any more."""
        self._answered.append((permit_id, now))

    def give_back(self, permit_id: str) -> None:
        """The request will not be sent; a permit that was used stays used."""
        if permit_id not in self._used:
            self._unused.append(permit_id)

    def settle(self, now: Millis) -> PermitsSpent | None:
        """What became of permits since the last call, for the limiter; those that have expired are forgotten."""
        told = PermitsSpent(
            spent=tuple(self._spent),
            unused=tuple(self._unused),
            sent=tuple(self._sent),
            answered=tuple(self._answered),
        )
        self._spent, self._unused, self._sent, self._answered = [], [], [], []
        self._used = {permit_id: expires for permit_id, expires in self._used.items() if expires >= now}
        return told if told != PermitsSpent() else None
