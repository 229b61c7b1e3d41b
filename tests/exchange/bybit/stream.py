"""What an account is told: `/v5/private`, after a log-in with the key."""

from __future__ import annotations

import itertools
from typing import Any, Final

import orjson
from aiohttp import WSMsgType, web

from tests.exchange.bybit.door import BybitDoor
from tests.exchange.bybit.words import execution_row, order_row, wallet_row
from tests.exchange.door import signed
from tests.exchange.orders import Order, Trade
from tests.exchange.sockets import Socket
from tests.exchange.spot import SpotVenue

TOPICS: Final = ("order", "order.spot", "execution", "execution.spot", "wallet", "position")


class BybitStream:
    """The sockets of all accounts."""

    def __init__(self, venue: SpotVenue, door: BybitDoor) -> None:
        self.venue = venue
        self.door = door
        self.sockets: set[Socket] = set()
        self._ids = itertools.count(1)
        venue.hearers.append(self.changed)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """A new socket, nobody's until it has logged in."""
        if self.door.faults.of_event("connect:user", "", ("refuse_stream",)):
            return web.Response(status=503)
        ws = web.WebSocketResponse(heartbeat=180, compress=False)
        await ws.prepare(request)
        socket = Socket(ws, request, self.door.faults, talk_limit=1000)
        self.sockets.add(socket)
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    self._heard(socket, message.data)
        finally:
            self.sockets.discard(socket)
            socket.end()
        return ws

    def _heard(self, socket: Socket, text: str) -> None:
        try:
            asked = orjson.loads(text)
            op, given = asked["op"], asked.get("args") or []
        except (orjson.JSONDecodeError, KeyError, TypeError):
            socket.answer({"success": False, "ret_msg": "error:invalid request", "conn_id": "local"})
            return
        number = str(asked.get("req_id", ""))
        if op == "ping":
            now = str(self.door.clock.now())
            socket.answer({"req_id": number, "op": "pong", "args": [now], "conn_id": "local"})
            return
        wrong = self._do(socket, op, given)
        socket.answer({"success": not wrong, "ret_msg": wrong, "op": op, "req_id": number, "conn_id": "local"})

    def _do(self, socket: Socket, op: str, given: list[Any]) -> str:
        """What is wrong with a request, or nothing, and it is done."""
        if op == "auth":
            return self._log_in(socket, given)
        if op not in ("subscribe", "unsubscribe"):
            return "error:invalid op"
        if not socket.account:
            return "Request not authorized"
        if unknown := [one for one in given if one not in TOPICS]:
            return f"error:handler not found,topic:{unknown[0]}"
        (socket.streams.update if op == "subscribe" else socket.streams.difference_update)(given)
        return ""

    def _log_in(self, socket: Socket, given: list[Any]) -> str:
        key, expires, signature = (*map(str, given), "", "", "")[:3]
        user = self.door.users.get(key)
        if user is None or not user.can_read:
            return "error:USVC1111"
        if not expires.isdigit() or (self.door.clock.speed == 1 and int(expires) <= self.door.clock.now()):
            return "error:request expired"
        if signature != signed(user, f"GET/realtime{expires}"):
            return "error:USVC1111"
        socket.account = user.name
        return ""

    # ------------------------------------------------------------ events

    def changed(self, account: str, order: Order | None, trade: Trade | None) -> None:
        """An order has changed, or been filled by this trade; without an order only the wallet has."""
        there = [socket for socket in self.sockets if socket.account == account]
        if not there:
            return
        if order is not None:
            self._tell(there, "order", order.symbol, {"category": "spot", **order_row(order)})
            if trade is not None:
                row = {"category": "spot", **execution_row(order, trade), "feeCoin": trade.fee_asset}
                self._tell(there, "execution", order.symbol, row)
        self._tell(there, "wallet", "", wallet_row(self.venue, self.venue.accounts[account]))

    def publish(self, account: str, event: dict[str, Any]) -> None:
        """Send this down an account's stream, whatever it is."""
        for socket in self.sockets:
            if socket.account == account:
                socket.event("user:said", "", orjson.dumps(event).decode())

    def _tell(self, there: list[Socket], topic: str, symbol: str, row: dict[str, Any]) -> None:
        now = self.door.clock.now()
        for socket in there:
            for name in (topic, f"{topic}.spot"):
                if name in socket.streams:
                    frame = {"id": str(next(self._ids)), "topic": name, "creationTime": now, "data": [row]}
                    socket.event(f"user:{topic}", symbol, orjson.dumps(frame).decode())

    def kick(self) -> int:
        """Close every socket in order."""
        for socket in self.sockets:
            socket.close()
        return len(self.sockets)
