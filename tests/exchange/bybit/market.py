"""What is public of the market: time, pairs, prices, candles, books."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from tests.exchange.bybit.door import Endpoint
from tests.exchange.bybit.errors import BAD_PAIR, wrong
from tests.exchange.bybit.words import plain
from tests.exchange.door import Asked
from tests.exchange.errors import Refusal
from tests.exchange.listing import Listing
from tests.exchange.quotes import INTERVALS, Quote
from tests.exchange.spot import SpotVenue

NAMES: Final = {
    "1s": "1s", "1m": "1", "3m": "3", "5m": "5", "15m": "15", "30m": "30", "1h": "60", "2h": "120", "4h": "240",
    "6h": "360", "12h": "720", "1d": "D",
}  # fmt: skip
"""Bybit's names of the intervals; it has none of a second."""

OF_NAME: Final = {name: interval for interval, name in NAMES.items()}
MAX_AMOUNT: Final = 8_000_000


class Market:
    """The public endpoints; `category` is `spot`, of the others there is nothing."""

    def __init__(self, venue: SpotVenue) -> None:
        self.venue = venue

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        """All of them, by method and path."""
        base = "/v5/market/"
        return {
            ("GET", base + "time"): Endpoint(handler=self.time),
            ("GET", base + "instruments-info"): Endpoint(handler=self.instruments),
            ("GET", base + "tickers"): Endpoint(handler=self.tickers),
            ("GET", base + "kline"): Endpoint(handler=self.kline),
            ("GET", base + "orderbook"): Endpoint(handler=self.orderbook),
        }

    def time(self, asked: Asked) -> Any:
        """The exchange's time."""
        return {"timeSecond": str(asked.now // 1000), "timeNano": str(asked.now * 1_000_000)}

    def instruments(self, asked: Asked) -> Any:
        """All pairs, or the one asked for; spot's list has one page."""
        listings = [one for one in self.venue.listings.values() if one.listed] if self._is_spot(asked) else []
        if symbol := asked.params.get("symbol"):
            listings = [one for one in listings if one.symbol == symbol]
        return self._list(asked, [_instrument(one) for one in listings])

    def tickers(self, asked: Asked) -> Any:
        """The figures of the day and the best prices, of all pairs or one."""
        quotes = [one for one in self.venue.quotes.values() if one.listing.listed] if self._is_spot(asked) else []
        if asked.params.get("symbol"):
            quotes = [self._quote(asked)]
        rows = []
        for quote in quotes:
            size = plain(size_of(quote))
            best = {"bid1Price": plain(quote.bid), "ask1Price": plain(quote.ask), "bid1Size": size, "ask1Size": size}
            rows.append({**figures(quote), **best})
        return self._list(asked, rows)

    def kline(self, asked: Asked) -> Any:
        """Candles, the newest first; of `start` alone those from there on, as many as `limit`."""
        quote, interval = self._quote(asked), OF_NAME.get(asked.need("interval"))
        if interval is None:
            raise wrong("interval")
        start, end, limit = asked.integer("start"), asked.integer("end"), asked.integer("limit") or 200
        step = INTERVALS[interval]
        candles = [
            candle
            for candle in quote.candles(interval, asked.now)
            if (start is None or candle.ts + step > start) and (end is None or candle.ts <= end)
        ]
        limit = min(limit, 1000)
        chosen = candles[:limit] if start is not None and end is None else candles[-limit:]
        rows = [
            [
                str(one.ts),
                *(plain(Decimal(ticks) * quote.listing.tick) for ticks in (one.open, one.high, one.low, one.close)),
                f"{one.volume:.6f}",
                f"{one.quote_volume:.6f}",
            ]
            for one in reversed(chosen)
        ]
        return {"symbol": quote.listing.symbol, **self._list(asked, rows)}

    def orderbook(self, asked: Asked) -> Any:
        """A book around the price; one level where nothing else is asked for."""
        limit = asked.integer("limit") or 1
        if not 1 <= limit <= 200:
            raise wrong("limit")
        return {**book(self._quote(asked), limit), "ts": asked.now}

    @staticmethod
    def _is_spot(asked: Asked) -> bool:
        category = asked.need("category")
        if category not in ("spot", "linear", "inverse", "option"):
            raise wrong("category")
        return category == "spot"

    def _quote(self, asked: Asked) -> Quote:
        listing = self.venue.listings.get(asked.need("symbol"))
        if not self._is_spot(asked) or listing is None or not listing.listed:
            raise Refusal(*BAD_PAIR)
        return self.venue.quotes[listing.symbol]

    @staticmethod
    def _list(asked: Asked, rows: list[Any]) -> dict[str, Any]:
        return {"category": asked.params["category"], "list": rows}


def _instrument(listing: Listing) -> dict[str, Any]:
    return {
        "symbol": listing.symbol,
        "baseCoin": listing.base,
        "quoteCoin": listing.quote,
        "innovation": "0",
        "status": "Trading" if listing.status == "TRADING" else "Closed",
        "marginTrading": "none",
        "lotSizeFilter": {
            "basePrecision": plain(listing.step),
            "quotePrecision": "0.00000001",
            "minOrderQty": plain(listing.step),
            "maxOrderQty": plain(listing.max_qty),
            "minOrderAmt": plain(listing.min_notional),
            "maxOrderAmt": str(MAX_AMOUNT),
        },
        "priceFilter": {"tickSize": plain(listing.tick)},
        "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.15"},
    }


def size_of(quote: Quote) -> Decimal:
    """What the book offers at each price."""
    return quote.left if quote.left is not None else quote.listing.step * 1000


def figures(quote: Quote) -> dict[str, Any]:
    """The day's figures, as the stream of tickers has them: spot's stream tells no best prices."""
    tick = quote.listing.tick
    return {
        "symbol": quote.listing.symbol,
        "lastPrice": plain(quote.last),
        "highPrice24h": plain(quote.high24 * tick),
        "lowPrice24h": plain(quote.low24 * tick),
        "prevPrice24h": plain(quote.open24 * tick),
        "volume24h": f"{quote.volume24:.6f}",
        "turnover24h": f"{quote.cost24:.6f}",
        "price24hPcnt": f"{(quote.ticks - quote.open24) / quote.open24:.4f}",
        "usdIndexPrice": plain(quote.last),
    }


def book(quote: Quote, depth: int) -> dict[str, Any]:
    """So many levels of each side around the price."""
    tick, size = quote.listing.tick, plain(size_of(quote))
    bids = [quote.bid - n * tick for n in range(depth)]
    return {
        "s": quote.listing.symbol,
        "b": [[plain(price), size] for price in bids if price > 0],
        "a": [[plain(quote.ask + n * tick), size] for n in range(depth)],
        "u": quote.trade_id,
        "seq": quote.trade_id,
        "cts": quote.started,
    }
