"""The stream of what happens to our orders: the fast way to hear of it; look-ups are the sure one.

What is noticed, and when
    As of every `Stream`; besides, a stream that is deaf: when a fill that the exchange counts, or that the answer to its
    order has told, is not heard of on the stream within `ECHO_S`. One that is idle and deaf: after
    `TIMES.silence` without a frame the open orders of the account are compared (`live.echo`), if we have any.
    Each time the stream is opened anew, and the pairs with working orders look: what was missed is read again.

Its requests carry permits: the one that opens it, which is done with when the stream is up, and those by which ccxt
keeps it open (a listen key's renewal).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from actors.venues.capabilities import Capability
from actors.venues.live.books import Books
from actors.venues.live.requests import Requests
from actors.venues.live.stream import Stream, StreamEnded
from actors.venues.live.times import Times
from actors.venues.live.words import became_of, is_fee_whole, is_known_status, order_of, rows, text
from actors.venues.trading import Permit, RequestEnded

ECHO_S: Final = 5.0
TIMES: Final = Times(silence=30.0, silence_max=30.0, backoff=0.5, backoff_max=30.0)
"""Somebody may be waiting for a stop's fill: it is found out every 30 s, and silence is no reason to ask more seldom."""

OPEN_S: Final = 2.0
"""A socket on which nothing is said of the log-in counts as open after this."""

_OVER: Final = frozenset({"listenKeyExpired", "eventStreamTerminated"})


class UserStream(Stream):
    """One account's stream, restarted for ever; on the connection's loop.

    `up` is called when it listens, `down` with the reason when it does not any more; `strange` hears of what
    could not be read, in a sentence; `unknown` of executions that are not booked from here: (pair, the exchange's order
    id). Their order is not known yet, or the exchange's stream tells them with other ids or fees than its lists do.
    `funded` that funding was paid, where the exchange says so. `deaf` finds out whether something was not told.
    """

    keyed = True

    def __init__(
        self,
        requests: Requests,
        books: Books,
        ability: Capability,
        *,
        up: Callable[[], None],
        down: Callable[[str], None],
        strange: Callable[[str], None],
        unknown: Callable[[str, str], None],
        funded: Callable[[], None],
        deaf: Callable[[], Awaitable[bool]],
    ) -> None:
        super().__init__(requests.connection, "orders", TIMES)
        self._requests = requests
        self._books = books
        self._ability = ability
        self._up = up
        self._down = down
        self._strange = strange
        self._unknown = unknown
        self._funded = funded
        self._deaf = deaf
        self._permit: Permit | None = None
        self._connected_at: float | None = None

    # ------------------------------------------------------------ life

    async def subscribe(self) -> None:
        """Log in and follow orders and executions."""
        self._connected_at = None
        self._permit = await self._requests.turnstile.acquire("user_stream", self._requests.urgency())
        exchange = self.exchange
        exchange.by_itself = self._by_itself
        if exchange.has.get("watchOrders"):
            self.spawn(self._follow(exchange.watch_orders, self._order))
        if exchange.has.get("watchMyTrades"):
            self.spawn(self._follow(exchange.watch_my_trades, self._trade))

    async def _by_itself(self, send: Callable[[], Awaitable[Any]]) -> Any:
        """A request of ccxt's own: the log-in goes with the permit that is there for it, a renewal takes one."""
        if self._permit is not None:
            return await send()
        permit = await self._requests.turnstile.acquire("user_stream", self._requests.urgency())
        try:
            return await send()
        finally:
            self._requests.turnstile.ended(RequestEnded(permit_id=permit.permit_id, request="user_stream", took_ms=0.0))

    def is_open(self) -> bool:
        """Where nothing is said of the log-in: when the socket has been there for a while."""
        clients = list((self.exchange.clients or {}).values())
        if not any(getattr(one, "connection", None) is not None for one in clients):
            return False
        now = asyncio.get_running_loop().time()
        self._connected_at = now if self._connected_at is None else self._connected_at
        return now - self._connected_at > OPEN_S

    def went_up(self) -> None:
        """What was missed until now is to be read."""
        self._settle()
        self._up()

    def went_down(self, why: str) -> None:
        """Tell the venue."""
        self._down(why)

    async def probe(self) -> bool:
        """Whether something has happened to our open orders that was not told."""
        return await self._deaf()

    async def ended(self) -> None:
        """Whatever became of the log-in: it is not waited for any more."""
        self._settle()

    def _settle(self) -> None:
        permit, self._permit = self._permit, None
        if permit is not None:
            ended = RequestEnded(permit_id=permit.permit_id, request="user_stream", took_ms=0.0)
            self._requests.turnstile.ended(ended)

    async def _follow(self, watch: Callable[[], Any], hear: Callable[[Any], None]) -> None:
        while True:
            for told in rows(await watch()):
                hear(told)

    # ------------------------------------------------------------ what comes

    def _order(self, told: Any) -> None:
        market = self._market(told)
        if market is None:
            return
        order = order_of(told, market, self._ability.ours)
        if order is None:
            self._strange(f"an order of {market.pair} that cannot be read: {told!r}"[:300])
            return
        known = self._books.hear_order(market.pair, order, became_of(told))
        if known is None and order.filled:  # a liquidation is told as an order, and not as an execution
            self._unknown(market.pair, order.order_id)
        if known is not None and not is_known_status(told.get("status")):
            self._strange(f"order {known.client_order_id} has the status {told.get('status')!r}, which nobody knows")

    def _trade(self, told: Any) -> None:
        market = self._market(told)
        if market is None:
            return
        self._books.hear_echo(market.pair, text(told.get("order")))
        is_whole = self._ability.stream_fills and is_fee_whole(told)  # a fill is booked once: the lists tell the rest
        if is_whole and self._books.hear_fill(market, told) is not None:
            return
        if text(told.get("order")):
            self._unknown(market.pair, text(told.get("order")))
        else:
            self._strange(f"an execution of {market.pair} that cannot be read: {told!r}"[:300])

    def _market(self, told: Any) -> Any:
        if not isinstance(told, Mapping):
            return None
        return self._requests.connection.markets().get(text(told.get("symbol")))

    def read(self, message: Any) -> bool:
        """What ccxt passes over: that a stream is over, and that funding was paid (Binance's words for it)."""
        inner = message.get("event") if isinstance(message, Mapping) else None
        told = inner if isinstance(inner, Mapping) else message
        if not isinstance(told, Mapping):
            return False
        if told.get("e") in _OVER:
            raise StreamEnded(f"the exchange ended it: {told.get('e')}")
        about = told.get("a")
        if isinstance(about, Mapping) and about.get("m") == "FUNDING_FEE":
            self._funded()
        return False
