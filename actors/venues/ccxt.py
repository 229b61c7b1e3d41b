"""The connection to an exchange through ccxt: the only module that imports it, and that when it is used.

Rules
    One asyncio loop in a thread of its own carries everything; `spawn` is the way in from other threads.
    All instances share one set of markets. `trading` has the keys, `data` has none; `instance` makes further
    ones; none waits for another. ccxt's own throttle is off: permits come from our limiter.
    `request` never raises: what came of it is a value, and so are the facts that decide about a failure.
    A request may be held back until the moment it is written to the socket (`Leave`), not later.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Final, TypeVar

from loguru import logger

from actors.venues.capabilities import unsure_codes
from actors.venues.light import import_lightly
from actors.venues.live.failure import Failure, Verdict, failure_of, sentence_of, unread
from actors.venues.live.given import odd
from actors.venues.live.health import Health
from actors.venues.live.markets import Listed, Made, with_tiers
from actors.venues.live.used import UsedCounts
from actors.venues.live.wire import REQUEST, Answer, Ask, Leave, Request, request_class, watched
from engine.errors import Problem, TradepitError
from engine.market import Market
from engine.quota import Pool
from engine.settings import ExchangeConfig
from engine.types import Millis, use_money_context

T = TypeVar("T")

TIMEOUT_MS: Final = 10_000
"""Longest a request may take; `[exchange] options = { timeout = … }` sets another."""
CLOSE_S: Final = 5.0
BELIEVED: Final = 0.5
"""A list of markets with less than so much of those known before is not believed: exchanges delist a few at a time."""

CONNECTIONS: Final = 100
"""Requests of one instance that may be under way at once; more wait for a socket, and are checked after that."""


class Unconnected(TradepitError):
    """The exchange could not be reached, or did not want us; `failure` says which."""

    def __init__(self, text: str, failure: Failure | None = None) -> None:
        self.failure = failure
        super().__init__(text)


class Connection:
    """One account at one exchange, over ccxt.

    `futures` asks for the markets of perpetual contracts that are settled in the quote coin, else spot.
    `keys` are ccxt's credentials (`apiKey`, `secret`, `password` …); without them only `data` is of use.
    """

    def __init__(self, config: ExchangeConfig, *, futures: bool = False, keys: Mapping[str, str] | None = None) -> None:
        self.name = config.name
        self.futures = futures
        self.trading: Any = None
        self.data: Any = None
        self._config = config
        self._unsure = unsure_codes(config.name)
        self._keys = dict(keys or {})
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._instances: dict[Any, Any] = {}
        self._markets: Mapping[str, Market] = {}
        self.listed = Listed()
        self.used = UsedCounts()
        self.health = Health()
        self.market_doubts = asyncio.Event()
        self._hides_tiers = False
        self._offset_ms = 0.0
        self._base = time.time() * 1_000 - _steady_ms()
        self._trusted: Any = None
        self._mould: Any = None
        self._made_markets = Made()

    # ------------------------------------------------------------ life

    def start(self) -> None:
        """Load ccxt, start the loop and make the instances; nothing is asked of the exchange yet.

        Raises:
            Unconnected: ccxt has no such exchange, or it has no websockets there.
        """
        base = _pro(self.name)
        self._mould = watched(base, self.now, self.used), base()  # made once: while one is made, no order is sent
        loop = asyncio.new_event_loop()
        self._loop = loop
        self._thread = threading.Thread(target=_run, args=(loop,), name=f"ccxt {self.name}", daemon=True)
        self._thread.start()
        try:
            self.spawn(self._open()).result()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all that runs on the loop, and the loop; may be called again."""
        loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        try:
            asyncio.run_coroutine_threadsafe(self._close(), loop).result(CLOSE_S)
        except TimeoutError:
            logger.warning("{}: connections did not close in {} s", self.name, CLOSE_S)
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join(CLOSE_S)
        if not loop.is_running():
            loop.close()

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop, from any thread; with the connection closed it is cancelled at once."""
        loop = self._loop
        if loop is None or loop.is_closed():
            coroutine.close()
            gone: Future[T] = Future()
            gone.cancel()
            return gone
        return asyncio.run_coroutine_threadsafe(coroutine, loop)

    def call(self, function: Callable[..., None], *args: Any) -> None:
        """Have a function called on the loop, soon, from any thread; with the connection closed it is not."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(functools.partial(function, *args))

    async def _open(self) -> None:
        self.trading = self._made(self._keys)
        self.data = self._made({})

    async def _close(self) -> None:
        me = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not me]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for instance in list(self._instances):
            await self.release(instance)

    # ------------------------------------------------------------ instances

    async def instance(self, *, keyed: bool = False) -> Any:
        """A further instance with the shared markets, for streams that are to end by themselves. On the loop."""
        made = self._made(self._keys if keyed else {})
        if self.data.markets is not None:
            made.set_markets_from_exchange(self.data)
        return made

    async def release(self, instance: Any) -> None:
        """Close an instance and its sockets; on the loop. One that is cut short in it is closed with the connection."""
        session = self._instances.get(instance)
        await instance.close()
        if session is not None:
            await session.close()
        self._instances.pop(instance, None)

    def _made(self, keys: Mapping[str, str]) -> Any:
        made, plain = self._mould
        instance = made(self._settings(plain, keys))
        instance.own_session = False
        instance.ssl_context = self._trusted  # reading the certificates takes 30 ms, in which the loop sends no order
        instance.open()
        self._trusted = instance.ssl_context
        instance.session = self._session(instance)
        self._instances[instance] = instance.session
        return instance

    def _settings(self, plain: Any, keys: Mapping[str, str]) -> dict[str, Any]:
        """The constructor's options: ours, under the user's, under the keys."""
        kind = "linear" if self.futures else "spot"
        options: dict[str, Any] = {
            "defaultType": "swap" if self.futures else "spot",
            "fetchMargins": False,
            "fetchCurrencies": False,
            "createMarketBuyOrderRequiresPrice": False,
            "createOrder": {"quoteOrderQty": False},  # a price given with a market order would become money
            "warnOnFetchOpenOrdersWithoutSymbol": False,
        }
        if self.futures:
            options["defaultSubType"] = "linear"
        ours: dict[str, Any] = {
            "enableRateLimit": False,
            "timeout": TIMEOUT_MS,
            "timeout_on_exit": 0,
            "options": options,
        }
        if plain.id.startswith(
            ("binance", "bybit")
        ):  # else Bybit's streams name a pair that both markets have for the other
            options["fetchMarkets"] = {"types": [kind]}
        # Behind another host ccxt does not find a market type's own table of errors.
        table = plain.exceptions.get(kind)
        if isinstance(table, dict):
            ours["exceptions"] = {name: table[name] for name in ("exact", "broad") if name in table}
        merged: dict[str, Any] = plain.deep_extend(ours, dict(self._config.options), dict(keys))
        # A request leaves once, with its own permit: ccxt would send an order again behind an answer that is in doubt.
        merged["options"] = {**merged["options"], "maxRetriesOnFailure": 0}
        return merged

    def _session(self, instance: Any) -> Any:
        import aiohttp

        connector = aiohttp.TCPConnector(ssl=instance.ssl_context, limit=CONNECTIONS)
        return aiohttp.ClientSession(
            connector=connector, request_class=request_class(self.now), trust_env=instance.aiohttp_trust_env
        )

    # ------------------------------------------------------------ requests

    async def request(self, function: Callable[..., Awaitable[Any]], *args: Any, leave: Leave | None = None) -> Answer:
        """Await a method of an instance; on the loop only. Whatever happens is in the answer."""
        request = Request(leave)
        token = REQUEST.set(request)
        started = time.monotonic()
        answer = Answer()
        self.used.flying += 1
        try:
            answer.value = await function(*args)
            answer.failure = unread(answer.value, request.facts)  # the value stays: whoever knows better may judge it
        except Exception as error:  # noqa: BLE001 - a network's faults are values, whatever their class
            answer.failure = failure_of(error, request.facts, self.now(), self._unsure)
        finally:
            self.used.flying -= 1
            REQUEST.reset(token)
        answer.sent_at = request.sent_at
        answer.told = request.facts.told
        answer.took_ms = (time.monotonic() - started) * 1_000
        self.health.heard(answer.failure)
        return answer

    async def load(self, ask: Ask | None = None, *, again: bool = False) -> Answer:
        """Read the clock and the markets; the value is what `markets` tells from then on. On the loop only.

        `ask` sends each request when it may be sent; without one they are sent at once, as at the start, when nobody
        gives permits yet: the exchange's headers tell the first limiter of them.
        """
        ask = ask or self._at_once
        timed = await self.synchronize(ask)
        if timed.failure is not None and timed.failure.verdict is not Verdict.REFUSED:
            return timed
        told = await ask("markets", self.data.drafted) if again or not self.data.markets else Answer(value=self.data)
        if told.value is not None:
            draft = told.value
            markets = await self._made_markets.of(draft.markets, draft.precisionMode, self._is_ours)
            if not markets or len(markets) < BELIEVED * len(self._markets):
                return self._disbelieved(told, len(markets))
            kept = self.listed.read(markets, self._markets)
            if kept:  # they take no entries until it is known whether they are gone
                self.doubt_markets()
                old = [self.trading.markets[pair] for pair in kept]
                listed = [one for pair, one in draft.markets.items() if pair not in kept]
                draft = await self.data.drafted_with([*listed, *old])
                markets |= {pair: replace(self._markets[pair], active=False) for pair in kept}
            for instance in self._instances:
                instance.adopt(draft)
            self._markets = await self._with_tiers(markets, ask)
            told.value = self._markets
        return told

    def _disbelieved(self, told: Answer, found: int) -> Answer:
        """An answer without most of the markets is a page of something else, or half of one: what was known stays true."""
        known = len(self._markets)
        why = f"what came lists {found} of {known} markets" if known else "what came lists no markets"
        told.value, told.failure = None, Failure(Verdict.IN_DOUBT, "", f"{why}, which no exchange means")
        return told

    async def _with_tiers(self, markets: Mapping[str, Market], ask: Ask) -> Mapping[str, Market]:
        """Futures with their margin tiers, which some exchanges tell to account holders only: those are asked once."""
        asker = self.trading if self._keys else self.data
        if self._hides_tiers or not (self.futures and asker.has.get("fetchLeverageTiers")):
            return markets
        told = await ask("leverage_tiers", asker.fetch_leverage_tiers)
        self._hides_tiers = not self._keys and told.failure is not None and told.failure.verdict is Verdict.REFUSED
        if told.failure is not None and self._markets:  # those that are known stay true
            return {pair: _with_tiers_of(market, self._markets.get(pair)) for pair, market in markets.items()}
        tiers = told.value if isinstance(told.value, Mapping) else {}
        return {pair: with_tiers(market, tiers.get(pair), self.name) for pair, market in markets.items()}

    def _is_ours(self, told: Any) -> bool:
        if not isinstance(told, Mapping):
            return False
        if not self.futures:
            return bool(told.get("spot"))
        return bool(told.get("swap")) and bool(told.get("linear")) and told.get("settle") == told.get("quote")

    async def _at_once(self, kind: str, function: Callable[..., Awaitable[Any]]) -> Answer:
        del kind
        return await self.request(function)

    async def synchronize(self, ask: Ask | None = None) -> Answer:
        """Ask the exchange for its time, and from then on go by it; where it tells none, ours serves. On the loop."""
        if not self.data.has.get("fetchTime"):
            return Answer(value=self.now())
        told = await (ask or self._at_once)("time", self.data.fetch_time)
        after = _steady_ms()
        if told.failure is None and isinstance(told.value, int):
            middle = after - told.took_ms / 2
            self._base = told.value - middle
            self._offset_ms = self._base + after - time.time() * 1_000
        return told

    # ------------------------------------------------------------ what is known

    def doubt_markets(self) -> None:
        """Something looks as if a pair were not traded any more: whoever reads the markets does so soon. On the loop."""
        self.market_doubts.set()

    def now(self) -> Millis:
        """The exchange's time; from any thread. It goes on with the machine's steady clock, whatever ours is set to."""
        return int(self._base + _steady_ms())

    @property
    def offset_ms(self) -> float:
        """By how much the exchange's clock is ahead of ours, as of the last `synchronize`."""
        return self._offset_ms

    @property
    def reported(self) -> tuple[Pool, ...]:
        """The limits that the exchange itself has listed beside its markets, where it does."""
        return self.used.reported

    def markets(self) -> Mapping[str, Market]:
        """The markets that can be traded, as of the last `load`; from any thread."""
        return self._markets

    def usage(self, now: Millis) -> dict[str, int]:
        """What the exchange itself has counted in the windows of `now`, by pool; from any thread."""
        return self.used.at(now)


