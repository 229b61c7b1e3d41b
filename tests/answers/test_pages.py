"""Lists of what is there now are read whole: exchanges' pages, told through ccxt's unmodified classes, and pages gone wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import pytest

from actors.venues.capabilities import Call, Capability
from actors.venues.exchange_rules import PageRule
from actors.venues.live.failure import Exchanged, Verdict, failure_of, unread
from actors.venues.live.paging import PAGES_MAX, Function, answer_of, listing_of
from actors.venues.live.wire import REQUEST, Answer, Request
from tests.requests.recorder import NAMES, capabilities, pair_of, recorder

ALL: Final = {f"{able.exchange} {able.market}": able for able in capabilities()}
PAGED: Final = [name for name, able in ALL.items() if able.pages is not None and able.pages.next]
FIRST: Final = 1_000_000
"""The oldest row's id: the newer, the higher, all with as many digits."""


def order(able: Capability, number: int) -> dict[str, Any]:
    """An open order as an exchange writes it, by as many of its fields as ccxt wants."""
    name = NAMES[able.exchange][able.market == "futures"]
    key, ts = str(FIRST + number), 1_700_000_000_000 + number // 7
    written: dict[str, dict[str, Any]] = {
        "bybit": {"orderId": key, "symbol": name, "orderStatus": "New", "createdTime": str(ts)},
        "okx": {"ordId": key, "instId": name, "state": "live", "cTime": str(ts), "ordType": "limit"},
        "kucoin": {"id": key, "symbol": name, "isActive": True, "createdAt": ts, "type": "limit"},
        "gate": {"id": key, "currency_pair": name, "contract": name, "status": "open", "size": 1,
                 "create_time_ms": ts, "type": "limit"},
        "bitget": {"orderId": key, "symbol": name, "status": "live", "cTime": str(ts), "orderType": "limit"},
        "coinbase": {"order_id": key, "product_id": name, "status": "OPEN", "created_time": "2026-01-01T00:00:00Z"},
    }  # fmt: skip
    return {**written[able.exchange], "side": "buy"}


def position(able: Capability, number: int) -> dict[str, Any]:
    """A position likewise, of a contract of its own."""
    if able.exchange == "gate":
        return {"contract": f"C{number}_USDT", "size": 5, "mode": "single"}
    return {"symbol": f"C{number}USDT", "side": "Buy", "size": "5", "positionIdx": 0}


def told(able: Capability, rows: list[Any], cursor: str) -> Any:
    """A page as the exchange writes it."""
    if able.exchange == "gate":
        is_spot = able.market == "spot"
        return [{"currency_pair": "BTC_USDT", "total": len(rows), "orders": rows}] if is_spot and rows else rows
    envelopes: dict[str, Any] = {
        "bybit": {"retCode": 0, "retMsg": "OK", "result": {"list": rows, "nextPageCursor": cursor}},
        "okx": {"code": "0", "msg": "", "data": rows},
        "kucoin": {"code": "200000", "data": {"items": rows}},
        "bitget": {"code": "00000", "data": rows if able.market == "spot" else {"entrustedList": rows}},
        "coinbase": {"orders": rows, "cursor": cursor},
    }
    return envelopes[able.exchange]


class Listing:
    """Stands for an exchange's list of `count` rows, the newest first, in pages of `rule`; `asked` are the requests' fields.

    `sent` counts the requests that need a permit; `spoil` makes something else of the second page.
    """

    def __init__(self, able: Capability, rule: PageRule, row: Callable[[Capability, int], Any], count: int) -> None:
        self.able, self.rule, self.asked, self.sent = able, rule, list[dict[str, str]](), 0
        self.rows = [(FIRST + number, row(able, number)) for number in reversed(range(count))]
        self.spoil: Callable[[], Any] | None = None

    async def fetch(self, url: str, *_: Any) -> Any:
        """The page that is asked for."""
        fields = dict(parse_qsl(urlsplit(url).query))
        self.asked.append(fields)
        is_spoilt = self.spoil is not None and len(self.asked) == 2
        answer = self.spoil() if self.spoil is not None and is_spoilt else self.page(fields)
        request = REQUEST.get()
        if request is not None:
            request.facts = Exchanged(
                written=True, status=200, told=answer if isinstance(answer, list | dict) else None
            )
        return answer

    def page(self, fields: dict[str, str]) -> Any:
        """The rows that the fields name, in the exchange's envelope."""
        size, name = int(fields.get(self.rule.size, "20")), fields.get(self.rule.next, "")
        rows, start = self.rows, 0
        if name and self.rule.by == "id":
            rows = [(key, row) for key, row in rows if key < int(name)]
        elif name:
            start = (int(name) - 1) * size if self.rule.by == "page" else int(name)
        page = [row for _, row in rows[start : start + size]]
        cursor = str(start + size) if start + size < len(rows) else ""
        return json.loads(json.dumps(told(self.able, page, cursor)))


