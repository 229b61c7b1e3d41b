"""Keeping stops at the venue for all that is held: placed, kept equal to it, moved with the trade's own stop.

Rules
    No gap where the venue can help it. Where a stop may stand beside another (`stop_beside`), a new one stands before
    the old one goes. Where the venue takes one for another in one request (`stop_replace`), it does both or neither:
    the old one stands until the new one does. Where it changes one that rests (`stop_amend`), that one stands all the
    time, as it was or as it is to be (`engine.amending`). Else the old one goes first, since it holds the coins: that gap is a
    round trip long, and the next one's budget is there before it begins.
    Nothing is done while the fate of a stop is not known, since both might fill. Only where stops do nothing but
    reduce (`stop_beside`) another one is placed at once: what is too much is cancelled when it turns out to be there.
"""

from __future__ import annotations

from decimal import Decimal

from engine.actions import Alarm, Amend, SetTimer
from engine.change import changed
from engine.exits import tighter
from engine.order import RESTING, Amendment, Order, OrderEvent
from engine.types import ZERO, Millis, OrderStatus, OrderType, Purpose, Side
from engine.work import Work

REPLACED = "replaced"
"""Why an order was cancelled that made room for another: the reason in its journal entry."""
STOPS_MOST = 3
"""So many stops guard one position at most, each for what was bought since the one before; exchanges allow few."""
TAG = "stoploss_on_exchange"


def guard(work: Work) -> None:
    """Keep stops at the venue for all that is held, at the stop or the liquidation price, whichever is nearer."""
    trade, settings = work.trade, work.settings
    if not settings.stop_on_venue or trade.stop is None:
        return
    level, amount = _level(work), _to_guard(work)
    stops = _settled(work, amount)
    if not amount or stops is None:
        return
    far = [order for order in stops if _is_far(work, order, level)]
    moved = [order for order in far if work.now >= _may_move_at(work, order)]
    if far and not moved:
        _look_again_at(work, min(_may_move_at(work, order) for order in far))
    whole = [order for order in stops if order.remaining == amount and order not in moved]
    missing = amount - sum((order.remaining for order in stops), ZERO)
    if whole:
        _cancel_stops(work, [order for order in stops if order is not whole[-1]])
    elif settings.stop_beside or not stops:
        _place_stop(work, amount, level)
    elif settings.stop_replace or _can_amend(work, stops[0]):
        _replace(work, stops, amount, level)
    elif not moved and missing > ZERO and len(stops) < STOPS_MOST and work.market.refusal(missing, level) is None:
        _place_stop(work, missing, level)
    elif moved or missing:
        _cancel_stops(work, stops)


def waits_for_coins(work: Work) -> bool:
    """Whether a stop for all that is held could rest at the venue, were it not for exits, whose orders hold the coins."""
    trade, settings = work.trade, work.settings
    if not settings.stop_on_venue or settings.stop_beside or trade.stop is None or trade.stop_failed:
        return False
    amount = work.market.tradable(trade.position.amount)
    return bool(amount) and work.market.refusal(amount, _level(work)) is None


def make_room(work: Work, leaves: Decimal) -> bool:
    """Free the coins that a partial exit is to sell from the stops that hold them; False while that is under way."""
    trade, settings = work.trade, work.settings
    stops = trade.working(Purpose.STOP)
    if settings.stop_beside or not stops:
        return True
    rest = work.market.tradable(trade.position.amount - leaves)
    if any(order.status not in RESTING or _is_amended(order) for order in stops):
        return False
    if sum((order.most - order.filled for order in stops), ZERO) <= rest:
        return True
    shrinks = (settings.stop_replace and work.now >= trade.replace_at) or _can_amend(work, stops[0])
    one = rest and len(stops) == 1 and trade.stop is not None
    if shrinks and one and work.market.refusal(rest, _level(work)) is None:
        _replace_one(work, stops[0], rest, _level(work))
    else:
        _cancel_stops(work, stops)
    return False


def _settled(work: Work, amount: Decimal) -> list[Order] | None:
    """The stops that rest; None while something about stops is under way that has to be heard first."""
    stops = work.trade.working(Purpose.STOP)
    if any(order.amending is not None for order in stops):
        return None
    resting = [order for order in stops if order.status in RESTING]
    others = [order for order in stops if order.status not in RESTING]
    if not others:
        return stops
    only_doubts = all(order.status is OrderStatus.IN_DOUBT for order in others)
    guarded = any(order.remaining >= amount for order in resting)
    if not work.settings.stop_beside or not only_doubts or guarded or len(others) >= STOPS_MOST:
        return None
    return resting


