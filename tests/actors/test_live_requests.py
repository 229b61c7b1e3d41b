"""The venue's own reads: what is asked again, and that a refusal is never taken for an empty list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from actors.venues.live.failure import Failure, Verdict
from actors.venues.live.requests import REFUSALS_MOST, Requests, Telling, Unreadable
from actors.venues.live.wire import Answer
from actors.venues.trading import Permit, PermitWanted

REFUSED = Failure(Verdict.REFUSED, "REFUSED", "the key may not read")


class Exchange:
    """Stands for a connection: gives the answers it was told to, one after the other."""

    def __init__(self, answers: list[Answer]) -> None:
        self.answers = answers
        self.listed: dict[str, Any] = {"BTC/USDT": None}
        self.doubted = 0

    def now(self) -> int:
        return 1_000

    def markets(self) -> dict[str, Any]:
        return self.listed

    def doubt_markets(self) -> None:
        self.doubted += 1

    async def request(self, function: Callable[[], Any], *args: Any, leave: Any = None) -> Answer:
        del args, leave
        function()
        return self.answers.pop(0)


def requests_of(exchange: Exchange) -> tuple[Requests, Telling]:
    """The requests of an account at it, which wait for nothing."""
    telling = Telling()
    return Requests(exchange, telling, 0.0), telling  # type: ignore[arg-type]


def listed(
    exchange: Exchange, asked: Callable[[], None], requests: tuple[Requests, Telling] | None = None
) -> list[Any]:
    """What a list is read as."""
    made, telling = requests or requests_of(exchange)

    def grant() -> None:
        for event in telling.take():
            if isinstance(event, PermitWanted):
                asyncio.get_running_loop().call_soon(made.turnstile.grant, event.request_id, Permit("p", 2_000))
        telling.attach(grant)

    async def read() -> list[Any]:
        telling.attach(grant)
        return list(await asyncio.wait_for(made.rows("my_trades", asked, pair="BTC/USDT"), 10))  # type: ignore[arg-type]

    return asyncio.run(read())


def test_a_refused_list_is_asked_for_again() -> None:
    """A look that took the refusal for "no executions" would lose fills."""
    exchange = Exchange([Answer(failure=REFUSED), Answer(failure=REFUSED), Answer(value=[{"id": "1"}])])

    assert listed(exchange, lambda: None) == [{"id": "1"}]


def test_a_list_that_is_refused_for_good_is_given_up_and_tried_again() -> None:
    """After some refusals whoever looks is told; from then on each refusal is told at once, until there is a list."""
    exchange = Exchange([Answer(failure=REFUSED)] * (REFUSALS_MOST + 1) + [Answer(value=[{"id": "1"}])])
    requests = requests_of(exchange)
    left = []
    for _ in range(2):
        with pytest.raises(Unreadable, match="the key may not read"):
            listed(exchange, lambda: None, requests)
        left.append(len(exchange.answers))

    assert left == [2, 1]
    assert listed(exchange, lambda: None, requests) == [{"id": "1"}]


def test_a_key_that_rests_for_long_is_refused() -> None:
    """Binance says the same of a key that rests and of one that is no good any more: nobody waits for it for ever."""
    rests = Failure(Verdict.SILENCE, "NO_PERMIT", "-2015", retry_after_ms=1, key=True)
    exchange = Exchange([Answer(failure=rests)] * REFUSALS_MOST**2)

    with pytest.raises(Unreadable, match="-2015"):
        listed(exchange, lambda: None)


def test_a_pair_that_is_gone_has_nothing() -> None:
    """Its lists are refused for ever: nobody waits for them once the markets say that it is not traded."""
    exchange = Exchange([Answer(failure=REFUSED)])

    assert listed(exchange, exchange.listed.clear) == []


def test_a_pair_that_the_exchange_knows_no_more_has_the_markets_read() -> None:
    """It says that there is no such pair: whether it is listed still is asked; a key that may not read is no reason to."""
    doubted = []
    for refused in (Failure(Verdict.REFUSED, "MARKET_CLOSED", "no such pair"), REFUSED):
        exchange = Exchange([Answer(failure=refused)] * REFUSALS_MOST)
        with pytest.raises(Unreadable):
            listed(exchange, lambda: None)
        doubted.append(exchange.doubted)

    assert doubted == [1, 0]
