"""A pair's complete turn on one candle: who is asked what, in which order (`semantics.md` 2.3).

Backtest and replay give turns; live, the same events come as they happen. `Turn` only says what is
next; the machine decides what it means. A pair settles when its turn has nothing more to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum, auto

from engine.margin import FundingRate
from engine.messages import AdjustPosition, DataEnded, MarketRange, ReviewOrders, SignalJudged, TurnRow
from engine.types import ZERO, OrderStatus, Purpose
from engine.work import Trade

AWAITED = (OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL, OrderStatus.IN_DOUBT)


@dataclass(frozen=True, slots=True)
class Settle:
    """What a turn wants besides events: let the venue pay the funding that is due."""

    due: tuple[FundingRate, ...]


class Match(Enum):
    """What a turn wants besides events: let the venue fill what this candle fills, entries alone or all."""

    ENTRIES = auto()
    ALL = auto()


Wanted = ReviewOrders | SignalJudged | AdjustPosition | MarketRange | DataEnded | Match | Settle
"""What a turn may say is next."""


_REVIEW, _JUDGE, _FILL_ENTRY, _FUND, _ADJUST, _FILL_ADJUSTED, _LOOK, _FILL_EXIT, _END = range(9)
"""The phases of a turn, in order."""


class Turn:
    """What comes next in a pair's turn. Ask `next` whenever the trade is not busy; None is the end."""

    __slots__ = ("_again", "_intents", "_phase", "row")

    def __init__(self, row: TurnRow) -> None:
        self.row = row
        self._phase = _REVIEW
        self._again = False
        self._intents = 0

    def judge_again(self) -> None:
        """The machine wants the candle's signal judged once more: a reversal."""
        self._again = not self.row.final

    @property
    def bounds(self) -> tuple[Decimal, Decimal]:
        """The prices the venue may fill at: the candle's, also where the data ends with it."""
        return self.row.low, self.row.high

    def next(self, trade: Trade) -> Wanted | None:
        """The next event, a `Match`, a `Settle`, or None when the pair has settled."""
        while True:
            if self._phase == _END:
                if not self._again:
                    return None
                self._again, self._phase = False, _JUDGE
            phase = self._phase
            self._phase += 1
            if phase == _REVIEW and self._is_over(trade):
                return None
            wanted = self._at(phase, trade)
            if wanted is not None:
                return wanted

    def _at(self, phase: int, trade: Trade) -> Wanted | None:
        """What the phase wants of this trade, None for nothing."""
        row, held = self.row, trade.position.amount > ZERO
        if phase == _JUDGE:
            return None if self._is_judged(trade) else self._first()
        if phase == _FILL_EXIT:
            return Match.ALL if trade.working() else None
        if phase == _FUND:
            if not row.funding or not held:
                return None
            due = tuple(rate for rate in row.funding if rate.ts >= trade.filled_at)
            return Settle(due) if due else None
        if row.final:
            return None
        if phase == _REVIEW:  # frees the pair for this candle's own signal
            return ReviewOrders(pair=row.pair, ts=row.ts, price=row.open) if trade.working() else None
        if phase == _FILL_ENTRY:
            return Match.ENTRIES if trade.working(Purpose.ENTRY) else None
        if phase == _ADJUST:
            self._intents = trade.intents
            if not held or not trade.rules.settings.position_adjustment:
                return None
            return AdjustPosition(pair=row.pair, ts=row.ts, price=row.open, high=row.high, low=row.low)
        if phase == _FILL_ADJUSTED:
            return Match.ALL if trade.intents != self._intents else None
        return self._range() if held else None

    def _is_over(self, trade: Trade) -> bool:
        """Whether a trade has closed in this row's candle, not on the row it began on: the pair waits (2.7)."""
        return trade.over_ts == self.row.candle_ts and not trade.position.amount and not trade.working()

    def _is_judged(self, trade: Trade) -> bool:
        """Whether an earlier row of the candle has told its signal, and it cannot make the pair enter here."""
        if trade.signal_ts != self.row.candle_ts:
            return False
        signal = self.row.signal
        return bool(trade.position.amount or trade.working()) or not (signal.enter_long or signal.enter_short)

    def _first(self) -> SignalJudged | DataEnded:
        row = self.row
        if row.final:
            return DataEnded(pair=row.pair, ts=row.ts, price=row.open)
        return SignalJudged(
            pair=row.pair,
            ts=row.ts if row.candle_ts is None else row.candle_ts,
            signal=row.signal,
            price=row.open,
            last_entry=row.last_entry,
            high=row.high,
            low=row.low,
        )

    def _range(self) -> MarketRange:
        row = self.row
        return MarketRange(
            pair=row.pair, ts=row.ts, open=row.open, high=row.high, low=row.low, close=row.close, whole=True
        )


def is_busy(trade: Trade) -> bool:
    """Whether an answer is still to come, so that the turn must wait."""
    if trade.told or (trade.pending is not None and trade.pending.waiting):
        return True
    return any(o.status in AWAITED for o in trade.orders.values())


def turn_order(open_pairs: Sequence[str], pairs: Iterable[str]) -> list[str]:
    """The order of turns on a candle: pairs of open trades as they were opened, then the list's."""
    wanted = list(pairs)
    there = set(wanted)
    first = [p for p in open_pairs if p in there]
    there.difference_update(first)
    return first + [p for p in wanted if p in there]


def with_price_step(trade: Trade, row: TurnRow) -> Trade:
    """`trade` under the price step of the row's month (2.1.6); the same object where that is no news."""
    rules = trade.rules
    if row.price_step is None or row.price_step == rules.market.price_step:
        return trade
    twin = trade.copy()
    twin.rules = replace(rules, market=replace(rules.market, price_step=row.price_step))
    return twin
