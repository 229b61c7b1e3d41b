"""A search as Optuna keeps it: on disk, resumable, and the same whatever runs its trials.

Trials are chosen in batches of a fixed size: those of a batch hang on the batches before it and on the seed
alone, and each is kept when its outcome is there. So a search with one seed finds the same on one core, on
sixteen or on a cluster, and one that was killed goes on as if it had not been.
"""

from __future__ import annotations

import fcntl
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from actors.batch.optimising.laboratory import Outcome
from actors.batch.optimising.parzen import Parzen, inside, random_point
from engine.errors import DataError
from engine.parameters import Dimension

SAMPLERS: Final = ("tpe", "random", "nsga2", "optuna_tpe")
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
        self._dimensions = dimensions
        self._space = {d.name: _distribution(d) for d in dimensions}
        self._sampler, self._seed, self._batch = sampler, seed, batch
        self._lock = None if path is None else _locked(path)
        try:
            self._open(path, name, about or {})
        except BaseException:
            self.close()
            raise

    def _open(self, path: Path | None, name: str, about: Mapping[str, Any]) -> None:
        shape = {"sampler": self._sampler, "seed": self._seed, "batch": self._batch, **about}
        shape["space"] = {n: repr(d) for n, d in self._space.items()}
        try:
            storage = InMemoryStorage() if path is None else JournalStorage(_journal(path))
            self._study = optuna.create_study(study_name=name, storage=storage, load_if_exists=True)
            held = self._study.user_attrs.get(_ABOUT)
            self._kept = self._study.get_trials(deepcopy=False)
            self._trials = [_trial(t) for t in self._kept]
        except Exception as error:  # whatever a file makes Optuna stumble over
            raise DataError(f"{path} does not hold a search; give another file with --study.") from error
        if held is None:
            self._study.set_user_attr(_ABOUT, shape)
        elif held != shape:
            changed = ", ".join(key for key in shape if held.get(key) != shape[key])
            raise DataError(
                f"{path} holds a search of {name} that was about something else ({changed}); "
                "begin another with --study NEW_FILE, or go back to what it was."
            )

    def close(self) -> None:
        """Let others have the file."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def done(self) -> int:
        """How many trials were run."""
        return len(self._trials)

    def best(self) -> Trial | None:
        """The trial with the smallest loss, the earlier of equals; None while none has one."""
        having = [t for t in self._trials if t.outcome.loss is not None]
        return min(having, key=lambda t: (t.outcome.loss, t.number), default=None)

    def run(self, trials: int, run_batch: RunBatch) -> Iterator[Trial]:
        """Go on until there are `trials`, batch after batch; each trial as its outcome is kept."""
        while self.done < trials:
            start = self.done // self._batch * self._batch
            asked = self._choose(start)[self.done - start : trials - start]
            outcomes = run_batch([trial.params for trial in asked])
            for trial, outcome in zip(asked, outcomes, strict=True):
                yield self._keep(trial, outcome)

    def _choose(self, start: int) -> list[FrozenTrial]:
        """The batch that begins with this number: the same whenever it is asked for."""
        if self._sampler in ("tpe", "random"):
            told = [(t.point, t.outcome.loss) for t in self._trials[:start]]
            fit = Parzen(self._dimensions, told) if self._sampler == "tpe" and start >= RANDOM_TRIALS else None
            return [self._frozen(self._point(number, fit)) for number in range(start, start + self._batch)]
        study = optuna.create_study(sampler=_sampler(self._sampler, self._seed * 1_000_003 + start))
        study.add_trials(self._kept[:start])
        if not start:
            study.enqueue_trial(self._now())
        for _ in range(self._batch):
            study.ask(self._space)
        return study.get_trials(deepcopy=False)[start:]

    def _point(self, number: int, fit: Parzen | None) -> dict[str, Any]:
        if not number:
            return self._now()
        rng = np.random.default_rng([self._seed, number])
        return random_point(self._dimensions, rng) if fit is None else fit.point(rng)

    def _now(self) -> dict[str, Any]:
        """The values that the strategy has now, which come first."""
        return {d.name: inside(d) for d in self._dimensions}

    def _frozen(self, point: dict[str, Any]) -> FrozenTrial:
        return create_trial(params=point, distributions=self._space, state=TrialState.RUNNING)

    def _keep(self, trial: FrozenTrial, outcome: Outcome) -> Trial:
        failed = outcome.loss is None
        kept = create_trial(
            state=TrialState.FAIL if failed else TrialState.COMPLETE,
            value=outcome.loss,
            params=trial.params,
            distributions=self._space,
            user_attrs={_OUTCOME: asdict(outcome)},
            system_attrs=trial.system_attrs,
        )
        self._study.add_trial(kept)
        self._kept.append(kept)
        self._trials.append(Trial(len(self._trials), trial.params, outcome))
        return self._trials[-1]


def _trial(held: FrozenTrial) -> Trial:
    return Trial(held.number, held.params, Outcome(**held.user_attrs[_OUTCOME]))


def _journal(path: Path) -> JournalFileBackend:
    lock: Any = _NoLock()  # it has the two methods that count; their base is not public
    return JournalFileBackend(str(path), lock)


class _NoLock:
    """The file is locked as a whole, for as long as the search goes on."""

    def acquire(self) -> bool:
        """It is ours already."""
        return True

    def release(self) -> None:
        """It stays ours."""


def _locked(path: Path) -> int:
    """The study's file, made where it is missing, for this process alone; a last line that was torn is cut off."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        why = error.strerror or str(error)
        raise DataError(f"{path} cannot be used as a study: {why}; give another --study FILE.") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise DataError(f"{path} is in use by another search; wait for it, or give another --study FILE.") from None
    text = path.read_bytes()
    if text and not text.startswith(b'{"op_code"'):
        os.close(held)
        raise DataError(f"{path} does not hold a search; give another file with --study.")
    if text and not text.endswith(b"\n"):
        os.truncate(held, text.rfind(b"\n") + 1)
    return held


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.kind == "int":
        return IntDistribution(int(dimension.low), int(dimension.high))
    if dimension.kind == "float":
        return FloatDistribution(dimension.low, dimension.high, step=dimension.step)
    return CategoricalDistribution(dimension.choices)


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "nsga2":
            return optuna.samplers.NSGAIISampler(seed=seed, population_size=RANDOM_TRIALS)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS, constant_liar=True)
