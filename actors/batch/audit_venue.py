"""The audit of a venue's own record: its books against its fills, and all of it against the journal's.

The record is read in one transaction, so it is of one moment. Balances are made again from the deposits
and every fill; margin by `engine.ledger`, which is the rule that the exchange itself books by.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from actors.batch.audit_books import BookedTrade, Books
from actors.batch.audit_entries import ToldOrder
from actors.batch.audit_funding import Payment, check_payments, compare_payments, read_payments
from actors.batch.audit_held import check_held, is_ours
from actors.batch.findings import Findings
from engine.change import changed
from engine.errors import StorageError
from engine.ledger import ACCOUNTS, DEPOSITS, FEES, FREE, LOCKED, MARKET, PositionLedger
from engine.order import TERMINAL, Fill, Order
from engine.types import ZERO, OrderSide, OrderStatus, OrderType, Side

_ORDERS: Final = (
    "SELECT order_id, client_order_id, pair, side, type, amount, price, leverage, status, filled, cost, ts, account,"
    " currency, locked FROM orders ORDER BY number"
)
_FILLS: Final = (
    "SELECT fill_id, order_id, client_order_id, pair, ts, price, amount, fee, fee_currency, fee_cost, maker"
    " FROM fills ORDER BY number"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSide:
    """One order as the venue's record has it, with what it holds for it."""

    told: ToldOrder
    status: OrderStatus
    filled: Decimal
    cost: Decimal
    leverage: Decimal
    account: str
    currency: str
    locked: Decimal


@dataclass(slots=True, kw_only=True)
class VenueBooks:
    """The whole record at one moment. `fills` are in the order they happened, with the venue's order id.

    `gone` are pairs of ours that the venue does not have any more: nothing of them can be read.
    """

    name: str
    orders: dict[str, VenueSide] = field(default_factory=dict)
    by_client_id: dict[str, list[VenueSide]] = field(default_factory=dict)
    fills: list[tuple[str, Fill]] = field(default_factory=list)
    fills_of: dict[str, list[Fill]] = field(default_factory=dict)
    balances: dict[str, tuple[Decimal, ...]] = field(default_factory=dict)
    positions: dict[str, tuple[Side, Decimal, Decimal, Decimal]] = field(default_factory=dict)
    deposits: dict[str, Decimal] = field(default_factory=dict)
    payments: list[Payment] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    @property
    def shows_prices(self) -> bool:
        """Whether the price of every order is told, of those too that name none."""
        return True

    def key(self, told: ToldOrder) -> str:
        """Where an order is found in `orders` and `fills_of`."""
        return told.order_id

    def sent_as(self, order: Order) -> OrderType:
        """As what an order of ours is there."""
        return order.type

    @property
    def told(self) -> Mapping[str, ToldOrder]:
        """Every order by our id."""
        return {client_id: sides[-1].told for client_id, sides in self.by_client_id.items()}


def read_venue(path: Path) -> VenueBooks:
    """Read the record at `path`, as of one moment; changes nothing, and a bot may be writing it.

    Raises:
        StorageError: it cannot be read.
    """
    # Without a log beside it nobody writes it, and SQLite need not make one.
    alone = "" if Path(f"{path}-wal").exists() else "&immutable=1"
    books = VenueBooks(name=path.name)
    try:
        with closing(
            sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro{alone}", uri=True, timeout=5.0)
        ) as db:
            db.execute("BEGIN")
            for row in db.execute(_ORDERS):
                _add_order(books, row)
            for row in db.execute(_FILLS):
                fill = _fill(row)
                books.fills.append((row[1], fill))
                books.fills_of.setdefault(row[1], []).append(fill)
            for currency, *accounts in db.execute("SELECT * FROM balances"):
                books.balances[currency] = tuple(map(Decimal, accounts))
            for pair, side, *rest in db.execute("SELECT * FROM positions"):
                amount, cost, collateral = map(Decimal, rest)
                books.positions[pair] = (Side(side), amount, cost, collateral)
            for key, value in db.execute("SELECT key, value FROM meta WHERE key LIKE 'opened %'"):
                books.deposits[key.removeprefix("opened ")] = Decimal(value)
            books.payments.extend(read_payments(db))
    except sqlite3.Error as error:
        raise StorageError(f"{path.name} cannot be read: {error}.") from error
    return books


