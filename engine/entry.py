"""Entering: from a judged signal to an order, and every reason not to (`semantics.md` 1.3 to 1.5)."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from engine import fates, reviewing, staking
from engine.denials import Denial
from engine.exits import first_stop
from engine.messages import (
    NO_SIGNAL,
    ForceEnter,
    PassTurn,
    Signal,
    SignalJudged,
    StrategyFailed,
)
from engine.position import Position
from engine.settings import Settings
from engine.sizing import entry_amount, max_stake, min_stake
from engine.types import ZERO, Purpose, Side, TimeInForce, TradingState
from engine.work import WAITING, Pending, Trade, Work

PAYMENTS_KEPT: Final = 100
"""So many funding payments of trades before are remembered: those of days, and a venue tells again those of hours."""


def entry_side(signal: Signal, settings: Settings) -> tuple[Side | None, Denial | None]:
    """The side that `signal` enters, or why it enters none; (None, None) where it did not try.

    Where shorts are not allowed their column counts as empty: it does not speak against a long.
    """
    enter_short = signal.enter_short and settings.can_short
    if signal.enter_long and not signal.exit_long and not enter_short:
        return Side.LONG, None
    if enter_short and not signal.exit_short and not signal.enter_long:
        return Side.SHORT, None
    if signal.enter_short and not settings.can_short and not signal.enter_long:
        return None, Denial.SHORTS_NOT_ALLOWED
    if signal.enter_long or signal.enter_short:
        return None, Denial.BOTH_DIRECTIONS
    return None, None


def on_signal(work: Work, event: SignalJudged) -> None:
    """A candle was judged: give up what waited too long, then enter if the signal says so."""
    trade = work.trade
    pending = trade.pending
    if pending is not None and pending.kind == "entry" and not pending.forced and event.ts > trade.signal_ts:
        _give_up(work, Denial.SIGNAL_TOO_OLD)  # its candle has ended, and so has all that was asked for it
    if event.ts > trade.signal_ts:
        fates.note_late(work)
    trade.signal, trade.signal_ts, trade.price = event.signal, event.ts, event.price
    if trade.reconciled:
        reviewing.ask_review(work)
    signal = event.signal
    if not signal:
        return
    fates.note_unmatched(work, signal)
    side, code = entry_side(signal, work.settings)
    if side is None:
        if code is not None:
            refuse(work, "enter_long" if signal.enter_long else "enter_short", code)
        return
    code = _not_now(work, event)
    if code is not None:
        refuse(work, f"enter_{side}", code)
        return
    bound = event.high if side is Side.LONG else event.low
    begin(work, side, tag=signal.enter_tag, price=event.price, bound=bound)


def _not_now(work: Work, event: SignalJudged) -> Denial | None:
    trade = work.trade
    if not trade.reconciled:
        return Denial.RECONCILING
    if trade.quarantined:
        return Denial.STRATEGY_QUARANTINED
    if trade.position.amount or trade.working() or trade.pending is not None:
        return Denial.ALREADY_OPEN
    if event.last_entry:
        return Denial.END_OF_DATA
    return Denial.SIGNAL_TOO_OLD if is_too_old(work) else None


def is_too_old(work: Work) -> bool:
    """Whether the signal's candle has ended, or the signal is older than the configured age."""
    age = work.now - work.trade.signal_ts
    limit = work.settings.signal_max_age_ms
    return age >= work.settings.timeframe_ms or bool(limit and age > limit)


def refuse(work: Work, signal: str, code: Denial | str, detail: str = "", *, tag: str = "") -> None:
    """Say why a signal was not acted on, and let the round go on without this pair."""
    outcome = "ignored" if code in (Denial.ALREADY_OPEN, Denial.END_OF_DATA) else "denied"
    work.decide(signal, outcome, code, detail, tag=tag)
    work.do(PassTurn(pair=work.trade.pair, round_ts=work.trade.signal_ts))


def begin(
    work: Work, side: Side, *, tag: str, price: Decimal, bound: Decimal | None = None, forced: bool = False
) -> None:
    """Begin to evaluate an entry on `side` at `price`; a limit order asks for no worse price than `bound`."""
    work.trade.pending = Pending(
        kind="entry", side=side, tag=tag[:255], price=price, bound=bound, ts=work.now, forced=forced
    )
    advance(work)


def on_force_enter(work: Work, event: ForceEnter) -> None:
    """A user wants in: as a signal would, but at once and at market price."""
    trade = work.trade
    code = None
    if not trade.reconciled:
        code = Denial.RECONCILING
    elif trade.quarantined:
        code = Denial.STRATEGY_QUARANTINED
    elif trade.position.amount or trade.working() or trade.pending is not None:
        code = Denial.ALREADY_OPEN
    elif event.side is Side.SHORT and not work.settings.can_short:
        code = Denial.SHORTS_NOT_ALLOWED
    elif trade.price <= ZERO:
        code = Denial.RECONCILING
    if code is not None:
        work.decide(f"force_enter_{event.side}", "denied", code)
        return
    trade.signal, trade.signal_ts = NO_SIGNAL, work.now  # the candle's own signal must not undo what a user wants
    begin(work, event.side, tag=event.tag or "force_entry", price=trade.price, forced=True)


