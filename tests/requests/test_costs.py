"""What Binance's requests cost by our table is what an exchange that counts as Binance does has counted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import ccxt.pro
import pytest

from actors.venues.capabilities import Call, Capability, capability
from actors.venues.live.book import SMALL
from actors.venues.live.reading import FEW
from engine.order import Order
from engine.types import OrderSide, OrderType, Purpose
from tests.exchange.client import Exchange
from tests.requests.recorder import market_of

ID = "tpABCDEFr1p0badbeeft1i"
SPOT = "BTC/USDT"
FUTURES = "BTC/USDT:USDT"


@pytest.fixture(scope="module", params=["spot", "futures"])
def exchange(request: pytest.FixtureRequest) -> Iterator[Exchange]:
    """The local exchange, spot or futures."""
    futures = request.param == "futures"
    arguments = ("--pairs", "3", *(("--futures",) if futures else ()))
    with Exchange(*arguments, futures=futures) as server:
        yield server


async def counted(made: Any, function: Any, *args: Any) -> int:
    """The weight that one call has cost, by the exchange's own header."""
    header = "X-MBX-USED-WEIGHT-1M"
    left_s = 60 - await made.fetch_time() % 60_000 / 1_000
    if left_s < 10:  # the count begins anew with each minute of the exchange
        await asyncio.sleep(left_s)
        await made.fetch_time()
    before = int(made.last_response_headers[header])
    await function(*args)
    await made.fetch_time()
    return int(made.last_response_headers[header]) - before - 1


def test_no_request_costs_more_than_is_reckoned(exchange: Exchange) -> None:
    """Each kind of request, made as it is made live, costs what the table says; a futures order has no weight there.

    Tickers cost by how many are asked for; what is reckoned is the most.
    """
    table = capability("binance", futures=exchange.futures).limits().costs
    found = asyncio.run(_costs(exchange))
    reckoned = {kind: table[kind].get("weight_1m", 0) for kind in found}

    assert len(found) >= 14
    assert found.pop("tickers") <= reckoned.pop("tickers")
    assert found.pop("ticker") <= reckoned.pop("ticker")
    assert reckoned == found


def order_at(pair: str, price: Decimal) -> Order:
    """An order to buy, well below the price: it rests."""
    return Order(
        pair=pair,
        client_order_id=f"{ID}1",
        purpose=Purpose.ENTRY,
        side=OrderSide.BUY,
        type=OrderType.LIMIT,
        amount=Decimal("0.01"),
        price=(price * Decimal("0.9")).quantize(Decimal("0.1")),
        created_at=0,
    )


def called(made: Any, wanted: Call | None) -> tuple[Any, ...]:
    """A call as a function and its arguments."""
    assert wanted is not None
    padding = (None, None) if wanted.method == "fetch_open_orders" else ()
    return getattr(made, wanted.method), *wanted.args, *padding, dict(wanted.params)


async def _costs(exchange: Exchange) -> dict[str, int]:
    able = capability("binance", futures=exchange.futures)
    pair = FUTURES if exchange.futures else SPOT
    made = ccxt.pro.binance(exchange.options(timeout=60_000))
    try:
        await made.load_markets()
        price = Decimal(str((await made.fetch_ohlcv(pair, "1m", None, 1))[-1][4])).quantize(Decimal("0.1"))
        asked = {
            "markets": (made.load_markets, True),
            "time": (made.fetch_time,),
            "candles": (made.fetch_ohlcv, pair, "1m", None, 1_000),
            "candles_few": (made.fetch_ohlcv, pair, "1m", None, FEW - 1),
            "book": (made.fetch_order_book, pair, SMALL),
            "deep_book": (made.fetch_order_book, pair, 1_000),
            "balances": (made.fetch_balance,),
            "my_trades": (made.fetch_my_trades, pair),
            "ticker": (made.fetch_ticker, pair),
            "tickers": (made.fetch_tickers, [pair]),
            "order_usage": (
                made.fapiprivate_get_ratelimit_order if exchange.futures else made.private_get_ratelimit_order,
            ),
        }
        if exchange.futures:
            asked["positions"] = (made.fetch_positions,)
            asked["leverage"] = (made.set_leverage, 3, pair)
            asked["funding_history"] = (made.fetch_funding_history, pair)
        costs = {kind: await counted(made, *call) for kind, call in asked.items()}
        return costs | await _order_costs(made, able, order_at(pair, price), price)
    finally:
        await made.close()


async def _order_costs(made: Any, able: Capability, order: Order, price: Decimal) -> dict[str, int]:
    pair, market = order.pair, market_of(able)
    held = replace(order, client_order_id=f"{ID}2", type=OrderType.MARKET, price=price)
    stop = replace(
        order,
        client_order_id=f"{ID}3",
        purpose=Purpose.STOP,
        side=OrderSide.SELL,
        type=OrderType.STOP,
        trigger_price=order.price,
        reduce_only=True,
        amount=Decimal("0.005"),
    )
    higher = (order.price * Decimal("1.01")).quantize(Decimal("0.1"))
    raised = replace(stop, client_order_id=f"{ID}4", trigger_price=higher, replaces=f"{ID}3")
    asked = [
        ("order", able.create(order, market)),
        ("fetch_order", able.fetch(pair, f"{ID}1")[0]),
        ("open_orders", able.open_orders(pair)),
        ("cancel", able.cancel(pair, f"{ID}1")),
        ("order", able.create(held, market)),
        ("stop", able.create(stop, market)),
        ("fetch_stop", able.fetch(pair, f"{ID}3", stop=True)[0]),
        ("open_stops", able.open_stops(pair)),
        *((("replace", able.create(raised, market)),) if able.stop_replace else ()),
        ("cancel_stop", able.cancel(pair, raised.client_order_id if able.stop_replace else f"{ID}3", stop=True)),
    ]
    return {kind: await counted(made, *called(made, call)) for kind, call in asked if call is not None}
