"""The audit of what the bot keeps beside its journal: each pair's trade, and the portfolio's sums."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Final

import orjson

from actors.batch.audit_books import BookedTrade, Books
from actors.batch.findings import Findings
from actors.files import Files
from actors.segment import is_whole, opened, read_states
from engine.errors import StorageError
from engine.keeping import trade_from_plain
from engine.market import Market
from engine.naming import account_of, named, role_of
from engine.position import Position
from engine.settings import Settings
from engine.types import ZERO, Side
from engine.work import Rules, Trade

NO_PLACES: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptStates:
    """The states as of the journal's entry `seq`, by writer; or those of one account, by the writer's role in it."""

    seq: int
    states: Mapping[str, Any]
    account: str = ""

    def accounts(self) -> list[str]:
        """The accounts that have traded; of a bot that never has, the one without a name."""
        return sorted({account_of(writer) for writer in self.states if writer.startswith("pair:")}) or [""]

    def of(self, account: str) -> KeptStates:
        """What one account keeps."""
        own = {role_of(writer): state for writer, state in self.states.items() if account_of(writer) == account}
        return KeptStates(seq=self.seq, states=own, account=account)


def read_kept(files: Files) -> KeptStates:
    """Read every writer's newest state, and how far the journal went at that moment.

    Raises:
        StorageError: the journal cannot be read.
    """
    try:
        with opened(files.journal) as connection:
            connection.execute("BEGIN")
            (end,) = connection.execute("SELECT max(seq) FROM entries").fetchone()
            rows = [row for row in read_states(connection) if is_whole(row)]
    except sqlite3.Error as error:
        raise StorageError(f"{files.journal.name} cannot be read: {error}.") from error
    states = {row[0]: orjson.loads(row[3]) for row in rows if row[3] is not None}
    return KeptStates(seq=end or max((row[2] for row in rows), default=0), states=states)


def check_states(books: Books, trades: Mapping[str, BookedTrade], kept: KeptStates, findings: Findings) -> None:
    """Kept trades against the trades made again; profits against the sum of all that was closed."""
    current: set[str] = set()
    earned: dict[str, Decimal] = {}
    last: dict[str, Decimal] = {}
    for trade in trades.values():
        profit = trade.late  # funding of the trade before, told while this one was open, is earned already
        if trade.closed is not None:
            profit += trade.position.booked
            last[trade.pair] = profit
        earned[trade.pair] = earned.get(trade.pair, ZERO) + profit
    for writer, state in kept.states.items():
        if writer.startswith("pair:"):
            pair = writer.removeprefix("pair:")
            own = _kept_trade(pair, kept.account, state, findings)
            if own is not None:
                current.add(own.trade_id)
                _check_trade(own, trades, books, findings)
                _check_earned(own, earned.get(pair, ZERO), books, findings)
    for trade_id, booked in trades.items():
        if booked.is_open and trade_id not in current:
            text = f"Trade {trade_id} holds {booked.position.amount} and has no end, and its pair does not keep it."
            _differ_or_note(books, findings, booked.orders, "open trade", trade_id, text)
    portfolio = kept.states.get("portfolio")
    if portfolio is not None:
        _check_portfolio(portfolio, earned, last, books, findings)


def kept_held(kept: KeptStates | None) -> dict[str, Decimal]:
    """What each pair keeps as held, a short's negative."""
    held = {}
    for writer, state in (kept.states if kept is not None else {}).items():
        if writer.startswith("pair:"):
            amount = Decimal(state["position"]["amount"])
            held[writer.removeprefix("pair:")] = amount if state["side"] == Side.LONG else -amount
    return held


def _kept_trade(pair: str, account: str, state: Mapping[str, Any], findings: Findings) -> Trade | None:
    base, _, rest = pair.partition("/")
    market = Market(pair=pair, base=base, quote=rest.partition(":")[0], price_step=NO_PLACES, amount_step=NO_PLACES)
    settings, name = Settings(timeframe_ms=60_000), named(pair, account)
    rules = Rules(settings=settings, market=market, order_prefix="", run=0, fee=ZERO, name=name)
    try:
        return trade_from_plain(pair, rules, state)
    except StorageError as error:
        findings.differ("state", pair, f"{error}.")
        return None


def _check_trade(trade: Trade, trades: Mapping[str, BookedTrade], books: Books, findings: Findings) -> None:
    booked = trades.get(trade.trade_id)
    if booked is None:
        # An intent that the journal refused is not in it, and nothing may have come of it.
        if trade.position.amount or any(o.filled or o.order_id or not o.is_done for o in trade.orders.values()):
            text = f"{trade.pair} keeps trade {trade.trade_id} with {trade.position.amount} held, the journal has none."
            _differ_or_note(books, findings, trade.orders, "kept trade", trade.trade_id, text)
        return
    for name in (f.name for f in fields(Position)):
        kept, made = getattr(trade.position, name), getattr(booked.position, name)
        if name == "fees":
            kept, made = dict(kept), dict(made)
        if kept != made:
            text = f"Trade {trade.trade_id}: its pair keeps {name} {kept}, its fills give {made}."
            if any(books.damage.may_have_lost(client_id) for client_id in trade.orders):
                # The state outlived entries that it was made of; what is held is compared with the venue below.
                findings.note(f"{text} Its entries were in a part of the journal that was lost.")
            else:
                findings.differ("kept position", f"{trade.trade_id} {name}", text)
    for client_id, order in trade.orders.items():
        twin = booked.orders.get(client_id)
        if twin is None:
            # An order taken over from the venue leaves no entry until something happens to it.
            continue
        if order.filled != twin.filled or set(order.fill_ids) != set(twin.fill_ids):
            text = f"Order {client_id}: its pair keeps {order.filled} filled, the journal has {twin.filled}."
            findings.differ("kept order", client_id, text)


def _check_earned(trade: Trade, earned: Decimal, books: Books, findings: Findings) -> None:
    if trade.earned == earned:
        return
    text = f"{trade.pair} keeps {trade.earned} as earned, its closed trades sum to {earned}."
    if books.damage.run:
        findings.note(f"{text} Closed trades may have been lost with a part of the journal.")
    else:
        findings.differ("earned", trade.pair, text)


def _check_portfolio(
    portfolio: Mapping[str, Any],
    earned: Mapping[str, Decimal],
    last: Mapping[str, Decimal],
    books: Books,
    findings: Findings,
) -> None:
    kept = {pair: Decimal(profit) for pair, profit in portfolio["earned"].items()}
    for pair in sorted(kept.keys() | earned.keys()):
        has, wanted = kept.get(pair, ZERO), earned.get(pair, ZERO)
        if has == wanted:
            continue
        text = f"The portfolio keeps {has} as earned by {pair}, its closed trades sum to {wanted}."
        if books.damage.run:
            findings.note(f"{text} Closed trades may have been lost with a part of the journal.")
        elif not books.ended_in_order and has == wanted - last.get(pair, ZERO):
            findings.note(f"{text} It had not heard of the last one yet; every start asks all pairs.")
        else:
            findings.differ("portfolio", pair, text)


def _differ_or_note(
    books: Books, findings: Findings, orders: Mapping[str, Any], kind: str, place: str, text: str
) -> None:
    """A difference, unless what is missing can have been in a part of the journal that was lost."""
    if books.damage.run and all(books.damage.may_have_lost(client_id) for client_id in orders):
        findings.note(f"{text} Its entries were in a part of the journal that was lost.")
    else:
        findings.differ(kind, place, text)
