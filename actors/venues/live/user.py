"""The stream of what happens to our orders: the fast way to hear of it; look-ups are the sure one.

What is noticed, and when
    A closed connection, and a frame that cannot be read (of which ccxt's receive loop would die without a
    word): at once. A stream that is deaf: when an order that the exchange has acknowledged, or a
    fill that it counts, is not heard of on the stream within `ECHO_S`. A stream that is idle and deaf: by the next
    comparison with the exchange (`RECONCILE_S` in `venue`).
    Each time the stream is opened anew, and the pairs with working orders look: what was missed is read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from actors.venues.capabilities import Capability
from actors.venues.live.books import Books
from actors.venues.live.requests import Requests
from actors.venues.live.words import became_of, is_known_status, order_of, rows, text

ECHO_S: Final = 5.0
BACKOFF_S: Final = 1.0
BACKOFF_MAX_S: Final = 30.0
STEADY_S: Final = 60.0
"""A stream that has lived so long begins anew with the shortest wait."""

_OVER: Final = frozenset({"listenKeyExpired", "eventStreamTerminated"})
_TEXTS: Final = frozenset({"ping", "pong"})


class StreamEnded(Exception):
    """The stream is to be opened anew; the text says why."""


class UserStream:
    """One account's stream, restarted for ever; on the connection's loop.

    `up` is called when it listens, `down` with the reason when it does not any more; `strange` hears of what
    could not be read, in a sentence; `unknown` of executions whose order is not known yet: (pair, the exchange's order id);
    `funded` that funding was paid, where the exchange says so.
    """

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
    ) -> None:
        self._requests = requests
        self._books = books
        self._ability = ability
        self._up = up
        self._down = down
        self._strange = strange
        self._unknown = unknown
        self._funded = funded
        self._broken: asyncio.Future[str] | None = None
        self.is_up = False
        self.heard_at = float("-inf")
        self.restarts = 0

    async def run(self) -> None:
        """Keep the stream open until this is cancelled."""
        wait_s = BACKOFF_S
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._live()
            except StreamEnded as ended:
                why = str(ended)
            except Exception as error:  # noqa: BLE001 - whatever ends a stream, it is opened again, and it is said
                why = f"{type(error).__name__}: {error}"[:200]
            else:
                why = "it ended"
            self.is_up = False
            self.restarts += 1
            self._down(why)
            lived = asyncio.get_running_loop().time() - began
            wait_s = BACKOFF_S if lived > STEADY_S else wait_s
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, BACKOFF_MAX_S)

    def restart(self, why: str) -> None:
        """Open the stream anew; somebody has found that it does not tell everything."""
        if self._broken is not None and not self._broken.done():
            self._broken.set_result(why)

    async def _live(self) -> None:
        connection = self._requests.connection
        permit = await self._requests.permit("user_stream")
        if permit is None:
            raise StreamEnded("no permit to open it")
        self._requests.unused(permit)
        loop = asyncio.get_running_loop()
        self._broken = loop.create_future()
        exchange = await connection.instance(keyed=True)
        self._guard(exchange)
        watches = [
            (exchange.has.get("watchOrders"), exchange.watch_orders, self._order),
            (exchange.has.get("watchMyTrades"), exchange.watch_my_trades, self._trade),
        ]
        tasks = [loop.create_task(self._follow(watch, hear)) for has, watch, hear in watches if has]
        opening = loop.create_task(self._opened(exchange))
        try:
            ways: list[asyncio.Future[Any]] = [*tasks, self._broken]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if self._broken.done():
                raise StreamEnded(self._broken.result())
            for task in tasks:
                if task.done():
                    await task
        finally:
            for task in (*tasks, opening):
                task.cancel()
            await asyncio.gather(*tasks, opening, return_exceptions=True)
            with suppress(Exception):
                await connection.release(exchange)

    async def _opened(self, exchange: Any) -> None:
        """Wait until a socket is open and has said something, or has been open for a while."""
        loop = asyncio.get_running_loop()
        began, since = loop.time(), None
        while not self.is_up:
            await asyncio.sleep(0.1)
            clients = list((exchange.clients or {}).values())
            connected = [one for one in clients if getattr(one, "connection", None) is not None]
            since = (since or loop.time()) if connected else None
            if since is not None and loop.time() - since > (0.2 if self.heard_at > began else 2.0):
                self.is_up = True
                self._up()

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
        if known is not None and not is_known_status(told.get("status")):
            self._strange(f"order {known.client_order_id} has the status {told.get('status')!r}, which nobody knows")

    def _trade(self, told: Any) -> None:
        market = self._market(told)
        if market is None or self._books.hear_fill(market, told) is not None:
            return
        if text(told.get("id")):
            self._unknown(market.pair, text(told.get("order")))
        else:
            self._strange(f"an execution of {market.pair} that cannot be read: {told!r}"[:300])

    def _market(self, told: Any) -> Any:
        if not isinstance(told, Mapping):
            return None
        return self._requests.connection.markets().get(text(told.get("symbol")))

    # ------------------------------------------------------------ frames

    def _guard(self, exchange: Any) -> None:
        """Let no frame end ccxt's receive loop without a word, nor pass for one that said nothing."""
        make_client, handle = exchange.client, exchange.handle_message

        def handle_message(sender: Any, message: Any) -> None:
            if isinstance(message, str) and message.strip().lower() not in _TEXTS:
                raise StreamEnded(f"a text that is no JSON: {message[:40]!r}")
            self._heed(message)
            handle(sender, message)

        def client(url: str) -> Any:
            known = url in (exchange.clients or {})
            made = make_client(url)
            if not known:
                self._guard_client(made)
            return made

        exchange.client = client
        exchange.handle_message = handle_message

    def _heed(self, message: Any) -> None:
        """What ccxt passes over: that a stream is over, and that funding was paid (Binance's words for it)."""
        inner = message.get("event") if isinstance(message, Mapping) else None
        told = inner if isinstance(inner, Mapping) else message
        if not isinstance(told, Mapping):
            return
        if told.get("e") in _OVER:
            raise StreamEnded(f"the exchange ended it: {told.get('e')}")
        about = told.get("a")
        if isinstance(about, Mapping) and about.get("m") == "FUNDING_FEE":
            self._funded()

    def _guard_client(self, client: Any) -> None:
        handle = client.handle_message

        def handle_message(message: Any) -> None:
            self.heard_at = asyncio.get_running_loop().time()
            try:
                handle(message)
            except Exception as error:  # noqa: BLE001 - a frame may hold anything
                self.restart(f"a frame that cannot be read: {error!r}"[:200])

        client.handle_message = handle_message
