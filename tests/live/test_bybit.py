"""A live bot on the local exchange's second door, Bybit's: its whole life, answers that are lost, and what others do there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from actors.venues.capabilities import capability
from tests.exchange.client import Exchange
from tests.exchange.driving import drive, outcome
from tests.live.bots import STRATEGIES, LiveBot
from tests.live.ledger import D, differences
from tests.live.test_guarding import BOUGHT, CLOSED, QUICK, held, is_guarded, move, working
from tests.showing.common import sql, wait_until

PAIR = "ETH/USDT"


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """Bybit with prices that stand still until they are told to move."""
    with Exchange("--pairs", "2", "--still", "--funds", "USDT=1000", name="bybit") as server:
        yield server


def settled(exchange: Exchange, bot: LiveBot, *, by_hand: bool = False) -> None:
    """Orders, fills, fees and balances are the ledger's, no intent made two orders, and no limit was overdrawn.

    `by_hand`: what the user has sold is in the history too, since it has ended a trade of the bot's.
    """
    ids = Counter(order["client_id"] for order in exchange.control("ledger")["orders"])
    state = exchange.control("state")
    breaches = state["bybit"]["breaches"]

    assert {1} == set(ids.values())
    assert [] == differences(exchange, bot.files, by_hand=by_hand)
    assert [] == bot.audit()
    assert ([], 0, 0) == (state["failures"], breaches["visits_10006"], breaches["bans_403"])


def trigger(exchange: Exchange) -> Decimal:
    """At which price the bot's only stop sells."""
    (stop,) = working(exchange)
    return D(stop["stop_price"])


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
        (before,) = working(exchange)
        move(exchange, PAIR, 1.01)
        wait_until(
            "a higher stop alone", lambda: is_guarded(exchange) and trigger(exchange) > D(before["stop_price"]), 30
        )
        (after,) = working(exchange)
        move(exchange, PAIR, 0.9)
        bot.wait_for("closed trades", CLOSED, 1, 30)
    (row,) = sql(bot.files, "SELECT exit_reason FROM closed_trades")

    assert (row["exit_reason"], working(exchange)) == ("stoploss_on_exchange", [])
    assert (before["id"], before["client_id"]) == (after["id"], after["client_id"])
    settled(exchange, bot)


@pytest.mark.timeout(240)
def test_a_kill_a_hand_and_lost_answers(exchange: Exchange, tmp_path: Path) -> None:
    """The bot is killed over a position, its sockets are cut, and the user sells: the trade ends as his.

    Of the next trade the answers to entry, stop and exit are lost and no event comes: each order is found by its id.
    """
    bot = LiveBot(tmp_path, exchange, [PAIR], strategy_parameters={"every": 10, "hold": 6})
    with bot:
        wait_until("a position and its stop", lambda: is_guarded(exchange), 90)
        exchange.control("kick", market="bybit")
        bot.kill()
        sell_by_hand(exchange)
        for wish in ({"side": "BUY"}, {"type": "STOP_LOSS"}, {"side": "SELL", "type": "MARKET"}):
            exchange.control("fault", kind="lost", endpoint="POST /v5/order/create", count=1, **wish)
        exchange.control("fault", kind="drop", stream="user:*")
        bot.start()
        bot.wait_for("closed trades", CLOSED, 2, 90)
        lost = [fault["hits"] for fault in exchange.control("faults") if fault["kind"] == "lost"]
    reasons = [
        row["exit_reason"] for row in sql(bot.files, "SELECT exit_reason FROM closed_trades ORDER BY close_time")
    ]

    assert [1, 1, 1] == lost
    assert ["manual", "exit_signal"] == reasons
    settled(exchange, bot, by_hand=True)


def test_open_orders_are_listed_whole(exchange: Exchange) -> None:
    """Bybit gives twenty unless more are asked for, and fifty at most: all of an account's are read, page by page."""
    for number in range(60):
        params = {"symbol": "ETHUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.002"}
        exchange.control("order", params={**params, "price": str(2900 + number)})
    call = capability("bybit").open_orders(None)

    async def work(bybit: Any) -> Any:
        return await getattr(bybit, call.method)(*call.args, params=dict(call.params))

    listed = drive(exchange, work)
    refused = drive_refused(exchange, work)

    assert (60, 60) == (len(listed), len({order["id"] for order in listed}))
    assert isinstance(refused, ccxt.NetworkError)


def drive_refused(exchange: Exchange, work: Any) -> Any:
    """What becomes of it when the second page is not to be had."""
    exchange.control("fault", kind="unavailable", endpoint="GET /v5/order/realtime", skip=1)
    return drive(exchange, lambda bybit: outcome(work(bybit)))


def sell_by_hand(exchange: Exchange) -> None:
    """The user ends the bot's stop on the exchange's site and sells the coins of its last entry."""
    (stop,) = working(exchange)
    exchange.control("cancel", id=stop["id"], by="user")
    bought = [trade for trade in exchange.control("ledger")["trades"] if trade["side"] == "BUY"][-1]
    coins = (Decimal(bought["qty"]) - Decimal(bought["fee"])).quantize(Decimal("0.0001"), ROUND_DOWN)
    params: dict[str, Any] = {"symbol": "ETHUSDT", "side": "SELL", "type": "MARKET", "quantity": str(coins)}
    exchange.control("order", params=params)
