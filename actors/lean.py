"""Keeping pandas out where it is installed and nobody asked for it.

DuckDB looks for pandas when a parameter is bound, and pyarrow when an array is made: each loads it where it is
installed, for half a second and 50 MB, and goes on without where it is not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _NoPandas:
    """Finds that there is no pandas, before anybody else looks."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:  # noqa: ARG004  (Python's own signature)
        """Raise `ModuleNotFoundError` for pandas; leave all else to the others."""
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'", name="pandas")


@contextmanager
def without_pandas() -> Iterator[None]:
    """No pandas is loaded in here; one that is loaded already serves. pyarrow will not ask again after it."""
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
