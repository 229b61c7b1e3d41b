"""Quotes of an exchange: the stream's top of the book while it is fresh, else one question by REST.

A question that no permit comes for in its time is not asked any more. Whatever comes of it is said, once;
nothing here raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any, Final

from actors.venues.live.markets import positive
from actors.venues.live.permits import Permits, permitted
from engine.messages import AskQuote, QuoteTold
from engine.quotes import Quote, read_book, read_top
from engine.types import Millis, exact

FRESH_MS: Final = 1_000
"""A top of the book that was told so long ago, or less, is good for a price; an older one is asked for."""
SMALL: Final = 100
"""A book of so many levels at most is one kind of request (`book`), a larger one another (`deep_book`): it costs more."""
_SIZES: Final = {
    "binance": (5, 10, 20, 50, 100, 500, 1_000),
    "binanceusdm": (5, 10, 20, 50, 100, 500, 1_000),
    "bybit": (50, 200),
    "okx": (50, 400),
    "kraken": (100, 500),
    "kucoin": (20, 50),
    "kucoinfutures": (20, 100),
    "gate": (20, 100),
    "bitget": (15, 50),
    "mexc": (20, 1_000),
    "htx": (5, 20, 150),
    "coinbase": (20, 50),
}
"""The sizes of books that each exchange gives to everybody, smallest first, as far as ccxt passes them on."""


class Books:
    """The quotes of one market. The feed calls `answered` and `take`, the loop the rest; `lock` is the market's, whom both hold.

    `last` knows the price of a pair's last trade. `last` and `stir` are called without the lock.
    """

    def __init__(
        self,
        now: Callable[[], Millis],
        last: Callable[[str], float | None],
        stir: Callable[[], None],
        lock: AbstractContextManager[Any],
    ) -> None:
        self._now = now
        self._last = last
        self._stir = stir
        self._lock = lock
        self._tops: dict[str, tuple[Millis, Any, Any]] = {}
        self._told: list[QuoteTold] = []

    def top(self, pair: str, ticker: Any) -> None:
        """The top of a book has changed; a ticker that does not tell it says nothing."""
        bid, ask = (ticker.get("bid"), ticker.get("ask")) if isinstance(ticker, Mapping) else (None, None)
        if bid and ask:
            with self._lock:
                self._tops[pair] = self._now(), bid, ask

    def answered(self, question: AskQuote) -> bool:
        """Whether the stream's top answers it."""
        with self._lock:
            ts, bid, ask = self._tops.get(question.pair, (None, None, None))
        if ts is None or question.level > 1 or question.levels or self._now() - ts > FRESH_MS:
            return False
        quote = read_top(bid, ask, ts=ts, last=self._last_of(question.pair), source="stream")
        if isinstance(quote, str):
            return False
        self._tell(question, quote)
        return True

    def take(self) -> list[QuoteTold]:
        """The answers since the last call."""
        with self._lock:
            told, self._told = self._told, []
        return told

    async def ask(self, question: AskQuote, requester: Any, permits: Permits) -> None:
        """Ask the exchange."""
        try:
            self._tell(question, await self._asked(question, requester, permits))
        except TimeoutError:
            self._tell(question, "the exchange's limits leave no room for the question")
        except Exception as error:  # noqa: BLE001  (the pair that waits is to hear why)
            self._tell(question, f"the question failed: {error!r}")

    async def _asked(self, question: AskQuote, requester: Any, permits: Permits) -> Quote | str:
        data, pair = requester.data, question.pair
        size = book_size(data.id, max(question.level, question.levels))
        answer = await permitted(
            permits,
            requester,
            "book" if size is not None and size <= SMALL else "deep_book",
            data.fetch_order_book,
            pair,
            size,
            pair=pair,
            priority=question.priority,
            patience_s=question.deadline_ms / 1_000,
        )
        if answer.failure is not None:
            return f"the exchange did not tell its book: {answer.failure.reason}"
        book = answer.value if isinstance(answer.value, dict) else {}
        return read_book(
            book.get("bids"),
            book.get("asks"),
            level=question.level,
            whole=question.levels > 0,
            ts=self._now(),
            last=self._last_of(pair),
            source="book",
        )

    def _last_of(self, pair: str) -> Decimal | None:
        last = self._last(pair)
        return None if last is None else exact(last)

    def _tell(self, question: AskQuote, found: Quote | str) -> None:
        why = found if isinstance(found, str) else ""
        quote = None if isinstance(found, str) else found
        told = QuoteTold(request_id=question.request_id, pair=question.pair, quote=quote, failed=why)
        with self._lock:
            self._told.append(told)
        self._stir()


def price_of(ticker: Any) -> Decimal | None:
    """The middle of the book's top; where a venue tells only the last price, that; None: neither."""
    if not isinstance(ticker, Mapping):
        return None
    bid, ask, last = (positive(ticker.get(name)) for name in ("bid", "ask", "last"))
    return last if bid is None or ask is None else (bid + ask) / 2


def book_size(exchange_id: str, levels: int) -> int | None:
    """The least book that has so many levels, else the largest; None where no sizes are known: the exchange's own."""
    sizes = _SIZES.get(exchange_id)
    return None if sizes is None else next((size for size in sizes if size >= levels), sizes[-1])
