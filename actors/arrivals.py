"""Reaching the places of several accounts at once: one whose exchange does not answer holds up nobody else.

Rules
    At the start every account is tried. Whoever is there takes part from the beginning; whoever's exchange does
    not answer, or hangs for longer than `FIRST_S`, is tried on, and joins when it does. A mistake in any configuration ends the start; one that shows
    only later, as refused keys do, leaves that account out of the run, and says so.
    A single account without a name is waited for by the caller: there is nothing else to do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from loguru import logger

from actors.place import Place
from actors.reaching import Patience
from engine.errors import Outage
from engine.settings import Config
from engine.types import use_money_context

Reach = Callable[[Config, Patience], Place]
LOOK_S: Final = 0.05
FIRST_S: Final = 10.0
"""How long the others wait for one that has neither answered nor failed, once one of them is there."""
JOIN_S: Final = 5.0
AWAY: Final = "its exchange does not answer"
"""Why an account that is waited for is not there, in words for the user."""


@dataclass(slots=True, eq=False)
class _Search:
    """The search for one account's place. `away` is set once its exchange has not answered."""

    config: Config
    ending: threading.Event
    place: Place | None = None
    error: Exception | None = None
    told: bool = False
    away: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def __call__(self, seconds: float) -> bool:
        """Be its patience: wait; False when the bot is ending."""
        if seconds > 0:
            self.away.set()
        return not self.ending.wait(seconds)


class Arrivals:
    """The accounts of one bot on their way. `patience` is the user's, for the time before anything is begun."""

    def __init__(self, accounts: Sequence[Config], reach: Reach, patience: Patience, first_s: float = FIRST_S) -> None:
        self._reach = reach
        self._patience = patience
        self._first_s = first_s
        self._ending = threading.Event()
        self._searches = [_Search(config, self._ending) for config in accounts]
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._arrived: Callable[[Config, Place], None] | None = None
        self._left_out: Callable[[Config, Exception], None] | None = None

    def first(self) -> list[tuple[Config, Place]]:
        """The places that are there, each account having been tried once.

        Raises:
            ConfigError, DataError, StorageError: what is in the way of one of them; the others are given back.
            Outage: nobody wants to wait any more.
        """
        if len(self._searches) == 1 and not self._searches[0].config.account:
            only = self._searches[0]
            only.place = self._reach(only.config, self._patience)
            only.told = True
            only.over.set()
            return [(only.config, only.place)]
        for search in self._searches:
            thread = threading.Thread(target=self._search, args=(search,), name=f"reaching {search.config.account}")
            thread.daemon = True
            thread.start()
            self._threads.append(thread)
        try:
            return self._gathered()
        except BaseException:
            self.close()
            for search in self._searches:
                if search.place is not None:
                    search.place.close()
            raise

    def _gathered(self) -> list[tuple[Config, Place]]:
        until: float | None = None
        while not all(search.over.is_set() or search.away.is_set() for search in self._searches):
            if not self._patience(0):
                raise Outage("not every exchange has answered yet.")
            if until is None and any(search.over.is_set() for search in self._searches):
                until = time.monotonic() + self._first_s
            if until is not None and time.monotonic() > until:
                break
            self._ending.wait(LOOK_S)
        found = []
        with self._lock:
            for search in self._searches:
                if search.error is not None:
                    raise search.error
                if search.place is not None:
                    search.told = True
                    found.append((search.config, search.place))
        return found

    def missing(self) -> dict[str, str]:
        """The accounts that have not joined, and why each has not: those that are left out stay among them."""
        with self._lock:
            return {
                search.config.account: AWAY if search.error is None else str(search.error)
                for search in self._searches
                if search.error is not None or not search.told
            }

    def later(self, arrived: Callable[[Config, Place], None], left_out: Callable[[Config, Exception], None]) -> None:
        """From now on say who arrives, and who never will: one after the other, in the threads that search."""
        with self._lock:
            self._arrived, self._left_out = arrived, left_out
            waiting = [search for search in self._searches if search.over.is_set() and not search.told]
        for search in waiting:
            self._tell(search)

    def close(self) -> None:
        """End the searches; a place that nobody was told of is given back."""
        self._ending.set()
        for thread in self._threads:
            thread.join(JOIN_S)
        with self._lock:
            for search in self._searches:
                if search.place is not None and not search.told:
                    search.told = True
                    search.place.close()

    def _search(self, search: _Search) -> None:
        use_money_context()
        try:
            search.place = self._reach(search.config, search)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is this account's alone)
            search.error = error
        search.over.set()
        with self._lock:
            tell = self._arrived is not None
        if tell:
            self._tell(search)

    def _tell(self, search: _Search) -> None:
        with self._lock:
            if search.told or self._ending.is_set():
                return
            search.told = True
        with self._telling:
            self._say(search)

    def _say(self, search: _Search) -> None:
        assert self._arrived is not None
        assert self._left_out is not None
        if search.place is None:
            assert search.error is not None
            self._left_out(search.config, search.error)
            return
        try:
            self._arrived(search.config, search.place)
        except Exception as error:  # noqa: BLE001  (likewise)
            logger.opt(exception=error).debug("{} cannot join", search.config.account)
            search.error = error
            search.place.close()
            self._left_out(search.config, error)
