"""The user's stream of futures: a websocket with a listen key."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import WSMsgType, web

from tests.exchange.door import Door
from tests.exchange.rest_margin import MarginRest
from tests.exchange.sockets import Socket


class UserStream:
    """The sockets of all listen keys."""

    def __init__(self, door: Door, keys: MarginRest) -> None:
        self.door = door
        self.keys = keys
        self.sockets: set[Socket] = set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """A new socket; an unknown key gets one too, on which nothing ever comes, as with Binance."""
        if self.door.faults.of_event("connect:user", "", ("refuse_stream",)):
            return web.Response(status=503)
        ws = web.WebSocketResponse(heartbeat=180, compress=False)
        await ws.prepare(request)
        socket = Socket(ws, request, self.door.faults, talk_limit=10)
        key = request.query.get("listenKey") or request.path.rpartition("/")[2]
        socket.account = self.keys.account_of(key) or ""
        self.sockets.add(socket)
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    asked = orjson.loads(message.data)
                    socket.answer({"result": None, "id": asked.get("id")})
        finally:
            self.sockets.discard(socket)
            socket.end()
        return ws

    def publish(self, account: str, event: dict[str, Any]) -> None:
        """Send an account's event to all who listen to it."""
        there = [socket for socket in self.sockets if socket.account == account]
        if not there:
            return
        told = event.get("o", {})
        symbol = told.get("s", "") if isinstance(told, dict) else ""
        text = orjson.dumps(event).decode()
        for socket in there:
            socket.event(f"user:{event['e']}", symbol, text)

    def expire(self, account: str) -> int:
        """The account's listen key is no good any more; its sockets are told and get nothing after that."""
        now = self.door.clock.now()
        self.keys.listen_keys = {key: kept for key, kept in self.keys.listen_keys.items() if kept[0] != account}
        there = [socket for socket in self.sockets if socket.account == account]
        for socket in there:
            socket.answer({"e": "listenKeyExpired", "E": now})
            socket.account = ""
        return len(there)

    def kick(self) -> int:
        """Close every socket in order."""
        for socket in self.sockets:
            socket.close()
        return len(self.sockets)
