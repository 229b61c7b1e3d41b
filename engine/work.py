"""The state of a pair's trading, and the working copy that one step changes.

`trade.py` holds the machine; this is what it works on. The state's name is *derived* from what is
held and what is working (`state_of`), so no path can forget to set it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from engine.actions import Action, Cancel, Emit, Place
from engine.denials import Denial
from engine.errors import IllegalTransition
from engine.exits import ExitWish, Stop
from engine.goals import Increase, Reduction, Replacement
from engine.market import Market
from engine.messages import NO_SIGNAL, AskStrategy, ExposureChanged, MarketRange, Message, Signal, TradeClosed
from engine.order import TERMINAL, Order, OrderEvent
from engine.position import Position
from engine.quotes import Priced
from engine.settings import Settings
from engine.types import (
    ONE,
    ZERO,
    Millis,
    OrderType,
    Purpose,
    Side,
    TimeInForce,
    TradeState,
    TradingState,
    exact,
    is_number,
    order_side,
)

S = TradeState

BACKTEST_STOP = Decimal("-0.05")
_INTENDED = (
    *("client_order_id", "purpose", "side", "type", "amount", "price", "trigger_price", "time_in_force"),
    *("reduce_only", "leverage", "tag"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceAborted(Message):
    """driver → machine: the order was never sent; its intent came to nothing because of `code`."""

    pair: str
    client_order_id: str
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a pair's machine goes by and never changes: settings, market, names, the fee to reckon with.

    `reserve_stop` is the stop at which the least stake must still be sellable: the strategy's own when
    live; over candles the reference takes a fixed one (2.3.2). `name` is the pair with its account, where it has one.
    """

    settings: Settings
    market: Market
    order_prefix: str
    run: int
    fee: Decimal
    reserve_stop: Decimal = BACKTEST_STOP
    name: str = ""


class _Mark:
    __slots__ = ()


WAITING = _Mark()
"""The answer is not there yet: the evaluation stops here and is run again with it."""
NO_ANSWER = _Mark()
"""The strategy raised, was late or gave nonsense: its default serves."""


@dataclass
class Pending:
    """An evaluation that waits. `answers` are those it has, `waiting` is the request under way, `key` its answer's key."""

    kind: str  # entry | exit | review | adjust | filled
    waiting: str = ""
    key: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    side: Side = Side.LONG
    tag: str = ""
    price: Decimal = ZERO
    bound: Decimal | None = None
    ts: Millis = 0
    rng: MarketRange | None = None
    forced: bool = False
    stale: bool = False


