"""Calls of ccxt as functions, and lists that come in pages: each page is a request of its own, with a permit of its own.

Where one page fails, nothing is known of the list: all of it is asked for anew.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from actors.venues.capabilities import Call
from actors.venues.exchange_rules import PageRule
from actors.venues.live.failure import Failure, Verdict
from actors.venues.live.wire import Answer
from actors.venues.live.words import text

PAGES_MAX: Final = 40

Function = Callable[..., Awaitable[Any]]
Send = Callable[[Function], Awaitable[Answer]]
"""Makes one request, when it may be made; its answer."""


class Pages:
    """A list of what is there now, read page by page."""

    def __init__(self, method: Function, call: Call, rule: PageRule) -> None:
        self._method = method
        self._call = call
        self._rule = rule

    async def read(self, send: Send) -> Answer:
        """The answer to the last page, with all rows as its value, each once; or to the page that failed.

        It is in doubt where a page is no list of rows, or brings what was told already, or there is no end of them.
        """
        found: dict[str, Any] = {}
        more: dict[str, Any] | None = {}
        for number in range(1, PAGES_MAX + 1):
            params = {**self._call.params, **(more or {})}
            answer = await send(functools.partial(self._method, *self._call.args, params=params))
            page = answer.value
            if answer.failure is not None:
                return answer
            if not isinstance(page, list) or not all(isinstance(told, Mapping) for told in page):
                return _not_whole(answer, f"page {number} of a list is no list of rows")
            before = len(found)
            found.update({_name(told): told for told in page})
            more = self._rule.after(page, number, before + len(page))
            is_again = bool(page) and len(found) == before
            if more is None or not page or (is_again and self._rule.by == "cursor"):
                answer.value = list(found.values())
                return answer
            if is_again:
                return _not_whole(answer, f"page {number} of a list has only what was told before")
        return _not_whole(answer, f"a list of more than {PAGES_MAX} pages")


def function_of(instance: Any, call: Call) -> Function:
    """A capability's call as a function of an instance of ccxt's."""
    return functools.partial(getattr(instance, call.method), *call.args, params=dict(call.params))


def listing_of(instance: Any, call: Call) -> Function | Pages:
    """A capability's list, likewise; in pages where the exchange does not tell it at once."""
    if call.pages is None:
        return function_of(instance, call)
    return Pages(getattr(instance, call.method), call, call.pages)


async def answer_of(send: Send, asked: Function | Pages) -> Answer:
    """What is answered to a question of one request, or of one for each page."""
    return await (asked.read(send) if isinstance(asked, Pages) else send(asked))


def _not_whole(answer: Answer, reason: str) -> Answer:
    """Of a list some pages are known and others are not, so nothing can be said of what is not in it."""
    answer.value, answer.failure = None, Failure(Verdict.IN_DOUBT, "", reason)
    return answer


def _name(told: Mapping[str, Any]) -> str:
    """What a row is known by: an order's id, a position's pair and side."""
    return text(told.get("id")) or f"{text(told.get('symbol'))} {text(told.get('side'))}"
