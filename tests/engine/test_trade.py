"""The trade machine's table: every pair of state and event, purity, and the ways out."""

from __future__ import annotations

import dataclasses
import itertools
from decimal import Decimal
from typing import Final

import pytest

from engine import messages as m
from engine.actions import Emit, LookUp
from engine.errors import IllegalTransition
from engine.keeping import trade_to_plain
from engine.order import Fill
from engine.trade import HANDLERS, TRADE_TRANSITIONS, state_of, step
from engine.types import OrderStatus, Purpose, TradeState, use_money_context
from engine.work import PlaceAborted, Trade
from tests.scenarios.runner import PAIR, START, Player, Scenario

D = Decimal
S = TradeState

TO: Final[dict[TradeState, list[tuple[str, str]]]] = {
    S.RECONCILING: [("0", "signal enter_long 100"), ("0", "granted 1000"), ("0", "restart")],
    S.FLAT: [],
    S.ENTERING: [("0", "signal enter_long 100"), ("0", "granted 1000"), ("0", "accepted i1")],
    S.OPEN: [("0", "signal enter_long 100"), ("0", "granted 1000"), ("0", "filled i1 4 @ 100")],
    S.EXITING: [
        ("0", "signal enter_long 100"),
        ("0", "granted 1000"),
        ("0", "filled i1 10 @ 100"),
        ("0", "force-exit"),
        ("0", "accepted i2"),
    ],
    S.QUARANTINED: [("0", "strategy-failed quarantined")],
}
"""How each state is reached."""

EVENTS: Final[dict[type[m.Message], list[str]]] = {
    m.SignalJudged: ["signal enter_long 100", "signal exit_long 100", "signal none 100"],
    m.MarketRange: ["price 100", "range 100 120 80 100"],
    m.ReviewOrders: ["review 100"],
    m.AdjustPosition: ["adjust 100 110 90"],
    m.CapitalReserved: ["granted 1000"],
    m.CapitalDenied: ["denied NO_FREE_SLOT"],
    m.StrategyAnswered: ["answer True", "no-answer"],
    m.QuoteTold: ["quote 99 101", "no-quote"],
    m.StrategyFailed: ["strategy-failed", "strategy-failed quarantined"],
    m.TradingStateChanged: ["trading ACTIVE", "trading EXITS_ONLY", "trading STOPPED"],
    m.TimerFired: ["timer unfilled", "timer pursue"],
    m.ForceEnter: ["force-enter long"],
    m.ForceExit: ["force-exit"],
    m.DataEnded: ["data-ended 99"],
    m.OrderAccepted: ["accepted i1", "accepted i2", "accepted i9"],
    m.OrderRejected: ["rejected i1 REFUSED", "rejected i2 REFUSED"],
    m.OrderInDoubt: ["doubt i1", "doubt i2"],
    m.OrderFilled: ["filled i1 6 @ 100", "filled i2 10 @ 100", "filled i9 1 @ 100"],
    m.OrderCanceled: ["canceled i1 filled 4", "canceled i2", "canceled i1 expired"],
    m.FundingPaid: ["funding p1 -0.5", "funding p2 0.5"],
    m.OrderNotFound: ["not-found i1", "not-found i1 final", "not-found i2 final"],
    m.CancelRejected: ["cancel-rejected i9"],
    m.OrderAmended: ["amended i1 10 @ 95", "amended i2 10 @ 95"],
    m.AmendRejected: ["amend-rejected i2 REFUSED"],
    PlaceAborted: ["aborted i1 RATE_LIMIT", "aborted i2 DISK_FULL"],
    m.VenueSnapshot: ["snapshot", "snapshot unknown=i1", "snapshot unknown=i2"],
}
"""Examples of each event."""

CASES = [(state, kind, example) for state, kind in itertools.product(TradeState, EVENTS) for example in EVENTS[kind]]


def player_in(state: TradeState, late: float = 0) -> tuple[Player, int]:
    """A machine in a state, and the time there."""
    use_money_context()
    player = Player(Scenario("a state", settings={"can_short": True}))
    for time, event in TO[state]:
        player.play(time, event)
    assert state is player.trade.state
    return player, START + int(late * 1_000)


def test_every_event_has_examples_and_a_handler() -> None:
    """Nothing that the machine takes is left out here, and nothing it lists has no handler."""
    assert set(EVENTS) == set(HANDLERS) == {event for _, event in TRADE_TRANSITIONS}


