"""Changing an open position: further entries and partial exits, as the strategy says (`semantics.md` 1.9, 2.3.4).

Asked before every look at the position. More stake is reserved at the portfolio like any entry's, but needs
no slot; what is granted becomes the goal `increasing`, which counts as tied up until its order is there.
Less is the goal `reducing`. Both wait for the trade's other orders to be gone (`pursuit`): there is one order
of ours beside the guarding stop at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine import pursuit, staking
from engine.denials import Denial
from engine.exits import ExitWish, rounded_exit
from engine.goals import Increase, Reduction
from engine.messages import AdjustPosition, MarketRange
from engine.order import RESTING
from engine.pricing import exit_price
from engine.quotes import Priced
from engine.sizing import entry_amount, max_stake, min_stake, within_distance
from engine.telling import trade_facts
from engine.types import ONE, ZERO, OrderType, Purpose, Side, TradingState, exact, is_number
from engine.work import WAITING, Pending, Work

ADJUSTMENT_STOP = Decimal("-0.1")
"""The stop at which the rest of a reduced position must still be sellable: the reference's own (2.3.4)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the strategy wants: more stake (positive) or less, and its word for it."""

    stake: Decimal
    tag: str = ""


def on_adjust(work: Work, event: AdjustPosition) -> None:
    """A candle has opened: the position may be changed at its open."""
    if is_due(work):
        price = event.price
        high, low = event.high, event.low
        rng = MarketRange(pair=event.pair, ts=event.ts, open=price, high=high, low=low, close=price, whole=True)
        begin(work, rng)


def is_due(work: Work) -> bool:
    """Whether the strategy is to be asked now: it has a word, something is held, and it was not asked this moment."""
    trade, settings = work.trade, work.settings
    if not settings.position_adjustment or "adjust_trade_position" not in settings.callbacks:
        return False
    if trade.adjusted_at == work.now or trade.position.amount <= ZERO or trade.trading is TradingState.STOPPED:
        return False
    # What is being sold at market price, or is on its way, is not adjusted.
    exits = trade.working(Purpose.EXIT)
    if trade.leaving is not None and not exits:
        return False
    return all(o.status in RESTING and (o.type is OrderType.LIMIT or o.created_at < work.now) for o in exits)


def begin(work: Work, rng: MarketRange) -> None:
    """Ask the strategy whether the position is to be changed at the range's open."""
    trade = work.trade
    trade.adjusted_at = work.now
    bound = None
    if not rng.is_point:
        bound = rng.high if trade.side is Side.LONG else rng.low
    trade.pending = Pending(
        kind="adjust", side=trade.side, tag=trade.enter_tag, price=rng.open, bound=bound, ts=work.now, rng=rng
    )
    advance(work)


def advance(work: Work) -> None:
    """Evaluate the adjustment as far as its answers reach; run again when one more is there.

    Live an order may fill while the strategy is asked, or the portfolio: what it said was of another position
    then, and acting on it would buy the same twice. It is asked anew at the next look.
    """
    held = work.trade.position.amount
    if work.pending.answers.setdefault("held", held) != held:
        if "capital" in work.pending.answers:
            work.exposure()
        _done(work)
        return
    wanted = _wanted(work)
    if wanted is WAITING:
        return
    if wanted is None or work.trade.position.amount <= ZERO:
        _done(work)
    elif wanted.stake > ZERO:
        _increase(work, wanted)
    else:
        _reduce(work, wanted)


def _wanted(work: Work) -> Any:
    """What the strategy wants, None for nothing, or WAITING."""
    trade, rate, pending = work.trade, work.pending.price, work.pending
    if "wanted" in pending.answers:
        return pending.answers["wanted"]
    settings, market = work.settings, work.market
    least = min_stake(market, rate, ADJUSTMENT_STOP, settings.amount_reserve, trade.leverage)
    most = max_stake(market, rate, trade.leverage)
    facts = trade_facts(work, rate)
    facts["min_stake"] = float(least) if least else None
    facts["max_stake"] = None if most is None else float(most)
    facts["current_entry_rate"] = facts["current_exit_rate"] = facts["current_rate"]
    facts["current_entry_profit"] = facts["current_exit_profit"] = facts["current_profit"]
    said = work.answer("adjust_trade_position", facts, None)
    if said is WAITING:
        return WAITING
    stake, tag = said if isinstance(said, list | tuple) and len(said) == 2 else (said, "")
    found = None
    if is_number(stake) and stake:
        found = Wanted(exact(stake), str(tag or "")[:255])
    elif stake is not None and not is_number(stake):
        work.not_an_answer("adjust_trade_position", said)
    pending.answers["wanted"] = found
    return found


