"""What holds for the whole test run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

TESTS: Final = Path(__file__).resolve().parent

# Hundreds of processes are started here. Where no bytecode may be kept each compiles everything anew, half of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Nothing is proven by how long an example takes on a machine that does much else. The run tries the same examples each
# time; `--hypothesis-profile=search` looks for new ones.
settings.register_profile("search", deadline=None)
settings.register_profile("same", deadline=None, derandomize=True)
settings.load_profile("same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several files run at once the long ones come first, so that none of them is left over at the end.

    These are the files of live bots, which wait most of their time, and then those of no folder (mypy, the replays).
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: (item.path.parent != TESTS / "live", item.path.parent != TESTS))
