"""What an exchange tells of past times: executions and orders, whole, however it cuts them into pages.

Rules
    Exchanges give a page of rows at once, the newest or the oldest first, and some only of a few days at a time
    (`ListRule`). A list ends when a page is not full; what is missing in it would be a fill that is lost.
    Rows are known by their ids: told twice they are one.
    An execution whose order nobody here has seen is somebody else's only once the exchange has said whose the
    order is: by our id beside the execution, in its lists of orders, or when asked for that order.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final

from actors.venues.capabilities import Capability
from actors.venues.exchange_rules import ListRule
from actors.venues.live.books import Books
from actors.venues.live.failure import Verdict
from actors.venues.live.markets import number
from actors.venues.live.requests import Requests
from actors.venues.live.wire import Answer
from actors.venues.live.words import client_id_of, is_liquidation, rows, text
from engine.market import Market
from engine.types import Millis

PAGES_MAX: Final = 200

IGNORED_MS: Final = 2_000
"""Rows so much later than was asked for say that an exchange does not heed the end of a time; some count in seconds."""

ASKED_MAX: Final = 20
"""So many unknown orders of a newest page are asked for one by one; where a time was named, all of them are."""

_ORDER_LISTS: Final = (
    ("fetchOrders", "fetch_orders"),
    ("fetchCanceledAndClosedOrders", "fetch_canceled_and_closed_orders"),
    ("fetchClosedOrders", "fetch_closed_orders"),
)


Rows = list[Mapping[str, Any]]
Ask = Callable[[Millis | None, Millis | None], Awaitable[Rows]]
"""(since, until) → one page; None leaves that end open."""


async def pages(ask: Ask, rule: ListRule, since: Millis, now: Millis) -> Rows:
    """All rows since a time, or the newest page where `since` is 0."""
    if not since:
        return list(_by_id(await ask(None, None)).values())
    found: dict[str, Mapping[str, Any]] = {}
    walk = _backwards if rule.newest_first else _forwards
    while True:
        end = since + rule.window_ms - 1 if rule.window_ms is not None else now
        await walk(ask, rule, since, end if end < now else None, found)
        if end >= now:
            return list(found.values())
        since = end + 1


async def _forwards(
    ask: Ask, rule: ListRule, start: Millis, end: Millis | None, found: dict[str, Mapping[str, Any]]
) -> None:
    for _ in range(PAGES_MAX):
        page = await ask(start, end)
        is_new = _take(page, found)
        last = max(map(_ts, page), default=0)
        if len(page) < rule.page or (not is_new and last != start):
            return
        start = last + 1 if last == start else last


async def _backwards(
    ask: Ask, rule: ListRule, start: Millis, end: Millis | None, found: dict[str, Mapping[str, Any]]
) -> None:
    for _ in range(PAGES_MAX):
        page = await ask(start, end)
        is_new = _take(page, found)
        first = min((ts for told in page if (ts := _ts(told))), default=0)
        if len(page) < rule.page or not first:
            return
        if not is_new and end is not None and max(map(_ts, page)) > end + IGNORED_MS:
            return  # it does not heed until when it is asked
        end = first if is_new and first != end else first - 1
        if end < start:
            return


def _take(page: Rows, found: dict[str, Mapping[str, Any]]) -> bool:
    """Whether there was anything new in it."""
    before = len(found)
    found.update(_by_id(page))
    return len(found) > before


def _by_id(page: Rows) -> dict[str, Mapping[str, Any]]:
    return {text(told.get("id")) or f"row {n} of {_ts(told)}": told for n, told in enumerate(page)}


def _ts(told: Mapping[str, Any]) -> Millis:
    return int(number(told.get("timestamp")) or 0)


def order_list(has: Mapping[str, Any]) -> str | None:
    """Ccxt's method that lists most of an exchange's orders, by the flags of its class; None where there is none."""
    return next((name for flag, name in _ORDER_LISTS if has.get(flag) is True), None)


class Histories:
    """Past executions and orders of one account; on the connection's loop."""

    def __init__(self, requests: Requests, books: Books, ability: Capability) -> None:
        self._requests = requests
        self._books = books
        self._ability = ability

    @property
    def _has(self) -> Mapping[str, Any]:
        has: Mapping[str, Any] = self._requests.connection.trading.has
        return has

    async def trades(self, market: Market, since: Millis, *, held: bool = False) -> Rows:
        """A pair's executions since a time, or the newest ones where it is 0.

        Where something is `held`, those too by which the exchange itself took of it, where it lists them apart.
        """
        found = await self._list("fetch_my_trades", market, since, self._requests.rows)
        for kind in self._ability.lists.taken if held else ():
            found += await self._list("fetch_my_trades", market, since, self._requests.rows, kind)
        return list(_by_id(found).values())

    async def _list(
        self,
        method: str,
        market: Market,
        since: Millis,
        read: Callable[..., Awaitable[Sequence[Any]]],
        kind: Mapping[str, Any] | None = None,
    ) -> Rows:
        connection, rule = self._requests.connection, self._ability.lists
        rule = rule if method == "fetch_my_trades" else rule.of_orders
        function = getattr(connection.trading, method)

        async def ask(start: Millis | None, until: Millis | None) -> Rows:
            pair = None if rule.whole_account else market.pair
            params = {**(kind or {}), **({} if until is None else {"until": until})}
            call = functools.partial(function, pair, start, rule.page, params=params)
            return [told for told in await read("my_trades", call, pair=market.pair) if isinstance(told, Mapping)]

        found = await pages(ask, rule, since, connection.now())
        return [told for told in found if text(told.get("symbol")) in ("", market.pair)]

    async def _rows_or_refusal(self, kind: str, call: Callable[..., Awaitable[Any]], *, pair: str) -> Sequence[Any]:
        answer = await self._requests.read(kind, call, pair=pair)
        if answer.failure is not None:
            raise _Refused
        return rows(answer.value)

    async def of_order(self, market: Market, order_id: str, since: Millis) -> Rows:
        """An order's executions: those that the exchange has by its id, else all of the pair since that time."""
        trading, rule = self._requests.connection.trading, self._ability.lists
        if self._has.get("fetchOrderTrades") is True and not market.is_futures:
            call = functools.partial(trading.fetch_order_trades, order_id, market.pair)
            answer = await self._requests.read("my_trades", call, pair=market.pair)
            found = [told for told in rows(answer.value) if isinstance(told, Mapping)]
            if answer.failure is None and len(found) < min(rule.page, 50):
                return found
        return await self.trades(market, since)

    async def orders_behind(self, market: Market, trades: Rows, seen: Collection[str], since: Millis) -> Rows:
        """The orders of executions that nobody has seen, as ccxt tells them, ours and others'; `seen` are known beside.

        What the exchange says there is no order of is nobody's; of the newest page the oldest count as that, too.
        Where it does not give its list of orders, each is asked for by itself.
        """
        found, all_of_them = list[Mapping[str, Any]](), bool(since)
        self._leave_named(market.pair, trades)
        if self._unseen(market, trades, seen):
            method = order_list(self._has)
            try:
                found += [] if method is None else await self._list(method, market, since, self._rows_or_refusal)
            except _Refused:
                all_of_them = True
        asked = self._unseen(market, trades, {*seen, *(text(told.get("id")) for told in found)})
        for n, order_id in enumerate(asked):
            told, is_sure = None, True
            if all_of_them or n < ASKED_MAX:
                told, is_sure = await self.order(market, "", order_id)
            if told is not None:
                found.append(told)
            elif is_sure:
                self._books.leave(market.pair, order_id)
        return found

    def _unseen(self, market: Market, trades: Rows, seen: Collection[str]) -> list[str]:
        """The exchange's ids of the orders that nobody knows, the newest execution's first."""
        newest = sorted(trades, key=_ts, reverse=True)
        ids = dict.fromkeys(order_id for told in newest if (order_id := text(told.get("order"))))
        return [one for one in ids if one not in seen and not self._books.is_seen(market.pair, one)]

    def _leave_named(self, pair: str, trades: Rows) -> None:
        """Leave the orders of executions beside which another's id stands, or that the exchange itself took."""
        for told in trades:
            named = client_id_of(told)
            is_another = bool(named) and not self._books.is_ours(pair, self._ability.ours(named))
            if is_another or (not named and is_liquidation(told)):
                self._books.leave(pair, text(told.get("order")))

    async def order(
        self, market: Market, client_id: str, order_id: str = "", *, stop: bool = False
    ) -> tuple[Mapping[str, Any] | None, bool]:
        """An order by our id or the exchange's, as ccxt tells it; else None, and whether it is sure that there is none.

        A refusal for another reason, a key that may not read or a faulty answer, says nothing about the order. Where
        lists are asked for it, each of them must have said that it is not there; none: the whole lists have been read.
        """
        kind, is_sure = "fetch_stop" if stop else "fetch_order", True
        for call in self._ability.fetch(market.pair, client_id, order_id, stop=stop):
            answer = await self._requests.read(kind, self._requests.method(call), pair=market.pair)
            if call.method == "fetch_order":
                told, is_told = _one_of(answer)
            else:
                told, is_told = self._listed_in(answer, client_id, order_id)
            if told is not None:
                return told, True
            is_sure = is_sure and is_told
        return None, is_sure

    def _listed_in(self, answer: Answer, client_id: str, order_id: str) -> tuple[Mapping[str, Any] | None, bool]:
        """The order in a list that was asked for it alone; else None, and whether the list says that it is not there.

        One with other orders in it does not heed what it was asked for.
        """
        if answer.failure is not None or not isinstance(answer.value, Sequence):
            return None, False
        for told in rows(answer.value):
            is_it = isinstance(told, Mapping) and (
                text(told.get("id")) == order_id if order_id else self._ability.ours(client_id_of(told)) == client_id
            )
            if is_it:
                return told, True
        return None, not answer.value


class _Refused(Exception):
    """A list was refused: it is not empty, it is not known."""


def _one_of(answer: Answer) -> tuple[Mapping[str, Any] | None, bool]:
    """The order in an answer that is to be one; else None, and whether it is sure that there is none."""
    failure = answer.failure
    if failure is not None:
        return None, failure.verdict is Verdict.REFUSED and failure.code == "NOT_FOUND"
    if isinstance(answer.value, Mapping) and text(answer.value.get("id")):
        return answer.value, True
    return None, _is_told_as_nothing(answer.told)


def _is_told_as_nothing(told: Any) -> bool:
    """Whether a whole answer has its place for an order empty, as KuCoin and MEXC write that there is none."""
    return isinstance(told, Mapping) and "data" in told and not told["data"]