@pytest.mark.parametrize(("state", "kind", "example"), CASES)
@pytest.mark.parametrize("late", [1, 700])
def test_every_pair_is_a_row_or_raises(state: TradeState, kind: type[m.Message], example: str, late: float) -> None:
    """A legal event gives a state its row allows, twice the same, from a trade that stays as it was."""
    player, now = player_in(state, late)
    verb, _, rest = example.partition(" ")
    event = player._event(verb, rest.split(), now)
    before = trade_to_plain(player.trade)
    allowed = TRADE_TRANSITIONS.get((state, kind))

    if allowed is None:
        with pytest.raises(IllegalTransition, match="does not happen"):
            step(player.trade, event, now)
    else:
        outcome = player.step(event, now)
        assert outcome.trade.state in allowed | {state}
        assert state_of(outcome.trade) is outcome.trade.state
    assert before == trade_to_plain(player.trade) or allowed is not None


def test_every_pair_of_the_table_is_legal() -> None:
    """Six states and all events: an event that arrives late is never a crash."""
    assert set(itertools.product(TradeState, HANDLERS)) == set(TRADE_TRANSITIONS)


def test_an_unknown_event_raises_and_changes_nothing() -> None:
    """A message that is no event of the machine is refused in every state."""
    player, now = player_in(S.OPEN)
    before = trade_to_plain(player.trade)

    with pytest.raises(IllegalTransition, match="Kill does not happen in OPEN"):
        step(player.trade, m.Kill(), now)
    assert before == trade_to_plain(player.trade)


def test_an_order_event_without_a_row_changes_nothing() -> None:
    """A cancel cannot be rejected before it was asked for: the step raises and the trade is as it was."""
    use_money_context()
    player = Player(Scenario("sent"))
    for event in ("signal enter_long 100", "granted 1000"):
        player.play("0", event)
    before = trade_to_plain(player.trade)

    with pytest.raises(IllegalTransition, match="cancel_rejected does not happen to a PENDING_NEW order"):
        player.play("1", "cancel-rejected i1")
    assert before == trade_to_plain(player.trade)


def test_every_field_of_a_trade_is_copied() -> None:
    """A step works on a twin: equal in all fields, sharing nothing that it changes."""
    player, _ = player_in(S.OPEN)
    twin = player.trade.copy()

    assert player.trade == twin
    assert player.trade.orders is not twin.orders
    assert {f.name for f in dataclasses.fields(Trade)} >= {"orders", "pending"}


def test_nothing_is_sent_in_reconciling() -> None:
    """Whatever is heard before the venue has answered, no order, cancel or question goes out."""
    for kind, examples in EVENTS.items():
        if kind is m.VenueSnapshot:
            continue
        for example in examples:
            player, _ = player_in(S.RECONCILING)
            shown = player.play("1", example)
            assert not any(word in shown for word in ("place", "cancel i", "ask ", "reserve")), (example, shown)


def test_a_pair_is_named_in_every_domain_event() -> None:
    """Every event for the journal says whose it is."""
    player, now = player_in(S.EXITING)
    event = player._event("filled", ["i2", "10", "@", "101"], now)
    bodies = [a.body for a in step(player.trade, event, now).actions if hasattr(a, "body")]

    assert bodies
    assert [PAIR] * len(bodies) == [body["pair"] for body in bodies]


def test_a_doubt_after_the_acceptance_is_none() -> None:
    """The venue's own stream was faster than an answer that came to nothing: the order works, and the pair looks once more."""
    player, now = player_in(S.ENTERING)
    outcome = player.step(
        m.OrderInDoubt(pair=PAIR, client_order_id=next(iter(player.trade.orders)), reason="cut", ts=now), now
    )

    assert [order.status for order in outcome.trade.orders.values()] == [OrderStatus.NEW]
    assert LookUp() in outcome.actions
    assert not any(isinstance(action, Emit) and action.kind == "OrderInDoubt" for action in outcome.actions)


def test_a_stop_that_triggered_is_booked_under_the_id_that_it_fills_with() -> None:
    """Where a triggered stop is another order, a look that finds its fills tells them with that order's id."""
    player, now = Player(Scenario("a stop", settings={"stop_on_venue": True})), START + 1_000
    for time, event in TO[S.OPEN]:
        player.play(time, event)
    stop = next(order for order in player.trade.orders.values() if order.purpose is Purpose.STOP)
    told = m.VenueOrder(
        client_order_id=stop.client_order_id, order_id="placed", status=OrderStatus.FILLED, side=stop.side,
        type=stop.type, amount=stop.amount, price=D(90), trigger_price=None, filled=stop.amount, ts=now,
    )  # fmt: skip
    fill = Fill(fill_id="f9", client_order_id=stop.client_order_id, ts=now, price=D(90), amount=stop.amount)
    made = m.OrderFilled(pair=PAIR, fill=fill, order_id="became")
    seen = m.VenueSnapshot(request_id="", pair=PAIR, ts=now, orders=(told,), fills=(made,), unknown=())
    outcome = player.step(seen, now)
    filled = [action for action in outcome.actions if isinstance(action, Emit) and action.kind == "OrderFilled"]

    assert [action.body["order_id"] for action in filled] == ["became"]
