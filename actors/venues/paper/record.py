"""The paper venue's own record, in SQLite: what an exchange knows of our account.

Rules
    One transaction a batch, on disk (WAL, synchronous=FULL) before anything of it is told.
    Decimals are text, times are market milliseconds. Orders are as the exchange sees them; an order's
    latest state is its row. Fills and payments (funding) are never changed. `balances` has the five accounts of the ledger,
    which sum to zero in each currency; `positions` what is held on margin; `pairs` counters and how far
    a pair's market was matched.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from engine.clearing import Account, Working
from engine.errors import StorageError
from engine.ledger import VenuePosition
from engine.messages import FundingPaid, OrderFilled, VenueOrder
from engine.order import Fill, Order
from engine.types import Millis, OrderSide, OrderStatus, OrderType, Purpose, Side, TimeInForce

VERSION: Final = 2
"""2 brought the payments; a record of version 1 gets their table when it is opened."""

_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE orders (
    number INTEGER PRIMARY KEY, order_id TEXT NOT NULL UNIQUE, client_order_id TEXT NOT NULL, pair TEXT NOT NULL,
    purpose TEXT NOT NULL, side TEXT NOT NULL, type TEXT NOT NULL, amount TEXT NOT NULL, price TEXT NOT NULL,
    trigger_price TEXT, time_in_force TEXT NOT NULL, reduce_only INTEGER NOT NULL, leverage TEXT NOT NULL,
    tag TEXT NOT NULL, status TEXT NOT NULL, filled TEXT NOT NULL, cost TEXT NOT NULL, ts INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, account TEXT NOT NULL, currency TEXT NOT NULL, locked TEXT NOT NULL);
CREATE INDEX orders_by_client_id ON orders (client_order_id);
CREATE INDEX orders_open ON orders (pair) WHERE status IN ('NEW', 'PARTIALLY_FILLED');
CREATE TABLE fills (
    number INTEGER PRIMARY KEY, fill_id TEXT NOT NULL UNIQUE, order_id TEXT NOT NULL, client_order_id TEXT NOT NULL,
    pair TEXT NOT NULL, ts INTEGER NOT NULL, price TEXT NOT NULL, amount TEXT NOT NULL, fee TEXT NOT NULL,
    fee_currency TEXT NOT NULL, fee_cost TEXT, maker INTEGER NOT NULL);
CREATE INDEX fills_by_pair ON fills (pair, ts);
CREATE INDEX fills_by_order ON fills (order_id);
CREATE TABLE balances (currency TEXT PRIMARY KEY, free TEXT NOT NULL, locked TEXT NOT NULL, fees TEXT NOT NULL,
    market TEXT NOT NULL, deposits TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (pair TEXT PRIMARY KEY, side TEXT NOT NULL, amount TEXT NOT NULL, cost TEXT NOT NULL,
    collateral TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE pairs (pair TEXT PRIMARY KEY, orders INTEGER NOT NULL, fills INTEGER NOT NULL,
    matched_until INTEGER NOT NULL) WITHOUT ROWID;
"""
_PAYMENTS: Final = """
CREATE TABLE IF NOT EXISTS payments (
    number INTEGER PRIMARY KEY, payment_id TEXT NOT NULL UNIQUE, pair TEXT NOT NULL, ts INTEGER NOT NULL,
    received TEXT NOT NULL, currency TEXT NOT NULL, rate TEXT NOT NULL, price TEXT NOT NULL, amount TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS payments_by_pair ON payments (pair, ts);
"""

