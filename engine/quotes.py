"""A pair's order book as it was told at a moment: what a price is made of, and what is kept of it.

Books come from outside, raw: prices as text, rows of any length, holes. What is no book is refused with the
reason, and never made up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.types import ZERO, Millis, exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Both sides of a book: `bid` and `ask` are the prices of the level that was asked for, 1 being the best.

    `last` is the price of the last trade where one is known. `bids` and `asks` are the base coins that rest on
    each side, as far as the book was told; None where only its top was. `source` says who told it.
    """

    ts: Millis
    bid: Decimal
    ask: Decimal
    last: Decimal | None = None
    bids: Decimal | None = None
    asks: Decimal | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """Why an order has its price, for the journal: `how` in words, and the quote that it was made of, where there was one."""

    how: str
    bid: Decimal | None = None
    ask: Decimal | None = None
    quoted_at: Millis | None = None

    @property
    def text(self) -> str:
        """The whole as one phrase, for `decisions`."""
        return self.how if self.bid is None else f"{self.how}: bid {self.bid:f}, ask {self.ask:f}"


def read_book(
    bids: Any, asks: Any, *, level: int, whole: bool, ts: Millis, last: Decimal | None, source: str
) -> Quote | str:
    """The quote of a raw book, or why it is none; with `whole` what rests on each side is counted too.

    Each side is rows of price and amount in any order; a row with a price or an amount of 0 is no offer.
    """
    sides = []
    for name, raw in (("bids", bids), ("asks", asks)):
        rows = _rows(raw)
        if rows is None:
            return f"the book's {name} cannot be read"
        if len(rows) < level:
            return f"the book has {len(rows)} {name}, and level {level} is asked for"
        sides.append(sorted(rows, reverse=name == "bids"))
    bought, sold = sides
    if bought[0][0] > sold[0][0]:
        return f"the book is crossed: bid {bought[0][0]:f}, ask {sold[0][0]:f}"
    amounts = [sum((amount for _, amount in rows), ZERO) if whole else None for rows in sides]
    return Quote(
        ts=ts,
        bid=bought[level - 1][0],
        ask=sold[level - 1][0],
        last=last,
        bids=amounts[0],
        asks=amounts[1],
        source=source,
    )


def read_top(bid: Any, ask: Any, *, ts: Millis, last: Decimal | None, source: str) -> Quote | str:
    """The quote of the best bid and ask alone, or why it is none."""
    return read_book([(bid, 1)], [(ask, 1)], level=1, whole=False, ts=ts, last=last, source=source)


def _rows(raw: Any) -> list[tuple[Decimal, Decimal]] | None:
    """The offers of one side; None where something in it is no number."""
    if not isinstance(raw, Iterable) or isinstance(raw, str | bytes):
        return None
    rows = []
    for row in raw:
        if not isinstance(row, Sequence) or isinstance(row, str | bytes) or len(row) < 2:
            return None
        price, amount = _number(row[0]), _number(row[1])
        if price is None or amount is None or price < ZERO or amount < ZERO:
            return None
        if price and amount:
            rows.append((price, amount))
    return rows


def _number(raw: Any) -> Decimal | None:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str | Decimal):
        return None
    try:
        number = exact(raw)
    except ArithmeticError:
        return None
    return number if number.is_finite() else None
