"""The command `tradepit optimize`: from its arguments to a search, its progress, and what it found."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from actors.batch.optimising.laboratory import TOO_FEW, Goal, Laboratory, Outcome
from actors.batch.optimising.pool import Runner, runner_for
from actors.batch.optimising.progress import Progress, progress_for
from actors.batch.optimising.walking import Stretch, Walked, stretches, walk_forward
from actors.batch.taping import Taped, tape, time_of
from actors.commands.common import percent_text, print_json, print_table, time_text, with_arguments
from actors.config_file import read_config
from actors.judging.loader import is_shipped
from actors.judging.optimised import write_optimised
from engine.errors import DataError
from engine.losses import FREQTRADE_NAMES, LOSSES
from engine.parameters import PROTECTION, Dimension, parameters_of
from engine.settings import Config
from engine.spaces import TRAILING, OwnSpaces, assign, dimensions, spaces_of
from engine.strategy import Strategy
from engine.types import Millis, use_money_context

INTERRUPTED: Final = 130
NOT_USED: Final = {
    "max_open_trades_space": "max_open_trades is not searched",
    "generate_estimator": "--sampler chooses the sampler",
    "dimensions": "parameters of the class are searched",
}
"""Methods of a Freqtrade strategy's nested `HyperOpt` class that have no use here, and why."""
NOT_BY_DEFAULT: Final = (TRAILING, PROTECTION)
"""Spaces that are searched only when they are asked for, as in Freqtrade."""


