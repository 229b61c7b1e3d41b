"""A live bot on the local exchange's second door, Bybit's: its whole life, answers that are lost, and what others do there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.exchange.client import Exchange
from tests.live.bots import STRATEGIES, LiveBot
from tests.live.ledger import differences
from tests.live.test_guarding import BOUGHT, CLOSED, QUICK, held, is_guarded, move, stops, working
from tests.showing.common import sql, wait_until

PAIR = "ETH/USDT"


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """Bybit with prices that stand still until they are told to move."""
    with Exchange("--pairs", "2", "--still", "--funds", "USDT=1000", name="bybit") as server:
        yield server


def settled(exchange: Exchange, bot: LiveBot) -> None:
    """Orders, fills, fees and balances are the ledger's, no intent made two orders, and no limit was overdrawn."""
    ids = Counter(order["client_id"] for order in exchange.control("ledger")["orders"])
    state = exchange.control("state")
    breaches = state["bybit"]["breaches"]

    assert {1} == set(ids.values())
    assert [] == differences(exchange, bot.files)
    assert [] == bot.audit()
    assert ([], 0, 0) == (state["failures"], breaches["visits_10006"], breaches["bans_403"])


@pytest.mark.timeout(240)
def test_a_trade_from_signal_to_stop_out(exchange: Exchange, tmp_path: Path) -> None:
    """A limit entry fills, its stop stands for what is held, follows a partial exit and the price, and sells the rest."""
    overrides = {"trailing_stop": True, "order_types": {**QUICK, "entry": "limit"}}
    parts = {"name": str(STRATEGIES / "parts.py")}
    parameters = {"every": 3}
    bot = LiveBot(
        tmp_path, exchange, [PAIR], strategy=parts, strategy_overrides=overrides, strategy_parameters=parameters
    )
    with bot:
        bot.wait_for("entries", BOUGHT, 1, 60)
        move(exchange, PAIR, 0.985)
        wait_until("a stop for what is held", lambda: bool(held(exchange)) and is_guarded(exchange), 30)
        whole = held(exchange)
        move(exchange, PAIR, 1.03)
        wait_until("half of it sold", lambda: 0 < held(exchange) < whole * Decimal("0.7"), 30)
        wait_until("a stop for the rest", lambda: is_guarded(exchange), 30)
        before = len(stops(exchange))
        move(exchange, PAIR, 1.01)
        wait_until("the next stop alone", lambda: len(stops(exchange)) > before and is_guarded(exchange), 30)
        move(exchange, PAIR, 0.9)
        bot.wait_for("closed trades", CLOSED, 1, 30)
    (row,) = sql(bot.files, "SELECT exit_reason FROM closed_trades")

    assert (row["exit_reason"], working(exchange)) == ("stoploss_on_exchange", [])
    settled(exchange, bot)


def looked_up(exchange: Exchange) -> int:
    """How often single orders or lists of them were asked for."""
    return sum(row[1] == "GET /v5/order/realtime" for row in exchange.control("requests")["bybit"])


@pytest.mark.timeout(240)
def test_lost_answers_a_kill_and_a_hand(exchange: Exchange, tmp_path: Path) -> None:
    """The answers to entry, stop and exit are lost and no event comes: each is found by its id. Then the bot is killed
    over a position, its sockets are cut, and the user sells: the trade ends as his.
    """
    for wish in ({"side": "BUY"}, {"type": "STOP_LOSS"}, {"side": "SELL", "type": "MARKET"}):
        exchange.control("fault", kind="lost", endpoint="POST /v5/order/create", count=1, **wish)
    exchange.control("fault", kind="drop", stream="user:*")
    bot = LiveBot(tmp_path, exchange, [PAIR], strategy_parameters={"every": 6, "hold": 3})
    with bot:
        bot.wait_for("closed trades", CLOSED, 1, 90)
        lost = [fault["hits"] for fault in exchange.control("faults") if fault["kind"] == "lost"]
        exchange.control("clear")
        wait_until("a position and its stop", lambda: is_guarded(exchange), 60)
        exchange.control("kick", market="bybit")
        bot.kill()
        sell_by_hand(exchange)
        bot.start()
        bot.wait_for("closed trades", CLOSED, 2, 60)
    reasons = [
        row["exit_reason"] for row in sql(bot.files, "SELECT exit_reason FROM closed_trades ORDER BY close_time")
    ]

    assert [1, 1, 1] == lost
    assert "manual" in reasons
    assert looked_up(exchange) > 3
    settled(exchange, bot)


def sell_by_hand(exchange: Exchange) -> None:
    """The user ends the bot's stop on the exchange's site and sells the coins."""
    (stop,) = working(exchange)
    exchange.control("cancel", id=stop["id"], by="user")
    params: dict[str, Any] = {"symbol": "ETHUSDT", "side": "SELL", "type": "MARKET", "quantity": stop["qty"]}
    exchange.control("order", params=params)
