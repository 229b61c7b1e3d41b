"""A live bot that prices by the exchange's book: which side, which request, why in SQL, and when it stays out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.exchange.client import Exchange
from tests.live.bots import LiveBot, pairs_of
from tests.live.ledger import differences
from tests.showing.common import sql

CLOSED = "SELECT count(*) FROM entries WHERE kind = 'TradeClosed'"
LIMITS = {"entry": "limit", "exit": "limit", "stoploss_on_exchange": False}
ORDERS = (
    "SELECT purpose, priced, type, price = bid AS at_bid, price = ask AS at_ask FROM orders WHERE priced IS NOT NULL"
)


@pytest.fixture
def exchange(request: pytest.FixtureRequest) -> Iterator[Exchange]:
    """An exchange whose prices move, with a spread to be on one side of."""
    options = ["--pairs", "4", "--seed", "3", "--funds", "USDT=1000"]
    with Exchange(*options, futures=request.param == "futures") as server:
        yield server


@pytest.mark.parametrize("exchange", ["spot", "futures"], indirect=True)
@pytest.mark.timeout(400)
def test_both_sides_of_a_trade_by_the_book(exchange: Exchange, tmp_path: Path) -> None:
    """An entry asks the exchange for its book, an exit has the stream's; both cross, and both say why that price."""
    sections: dict[str, Any] = {
        "entry_pricing": {"price_side": "other", "use_order_book": True, "bids_to_ask_delta": 0.5},
        "exit_pricing": {"price_side": "other"},
        "strategy_overrides": {"order_types": LIMITS},
    }
    with LiveBot(tmp_path, exchange, pairs_of(exchange, 2), **sections) as bot:
        bot.wait_for("closed trades", CLOSED, 2, 120)
    orders = sql(bot.files, ORDERS)
    entries = [order for order in orders if order["purpose"] == "entry"]
    exits = [order for order in orders if order["purpose"] == "exit"]

    assert {("other 1 (book)", "limit", True)} == {(o["priced"], o["type"], o["at_ask"]) for o in entries}
    assert {("limit", True)} == {(o["type"], o["at_bid"]) for o in exits}
    assert {o["priced"] for o in exits} <= {"other (stream)", "other (book)"}
    market = "futures" if exchange.futures else "spot"
    assert any("/depth" in str(request) for request in exchange.control("requests")[market])
    assert [] == differences(exchange, bot.files)


@pytest.mark.parametrize("exchange", ["futures"], indirect=True)
@pytest.mark.timeout(400)
def test_a_thin_book_is_not_entered(exchange: Exchange, tmp_path: Path) -> None:
    """As much rests on both sides there: who wants twice as much on one's own side buys nothing, and reads the figures."""
    pricing = {"price_side": "same", "bids_to_ask_delta": 2}
    sections: dict[str, Any] = {"entry_pricing": pricing, "strategy_overrides": {"order_types": LIMITS}}
    denied = "SELECT count(*) FROM entries WHERE kind = 'SignalDecided' AND body LIKE '%THIN_BOOK%'"
    with LiveBot(tmp_path, exchange, pairs_of(exchange, 1), **sections) as bot:
        bot.wait_for("entries denied", denied, 2, 120)
    (row, *_) = sql(bot.files, "SELECT detail FROM decisions WHERE code = 'THIN_BOOK'")

    assert "bids are 1.000 of the others, bids_to_ask_delta wants 2 or more" in row["detail"]
    assert [] == exchange.control("ledger", market="futures" if exchange.futures else "spot")["orders"]
