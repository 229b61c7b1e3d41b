"""Leaving a position, and guarding it until then (`semantics.md` 1.6 to 1.8, 2.4).

`on_range` looks at where the price went; a reason to leave becomes the trade's goal (`leaving`), and
`pursue` does what it takes: cancel what stands in the way, order the exit, try again when it is
refused. While there is no reason, `guard` keeps a stop at the venue where the venue has them; the
rule that looks at every range is the guard where it has not.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from engine import adjusting, fates, guarding, reviewing
from engine.actions import Alarm, LookUp, SetTimer
from engine.denials import Denial
from engine.exits import (
    ExitWish,
    Look,
    Stop,
    best_price,
    exit_wanted,
    is_hit,
    reaches,
    rounded_exit,
    tightened,
    tighter,
    trailed,
    wishes,
)
from engine.messages import NO_SIGNAL, DataEnded, ForceExit, MarketRange, Signal
from engine.order import RESTING, Order
from engine.pricing import exit_price, is_denied_still, note_denied, waits_for_quote
from engine.pursuit import move_stop, pursue, try_again
from engine.sizing import within_distance
from engine.telling import trade_facts
from engine.types import ZERO, OrderStatus, OrderType, Purpose, TradingState, exact, is_number
from engine.work import WAITING, Pending, Work

STOP_REASONS = ("stop_loss", "trailing_stop_loss", "liquidation")
GUARDS = (*STOP_REASONS, "stop_jumped", "emergency_exit", "force_exit")
"""What may leave a position while trading is stopped: what guards it, and a user's own word."""
GUARD_GRACE_MS = 5_000
"""How long a stop at the venue may take to fill once the price has reached it, before we leave ourselves."""
STOP_RETRY_MS = 60_000
STOP_ENDED_MS = 1_000
"""A stop that stood and was ended by the exchange is followed by the next one after this, once a minute at most."""


def on_range(work: Work, rng: MarketRange) -> None:
    """Look at a position after the price has moved through `rng`."""
    trade = work.trade
    trade.price = rng.close
    if trade.position.amount <= ZERO:
        return
    asks_first = trade.reconciled and trade.pending is None and adjusting.is_due(work)
    if asks_first or trade.pending is not None or not trade.reconciled:
        trade.queued = rng if trade.queued is None else joined(trade.queued, rng)
        if asks_first:
            adjusting.begin(work, rng)
        return
    trade.pending = Pending(kind="exit", rng=rng)
    advance(work)


def gives_quote_up(work: Work) -> bool:
    """Whether the evaluation under way was given up: it waits for a quote, and a price at the stop waits behind it.

    That price is looked at now, with all that came before it; what was given up comes again by itself. An adjustment
    comes before the look at its own range, also where that is at the stop: a strategy may keep denying this exit.
    """
    trade = work.trade
    pending, stop, rng = trade.pending, trade.stop, trade.queued
    if pending is None or stop is None or rng is None or not waits_for_quote(trade):
        return False
    if not _touches(work, rng, stop) or (pending.kind == "adjust" and rng == pending.rng):
        return False
    trade.pending = None
    if pending.kind == "review":
        reviewing.wait_on(work, overdue=reviewing.CHECK_MS)
    elif pending.kind == "adjust":
        trade.adjusted_at = work.now
    return True


def _touches(work: Work, rng: MarketRange, stop: Stop) -> bool:
    """Whether the range reaches the stop or the liquidation price."""
    trade = work.trade
    return reaches(rng, tighter(stop.level, trade.liquidation, trade.side), trade.side)


def joined(first: MarketRange, then: MarketRange) -> MarketRange:
    """Two ranges in a row as one."""
    return replace(then, open=first.open, high=max(first.high, then.high), low=min(first.low, then.low))


