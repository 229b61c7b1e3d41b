"""Funding that an exchange refused to tell: it is told once it can be read, and asking for it costs little."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from actors.venues.capabilities import capability
from actors.venues.live.account import Account
from actors.venues.live.failure import Failure, Verdict
from actors.venues.live.paging import Function, Pages, answer_of
from actors.venues.live.payments import HISTORY_MS, MISSED_MS, Payments
from actors.venues.live.requests import URGENCY
from actors.venues.live.wire import Answer
from actors.venues.trading import Remark
from engine.messages import FundingPaid
from engine.types import Priority

NOW = 1_800_000_000_000
A, B, C = (f"{coin}/USDT:USDT" for coin in "ABC")


class Exchange:
    """Stands for connection and requests: tells what is in `paid` by pair, and refuses the rest and everybody's.

    `asked`: of whom, since when; `urgencies`: how urgent each request was. While it is `deaf` it answers nothing.
    """

    def __init__(self) -> None:
        self.connection = self
        self.trading = SimpleNamespace(has={"fetchFundingHistory": True}, fetch_funding_history=self.fetch)
        self.paid: dict[str | None, list[Mapping[str, Any]]] = {}
        self.asked: list[tuple[str, int]] = []
        self.urgencies: set[Priority] = set()
        self.is_deaf = False
        self.verdict = Verdict.REFUSED

    def now(self) -> int:
        return NOW

    async def fetch(
        self, pair: str | None, since: int, count: int, *, params: Mapping[str, Any]
    ) -> list[Mapping[str, Any]]:
        """As ccxt: the rows, or an error."""
        del count, params
        self.asked.append((pair or "", since))
        if self.is_deaf:
            await asyncio.Event().wait()
        return self.paid[pair]

    async def once(self, kind: str, asked: Function | Pages, *, pair: str) -> Answer:
        """As `Requests.once`."""
        del kind, pair

        async def send(function: Function) -> Answer:
            self.urgencies.add(URGENCY.get())
            try:
                return Answer(value=await function())
            except KeyError:
                return Answer(failure=Failure(self.verdict, "", "no"))

        return await answer_of(send, asked)


def payments_of(exchange: Exchange, put: Callable[[Remark | FundingPaid], None], name: str = "binance") -> Payments:
    """The funding of an account there; whoever asks waits until it is there, however slow this machine is."""
    payments = Payments(exchange, capability(name, futures=True), put)  # type: ignore[arg-type]
    payments.patience_s = 600.0
    return payments


def row(number: int, pair: str = A) -> dict[str, Any]:
    """One payment, as ccxt tells it; the lower the number the longer ago."""
    return {"id": f"p{number}", "symbol": pair, "amount": "1", "timestamp": NOW - 100 + number}


async def refused(since: int) -> tuple[Exchange, Payments, list[Remark | FundingPaid]]:
    """Three pairs whose payments since then could not be read."""
    exchange, told = Exchange(), list[Remark | FundingPaid]()
    payments = payments_of(exchange, told.append)
    for pair in (A, B, C):
        assert await payments.of(pair, since) == ()
    exchange.asked.clear()
    return exchange, payments, told


def test_what_was_missed_is_told_when_it_can_be_read() -> None:
    """In the order of time, and from days ago at most: whoever it was paid for may be another trade by then."""

    async def work() -> None:
        exchange, payments, told = await refused(1)
        warned = [one.severity for one in told if isinstance(one, Remark)]
        two = [{"id": "p2", "amount": "0.2", "timestamp": NOW - 1}, {"id": "p1", "amount": "-5", "timestamp": NOW - 2}]
        exchange.paid = {A: [*two, {"id": "p0", "amount": "1", "timestamp": NOW - MISSED_MS - 1}], B: [], C: []}
        found = await payments.read_again()

        assert found == [A, B, C]
        assert warned == ["warning"] * 3
        assert exchange.asked[0] == ("", NOW - HISTORY_MS)  # everybody's may be told again
        assert exchange.asked[1:] == [(pair, NOW - MISSED_MS) for pair in (A, B, C)]
        assert [(one.pair, one.payment_id) for one in told if isinstance(one, FundingPaid)] == [(A, "p1"), (A, "p2")]
        assert [one.severity for one in told[3:] if isinstance(one, Remark)] == ["info"]
        assert await payments.read_again() == []

    asyncio.run(work())


def test_what_was_missed_is_read_for_all_pairs_at_once() -> None:
    """When everybody's can be read again one request serves all who missed them: each costs much."""

    async def work() -> None:
        exchange, payments, told = await refused(NOW - 60_000)
        exchange.paid = {None: [row(2, B), row(1, A)]}

        assert await payments.read_again() == [A, B, C]
        assert exchange.asked == [("", NOW - 60_000)]
        assert [(one.pair, one.payment_id) for one in told if isinstance(one, FundingPaid)] == [(A, "p1"), (B, "p2")]

    asyncio.run(work())


