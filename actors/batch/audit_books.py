"""The audit's own books: every order, position and profit, made again from the journal's entries.

Nothing that the bot has computed is used: orders follow `engine.order`'s table, positions are made of
the recorded fills by `engine.position`, and what the bot recorded of trades is compared with that.
Entries may be read in several goes, since a bot may be writing; a trade is worked out when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import orjson

from actors.batch.audit_entries import (
    Event,
    ToldOrder,
    adopted_order,
    ends_exit,
    fill_of,
    intended_order,
    order_after,
    side_of,
)
from actors.batch.findings import Findings
from actors.segment import Row
from engine.change import changed
from engine.errors import IllegalTransition
from engine.market import told_stake
from engine.naming import account_of
from engine.order import Fill, Order
from engine.position import Position
from engine.reconcile import CLIENT_ID
from engine.types import ZERO, Millis, Purpose

OF_A_TRADE: Final = frozenset(
    [
        "OrderIntended",
        "OrderAccepted",
        "OrderRejected",
        "OrderInDoubt",
        "OrderAmended",
        "AmendIntended",
        "AmendRejected",
        "OrderCanceled",
        "OrderFilled",
        "FundingPaid",
        "TradeOpened",
        "TradeChanged",
        "TradeClosed",
    ]
)
OF_ALL: Final = frozenset({"RunStarted", "RunEnded", "JournalDamaged"})
"""Kinds that concern every account."""
DECIDES: Final = frozenset({"TradeOpened", "TradeChanged", "TradeClosed", "StopMoved", "OrderRejected"})
"""Kinds that have a row in the history's `decisions` beside SignalDecided."""


@dataclass(slots=True, kw_only=True)
class BookedTrade:
    """One trade, worked out.

    `payments` are funding by id, `late` the sum of what came after the trade had closed.
    `mended`: entries were lost, and the venue's fills took their place. `dust` is what was written off, `moved`
    what left it without a sale.
    """

    trade_id: str
    pair: str
    position: Position
    orders: dict[str, Order] = field(default_factory=dict)
    fills: dict[str, tuple[int, Fill]] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    payments: dict[str, Decimal] = field(default_factory=dict)
    late: Decimal = ZERO
    closed: Mapping[str, Any] | None = None
    closed_seq: int = 0
    dust: Decimal = ZERO
    moved: Decimal = ZERO
    mended: bool = False

    @property
    def is_open(self) -> bool:
        """Whether something is held and no end was recorded."""
        return self.position.amount > ZERO and self.closed is None


@dataclass(slots=True, kw_only=True)
class Damage:
    """What the journal says it has lost. Whatever an earlier run than `run` recorded may be gone."""

    run: int = 0
    seq: int = 0
    texts: list[str] = field(default_factory=list)

    def may_have_lost(self, client_order_id: str) -> bool:
        """Whether the entries of this order may be among what was lost."""
        found = CLIENT_ID.match(client_order_id)
        return found is not None and int(found[2]) < self.run


