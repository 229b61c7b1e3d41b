"""Calls of ccxt as functions; a list that comes in pages is read whole within one request of ours.

Each page is a request more than is accounted for, and none is asked for twice: where one fails, all of it is asked anew.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from actors.venues.capabilities import Call
from actors.venues.exchange_rules import PageRule
from actors.venues.live.failure import unread
from actors.venues.live.wire import REQUEST
from actors.venues.live.words import text

PAGES_MAX: Final = 40


class NotWhole(Exception):
    """Of a list some pages are known and others are not, so nothing can be said of what is not in it."""


def function_of(instance: Any, call: Call) -> Callable[..., Awaitable[Any]]:
    """A capability's call as a function of an instance of ccxt's."""
    method = getattr(instance, call.method)
    if call.pages is None:
        return functools.partial(method, *call.args, params=dict(call.params))
    return functools.partial(_whole, method, call, call.pages)


async def _whole(method: Callable[..., Awaitable[Any]], call: Call, rule: PageRule) -> list[Any]:
    """All pages, each row once.

    Raises:
        NotWhole: a page is no list of rows, or brings what was told already, or there is no end of them.
    """
    found: dict[str, Any] = {}
    more: dict[str, Any] | None = {}
    for number in range(1, PAGES_MAX + 1):
        page = _rows(await method(*call.args, params={**call.params, **(more or {})}))
        before = len(found)
        found.update({_name(told): told for told in page})
        more = rule.after(page, number, before + len(page))
        if more is None or not page:
            return list(found.values())
        if len(found) == before:
            if rule.by == "cursor":
                return list(found.values())
            raise NotWhole(f"page {number} of a list has only what was told before")
    raise NotWhole(f"a list of more than {PAGES_MAX} pages")


def _rows(page: Any) -> list[Mapping[str, Any]]:
    """A page's rows; what ccxt makes an empty list of without the exchange having said so is none."""
    request = REQUEST.get()
    failure = None if request is None else unread(page, request.facts)
    if failure is not None or not isinstance(page, list) or not all(isinstance(told, Mapping) for told in page):
        raise NotWhole(failure.reason if failure is not None else "a page of a list is no list of rows")
    return page


def _name(told: Mapping[str, Any]) -> str:
    """What a row is known by: an order's id, a position's pair and side."""
    return text(told.get("id")) or f"{text(told.get('symbol'))} {text(told.get('side'))}"
