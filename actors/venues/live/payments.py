"""Funding that was paid or taken, read for all pairs at once: a read of it costs much where exchanges count by weight.

Rules
    A list of payments is read to its end, in windows and pages (`FundingRule`), or not at all.
    Nobody waits long for it, and it waits behind all that is more urgent: who looks may have a stop to place, and what was
    paid can be booked later. What could not be told in time is read again until it is there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from actors.venues.capabilities import Call, Capability
from actors.venues.exchange_rules import DAY_MS, sized
from actors.venues.live.failure import Verdict
from actors.venues.live.paging import Pages
from actors.venues.live.requests import URGENCY, Requests
from actors.venues.live.words import payment_of, rows, text
from actors.venues.trading import Remark
from engine.messages import FundingPaid
from engine.types import Millis, Priority

MISSED_MS: Final = 3 * DAY_MS
"""What was refused is told from so long ago on: of later payments each trade still knows which it has booked."""

HISTORY_MS: Final = 89 * DAY_MS
"""Most exchanges tell what was paid in the last three months, and refuse a time before."""

AGAIN_S: Final = 60.0
"""What was refused is asked for again so much later."""

PATIENCE_S: Final = 2.0
"""So long whoever asks waits; a look with a stop to place has to wait for nothing else that could be told later."""

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


class _Reading(NamedTuple):
    """What is being read for a pair, since when, and after how many news."""

    since: Millis
    news: int
    task: asyncio.Task[tuple[FundingPaid, ...] | None]


class Payments:
    """The funding of one account; on the connection's loop. `clock` is a steady one, in seconds.

    Where everybody's payments cannot be asked for, they are read pair by pair. Where a pair's are refused, or are not
    told, nobody knows whether there are any: they are read again until they are there, and are told then, whatever
    trade they were for: the one that the pair has by then may be another one. `put` tells the user, of a refusal at
    once, of what is merely late when it still cannot be read after `again_s`.

    `patience_s` is `PATIENCE_S`, which a test may change.
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
        self._said: set[str] = set()
        self._odd: set[str] = set()
        self.again_s = AGAIN_S
        self.patience_s = PATIENCE_S
        self._rule = ability.funding
        self._readings: dict[str, _Reading] = {}
        self._turn = asyncio.Lock()
        self._at = float("-inf")
        self._news = 0
        self._since: Millis | None = None
        self._told: tuple[FundingPaid, ...] | None = None
        self._why, self._is_refused = "", False

    def stale(self) -> None:
        """Something was paid: what was read is too old for everybody."""
        self._at = float("-inf")
        self._news += 1

    async def of(self, pair: str, since: Millis) -> tuple[FundingPaid, ...]:
        """What was paid for a pair since then, in the order of time; what cannot be told in time is missed here, and told later."""
        if not self._requests.connection.trading.has.get("fetchFundingHistory"):
            return ()
        task = self._reading(pair, since)
        done, _ = await asyncio.wait({task}, timeout=self.patience_s)
        told = task.result() if done else None
        if told is None:
            self._miss(pair, since)
            if done and self._is_refused:
                self._say(pair)
            return ()
        return _of_pair(told, pair, since)

    def _reading(self, pair: str, since: Millis) -> asyncio.Task[tuple[FundingPaid, ...] | None]:
        """The task that reads a pair's payments; it goes on, for everybody, when whoever asked waits no longer."""
        known = self._readings.get(pair)
        if known is None or known.task.done() or known.since > since or known.news != self._news:
            known = _Reading(since, self._news, asyncio.create_task(self._read_for(pair, since)))
            self._readings[pair] = known
        return known.task

    async def _read_for(self, pair: str, since: Millis) -> tuple[FundingPaid, ...] | None:
        """The payments of a pair, and maybe others', since then or before; None where they are not known."""
        URGENCY.set(Priority.RECONCILE)  # whoever asks: no exit waits behind this
        told = None
        if self._rule.of != "pair":
            async with self._turn:
                told = await self._shared(since)
        return await self._read(pair, since) if told is None and self._rule.of != "account" else told

    async def _shared(self, since: Millis) -> tuple[FundingPaid, ...] | None:
        at, told = self._clock(), self._told
        earliest = self._earliest.asked(since, at)
        if self._since is None or since < self._since or at - self._at > SHARED_S:
            news = self._news
            told = await self._read(None, earliest)
            self._told, self._since = told, earliest
            self._at = at if news == self._news else float("-inf")
        return told

    def _miss(self, pair: str, since: Millis) -> None:
        since = max(since, self._requests.connection.now() - MISSED_MS)
        self._unread[pair] = min(since, self._unread.get(pair, since))

    def _say(self, pair: str) -> None:
        if pair not in self._said:
            self._said.add(pair)
            text = (
                f"the funding of {pair} cannot be read ({self._why}): its profit misses what was paid until it can be"
            )
            self._put(Remark("warning", "funding_unread", text))

    async def read_again(self) -> list[str]:
        """Try again what was missed, until the first failure, and tell it; the pairs that can be read now.

        These look besides: who is just being recovered takes no payment but from his look.
        """
        found, said = [], []
        if self._unread and self._told is None:
            self.stale()  # everybody's are tried again too: one read of them serves all
        for pair, since in list(self._unread.items()):
            told = await self._reading(pair, since)
            if told is None:  # all are mostly refused alike, and each read costs much: another one is first next time
                self._unread[pair] = self._unread.pop(pair)
                self._say(pair)
                break
            del self._unread[pair]
            found.append(pair)
            if pair in self._said:
                self._said.discard(pair)
                said.append(pair)
            for paid in _of_pair(told, pair, since):
                self._put(paid)
        if said:
            text = f"the funding of {', '.join(said)} can be read again: what was missed is booked"
            self._put(Remark("info", "funding_unread", text))
        return found

    async def _read(self, pair: str | None, since: Millis) -> tuple[FundingPaid, ...] | None:
        """Everybody's payments, or a pair's, in windows of time; None where one of them cannot be read to its end."""
        now, window_ms = self._requests.connection.now(), self._rule.window_ms
        since = max(since // 1_000 * 1_000, now - HISTORY_MS)  # Gate counts in seconds
        found: dict[str, FundingPaid] = {}
        while True:
            end = now if window_ms is None else since + window_ms - 1
            answer = await self._requests.once(
                "funding_history", self._pages(pair, since, end if end < now else None), pair=pair or "*"
            )
            if answer.failure is not None:
                self._why, self._is_refused = answer.failure.reason, answer.failure.verdict is Verdict.REFUSED
                return None
            self._take(rows(answer.value), pair, since, found)
            if end >= now:
                return tuple(found.values())
            since = end + 1

    def _pages(self, pair: str | None, since: Millis, until: Millis | None) -> Pages:
        """A window's list, each row by its own name."""

        async def fetch(*args: Any, params: Mapping[str, Any]) -> Any:
            told = await self._requests.connection.trading.fetch_funding_history(*args, params=params)
            return [_named(one, pair) for one in told] if isinstance(told, list) else told

        rule = self._rule.pages
        params = sized({} if until is None else {"until": until}, rule)
        return Pages(fetch, Call("fetch_funding_history", (pair, since, rule.rows), params), rule)

    def _take(self, told: Any, pair: str | None, since: Millis, found: dict[str, FundingPaid]) -> None:
        """Take a window's payments; what cannot be read, and what may be missing, is said once for each pair."""
        rule = self._rule.pages
        for one in told:
            of = pair or text(one.get("symbol"))
            paid = payment_of(one, of)
            if paid is None:
                self._warn(of, "the exchange tells one that cannot be read")
            else:
                found[paid.payment_id] = paid
        if pair and not rule.next and len(told) >= rule.rows and all(paid.ts >= since for paid in found.values()):
            self._warn(pair, f"the exchange tells no more than {rule.rows} of them")

    def _warn(self, pair: str, why: str) -> None:
        if pair not in self._odd:
            self._odd.add(pair)
            text = f"the funding payments of {pair or 'a pair without a name'} are not all booked: {why}"
            self._put(Remark("warning", "odd_answer", text))


def _named(told: Any, pair: str | None) -> Any:
    """A payment's row with its id, also where the exchange gives it none: pages know rows by it."""
    paid = payment_of(told, pair or text(told.get("symbol"))) if isinstance(told, Mapping) else None
    return told if paid is None else {**told, "id": paid.payment_id}


def _of_pair(told: tuple[FundingPaid, ...], pair: str, since: Millis) -> tuple[FundingPaid, ...]:
    """A pair's payments since then, in the order of time."""
    return tuple(sorted((one for one in told if one.pair == pair and one.ts >= since), key=lambda paid: paid.ts))
