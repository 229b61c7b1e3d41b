"""Driving the exchange with the unmodified ccxt classes, for its own tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import ccxt
import ccxt.pro

from tests.exchange.client import Exchange

Work = Callable[[Any], Awaitable[Any]]


def drive(exchange: Exchange, work: Work, *, timeout: int = 60_000, **options: Any) -> Any:
    """Run `work(binance)` with a `ccxt.pro.binance` that is pointed at the exchange, and close it.

    `timeout` is for the requests of `work` only.
    """

    async def all_of_it() -> Any:
        binance = getattr(ccxt.pro, exchange.name)(exchange.options(timeout_on_exit=10, timeout=60_000, **options))
        try:
            await binance.load_markets()
            binance.timeout = timeout
            return await asyncio.wait_for(work(binance), 90)
        finally:
            await binance.close()

    return asyncio.run(all_of_it())


async def outcome(request: Awaitable[Any]) -> Any:
    """What a request returned, or the error it raised."""
    try:
        return await request
    except ccxt.BaseError as error:
        return error


async def until(happened: Callable[[], Any]) -> None:
    """Wait until it has happened; a minute at most."""
    ends = time.monotonic() + 60
    while not happened():
        if time.monotonic() > ends:
            raise TimeoutError("it has not happened")
        await asyncio.sleep(0.02)


def listened_to(exchange: Exchange, market: str) -> bool:
    """Whether the account's stream is open."""
    return "main" in exchange.control("sockets")[market]["users"]