def advance(work: Work) -> None:
    """Evaluate the pending look as far as its answers reach; run again when one more is there."""
    trade, rng = work.trade, work.pending.rng
    if rng is None or trade.position.amount <= ZERO or trade.stop is None:
        _look_done(work)
        return
    trade.max_rate, trade.min_rate = max(trade.max_rate, rng.high), min(trade.min_rate, rng.low)
    stop = _moved_stop(work, rng, trade.stop)
    if stop is None:
        return
    look = _look(work, rng, stop)
    if look is None:
        return
    if not _touches(work, rng, stop):
        trade.stop_touched_at = 0
    for wish in wishes(look):
        if _is_venues(work, look, wish):
            continue
        if not allows(work, wish.reason):
            fates.say(work, wish.reason, "denied", Denial.STOPPED, wish.tag)
            continue
        if _asks_book(work, look, wish) and is_denied_still(work, wish.reason, _candle_ms(work)):
            continue
        asked = _at_price(work, look, wish)
        if asked is None:
            return
        accepted = _confirmed(work, look, asked)
        if accepted is WAITING:
            return
        if not accepted:
            _stays(work, asked)
            if asked.priced is not None:
                note_denied(work, wish.reason)
            fates.say(work, wish.reason, "denied", Denial.DENIED_BY_STRATEGY, wish.tag)
        elif wish_for(work, asked, _type_of(work, wish.reason)):
            break
    fates.note_held_back(work, look)
    _look_done(work)


def allows(work: Work, reason: str) -> bool:
    """Whether the kill switch, or the bot's end, which puts stops before exits that rest, lets a position be left for `reason`."""
    rests = work.trade.ending and _type_of(work, reason) == OrderType.LIMIT and guarding.waits_for_coins(work)
    return reason in GUARDS or not (rests or work.trade.trading is TradingState.STOPPED)


def look_again(work: Work) -> None:
    """The stop at the venue has had its time: look once more at the last price."""
    price = work.trade.price
    on_range(work, MarketRange(pair=work.trade.pair, ts=work.now, open=price, high=price, low=price, close=price))


def _look_done(work: Work) -> None:
    trade = work.trade
    trade.pending = None
    if work.now >= trade.signal_ts + work.settings.timeframe_ms:
        fates.note_late(work)
    pursue(work)


def current_signal(work: Work, ts: int) -> Signal:
    """The signal that counts at `ts`: it is good for the candle after the one it was judged on."""
    trade = work.trade
    return trade.signal if ts < trade.signal_ts + work.settings.timeframe_ms else NO_SIGNAL


def _look(work: Work, rng: MarketRange, stop: Stop) -> Look | None:
    """What the rules look at, with the strategy's own exit and ROI; None while those are asked."""
    trade, settings = work.trade, work.settings
    look = Look(
        position=trade.position,
        stop=stop,
        rng=rng,
        signal=current_signal(work, rng.ts),
        settings=settings,
        market=work.market,
        fee=trade.rules.fee,
        opened_at=trade.opened_at,
        open_rate=trade.position.rate,
        liquidation=trade.liquidation,
    )
    if settings.use_exit_signal and not exit_wanted(look):
        own = work.answer("custom_exit", trade_facts(work, rng.open), None)
        if own is WAITING:
            return None
        if own:
            look = replace(look, custom_exit=str(own)[:255] if isinstance(own, str) else "custom_exit")
    roi = work.number("custom_roi", {**trade_facts(work, rng.open), "trade_duration": look.minutes}, positive=False)
    if roi is WAITING:
        return None
    return look if roi is None else replace(look, custom_roi=roi)


def _moved_stop(work: Work, rng: MarketRange, stop: Stop) -> Stop | None:
    """The stop after the strategy's own distance and trailing; None while the strategy is asked."""
    trade, best = work.trade, best_price(rng, work.trade.side)
    if is_hit(stop, rng, trade.side):
        return stop
    ratio = None
    if "custom_stoploss" in work.settings.callbacks:
        distance = work.answer("custom_stoploss", {**trade_facts(work, best), "after_fill": False}, None)
        if distance is WAITING:
            return None
        if is_number(distance) and distance:
            ratio = exact(distance)  # what the price is trailed by, too
            moved = tightened(stop, best, ratio, trade.side, trade.leverage, work.market)
            stop = move_stop(work, stop, moved, "custom", best)
    moved = trailed(stop, trade.position, rng, work.settings, work.market, trade.rules.fee, ratio)
    return move_stop(work, stop, moved, "trailing", best)


