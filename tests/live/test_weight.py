"""The limiter's count against the exchange's, over a whole run: what each of them says was used is the same figure."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.bots import command
from tests.exchange.client import Exchange
from tests.live.bots import LiveBot, keys, pairs_of
from tests.showing.common import wait_until

CLOSED = "SELECT count(*) FROM entries WHERE kind = 'TradeClosed'"
RENEWED_MS = 2_000


def weight(exchange: Exchange) -> int:
    """What the exchange has counted, all in all."""
    markets = exchange.control("state")["markets"]
    return int(markets["futures" if exchange.futures else "spot"]["breaches"]["weight"])


def uncounted(bot: LiveBot, exchange: Exchange) -> int:
    """What the exchange has counted and the limiter has not, at a moment when nothing is on its way."""
    found: list[int] = []

    def is_quiet() -> bool:
        before = weight(exchange)
        pools: Any = bot.status().get("limiter", {}).get("pools", {})
        pool = pools.get("weight_1m", {"outstanding": 1, "sent": 0})
        if weight(exchange) != before or pool["outstanding"]:
            return False
        found.append(before - pool["sent"])
        return True

    wait_until("a quiet moment", is_quiet, 120)
    return found[-1]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("futures", [False, True], ids=["spot", "futures"])
def test_every_request_is_counted(tmp_path: Path, futures: bool) -> None:
    """Streams opened, renewed and opened again, orders, looks, candles, the clock: none without its permit.

    What comes before the limiter is there is what `tradepit check` asks for too; the exchange's headers tell of it.
    """
    with Exchange("--pairs", "3", "--seed", "3", "--funds", "USDT=2000", futures=futures) as exchange:
        bot = LiveBot(tmp_path, exchange, pairs_of(exchange, 2), strategy_parameters={"every": 6, "hold": 3})
        if futures:
            text = bot.config_path.read_text(encoding="utf-8")
            renewing = text.replace('"options" = {', f'"options" = {{ "listenKeyRefreshRate" = {RENEWED_MS}, ', 1)
            bot.config_path.write_text(renewing, encoding="utf-8")
        with keys():
            checked = command("check", "-c", bot.config_path)
        assert checked.returncode == 0, checked.stderr
        at_start = weight(exchange)
        with bot:
            bot.wait_for("closed trades", CLOSED, 1, 120)
            first = uncounted(bot, exchange) - at_start
            market = "futures" if futures else "spot"
            for which in ("user", "streams"):
                exchange.control("kick", which=which, market=market)
            bot.wait_for("closed trades", CLOSED, 3, 120)
            time.sleep(1.0)
            last = uncounted(bot, exchange) - at_start
            requests = exchange.control("requests")[market]

        priced = [
            name for _, name, _ in requests if "/ticker/" in name
        ]  # where a stream was slow: counted at its dearest
        renewed = [name for _, name, _ in requests if name == "PUT /fapi/v1/listenKey"]
        if futures:  # some kinds are counted at their dearest (one pair's best price): more than is used, never less
            assert last <= first
            assert renewed
        else:
            assert last <= first <= at_start
            assert priced or last == at_start
