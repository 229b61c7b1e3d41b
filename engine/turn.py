"""A pair's complete turn on one candle: who is asked what, in which order (`semantics.md` 2.3).

Backtest and replay give turns; live, the same events come as they happen. `Turn` only says what is
next; the machine decides what it means. A pair settles when its turn has nothing more to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, auto

from engine.messages import MarketRange, SignalJudged, TurnRow
from engine.order import Order
from engine.types import ZERO, OrderStatus
from engine.work import Trade

AWAITED = (OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL, OrderStatus.IN_DOUBT)


class Match(Enum):
    """What a turn wants besides events: let the venue fill what this candle fills."""

    NOW = auto()


class _Phase(Enum):
    JUDGE = auto()
    FILL_ENTRY = auto()
    LOOK = auto()
    FILL_EXIT = auto()
    END = auto()


class Turn:
    """What comes next in a pair's turn. Ask `next` whenever the trade is not busy; None is the end."""

    __slots__ = ("_again", "_phase", "row")

    def __init__(self, row: TurnRow) -> None:
        self.row = row
        self._phase = _Phase.JUDGE
        self._again = False

    def judge_again(self) -> None:
        """The machine wants the candle's signal judged once more: a reversal."""
        self._again = True

    def next(self, trade: Trade) -> SignalJudged | MarketRange | Match | None:
        """The next event, or `Match.NOW`, or None when the pair has settled."""
        row = self.row
        while True:
            if self._phase is _Phase.END:
                if not self._again:
                    return None
                self._again, self._phase = False, _Phase.JUDGE
            phase, self._phase = self._phase, _Phase(self._phase.value + 1)
            if phase is _Phase.JUDGE:
                return SignalJudged(
                    pair=row.pair, ts=row.ts, signal=row.signal, price=row.open, last_entry=row.last_entry
                )
            if phase is _Phase.LOOK:
                if trade.position.amount > ZERO:
                    return MarketRange(
                        pair=row.pair, ts=row.ts, open=row.open, high=row.high, low=row.low, close=row.close
                    )
            elif any(_rests(o) for o in trade.orders.values()):
                return Match.NOW


def _rests(order: Order) -> bool:
    return not order.is_done


def is_busy(trade: Trade) -> bool:
    """Whether an answer is still to come, so that the turn must wait."""
    if trade.pending is not None and trade.pending.waiting:
        return True
    return any(o.status in AWAITED for o in trade.orders.values())


def turn_order(open_pairs: Sequence[str], pairs: Iterable[str]) -> list[str]:
    """The order of turns on a candle: pairs of open trades as they were opened, then the list's."""
    wanted = list(pairs)
    first = [p for p in open_pairs if p in set(wanted)]
    return first + [p for p in wanted if p not in set(first)]