def _is_venues(work: Work, look: Look, wish: ExitWish) -> bool:
    """Whether a stop at the venue has this to do; if it takes too long, we leave ourselves.

    One that follows at a distance (`stop_interval_ms`, `stop_step`) and is not reached yet has not.
    """
    trade = work.trade
    if wish.reason not in STOP_REASONS or not any(
        order.trigger_price is None or reaches(look.rng, order.trigger_price, trade.side)
        for order in trade.working(Purpose.STOP)
    ):
        return False
    if not trade.stop_touched_at:
        trade.stop_touched_at = work.now
        work.do(SetTimer("grace", GUARD_GRACE_MS, market=True))
    return work.now - trade.stop_touched_at < GUARD_GRACE_MS


def _type_of(work: Work, reason: str) -> str:
    settings = work.settings
    if reason in STOP_REASONS:
        return settings.stop_type
    if reason in ("emergency_exit", "stop_jumped"):
        return settings.emergency_type
    return settings.force_exit_type if reason == "force_exit" else settings.exit_type


def _at_price(work: Work, look: Look, wish: ExitWish) -> ExitWish | None:
    """The wish at the order's price, by the book and the strategy's own where it has one; None while these are asked."""
    price, priced = wish.price, None
    if _asks_book(work, look, wish):
        quoted = exit_price(work, price)
        if quoted is WAITING:
            return None
        price, priced = quoted
    if wish.reason in ("exit_signal", "custom_exit") and _type_of(work, wish.reason) == "limit":
        facts = {**trade_facts(work, price), "proposed_rate": float(price), "exit_tag": wish.tag or wish.reason}
        own = work.number("custom_exit_price", facts, key=f"custom_exit_price:{wish.reason}")
        if own is WAITING:
            return None
        if own is not None and (look.rng.is_point or priced is not None):
            price = within_distance(own, price, work.settings.price_distance)
        elif own is not None:
            price = max(own, look.rng.low) if look.is_long else min(own, look.rng.high)
    return replace(wish, price=rounded_exit(replace(wish, price=price), work.market), priced=priced)


def _asks_book(work: Work, look: Look, wish: ExitWish) -> bool:
    """Whether the book's price is wanted: of a limit order that does not guard, and that would be placed now.

    Not at the stop: what waits there for a book keeps the stop waiting, which is tried after it.
    """
    if wish.reason in GUARDS or _type_of(work, wish.reason) != "limit" or _touches(work, look.rng, look.stop):
        return False
    if work.trade.leaving is None:
        return True
    resting = work.trade.working(Purpose.EXIT)
    return bool(resting) and all(order.status in RESTING and _is_due_again(work, order, wish) for order in resting)


def _confirmed(work: Work, look: Look, wish: ExitWish) -> Any:
    if wish.reason == "liquidation":
        return True  # the venue would not ask either
    facts = {
        **trade_facts(work, look.rng.open),
        "order_type": _type_of(work, wish.reason),
        "amount": float(look.position.amount),
        "rate": float(wish.price),
        "time_in_force": work.settings.exit_time_in_force,
        "exit_reason": wish.tag or wish.reason,
    }
    return work.answer("confirm_trade_exit", facts, default=True, key=f"confirm_trade_exit:{wish.reason}")


def wish_for(work: Work, wish: ExitWish, kind: str) -> bool:
    """Make `wish` the goal, or replace the one under way when that rests at another price.

    False where the exit that rests is as good as this one: the next reason may want another price.
    """
    trade = work.trade
    anew = trade.leaving is None
    if trade.leaving is not None:
        resting = trade.working(Purpose.EXIT)
        if not resting or not all(_may_replace(work, order, wish) for order in resting):
            _stays(work, wish)
            fates.say(work, wish.reason, "ignored", Denial.ALREADY_LEAVING, wish.tag)
            return not resting or any(order.status not in RESTING for order in resting)
        for order in resting:
            work.cancel(order)
    else:
        trade.retry_at = 0
    fates.mark(work, wish.reason)
    work.decide(wish.reason, "traded", "TRADED", wish.priced.text if wish.priced is not None else "", tag=wish.tag)
    trade.leaving, trade.leave_type = wish, kind
    trade.left_since = work.now if anew else trade.left_since
    pursue(work)
    return True


