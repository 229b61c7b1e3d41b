"""Guarding stops at the exchange, against the local one: they follow, they are replaced, and what jumps them is seen."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.exchange.client import Exchange
from tests.live.bots import STRATEGIES, LiveBot, pairs_of
from tests.live.ledger import differences
from tests.showing.common import sql, wait_until

CLOSED = "SELECT count(*) FROM entries WHERE kind = 'TradeClosed'"
ALARMED = "SELECT count(*) FROM entries WHERE kind = 'Notified' AND CAST(body AS TEXT) LIKE '%refused the stop%'"
TRAILING = {"trailing_stop": True}
BOUGHT = "SELECT count(*) FROM entries WHERE kind = 'OrderAccepted'"
AT_ONCE_MS = 50
"""What the exchange itself may take between the two halves of one request: nothing comes between them."""
STEP, INTERVAL_S = 0.004, 2
SLOW = {
    "entry": "market",
    "exit": "market",
    "stoploss_on_exchange": True,
    "stoploss_on_exchange_interval": INTERVAL_S,
    "stoploss_on_exchange_step": STEP,
}
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


def held(exchange: Exchange) -> Decimal:
    """What the bot holds there by its own trades, less fees in the coin."""
    total = Decimal(0)
    for trade in exchange.control("ledger", market=market_of(exchange))["trades"]:
        sign = 1 if trade["side"] == "BUY" else -1
        in_coin = trade["fee_asset"] == trade["symbol"].removesuffix("USDT")
        total += sign * Decimal(trade["qty"]) - (Decimal(trade["fee"]) if in_coin else 0)
    return total


def is_guarded(exchange: Exchange) -> bool:
    """Whether one stop stands for all that is held, but for what is less than the market's step."""
    there = working(exchange)
    missing = held(exchange) - sum(Decimal(order["qty"]) for order in there)
    return len(there) == 1 and 0 <= missing < Decimal("0.001")


def move(exchange: Exchange, pair: str, ratio: float) -> None:
    """Let the price jump."""
    price = round(price_of(exchange, pair) * ratio, 1)
    exchange.control("price", symbol=symbol_of(pair), price=price, market=market_of(exchange))


@pytest.mark.parametrize("exchange", ["spot", "futures"], indirect=True)
@pytest.mark.timeout(400)
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
        wait_until("a stop at the exchange", lambda: bool(working(exchange)), 120)
        for _ in range(3):
            before = len(stops(exchange))
            move(exchange, pair, 1.01)
            wait_until(
                "the next stop alone", lambda n=before: len(stops(exchange)) > n and len(working(exchange)) == 1, 60
            )
        move(exchange, pair, 0.9)
        bot.wait_for("closed trades", CLOSED, 1, 120)
    (row,) = sql(bot.files, "SELECT longest_replaced_ms, first_ms FROM unguarded")

    assert len(stops(exchange)) >= 4
    assert working(exchange) == []
    assert row["longest_replaced_ms"] == 0
    assert 0 <= row["first_ms"] < 20_000
    assert gaps_there(exchange) < AT_ONCE_MS
    assert [] == differences(exchange, bot.files)
    assert [] == bot.audit()


@pytest.mark.parametrize("exchange", ["spot", "futures"], indirect=True)
@pytest.mark.timeout(400)
def test_a_stop_is_for_what_is_held(exchange: Exchange, tmp_path: Path) -> None:
    """It stands for the part that is bought, grows with the next, and shrinks before a part is sold; never is there none."""
    pair = pairs_of(exchange, 2)[1]
    with LiveBot(tmp_path, exchange, [pair], strategy={"name": str(STRATEGIES / "parts.py")}) as bot:
        bot.wait_for("entries", BOUGHT, 1, 120)
        ledger = exchange.control("ledger", market=market_of(exchange))
        (entry,) = [order for order in ledger["orders"] if order["status"] == "NEW"]
        quarter = (Decimal(entry["qty"]) / 4).quantize(Decimal("0.001"))
        for amount in (quarter, Decimal(entry["qty"]) - quarter):
            exchange.control("fill", id=entry["id"], qty=str(amount), market=market_of(exchange))
            wait_until("a stop for what is held", lambda: bool(held(exchange)) and is_guarded(exchange), 120)
        whole = held(exchange)
        move(exchange, pair, 1.03)
        wait_until("half of it sold", lambda: 0 < held(exchange) < whole * Decimal("0.7"), 120)
        wait_until("a stop for the rest", lambda: is_guarded(exchange), 120)
        move(exchange, pair, 0.9)
        bot.wait_for("closed trades", CLOSED, 1, 120)
    (row,) = sql(bot.files, "SELECT longest_replaced_ms FROM unguarded")
    (closed,) = sql(bot.files, "SELECT exit_reason, close_rate, stop FROM trades")

    assert row["longest_replaced_ms"] == 0
    assert gaps_there(exchange) < AT_ONCE_MS
    assert closed["exit_reason"] == "stoploss_on_exchange"
    assert working(exchange) == []
    assert [] == differences(exchange, bot.files)


