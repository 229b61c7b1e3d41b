"""Requests as ccxt's unmodified classes write them, caught before the socket.

Markets are made here, with each exchange's own names: no network, nothing of an exchange's answers. A class that
asks something of its own first (which kind of account it is) gets no answer either, so such a probe shows up as
the request; `options` of the capability are there to save it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import ccxt.pro

from actors.venues.capabilities import Call, CannotTrade, Capability, capability, exchanges, markets_of
from engine.market import Market
from engine.order import Amendment, Order
from engine.types import OrderSide, OrderType, Purpose, TimeInForce

ID: Final = "tpABCDEFr12p0badbeeft345i67"
ORDER_ID: Final = "770001"
REPLACED_ID: Final = "tpABCDEFr12p0badbeeft345i66"
"""Our id of an order that another one takes the place of."""
D = Decimal

NAMES: Final = {
    "binance": ("BTCUSDT", "BTCUSDT"),
    "bybit": ("BTCUSDT", "BTCUSDT"),
    "okx": ("BTC-USDT", "BTC-USDT-SWAP"),
    "kraken": ("XBTUSDT", ""),
    "kucoin": ("BTC-USDT", "XBTUSDTM"),
    "gate": ("BTC_USDT", "BTC_USDT"),
    "bitget": ("BTCUSDT", "BTCUSDT"),
    "mexc": ("BTCUSDT", ""),
    "htx": ("btcusdt", ""),
    "coinbase": ("BTC-USDT", ""),
}
"""What exchanges call Bitcoin against USDT, spot and as a perpetual contract."""

CONTRACTS: Final = {"okx": D("0.01"), "kucoin": D("0.001"), "gate": D("0.0001")}
"""Coins in a contract, where orders count contracts."""

CHANGING: Final = frozenset(
    {"timestamp", "signature", "nonce", "recvWindow", "Timestamp", "Signature", "AccessKeyId", "SignatureMethod",
     "SignatureVersion", "clOrdId", "ch", "tag", "channel_code"}
)  # fmt: skip
"""Fields that differ from call to call, sign it, or name a broker; an id among them is ours and stays."""


class Request(NamedTuple):
    """One request: method, path, and its fields from the query and the body, lists and tables joined by dots."""

    method: str
    path: str
    fields: dict[str, str]


class Caught(BaseException):
    """A request was written; nothing is sent."""


def recorder(able: Capability) -> Any:
    """An instance of ccxt's class that catches its requests in `caught`, with one market of ours."""
    base = getattr(ccxt.pro, able.exchange)

    class Recorder(base):  # type: ignore[misc]
        async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            self.caught.append((method, url, body))
            raise Caught

    made = Recorder(
        {
            "apiKey": "key",
            "secret": "c2VjcmV0c2VjcmV0c2VjcmV0",
            "password": "password",
            "uid": "1",
            "enableRateLimit": False,
            "options": dict(able.options),
        }
    )
    made.caught = []
    made.accounts = [{"id": "1", "type": "spot", "info": {}}]
    made.accountsById = {"1": made.accounts[0]}
    currencies = {code: {"id": code, "code": code, "precision": 1e-8} for code in ("BTC", "USDT")}
    made.set_markets([ccxt_market(made, able)], currencies)
    return made


def pair_of(able: Capability) -> str:
    """Bitcoin's pair, spot or as a contract."""
    return "BTC/USDT" if able.market == "spot" else "BTC/USDT:USDT"


def market_of(able: Capability) -> Market:
    """Our own view of that market."""
    size = CONTRACTS.get(able.exchange, D(1)) if able.market == "futures" else D(1)
    pair = pair_of(able)
    return Market(pair=pair, base="BTC", quote="USDT", price_step=D("0.1"), amount_step=D("0.001"), contract_size=size)


