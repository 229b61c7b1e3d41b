"""THE trade machine: everything that can happen to a pair's trade, and what must be done about it.

Rules
    `step(trade, event, now)` is pure: equal arguments give equal results, the trade given is not
    touched, nothing is sent. The caller does the actions in order and reports outcomes as events.
    One machine serves live, paper, replay and backtest. It knows no mode and reads no clock.
    `TRADE_TRANSITIONS` says which events a state takes and which states may follow; an event that
    has no row, or leads elsewhere, raises `IllegalTransition` and nothing has changed.

Theory of operation
    Handlers book what they were told and then `pursue` the trade's goal: leave if there is a reason
    to, else keep the position guarded. A question to the strategy or the portfolio suspends an
    evaluation (`Pending`); its answer is added and the evaluation is run again from the start, so
    there are no continuations to lose in a crash.
    Rooms: `work.py` the state, `entry.py` decides entries, `leaving.py` exits, `pursuit.py` does what the
    goal needs, `guarding.py` keeps stops at the venue, `booking.py` order events, `doubts.py` what is not known of them, `funding.py` funding, `closing.py` a trade's end, `reconcile.py` what the venue says is
    true, `halting.py` the kill switch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from engine import adjusting, amending, booking, entry, evaluating, funding, halting, leaving, reconcile, reviewing
from engine.actions import Action
from engine.errors import IllegalTransition
from engine.messages import (
    AdjustPosition,
    AmendRejected,
    CancelRejected,
    CapitalDenied,
    CapitalReserved,
    DataEnded,
    ForceEnter,
    ForceExit,
    FundingPaid,
    MarketRange,
    Message,
    OrderAccepted,
    OrderAmended,
    OrderCanceled,
    OrderFilled,
    OrderInDoubt,
    OrderNotFound,
    OrderRejected,
    QuoteTold,
    ReviewOrders,
    SignalJudged,
    StrategyAnswered,
    StrategyFailed,
    TimerFired,
    TradingStateChanged,
    VenueSnapshot,
)
from engine.strategy import TRADES
from engine.telling import show_trade
from engine.types import ZERO, Millis, Purpose, TradeState
from engine.work import PlaceAborted, Trade, Work

S = TradeState


@dataclass(frozen=True, slots=True)
class Step:
    """The outcome of one event: the trade after it, and what to do, in order."""

    trade: Trade
    actions: list[Action | Message]


_FLAT = frozenset({S.FLAT})
_ANY = frozenset({S.FLAT, S.ENTERING, S.OPEN, S.EXITING, S.QUARANTINED})
_HELD = frozenset({S.OPEN, S.EXITING})
_ENDED = frozenset({S.ENTERING, S.FLAT, S.QUARANTINED, S.EXITING})  # exiting: a stop of before still works

TRADE_TRANSITIONS: Final[dict[tuple[TradeState, type[Message]], frozenset[TradeState]]] = {
    # Every start: nothing is believed before the venue has been asked.
    (S.RECONCILING, VenueSnapshot): _ANY,
    (S.RECONCILING, SignalJudged): frozenset({S.RECONCILING}),  # noted as a decision, not acted on
    (S.RECONCILING, MarketRange): frozenset({S.RECONCILING}),  # kept, and looked at when reconciled
    (S.RECONCILING, OrderFilled): frozenset({S.RECONCILING}),  # a fact is a fact
    (S.RECONCILING, FundingPaid): frozenset({S.RECONCILING}),  # the snapshot tells it
    (S.RECONCILING, OrderCanceled): frozenset({S.RECONCILING}),
    (S.RECONCILING, OrderAccepted): frozenset({S.RECONCILING}),
    (S.RECONCILING, OrderRejected): frozenset({S.RECONCILING}),
    (S.RECONCILING, OrderInDoubt): frozenset({S.RECONCILING}),
    (S.RECONCILING, OrderNotFound): frozenset({S.RECONCILING}),
    (S.RECONCILING, CancelRejected): frozenset({S.RECONCILING}),
    (S.RECONCILING, OrderAmended): frozenset({S.RECONCILING}),
    (S.RECONCILING, AmendRejected): frozenset({S.RECONCILING}),
    (S.RECONCILING, PlaceAborted): frozenset({S.RECONCILING}),
    (S.RECONCILING, StrategyAnswered): frozenset({S.RECONCILING}),  # asked by an incarnation before
    (S.RECONCILING, QuoteTold): frozenset({S.RECONCILING}),  # as above
    (S.RECONCILING, StrategyFailed): frozenset({S.RECONCILING}),
    (S.RECONCILING, TradingStateChanged): frozenset({S.RECONCILING}),
    (S.RECONCILING, CapitalReserved): frozenset({S.RECONCILING}),  # given back
    (S.RECONCILING, CapitalDenied): frozenset({S.RECONCILING}),
    (S.RECONCILING, TimerFired): frozenset({S.RECONCILING}),
    (S.RECONCILING, ForceEnter): frozenset({S.RECONCILING}),
    (S.RECONCILING, ForceExit): frozenset({S.RECONCILING}),
    (S.RECONCILING, ReviewOrders): frozenset({S.RECONCILING}),
    (S.RECONCILING, AdjustPosition): frozenset({S.RECONCILING}),
    (S.RECONCILING, DataEnded): frozenset({S.RECONCILING}),
    # Flat: a signal may begin a trade; everything else is a late echo.
    (S.FLAT, SignalJudged): frozenset({S.FLAT, S.ENTERING}),
    (S.FLAT, MarketRange): _FLAT,
    (S.FLAT, CapitalReserved): frozenset({S.FLAT, S.ENTERING}),
    (S.FLAT, CapitalDenied): _FLAT,
    (S.FLAT, StrategyAnswered): frozenset({S.FLAT, S.ENTERING, S.QUARANTINED}),
    (S.FLAT, QuoteTold): frozenset({S.FLAT, S.ENTERING}),
    (S.FLAT, StrategyFailed): frozenset({S.FLAT, S.QUARANTINED}),
    (S.FLAT, TradingStateChanged): _FLAT,
    (S.FLAT, TimerFired): frozenset({S.FLAT, S.ENTERING}),
    (S.FLAT, ForceEnter): frozenset({S.FLAT, S.ENTERING}),
    (S.FLAT, ForceExit): _FLAT,
    (S.FLAT, ReviewOrders): _FLAT,
    (S.FLAT, AdjustPosition): _FLAT,
    (S.FLAT, DataEnded): _FLAT,
    (S.FLAT, VenueSnapshot): _ANY,
    (S.FLAT, OrderAccepted): _ANY,  # real world: accepted after it was given up
    (S.FLAT, OrderRejected): _FLAT,
    (S.FLAT, OrderInDoubt): _FLAT,
    (S.FLAT, OrderFilled): _ANY,  # real world: a fill after the trade was closed or given up
    (S.FLAT, FundingPaid): _FLAT,  # real world: paid for a position that is left already
    (S.FLAT, OrderCanceled): _FLAT,
    (S.FLAT, OrderNotFound): _FLAT,
    (S.FLAT, CancelRejected): _FLAT,
    (S.FLAT, OrderAmended): _ANY,
    (S.FLAT, AmendRejected): _FLAT,
    (S.FLAT, PlaceAborted): _FLAT,
    # Quarantined: as flat, but the strategy is not listened to.
    (S.QUARANTINED, SignalJudged): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, MarketRange): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, CapitalReserved): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, CapitalDenied): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, StrategyAnswered): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, QuoteTold): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, StrategyFailed): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, TradingStateChanged): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, TimerFired): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, ForceEnter): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, ForceExit): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, ReviewOrders): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, AdjustPosition): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, DataEnded): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, VenueSnapshot): _ANY,
    (S.QUARANTINED, OrderAccepted): _ANY,
    (S.QUARANTINED, OrderRejected): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, OrderInDoubt): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, OrderFilled): _ANY,
    (S.QUARANTINED, FundingPaid): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, OrderCanceled): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, OrderNotFound): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, CancelRejected): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, OrderAmended): _ANY,
    (S.QUARANTINED, AmendRejected): frozenset({S.QUARANTINED}),
    (S.QUARANTINED, PlaceAborted): frozenset({S.QUARANTINED}),
    # Entering: an entry works and nothing is held yet.
    (S.ENTERING, SignalJudged): frozenset({S.ENTERING}),
    (S.ENTERING, MarketRange): frozenset({S.ENTERING}),
    (S.ENTERING, CapitalReserved): frozenset({S.ENTERING}),
    (S.ENTERING, CapitalDenied): frozenset({S.ENTERING}),
    (S.ENTERING, StrategyAnswered): frozenset({S.ENTERING, S.FLAT}),
    (S.ENTERING, QuoteTold): frozenset({S.ENTERING}),
    (S.ENTERING, StrategyFailed): frozenset({S.ENTERING}),
    (S.ENTERING, TradingStateChanged): frozenset({S.ENTERING}),
    (S.ENTERING, TimerFired): frozenset({S.ENTERING}),
    (S.ENTERING, ForceEnter): frozenset({S.ENTERING}),
    (S.ENTERING, ForceExit): frozenset({S.ENTERING}),  # cancels the entry
    (S.ENTERING, ReviewOrders): frozenset({S.ENTERING}),
    (S.ENTERING, AdjustPosition): frozenset({S.ENTERING}),
    (S.ENTERING, DataEnded): frozenset({S.ENTERING}),  # as above
    (S.ENTERING, VenueSnapshot): _ANY,
    (S.ENTERING, OrderAccepted): frozenset({S.ENTERING}),
    (S.ENTERING, OrderRejected): _ENDED,
    (S.ENTERING, OrderInDoubt): frozenset({S.ENTERING}),
    (S.ENTERING, OrderFilled): _ANY,  # what the fee leaves may be dust
    (S.ENTERING, FundingPaid): frozenset({S.ENTERING}),
    (S.ENTERING, OrderCanceled): _ENDED,
    (S.ENTERING, OrderNotFound): _ENDED,
    (S.ENTERING, CancelRejected): frozenset({S.ENTERING}),
    (S.ENTERING, OrderAmended): _ANY,
    (S.ENTERING, AmendRejected): frozenset({S.ENTERING}),
    (S.ENTERING, PlaceAborted): _ENDED,
    # Open: something is held, and guarded.
    (S.OPEN, SignalJudged): _HELD,
    (S.OPEN, MarketRange): _HELD,
    (S.OPEN, CapitalReserved): _HELD,
    (S.OPEN, CapitalDenied): _HELD,
    (S.OPEN, StrategyAnswered): _HELD,
    (S.OPEN, QuoteTold): _HELD,
    (S.OPEN, StrategyFailed): frozenset({S.OPEN}),
    (S.OPEN, TradingStateChanged): frozenset({S.OPEN}),
    (S.OPEN, TimerFired): _HELD,
    (S.OPEN, ForceEnter): frozenset({S.OPEN}),
    (S.OPEN, ForceExit): frozenset({S.EXITING}),
    (S.OPEN, ReviewOrders): frozenset({S.OPEN}),
    (S.OPEN, AdjustPosition): frozenset({S.OPEN}),
    (S.OPEN, DataEnded): frozenset({S.EXITING}),
    (S.OPEN, VenueSnapshot): _ANY,
    (S.OPEN, OrderAccepted): frozenset({S.OPEN}),
    (S.OPEN, OrderRejected): _ANY,  # a stop refused because the price is past it: leave
    (S.OPEN, OrderInDoubt): frozenset({S.OPEN}),
    (S.OPEN, OrderFilled): _ANY,  # a stop at the venue closes the trade
    (S.OPEN, FundingPaid): frozenset({S.OPEN}),
    (S.OPEN, OrderCanceled): _ANY,  # what an ended order leaves may be dust, and written off
    (S.OPEN, OrderNotFound): _ANY,  # as above
    (S.OPEN, CancelRejected): frozenset({S.OPEN}),
    (S.OPEN, OrderAmended): _ANY,  # it may have filled by what it was amended to
    (S.OPEN, AmendRejected): _ANY,  # refused because the price is past it: leave
    (S.OPEN, PlaceAborted): _ANY,  # as above
    # Exiting: there is a reason to leave, and it is pursued until nothing is held.
    (S.EXITING, SignalJudged): _HELD,
    (S.EXITING, MarketRange): _HELD,
    (S.EXITING, CapitalReserved): _HELD,
    (S.EXITING, CapitalDenied): _HELD,
    (S.EXITING, StrategyAnswered): _HELD,
    (S.EXITING, QuoteTold): _HELD,
    (S.EXITING, StrategyFailed): frozenset({S.EXITING}),
    (S.EXITING, TradingStateChanged): _HELD,
    (S.EXITING, TimerFired): _ANY,
    (S.EXITING, ForceEnter): frozenset({S.EXITING}),
    (S.EXITING, ForceExit): frozenset({S.EXITING}),
    (S.EXITING, ReviewOrders): _HELD,
    (S.EXITING, AdjustPosition): _HELD,
    (S.EXITING, DataEnded): frozenset({S.EXITING}),
    (S.EXITING, VenueSnapshot): _ANY,
    (S.EXITING, OrderAccepted): frozenset({S.EXITING, S.ENTERING}),  # real world: an entry comes to life
    (S.EXITING, OrderRejected): _ANY,
    (S.EXITING, OrderInDoubt): frozenset({S.EXITING}),
    (S.EXITING, OrderFilled): _ANY,
    (S.EXITING, FundingPaid): frozenset({S.EXITING}),
    (S.EXITING, OrderCanceled): _ANY,
    (S.EXITING, OrderNotFound): _ANY,
    (S.EXITING, CancelRejected): frozenset({S.EXITING}),
    (S.EXITING, OrderAmended): _ANY,  # as above
    (S.EXITING, AmendRejected): _ANY,
    (S.EXITING, PlaceAborted): _ANY,
}
"""(state, event) → the states that may follow."""

HANDLERS: Final[dict[type[Message], Callable[[Work, Any], None]]] = {
    SignalJudged: entry.on_signal,
    CapitalReserved: evaluating.on_capital,
    CapitalDenied: evaluating.on_denied,
    ForceEnter: entry.on_force_enter,
    StrategyAnswered: evaluating.on_answer,
    QuoteTold: evaluating.on_quote,
    StrategyFailed: entry.on_strategy_failed,
    MarketRange: leaving.on_range,
    ReviewOrders: reviewing.on_review,
    AdjustPosition: adjusting.on_adjust,
    ForceExit: leaving.on_force_exit,
    TradingStateChanged: halting.on_trading_state,
    DataEnded: leaving.on_data_ended,
    TimerFired: evaluating.on_timer,
    OrderAccepted: booking.on_accepted,
    OrderRejected: booking.on_rejected,
    OrderInDoubt: booking.on_doubt,
    OrderFilled: booking.on_filled,
    FundingPaid: funding.on_paid,
    OrderCanceled: booking.on_canceled,
    OrderNotFound: booking.on_not_found,
    CancelRejected: booking.on_cancel_rejected,
    OrderAmended: amending.on_amended,
    AmendRejected: amending.on_rejected,
    PlaceAborted: booking.on_aborted,
    VenueSnapshot: reconcile.on_snapshot,
}
"""What each event does."""


def step(trade: Trade, event: Message, now: Millis) -> Step:
    """Advance one trade by one event and say what must be done about it.

    Pure: equal arguments give equal results, and nothing is sent. The caller performs the returned
    actions in order and reports their outcome as further events. A late fill after a cancel is legal
    (venues do this); see `TRADE_TRANSITIONS`.

    Raises:
        IllegalTransition: the table has no row for this state and event, or no such way out. The
            trade is unchanged; the actor lets this crash it, and recovery starts in RECONCILING.
    """
    allowed = TRADE_TRANSITIONS.get((trade.state, type(event)))
    if allowed is None:
        raise IllegalTransition(f"{trade.pair}: {type(event).__name__} does not happen in {trade.state}")
    work = Work(trade.copy(), now)
    HANDLERS[type(event)](work, event)
    evaluating.go_on(work)
    if TRADES in work.settings.callbacks:
        show_trade(work)
    after = state_of(work.trade)
    if after is not trade.state and after not in allowed:
        raise IllegalTransition(f"{trade.pair}: {type(event).__name__} must not lead from {trade.state} to {after}")
    work.trade.state = after
    return Step(work.trade, work.actions)


def state_of(trade: Trade) -> TradeState:
    """The state that what is held and what is working amount to."""
    if not trade.reconciled:
        return S.RECONCILING
    if trade.position.amount > ZERO:
        return S.EXITING if trade.leaving is not None else S.OPEN
    if working := trade.working():
        return S.ENTERING if any(o.purpose is Purpose.ENTRY for o in working) else S.EXITING
    return S.QUARANTINED if trade.quarantined else S.FLAT
