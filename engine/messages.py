"""Everything that can be said between actors: THE list.

Rules
    Frozen dataclasses of plain values. Commands are imperative, events are in the past tense.
    Only `tell`: a reply is a message too. What can be lost is asked again, so every request has an
    id and its receiver is idempotent. Addresses are names (`pair:BTC/USDT`, `portfolio`), looked up
    when sending. `reply_to` is such a name.
    Times in `ts` are market time in milliseconds (`Millis`); `*_at` of the machine's own clock say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from engine.candles import Candle
from engine.margin import FundingRate
from engine.order import Fill, Order
from engine.types import ONE, ZERO, Millis, Priority, Side, TradingState

Plain = Any
"""A JSON-able value: str, int, float, bool, None, list or dict of such."""


class Message:
    """Base of everything that is told."""

    __slots__ = ()


# ---------------------------------------------------------------- market data (feed →)


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
    """Where a price went: a whole candle in a backtest, live the ticks since the last message, often one price."""

    pair: str
    ts: Millis
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal

    @property
    def is_point(self) -> bool:
        """Whether it is one price: nothing to guess about what came first inside it."""
        return self.high == self.low


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchPrice(Message):
    """pair → feed: send me this pair's `MarketRange`s from now on (`watch`), or no more."""

    pair: str
    watch: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAlert(Message):
    """feed → persistence, notifier: something was wrong with a pair's market data, and what was done."""

    pair: str
    ts: Millis
    kind: str  # gap | duplicate | out_of_order | absurd | stale
    detail: str
    count: int = 1


# ---------------------------------------------------------------- judging (judge ↔ pair, portfolio)


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
    """pair → judge: call the strategy's `callback` with `arguments` (plain values, by name)."""

    request_id: str
    pair: str
    callback: str
    arguments: Mapping[str, Plain]
    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyAnswered(Message):
    """judge → pair: what the callback returned; `failed` why the default must serve: the strategy's fault, or `excused`.

    `custom_data` is what the callback has set on its trade, `trade_id`; it is kept with the trade.
    """

    request_id: str
    pair: str
    answer: Plain = None
    failed: str = ""
    excused: bool = False
    trade_id: str = ""
    custom_data: Mapping[str, Plain] | None = None


# ---------------------------------------------------------------- capital (pair ↔ portfolio)


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
    unfilled entries come to at their prices.
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

    `asking`: I wait for capital, so what is reserved for me is still wanted.
    """

    epoch: int
    exposure: ExposureChanged
    closed: tuple[TradeClosed, ...] = ()
    asking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTradingState(Message):
    """control, portfolio's own limits, disk watch → portfolio: turn the kill switch."""

    state: TradingState
    reason: str
    source: str  # user | drawdown | daily_loss | disk | shutdown | foreign_order


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingStateChanged(Message):
    """portfolio → pairs, notifier: the kill switch stands at `state` now."""

    state: TradingState
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockPair(Message):
    """pair (for its strategy) or control → portfolio: no entries on `pair` (`*`: all) until `until`."""

    pair: str
    side: str  # long | short | *
    until: Millis
    reason: str


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


