"""Each request's way through the exchange: weight, key, signature, time, faults, the endpoint, and back.

What goes wrong to order is the same for every dialect (`Door`); how requests are read, signed, counted and refused is
each dialect's own. Binance's order (`BinanceDoor`): the address's weight is counted first, then the key is looked at,
then the signature and the timestamp, then the order counts, and only then what the request wants.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from tests.exchange.clock import Clock
from tests.exchange.errors import Refusal, missing
from tests.exchange.faults import AFTER, BEFORE, Fault, Faults, change, written
from tests.exchange.windows import Limits

DONE: Final = (200, 409)
"""Binance's answers of requests that have done something: 409 is a `cancelReplace` that has done one half."""
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


class Came(NamedTuple):
    """A request as it came: which one, its parameters as texts, and what was signed of it."""

    method: str
    path: str
    params: Params
    query: str
    body: str
    headers: Mapping[str, str]


class Done(NamedTuple):
    """What is to be answered, and whether the request has done what it was for."""

    status: int
    headers: dict[str, str]
    answer: Any
    is_done: bool


@dataclass(slots=True)
class Door:
    """The way of every dialect's requests past the faults that were ordered; what is said is the subclass's."""

    clock: Clock
    users: dict[str, User]
    faults: Faults
    log: list[tuple[float, str, int]] = field(default_factory=list)

    # ------------------------------------------------------------ what subclasses say

    def knows(self, came: Came) -> bool:
        """Whether there is such an endpoint."""
        raise NotImplementedError

    def unknown(self, name: str) -> web.Response:
        """The answer where there is none."""
        raise NotImplementedError

    def read(self, query: str, body: str) -> Params:
        """A request's parameters."""
        raise NotImplementedError

    def about(self, params: Params) -> Params:
        """`symbol`, `side` and `type` of a request, in the words in which faults name them."""
        return params

    def work(self, came: Came) -> Done:
        """Limits, key, signature, endpoint."""
        raise NotImplementedError

    def slow_down(self, fault: Fault) -> web.Response:
        """The ordered answer of one who asks too much, or is banned."""
        raise NotImplementedError

    def refused(self, fault: Fault) -> web.Response:
        """An ordered refusal of a request."""
        raise NotImplementedError

    def in_trouble(self, fault: Fault, *, done: bool) -> web.Response:
        """The exchange's own trouble in its own words, with the request done or not."""
        raise NotImplementedError

    def counted(self) -> dict[str, str]:
        """The headers that every answer has, also in trouble."""
        return {}

    # ------------------------------------------------------------ the way

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        name = f"{request.method} {request.path}"
        query = request.query_string
        body = (await request.read()).decode() if request.body_exists else ""
        came = Came(request.method, request.path, self.read(query, body), query, body, request.headers)
        params = self.about(came.params)
        if (slow := self.faults.of_request(("slow_before",), name, params)) is not None:
            await asyncio.sleep(slow.seconds)
        before = self.faults.of_request(BEFORE, name, params)
        if before is not None and before.kind != "late":
            self.log.append((self.clock.wall(), name, 0))
            return await self._trouble_before(request, before)
        if not self.knows(came):
            return self.unknown(name)
        if before is not None:
            await asyncio.sleep(before.seconds)
        status, headers, answer, is_done = self.work(came)
        self.log.append((self.clock.wall(), name, status))
        if before is not None:
            return reset(request)
        if (slow := self.faults.of_request(("slow",), name, params)) is not None:
            await asyncio.sleep(slow.seconds)
        after = self.faults.of_request(AFTER, name, params) if is_done else None
        if after is not None:
            return await self._trouble_after(request, after, answer, headers)
        return web.Response(body=orjson.dumps(answer), status=status, headers=headers, content_type="application/json")

    async def _trouble_before(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.kind == "reset_before":
            return reset(request)
        if fault.kind == "hang_before":
            await asyncio.sleep(fault.seconds)
            return reset(request)
        if fault.kind in ("too_many", "banned"):
            return self.slow_down(fault)
        if fault.kind == "refuse":
            return self.refused(fault)
        return self._unavailable(fault, done=False)

    async def _trouble_after(
        self, request: web.Request, fault: Fault, answer: Any, headers: dict[str, str]
    ) -> web.StreamResponse:
        if fault.kind == "lost":
            return reset(request)
        if fault.kind == "hang":
            await asyncio.sleep(fault.seconds)
            return reset(request)
        if fault.kind.startswith("done_unavailable"):
            return self._unavailable(fault, done=True)
        text = written(change(answer, fault) if fault.kind == "field" else answer)
        if fault.kind == "broken_json":
            text = text[: len(text) // 2]
        if fault.kind == "body":
            text = fault.body.encode()
        if fault.kind == "cut":
            return await cut(request, text, headers)
        return web.Response(body=text, headers=headers, content_type="application/json")

    def _unavailable(self, fault: Fault, *, done: bool) -> web.Response:
        if fault.kind.endswith("_code"):
            return self.in_trouble(fault, done=done)
        status, text = fault.status or 503, fault.body or NOT_JSON
        return web.Response(text=text, status=status, headers=self.counted(), content_type="text/html")


@dataclass(slots=True)
class BinanceDoor(Door):
    """Binance's; one for spot, one for futures, with the users and faults in common."""

    limits: Limits = field(kw_only=True)
    endpoints: dict[tuple[str, str], Endpoint] = field(kw_only=True)
    futures: bool = False

    def knows(self, came: Came) -> bool:
        """Whether there is such an endpoint."""
        return (came.method, came.path) in self.endpoints

    def unknown(self, name: str) -> web.Response:
        """The answer where there is none."""
        return web.json_response({"code": -1000, "msg": f"no such endpoint here: {name}"}, status=404)

    def read(self, query: str, body: str) -> Params:
        """Parameters come in the query and in the body alike."""
        return dict(parse_qsl(query, keep_blank_values=True) + parse_qsl(body, keep_blank_values=True))

    def counted(self) -> dict[str, str]:
        """The used weight."""
        return self.limits.headers()

    def work(self, came: Came) -> Done:
        """Limits, key, signature, endpoint."""
        headers: dict[str, str] = {}
        endpoint, params = self.endpoints[came.method, came.path], came.params
        try:
            weight = endpoint.weight
            self.limits.spend(weight if isinstance(weight, int) else weight(params))
            user = self._user(endpoint, came)
            if endpoint.counts:
                assert user is not None
                headers.update(self.limits.order(user.name))
            answer = endpoint.handler(Asked(params, user, self.clock.now()))
        except Refusal as refusal:
            said = {**headers, **self.limits.headers(), **refusal.headers}
            return Done(refusal.status, said, refusal.body(), refusal.status in DONE)
        return Done(200, {**headers, **self.limits.headers()}, answer, is_done=True)

    def _user(self, endpoint: Endpoint, came: Came) -> User | None:
        if endpoint.access == "none":
            return None
        key = came.headers.get("X-MBX-APIKEY")
        if not key:
            raise Refusal(-2014, "API-key format invalid.", 401)
        user = self.users.get(key)
        if user is None:
            raise Refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        if endpoint.access != "key":
            self._signed(user, came)
        allowed = user.can_read if endpoint.access != "trade" else user.can_trade
        if not allowed or (self.futures and not user.can_futures):
            raise Refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        return user

    def _signed(self, user: User, came: Came) -> None:
        if "signature" not in came.params:
            raise missing("signature")
        text = "&".join(part for part in (came.query + came.body).split("&") if not part.startswith("signature="))
        check_signature(user, text, came.params["signature"])
        check_time(self.clock, came.params)

    def slow_down(self, fault: Fault) -> web.Response:
        """429 or 418, with how long to wait."""
        headers, status = self.counted(), 429 if fault.kind == "too_many" else 418
        wait = fault.retry_after if fault.retry_after is not None else (5 if status == 429 else 120)
        headers["Retry-After"] = str(wait)
        msg = fault.msg or "Too much request weight used; please use WebSocket Streams for live updates."
        if status == 418 and not fault.msg:
            until = int((self.clock.wall() + wait) * 1000)
            msg = f"Way too much request weight used; IP banned until {until}."
        return web.json_response({"code": fault.code or -1003, "msg": msg}, status=status, headers=headers)

    def refused(self, fault: Fault) -> web.Response:
        """Any code that was ordered."""
        refused = {"code": fault.code or -1013, "msg": fault.msg or "Filter failure: ordered"}
        return web.json_response(refused, status=fault.status or 400, headers=self.counted())

    def in_trouble(self, fault: Fault, *, done: bool) -> web.Response:
        """Binance's own words for its own trouble."""
        code = fault.code or (-1006 if done else -1001)
        words = {
            -1001: "Internal error; unable to process your request. Please try again.",
            -1006: "An unexpected response was received from the message bus. Execution status unknown.",
            -1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        }
        msg = fault.msg or words.get(code, "Unknown error, please check your request or try again later.")
        return web.json_response({"code": code, "msg": msg}, status=fault.status or 503, headers=self.counted())


def signed(user: User, text: str) -> str:
    """HMAC-SHA256 of a text."""
    return hmac.new(user.secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def check_signature(user: User, text: str, signature: str) -> None:
    """That the parameters were signed as they were sent."""
    if not hmac.compare_digest(signed(user, text), signature):
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
    with contextlib.suppress(ConnectionError):  # whoever asked may be gone
        await response.prepare(request)
        await response.write(text[: len(text) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
