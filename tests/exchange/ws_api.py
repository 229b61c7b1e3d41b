"""Binance's websocket API of spot (`/ws-api/v3`): the user's stream, and the REST endpoints as requests.

A request's params carry the key and a signature of all other params, sorted by name.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import orjson
from aiohttp import WSMsgType, web

from tests.exchange.door import Asked, BinanceDoor, User, check_signature, check_time, reset
from tests.exchange.errors import Refusal, missing
from tests.exchange.sockets import Socket

METHODS: Final = {
    "ping": ("GET", "ping"),
    "time": ("GET", "time"),
    "exchangeInfo": ("GET", "exchangeInfo"),
    "klines": ("GET", "klines"),
    "depth": ("GET", "depth"),
    "ticker.24hr": ("GET", "ticker/24hr"),
    "ticker.price": ("GET", "ticker/price"),
    "ticker.book": ("GET", "ticker/bookTicker"),
    "order.place": ("POST", "order"),
    "order.test": ("POST", "order/test"),
    "order.status": ("GET", "order"),
    "order.cancel": ("DELETE", "order"),
    "order.cancelReplace": ("POST", "order/cancelReplace"),
    "openOrders.status": ("GET", "openOrders"),
    "openOrders.cancelAll": ("DELETE", "openOrders"),
    "allOrders": ("GET", "allOrders"),
    "myTrades": ("GET", "myTrades"),
    "account.status": ("GET", "account"),
}

FAULTS: Final = ("reset_before", "refuse", "hang_before", "lost", "hang", "broken_json", "late")


class WsApi:
    """The sockets of the websocket API, and who listens to which account there."""

    def __init__(self, door: BinanceDoor) -> None:
        self.door = door
        self.sockets: set[Socket] = set()
        self.kicked = 0

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """A new socket."""
        if self.door.faults.of_event("connect:user", "", ("refuse_stream",)):
            return web.Response(status=503)
        ws = web.WebSocketResponse(heartbeat=180, compress=False)
        await ws.prepare(request)
        socket = Socket(ws, request, self.door.faults, talk_limit=1000)
        self.sockets.add(socket)
        pending: set[asyncio.Task[None]] = set()
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    task = asyncio.get_running_loop().create_task(self._heard(socket, message.data))
                    pending.add(task)
                    task.add_done_callback(pending.discard)
        finally:
            self.sockets.discard(socket)
            socket.end()
        return ws

    def publish(self, account: str, event: dict[str, Any]) -> None:
        """Send an account's event to all who listen to it."""
        there = [socket for socket in self.sockets if socket.account == account]
        if not there:
            return
        stream, symbol = f"user:{event['e']}", event.get("s", "")
        for socket in there:
            text = orjson.dumps({"subscriptionId": socket.wrap, "event": event}).decode()
            socket.event(stream, symbol, text)

    async def _heard(self, socket: Socket, text: str) -> None:
        try:
            asked = orjson.loads(text)
            method, params = asked["method"], dict(asked.get("params") or {})
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            socket.answer(
                {"id": None, "status": 400, "error": {"code": -1135, "msg": "JSON Request could not be read."}}
            )
            return
        name, given = f"WS {method}", {key: _text(value) for key, value in params.items()}
        if (slow := self.door.faults.of_request(("slow_before",), name, given)) is not None:
            await asyncio.sleep(slow.seconds)
        fault = self.door.faults.of_request(FAULTS, name, given)
        kind = fault.kind if fault is not None else ""
        if fault is not None and kind in ("hang_before", "late"):
            await asyncio.sleep(fault.seconds)
        if kind in ("reset_before", "hang_before"):
            reset(socket.request)
            return
        reply: dict[str, Any] = {"id": asked.get("id"), "status": 200}
        try:
            if fault is not None and kind == "refuse":
                raise Refusal(fault.code or -1013, fault.msg or "Filter failure: ordered", fault.status or 400)
            reply["result"] = self._do(socket, method, params)
        except Refusal as refusal:
            reply.update(status=refusal.status, error=refusal.body())
        reply["rateLimits"] = []
        if (slow := self.door.faults.of_request(("slow",), name, given)) is not None:
            await asyncio.sleep(slow.seconds)
        if fault is not None and kind == "hang":
            await asyncio.sleep(fault.seconds)
        if kind in ("lost", "hang", "late"):
            reset(socket.request)
            return
        made = orjson.dumps(reply).decode()
        socket.put(made[: len(made) // 2] if kind == "broken_json" else made)

    def _do(self, socket: Socket, method: str, params: dict[str, Any]) -> Any:
        if method == "userDataStream.subscribe.signature":
            self.door.limits.spend(2)
            socket.account = self._signed(params).name
            socket.wrap = 0
            return {"subscriptionId": 0}
        if method == "userDataStream.unsubscribe":
            socket.account, socket.wrap = "", None
            return {}
        if method not in METHODS:
            raise Refusal(-1000, f"no such method here: {method}")
        verb, path = METHODS[method]
        endpoint = self.door.endpoints[verb, f"/api/v3/{path}"]
        given = {name: _text(value) for name, value in params.items()}
        weight = endpoint.weight
        self.door.limits.spend(weight if isinstance(weight, int) else weight(given))
        user = None if endpoint.access == "none" else self._signed(params)
        if user is not None and endpoint.access == "trade" and not user.can_trade:
            raise Refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        if endpoint.counts and user is not None:
            self.door.limits.order(user.name)
        return endpoint.handler(Asked(given, user, self.door.clock.now()))

    def _signed(self, params: dict[str, Any]) -> User:
        user = self.door.users.get(params.get("apiKey", ""))
        if user is None:
            raise Refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        if "signature" not in params:
            raise missing("signature")
        text = "&".join(f"{name}={_text(value)}" for name, value in sorted(params.items()) if name != "signature")
        check_signature(user, text, params["signature"])
        check_time(self.door.clock, params)
        return user

    def kick(self) -> int:
        """Close every socket in order."""
        for socket in self.sockets:
            socket.close()
        return len(self.sockets)


def _text(value: Any) -> str:
    """A parameter as it is signed."""
    return str(value).lower() if isinstance(value, bool) else str(value)
