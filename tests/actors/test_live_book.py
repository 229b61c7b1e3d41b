"""Quotes of an exchange: what the stream told is used while it is fresh, else one request with a permit; all is answered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from actors.venues.live.book import Books, book_size, price_of
from actors.venues.live.failure import Failure, Verdict
from actors.venues.live.permits import Turnstile
from actors.venues.live.wire import Answer, Leave
from actors.venues.trading import Permit, PermitWanted, RequestEnded
from engine.messages import AskQuote, QuoteTold
from engine.quotes import Quote
from engine.types import Priority

D = Decimal
PAIR = "BTC/USDT"
NOW = 1_000_000
BOOK = {"bids": [["99", "2"], ["98", "3"]], "asks": [["101", "4"], ["102", "6"]]}


class Venue:
    """Stands for a connection and its actor: grants permits at once or never, and answers what it is told to."""

    def __init__(self, answer: Answer, *, grants: bool = True, name: str = "binance") -> None:
        self.at = NOW
        self.answer = answer
        self.grants = grants
        self.asked: list[tuple[Any, ...]] = []
        self.told: list[PermitWanted | RequestEnded] = []
        self.stirred = 0
        self.data = SimpleNamespace(id=name, fetch_order_book="fetch_order_book")
        self.turnstile = Turnstile(self._hear)
        self.books = Books(self.now, lambda _: 100.0, self._stir, threading.Lock())

    def now(self) -> int:
        return self.at

    def _stir(self) -> None:
        self.stirred += 1

    def _hear(self, told: PermitWanted | RequestEnded) -> None:
        self.told.append(told)
        if isinstance(told, PermitWanted) and self.grants:
            loop = asyncio.get_running_loop()
            loop.call_soon(self.turnstile.grant, told.request_id, Permit("p1", self.at + 5_000))

    async def request(self, function: Callable[..., Awaitable[Any]], *args: Any, leave: Leave | None = None) -> Answer:
        if leave is not None:
            leave()
        self.asked.append((function, *args))
        return self.answer

    def ask(self, **more: Any) -> QuoteTold:
        """The answer to a question, by REST."""
        question = AskQuote(request_id="q1", pair=PAIR, **{"deadline_ms": 50, **more})
        asyncio.run(self.books.ask(question, self, self.turnstile))
        (told,) = self.books.take()
        assert [] == self.books.take()
        assert self.stirred == 1
        return told


def question(**more: Any) -> AskQuote:
    """A question for the top of the book."""
    return AskQuote(request_id="q1", pair=PAIR, deadline_ms=1_000, **more)


def test_a_fresh_top_of_the_stream_answers_at_once() -> None:
    """A top that was told within a second is the quote, with the last traded price; an older one is asked for."""
    venue = Venue(Answer())
    assert not venue.books.answered(question())
    venue.books.top(PAIR, {"bid": 99.0, "ask": "101"})
    venue.at += 1_000

    assert venue.books.answered(question())
    (told,) = venue.books.take()
    assert Quote(ts=NOW, bid=D("99.0"), ask=D(101), last=D("100.0"), source="stream") == told.quote
    venue.at += 1
    assert not venue.books.answered(question())


@pytest.mark.parametrize("ticker", [{"last": 100.0}, {"bid": 0, "ask": 5}, "no ticker", {"bid": 102.0, "ask": 101.0}])
def test_what_is_no_top_answers_nothing(ticker: Any) -> None:
    """A price alone, half a top, nonsense and a crossed book leave the question to be asked."""
    venue = Venue(Answer())
    venue.books.top(PAIR, ticker)

    assert not venue.books.answered(question())


def test_the_stream_knows_the_top_only() -> None:
    """A deeper level, or the whole book, is asked for, however fresh the top is."""
    venue = Venue(Answer())
    venue.books.top(PAIR, {"bid": 99.0, "ask": 101.0})

    assert not venue.books.answered(question(level=2))
    assert not venue.books.answered(question(levels=1_000))


def test_a_book_is_asked_with_a_permit_of_its_size_and_priority() -> None:
    """The least book that has the level, as its own kind of request; its answer is the quote of that level."""
    venue = Venue(Answer(value=BOOK))
    told = venue.ask(level=2, priority=Priority.EXIT)

    assert [("fetch_order_book", PAIR, 5)] == venue.asked
    wanted, ended = venue.told
    assert isinstance(wanted, PermitWanted)
    assert ("book", Priority.EXIT) == (wanted.request, wanted.priority)
    assert isinstance(ended, RequestEnded)
    assert ("book", PAIR, "Acknowledged") == (ended.request, ended.pair, ended.outcome)
    assert Quote(ts=NOW, bid=D(98), ask=D(102), last=D("100.0"), source="book") == told.quote


def test_the_whole_book_is_a_dearer_request() -> None:
    """What rests is counted over as many levels as were asked for."""
    venue = Venue(Answer(value=BOOK))
    told = venue.ask(levels=1_000)
    (wanted, _) = venue.told

    assert [("fetch_order_book", PAIR, 1_000)] == venue.asked
    assert isinstance(wanted, PermitWanted)
    assert "deep_book" == wanted.request
    assert told.quote is not None
    assert (D(5), D(10)) == (told.quote.bids, told.quote.asks)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(failure=Failure(Verdict.IN_DOUBT, "UNREACHABLE", "no route")), "did not tell its book: no route"),
        (Answer(value=None), "bids cannot be read"),
        (Answer(value=[1]), "bids cannot be read"),
        (Answer(value={"bids": [], "asks": []}), "has 0 bids"),
        (Answer(value={"bids": [[float("nan"), 1]], "asks": [[1, 1]]}), "bids cannot be read"),
    ],
)
def test_what_is_no_answer_is_told_with_its_reason(answer: Answer, why: str) -> None:
    """Whatever the exchange does, the pair that waits hears why there is no quote."""
    told = Venue(answer).ask()

    assert told.quote is None
    assert why in told.failed


def test_a_permit_that_does_not_come_ends_the_question() -> None:
    """Nothing is sent once the pair has stopped waiting, and a permit that comes later goes back."""
    venue = Venue(Answer(value=BOOK), grants=False)
    told = venue.ask()
    (wanted,) = venue.told
    assert isinstance(wanted, PermitWanted)
    venue.turnstile.grant(wanted.request_id, Permit("late", NOW))

    assert [] == venue.asked
    assert "the exchange's limits leave no room for the question" == told.failed
    assert RequestEnded(permit_id="late", request="none", outcome="UNSENT") == venue.told[-1]


@pytest.mark.parametrize(
    ("exchange", "levels", "size"),
    [("binance", 1, 5), ("binance", 5, 5), ("binance", 6, 10), ("htx", 1_000, 150), ("unknown", 7, None)],
)
def test_the_size_of_a_book(exchange: str, levels: int, size: int | None) -> None:
    """The smallest that is enough, the largest where none is, the exchange's own where no sizes are known."""
    assert size == book_size(exchange, levels)


def test_the_price_of_a_top_is_its_middle() -> None:
    """A venue that tells only the last price is taken at that; nonsense is no price."""
    assert D("100.0") == price_of({"bid": 99.0, "ask": 101.0})
    assert D("7.0") == price_of({"last": 7.0})
    assert price_of("ticker") is None