def _with_tiers_of(market: Market, known: Market | None) -> Market:
    if known is None or not known.tiers:
        return market
    return replace(market, tiers=known.tiers, leverage_max=known.leverage_max, liquidation=known.liquidation)


def _steady_ms() -> float:
    """The clock that nobody sets; where there is one, that which goes on while the machine sleeps: orders age meanwhile."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return (time.monotonic() if clock is None else time.clock_gettime(clock)) * 1_000


def _run(loop: asyncio.AbstractEventLoop) -> None:
    use_money_context()
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(_unheard)
    loop.run_forever()


def _unheard(loop: asyncio.AbstractEventLoop, about: dict[str, Any]) -> None:
    """What failed inside ccxt with nobody waiting for it: whoever waits for its result hears of it in another way."""
    del loop
    error = about.get("exception")
    logger.debug("{}: {}", about.get("message", "failed"), "" if error is None else sentence_of(error))


def traits(name: str) -> dict[str, Any]:
    """What ccxt's class of an exchange says of itself: its `has` flags, `rateLimit` (ms) and `features`.

    Raises:
        Unconnected: ccxt has no such exchange, or it has no websockets there.
    """
    plain = _pro(name)()
    return {**plain.has, "rateLimit": plain.rateLimit, "features": plain.features}


def odd_options(name: str, options: Mapping[str, Any]) -> list[Problem]:
    """What of `[exchange] options` ccxt would take without a word, and without effect or to its harm: a typing error may cost money.

    Raises:
        Unconnected: ccxt has no such exchange, or it has no websockets there.
    """
    return odd(name, _pro(name), options)


def _pro(name: str) -> Any:
    import_lightly()
    import ccxt.pro

    base = getattr(ccxt.pro, name, None)
    if not isinstance(base, type) or not issubclass(base, ccxt.pro.Exchange):
        known = ", ".join(sorted(ccxt.pro.exchanges))
        raise Unconnected(f'ccxt knows no exchange "{name}" with websockets. It knows {known}')
    return base
