"""The simulated exchange: `engine.matching` with a market, a record of its own, and a clock that goes on.

Rules
    It knows nothing of the bot: requests come in, its own record and its market decide. What the bot
    kept, lost or believes changes nothing here.
    A batch is on disk before anything of it is told; see `actors.venues.trading`.
    Its market never stops: when it is opened again, orders that rested meet what happened since, in order.

Theory of operation
    Resting orders are matched lazily: each pair remembers until when. `advance` looks at the range of
    prices since then, for pairs with orders only. A range that reaches an order is halved until it is a
    single tick. So what fills does not depend on how often anybody looked, at what speed, or on restarts,
    and a long downtime costs a few looks, not one a tick.
    Resting orders get what has traded of the candle until then, less what they had of it already; a
    market without candles has no limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Final

from actors.venues.paper.prompt_reads import PromptReads
from actors.venues.paper.reading import UsedWeight, configured, position_of, range_of, rules_of, snapshot_of
from actors.venues.paper.record import VenueRecord
from actors.venues.paper.venue_market import TICK_MS, PromptVenueMarket, VenueMarket
from actors.venues.ports import MarketSource
from actors.venues.trading import Acknowledged, Amended, Canceled, Found, Permit, Refused, Snapshot, VenueEvent
from engine.candles import MINUTE
from engine.ledger import VenuePosition
from engine.margin import FundingRate
from engine.market import Market
from engine.matching import Exchange
from engine.messages import TakeSnapshot
from engine.order import Order
from engine.quota import paper_limits
from engine.ranges import Range
from engine.settings import PaperConfig
from engine.types import ZERO, Millis, OrderType

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
FINE_MS: Final = 60_000
"""In ranges up to this, orders for which there is no volume are not looked at tick by tick."""

KEPT_MS: Final = 60_000
"""How far the market of resting orders has been met is put on record so often, whatever happens."""

OVERLAP_MS: Final = 60_000
"""A snapshot's fills begin so long before the time that was asked for."""


