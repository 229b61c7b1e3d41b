"""Whether there is memory for the candles of a run, said before it is begun."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from actors.batch.catalog import DataFile
from actors.batch.data import row_count
from engine.errors import DataError

BYTES_A_ROW: Final = 100
"""A candle, what was judged on it, and what a run keeps beside it: 84 were measured (50 pairs of 105,120 candles)."""
BYTES_A_FINER_ROW: Final = 60
"""A candle that is only traded on: its time and five prices, and room to read a file into."""
BASE: Final = 100 << 20
"""What a backtest of one small pair takes."""
SMALL: Final = 1 / 50
"""Files of this part of the free memory are not counted: they fit, however they are packed."""


def free_memory() -> int | None:
    """Bytes that this process may still take, by the system and by its control group; None where neither says."""
    found = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found.append(int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) << 10)
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        found.append(limit - int((group / "memory.current").read_text(encoding="ascii")))
    return min(found, default=None)


def check_room(files: Iterable[DataFile], free: int | None, finer: Iterable[DataFile] = ()) -> None:
    """Refuse a run whose candles need more than the `free` memory; `finer` are those that are only traded on.

    Raises:
        DataError: they do; the text says how much, and what to do instead.
    """
    wanted, beside = list(files), list(finer)
    if free is None or sum(file.path.stat().st_size for file in (*wanted, *beside)) < free * SMALL:
        return
    rows, fine = sum(map(row_count, wanted)), sum(map(row_count, beside))
    needs = rows * BYTES_A_ROW + fine * BYTES_A_FINER_ROW + BASE
    rows += fine
    if needs > free:
        raise DataError(
            f"{len(wanted)} pairs with {rows} candles need about {_megabytes(needs)} of memory, and "
            f"{_megabytes(free)} are free: take fewer pairs at a time, or files of a shorter time."
        )


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"