_ORDER: Final = [
    "order_id",
    "client_order_id",
    "pair",
    "purpose",
    "side",
    "type",
    "amount",
    "price",
    "trigger_price",
    "time_in_force",
    "reduce_only",
    "leverage",
    "tag",
    "status",
    "filled",
    "cost",
    "ts",
    "updated_at",
    "account",
    "currency",
    "locked",
]
_PUT_ORDER: Final = (
    f"INSERT INTO orders ({', '.join(_ORDER)}) VALUES ({', '.join('?' * len(_ORDER))}) ON CONFLICT (order_id) DO UPDATE "  # noqa: S608
    "SET amount = excluded.amount, price = excluded.price, trigger_price = excluded.trigger_price, "
    "status = excluded.status, filled = excluded.filled, cost = excluded.cost, updated_at = excluded.updated_at, "
    "locked = excluded.locked"
)
_GET_ORDER: Final = f"SELECT {', '.join(_ORDER)} FROM orders "  # noqa: S608
_FIND_ORDER: Final = _GET_ORDER + "WHERE client_order_id = ? ORDER BY number DESC LIMIT 1"
_FILL: Final = [
    "fill_id",
    "order_id",
    "client_order_id",
    "pair",
    "ts",
    "price",
    "amount",
    "fee",
    "fee_currency",
    "fee_cost",
    "maker",
]
_PUT_FILL: Final = f"INSERT INTO fills ({', '.join(_FILL)}) VALUES ({', '.join('?' * len(_FILL))})"  # noqa: S608
_GET_FILL: Final = f"SELECT {', '.join(_FILL)} FROM fills "  # noqa: S608


_PAYMENT: Final = "payment_id, pair, ts, received, currency, rate, price, amount"


