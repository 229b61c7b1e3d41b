"""The simulated exchange makes and loses no money, whatever is done to it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.clearing import Fees
from engine.matching import Exchange, Refused, Rules
from engine.messages import OrderFilled
from engine.ranges import Range
from engine.types import ZERO, OrderSide, OrderType, Purpose, TimeInForce
from tests.engine.test_matching import BOOK, PAIR, D, an_order, exchange

PRICES = st.integers(8_000, 12_000).map(lambda n: D(n) / 100)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("cancel"), st.integers(0, 12)),
        st.tuples(
            st.just("match"), PRICES, PRICES, st.one_of(st.none(), st.integers(0, 9_000).map(lambda n: D(n) / 1000))
        ),
        st.tuples(
            st.just("submit"),
            st.sampled_from(OrderSide),
            st.sampled_from(OrderType),
            st.sampled_from(Purpose),
            st.sampled_from(TimeInForce),
            st.integers(1, 60_000).map(lambda n: D(n) / 1000),
            PRICES,
            st.sampled_from([D(1), D(1), D(3), D(7)]),
        ),
    ),
    max_size=40,
)
FEES = st.sampled_from([Fees(), Fees(in_base=True), Fees(coin="BNB", coin_price=D("567.89"))])


def check_books(made: Exchange, bought: dict[str, Decimal]) -> None:
    ledger = made.clearing.ledger
    for currency in ("USDT", "BTC", "BNB"):
        assert sum(ledger.accounts(currency)) == ZERO
        working = sum((kept.locked for kept in made.working.values() if kept.currency == currency), ZERO)
        if currency == "USDT":
            working += sum((position.collateral for _, position in made.clearing.positions.items()), ZERO)
        assert ledger.locked(currency) == working
        if currency != "USDT":
            assert ledger.free(currency) >= ZERO
    for kept in made.working.values():
        assert kept.locked >= ZERO
        assert kept.order.filled < kept.order.amount
        assert kept.order.filled == bought.get(kept.order.client_order_id, ZERO)


@settings(max_examples=150, deadline=None)
@given(actions=ACTIONS, fees=FEES, book=st.booleans())
def test_no_money_is_made_or_lost(actions: list[tuple[Any, ...]], fees: Fees, book: bool) -> None:
    """Under any orders, fills and cancels the books balance to the last digit, and locks are what orders need."""
    made = exchange(replace(BOOK, fees=fees) if book else Rules(fees=fees), btc="20")
    made.clearing.ledger.overdraft = False
    made.clearing.ledger.deposit("BNB", D("0.5"))
    filled: dict[str, Decimal] = {}
    price = D(100)
    for number, action in enumerate(actions):
        events: tuple[Any, ...] = ()
        if action[0] == "submit":
            _, side, kind, purpose, tif, amount, asked, leverage = action
            order = an_order(
                str(number % 13),
                side=side,
                type=kind,
                purpose=purpose,
                time_in_force=tif,
                amount=amount,
                price=asked,
                leverage=leverage,
                trigger_price=asked,
            )
            before = made.clearing.ledger.balances()
            outcome = made.submit(order, number, price)
            if isinstance(outcome, Refused):
                assert made.clearing.ledger.balances() == before
            else:
                filled.pop(str(number % 13), None)
                events = outcome.events
        elif action[0] == "cancel":
            events = made.cancel(str(action[1]), number)
        else:
            low, high = sorted(action[1:3])
            events = made.match(Range(PAIR, number, low, high, open=price, volume=action[3]))
            price = high
        for event in events:
            if isinstance(event, OrderFilled):
                client_id = event.fill.client_order_id
                filled[client_id] = filled.get(client_id, ZERO) + event.fill.amount
            else:
                assert event.filled == filled.get(event.client_order_id, ZERO)
        check_books(made, filled)
