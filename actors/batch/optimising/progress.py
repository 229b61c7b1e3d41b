"""What is shown while a search runs: a bar on a terminal, else a line for each improvement."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from actors.batch.optimising.study import Trial
from actors.commands.common import percent_text


class Progress(Protocol):
    """Is told of each trial."""

    def told(self, trial: Trial, best: Trial | None) -> None:
        """One more trial is done."""


class Lines:
    """A line for each improvement, and for each way in which the strategy failed."""

    def __init__(self) -> None:
        self._best = -1
        self._said: set[str] = set()

    def told(self, trial: Trial, best: Trial | None) -> None:
        """As `Progress`."""
        why = trial.outcome.why
        if why and why not in self._said and len(self._said) < 20:
            self._said.add(why)
            print(f"trial {trial.number} failed: {why}", file=sys.stderr)
        if best is not None and best.number != self._best:
            self._best = best.number
            print(f"trial {best.number}: {shown(best)}", file=sys.stderr)


class Bar:
    """A progress bar with the best so far."""

    def __init__(self, bar: Any, task: Any) -> None:
        self._bar, self._task = bar, task

    def told(self, trial: Trial, best: Trial | None) -> None:
        """As `Progress`."""
        del trial
        self._bar.update(self._task, advance=1, best="" if best is None else f"best {shown(best)}")


def shown(trial: Trial) -> str:
    """A trial's outcome in a few words."""
    outcome = trial.outcome
    return f"loss {outcome.loss:.5g}, {outcome.trades} trades, profit {percent_text(outcome.profit_ratio)}"


@contextmanager
def progress_for(arguments: argparse.Namespace, name: str, trials: int, done: int) -> Iterator[Progress]:
    """A bar on a terminal, else lines."""
    if not sys.stderr.isatty() or arguments.json:
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[best]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as bar:
        yield Bar(bar, bar.add_task(name, total=trials, completed=done, best=""))