@dataclass
class Trade:
    """One pair's trading: the open trade if there is one, and what is needed for the next.

    `number` counts the pair's trades and `run` is the run this one began in; `intents` the orders of this one; both make client
    order ids. `liquidation` is where it must be left before the venue takes it, None where there is none. `orders` holds this
    trade's orders by client id, in order. `leaving` is the reason under way, `put_off` one that goes on with the next start: the
    bot is `ending`. `over_ts` is the candle in which a trade of an earlier moment was closed last. `filled_at` is the time of its
    last fill, `payment_ids` are the funding payments booked, `payments_before` those of trades before. `left_since` is when the
    reason under way was first wished for, `retry_at` when a refused exit or stop may be tried again, `replace_at` when a stop
    that could not be replaced may. `earned` is what all closed trades of the pair have earned: the portfolio adds these up, so
    that no lost message can lose a profit. `strikes` counts its callbacks' failures in a row. `unheard` are closed trades that
    the portfolio has not acknowledged, the oldest first. `untold` are orders whose fill the strategy is to hear of, `told` the
    ids of what it was told and has not answered, `review_due` says that resting orders are to be looked after. `quoted` are the
    reasons that the book let a resting exit stay for, each with its candle, `denied` those that the strategy denied at its price,
    and when. `replacement`, `increasing` and `reducing` are what waits for other orders to be gone. `custom_data` is the
    strategy's own, kept with the trade. `missing` is what the venue holds less than we do, as of the last look. `shown` is how
    the trade was last shown to it (`telling`).
    """

    pair: str
    rules: Rules
    state: TradeState = S.RECONCILING
    run: int = 0
    number: int = 0
    intents: int = 0
    side: Side = Side.LONG
    leverage: Decimal = ONE
    position: Position = field(default_factory=Position)
    orders: dict[str, Order] = field(default_factory=dict)
    stop: Stop | None = None
    liquidation: Decimal | None = None
    max_rate: Decimal = ZERO
    min_rate: Decimal = ZERO
    opened_at: Millis = 0
    enter_tag: str = ""
    leaving: ExitWish | None = None
    put_off: ExitWish | None = None
    leave_type: str = ""
    left_since: Millis = 0
    exit_reason: str = ""
    exit_timeouts: int = 0
    exit_failures: int = 0
    stop_failed: bool = False
    stop_touched_at: Millis = 0
    retry_at: Millis = 0
    replace_at: Millis = 0
    signalled_exit_ts: Millis = 0
    filled_at: Millis = 0
    over_ts: Millis = 0
    payment_ids: tuple[str, ...] = ()
    payments_before: tuple[str, ...] = ()
    custom_exit_ts: Millis = 0
    signal: Signal = NO_SIGNAL
    signal_ts: Millis = 0
    price: Decimal = ZERO
    pending: Pending | None = None
    queued: MarketRange | None = None
    untold: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    review_due: bool = False
    reviewed_at: Millis = -1
    repriced_candle: int = -1
    quoted: tuple[tuple[str, int], ...] = ()
    denied: tuple[tuple[str, Millis], ...] = ()
    adjusted_at: Millis = -1
    unadjusted_candle: int = -1
    replacement: Replacement | None = None
    increasing: Increase | None = None
    reducing: Reduction | None = None
    custom_data: dict[str, Any] = field(default_factory=dict)
    shown: Mapping[str, Any] | None = None
    questions: int = 0
    earned: Decimal = ZERO
    last_closed: TradeClosed | None = None
    unheard: tuple[TradeClosed, ...] = ()
    quarantined: bool = False
    strikes: int = 0
    reconciled: bool = False
    missing: Decimal = ZERO
    trading: TradingState = TradingState.ACTIVE
    ending: bool = False

    @property
    def trade_id(self) -> str:
        """The trade's name in the journal and in SQL: unique over restarts by the run's number."""
        return f"{self.rules.name or self.pair}#{self.run}-{self.number}"

    @property
    def is_closed(self) -> bool:
        """Whether this trade's end has been booked: what comes now came too late."""
        return self.last_closed is not None and self.last_closed.trade_id == self.trade_id

    @property
    def ends_entries(self) -> bool:
        """Whether no entry may rest at the venue: nobody would look after it, or guard what it buys."""
        return self.ending or self.trading is TradingState.STOPPED

    def working(self, purpose: Purpose | None = None) -> list[Order]:
        """The orders of this trade that may still do something at the venue."""
        return [o for o in self.orders.values() if o.status not in TERMINAL and purpose in (None, o.purpose)]

    def copy(self) -> Trade:
        """A trade of its own to work on: step's purity costs this one shallow copy."""
        twin = object.__new__(Trade)
        twin.__dict__ = self.__dict__.copy()  # copy.copy takes the long way round, by pickle's protocol
        twin.orders = self.orders.copy()
        if self.pending is not None:
            twin.pending = pending = object.__new__(Pending)
            pending.__dict__ = self.pending.__dict__.copy()
            pending.answers = self.pending.answers.copy()
        return twin