class PaperVenue:
    """A `TradingVenue` without an exchange; see the module's rules.

    `path` None keeps the record in memory: it outlives the gateway, not the process. `by_turns`: only
    `match` fills orders, for runs that go candle by candle. `timeframe_ms` is that of the source's candles.
    The source must be this venue's own; one that knows its prices late (`VenueMarket`) is waited for.
    `markets` are the pairs' rules, where they are not as the configuration has them.
    """

    def __init__(
        self,
        path: Path | None,
        config: PaperConfig,
        source: MarketSource | VenueMarket,
        *,
        currency: str = "USDT",
        timeframe_ms: Millis = MINUTE,
        by_turns: bool = False,
        markets: Mapping[str, Market] | None = None,
    ) -> None:
        self._path = path
        self._config = config
        self._market = source if isinstance(source, VenueMarket) else PromptVenueMarket(source, timeframe_ms)
        self._currency = currency
        self._by_turns = by_turns
        self._markets = configured(self._market.markets(), config) if markets is None else dict(markets)
        self._costs = paper_limits(config).costs
        self._record: VenueRecord | None = None
        self._exchange = Exchange(self._markets, rules_of(config))
        self._epoch = 0
        self._matched: dict[str, Millis] = {}
        self._funded: Millis = 0
        self._kept: Millis = 0
        self._positions: tuple[Millis, dict[str, VenuePosition] | None] = (0, None)
        self._fresh: set[str] = set()
        self._events: list[VenueEvent] = []
        self._reads = PromptReads(self.snapshot, self._events.append)
        self._weight = UsedWeight()

    # ------------------------------------------------------------ life

    @property
    def epoch(self) -> int:
        """See `TradingVenue`."""
        return self._epoch

    def open(self, epoch: int, now: Millis, wake: Callable[[], None]) -> None:
        """Read the record anew and let the market go on until `now`; what fills is in `events`, never told by `wake`."""
        del wake
        self.close()
        self._reads.forget()
        self._epoch = epoch
        if self._record is None:
            self._record = VenueRecord(self._path)
        self._load(self._record, now)
        self._deposit(self._record)
        self.advance(now)
        self.commit()

    def close(self) -> None:
        """See `TradingVenue`; a record in memory stays."""
        if self._record is None:
            return
        self._record.rollback()
        if self._path is not None:
            self._record.close()
            self._record = None

    def save(self, path: Path) -> None:
        """Write a record that is kept in memory to a file."""
        if self._record is not None:
            self._record.save(path)

    def _load(self, record: VenueRecord, now: Millis) -> None:
        exchange = self._exchange
        exchange.clearing.ledger.restore(record.balances())
        exchange.clearing.positions.restore(record.positions())
        pairs = record.pairs()
        exchange.restore(record.working(), {pair: (orders, fills) for pair, orders, fills, _ in pairs})
        self._matched = {pair: matched for pair, _, _, matched in pairs}
        self._fresh = set()
        self._events.clear()
        self._funded = int(record.meta("funded_until") or now)
        # Nobody knows what was held at the hour before a start: of that hour, what is held when it is told pays.
        self._positions = (now // HOUR_MS * HOUR_MS, None)

    def _deposit(self, record: VenueRecord) -> None:
        config, ledger = self._config, self._exchange.clearing.ledger
        if record.meta("fills") != config.fills:
            record.set_meta("fills", config.fills)
        for currency, amount in ((self._currency, config.wallet), (config.fee_coin, config.fee_coin_wallet)):
            # Once only: what was there when the account was opened, whatever the configuration says later.
            if currency and record.meta(f"opened {currency}") is None:
                ledger.deposit(currency, amount)
                record.set_meta(f"opened {currency}", str(amount))

    def markets(self) -> Mapping[str, Market]:
        """See `TradingVenue`; the fees are this venue's own."""
        return self._markets

    # ------------------------------------------------------------ requests

    def submit(self, order: Order, now: Millis, permit: Permit) -> Acknowledged | Refused:
        """See `TradingVenue`; never in doubt, and the way is short."""
        del permit
        self._weight.count(self._costs["replace" if order.replaces else "order"]["weight_1m"], now)
        exchange = self._exchange
        if order.pair in self._markets and self._markets[order.pair].is_futures:
            self.advance(now)  # what was due before this order is not for what it buys
        self._catch_up(order.pair, now)
        price = None if exchange.rules.depth is None else self._market.price(order.pair, now)
        outcome = exchange.submit(order, now, price)
        self._events.extend(outcome.events)
        if isinstance(outcome, Refused):
            return outcome
        self._fresh.add(order.client_order_id)
        if len(exchange.orders(order.pair)) <= 1:
            self._matched[order.pair] = now
        return Acknowledged(outcome.order_id)

    def cancel(self, pair: str, client_order_id: str, order_id: str, now: Millis, permit: Permit) -> Canceled | Refused:
        """See `TradingVenue`; never in doubt."""
        del permit
        self._weight.count(self._costs["cancel"]["weight_1m"], now)
        self._catch_up(pair, now)
        exchange = self._exchange
        found = exchange.named(pair, client_order_id, order_id)
        if not found:
            return Refused("REFUSED", f"{pair} has no working order {client_order_id or order_id}")
        self._events.extend(exchange.cancel(found, now))
        return Canceled()

    def end(self, pair: str, now: Millis) -> None:
        """End a pair's orders, as exchanges do when they trade it no more."""
        for kept in self._exchange.orders(pair):
            self._events.extend(self._exchange.cancel(kept.order.client_order_id, now))

    def amend(self, order: Order, now: Millis, permit: Permit) -> Amended | Refused:
        """See `TradingVenue`; never in doubt."""
        del permit
        self._weight.count(self._costs["amend"]["weight_1m"], now)
        self._catch_up(order.pair, now)
        price = self._market.price(order.pair, now) if self._exchange.rules.depth else None
        return self._exchange.amend(order, price) or Amended()

    def find(self, pair: str, client_order_id: str) -> Found | None:
        """See `TradingVenue`."""
        del pair  # our ids are unique over all pairs
        record = self._opened()
        order = record.find(client_order_id)
        if order is not None or client_order_id in self._fresh:
            self._flush()
            order = record.find(client_order_id)
        return None if order is None else Found(order, tuple(record.fills_of(order.order_id)))

    def look(self, question: TakeSnapshot, now: Millis) -> None:
        """See `TradingVenue`; answered as soon as there is a permit."""
        del now
        self._reads.look(question)

    def grant(self, request_id: str, permit: Permit | None, now: Millis) -> None:
        """See `TradingVenue`."""
        self._reads.grant(request_id, permit, now)

    def snapshot(self, pair: str, client_order_ids: Sequence[str], since: Millis, now: Millis) -> Snapshot:
        """What is true of a pair; always final, as nothing is ever on its way. `fills` begin a little before `since`."""
        if pair in self._exchange.pairs():
            self._catch_up(pair, now)
        self._flush()
        return snapshot_of(self._opened(), pair, client_order_ids, since - OVERLAP_MS, self._position(pair))

    def _position(self, pair: str) -> Decimal | None:
        return position_of(self._exchange.clearing, self._markets[pair]) if pair in self._markets else None

    # ------------------------------------------------------------ the market goes on

    def match(
        self,
        pair: str,
        ts: Millis,
        low: Decimal,
        high: Decimal,
        open: Decimal | None = None,
        *,
        entries_only: bool = False,
    ) -> None:
        """See `TradingVenue`."""
        seen = Range(pair, ts, low, high, open=open, entries_only=entries_only)
        self._events.extend(self._exchange.match(seen))

    def settle(self, due: Sequence[FundingRate]) -> None:
        """See `TradingVenue`."""
        self._events.extend(self._exchange.settle(due))

    def advance(self, now: Millis) -> None:
        """See `TradingVenue`; only pairs with working orders or positions on margin cost anything.

        Funding is paid at its time, on what orders have made of the position until then.
        """
        if self._by_turns:
            return
        exchange = self._exchange
        held = {*exchange.pairs(), *(pair for pair, _ in exchange.clearing.positions.items())}
        pairs = sorted(pair for pair in held if self._markets[pair].is_futures)
        self._market.follow({pair: self._matched.get(pair, now) for pair in exchange.pairs()})
        funded = self._market.funded_until(pairs, self._funded, now) if pairs else now
        self._note_positions(now)
        if pairs and self._funded < funded:
            for rate in self._market.funding(pairs, self._funded, funded):
                self._match_until(rate.ts)
                then = self._positions[1] if rate.ts == self._positions[0] else None
                self._events.extend(exchange.settle((rate,), then))
        self._funded = max(self._funded, funded)
        self._match_until(now)
        self._keep_matched(now)

    def _note_positions(self, now: Millis) -> None:
        """What is held at a full hour, which is when funding is due, whenever its rate is told."""
        hour = now // HOUR_MS * HOUR_MS
        if self._positions[0] != hour:
            self._match_until(hour)
            self._positions = (hour, dict(self._exchange.clearing.positions.items()))

    def _match_until(self, now: Millis) -> None:
        groups: dict[tuple[Millis, Millis], list[str]] = {}
        for pair in sorted(self._exchange.pairs()):
            span = (self._matched.get(pair, now), self._market.known_until(pair, now))
            groups.setdefault(span, []).append(pair)
        for (after, until), pairs in sorted(groups.items()):
            for start in range(after, until, DAY_MS):
                self._walk(pairs, start, min(start + DAY_MS, until))
            if after < until:
                self._matched.update(dict.fromkeys(pairs, until))

    def _keep_matched(self, now: Millis) -> None:
        """Put on record how far resting orders have met their market, so that a restart reads little of it again."""
        if now - self._kept >= KEPT_MS and self._exchange.pairs():
            self._kept = now
            counts, matched = self._exchange.counts, self._matched
            self._opened().put_pairs([(p, *counts[p], matched.get(p, now)) for p in self._exchange.pairs()])

    def _catch_up(self, pair: str, now: Millis) -> None:
        # One look for all pairs costs what one for a single pair does, and serves the whole batch.
        if self._exchange.orders(pair) and now - self._matched.get(pair, now) >= TICK_MS:
            self.advance(now)

    def _walk(self, pairs: Sequence[str], after: Millis, until: Millis) -> None:
        pairs = [pair for pair in pairs if self._exchange.orders(pair)]
        if not pairs:
            return
        reached = []
        for found in self._market.ranges(pairs, after, until):
            seen = range_of(found)
            orders = self._exchange.reached(seen)
            if orders:
                reached.append((seen, orders))
        if until - after > TICK_MS:
            middle = (after + until) // 2
            names = [seen.pair for seen, orders in reached if until - after > FINE_MS or self._can_fill(seen, orders)]
            self._walk(names, after, middle)
            self._walk(names, middle, until)
            return
        for seen, orders in reached:
            volume = self._volume(seen) if self._is_limited(orders) else None
            self._events.extend(self._exchange.match(replace(seen, volume=volume)))

    def _is_limited(self, orders: Sequence[Order]) -> bool:
        return self._exchange.rules.depth is not None and any(order.type is OrderType.LIMIT for order in orders)

    def _can_fill(self, seen: Range, orders: Sequence[Order]) -> bool:
        """Whether a range, whatever is in it, can fill one of these: not if they rest and nothing is traded."""
        if not self._is_limited(orders) or any(order.type is not OrderType.LIMIT for order in orders):
            return True
        volume = self._volume(seen)
        return volume is None or self._markets[seen.pair].truncate_amount(volume) > ZERO

    def _volume(self, seen: Range) -> Decimal | None:
        """What resting orders may still get at a tick; None is no limit."""
        known = self._market.traded(seen.pair, seen.ts)
        if known is None:
            return None
        candle_ts, traded = known
        self._flush()
        had = (filled.fill for filled in self._opened().fills_since(seen.pair, candle_ts))
        return max(ZERO, traded - sum((fill.amount for fill in had if fill.maker), ZERO))

    # ------------------------------------------------------------ events, record, figures

    def events(self) -> tuple[VenueEvent, ...]:
        """See `TradingVenue`."""
        events = tuple(self._events)
        self._events.clear()
        return events

    def commit(self) -> bool:
        """See `TradingVenue`."""
        self._flush()
        return self._opened().commit()

    def balances(self) -> tuple[tuple[str, Decimal, Decimal], ...]:
        """See `TradingVenue`."""
        return self._exchange.clearing.ledger.balances()

    def usage(self, now: Millis) -> Mapping[str, int]:
        """See `TradingVenue`; the weight begins anew with the process, as it is the process that counts it."""
        return {
            "weight_1m": self._weight.at(now),
            "orders_10s": self.orders_since(now // 10_000 * 10_000),
            "orders_1d": self.orders_since(now // DAY_MS * DAY_MS),
        }

    def orders_since(self, since: Millis) -> int:
        """How many orders were taken from `since` on."""
        self._flush()
        return self._opened().orders_since(since)

    def _opened(self) -> VenueRecord:
        assert self._record is not None, "the venue was not opened"
        return self._record

    def _flush(self) -> None:
        """Write what has changed into the open transaction."""
        exchange, record = self._exchange, self._opened()
        ledger, positions = exchange.clearing.ledger, exchange.clearing.positions
        if exchange.changed:
            changed = exchange.changed.values()
            record.put_orders(changed)
            pairs = sorted({kept.order.pair for kept in changed})
            record.put_pairs([(pair, *exchange.counts[pair], self._matched.get(pair, 0)) for pair in pairs])
            exchange.changed = {}
        if exchange.fills:
            record.put_fills(exchange.fills)
            exchange.fills = []
        if exchange.payments:
            record.put_payments(exchange.payments)
            exchange.payments = []
            record.set_meta("funded_until", str(self._funded))
        if ledger.changed:
            record.put_balances([(currency, ledger.accounts(currency)) for currency in sorted(ledger.changed)])
            ledger.changed = set()
        if positions.changed:
            record.set_meta("funded_until", str(self._funded))
            record.put_positions([(pair, positions.get(pair)) for pair in sorted(positions.changed)])
            positions.changed = set()
        self._fresh.clear()
