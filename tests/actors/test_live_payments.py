"""Funding that an exchange refused to tell: it is told once it can be read, and asking for it costs little."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from actors.venues.capabilities import capability
from actors.venues.live.account import Account
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


def test_reading_does_not_go_back_to_trades_that_are_over() -> None:
    """Payments are read from the earliest that anybody has asked for in the last hours on, not from the first trade's."""
    clock = [0.0]

    async def work() -> list[tuple[str, int]]:
        exchange = Exchange()
        exchange.paid = {None: []}  # type: ignore[dict-item]  (everybody's at once)
        payments = Payments(exchange, capability("binance", futures=True), lambda _: None, lambda: clock[0])  # type: ignore[arg-type]
        for minute in range(0, 300, 5):
            clock[0] = 60.0 * minute
            await payments.of(A, NOW)
            if minute < 60:
                await payments.of(B, NOW - 7_000)  # a trade that is older, and soon over
        return exchange.asked

    asked = asyncio.run(work())

    assert [("", NOW), ("", NOW - 7_000)] == asked[:2]
    assert [("", NOW - 7_000)] * 20 == asked[2:22]  # one read serves both, while both are asked for
    assert [("", NOW)] * 30 == asked[-30:]


def test_payments_that_are_not_read_again_are_not_remembered() -> None:
    """Each payment is told once, by a bot that runs for weeks; what it remembers are those of the last hours."""
    hour, put = 3_600_000, list[FundingPaid]()

    async def work() -> tuple[int, int]:
        exchange, seconds = Exchange(), itertools.count(0, 1_000)
        now = [NOW]
        exchange.now = lambda: now[0]  # type: ignore[method-assign]
        ability = capability("binance", futures=True)
        payments = Payments(exchange, ability, put.append, lambda: next(seconds))  # type: ignore[arg-type]
        telling = SimpleNamespace(put=put.append)
        account = Account(exchange, telling, SimpleNamespace(), payments, ability)  # type: ignore[arg-type]
        most = 0
        for number in range(200):
            now[0] += hour
            told = [
                {"id": f"p{n}", "symbol": "AUSDT", "amount": "1", "timestamp": NOW + (n + 1) * hour - 1}
                for n in range(max(0, number - 3), number + 1)
            ]
            exchange.paid = {None: [{**one, "symbol": A} for one in told]}  # type: ignore[dict-item]
            await account.read_funding([A])
            await account.read_funding([A])
            most = max(most, len(account.paid))
        return most, len(put)

    most, count = asyncio.run(work())

    assert [f"p{n}" for n in range(200)] == [one.payment_id for one in put]
    assert count == 200
    assert most <= 5