def _increase(work: Work, wanted: Wanted) -> None:
    trade, market, pending = work.trade, work.market, work.pending
    most_entries = work.settings.max_entry_adjustments
    filled = sum(1 for o in trade.orders.values() if o.purpose is Purpose.ENTRY and o.filled)
    if 0 <= most_entries < filled:
        _refuse(work, Denial.ADJUSTED_ENOUGH, f"{filled} entries, {most_entries} may be added to the first", wanted)
        return
    pending.tag = wanted.tag or trade.enter_tag
    price = staking.entry_price(work)
    if price is None:
        return
    if isinstance(price, staking.NotPriced):
        _refuse(work, price.code, price.detail, wanted)
        return
    granted = pending.answers.get("capital")
    if granted is None:
        least = min_stake(market, price, ZERO, work.settings.amount_reserve, trade.leverage)
        most = max_stake(market, price, trade.leverage)
        pending.answers["own_stake"] = wanted.stake
        staking.reserve(
            work,
            price,
            trade.leverage,
            least,
            None if most is None else max(most - trade.position.stake, ZERO),
            adding=True,
        )
        return
    if trade.trading is not TradingState.ACTIVE:
        _refuse(work, Denial(trade.trading), "it was granted before the halt", wanted)
        return
    amount = entry_amount(market, granted.stake, price, trade.leverage)
    why = market.refusal(amount, market.round_price(price))
    if why is not None:
        _refuse(work, Denial.STAKE_UNDER_MINIMUM, why, wanted)
        return
    kind = staking.order_type(work)
    if not any(o.price == price and o.amount == amount for o in trade.working(Purpose.ENTRY)):
        _drop_exit(work)
        trade.reducing = None
        priced = staking.priced(work)
        trade.increasing = Increase(
            amount, price, kind, wanted.tag or trade.enter_tag, granted.epoch, trade.position.amount, priced
        )
        said = priced.text if priced is not None else ""
        work.decide(f"increase_{trade.side}", "traded", "TRADED", said, tag=wanted.tag)
    work.exposure()
    _done(work)


def _reduce(work: Work, wanted: Wanted) -> None:
    trade, market, rng = work.trade, work.market, work.pending.rng
    assert rng is not None
    position = trade.position
    # The strategy's stake is a double made of the one it was told: by that the quotient is a whole number of steps again.
    part = abs(wanted.stake) * position.amount / exact(position.told_stake)
    amount = market.truncate_double(float(part))
    amount = min(amount, market.truncate_amount(position.amount))
    rest = (position.amount - amount) * rng.open
    least = min_stake(
        market, rng.open, ADJUSTMENT_STOP, work.settings.amount_reserve, ONE
    )  # as the rest: all it is worth
    if amount <= ZERO or (rest and rest < least):
        why = f"{amount:f} of {position.amount:f} would leave {rest:f}, the market takes {least:f} or more"
        _refuse(work, Denial.STAKE_UNDER_MINIMUM, why, wanted)
        return
    asked = _reducing_price(work, rng)
    if asked is None:
        return
    price, priced = asked
    tag = wanted.tag or "partial_exit"
    if not any(o.price == price and o.amount == amount for o in trade.working(Purpose.EXIT)):
        _drop_exit(work)
        pursuit.drop_goals(work)
        trade.reducing = Reduction(amount, price, OrderType(work.settings.exit_type), tag, position.amount, priced)
        work.decide(f"reduce_{trade.side}", "traded", "TRADED", priced.text if priced else "", tag=wanted.tag)
    _done(work)


def _reducing_price(work: Work, rng: MarketRange) -> tuple[Decimal, Priced | None] | None:
    """The partial exit's price and why, by the book and the strategy's own where it has one; None while these are asked."""
    price, is_long, priced = rng.open, work.trade.side is Side.LONG, None
    if work.settings.exit_type == OrderType.LIMIT:
        quoted = exit_price(work, price)
        if quoted is WAITING:
            return None
        price, priced = quoted
        facts = trade_facts(work, price, proposed_rate=float(price), exit_tag="partial_exit")
        own = work.number("custom_exit_price", facts, key="custom_exit_price:partial_exit")
        if own is WAITING:
            return None
        if own is not None and (rng.is_point or priced is not None):
            price = within_distance(own, price, work.settings.price_distance)
        elif own is not None:
            price = max(own, rng.low) if is_long else min(own, rng.high)
    return rounded_exit(ExitWish("partial_exit", price), work.market), priced


def _drop_exit(work: Work) -> None:
    """An exit that rests makes room: it is cancelled, and looked for anew."""
    trade = work.trade
    if trade.leaving is not None:
        trade.exit_reason = pursuit.reason_of(trade.leaving)  # should it fill before it is cancelled
        trade.leaving, trade.leave_type = None, ""


def _refuse(work: Work, code: Denial | str, detail: str, wanted: Wanted) -> None:
    """Say why the position is left as it is, once a candle; capital that was granted goes back."""
    refuse(work, code, detail, wanted)
    if "capital" in work.pending.answers:
        work.exposure()
    _done(work)


def refuse(work: Work, code: Denial | str, detail: str, wanted: Wanted | None) -> None:
    """The row of an adjustment that does not take place; one a candle, for it is asked at every look."""
    trade = work.trade
    candle = work.now // work.settings.timeframe_ms
    if trade.unadjusted_candle != candle:
        trade.unadjusted_candle = candle
        way = "increase" if wanted is None or wanted.stake > ZERO else "reduce"
        work.decide(f"{way}_{trade.side}", "denied", code, detail, tag=wanted.tag if wanted else "")


def on_denied(work: Work, code: str, detail: str) -> None:
    """The portfolio has no capital for it."""
    refuse(work, code, detail, work.pending.answers.get("wanted"))
    _done(work)


def _done(work: Work) -> None:
    """The question is settled; the look at the position that waited for it comes now, however long it took."""
    work.trade.pending = None
    work.trade.adjusted_at = work.now
    pursuit.pursue(work)
