"""The local exchange under all its faults at once, with clients that do anything: its books stay right."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import ccxt.pro
import pytest

from tests.exchange.client import ROOT, Exchange, options
from tests.exchange.driving import until

FAULTS = (
    "reset_before", "lost", "cut", "broken_json", "unavailable", "unavailable_code", "done_unavailable",
    "done_unavailable_code", "field", "drop", "duplicate", "reorder", "close", "reset_stream",
)  # fmt: skip
SECONDS = 2.0


async def _something(binance: Any, draw: random.Random, pair: str, futures: bool) -> None:
    """One request of a trader without a plan."""
    price = binance.market(pair)["info"]["price"]
    amount = max(draw.uniform(6, 60) / price, binance.market(pair)["limits"]["amount"]["min"])
    side, dice = draw.choice(["buy", "sell"]), draw.random()
    if dice < 0.35:
        await binance.create_order(pair, "market", side, amount, None, {"reduceOnly": dice < 0.1} if futures else {})
    elif dice < 0.65:
        limit, tif = price * draw.uniform(0.997, 1.003), draw.choice(["GTC", "IOC", "FOK"])
        await binance.create_order(pair, "limit", side, amount, limit, {"timeInForce": tif})
    elif dice < 0.8:
        stop = price * (0.998 if side == "sell" else 1.002)
        await binance.create_order(pair, "market", side, amount, None, {"stopLossPrice": stop})
    elif dice < 0.95:
        for trigger in (False, True) if futures else (False,):
            for order in await binance.fetch_open_orders(pair, params={"trigger": True} if trigger else {}):
                await binance.cancel_order(order["id"], pair, {"trigger": True} if trigger else {})
    else:
        await binance.fetch_balance()


async def _trade(exchange: Exchange, seed: int, *, futures: bool) -> int:
    """Requests for some seconds, whatever becomes of them; how many there were."""
    draw, count = random.Random(seed), 0
    given = options(exchange.port, futures=futures)
    binance = ccxt.pro.binance({**given, "apiKey": "key", "secret": "secret", "timeout": 60_000, "timeout_on_exit": 10})
    binance.enableRateLimit = False
    await binance.load_markets()
    for pair, ticker in (await binance.fetch_tickers()).items():
        binance.market(pair)["info"]["price"] = ticker["last"]
    if seed == 1:
        for number, kind in enumerate(FAULTS):
            wish = {"field": "status", "value": None} if kind == "field" else {}
            exchange.control("fault", kind=kind, probability=0.03, seed=number, **wish)
        exchange.control("fault", kind="late", probability=0.02, seconds=0.5)
    binance.timeout = 1500
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        with contextlib.suppress(ccxt.BaseError, AttributeError, TypeError, KeyError):  # ccxt fails on broken answers
            await _something(binance, draw, draw.choice(binance.symbols), futures)
        count += 1
    await binance.close()
    return count


@pytest.fixture(scope="module")
def torn() -> Iterator[tuple[Any, ...]]:
    """The state, and both markets' ledgers, of an exchange after two clients and all faults."""
    with Exchange("--pairs", "5", "--rate", "20", "--volatility", "0.002", "--for", "1800", futures=True) as exchange:

        async def two() -> list[int]:
            return list(await asyncio.gather(*(_trade(exchange, seed, futures=seed == 1) for seed in (0, 1))))

        assert all(asyncio.run(two()))
        exchange.control("clear")
        ledgers = {market: exchange.control("ledger", market=market) for market in ("spot", "futures")}
        yield exchange.control("state"), ledgers


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_the_books_are_right_whatever_happens(torn: tuple[Any, ...], market: str) -> None:
    """All fills are within their orders, every posting balances, and the exchange itself fails at nothing."""
    state, ledgers = torn
    ledger = ledgers[market]

    assert [] == state["failures"]
    assert ledger["orders"]
    for order in ledger["orders"]:
        assert Decimal(order["filled"]) == sum(Decimal(trade["qty"]) for trade in order["trades"])
        assert Decimal(order["filled"]) <= Decimal(order["qty"])
        assert (order["status"] == "FILLED") == (order["filled"] == order["qty"])
    held = {name: Decimal(amount) for name, amount in ledger["balances"].items()}
    for asset in {name.rpartition(":")[2] for name in held}:
        assert 0 == sum(amount for name, amount in held.items() if name.endswith(f":{asset}"))


def test_it_ends_with_its_parent_and_after_its_time() -> None:
    """No exchange is left behind: not when whoever started it is gone, and not for longer than it was told."""
    child = f"{sys.executable} -m tests.exchange --pairs 1 --for 60"
    program = f"import subprocess; print(subprocess.Popen({child.split()!r}, stdout=subprocess.PIPE).stdout.readline())"
    parent = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    port = int(parent.stdout.split()[-1].strip("\\n'"))

    def gone() -> bool:
        with contextlib.closing(socket.socket()) as knock:
            return knock.connect_ex(("127.0.0.1", port)) != 0

    asyncio.run(until(gone))
    with Exchange("--pairs", "1", "--for", "0.5") as short:
        assert 0 == short.process.wait(60)
