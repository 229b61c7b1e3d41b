"""Executions that are not ours: the pair looks whether it was its position that was sold, but not without an end."""

from __future__ import annotations

import asyncio
from typing import Final

from actors.venues.live.looks import Looks

WAIT_S: Final = 2.0
"""An execution whose order is not known by then is somebody else's."""

EVERY_S: Final = 10.0
"""So often at most a pair looks since somebody else has traded there."""


class Strangers:
    """Who trades our pairs besides us; on the connection's loop.

    A look that is under way is not begun anew for them: where somebody trades each second, none would come to an end.
    """

    def __init__(self, looks: Looks) -> None:
        self._looks = looks
        self._looked_at: dict[str, float] = {}
        self._due: set[str] = set()

    def traded(self, pair: str) -> None:
        """Have the pair look, once for as many executions as come meanwhile."""
        loop = asyncio.get_running_loop()
        wait_s = self._looked_at.get(pair, float("-inf")) + EVERY_S - loop.time()
        if wait_s <= 0 and not self._looks.is_looking_at(pair):
            self._looked_at[pair] = loop.time()
            self._looks.doubt(pair)
        elif pair not in self._due:
            self._due.add(pair)
            loop.call_later(max(wait_s, WAIT_S), self._look_late, pair)

    def _look_late(self, pair: str) -> None:
        self._due.discard(pair)
        self.traded(pair)
