"""Funding that an exchange refused to tell: it is told once it can be read, and asking for it costs little."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from actors.venues.capabilities import capability
from actors.venues.live.failure import Failure, Verdict
from actors.venues.live.payments import MISSED_MS, Payments
from actors.venues.live.wire import Answer
from actors.venues.trading import Remark
from engine.messages import FundingPaid

NOW = 1_800_000_000_000
A, B, C = (f"{coin}/USDT:USDT" for coin in "ABC")


class Exchange:
    """Stands for connection and requests: tells what is in `paid` by pair, and refuses the rest and everybody's."""

    def __init__(self) -> None:
        self.connection = self
        self.trading = SimpleNamespace(has={"fetchFundingHistory": True}, fetch_funding_history=None)
        self.paid: dict[str, list[Mapping[str, Any]]] = {}
        self.asked: list[tuple[str, int]] = []

    def now(self) -> int:
        return NOW

    async def read(
        self, kind: str, function: Callable[..., Any] | None, asked: str | None, since: int, page: int, *, pair: str
    ) -> Answer:
        del kind, function, page, pair
        self.asked.append((asked or "", since))
        if asked not in self.paid:
            return Answer(failure=Failure(Verdict.REFUSED, "REFUSED", "no"))
        return Answer(value=self.paid[asked])


async def refused(since: int) -> tuple[Exchange, Payments, list[Remark | FundingPaid]]:
    """Three pairs whose payments since then could not be read."""
    exchange, told = Exchange(), list[Remark | FundingPaid]()
    payments = Payments(exchange, capability("binance", futures=True), told.append)  # type: ignore[arg-type]
    for pair in (A, B, C):
        assert await payments.of(pair, since) == ()
    exchange.asked.clear()
    told.clear()
    return exchange, payments, told


def test_what_was_missed_is_told_when_it_can_be_read() -> None:
    """In the order of time, and from days ago at most: whoever it was paid for may be another trade by then."""

    async def work() -> None:
        exchange, payments, told = await refused(1)
        two = [{"id": "p2", "amount": "0.2", "timestamp": NOW - 1}, {"id": "p1", "amount": "-5", "timestamp": NOW - 2}]
        exchange.paid = {A: two, B: [], C: []}
        found = await payments.read_again()

        assert found == [A, B, C]
        assert exchange.asked == [(pair, NOW - MISSED_MS) for pair in (A, B, C)]
        assert [(one.pair, one.payment_id) for one in told if isinstance(one, FundingPaid)] == [(A, "p1"), (A, "p2")]
        assert await payments.read_again() == []

    asyncio.run(work())


def test_a_refusal_ends_a_round_and_the_next_one_begins_with_another_pair() -> None:
    """All are mostly refused alike, at much weight each; a pair that stays refused keeps no other from being read."""

    async def work() -> None:
        exchange, payments, _ = await refused(NOW)
        assert await payments.read_again() == []
        exchange.paid = {B: [], C: []}
        found = await payments.read_again()

        assert found == [B, C]
        assert [pair for pair, _ in exchange.asked] == [A, B, C, A]

    asyncio.run(work())
