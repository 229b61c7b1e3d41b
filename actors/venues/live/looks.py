"""What is true of a pair at an exchange: its open orders, those asked for, the fills since, what is held.

Rules
    Every request waits for its own permit and is repeated until it is answered: a look ends with the truth.
    That an order is unknown is final only if it was asked for later than the exchange could still accept it:
    the horizon after it was sent; for orders of an earlier process after their answer was given up, or the next one began.
    Fills are told by the exchange's order ids: the orders that they belong to are read first, so that each
    fill of ours has its order, and foreign ones are left out.
    A pair's first question is answered from the lists of the whole account where these tell all that it must know
    (`engine.reconcile.is_told_by_lists`), so that a restart costs the same however many pairs there are. Their
    executions are read later, behind all else; what is in them that nobody knows is looked at then.
    What the exchange refuses for good ends the look without an answer, and is told (`ReadsRefused`): whoever asked asks
    again, and is asked for after `AGAIN_S`, so that nothing is lost and nobody waits unseen.
    Who asks again while a look is under way is answered with the newest question's id, after all has been read once
    more: what made him ask may have happened after its lists were read. Who merely repeats himself waits for one more
    reading at most; who is told that something was missed, for one that began after that.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from loguru import logger

from actors.venues.capabilities import Capability
from actors.venues.live.books import Books
from actors.venues.live.histories import Histories
from actors.venues.live.holdings import SEEN_S, Holdings
from actors.venues.live.payments import Payments
from actors.venues.live.requests import URGENCY, Requests, Telling, Unreadable, urgency_of
from actors.venues.live.words import became_of, fill_of, is_liquidation, order_of, text
from actors.venues.trading import Looked, Missed, ReadsRefused, Snapshot
from engine.market import Market
from engine.messages import ForeignFill, OrderFilled, TakeSnapshot, VenueOrder
from engine.quota import RANK
from engine.reconcile import CLIENT_ID, is_told_by_lists
from engine.types import Millis, OrderType, Priority

OVERLAP_MS: Final = 60_000
"""Fills and orders are read from so long before the time that was asked for: clocks differ, and answers lag."""

PACE_S: Final = 1.0
"""So often one pair's executions are read behind all else."""

AGAIN_S: Final = 30.0
"""What was refused for good is asked for again so much later, at the earliest."""

FAILED_S: Final = 2.0
"""A look that a fault of ours has ended is begun anew after this."""

LAG_MS: Final = 1_000
"""How long after it was accepted an order may still be missing in the exchange's answers, beyond its horizon."""


