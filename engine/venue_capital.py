"""Capital as the exchange says it: what is free there, what of it we have promised, and what the user moved.

Rules
    Nothing is granted before the exchange has said its balances. What is granted then is at most what is
    free there less what was promised since, whatever our own books say, and never more than the largest
    stake that the user has confirmed, a trade's entries together.
    Our books and the exchange's differ for moments, while a fill is on its way here. A difference that
    has stayed the same for `SETTLED_MS` is the user's deposit or withdrawal, or a fee in another coin:
    the account's start moves by it, so it is never profit, loss or drawdown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from engine.types import ZERO, Millis

SETTLED_MS: Final = 15_000
CLAIM_MS: Final = 5_000
"""How long a grant is held against the exchange's free balance: by then its order is locked there, or will not be sent."""

WORTH_TELLING: Final = Decimal("0.005")
"""The part of the total from which a difference is told as a deposit or a withdrawal."""


@dataclass(slots=True)
class VenueCapital:
    """See the module's rules. `futures`: positions there tie up margin, and do not spend the currency."""

    currency: str
    futures: bool = False
    largest_stake: Decimal | None = None
    known: bool = False
    free: Decimal = ZERO
    total: Decimal = ZERO
    _claims: dict[str, tuple[Decimal, Millis]] = field(default_factory=dict)
    _difference: Decimal = ZERO
    _since: Millis = 0

    def heard(self, balances: Iterable[tuple[str, Decimal, Decimal]], now: Millis) -> None:
        """Take over the exchange's word: (currency, free, locked)."""
        self.free = self.total = ZERO
        for currency, free, locked in balances:
            if currency == self.currency:
                self.free, self.total = free, free + locked
        self.known = True
        self._forget(now)

    def room(self, pair: str, held: Decimal, now: Millis) -> tuple[Decimal, str]:
        """(the most that a further stake of `pair` may be, beside `held`; why not more)."""
        if not self.known:
            return ZERO, "the exchange has not said its balances yet"
        self._forget(now)
        promised = sum((stake for other, (stake, _) in self._claims.items() if other != pair), ZERO)
        most, why = max(self.free - promised, ZERO), f"{self.free:f} is free there, {promised:f} of it promised"
        if self.largest_stake is not None and self.largest_stake - held < most:
            return max(self.largest_stake - held, ZERO), f"live.largest_stake is {self.largest_stake:f}"
        return most, why

    def promise(self, pair: str, stake: Decimal, now: Millis) -> None:
        """Remember a grant until the exchange's own figures have it."""
        self._claims[pair] = (stake, now)

    def moved(self, books: Decimal, now: Millis) -> Decimal:
        """By how much the start must move for the `books` to agree; ZERO while that is not settled."""
        if not self.known:
            return ZERO
        difference = self.total - books
        if difference != self._difference:
            self._difference, self._since = difference, now
        if difference == ZERO or now - self._since < SETTLED_MS:
            return ZERO
        self._difference = ZERO
        return difference

    def _forget(self, now: Millis) -> None:
        for pair in [pair for pair, (_, at) in self._claims.items() if now - at > CLAIM_MS]:
            del self._claims[pair]
