"""Bybit's market streams: candles with `confirm`, tickers, books and trades of spot."""

from __future__ import annotations

from typing import Any, Final

import orjson

from tests.exchange.bybit.market import NAMES, OF_NAME, book, figures
from tests.exchange.bybit.words import plain
from tests.exchange.hub import Hub
from tests.exchange.quotes import INTERVALS, Candle, Quote
from tests.exchange.sockets import Socket

ARGS_MAX: Final = 10
"""Topics that one request on spot may subscribe to."""

DEPTHS: Final = (1, 50, 200, 1000)
KINDS: Final = ("tickers", "publicTrade", *(f"orderbook.{depth}" for depth in DEPTHS))


class BybitHub(Hub):
    """The sockets of `/v5/public/spot`."""

    def parts(self, stream: str) -> tuple[str, str]:
        """`kline.1.BTCUSDT` is the pair's `kline_1m`; the other kinds are called as in the topic."""
        kind, _, symbol = stream.rpartition(".")
        name = kind.removeprefix("kline.")
        return symbol, kind if name == kind else f"kline_{OF_NAME.get(name, '')}"

    def named(self, symbol: str, rest: str) -> str:
        """The topic."""
        kind = f"kline.{NAMES[rest.removeprefix('kline_')]}" if rest.startswith("kline_") else rest
        return f"{kind}.{symbol}"

    def kline(self, quote: Quote, interval: str, candle: Candle, now: int, *, closed: bool) -> str:
        """The frame of a candle; `confirm` says whether it is over."""
        prices = {name: plain(getattr(candle, name) * quote.listing.tick) for name in ("open", "high", "low", "close")}
        row = {
            "start": candle.ts,
            "end": candle.ts + INTERVALS[interval] - 1,
            "interval": NAMES[interval],
            **prices,
            "volume": f"{candle.volume:.6f}",
            "turnover": f"{candle.quote_volume:.6f}",
            "confirm": closed,
            "timestamp": now,
        }
        topic = self.named(quote.listing.symbol, f"kline_{interval}")
        return orjson.dumps({"type": "snapshot", "topic": topic, "data": [row], "ts": now}).decode()

    def now_of(self, quote: Quote, rest: str, now: int) -> dict[str, Any] | None:
        """Tickers, always whole on spot."""
        return self._frame(quote, rest, figures(quote), now) if rest == "tickers" else None

    def at_once(self, quote: Quote, rest: str, now: int) -> dict[str, Any] | None:
        """Books, each time whole, and public trades."""
        if rest.startswith("orderbook."):
            return self._frame(quote, rest, book(quote, int(rest.rpartition(".")[2])), now)
        if rest != "publicTrade":
            return None
        symbol, price, size = quote.listing.symbol, plain(quote.last), f"{quote.last_volume:.6f}"
        row = {"i": str(quote.trade_id), "T": now, "p": price, "v": size, "S": "Buy", "s": symbol, "BT": False}
        return self._frame(quote, rest, [row], now)

    def _frame(self, quote: Quote, rest: str, data: Any, now: int) -> dict[str, Any]:
        topic = self.named(quote.listing.symbol, rest)
        return {"topic": topic, "ts": now, "type": "snapshot", "data": data, "cts": now}

    # ------------------------------------------------------------ requests

    def heard(self, socket: Socket, text: str) -> None:
        """`subscribe`, `unsubscribe` and `ping`."""
        try:
            asked = orjson.loads(text)
            op, topics = asked["op"], [str(one) for one in asked.get("args") or ()]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            socket.answer({"success": False, "ret_msg": "error:invalid request", "conn_id": "local"})
            return
        reply = {"success": True, "ret_msg": "", "conn_id": "local", "req_id": str(asked.get("req_id", "")), "op": op}
        if op == "ping":
            socket.answer({**reply, "ret_msg": "pong"})
            return
        wrong = self._wrong(op, topics)
        if wrong:
            socket.answer({**reply, "success": False, "ret_msg": wrong})
            return
        for topic in topics:
            (self.subscribe if op == "subscribe" else self.unsubscribe)(socket, topic)
        socket.answer(reply)
        if op == "subscribe":
            self._first(socket, topics)

    def _wrong(self, op: str, topics: list[str]) -> str:
        if op not in ("subscribe", "unsubscribe"):
            return "error:invalid op"
        if len(topics) > ARGS_MAX:
            return f"args size >{ARGS_MAX}"
        bad = [topic for topic in topics if not self._is_topic(topic)]
        return f"error:handler not found,topic:{bad[0]}" if bad else ""

    def _is_topic(self, topic: str) -> bool:
        symbol, rest = self.parts(topic)
        return symbol in self.venue.listings and (rest in KINDS or rest.removeprefix("kline_") in NAMES)

    def _first(self, socket: Socket, topics: list[str]) -> None:
        """What there is at the moment of the subscription."""
        now = self.clock.now()
        for topic in topics:
            symbol, rest = self.parts(topic)
            quote = self.venue.quotes[symbol]
            frame = self.now_of(quote, rest, now) or (self.at_once(quote, rest, now) if rest != "publicTrade" else None)
            if frame is not None:
                socket.event(topic, symbol, orjson.dumps(frame).decode())