@pytest.mark.parametrize("exchange", ["spot", "futures"], indirect=True)
@pytest.mark.timeout(400)
def test_a_stop_keeps_to_its_interval_and_step(exchange: Exchange, tmp_path: Path) -> None:
    """While the price climbs in small steps it is replaced by no less than its step, and no sooner than its interval."""
    pair = pairs_of(exchange, 2)[1]
    overrides = {**TRAILING, "order_types": SLOW}
    hold = {"hold": -1}
    with LiveBot(tmp_path, exchange, [pair], strategy_parameters=hold, strategy_overrides=overrides) as bot:
        wait_until("a stop at the exchange", lambda: bool(working(exchange)), 120)

        def climbs() -> bool:
            move(exchange, pair, 1.003)
            time.sleep(0.3)
            return len(stops(exchange)) >= 3

        wait_until("two stops that followed", climbs, 120)
        wait_until("the last one alone", lambda: len(working(exchange)) == 1, 120)
        query = "SELECT epoch_ms(intended_at) AS sent, trigger_price FROM orders WHERE purpose = 'stop' ORDER BY sent"
        wait_until("its row", lambda: len(sql(bot.files, query)) == len(stops(exchange)), 120)
        rows = sql(bot.files, query)

    for before, after in itertools.pairwise(rows):
        assert after["sent"] - before["sent"] >= INTERVAL_S * 1_000
        assert Decimal(after["trigger_price"]) >= Decimal(before["trigger_price"]) * Decimal(str(1 + STEP))


@pytest.mark.parametrize("exchange", ["spot"], indirect=True)
@pytest.mark.timeout(400)
def test_a_stop_that_is_refused_is_guarded_by_the_bot(exchange: Exchange, tmp_path: Path) -> None:
    """While the exchange takes no stops the bot says so and watches itself; when the price is past the stop it leaves."""
    pair = pairs_of(exchange, 2)[1]
    wish = {"endpoint": "POST /api/v3/order", "type": "STOP_LOSS", "code": -2010, "msg": "stop orders are off"}
    exchange.control("fault", kind="refuse", **wish)
    with LiveBot(tmp_path, exchange, [pair], strategy_parameters={"hold": -1}) as bot:
        bot.wait_for("alarms", ALARMED, 1, 120)
        move(exchange, pair, 0.95)
        bot.wait_for("closed trades", CLOSED, 1, 120)
    (row,) = sql(bot.files, "SELECT exit_reason FROM closed_trades")

    assert row["exit_reason"] == "stop_loss"
    assert stops(exchange) == []
    assert [] == differences(exchange, bot.files)


@pytest.mark.parametrize("exchange", ["futures"], indirect=True)
@pytest.mark.timeout(400)
def test_a_price_past_the_stop_before_it_stands(exchange: Exchange, tmp_path: Path) -> None:
    """The price falls while the stop is on its way: the exchange says that it would trigger at once, and the bot leaves."""
    pair = pairs_of(exchange, 2)[1]
    exchange.control("fault", kind="slow_before", endpoint="POST /fapi/v1/algoOrder", seconds=1.5)
    with LiveBot(tmp_path, exchange, [pair], strategy_parameters={"hold": -1}) as bot:
        bot.wait_for("trades", "SELECT count(*) FROM entries WHERE kind = 'TradeOpened'", 1, 120)
        move(exchange, pair, 0.9)
        bot.wait_for("closed trades", CLOSED, 1, 120)
    (row,) = sql(bot.files, "SELECT exit_reason FROM closed_trades")

    assert row["exit_reason"] in ("emergency_exit", "stop_loss")
    assert [] == differences(exchange, bot.files)
