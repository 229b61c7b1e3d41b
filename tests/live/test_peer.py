"""What another bot was measured to do wrong on such an exchange, line by line: lost answers, naked positions, delisted pairs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.bots import ask
from tests.exchange.client import Exchange
from tests.live.bots import LiveBot, pairs_of
from tests.live.ledger import differences, naked, placed
from tests.showing.common import wait_until

CLOSED = "SELECT count(*) FROM entries WHERE kind = 'TradeClosed'"
STOP_S = 5.0
"""The longest that a new position waits for its stop, on a machine that does other things too; 0.2 s are usual."""


def lose(exchange: Exchange, **which: str) -> None:
    """Have the exchange do the next such order and lose its answer."""
    exchange.control("fault", kind="lost", endpoint="POST *rder", count=1, **which)


@pytest.mark.timeout(240)
def test_orders_whose_answers_are_lost_are_found_again(tmp_path: Path) -> None:
    """The answers to an entry, its stop and its exit are lost: each is found, none is sent twice, and the books agree."""
    with Exchange("--pairs", "3", "--seed", "2", "--funds", "USDT=1000") as exchange:
        lose(exchange, side="BUY", type="MARKET")
        lose(exchange, side="SELL", type="STOP_LOSS")
        lose(exchange, side="SELL", type="MARKET")
        with LiveBot(tmp_path, exchange, pairs_of(exchange, 2)) as bot:
            bot.wait_for("closed trades", CLOSED, 2, 150)
            faults = exchange.control("faults")
        ids = Counter(order["client_id"] for order in placed(exchange.control("ledger")))

        assert [1, 1, 1] == [fault["hits"] for fault in faults]
        assert {1} == set(ids.values())
        assert [] == differences(exchange, bot.files)


@pytest.mark.timeout(240)
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


@pytest.mark.timeout(240)
def test_a_delisted_pair_is_given_up(tmp_path: Path) -> None:
    """A pair that is taken off the exchange while it is held costs a few refused requests, not five a second without end."""
    with Exchange("--pairs", "3", "--seed", "2", "--funds", "USDT=1000") as exchange:
        with LiveBot(tmp_path, exchange, ["ETH/USDT", "BTC/USDT"], strategy_parameters={"hold": -1}) as bot:
            wait_until("a stop at the exchange", lambda: _has_stop(exchange, "ETHUSDT"), 120)
            exchange.control("pair", symbol="ETHUSDT", status="BREAK", listed=False)
            asked = len(exchange.control("requests")["spot"])
            judged = _judged_ms(bot)
            wait_until("twelve seconds of candles", lambda: _judged_ms(bot) - judged >= 12_000, 60)
            late = exchange.control("requests")["spot"][asked:]
            bot.check_alive()

        refused = [r for r in late if "order" in str(r).lower() and "400" in str(r)]
        assert len(refused) <= 10


def _has_stop(exchange: Exchange, symbol: str) -> bool:
    return any(o["symbol"] == symbol and "STOP" in o["type"] for o in placed(exchange.control("ledger")))


def _judged_ms(bot: LiveBot) -> int:
    rows = ask(bot.files.journal, "SELECT max(ts) - min(ts) FROM entries WHERE kind = 'Judged'", default=((0,),))
    return int(rows[0][0] or 0)
