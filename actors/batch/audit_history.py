"""The audit of the history: every fill, order, trade and decision in SQL against the journal."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from actors.batch.audit_books import BookedTrade, Books
from actors.batch.findings import Findings
from actors.files import Files
from actors.follower import Follower
from engine.errors import StorageError, TradepitError
from engine.order import TERMINAL, Fill
from engine.types import OrderStatus

# Runs above 0 are the bot's; those below are imports and stored backtests.
FILLS: Final = (
    "SELECT seq, client_order_id, fill_id, price, amount, fee, fee_currency, trade_id FROM fills WHERE run > 0"
)
ORDERS: Final = (
    "SELECT client_order_id, seq, trade_id, amount, filled, cost, order_id, status FROM orders WHERE run > 0"
)
TRADES: Final = (
    "SELECT trade_id, close_time IS NOT NULL AS closed, pair, side, open_rate, close_rate, amount, stake, leverage,"
    " fee_open, fee_close, profit_abs, profit_ratio, exit_reason, enter_tag FROM trades WHERE run > 0"
)
DECISIONS: Final = "SELECT seq, pair, signal, outcome, code FROM decisions WHERE run > 0 AND outcome IN ('traded', 'denied', 'ignored', 'failed')"
OTHERS: Final = "SELECT seq FROM decisions WHERE run > 0 AND outcome NOT IN ('traded', 'denied', 'ignored', 'failed')"

ENDED: Final = frozenset(str(status) for status in TERMINAL)
TRADE_NAMES: Final = [
    "pair",
    "side",
    "open_rate",
    "close_rate",
    "amount",
    "stake",
    "leverage",
    "fee_open",
    "fee_close",
    "profit_abs",
    "profit_ratio",
    "exit_reason",
    "enter_tag",
]
HALF_OF_LAST: Final = Decimal("5e-19")
"""SQL keeps 18 places; what the journal has beyond them is rounded there."""


def check_history(
    files: Files,
    books: Books,
    trades: Mapping[str, BookedTrade],
    findings: Findings,
    *,
    running: bool,
    alone: bool = True,
) -> None:
    """Compare the history with the journal, as far as it follows it; an account that is not `alone`, its own rows."""
    from actors.history.reading import read_history

    if not files.db.exists():
        text = f"There is no history at {files.db.name}; the next start makes it again from the journal."
        findings.differ("history", files.db.name, text)
        return
    try:
        own = "" if alone else f" AND account = '{books.account}'"
        answers = read_history(files, [query + own for query in (FILLS, ORDERS, TRADES, DECISIONS, OTHERS)])
    except TradepitError as error:
        findings.differ("history", files.db.name, str(error))
        return
    upto = books.end if answers.applied is None else answers.applied
    if answers.applied is not None:
        _check_position(files, books, answers.applied, answers.applied_hash, findings)
    fills, orders, closed, decisions, others = answers.rows
    _check_fills(fills, trades, upto, books, findings)
    _check_orders(orders, trades, upto, books, findings)
    _check_trades(closed, trades, upto, books, findings)
    _check_decisions(decisions, books, upto, findings)
    _check_others([row[0] for row in others], books, upto, findings)
    if running:
        findings.note("A bot is running; what was in flight was looked at again.")


def _check_position(files: Files, books: Books, applied: int, applied_hash: str | None, findings: Findings) -> None:
    if applied > books.end:
        text = f"The history follows the journal up to entry {applied}, which ends at {books.end}."
        findings.differ("history end", files.db.name, text)
    elif applied < books.end:
        behind = f"The history is {books.end - applied} entries behind the journal; the next start catches up."
        findings.note(behind)
    try:
        chain = Follower(files).hash_of(applied) if applied else None
    except StorageError:
        return  # the journal's own check says so
    if chain is not None and chain.hex() != applied_hash:
        text = f"The history was made of another entry {applied} than the journal has."
        findings.differ("history hash", files.db.name, text)


def _same(kept: Any, wanted: Any) -> bool:
    if kept is None or wanted is None:
        return kept is None and wanted is None
    if isinstance(kept, Decimal):
        return abs(kept - Decimal(wanted)) <= HALF_OF_LAST
    return str(kept) == str(wanted)


def _too_much(lost: bool, what: str, place: str, text: str, findings: Findings) -> None:
    """A row that the journal does not account for: a difference, or one of which the journal has lost the entry."""
    if lost:
        findings.count(f"{what}(s) in the history were recorded in a part of the journal that was lost.")
    else:
        findings.differ(f"history {what}", place, text)


def _leave_out_repeated(wanted: dict[int, tuple[BookedTrade, Fill]]) -> None:
    """Of a fill that was told again, since damage had lost what its pair knew, the history has the newest entry only."""
    newest = {(fill.client_order_id, fill.fill_id): seq for seq, (_, fill) in sorted(wanted.items())}
    for seq, (_, fill) in list(wanted.items()):
        if newest[fill.client_order_id, fill.fill_id] != seq:
            del wanted[seq]


def _check_fills(
    rows: list[tuple[Any, ...]], trades: Mapping[str, BookedTrade], upto: int, books: Books, findings: Findings
) -> None:
    wanted = {seq: (t, fill) for t in trades.values() for seq, fill in t.fills.values() if 0 < seq <= upto}
    if books.damage.seq:
        _leave_out_repeated(wanted)
    for seq, client_id, fill_id, *values in rows:
        if seq > books.end:
            continue
        found = wanted.pop(seq, None)
        if found is None:
            text = f"The history has a fill {fill_id} (entry {seq}), the journal not."
            _too_much(seq <= books.damage.seq, "fill", str(seq), text, findings)
            continue
        trade, fill = found
        made = (fill.price, fill.amount, fill.fee, fill.fee_currency, trade.trade_id)
        pairs = zip(("price", "amount", "fee", "fee_currency", "trade_id"), values, made, strict=True)
        for name, kept, right in (*pairs, ("order", client_id, fill.client_order_id), ("id", fill_id, fill.fill_id)):
            if not _same(kept, right):
                text = f"Fill {fill.fill_id}: its {name} is {kept} in the history and {right} in the journal."
                findings.differ("history fill", f"{seq} {name}", text)
    for seq, (_trade, fill) in wanted.items():
        text = f"Fill {fill.fill_id} (entry {seq}) is in the journal and not in the history."
        findings.differ("history fill", str(seq), text)


def _check_orders(
    rows: list[tuple[Any, ...]], trades: Mapping[str, BookedTrade], upto: int, books: Books, findings: Findings
) -> None:
    wanted = {c: (t, t.orders[c]) for t in trades.values() for c, seq in t.changed.items() if c in t.orders}
    for client_id, seq, trade_id, amount, filled, cost, order_id, status in rows:
        found = wanted.pop(client_id, None)
        if found is None:
            text = f"The history has an order {client_id} (entry {seq}), the journal not."
            _too_much(books.damage.may_have_lost(client_id), "order", client_id, text, findings)
            continue
        trade, order = found
        if trade.changed[client_id] > upto:
            continue  # the history has not heard of the last of it yet
        values: list[tuple[str, Any, Any]] = [("trade_id", trade_id, trade.trade_id)]
        if order.order_id or not books.damage.may_have_lost(client_id):  # else its acceptance was lost
            values.append(("order_id", order_id or "", order.order_id))
        if amount is not None:  # an order taken over from the venue was never intended
            values.append(("amount", amount, order.amount))
        if not trade.mended:
            values += [("filled", filled, order.filled), ("cost", cost, order.cost)]
            if order.is_done or not books.damage.may_have_lost(client_id):  # else its end was lost
                values.append(("being ended", status in ENDED, order.is_done))
            values.append(("being filled", status == "FILLED", order.status is OrderStatus.FILLED))
        for name, kept, right in values:
            if not _same(kept, right):
                text = f"Order {client_id}: its {name} is {kept} in the history and {right} in the journal."
                findings.differ("history order", f"{client_id} {name}", text)
    for client_id, (trade, _order) in wanted.items():
        if trade.changed[client_id] <= upto:
            text = f"Order {client_id} is in the journal and not in the history."
            findings.differ("history order", client_id, text)


def _check_trades(
    rows: list[tuple[Any, ...]], trades: Mapping[str, BookedTrade], upto: int, books: Books, findings: Findings
) -> None:
    wanted = {t.trade_id: t for t in trades.values() if t.closed is not None and t.closed_seq <= upto}
    for trade_id, closed, *values in rows:
        trade = wanted.pop(trade_id, None)
        if trade is None:
            if closed and trade_id not in trades:
                text = f"The history has a closed trade {trade_id}, the journal not."
                began = int(trade_id.rpartition("#")[2].partition("-")[0])
                _too_much(began < books.damage.run, "trade", trade_id, text, findings)
            continue
        assert trade.closed is not None
        if not closed:
            text = f"Trade {trade_id} was closed (entry {trade.closed_seq}), the history has it open."
            findings.differ("history trade", trade_id, text)
            continue
        for name, kept in zip(TRADE_NAMES, values, strict=True):
            if not _same(kept, trade.closed[name]):
                text = f"Trade {trade_id}: its {name} is {kept} in the history and {trade.closed[name]} in the journal."
                findings.differ("history trade", f"{trade_id} {name}", text)
    for trade_id in wanted:
        text = f"Trade {trade_id} is in the journal and not in the history."
        findings.differ("history trade", trade_id, text)


def _check_decisions(rows: list[tuple[Any, ...]], books: Books, upto: int, findings: Findings) -> None:
    seen: set[int] = set()
    for seq, *values in rows:
        if seq > books.end:
            continue
        seen.add(seq)
        made = books.decisions.get(seq)
        if made is None:
            text = f"The history has a decision on {values[0]} (entry {seq}), the journal not."
            _too_much(seq <= books.damage.seq, "decision", str(seq), text, findings)
        elif tuple(str(v or "") for v in values) != made:
            kept = ", ".join(str(v) for v in values)
            text = f"Decision of entry {seq}: the history has {kept}; the journal {', '.join(made)}."
            findings.differ("history decision", str(seq), text)
    for seq in books.decisions.keys() - seen:
        if seq <= upto:
            text = f"The decision of entry {seq} on {books.decisions[seq][0]} is not in the history."
            findings.differ("history decision", str(seq), text)


def _check_others(rows: list[int], books: Books, upto: int, findings: Findings) -> None:
    """Changes of trades and stops, which are rows of `decisions` too."""
    kept, wanted = {seq for seq in rows if seq <= books.end}, {seq for seq in books.other_decisions_at if seq <= upto}
    for seq in sorted(kept - set(books.other_decisions_at)):
        text = f"The history has a change in `decisions` of entry {seq}, the journal not."
        _too_much(seq <= books.damage.seq, "change", str(seq), text, findings)
    for seq in sorted(wanted - kept):
        text = f"The change of entry {seq} is not in the history's `decisions`."
        findings.differ("history change", str(seq), text)
