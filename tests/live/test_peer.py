"""What another bot was measured to do wrong on such an exchange, line by line: lost answers, naked positions, delisted pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.bots import ask, command
from tests.exchange.client import Exchange
from tests.live.bots import LiveBot, pairs_of
from tests.live.ledger import differences, naked, placed
from tests.showing.common import wait_until

CLOSED = "SELECT count(*) FROM entries WHERE kind = 'TradeClosed'"
REFUSED_MAX = 3
"""So many refused orders are no storm; another bot was refused once a second, for minutes."""

DELISTED_MAX = 30
"""So many refused requests of all kinds in twelve seconds are far from five a second; fifteen are usual."""

STOP_S = 20.0
"""The longest that a new position waits for its stop, on a machine that does other things too; 0.2 s are usual."""


def lose(exchange: Exchange, **which: str) -> None:
    """Have the exchange do the next such order and lose its answer."""
    exchange.control("fault", kind="lost", endpoint="POST *rder", count=1, **which)


@pytest.mark.timeout(400)
def test_orders_whose_answers_are_lost_are_found_again(tmp_path: Path) -> None:
    """The answers to an entry, its stop and its exit are lost: each is found, none is sent twice, and the books agree."""
    with Exchange("--pairs", "3", "--seed", "2", "--funds", "USDT=1000") as exchange:
        lose(exchange, side="BUY", type="MARKET")
        lose(exchange, side="SELL", type="STOP_LOSS")
        lose(exchange, side="SELL", type="MARKET")
        with LiveBot(tmp_path, exchange, pairs_of(exchange, 2)) as bot:
            bot.wait_for("closed trades", CLOSED, 2, 150)
            faults = exchange.control("faults")
            answers = exchange.control("requests")["spot"]
            refused = [what for _, what, status in answers if what.startswith("POST") and status == 400]
        ids = Counter(order["client_id"] for order in placed(exchange.control("ledger")))

        assert [1, 1, 1] == [fault["hits"] for fault in faults]
        assert len(refused) <= REFUSED_MAX, f"a stop that nobody knows of locks the coins: {refused}"
        assert {1} == set(ids.values())
        assert [] == differences(exchange, bot.files)


@pytest.mark.timeout(400)
def test_ten_entries_at_once_have_their_stops_at_once(tmp_path: Path) -> None:
    """Entries that are filled in three parts each, ten pairs together: every one is guarded from its first fill on."""
    with Exchange("--pairs", "10", "--seed", "2", "--funds", "USDT=2000") as exchange:
        for symbol in exchange.control("state")["markets"]["spot"]["pairs"]:
            exchange.control("pair", symbol=symbol, parts=3)
        parameters = {"every": 14, "hold": 6, "together": True}
        with LiveBot(tmp_path, exchange, pairs_of(exchange, 10), strategy_parameters=parameters) as bot:
            bot.wait_for("closed trades", CLOSED, 10, 180)
        gap_s, where = naked(exchange)

        assert gap_s < STOP_S, f"{where} was without a stop for {gap_s:.1f} s"
        assert [] == differences(exchange, bot.files)


@contextmanager
def half_an_entry(tmp_path: Path, exchange: Exchange) -> Iterator[LiveBot]:
    """A bot whose only entry is filled to a half and rests with its other half; its stop stands."""
    overrides = {"order_types": {"entry": "limit", "exit": "market", "stoploss_on_exchange": True}}
    more = {"strategy_parameters": {"hold": -1, "every": 14}, "strategy_overrides": overrides}
    exchange.control("pair", symbol="ETHUSDT", top=0.008)
    with LiveBot(tmp_path, exchange, ["ETH/USDT"], **more) as bot:
        wait_until("half an entry", lambda: bool(_orders(exchange, "LIMIT", "PARTIALLY_FILLED")), 120)
        wait_until("its stop", lambda: bool(_orders(exchange, "STOP_LOSS", "NEW")), 120)
        yield bot


@pytest.mark.timeout(400)
def test_a_partly_filled_entry_is_guarded_while_the_rest_waits(tmp_path: Path) -> None:
    """A limit entry takes what is there and rests: its stop stands at once for that part, and later for all of it."""
    with Exchange("--pairs", "3", "--still", "--funds", "USDT=1000") as exchange:
        with half_an_entry(tmp_path, exchange) as bot:
            (entry,) = _orders(exchange, "LIMIT", "PARTIALLY_FILLED")
            half = float(entry["filled"])
            (stop,) = _orders(exchange, "STOP_LOSS", "NEW")
            assert half * 0.95 < float(stop["qty"]) <= half
            assert _orders(exchange, "LIMIT", "PARTIALLY_FILLED")
            exchange.control("fill", id=entry["id"], qty=f"{float(entry['qty']) - half:.4f}")
            wait_until("stops for all", lambda: _guarded(exchange) > half * 1.9, 120)
        gap_s, where = naked(exchange)

        assert gap_s < STOP_S, f"{where} was without a stop for {gap_s:.1f} s"
        assert [] == differences(exchange, bot.files)


@pytest.mark.timeout(400)
def test_an_orderly_end_leaves_no_entry_behind(tmp_path: Path) -> None:
    """What of an entry rests at the exchange would be bought with nobody there to guard it: it ends, and the stop stays."""
    with Exchange("--pairs", "3", "--still", "--funds", "USDT=1000") as exchange:
        with half_an_entry(tmp_path, exchange) as bot:
            pass

        (entry,) = _orders(exchange, "LIMIT", "CANCELED")
        (stop,) = _orders(exchange, "STOP_LOSS", "NEW")
        assert 0.95 * float(entry["filled"]) < float(stop["qty"]) <= float(entry["filled"]) < float(entry["qty"])
        assert [] == differences(exchange, bot.files)


@pytest.mark.timeout(400)
def test_maintenance_stalls_and_gaps_are_survived(tmp_path: Path) -> None:
    """Streams stall, 503s come, then nothing at all while a price falls through a stop: trading goes on, books agree, limits kept."""
    with Exchange("--pairs", "4", "--seed", "5", "--funds", "USDT=1000") as exchange:
        with LiveBot(tmp_path, exchange, pairs_of(exchange, 3)) as bot:
            bot.wait_for("closed trades", CLOSED, 1, 120)
            exchange.control("fault", kind="stall", stream="user:*", count=1)
            exchange.control("fault", kind="stall", stream="*@kline_1s", count=1)
            exchange.control("fault", kind="unavailable", probability=0.3, count=10)
            closed = bot.wait_for("closed trades", CLOSED, 3, 120)
            wait_until("a position", lambda: bool(_orders(exchange, "STOP_LOSS", "NEW")), 120)
            exchange.control("outage", on=True)
            for stop in _orders(exchange, "STOP_LOSS", "NEW"):
                exchange.control("price", symbol=stop["symbol"], price=round(float(stop["stop_price"]) * 0.97, 4))
            wait_until("three seconds of the exchange", _seconds(exchange, 3), 120)
            exchange.control("outage")
            bot.wait_for("closed trades", CLOSED, closed + 3, 150)
            breaches = exchange.control("state")["markets"]["spot"]["breaches"]
        ids = Counter(order["client_id"] for order in placed(exchange.control("ledger")))

        assert {1} == set(ids.values())
        assert (0, 0, 0) == (breaches["weight_429"], breaches["order_429"], breaches["bans_418"])
        assert [] == differences(exchange, bot.files)


def _seconds(exchange: Exchange, count: int) -> Callable[[], bool]:
    ends = exchange.control("state")["clock"]["now"] + count * 1_000
    return lambda: bool(exchange.control("state")["clock"]["now"] >= ends)


def _guarded(exchange: Exchange) -> float:
    """What the bot's stops are for, together."""
    return sum(float(stop["qty"]) for stop in _orders(exchange, "STOP_LOSS", "NEW"))


