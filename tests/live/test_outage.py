"""A bot that starts while the exchange is away: it waits, says so, begins when it is back, and ends when it is told to."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.exchange.client import Exchange
from tests.live.bots import LiveBot, pairs_of
from tests.showing.common import JUDGED, wait_until


@pytest.mark.timeout(400)
def test_started_during_an_outage_it_waits_and_begins(tmp_path: Path) -> None:
    """Every answer is a 503 at first: nothing is begun; when the exchange answers again candles are judged."""
    with Exchange("--pairs", "2", "--funds", "USDT=1000") as exchange:
        fault = exchange.control("fault", kind="unavailable", probability=1)
        with LiveBot(tmp_path, exchange, pairs_of(exchange, 1)) as bot:
            wait_until("a word of the outage", lambda: "binance does not answer" in bot.log(), 120)
            assert not bot.files.journal.exists()
            exchange.control("clear", id=fault["id"])
            bot.wait_for("candles judged", JUDGED, 1, 120)
        assert "binance answers again" in bot.log()


@pytest.mark.timeout(400)
def test_ended_while_it_waits(tmp_path: Path) -> None:
    """Ctrl-C during the wait ends it with status 0; nothing hangs, and nothing was begun."""
    with Exchange("--pairs", "2") as exchange:
        exchange.control("fault", kind="hang_before", probability=1, seconds=60)
        bot = LiveBot(tmp_path, exchange, pairs_of(exchange, 1), exchange={"options": short(exchange)})
        with bot:
            wait_until("a word of the outage", lambda: "binance does not answer" in bot.log(), 120)
            status = bot.end(timeout_s=60)

    assert 0 == status
    assert "ended before anything was begun" in bot.log()
    assert not bot.files.journal.exists()


def short(exchange: Exchange) -> dict[str, object]:
    """The exchange's options with a short time-out."""
    options = {k: v for k, v in exchange.options().items() if k in ("urls", "options")}
    return {**options, "timeout": 2_000}


@pytest.mark.timeout(400)
def test_wrong_keys_end_the_start(tmp_path: Path) -> None:
    """Keys that the exchange refuses are no outage: one sentence, status 2, no order, and no key in the log."""
    with Exchange("--pairs", "2", "--funds", "USDT=1000") as exchange:
        bot = LiveBot(tmp_path, exchange, pairs_of(exchange, 1))
        bot.secret = "another-one"
        bot.start()
        assert bot.process is not None
        try:
            status = bot.process.wait(60)
        except subprocess.TimeoutExpired:
            bot.kill()
            raise
        requests = exchange.control("requests")["spot"]

    assert 2 == status
    assert "the exchange refuses the keys" in bot.log()
    assert "another-one" not in bot.log()
    assert [] == [r for r in requests if "POST" in str(r)]
