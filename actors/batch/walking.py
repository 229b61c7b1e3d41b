"""Runs that walk the trade machine over candles: those with events, callbacks, or what only the machine knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from actors.batch.outcome import Done
from actors.batch.taping import Taped, timeframe_of
from actors.judging.bench import FrameBench, answered
from engine.backtest import Backtest
from engine.depth import Depth
from engine.matching import Exchange
from engine.matching import Rules as VenueRules
from engine.messages import AskStrategy, StrategyAnswered
from engine.portfolio import Portfolio
from engine.realistic import RealisticBacktest, exchange_with_depth
from engine.settings import Config


def walk(
    config: Config, taped: Taped, portfolio: Portfolio, *, every_candle: bool, keep_events: bool, fills: str
) -> Done:
    """Walk the candles on which something can happen, or every one; Ctrl-C ends it early."""
    if fills == "realistic":
        run = _with_book(config, taped, portfolio, keep_events=keep_events)
    else:
        exchange = Exchange({pair: rules.market for pair, rules in taped.rules.items()}, VenueRules())
        run = Backtest(taped.rules, portfolio, exchange, _asked(taped), keeps_events=keep_events)
    try:
        run.run(taped.tapes, timeframe_of(taped), every_candle=every_candle)
    except KeyboardInterrupt:
        run.counters.rejected_signals = run.portfolio.rejected
        return Done(run.trades, run.counters, run.events, run.now, run.changes)
    return Done(run.trades, run.counters, run.events, None, run.changes)


def _with_book(config: Config, taped: Taped, portfolio: Portfolio, *, keep_events: bool) -> Backtest:
    """The machine with an exchange that has a book, as `[paper]` describes it."""
    paper = config.paper
    markets = {
        pair: replace(rules.market, maker_fee=paper.maker_fee, taker_fee=paper.taker_fee)
        for pair, rules in taped.rules.items()
    }
    return RealisticBacktest(
        taped.rules,
        portfolio,
        exchange_with_depth(markets, Depth(paper.spread, paper.depth), paper.wallet),
        _asked(taped),
        keeps_events=keep_events,
        candles={pair: tape.candles for pair, tape in taped.tapes.items()},
        latency_ms=paper.latency_ms,
    )


def _asked(taped: Taped) -> Any:
    """Whom the machine asks for the strategy's callbacks; None where there are none."""
    if not taped.facts.callbacks:
        return None
    bench = FrameBench(taped.maker, [taped.frames[pair] for pair in taped.tapes])
    places = {pair: place for place, pair in enumerate(taped.tapes)}

    def asked(ask: AskStrategy) -> StrategyAnswered:
        if ask.account is not None:
            bench.hear(ask.account)
        return answered(ask, bench.ask(places[ask.pair], ask.callback, ask.arguments))

    return asked