def test_a_refusal_ends_a_round_and_the_next_one_begins_with_another_pair() -> None:
    """All are mostly refused alike, at much weight each; a pair that stays refused keeps no other from being read."""

    async def work() -> None:
        exchange, payments, _ = await refused(NOW)
        assert await payments.read_again() == []
        exchange.paid = {B: [], C: []}
        found = await payments.read_again()

        assert found == [B, C]
        assert [pair for pair, _ in exchange.asked if pair] == [A, B, C, A]

    asyncio.run(work())


def test_nobody_waits_for_funding_that_is_not_answered() -> None:
    """A look with a stop to place goes on without it, and quietly; it is told when the exchange answers."""

    async def work() -> None:
        exchange, told = Exchange(), list[Remark | FundingPaid]()
        payments = payments_of(exchange, told.append)
        exchange.paid, exchange.is_deaf = {None: [row(1)]}, True
        payments.patience_s = 0.0

        assert await payments.of(A, NOW - 60_000) == ()
        assert told == []
        payments.stale()  # a new request, for the first one is never answered
        for reading in payments._readings.values():
            reading.task.cancel()
        exchange.is_deaf = False
        assert await payments.read_again() == [A]
        assert [one.payment_id for one in told if isinstance(one, FundingPaid)] == ["p1"]
        assert [one for one in told if isinstance(one, Remark)] == []

    asyncio.run(work())


def test_an_outage_is_said_when_it_lasts() -> None:
    """What came to nothing once is read again without a word; what comes to nothing twice is said, and is never waited for."""

    async def work() -> None:
        exchange, told = Exchange(), list[Remark | FundingPaid]()
        payments = payments_of(exchange, told.append)
        exchange.verdict = Verdict.IN_DOUBT

        assert await payments.of(A, NOW - 60_000) == ()
        assert told == []
        for _ in range(2):
            assert await payments.read_again() == []
        assert [one.severity for one in told if isinstance(one, Remark)] == ["warning"]

    asyncio.run(work())


def test_funding_is_read_behind_what_is_urgent() -> None:
    """Who asks while he leaves a position does not have his exit's cancel wait behind a list of payments."""

    async def work() -> set[Priority]:
        exchange = Exchange()
        exchange.paid = {None: []}
        URGENCY.set(Priority.EXIT)
        await payments_of(exchange, lambda _: None).of(A, NOW)
        return exchange.urgencies

    assert asyncio.run(work()) == {Priority.RECONCILE}


def test_a_payment_that_cannot_be_read_is_said_once() -> None:
    """It is money all the same: whoever looks at his profit is told that something is missing in it."""

    async def work() -> list[Remark | FundingPaid]:
        exchange, told = Exchange(), list[Remark | FundingPaid]()
        exchange.paid = {None: [{**row(1), "amount": None}, row(2)]}
        payments = payments_of(exchange, told.append)
        for _ in range(2):
            payments.stale()
            assert [one.payment_id for one in await payments.of(A, NOW - 60_000)] == ["p2"]
        return told

    (said,) = asyncio.run(work())
    assert isinstance(said, Remark)
    assert (said.severity, A in said.text) == ("warning", True)


@pytest.mark.parametrize(("since", "count"), [(NOW - 60_000, 1), (NOW, 0)])
def test_a_list_that_may_go_on_is_said(since: int, count: int) -> None:
    """KuCoin tells a hundred: unless they begin before what was asked for, there may be more."""

    async def work() -> list[Remark | FundingPaid]:
        exchange, told = Exchange(), list[Remark | FundingPaid]()
        exchange.paid = {A: [row(number) for number in range(100)]}
        await payments_of(exchange, told.append, "kucoin").of(A, since)
        return told

    assert [isinstance(one, Remark) for one in asyncio.run(work())] == [True] * count


def test_reading_does_not_go_back_to_trades_that_are_over() -> None:
    """Payments are read from the earliest that anybody has asked for in the last hours on, not from the first trade's."""
    clock = [0.0]

    async def work() -> list[tuple[str, int]]:
        exchange = Exchange()
        exchange.paid = {None: []}  # everybody's at once
        payments = Payments(exchange, capability("binance", futures=True), lambda _: None, lambda: clock[0])  # type: ignore[arg-type]
        payments.patience_s = 600.0
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
        payments.patience_s = 600.0
        telling = SimpleNamespace(put=put.append)
        account = Account(exchange, telling, SimpleNamespace(), payments, ability)  # type: ignore[arg-type]
        most = 0
        for number in range(200):
            now[0] += hour
            told = [
                {"id": f"p{n}", "symbol": "AUSDT", "amount": "1", "timestamp": NOW + (n + 1) * hour - 1}
                for n in range(max(0, number - 3), number + 1)
            ]
            exchange.paid = {None: [{**one, "symbol": A} for one in told]}
            await account.read_funding([A])
            await account.read_funding([A])
            most = max(most, len(account.paid))
        return most, len(put)

    most, count = asyncio.run(work())

    assert [f"p{n}" for n in range(200)] == [one.payment_id for one in put]
    assert count == 200
    assert most <= 5