class Books:
    """One account's entries in, its trades out; see the module's text."""

    def __init__(self, account: str = "") -> None:
        self.account = account
        self.end = 0
        self.entries = 0
        self.run = 0
        self.ended_in_order = False
        self.mode = ""
        self.damage = Damage()
        self.decisions: dict[int, tuple[str, str, str, str]] = {}
        self.other_decisions_at: list[int] = []
        self.trade_of: dict[str, str] = {}
        self._events: dict[str, list[Event]] = {}
        self._pairs: dict[str, str] = {}
        self._settled: dict[str, BookedTrade] = {}
        self._orders: dict[str, Order] = {}
        self._fill_ids: set[str] = set()

    def read(self, rows: Iterable[Row]) -> None:
        """Take in entries, in order."""
        for seq, ts, writer, _writer_seq, _epoch, run, _stream, kind, body, _hash in rows:
            self.end = seq
            if account_of(writer) != self.account and kind not in OF_ALL:
                continue
            self.entries += 1
            if run != self.run:
                self.run, self.ended_in_order = run, False
            if kind in DECIDES:
                self.other_decisions_at.append(seq)
            if kind in OF_A_TRADE:
                self._keep(seq, ts, kind, body)
            elif kind == "SignalDecided":
                b = orjson.loads(body)
                self.decisions[seq] = (b["pair"], b["signal"], b["outcome"], b["code"])
            elif kind == "JournalDamaged":
                self.damage.run, self.damage.seq = max(self.damage.run, run), seq
                self.damage.texts.append(str(orjson.loads(body)["what"]))
            elif kind == "RunStarted":
                told = orjson.loads(body)
                self.mode = str(told.get("accounts", {}).get(self.account, told).get("mode"))
            elif kind == "RunEnded":
                self.ended_in_order = True

    def _keep(self, seq: int, ts: Millis, kind: str, text: str) -> None:
        body = orjson.loads(text)
        trade_id = body["trade_id"]
        self._events.setdefault(trade_id, []).append((seq, ts, kind, text))
        self._pairs[trade_id] = body["pair"]
        self._settled.pop(trade_id, None)
        client_id = body.get("client_order_id")
        if client_id is not None:
            self.trade_of[client_id] = trade_id
            if kind == "OrderFilled":
                self._fill_ids.add(body["fill_id"])

    def fill_ids(self) -> AbstractSet[str]:
        """Every fill of which there is an entry."""
        return self._fill_ids

    def pairs(self) -> dict[str, Millis]:
        """Every pair that was traded, and the time of its first entry."""
        found: dict[str, Millis] = {}
        for trade_id, events in self._events.items():
            pair, first = self._pairs[trade_id], events[0][1]
            found[pair] = min(found.get(pair, first), first)
        return found

    def trade_ids(self) -> Iterator[str]:
        """Every trade of which there is an entry, in the order of their first."""
        yield from self._events

    def likely_trade(self, client_order_id: str) -> str | None:
        """The trade an order without any entry belongs to: its pair's newest of that number at that time."""
        found = CLIENT_ID.match(client_order_id)
        if found is None:
            return None
        run, checksum, number = int(found[2]), found[3], int(found[4])
        candidates = []
        for trade_id, other in self._by_number().get((checksum, number), {}).items():
            if other <= run:
                candidates.append((other, trade_id))
        return max(candidates)[1] if candidates else None

    def _by_number(self) -> dict[tuple[str, int], dict[str, int]]:
        found: dict[tuple[str, int], dict[str, int]] = {}
        for client_id, trade_id in self.trade_of.items():
            match = CLIENT_ID.match(client_id)
            if match is not None:
                began = int(trade_id.rpartition("#")[2].partition("-")[0])
                found.setdefault((match[3], int(match[4])), {})[trade_id] = began
        return found

    def settle(
        self, trade_id: str, told: Mapping[str, ToldOrder], lost: Iterable[Fill], findings: Findings
    ) -> BookedTrade:
        """Work a trade out and compare what was recorded of it. `lost` are fills that only the venue knows."""
        known = self._settled.get(trade_id)
        if known is not None:
            return known
        events = self._events[trade_id]
        mended = sorted(lost, key=lambda fill: fill.ts)
        own = Findings()
        settling = _Settling(trade_id, self._pairs[trade_id], events, told, own, mended=bool(mended))
        settling.earlier = self._orders
        for event in events:
            while mended and mended[0].ts <= event[1]:
                settling.book_lost(mended.pop(0))
            settling.take(event)
        for fill in mended:
            settling.book_lost(fill)
        self._orders.update(settling.trade.orders)
        if not own.differences:  # else it is found again when it is looked at again
            self._settled[trade_id] = settling.trade
        self._take_over(own, settling.trade, findings)
        return settling.trade

    def _take_over(self, own: Findings, trade: BookedTrade, findings: Findings) -> None:
        """What a trade's own entries contradict: a difference, unless some of them may have been lost."""
        torn = any(self.damage.may_have_lost(client_id) for client_id in trade.orders)
        for found in own.differences.values():
            if torn:
                findings.note(f"{found.text} Entries of it were in a part of the journal that was lost.")
            else:
                findings.differ(found.kind, found.place, found.text)


