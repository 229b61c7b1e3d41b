"""A real exchange's prices as the paper venue's market: seen by the streams that the bot has anyway, gaps read by REST.

Rules
    Prices are followed of pairs with an order that rests or waits, nothing else; the stream is that of open trades.
    An order meets a price that was at most `FRESH_MS` old when it came: where none was, it is asked for, and the
    order waits for it.
    Orders and cancels are met in the order of time: while it is not known where the price was before one, it waits.
    After a gap, however long, the candles of that time are read: a resting order meets them before anything later.
    What no candle can tell, the first moments of a gap in a minute that was not watched from its beginning, is said.
    Funding is read after each full hour, and paid when its rate is told.
    A pair that the exchange has halted takes no order, as there; the orders of one that is gone end, as there.

Two threads meet here: the gateway's, which asks, and the connection's loop, which brings.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from actors.venues.live.reading import Reader, rows_at_once
from actors.venues.paper.venue_market import VenueMarket
from actors.venues.ports import PriceRange
from engine.candles import MINUTE, Candle
from engine.margin import FundingRate
from engine.market import Market
from engine.matching import Refused
from engine.sightings import Sightings
from engine.types import Millis, exact

FRESH_MS: Final = 1_000
"""An order meets no price that is older."""

STALE_MS: Final = 15_000
"""Nothing is met by a price that is older, whatever is waited for."""

LOOK_MS: Final = 1_000
"""A pair whose order waits is asked about so often."""

LASTING_MS: Final = 60_000
"""A pair is followed for so long after its last order."""

GAP_MS: Final = 3_000
"""The candles of a gap are asked for so often, until the stream is heard again; more seldom while nothing moves."""

GAP_MS_MAX: Final = 24_000

SAID_MS: Final = 5_000
"""A gap of this length is said where it leaves something unknown."""

FINE_MS: Final = 900_000
"""Gaps up to this are read in candles of a second, where the exchange has them."""

SECOND: Final = 1_000
HOUR: Final = 3_600_000
FUNDING_LAG_MS: Final = 15_000
"""So long after a full hour its funding is asked for; what was paid is told by then."""

RATES_MAX: Final = 100

POLL_S: Final = 0.1
RETRY_MS: Final = 10_000

GONE: Final = "the bot did not watch from that minute's beginning, and candles tell no more of it than its end"
"""Why nobody can say what was met in the first moments of a gap."""

Fault = Callable[[str, str, str], None]
Look = Callable[[str], Awaitable[None]]


class ExchangeMarket(VenueMarket):
    """The market of a paper venue at a real exchange; `connection` has loaded its markets, and needs no keys."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._wake: Callable[[], None] = _nobody
        self._sightings: dict[str, Sightings] = {}
        self._waiting: dict[str, Millis] = {}
        self._ordered: Mapping[str, Millis] = {}
        self._lasting: dict[str, Millis] = {}
        self._changed = False
        self._looking: set[str] = set()
        self._looked: dict[str, Millis] = {}
        self._patience: dict[str, tuple[Millis, float | None]] = {}
        self._asked: dict[str, Millis] = {}
        self._held: frozenset[str] = frozenset()
        self._rates: dict[str, list[FundingRate]] = {}
        self._rated: dict[str, Millis] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------ what the venue asks

    def markets(self) -> Mapping[str, Market]:
        """See `VenueMarket`."""
        markets: Mapping[str, Market] = self._connection.markets()
        return markets

    def now(self) -> Millis:
        """The exchange's time."""
        now: Millis = self._connection.now()
        return now

    def usage(self, now: Millis) -> dict[str, int]:
        """What the exchange has counted of our questions."""
        used: dict[str, int] = self._connection.usage(now)
        return used

    def refusal(self, pair: str) -> Refused | None:
        """Why the exchange would take no order of this pair now, whatever the order; None where it would."""
        market = self.markets().get(pair)
        if market is None:
            return Refused("DELISTED", f"the exchange does not trade {pair} any more")
        return None if market.active else Refused("MARKET_CLOSED", f"the exchange has halted trading of {pair}")

    def gone(self) -> list[str]:
        """The pairs with orders that the exchange trades no more."""
        markets = self.markets()
        return [pair for pair in self._ordered if pair not in markets]

    def listen(self, wake: Callable[[], None]) -> None:
        """`wake` is called, on the loop, when an order that waits may go on."""
        self._wake = wake

    def follow(self, since: Mapping[str, Millis]) -> None:
        """See `VenueMarket`."""
        with self._lock:
            self._ordered = since
            self._choose()
            for pair, met in since.items():
                self._sightings[pair].forget(met)

    def wait_for(self, arrived: Mapping[str, Millis]) -> None:
        """Orders of these pairs wait, each since its time."""
        with self._lock:
            self._waiting = dict(arrived)
            self._choose()

    def _choose(self) -> None:
        """Look at pairs with orders, and for a while at those that had some: an exit follows its stop's cancel."""
        now, wanted = self.now(), {**self._waiting, **self._ordered}
        self._lasting.update(dict.fromkeys(wanted, now + LASTING_MS))
        known = self._sightings
        lasting = {pair: known[pair].known for pair in known if self._lasting[pair] > now}
        wanted = {**lasting, **wanted}
        if wanted.keys() != known.keys():
            self._sightings = {pair: known.get(pair) or Sightings(at) for pair, at in wanted.items()}
            self._lasting = {pair: self._lasting[pair] for pair in wanted}
            self._changed = True

    def known_until(self, pair: str, now: Millis) -> Millis:
        """See `VenueMarket`."""
        with self._lock:
            seen = self._sightings.get(pair)
            return 0 if seen is None else min(seen.known, now)

    def is_ready(self, pair: str, arrived: Millis) -> bool:
        """Whether an order that arrived then can be met: with a price that was fresh, and everything before it known."""
        with self._lock:
            seen = self._sightings.get(pair)
            fresh = seen is not None and seen.price is not None and arrived - seen.price_at <= FRESH_MS
            return fresh and seen is not None and (seen.gap is None or seen.known >= arrived - FRESH_MS)

    def ranges(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[PriceRange]:
        """See `VenueMarket`."""
        found = []
        with self._lock:
            for pair in pairs:
                seen = self._sightings.get(pair)
                sight = None if seen is None else seen.range(after, until)
                if sight is not None:
                    found.append(PriceRange(pair, *sight))
        return found

    def price(self, pair: str, now: Millis) -> Decimal | None:
        """See `VenueMarket`; whoever meets it was ready for it (`is_ready`), on a slow machine some time ago."""
        with self._lock:
            seen = self._sightings.get(pair)
            if seen is None or seen.price is None or now - seen.price_at > STALE_MS:
                return None
            return exact(seen.price)

    def traded(self, pair: str, ts: Millis) -> tuple[Millis, Decimal] | None:  # noqa: ARG002
        """Not known of a moment: resting orders have no limit."""
        return None

    def funded_until(self, pairs: Collection[str], since: Millis, now: Millis) -> Millis:
        """See `VenueMarket`."""
        with self._lock:
            self._held = frozenset(pairs)
            return min(now, min((self._rated.setdefault(pair, since) for pair in pairs), default=now))

    def funding(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[FundingRate]:
        """See `VenueMarket`."""
        with self._lock:
            found = [rate for pair in pairs for rate in self._rates.get(pair, ()) if after < rate.ts <= until]
        return sorted(found, key=lambda rate: rate.ts)

    # ------------------------------------------------------------ what the loop brings

    @property
    def wanted(self) -> Collection[str]:
        """The pairs whose prices the price line is to bring."""
        return self._sightings.keys()

    def told(self, found: PriceRange, low: float, high: float, *, asked: bool) -> None:
        """A price of the stream, or of an answer to a question, with the bid and the ask around it."""
        with self._lock:
            seen = self._sightings.get(found.pair)
            if seen is None:
                return
            if found.close != seen.price:
                self._patience.pop(found.pair, None)
            (seen.answered if asked else seen.told)(found.ts, found.close, low, high)
            waits = found.pair in self._waiting
        if waits:
            self._wake()

    def lost(self) -> None:
        """The price line is down."""
        with self._lock:
            for seen in self._sightings.values():
                seen.lost()

    async def run(self, reader: Reader, changed: Callable[[], Awaitable[None]], look: Look, fault: Fault) -> None:
        """Ask for what the stream does not tell, for ever; `look` asks for a pair's price, `changed` follows other pairs."""
        while True:
            await asyncio.sleep(POLL_S)
            if self._changed:
                self._changed = False
                await changed()
            now = self.now()
            with self._lock:
                due = [pair for pair, seen in self._sightings.items() if self._is_due(pair, seen, now)]
                held = [pair for pair in self._held if self._is_rate_due(pair, now)]
                self._looking.update(due, held)
                self._looked.update(dict.fromkeys(due, now))
                self._asked.update(dict.fromkeys(held, now))
                waits = any(now - at >= LOOK_MS for at in self._waiting.values())
            if waits:
                self._wake()  # one may have waited too long
            for pair in due:
                self._spawn(pair, self._catch_up(pair, reader, look, fault), fault)
            for pair in held:
                self._spawn(pair, self._read_rates(pair, reader), fault)

    def _is_due(self, pair: str, seen: Sightings, now: Millis) -> bool:
        since = now - self._looked.get(pair, 0)
        if pair in self._looking or since < LOOK_MS:
            return False
        if pair in self._waiting and (self._waiting[pair] - seen.price_at > FRESH_MS or seen.gap is not None):
            return True
        return pair in self._ordered and seen.gap is not None and since >= self._patience.get(pair, (GAP_MS,))[0]

    def _spawn(self, pair: str, work: Any, fault: Fault) -> None:
        task = asyncio.ensure_future(self._done(pair, work, fault))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _done(self, pair: str, work: Awaitable[None], fault: Fault) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  (what fails, which is a bug of ours, is said and begun again)
            fault(pair, "stalled", f"its prices are asked for again: {error!r}")
        finally:
            with self._lock:
                self._looking.discard(pair)

    # ------------------------------------------------------------ gaps (on the loop)

    async def _catch_up(self, pair: str, reader: Reader, look: Look, fault: Fault) -> None:
        """Read the newest price where an order waits for one, and the candles of a gap."""
        seen = self._sightings.get(pair)
        if seen is None:
            return
        arrived = self._waiting.get(pair)
        if arrived is not None and arrived - seen.price_at > FRESH_MS:
            await look(pair)
        since = seen.gap
        if since is None:
            return
        step = self._step(since)
        read = await self._candles(pair, since // step * step, step, reader)
        if read is None:
            return
        rows, asked_at = read
        with self._lock:
            sure = seen.filled(rows, step, asked_at)
            patience, before = self._patience.get(pair, (GAP_MS, None))
            close = rows[-1].close if rows else before
            # A stream that tells nothing of a pair that does not move is a quiet one, most likely.
            self._patience[pair] = (min(2 * patience, GAP_MS_MAX) if close == before else GAP_MS, close)
        if not sure and asked_at - since >= SAID_MS:
            said = (
                f"what resting orders met from {since} to {since // MINUTE * MINUTE + MINUTE} ms is not known: {GONE}"
            )
            fault(pair, "unseen", said)
        if pair in self._waiting:
            self._wake()

    def _step(self, since: Millis) -> Millis:
        seconds = "1s" in (self._connection.data.timeframes or ()) and not self._connection.futures
        return SECOND if seconds and self.now() - since <= FINE_MS else MINUTE

    async def _candles(
        self, pair: str, since: Millis, step: Millis, reader: Reader
    ) -> tuple[list[Candle], Millis] | None:
        """All candles from `since` until now, and the time they were asked for; None without an answer."""
        found: list[Candle] = []
        most = rows_at_once(self._connection.data, pair)
        while True:
            asked_at = self.now()
            told = await reader.candles(pair, step, since, min(most, (asked_at - since) // step + 2), every=True)
            if told is None:
                return None
            rows = [row for row in told if row.ts >= since]
            found += rows
            # Nothing at all: nothing was traded in as many candles as one answer holds.
            since = rows[-1].ts + step if rows else since + most * step
            if since > asked_at:
                return found, asked_at

    # ------------------------------------------------------------ funding (on the loop)

    def _is_rate_due(self, pair: str, now: Millis) -> bool:
        if pair in self._looking or now - self._asked.get(pair, 0) < RETRY_MS:
            return False
        hour = now // HOUR * HOUR
        return self._rated[pair] < hour and now >= hour + FUNDING_LAG_MS

    async def _read_rates(self, pair: str, reader: Reader) -> None:
        """Funding since the last that is known; from then on it is known up to now."""
        asked_at, since = self.now(), self._rated[pair]
        ask = self._connection.data.fetch_funding_rate_history
        told = await reader.ask("funding_rates", ask, pair, since, RATES_MAX)
        if told is None:
            return
        rates = {rate.ts: rate for rate in self._rates.get(pair, ())}
        for row in told if isinstance(told, list) else ():
            at, rate = (row.get("timestamp") or 0) // MINUTE * MINUTE, row.get("fundingRate")
            if since < at and rate is not None and at not in rates:
                price = await self._mark(pair, at, row, reader)
                if price is None:
                    return
                rates[at] = FundingRate(pair=pair, ts=at, rate=exact(rate), price=price)
        with self._lock:
            self._rates[pair] = [rates[ts] for ts in sorted(rates)][-RATES_MAX:]
            self._rated[pair] = asked_at

    async def _mark(self, pair: str, ts: Millis, row: Any, reader: Reader) -> Decimal | None:
        """The mark price of that minute: as the exchange tells it with the rate, else the price of its candle."""
        told = row.get("info", {}).get("markPrice")
        if told:
            return Decimal(str(told))
        rows = await reader.candles(pair, MINUTE, ts, 2)
        return None if not rows else exact(rows[0].open)


def _nobody() -> None:
    """Nobody is there to be woken yet."""