def advance(work: Work) -> None:
    """Evaluate the pending entry as far as its answers reach; run again when one more is there."""
    pending, market = work.pending, work.market
    code = _no_more(work)
    if code is not None:
        _give_up(work, code)
        return
    price = staking.entry_price(work)
    if price is None:
        return
    if isinstance(price, staking.NotPriced):
        _give_up(work, price.code, price.detail)
        return
    leverage = staking.leverage_of(work, price)
    if leverage is None:
        return
    least = min_stake(market, price, work.trade.rules.reserve_stop, work.settings.amount_reserve, leverage)
    most = max_stake(market, price, leverage)
    granted = pending.answers.get("capital")
    if granted is None:
        if "custom_stake_amount" in work.settings.callbacks and "own_stake" not in pending.answers:
            least, most = ZERO, None  # the strategy has its word before the market's bounds do
        staking.reserve(work, price, leverage, least, most)
        return
    stake = staking.stake_of(work, granted, price, leverage, least, most)
    if stake is None:
        return
    amount = entry_amount(market, stake, price, leverage) if stake > ZERO else ZERO
    if amount <= ZERO or (refusal := market.refusal(amount, market.round_price(price))) is not None:
        detail = refusal if amount > ZERO else f"stake {stake:f} buys less than a step of {market.amount_step:f}"
        _give_up(work, Denial.STAKE_UNDER_MINIMUM, detail or "")
        return
    confirmed = work.answer(
        "confirm_trade_entry", staking.facts(work, price, amount=amount, leverage=leverage), default=True
    )
    if confirmed is WAITING:
        return
    if not confirmed:
        _give_up(work, Denial.DENIED_BY_STRATEGY, "confirm_trade_entry")
        return
    _enter(work, price, amount, leverage, granted.epoch)


def _no_more(work: Work) -> Denial | None:
    """Why an evaluation under way has come to nothing meanwhile."""
    trade = work.trade
    if trade.position.amount or trade.working():
        return Denial.ALREADY_OPEN  # a late fill, or an order given up that came to life
    if trade.quarantined:
        return Denial.STRATEGY_QUARANTINED
    if trade.trading is not TradingState.ACTIVE and "capital" in work.pending.answers:
        return Denial(trade.trading)  # granted before the halt
    return Denial.SIGNAL_TOO_OLD if not work.pending.forced and is_too_old(work) else None


def _enter(work: Work, price: Decimal, amount: Decimal, leverage: Decimal, epoch: int) -> None:
    trade, settings, pending = work.trade, work.settings, work.pending
    reason, forced, kind = f"enter_{pending.side}", pending.forced, staking.order_type(work)
    priced = staking.priced(work)
    start_trade(trade, pending.side, leverage)
    trade.opened_at = work.now
    trade.enter_tag = pending.tag
    trade.stop = first_stop(price, settings.stoploss, trade.side, leverage, work.market)
    trade.max_rate = trade.min_rate = price
    trade.pending = None
    why = priced.text if priced is not None else ""
    work.decide(f"force_{reason}" if forced else reason, "traded", "TRADED", why, tag=trade.enter_tag)
    work.place(
        Purpose.ENTRY,
        kind,
        amount,
        price,
        tag=trade.enter_tag,
        time_in_force=TimeInForce(settings.entry_time_in_force),
        grant_epoch=epoch,
        priced=priced,
    )
    work.exposure()


def start_trade(trade: Trade, side: Side, leverage: Decimal) -> None:
    """Make `trade` a new one: the next number, nothing held, nothing ordered."""
    trade.number += 1
    trade.run = trade.rules.run
    trade.intents = 0
    trade.side, trade.leverage = side, leverage
    trade.position = Position(side=side, leverage=leverage)
    trade.orders = {}
    trade.stop = None
    trade.liquidation = None
    trade.leaving = None
    trade.exit_reason = ""
    trade.exit_timeouts = trade.exit_failures = 0
    trade.stop_failed = False
    trade.stop_touched_at = trade.retry_at = trade.replace_at = 0
    trade.custom_exit_ts = 0
    trade.quoted = trade.denied = ()
    trade.filled_at = 0
    trade.payments_before = (*trade.payments_before, *trade.payment_ids)[-PAYMENTS_KEPT:]
    trade.payment_ids = ()
    trade.untold = ()
    trade.reviewed_at = trade.adjusted_at = trade.repriced_candle = trade.unadjusted_candle = -1
    trade.replacement = trade.increasing = trade.reducing = None
    trade.custom_data = {}


def _give_up(work: Work, code: Denial | str, detail: str = "") -> None:
    """End the pending entry without an order; capital that was reserved, for it or for one before, goes back."""
    pending = work.pending
    signal = f"{'force_' if pending.forced else ''}enter_{pending.side}"
    work.trade.pending = None
    refuse(work, signal, code, detail, tag=pending.tag)
    work.exposure()


def denied(work: Work, code: str, detail: str) -> None:
    """The portfolio said no to the entry under way, and why."""
    pending = work.pending
    work.trade.pending = None
    signal = f"{'force_' if pending.forced else ''}enter_{pending.side}"
    work.decide(signal, "denied", code, detail, tag=pending.tag)


def resume(work: Work) -> None:
    """Run the pending entry again with the answers it has now; while it waits for one, only what ends it counts."""
    if work.pending.waiting:
        code = _no_more(work)
        if code is not None:
            _give_up(work, code)
    else:
        advance(work)


def on_strategy_failed(work: Work, event: StrategyFailed) -> None:
    """The strategy could not judge this pair's candle; too often means no entries any more."""
    code = Denial.STRATEGY_QUARANTINED if event.quarantined else Denial.STRATEGY_FAILED
    work.trade.quarantined = work.trade.quarantined or event.quarantined
    work.decide("judgement", "failed", code, event.reason)