def asked(listing: Listing, call: Call) -> Answer:
    """What comes of reading a list, by the class that is used live; each page is a request of its own, judged as live."""
    made = instance(f"{listing.able.exchange} {listing.able.market}")
    made.fetch = listing.fetch

    async def send(function: Function) -> Answer:
        REQUEST.set(request := Request())
        listing.sent += 1
        try:
            value = await function()
        except Exception as error:  # noqa: BLE001 - as `Connection.request`
            return Answer(failure=failure_of(error, request.facts, 0))
        return Answer(value=value, failure=unread(value, request.facts))

    return asyncio.run(answer_of(send, listing_of(made, call)))


def read(listing: Listing, call: Call) -> list[Any]:
    """The rows that are told, of a list that can be read."""
    answer = asked(listing, call)
    assert answer.failure is None
    found: list[Any] = answer.value
    return found


@cache
def instance(name: str) -> Any:
    """The class that is used live, with one market."""
    made = recorder(ALL[name])
    made.options["defaultType"] = "swap" if ALL[name].market == "futures" else "spot"
    return made


def orders_of(name: str, count: int) -> Listing:
    """So many open orders there."""
    rule = ALL[name].pages
    assert rule is not None
    return Listing(ALL[name], rule, order, count)


@pytest.mark.parametrize(
    ("name", "of"),
    [
        (name, of)
        for name in PAGED
        for of in ("pair", "account", "stops")
        if of != "stops" or ALL[name].open_stops(None) is not None
    ],
)
def test_all_open_orders_are_read(name: str, of: str) -> None:
    """Two pages and a half, and two whole ones: each order once, whatever the next page is asked for by."""
    able = ALL[name]
    pair = None if of == "account" else pair_of(able)
    call = able.open_stops(pair) if of == "stops" else able.open_orders(pair)
    assert call is not None
    assert able.pages is not None
    for count in (5 * able.pages.rows // 2, 2 * able.pages.rows, 3, 0):
        listing = orders_of(name, count)
        found = read(listing, call)

        assert sorted(str(one["id"]) for one in found) == [str(FIRST + number) for number in range(count)]
        assert len(listing.asked) == listing.sent <= 3
        assert all(fields[listing.rule.size] == str(listing.rule.rows) for fields in listing.asked)


@pytest.mark.parametrize("name", ["bybit futures", "gate futures"])
def test_all_positions_are_read(name: str) -> None:
    """More positions than a page holds: one that is not told would be taken for closed."""
    able = ALL[name]
    rule = able.positions_read.pages
    assert rule is not None
    listing = Listing(able, rule, position, 2 * rule.rows + 1)

    assert len(read(listing, able.positions())) == 2 * rule.rows + 1
    assert name != "gate futures" or {fields["holding"] for fields in listing.asked} == {"true"}


@pytest.mark.parametrize("name", PAGED)
def test_half_a_list_is_no_list(name: str) -> None:
    """What comes instead of the second page, an error or nothing that is a page, leaves nothing of the first."""
    call = ALL[name].open_orders(pair_of(ALL[name]))
    for spoilt in ("text", None):
        listing = orders_of(name, 1_200)
        listing.spoil = lambda spoilt=spoilt: spoilt  # type: ignore[misc]
        answer = asked(listing, call)

        assert answer.failure is not None
        assert answer.failure.verdict is Verdict.IN_DOUBT


@pytest.mark.parametrize("name", [name for name in PAGED if (rule := ALL[name].pages) and rule.by != "cursor"])
def test_a_page_that_comes_again_is_no_end(name: str) -> None:
    """An exchange that does not heed which page is asked for has not told the rest: nothing is concluded."""
    listing = orders_of(name, 1_200)
    first = listing.page({listing.rule.size: str(listing.rule.rows)})
    listing.spoil = lambda: first

    answer = asked(listing, ALL[name].open_orders(pair_of(ALL[name])))

    assert answer.failure is not None
    assert answer.value is None
    assert answer.failure.reason == "page 2 of a list has only what was told before"


def test_a_list_without_end_is_given_up() -> None:
    """So many pages no account has: whatever gives them is not believed."""
    listing = orders_of("okx spot", 100 * PAGES_MAX + 1)

    answer = asked(listing, ALL["okx spot"].open_orders("BTC/USDT"))

    assert answer.failure is not None
    assert answer.failure.reason == f"a list of more than {PAGES_MAX} pages"


def test_htx_gives_what_it_has_at_once() -> None:
    """Five hundred, its most, in one request; past that its orders are asked for one by one."""
    able = ALL["htx spot"]

    assert able.pages == PageRule(rows=500, size="size")
    assert able.pages.after([{"id": "1"}] * 500, 1, 500) is None
