"""One trial of a search: the same candles, judged and traded with other values.

A laboratory holds candles and what was judged last, so a trial judges again only when a value that
signals may hang on has changed. Trials keep nothing of one another: equal values, equal outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np

from actors.batch.backtest import run_backtest
from actors.batch.outcome import BacktestResult
from actors.batch.taping import Taped, tape_of
from actors.judging.loader import StrategyMaker
from engine.candles import Candles
from engine.config import candle_settings
from engine.errors import DataError, TradepitError
from engine.losses import LOSSES, Account
from engine.metrics import days_of, drawdown
from engine.parameters import Parameter, parameters_of
from engine.precision import price_steps
from engine.settings import Config
from engine.spaces import Assigned, assign, needs_judging
from engine.strategy import Surroundings, facts_of
from engine.tape import Tape
from engine.types import Millis
from engine.work import Rules

TOO_FEW: Final = 100_000.0
"""The loss of fewer trades than were asked for: worse than any that has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a trial gave. `loss` is what a search makes small; None where the strategy failed, with `why`."""

    loss: float | None
    trades: int = 0
    profit: float = 0.0
    profit_ratio: float = 0.0
    drawdown: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a search is after: the name of a loss, and how many trades make a run count at all."""

    loss: str
    trades_min: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that a laboratory is made of, to be sent to another machine."""

    config: Config
    frames: dict[str, Candles]
    tapes: dict[str, Tape]
    rules: dict[str, Rules]
    surroundings: Surroundings
    goal: Goal
    start: Millis | None
    end: Millis | None

    @property
    def key(self) -> str:
        """What tells it from other recipes that a worker may be given."""
        return f"{self.config!r}{sorted(self.rules)}{self.goal}{self.start}{self.end}"

    def make(self) -> Laboratory:
        """The laboratory; loads the strategy's file of this machine."""
        wanted = self.config.strategy
        maker = StrategyMaker(wanted.name, wanted.parameters, wanted.overrides, self.surroundings)
        facts = facts_of(maker.make())
        settings = candle_settings(self.config, facts)
        taped = Taped(self.tapes, self.rules, self.frames, settings, facts, maker, {})
        return Laboratory(self.config, taped, self.goal, self.start, self.end)


class Laboratory:
    """Runs trials over the candles that open in [start, end), None being the data's own bounds."""

    def __init__(
        self,
        config: Config,
        taped: Taped,
        goal: Goal,
        start: Millis | None = None,
        end: Millis | None = None,
    ) -> None:
        self._config, self._taped, self._goal = config, taped, goal
        self._start, self._end = start, end
        self._frames = {
            pair: c if end is None else c[: int(np.searchsorted(c.ts, end))] for pair, c in taped.frames.items()
        }
        self._steps = {pair: price_steps(candles) for pair, candles in self._frames.items()}
        self._judged_as: tuple[tuple[str, Any], ...] | None = None
        self._tapes: dict[str, Tape] = {}
        strategy = taped.maker.make()
        self.parameters: Mapping[str, Parameter] = parameters_of(strategy)
        self._own_spaces = strategy.own_spaces()

    @property
    def span(self) -> list[Millis | None]:
        """The time it was asked for: [start, end), None being the data's own bound."""
        return [self._start, self._end]

    @property
    def bounds(self) -> tuple[Millis, Millis]:
        """The open time of the first candle that is traded on, and the end of the last, over all pairs."""
        startup = self._taped.facts.startup_candles
        traded = [c.ts[startup:] for c in self._frames.values() if len(c) > startup]
        if not traded:
            raise DataError(f"No candles are left after {startup} to start up.")
        step = self._taped.settings.timeframe_ms
        return min(int(ts[0]) for ts in traded), max(int(ts[-1]) for ts in traded) + step

    def within(self, start: Millis, end: Millis) -> Self:
        """A laboratory for a part of the same candles."""
        return type(self)(self._config, self._taped, self._goal, start, end)

    def recipe(self) -> Recipe:
        """How another machine makes the same one: plain data, since a user's class cannot be sent."""
        return Recipe(
            config=self._config,
            frames=dict(self._taped.frames),
            tapes={p: replace(t, candles=t.candles[:0], signals={}) for p, t in self._taped.tapes.items()},
            rules=dict(self._taped.rules),
            surroundings=self._taped.maker.surroundings,
            goal=self._goal,
            start=self._start,
            end=self._end,
        )

    def run(self, point: Mapping[str, Any]) -> Outcome:
        """Trade with these values."""
        try:
            result = self.trade(point)
        except TradepitError as error:  # the strategy's own fault, or values that do not go together
            return Outcome(loss=None, why=" ".join(str(error).split()))
        except (Exception, SystemExit) as error:  # noqa: BLE001 -- a user's code may raise anything; the trial is over
            return Outcome(loss=None, why=self._taped.maker.explain(error))
        return self._outcome(result)

    def trade(self, point: Mapping[str, Any]) -> BacktestResult:
        """What a backtest with these values gives."""
        assigned = self.assigned(point)
        maker = self._taped.maker.with_values(assigned.parameters, assigned.settings)
        tapes = self._judge(maker, point)
        facts = facts_of(maker.make())
        settings = replace(candle_settings(self._config, facts), stop_on_venue=False)
        rules = {pair: replace(self._taped.rules[pair], settings=settings) for pair in tapes}
        taped = replace(
            self._taped, tapes=tapes, rules=rules, frames=self._frames, settings=settings, facts=facts, maker=maker
        )
        result = run_backtest(self._config, taped)
        if result.interrupted is not None:
            raise KeyboardInterrupt
        return result

    def assigned(self, point: Mapping[str, Any]) -> Assigned:
        """What a point stands for."""
        return assign(point, self.parameters, self._own_spaces)

    def _judge(self, maker: StrategyMaker, point: Mapping[str, Any]) -> Mapping[str, Tape]:
        values = tuple(sorted((n, v) for n, v in point.items() if needs_judging(n, self.parameters)))
        if self._judged_as != values:
            startup = maker.make().startup_candles
            self._judged_as = None
            self._tapes = {
                pair: tape_of(maker, candles, startup, self._start, self._taped.tapes.get(pair))
                for pair, candles in self._frames.items()
            }
            self._judged_as = values
        return self._tapes

    def _outcome(self, result: BacktestResult) -> Outcome:
        columns, days = result.columns, days_of(result.start, result.end)
        wallet = float(self._config.paper.wallet)
        fall = drawdown(columns.close_ts, columns.profit_abs, wallet)
        profit = float(columns.profit_abs.sum())
        few = len(columns) < self._goal.trades_min
        return Outcome(
            loss=TOO_FEW if few else LOSSES[self._goal.loss](columns, Account(wallet, days, fall)),
            trades=len(columns),
            profit=profit,
            profit_ratio=profit / wallet,
            drawdown=fall.account,
        )
