"""The trade machine driven over candles, without actors: the reference of what a run must give.

It walks every candle, gives the pairs their turns, and does at once what actors do by messages: the
portfolio answers, the exchange fills, the strategy's callbacks are called. The rules are all elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.actions import Cancel, Emit, Judge, LookUp, Place
from engine.candles import Candles
from engine.errors import IllegalTransition
from engine.matching import Accepted, Exchange, Range
from engine.messages import (
    NO_SIGNAL,
    AskStrategy,
    CancelRejected,
    CapitalDenied,
    CapitalReserved,
    DataEnded,
    ExposureChanged,
    Message,
    OrderAccepted,
    OrderRejected,
    ReserveCapital,
    Signal,
    StrategyAnswered,
    TradeClosed,
    TurnRow,
)
from engine.portfolio import Portfolio
from engine.trade import step
from engine.turn import Match, Turn, turn_order
from engine.types import Millis, exact
from engine.work import Rules, Trade

Asked = Callable[[AskStrategy], StrategyAnswered]


@dataclass(frozen=True, slots=True)
class Tape:
    """A pair's candles and the signals judged on them, by the open time of the judged candle."""

    candles: Candles
    signals: Mapping[Millis, Signal]

    def rows(self) -> list[tuple[Millis, float, float, float, float]]:
        """Candles as (ts, open, high, low, close); the first only has its signal judged."""
        c = self.candles
        columns = (x.tolist() for x in (c.ts, c.open, c.high, c.low, c.close))
        return list(zip(*columns, strict=True))[1:]


@dataclass(slots=True)
class Backtest:
    """One run. `trades` are the closed trades in order, `events` the domain events by writer."""

    rules: Mapping[str, Rules]
    portfolio: Portfolio
    exchange: Exchange
    asked: Asked | None = None
    book: dict[str, Trade] = field(init=False)
    trades: list[TradeClosed] = field(default_factory=list)
    events: dict[str, list[Emit]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.book = {pair: Trade(pair=pair, rules=rules, reconciled=True) for pair, rules in self.rules.items()}
        for trade in self.book.values():
            trade.state = trade.state.FLAT

    def run(self, tapes: Mapping[str, Tape], timeframe_ms: Millis) -> None:
        """Walk all candles, then leave what is open (2.6)."""
        for ts, rows in walk(tapes, timeframe_ms):
            idle = {p for p in rows if self._is_idle(p, rows[p].signal)}
            for pair in turn_order(self.portfolio.open_order, (p for p in rows if p not in idle)):
                self.turn(rows[pair], ts)
        self.end(tapes)

    def _is_idle(self, pair: str, signal: Signal) -> bool:
        trade = self.book[pair]
        return not signal and not trade.position.amount and not trade.working()

    def turn(self, row: TurnRow, ts: Millis) -> None:
        """One pair's complete turn on one candle."""
        turn = Turn(row)
        while (wanted := turn.next(self.book[row.pair])) is not None:
            if wanted is Match.NOW:
                self._match(row.pair, row.low, row.high, ts, turn)
            elif not isinstance(wanted, Match):
                self._feed(row.pair, wanted, ts, turn)

    def end(self, tapes: Mapping[str, Tape]) -> None:
        """Leave every open trade at the open of its pair's last candle; drop entries that wait."""
        for pair in turn_order(self.portfolio.open_order, tapes):
            candles = tapes[pair].candles
            if not len(candles):
                continue
            ts, price = int(candles.ts[-1]), exact(float(candles.open[-1]))
            self._feed(pair, DataEnded(pair=pair, ts=ts, price=price), ts, None)
            if self.book[pair].working():
                self._match(pair, price, price, ts, None)

    def _match(self, pair: str, low: Any, high: Any, ts: Millis, turn: Turn | None) -> None:
        for event in self.exchange.match(Range(pair, ts, low, high)):
            self._feed(pair, event, ts, turn)

    def _feed(self, pair: str, event: Message, ts: Millis, turn: Turn | None) -> None:
        inbox: deque[Message] = deque([event])
        while inbox:
            outcome = step(self.book[pair], inbox.popleft(), ts)
            self.book[pair] = outcome.trade
            for action in outcome.actions:
                if isinstance(action, Judge):
                    if turn is not None:
                        turn.judge_again()
                else:
                    inbox.extend(self._do(pair, action, ts))

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
            return (self.asked(action),)
        elif kind is LookUp:
            raise IllegalTransition(f"{pair}: an order is in doubt in a backtest")
        return ()

    def _place(self, action: Place, ts: Millis) -> Sequence[Message]:
        order = action.order
        outcome = self.exchange.submit(order, ts)
        client_id = order.client_order_id
        if isinstance(outcome, Accepted):
            accepted = OrderAccepted(pair=order.pair, client_order_id=client_id, order_id=outcome.order_id, ts=ts)
            return (accepted, *outcome.events)
        return (
            OrderRejected(pair=order.pair, client_order_id=client_id, code=outcome.code, reason=outcome.reason, ts=ts),
        )

    def _closed(self, trade: TradeClosed, ts: Millis) -> None:
        self.trades.append(trade)
        for entry in closing_entries(self.portfolio, trade, ts):
            self._note("portfolio", entry)

    def _note(self, writer: str, event: Emit) -> None:
        self.events.setdefault(writer, []).append(event)


def closing_entries(portfolio: Portfolio, trade: TradeClosed, ts: Millis) -> list[Emit]:
    """Book a closed trade with the portfolio; the domain events that brings."""
    locks, halt = portfolio.trade_closed(trade)
    found = [
        Emit("PairLocked", ts, {"pair": k.pair, "side": k.side, "until": k.until, "reason": k.reason}) for k in locks
    ]
    if halt is not None and portfolio.set_state(halt):
        body = {"state": portfolio.state.value, "reason": halt.reason, "source": halt.source}
        found.append(Emit("TradingStateChanged", ts, body))
    return found


def walk(tapes: Mapping[str, Tape], timeframe_ms: Millis) -> Iterator[tuple[Millis, dict[str, TurnRow]]]:
    """(time, the rows of that time by pair) from the second candle to the end.

    A row is candle t with the signal judged on the candle before it (2.1.2).
    """
    rows = {pair: deque(tape.rows()) for pair, tape in tapes.items()}
    times = sorted({row[0] for of_pair in rows.values() for row in of_pair})
    for ts in times:
        found = {}
        for pair, of_pair in rows.items():
            if of_pair and of_pair[0][0] == ts:
                row = of_pair.popleft()
                signal = tapes[pair].signals.get(ts - timeframe_ms, NO_SIGNAL)
                found[pair] = TurnRow(
                    pair=pair,
                    ts=ts,
                    open=exact(row[1]),
                    high=exact(row[2]),
                    low=exact(row[3]),
                    close=exact(row[4]),
                    signal=signal,
                    last_entry=ts == times[-1],
                )
        yield ts, found
