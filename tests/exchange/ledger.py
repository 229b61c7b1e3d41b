"""The exchange's books: double entry, in Decimal.

Every posting moves amounts between places of one account and the outside, and sums to nothing for each asset.
Places of an account: `free`, `locked` (spot), `wallet` (futures). Outside: `opening` (deposits), `market` (the
other side of trades), `fees`, `profit`, `funding`, `insurance`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

ZERO = Decimal(0)

Leg = tuple[str, str, Decimal]
"""Place, asset, and what is added to it."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One entry: when, why (`fill`, `lock`, `release`, `deposit`, `fee`, `funding`…), for which order or trade."""

    ts: int
    why: str
    ref: str
    legs: tuple[Leg, ...]


class Ledger:
    """The postings of one account and the balances they make."""

    def __init__(self) -> None:
        self.balances: dict[tuple[str, str], Decimal] = {}
        self.postings: list[Posting] = []

    def post(self, ts: int, why: str, ref: str, legs: Iterable[Leg]) -> None:
        """Write one entry; it must sum to nothing, and nobody's own place may fall below nothing."""
        kept = tuple((place, asset, amount) for place, asset, amount in legs if amount)
        sums: dict[str, Decimal] = {}
        for place, asset, amount in kept:
            sums[asset] = sums.get(asset, ZERO) + amount
            self.balances[place, asset] = self.balances.get((place, asset), ZERO) + amount
        assert not any(sums.values()), f"the entry {why} {ref} does not balance: {sums}"
        for place, asset, _ in kept:
            if place in ("free", "locked"):
                assert self.balances[place, asset] >= 0, f"{why} {ref}: {place} {asset} falls below nothing"
        self.postings.append(Posting(ts, why, ref, kept))

    def at(self, place: str, asset: str) -> Decimal:
        """What is there."""
        return self.balances.get((place, asset), ZERO)

    def assets(self, *places: str) -> list[str]:
        """The assets that were ever at one of these places."""
        return sorted({asset for place, asset in self.balances if place in places})

    def check(self) -> None:
        """Add up all postings again and compare."""
        again: dict[tuple[str, str], Decimal] = {}
        for posting in self.postings:
            for place, asset, amount in posting.legs:
                again[place, asset] = again.get((place, asset), ZERO) + amount
        assert again == self.balances