class Looks:
    """The reading side of one account; on the connection's loop. `held`: pairs whose last look found something held.

    `again_s` is `AGAIN_S`, which a test may make shorter.

    `runs` says when each run of the bot began: what one has sent, it has sent before the next one began.
    """

    def __init__(
        self,
        requests: Requests,
        telling: Telling,
        books: Books,
        holdings: Holdings,
        payments: Payments,
        ability: Capability,
        runs: Mapping[int, Millis],
        seen_at: float | None = None,
    ) -> None:
        self._requests = requests
        self._telling = telling
        self._books = books
        self._holdings = holdings
        self._payments = payments
        self._ability = ability
        self._histories = Histories(requests, books, ability)
        self._began = requests.connection.now()
        self._runs = runs
        self._questions: dict[str, TakeSnapshot] = {}
        self._unread: dict[str, TakeSnapshot] = {}
        self._listed: set[str] = set()
        self._seen_at = seen_at
        self._lists_since = 0.0
        self._doubts: Counter[str] = Counter()
        self._refused: dict[str, float] = {}
        self.again_s = AGAIN_S
        self.held: set[str] = set()

    def forget(self) -> None:
        """A new gateway is there: whoever has asked the old one asks again, and what was read for it is too old."""
        self._questions.clear()
        self._listed.clear()
        now, seen_at, self._seen_at = time.monotonic(), self._seen_at, None
        self._lists_since = now if seen_at is None or now - seen_at > SEEN_S else seen_at

    def look(self, question: TakeSnapshot) -> None:
        """Begin to look, or let the look that is under way answer this question too, unless it may have to wait for long."""
        before = self._questions.get(question.reply_to)
        self._questions[question.reply_to] = question
        if before is None or RANK[urgency_of(question)] < RANK[urgency_of(before)]:
            again_at = self._refused.get(question.pair, float("-inf")) + self.again_s
            self._requests.connection.spawn(self._answer(question.reply_to, again_at))

    async def _answer(self, asker: str, again_at: float) -> None:
        await asyncio.sleep(max(again_at - time.monotonic(), 0.0))
        is_repeated = False
        while (question := self._questions.get(asker)) is not None:
            doubts = self._doubts[question.pair]
            URGENCY.set(urgency_of(question))
            try:
                snapshot = await self._read(question)
            except Unreadable as refused:
                self._refuse(question.pair, str(refused))
                if self._questions.get(asker) is question:  # else another reading answers, or the next round
                    del self._questions[asker]
                    return
                continue
            except Exception:  # noqa: BLE001 - whoever asked must be answered
                logger.exception("looking at {} failed", question.pair)
                await asyncio.sleep(FAILED_S)
                continue
            self._is_read(question.pair)
            newest = self._questions.get(asker)
            if newest is None:
                return
            wanted, asked = ({*about.client_order_ids, *about.doubted, *about.amended} for about in (newest, question))
            is_covered = newest.since >= question.since and wanted <= asked
            is_repeated = is_repeated and is_covered and self._doubts[question.pair] == doubts
            if newest is question or is_repeated:
                del self._questions[asker]
                self._telling.put(Looked(newest, snapshot))
                return
            is_repeated = True

    def _refuse(self, pair: str, reason: str) -> None:
        self._refused[pair] = time.monotonic()
        self._telling.put(ReadsRefused(reason))

    def _is_read(self, pair: str) -> None:
        if self._refused.pop(pair, None) is not None and not self._refused:
            self._telling.put(ReadsRefused(""))

    def is_looking_at(self, pair: str) -> bool:
        """Whether a look at a pair is under way."""
        return any(question.pair == pair for question in self._questions.values())

    def doubt(self, pair: str) -> None:
        """Something may have happened unheard: whoever trades the pair is to look, and lists do not answer him."""
        self._listed.add(pair)
        self._doubts[pair] += 1
        self._telling.put(Missed(pair))

    async def _read(self, question: TakeSnapshot) -> Snapshot:
        pair = question.pair
        market = self._requests.connection.markets().get(pair)
        if market is None:  # nothing can be asked; once it is sure that it is delisted, nothing is there
            is_gone = self._requests.connection.listed.is_gone(pair)
            if not is_gone:
                self._requests.connection.doubt_markets()
            return Snapshot((), (), question.client_order_ids, None, is_gone)
        if pair not in self._listed:
            self._listed.add(pair)
            told = await self._from_lists(question, market)
            if told is not None:
                return told
        since = max(question.since - OVERLAP_MS, 0)
        listed_at = self._requests.connection.now()
        orders = {order.order_id: order for order in await self._open(market)}
        trades = await self._histories.trades(market, since, held=bool(question.held))
        for behind in await self._histories.orders_behind(market, trades, {*orders, *question.ended}, since):
            self._take(market, behind, orders, old=True)
        unknown, final = await self._asked(question, market, orders, listed_at)
        fills = self._fills(market, trades)
        mine = {filled.fill.client_order_id for filled in fills}
        listed = tuple(order for order in orders.values() if self._is_wanted(order, mine, question.client_order_ids))
        payments = await self._payments.of(pair, since) if since and market.is_futures else ()
        position = await self._holdings.position(market)
        self._note(pair, position)
        return Snapshot(listed, fills, tuple(unknown), position, final, payments, self._foreign(market, trades))

    async def _from_lists(self, question: TakeSnapshot, market: Market) -> Snapshot | None:
        """The answer as the lists of the whole account have it; None where the pair is to be looked at by itself."""
        told = await self._holdings.read_orders(self._lists_since)
        position = await self._holdings.position(market, self._lists_since)
        if told is None or (market.is_futures and position is None):
            return None
        orders: dict[str, VenueOrder] = {}
        for one in told.get(market.pair, ()):
            self._take(market, one, orders)
        working = [order for order in orders.values() if self._books.is_ours(market.pair, order.client_order_id)]
        if not is_told_by_lists(question, working, position if market.is_futures else None):
            return None
        self._unread[market.pair] = question
        self._note(market.pair, position)
        return Snapshot(tuple(orders.values()), (), (), position)

    def _note(self, pair: str, position: Decimal | None) -> None:
        """Remember whether something is held; what could not be read leaves it as it was."""
        if position is not None:
            (self.held.add if position else self.held.discard)(pair)

    async def read_on(self) -> None:
        """Read, one after the other and behind all else, the executions of pairs that were answered without them.

        Where something is held they are read first: it might be what a lost journal knew of. Refused ones come last.
        """
        URGENCY.set(Priority.DATA)
        await self._missed_payments()
        while self._unread:
            pair = min(self._unread, key=lambda each: (self._refused.get(each, 0.0), each not in self.held))
            question, market = self._unread.pop(pair), self._requests.connection.markets().get(pair)
            try:
                if market is not None and await self._has_more(question, market):
                    self.doubt(pair)
                self._is_read(pair)
            except Unreadable as refused:
                self._unread[pair] = question
                self._refuse(pair, str(refused))
                await asyncio.sleep(self.again_s)
            await asyncio.sleep(PACE_S)

    async def _missed_payments(self) -> None:
        """Tell the funding of positions that were answered from lists."""
        markets = self._requests.connection.markets()
        for pair, question in sorted(self._unread.items(), key=lambda asked: asked[1].since):  # one read serves all
            if question.held and pair in markets and markets[pair].is_futures:
                for paid in await self._payments.of(pair, question.since):
                    self._telling.put(paid)

    async def _has_more(self, question: TakeSnapshot, market: Market) -> bool:
        trades = await self._histories.trades(market, question.since)
        return self._has_unknown(question, trades, {})

    async def missed(self) -> list[str]:
        """The pairs of which something happened unheard: an order of ours is not any more as it was told last."""
        URGENCY.set(Priority.EXIT)
        before = [(known, known.filled) for known in self._books.all() if not known.ended]
        before = [(known, filled) for known, filled in before if known.accepted or known.in_doubt]
        try:
            listed = await self._open_of({known.pair for known, _ in before})
        except Unreadable:  # each of them looks, and says what cannot be read
            return sorted({known.pair for known, _ in before})
        found = set()
        for known, filled in before:
            told = listed.get(known.client_order_id)
            if told is None or told.filled != filled:
                found.add(known.pair)
        return sorted(found)

    async def _open_of(self, pairs: Collection[str]) -> dict[str, VenueOrder]:
        """The open orders of ours of some pairs, by our id, as of now."""
        orders: dict[str, VenueOrder] = {}
        markets = self._requests.connection.markets()
        told = await self._holdings.read_orders() if len(pairs) > self._ability.listed_at_once else None
        for market in [markets[pair] for pair in sorted(pairs) if pair in markets]:
            if told is None:
                orders |= {order.order_id: order for order in await self._open(market)}
            else:
                for one in told.get(market.pair, ()):
                    self._take(market, one, orders)
        return {order.client_order_id: order for order in orders.values()}

    def _is_wanted(self, order: VenueOrder, filled: Collection[str], asked: Sequence[str]) -> bool:
        working = order.status in ("NEW", "PARTIALLY_FILLED")
        return working or order.client_order_id in filled or order.client_order_id in asked

    async def _open(self, market: Market) -> list[VenueOrder]:
        found: dict[str, VenueOrder] = {}
        for kind, call in self._ability.open_lists(market.pair):
            for told in await self._requests.rows(kind, self._requests.listing(call), pair=market.pair):
                self._take(market, told, found)
        return list(found.values())

    def _take(self, market: Market, told: Any, into: dict[str, VenueOrder], *, old: bool = False) -> None:
        """Take an order into the look, and what it says of ours into the books."""
        order = order_of(told, market, self._ability.ours)
        if order is None or not order.order_id:
            return
        known = self._books.hear_order(market.pair, order, became_of(told), old=old)
        if known is not None:  # a stop that became another order is told twice: the one that fills counts
            kind = OrderType.STOP if known.is_stop else order.type
            order = replace(order, client_order_id=known.client_order_id, type=kind)
            twin = next((o for o in into.values() if o.client_order_id == order.client_order_id), None)
            if twin is not None and twin.order_id != order.order_id:
                if twin.filled > order.filled:
                    return
                del into[twin.order_id]
        into[order.order_id] = order

    def _has_unknown(self, question: TakeSnapshot, trades: Sequence[Any], orders: Mapping[str, VenueOrder]) -> bool:
        """Whether there are executions of orders that nobody here has seen: ours or foreign, the orders will tell."""
        ids = {text(told.get("order")) for told in trades if isinstance(told, Mapping)} - set(question.ended)
        return any(order_id not in orders and not self._books.is_seen(question.pair, order_id) for order_id in ids)

    async def _asked(
        self, question: TakeSnapshot, market: Market, orders: dict[str, VenueOrder], listed_at: Millis
    ) -> tuple[list[str], bool]:
        """Find each order that was asked for; those that the exchange does not know, and whether that is final.

        Where nobody can ask by our id, the lists are what has said so, and that as of `listed_at`.
        """
        by_id = self._ability.fetch_params is not None
        unknown, final, doubted, amended = [], True, dict(question.doubted), dict(question.amended)
        for client_id in question.client_order_ids:
            if any(order.client_order_id == client_id and order.status == "FILLED" for order in orders.values()):
                continue
            asked_at = self._requests.connection.now() if by_id else listed_at
            if client_id in amended:
                final = final and asked_at > self._last_amendment(client_id, amended[client_id])
            found, is_sure = await self._find(client_id, market)
            if found is not None:
                self._take(market, found, orders)
            elif not any(order.client_order_id == client_id for order in orders.values()):
                unknown.append(client_id)
                final = final and is_sure and asked_at > self._last_moment(client_id, doubted.get(client_id))
        return unknown, final

    def _last_moment(self, client_id: str, sent_until: Millis | None) -> Millis:
        """Until when the exchange could still come to know an order; `sent_until`: when its answer was given up."""
        known = self._books.get(client_id)
        if known is not None and (known.sent_at or known.leaves_until):
            sent_at = known.sent_at or known.leaves_until  # its permit runs out: it leaves until then, or never
        else:  # an earlier run's: sent before the run after it began
            found = CLIENT_ID.match(client_id)
            next_began = self._runs.get(int(found[2]) + 1, self._began) if found else self._began
            sent_at = min(next_began, self._began, sent_until or self._began)
        return sent_at + self._ability.horizon_ms + LAG_MS

    def _last_amendment(self, client_id: str, since: Millis) -> Millis:
        """Until when the exchange could still come to amend an order; `since`: when that was intended."""
        known = self._books.get(client_id)
        sent_at = max(since, known.amend_sent_at if known is not None and known.amend_sent_at else self._began)
        return sent_at + self._ability.horizon_ms + LAG_MS

    async def _find(self, client_id: str, market: Market) -> tuple[Any, bool]:
        """An order as ccxt tells it; else None, and whether it is sure that the exchange has none."""
        known = self._books.get(client_id)
        order_id = known.order_id if known is not None else ""
        is_apart = self._ability.stop is not None and bool(self._ability.stop.read)
        kinds = [known.is_stop] if known is not None else [False]
        if is_apart and (known is None or known.is_stop):
            kinds.append(not kinds[0])  # a triggered stop may have become an order elsewhere
        is_sure = True
        for n, is_stop in enumerate(kinds):
            told, sure = await self._histories.order(market, client_id, "" if n else order_id, stop=is_stop)
            if told is not None:
                return {**told, "clientOrderId": told.get("clientOrderId") or self._ability.theirs(client_id)}, True
            is_sure = is_sure and sure
        return None, is_sure

    # ------------------------------------------------------------ lists

    def _fills(self, market: Market, trades: Sequence[Any]) -> tuple[OrderFilled, ...]:
        fills = []
        for told in trades:
            filled = self._books.hear_fill(market, told)
            if filled is not None:
                fills.append(filled)
        return tuple(fills)

    def _foreign(self, market: Market, trades: Sequence[Any]) -> tuple[ForeignFill, ...]:
        found, now = [], self._requests.connection.now()
        for told in trades:
            order_id = text(told.get("order"))
            ours = self._books.owner(market.pair, order_id)
            client_id = None if ours else self._books.foreign(market.pair, order_id)
            filled = None if client_id is None else fill_of(told, client_id or f"order {order_id}", market, now)
            if filled is not None and client_id is not None:
                why = "liquidation" if is_liquidation(told, client_id) else "manual"
                found.append(ForeignFill(fill=filled.fill, side=text(told.get("side")), order_id=order_id, why=why))
        return tuple(found)

    async def missing_fills(self, pair: str, order_id: str) -> None:
        """Read the executions of an order that the exchange counts and nobody has told."""
        market = self._requests.connection.markets().get(pair)
        if market is None or not order_id:
            return
        known = self._books.get(self._books.owner(pair, order_id))
        placed_at = known.told.ts if known is not None and known.told is not None else 0
        try:
            executions = await self._histories.of_order(market, order_id, max(placed_at - OVERLAP_MS, 0))
        except Unreadable:
            self.doubt(pair)
            return
        for told in executions:
            self._books.hear_fill(market, told)
