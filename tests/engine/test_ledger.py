"""The simulated exchange's books: double entry, locks, positions on margin."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ledger import FREE, LOCKED, InsufficientFunds, Ledger, PositionLedger, to_places
from engine.types import ZERO, Side

D = Decimal


def test_every_movement_has_two_sides() -> None:
    """Whatever is deposited, locked, paid, received and released, a currency's accounts sum to zero."""
    ledger = Ledger()
    ledger.deposit("USDT", D(100))
    ledger.lock("USDT", D("40.5"))
    ledger.pay("USDT", D(41), D(40))
    ledger.pay_fee("USDT", D("0.041"), D("0.041"))
    ledger.receive("USDT", D(7))
    ledger.release("USDT", D("0.459"))

    assert ledger.free("USDT") == D("65.959")
    assert ledger.locked("USDT") == ZERO
    assert sum(ledger.accounts("USDT")) == ZERO


def test_more_than_is_free_cannot_be_locked() -> None:
    """A lock over what is free raises and moves nothing."""
    ledger = Ledger()
    ledger.deposit("USDT", D(10))

    with pytest.raises(InsufficientFunds, match=r"10\.01 USDT are needed, 10 are free"):
        ledger.lock("USDT", D("10.01"))

    assert ledger.balances() == (("USDT", D(10), ZERO),)


def test_an_overdraft_refuses_nothing() -> None:
    """With an overdraft the free balance may go below zero, and the books still balance."""
    ledger = Ledger(overdraft=True)
    ledger.lock("USDT", D(5))

    assert ledger.accounts("USDT")[FREE] == D(-5)
    assert ledger.accounts("USDT")[LOCKED] == D(5)


def test_restored_books_are_the_same() -> None:
    """What `accounts` and `items` gave makes equal books again, with nothing marked as changed."""
    ledger = Ledger()
    ledger.deposit("USDT", D(10))
    ledger.lock("USDT", D(3))
    positions = PositionLedger()
    positions.open("BTC/USDT", Side.SHORT, D(2), D(10), D(3))
    again, positions_again = Ledger(), PositionLedger()
    again.restore([("USDT", ledger.accounts("USDT"))])
    positions_again.restore(positions.items())

    assert again.balances() == ledger.balances()
    assert positions_again.items() == positions.items()
    assert not again.changed
    assert not positions_again.changed


def test_a_short_gains_when_the_price_falls() -> None:
    """Closing a short under its entry gives the difference and the collateral back."""
    positions = PositionLedger()
    collateral = positions.open("BTC/USDT", Side.SHORT, D(2), D(100), D(4))

    assert collateral == D(50)
    assert positions.close("BTC/USDT", D(2), D(90)) == (D(20), D(50))
    assert positions.get("BTC/USDT") is None


AMOUNTS = st.integers(1, 10**9).map(lambda n: D(n).scaleb(-6))


@given(
    entries=st.lists(st.tuples(AMOUNTS, AMOUNTS, st.integers(1, 7)), min_size=1, max_size=5),
    parts=st.lists(AMOUNTS, max_size=6),
    side=st.sampled_from(Side),
)
def test_positions_give_back_exactly_what_they_took(
    entries: list[tuple[Decimal, Decimal, int]], parts: list[Decimal], side: Side
) -> None:
    """However a position is closed, its parts' collateral and cost sum to what its entries put in."""
    positions = PositionLedger()
    taken = sum((positions.open("P", side, amount, price, D(lev)) for amount, price, lev in entries), ZERO)
    cost = sum((amount * price for amount, price, _ in entries), ZERO)
    given_back = profit = ZERO
    for part in [*parts, D("1e12")]:
        held = positions.get("P")
        if held is None:
            break
        gained, collateral = positions.close("P", min(part, held.amount), D(50))
        profit, given_back = profit + gained, given_back + collateral
    worth = sum((amount for amount, _, _ in entries), ZERO) * 50

    assert given_back == taken
    assert profit == (worth - cost if side is Side.LONG else cost - worth)


def test_rounding_keeps_short_values_as_they_are() -> None:
    """Only digits beyond the 18th place are rounded away."""
    assert to_places(D("1.50")) == D("1.50")
    assert to_places(D("0.1234567890123456785")) == D("0.123456789012345678")
