"""Exchanges' answers played through ccxt's unmodified classes into our own reading, and what came of each.

An answer ends in values of ours that agree with what ccxt's own test says of it, or in a refusal with a reason: what
names no order, no amount or no fill is asked for again. Anything else, an exception or another amount, is a mistake.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import ccxt.pro

from actors.venues.live.failure import Exchanged, failure_of, unread
from actors.venues.live.frames import rows_of
from actors.venues.live.market import price_of
from actors.venues.live.markets import market_of, number, positive
from actors.venues.live.words import (
    balances_of,
    client_id_of,
    fill_of,
    order_of,
    position_of,
    rows,
    text,
    unreadable_of,
)
from engine.market import Market
from engine.types import ZERO, OrderStatus
from tests.answers.fixtures import Entry

NOW: Final = 4_000_000_000_000
S = OrderStatus

_WORDS: Final = {"open": {S.NEW, S.PARTIALLY_FILLED}, "closed": {S.FILLED, S.EXPIRED}, "canceled": {S.CANCELED, S.FILLED},
                 "expired": {S.EXPIRED, S.FILLED}, "rejected": {S.REJECTED, S.FILLED}}  # fmt: skip


@dataclass(slots=True)
class Played:
    """What came of some answers: how many values were `read`, which were `refused` and which were `wrong`, each with why."""

    read: int = 0
    refused: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def instance(exchange: str, markets: Mapping[str, Any] | None, currencies: Any, options: Mapping[str, Any]) -> Any:
    """An instance of ccxt's class with markets, that asks nobody."""
    made = getattr(ccxt.pro, exchange)({"apiKey": "key", "secret": "c2VjcmV0c2VjcmV0", "password": "p", "uid": "1"})
    made.enableRateLimit, made.timeout_on_exit = False, 0
    made.options = made.deep_extend(made.options, dict(options))
    made.accounts = [{"id": "1", "type": "spot", "info": {}}]
    made.accountsById = {"1": made.accounts[0]}
    if markets is not None:
        made.set_markets(markets, currencies)
    return made


def play(made: Any, entry: Entry, into: Played) -> None:
    """Give one answer to ccxt's method, and what it makes of it to ours."""
    read = READINGS[entry.method]
    value, why = called(made, entry)
    if why:
        into.refused.append(f"{entry.title}: {why}")
        return
    try:
        read(made, value, entry.said.get("parsedResponse"), entry.title, into)
    except Exception as error:  # noqa: BLE001 - that nothing is raised is what is shown
        into.wrong.append(f"{entry.title}: {error!r}")


def called(made: Any, entry: Entry) -> tuple[Any, str]:
    """What ccxt makes of an answer; else why the bot would not use it."""
    return asyncio.run(_called(made, entry))


async def _called(made: Any, entry: Entry) -> tuple[Any, str]:
    answer = entry.said["httpResponse"]
    facts = Exchanged(written=True, status=200, told=answer if isinstance(answer, list | dict) else None)

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        written = json.dumps(answer)
        made.last_http_response = written
        made.handle_errors(200, "OK", url, method, {}, written, answer, headers, body)
        return answer

    made.fetch = fetch
    function = getattr(made, _snake(entry.method))
    try:
        value = await function(*entry.said.get("input", []))
    except Exception as error:  # noqa: BLE001 - whatever it is, the bot's own judgement of it is asked
        return None, str(failure_of(error, facts, NOW).verdict)
    finally:
        await made.close()
    failure = unread(value, facts)
    return value, "" if failure is None else failure.reason


def _snake(method: str) -> str:
    return re.sub(r"OHLCV", "_ohlcv", method) if "OHLCV" in method else re.sub(r"(?<!^)([A-Z])", r"_\1", method).lower()


def our_market(made: Any, symbol: Any) -> Market | None:
    """Our view of a market of ccxt's."""
    told = (made.markets or {}).get(text(symbol))
    return None if told is None else market_of(told, made.precisionMode)


# ---------------------------------------------------------------- readings


def _orders(made: Any, value: Any, parsed: Any, title: str, into: Played) -> None:
    for told, said in _pairs(value, parsed):
        market = our_market(made, told.get("symbol") if isinstance(told, Mapping) else None)
        order = None if market is None else order_of(told, market, str)
        if market is None or order is None:
            into.refused.append(f"{title}: no order that could be taken for one")
            continue
        size = market.contract_size
        checks = [
            ("id", order.order_id, text(said.get("id"))),
            ("client id", order.client_order_id, client_id_of(told)),
            ("amount", order.amount, (number(said.get("amount")) or ZERO) * size),
            ("filled", order.filled, max(number(said.get("filled")) or ZERO, ZERO) * size),
            ("side", str(order.side), said.get("side")),
        ]
        _agree(checks, title, into)
        wanted = _WORDS.get(text(said.get("status")))
        if wanted is not None and order.status not in wanted and positive(said.get("filled")) is not None:
            into.wrong.append(f"{title}: status {said.get('status')} became {order.status}")


