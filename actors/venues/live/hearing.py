"""Whether an exchange's stream of candles can be opened: asked once by `tradepit check`, since a wrong address is told by nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, Final

from actors.venues.ccxt import Connection
from actors.venues.live.failure import sentence_of

WAIT_S: Final = 10.0
"""A connection that does not stand after so long does not stand."""

LOOKED_S: Final = 0.02


async def unheard(connection: Connection, pair: str, timeframe: str, wait_s: float = WAIT_S) -> str:
    """Why the stream that the bot would listen to cannot be opened, in a sentence; empty where it can. On the loop."""
    instance = await connection.instance()
    watching = asyncio.ensure_future(_watched(instance, pair, timeframe))
    try:
        why = await _opened(instance, watching, wait_s)
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await watching
        await connection.release(instance)
    if not why:
        return ""
    return (
        f"WARNING: the stream of candles cannot be opened ({why}): look at the websocket addresses in [exchange] options, "
        "and at what stands between. Until it can, they are read one pair after the other"
    )


def _watched(instance: Any, pair: str, timeframe: str) -> Awaitable[Any]:
    """What opens it, as the bot does; where an exchange has no candles by websocket, prices."""
    if instance.has.get("watchOHLCVForSymbols"):
        found: Awaitable[Any] = instance.watch_ohlcv_for_symbols([[pair, timeframe]])
    elif instance.has.get("watchOHLCV"):
        found = instance.watch_ohlcv(pair, timeframe)
    else:
        found = instance.watch_ticker(pair)
    return found


async def _opened(instance: Any, watching: asyncio.Future[Any], wait_s: float) -> str:
    """Wait until a socket is open, or until it is known that none will be; why not."""
    loop = asyncio.get_running_loop()
    until = loop.time() + wait_s
    while loop.time() < until:
        if any(client.connectionEstablished for client in (instance.clients or {}).values()):
            return ""
        if watching.done():
            error = watching.exception()
            return "" if error is None else sentence_of(error)
        await asyncio.sleep(LOOKED_S)
    return f"no connection within {wait_s:g} s"
