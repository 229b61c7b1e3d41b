"""What the core promises, shown on the running program (issue "Core", "It must show" 4 to 8)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from tests.showing import damage, door, hostile, kills, long_run

__all__ = ["SHOWS", "Show"]


class Show(Protocol):
    """Shows one thing in an empty folder; returns its figures, raises `Failed` when it is not so."""

    def __call__(self, folder: Path, *, quick: bool) -> str: ...


SHOWS: Final[dict[str, Callable[..., str]]] = {
    "long_run": long_run.show,
    "kill_bot": kills.bot,
    "kill_children": kills.children,
    "hostile_strategies": hostile.strategies,
    "killed_actors": hostile.actors,
    "sql_door": door.show,
    "damaged_journal": damage.show,
}