def _add_order(books: VenueBooks, row: tuple[Any, ...]) -> None:
    order_id, client_id, pair, side, kind, amount, price, leverage, status, filled, cost, ts, *rest = row
    account, currency, locked = rest
    told = ToldOrder(
        client_order_id=client_id,
        order_id=order_id,
        pair=pair,
        side=OrderSide(side),
        type=OrderType(kind),
        amount=Decimal(amount),
        price=Decimal(price),
        ts=ts,
    )
    found = VenueSide(
        told=told,
        status=OrderStatus(status),
        filled=Decimal(filled),
        cost=Decimal(cost),
        leverage=Decimal(leverage),
        account=account,
        currency=currency,
        locked=Decimal(locked),
    )
    books.orders[order_id] = found
    books.by_client_id.setdefault(client_id, []).append(found)


def _fill(row: tuple[Any, ...]) -> Fill:
    fill_id, _order_id, client_id, _pair, ts, price, amount, fee, fee_currency, fee_cost, maker = row
    return Fill(
        fill_id=fill_id,
        client_order_id=client_id,
        ts=ts,
        price=Decimal(price),
        amount=Decimal(amount),
        fee=Decimal(fee),
        fee_currency=fee_currency,
        maker=bool(maker),
        fee_cost=None if fee_cost is None else Decimal(fee_cost),
    )


# ---------------------------------------------------------------- the venue's books by themselves


def check_books(venue: VenueBooks, findings: Findings) -> None:
    """Orders against their fills; balances and positions against deposits and all fills; locks against orders."""
    _check_fills(venue, findings)
    if not venue.deposits:
        return  # a real exchange does not tell what all its balances come from
    check_payments(venue.name, venue.payments, findings)
    flows, positions = _flows(venue, findings)
    for currency in sorted({*venue.balances, *flows, *venue.deposits}):
        _check_currency(venue, currency, flows.get(currency, [ZERO] * len(ACCOUNTS)), positions, findings)
    _check_positions(venue, positions, findings)


def _check_fills(venue: VenueBooks, findings: Findings) -> None:
    for order_id, order in venue.orders.items():
        fills = venue.fills_of.get(order_id, ())
        client_id = order.told.client_order_id
        filled = sum((f.amount for f in fills), ZERO)
        cost = sum((f.amount * f.price for f in fills), ZERO)
        for name, recorded, wanted in (("filled", order.filled, filled), ("cost", order.cost, cost)):
            if recorded != wanted:
                text = f"{venue.name}: order {client_id} has {name} {recorded}, its fills sum to {wanted}."
                findings.differ(f"venue {name}", client_id, text)
        if (order.status is OrderStatus.FILLED) != (filled >= order.told.amount):
            text = f"{venue.name}: order {client_id} of {order.told.amount} is {order.status} with {filled} filled."
            findings.differ("venue status", client_id, text)
        if order.status in TERMINAL and order.locked:
            text = f"{venue.name}: order {client_id} is {order.status} and still locks {order.locked} {order.currency}."
            findings.differ("venue lock", client_id, text)
    for order_id in venue.fills_of.keys() - venue.orders.keys():
        findings.differ("venue fill", order_id, f"{venue.name}: there are fills of {order_id}, but no such order.")


def _flows(venue: VenueBooks, findings: Findings) -> tuple[dict[str, list[Decimal]], PositionLedger]:
    """What deposits and fills have moved: by currency the customer's sum (in FREE), fees, market, deposits."""
    flows: dict[str, list[Decimal]] = {}
    positions = PositionLedger()

    def move(currency: str, amount: Decimal, source: int, target: int) -> None:
        accounts = flows.setdefault(currency, [ZERO] * len(ACCOUNTS))
        accounts[source] -= amount
        accounts[target] += amount

    for currency, amount in venue.deposits.items():
        move(currency, amount, DEPOSITS, FREE)
    for order_id, fill in venue.fills:
        order = venue.orders.get(order_id)
        if order is None:
            continue
        pair, buys = order.told.pair, order.told.side is OrderSide.BUY
        base, _, rest = pair.partition("/")
        quote_coin = rest.partition(":")[0]
        if order.account == "spot":
            cost = fill.amount * fill.price
            move(quote_coin, cost if buys else -cost, FREE, MARKET)
            move(base, fill.amount if buys else -fill.amount, MARKET, FREE)
        elif order.account == "open":
            positions.open(pair, Side.LONG if buys else Side.SHORT, fill.amount, fill.price, order.leverage)
        else:
            held = positions.get(pair)
            if held is None or held.amount < fill.amount:
                text = f"{venue.name}: fill {fill.fill_id} closes {fill.amount} of {held.amount if held else 0} held."
                findings.differ("venue fill", fill.fill_id, text)
                continue
            profit, _collateral = positions.close(pair, fill.amount, fill.price)
            move(quote_coin, profit, MARKET, FREE)
        if fill.fee:
            move(fill.fee_currency, fill.fee, FREE, FEES)
    for paid in venue.payments:
        move(paid.currency, paid.received, MARKET, FREE)
    return flows, positions


