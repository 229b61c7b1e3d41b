"""The whole exchange in one object: clock, users, markets, faults; and its web server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from aiohttp import web

from tests.exchange.clock import Clock
from tests.exchange.door import Door, User
from tests.exchange.faults import Faults
from tests.exchange.hub import Hub
from tests.exchange.listing import listings
from tests.exchange.player import Player
from tests.exchange.rest_spot import SpotRest
from tests.exchange.spot import SpotAccount, SpotVenue
from tests.exchange.venue import Venue
from tests.exchange.windows import spot_limits
from tests.exchange.ws_api import WsApi


@dataclass(slots=True, kw_only=True)
class Settings:
    """How an exchange is made up."""

    pairs: int = 10
    seed: int = 1
    futures: bool = False
    speed: float = 1.0
    rate: float = 1.0
    volatility: float = 0.0002
    play: bool = True
    funds: dict[str, Decimal] = field(default_factory=lambda: {"USDT": Decimal(10_000)})


class World:
    """See the module."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = Clock(settings.speed)
        self.faults = Faults()
        self.users: dict[str, User] = {}
        self.spot = SpotVenue(listings(settings.pairs, settings.seed), self.clock, settings.seed)
        rate = settings.rate if settings.play else 0.0
        self.players = {"spot": Player(self.spot, settings.seed, rate=rate, volatility=settings.volatility)}
        limits = spot_limits(self.clock.wall)
        spot_rest = SpotRest(self.spot, limits, self.users)
        self.doors = {"spot": Door(self.clock, self.users, self.faults, limits, spot_rest.endpoints())}
        self.venues: dict[str, Venue[Any]] = {"spot": self.spot}
        self.hubs = {"spot": Hub(self.spot, self.clock, self.faults, talk_limit=5)}
        self.user_streams = {"spot": WsApi(self.doors["spot"])}
        self.spot.publish = self.user_streams["spot"].publish
        self.tasks: set[asyncio.Task[Any]] = set()
        self.add_user(User(name="main", key="key", secret="secret"), settings.funds)

    def add_user(self, user: User, funds: dict[str, Decimal]) -> None:
        """A new account with these coins, or a further key of an account that is there."""
        self.users[user.key] = user
        if user.name in self.spot.accounts:
            return
        account = self.spot.accounts[user.name] = SpotAccount(user.name)
        for asset, amount in funds.items():
            self.spot.deposit(account, asset, amount)

    def spawn(self, work: Any) -> None:
        """Run something beside the requests."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Hand a request of Binance's API, or a websocket, to the market it is for."""
        if request.path.startswith("/stream"):
            return await self.hubs["spot"].serve(request)
        if request.path == "/ws-api/v3":
            return await self.user_streams["spot"].serve(request)
        return await self.doors["spot"].answer(request)

    async def started(self, app: web.Application) -> None:
        """Let the prices play and the streams flow."""
        for player in self.players.values():
            self.spawn(player.run())
        for hub in self.hubs.values():
            self.spawn(hub.run())

    async def stopped(self, app: web.Application) -> None:
        """End all that runs beside the requests."""
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
