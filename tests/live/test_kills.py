"""Killed with -9 between the exchange's acceptance of an order and its answer: an entry, a stop and an exit, one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.exchange.client import Exchange
from tests.live.ledger import differences, naked
from tests.showing.live_kills import BOUND_S, await_order, bot_of, is_heard, our_orders

CLOSED = "SELECT count(*) FROM entries WHERE kind = 'TradeClosed'"


@pytest.mark.timeout(400)
def test_killed_before_the_answer(tmp_path: Path) -> None:
    """Answers come a second late and the kill comes before them: no order is lost or doubled, and the books agree."""
    with Exchange("--pairs", "4", "--seed", "4", "--funds", "USDT=5000") as exchange:
        bot = bot_of(tmp_path, exchange, 4, every=12)
        exchange.control("fault", kind="slow", endpoint="POST *rder*", probability=1, seconds=1.0)
        exchange.control("fault", kind="delay", stream="user*", probability=1, seconds=1.2)
        for what in ("entry", "stop", "exit"):
            seen = {order["id"] for order in our_orders(exchange)}
            bot.start()
            order = await_order(bot, exchange, what, seen)
            bot.kill()
            assert not is_heard(bot, order), f"the answer to the {what} was there before the kill"
        exchange.control("clear")
        with bot:
            bot.wait_for("closed trades", CLOSED, 3, 150)
        ids = [order["client_id"] for order in our_orders(exchange)]
        gap_s, where = naked(exchange, bot.away())

        assert len(ids) == len(set(ids))
        assert [] == differences(exchange, bot.files)
        assert [] == bot.audit()
        assert gap_s < BOUND_S, f"{where} was without a stop for {gap_s:.1f} s while a bot ran"
