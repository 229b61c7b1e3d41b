"""A live account at an exchange, as the gateway sees a venue.

Rules
    One object for the life of the process: gateways come and go, requests under way and the stream stay. What
    an earlier gateway has handed over and not sent is held back at the socket.
    Everything runs on the connection's loop, which alone changes what is known: the gateway's thread hands over
    and is told. What is to be told waits in one line, and wakes the gateway.
    The stream of orders is the fast way to hear, look-ups by REST are the sure way: whenever the stream
    was opened anew, and every `RECONCILE_S`, each pair with something at the exchange compares.
    Orders that others have placed are left alone.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

from loguru import logger

from actors.venues.capabilities import Capability
from actors.venues.ccxt import Connection
from actors.venues.live import strangers
from actors.venues.live.account import Account
from actors.venues.live.amending import Amendments
from actors.venues.live.books import Books
from actors.venues.live.echo import Echo
from actors.venues.live.holdings import Holdings, Seen
from actors.venues.live.looks import Looks
from actors.venues.live.orders import Cancelling, Orders
from actors.venues.live.payments import Payments
from actors.venues.live.requests import URGENCY, Requests, Telling
from actors.venues.live.user import ECHO_S, UserStream
from actors.venues.live.words import NO_COINS
from actors.venues.trading import BalancesMoved, Found, Permit, RealMarket, Remark, Sent, VenueEvent
from engine.market import Market
from engine.messages import TakeSnapshot
from engine.order import Order
from engine.types import Millis, Priority

RECONCILE_S: Final = 180.0
"""So often each pair that has something at the exchange compares, whatever was heard."""

SYNCHRONIZE_S: Final = 600.0
BALANCES_S: Final = 2.0
"""Balances are read so often at most, and only after something has happened."""

TOGETHER_S: Final = 0.2
"""Executions of one order that the stream tells of within this are read together."""

READ_ON_S: Final = 1.0
FUNDING_HOUR_MS: Final = 3_600_000
FUNDING_LAG_S: Final = 10.0

CHECK_S: Final = 0.5
SERVICE_S: Final = 1.0
PATIENCE: Final = 3
"""An order's end is told without fills that so many reads have not brought: the pair goes on asking."""


