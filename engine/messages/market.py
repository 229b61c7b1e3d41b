"""What the feed says of the market, and what it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from engine.candles import Candle
from engine.messages.base import Message
from engine.quotes import Quote
from engine.types import Millis, Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class CandlesClosed(Message):
    """feed → judges: these candles that opened at `ts` have closed; one message a judge, all its pairs in it."""

    timeframe_ms: Millis
    ts: Millis
    candles: tuple[tuple[str, Candle], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLoaded(Message):
    """feed → judge: the candles before the first live one, for the windows of these pairs.

    `rows` are candles, oldest first; a pair may have fewer than asked for.
    """

    timeframe_ms: Millis
    pairs: tuple[tuple[str, tuple[Candle, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadHistory(Message):
    """judge → feed: send the last `count` closed candles of these pairs, then every new one."""

    pairs: tuple[str, ...]
    count: int
    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRange(Message):
    """Where a price went: a `whole` candle in a backtest, live the ticks since the last message, often one price."""

    pair: str
    ts: Millis
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    whole: bool = False

    @property
    def is_point(self) -> bool:
        """Whether it is the price of a moment: nothing to guess about what came first inside it."""
        return self.high == self.low and not self.whole


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchPrice(Message):
    """pair → feed: send me this pair's `MarketRange`s from now on (`watch`), or no more."""

    pair: str
    watch: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AskQuote(Message):
    """pair → feed: tell me both sides of the book at `level`, 1 being the best; with `levels`, what rests on so many.

    No answer within `deadline_ms` is one too: the pair takes what it does without a quote.
    """

    request_id: str
    pair: str
    level: int = 1
    levels: int = 0
    priority: Priority = Priority.ENTRY
    deadline_ms: Millis = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteTold(Message):
    """feed → pair: the quote; None, and why there is none."""

    request_id: str
    pair: str
    quote: Quote | None = None
    failed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketStirred(Message):
    """a market's own thread → feed: something has come; look."""