def ccxt_market(made: Any, able: Capability) -> Any:
    spot, market = able.market == "spot", market_of(able)
    kinds = ["LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "LIMIT_MAKER", "STOP", "STOP_MARKET"]
    return made.safe_market_structure(
        {
            "id": NAMES[able.exchange][0 if spot else 1],
            "symbol": market.pair,
            "base": "BTC",
            "quote": "USDT",
            "settle": None if spot else "USDT",
            "baseId": "BTC",
            "quoteId": "USDT",
            "settleId": None if spot else "USDT" if able.exchange == "bitget" else "usdt",
            "type": "spot" if spot else "swap",
            "spot": spot,
            "swap": not spot,
            "margin": False,
            "future": False,
            "option": False,
            "contract": not spot,
            "active": True,
            "linear": None if spot else True,
            "inverse": None if spot else False,
            "contractSize": None if spot else float(market.contract_size),
            "precision": {"amount": 1.0 if market.contract_size < 1 else 0.001, "price": 0.1},
            "info": {"orderTypes": kinds, "orderType": kinds},
        }
    )


def calls(able: Capability) -> Iterator[tuple[str, Call | None]]:
    """Everything that is asked of an exchange about orders, each with a name; None: it has to be found in lists."""
    market, pair = market_of(able), pair_of(able)
    entry = Order(
        pair=pair,
        client_order_id=ID,
        purpose=Purpose.ENTRY,
        side=OrderSide.BUY,
        type=OrderType.LIMIT,
        amount=D("0.02"),
        price=D(50_000),
        created_at=0,
        leverage=D(3) if able.market == "futures" else D(1),
    )
    leave = replace(entry, purpose=Purpose.EXIT, side=OrderSide.SELL, reduce_only=True)
    stop = replace(leave, purpose=Purpose.STOP, type=OrderType.STOP, price=D(45_000), trigger_price=D(45_000))
    orders = {"limit buy": entry, "limit sell": leave}
    orders["market buy"] = replace(entry, type=OrderType.MARKET)
    orders["market sell"] = replace(leave, type=OrderType.MARKET)
    orders |= {f"limit {tif}": replace(entry, time_in_force=TimeInForce(tif)) for tif in able.tif}
    if able.stop is not None:
        orders["stop sell"] = stop
        if able.market == "futures":
            orders["stop buy"] = replace(stop, side=OrderSide.BUY, price=D(55_000), trigger_price=D(55_000))
    for name, order in orders.items():
        yield name, able.create(order, market)
    if able.stop_replace:
        yield "replace stop", able.create(replace(stop, replaces=REPLACED_ID), market)
    if able.stop_amend:
        for kind, amount in (("amend stop", D("0.01")), ("amend stop's trigger", stop.amount)):
            target = Amendment(amount=amount, trigger_price=D("46000.5"))
            yield kind, able.amend(replace(stop, amending=target), market, ORDER_ID)
    for margin in ("isolated", "cross"):
        for kind, call in able.prepare(pair, entry.leverage, margin) if able.market == "futures" else []:
            yield f"{kind} {margin}", call
    yield from _fetches("fetch", able.fetch(pair, ID))
    yield from _fetches("fetch known", able.fetch(pair, ID, ORDER_ID))
    yield "cancel", able.cancel(pair, ID)
    yield "cancel known", able.cancel(pair, ID, ORDER_ID)
    if able.stop is not None:
        yield from _fetches("fetch stop", able.fetch(pair, ID, stop=True))
        yield from _fetches("fetch known stop", able.fetch(pair, ID, ORDER_ID, stop=True))
        yield "cancel stop", able.cancel(pair, ID, stop=True)
        yield "cancel known stop", able.cancel(pair, ID, ORDER_ID, stop=True)
    yield "open orders", able.open_orders(pair)
    yield "open stops", able.open_stops(pair)
    if able.market == "futures":
        yield "positions", able.positions()


def _fetches(name: str, asked: Sequence[Call]) -> Iterator[tuple[str, Call | None]]:
    """The first by its name, those that are asked after it by `then`."""
    yield name, asked[0] if asked else None
    for call in asked[1:]:
        yield f"{name}, then", call


def request_of(made: Any, call: Call) -> Request:
    """The request that a call makes ccxt write."""
    made.caught.clear()
    asyncio.run(_caught(getattr(made, call.method)(*call.args, params=dict(call.params))))
    method, url, body = made.caught[-1]
    path, fields = fields_of(url, body)
    ours = made_id(made, call)
    return Request(method, path, {k: v for k, v in sorted(fields.items()) if not _changes(k, v, ours)})


def fields_of(url: str, body: Any) -> tuple[str, dict[str, str]]:
    """A request's path, and its fields from the query and the body."""
    parts = urlsplit(url)
    fields = dict(parse_qsl(parts.query, keep_blank_values=True))
    if body:
        text = json.dumps(body) if isinstance(body, dict | list) else body if isinstance(body, str) else body.decode()
        fields |= _flat(json.loads(text)) if text[:1] in "{[" else dict(parse_qsl(text, keep_blank_values=True))
    return parts.path, fields


def made_id(made: Any, call: Call) -> str:
    """The id that a call carries, as the exchange takes it; empty where it carries none."""
    del made
    words = [*call.args, *call.params.values()]
    return next((str(w) for w in words if isinstance(w, str) and len(w) > 20 and "/" not in w), "")


def _changes(name: str, value: str, ours: str) -> bool:
    last = name.rpartition(".")[2]
    return last in CHANGING and not (ours and value == ours)


async def _caught(coroutine: Any) -> None:
    try:
        await coroutine
    except Caught:
        return
    raise AssertionError("ccxt wrote no request")


def _flat(value: Any, name: str = "") -> dict[str, str]:
    if isinstance(value, dict):
        items = [(f"{name}.{k}" if name else str(k), v) for k, v in value.items()]
    elif isinstance(value, list):
        items = [(f"{name}.{n}" if name else str(n), v) for n, v in enumerate(value)]
    else:
        return {name: json.dumps(value) if isinstance(value, bool | float | int) or value is None else str(value)}
    return {k: v for key, inner in items for k, v in _flat(inner, key).items()}


def capabilities() -> Iterator[Capability]:
    """Everything that is traded live."""
    for exchange in exchanges():
        for market in markets_of(exchange):
            try:
                yield capability(exchange, futures=market == "futures")
            except CannotTrade:
                continue