class _Settling:
    """One trade being worked out."""

    def __init__(
        self,
        trade_id: str,
        pair: str,
        events: list[Event],
        told: Mapping[str, ToldOrder],
        findings: Findings,
        *,
        mended: bool,
    ) -> None:
        self._told = told
        self._findings = findings
        self.earlier: Mapping[str, Order] = {}
        self._base, _, rest = pair.partition("/")
        self._quote = rest.partition(":")[0]
        side, leverage = side_of(events, told)
        position = Position(side=side, leverage=leverage)
        self.trade = BookedTrade(trade_id=trade_id, pair=pair, position=position, mended=mended)

    def take(self, event: Event) -> None:
        seq, ts, kind, text = event
        body = orjson.loads(text)
        if kind == "OrderIntended":
            order = intended_order(body, ts)
            if order.client_order_id in self.trade.orders:
                name = order.client_order_id
                self._findings.differ("intent", name, f"Order {name} was intended twice (entry {seq}).")
            self.trade.orders[order.client_order_id] = order
            self.trade.changed[order.client_order_id] = seq
        elif kind.startswith(("Order", "Amend")):
            self._take_order(seq, ts, kind, body)
        elif kind == "FundingPaid":
            self._take_payment(seq, body)
        else:
            self._compare(seq, kind, body)

    def _take_payment(self, seq: int, body: Mapping[str, Any]) -> None:
        trade, name, received = self.trade, body["payment_id"], Decimal(body["received"])
        if name in trade.payments:
            self._findings.differ("funding", name, f"Funding {name} was booked twice (entry {seq}).")
            return
        trade.payments[name] = received
        if body["late"]:
            trade.late += received
        else:
            trade.position = trade.position.funded(received)

    def _take_order(self, seq: int, ts: Millis, kind: str, body: Mapping[str, Any]) -> None:
        client_id = body["client_order_id"]
        self.trade.changed[client_id] = seq
        order = self._order(client_id, seq, kind)
        if order is None:
            return
        if kind == "OrderFilled":
            self._book(seq, order, fill_of(body, ts), body.get("order_id"))
            return
        try:
            after = order_after(order, kind, body, ts)
        except IllegalTransition as error:
            self._findings.differ("order", client_id, f"Entry {seq} cannot be: {error}.")
            return
        self.trade.orders[client_id] = after
        if after.is_done and not order.is_done and ends_exit(after):
            self.trade.position = self.trade.position.exit_done()

    def _order(self, client_id: str, seq: int, kind: str) -> Order | None:
        order = self.trade.orders.get(client_id)
        if order is not None:
            return order
        if client_id in self.earlier:  # its trade had closed when it filled once more: that began this one
            return self.trade.orders.setdefault(client_id, self.earlier[client_id])
        told = self._told.get(client_id)
        if told is None:
            text = f"Entry {seq} ({kind}) is of order {client_id}, which was never intended and is not at the venue."
            self._findings.differ("order", client_id, text)
            return None
        adopted = adopted_order(told, self.trade.position)
        self.trade.orders[client_id] = adopted
        return adopted

    def book_lost(self, fill: Fill) -> None:
        """Book a fill that only the venue remembers."""
        order = self._order(fill.client_order_id, 0, "a lost fill")
        if order is not None:
            self._book(0, order, fill)

    def _book(self, seq: int, order: Order, fill: Fill, order_id: str | None = None) -> None:
        """Book a fill; `order_id` is the venue's order that made it: a stop that has triggered may be another one by then."""
        trade = self.trade
        if fill.fill_id in trade.fills:
            if seq:
                text = f"Fill {fill.fill_id} of order {order.client_order_id} was booked twice (entry {seq})."
                self._findings.differ("fill", fill.fill_id, text)
            return
        trade.fills[fill.fill_id] = (seq, fill)
        try:
            after = changed(order.with_fill(fill), order_id=order_id or order.order_id)
        except KeyError:
            self._findings.differ(
                "order", order.client_order_id, f"Entry {seq}: a fill cannot come to a {order.status} order."
            )
            return
        trade.orders[order.client_order_id] = after
        if order.purpose is Purpose.ENTRY:
            trade.position = trade.position.entered(fill, self._base, self._quote, ZERO)
            return
        trade.position = trade.position.exited(fill, self._base, self._quote, ZERO)
        if after.is_done:
            trade.position = trade.position.exit_done()

    def _compare(self, seq: int, kind: str, body: Mapping[str, Any]) -> None:
        trade, moved = self.trade, Decimal(body.get("moved", 0))
        if moved:
            trade.position, trade.moved = trade.position.moved_away(moved), trade.moved + moved
        if kind == "TradeClosed":
            if trade.closed is not None:
                self._findings.differ(
                    "closed", trade.trade_id, f"Trade {trade.trade_id} was closed twice (entry {seq})."
                )
            trade.dust = trade.position.amount
            trade.position = trade.position.written_off().exit_done()
            trade.closed, trade.closed_seq = body, seq
        elif trade.mended:
            return  # what was lost is booked at its own time, which need not be the time it was heard of
        position = trade.position
        for name, wanted in _figures(kind, position).items():
            recorded = Decimal(body.get(name, 0))
            if recorded != wanted:
                text = f"Trade {trade.trade_id}: {kind} (entry {seq}) says {name} {recorded}, its fills give {wanted}."
                self._findings.differ(kind, f"{trade.trade_id} {name}", text)
        if kind == "TradeClosed":
            recorded_fees = {currency: Decimal(fee) for currency, fee in body.get("fees") or ()}
            if recorded_fees != dict(position.fees):
                text = f"Trade {trade.trade_id}: TradeClosed (entry {seq}) says fees {_listed(recorded_fees)}, "
                text += f"its fills give {_listed(dict(position.fees))}."
                self._findings.differ(kind, f"{trade.trade_id} fees", text)


def _figures(kind: str, p: Position) -> dict[str, Decimal]:
    """What an entry of this kind must say of a position, by the rules that it is recorded by."""
    if kind != "TradeClosed":
        found = {"amount": p.amount, "stake": p.stake, "open_rate": p.open_rate}
        return found if kind == "TradeOpened" else {**found, "realized": p.booked}
    return {
        "open_rate": p.open_rate,
        "close_rate": p.close_rate,
        "amount": p.entered_amount,
        "stake": told_stake(p.entered_cost, p.leverage),
        "leverage": p.leverage,
        "fee_open": p.entry_fee_rate,
        "fee_close": p.exit_fee_rate,
        "profit_abs": p.booked,
        "profit_ratio": p.profit_ratio,
        "funding_fees": p.funding,
    }


def _listed(fees: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{fee} {currency}" for currency, fee in fees.items()) or "none"
