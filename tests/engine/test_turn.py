"""Turns: who is asked what on a candle, and in which order (`semantics.md` 2.3)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from engine.margin import FundingRate
from engine.messages import DataEnded, MarketRange, ReviewOrders, Signal, SignalJudged, TurnRow
from engine.order import Order
from engine.position import Position
from engine.turn import Match, Settle, Turn, is_busy, turn_order, with_price_step
from engine.types import OrderSide, OrderStatus, OrderType, Purpose, TradeState
from engine.work import Pending, Trade
from tests.scenarios.runner import PAIR, Scenario, rules_of

D = Decimal
ROW = TurnRow(
    pair=PAIR, ts=1, open=D(1), high=D(3), low=D(1), close=D(2), signal=Signal(enter_long=True), last_entry=True
)


def trade(*, held: bool = False, order: OrderStatus | None = None) -> Trade:
    """A pair's trade, with or without a position and an order."""
    made = Trade(pair=PAIR, rules=rules_of(Scenario("turn")), state=TradeState.FLAT, reconciled=True)
    if held:
        made.position = Position(amount=D(1), cost=D(1), value=D(1))
    if order is not None:
        made.orders["c"] = Order(
            pair=PAIR,
            client_order_id="c",
            purpose=Purpose.ENTRY,
            side=OrderSide.BUY,
            type=OrderType.LIMIT,
            amount=D(1),
            price=D(1),
            created_at=0,
            status=order,
        )
    return made


def sequence(turn: Turn, of: Trade) -> list[str]:
    """What comes, until the pair has settled."""
    found = []
    while (wanted := turn.next(of)) is not None:
        found.append(wanted.name.lower() if isinstance(wanted, Match) else type(wanted).__name__)
    return found


def test_funding_is_settled_before_the_range_is_looked_at() -> None:
    """What is due of a position held since its last fill, once; a flat pair owes nothing."""
    due = tuple(FundingRate(pair=PAIR, ts=ts, rate=D("0.0001"), price=D(1)) for ts in (0, 1))
    row, of = replace(ROW, funding=due), trade(held=True)
    of.filled_at = 1

    assert ["SignalJudged", "Settle", "MarketRange"] == sequence(Turn(row), of)
    turn = Turn(row)
    turn.next(of)
    assert Settle(due[1:]) == turn.next(of)
    assert ["SignalJudged"] == sequence(Turn(row), trade())


def test_the_rows_of_a_finer_timeframe_carry_their_candle() -> None:
    """The signal is told once where it can do no more, again where it may still enter, and dated by its candle."""
    first, second = (replace(ROW, ts=ts, candle_ts=300) for ts in (300, 360))
    of, holds = trade(), trade(held=True)

    told = Turn(first).next(of)
    assert isinstance(told, SignalJudged)
    assert 300 == told.ts
    of.signal_ts = holds.signal_ts = 300
    assert ["SignalJudged"] == sequence(Turn(second), of)
    assert ["MarketRange"] == sequence(Turn(second), holds)
    assert [] == sequence(Turn(replace(second, signal=Signal(exit_long=True))), of)


def test_a_pair_waits_for_the_next_candle_after_a_trade_closed_in_this() -> None:
    """Not where the trade began on the row it ended on: then nothing is known of it, as in the reference."""
    row, of = replace(ROW, ts=360, candle_ts=300), trade()
    of.signal_ts = of.over_ts = 300

    assert [] == sequence(Turn(row), of)
    of.over_ts = 0
    assert ["SignalJudged"] == sequence(Turn(row), of)


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (trade(), ["SignalJudged"]),
        (trade(held=True), ["SignalJudged", "MarketRange"]),
        (trade(order=OrderStatus.NEW), ["ReviewOrders", "SignalJudged", "entries", "all"]),
        (trade(order=OrderStatus.FILLED), ["SignalJudged"]),
        (trade(held=True, order=OrderStatus.NEW), ["ReviewOrders", "SignalJudged", "entries", "MarketRange", "all"]),
    ],
)
def test_the_order_of_a_candle(of: Trade, expected: list[str]) -> None:
    """Old orders are given up, the signal judged, entries filled, the position looked at, exits filled."""
    assert expected == sequence(Turn(ROW), of)


def test_the_last_candle_ends_the_data() -> None:
    """Instead of a signal and a look; what is left at its open fills if the candle has that price, rounded."""
    turn = Turn(replace(ROW, final=True))

    assert ["DataEnded", "all"] == sequence(turn, trade(held=True, order=OrderStatus.NEW))
    assert (D(1), D(3)) == turn.bounds == Turn(ROW).bounds


def test_a_reversal_is_judged_once_more() -> None:
    """After the end of the turn, and not on the last candle."""
    turn = Turn(ROW)
    assert isinstance(turn.next(trade()), SignalJudged)
    turn.judge_again()

    assert ["SignalJudged", "MarketRange"] == sequence(turn, trade(held=True))[-2:]
    final = Turn(replace(ROW, final=True))
    final.judge_again()
    assert ["DataEnded"] == sequence(final, trade())


def test_events_carry_the_row() -> None:
    """The signal at the candle's open with its bounds, the range as it was, the end at its price."""
    turn = Turn(ROW)
    judged, seen = turn.next(trade()), turn.next(trade(held=True))

    assert isinstance(judged, SignalJudged)
    assert (D(1), True, D(3), D(1)) == (judged.price, judged.last_entry, judged.high, judged.low)
    assert MarketRange(pair=PAIR, ts=1, open=D(1), high=D(3), low=D(1), close=D(2), whole=True) == seen
    assert DataEnded(pair=PAIR, ts=1, price=D(1)) == Turn(replace(ROW, final=True)).next(trade())
    assert ReviewOrders(pair=PAIR, ts=1, price=D(1)) == Turn(ROW).next(trade(order=OrderStatus.NEW))


@pytest.mark.parametrize("status", list(OrderStatus))
def test_a_turn_waits_for_answers(status: OrderStatus) -> None:
    """While an order's answer is awaited, or the portfolio's or the strategy's."""
    awaited = status in (OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL, OrderStatus.IN_DOUBT)

    assert awaited is is_busy(trade(order=status))


def test_a_turn_waits_for_an_evaluation() -> None:
    """As long as its question is open."""
    asking = trade()
    asking.pending = Pending(kind="entry", waiting="?")
    assert is_busy(asking)
    asking.pending = Pending(kind="entry")
    assert not is_busy(asking)


def test_open_trades_come_first() -> None:
    """In opening order, then the rest as listed; who has no candle has no turn."""
    assert ["C", "A", "B", "D"] == turn_order(["C", "X", "A"], ["A", "B", "C", "D"])


def test_a_months_price_step_is_taken_over() -> None:
    """And nothing is copied where it is no news."""
    of = trade()

    assert with_price_step(of, ROW) is of
    assert with_price_step(of, replace(ROW, price_step=D("0.01"))) is of
    other = with_price_step(of, replace(ROW, price_step=D("0.5")))
    assert (D("0.5"), D("0.01")) == (other.rules.market.price_step, of.rules.market.price_step)
