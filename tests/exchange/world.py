"""The whole exchange in one object: clock, users, markets, faults; and its web server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from aiohttp import web

from tests.exchange.bybit.account import Account
from tests.exchange.bybit.door import BybitDoor
from tests.exchange.bybit.hub import BybitHub
from tests.exchange.bybit.limits import Visits
from tests.exchange.bybit.market import Market
from tests.exchange.bybit.orders import Orders
from tests.exchange.bybit.stream import BybitStream
from tests.exchange.clock import Clock
from tests.exchange.door import BinanceDoor, Endpoint, User
from tests.exchange.faults import Faults
from tests.exchange.futures import FuturesVenue
from tests.exchange.hub import Hub
from tests.exchange.listing import listings
from tests.exchange.margin import COIN, FuturesAccount
from tests.exchange.player import Player
from tests.exchange.rest_futures import FuturesRest
from tests.exchange.rest_margin import MarginRest
from tests.exchange.rest_spot import SpotRest
from tests.exchange.spot import SpotAccount, SpotVenue
from tests.exchange.user_stream import UserStream
from tests.exchange.venue import Venue
from tests.exchange.windows import Limits, futures_limits, spot_limits
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
        self.doors = {"spot": self._binance(limits, spot_rest.endpoints())}
        self.venues: dict[str, Venue[Any]] = {"spot": self.spot}
        self.hubs = {"spot": Hub(self.spot, self.clock, self.faults, talk_limit=5)}
        self.user_streams: dict[str, WsApi | UserStream | BybitStream] = {"spot": WsApi(self.doors["spot"])}
        self.spot.publish = self.user_streams["spot"].publish
        self.bybit_orders = Orders(self.spot)
        self.bybit = self._bybit()
        self.hubs["bybit"] = BybitHub(self.spot, self.clock, self.faults, talk_limit=1000)
        self.user_streams["bybit"] = BybitStream(self.spot, self.bybit)
        self.margin: MarginRest | None = None
        if settings.futures:
            self._add_futures()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.failures: list[str] = []
        self.add_user(User(name="main", key="key", secret="secret"), settings.funds)

    def _binance(self, limits: Limits, endpoints: dict[tuple[str, str], Endpoint]) -> BinanceDoor:
        return BinanceDoor(self.clock, self.users, self.faults, limits=limits, endpoints=endpoints)

    def _bybit(self) -> BybitDoor:
        """The second door to the same spot market."""
        parts = (Market(self.spot), Account(self.spot), self.bybit_orders)
        endpoints = {name: endpoint for part in parts for name, endpoint in part.endpoints().items()}
        limits = Visits(self.clock.wall)
        return BybitDoor(self.clock, self.users, self.faults, limits=limits, endpoints=endpoints)

    def _add_futures(self) -> None:
        settings = self.settings
        venue = FuturesVenue(listings(settings.pairs, settings.seed, futures=True), self.clock, settings.seed + 1)
        limits = futures_limits(self.clock.wall)
        self.margin = MarginRest(venue)
        endpoints = {**FuturesRest(venue, limits, self.users).endpoints(), **self.margin.endpoints()}
        door = self.doors["futures"] = self._binance(limits, endpoints)
        door.futures = True
        hub = self.hubs["futures"] = Hub(venue, self.clock, self.faults, talk_limit=10)
        hub.funding = self.margin.next_funding
        stream = self.user_streams["futures"] = UserStream(door, self.margin)
        venue.publish = stream.publish
        self.venues["futures"] = venue
        rate = settings.rate if settings.play else 0.0
        self.players["futures"] = Player(venue, settings.seed + 1, rate=rate, volatility=settings.volatility)

    def add_user(self, user: User, funds: dict[str, Decimal]) -> None:
        """A new account with these coins, or a further key of an account that is there."""
        self.users[user.key] = user
        if user.name in self.spot.accounts:
            return
        account = self.spot.accounts[user.name] = SpotAccount(user.name)
        for asset, amount in funds.items():
            self.spot.deposit(account, asset, amount)
        futures = self.venues.get("futures")
        if isinstance(futures, FuturesVenue):
            futures.accounts[user.name] = FuturesAccount(user.name, futures.quotes)
            futures.deposit(futures.accounts[user.name], COIN, funds.get(COIN, Decimal(0)))

    def reset(self) -> None:
        """Forget what has happened; what was set by `Settings` stays."""
        self.faults.clear()
        self.failures.clear()
        self.clock.skew_ms = 0
        self.users.clear()
        for name, venue in self.venues.items():
            venue.forget()
            self.doors[name].limits.forget()
            self.players[name].paused.clear()
        for hub, stream in zip(self.hubs.values(), self.user_streams.values(), strict=True):
            hub.kick(), stream.kick()
        self.bybit.limits.forget()
        self.add_user(User(name="main", key="key", secret="secret"), self.settings.funds)

    def spawn(self, work: Any) -> None:
        """Run something beside the requests."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failures.append(f"{task.get_coro()}: {error!r}")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request or serve a websocket; a failure of this exchange's own is kept for `state`."""
        try:
            return await self._answer(request)
        except ConnectionError:
            raise
        except Exception as error:
            self.failures.append(f"{request.method} {request.path}: {error!r}")
            raise

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/v5/public/spot":
            return await self.hubs["bybit"].serve(request)
        if request.path == "/v5/private":
            return await self.user_streams["bybit"].serve(request)
        if request.path.startswith("/v5/"):
            return await self.bybit.answer(request)
        if request.path.startswith("/stream"):
            return await self.hubs["spot"].serve(request)
        if request.path == "/ws-api/v3":
            return await self.user_streams["spot"].serve(request)
        if "futures" in self.doors:
            if request.path.startswith("/fut/private"):
                return await self.user_streams["futures"].serve(request)
            if request.path.startswith("/fut/"):
                return await self.hubs["futures"].serve(request)
            if request.path.startswith("/fapi/"):
                return await self.doors["futures"].answer(request)
        return await self.doors["spot"].answer(request)

    async def _fund(self) -> None:
        """Look now and then whether funding is due."""
        futures = self.venues.get("futures")
        while isinstance(futures, FuturesVenue):
            futures.fund_if_due()
            await asyncio.sleep(0.2)

    async def started(self, app: web.Application) -> None:
        """Let the prices play and the streams flow."""
        for player in self.players.values():
            self.spawn(player.run())
        self.spawn(self._fund())
        for hub in self.hubs.values():
            self.spawn(hub.run())

    async def stopped(self, app: web.Application) -> None:
        """End all that runs beside the requests."""
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
