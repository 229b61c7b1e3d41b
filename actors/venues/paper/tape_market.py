"""The market side of a replay: it has markets; prices come with the turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from actors.venues.ports import PriceRange
from engine.candles import Candle, Candles
from engine.margin import FundingRate
from engine.market import Market
from engine.types import Millis


class TapeMarket:
    """A `MarketSource` without prices: whoever judges has whole frames, and fills come by `MatchMarket`."""

    def __init__(self, markets: Mapping[str, Market]) -> None:
        self._markets = markets

    @property
    def pairs(self) -> tuple[str, ...]:
        """See `MarketSource`."""
        return tuple(self._markets)

    def markets(self) -> Mapping[str, Market]:
        """See `MarketSource`."""
        return self._markets

    def span(self) -> tuple[Millis, Millis | None]:
        """See `MarketSource`."""
        return 0, None

    def history(
        self,
        pairs: Sequence[str],  # noqa: ARG002
        timeframe_ms: Millis,  # noqa: ARG002
        before: Millis,  # noqa: ARG002
        count: int,  # noqa: ARG002
    ) -> Mapping[str, Candles]:
        """None."""
        return {}

    def closed(
        self,
        pairs: Sequence[str],  # noqa: ARG002
        timeframe_ms: Millis,  # noqa: ARG002
        ts: Millis,  # noqa: ARG002
    ) -> Sequence[tuple[str, Candle]]:
        """None."""
        return ()

    def ranges(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[PriceRange]:  # noqa: ARG002
        """None."""
        return ()

    def funding(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[FundingRate]:  # noqa: ARG002
        """None: it comes with the turns, as prices do."""
        return ()

    def prices(self, pairs: Sequence[str], at: Millis) -> Sequence[PriceRange]:  # noqa: ARG002
        """None."""
        return ()
