"""What trading live promises, shown against the local exchange (issue "Live", "It must show")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.showing import live_candles, live_entries, live_fixtures, live_kills, live_streams

SHOWS: Final[dict[str, Callable[..., str]]] = {
    "candles": live_candles.show,
    "entries": live_entries.show,
    "entries_hundred": live_entries.show_hundred,
    "entries_futures": live_entries.show_futures,
    "fixtures": live_fixtures.show,
    "streams": live_streams.show,
    "streams_futures": live_streams.show_futures,
    **live_kills.SHOWS,
}