def _may_replace(work: Work, order: Order, wish: ExitWish) -> bool:
    return order.status in RESTING and order.price != wish.price and _is_due_again(work, order, wish)


def _is_due_again(work: Work, order: Order, wish: ExitWish) -> bool:
    """Whether a reason may want another price than a resting exit's: once a candle each, but for what guards."""
    trade, leaving = work.trade, work.trade.leaving
    candle = _candle_ms(work)
    if (wish.reason, work.now // candle) in trade.quoted:
        return False

    def is_fresh(exit_order: Order) -> bool:
        # One that was moved at this very moment has not been looked at yet.
        return exit_order.created_at < work.now and exit_order.created_at // candle == work.now // candle

    same = leaving is not None and leaving.reason == wish.reason
    # A market order is about to fill; one that has not in a whole candle is asked for anew.
    if (same or order.type is not OrderType.LIMIT) and is_fresh(order):
        return False
    tag = wish.tag or wish.reason
    had = any(o.purpose is Purpose.EXIT and o.tag == tag and is_fresh(o) for o in trade.orders.values())
    return wish.reason in GUARDS or not had


def _candle_ms(work: Work) -> int:
    return work.settings.detail_ms or work.settings.timeframe_ms


def _stays(work: Work, wish: ExitWish) -> None:
    """The book was asked for this reason, and the exit that rests stays: with the next candle it is asked again."""
    trade, candle = work.trade, work.now // _candle_ms(work)
    if wish.priced is not None and trade.working(Purpose.EXIT):
        others = tuple(told for told in trade.quoted if told[1] == candle and told[0] != wish.reason)
        trade.quoted = (*others, (wish.reason, candle))


def on_force_exit(work: Work, event: ForceExit) -> None:
    """A user wants out: now, at market price, whatever exit rests already."""
    del event
    trade = work.trade
    if trade.leaving is not None and trade.leaving.reason == "force_exit":
        return
    if trade.position.amount > ZERO or trade.working():
        leave_now(work, "force_exit", trade.price)


def on_data_ended(work: Work, event: DataEnded) -> None:
    """The data ends: entries that wait are dropped, what is held is left at the given price."""
    trade = work.trade
    trade.pending = None
    trade.price = event.price
    held = trade.position.amount > ZERO
    if trade.reconciled:
        for order in trade.working(Purpose.EXIT if held else None):
            work.cancel(order)
    if held:
        leave_now(work, "force_exit", event.price)


def leave_now(work: Work, reason: str, price: Decimal) -> None:
    """Make leaving the goal without asking anybody."""
    trade = work.trade
    work.decide(reason, "traded", "TRADED")
    if not price and trade.stop is not None:
        price = trade.stop.level  # taken over from the venue, and no price heard of yet
    trade.leaving, trade.leave_type = ExitWish(reason, price), _type_of(work, reason)
    trade.left_since = work.now
    trade.retry_at = 0
    pursue(work)


def stop_refused(work: Work, order: Order, code: str) -> None:
    """The venue did not take the guarding stop: leave where the price is past it, else guard ourselves.

    One that was to replace another is not tried again at once; where that one is gone, a plain one is placed.
    """
    trade = work.trade
    leaves_at_once = trade.leaving is not None and trade.leave_type == OrderType.MARKET
    if trade.position.amount <= ZERO or leaves_at_once:
        return
    if code == "WOULD_TRIGGER":
        leave_now(work, "emergency_exit", trade.price)
        return
    if order.replaces:
        trade.replace_at = work.now + STOP_RETRY_MS
        return
    if not trade.stop_failed:
        text = f"{trade.pair}: the venue refused the stop ({order.reason or 'it ended it'}); the bot guards it itself, and tries again"
        work.do(Alarm("stop_refused", text))
    trade.stop_failed = True
    stood = work.now - order.created_at if order.status is OrderStatus.EXPIRED else 0
    try_again(work, max(STOP_RETRY_MS - stood, STOP_ENDED_MS))  # so many a minute, whatever becomes of them
    if code == "INSUFFICIENT_FUNDS":  # what is to be guarded may not be there any more
        work.do(LookUp())
