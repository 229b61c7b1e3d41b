"""Where a bot trades: everything that differs between the simulated exchange and a real one.

What is built on it asks for none of that: the same actors, from the feed to the portfolio, run on either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from actors.runtime import MarketClock
from actors.venues.ports import MarketStream
from actors.venues.trading import TradingVenue
from engine.market import Market
from engine.quota import Limits
from engine.types import ZERO, Millis
from engine.venue_capital import VenueCapital


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An exchange that is ready to be traded on.

    `pairs` are those that are configured and there. `wallet` is the capital to start with, or ZERO where
    `capital` learns it from the exchange. `fee` is what exits are reckoned with; None takes each market's own.
    `stop_on_venue`: it takes guarding stops; `stop_beside`: one may stand beside another, or beside an exit;
    `stop_replace`: it takes one for another in one request; `stop_amend`: it changes one that rests.
    `uid` is the exchange's own number of the account, where it tells it.
    `ready` is called with the installation's id once the journal is open: what the account holds is said then.
    """

    pairs: tuple[str, ...]
    markets: Mapping[str, Market]
    stream: MarketStream
    venue: Callable[[str, Mapping[int, Millis]], TradingVenue]
    limits: Limits
    clock: MarketClock
    wallet: Decimal = ZERO
    capital: Callable[[], VenueCapital] | None = None
    fee: Decimal | None = None
    stop_beside: bool = False
    stop_replace: bool = False
    stop_amend: bool = False
    stop_on_venue: bool = True
    tick_ms: int = 0
    latency_ms: int = 0
    findings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ready: Callable[[str], list[str]] = lambda _: []
    uid: str = ""
    close: Callable[[], None] = lambda: None
