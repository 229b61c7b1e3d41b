"""Room on the disk: when it gets scarce entries stop, and what guards open positions goes on.

A ballast file takes up room from the start. When the disk is full all the same, the ballast is given
back, and exits and stops are recorded into that room.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Final

MIB: Final = 1_048_576
BALLAST_MB: Final = 16


class Room(Enum):
    """How much room there is: plenty, less than the reserve, or none (the ballast has been given back)."""

    PLENTY = "plenty"
    SCARCE = "scarce"
    NONE = "none"


class DiskWatch:
    """Watches the folder of `ballast`; `free` may be given to ask something else than the file system."""

    def __init__(self, ballast: Path, *, reserve_mb: int = 256, free: Callable[[], int] | None = None) -> None:
        self.room = Room.PLENTY
        self._ballast = ballast
        self._size = min(BALLAST_MB, max(1, reserve_mb // 4)) * MIB
        self._reserve = reserve_mb * MIB
        self._free = free or self._free_bytes

    def look(self) -> Room:
        """Measure, take or keep the ballast, and say how it stands now."""
        free = self._free()
        if self.room is Room.PLENTY and free < self._reserve:
            self.room = Room.SCARCE
        elif self.room is not Room.PLENTY and free >= self._reserve + self._reserve // 10 + self._missing():
            self.room = Room.PLENTY
        if self.room is Room.PLENTY:
            self._take()
        return self.room

    def give_back(self) -> bool:
        """Free the ballast since the disk is full; False when it was given back already."""
        self.room = Room.NONE
        had = self._ballast.exists()
        self._ballast.unlink(missing_ok=True)
        return had

    def describe(self) -> str:
        """The figures, for a sentence."""
        return f"{self._free() // MIB} MiB free, reserve {self._reserve // MIB} MiB"

    def _missing(self) -> int:
        return 0 if self._ballast.exists() else self._size

    def _take(self) -> None:
        if not self._missing():
            return
        aside = self._ballast.with_name(self._ballast.name + ".new")
        try:
            with aside.open("wb") as stream:
                os.posix_fallocate(stream.fileno(), 0, self._size)
            aside.rename(self._ballast)
        except OSError:
            # No room for it, or a file system that cannot: there is just no ballast then.
            aside.unlink(missing_ok=True)

    def _free_bytes(self) -> int:
        room = os.statvfs(self._ballast.absolute().parent)
        return room.f_bavail * room.f_frsize
