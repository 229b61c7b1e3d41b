"""Between judges, pairs and the portfolio: what the strategies say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from engine.messages.base import Message, Plain
from engine.messages.capital import LockPair, UnlockPair
from engine.types import Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal(Message):
    """What the strategy says of one closed candle. Tags are at most 255 characters."""

    enter_long: bool = False
    exit_long: bool = False
    enter_short: bool = False
    exit_short: bool = False
    enter_tag: str = ""
    exit_tag: str = ""
    score: float = 0.0

    def __bool__(self) -> bool:
        return self.enter_long or self.exit_long or self.enter_short or self.exit_short


NO_SIGNAL = Signal()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalJudged(Message):
    """judge → pair: the strategy's signal of the candle that closed at `ts`, and the price to act at.

    `ts` is the close of the judged candle, which is the open of the one it is acted in.
    `price` is that candle's open where it is known, else the close that was judged.
    `last_entry` forbids entries: the data ends with this candle (`semantics.md` 2.3.2). `high` and `low`
    bound a limit entry's price where the candle is known: beyond it would be a stop order.
    """

    pair: str
    ts: Millis
    signal: Signal
    price: Decimal
    last_entry: bool = False
    high: Decimal | None = None
    low: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewOrders(Message):
    """turn → machine: the candle opens at `price`; look after the orders that rest (`semantics.md` 2.3.1)."""

    pair: str
    ts: Millis
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustPosition(Message):
    """turn → machine: the position may be changed at the candle's open, `price` (2.3.4). `high` and `low` bound limits."""

    pair: str
    ts: Millis
    price: Decimal
    high: Decimal
    low: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundJudged(Message):
    """judge → portfolio: of the candle that closed at `ts`, these pairs wish to enter; the others don't.

    `judged` counts candles with and without a signal, `failed` those that gave no judgement.
    """

    judge: str
    ts: Millis
    wishes: tuple[str, ...]
    judged: int
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyFailed(Message):
    """judge → pair: the user's code raised, hung, or answered nonsense for this pair; `reason` says which."""

    pair: str
    ts: Millis
    reason: str
    quarantined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AskStrategy(Message):
    """pair → judge: call the strategy's `callback` with `arguments` (plain values, by name).

    Of a strategy that looks at the account the pair tells it to the portfolio, which adds the `account` (the
    fields of `engine.views.AccountView`) and tells it on to `judge`.
    """

    request_id: str
    pair: str
    callback: str
    arguments: Mapping[str, Plain]
    reply_to: str
    judge: str = ""
    account: Mapping[str, Plain] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTold(Message):
    """portfolio → judges: the account has changed; for strategies that look at it while they judge candles."""

    account: Mapping[str, Plain]


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyAnswered(Message):
    """judge → pair: what the callback returned; `failed` why the default must serve: the strategy's fault, or `excused`.

    `custom_data` is what the callback has set on its trade, `trade_id`; it is kept with the trade. `wishes` are
    the locks that it wants made and lifted, in this order.
    """

    request_id: str
    pair: str
    answer: Plain = None
    failed: str = ""
    excused: bool = False
    trade_id: str = ""
    custom_data: Mapping[str, Plain] | None = None
    wishes: tuple[LockPair | UnlockPair, ...] = ()
