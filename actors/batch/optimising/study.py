"""A search as Optuna keeps it: on disk, resumable, and the same whatever runs its trials.

Trials are asked for in batches of a fixed size and told in their order, and the sampler is seeded anew
for each batch. So a search with one seed finds the same on one core, on sixteen or on a cluster, and one
that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from actors.batch.optimising.laboratory import Outcome
from engine.errors import DataError
from engine.parameters import Dimension

SAMPLERS: Final = ("tpe", "random", "nsga2")
RANDOM_TRIALS: Final = 30
_OUTCOME: Final = "outcome"
_ABOUT: Final = "about"
RunBatch = Callable[[Sequence[Mapping[str, Any]]], Sequence[Outcome]]


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial that was run: its number, the point it tried, and what came of it."""

    number: int
    point: Mapping[str, Any]
    outcome: Outcome


class Search:
    """One study. `path` None keeps it in memory; `about` is what it must be about to be gone on with."""

    def __init__(
        self,
        path: Path | None,
        name: str,
        dimensions: Sequence[Dimension],
        *,
        sampler: str = "tpe",
        seed: int = 0,
        batch: int = 8,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = {d.name: _distribution(d) for d in dimensions}
        self._sampler, self._seed, self._batch = sampler, seed, batch
        storage = InMemoryStorage() if path is None else _storage(path)
        self._study = optuna.create_study(study_name=name, storage=storage, load_if_exists=True)
        shape = {"sampler": sampler, "seed": seed, "batch": batch, **(about or {})}
        shape["space"] = {n: repr(d) for n, d in self._space.items()}
        held = self._study.user_attrs.get(_ABOUT)
        if held is None:
            self._study.set_user_attr(_ABOUT, shape)
            # The values the strategy has now come first: no search may end worse than it began.
            self._study.enqueue_trial({d.name: d.default for d in dimensions})
        elif held != shape:
            changed = ", ".join(key for key in shape if held.get(key) != shape[key])
            raise DataError(
                f"{path} holds a search of {name} that was about something else ({changed}); "
                "begin another with --study NEW_FILE, or go back to what it was."
            )
        self._trials = [_trial(t) for t in self._study.get_trials(deepcopy=False) if t.state.is_finished()]

    @property
    def done(self) -> int:
        """How many trials were run."""
        return len(self._trials)

    def first(self) -> Outcome | None:
        """What the values that the strategy has now gave; None before they were tried."""
        return self._trials[0].outcome if self._trials else None

    def best(self) -> Trial | None:
        """The trial with the smallest loss, the earlier of equals; None while none has one."""
        having = [t for t in self._trials if t.outcome.loss is not None]
        return min(having, key=lambda t: (t.outcome.loss, t.number), default=None)

    def run(self, trials: int, run_batch: RunBatch) -> Iterator[Trial]:
        """Go on until there are `trials`, batch after batch; each trial as its outcome is kept."""
        while asked := self._unfinished() or self._ask(min(self._batch, trials - self.done)):
            outcomes = run_batch([trial.params for trial in asked])
            for trial, outcome in zip(asked, outcomes, strict=True):
                yield self._keep(trial, outcome)

    def _ask(self, count: int) -> list[FrozenTrial]:
        if count <= 0:
            return []
        self._study.sampler = _sampler(self._sampler, self._seed * 1_000_003 + self.done)
        numbers = [self._study.ask(self._space).number for _ in range(count)]
        held = self._study.get_trials(deepcopy=False)
        return [held[number] for number in numbers]

    def _unfinished(self) -> list[FrozenTrial]:
        """Trials that were asked for and have no outcome: an interrupted batch."""
        return [t for t in self._study.get_trials(deepcopy=False) if t.state is TrialState.RUNNING]

    def _keep(self, trial: FrozenTrial, outcome: Outcome) -> Trial:
        # By the storage: a trial that an earlier process asked for has no object here that could be told.
        storage = self._study._storage  # noqa: SLF001 -- Optuna's `tell` takes a number, its attributes do not
        storage.set_trial_user_attr(trial._trial_id, _OUTCOME, asdict(outcome))  # noqa: SLF001 -- as above
        if outcome.loss is None:
            self._study.tell(trial.number, state=TrialState.FAIL)
        else:
            self._study.tell(trial.number, outcome.loss)
        self._trials.append(Trial(trial.number, trial.params, outcome))
        return self._trials[-1]


def _trial(held: FrozenTrial) -> Trial:
    return Trial(held.number, held.params, Outcome(**held.user_attrs[_OUTCOME]))


def _storage(path: Path) -> JournalStorage:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(path)))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} cannot be used as a study: {error}; give another --study FILE.") from error


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.kind == "int":
        return IntDistribution(int(dimension.low), int(dimension.high))
    if dimension.kind == "float":
        return FloatDistribution(dimension.low, dimension.high, step=dimension.step)
    return CategoricalDistribution(dimension.choices)


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if name == "nsga2":
            return optuna.samplers.NSGAIISampler(seed=seed, population_size=RANDOM_TRIALS)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS, constant_liar=True)
