"""Funding payments are read whole: exchanges' lists of them, told through ccxt's unmodified classes, in their windows and pages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import pytest

from actors.venues.capabilities import Capability, capability
from actors.venues.exchange_rules import DAY_MS
from actors.venues.live.failure import Exchanged, failure_of, unread
from actors.venues.live.paging import Function, Pages, answer_of
from actors.venues.live.payments import Payments
from actors.venues.live.wire import REQUEST, Answer, Request
from actors.venues.trading import Remark
from engine.messages import FundingPaid
from tests.requests.recorder import NAMES, pair_of, recorder

NOW: Final = 1_800_000_000_000
HOUR_MS: Final = 3_600_000
FIRST: Final = 1_000_000
WHOLE: Final = ("binance", "bybit", "okx", "gate", "bitget")
"""Exchanges that tell more than a page, if they are asked for it."""


def row(able: Capability, number: int, ts: int) -> dict[str, Any]:
    """A payment of a tenth, taken from whoever holds the pair, as the exchange writes it."""
    name, key = NAMES[able.exchange][1], str(FIRST + number)
    written: dict[str, dict[str, Any]] = {
        "binance": {"symbol": name, "incomeType": "FUNDING_FEE", "income": "-0.1", "asset": "USDT", "time": ts, "tranId": int(key)},
        "bybit": {"symbol": name, "execType": "Funding", "execFee": "0.1", "execTime": str(ts), "execId": key},
        "okx": {"billId": key, "instId": name, "ccy": "USDT", "balChg": "-0.1", "ts": str(ts), "type": "8"},
        "gate": {"time": ts // 1_000, "change": "-0.1", "text": name, "type": "fund"},
        "bitget": {"billId": key, "symbol": name, "amount": "-0.1", "coin": "USDT", "cTime": str(ts)},
    }  # fmt: skip
    return written[able.exchange]


class Exchange:
    """Stands for connection and requests, with so many payments until now, `every_ms`; `asked` are the requests' fields."""

    def __init__(self, able: Capability, count: int, every_ms: int = 8 * HOUR_MS) -> None:
        self.able, self.connection, self.asked = able, self, list[dict[str, str]]()
        self.trading = recorder(able)
        self.trading.options["defaultType"] = "swap"
        self.trading.fetch = self.fetch
        times = [NOW - every_ms * (count - 1 - number) for number in range(count)]
        self.rows = [(ts, FIRST + number, row(able, number, ts)) for number, ts in enumerate(times)]

    def now(self) -> int:
        return NOW

    async def once(self, kind: str, asked: Pages, *, pair: str) -> Answer:
        """As `Requests.once`, with `Connection.request`."""
        del kind, pair

        async def send(function: Function) -> Answer:
            REQUEST.set(request := Request())
            try:
                value = await function()
            except Exception as error:  # noqa: BLE001 - as the connection does
                return Answer(failure=failure_of(error, request.facts, 0))
            return Answer(value=value, failure=unread(value, request.facts))

        return await answer_of(send, asked)

    async def fetch(self, url: str, *_: Any) -> Any:
        """The page that is asked for, by the exchange's documentation."""
        fields = dict(parse_qsl(urlsplit(url).query))
        self.asked.append(fields)
        answer = json.loads(json.dumps(getattr(self, f"_{self.able.exchange}")(fields)))
        if (request := REQUEST.get()) is not None:
            request.facts = Exchanged(written=True, status=200, told=answer)
        return answer

    def _newest(self, fields: Mapping[str, str], start: int, end: int, most: int) -> list[Any]:
        """The newest of a time first, no more than `most`, or those before an id, or from a row on."""
        before = int(fields.get("after", fields.get("idLessThan", FIRST * 10)))
        first = int(fields.get("offset", fields.get("cursor", 0)))
        hit = [told for ts, key, told in reversed(self.rows) if start <= ts <= end and key < before]
        return hit[first : first + most]

    def _binance(self, fields: Mapping[str, str]) -> Any:
        hit = [told for ts, _, told in self.rows if ts >= int(fields["startTime"])]
        return hit[: min(int(fields.get("limit", 100)), 1_000)]

    def _bybit(self, fields: Mapping[str, str]) -> Any:
        """Of seven days from the start on; `size` is no field of it, and fifty come where no limit is named."""
        start, size = int(fields["startTime"]), min(int(fields.get("limit", 50)), 100)
        end = int(fields.get("endTime", start + 7 * DAY_MS))
        if end - start > 7 * DAY_MS:
            return {"retCode": 10001, "retMsg": "the time range is too long", "result": {}}
        page, behind = self._newest(fields, start, end, size), int(fields.get("cursor", 0)) + size
        return {"retCode": 0, "result": {"list": page, "nextPageCursor": str(behind) if page else ""}}

    def _okx(self, fields: Mapping[str, str]) -> Any:
        return {"code": "0", "data": self._newest(fields, 0, NOW, min(int(fields.get("limit", 100)), 100))}

    def _gate(self, fields: Mapping[str, str]) -> Any:
        return self._newest(fields, int(fields["from"]) * 1_000, NOW, int(fields.get("limit", 100)))

    def _bitget(self, fields: Mapping[str, str]) -> Any:
        end = int(fields.get("endTime", NOW))
        page = self._newest(fields, int(fields["startTime"]), end, min(int(fields.get("limit", 20)), 100))
        return {"code": "00000", "data": {"bills": page}}


