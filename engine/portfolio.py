"""The account: who may enter, with how much, and when nobody may.

Rules
    Capital is granted by reservation, and a reservation counts as spent until the pair says what it
    holds instead; so pairs that ask at once cannot together be given more than there is.
    `free` = start + closed profit + realised profit of open trades - all that is tied (2.5).
    The kill switch has several hands (the user, risk limits, a full disk); the strictest one holds,
    and each lets go of its own only.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final

from engine.chronicle import Chronicle
from engine.codec import from_plain, to_plain
from engine.denials import Denial
from engine.messages import (
    CapitalDenied,
    CapitalReserved,
    ExposureChanged,
    ReserveCapital,
    SetTradingState,
    TradeClosed,
)
from engine.protections import DAY_MS, Lock, Protection
from engine.settings import RiskConfig, TradingConfig
from engine.sizing import proposed_stake, validated_stake
from engine.summed import Summed
from engine.types import ZERO, Millis, TradingState, trade_order
from engine.venue_capital import VenueCapital

OF_THIS_RUN: Final = ("disk", "shutdown", "reads")
"""Hands of the kill switch that are not kept: who has them says so again, and nobody else would let go."""
STRICTNESS = {TradingState.ACTIVE: 0, TradingState.EXITS_ONLY: 1, TradingState.STOPPED: 2}
Hold = tuple[TradingState, str]
"""What a hand of the kill switch wants, and why."""


_stake: Final = attrgetter("stake")
_close_ts: Final = attrgetter("close_ts")
_realized: Final = attrgetter("realized")


@dataclass(slots=True)
class Portfolio:
    """The account's state and its answers. Not shared: one owner calls it in turn.

    `exits_only` are pairs that are there for what they still hold, and not to be entered. With `venue` the
    capital is what the exchange says; `start` is then what it had when we first looked, and ZERO before.
    `chronicle` is there where the strategy looks at all trades.
    """

    trading: TradingConfig
    risk: RiskConfig
    protections: Sequence[Protection]
    timeframe_ms: Millis
    start: Decimal
    epoch: int = 1
    exits_only: frozenset[str] = frozenset()
    venue: VenueCapital | None = None
    earned: dict[str, Decimal] = field(default_factory=dict)
    closed_profit: Decimal = ZERO
    exposures: Summed[ExposureChanged] = field(default_factory=lambda: Summed(_stake, _realized))
    reserved: Summed[CapitalReserved] = field(default_factory=lambda: Summed(_stake))
    locks: list[Lock] = field(default_factory=list)
    heard: dict[str, str] = field(default_factory=dict)
    closed: deque[TradeClosed] = field(default_factory=deque)
    holds: dict[str, Hold] = field(default_factory=dict)
    chronicle: Chronicle | None = None
    peak: Decimal = ZERO
    day: Millis = 0
    day_start: Decimal = ZERO
    rejected: int = 0

    def __post_init__(self) -> None:
        self.peak = self.peak or self.balance
        self.day_start = self.day_start or self.balance

    # ------------------------------------------------------------ figures

    @property
    def balance(self) -> Decimal:
        """Start plus what closed trades have earned."""
        return self.start + self.closed_profit

    @property
    def tied(self) -> Decimal:
        """Stakes of open trades and reservations."""
        return self.exposures.total() + self.reserved.total()

    @property
    def free(self) -> Decimal:
        """What is not tied up."""
        return self.balance + self.exposures.total(1) - self.tied

    @property
    def open_trades(self) -> int:
        """Slots in use: open trades, unfilled entries and reservations."""
        return len(self.exposures.keys() | self.reserved.keys())

    @property
    def state(self) -> TradingState:
        """The kill switch: the strictest of its hands."""
        return max((s for s, _ in self.holds.values()), key=STRICTNESS.__getitem__, default=TradingState.ACTIVE)

    @property
    def open_order(self) -> list[str]:
        """The pairs of open trades, in opening order."""
        return sorted(self.exposures, key=lambda p: self.exposures[p].opened_at)

    # ------------------------------------------------------------ asking

    def reserve(self, ask: ReserveCapital, now: Millis) -> CapitalReserved | CapitalDenied:
        """Grant or deny; a repeated request gets the answer it had."""
        held = self.reserved.get(ask.pair)
        if held is not None and held.request_id == ask.request_id:
            return held
        if held is not None:
            del self.reserved[ask.pair]  # the pair asks anew: for more, or because it has forgotten
        code, detail = self._refusal(ask, now)
        if code is not None:
            return self._denied(ask, code, detail)
        free, tied = self.free + ask.replaces, self.tied - ask.replaces
        stake, available = proposed_stake(self.trading, free=free, tied=tied, profit=self.closed_profit)
        if ask.stake is not None:
            stake = min(ask.stake, available)
        detail = f"{available:f} available"
        if self.venue is not None:
            holds = self.exposures.get(ask.pair)
            room, why = self.venue.room(ask.pair, (holds.stake if holds else ZERO) - ask.replaces, now)
            if room < available:
                stake, available, detail = min(stake, room), room, f"{room:f} available: {why}"
        if stake <= ZERO:
            return self._denied(ask, Denial.NOT_ENOUGH_CAPITAL, detail)
        granted = validated_stake(stake, least=ask.stake_min, most=ask.stake_max, available=available)
        if granted <= ZERO:
            return self._denied(
                ask, Denial.STAKE_UNDER_MINIMUM, f"stake {stake:f}, the market takes {ask.stake_min:f} or more"
            )
        code, detail = self._over_exposure(ask, granted)
        if code is not None:
            return self._denied(ask, code, detail)
        answer = CapitalReserved(
            request_id=ask.request_id,
            pair=ask.pair,
            stake=granted,
            available=available,
            epoch=self.epoch,
            leverage=ask.leverage,
        )
        self.reserved[ask.pair] = answer
        if self.venue is not None:
            self.venue.promise(ask.pair, granted, now)
        return answer

    def _refusal(self, ask: ReserveCapital, now: Millis) -> tuple[Denial | None, str]:
        state = self.state
        if state is not TradingState.ACTIVE:
            reason = next(why for held, why in self.holds.values() if held is state)
            return (Denial.STOPPED if state is TradingState.STOPPED else Denial.EXITS_ONLY), reason
        if ask.adding:
            return None, ""
        if ask.pair in self.exposures:
            return Denial.ALREADY_OPEN, ""
        if ask.pair in self.exits_only:
            return Denial.PAIR_LOCKED, "it is not configured any more; only what it holds is looked after"
        lock = self.lock_on(ask.pair, ask.side.value, now)
        if lock is not None:
            is_protection = any(lock.reason.startswith(p.method) for p in self.protections)
            return (Denial.PROTECTION if is_protection else Denial.PAIR_LOCKED), f"{lock.reason}, until {lock.until}"
        slots = self.trading.max_open_trades
        # Those in use are counted exactly only where it may matter: hundreds of pairs ask in one round.
        if 0 <= slots <= len(self.exposures) + len(self.reserved) and slots <= self.open_trades:
            self.rejected += 1
            return Denial.NO_FREE_SLOT, f"{self.open_trades} of {slots} in use"
        return None, ""

    def _over_exposure(self, ask: ReserveCapital, stake: Decimal) -> tuple[Denial | None, str]:
        size = (stake - ask.replaces) * ask.leverage
        pair = self.exposures.get(ask.pair)
        of_pair = size + (pair.stake * pair.leverage if pair else ZERO)
        limit = self.risk.max_exposure_per_pair
        if limit is not None and of_pair > limit:
            return Denial.MAX_EXPOSURE_PAIR, f"{of_pair:f} of {limit:f}"
        limit = self.risk.max_exposure
        if limit is not None:
            total = size + sum((e.stake * e.leverage for e in self.exposures.values()), ZERO)
            total += sum((r.stake * r.leverage for p, r in self.reserved.items() if p != ask.pair), ZERO)
            if total > limit:
                return Denial.MAX_EXPOSURE, f"{total:f} of {limit:f}"
        return None, ""

    def _denied(self, ask: ReserveCapital, code: Denial, detail: str) -> CapitalDenied:
        return CapitalDenied(request_id=ask.request_id, pair=ask.pair, code=code, detail=detail)

    # ------------------------------------------------------------ hearing

    def exposure_changed(self, exposure: ExposureChanged) -> None:
        """A pair says what it ties up; its reservation is spent or released by it."""
        self.reserved.pop(exposure.pair, None)
        self.closed_profit += exposure.earned - self.earned.get(exposure.pair, ZERO)
        self.earned[exposure.pair] = exposure.earned
        if exposure.trade_id:
            self.exposures[exposure.pair] = exposure
        else:
            self.exposures.pop(exposure.pair, None)

    def balances_changed(self, balances: Sequence[tuple[str, Decimal, Decimal]], now: Millis) -> None:
        """What the venue says of each currency; it matters where the capital is its word."""
        if self.venue is not None:
            self.venue.heard(balances, now)

    def reconcile(self, now: Millis) -> Decimal:
        """Let the start follow what the exchange says; by how much it has moved. It is neither profit nor loss."""
        if self.venue is None:
            return ZERO
        books = self.balance + self.exposures.total(1)
        if not self.venue.futures:
            books -= sum((e.amount * e.open_rate for e in self.exposures.values()), ZERO)
        first = self.start == ZERO and self.venue.known
        moved = self.venue.total - books if first else self.venue.moved(books, now)
        if moved:
            self.start += moved
            self.peak += moved
            self.day_start += moved
        return moved

    def assume(self, pair: str, now: Millis) -> None:
        """Reckon with a whole stake on `pair`, which cannot say what it holds; its own word replaces this."""
        stake, _ = proposed_stake(self.trading, free=self.free, tied=self.tied, profit=self.closed_profit)
        exposure = ExposureChanged(
            pair=pair, trade_id=f"{pair}#unknown", stake=stake, opened_at=now, earned=self.earned.get(pair, ZERO)
        )
        self.exposure_changed(exposure)

    def trade_closed(self, trade: TradeClosed) -> tuple[list[Lock], SetTradingState | None]:
        """The locks and the halt that a closed trade brings; its profit came with the pair's exposure.

        A pair's trades come in order; a repetition brings nothing.
        """
        if self.has_heard(trade):
            return [], None
        self.heard[trade.pair] = trade.trade_id
        self._new_day(trade.close_ts, trade.profit_abs)
        self.peak = max(self.peak, self.balance)
        self._remember(trade)
        if self.chronicle is not None:
            self.chronicle.close(trade)
        found = [
            lock
            for protection in self.protections
            for lock in protection.locks(trade, self.closed, self.start, self.timeframe_ms)
        ]
        self.locks = [lock for lock in self.locks if lock.until > trade.close_ts] + found
        return found, self._limit_passed()

    def has_heard(self, trade: TradeClosed) -> bool:
        """Whether this trade, or a later one of its pair, is in the books."""
        last = self.heard.get(trade.pair)
        return last is not None and trade_order(trade.trade_id) <= trade_order(last)

    def _remember(self, trade: TradeClosed) -> None:
        longest = max((p.lookback_ms for p in self.protections), default=0)
        if any(p.mode == "equity" for p in self.protections):
            longest = max(longest, 365 * DAY_MS)
        if not longest:
            return
        insort(self.closed, trade, key=_close_ts)  # some pairs are heard late
        while self.closed and self.closed[0].close_ts <= trade.close_ts - longest:
            self.closed.popleft()

    def _new_day(self, now: Millis, since: Decimal = ZERO) -> None:
        day = now - now % DAY_MS
        if day > self.day:  # closes of several pairs may be told around midnight in any order
            self.day, self.day_start = day, self.balance - since
            held = self.holds.get("daily_loss")
            if held is not None:
                del self.holds["daily_loss"]

    def _limit_passed(self) -> SetTradingState | None:
        risk, balance = self.risk, self.balance
        if risk.max_drawdown is not None and self.peak > ZERO and "drawdown" not in self.holds:
            fall = (self.peak - balance) / self.peak
            if fall > risk.max_drawdown:
                return SetTradingState(
                    state=TradingState.EXITS_ONLY,
                    reason=f"drawdown {fall:.2%} passed risk.max_drawdown {risk.max_drawdown:.2%}",
                    source="drawdown",
                )
        if risk.max_daily_loss is not None and self.day_start > ZERO and "daily_loss" not in self.holds:
            loss = (self.day_start - balance) / self.day_start
            if loss > risk.max_daily_loss:
                return SetTradingState(
                    state=TradingState.EXITS_ONLY,
                    reason=f"loss of the day {loss:.2%} passed risk.max_daily_loss {risk.max_daily_loss:.2%}",
                    source="daily_loss",
                )
        return None

    def set_state(self, order: SetTradingState) -> bool:
        """Turn one hand of the kill switch; whether the switch itself moved. The user's ACTIVE lifts risk halts."""
        before = self.state
        if order.state is TradingState.ACTIVE:
            self.holds.pop(order.source, None)
            if order.source == "user":
                self.holds.pop("foreign_order", None)
                self.peak = self.balance if self.holds.pop("drawdown", None) else self.peak
                self.day_start = self.balance if self.holds.pop("daily_loss", None) else self.day_start
        else:
            self.holds[order.source] = (order.state, order.reason)
        return self.state is not before

    def tick(self, now: Millis) -> bool:
        """Let time pass: a new UTC day lifts the daily loss, ended locks go. Whether the switch moved."""
        before = self.state
        self._new_day(now)
        self.locks = [lock for lock in self.locks if lock.until > now]
        return self.state is not before

    def lock_on(self, pair: str, side: str, now: Millis) -> Lock | None:
        """The lock that forbids entering `pair` on `side` at `now`, if there is one."""
        return next((lock for lock in self.locks if lock.covers(pair, side, now)), None)

    # ------------------------------------------------------------ keeping

    def to_plain(self) -> dict[str, Any]:
        """What a new incarnation must know that the pairs cannot tell it."""
        past = {} if self.chronicle is None else {"past": self.chronicle.closed, "past_count": self.chronicle.count}
        return past | {
            "start": str(self.start),
            "earned": {pair: str(profit) for pair, profit in self.earned.items() if profit},
            "heard": self.heard,
            "closed": [to_plain(trade) for trade in self.closed],
            "peak": str(self.peak),
            "day": self.day,
            "day_start": str(self.day_start),
            "holds": {
                source: [state.value, why] for source, (state, why) in self.holds.items() if source not in OF_THIS_RUN
            },
            "locks": [[k.pair, k.side, k.until, k.reason] for k in self.locks],
        }

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Take over what `to_plain` kept."""
        self.start = Decimal(plain["start"])
        self.earned = {pair: Decimal(profit) for pair, profit in plain["earned"].items()}
        self.closed_profit = sum(self.earned.values(), ZERO)
        self.heard = dict(plain["heard"])
        self.peak = Decimal(plain["peak"])
        self.day = int(plain["day"])
        self.day_start = Decimal(plain["day_start"])
        self.holds = {source: (TradingState(state), why) for source, (state, why) in plain["holds"].items()}
        self.locks = [Lock(pair=p, side=s, until=u, reason=r) for p, s, u, r in plain["locks"]]
        self.closed = deque(from_plain(TradeClosed, trade) for trade in plain["closed"])
        if self.chronicle is not None:
            self.chronicle.restore(plain.get("past", ()), int(plain.get("past_count", 0)))
