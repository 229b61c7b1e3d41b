"""The trade machine driven over candles, without actors: the reference of what a run must give.

It walks every candle, gives the pairs their turns, and does at once what actors do by messages: the
portfolio answers, the exchange fills, the strategy's callbacks are called. The rules are all elsewhere.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from engine.account import close_trade, pass_time
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
from engine.turn import Match, Turn, turn_order, with_price_step
from engine.types import Millis, exact
from engine.work import Rules, Trade

Asked = Callable[[AskStrategy], StrategyAnswered]


@dataclass(frozen=True, slots=True)
class Tape:
    """A pair's candles and the signals judged on them, by the open time of the judged candle.

    `price_steps` are those of each month from its first millisecond on (2.1.6).
    """

    candles: Candles
    signals: Mapping[Millis, Signal]
    price_steps: tuple[tuple[Millis, Decimal], ...] = ()

    def rows(self) -> list[tuple[Millis, float, float, float, float]]:
        """Candles as (ts, open, high, low, close); the first only has its signal judged."""
        c = self.candles
        columns = (x.tolist() for x in (c.ts, c.open, c.high, c.low, c.close))
        return list(zip(*columns, strict=True))[1:]

    def price_step(self, ts: Millis) -> Decimal | None:
        """The price step in the month of `ts`, None where it is not known."""
        at = bisect_right(self.price_steps, ts, key=lambda s: s[0])
        return self.price_steps[at - 1][1] if at else None


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
            self._tell(pass_time(self.portfolio, ts))
            busy = (p for p in rows if rows[p].signal or self._is_active(p))
            for pair in turn_order(self.portfolio.open_order, busy):
                self.turn(rows[pair], ts)
        finals = last_rows(tapes)
        for pair in turn_order(self.portfolio.open_order, (p for p in finals if self._is_active(p))):
            self.turn(finals[pair], finals[pair].ts)

    def _is_active(self, pair: str) -> bool:
        trade = self.book[pair]
        return bool(trade.position.amount or trade.working())

    def turn(self, row: TurnRow, ts: Millis) -> None:
        """One pair's complete turn on one candle."""
        turn = Turn(row)
        self.book[row.pair] = with_price_step(self.book[row.pair], row)
        while (wanted := turn.next(self.book[row.pair])) is not None:
            if wanted is Match.NOW:
                low, high = turn.bounds
                for event in self.exchange.match(Range(row.pair, ts, low, high)):
                    self._feed(row.pair, event, ts, turn)
            elif not isinstance(wanted, Match):
                self._feed(row.pair, wanted, ts, turn)

    def _feed(self, pair: str, event: Message, ts: Millis, turn: Turn) -> None:
        inbox: deque[Message] = deque([event])
        while inbox:
            outcome = step(self.book[pair], inbox.popleft(), ts)
            self.book[pair] = outcome.trade
            for action in outcome.actions:
                if isinstance(action, Judge):
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
        self._tell(close_trade(self.portfolio, trade, ts))

    def _tell(self, events: Sequence[Emit]) -> None:
        for event in events:
            self._note("portfolio", event)

    def _note(self, writer: str, event: Emit) -> None:
        self.events.setdefault(writer, []).append(event)


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
                    price_step=tapes[pair].price_step(ts),
                )
        yield ts, found


def last_rows(tapes: Mapping[str, Tape]) -> dict[str, TurnRow]:
    """Each pair's last candle as the row that ends its data."""
    found = {}
    for pair, tape in tapes.items():
        candles = tape.candles
        if len(candles):
            price, ts = exact(float(candles.open[-1])), int(candles.ts[-1])
            found[pair] = TurnRow(
                pair=pair,
                ts=ts,
                open=price,
                high=price,
                low=price,
                close=price,
                signal=NO_SIGNAL,
                price_step=tape.price_step(ts),
                final=True,
            )
    return found
