"""After an order has filled: the strategy hears of it, and may set the stop anew, both ways (`semantics.md` 1.7)."""

from __future__ import annotations

from engine.exits import is_hit, tightened, trailed
from engine.messages import AskStrategy, MarketRange
from engine.order import Order
from engine.pursuit import move_stop
from engine.telling import order_view, trade_facts
from engine.types import ZERO, Purpose, exact, is_number
from engine.work import WAITING, Pending, Work


def tell_filled(work: Work, order: Order) -> None:
    """Tell the strategy of an order that is done and bought or sold something; its stop is asked for when it may be."""
    trade, callbacks = work.trade, work.settings.callbacks
    if "order_filled" in callbacks and not trade.quarantined:
        # Nothing waits for the answer but the next turn: it may bring custom data and locks, and a failure is said.
        ask = AskStrategy(
            request_id=work.new_id(),
            pair=trade.pair,
            callback="order_filled",
            arguments=trade_facts(work, order.average or order.price, order=order_view(order)),
            reply_to=f"pair:{trade.pair}",
        )
        work.do(ask)
        trade.told = (*trade.told, ask.request_id)
    if "custom_stoploss" in callbacks and "after_fill" in callbacks:
        trade.untold = (*trade.untold, order.client_order_id)


def begin(work: Work) -> None:
    """Begin to ask for the stop after the oldest fill that it was not asked for."""
    trade = work.trade
    filled, trade.untold = trade.untold[0], trade.untold[1:]
    order = trade.orders.get(filled)
    if order is None or trade.position.amount <= ZERO or trade.stop is None:
        return
    trade.pending = Pending(kind="filled", price=order.average or order.price, tag=order.purpose.value)
    advance(work)


def advance(work: Work) -> None:
    """Move the stop to where the strategy wants it after a fill: it alone may loosen it, and only then."""
    trade, rate, bought = work.trade, work.pending.price, work.pending.tag == Purpose.ENTRY
    facts = trade_facts(work, rate, after_fill=True)
    distance = work.answer("custom_stoploss", facts, None)
    if distance is WAITING:
        return
    trade.pending = None
    stop, settings = trade.stop, work.settings
    point = MarketRange(pair=trade.pair, ts=work.now, open=rate, high=rate, low=rate, close=rate)
    if stop is None or trade.position.amount <= ZERO or is_hit(stop, point, trade.side):
        return
    ratio, moved = None, stop
    if is_number(distance) and distance:
        ratio = exact(distance)  # what the price is trailed by, too
        moved = tightened(stop, rate, ratio, trade.side, trade.leverage, work.market, loosen=True)
    moved = trailed(moved, trade.position, point, settings, work.market, trade.rules.fee, ratio)
    if bought:  # what the stop was set to from this entry's price holds from the mean of all entries too
        moved = tightened(moved, trade.position.rate, moved.ratio, trade.side, trade.leverage, work.market)
    move_stop(work, stop, moved, "after_fill", rate)
