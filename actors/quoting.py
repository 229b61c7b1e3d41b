"""The prices of a feed, for pairs that trade: watched ones as they go, quotes of the book to whoever asks."""

from __future__ import annotations

from actors.base import Context, EngineActor
from actors.price_watch import PriceWatch
from actors.venues.ports import MarketStream
from engine.messages import AskQuote, WatchPrice


class QuotingActor(EngineActor):
    """The feed's side towards pairs; the subclass has the candles."""

    def __init__(self, ctx: Context, source: MarketStream, tick_ms: int) -> None:
        super().__init__(ctx)
        self._source = source
        self.prices = PriceWatch(self, source, tick_ms)

    def on_watch_price(self, message: WatchPrice) -> None:
        """Begin with the newest price at once, so that a guard knows where it stands; or end."""
        if message.watch:
            self.prices.begin(message.pair)
        else:
            self.prices.end(message.pair)

    def on_ask_quote(self, message: AskQuote) -> None:
        """Have the quote brought; what is known at once is told at once."""
        self._source.ask_quote(message, self.now())
        self.tell_quotes()

    def tell_quotes(self) -> None:
        """Tell the quotes that have come."""
        for told in self._source.quotes():
            self.tell(f"pair:{told.pair}", told)