def _placed(made: Any, value: Any, parsed: Any, title: str, into: Played) -> None:
    """The answer to an order or a cancel: with an id it is taken, without one it is in doubt."""
    if isinstance(value, Mapping) and text(value.get("id")):
        _agree([("id", text(value.get("id")), text((parsed or {}).get("id")))], title, into)
        market = our_market(made, value.get("symbol"))
        order_of({**value, "clientOrderId": "", "info": None}, market, str) if market is not None else None
    else:
        into.refused.append(f"{title}: no id, so it is in doubt")


def _trades(made: Any, value: Any, parsed: Any, title: str, into: Played) -> None:
    for told, said in _pairs(value, parsed):
        market = our_market(made, told.get("symbol") if isinstance(told, Mapping) else None)
        filled = None if market is None else fill_of(told, "mine", market, NOW)
        if market is None or filled is None:
            into.refused.append(f"{title}: no execution that could be taken for one")
            continue
        fill, fee = filled.fill, said.get("fee") if isinstance(said.get("fee"), Mapping) else {}
        checks = [
            ("id", fill.fill_id, text(said.get("id"))),
            ("order", filled.order_id, text(said.get("order"))),
            ("price", fill.price, number(said.get("price"))),
            ("amount", fill.amount, (number(said.get("amount")) or ZERO) * market.contract_size),
        ]
        if number(fee.get("cost")):
            checks += [
                ("fee", fill.fee, number(fee["cost"])),
                ("fee's coin", fill.fee_currency, text(fee.get("currency"))),
            ]
        _agree(checks, title, into)


def _balances(made: Any, value: Any, parsed: Any, title: str, into: Played) -> None:
    del made
    told = {coin: free + locked for coin, free, locked in balances_of(value, futures=False)}
    hidden = unreadable_of(value)
    for coin, said in (parsed or {}).items():
        total = number(said.get("total")) if isinstance(said, Mapping) and "total" in said else None
        if total is None or coin in hidden:
            continue
        _agree([(coin, told.get(coin, ZERO), max(total, ZERO) if coin not in told else total)], title, into)
    into.refused += [f"{title}: {coin} without an amount" for coin in sorted(hidden)]


def _positions(made: Any, value: Any, parsed: Any, title: str, into: Played) -> None:
    for told, said in _pairs(value, parsed):
        market = our_market(made, told.get("symbol") if isinstance(told, Mapping) else None)
        held = None if market is None else position_of(told, market)
        if market is None or held is None:
            into.refused.append(f"{title}: no position that could be taken for one")
            continue
        size = abs(number(said.get("contracts")) or ZERO) * market.contract_size
        _agree([("held", held, -size if said.get("side") == "short" else size)], title, into)


def _candles(made: Any, value: Any, parsed: Any, title: str, into: Played) -> None:
    del made
    found = {candle.ts: candle for candle in rows_of(value)}
    for said in rows(parsed):
        candle = found.get(said[0])
        if candle is None:
            into.refused.append(f"{title}: a candle without its values")
        else:
            _agree([("close", candle.close, said[4])], title, into)


def _tickers(made: Any, value: Any, parsed: Any, title: str, into: Played) -> None:
    del made, parsed
    many = value.values() if isinstance(value, Mapping) and "symbol" not in value else [value]
    for told in many:
        price = price_of(told)
        if price is None:
            into.refused.append(f"{title}: no price")
        elif not price.is_finite() or price <= 0:
            into.wrong.append(f"{title}: the price {price}")
        else:
            into.read += 1


Reading = Callable[[Any, Any, Any, str, Played], None]

READINGS: Final[Mapping[str, Reading]] = {
    "createOrder": _placed, "cancelOrder": _placed, "fetchOrder": _orders, "fetchOrders": _orders,
    "fetchOpenOrder": _orders, "fetchOpenOrders": _orders, "fetchClosedOrders": _orders,
    "fetchCanceledAndClosedOrders": _orders, "fetchMyTrades": _trades, "fetchOrderTrades": _trades,
    "fetchBalance": _balances, "fetchPositions": _positions, "fetchPosition": _positions, "fetchOHLCV": _candles,
    "fetchTicker": _tickers, "fetchTickers": _tickers, "fetchBidsAsks": _tickers,
}  # fmt: skip
"""Our reading of what each of ccxt's methods answers."""


def _pairs(value: Any, parsed: Any) -> list[tuple[Any, Mapping[str, Any]]]:
    """Each row with what ccxt's own test says of it."""
    many = value if isinstance(value, list) else [value]
    said = parsed if isinstance(parsed, list) else [parsed]
    empty: Mapping[str, Any] = {}
    found = [one if isinstance(one, Mapping) else empty for one in said]
    return [(told, found[n] if n < len(found) else told) for n, told in enumerate(many)]


def _agree(checks: Sequence[tuple[str, Any, Any]], title: str, into: Played) -> None:
    for name, ours, theirs in checks:
        if isinstance(ours, Decimal | float) and theirs is not None:
            same = abs(float(ours) - float(theirs)) <= 1e-12 * max(1.0, abs(float(theirs)))
        else:
            same = ours == theirs
        if same:
            into.read += 1
        else:
            into.wrong.append(f"{title}: {name} is {theirs}, and was read as {ours}")
