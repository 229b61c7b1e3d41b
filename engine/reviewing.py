"""Looking after orders that rest: given up when their time is over, moved to another price (`semantics.md` 1.6, 2.3.1).

A candle's turn begins with it; live it is due when a candle has closed, when an order's time is over, and
every `CHECK_MS` while the strategy has a word in that. A new price means: cancel, and when the venue says
that the old order works no longer, place what it had not filled. There is never a second one beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from engine import pricing, pursuit
from engine.actions import SetTimer
from engine.denials import Denial
from engine.exits import ExitWish
from engine.goals import Replacement
from engine.guarding import REPLACED
from engine.messages import ReviewOrders
from engine.order import RESTING, Order
from engine.quotes import Priced
from engine.sizing import entry_amount
from engine.telling import order_view, trade_facts
from engine.types import ZERO, OrderType, Priority, Purpose, TradingState, exact, is_number
from engine.work import WAITING, Pending, Work

CHECK_MS = 5_000
"""How often a strategy with a word in time-outs is asked about an order that rests."""
CANDLE_GRACE_MS = 1_000
"""How long after a candle's close its orders are looked at: first its signal, which may change the price."""
TIMED_OUT, CANCELLED = "timed_out", "cancelled"
"""Why an order was cancelled by a review: the reason in its journal entry."""


@dataclass(frozen=True, slots=True)
class _Keep:
    """No answer to the question for a price: the order's own."""


_KEEP = _Keep()


def on_review(work: Work, event: ReviewOrders) -> None:
    """It is time to look after the orders that rest; the pair's price is `event.price`."""
    work.trade.price = event.price
    ask_review(work)


def ask_review(work: Work) -> None:
    """Have the orders that rest looked after, once a moment, as soon as no other evaluation is under way."""
    trade = work.trade
    if trade.reviewed_at != work.now and any(_rests(order) for order in trade.orders.values()):
        trade.review_due = True


def begin(work: Work) -> None:
    """Begin the review that is due."""
    trade = work.trade
    trade.review_due, trade.reviewed_at = False, work.now
    trade.pending = Pending(kind="review", price=trade.price)
    advance(work)


def advance(work: Work) -> None:
    """Look after each order as far as the answers reach; run again when one more is there."""
    trade = work.trade
    for order in list(trade.orders.values()):
        if not _rests(order) or order.created_at == work.now:
            continue
        climbs = _climbs(work, order)
        if climbs is WAITING:
            return
        if climbs:
            continue
        over = _is_over(work, order)
        if over is WAITING:
            return
        if over:
            if not pursuit.leaves_dust(work, order):
                _time_out(work, order)
            continue
        asked = _wanted_price(work, order)
        if asked is WAITING:
            return
        price, priced = asked
        if price is None:
            _cancel(work, order)
        elif price is not _KEEP and work.market.price_near(price) != order.price:
            _replace(work, order, price, priced)
    trade.repriced_candle = work.now // work.settings.timeframe_ms
    trade.pending = None
    pursuit.pursue(work)
    wait_on(work, overdue=CHECK_MS)


def _climbs(work: Work, order: Order) -> Any:
    """Whether an exit that waits takes the next rung of its ladder: the last price, then whatever the market gives.

    By the book, where exits are priced by it and that is nearer still; WAITING while it is asked. What it was left
    for stays; what it has not filled is ordered anew when the venue says that it works no longer.
    """
    trade = work.trade
    rung = _rung(work, order)
    if rung is None or trade.leaving is None or work.now - trade.left_since < rung:
        return False
    price, priced = trade.price, None
    if rung == work.settings.exit_market_ms:
        trade.leave_type = work.settings.emergency_type
    else:
        quoted = pricing.exit_price(work, price, key=f"{pricing.KEY}:{order.client_order_id}")
        if quoted is WAITING:
            return WAITING
        price = pricing.nearer(quoted[0], price, trade.side)
        priced = quoted[1] if price == quoted[0] else None
    trade.leaving = replace(trade.leaving, price=price, priced=priced)
    work.cancel(order, REPLACED)
    return True


def _rung(work: Work, order: Order) -> int | None:
    """How long after the wish to leave the next rung of an exit's ladder is due; None where there is none."""
    settings, trade = work.settings, work.trade
    if order.purpose is not Purpose.EXIT or trade.leaving is None or order.type is not OrderType.LIMIT:
        return None
    placed = order.created_at - trade.left_since
    rungs = (settings.exit_closer_ms, settings.exit_market_ms)
    return min((rung for rung in rungs if rung > placed), default=None)


def _rests(order: Order) -> bool:
    return order.purpose is not Purpose.STOP and order.status in RESTING


def _limit(work: Work, order: Order) -> int:
    settings = work.settings
    return settings.entry_timeout_ms if order.purpose is Purpose.ENTRY else settings.exit_timeout_ms


def _is_over(work: Work, order: Order) -> Any:
    limit = _limit(work, order)
    if limit and order.created_at <= work.now - limit:
        return True
    callback = "check_entry_timeout" if order.purpose is Purpose.ENTRY else "check_exit_timeout"
    facts = (
        trade_facts(work, work.pending.price, order=order_view(order)) if callback in work.settings.callbacks else {}
    )
    return work.answer(callback, facts, default=False, key=f"{callback}:{order.client_order_id}")


