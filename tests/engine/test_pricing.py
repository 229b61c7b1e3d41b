"""The price by the book: every row of the rule of `semantics.md` 1.4.2, and books that are none."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.depth import ENDLESS, Depth
from engine.market import Market
from engine.pricing import nearer, quoted_price, takes, thin_book
from engine.quotes import Quote, read_book, read_top
from engine.settings import EntryPricingConfig, PricingConfig
from engine.types import Purpose, Side, order_side, use_money_context

D = Decimal
MARKET = Market(pair="A/B", base="A", quote="B", price_step=D("0.1"), amount_step=D("0.01"))
QUOTE = Quote(ts=1, bid=D(99), ask=D(101), last=D(100))

ROWS = [
    # side, purpose, same, other
    (Side.LONG, Purpose.ENTRY, "bid", "ask"),
    (Side.SHORT, Purpose.ENTRY, "ask", "bid"),
    (Side.LONG, Purpose.EXIT, "ask", "bid"),
    (Side.SHORT, Purpose.EXIT, "bid", "ask"),
]


@pytest.mark.parametrize(("side", "purpose", "same", "other"), ROWS)
@pytest.mark.parametrize("book", [False, True])
def test_whose_price_it_is(side: Side, purpose: Purpose, same: str, other: str, book: bool) -> None:
    """Same is where our order rests, other is where it is taken; bid and ask are what they say, by book or ticker."""
    of = order_side(side, purpose)
    prices = {"bid": D(99), "ask": D(101)}

    assert [same, other, "bid", "ask"] == [takes(word, of) for word in ("same", "other", "bid", "ask")]
    for word, name in (("same", same), ("other", other), ("bid", "bid"), ("ask", "ask")):
        pricing = PricingConfig(price_side=word, use_order_book=book)
        assert prices[name] == quoted_price(pricing, QUOTE, of, purpose, D(50))


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    ("purpose", "price_side", "last", "expected"),
    [
        (Purpose.ENTRY, "ask", "100", "100.75"),  # above the last price: a quarter of the way down to it
        (Purpose.ENTRY, "ask", "102", "101"),  # below it: as it is
        (Purpose.ENTRY, "bid", "98", "98.75"),
        (Purpose.EXIT, "bid", "100", "99.25"),  # below the last price: a quarter of the way up
        (Purpose.EXIT, "bid", "98", "99"),  # above it: as it is
        (Purpose.EXIT, "ask", "105", "102"),
        (Purpose.EXIT, "ask", "101", "101"),
    ],
)
def test_the_last_price_pulls_one_way(side: Side, purpose: Purpose, price_side: str, last: str, expected: str) -> None:
    """An entry moves down to the last price, an exit up to it; a level of the order book stays where it is."""
    quote = Quote(ts=1, bid=D(99), ask=D(101), last=D(last))
    of = order_side(side, purpose)
    ticker = PricingConfig(price_side=price_side, price_last_balance=D("0.25"))
    book = PricingConfig(price_side=price_side, price_last_balance=D("0.25"), use_order_book=True)

    assert D(expected) == quoted_price(ticker, quote, of, purpose, D(1))
    assert quoted_price(book, quote, of, purpose, D(1)) == (D(99) if price_side == "bid" else D(101))


def test_the_last_price_known_serves_where_the_quote_has_none() -> None:
    """A top of the book without a trade is pulled by the price that the trade knows; by none where it knows none."""
    quote = Quote(ts=1, bid=D(99), ask=D(101))
    pricing = PricingConfig(price_side="ask", price_last_balance=D(1))
    of = order_side(Side.LONG, Purpose.ENTRY)

    assert D(100) == quoted_price(pricing, quote, of, Purpose.ENTRY, D(100))
    assert D(101) == quoted_price(pricing, quote, of, Purpose.ENTRY, D(0))


@pytest.mark.parametrize(
    ("side", "bids", "asks", "thin"),
    [
        (Side.LONG, "5", "10", False),
        (Side.LONG, "4.99", "10", True),
        (Side.SHORT, "10", "5", False),
        (Side.SHORT, "10", "4.99", True),
    ],
)
def test_the_book_is_weighed(side: Side, bids: str, asks: str, thin: bool) -> None:
    """What rests on the entry's own side must be so many times what rests against it; the reason has the figures."""
    pricing = EntryPricingConfig(price_side="same", bids_to_ask_delta=D("0.5"))
    quote = Quote(ts=1, bid=D(99), ask=D(101), bids=D(bids), asks=D(asks))

    why = thin_book(pricing, quote, side)

    assert thin is (why is not None)
    if why is not None:
        assert f"bids {bids}, asks {asks}" in why
        assert "0.499" in why