def _orders(exchange: Exchange, kind: str, status: str) -> list[dict[str, Any]]:
    orders = placed(exchange.control("ledger"))
    return [dict(o) for o in orders if o["type"] == kind and o["status"] == status and o["client_id"].startswith("tp")]


@pytest.mark.timeout(400)
def test_a_delisted_pair_is_given_up(tmp_path: Path) -> None:
    """A pair that is taken off the exchange while it is held and to be sold costs a few refused requests, not five a second."""
    with Exchange("--pairs", "3", "--seed", "2", "--funds", "USDT=1000") as exchange:
        with LiveBot(tmp_path, exchange, ["ETH/USDT", "BTC/USDT"], strategy_parameters={"hold": -1}) as bot:
            wait_until("a stop at the exchange", lambda: _has_stop(exchange, "ETHUSDT"), 120)
            exchange.control("pair", symbol="ETHUSDT", status="BREAK", listed=False)
            asked = len(exchange.control("requests")["spot"])
            sold = command("exit", "ETH/USDT", "--db", bot.files.db)
            judged = _judged_ms(bot)
            wait_until("twelve seconds of candles", lambda: _judged_ms(bot) - judged >= 12_000, 120)
            late = exchange.control("requests")["spot"][asked:]
            bot.check_alive()

        refused = [name for _, name, status in late if status == 400]
        assert [] == bot.audit()  # what was traded there cannot be asked for any more, and is no difference

        assert sold.returncode == 0, sold.stderr
        assert len(refused) <= DELISTED_MAX, refused


def _has_stop(exchange: Exchange, symbol: str) -> bool:
    return any(o["symbol"] == symbol and "STOP" in o["type"] for o in placed(exchange.control("ledger")))


def _judged_ms(bot: LiveBot) -> int:
    rows = ask(bot.files.journal, "SELECT max(ts) - min(ts) FROM entries WHERE kind = 'Judged'", default=((0,),))
    return int(rows[0][0] or 0)