def _check_currency(
    venue: VenueBooks, currency: str, flow: list[Decimal], positions: PositionLedger, findings: Findings
) -> None:
    accounts = venue.balances.get(currency, (ZERO,) * len(ACCOUNTS))
    if total := sum(accounts, ZERO):
        text = f"{venue.name}: the accounts of {currency} sum to {total} instead of 0: capital is not conserved."
        findings.differ("venue conservation", currency, text)
    held = accounts[FREE] + accounts[LOCKED]
    if held != flow[FREE]:
        text = f"{venue.name}: the balance of {currency} is {held}, deposits, fills and funding give {flow[FREE]}."
        findings.differ("venue balance", currency, text)
    for account in (FEES, MARKET, DEPOSITS):
        if accounts[account] != flow[account]:
            text = f"{venue.name}: {ACCOUNTS[account]} of {currency} are {accounts[account]}, the fills give {flow[account]}."
            findings.differ(f"venue {ACCOUNTS[account]}", currency, text)
    locked = sum((o.locked for o in venue.orders.values() if o.currency == currency and o.status not in TERMINAL), ZERO)
    for pair, position in positions.items():
        if pair.partition("/")[2].partition(":")[0] == currency:
            locked += position.collateral
    if accounts[LOCKED] != locked:
        text = f"{venue.name}: {accounts[LOCKED]} {currency} are locked, open orders and positions need {locked}."
        findings.differ("venue locked", currency, text)


def _check_positions(venue: VenueBooks, positions: PositionLedger, findings: Findings) -> None:
    wanted = {pair: (p.side, p.amount, p.cost, p.collateral) for pair, p in positions.items()}
    for pair in sorted(wanted.keys() | venue.positions.keys()):
        recorded, made = venue.positions.get(pair), wanted.get(pair)
        if recorded != made:
            text = f"{venue.name}: the position of {pair} is {_shown(recorded)}, its fills give {_shown(made)}."
            findings.differ("venue position", pair, text)


def _shown(position: tuple[Side, Decimal, Decimal, Decimal] | None) -> str:
    if position is None:
        return "none"
    side, amount, cost, collateral = position
    return f"{side} {amount} (cost {cost}, collateral {collateral})"


# ---------------------------------------------------------------- against the journal


def lost_fills(books: Books, venue: VenueBooks, installation: str) -> dict[str, list[Fill]]:
    """By trade, the fills that the venue has and a damaged journal may have lost."""
    found: dict[str, list[Fill]] = {}
    if not books.damage.run:
        return found
    booked = books.fill_ids()
    for _order_id, fill in venue.fills:
        client_id = fill.client_order_id
        if fill.fill_id in booked or not is_ours(client_id, installation) or not books.damage.may_have_lost(client_id):
            continue
        trade_id = books.trade_of.get(client_id) or books.likely_trade(client_id)
        if trade_id is not None:
            found.setdefault(trade_id, []).append(fill)
    return found