def test_a_book_that_was_not_counted_is_not_weighed() -> None:
    """Without a wish for it, and without a count, nothing speaks against an entry."""
    counted = Quote(ts=1, bid=D(99), ask=D(101), bids=D(1), asks=D(100))

    assert thin_book(EntryPricingConfig(price_side="same"), counted, Side.LONG) is None
    assert thin_book(EntryPricingConfig(bids_to_ask_delta=D(1)), QUOTE, Side.LONG) is None


def test_the_nearer_price_is_filled_sooner() -> None:
    """A long is sold lower, a short is bought higher."""
    assert (D(1), D(2)) == (nearer(D(1), D(2), Side.LONG), nearer(D(1), D(2), Side.SHORT))


BIDS = [["99", "1"], [98.5, 2, 1700000000], [D("98"), D(3)]]
ASKS = [[102, 1], ["101", "4"]]


def test_a_book_is_read_in_any_order_and_any_kind_of_number() -> None:
    """Levels are counted from the best price, amounts are those of all rows; a row of nothing is no offer."""
    use_money_context()
    best = read_book([*BIDS, ["99.5", 0]], ASKS, level=1, whole=True, ts=7, last=D(100), source="book")
    second = read_book(BIDS, ASKS, level=2, whole=False, ts=7, last=None, source="book")

    assert Quote(ts=7, bid=D(99), ask=D(101), last=D(100), bids=D(6), asks=D(5), source="book") == best
    assert Quote(ts=7, bid=D("98.5"), ask=D(102), source="book") == second
    assert Quote(ts=7, bid=D("0.1"), ask=D("0.2"), source="stream") == read_top(
        0.1, "0.2", ts=7, last=None, source="stream"
    )


@pytest.mark.parametrize(
    ("bids", "asks", "why"),
    [
        (None, ASKS, "bids cannot be read"),
        ("text", ASKS, "bids cannot be read"),
        ([[1]], ASKS, "bids cannot be read"),
        (["ab"], ASKS, "bids cannot be read"),
        ([["nan", 1]], ASKS, "bids cannot be read"),
        ([[float("inf"), 1]], ASKS, "bids cannot be read"),
        ([["x", 1]], ASKS, "bids cannot be read"),
        ([[True, 1]], ASKS, "bids cannot be read"),
        ([[None, 1]], ASKS, "bids cannot be read"),
        ([[-1, 1]], ASKS, "bids cannot be read"),
        (BIDS, [[101, None]], "asks cannot be read"),
        ([], ASKS, "has 0 bids, and level 1"),
        ([[0, 1]], ASKS, "has 0 bids, and level 1"),
        (BIDS, [], "has 0 asks, and level 1"),
        ([[101.5, 1]], ASKS, "crossed: bid 101.5, ask 101"),
    ],
)
def test_what_is_no_book_is_refused(bids: Any, asks: Any, why: str) -> None:
    """Whatever an exchange tells instead of a book ends in a reason, never in a price."""
    found = read_book(bids, asks, level=1, whole=True, ts=1, last=None, source="book")

    assert isinstance(found, str)
    assert why in found


def test_a_level_that_is_not_there_is_refused() -> None:
    """A book that ends before the level has no price for it."""
    found = read_book(BIDS, ASKS, level=3, whole=False, ts=1, last=None, source="book")

    assert "the book has 2 asks, and level 3 is asked for" == found


def test_the_simulated_book_has_levels_and_an_end() -> None:
    """Its best prices are what orders meet, each level is a step further, and it ends five per cent away."""
    use_money_context()
    book = Depth(D("0.002"), D(1_000))
    best = book.quote(MARKET, D(100), 1, ts=5, whole=True)
    third = book.quote(MARKET, D(100), 3, ts=5, whole=False)

    assert best is not None
    assert third is not None
    assert (D("99.9"), D("100.1"), D(250), D(250)) == (best.bid, best.ask, best.bids, best.asks)
    assert (D("99.7"), D("100.3"), None) == (third.bid, third.ask, third.bids)
    assert book.quote(MARKET, D(100), 51, ts=5, whole=False) is None
    assert book.quote(MARKET, D(1), 20, ts=5, whole=False) is None


def test_without_a_spread_both_sides_are_the_price() -> None:
    """What fills by candles prices entries and exits at the price itself, whatever the side."""
    quote = ENDLESS.quote(MARKET, D(100), 1, ts=5, whole=True)

    assert quote is not None
    assert (D(100), D(100)) == (quote.bid, quote.ask)
    assert quote.bids == quote.asks
