"""The paper venue pays funding: at its time, once, on what is held then."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from actors.venues.paper.venue import PaperVenue
from engine.margin import FundingRate
from engine.messages import FundingPaid
from engine.settings import PaperConfig
from engine.types import ZERO, Millis, OrderSide, OrderType, Purpose
from tests.actors.ticks import PERMIT, D, Ticks, an_order, undisturbed

FUTURE = "BTC/USDT:USDT"
HOUR = 3_600_000
CONFIG = PaperConfig(spread=D("0.002"), depth=D(10_000), maker_fee=ZERO, taker_fee=ZERO)


def market() -> Ticks:
    """A price of 100 at all times, and funding every eight hours, at turns of both signs."""
    source = Ticks({FUTURE: [(hour * HOUR, 100.0) for hour in range(49)]})
    source.rates = [
        FundingRate(pair=FUTURE, ts=hour * HOUR, rate=D("0.001") if hour % 16 else D("-0.002"), price=D(100))
        for hour in range(0, 49, 8)
    ]
    return source


def opened(path: Path | None = None, *, at: Millis = HOUR) -> PaperVenue:
    made = PaperVenue(path, CONFIG, market())
    made.open(1, at, undisturbed)
    return made


def paid(made: PaperVenue) -> list[tuple[int, str]]:
    """The hours of new payments, and what was received."""
    told = [event for event in made.events() if isinstance(event, FundingPaid)]
    return [(event.ts // HOUR, f"{event.received.normalize():f}") for event in told]


@pytest.mark.parametrize(("side", "expected"), [(OrderSide.BUY, ["-0.1", "0.2"]), (OrderSide.SELL, ["0.1", "-0.2"])])
def test_a_position_pays_at_its_time(side: OrderSide, expected: list[str]) -> None:
    """A long pays a positive rate and a short receives it; who bought after the time owes nothing of it."""
    made = opened()
    made.submit(an_order("a", pair=FUTURE, side=side, type=OrderType.MARKET), 2 * HOUR, PERMIT)
    made.advance(7 * HOUR)
    assert [] == paid(made)
    made.advance(17 * HOUR)

    assert list(zip((8, 16), expected, strict=True)) == paid(made)
    made.advance(17 * HOUR + 1)
    assert [] == paid(made)


def test_what_was_due_before_an_order_is_not_for_what_it_buys() -> None:
    """Nobody looked at the market for hours: the order's position begins with the order."""
    made = opened()
    made.submit(an_order("a", pair=FUTURE, type=OrderType.MARKET), 9 * HOUR, PERMIT)
    made.submit(an_order("b", pair=FUTURE, type=OrderType.MARKET), 17 * HOUR, PERMIT)
    made.advance(25 * HOUR)

    assert [(16, "0.2"), (24, "-0.2")] == paid(made)


def test_a_venue_opened_again_pays_what_was_due_meanwhile_and_nothing_twice(tmp_path: Path) -> None:
    """Cut off before its commit it pays again as before; its balances are those of one that ran on."""
    steady, shaken = opened(tmp_path / "a.sqlite"), opened(tmp_path / "b.sqlite")
    for made in (steady, shaken):
        made.submit(an_order("a", pair=FUTURE, type=OrderType.MARKET), 2 * HOUR, PERMIT)
        made.advance(9 * HOUR)
        made.commit()
    shaken.advance(20 * HOUR)  # not committed: nobody heard of it
    shaken.open(2, 30 * HOUR, undisturbed)
    steady.advance(30 * HOUR)
    steady.commit()

    assert steady.balances() == shaken.balances()
    asked = shaken.snapshot(FUTURE, (), 0, 30 * HOUR)
    assert [8, 16, 24] == [payment.ts // HOUR for payment in asked.payments]
    assert len({payment.payment_id for payment in asked.payments}) == 3


def test_a_closed_position_pays_no_more() -> None:
    """On margin also at leverage 1: a future is no coin that is held."""
    made = opened()
    made.submit(an_order("a", pair=FUTURE, type=OrderType.MARKET), 2 * HOUR, PERMIT)
    assert {"USDT"} == {currency for currency, *_ in made.balances()}
    closing = an_order(
        "b", pair=FUTURE, side=OrderSide.SELL, type=OrderType.MARKET, purpose=Purpose.EXIT, reduce_only=True
    )
    made.submit(closing, 3 * HOUR, PERMIT)
    made.advance(20 * HOUR)

    assert [] == paid(made)


def test_a_record_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    """It had no payments; it gets their table."""
    path = tmp_path / "old.sqlite"
    opened(path).close()
    with sqlite3.connect(path) as db:
        db.executescript("DROP TABLE payments; UPDATE meta SET value = '1' WHERE key = 'version'")
    made = opened(path)
    made.submit(an_order("a", pair=FUTURE, type=OrderType.MARKET), 2 * HOUR, PERMIT)
    made.advance(9 * HOUR)

    assert made.commit()
    assert 1 == len(made.snapshot(FUTURE, (), 0, 9 * HOUR).payments)
