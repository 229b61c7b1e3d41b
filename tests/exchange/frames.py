"""The frames of the market streams."""

from __future__ import annotations

from typing import Any

import orjson

from tests.exchange.quotes import Candle, Quote


def kline(quote: Quote, interval: str, step: int, candle: Candle, now: int, *, closed: bool) -> str:
    """`<symbol>@kline_<interval>`; `x` says whether the candle is over."""
    text, symbol = quote.text, quote.listing.symbol
    return orjson.dumps(
        {
            "e": "kline",
            "E": now,
            "s": symbol,
            "k": {
                "t": candle.ts,
                "T": candle.ts + step - 1,
                "s": symbol,
                "i": interval,
                "f": candle.first_id,
                "L": candle.last_id,
                "o": text(candle.open),
                "c": text(candle.close),
                "h": text(candle.high),
                "l": text(candle.low),
                "v": f"{candle.volume:.8f}",
                "n": candle.trades,
                "x": closed,
                "q": f"{candle.quote_volume:.8f}",
                "V": f"{candle.volume / 2:.8f}",
                "Q": f"{candle.quote_volume / 2:.8f}",
                "B": "0",
            },
        }
    ).decode()


def _day(quote: Quote, now: int, event: str) -> dict[str, Any]:
    return {
        "e": event,
        "E": now,
        "s": quote.listing.symbol,
        "c": quote.text(quote.ticks),
        "o": quote.text(quote.open24),
        "h": quote.text(quote.high24),
        "l": quote.text(quote.low24),
        "v": f"{quote.volume24:.8f}",
        "q": f"{quote.cost24:.8f}",
    }


def mini_ticker(quote: Quote, now: int) -> dict[str, Any]:
    """`<symbol>@miniTicker`."""
    return _day(quote, now, "24hrMiniTicker")


def ticker(quote: Quote, now: int) -> dict[str, Any]:
    """`<symbol>@ticker`."""
    change = quote.ticks - quote.open24
    weighted = quote.cost24 / quote.volume24 if quote.volume24 else quote.ticks * quote.tick
    book = book_ticker(quote, now)
    return {
        **_day(quote, now, "24hrTicker"),
        "p": quote.text(change),
        "P": f"{100 * change / quote.open24:.3f}",
        "w": f"{weighted:.8f}",
        "x": quote.text(quote.open24),
        "Q": "1.00000000",
        "b": book["b"],
        "B": book["B"],
        "a": book["a"],
        "A": book["A"],
        "O": quote.started,
        "C": now,
        "F": 1000,
        "L": quote.trade_id,
        "n": quote.trade_id - 1000,
    }


def book_ticker(quote: Quote, now: int) -> dict[str, Any]:
    """`<symbol>@bookTicker`; only futures name the event and its time."""
    listing = quote.listing
    qty = f"{quote.left if quote.left is not None else listing.step * 1000:.8f}"
    bid, ask = int(quote.bid / listing.tick), int(quote.ask / listing.tick)
    row = {"u": quote.trade_id, "s": listing.symbol, "b": quote.text(bid), "B": qty, "a": quote.text(ask), "A": qty}
    return {"e": "bookTicker", "E": now, "T": now, **row} if listing.futures else row


def trade(quote: Quote, now: int, event: str) -> dict[str, Any]:
    """`<symbol>@trade` and `@aggTrade`."""
    row = {
        "e": event,
        "E": now,
        "s": quote.listing.symbol,
        "p": quote.text(quote.ticks),
        "q": f"{quote.last_volume:.8f}",
        "T": now,
        "m": False,
    }
    numbers = (
        {"t": quote.trade_id} if event == "trade" else {"a": quote.trade_id, "f": quote.trade_id, "l": quote.trade_id}
    )
    return {**row, **numbers, "M": True}


def mark_price(quote: Quote, now: int, rate: str, next_funding: int) -> dict[str, Any]:
    """`<symbol>@markPrice`: mark and index are the last price."""
    price = quote.text(quote.ticks)
    return {
        "e": "markPriceUpdate",
        "E": now,
        "s": quote.listing.symbol,
        "p": price,
        "i": price,
        "P": price,
        "r": rate,
        "T": next_funding,
    }
