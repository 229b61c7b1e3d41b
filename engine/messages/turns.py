"""Between the portfolio, pairs and a replay: whose turn it is on a candle."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from engine.margin import FundingRate
from engine.messages.base import Message
from engine.messages.judging import Signal
from engine.types import Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRow(Message):
    """One candle of one pair, and the signal that was judged on the candle before it.

    `price_step` is the market's in this candle's month, None for what it was before. `funding` is what was
    due since the row before. A row of a finer timeframe carries its candle's signal, and in `candle_ts` its
    candle's time (2.7). `final`: the data
    has ended, so the pair leaves at `open`, its last candle's (`semantics.md` 2.6).
    """

    pair: str
    ts: Millis
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    signal: Signal
    last_entry: bool = False
    price_step: Decimal | None = None
    funding: tuple[FundingRate, ...] = ()
    candle_ts: Millis | None = None
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRound(Message):
    """replay → portfolio: give these pairs their turns on the candle `ts`, in the stated order (2.1.4)."""

    ts: Millis
    rows: tuple[TurnRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proceed(Message):
    """portfolio → pair: it is your turn."""

    row: TurnRow


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSettled(Message):
    """pair → portfolio: my turn on the candle `ts` is over."""

    pair: str
    ts: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundEnded(Message):
    """portfolio → replay: all have had their turn on the candle `ts`."""

    ts: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class DataEnded(Message):
    """replay, backtest → pair: no more candles; leave at `price`, dated `ts` (`semantics.md` 2.6)."""

    pair: str
    ts: Millis
    price: Decimal
