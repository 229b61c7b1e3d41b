"""Every kind of fault at once, and killed with -9 while it trades: `tests.show live chaos_futures`, short and seeded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.exchange.client import Exchange
from tests.live.ledger import differences
from tests.showing.common import last_seq
from tests.showing.live_kills import FAULTS, bot_of, our_orders, settled

KILLS = 2
ORDERS = "SELECT count(*) FROM entries WHERE kind = 'OrderAccepted'"


@pytest.mark.timeout(400)
def test_killed_again_and_again_among_all_faults(tmp_path: Path) -> None:
    """Orders, fills, fees, balances and the audit agree afterwards, nothing was unguarded for long, no 429 was ours."""
    with Exchange("--pairs", "6", "--seed", "11", "--funds", "USDT=5000", "--rate", "2", futures=True) as exchange:
        bot = bot_of(tmp_path, exchange, 6, every=9)
        for number, fault in enumerate(FAULTS):
            exchange.control("fault", seed=number, **fault)
        for _ in range(KILLS):
            bot.start()
            mark = last_seq(bot.files)
            bot.wait_for("accepted orders", f"{ORDERS} AND seq > {mark}", 5, 120)
            bot.kill()
        exchange.control("clear")
        told = settled(bot, exchange, least=10, rest_s=6)

        assert "books and audit equal" in told
        assert len(our_orders(exchange)) >= 5 * KILLS
        assert [] == differences(exchange, bot.files)