class VenueRecord:
    """The record's file, or one in memory. For one thread at a time; any thread may be the one."""

    def __init__(self, path: Path | None) -> None:
        """Open the record, or begin it.

        Raises:
            StorageError: the file is no record of this version, or is in use.
        """
        self._path = path
        self._name = "the paper venue's record" if path is None else path.name
        try:
            self._db = sqlite3.connect(
                ":memory:" if path is None else str(path), isolation_level=None, check_same_thread=False, timeout=5.0
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self.is_new = not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if self.is_new:
                self._db.executescript(f"BEGIN; {_SCHEMA} INSERT INTO meta VALUES ('version', '{VERSION}'); COMMIT;")  # noqa: S608
            self._check_version()
            update = f"UPDATE meta SET value = '{VERSION}' WHERE key = 'version'"  # noqa: S608  (our own constant)
            self._db.executescript(f"BEGIN; {_PAYMENTS} {update}; COMMIT;")
        except sqlite3.Error as error:
            raise StorageError(f"{self._name} cannot be opened as the paper venue's record: {error}.") from error

    def _check_version(self) -> None:
        row = self._db.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
        if row is None or int(row[0]) > VERSION:
            version = "unknown" if row is None else row[0]
            raise StorageError(f"{self._name} is of version {version}; this program knows version {VERSION}.")

    def close(self) -> None:
        """Drop what was not committed and let go of the file."""
        self._db.close()

    def begin(self) -> None:
        """Start a transaction unless one is open."""
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> bool:
        """Put the transaction on disk; False when none was open.

        Raises:
            StorageError: the disk would not take it; nothing of it is on record.
        """
        if not self._db.in_transaction:
            return False
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise StorageError(f"{self._name} cannot be written: {error}.") from error
        return True

    def save(self, path: Path) -> None:
        """Copy what is committed into a file of its own: a record that was kept in memory."""
        path.unlink(missing_ok=True)
        target = sqlite3.connect(path)
        try:
            self._db.backup(target)
        finally:
            target.close()

    def rollback(self) -> None:
        """Drop what was not committed."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    # ------------------------------------------------------------ writing

    def set_meta(self, key: str, value: str) -> None:
        """Keep one value by name."""
        self.begin()
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def put_orders(self, orders: Iterable[Working]) -> None:
        """Write orders as they are now."""
        self.begin()
        self._db.executemany(_PUT_ORDER, [_order_row(kept) for kept in orders])

    def put_fills(self, fills: Iterable[OrderFilled]) -> None:
        """Add fills."""
        self.begin()
        self._db.executemany(_PUT_FILL, [_fill_row(filled) for filled in fills])

    def put_payments(self, payments: Iterable[FundingPaid]) -> None:
        """Add funding payments."""
        self.begin()
        rows = [
            (p.payment_id, p.pair, p.ts, str(p.received), p.currency, str(p.rate), str(p.price), str(p.amount))
            for p in payments
        ]
        self._db.executemany(f"INSERT INTO payments ({_PAYMENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)  # noqa: S608

    def put_balances(self, rows: Iterable[tuple[str, tuple[Decimal, ...]]]) -> None:
        """Write the accounts of currencies."""
        self.begin()
        values = [(currency, *map(str, accounts)) for currency, accounts in rows]
        self._db.executemany("INSERT OR REPLACE INTO balances VALUES (?, ?, ?, ?, ?, ?)", values)

    def put_positions(self, rows: Iterable[tuple[str, VenuePosition | None]]) -> None:
        """Write positions; None is one that is gone."""
        self.begin()
        for pair, held in rows:
            if held is None:
                self._db.execute("DELETE FROM positions WHERE pair = ?", (pair,))
            else:
                row = (pair, held.side.value, str(held.amount), str(held.cost), str(held.collateral))
                self._db.execute("INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?)", row)

    def put_pairs(self, rows: Iterable[tuple[str, int, int, Millis]]) -> None:
        """Write (pair, orders, fills, matched until)."""
        self.begin()
        self._db.executemany("INSERT OR REPLACE INTO pairs VALUES (?, ?, ?, ?)", rows)

    # ------------------------------------------------------------ reading

    def meta(self, key: str) -> str | None:
        """A value by name."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def balances(self) -> list[tuple[str, tuple[Decimal, ...]]]:
        """The accounts of every currency."""
        return [(row[0], tuple(map(Decimal, row[1:]))) for row in self._db.execute("SELECT * FROM balances")]

    def positions(self) -> list[tuple[str, VenuePosition]]:
        """Every position on margin."""
        rows = self._db.execute("SELECT * FROM positions")
        return [(pair, VenuePosition(Side(side), *map(Decimal, rest))) for pair, side, *rest in rows]

    def pairs(self) -> list[tuple[str, int, int, Millis]]:
        """(pair, orders, fills, matched until) of every pair that ever had an order."""
        return list(self._db.execute("SELECT * FROM pairs"))

    def working(self) -> list[Working]:
        """The orders that work, oldest first."""
        found = self._db.execute(_GET_ORDER + "WHERE status IN ('NEW', 'PARTIALLY_FILLED') ORDER BY number").fetchall()
        return [self._working(row) for row in found]

    def find(self, client_order_id: str) -> VenueOrder | None:
        """The newest order of that client id."""
        row = self._db.execute(_FIND_ORDER, (client_order_id,)).fetchone()
        return None if row is None else _venue_order(row)

    def open_orders(self, pair: str) -> list[VenueOrder]:
        """The pair's orders that work."""
        query = _GET_ORDER + "WHERE pair = ? AND status IN ('NEW', 'PARTIALLY_FILLED') ORDER BY number"
        return [_venue_order(row) for row in self._db.execute(query, (pair,))]

    def fills_of(self, order_id: str) -> list[OrderFilled]:
        """Every fill of an order."""
        return [_filled(row) for row in self._db.execute(_GET_FILL + "WHERE order_id = ? ORDER BY number", (order_id,))]

    def fills_since(self, pair: str, since: Millis) -> list[OrderFilled]:
        """The pair's fills from `since` on."""
        query = _GET_FILL + "WHERE pair = ? AND ts >= ? ORDER BY number"
        return [_filled(row) for row in self._db.execute(query, (pair, since))]

    def payments_since(self, pair: str, since: Millis) -> list[FundingPaid]:
        """The pair's funding payments from `since` on."""
        query = f"SELECT {_PAYMENT} FROM payments WHERE pair = ? AND ts >= ? ORDER BY number"  # noqa: S608
        return [
            FundingPaid(
                payment_id=row[0],
                pair=row[1],
                ts=row[2],
                received=Decimal(row[3]),
                currency=row[4],
                rate=Decimal(row[5]),
                price=Decimal(row[6]),
                amount=Decimal(row[7]),
            )
            for row in self._db.execute(query, (pair, since))
        ]

    def orders_since(self, since: Millis) -> int:
        """How many orders were accepted from `since` on."""
        # Orders are numbered as they come, so those of the last window are at the end.
        count = 0
        for (ts,) in self._db.execute("SELECT ts FROM orders ORDER BY number DESC"):
            if ts < since:
                break
            count += 1
        return count

    def _working(self, row: Sequence[Any]) -> Working:
        values = dict(zip(_ORDER, row, strict=True))
        fill_ids = self._db.execute("SELECT fill_id FROM fills WHERE order_id = ? ORDER BY number", (row[0],))
        order = Order(
            pair=values["pair"],
            client_order_id=values["client_order_id"],
            purpose=Purpose(values["purpose"]),
            side=OrderSide(values["side"]),
            type=OrderType(values["type"]),
            amount=Decimal(values["amount"]),
            price=Decimal(values["price"]),
            created_at=values["ts"],
            trigger_price=_decimal(values["trigger_price"]),
            time_in_force=TimeInForce(values["time_in_force"]),
            reduce_only=bool(values["reduce_only"]),
            leverage=Decimal(values["leverage"]),
            tag=values["tag"],
            order_id=values["order_id"],
            status=OrderStatus(values["status"]),
            filled=Decimal(values["filled"]),
            cost=Decimal(values["cost"]),
            fill_ids=tuple(fill_id for (fill_id,) in fill_ids),
            updated_at=values["updated_at"],
        )
        return Working(order, Account(values["account"]), values["currency"], Decimal(values["locked"]))


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _order_row(kept: Working) -> tuple[Any, ...]:
    o = kept.order
    return (
        *(o.order_id, o.client_order_id, o.pair, o.purpose.value, o.side.value, o.type.value, str(o.amount)),
        *(str(o.price), _text(o.trigger_price), o.time_in_force.value, int(o.reduce_only), str(o.leverage), o.tag),
        *(o.status.value, str(o.filled), str(o.cost), o.created_at, o.updated_at),
        *(kept.account.value, kept.currency, str(kept.locked)),
    )


def _venue_order(row: Sequence[Any]) -> VenueOrder:
    values = dict(zip(_ORDER, row, strict=True))
    return VenueOrder(
        client_order_id=values["client_order_id"],
        order_id=values["order_id"],
        status=values["status"],
        side=values["side"],
        type=values["type"],
        amount=Decimal(values["amount"]),
        price=Decimal(values["price"]),
        trigger_price=_decimal(values["trigger_price"]),
        filled=Decimal(values["filled"]),
        ts=values["ts"],
        reduce_only=bool(values["reduce_only"]),
    )


def _fill_row(filled: OrderFilled) -> tuple[Any, ...]:
    f = filled.fill
    return (
        *(f.fill_id, filled.order_id, f.client_order_id, filled.pair, f.ts, str(f.price), str(f.amount), str(f.fee)),
        *(f.fee_currency, _text(f.fee_cost), int(f.maker)),
    )


def _filled(row: Sequence[Any]) -> OrderFilled:
    fill_id, order_id, client_order_id, pair, ts, price, amount, fee, fee_currency, fee_cost, maker = row
    fill = Fill(
        fill_id=fill_id,
        client_order_id=client_order_id,
        ts=ts,
        price=Decimal(price),
        amount=Decimal(amount),
        fee=Decimal(fee),
        fee_currency=fee_currency,
        maker=bool(maker),
        fee_cost=_decimal(fee_cost),
    )
    return OrderFilled(pair=pair, fill=fill, order_id=order_id)
