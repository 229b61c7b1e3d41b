"""The audit of funding: the venue's payments by themselves, and against those that the journal has booked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from actors.batch.audit_books import BookedTrade, Books
from actors.batch.findings import Findings
from engine.ledger import to_places
from engine.types import Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One payment as the venue's record has it; `received` is negative where it was paid."""

    payment_id: str
    pair: str
    ts: Millis
    received: Decimal
    currency: str
    rate: Decimal
    price: Decimal
    amount: Decimal


def read_payments(db: sqlite3.Connection) -> Iterator[Payment]:
    """The payments of a venue's record, in order; a record of an older version has none."""
    if not db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'payments'").fetchone()[0]:
        return
    query = "SELECT payment_id, pair, ts, currency, received, rate, price, amount FROM payments ORDER BY number"
    for name, pair, ts, currency, *figures in db.execute(query):
        received, rate, price, amount = map(Decimal, figures)
        yield Payment(
            payment_id=name,
            pair=pair,
            ts=ts,
            received=received,
            currency=currency,
            rate=rate,
            price=price,
            amount=amount,
        )


def check_payments(name: str, payments: Iterable[Payment], findings: Findings) -> None:
    """Each payment against what its own rate, price and amount make."""
    for paid in payments:
        wanted = to_places(abs(paid.amount * paid.price * paid.rate))
        if abs(paid.received) != wanted:
            text = f"{name}: funding {paid.payment_id} is {paid.received}, its rate and amount give {wanted}."
            findings.differ("venue funding", paid.payment_id, text)


def compare_payments(
    books: Books, trades: Mapping[str, BookedTrade], payments: Iterable[Payment], findings: Findings
) -> None:
    """Every payment on both sides, with the same figure."""
    booked = {name: received for trade in trades.values() for name, received in trade.payments.items()}
    theirs = {paid.payment_id: paid.received for paid in payments}
    missing = theirs.keys() - booked.keys()
    if books.damage.run and missing:
        findings.note(f"{len(missing)} funding payment(s) may have been in a part of the journal that was lost.")
        missing = set()
    for name in missing:
        text = f"Funding {name} of {theirs[name]} is at the venue and not in the journal."
        findings.differ("funding", name, text)
    for name in booked.keys() - theirs.keys():
        text = f"Funding {name} of {booked[name]} is in the journal and not at the venue."
        findings.differ("funding", name, text)
    for name in booked.keys() & theirs.keys():
        if booked[name] != theirs[name]:
            text = f"Funding {name} is {booked[name]} in the journal and {theirs[name]} at the venue."
            findings.differ("funding", name, text)
