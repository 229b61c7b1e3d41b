"""Lists of past times are read whole, however an exchange cuts them: nothing is lost at the edge of a page or a week."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from actors.venues.capabilities import capability
from actors.venues.exchange_rules import ListRule
from actors.venues.live.failure import Failure, Verdict
from actors.venues.live.histories import Histories, pages
from actors.venues.live.wire import Answer
from engine.market import Market

MARKET = Market(pair="BTC/USDT", base="BTC", quote="USDT", price_step=Decimal("0.1"), amount_step=Decimal("0.001"))
MINE = "tpAAAAAAr1p0000beeft1i1"
NOW = 1_700_000_000_000
DAY = 86_400_000


class Listing:
    """An exchange's list of executions, told as the rule says, in pages; it refuses what it would refuse."""

    def __init__(self, times: list[int], rule: ListRule) -> None:
        self.rows = [{"id": f"f{n}", "timestamp": ts} for n, ts in enumerate(times)]
        self.rule = rule
        self.asked = 0

    async def ask(self, since: int | None, until: int | None) -> list[Mapping[str, Any]]:
        self.asked += 1
        start, end = since or 0, NOW if until is None else until
        if self.rule.window_ms is not None and since is not None:
            assert end - start < self.rule.window_ms or until is None
            end = min(end, start + self.rule.window_ms)
        found = sorted((row for row in self.rows if start <= row["timestamp"] <= end), key=lambda row: row["timestamp"])
        page = found[-self.rule.page :] if self.rule.newest_first or since is None else found[: self.rule.page]
        return list(page)


def read(listing: Listing, since: int) -> set[str]:
    return {str(told["id"]) for told in asyncio.run(pages(listing.ask, listing.rule, since, NOW))}


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("days", [None, 2, 7])
@pytest.mark.parametrize("seed", range(12))
def test_every_row_since_a_time_is_read(seed: int, newest_first: bool, days: int | None) -> None:
    """Pages of any size, from either end, through windows of any length: what happened is read, each row once."""
    chance = random.Random(seed)
    rule = ListRule(page=chance.choice([5, 50]), newest_first=newest_first, window_ms=days and days * DAY)
    since = NOW - chance.randrange(1, 30) * DAY
    times = [chance.randrange(since - DAY, NOW) for _ in range(chance.choice([0, 1, 40, 260]))]
    times += [moment for moment in times[:20] for _ in range(chance.randrange(3))]
    listing = Listing(times, rule)

    found = read(listing, since)

    assert found == {row["id"] for row in listing.rows if row["timestamp"] >= since}
    assert listing.asked < 40 + 3 * len(times) // rule.page + 60


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_list_without_a_time_is_its_newest_page(newest_first: bool) -> None:
    """Who names no time wants what happened last, and costs one request."""
    listing = Listing(list(range(NOW - 200, NOW)), ListRule(page=50, newest_first=newest_first))

    assert read(listing, 0) == {f"f{n}" for n in range(150, 200)}
    assert listing.asked == 1


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_full_page_of_one_moment_does_not_hang(newest_first: bool) -> None:
    """More rows in one millisecond than a page holds: the rest of that moment cannot be had, all others are."""
    moment = NOW - 1_000
    listing = Listing([NOW - 2_000, *[moment] * 9, NOW - 500], ListRule(page=5, newest_first=newest_first))

    found = read(listing, NOW - DAY)

    assert {"f0", "f10"} < found
    assert listing.asked < 10


def test_an_exchange_that_does_not_heed_the_end_is_not_asked_for_ever() -> None:
    """The newest page again and again: what it has is taken, and no more is asked."""

    class Deaf(Listing):
        async def ask(self, since: int | None, until: int | None) -> list[Mapping[str, Any]]:
            del until
            return await super().ask(since, None)

    listing = Deaf([NOW - 10_000 * n for n in range(1, 200)], ListRule(page=50, newest_first=True))

    assert len(read(listing, NOW - DAY)) == 50
    assert listing.asked <= 3


def test_rows_without_an_id_are_all_there() -> None:
    """They cannot be told apart by their ids, and none may hide another."""
    listing = Listing([NOW - 5, NOW - 4], ListRule(page=5))
    for row in listing.rows:
        row["id"] = None

    assert len(asyncio.run(pages(listing.ask, listing.rule, NOW - DAY, NOW))) == 2


class Asked:
    """Stands for the requests of a Bybit account: the open list and the history answer as they are told to, each once."""

    def __init__(self, *answers: Answer) -> None:
        self.connection = SimpleNamespace(trading=SimpleNamespace(has={}))
        self.answers = list(answers)

    def method(self, call: Any) -> str:
        return str(call.method)

    async def read(self, kind: str, method: str, *, pair: str) -> Answer:
        del kind, pair
        assert method == ["fetch_canceled_and_closed_orders", "fetch_open_orders"][len(self.answers) - 1]
        return self.answers.pop(0)


def listed(*client_ids: str) -> Answer:
    """A list of orders, by the ids that were given to them."""
    return Answer(value=[{"id": f"x{name}", "clientOrderId": name} for name in client_ids])


REFUSED = Answer(failure=Failure(Verdict.REFUSED, "REFUSED", "params error"))
NO_SUCH = Answer(failure=Failure(Verdict.REFUSED, "NOT_FOUND", "order not exists"))
FOUND, NONE, ALL = listed(MINE), listed(), listed("yours", "another")


@pytest.mark.parametrize(
    ("answers", "is_found", "is_sure"),
    [
        ((FOUND, NONE), True, True),
        ((NONE, FOUND), True, True),
        ((REFUSED, FOUND), True, True),
        ((NONE, NONE), False, True),
        ((REFUSED, NONE), False, False),
        ((NONE, REFUSED), False, False),
        ((NONE, NO_SUCH), False, False),
        ((NONE, Answer(value=None)), False, False),
        ((ALL, NONE), False, False),
        ((NONE, ALL), False, False),
    ],
)
def test_an_order_is_unknown_once_open_list_and_history_say_so(
    answers: tuple[Answer, Answer], is_found: bool, is_sure: bool
) -> None:
    """Bybit is asked in both lists; an error, an answer without a list and one about other orders say nothing of ours."""
    requests: Any = Asked(*answers)
    books: Any = None
    histories = Histories(requests, books, capability("bybit"))

    told, sure = asyncio.run(histories.order(MARKET, MINE))

    assert (told is not None, sure) == (is_found, is_sure)
    assert told is None or told["clientOrderId"] == MINE
