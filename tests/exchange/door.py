"""Each request's way through the exchange: weight, key, signature, time, faults, the endpoint, and back.

The order is Binance's: the address's weight is counted first, then the key is looked at, then the signature and
the timestamp, then the order counts, and only then what the request wants.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from tests.exchange.clock import Clock
from tests.exchange.errors import Refusal, missing
from tests.exchange.faults import AFTER, BEFORE, Fault, Faults, change, written
from tests.exchange.windows import Limits

DONE: Final = (200, 409)
"""Answers of requests that have done something: 409 is a `cancelReplace` that has done one half."""
NOT_JSON: Final = "<html><head><title>503 Service Temporarily Unavailable</title></head></html>"

Params = dict[str, str]


@dataclass(slots=True, kw_only=True)
class User:
    """A key and what it may do."""

    name: str
    key: str
    secret: str
    can_trade: bool = True
    can_read: bool = True
    can_withdraw: bool = False
    can_futures: bool = True


def whole(params: Mapping[str, Any], name: str) -> int | None:
    """A parameter that is a whole number, or nothing."""
    value = params.get(name)
    if value is None:
        return None
    try:
        return int(value)
    except ValueError:
        raise missing(name) from None


@dataclass(slots=True)
class Asked:
    """A request that has passed the door."""

    params: Params
    user: User | None
    now: int

    @property
    def account(self) -> str:
        """Whose it is."""
        assert self.user is not None
        return self.user.name

    def need(self, name: str) -> str:
        """A parameter that must be there."""
        value = self.params.get(name)
        if not value:
            raise missing(name)
        return value

    def integer(self, name: str) -> int | None:
        """A whole number, or nothing."""
        return whole(self.params, name)


Handler = Callable[[Asked], Any]
Weight = int | Callable[[Params], int]


def by_symbol(one: int, every: int) -> Weight:
    """A weight that is another for one pair than for all."""
    return lambda params: one if params.get("symbol") else every


@dataclass(slots=True, kw_only=True)
class Endpoint:
    """One endpoint. `access`: `none`, `key` (without signature), `read`, `trade`."""

    handler: Handler
    weight: Weight
    access: str = "none"
    counts: bool = False


@dataclass(slots=True)
class Door:
    """See the module; one for spot, one for futures, with the users and faults in common."""

    clock: Clock
    users: dict[str, User]
    faults: Faults
    limits: Limits
    endpoints: dict[tuple[str, str], Endpoint]
    log: list[tuple[float, str, int]] = field(default_factory=list)
    futures: bool = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request of Binance's API."""
        name = f"{request.method} {request.path}"
        endpoint = self.endpoints.get((request.method, request.path))
        query = request.query_string
        body = (await request.read()).decode() if request.body_exists else ""
        params = dict(parse_qsl(query, keep_blank_values=True) + parse_qsl(body, keep_blank_values=True))
        if (slow := self.faults.of_request(("slow_before",), name, params)) is not None:
            await asyncio.sleep(slow.seconds)
        before = self.faults.of_request(BEFORE, name, params)
        if before is not None and before.kind != "late":
            self.log.append((self.clock.wall(), name, 0))
            return await self._trouble_before(request, before)
        if endpoint is None:
            return web.json_response({"code": -1000, "msg": f"no such endpoint here: {name}"}, status=404)
        if before is not None:
            await asyncio.sleep(before.seconds)
        status, headers, answer = self._work(endpoint, params, query, body, request.headers)
        self.log.append((self.clock.wall(), name, status))
        if before is not None:
            return reset(request)
        if (slow := self.faults.of_request(("slow",), name, params)) is not None:
            await asyncio.sleep(slow.seconds)
        after = self.faults.of_request(AFTER, name, params) if status in DONE else None
        if after is not None:
            return await self._trouble_after(request, after, answer, headers)
        return web.Response(body=orjson.dumps(answer), status=status, headers=headers, content_type="application/json")

    def _work(
        self, endpoint: Endpoint, params: Params, query: str, body: str, heads: Mapping[str, str]
    ) -> tuple[int, dict[str, str], Any]:
        """Limits, key, signature, endpoint: status, headers and answer."""
        headers: dict[str, str] = {}
        try:
            weight = endpoint.weight
            self.limits.spend(weight if isinstance(weight, int) else weight(params))
            user = self._user(endpoint, params, query, body, heads.get("X-MBX-APIKEY"))
            if endpoint.counts:
                assert user is not None
                headers.update(self.limits.order(user.name))
            answer = endpoint.handler(Asked(params, user, self.clock.now()))
        except Refusal as refusal:
            return refusal.status, {**headers, **self.limits.headers(), **refusal.headers}, refusal.body()
        return 200, {**headers, **self.limits.headers()}, answer

    def _user(self, endpoint: Endpoint, params: Params, query: str, body: str, key: str | None) -> User | None:
        if endpoint.access == "none":
            return None
        if not key:
            raise Refusal(-2014, "API-key format invalid.", 401)
        user = self.users.get(key)
        if user is None:
            raise Refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        if endpoint.access != "key":
            self._signed(user, params, query, body)
        allowed = user.can_read if endpoint.access != "trade" else user.can_trade
        if not allowed or (self.futures and not user.can_futures):
            raise Refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        return user

    def _signed(self, user: User, params: Params, query: str, body: str) -> None:
        if "signature" not in params:
            raise missing("signature")
        text = "&".join(part for part in (query + body).split("&") if not part.startswith("signature="))
        check_signature(user, text, params["signature"])
        check_time(self.clock, params)

    async def _trouble_before(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.kind == "reset_before":
            return reset(request)
        if fault.kind == "hang_before":
            await asyncio.sleep(fault.seconds)
            return reset(request)
        headers = {**self.limits.headers()}
        if fault.kind in ("too_many", "banned"):
            status = 429 if fault.kind == "too_many" else 418
            wait = fault.retry_after if fault.retry_after is not None else (5 if status == 429 else 120)
            headers["Retry-After"] = str(wait)
            msg = fault.msg or "Too much request weight used; please use WebSocket Streams for live updates."
            if status == 418 and not fault.msg:
                until = int((self.clock.wall() + wait) * 1000)
                msg = f"Way too much request weight used; IP banned until {until}."
            return web.json_response({"code": fault.code or -1003, "msg": msg}, status=status, headers=headers)
        return self._unavailable(fault, headers, -1001)

    async def _trouble_after(
        self, request: web.Request, fault: Fault, answer: Any, headers: dict[str, str]
    ) -> web.StreamResponse:
        if fault.kind == "lost":
            return reset(request)
        if fault.kind == "hang":
            await asyncio.sleep(fault.seconds)
            return reset(request)
        if fault.kind.startswith("done_unavailable"):
            return self._unavailable(fault, headers, -1006)
        text = written(change(answer, fault) if fault.kind == "field" else answer)
        if fault.kind == "broken_json":
            text = text[: len(text) // 2]
        if fault.kind == "body":
            text = fault.body.encode()
        if fault.kind == "cut":
            return await cut(request, text, headers)
        return web.Response(body=text, headers=headers, content_type="application/json")

    def _unavailable(self, fault: Fault, headers: dict[str, str], code: int) -> web.Response:
        if fault.kind == "refuse":
            refused = {"code": fault.code or -1013, "msg": fault.msg or "Filter failure: ordered"}
            return web.json_response(refused, status=fault.status or 400, headers=headers)
        status = fault.status or 503
        if not fault.kind.endswith("_code"):
            return web.Response(text=fault.body or NOT_JSON, status=status, headers=headers, content_type="text/html")
        code = fault.code or code
        words = {
            -1001: "Internal error; unable to process your request. Please try again.",
            -1006: "An unexpected response was received from the message bus. Execution status unknown.",
            -1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        }
        msg = fault.msg or words.get(code, "Unknown error, please check your request or try again later.")
        return web.json_response({"code": code, "msg": msg}, status=status, headers=headers)


def check_signature(user: User, text: str, signature: str) -> None:
    """HMAC-SHA256 of the parameters as they were sent."""
    made = hmac.new(user.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(made, signature):
        raise Refusal(-1022, "Signature for this request is not valid.")


def check_time(clock: Clock, params: Mapping[str, Any]) -> None:
    """Binance's rule of `timestamp` and `recvWindow`; not looked at when the exchange's time runs fast."""
    stamp, window = whole(params, "timestamp"), whole(params, "recvWindow") or 5000
    if not stamp:
        raise missing("timestamp")
    if clock.speed != 1:
        return
    now = clock.now()
    if stamp >= now + 1000:
        raise Refusal(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now - stamp > window:
        raise Refusal(-1021, "Timestamp for this request is outside of the recvWindow.")


def reset(request: web.Request) -> web.StreamResponse:
    """Reset the connection: the client gets no answer and no orderly end."""
    transport = request.transport
    if transport is not None:
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()


async def cut(request: web.Request, text: bytes, headers: dict[str, str]) -> web.StreamResponse:
    """Announce the whole body, send half of it, and end the connection."""
    response = web.StreamResponse(headers={**headers, "Content-Length": str(len(text))})
    response.content_type = "application/json"
    await response.prepare(request)
    await response.write(text[: len(text) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
