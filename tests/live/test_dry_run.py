"""Paper trading on a real exchange's market data, against the local exchange: the live configuration without keys."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exchange.client import Exchange
from tests.live.bots import KEYS
from tests.live.dry import DryBot, asked_more, price_of
from tests.showing.common import sql, wait_until

CLOSED = "SELECT count(*) FROM entries WHERE kind = 'TradeClosed'"
HOLD = {"hold": -1}


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's keys are in the environment."""
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """An exchange of a few pairs whose prices move."""
    with Exchange("--pairs", "4", "--seed", "3", "--rate", "5") as server:
        yield server


@pytest.fixture
def still() -> Iterator[Exchange]:
    """An exchange whose prices move when told."""
    with Exchange("--pairs", "2", "--still") as server:
        yield server


def guarded(bot: DryBot) -> float:
    """Wait for a stop that rests at the paper venue; its trigger."""
    wait_until("a stop", lambda: bot.orders("NEW", "stop"), 120)
    return float(bot.orders("NEW", "stop")[0]["trigger_price"])


@pytest.mark.timeout(400)
def test_trades_on_the_exchanges_prices_without_keys(exchange: Exchange, tmp_path: Path) -> None:
    """Entries, stops, exits at its prices, steps and fees; both books agree; it was never asked what needs a key."""
    with DryBot(tmp_path, exchange, ["BTC/USDT", "ETH/USDT"]) as bot:
        bot.wait_for("closed trades", CLOSED, 3, 120)
    rows = sql(bot.files, "SELECT pair, open_rate, close_rate, fees, profit_abs FROM closed_trades")
    kinds = {(order["type"], order["side"]) for order in bot.orders()}

    assert {("market", "buy"), ("stop", "sell"), ("market", "sell")} <= kinds
    for row in rows:
        price = price_of(exchange, row["pair"].replace("/", ""))
        assert abs(float(row["open_rate"]) / price - 1) < 0.1
    assert [] == bot.audit()
    assert [] == asked_more(exchange)
    assert [] == exchange.control("ledger", market="spot")["orders"]
    limits = exchange.control("state")["markets"]["spot"]["breaches"]
    assert (0, 0) == (limits["weight_429"], limits["bans_418"])


@pytest.mark.timeout(400)
def test_a_stop_is_filled_where_the_price_fell_to(still: Exchange, tmp_path: Path) -> None:
    """The price jumps over a resting stop: it is sold where the price landed, and the trade closes by its stop."""
    price = price_of(still, "ETHUSDT")
    with DryBot(tmp_path, still, ["ETH/USDT"], strategy_parameters=HOLD) as bot:
        trigger = guarded(bot)
        for step in range(8):  # the stream is heard, and what was before that is read
            still.control("price", symbol="ETHUSDT", price=round(price * (1 + step % 2 * 1e-4), 2))
            time.sleep(0.75)
        still.control("price", symbol="ETHUSDT", price=round(price * 0.95, 2))
        bot.wait_for("closed trades", CLOSED, 1, 120)
    fill = bot.fills_of("stop")[0]
    (*_, row) = sql(bot.files, "SELECT exit_reason FROM closed_trades ORDER BY close_time DESC")

    assert trigger == pytest.approx(price * 0.98, rel=2e-3)
    assert float(fill["price"]) == pytest.approx(price * 0.95, rel=1e-3)
    assert "stop" in row["exit_reason"]
    assert [] == bot.audit()


@pytest.mark.timeout(400)
def test_what_happened_while_it_was_dead_is_met_at_the_start(still: Exchange, tmp_path: Path) -> None:
    """Killed with a resting stop; the price falls through it and comes back: the next start finds it sold, then and there.

    The exchange's candles begin where the one before ended, so the price passed the trigger, and was not beyond it at once.
    """
    price = price_of(still, "ETHUSDT")
    with DryBot(tmp_path, still, ["ETH/USDT"], strategy_parameters=HOLD) as bot:
        trigger = guarded(bot)
        time.sleep(2)
        bot.kill()
        killed_at = time.time() * 1_000
        time.sleep(2)
        still.control("price", symbol="ETHUSDT", price=round(price * 0.97, 2))
        time.sleep(2)
        still.control("price", symbol="ETHUSDT", price=price)
        time.sleep(2)
        back_at = time.time() * 1_000
        bot.start()
        bot.wait_for("closed trades", CLOSED, 1, 120)
    fill = bot.fills_of("stop")[0]

    assert killed_at < fill["ts"] < back_at
    assert float(fill["price"]) == pytest.approx(trigger, rel=1e-3)
    assert [] == bot.audit()


