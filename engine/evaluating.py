"""Evaluations: which one is under way, what answers do to it, and which one is next.

An evaluation that has asked something waits in `trade.pending` and is run again from its start with each
answer. There is one at a time; what becomes due meanwhile is begun when it is over, in a fixed order:
the stop after a fill, orders that rest, the price's way since the last look. One that waits for a quote is given up
for a price at the stop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from engine import adjusting, after_fill, entry, leaving, pursuit, reviewing
from engine.actions import SetTimer
from engine.denials import Denial
from engine.messages import CapitalDenied, CapitalReserved, QuoteTold, StrategyAnswered, TimerFired
from engine.pricing import waits_for_quote
from engine.quarantine import callback_failed
from engine.types import ZERO
from engine.work import NO_ANSWER, Work

ADVANCE: Final[dict[str, Callable[[Work], None]]] = {
    "entry": entry.advance,
    "exit": leaving.advance,
    "review": reviewing.advance,
    "adjust": adjusting.advance,
    "filled": after_fill.advance,
}
"""How each kind of evaluation goes on."""


def go_on(work: Work) -> None:
    """Begin what is due, while no evaluation is under way that may not be given up."""
    trade = work.trade
    while trade.reconciled and (trade.pending is None or leaving.gives_quote_up(work)):
        if trade.untold:
            after_fill.begin(work)
        elif trade.review_due:
            reviewing.begin(work)
        elif trade.queued is not None:
            rng, trade.queued = trade.queued, None
            leaving.on_range(work, rng)
        else:
            return


def on_answer(work: Work, event: StrategyAnswered) -> None:
    """The strategy answered, or failed to: the evaluation goes on with that, or with the default."""
    trade, pending = work.trade, work.trade.pending
    _take_asides(work, event)
    if event.request_id in trade.told:
        trade.told = tuple(told for told in trade.told if told != event.request_id)
        _weigh(work, "order_filled", event)
        return
    if pending is None or pending.waiting != event.request_id or pending.key == "capital":
        return
    pending.waiting = ""
    pending.answers[pending.key] = NO_ANSWER if event.failed else event.answer
    _weigh(work, pending.key.partition(":")[0], event)
    ADVANCE[pending.kind](work)


def _weigh(work: Work, callback: str, event: StrategyAnswered) -> None:
    """Say it when a callback has failed, and count it where that is the strategy's fault."""
    if not event.failed:
        work.trade.strikes = 0
        return
    work.decide(callback, "failed", Denial.STRATEGY_FAILED, event.failed)
    if not event.excused:
        callback_failed(work, event.failed)


def _take_asides(work: Work, event: StrategyAnswered) -> None:
    """What the strategy said besides its answer, whoever waits for that: data kept with its trade, locks."""
    trade = work.trade
    if event.custom_data and event.trade_id == trade.trade_id:
        kept = trade.custom_data
        news = {key: value for key, value in event.custom_data.items() if key not in kept or kept[key] != value}
        if news:
            trade.custom_data = {**kept, **news}
            work.emit("CustomDataSet", data=news)
    for wish in event.wishes:
        work.do(replace(wish, request_id=work.new_id(), reply_to=f"pair:{trade.pair}"))


def on_capital(work: Work, event: CapitalReserved) -> None:
    """The portfolio granted capital; one that nobody waits for any more is given back."""
    pending = work.trade.pending
    if pending is None or pending.kind not in ("entry", "adjust"):
        work.exposure()
        return
    if pending.waiting != event.request_id or pending.key != "capital":
        return  # a repetition: the reservation is the evaluation's that goes on
    pending.waiting, pending.key = "", ""
    if pending.stale:
        pending.stale = False  # what was held has changed since, and with it the reservation went: ask again
    else:
        pending.answers["capital"] = event
    ADVANCE[pending.kind](work)


def on_quote(work: Work, event: QuoteTold) -> None:
    """The book's prices are there, or will not be: the evaluation goes on; a late or repeated answer is nobody's."""
    trade, pending = work.trade, work.trade.pending
    if pending is None or not waits_for_quote(trade) or pending.waiting != event.request_id:
        return
    pending.waiting = ""
    pending.answers[pending.key] = event
    ADVANCE[pending.kind](work)


def on_denied(work: Work, event: CapitalDenied) -> None:
    """The portfolio said no, and why."""
    pending = work.trade.pending
    if pending is None or pending.waiting != event.request_id or pending.key != "capital":
        return
    if pending.kind == "adjust":
        pending.waiting = ""
        adjusting.on_denied(work, event.code, event.detail)
    else:
        entry.denied(work, event.code, event.detail)


def on_timer(work: Work, event: TimerFired) -> None:
    """A timer of ours is due: an unfilled order, a retry, an answer that did not come.

    The exchange's time, which is market time, may have been set back since it was started: then it is early.
    """
    trade = work.trade
    if not trade.reconciled:
        return
    touched = trade.stop_touched_at
    until = {"pursue": trade.retry_at, "grace": touched and touched + leaving.GUARD_GRACE_MS}.get(event.name, 0)
    if work.now < until:
        work.do(SetTimer(event.name, until - work.now, market=True))
        return
    if event.name == "unfilled":
        reviewing.ask_review(work)
        if not trade.review_due:
            reviewing.wait_on(work)
    elif trade.stop_touched_at and trade.position.amount > ZERO:
        leaving.look_again(work)
    else:
        pursuit.pursue(work)
