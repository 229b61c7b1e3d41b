"""Options of the simulation: which seeds, and how many."""

from __future__ import annotations

import pytest

FIXED = (2, 5, 6, 19, 21, 22, 23, 27, 28, 51)
"""Between them: every kind of fault, spot and margin, stops at the venue and ours, market and limit orders."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--seed=N` repeats one seed, `--seeds=N` runs the first N."""
    group = parser.getgroup("simulation")
    group.addoption("--seed", type=int, default=None, help="simulate this seed only")
    group.addoption("--seeds", type=int, default=None, help="simulate the seeds from 1 to this number")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a seed."""
    if "seed" not in metafunc.fixturenames:
        return
    # From above this folder the options are not known: pytest reads this file too late for that.
    one, many = (metafunc.config.getoption(name, default=None) for name in ("--seed", "--seeds"))
    seeds = FIXED if many is None else tuple(range(1, many + 1))
    metafunc.parametrize("seed", (one,) if one is not None else seeds)
