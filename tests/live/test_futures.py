"""The whole bot on futures, with shorts and leverage: from the first candle to the closed trade, and over a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.exchange.client import Exchange
from tests.live.bots import LiveBot, pairs_of
from tests.live.ledger import differences, placed
from tests.showing.common import sql, wait_until

CLOSED = "SELECT count(*) FROM entries WHERE kind = 'TradeClosed'"


@pytest.mark.timeout(400)
def test_shorts_and_leverage_over_a_kill(tmp_path: Path) -> None:
    """Longs and shorts at three times leverage, killed with -9 in a position: orders, fills and fees are the exchange's."""
    with Exchange("--pairs", "4", "--seed", "4", "--funds", "USDT=2000", futures=True) as exchange:
        more = {"trading": {"leverage": 3}, "strategy_overrides": {"can_short": True}}
        bot = LiveBot(tmp_path, exchange, pairs_of(exchange, 3), **more)
        bot.start()
        wait_until("a stop at the exchange", lambda: bool(exchange.control("ledger", market="futures")["algos"]), 120)
        bot.kill()
        with bot:
            bot.wait_for("closed trades", CLOSED, 4, 150)
        ours = [o for o in placed(exchange.control("ledger", market="futures")) if o["client_id"].startswith("tp")]
        trades = sql(bot.files, "SELECT side, leverage, count(*) AS n FROM closed_trades GROUP BY ALL")

        assert {"short", "long"} == {row["side"] for row in trades}
        assert {3.0} == {float(row["leverage"]) for row in trades}
        assert len(ours) == len({order["client_id"] for order in ours})
        assert [] == differences(exchange, bot.files)
        assert [] == bot.audit()
