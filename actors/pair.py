"""The pair actor: one a pair; it owns its trade, and does what the trade machine says.

No trading rule lives here. It turns messages into events of `engine.trade.step`, puts what the step
says on disk *before* anything of it goes to the venue, and carries each order through its handshake:
recorded → permitted → submitted. What can be lost on the way is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from actors.base import Context
from actors.commanded import CommandedActor
from actors.sending import NO_PERMIT
from engine.actions import Alarm, Amend, Cancel, Emit, Judge, LookUp, Place, SetTimer
from engine.announcing import EVENTS, announcement
from engine.keeping import figures_of, trade_from_plain
from engine.messages import (
    AmendRejected,
    AskQuote,
    AskStrategy,
    CancelRejected,
    Entry,
    EpochAnnounced,
    ExposureChanged,
    FundingPaid,
    LockPair,
    MarketMatched,
    MarketRange,
    MatchMarket,
    Message,
    OrderAccepted,
    OrderAmended,
    OrderCanceled,
    OrderFilled,
    OrderInDoubt,
    OrderNotFound,
    OrderRejected,
    PairSettled,
    PassTurn,
    Plain,
    Proceed,
    ReserveCapital,
    SetTradingState,
    Shutdown,
    ShutdownDone,
    SignalJudged,
    StrategyAnswered,
    StrategyFailed,
    TimerFired,
    TradeClosed,
    TradesClosed,
    TradeTold,
    TradingStateChanged,
    UnlockPair,
    VenueMissed,
    VenueSnapshot,
    WatchPrice,
)
from engine.reconcile import question_of
from engine.trade import step
from engine.turn import Match, Settle, Turn, is_busy, with_price_step
from engine.types import ZERO, TradingState
from engine.work import Rules

SNAPSHOT_MS: Final = 5_000
"""How long a look at the venue may be without an answer before it is asked for again."""
WATCH_MS: Final = 10_000
"""A pair that holds something and has heard no price for so long asks for prices again."""

_ADDRESS: Final[Mapping[type, str]] = {
    ReserveCapital: "portfolio",
    PassTurn: "portfolio",
    ExposureChanged: "portfolio",
    TradeClosed: "portfolio",
    TradeTold: "portfolio",
    LockPair: "portfolio",
    UnlockPair: "portfolio",
    WatchPrice: "feed",
}


class PairActor(CommandedActor):
    """One pair's trading. `by_turns`: a replay gives it candles by `Proceed`; else they come as they happen."""

    def __init__(self, ctx: Context, *, rules: Rules, judge: str, by_turns: bool = False) -> None:
        super().__init__(ctx, rules)
        self.judge = judge
        self.by_turns = by_turns
        self._turn: Turn | None = None
        self._matching = False
        self._ending = ""
        self._ended = False
        self._seen_at = 0.0
        self._snapshots = 0

    def begin(self, state: Mapping[str, Plain] | None) -> None:
        """Begin from the kept state, in RECONCILING, and ask the venue what is."""
        if state is not None:
            self.trade = trade_from_plain(self.pair, self.rules, state)
        self._look_up()

    # ------------------------------------------------------------ events of the machine

    def tell_trade(self, event: Message) -> None:
        """Advance the trade by an event and do what it wants."""
        now = self._turn.row.ts if self._turn is not None else self.now()
        before = self.trade.state
        outcome = step(self.trade, event, now)
        self.trade = outcome.trade
        if outcome.trade.state is not before:
            self.log.debug("{} {} -> {} on {}", self.pair, before, outcome.trade.state, type(event).__name__)
        if outcome.actions:
            self._do(outcome.actions)
        self.answer_census()

    def _do(self, actions: list[Any]) -> None:
        entries: list[Entry] = []
        orders: list[Place | Cancel | Amend] = []
        again = False
        for action in actions:
            kind = type(action)
            if kind is Emit:
                entries.append(Entry(kind=action.kind, ts=action.ts, body=action.body))
                if action.kind in EVENTS and not self.by_turns:
                    self._announce(action)
            elif kind in (Place, Cancel, Amend):
                orders.append(action)
            elif kind is Judge:
                again = True
            else:
                self.act(action)
        self._record(entries, orders)
        if again:
            self._judge_again()

    def act(self, action: Any) -> None:
        """Do one of the machine's wishes that needs no record."""
        kind = type(action)
        to = _ADDRESS.get(kind)
        if to is not None:
            if kind is WatchPrice and self.by_turns:
                return  # prices come with the turns
            if kind is TradeClosed:
                action = TradesClosed(trades=self.trade.unheard)
            elif kind is ReserveCapital:
                self.reserve(action)
            elif kind in (LockPair, UnlockPair):
                self.wish(action)
            elif kind is WatchPrice and action.watch:
                self.start_timer("watch", WATCH_MS)
            self.tell(to, action)
        elif kind is AskStrategy:
            self.ask(action, self.judge)
        elif kind is AskQuote:
            self.ask_quote(action)
        elif kind is SetTimer:
            if not (self.by_turns and action.market):  # a turn looks at the time by itself
                self.start_timer(action.name, action.delay_ms, market=action.market)
        elif kind is LookUp:
            self._look_up()
        elif kind is Alarm:
            self._alarm(action)

    def _announce(self, emit: Emit) -> None:
        text = announcement(emit.kind, emit.body)
        self.notify("info", EVENTS[emit.kind], text, emit.ts)

    def _alarm(self, alarm: Alarm) -> None:
        self.notify(alarm.severity, alarm.event, alarm.text)
        if alarm.event == "recovered":  # the journal was not whole: look before anything new is entered
            halt = SetTradingState(state=TradingState.EXITS_ONLY, reason=alarm.text, source="foreign_order")
            self.tell("portfolio", halt)

    def _record(self, entries: list[Entry], orders: list[Place | Cancel | Amend]) -> None:
        if not entries and not orders:
            return
        self.send_out(entries, orders)

    def _judge_again(self) -> None:
        if self._turn is not None:
            self._turn.judge_again()
            return
        trade = self.trade
        again = SignalJudged(pair=self.pair, ts=trade.signal_ts, signal=trade.signal, price=trade.price)
        self.tell_trade(again)

    # ------------------------------------------------------------ judgement and prices

    def on_signal_judged(self, message: SignalJudged) -> None:
        """A candle was judged: act on it, and look at an open position at its price."""
        if self._ended:
            return
        self.tell_trade(message)
        price = message.price
        if self.trade.position.amount > ZERO:
            now = self.now()
            self.tell_trade(MarketRange(pair=self.pair, ts=now, open=price, high=price, low=price, close=price))

    def on_market_range(self, message: MarketRange) -> None:
        """The price moved."""
        if self._ended:
            return  # the next start looks at the price again, from the venue's record on
        self._seen_at = self.monotonic()
        self.tell_trade(message)
        self.enter_if_forced()

    def on_strategy_failed(self, message: StrategyFailed) -> None:
        """The judge could not judge this pair."""
        self.tell_trade(message)

    def on_strategy_answered(self, message: StrategyAnswered) -> None:
        """A callback's answer."""
        self.cancel_timer(f"ask:{message.request_id}")
        self.tell_trade(message)
        self.go_on()

    def on_trading_state_changed(self, message: TradingStateChanged) -> None:
        """The kill switch moved: an entry that has not left stays here."""
        if message.state is not TradingState.ACTIVE:
            self.keep_back_entries(message.state, message.reason)
        self.tell_trade(message)
        self.go_on()

    # ------------------------------------------------------------ the venue

    def on_order_accepted(self, message: OrderAccepted) -> None:
        """The venue has it."""
        self._heard(message)

    def on_order_rejected(self, message: OrderRejected) -> None:
        """The venue refused it, or the gateway did before sending: a permit that ran out is asked for again."""
        if message.code != NO_PERMIT or not self.send_again(message.client_order_id, Place):
            self._heard(message)

    def on_order_in_doubt(self, message: OrderInDoubt) -> None:
        """Sent, and nobody knows."""
        self._heard(message)

    def on_order_filled(self, message: OrderFilled) -> None:
        """An execution."""
        self._heard(message)

    def on_funding_paid(self, message: FundingPaid) -> None:
        """Funding for what is held."""
        self._heard(message)

    def on_order_canceled(self, message: OrderCanceled) -> None:
        """It works no longer."""
        self._heard(message)

    def on_order_not_found(self, message: OrderNotFound) -> None:
        """The venue does not know it."""
        self._heard(message)

    def on_cancel_rejected(self, message: CancelRejected) -> None:
        """Too late to cancel, or nothing there: for want of a permit it is asked for again."""
        if message.reason != NO_PERMIT or not self.send_again(message.client_order_id, Cancel):
            self._heard(message)

    def on_order_amended(self, message: OrderAmended) -> None:
        """It stands as it was to be."""
        self._heard(message)

    def on_amend_rejected(self, message: AmendRejected) -> None:
        """It was not changed: for want of a permit that is asked for again."""
        if message.code != NO_PERMIT or not self.send_again(message.client_order_id, Amend):
            self._heard(message)

    def _heard(self, message: Message) -> None:
        self.tell_trade(message)
        if not self.unanswered():
            self.cancel_timer("answer")
        self.go_on()
        self.end_if_done()

    def _look_up(self) -> None:
        """Ask the venue what is true of this pair, and of every order of ours that it may know."""
        self._snapshots += 1
        request_id = f"{self.pair}!{self.epoch}.{self._snapshots}"
        take = question_of(self.trade, request_id, unsent=self.sending, reply_to=self.name)
        self.tell("gateway", take)
        self.start_timer("snapshot", SNAPSHOT_MS)

    def on_venue_missed(self, message: VenueMissed) -> None:
        """Something may have happened unseen."""
        del message
        self._look_up()

    def on_venue_snapshot(self, message: VenueSnapshot) -> None:
        """What is true; only the newest question's answer counts."""
        if message.request_id != f"{self.pair}!{self.epoch}.{self._snapshots}":
            return
        self.cancel_timer("snapshot")
        self.take_back_late()
        self.tell_trade(message)
        if self._ending:
            self.take_back_entries()
        self.go_on()
        self.end_if_done()

    # ------------------------------------------------------------ turns (replay)

    def on_proceed(self, message: Proceed) -> None:
        """My turn on a candle."""
        self._turn = Turn(message.row)
        self.trade = with_price_step(self.trade, message.row)
        self.go_on()

    def on_market_matched(self, message: MarketMatched) -> None:
        """The venue has filled what this candle fills."""
        del message
        self._matching = False
        self.go_on()

    def go_on(self) -> None:
        """Go on with the turn, if there is one and nothing is awaited."""
        while self._turn is not None and not (self._matching or self.sending or is_busy(self.trade)):
            row = self._turn.row
            wanted = self._turn.next(self.trade)
            if wanted is None:
                self._turn = None
                self.record_gathered()  # the turns' records stand in the order of the turns
                self.tell("portfolio", PairSettled(pair=self.pair, ts=row.ts))
            elif isinstance(wanted, Match | Settle):
                self._matching = True
                low, high = self._turn.bounds
                match = MatchMarket(pair=self.pair, ts=row.ts, low=low, high=high, reply_to=self.name)
                due = wanted.due if isinstance(wanted, Settle) else ()
                self.tell("gateway", replace(match, entries_only=wanted is Match.ENTRIES, due=due))
            else:
                self.tell_trade(wanted)

    # ------------------------------------------------------------ restarts of others, timers, the end

    def on_epoch_announced(self, message: EpochAnnounced) -> None:
        """A shared actor is new: what it was asked and has not answered is asked again."""
        super().on_epoch_announced(message)
        if message.role == "gateway":
            self._look_up()
        elif message.role == "limiter":
            self.acquire_all(again=True)
        elif message.role == "portfolio":
            self.ask_again()
        elif message.role == "feed" and self.trade.position.amount > ZERO:
            self.tell("feed", WatchPrice(pair=self.pair, watch=True))

    def on_timer_fired(self, message: TimerFired) -> None:
        """Ask again what had no answer; the rest are the machine's own timers."""
        name = message.name
        if name in ("snapshot", "look_up", "answer"):
            if name != "answer" or self.unanswered():
                self._look_up()
        elif name == "end":
            self.say_unguarded()
        elif name == "permit":
            self.acquire_all(again=True)
        elif name == "reserve":
            self.ask_again()
        elif name.startswith(("ask:", "quote:")):
            self.give_up_asking(name)
        elif name == "watch":
            self._check_prices()
        elif name == "price":
            self.give_up_force()
        elif not self._ended:
            self.tell_trade(TimerFired(name=name))
            self.go_on()

    def _check_prices(self) -> None:
        """While something is held prices must come; where none did, ask for them again."""
        if self.trade.position.amount <= ZERO:
            return
        if self.monotonic() - self._seen_at > WATCH_MS / 1_000:
            self.tell("feed", WatchPrice(pair=self.pair, watch=True))
        self.start_timer("watch", WATCH_MS)

    def on_shutdown(self, message: Shutdown) -> None:
        """Take back the entries that wait, and end when nothing is on its way and everything is on disk."""
        self._ending = message.reply_to
        self.take_back_entries()
        if message.within_ms:
            self.start_timer("end", message.within_ms * 4 // 5)
        self.end_if_done()

    def end_if_done(self) -> None:
        """Say that nothing is in flight, if it was asked and is so; from then on prices and signals wait."""
        if self._ending:
            self.record_gathered()
        if self._ending and self.is_at_rest():
            self.say_unguarded()
            self.tell(self._ending, ShutdownDone(name=self.name))
            self._ending = ""
            self._ended = True

    def status(self) -> dict[str, Plain]:
        """The trade in figures."""
        return figures_of(self.trade)