@dataclass(slots=True)
class Job:
    """One call of the command: what to search, where, and how."""

    arguments: argparse.Namespace
    config: Config
    taped: Taped
    loss: str
    spaces: list[str]
    dimensions: list[Dimension]
    study: Path
    interrupted: bool = False
    written: str = ""
    walked: list[Walked] = field(default_factory=list)

    def values(self, best: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        """What a point stands for, by space."""
        strategy = self.taped.maker.make()
        return assign(best, parameters_of(strategy), strategy.own_spaces()).by_space

    def about(self, laboratory: Laboratory) -> dict[str, Any]:
        """What a study on disk must be about to be gone on with."""
        account = (self.config.trading, self.config.risk, self.config.paper, self.config.protections)
        return {
            "strategy": self.taped.facts.name,
            "file": hashlib.sha256(self.taped.maker.file.read_bytes()).hexdigest()[:16],
            "settings": hashlib.sha256(repr((account, self.config.strategy)).encode()).hexdigest()[:16],
            "pairs": sorted(self.taped.frames),
            "candles": {pair: _span(c.ts) for pair, c in self.taped.frames.items()},
            "time": laboratory.span,
            "loss": self.loss,
            "min_trades": self.arguments.min_trades,
        }


def optimize(arguments: argparse.Namespace) -> int:
    """Run the command; its status."""
    use_money_context()
    job = _job(arguments)
    for pair, why in job.taped.failed.items():
        print(f"{pair} is left out: {why}", file=sys.stderr)
    start, end = time_of(arguments.start), time_of(arguments.end)
    laboratory = Laboratory(job.config, job.taped, Goal(job.loss, arguments.min_trades), start, end)
    if arguments.walk_forward is not None:
        return _walk(job, laboratory, start, end)
    found = _search(job, laboratory, job.taped.facts.name, with_now=True)
    if found is None:
        print("No trial gave a result.", file=sys.stderr)
        return INTERRUPTED if job.interrupted else 1
    best, outcome, before = found
    _write(job, best, outcome, before)
    _tell(job, best, outcome, before)
    return INTERRUPTED if job.interrupted else 0


def _job(arguments: argparse.Namespace) -> Job:
    try:
        import optuna  # noqa: F401 -- said before the candles are read, not after
    except ImportError:
        raise DataError('Optuna is not installed; optimize needs it: pip install "tradepit[optimize]".') from None
    config = with_arguments(read_config(arguments.config), arguments)
    folder = arguments.data or config.feed.data
    if not folder:
        raise DataError("There are no candles to search on: give --data DIR, or set feed.data in the config.")
    taped = tape(config, folder, config.trading.pairs, None, time_of(arguments.end))
    strategy = taped.maker.make()
    parameters = parameters_of(strategy)
    spaces = _spaces(arguments.spaces, spaces_of(parameters))
    axes = dimensions(parameters, spaces, taped.settings.timeframe_ms, _own_spaces(taped, strategy))
    if not axes:
        raise DataError(f"{taped.facts.name} has nothing to search in {', '.join(spaces)}.")
    _say_what_is_not_used(taped)
    study = Path(arguments.study or f"{taped.facts.name}.study")
    return Job(arguments, config, taped, loss_named(arguments.loss), spaces, axes, study)


def _say_what_is_not_used(taped: Taped) -> None:
    """Name the hooks of a Freqtrade strategy's `HyperOpt` that nothing asks."""
    own = getattr(type(taped.maker.make()), "HyperOpt", None)
    for name, why in NOT_USED.items():
        if hasattr(own, name):
            print(f"{taped.facts.name}.HyperOpt.{name} is not used: {why}.", file=sys.stderr)


def _own_spaces(taped: Taped, strategy: Strategy) -> OwnSpaces:
    """The strategy's own ranges. Raises DataError where these cannot be made."""
    try:
        return strategy.own_spaces()
    except (Exception, SystemExit) as error:  # a user's code may raise anything
        raise DataError(f"The spaces of {taped.facts.name} cannot be made: {taped.maker.explain(error)}") from error


def _spaces(asked: Sequence[str], there: Sequence[str]) -> list[str]:
    if "all" in asked:
        return list(there)
    chosen = [s for s in there if s not in NOT_BY_DEFAULT] if "default" in asked else []
    for space in asked:
        if space not in ("all", "default", *there):
            raise DataError(f'There is no space "{space}"; this strategy has {", ".join(there)}, and default and all.')
        if space in there and space not in chosen:
            chosen.append(space)
    return chosen


def loss_named(name: str) -> str:
    """Our name of a loss function, by ours or Freqtrade's."""
    ours = FREQTRADE_NAMES.get(name, name)
    if ours not in LOSSES:
        raise DataError(f'There is no loss function "{name}"; there is {", ".join(LOSSES)}.')
    return ours


def _span(ts: Any) -> list[int]:
    return [int(ts[0]), int(ts[-1])] if len(ts) else []


# ---------------------------------------------------------------- searching


@contextmanager
def _runner(job: Job, laboratory: Laboratory) -> Iterator[Runner]:
    runner = runner_for(laboratory, job.arguments.jobs or os.cpu_count() or 1, job.arguments.ray)
    try:
        yield runner
    finally:
        runner.close()


def _search(
    job: Job, laboratory: Laboratory, name: str, *, with_now: bool = False
) -> tuple[Mapping[str, Any], Outcome, Outcome | None] | None:
    """The best point of a study, its outcome, and, if it is asked for, that of the strategy as it is."""
    from actors.batch.optimising.study import Search

    arguments, now = job.arguments, None
    search = Search(
        job.study,
        name,
        job.dimensions,
        sampler=arguments.sampler,
        seed=arguments.seed,
        batch=arguments.batch,
        about=job.about(laboratory),
    )
    with (
        closing(search),
        _runner(job, laboratory) as run,
        progress_for(job.arguments, name, arguments.trials, search.done) as progress,
    ):
        try:
            if with_now:
                now = run.run([{}])[0]
            _go_on(search, arguments.trials, run, progress)
        except KeyboardInterrupt:
            job.interrupted = True
    best = search.best()
    return None if best is None else (best.point, best.outcome, now)


def _go_on(search: Any, trials: int, runner: Runner, progress: Progress) -> None:
    for trial in search.run(trials, runner.run):
        progress.told(trial, search.best())


def _walk(job: Job, laboratory: Laboratory, start: Millis | None, end: Millis | None) -> int:
    first, last = laboratory.bounds
    train, test = job.arguments.walk_forward
    steps = stretches(first if start is None else start, last if end is None else end, train, test)

    def find(part: Laboratory, name: str) -> tuple[Mapping[str, Any], Outcome] | None:
        stopped = job.interrupted
        if stopped:
            return None
        found = _search(job, part, f"{job.taped.facts.name} {name}")
        if job.interrupted:
            return None
        if found is None or found[1].loss is None or found[1].loss >= TOO_FEW:
            print(f"{name} is left out: no trial made enough trades to count.", file=sys.stderr)
            return None
        return found[:2]

    job.walked = list(walk_forward(laboratory, steps, find))
    _tell_walk(job, steps)
    if job.interrupted:
        return INTERRUPTED
    return 0 if job.walked else 1


# ---------------------------------------------------------------- telling


def _write(job: Job, best: Mapping[str, Any], outcome: Outcome, before: Outcome | None) -> None:
    """Put the best values where the strategy reads them, unless that would be wrong; say which."""
    file = job.taped.maker.file
    if job.arguments.no_write:
        job.written = ""
    elif outcome.loss is None or outcome.loss >= TOO_FEW:
        job.written = "Nothing was written: no trial made enough trades to count."
    elif before is not None and before.loss is not None and before.loss <= outcome.loss:
        job.written = "Nothing was written: no trial did better than the strategy as it is."
    elif is_shipped(file):
        job.written = (
            f"Nothing was written beside {file.name}, which came with Tradepit; copy it, and search on the copy."
        )
    else:
        values = job.values(best)
        job.written = (
            f"Written to {write_optimised(file, job.taped.facts.name, values)}, where the strategy reads them."
        )


def _tell(job: Job, best: Mapping[str, Any], outcome: Outcome, before: Outcome | None) -> None:
    values = job.values(best)
    if job.arguments.json:
        print_json({"loss": job.loss, "best": asdict(outcome), "before": before and asdict(before), "values": values})
        return
    rows = [_row("as it is", before)] if before is not None else []
    print_table(
        ("values", f"loss ({job.loss})", "trades", "profit", "of wallet", "drawdown"), [*rows, _row("best", outcome)]
    )
    for space, of_space in values.items():
        print(f"{space}: " + ", ".join(f"{name} = {value}" for name, value in of_space.items()))
    if job.written:
        print(job.written)
    if job.interrupted:
        print(f"Interrupted; the same command goes on with {job.study}.")


def _row(name: str, outcome: Outcome) -> tuple[Any, ...]:
    shown = "-" if outcome.loss is None or outcome.loss >= TOO_FEW else round(outcome.loss, 6)
    profit, fall = round(outcome.profit, 8), percent_text(-outcome.drawdown)
    return name, shown, outcome.trades, profit, percent_text(outcome.profit_ratio), fall


def _tell_walk(job: Job, steps: Sequence[Stretch]) -> None:
    if job.arguments.json:
        print_json({"loss": job.loss, "steps": [asdict(walked) for walked in job.walked], "planned": len(steps)})
        return
    rows = [
        (time_text(w.stretch.middle), time_text(w.stretch.end), percent_text(w.searched.profit_ratio), *_tried(w.tried))
        for w in job.walked
    ]
    print_table(("from", "to", "profit in search", "profit after", "trades after", "drawdown after"), rows)
    total = sum(w.tried.profit_ratio for w in job.walked)
    gained = sum(w.tried.profit_ratio > 0 for w in job.walked)
    print(
        f"{len(job.walked)} of {len(steps)} steps; unseen time: {percent_text(total)} in all, {gained} steps with a gain."
    )
    if job.interrupted:
        print(f"Interrupted; the same command goes on with {job.study}.")


def _tried(outcome: Outcome) -> tuple[Any, ...]:
    return percent_text(outcome.profit_ratio), outcome.trades, percent_text(-outcome.drawdown)