class Work:
    """The working copy of one step. Handlers change `trade` and append to `actions`."""

    __slots__ = ("actions", "market", "now", "settings", "trade")

    def __init__(self, trade: Trade, now: Millis) -> None:
        self.trade = trade
        self.now = now
        self.settings: Settings = trade.rules.settings
        self.market: Market = trade.rules.market
        self.actions: list[Action | Message] = []

    def do(self, action: Action | Message) -> None:
        """Add an action."""
        self.actions.append(action)

    def emit(self, kind: str, **body: Any) -> None:
        """Add a domain event of this pair and trade."""
        trade = self.trade
        self.actions.append(Emit(kind, self.now, {"pair": trade.pair, "trade_id": trade.trade_id, **body}))

    def decide(self, signal: str, outcome: str, code: str, detail: str = "", *, tag: str = "") -> None:
        """Add the row that says what became of a signal."""
        trade = self.trade
        traded = outcome == "traded"
        body = {
            "pair": trade.pair,
            "candle_ts": trade.signal_ts,
            "signal": signal,
            "outcome": outcome,
            "code": str(code),
            "detail": detail,
            "trade_id": trade.trade_id if traded else "",
            "price": trade.price,
            "tag": tag,
        }
        self.actions.append(Emit("SignalDecided", self.now, body))

    def request_id(self, key: str) -> str:
        """A new request's id; the evaluation under way waits for its answer, kept under `key`."""
        pending = self.pending
        pending.key, pending.waiting = key, self.new_id()
        return pending.waiting

    def new_id(self) -> str:
        """The id of another request."""
        trade = self.trade
        trade.questions += 1
        # With the time in it, a late answer to an incarnation before is not taken for one of this one's.
        return f"{trade.pair}?{trade.rules.run}.{self.now}.{trade.questions}"

    def answer(self, callback: str, arguments: dict[str, Any], default: Any, *, key: str = "") -> Any:
        """The strategy's answer, WAITING while it is not there, `default` where it has no such callback, or none is asked."""
        if callback not in self.settings.callbacks or self.trade.quarantined:
            return default
        key = key or callback
        answers = self.pending.answers
        if key in answers:
            return default if answers[key] is NO_ANSWER else answers[key]
        self.do(
            AskStrategy(
                request_id=self.request_id(key),
                pair=self.trade.pair,
                callback=callback,
                arguments=arguments,
                reply_to=f"pair:{self.trade.pair}",
            )
        )
        return WAITING

    def number(self, callback: str, arguments: dict[str, Any], *, key: str = "", positive: bool = True) -> Any:
        """The strategy's answer as a decimal, WAITING, or None: no such callback, or an answer that is no number."""
        given = self.answer(callback, arguments, None, key=key)
        if given is WAITING or given is None:
            return given
        if is_number(given) and (given > 0 or not positive):
            return exact(given)
        self.not_an_answer(callback, given, key)
        return None

    def not_an_answer(self, callback: str, given: Any, key: str = "") -> None:
        """Take an answer of the strategy for none, and say so."""
        self.pending.answers[key or callback] = NO_ANSWER
        self.decide(callback, "failed", Denial.STRATEGY_FAILED, f"{given!r} is no answer to {callback}")

    def place(
        self,
        purpose: Purpose,
        kind: OrderType,
        amount: Decimal,
        price: Decimal,
        *,
        tag: str = "",
        trigger_price: Decimal | None = None,
        time_in_force: TimeInForce = TimeInForce.GTC,
        grant_epoch: int | None = None,
        replaces: str = "",
        priced: Priced | None = None,
    ) -> Order:
        """Intend an order: it is in the books from here on, and goes out when the intent is on disk."""
        trade = self.trade
        trade.intents += 1
        order = Order(
            pair=trade.pair,
            client_order_id=f"{trade.rules.order_prefix}t{trade.number}i{trade.intents}",
            purpose=purpose,
            side=order_side(trade.side, purpose),
            type=kind,
            amount=amount,
            price=price,
            trigger_price=trigger_price,
            time_in_force=TimeInForce.GTC if kind is OrderType.MARKET else time_in_force,
            reduce_only=purpose is not Purpose.ENTRY,
            leverage=trade.leverage,
            tag=tag,
            created_at=self.now,
            updated_at=self.now,
            replaces=replaces,
        )
        self.enlist(order, priced)
        self.do(Place(order, grant_epoch))
        return order

    def enlist(self, order: Order, priced: Priced | None = None) -> None:
        """Put an order into the trade's books, and into the journal as what it was meant to be, and why at that price."""
        self.trade.orders[order.client_order_id] = order
        body = {name: getattr(order, name) for name in _INTENDED} | {"leverage": self.trade.leverage}
        if order.replaces:
            body |= {"replaces": order.replaces}
        if priced is not None:
            body |= {"priced": priced.how, "bid": priced.bid, "ask": priced.ask, "quoted_at": priced.quoted_at}
        self.emit("OrderIntended", **body)

    def cancel(self, order: Order, reason: str = "") -> None:
        """Ask for an order's end, once; one in doubt is asked about instead, by whoever doubts it."""
        after = order.unsettled.after(OrderEvent.CANCEL_REQUESTED, self.now, reason=reason)
        self.trade.orders[order.client_order_id] = after
        if after.status is not order.status:
            self.do(Cancel(after))

    @property
    def pending(self) -> Pending:
        """The evaluation under way; there must be one."""
        if self.trade.pending is None:
            raise IllegalTransition(f"{self.trade.pair}: no evaluation is under way")
        return self.trade.pending

    def exposure(self) -> None:
        """Tell the portfolio what this pair ties up now; a reservation that was not spent is gone by it."""
        pending = self.trade.pending
        if pending is not None and pending.kind == "adjust" and pending.key == "capital":
            pending.stale = True
        self.do(exposure_of(self.trade))


def entering(trade: Trade) -> Decimal:
    """The capital in entries that are not filled, and in one that is about to be placed."""
    total = sum((o.remaining * o.price for o in trade.working(Purpose.ENTRY)), ZERO)
    if trade.increasing is not None:
        total += trade.increasing.amount * trade.increasing.price
    return total / trade.leverage


def exposure_of(trade: Trade) -> ExposureChanged:
    """What a pair ties up and has earned, for the portfolio."""
    to_enter = entering(trade)
    holds = trade.position.amount > ZERO or to_enter > ZERO
    return ExposureChanged(
        pair=trade.pair,
        trade_id=trade.trade_id if holds else "",
        stake=trade.position.stake + to_enter,
        realized=trade.position.booked if holds else ZERO,
        opened_at=trade.opened_at,
        side=trade.side,
        amount=trade.position.amount,
        open_rate=trade.position.open_rate,
        earned=trade.earned,
        leverage=trade.leverage,
        waiting=to_enter,
    )
