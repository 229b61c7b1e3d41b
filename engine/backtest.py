"""The trade machine driven over candles, without actors.

It gives the pairs their turns, and does at once what actors do by messages: the portfolio answers, the
exchange fills, the strategy's callbacks are called. The rules are all elsewhere. Candles on which nothing
can happen to a pair are passed over (`engine.skipping`); `every_candle` walks them all, with equal events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Any

from engine.account import close_trade, pass_until
from engine.actions import Cancel, Emit, Judge, LookUp, Place
from engine.chronicle import Chronicle
from engine.closing import heard
from engine.counters import REFUSED_STAKES, Counters
from engine.errors import IllegalTransition
from engine.guarding import REPLACED
from engine.matching import Accepted, Exchange, Refused, VenueEvent
from engine.messages import (
    AskStrategy,
    CancelRejected,
    CapitalDenied,
    CapitalReserved,
    ExposureChanged,
    LockPair,
    Message,
    OrderAccepted,
    OrderRejected,
    ReserveCapital,
    StrategyAnswered,
    TradeClosed,
    TradeTold,
    TurnRow,
    UnlockPair,
)
from engine.onlook import with_account
from engine.order import Order
from engine.portfolio import Portfolio
from engine.pursuit import LEAVING
from engine.ranges import Range
from engine.reviewing import CANCELLED, TIMED_OUT
from engine.skipping import next_row, with_passed
from engine.strategy import ACCOUNT, TRADES
from engine.tape import Calendar, Reel, Tape, last_rows, moments
from engine.trade import step
from engine.turn import Match, Settle, Turn, turn_order, with_price_step
from engine.types import Millis, Purpose
from engine.wishes import grant
from engine.work import Rules, Trade

Asked = Callable[[AskStrategy], StrategyAnswered]


@dataclass(slots=True)
class Backtest:
    """One run. `trades` are the closed trades in order, `events` the domain events by writer, if they are kept.

    `changes` tell how trades that were added to or reduced began, and each change, whether events are kept or not.
    `now` is the candle under way, `visited` how many candles the pairs have seen.
    """

    rules: Mapping[str, Rules]
    portfolio: Portfolio
    exchange: Exchange
    asked: Asked | None = None
    keeps_events: bool = True
    now: Millis = 0
    visited: int = 0
    counters: Counters = field(default_factory=Counters)
    book: dict[str, Trade] = field(init=False)
    trades: list[TradeClosed] = field(default_factory=list)
    events: dict[str, list[Emit]] = field(default_factory=dict)
    changes: list[Emit] = field(default_factory=list)
    _opened: dict[str, Emit] = field(default_factory=dict)
    _shows_account: bool = field(init=False)

    def __post_init__(self) -> None:
        callbacks = next((rules.settings.callbacks for rules in self.rules.values()), frozenset())
        self._shows_account = ACCOUNT in callbacks
        if TRADES in callbacks and self.portfolio.chronicle is None:
            self.portfolio.chronicle = Chronicle()
        self.book = {pair: Trade(pair=pair, rules=rules, reconciled=True) for pair, rules in self.rules.items()}
        for trade in self.book.values():
            trade.state = trade.state.FLAT

    def run(self, tapes: Mapping[str, Tape], timeframe_ms: Millis, *, every_candle: bool = False) -> None:
        """Walk the candles on which something can happen, or all of them, then leave what is open (2.6)."""
        reels = [Reel(tape, timeframe_ms) for tape in tapes.values()]
        end = max((int(reel.times[-1]) for reel in reels if len(reel) > 1), default=0)
        seen = [0] * len(reels)
        due = [(int(reel.times[1]), number, 1) for number, reel in enumerate(reels) if len(reel) > 1]
        heapify(due)
        calendar = Calendar([reel.times for reel in reels])
        while due:
            ts, rows, now = due[0][0], {}, []
            self.now = ts
            while due and due[0][0] == ts:
                _, number, row = heappop(due)
                reel = reels[number]
                self.book[reel.pair] = with_passed(self.book[reel.pair], reel, seen[number] + 1, row)
                rows[reel.pair] = reel.rows(row, end)
                seen[number] = row
                now.append(number)
            self.visited += len(rows)
            self._pass_time(calendar, ts)
            for moment, step_rows in moments(ts, rows):
                self._step(step_rows, moment)
            for number in now:
                reel, row = reels[number], seen[number]
                row = row + 1 if every_candle else next_row(self.book[reel.pair], reel, row)
                if row < len(reel):
                    heappush(due, (int(reel.times[row]), number, row))
        self._end(tapes, reels, seen)

    def run_one(self, reel: Reel, row: int, end: Millis) -> None:
        """Let one pair go on from `row` until it holds nothing and wants nothing, or its data end."""
        seen = row - 1
        while row < len(reel):
            self.book[reel.pair] = with_passed(self.book[reel.pair], reel, seen + 1, row)
            self.turn(reel.row(row, end), int(reel.times[row]))
            if not self._is_active(reel.pair):
                return
            seen, row = row, next_row(self.book[reel.pair], reel, row)
        final = last_rows({reel.pair: reel.tape})[reel.pair]
        self.turn(final, final.ts)

    def _step(self, rows: Mapping[str, TurnRow], ts: Millis) -> None:
        """Give the pairs their turns on the rows of one moment."""
        busy = (p for p in rows if rows[p].signal or self._is_active(p))
        for pair in turn_order(self.portfolio.open_order, busy):
            self.turn(rows[pair], ts)

    def _pass_time(self, calendar: Calendar, ts: Millis) -> None:
        self._tell(pass_until(self.portfolio, ts, calendar.first_time))

    def _end(self, tapes: Mapping[str, Tape], reels: Sequence[Reel], seen: Sequence[int]) -> None:
        for number, reel in enumerate(reels):
            trade = self.book[reel.pair]
            self.book[reel.pair] = with_passed(trade, reel, seen[number] + 1, len(reel))
        self._pass_time(
            Calendar([reel.times for reel in reels]),
            max((int(reel.times[-1]) for reel in reels if len(reel) > 1), default=self.now),
        )
        finals = last_rows(tapes)
        for pair in turn_order(self.portfolio.open_order, (p for p in finals if self._is_active(p))):
            self.turn(finals[pair], finals[pair].ts)
        self.counters.rejected_signals = self.portfolio.rejected

    def _is_active(self, pair: str) -> bool:
        trade = self.book[pair]
        return bool(trade.position.amount or trade.working())

    def turn(self, row: TurnRow, ts: Millis) -> None:
        """One pair's complete turn on one candle."""
        turn = Turn(row)
        self.book[row.pair] = with_price_step(self.book[row.pair], row)
        while (wanted := turn.next(self.book[row.pair])) is not None:
            if isinstance(wanted, Match):
                low, high = turn.bounds
                seen = Range(row.pair, ts, low, high, entries_only=wanted is Match.ENTRIES)
                for event in self._match(seen):
                    self._feed(row.pair, event, ts, turn)
            elif isinstance(wanted, Settle):
                for event in self.exchange.settle(wanted.due):
                    self._feed(row.pair, event, ts, turn)
            else:
                self._feed(row.pair, wanted, ts, turn)

    def _feed(self, pair: str, event: Message, ts: Millis, turn: Turn) -> None:
        inbox: deque[Message] = deque([event])
        while inbox:
            outcome = step(self.book[pair], inbox.popleft(), ts)
            self.book[pair] = outcome.trade
            for action in outcome.actions:
                if isinstance(action, Judge):
                    turn.judge_again()
                    continue
                inbox.extend(self._do(pair, action, ts))

    def _count_canceled(self, pair: str, order: Order) -> None:
        """Why an order was cancelled is its reason (`engine.reviewing`)."""
        counters = self.counters
        if order.purpose is not Purpose.ENTRY:
            counters.timedout_exit_orders += order.reason == TIMED_OUT
            return
        if order.reason == TIMED_OUT:
            counters.timedout_entry_orders += 1
        elif order.reason in (CANCELLED, LEAVING, REPLACED):
            trade = self.book[pair]
            counters.canceled_entry_orders += 1
            counters.replaced_entry_orders += trade.replacement is not None
            counters.canceled_trade_entries += order.reason == CANCELLED and not trade.position.amount

    def _do(self, pair: str, action: Any, ts: Millis) -> Sequence[Message]:
        kind = type(action)
        if kind is Emit:
            self._note(f"pair:{pair}", action)
        elif kind is ReserveCapital:
            answer: CapitalReserved | CapitalDenied = self.portfolio.reserve(action, ts)
            return (answer,)
        elif kind is Place:
            return self._place(action, ts)
        elif kind is Cancel:
            self._count_canceled(pair, action.order)
            done = self.exchange.cancel(action.order.client_order_id, ts)
            refused = CancelRejected(
                pair=pair, client_order_id=action.order.client_order_id, reason="not working", ts=ts
            )
            return done or (refused,)
        elif kind is ExposureChanged:
            self.portfolio.exposure_changed(action)
        elif kind is TradeClosed:
            self._closed(action, ts)
        elif kind is AskStrategy:
            if self.asked is None:
                raise IllegalTransition(f"{pair}: the strategy has callbacks and nobody to call them")
            return (self.asked(with_account(self.portfolio, action) if self._shows_account else action),)
        elif kind is TradeTold:
            assert self.portfolio.chronicle is not None
            self.portfolio.chronicle.told(pair, action.view)
        elif kind in (LockPair, UnlockPair):
            self._tell(grant(self.portfolio, action, ts))
        elif kind is LookUp:
            raise IllegalTransition(f"{pair}: an order is in doubt in a backtest")
        return ()

    def _submit(self, order: Order, ts: Millis) -> Accepted | Refused:
        return self.exchange.submit(order, ts)

    def _match(self, seen: Range) -> tuple[VenueEvent, ...]:
        return self.exchange.match(seen)

    def _place(self, action: Place, ts: Millis) -> Sequence[Message]:
        order = action.order
        outcome = self._submit(order, ts)
        client_id = order.client_order_id
        if isinstance(outcome, Accepted):
            accepted = OrderAccepted(pair=order.pair, client_order_id=client_id, order_id=outcome.order_id, ts=ts)
            return (accepted, *outcome.events)
        return (
            OrderRejected(pair=order.pair, client_order_id=client_id, code=outcome.code, reason=outcome.reason, ts=ts),
        )

    def _closed(self, trade: TradeClosed, ts: Millis) -> None:
        self.trades.append(trade)
        self._tell(close_trade(self.portfolio, trade, ts))
        self.book[trade.pair] = heard(self.book[trade.pair], trade.trade_id)

    def _tell(self, events: Sequence[Emit]) -> None:
        for event in events:
            self._note("portfolio", event)

    def _note(self, writer: str, event: Emit) -> None:
        if event.kind == "PairLocked":
            self.counters.locks += 1
        elif event.kind == "SignalDecided":
            self.counters.refused_stakes += _is_refused_stake(event.body)
        elif event.kind == "TradeOpened":
            self._opened[writer] = event
        elif event.kind == "TradeChanged":
            first = self._opened.pop(writer, None)
            self.changes += [event] if first is None else [first, event]
        if self.keeps_events:
            self.events.setdefault(writer, []).append(event)


def _is_refused_stake(decision: Mapping[str, Any]) -> bool:
    """Whether an entry came to nothing since its stake was not there, too small, or too large."""
    return decision["code"] in REFUSED_STAKES and str(decision["signal"]).startswith("enter_")
