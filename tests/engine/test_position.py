"""A position: sums of fills, exact, whatever coin the fees were taken in."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from engine.market import booked_profit, round8
from engine.order import Fill
from engine.position import Position
from engine.types import ZERO, Side, use_money_context

D = Decimal
RATE = D("0.001")
AMOUNTS = st.lists(st.decimals("0.001", 50, places=3), min_size=1, max_size=5)
PRICES = st.decimals(1, 1_000, places=2)


def fill(amount: str | Decimal, price: str | Decimal, fee: str | Decimal = "0", currency: str = "U") -> Fill:
    """An execution."""
    return Fill(
        fill_id="f",
        client_order_id="c",
        ts=0,
        price=D(price),
        amount=D(amount),
        fee=D(fee),
        fee_currency=currency,
    )


def entered(position: Position, made: Fill) -> Position:
    """After an entry."""
    return position.entered(made, "A", "U", RATE)


def exited(position: Position, made: Fill) -> Position:
    """After an exit that is finished."""
    return position.exited(made, "A", "U", RATE).exit_done()


def test_several_entries_average_by_cost() -> None:
    """10 at 100 and 30 at 80: 40 at 85; fees make it dearer in value, not in rate."""
    position = entered(entered(Position(), fill(10, 100, 1)), fill(30, 80, "2.4"))

    assert (D(40), D(85), D(3400), D("3403.4")) == (
        position.amount,
        position.open_rate,
        position.stake,
        position.value,
    )


def test_a_partial_exit_takes_the_average_out() -> None:
    """The rate of the rest stays; the part's profit is booked with its share of the fees."""
    position = exited(entered(Position(), fill(10, 100, 1)), fill(4, 110, "0.44"))

    assert (D(6), D(100), D("600.6")) == (position.amount, position.open_rate, position.value)
    assert D("439.56") - D("400.4") == position.booked


def test_profit_of_an_exit_in_parts_is_rounded_once() -> None:
    """The fills of one order are one booking, to 8 digits."""
    position = entered(Position(), fill("0.3", "33.333333333", "0"))
    for _ in range(3):
        position = position.exited(fill("0.1", "33.333333334", "0"), "A", "U", RATE)
    done = position.exit_done()

    assert ZERO == position.booked
    assert round8(D("0.3") * D("0.000000001")) == done.booked
    assert done.exit_done() is done


def test_a_fee_in_the_bought_coin() -> None:
    """It makes what is held smaller; the rate is what was paid, and the loss shows in the profit."""
    position = entered(Position(), fill(10, 100, "0.01", "A"))

    assert (D("9.99"), D(100), D(1000)) == (position.amount, position.open_rate, position.value)
    assert D("-1") == exited(position, fill("9.99", 100)).booked
    assert (("A", D("0.01")),) == position.fees


def test_a_fee_in_a_third_coin() -> None:
    """Its worth counts where the gateway knew it, else it is estimated: an unknown fee is not none."""
    known = Fill(
        fill_id="f",
        client_order_id="c",
        ts=0,
        price=D(100),
        amount=D(10),
        fee=D("0.002"),
        fee_currency="BNB",
        fee_cost=D("0.8"),
    )

    assert D("1000.8") == entered(Position(), known).value
    assert D(1001) == entered(Position(), fill(10, 100, "0.002", "BNB")).value


def test_a_short_earns_when_the_price_falls() -> None:
    """Value is what was got, less the fee; closing costs the price and the fee."""
    short = entered(Position(side=Side.SHORT, leverage=D(3)), fill(10, 100, 1))
    done = exited(short, fill(10, 90, "0.9"))

    assert D(999) == short.value
    assert D(999) - D("900.9") == done.booked
    assert done.booked / D(999) * 3 == done.profit_ratio


def test_written_off_dust() -> None:
    """A long's value is lost with it; of a short nothing is won."""
    long = entered(Position(), fill(1, 100)).written_off().exit_done()
    short = entered(Position(side=Side.SHORT), fill(1, 100)).written_off().exit_done()

    assert (ZERO, D(-100)) == (long.amount, long.booked)
    assert (ZERO, ZERO) == (short.amount, short.booked)
    assert Position().written_off() == Position()


def test_a_ratio_and_its_price_are_inverse() -> None:
    """The price of a ROI target gives that ratio, on both sides and with leverage."""
    for side, leverage in ((Side.LONG, 1), (Side.LONG, 5), (Side.SHORT, 1), (Side.SHORT, 5)):
        made = Position(side=side, leverage=D(leverage)).entered(fill(10, 100, 1), "A", "U", RATE)
        for ratio in ("-0.5", "0", "0.013", "0.7"):
            price = made.price_at_profit(D(ratio), RATE)
            assert abs(made.profit_ratio_at(price, RATE) - D(ratio)) <= D("1e-8")


def test_ties_of_bookings_go_with_the_doubles() -> None:
    """Elsewhere it is the exact difference to 8 digits."""
    assert D("0.00000001") == booked_profit(D("1.00000001"), D(1))
    assert D(0) == booked_profit(D("1.000000004"), D(1))


@given(entries=AMOUNTS, price=PRICES, at=PRICES, short=st.booleans(), parts=st.integers(1, 4))
def test_the_profit_is_what_the_fills_say(
    entries: list[Decimal], price: Decimal, at: Decimal, short: bool, parts: int
) -> None:
    """Any entries, left in any number of exits: booked = got - paid, to half a last digit for each exit."""
    use_money_context()
    position = Position(side=Side.SHORT if short else Side.LONG)
    money = ZERO
    sign = 1 if short else -1
    for number, amount in enumerate(entries):
        rate = price + number
        position = entered(position, fill(amount, rate, amount * rate * RATE))
        money += sign * amount * rate - amount * rate * RATE
    total = position.amount
    assert sum(entries, ZERO) == total
    step = (total / parts).quantize(D("0.001"))
    for number in range(parts):
        amount = position.amount if number == parts - 1 else min(step, position.amount)
        if amount:
            position = exited(position, fill(amount, at, amount * at * RATE))
            money += -sign * amount * at - amount * at * RATE

    assert ZERO == position.amount == position.cost == position.value
    assert abs(money - position.booked) <= D("1e-8") * (parts + 1)
