"""A run of plain trades over all pairs: who enters when, and what comes of it, without a message.

Rules
    The order is the machine's (`engine.turn`): on each candle the pairs of open trades as they were opened,
    then the others in the order of the list; a pair that reverses does so in its own turn.
    What becomes of an entry is looked up (`engine.lanes`). Odd ones are run by the machine, each by itself.
    Whether a pair may enter, and with how much, an `Account` says: the portfolio itself (`engine.purse`), or,
    where stakes are fixed and there is money for all of them, a count of slots (`engine.plenty`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Protocol

from engine.counters import Counters
from engine.denials import Denial
from engine.lanes import Lane
from engine.messages import CapitalDenied, CapitalReserved, ReserveCapital, TradeClosed
from engine.portfolio import Portfolio
from engine.settings import RiskConfig, TradingConfig
from engine.straight import FORCE_EXIT
from engine.tape import Reel
from engine.types import ONE, Millis

if TYPE_CHECKING:
    from engine.backtest import Backtest


@dataclass(slots=True)
class Held:
    """A trade that was entered: which path of which lane, its number on the pair, its place among all entries.

    `amount` is known where the account reckons it at once. `closed` is there from the beginning where the
    machine ran it. `ends` says that it is held until the data end; `stays` that even then it is not left,
    since its last candle does not have the price: it takes a slot, and is no trade.
    """

    lane: Lane
    entry: int
    number: int
    place: int
    exit: int
    ends: bool
    amount: Decimal | None = None
    closed: TradeClosed | None = None
    stays: bool = False

    @property
    def row(self) -> int:
        """The row it was entered on."""
        return int(self.lane.rows[self.entry])


class Account(Protocol):
    """Whom a run asks whether it may enter, and tells what it did."""

    def pass_time(self, ts: Millis) -> None:
        """Let time pass until `ts`."""

    def reserve(self, lane: Lane, entry: int, ts: Millis) -> Decimal | None:
        """The stake for an entry; None where it is not to be."""

    def enter(self, held: Held, stake: Decimal, ts: Millis) -> bool:
        """Buy with the stake; whether that was enough to buy anything."""

    def leave(self, held: Held, ts: Millis) -> None:
        """The trade has ended."""

    def release(self, lane: Lane) -> None:
        """Nothing was bought for the stake that was reserved last."""


@dataclass(slots=True)
class Run:
    """A run under way; `trades` are those that have ended, in the order of their ends.

    It goes on to `until`; that is `end`, where the data end, unless an earlier try was interrupted there.
    """

    lanes: Sequence[Lane]
    account: Account
    end: Millis
    until: Millis
    trades: list[Held] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)
    now: Millis = 0
    interrupted: Millis | None = None
    numbers: list[int] = field(default_factory=list)
    entries: int = 0
    kept: list[Held] = field(default_factory=list)
    due: list[tuple[Millis, int, int, int, Held | None]] = field(default_factory=list)

    def run(self) -> None:
        """Take one thing after the other, in the order of the rules; Ctrl-C ends it there."""
        self.numbers = [0] * len(self.lanes)
        for lane in self.lanes:
            self._wait(lane, 0)
        heapify(self.due)
        try:
            while self.due and self.due[0][0] <= self.until:
                self._next()
        except KeyboardInterrupt:
            self.until = self.now
        if self.until < self.end:
            self.interrupted = self.until
            return
        self.account.pass_time(self.end)
        for held in self.kept:
            if held.stays:
                continue
            self.account.leave(held, int(held.lane.times[-1]))
            self.trades.append(held)

    def _next(self) -> None:
        """What is due next."""
        ts, _, number, entry, held = heappop(self.due)
        if ts != self.now:
            self.now = ts
            self.account.pass_time(ts)
        lane = self.lanes[number] if held is None else held.lane
        wish: int | None = entry if held is None else self._leave(held, ts)
        while wish is not None:
            wish = self._try(lane, wish, ts)

    def _wait(self, lane: Lane, entry: int) -> None:
        """The lane is flat, and waits for its next entry."""
        if entry < len(lane.entry_times):
            heappush(self.due, (lane.entry_times[entry], 1, lane.number, entry, None))

    def _try(self, lane: Lane, entry: int, ts: Millis) -> int | None:
        """Enter if it may be; the entry of a reversal on the same candle, None where there is none."""
        stake = self.account.reserve(lane, entry, ts)
        if stake is None:
            self._wait(lane, entry + 1)
            return None
        lane.know(entry)
        held = self._held(lane, entry, stake)
        if held is None or not self.account.enter(held, stake, ts):
            self.counters.refused_stakes += held is not None
            self.account.release(lane)
            self._wait(lane, entry + 1)
            return None
        self.numbers[lane.number] = held.number
        self.entries += 1
        if held.ends:
            self.kept.append(held)
            return None
        left_at = lane.times.item(held.exit)
        if left_at == ts:
            return self._leave(held, ts)
        heappush(self.due, (left_at, 0, held.place, entry, held))
        return None

    def _held(self, lane: Lane, entry: int, stake: Decimal) -> Held | None:
        number = self.numbers[lane.number] + 1
        if not lane.odd.item(entry):
            self.counters.timedout_exit_orders += lane.given_up.item(entry)
            ends = lane.reason.item(entry) == FORCE_EXIT
            return Held(lane, entry, number, self.entries, lane.exit.item(entry), ends)
        alone = by_machine(lane, entry, stake, self.end)
        self.counters.timedout_exit_orders += alone.counters.timedout_exit_orders
        self.counters.refused_stakes += alone.counters.refused_stakes
        if not alone.trades:
            amount = alone.book[lane.pair].position.amount
            last = len(lane.times) - 1
            return Held(lane, entry, number, self.entries, last, True, amount, stays=True) if amount else None
        closed = renamed(alone.trades[0], lane, number)
        row = int(lane.times.searchsorted(closed.close_ts))
        ends = closed.exit_reason == "force_exit"
        return Held(lane, entry, number, self.entries, row, ends, closed.amount, closed)

    def _leave(self, held: Held, ts: Millis) -> int | None:
        """The trade ends; the entry of the reversal that its candle's signal asks for, None where there is none."""
        lane = held.lane
        self.account.leave(held, ts)
        self.trades.append(held)
        following = lane.after.item(held.entry) if held.closed is None else lane.next_entry(held.exit)
        if lane.reverses and lane.side_at[held.exit] == -lane.sides[held.entry]:
            return following - 1
        self._wait(lane, following)
        return None


