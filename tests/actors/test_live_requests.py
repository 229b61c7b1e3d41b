"""The venue's own reads: what is asked again, and that a refusal is never taken for an empty list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from actors.venues.live.failure import Failure, Verdict
from actors.venues.live.requests import Requests, Telling
from actors.venues.live.wire import Answer
from actors.venues.trading import Permit, PermitWanted

REFUSED = Failure(Verdict.REFUSED, "REFUSED", "the key may not read")


class Exchange:
    """Stands for a connection: gives the answers it was told to, one after the other."""

    def __init__(self, answers: list[Answer]) -> None:
        self.answers = answers
        self.listed: dict[str, Any] = {"BTC/USDT": None}

    def now(self) -> int:
        return 1_000

    def markets(self) -> dict[str, Any]:
        return self.listed

    async def request(self, function: Callable[[], Any], *args: Any, leave: Any = None) -> Answer:
        del args, leave
        function()
        return self.answers.pop(0)


def listed(exchange: Exchange, asked: Callable[[], None]) -> list[Any]:
    """What a list is read as."""
    telling = Telling()
    made = Requests(exchange, telling, 0.0)  # type: ignore[arg-type]

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


def test_a_pair_that_is_gone_has_nothing() -> None:
    """Its lists are refused for ever: nobody waits for them once the markets say that it is not traded."""
    exchange = Exchange([Answer(failure=REFUSED)])

    assert listed(exchange, exchange.listed.clear) == []
