"""Funding that was paid or taken, read for all pairs at once: a read of it costs much where exchanges count by weight."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from actors.venues.capabilities import Capability
from actors.venues.live.requests import Requests, Turns
from actors.venues.live.words import payment_of, rows, text
from actors.venues.trading import Remark
from engine.messages import FundingPaid
from engine.types import Millis

MISSED_MS: Final = 3 * 86_400_000
"""What was refused is told from so long ago on: of later payments each trade still knows which it has booked."""

AGAIN_S: Final = 60.0
"""What was refused is asked for again so much later."""

SHARED_S: Final = 10.0
"""A read serves whoever asks so long after it; that something was paid meanwhile is told by the stream (`stale`)."""


REMEMBERED_S: Final = 3_600.0
"""A read goes back to the earliest that anybody has asked for in so long: trades that were open before are over."""


class _Earliest:
    """The earliest moment asked for within the last `REMEMBERED_S`, or within twice that."""

    def __init__(self) -> None:
        self._recent: Millis | None = None
        self._before: Millis | None = None
        self._at = float("-inf")

    def asked(self, since: Millis, now: float) -> Millis:
        """Somebody asks for what came after `since`; the earliest of all."""
        if now - self._at > REMEMBERED_S:
            self._before, self._recent, self._at = self._recent, None, now
        self._recent = since if self._recent is None else min(since, self._recent)
        return self._recent if self._before is None else min(self._recent, self._before)


class Payments:
    """The funding of one account; on the connection's loop. `clock` is a steady one, in seconds.

    Where everybody's payments are more than a page, or cannot be asked for, they are read pair by pair. Where a pair's
    are refused, nobody knows whether there are any: `put` tells the user, they are read again until they are there, and
    are told then, whatever trade they were for: the one that the pair has by then may be another one.
    """

    def __init__(
        self,
        requests: Requests,
        ability: Capability,
        put: Callable[[Remark | FundingPaid], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._earliest = _Earliest()
        self._requests = requests
        self._put = put
        self._unread: dict[str, Millis] = {}
        self.again_s = AGAIN_S
        self._page = ability.lists.page
        self._turns = Turns()
        self._at = float("-inf")
        self._news = 0
        self._since: Millis | None = None
        self._told: tuple[FundingPaid, ...] | None = None
        self._why = ""

    def stale(self) -> None:
        """Something was paid: what was read is too old for everybody."""
        self._at = float("-inf")
        self._news += 1

    async def of(self, pair: str, since: Millis) -> tuple[FundingPaid, ...]:
        """What was paid for a pair since then, in the order of time."""
        if not self._requests.connection.trading.has.get("fetchFundingHistory"):
            return ()
        async with self._turns.of("payments"):
            at, told = self._clock(), self._told
            earliest = self._earliest.asked(since, at)
            if self._since is None or since < self._since or at - self._at > SHARED_S:
                news = self._news
                told = await self._read(None, earliest)
                # What was read and since when, together: others read meanwhile.
                self._told, self._since = told, earliest
                self._at = at if news == self._news else float("-inf")
        if told is None:
            told = await self._read(pair, since)
            if told is None:
                self._missed(pair, since)
                return ()
        mine = [paid for paid in told if paid.pair == pair and paid.ts >= since]
        return tuple(sorted(mine, key=lambda paid: paid.ts))

    def _missed(self, pair: str, since: Millis) -> None:
        if pair not in self._unread:
            text = (
                f"the funding of {pair} cannot be read ({self._why}): its profit misses what was paid until it can be"
            )
            self._put(Remark("warning", "funding_unread", text))
        since = max(since, self._requests.connection.now() - MISSED_MS)
        self._unread[pair] = min(since, self._unread.get(pair, since))

    async def read_again(self) -> list[str]:
        """Try again what was refused, until the first refusal, and tell what was missed; the pairs that can be read now.

        These look besides: who is just being recovered takes no payment but from his look.
        """
        found = []
        for pair, since in list(self._unread.items()):
            told = await self._read(pair, since)
            if told is None:  # all are mostly refused alike, and each read costs much: another one is first next time
                self._unread[pair] = self._unread.pop(pair)
                break
            del self._unread[pair]
            found.append(pair)
            for paid in sorted(told, key=lambda paid: paid.ts):
                self._put(paid)
        if found:
            self.stale()
            text = f"the funding of {', '.join(found)} can be read again: what was missed is booked"
            self._put(Remark("info", "funding_unread", text))
        return found

    async def _read(self, pair: str | None, since: Millis) -> tuple[FundingPaid, ...] | None:
        """Everybody's payments, or a pair's; None where they are refused, and everybody's where one page does not hold them."""
        function = self._requests.connection.trading.fetch_funding_history
        answer = await self._requests.read("funding_history", function, pair, since, self._page, pair=pair or "*")
        told = rows(answer.value)
        if answer.failure is not None:
            self._why = answer.failure.reason
            return None
        if pair is None and len(told) >= self._page:
            return None
        found = (payment_of(one, pair or text(one.get("symbol"))) for one in told if isinstance(one, Mapping))
        return tuple(paid for paid in found if paid is not None)
