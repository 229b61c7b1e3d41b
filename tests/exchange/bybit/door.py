"""Bybit's door: an address's and an account's limits, the key, the signature and the time in headers, `retCode` in answers.

Every whole answer is HTTP 200 with `retCode`, 0 where it was done; an address that asks too much gets 403.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from tests.exchange.bybit.errors import TOO_MANY, said, wrong
from tests.exchange.bybit.limits import Visits, told
from tests.exchange.door import Asked, Came, Done, Door, Handler, Params, User, signed
from tests.exchange.errors import Refusal
from tests.exchange.faults import Fault

BAD_KEY: Final = (10003, "API key is invalid.")
BAD_SIGN: Final = (10004, "error sign! please check your signature generation algorithm.")
NOT_ALLOWED: Final = (10005, "Permission denied, please check your API key permissions.")
FORBIDDEN: Final = "access too frequent"
TIMES_OUT: Final = (170007, "Timeout waiting for response from backend server.")
SERVER_ERROR: Final = (10016, "Server error.")


@dataclass(slots=True, kw_only=True)
class Endpoint:
    """One endpoint. `access`: `none`, `read`, `trade`; `per_second`: an account's requests in any second."""

    handler: Handler
    access: str = "none"
    per_second: int = 0


@dataclass(slots=True)
class BybitDoor(Door):
    """See the module."""

    limits: Visits = field(kw_only=True)
    endpoints: dict[tuple[str, str], Endpoint] = field(kw_only=True)

    def knows(self, came: Came) -> bool:
        """Whether there is such an endpoint."""
        return (came.method, came.path) in self.endpoints

    def unknown(self, name: str) -> web.Response:
        """The answer where there is none."""
        return web.json_response(self._envelope(10017, f"Route not found: {name}", {}), status=404)

    def read(self, query: str, body: str) -> Params:
        """A GET's parameters are in the query, a POST's in its JSON."""
        params = dict(parse_qsl(query, keep_blank_values=True))
        given = orjson.loads(body) if body else {}
        return {**params, **{name: text(value) for name, value in given.items() if value is not None}}

    def about(self, params: Params) -> Params:
        """Faults name Binance's sides and types."""
        kind = params.get("orderType", "").upper()
        if params.get("orderFilter") == "tpslOrder":
            kind = "STOP_LOSS"
        return {"symbol": params.get("symbol", ""), "side": params.get("side", "").upper(), "type": kind}

    def work(self, came: Came) -> Done:
        """Limits, key, signature, endpoint."""
        endpoint, headers, now = self.endpoints[came.method, came.path], dict[str, str](), self.clock.now()
        try:
            self.limits.address()
            user = self._user(endpoint, came)
            if user is not None:
                headers = self.limits.visit(user.name, came.path, endpoint.per_second)
            answer = endpoint.handler(Asked(came.params, user, now))
        except Refusal as refusal:
            code, words = said(refusal)
            status = refusal.status if refusal.status == 403 else 200
            answer = self._envelope(code, words, {})
            return Done(status, {**headers, **refusal.headers}, answer, is_done=False)
        return Done(200, headers, self._envelope(0, "OK", answer), is_done=True)

    def _envelope(self, code: int, words: str, result: Any) -> dict[str, Any]:
        return {"retCode": code, "retMsg": words, "result": result, "retExtInfo": {}, "time": self.clock.now()}

    def _user(self, endpoint: Endpoint, came: Came) -> User | None:
        if endpoint.access == "none":
            return None
        heads = came.headers
        user = self.users.get(heads.get("X-BAPI-API-KEY", ""))
        if user is None:
            raise Refusal(*BAD_KEY)
        stamp, window = heads.get("X-BAPI-TIMESTAMP", ""), heads.get("X-BAPI-RECV-WINDOW", "5000")
        self._timely(stamp, window)
        payload = came.body if came.method == "POST" else came.query
        if heads.get("X-BAPI-SIGN") != signed(user, f"{stamp}{user.key}{window}{payload}"):
            raise Refusal(*BAD_SIGN)
        if not (user.can_trade if endpoint.access == "trade" else user.can_read):
            raise Refusal(*NOT_ALLOWED)
        return user

    def _timely(self, stamp: str, window: str) -> None:
        """Not looked at when the exchange's time runs fast, as at the other door."""
        if not stamp.isdigit() or not window.isdigit():
            raise wrong("X-BAPI-TIMESTAMP, X-BAPI-RECV-WINDOW")
        now = self.clock.now()
        if self.clock.speed == 1 and not now - int(window) <= int(stamp) < now + 1000:
            raise Refusal(
                10002,
                "invalid request, please check your server timestamp or recv_window param. "
                f"req_timestamp[{stamp}],server_timestamp[{now}],recv_window[{window}]",
            )

    # ------------------------------------------------------------ ordered faults

    def slow_down(self, fault: Fault) -> web.Response:
        """10006 with the time of the reset, or 403."""
        if fault.kind == "banned":
            return web.Response(text=fault.body or FORBIDDEN, status=403)
        wait = 5 if fault.retry_after is None else fault.retry_after
        answer = self._envelope(fault.code or TOO_MANY[0], fault.msg or TOO_MANY[1], {})
        return web.json_response(answer, headers=told(10, 0, self.clock.now() / 1000 + wait))

    def refused(self, fault: Fault) -> web.Response:
        """Any code that was ordered."""
        answer = self._envelope(fault.code or 170210, fault.msg or "New order rejected.", {})
        return web.json_response(answer, status=fault.status or 200)

    def in_trouble(self, fault: Fault, *, done: bool) -> web.Response:
        """Bybit's own words for its own trouble."""
        code, words = TIMES_OUT if done else SERVER_ERROR
        answer = self._envelope(fault.code or code, fault.msg or words, {})
        return web.json_response(answer, status=fault.status or 200)


def text(value: Any) -> str:
    """A JSON value as a parameter."""
    if isinstance(value, bool):
        return str(value).lower()
    return orjson.dumps(value).decode() if isinstance(value, Mapping | list) else str(value)
