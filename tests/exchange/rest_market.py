"""What is public of a market, the same for spot and futures but for its weights: prices, candles, books."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.exchange.door import Asked
from tests.exchange.errors import Refusal, missing
from tests.exchange.quotes import INTERVALS, Candle, Quote
from tests.exchange.venue import Venue
from tests.exchange.windows import Limits

Row = Callable[[Quote], dict[str, Any]]


class MarketRest:
    """The public endpoints of one market."""

    def __init__(self, venue: Venue[Any], limits: Limits) -> None:
        self.venue = venue
        self.limits = limits

    def ping(self, asked: Asked) -> Any:
        """Nothing."""
        return {}

    def time(self, asked: Asked) -> Any:
        """The exchange's time."""
        return {"serverTime": asked.now}

    def exchange_info(self, asked: Asked) -> Any:
        """All pairs, or those asked for."""
        listed = [listing for listing in self.venue.listings.values() if listing.listed]
        if symbol := asked.params.get("symbol"):
            listed = [self.venue.listing(symbol)]
        return {
            "timezone": "UTC",
            "serverTime": asked.now,
            "rateLimits": self.limits.describe(),
            "exchangeFilters": [],
            "assets": [],
            "symbols": [listing.info() for listing in listed],
        }

    def klines(self, asked: Asked) -> Any:
        """Candles, oldest first; without bounds the newest ones, the one going on included."""
        listing, interval = self.venue.listing(asked.need("symbol")), asked.need("interval")
        if interval not in INTERVALS:
            raise Refusal(-1120, "Invalid interval.")
        quote = self.venue.quotes[listing.symbol]
        candles = quote.candles(interval, asked.now)
        start, end = asked.integer("startTime"), asked.integer("endTime")
        limit = min(asked.integer("limit") or 500, 1500 if listing.futures else 1000)
        if start is not None or end is not None:
            candles = [c for c in candles if (start is None or c.ts >= start) and (end is None or c.ts <= end)]
        chosen = candles[:limit] if start is not None else candles[-limit:]
        return [_kline(quote, candle, INTERVALS[interval]) for candle in chosen]

    def depth(self, asked: Asked) -> Any:
        """A book around the price: `top` at each level, or a made-up amount."""
        listing = self.venue.listing(asked.need("symbol"))
        quote = self.venue.quotes[listing.symbol]
        limit = asked.integer("limit") or 100
        qty = f"{listing.top if listing.top is not None else listing.step * 1000:.8f}"
        bid, ask = int(quote.bid / listing.tick), int(quote.ask / listing.tick)
        return {
            "lastUpdateId": quote.trade_id,
            "E": asked.now,
            "T": asked.now,
            "bids": [[quote.text(bid - n), qty] for n in range(limit) if bid - n > 0],
            "asks": [[quote.text(ask + n), qty] for n in range(limit)],
        }

    def trades(self, asked: Asked) -> Any:
        """The last public trade."""
        quote = self.venue.quotes[self.venue.listing(asked.need("symbol")).symbol]
        price = quote.text(quote.ticks)
        row = {"id": quote.trade_id, "price": price, "qty": "1", "quoteQty": price, "time": asked.now}
        return [{**row, "isBuyerMaker": False, "isBestMatch": True}]

    def ticker_24hr(self, asked: Asked) -> Any:
        """The figures of the day."""
        return self._rows(asked, lambda quote: day_figures(quote, asked.now))

    def ticker_price(self, asked: Asked) -> Any:
        """Last prices."""
        return self._rows(asked, lambda q: {"symbol": q.listing.symbol, "price": q.text(q.ticks), "time": asked.now})

    def book_ticker(self, asked: Asked) -> Any:
        """Best prices."""
        return self._rows(asked, lambda quote: best_prices(quote, asked.now))

    def _rows(self, asked: Asked, row: Row) -> Any:
        if symbol := asked.params.get("symbol"):
            return row(self.venue.quotes[self.venue.listing(symbol).symbol])
        names = [name for name, listing in self.venue.listings.items() if listing.listed]
        if symbols := asked.params.get("symbols"):
            names = [self.venue.listing(name).symbol for name in symbols.strip("[]").replace('"', "").split(",")]
            if not names:
                raise missing("symbols")
        return [row(self.venue.quotes[name]) for name in names]


def _kline(quote: Quote, candle: Candle, step: int) -> list[Any]:
    text = quote.text
    return [
        candle.ts,
        text(candle.open),
        text(candle.high),
        text(candle.low),
        text(candle.close),
        f"{candle.volume:.8f}",
        candle.ts + step - 1,
        f"{candle.quote_volume:.8f}",
        candle.trades,
        f"{candle.volume / 2:.8f}",
        f"{candle.quote_volume / 2:.8f}",
        "0",
    ]


def best_prices(quote: Quote, now: int) -> dict[str, Any]:
    """A row of `ticker/bookTicker`."""
    listing = quote.listing
    qty = f"{quote.left if quote.left is not None else listing.step * 1000:.8f}"
    return {
        "symbol": listing.symbol,
        "bidPrice": f"{quote.bid:.8f}",
        "bidQty": qty,
        "askPrice": f"{quote.ask:.8f}",
        "askQty": qty,
        "time": now,
        "lastUpdateId": quote.trade_id,
    }


def day_figures(quote: Quote, now: int) -> dict[str, Any]:
    """A row of `ticker/24hr`."""
    change = quote.ticks - quote.open24
    best = best_prices(quote, now)
    weighted = quote.cost24 / quote.volume24 if quote.volume24 else quote.ticks * quote.tick
    return {
        **best,
        "priceChange": quote.text(change),
        "priceChangePercent": f"{100 * change / quote.open24:.3f}",
        "weightedAvgPrice": f"{weighted:.8f}",
        "prevClosePrice": quote.text(quote.open24),
        "lastPrice": quote.text(quote.ticks),
        "lastQty": "1.00000000",
        "openPrice": quote.text(quote.open24),
        "highPrice": quote.text(quote.high24),
        "lowPrice": quote.text(quote.low24),
        "volume": f"{quote.volume24:.8f}",
        "quoteVolume": f"{quote.cost24:.8f}",
        "openTime": quote.started,
        "closeTime": now,
        "firstId": 1000,
        "lastId": quote.trade_id,
        "count": quote.trade_id - 1000,
    }