# ---------------------------------------------------------------- journal (all ↔ persistence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event for the journal. `stream` is `domain` (equal in backtest, replay and live) or `ops`.

    `body` holds plain values, decimals, and frozen dataclasses of such.
    """

    kind: str
    ts: Millis
    body: Mapping[str, Plain]
    stream: str = "domain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Message):
    """anyone → persistence: put these on disk, in this order, and then say `Recorded`.

    `seq` counts the writer's own records, from the last recorded one on, over restarts: a repetition
    is recognised by it. `state` is the writer's whole state after the entries (plain values), kept as
    the newest; None leaves the one before. `grant_epoch` is the portfolio's epoch of an intent that
    spends a grant; an older one is refused with `RecordRefused`. `epoch` is the writer's incarnation.
    """

    writer: str
    seq: int
    entries: tuple[Entry, ...]
    state: Mapping[str, Plain] | None = None
    grant_epoch: int | None = None
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Message):
    """persistence → writer: everything of yours up to `seq` is on disk."""

    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRefused(Message):
    """persistence → writer: record `seq` was not written, and why (an old grant, a full disk).

    Nothing of it is on disk; the writer takes back what it was for. `retryable` says whether the
    same record may be sent again later.
    """

    seq: int
    code: str
    detail: str
    retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadState(Message):
    """writer → persistence: what was my last recorded state?"""

    writer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLoaded(Message):
    """persistence → writer: your newest state (None: never recorded one) and your last `seq`."""

    writer: str
    state: Mapping[str, Plain] | None
    seq: int


# ---------------------------------------------------------------- permits (pair ↔ rate limiter)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcquirePermit(Message):
    """pair, gateway → limiter: may I send one `request` (`order`, `cancel`, `fetch_order`, …)?

    `reserve` further requests are kept back at GUARD priority: an entry's stop. Past `not_after`
    (market time) the wish is dropped with `PermitDenied`.
    """

    request_id: str
    request: str
    priority: Priority
    not_after: Millis
    reply_to: str
    reserve: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitGranted(Message):
    """limiter → asker: one request may leave until `expires` (market time)."""

    request_id: str
    permit_id: str
    expires: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitDenied(Message):
    """limiter → asker: it cannot be had in time; `reason` says what was in the way."""

    request_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitsSpent(Message):
    """gateway → limiter: these permits' requests left at these times; or, `unused`, never will."""

    spent: tuple[tuple[str, Millis], ...]
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportUsage(Message):
    """limiter → gateway: I am `epoch`; refuse older permits, then say what the exchange has counted."""

    epoch: int
    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReported(Message):
    """gateway → limiter: what the exchange itself says is used, or how long it wants silence."""

    pool: str
    used: int | None = None
    retry_after_ms: Millis = 0
    banned: bool = False