def _wanted_price(work: Work, order: Order) -> Any:
    """The price the strategy wants for `order` (a decimal, None to cancel it, `_KEEP`) and the book's; or WAITING."""
    settings, trade = work.settings, work.trade
    entry = order.purpose is Purpose.ENTRY
    callback = "adjust_entry_price" if entry else "adjust_exit_price"
    if "adjust_order_price" in settings.callbacks:
        callback = "adjust_order_price"
    candle = work.now // settings.timeframe_ms
    if callback not in settings.callbacks or candle in (
        order.created_at // settings.timeframe_ms,
        trade.repriced_candle,
    ):
        return _KEEP, None
    quoted = _quoted(work, order)
    if quoted is WAITING:
        return WAITING
    price, priced = quoted
    facts = trade_facts(work, work.pending.price)
    facts["proposed_rate"], facts["current_order_rate"] = float(price), float(order.price)
    facts["order"], facts["is_entry"] = order_view(order), entry
    key = f"{callback}:{order.client_order_id}"
    wanted = work.answer(callback, facts, default=_KEEP, key=key)
    if wanted is WAITING:
        return WAITING
    if wanted is _KEEP or wanted is None:
        return wanted, priced
    if not is_number(wanted) or wanted < 0:
        work.not_an_answer(callback, wanted, key)
        return _KEEP, priced
    return (exact(wanted) if wanted else None), priced


def _quoted(work: Work, order: Order) -> Any:
    """The price that is proposed in the place of a resting order's, and why; or WAITING. Without a quote the last one."""
    price, key = work.pending.price, f"{pricing.KEY}:{order.client_order_id}"
    if order.purpose is Purpose.EXIT:
        return pricing.exit_price(work, price, key=key)
    settings = work.settings.entry_pricing
    if not pricing.is_quoted(settings):
        return price, None
    told = pricing.told_quote(work, settings, Priority.ENTRY, key=key)
    return told if told is WAITING else pricing.price_by(work, settings, told, Purpose.ENTRY, price)


def _time_out(work: Work, order: Order) -> None:
    trade, settings = work.trade, work.settings
    if order.purpose is Purpose.EXIT:
        _note_reason(work)
        trade.exit_timeouts += 1
        emergency = 0 < settings.exit_timeout_count <= trade.exit_timeouts
        trade.leaving = ExitWish("emergency_exit", trade.price) if emergency else None
        trade.leave_type = settings.emergency_type if emergency else ""
        trade.reducing = None
    work.cancel(order, TIMED_OUT)


def _cancel(work: Work, order: Order) -> None:
    trade = work.trade
    if order.purpose is Purpose.EXIT:
        _note_reason(work)
        trade.leaving, trade.leave_type, trade.reducing = None, "", None
    work.cancel(order, CANCELLED)


def _note_reason(work: Work) -> None:
    """Should it fill before it is cancelled, that was why."""
    if work.trade.leaving is not None:
        work.trade.exit_reason = pursuit.reason_of(work.trade.leaving)


def _replace(work: Work, order: Order, price: Decimal, priced: Priced | None) -> None:
    if priced is not None:
        priced = replace(priced, how=f"the strategy's, of {priced.how}")
    work.trade.replacement = Replacement(order.client_order_id, work.market.price_near(price), priced)
    work.cancel(order, REPLACED)


def replace_ended(work: Work, order: Order) -> None:
    """An order that made room for another price works no longer: place what it has not filled."""
    trade, wanted = work.trade, work.trade.replacement
    if wanted is None or wanted.of != order.client_order_id:
        return
    trade.replacement = None
    if order.remaining <= ZERO or trade.is_closed:
        return
    amount = order.remaining
    if order.purpose is Purpose.ENTRY:
        if trade.trading is not TradingState.ACTIVE or trade.leaving is not None:
            return
        stake = order.remaining * order.price / trade.leverage
        amount = entry_amount(work.market, stake, wanted.price, trade.leverage)
        if trade.position.amount <= ZERO:
            trade.max_rate = trade.min_rate = wanted.price
    why = work.market.refusal(amount, wanted.price)
    if why is not None:
        work.decide(f"enter_{trade.side}", "denied", Denial.STAKE_UNDER_MINIMUM, why, tag=order.tag)
        return
    work.place(
        order.purpose,
        order.type,
        amount,
        wanted.price,
        tag=order.tag,
        time_in_force=order.time_in_force,
        priced=wanted.priced,
    )


def wait_on(work: Work, *, overdue: int = 0) -> None:
    """Wake the trade for its orders: when their time is over, or the strategy is to be asked again.

    One whose time is over already, and rests all the same, is due in `overdue` milliseconds.
    """
    settings, callbacks = work.settings, work.settings.callbacks
    waits: list[int] = []
    for order in work.trade.working():
        if order.purpose is Purpose.STOP or order.type is not OrderType.LIMIT:
            continue
        entry = order.purpose is Purpose.ENTRY
        limit = _limit(work, order)
        rung = _rung(work, order)
        if rung is not None:
            waits.append(max(work.trade.left_since + rung - work.now, overdue or 1))
        left = order.created_at + limit - work.now
        if limit and (left > 0 or _rests(order)):
            waits.append(left if left > 0 else overdue)
        if ("check_entry_timeout" if entry else "check_exit_timeout") in callbacks:
            waits.append(CHECK_MS)
        if not callbacks.isdisjoint({"adjust_order_price", "adjust_entry_price" if entry else "adjust_exit_price"}):
            waits.append(settings.timeframe_ms - work.now % settings.timeframe_ms + CANDLE_GRACE_MS)
    if waits:
        work.do(SetTimer("unfilled", min(waits), market=True))


def watches_price(work: Work) -> bool:
    """Whether an entry that rests needs prices: the strategy may move it."""
    return not work.settings.callbacks.isdisjoint({"adjust_order_price", "adjust_entry_price"})