def compare(
    books: Books,
    trades: Mapping[str, BookedTrade],
    venue: VenueBooks,
    installation: str,
    findings: Findings,
    kept: Mapping[str, Decimal],
) -> None:
    """Every order and fill of ours, on both sides; `kept` is what the pairs keep as held, signed."""
    booked = {client_id: trade for trade in trades.values() for client_id in trade.orders}
    fills: dict[str, dict[str, Fill]] = {}
    for trade in trades.values():
        for fill_id, (_, fill) in trade.fills.items():
            fills.setdefault(fill.client_order_id, {})[fill_id] = fill
    foreign, forgotten = 0, 0
    for client_id, sides in venue.by_client_id.items():
        if not is_ours(client_id, installation):
            foreign += 1
            continue
        if len(sides) > 1:
            ids = ", ".join(side.told.order_id for side in sides)
            text = f"Order {client_id} was intended once and is at the venue {len(sides)} times: {ids}."
            findings.differ("doubled", client_id, text)
        found = booked.get(client_id)
        if found is not None:
            order = found.orders[client_id]
            _compare_order(order, fills.get(client_id, {}), sides[0], venue, findings, books.damage.may_have_lost)
        elif books.damage.may_have_lost(client_id):
            forgotten += 1
        else:
            text = f"Order {client_id} ({sides[0].told.order_id}) is at the venue, and the journal does not know it."
            findings.differ("unknown order", client_id, text)
    check_held(trades, venue, booked, installation, findings, kept if books.damage.run else {})
    compare_payments(books, trades, venue.payments, findings)
    for client_id, trade in booked.items():
        order = trade.orders[client_id]
        if client_id not in venue.by_client_id and f"{order.pair} {order.order_id}" not in venue.orders:
            _check_unsent(order, trade, findings)
    if foreign:
        findings.note(f"{foreign} order(s) at the venue are not ours and were left alone.")
    if forgotten:
        findings.note(f"{forgotten} order(s) at the venue were recorded in a part of the journal that was lost.")


def _check_unsent(order: Order, trade: BookedTrade, findings: Findings) -> None:
    """An intent that the venue does not have must never have come to anything."""
    name = order.client_order_id
    came = f"has {order.filled} filled in the journal" if order.filled else f"was accepted as {order.order_id}"
    if order.filled or order.order_id:
        text = f"Order {name} of {trade.trade_id} {came}, the venue does not know it."
        findings.differ("lost order", name, text)


def _compare_order(
    order: Order,
    fills: Mapping[str, Fill],
    side: VenueSide,
    venue: VenueBooks,
    findings: Findings,
    may_have_lost: Callable[[str], bool],
) -> None:
    told, name = side.told, order.client_order_id
    target = order.amending
    if target is not None and told.amount == target.amount:  # done, and not heard of when the journal ended
        order = changed(order, amount=told.amount, price=told.price)
    for what, ours, theirs in (
        ("pair", order.pair, told.pair),
        ("side", order.side, told.side),
        ("type", venue.sent_as(order), told.type),
        ("amount", order.amount, told.amount),
        ("price", order.price, told.price if venue.shows_prices or order.type is OrderType.LIMIT else order.price),
        ("filled amount", order.filled, side.filled),
    ):
        if ours != theirs:
            text = f"Order {name}: its {what} is {ours} in the journal and {theirs} at the venue."
            findings.differ(f"order {what}", name, text)
    if order.order_id and order.order_id != told.order_id:
        text = f"Order {name} is {order.order_id} in the journal and {told.order_id} at the venue."
        findings.differ("order id", name, text)
    if order.is_done != (side.status in TERMINAL):
        text = f"Order {name} is {order.status} in the journal and {side.status} at the venue."
        if side.status in TERMINAL and may_have_lost(name):
            findings.note(f"{text} Its end was in a part of the journal that was lost.")
        else:
            findings.differ("order status", name, text)
    theirs_by_id = {fill.fill_id: fill for fill in venue.fills_of.get(venue.key(told), ())}
    for place, sentence in _fill_differences(name, fills, theirs_by_id):
        findings.differ("fill", f"{name} {place}", sentence)


def _fill_differences(name: str, ours: Mapping[str, Fill], theirs: Mapping[str, Fill]) -> Iterator[tuple[str, str]]:
    for fill_id in theirs.keys() - ours.keys():
        yield fill_id, f"Fill {fill_id} of order {name} is at the venue and not in the journal."
    for fill_id in ours.keys() - theirs.keys():
        yield fill_id, f"Fill {fill_id} of order {name} is in the journal and not at the venue."
    for fill_id in ours.keys() & theirs.keys():
        a, b = ours[fill_id], theirs[fill_id]
        for what in ("price", "amount", "fee", "fee_currency"):
            if getattr(a, what) != getattr(b, what):
                text = f"Fill {fill_id} of order {name}: its {what} is {getattr(a, what)} in the journal"
                yield f"{fill_id} {what}", f"{text} and {getattr(b, what)} at the venue."
