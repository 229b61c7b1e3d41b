"""Guarding stops at the exchange, against the local one: they follow, they are replaced, and what jumps them is seen."""

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
ALARMED = "SELECT count(*) FROM entries WHERE kind = 'Notified' AND CAST(body AS TEXT) LIKE '%refused the stop%'"
TRAILING = {"trailing_stop": True}
QUICK = {"entry": "market", "exit": "market", "stoploss_on_exchange": True, "stoploss_on_exchange_interval": 1}


@pytest.fixture
def exchange(request: pytest.FixtureRequest) -> Iterator[Exchange]:
    """An exchange whose prices stand still until they are told to move."""
    futures = request.param == "futures"
    arguments = ("--pairs", "2", "--still", "--funds", "USDT=1000", *(("--futures",) if futures else ()))
    with Exchange(*arguments, futures=futures) as server:
        yield server


def market_of(exchange: Exchange) -> str:
    """What the control endpoint calls the exchange's only market."""
    return "futures" if exchange.futures else "spot"


def stops(exchange: Exchange) -> list[dict[str, Any]]:
    """The bot's stops, as the exchange has them, the oldest first."""
    ledger = exchange.control("ledger", market=market_of(exchange))
    kinds = ("STOP_LOSS", "STOP_MARKET")
    listed = [*ledger["orders"], *ledger.get("algos", ())]
    return [o for o in listed if o["client_id"].startswith("tp") and o["type"] in kinds]


def working(exchange: Exchange) -> list[dict[str, Any]]:
    """Those of them that still work."""
    return [order for order in stops(exchange) if order["status"] == "NEW"]


def gaps_there(exchange: Exchange) -> int:
    """For how many milliseconds no stop stood between the first and the last one, by the exchange's own times."""
    listed = sorted((o["created"], o["updated"]) for o in stops(exchange))
    gap, until = 0, listed[0][1]
    for created, ended in listed[1:]:
        gap += max(0, created - until)
        until = max(until, ended)
    return gap


def symbol_of(pair: str) -> str:
    """A pair's name at the exchange."""
    return pair.partition(":")[0].replace("/", "")


def price_of(exchange: Exchange, pair: str) -> float:
    """What it costs now."""
    state = exchange.control("state")["markets"][market_of(exchange)]
    return float(state["pairs"][symbol_of(pair)]["price"])


def move(exchange: Exchange, pair: str, ratio: float) -> None:
    """Let the price jump."""
    price = round(price_of(exchange, pair) * ratio, 1)
    exchange.control("price", symbol=symbol_of(pair), price=price, market=market_of(exchange))


@pytest.mark.parametrize("exchange", ["spot", "futures"], indirect=True)
@pytest.mark.timeout(240)
def test_a_stop_follows_the_price(exchange: Exchange, tmp_path: Path) -> None:
    """It is replaced as the price rises, without a gap: on futures the new one stands first, on spot both is one request."""
    pair = pairs_of(exchange, 2)[1]
    bot = LiveBot(
        tmp_path,
        exchange,
        [pair],
        strategy_parameters={"hold": -1},
        strategy_overrides={**TRAILING, "order_types": QUICK},
    )
    with bot:
        wait_until("a stop at the exchange", lambda: bool(working(exchange)), 60)
        for _ in range(3):
            before = len(stops(exchange))
            move(exchange, pair, 1.01)
            wait_until(
                "the next stop alone", lambda n=before: len(stops(exchange)) > n and len(working(exchange)) == 1, 60
            )
        move(exchange, pair, 0.9)
        bot.wait_for("closed trades", CLOSED, 1, 30)
    (row,) = sql(bot.files, "SELECT longest_replaced_ms, first_ms FROM unguarded")

    assert len(stops(exchange)) >= 4
    assert working(exchange) == []
    assert row["longest_replaced_ms"] == 0
    assert 0 <= row["first_ms"] < 5_000
    assert gaps_there(exchange) == 0
    assert [] == differences(exchange, bot.files)


@pytest.mark.parametrize("exchange", ["spot"], indirect=True)
@pytest.mark.timeout(240)
def test_a_stop_that_is_refused_is_guarded_by_the_bot(exchange: Exchange, tmp_path: Path) -> None:
    """While the exchange takes no stops the bot says so and watches itself; when the price is past the stop it leaves."""
    pair = pairs_of(exchange, 2)[1]
    wish = {"endpoint": "POST /api/v3/order", "type": "STOP_LOSS", "code": -2010, "msg": "stop orders are off"}
    exchange.control("fault", kind="refuse", **wish)
    with LiveBot(tmp_path, exchange, [pair], strategy_parameters={"hold": -1}) as bot:
        bot.wait_for("alarms", ALARMED, 1, 60)
        move(exchange, pair, 0.95)
        bot.wait_for("closed trades", CLOSED, 1, 30)
    (row,) = sql(bot.files, "SELECT exit_reason FROM closed_trades")

    assert row["exit_reason"] == "stop_loss"
    assert stops(exchange) == []
    assert [] == differences(exchange, bot.files)


@pytest.mark.parametrize("exchange", ["futures"], indirect=True)
@pytest.mark.timeout(240)
def test_a_price_past_the_stop_before_it_stands(exchange: Exchange, tmp_path: Path) -> None:
    """The price falls while the stop is on its way: the exchange says that it would trigger at once, and the bot leaves."""
    pair = pairs_of(exchange, 2)[1]
    exchange.control("fault", kind="slow_before", endpoint="POST /fapi/v1/algoOrder", seconds=1.5)
    with LiveBot(tmp_path, exchange, [pair], strategy_parameters={"hold": -1}) as bot:
        bot.wait_for("trades", "SELECT count(*) FROM entries WHERE kind = 'TradeOpened'", 1, 60)
        move(exchange, pair, 0.9)
        bot.wait_for("closed trades", CLOSED, 1, 30)
    (row,) = sql(bot.files, "SELECT exit_reason FROM closed_trades")

    assert row["exit_reason"] in ("emergency_exit", "stop_loss")
    assert [] == differences(exchange, bot.files)
