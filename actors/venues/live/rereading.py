"""An exchange's markets, read again by ccxt while the loop goes on: what is new is made beside it and taken all at once.

Rules
    ccxt makes the tables of two thousand markets in half a second; made on the loop, no order would leave meanwhile.
    So the list is read by a draft: a copy of the instance that nobody else uses. Its tables are made in a thread.
    Whoever has looked at what it says takes it (`adopt`), or drops it, and then nothing has changed.
    A market of which the exchange says what it said before is not parsed again; the same list makes no new tables.
    Only what ccxt does with the answer itself (reading its JSON, parsing markets that have changed) is on the loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from copy import copy
from hashlib import blake2b
from typing import Any, Final, TypeVar

import orjson

from engine.types import use_money_context

T = TypeVar("T")

PAUSE_EVERY_S: Final = 0.002
PAUSE_S: Final = 0.0002


class Pauses:
    """Called often by what computes in a thread, lets the others run: unasked they would wait for the interpreter lock.

    They ask for it seldom (`actors.runtime.SWITCH_S`), as actors give it up by themselves.
    """

    def __init__(self) -> None:
        self._since = time.monotonic()

    def __call__(self) -> None:
        """Give way, if it has been kept for long."""
        if time.monotonic() - self._since >= PAUSE_EVERY_S:
            time.sleep(PAUSE_S)
            self._since = time.monotonic()


async def beside(work: Callable[[Pauses], T]) -> T:
    """Do something in a thread, while the loop goes on. If whoever waits for it is cancelled, it ends for nobody."""
    return await asyncio.to_thread(_in_thread, work)


def _in_thread(work: Callable[[Pauses], T]) -> T:
    use_money_context()
    return work(Pauses())


def _sparing(base: Any) -> Any:
    """A class of ccxt that does not parse again what the exchange says as it said it before."""

    class Sparing(base):  # type: ignore[misc]
        parsed_before: Mapping[bytes, Any] = {}
        _parsing: dict[bytes, Any] | None = None

        async def fetch_markets(self, params: Any = None) -> Any:
            """Read the markets; one of which the exchange says what it said before is not parsed again."""
            try:
                return await super().fetch_markets(params or {})
            finally:
                self.parsed_before, self._parsing = self._parsing or {}, None

        def parse_market(self, market: Any, *more: Any) -> Any:
            try:
                key = blake2b(orjson.dumps((market, *more)), digest_size=16).digest()
            except TypeError:  # a number of more than 64 bits
                return super().parse_market(market, *more)
            parsed = self.parsed_before.get(key) or super().parse_market(market, *more)
            self._parsing = {} if self._parsing is None else self._parsing
            self._parsing[key] = parsed
            # What its reader adds is no part of what is kept.
            return dict(parsed) if isinstance(parsed, dict) else parsed

    return Sparing


def _drafting(base: Any) -> Any:
    """A class of ccxt of which an instance may be a draft: its tables are made in a thread."""

    class Drafting(base):  # type: ignore[misc]
        is_draft = False
        _told: Any = None
        made_of: Any = None
        _pauses: Pauses | None = None

        async def load_markets_helper(self, reload: bool = False, params: Any = None) -> Any:
            """Read the markets, as ccxt does; a draft makes its tables in a thread."""
            made = await super().load_markets_helper(reload, params or {})
            if not self.is_draft:
                return made
            told, self._told = self._told, None
            if self.made_of is None or told != self.made_of:
                await beside(lambda pauses: self.make(pauses, *told))
                self.made_of = told
            return self.markets

        def make(self, pauses: Pauses, markets: Any, currencies: Any = None) -> None:
            """Make a draft's tables; in a thread."""
            self._pauses = pauses
            try:
                super().set_markets(markets, currencies)
            finally:
                self._pauses = None

        def set_markets(self, markets: Any, currencies: Any = None) -> Any:
            """Take a list of markets; a draft only keeps it until it has read all."""
            if self.is_draft:
                self._told = (markets, currencies)
                return self.markets
            self.made_of = None
            return super().set_markets(markets, currencies)

        def safe_market_structure(self, market: Any = None) -> Any:
            """As ccxt's; `set_markets` calls it for each market."""
            if self._pauses is not None:
                self._pauses()
            return super().safe_market_structure(market)

        def safe_currency_structure(self, currency: Any) -> Any:
            """As ccxt's; `set_markets` calls it for each market's coins."""
            if self._pauses is not None:
                self._pauses()
            return super().safe_currency_structure(currency)

    return Drafting


def rereading(base: Any) -> Any:
    """A class of ccxt that can read its markets again without holding up the loop."""

    class Rereading(_drafting(_sparing(base))):  # type: ignore[misc]
        parsed_before: Mapping[bytes, Any]
        socks_proxy_sessions: Any

        async def drafted(self) -> Any:
            """This instance with the markets that the exchange tells now, to be adopted; itself, where they are the same."""
            draft = copy(self)
            draft.is_draft = True
            try:
                await draft.load_markets(True)
            finally:
                self.parsed_before = draft.parsed_before
                self.socks_proxy_sessions = draft.socks_proxy_sessions
                draft.session = draft.socks_proxy_sessions = None  # they are not the draft's to close
            return self if draft.markets is self.markets else draft

        async def drafted_with(self, markets: Any) -> Any:
            """This instance with other markets, to be adopted."""
            draft = copy(self)
            draft.session = draft.socks_proxy_sessions = None
            await beside(lambda pauses: draft.make(pauses, markets))
            draft.made_of = None  # no exchange has told them: the next list is new, whatever it says
            return draft

        def adopt(self, draft: Any) -> None:
            """Have the markets of a draft, all at once."""
            if draft.markets is not self.markets:
                self.set_markets_from_exchange(draft)
            self.made_of = draft.made_of

    return Rereading