@pytest.mark.timeout(400)
def test_what_a_stalled_stream_did_not_tell_is_read_from_candles(still: Exchange, tmp_path: Path) -> None:
    """There is no stream while the price falls through the stop and comes back: candles tell, and it is sold then."""
    price = price_of(still, "ETHUSDT")
    with DryBot(tmp_path, still, ["ETH/USDT"], strategy_parameters=HOLD) as bot:
        trigger = guarded(bot)
        time.sleep(3)
        still.control("fault", kind="refuse_stream", stream="connect:market")
        still.control("kick", which="streams")
        still.control("price", symbol="ETHUSDT", price=round(price * 0.97, 2))
        time.sleep(1.5)
        still.control("price", symbol="ETHUSDT", price=price)
        time.sleep(1.5)
        still.control("clear")
        bot.wait_for("closed trades", CLOSED, 1, 120)
    fill = bot.fills_of("stop")[0]

    assert trigger * 1.001 > float(fill["price"]) > price * 0.969
    assert [] == bot.audit()


@pytest.mark.timeout(400)
def test_a_leveraged_short_is_guarded_and_stopped_out(tmp_path: Path) -> None:
    """Futures without keys: a short with leverage, its stop above it, and its end there; books agree with the record."""
    with Exchange("--pairs", "1", "--still", futures=True) as server:
        price = price_of(server, "BTCUSDT")
        sections = {"strategy_parameters": {"can_short": True, "hold": -1}, "trading": {"leverage": 3}}
        with DryBot(tmp_path, server, ["BTC/USDT:USDT"], **sections) as bot:
            trigger = guarded(bot)
            server.control("price", market="futures", symbol="BTCUSDT", price=round(price * 1.03, 1))
            bot.wait_for("closed trades", CLOSED, 1, 120)
        (row, *_) = sql(
            bot.files, "SELECT side, leverage, exit_reason, close_rate FROM closed_trades ORDER BY close_time"
        )

        assert ("short", 3.0) == (row["side"], float(row["leverage"]))
        assert "stop" in row["exit_reason"]
        assert price < trigger <= float(row["close_rate"])
        assert [] == bot.audit()
        assert [] == asked_more(server)


@pytest.mark.timeout(400)
def test_what_a_silent_stream_did_not_tell_is_read_from_candles(still: Exchange, tmp_path: Path) -> None:
    """The sockets stay open and say nothing while the price falls through the stop and comes back: it is sold then."""
    price = price_of(still, "ETHUSDT")
    with DryBot(tmp_path, still, ["ETH/USDT"], strategy_parameters=HOLD) as bot:
        trigger = guarded(bot)
        time.sleep(3)
        still.control("fault", kind="stall", probability=1)
        still.control("price", symbol="ETHUSDT", price=round(price * 0.97, 2))
        time.sleep(1.5)
        still.control("price", symbol="ETHUSDT", price=round(price * 0.999, 2))
        fell_until = time.time() * 1_000
        bot.wait_for("closed trades", CLOSED, 1, 120)
        still.control("clear")
    fill = bot.fills_of("stop")[0]

    assert trigger * 1.001 > float(fill["price"]) > price * 0.969
    assert fill["ts"] < fell_until + 1_000
    assert [] == bot.audit()


@pytest.mark.timeout(400)
def test_started_during_an_outage_it_waits_and_begins(still: Exchange, tmp_path: Path) -> None:
    """Without an exchange nothing is begun and that is said; when it answers, entries are filled at its prices."""
    fault = still.control("fault", kind="unavailable", probability=1)
    with DryBot(tmp_path, still, ["ETH/USDT"], strategy_parameters=HOLD) as bot:
        wait_until("a word of the outage", lambda: "binance does not answer" in bot.log(), 120)
        assert not bot.files.journal.exists()
        still.control("clear", id=fault["id"])
        guarded(bot)

    assert "binance answers again" in bot.log()
    assert [] == bot.audit()


@pytest.mark.timeout(400)
def test_a_future_is_left_before_it_would_be_liquidated(tmp_path: Path) -> None:
    """Without keys no tiers are told: the stop at the venue stands where the configured margin rate has it, and is met."""
    with Exchange("--pairs", "1", "--still", futures=True) as server:
        price = price_of(server, "BTCUSDT")
        sections = {
            "strategy_parameters": HOLD,
            "strategy_overrides": {"stoploss": -0.99},
            "trading": {"leverage": 10},
            "paper": {"maintenance_rate": 0.02},
        }
        with DryBot(tmp_path, server, ["BTC/USDT:USDT"], **sections) as bot:
            trigger = guarded(bot)
            server.control("price", market="futures", symbol="BTCUSDT", price=round(price * 0.92, 1))
            bot.wait_for("closed trades", CLOSED, 1, 120)
        (row, *_) = sql(bot.files, "SELECT exit_reason FROM closed_trades ORDER BY close_time")

        level = price * (1 - 0.1) / (1 - 0.02)  # semantics 1.10; a part of 0.05 of the way is kept clear of
        assert trigger == pytest.approx(level + 0.05 * (price - level), rel=2e-3)
        assert row["exit_reason"] == "stoploss_on_exchange"
        assert [] == bot.audit()
        assert "a position is liquidated when less than 2 % of its worth is left" in bot.log()