class _OneTrade(Portfolio):
    """An account for one trade with a stake that was granted elsewhere."""

    def reserve(self, ask: ReserveCapital, now: Millis) -> CapitalReserved | CapitalDenied:
        """Grant the first time only."""
        if self.earned:
            return CapitalDenied(request_id=ask.request_id, pair=ask.pair, code=Denial.ALREADY_OPEN)
        return super().reserve(ask, now)


def by_machine(lane: Lane, entry: int, stake: Decimal, end: Millis) -> Backtest:
    """Run one trade by the machine, from its entry until nothing is held."""
    from engine.backtest import Backtest  # most runs need none of it, and loading it is a tenth of a small one
    from engine.matching import Exchange
    from engine.matching import Rules as VenueRules

    trading = TradingConfig(stake_amount=stake, max_open_trades=1, tradable_balance_ratio=ONE)
    timeframe = lane.rules.settings.timeframe_ms
    account = _OneTrade(trading, RiskConfig(), (), timeframe, stake * 1_000)
    exchange = Exchange({lane.pair: lane.rules.market}, VenueRules())
    run = Backtest({lane.pair: lane.rules}, account, exchange, keeps_events=False)
    run.run_one(Reel(lane.tape, timeframe), int(lane.rows[entry]), end)
    return run


def renamed(trade: TradeClosed, lane: Lane, number: int) -> TradeClosed:
    """A trade that was run by itself, under its number on the pair."""
    return replace(trade, trade_id=f"{lane.pair}#{lane.rules.run}-{number}")