class CcxtVenue(RealMarket):
    """A `TradingVenue` over ccxt; see the module's rules. The connection's markets are loaded, and it outlives this."""

    def __init__(
        self,
        connection: Connection,
        ability: Capability,
        installation: str,
        *,
        margin_mode: str = "isolated",
        began: Mapping[int, Millis] | None = None,
        seen: Seen | None = None,
        account: str = "",
    ) -> None:
        self._connection = connection
        self._telling = Telling()
        self._epoch = 0
        self._asking: set[str] = set()
        self._pairs_seen: set[str] = set()
        self._requests = Requests(connection, self._telling)
        self._books = Books(installation, self._heard, time.monotonic, connection.now, account=account)
        self._holdings = Holdings(self._requests, ability, futures=connection.futures, seen=seen)
        self._payments = Payments(self._requests, ability, self._telling.put)
        seen_at = None if seen is None else seen.at
        self._looks = Looks(
            self._requests, self._telling, self._books, self._holdings, self._payments, ability, began or {}, seen_at
        )
        self._strangers = strangers.Strangers(self._looks)
        self._account = Account(self._requests, self._telling, self._books, self._payments, ability)
        self._orders = Orders(
            self._requests, self._telling, self._books, ability, epoch=lambda: self._epoch, margin=margin_mode
        )
        self._amendments = Amendments(self._requests, self._telling, self._books, ability, epoch=lambda: self._epoch)
        self._funded = asyncio.Event()
        self._stream = UserStream(
            self._requests,
            self._books,
            ability,
            up=self._up,
            down=self._down,
            strange=self._strange,
            unknown=self._unknown,
            funded=self._paid,
            deaf=Echo(self._requests, self._books, ability).is_deaf,
        )
        self._stream_fills = ability.stream_fills
        self._to_read: set[tuple[str, str]] = set()
        self._being_read: set[tuple[str, str]] = set()
        self._tries: dict[str, tuple[int, float]] = {}
        self._balances_due = seen is None
        self._running: list[Any] = []

    # ------------------------------------------------------------ life

    @property
    def epoch(self) -> int:
        """See `TradingVenue`."""
        return self._epoch

    def open(self, epoch: int, now: Millis, wake: Callable[[], None]) -> None:
        """See `TradingVenue`; the first one starts the stream and what looks after it."""
        del now
        self._epoch = epoch
        self._connection.call(self._looks.forget)
        if not self._running:
            services = (
                self._stream.run,
                self._keep_books,
                self._keep_balances,
                self._keep_comparing,
                self._keep_reading,
                self._keep_funding,
            )
            self._running = [self._connection.spawn(self._kept(service)) for service in services]
        self._connection.call(self._requests.turnstile.again)
        self._telling.attach(wake)

    def close(self) -> None:
        """See `TradingVenue`; what runs goes on, and waits for the next gateway."""
        self._telling.attach(None)

    def markets(self) -> Mapping[str, Market]:
        """See `TradingVenue`."""
        return self._connection.markets()

    # ------------------------------------------------------------ requests

    def submit(self, order: Order, now: Millis, permit: Permit) -> Sent:
        """See `TradingVenue`; whether the id was sent before is seen on the loop, which alone knows what was."""
        del now
        self._connection.call(self._pairs_seen.add, order.pair)
        self._connection.spawn(self._orders.submit(order, permit, self._epoch))
        return Sent()

    def cancel(self, pair: str, client_order_id: str, order_id: str, now: Millis, permit: Permit) -> Sent:
        """See `TradingVenue`."""
        del now
        cancelling = Cancelling(pair, client_order_id, order_id)
        self._connection.spawn(self._orders.cancel(cancelling, permit, self._epoch))
        return Sent()

    def amend(self, order: Order, now: Millis, permit: Permit) -> Sent:
        """See `TradingVenue`."""
        del now
        self._connection.spawn(self._amendments.amend(order, permit, self._epoch))
        return Sent()

    def find(self, pair: str, client_order_id: str) -> Found | None:
        """See `TradingVenue`."""
        del pair  # our ids are unique over all pairs
        return self._books.find(client_order_id)

    def look(self, question: TakeSnapshot, now: Millis) -> None:
        """See `TradingVenue`."""
        del now
        self._connection.call(self._look, question)

    def grant(self, request_id: str, permit: Permit | None, now: Millis) -> None:
        """See `TradingVenue`."""
        del now
        self._connection.call(self._requests.turnstile.grant, request_id, permit)

    def events(self) -> tuple[VenueEvent, ...]:
        """See `TradingVenue`."""
        return self._telling.take()

    def commit(self) -> bool:
        """See `TradingVenue`; the exchange keeps its own record."""
        return False

    def balances(self) -> tuple[tuple[str, Decimal, Decimal], ...]:
        """See `TradingVenue`; empty until they are known."""
        return self._holdings.balances

    def usage(self, now: Millis) -> Mapping[str, int]:
        """See `TradingVenue`."""
        return self._connection.usage(now)

    # ------------------------------------------------------------ what is heard (on the loop)

    def _look(self, question: TakeSnapshot) -> None:
        self._asking.add(question.pair)
        if question.client_order_ids:
            self._pairs_seen.add(question.pair)
        self._looks.look(question)

    def _heard(self, event: VenueEvent) -> None:
        self._balances_due = True
        self._telling.put(event)

    def _up(self) -> None:
        """The stream listens: what was missed until now is read."""
        if self._stream.restarts:
            text = f"the stream of our orders at {self._connection.name} is open again; what was missed is read"
            self._telling.put(Remark("info", "stream", text))
        self._balances_due = True
        self._books.unechoed.clear()
        self._connection.spawn(self._catch_up())

    async def _catch_up(self) -> None:
        for pair in await self._looks.missed():
            self._looks.doubt(pair)

    def _down(self, why: str) -> None:
        text = f"the stream of our orders at {self._connection.name} broke off ({why}); it is opened again"
        self._telling.put(Remark("warning", "stream", text))

    def _paid(self) -> None:
        self._payments.stale()
        self._funded.set()

    def _strange(self, what: str) -> None:
        self._telling.put(Remark("warning", "odd_answer", f"{self._connection.name} tells {what}"))

    def _unknown(self, pair: str, order_id: str) -> None:
        """Somebody has traded: what was ours is read, and if it was not us, the pair looks whether it was his position."""
        if self._books.owner(pair, order_id):
            self._read_soon(pair, order_id)
        elif pair in self._asking:
            asyncio.get_running_loop().call_later(strangers.WAIT_S, self._look_if_foreign, pair, order_id)

    def _look_if_foreign(self, pair: str, order_id: str) -> None:
        if not self._books.owner(pair, order_id):
            self._strangers.traded(pair)
        elif not self._stream_fills:
            self._read_soon(pair, order_id)

    def _read_soon(self, pair: str, order_id: str) -> None:
        """Read an order's executions, once for as many as come together."""
        if (pair, order_id) not in self._to_read:
            self._to_read.add((pair, order_id))
            asyncio.get_running_loop().call_later(TOGETHER_S, self._read_fills, pair, order_id)

    def _read_fills(self, pair: str, order_id: str) -> None:
        if (pair, order_id) in self._being_read:  # what it is told meanwhile may be missing in that answer
            asyncio.get_running_loop().call_later(TOGETHER_S, self._read_fills, pair, order_id)
            return
        self._to_read.discard((pair, order_id))
        self._connection.spawn(self._read_missing(pair, order_id))

    async def _read_missing(self, pair: str, order_id: str, client_order_id: str = "") -> None:
        """Read an order's executions: one read at a time; it counts as a try of who waits for them once it is answered.

        An entry's fill waits for nothing less urgent: its stop waits for it.
        """
        URGENCY.set(Priority.EXIT)
        self._being_read.add((pair, order_id))
        try:
            await self._looks.missing_fills(pair, order_id)
        finally:
            self._being_read.discard((pair, order_id))
            if client_order_id:
                tries, _ = self._tries.get(client_order_id, (0, 0.0))
                self._tries[client_order_id] = (tries + 1, time.monotonic())

    # ------------------------------------------------------------ what looks after it (on the loop)

    @staticmethod
    async def _kept(service: Callable[[], Awaitable[None]]) -> None:
        """Run a service for ever: a fault of ours in it costs a moment, not the service."""
        while True:
            try:
                await service()
            except Exception:  # noqa: BLE001 - a bug must not end what looks after orders
                logger.exception("a service of the venue failed; it is started again")
            await asyncio.sleep(SERVICE_S)

    async def _keep_books(self) -> None:
        """Look for fills that are counted and not told, and for a stream that is deaf."""
        while True:
            await asyncio.sleep(CHECK_S)
            now = time.monotonic()
            self._check_echo(now)
            for known in self._books.all():
                if known.ended and not known.is_missing_fills:
                    self._tries.pop(known.client_order_id, None)
                    continue
                tries, at = self._tries.get(known.client_order_id, (0, known.heard_at))
                if not known.is_missing_fills or now - at < ECHO_S / 2:
                    continue
                if (known.pair, known.order_id) in self._being_read:
                    continue
                if tries >= PATIENCE and known.ending is not None:
                    self._books.end(known)
                    continue
                if tries == 1 and self._stream.is_up:
                    self._stream.restart(f"fills of {known.client_order_id} did not come within {ECHO_S:g} s")
                self._connection.spawn(self._read_missing(known.pair, known.order_id, known.client_order_id))

    def _check_echo(self, now: float) -> None:
        """What answers have told, a stream that listens tells too; one that was opened since need not."""
        late = [client_id for client_id, at in self._books.unechoed.items() if now - at >= ECHO_S]
        if late and self._stream.is_up:
            self._books.unechoed.clear()
            self._stream.restart(f"fills of {late[0]} did not come within {ECHO_S:g} s")

    async def _keep_balances(self) -> None:
        wait_s, was_empty = BALANCES_S, False
        while True:
            if self._balances_due:
                self._balances_due = False
                before = self._holdings.balances
                balances = await self._holdings.read_balances()
                if self._holdings.names_none and not was_empty:
                    rest = "What was there before is reckoned with" if before else "No entries are made"
                    text = f"{NO_COINS}. {rest} until it names one; it is asked again"
                    self._telling.put(Remark("warning", "no_coins", text))
                was_empty = self._holdings.names_none
                if balances is None:  # nothing was told of them: they are asked for again, later each time
                    self._balances_due, wait_s = True, min(2 * wait_s, RECONCILE_S)
                else:
                    wait_s = BALANCES_S
                    if balances != before:
                        self._telling.put(BalancesMoved())
            await asyncio.sleep(wait_s)

    async def _keep_comparing(self) -> None:
        """Read what was used of the day's limits; then compare and set the clock, again and again."""
        is_known = await self._read_usage()
        synchronized = time.monotonic()
        while True:
            await asyncio.sleep(RECONCILE_S)
            is_known = is_known or await self._read_usage()
            self._balances_due = True
            await self._account.compare(self._asking)
            for pair in sorted(self._asking & (self._pairs_seen | self._looks.held)):
                self._looks.doubt(pair)
            if time.monotonic() - synchronized > SYNCHRONIZE_S:
                await self._connection.synchronize(self._requests.once)
                synchronized = time.monotonic()

    async def _keep_reading(self) -> None:
        while True:
            await self._looks.read_on()
            await asyncio.sleep(READ_ON_S)

    async def _keep_funding(self) -> None:
        """Read what was paid after each full hour, and whenever the stream says that something was; what was refused, again."""
        while self._connection.futures:
            hour = FUNDING_HOUR_MS - self._connection.now() % FUNDING_HOUR_MS
            due = time.monotonic() + hour / 1_000 + FUNDING_LAG_S
            while not self._funded.is_set() and (wait_s := due - time.monotonic()) > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._funded.wait(), min(wait_s, self._payments.again_s))
                for pair in await self._payments.read_again():
                    self._looks.doubt(pair)
            self._funded.clear()
            self._balances_due = True
            await self._account.read_funding(self._asking & (self._pairs_seen | self._looks.held))
        await asyncio.Event().wait()  # there is no funding on spot

    async def _read_usage(self) -> bool:
        """Ask how many orders this account has placed today, where an exchange counts them: only answers tell it. Whether it did."""
        method = "fapiPrivateGetRateLimitOrder" if self._connection.futures else "privateGetRateLimitOrder"
        function = getattr(self._connection.trading, method, None)
        if function is None:
            return True
        URGENCY.set(Priority.EXIT)  # until it is known nothing can be placed, stops neither
        answer = await self._requests.read("order_usage", functools.partial(function, {}))
        URGENCY.set(Priority.RECONCILE)
        if answer.failure is None:
            self._connection.used.take(answer.value, answer.sent_at, self._connection.now())
        return answer.failure is None
