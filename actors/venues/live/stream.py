"""A websocket stream that is watched over: its life, and the guard of ccxt's receive loop. One rule for all streams.

A stream is an instance of ccxt of its own, so that ending one hurts no other. It is restarted from nothing when it
ends, when a frame cannot be read, when it is silent though something has happened (`probe`), or when
somebody has found it deaf (`restart`).

What is noticed, and when
    A closed connection: at once. A frame that cannot be read: at once; ccxt's receive loop would
    die of it without a word, with the socket open. A silent stall: after `Times.silence` without a frame one question
    by REST settles whether there was nothing to tell or the stream is dead.
    A stream that cannot be opened again is tried after `Times.backoff`, then after twice that, and so on.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, Final, Protocol

from actors.venues.live.times import Times

_TEXTS: Final = frozenset({"ping", "pong"})
"""Frames that are no JSON and yet in order."""


class StreamEnded(Exception):
    """A stream is to be started anew; the text says why."""


class StreamRenewed(StreamEnded):
    """A stream is started anew for reasons of our own: nothing is wrong."""


class Instances(Protocol):
    """Who makes instances of ccxt: the `Connection`."""

    async def instance(self, *, keyed: bool = False) -> Any: ...

    async def release(self, instance: Any) -> None: ...


class Stream(abc.ABC):
    """One stream and its life; a subclass says what is subscribed and read. On the connection's loop."""

    keyed = False
    """Whether it needs the account's keys."""

    def __init__(self, instances: Instances, name: str, times: Times) -> None:
        self.name = name
        self.is_up = False
        self.restarts = 0
        self.times = times
        self.exchange: Any = None
        self._said_down = False
        self._instances = instances
        self._frames = 0
        self._tasks: list[asyncio.Future[Any]] = []
        self._wish: asyncio.Future[StreamEnded] | None = None

    # what a subclass adds ---------------------------------------------------

    @abc.abstractmethod
    async def subscribe(self) -> None:
        """Ask for what this stream is for."""

    @abc.abstractmethod
    def went_up(self) -> None:
        """Frames come."""

    @abc.abstractmethod
    def went_down(self, why: str) -> None:
        """No frame can be expected from here on."""

    @abc.abstractmethod
    async def probe(self) -> bool:
        """Ask the venue whether something has happened that this stream has not told; may raise, which counts as yes."""

    def is_open(self) -> bool:
        """Whether it counts as up though no frame has come: where nothing is said of a subscription."""
        return False

    def read(self, message: Any) -> bool:
        """Take a decoded frame; True keeps it from ccxt, which then need not parse it again."""
        del message
        return False

    def resolved(self, result: Any) -> None:  # noqa: B027  (most streams have nothing to do with it)
        """What ccxt has made of a frame."""

    async def ended(self) -> None:  # noqa: B027  (as above)
        """The stream is over, or could not be opened."""

    # life -------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the stream going until this is cancelled."""
        failures = 0
        while True:
            why, started = "", asyncio.get_running_loop().time()
            try:
                await self._live()
            except StreamRenewed:
                pass
            except StreamEnded as ended:
                why = str(ended)
            except Exception as error:  # noqa: BLE001  (whatever ends a stream, it is started again, and it is said)
                why = f"{type(error).__name__}: {error}"[:200]
            finally:
                was_up, self.is_up = self.is_up, False
                await self._end()
            if (
                why and not self._said_down
            ):  # once until it is up again: an outage of hours is not said every few seconds
                self._said_down = True
                self.went_down(why)
            lived = asyncio.get_running_loop().time() - started
            failures = 0 if was_up and lived > self.times.backoff_max else failures + 1
            self.restarts += 1
            await asyncio.sleep(
                min(self.times.backoff * 2 ** min(failures - 1, 8), self.times.backoff_max)
                if failures
                else self.times.backoff
            )

    def restart(self, why: str) -> None:
        """Start the stream anew; somebody has found that it does not tell everything."""
        self._end_with(StreamEnded(why))

    def renew(self, why: str) -> None:
        """Start the stream anew for reasons of our own."""
        self._end_with(StreamRenewed(why))

    def _end_with(self, ended: StreamEnded) -> None:
        if self._wish is not None and not self._wish.done():
            self._wish.set_result(ended)

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        self._wish = loop.create_future()
        self.exchange = await self._instances.instance(keyed=self.keyed)
        self._guard(self.exchange)
        subscribing = self.spawn(self.subscribe())
        opened = heard = asked = loop.time()
        patience, frames = self.times.silence, self._frames
        asking: asyncio.Future[Any] | None = None
        while True:
            await asyncio.wait(
                [self._wish, *self._tasks], timeout=self.times.check, return_when=asyncio.FIRST_COMPLETED
            )
            self._check_tasks()
            now = loop.time()
            if not subscribing.done():
                opened = heard = now
            elif frames != self._frames or (not self.is_up and self.is_open()):
                heard, frames, patience = now, self._frames, self.times.silence
                if not self.is_up:
                    self.is_up, self._said_down = True, False
                    self.went_up()
            elif not self.is_up and now - opened > self.times.open:
                raise StreamEnded(f"no frame within {self.times.open:.0f} s of opening it")
            elif asking is not None and asking.done():
                asking, asked, patience = None, now, min(2 * patience, self.times.silence_max)
            elif self.is_up and asking is None and now - max(heard, asked) > patience:
                asking = self.spawn(self._ask(frames, heard))

    async def _ask(self, frames: int, heard: float) -> None:
        """Find out whether a silence is one: what happened a moment ago may be on its way."""
        if await self.probe():
            await asyncio.sleep(self.times.lag)
            if frames == self._frames:
                silent = asyncio.get_running_loop().time() - heard
                raise StreamEnded(f"silent for {silent:.0f} s though something has happened")

    def _check_tasks(self) -> None:
        if self._wish is not None and self._wish.done():
            raise self._wish.result()
        for task in [task for task in self._tasks if task.done()]:
            self._tasks.remove(task)
            error = None if task.cancelled() else task.exception()
            if isinstance(error, StreamEnded):
                raise error
            if error is not None:
                raise StreamEnded(f"the connection ended: {error}"[:200])

    async def _end(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.ended()
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            with suppress(Exception):
                await self._instances.release(exchange)

    def spawn(self, what: Awaitable[Any]) -> asyncio.Future[Any]:
        """Have something done that ends the line when it fails."""
        task = asyncio.ensure_future(what)
        self._tasks.append(task)
        return task

    def _guard(self, exchange: Any) -> None:
        """See every frame before ccxt does; and let no frame end the receive loop unnoticed."""
        make_client, handle = exchange.client, exchange.handle_message

        def client(url: str) -> Any:
            known = url in (exchange.clients or {})
            made = make_client(url)
            if not known:
                self._guard_client(made)
            return made

        def handle_message(from_client: Any, message: Any) -> None:
            self._frames += 1
            if isinstance(message, str) and message.strip().lower() not in _TEXTS:
                raise StreamEnded(f"a text that is no JSON: {message[:40]!r}")
            if not self.read(message):
                handle(from_client, message)

        exchange.client = client
        exchange.handle_message = handle_message

    def _guard_client(self, client: Any) -> None:
        handle, resolve = client.handle_message, client.resolve

        def handle_message(message: Any) -> None:
            try:
                handle(message)
            except Exception as error:  # noqa: BLE001  (a frame may hold anything)
                self.restart(f"a frame that cannot be read: {error!r}"[:200])

        def resolve_result(result: Any, message_hash: Any) -> Any:
            self.resolved(result)
            return resolve(result, message_hash)

        client.handle_message = handle_message
        client.resolve = resolve_result
        # A future of a name that no frame has: it fails when the connection ends, whatever else is awaited.
        self.spawn(_as_coroutine(client.future("tradepit")))


async def _as_coroutine(future: Any) -> None:
    await future