def _level(work: Work) -> Decimal:
    """Where a stop belongs, on the market's present steps: the level may be kept from a time when they were finer."""
    trade = work.trade
    assert trade.stop is not None  # whoever asks has looked
    level = tighter(trade.stop.level, trade.liquidation, trade.side)
    return work.market.round_price_up(level) if trade.side is Side.LONG else work.market.round_price_down(level)


def _to_guard(work: Work) -> Decimal:
    """What stops have to be for: all that is held, less what exits claim where an order holds its coins."""
    trade = work.trade
    claimed = ZERO
    if not work.settings.stop_beside:
        claimed = sum((order.remaining for order in trade.working(Purpose.EXIT)), ZERO)
    return work.market.tradable(trade.position.amount - claimed)


def _is_far(work: Work, order: Order, level: Decimal) -> bool:
    """Whether a stop is far enough from where it belongs to be replaced, as soon as it is old enough."""
    if order.trigger_price is None or order.trigger_price == level:
        return False
    return abs(level - order.trigger_price) >= order.trigger_price * work.settings.stop_step


def _may_move_at(work: Work, order: Order) -> Millis:
    return max(order.created_at, order.amended_at) + work.settings.stop_interval_ms


def _look_again_at(work: Work, then: Millis) -> None:
    """Nothing else may happen until a stop may be moved: a quiet market has no prices to tell."""
    work.do(SetTimer("move_stop", then - work.now, market=True))


def _cancel_stops(work: Work, stops: list[Order]) -> None:
    for order in stops:
        work.cancel(order, REPLACED)


def _replace(work: Work, stops: list[Order], amount: Decimal, level: Decimal) -> None:
    """Put one stop for all that is held into the place of the one that rests; of several all but the first go before."""
    if len(stops) > 1:
        _cancel_stops(work, stops[1:])
    elif work.now < work.trade.replace_at:
        _look_again_at(work, work.trade.replace_at)
    elif work.market.refusal(amount, level) is None:
        _replace_one(work, stops[0], amount, level)


def _replace_one(work: Work, old: Order, amount: Decimal, level: Decimal) -> None:
    """Intend the one request that moves a stop: it is changed, or the old one goes as the new one comes."""
    trade = work.trade
    if not work.settings.stop_replace:
        _amend(work, old, amount, level)
        return
    trade.orders[old.client_order_id] = old.after(OrderEvent.CANCEL_REQUESTED, work.now, reason=REPLACED)
    replaces = old.client_order_id
    work.place(Purpose.STOP, OrderType.STOP, amount, level, trigger_price=level, tag=TAG, replaces=replaces)


def _can_amend(work: Work, order: Order) -> bool:
    """Whether a stop can be changed in place now: not while one that was refused is remembered, nor once it fills."""
    at_rest = order.amending is None and not order.filled
    return work.settings.stop_amend and work.now >= work.trade.replace_at and at_rest


def _is_amended(order: Order) -> bool:
    """Whether an answer to its amendment is awaited; whoever wants its coins does not wait for one in doubt."""
    return order.amending is not None and not order.amending.doubted


def _amend(work: Work, order: Order, amount: Decimal, level: Decimal) -> None:
    """Intend that a resting stop is changed."""
    target = Amendment(amount=amount, trigger_price=level)
    after = changed(order, amending=target, amended_at=work.now)
    work.trade.orders[order.client_order_id] = after
    work.emit("AmendIntended", client_order_id=order.client_order_id, amount=amount, trigger_price=level)
    work.do(Amend(after))


def _place_stop(work: Work, amount: Decimal, level: Decimal) -> None:
    trade = work.trade
    if work.now < trade.retry_at:
        return
    why = work.market.refusal(amount, level)
    if why is None:
        work.place(Purpose.STOP, OrderType.STOP, amount, level, trigger_price=level, tag=TAG)
    elif not trade.stop_failed and not trade.working(Purpose.ENTRY):
        trade.stop_failed = True
        work.do(
            Alarm("stop_impossible", f"{trade.pair}: no stop can rest at the venue ({why}); the bot guards it itself")
        )
