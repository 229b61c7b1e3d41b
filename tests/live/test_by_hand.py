"""What others do in the account of a live bot: its user trades the same future by hand, the exchange liquidates it."""

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


@pytest.mark.timeout(400)
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
        bot.wait_for("closed trades", CLOSED, 1, 120)
    (row, *_) = sql(bot.files, "SELECT exit_reason, amount FROM closed_trades ORDER BY close_time")

    assert [] == bot.audit()
    assert row["exit_reason"] == "manual"
    assert abs(float(row["amount"]) - amount) < 1e-9


@pytest.mark.timeout(400)
def test_a_liquidation_ends_its_trade(exchange: Exchange, tmp_path: Path) -> None:
    """The exchange closes the position: that is heard at once, the trade ends with that price and reason, its stop goes."""
    with LiveBot(tmp_path, exchange, [PAIR], strategy_parameters={"hold": -1, "every": 16}) as bot:
        wait_until("a stop", lambda: working_stops(exchange) == 1, 120)
        exchange.control("liquidate", symbol="ETHUSDT")
        bot.wait_for("closed trades", CLOSED, 1, 120)
        wait_until("no stop", lambda: working_stops(exchange) == 0, 120)
    (row, *_) = sql(bot.files, "SELECT exit_reason FROM closed_trades ORDER BY close_time")

    assert [] == bot.audit()
    assert row["exit_reason"] == "liquidation"


def working_stops(exchange: Exchange) -> int:
    """How many stops of the bot's stand at the exchange."""
    algos = exchange.control("ledger", market="futures")["algos"]
    return sum(algo["status"] == "NEW" and algo["client_id"].startswith("tp") for algo in algos)


@pytest.mark.timeout(400)
def test_no_entry_closes_a_position_of_the_users(exchange: Exchange, tmp_path: Path) -> None:
    """The user is short before the bot starts: a long entry would only close that, so there is none, and the reason is told."""
    params = {"symbol": "ETHUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.100"}
    exchange.control("order", params=params, market="futures")
    denied = "SELECT count(*) FROM entries WHERE kind = 'SignalDecided' AND CAST(body AS TEXT) LIKE '%PAIR_LOCKED%'"
    with LiveBot(tmp_path, exchange, [PAIR], strategy_parameters={"every": 4}) as bot:
        bot.wait_for("denied entries", denied, 2, 120)
    (row,) = sql(bot.files, "SELECT count(*) AS n, any_value(detail) AS detail FROM why_not WHERE code = 'PAIR_LOCKED'")

    assert row["n"] >= 2
    assert "an entry would close a position of yours" in row["detail"]
    assert abs(held(exchange) + 0.1) < 1e-9


@pytest.mark.timeout(400)
def test_coins_that_were_withdrawn_leave_their_trade(tmp_path: Path) -> None:
    """While no bot runs the user cancels the stop and takes the coins: the trade ends at what it had cost, and books agree."""
    with Exchange("--pairs", "3", "--still", "--funds", "USDT=1000") as there:
        with LiveBot(tmp_path, there, ["ETH/USDT"], strategy_parameters={"hold": -1, "every": 12}) as bot:
            wait_until("a stop", lambda: bool(resting(there)), 120)
        (stop,) = resting(there)
        there.control("cancel", id=stop["id"])
        there.control("deposit", asset="ETH", amount=f"-{stop['qty']}")
        with bot:
            bot.wait_for("closed trades", CLOSED, 1, 120)
        (row,) = sql(bot.files, "SELECT exit_reason, amount FROM closed_trades")

        assert [] == bot.audit()
        assert row["exit_reason"] == "moved_away"


def resting(exchange: Exchange) -> list[dict[str, object]]:
    """The bot's stops that work, on spot."""
    orders = exchange.control("ledger")["orders"]
    return [o for o in orders if o["client_id"].startswith("tp") and "STOP" in o["type"] and o["status"] == "NEW"]
