"""A case's callbacks through our side of Freqtrade's interface: the strategy is the very file that Freqtrade runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from actors.judging.bench import FrameBench, answered
from actors.judging.loader import StrategyMaker
from engine.candles import Candles
from engine.messages import AskStrategy, StrategyAnswered
from engine.strategy import Surroundings, facts_of
from tests.reference import inside_freqtrade

STRATEGY = Path(__file__).with_name("rule_strategy.py")


def maker_of(case: dict[str, Any]) -> StrategyMaker:
    """The strategy of a case, its file loaded anew: it makes its class of the case under way."""
    inside_freqtrade.CURRENT[:] = [case]
    inside_freqtrade.START = datetime(1970, 1, 1, tzinfo=UTC)  # the oracle's minute 0
    config = case["config"]
    stake = config["stake"]
    around = Surroundings(
        mode="backtest",
        pairs=tuple(config["pairs"]),
        stake_currency=config["pairs"][0].partition("/")[2],
        stake_amount=None if isinstance(stake, str) else stake,
        max_open_trades=config["max_open_trades"],
        tradable_balance_ratio=config["tradable_balance_ratio"],
        wallet=config["wallet"],
        fee=config["fee"],
        is_whole=True,
    )
    return StrategyMaker(str(STRATEGY), {}, {}, around)


def callbacks_of(maker: StrategyMaker) -> frozenset[str]:
    """What the engine is told that the strategy has."""
    return frozenset(facts_of(maker.make()).callbacks)


def asked_by(maker: StrategyMaker, frames: Mapping[str, Candles]) -> Callable[[AskStrategy], StrategyAnswered]:
    """Who answers: a bench, as in a backtest."""
    bench = FrameBench(maker, list(frames.values()))
    places = {pair: place for place, pair in enumerate(frames)}

    def asked(ask: AskStrategy) -> StrategyAnswered:
        if ask.account is not None:
            bench.hear(ask.account)
        return answered(ask, bench.ask(places[ask.pair], ask.callback, ask.arguments))

    return asked
