"""A live bot from its first candle to a closed trade, against the local exchange: entry, stop, exit, SQL, nothing left over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.exchange.client import Exchange
from tests.live.bots import LiveBot, pairs_of
from tests.live.ledger import differences
from tests.showing.common import sql, wait_until

CLOSED = "SELECT count(*) FROM entries WHERE kind = 'TradeClosed'"


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """An exchange of a few pairs whose prices move."""
    with Exchange("--pairs", "4", "--seed", "3", "--funds", "USDT=1000") as server:
        yield server


def orders_of(exchange: Exchange) -> list[dict[str, Any]]:
    """The bot's orders, as the exchange has them."""
    ledger = exchange.control("ledger", market="futures" if exchange.futures else "spot")
    return [order for order in ledger["orders"] if order["client_id"].startswith("tp")]


@pytest.mark.timeout(400)
def test_a_trade_from_candle_to_history(exchange: Exchange, tmp_path: Path) -> None:
    """Candles come by websocket, a signal becomes an order, a stop stands at the exchange, an exit closes; both books agree."""
    with LiveBot(tmp_path, exchange, pairs_of(exchange, 1)) as bot:
        bot.wait_for("closed trades", CLOSED, 1, 120)
    kinds = {(o["type"], o["side"]) for o in orders_of(exchange)}
    (row, *_) = sql(bot.files, "SELECT count(*) AS trades, sum(profit_abs) AS profit FROM closed_trades")

    assert {("MARKET", "BUY"), ("STOP_LOSS", "SELL"), ("MARKET", "SELL")} <= kinds
    assert row["trades"] >= 1
    assert [] == differences(exchange, bot.files)
    assert [] == bot.audit()


@pytest.mark.timeout(400)
def test_a_stop_that_the_exchange_fills_closes_the_trade(exchange: Exchange, tmp_path: Path) -> None:
    """The price falls through the stop: the exchange sells, and the trade closes by its stop with the exchange's price."""
    parameters = {"hold": -1}
    with LiveBot(tmp_path, exchange, ["ETH/USDT"], strategy_parameters=parameters) as bot:
        wait_until("a stop at the exchange", lambda: any(o["type"] == "STOP_LOSS" for o in orders_of(exchange)), 120)
        price = float(exchange.control("state")["markets"]["spot"]["pairs"]["ETHUSDT"]["price"])
        exchange.control("price", symbol="ETHUSDT", price=round(price * 0.95, 2))
        bot.wait_for("closed trades", CLOSED, 1, 120)
    reasons = [row["exit_reason"] for row in sql(bot.files, "SELECT exit_reason FROM closed_trades")]

    assert "stop_loss" in reasons[-1] or "stoploss" in reasons[-1]
    assert [] == differences(exchange, bot.files)