# ---------------------------------------------------------------- orders (pair ↔ gateway)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOrder(Message):
    """pair → gateway: send this order, if `permit_id` is still good and it is not later than `not_after`."""

    order: Order
    permit_id: str
    not_after: Millis
    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder(Message):
    """pair → gateway: cancel this order, known there by either id."""

    pair: str
    client_order_id: str
    order_id: str
    permit_id: str
    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAccepted(Message):
    """gateway → pair: the venue has it, as `order_id`."""

    pair: str
    client_order_id: str
    order_id: str
    ts: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRejected(Message):
    """gateway → pair: the venue (or the gateway before sending) definitely refused it.

    `code`: INSUFFICIENT_FUNDS, INVALID_ORDER, WOULD_TRIGGER, TOO_LATE, NO_PERMIT, MARKET_CLOSED, REFUSED.
    """

    pair: str
    client_order_id: str
    code: str
    reason: str
    ts: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderInDoubt(Message):
    """gateway → pair: it was sent and nobody knows whether it arrived; a look-up is under way."""

    pair: str
    client_order_id: str
    reason: str
    ts: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilled(Message):
    """gateway → pair: one execution. May come twice, late, or before the acceptance."""

    pair: str
    fill: Fill
    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingPaid(Message):
    """gateway → pair: the venue has paid (or, negative, taken) funding for the position held at `ts`.

    `received` is in `currency`; it was reckoned by `rate` on `amount` base coins at the mark `price`.
    """

    pair: str
    payment_id: str
    ts: Millis
    received: Decimal
    currency: str
    rate: Decimal
    price: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCanceled(Message):
    """gateway → pair: it works no longer; `filled` is the venue's own figure, to find missing fills by."""

    pair: str
    client_order_id: str
    filled: Decimal
    ts: Millis
    expired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRejected(Message):
    """gateway → pair: could not be cancelled: filled, cancelled before, or unknown. Ask which."""

    pair: str
    client_order_id: str
    reason: str
    ts: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderNotFound(Message):
    """gateway → pair: the venue knows no such order, and could not accept it any more (`final`)."""

    pair: str
    client_order_id: str
    ts: Millis
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeSnapshot(Message):
    """pair → gateway: what is true of this pair at the venue, and of these orders of ours?

    `since` is the time of the last fill known; fills from a little before it on are answered.
    """

    request_id: str
    pair: str
    client_order_ids: tuple[str, ...]
    since: Millis
    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as the venue tells it. `status` is one of OrderStatus' venue-side values."""

    client_order_id: str
    order_id: str
    status: str
    side: str
    type: str
    amount: Decimal
    price: Decimal
    trigger_price: Decimal | None
    filled: Decimal
    ts: Millis
    reduce_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSnapshot(Message):
    """gateway → pair: open orders on the pair, every order asked for that exists, and fills since.

    `unknown` are the asked client ids that the venue does not have; `final` says that it could not
    still accept them. `orders` include foreign ones; the prefix of the client id tells whose.
    `position` is the base held on the venue (spot: the base coin's balance, free and locked).
    `payments` are funding since then, oldest first.
    """

    request_id: str
    pair: str
    ts: Millis
    orders: tuple[VenueOrder, ...]
    fills: tuple[Fill, ...]
    unknown: tuple[str, ...]
    position: Decimal | None = None
    final: bool = True
    payments: tuple[FundingPaid, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchMarket(Message):
    """pair → gateway: let this pair's orders meet the candle [low, high]; for runs that go by candles.

    What fills is told first, then `MarketMatched`. `open`, where given, says where a stop fills after a gap.
    `entries_only` leaves other orders alone: their turn comes later (`semantics.md` 2.3). With funding `due` it is
    the position that meets it, and no order.
    """

    pair: str
    ts: Millis
    low: Decimal
    high: Decimal
    reply_to: str
    open: Decimal | None = None
    entries_only: bool = False
    due: tuple[FundingRate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketMatched(Message):
    """gateway → pair: everything that `MatchMarket` of `ts` brought has been told."""

    pair: str
    ts: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancesChanged(Message):
    """gateway → portfolio, persistence: what the venue says of each currency: (currency, free, locked)."""

    ts: Millis
    balances: tuple[tuple[str, Decimal, Decimal], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeMarket(Message):
    """system → gateway, at the end of a run: answer what is asked, but let the venue's own market rest.

    What it would do now would only be heard by the next start, which lets it go on from here.
    """


# ---------------------------------------------------------------- supervision


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildExited(Message):
    """runtime → supervisor: an actor is gone. `reason` is empty after an orderly stop."""

    name: str
    epoch: int
    reason: str
    trace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochAnnounced(Message):
    """a restarted shared actor → everyone: I am a new incarnation; what you asked of the old one is lost."""

    name: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired(Message):
    """runtime → actor: the timer `name` it had started is due. `token` tells a stale one."""

    name: str
    token: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown(Message):
    """root → actor: finish what is in flight, record it, say `ShutdownDone`. No new entries."""

    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownDone(Message):
    """actor → root: nothing of mine is in flight any more."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill(Message):
    """control, tests → actor: crash now, as if by a bug of ours. For drills."""

    reason: str = "killed by hand"


# ---------------------------------------------------------------- control


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRequested(Message):
    """control socket → control: the user at connection `client` wants something; not checked yet."""

    client: int
    request: Mapping[str, Plain]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceEnter(Message):
    """control → pair: enter now, as if the strategy had signalled."""

    request_id: str
    pair: str
    side: Side
    tag: str
    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceExit(Message):
    """control → pair: leave the position now."""

    request_id: str
    pair: str
    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlAnswered(Message):
    """actor → control: the outcome of a request by a user, in a sentence."""

    request_id: str
    ok: bool
    detail: str
    data: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportStatus(Message):
    """control → any actor: send `ControlAnswered` with your figures as `data`."""

    request_id: str
    reply_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify(Message):
    """anyone → notifier: tell the user. `severity`: info, warning, alarm."""

    ts: Millis
    severity: str
    event: str
    text: str
