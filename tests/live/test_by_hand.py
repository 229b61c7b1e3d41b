"""What others do in the account of a live bot: a futures position that its user closes by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exchange.client import Exchange
from tests.live.bots import LiveBot
from tests.showing.common import sql, wait_until

CLOSED = "SELECT count(*) FROM entries WHERE kind = 'TradeClosed'"
PAIR = "ETH/USDT:USDT"


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """Futures whose prices stand still."""
    with Exchange(
        "--pairs", "3", "--seed", "3", "--funds", "USDT=1000", "--futures", "--still", futures=True
    ) as server:
        yield server


def held(exchange: Exchange) -> float:
    """What the account holds of the pair, by its own trades."""
    trades = exchange.control("ledger", market="futures")["trades"]
    return sum(float(t["qty"]) * (1 if t["side"] == "BUY" else -1) for t in trades if t["symbol"] == "ETHUSDT")


@pytest.mark.timeout(240)
def test_a_position_that_is_closed_by_hand_ends_its_trade(exchange: Exchange, tmp_path: Path) -> None:
    """The user sells the position at the exchange: the trade ends with that price and reason, and both books agree."""
    parameters = {"hold": -1}
    with LiveBot(tmp_path, exchange, [PAIR], strategy_parameters=parameters) as bot:
        wait_until("a position", lambda: held(exchange) > 0, 120)
        amount = held(exchange)
        params = {
            "symbol": "ETHUSDT",
            "side": "SELL",
            "type": "MARKET",
            "quantity": f"{amount:.3f}",
            "reduceOnly": "true",
        }
        exchange.control("order", params=params, market="futures")
        bot.wait_for("closed trades", CLOSED, 1, 60)
    (row, *_) = sql(bot.files, "SELECT exit_reason, amount FROM closed_trades ORDER BY close_time")

    assert [] == bot.audit()
    assert row["exit_reason"] == "manual"
    assert abs(float(row["amount"]) - amount) < 1e-9
