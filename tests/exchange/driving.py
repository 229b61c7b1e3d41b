"""Driving the exchange with the unmodified ccxt classes, for its own tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import ccxt
import ccxt.pro

from tests.exchange.client import Exchange

Work = Callable[[Any], Awaitable[Any]]


def drive(exchange: Exchange, work: Work, **options: Any) -> Any:
    """Run `work(binance)` with a `ccxt.pro.binance` that is pointed at the exchange, and close it."""

    async def all_of_it() -> Any:
        binance = ccxt.pro.binance(exchange.options(**options))
        try:
            await binance.load_markets()
            return await asyncio.wait_for(work(binance), 20)
        finally:
            await binance.close()

    return asyncio.run(all_of_it())


async def outcome(request: Awaitable[Any]) -> Any:
    """What a request returned, or the error it raised."""
    try:
        return await request
    except ccxt.BaseError as error:
        return error
