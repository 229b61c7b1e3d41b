"""`python -m tests.exchange`: the local exchange on 127.0.0.1, until its parent ends or its time is over."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import signal
from decimal import Decimal

from aiohttp import web

from tests.exchange.control import ControlPanel
from tests.exchange.world import Settings, World


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.exchange", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one; the first line printed ends with it")
    parser.add_argument("--pairs", type=int, default=10, help="how many pairs are listed (10)")
    parser.add_argument("--seed", type=int, default=1, help="of prices and history (1)")
    parser.add_argument("--futures", action="store_true", help="list USD-M futures too")
    parser.add_argument("--speed", type=float, default=1.0, help="how fast the exchange's clock runs (1)")
    parser.add_argument("--rate", type=float, default=1.0, help="public trades a second for each pair (1)")
    parser.add_argument("--volatility", type=float, default=0.0002, help="of one public trade (0.0002)")
    parser.add_argument("--still", action="store_true", help="prices move by control calls only")
    parser.add_argument("--funds", default="USDT=10000", help="of the account `main` (USDT=10000)")
    parser.add_argument("--for", dest="seconds", type=float, default=3600.0, help="end after so many seconds (3600)")
    return parser.parse_args()


async def _serve(given: argparse.Namespace) -> None:
    settings = Settings(
        pairs=given.pairs,
        seed=given.seed,
        futures=given.futures,
        speed=given.speed,
        rate=given.rate,
        volatility=given.volatility,
        play=not given.still,
        funds={
            asset: Decimal(amount) for asset, amount in (part.split("=") for part in given.funds.split(",") if part)
        },
    )
    world = World(settings)
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_route("*", "/control/{call}", ControlPanel(world).answer)
    app.router.add_route("*", "/{path:.*}", world.answer)
    app.on_startup.append(world.started)
    app.on_shutdown.append(world.stopped)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", given.port, backlog=1024)
    await site.start()
    port = runner.addresses[0][1]
    print(f"listening on 127.0.0.1 port {port}", flush=True)
    gc.freeze()
    try:
        await _until_over(given.seconds)
    finally:
        await runner.cleanup()


async def _until_over(seconds: float) -> None:
    """Return when the time is over, the parent is gone, or the process is told to end."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    parent, ends = os.getppid(), loop.time() + seconds
    while not over.is_set() and os.getppid() == parent and loop.time() < ends:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), 0.5)


if __name__ == "__main__":
    asyncio.run(_serve(_arguments()))
