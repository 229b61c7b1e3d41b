"""Whoever looks at the prices of live market data beside the feed: the paper venue's market."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

from actors.venues.live.reading import Reader
from actors.venues.ports import PriceRange


class Onlooker(Protocol):
    """Somebody else who wants prices of the same streams, beside the feed: on the loop, but for `wanted`."""

    @property
    def wanted(self) -> Collection[str]:
        """The pairs whose prices are wanted."""
        ...

    def told(self, found: PriceRange, low: float, high: float, *, asked: bool) -> None:
        """A price, by the stream or because it was asked for, with its bid and ask."""
        ...

    def lost(self) -> None:
        """The stream of prices is down; what it told until now is all there is."""
        ...

    async def run(
        self,
        reader: Reader,
        changed: Callable[[], Awaitable[None]],
        look: Callable[[str], Awaitable[None]],
        fault: Callable[[str, str, str], None],
    ) -> None:
        """Look after what it wants, for ever: `changed` follows other pairs, `look` asks for a pair's price."""
        ...
