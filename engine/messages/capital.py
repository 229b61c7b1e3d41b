"""Between pairs and the portfolio: capital, slots, closed trades, locks and the kill switch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from engine.messages.base import Message, Plain
from engine.types import ONE, ZERO, Millis, Side, TradingState


@dataclass(frozen=True, slots=True, kw_only=True)
class ReserveCapital(Message):
    """pair → portfolio: may I enter, and with how much?

    `round_ts` is the candle close whose round this belongs to. `stake_min`/`stake_max` are the
    market's bounds at `price`, in the stake currency. `adding` is a further entry of an open trade:
    it needs no slot, and `replaces` is the capital of entries that make room for it. `stake` fixes the amount (a strategy's own); None takes the configured one. `forced`
    (by a user) does not wait for a round.
    """

    request_id: str
    pair: str
    side: Side
    price: Decimal
    round_ts: Millis
    stake_min: Decimal
    stake_max: Decimal | None
    score: float = 0.0
    adding: bool = False
    replaces: Decimal = ZERO
    stake: Decimal | None = None
    leverage: Decimal = ONE
    forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PassTurn(Message):
    """pair → portfolio: I was expected in this round and do not ask after all."""

    pair: str
    round_ts: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class CapitalReserved(Message):
    """portfolio → pair: `stake` is yours until you use it or release it; `available` is the most there was.

    `epoch` is the portfolio's incarnation: an intent that carries an older one is refused. `leverage` is
    the one that was asked for.
    """

    request_id: str
    pair: str
    stake: Decimal
    available: Decimal
    epoch: int
    leverage: Decimal = ONE


@dataclass(frozen=True, slots=True, kw_only=True)
class CapitalDenied(Message):
    """portfolio → pair: no, because of `code` (a `Denial`); `detail` says it in words."""

    request_id: str
    pair: str
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureChanged(Message):
    """pair → portfolio: what this pair ties up now; replaces what it said before.

    `stake` is the capital in the position and in unfilled entries, `realized` what partial exits of
    the open trade have booked. `trade_id` empty means flat: nothing is tied, the slot is free.
    `opened_at` orders the open trades. `earned` sums the profits of all the pair's closed trades: a
    total, so that a lost message loses nothing. `stake` × `leverage` is what the pair's positions and
    unfilled entries come to at their prices; `waiting` is the part of the stake that is in unfilled entries.
    """

    pair: str
    trade_id: str
    stake: Decimal
    realized: Decimal = ZERO
    opened_at: Millis = 0
    side: Side = Side.LONG
    amount: Decimal = ZERO
    open_rate: Decimal = ZERO
    earned: Decimal = ZERO
    leverage: Decimal = ONE
    waiting: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeClosed(Message):
    """pair → portfolio, journal: a trade's end, with all that `replay --export` and SQL say of it."""

    pair: str
    trade_id: str
    side: Side
    open_ts: Millis
    close_ts: Millis
    open_rate: Decimal
    close_rate: Decimal
    amount: Decimal
    stake: Decimal
    leverage: Decimal
    fee_open: Decimal
    fee_close: Decimal
    profit_abs: Decimal
    profit_ratio: Decimal
    exit_reason: str
    enter_tag: str
    max_rate: Decimal
    min_rate: Decimal
    initial_stop: Decimal
    stop: Decimal
    fees: tuple[tuple[str, Decimal], ...] = ()
    funding_fees: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class TradesClosed(Message):
    """pair → portfolio: every closed trade of mine that you have not acknowledged, the oldest first."""

    trades: tuple[TradeClosed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TradesHeard(Message):
    """portfolio → pair: this closed trade, and all of yours before it, are in the account's books and on disk."""

    pair: str
    trade_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeCensus(Message):
    """portfolio → pairs: what do you hold? A new portfolio grants nothing before all have answered.

    Asked again now and then, so that a message that was lost does not stay lost.
    """

    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CensusAnswered(Message):
    """pair → portfolio: what I hold, for the census of `epoch`, and the closed trades it has not acknowledged.

    `asking`: I wait for capital, so what is reserved for me is still wanted. `view` is the open trade, of
    strategies that look at all trades.
    """

    epoch: int
    exposure: ExposureChanged
    closed: tuple[TradeClosed, ...] = ()
    asking: bool = False
    view: Mapping[str, Plain] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTradingState(Message):
    """control, portfolio's own limits, disk watch, gateway → portfolio: turn the kill switch."""

    state: TradingState
    reason: str
    source: str  # user | drawdown | daily_loss | disk | shutdown | foreign_order | reads


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingStateChanged(Message):
    """portfolio → pairs, notifier: the kill switch stands at `state` now; `ending`: nobody looks after orders any more."""

    state: TradingState
    reason: str
    ending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LockPair(Message):
    """pair or judge (for the strategy) or control → portfolio: no entries on `pair` (`*`: all) until `until`.

    One with a `request_id` is answered with `WishHeard` when it is on disk; a repetition changes nothing.
    """

    pair: str
    side: str  # long | short | *
    until: Millis
    reason: str
    request_id: str = ""
    reply_to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockPair(Message):
    """pair or judge (for the strategy) → portfolio: lift the locks of `pair` on `side` (`*`: any), or, where no pair
    is named, all that were made for `reason`. Answered as `LockPair` is.
    """

    pair: str = ""
    side: str = "*"
    reason: str = ""
    request_id: str = ""
    reply_to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WishHeard(Message):
    """portfolio → pair: the lock that was wished for, or its end, is on disk."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeTold(Message):
    """pair → portfolio: my open trade, as `engine.views.TradeView` has it; of strategies that look at all trades."""

    pair: str
    view: Mapping[str, Plain]
