"""Who runs the trials: this process, processes on all cores, or an existing Ray cluster. The same results."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

from actors.batch.optimising.laboratory import Laboratory, Outcome
from actors.fencing import fence_in
from engine.errors import DataError
from engine.types import use_money_context

Point = Mapping[str, Any]
_held: list[Laboratory] = []
"""The laboratory of a worker process, which was forked with it: candles are shared, not copied."""


class Runner(Protocol):
    """Runs batches of trials."""

    def run(self, points: Sequence[Point]) -> list[Outcome]:
        """The outcome of each point, in order."""

    def close(self) -> None:
        """End what was started."""


class Here:
    """Runs trials in this process, one after the other."""

    def __init__(self, laboratory: Laboratory) -> None:
        self._laboratory = laboratory

    def run(self, points: Sequence[Point]) -> list[Outcome]:
        """As `Runner`."""
        return [self._laboratory.run(point) for point in points]

    def close(self) -> None:
        """Nothing was started."""


class Processes:
    """Runs trials in `jobs` processes. A worker that dies costs the trial it was in, no other."""

    def __init__(self, laboratory: Laboratory, jobs: int) -> None:
        self._laboratory, self._jobs = laboratory, jobs
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._jobs, multiprocessing.get_context("fork"), initializer=_take, initargs=(self._laboratory, os.getpid())
        )

    def run(self, points: Sequence[Point]) -> list[Outcome]:
        """As `Runner`."""
        try:
            return list(self._pool.map(_run, points))
        except BrokenProcessPool:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = self._start()
        return [self._alone(point) for point in points]  # one by one, to find out which of them it was

    def _alone(self, point: Point) -> Outcome:
        try:
            return self._pool.submit(_run, point).result()
        except BrokenProcessPool:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = self._start()
            return Outcome(loss=None, why="the worker process died with these values")

    def close(self) -> None:
        """End the processes, whatever they are at."""
        for process in list((self._pool._processes or {}).values()):  # noqa: SLF001 -- 3.14 has a public kill_workers
            process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)


def _take(laboratory: Laboratory, parent: int) -> None:
    fence_in(parent, 0)  # it dies with the search, and leaves Ctrl-C to it
    use_money_context()
    _held[:] = [laboratory]


def _run(point: Point) -> Outcome:
    return _held[0].run(point)


class RayCluster:
    """Runs trials as tasks of a Ray cluster; the strategy's file must lie at the same place on its nodes."""

    def __init__(self, laboratory: Laboratory, address: str) -> None:
        try:
            import ray
        except ImportError:
            raise DataError('Ray is not installed; --ray needs it: pip install "tradepit[ray]".') from None
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error")
        except (ConnectionError, ValueError, OSError) as error:
            raise DataError(f"--ray {address}: no cluster answers there ({' '.join(str(error).split())}).") from error
        self._ray = ray
        self._laboratory = ray.put(laboratory.recipe())
        self._task = ray.remote(max_retries=1)(run_recipe)

    def run(self, points: Sequence[Point]) -> list[Outcome]:
        """As `Runner`."""
        tasks = [self._task.remote(self._laboratory, dict(point)) for point in points]
        return [self._outcome(task) for task in tasks]

    def _outcome(self, task: Any) -> Outcome:
        try:
            outcome: Outcome = self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            return Outcome(loss=None, why=f"the worker died with these values: {type(error).__name__}")
        return outcome

    def close(self) -> None:
        """Leave the cluster; it goes on without us."""
        self._ray.shutdown()


_made: dict[str, Laboratory] = {}


def run_recipe(recipe: Any, point: Point) -> Outcome:
    """One trial on another machine, whose worker keeps the laboratory it has made."""
    use_money_context()
    if recipe.key not in _made:
        _made.clear()
        _made[recipe.key] = recipe.make()
    return _made[recipe.key].run(point)


def runner_for(laboratory: Laboratory, jobs: int, ray: str | None) -> Runner:
    """A runner as the command line wants it."""
    if ray is not None:
        return RayCluster(laboratory, ray)
    return Processes(laboratory, jobs) if jobs > 1 else Here(laboratory)