def read(exchange: Exchange, since: int) -> tuple[tuple[FundingPaid, ...], list[Remark | FundingPaid]]:
    """The pair's payments since then, and what was said of them."""
    said = list[Remark | FundingPaid]()

    async def work() -> tuple[FundingPaid, ...]:
        payments = Payments(exchange, exchange.able, said.append)  # type: ignore[arg-type]
        payments.patience_s = 600.0
        return await payments.of(pair_of(exchange.able), since)

    return asyncio.run(work()), said


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("every_ms", [8 * HOUR_MS, 60_000])
@pytest.mark.parametrize("count", [0, 1, 21, 100, 101, 250])
def test_all_that_was_paid_is_read(name: str, count: int, every_ms: int) -> None:
    """Each payment of weeks once, the newest too, and what was taken counts as taken; as many in hours as many pairs have."""
    exchange = Exchange(capability(name, futures=True), count, every_ms)
    told, said = read(exchange, NOW - 88 * DAY_MS)

    assert [paid.ts for paid in told] == [ts for ts, _, _ in exchange.rows if ts >= NOW - 88 * DAY_MS]
    assert {paid.received for paid in told} <= {Decimal("-0.1")}
    assert len({paid.payment_id for paid in told}) == len(told)
    assert said == []


@pytest.mark.parametrize("name", WHOLE)
def test_a_trade_of_today_is_read_at_once(name: str) -> None:
    """One request, or two where a cursor has to be followed to its end, whatever was paid before."""
    exchange = Exchange(capability(name, futures=True), 250)
    told, _ = read(exchange, NOW - DAY_MS + 500)

    assert [paid.ts for paid in told] == [NOW - 16 * HOUR_MS, NOW - 8 * HOUR_MS, NOW]
    assert len(exchange.asked) == (2 if name == "bybit" else 1)
    assert {fields.get("limit") for fields in exchange.asked} == {"1000" if name == "binance" else "100"}


def test_binance_tells_of_all_pairs_past_a_thousand() -> None:
    """The oldest come first there: it goes on from the newest that was told."""
    exchange = Exchange(capability("binance", futures=True), 2_100)
    exchange.rows = [(NOW - 2_099 + number // 7, key, row(exchange.able, number, NOW - 2_099 + number // 7))
                     for number, (_, key, _) in enumerate(exchange.rows)]  # fmt: skip
    told, said = read(exchange, NOW - DAY_MS)

    assert sorted(int(paid.payment_id) for paid in told) == [key for _, key, _ in exchange.rows]
    assert (len(exchange.asked), said) == (3, [])


def test_no_list_of_okx_is_of_one_pair() -> None:
    """It is asked for everybody's: of one pair's ccxt would tell what is in the newest page, and nobody could see that more is missing."""
    exchange = Exchange(capability("okx", futures=True), 3)
    read(exchange, NOW - DAY_MS)

    assert [fields.get("ctType") for fields in exchange.asked] == [None]
    assert exchange.able.costs["funding_history"] == {"bills_2s": 1}
