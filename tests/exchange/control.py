"""This server's own endpoints, below `/control/`: no part of Binance's API.

POST takes a JSON object, GET takes a query; every answer is JSON. `market` is `spot` (default) or `futures`,
`account` is `main` by default. What each does is the docstring of its method, and `client.Control` calls them.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson
from aiohttp import web

from tests.exchange.door import User
from tests.exchange.errors import Refusal
from tests.exchange.futures import FuturesVenue
from tests.exchange.sockets import Socket
from tests.exchange.user_stream import UserStream
from tests.exchange.venue import Venue
from tests.exchange.world import World

Asking = dict[str, Any]


class ControlPanel:
    """The control endpoints of one exchange."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calls: dict[str, Callable[[Asking], Any]] = {
            name: getattr(self, name)
            for name in (
                "state", "price", "play", "script", "candles", "pair", "fault", "clear", "faults", "ledger", "order",
                "cancel", "fill", "deposit", "user", "clock", "limits", "requests", "sockets", "kick", "fund",
                "liquidate", "modes", "expire", "outage", "reset", "say", "frames", "restart",
            )
        }  # fmt: skip

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Do one call; what is wrong with it is said in one sentence."""
        call = self.calls.get(request.match_info["call"])
        if call is None:
            return web.json_response({"error": f"no such call; there are {', '.join(self.calls)}"}, status=404)
        try:
            asking = orjson.loads(await request.read()) if request.body_exists else dict(request.query)
            done = call(asking)
        except (ValueError, KeyError, TypeError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)
        except Refusal as refusal:
            return web.json_response({"error": str(refusal), **refusal.body()}, status=400)
        return web.Response(body=orjson.dumps(done, default=str), content_type="application/json")

    def _venue(self, asking: Asking) -> Venue[Any]:
        return self.world.venues[asking.get("market", "spot")]

    def _account(self, asking: Asking) -> Any:
        return self._venue(asking).accounts[asking.get("account", "main")]

    # ------------------------------------------------------------ the market

    def state(self, asking: Asking) -> Any:
        """Clock, pairs with prices, how the limits were kept (`breaches`), and this exchange's own `failures`."""
        world = self.world
        return {
            "clock": world.clock.facts(),
            "markets": {
                name: {
                    "pairs": {s: {"price": q.last, "status": q.listing.status} for s, q in venue.quotes.items()},
                    "breaches": _fields(world.doors[name].limits.breaches),
                    "used_weight": world.doors[name].limits.weight.used,
                }
                for name, venue in world.venues.items()
            },
            "bybit": {"breaches": _fields(world.bybit.limits.breaches)},
            "faults": [fault.facts() for fault in world.faults.ordered],
            "failures": world.failures,
        }

    def reset(self, asking: Asking) -> Any:
        """As at the start, but for ids and candles: accounts with their funds, prices, limits, faults, no sockets."""
        self.world.reset()
        return self.state({})

    def price(self, asking: Asking) -> Any:
        """`symbol`, `price`, `volume`: one trade there, now (`ts`); what it triggers and fills is done when this answers."""
        volume, ts = asking.get("volume"), self.world.clock.now()
        player = self.world.players[asking.get("market", "spot")]
        player.set(asking["symbol"], Decimal(str(asking["price"])), None if volume is None else float(volume))
        return {"price": self._venue(asking).quotes[asking["symbol"]].last, "ts": ts}

    def play(self, asking: Asking) -> Any:
        """`rate`, `volatility` of all pairs; or `symbol` and `on`: whether this one moves by itself."""
        player = self.world.players[asking.get("market", "spot")]
        player.rate = float(asking.get("rate", player.rate))
        player.volatility = float(asking.get("volatility", player.volatility))
        if "symbol" in asking:
            (player.paused.discard if asking.get("on") else player.paused.add)(asking["symbol"])
        return {"rate": player.rate, "volatility": player.volatility, "paused": sorted(player.paused)}

    def script(self, asking: Asking) -> Any:
        """`symbol`, `steps` of [seconds to wait, price]: the pair leaves the walk and does this."""
        steps = [(float(seconds), str(price)) for seconds, price in asking["steps"]]
        self.world.spawn(self.world.players[asking.get("market", "spot")].script(asking["symbol"], steps))
        return {"steps": len(steps)}

    def candles(self, asking: Asking) -> Any:
        """`symbol`, `interval`, `rows` of [ts, open, high, low, close, volume]: the closed candles it has."""
        quote = self._venue(asking).quotes[asking["symbol"]]
        quote.replace_history(asking["interval"], [tuple(row) for row in asking["rows"]])
        return {"candles": len(asking["rows"])}

    def pair(self, asking: Asking) -> Any:
        """`symbol` and any of `status` (TRADING, HALT, BREAK), `top`, `parts`, `spread`, `quiet`, `max_leverage`.

        `listed` of false delists it: its orders end, a futures position is settled at the last price, and after that
        the pair is unknown. `status` alone leaves everything as it is.
        """
        listing, quote = self._venue(asking).listings[asking["symbol"]], self._venue(asking).quotes[asking["symbol"]]
        if asking.get("listed") is False:
            self._venue(asking).delist(listing.symbol)
        for name in ("status", "listed", "parts", "spread", "max_leverage"):
            if name in asking:
                setattr(listing, name, asking[name])
        if "top" in asking:
            listing.top = None if asking["top"] is None else Decimal(str(asking["top"]))
            quote.left = listing.top
        quote.quiet = bool(asking.get("quiet", quote.quiet))
        return {"symbol": listing.symbol, "status": listing.status, "listed": listing.listed, "top": listing.top}

    # ------------------------------------------------------------ faults

    def fault(self, asking: Asking) -> Any:
        """Order a fault, see `faults`; answers its `id`."""
        return self.world.faults.order(asking).facts()

    def clear(self, asking: Asking) -> Any:
        """End the fault `id`, or all."""
        self.world.faults.clear(asking.get("id"))
        return {}

    def faults(self, asking: Asking) -> Any:
        """What is ordered, and how often each has come."""
        return [fault.facts() for fault in self.world.faults.ordered]

    def outage(self, asking: Asking) -> Any:
        """`on`: every request is reset, every websocket closed and none accepted; without, all is as before."""
        world = self.world
        for fault in world.faults.ordered:
            if fault.msg == "outage":
                world.faults.clear(fault.id)
        if asking.get("on"):
            world.faults.order({"kind": "reset_before", "msg": "outage"})
            world.faults.order({"kind": "refuse_stream", "msg": "outage"})
            for hub, stream in zip(world.hubs.values(), world.user_streams.values(), strict=True):
                hub.kick(), stream.kick()
        return self.faults({})

    def clock(self, asking: Asking) -> Any:
        """`skew_ms`: how wrong the exchange's clock is against ours."""
        self.world.clock.skew_ms = int(asking.get("skew_ms", self.world.clock.skew_ms))
        return self.world.clock.facts()

    def limits(self, asking: Asking) -> Any:
        """`weight`, `orders` ({"10S": 100}): change the limits; `reset`: forget bans, counts, breaches.

        `ban`: every request is answered 418 for so many seconds. `used`, `used_orders`: what others have used of the
        present windows, at the same address or with the same account. `visits`: how many orders others have sent at
        Bybit's door with the account; they count for a minute, not for a second.
        """
        limits = self.world.doors[asking.get("market", "spot")].limits
        limits.weight.limit = int(asking.get("weight", limits.weight.limit))
        for name, count in asking.get("orders", {}).items():
            limits.orders[name].limit = int(count)
            for (_, window), there in limits.counts.items():
                there.limit = int(count) if window == name else there.limit
        if asking.get("reset"):
            limits.forget()
        if "ban" in asking:
            limits.ban(float(asking["ban"]))
        account = asking.get("account", "main")
        limits.others_used(int(asking.get("used", 0)), int(asking.get("used_orders", 0)), account)
        self.world.bybit.limits.others_used(account, "/v5/order/create", int(asking.get("visits", 0)), 60.0)
        return {"rateLimits": limits.describe(), "breaches": _fields(limits.breaches)}

    # ------------------------------------------------------------ accounts

    def ledger(self, asking: Asking) -> Any:
        """All orders, trades and balances of an `account`, as the exchange has them; its books are added up first."""
        venue, account = self._venue(asking), self._account(asking)
        account.ledger.check()
        orders = [order for order in venue.orders.values() if order.account == account.name]
        places = {f"{place}:{asset}": amount for (place, asset), amount in account.ledger.balances.items()}
        told = {
            "orders": [order.facts() for order in orders],
            "trades": [trade.facts() for order in orders for trade in order.trades],
            "balances": places,
            "postings": len(account.ledger.postings),
        }
        if isinstance(venue, FuturesVenue):
            told["positions"] = {p.symbol: _fields(p) for p in account.positions.values()}
            told["algos"] = [a.facts() for a in venue.algos.all.values() if a.account == account.name]
            told["income"] = account.income
            told["figures"] = account.figures()
        return told

    def order(self, asking: Asking) -> Any:
        """A manual order of the user on the exchange's site: `params` as Binance's (futures: algo orders too)."""
        venue, account = self._venue(asking), self._account(asking)
        params = {"newClientOrderId": f"web_{venue.next_order}", **asking["params"]}
        if isinstance(venue, FuturesVenue) and params.get("algoType"):
            return venue.algos.place(account.name, {"clientAlgoId": f"web_{venue.algos.next_id}", **params}).facts()
        order = venue.order_from(account.name, params, origin="web")
        return venue.place(account, order).facts()

    def cancel(self, asking: Asking) -> Any:
        """The exchange ends `id` or the newest of `client_id`, with `status` (CANCELED, EXPIRED…); `algo`: of those."""
        venue = self._venue(asking)
        if asking.get("algo") and isinstance(venue, FuturesVenue):
            account, status = asking.get("account", "main"), asking.get("status", "CANCELED")
            found = venue.algos.find(account, asking.get("id"), asking.get("client_id"))
            return venue.algos.cancel(found, status).facts()
        order = self._order(asking)
        self._venue(asking).end(order, asking.get("status", "CANCELED"), by=asking.get("by", "exchange"))
        return order.facts()

    def fill(self, asking: Asking) -> Any:
        """A resting order `id` or `client_id` gets `qty` at its price (`price` another), whatever the market does."""
        order, venue = self._order(asking), self._venue(asking)
        price, qty = Decimal(str(asking.get("price", order.price))), Decimal(str(asking["qty"]))
        if not 0 < qty <= order.remaining:
            raise ValueError(f"{qty} is not within what remains of the order, {order.remaining}")
        venue.fill(venue.accounts[order.account], order, price, qty, maker=True)
        return order.facts()

    def _order(self, asking: Asking) -> Any:
        venue = self._venue(asking)
        if "id" in asking:
            return venue.orders[int(asking["id"])]
        return venue.by_client[asking.get("account", "main"), asking["client_id"]][-1]

    def deposit(self, asking: Asking) -> Any:
        """`asset`, `amount` (may be negative): the user moves coins; `fee_asset` of BNB: fees are paid in it."""
        account = self._account(asking)
        if "fee_asset" in asking:
            account.fee_asset = asking["fee_asset"]
        if "asset" in asking:
            self._venue(asking).deposit(account, asking["asset"], Decimal(str(asking["amount"])))
        return {"updated": account.updated}

    def user(self, asking: Asking) -> Any:
        """A new key (`key`, `secret`, `name` of the account, `funds`), or change what a key may (`can_trade`…)."""
        may = {name: bool(asking[name]) for name in asking if name.startswith("can_")}
        user = self.world.users.get(asking.get("key", "key"))
        if user is None:
            user = User(name=asking["name"], key=asking["key"], secret=asking["secret"])
            funds = {asset: Decimal(str(amount)) for asset, amount in asking.get("funds", {}).items()}
            self.world.add_user(user, funds)
        for name, value in may.items():
            setattr(user, name, value)
        return {"name": user.name, **may}

    def sockets(self, asking: Asking) -> Any:
        """How many websockets there are, what they have subscribed to, who was closed for talking too much."""
        world = self.world
        return {
            name: {
                "streams": [len(socket.streams) for socket in hub.sockets],
                "stalled": sum(socket.stalled for socket in (*hub.sockets, *world.user_streams[name].sockets)),
                "users": [socket.account for socket in world.user_streams[name].sockets],
                "topics": [sorted(socket.streams) for socket in world.user_streams[name].sockets],
                "kicked": hub.kicked,
                "opened": hub.opened,
            }
            for name, hub in world.hubs.items()
        }

    def restart(self, asking: Asking) -> Any:
        """Bybit: orders that have ended are told by the history only, and no more by `realtime`, as after a release."""
        return {"forgotten": self.world.bybit_orders.restart()}

    def say(self, asking: Asking) -> Any:
        """`event`: send this down the account's stream, whatever it is."""
        stream = self.world.user_streams[asking.get("market", "spot")]
        stream.publish(asking.get("account", "main"), {"e": "", **asking["event"]})
        return {"sockets": len(stream.sockets)}

    def kick(self, asking: Asking) -> Any:
        """Close all websockets of a market in order; `which` of `streams` or `user`: only these."""
        name, which, world = asking.get("market", "spot"), asking.get("which", ""), self.world
        return {
            "streams": world.hubs[name].kick() if which in ("", "streams") else 0,
            "user": world.user_streams[name].kick() if which in ("", "user") else 0,
        }

    # ------------------------------------------------------------ futures

    def _futures(self) -> FuturesVenue:
        venue = self.world.venues.get("futures")
        if isinstance(venue, FuturesVenue):
            return venue
        raise ValueError("this exchange was started without --futures")

    def fund(self, asking: Asking) -> Any:
        """`symbol`, `rate`: funding is paid now."""
        self._futures().fund(asking["symbol"], Decimal(str(asking["rate"])))
        return self._futures().rates[-1]

    def liquidate(self, asking: Asking) -> Any:
        """`symbol`: the exchange closes the account's position as if it could not pay."""
        venue = self._futures()
        account = venue.accounts[asking.get("account", "main")]
        return venue.liquidate(account, account.position(asking["symbol"])).facts()

    def modes(self, asking: Asking) -> Any:
        """`hedged` of the account; `symbol` with `isolated`, `leverage` of a pair."""
        account = self._futures().accounts[asking.get("account", "main")]
        account.hedged = bool(asking.get("hedged", account.hedged))
        if "symbol" in asking:
            position = account.position(asking["symbol"])
            position.isolated = bool(asking.get("isolated", position.isolated))
            position.leverage = int(asking.get("leverage", position.leverage))
        return {"hedged": account.hedged}

    def expire(self, asking: Asking) -> Any:
        """The account's listen key is no good any more (`listenKeyExpired`)."""
        stream = self.world.user_streams["futures"]
        return {"told": stream.expire(asking.get("account", "main")) if isinstance(stream, UserStream) else 0}

    def requests(self, asking: Asking) -> Any:
        """Every request so far: real seconds, `METHOD /path`, status (0: a fault ate it); `since` these seconds."""
        since = float(asking.get("since", 0))
        doors = {**self.world.doors, "bybit": self.world.bybit}
        return {name: [row for row in door.log if row[0] >= since] for name, door in doors.items()}

    def frames(self, asking: Asking) -> Any:
        """The last thousand frames of all websockets: real seconds when each was written, text; `since`, with `text`."""
        since, text = float(asking.get("since", 0)), asking.get("text", "")
        return [frame for frame in Socket.written if frame[0] >= since and text in frame[1]]


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}
