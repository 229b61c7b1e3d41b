"""Several accounts in one process: a spot and a futures one on local exchanges and a paper one, killed, drilled, reached late."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.bots import Bot, ask, command
from tests.exchange.client import Exchange, as_toml
from tests.live.bots import STRATEGIES, pairs_of
from tests.live.ledger import differences
from tests.showing.common import sql

TURNS = str(STRATEGIES / "turns.py")
KEYS = {f"TRADEPIT_{name}_{key}": key.lower() for name in ("SPOT", "FUTURES") for key in ("KEY", "SECRET")}


def closed(account: str) -> str:
    """How many trades an account has closed, of the journal."""
    return f"SELECT count(*) FROM entries WHERE kind = 'TradeClosed' AND writer LIKE '%@{account}'"


def account_toml(name: str, sections: Mapping[str, Mapping[str, Any]], mode: str = "paper") -> str:
    """One account's table."""
    lines = ["", "[[accounts]]", f'name = "{name}"', f'mode = "{mode}"']
    for section, values in sections.items():
        lines += [f"[accounts.{section}]", *(f"{key} = {as_toml(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def paper(name: str = "paper", wallet: int = 500, hold: int = 4) -> str:
    """An account on the simulated exchange, a candle a second; enters on every other one and leaves on the next."""
    strategy = {"overrides": {"timeframe": "1m"}, "parameters": {"together": True, "hold": hold}}
    feed = {"pairs": 2, "speed": 60}
    own = {"paper": {"wallet": wallet}, "feed": feed, "strategy": strategy, "trading": {"pairs": ["BTC/USDT"]}}
    return account_toml(name, own)


def live(name: str, server: Exchange, pairs: list[str]) -> str:
    """An account on a local exchange."""
    options = {k: v for k, v in server.options().items() if k in ("urls", "options")}
    sections = {
        "trading": {"pairs": pairs, "stake_amount": 50, "max_open_trades": 5},
        "exchange": {"name": "binance", "market": "futures" if server.futures else "spot", "options": options},
        "live": {"exchange": "binance", "largest_stake": 120},
    }
    return account_toml(name, sections, "live")


@contextmanager
def keys() -> Iterator[None]:
    """Each account's keys in the environment, under its own name."""
    os.environ.update(KEYS)
    try:
        yield
    finally:
        for name in KEYS:
            del os.environ[name]


class Bots(Bot):
    """A bot of several accounts."""

    def __init__(self, folder: Path, *accounts: str) -> None:
        super().__init__(folder, {})
        self.config_path.write_text(f'[strategy]\nname = "{TURNS}"\n' + "".join(accounts), encoding="utf-8")

    def start(self) -> None:
        """Start it with all keys."""
        with keys():
            super().start()

    def audit(self) -> str:
        """What `tradepit audit` says when it asks the exchanges."""
        with keys():
            done = command("audit", "-c", self.config_path, "--db", self.files.db, timeout_s=180)
        return done.stdout + (done.stderr if done.returncode else "")


@pytest.fixture
def spot() -> Iterator[Exchange]:
    """A spot exchange."""
    with Exchange("--pairs", "3", "--seed", "3", "--funds", "USDT=1000") as server:
        yield server


@pytest.fixture
def futures() -> Iterator[Exchange]:
    """A futures exchange."""
    with Exchange("--pairs", "3", "--seed", "4", "--funds", "USDT=1000", futures=True) as server:
        yield server


@pytest.mark.timeout(400)
def test_three_accounts_are_killed_and_go_on(spot: Exchange, futures: Exchange, tmp_path: Path) -> None:
    """Spot, futures and paper trade the same coin at once, through kill -9 and the loss of one gateway; all books agree."""
    accounts = (live("spot", spot, pairs_of(spot, 1)), live("futures", futures, pairs_of(futures, 1)), paper())
    bot = Bots(tmp_path, *accounts)
    with bot:
        for name in ("spot", "futures", "paper"):
            bot.wait_for(f"closed trades of {name}", closed(name), 1, 120)
        bot.kill()
        before = {name: ask(bot.files.journal, closed(name), default=((0,),))[0][0] for name in ("spot", "futures")}
        bot.start()
        for name, count in before.items():
            bot.wait_for(f"more closed trades of {name}", closed(name), count + 1, 120)
        epochs = {name: bot.figures()["accounts"][name]["gateway"]["epoch"] for name in ("spot", "futures", "paper")}
        assert 0 == command("kill", "gateway@spot", "--db", bot.files.db).returncode
        count = bot.wait_for("closed trades", closed("spot"), 0, 1)
        bot.wait_for("closed trades after the drill", closed("spot"), count + 1, 120)
        after = bot.figures()["accounts"]

    assert {"spot": 2, "futures": 1, "paper": 1} == {name: after[name]["gateway"]["epoch"] for name in after}
    assert {1} == set(epochs.values())
    assert [] == differences(spot, bot.files, "spot")
    assert [] == differences(futures, bot.files, "futures")
    assert "Everything agrees to the last digit" in bot.audit()
    named = {str(row["account"]) for row in sql(bot.files, "SELECT DISTINCT account FROM closed_trades")}
    assert {"spot", "futures", "paper"} == named
    ids = sql(bot.files, "SELECT count(*) AS n, count(DISTINCT client_order_id) AS d FROM orders")
    assert ids[0]["n"] == ids[0]["d"]


@pytest.mark.timeout(400)
def test_an_exchange_that_is_away_holds_up_nobody_else(spot: Exchange, tmp_path: Path) -> None:
    """One account's exchange answers nothing at the start: the other trades at once, and it joins when it is back."""
    fault = spot.control("fault", kind="unavailable", probability=1)
    bot = Bots(tmp_path, live("spot", spot, pairs_of(spot, 1)), paper())
    with bot:
        bot.wait_for("closed trades of the other", closed("paper"), 1, 120)
        away = bot.figures()["away"]
        spot.control("clear", id=fault["id"])
        bot.wait_for("closed trades of the late one", closed("spot"), 1, 120)
        figures = bot.figures()

    assert {"spot": "its exchange does not answer"} == away
    assert "away" not in figures
    assert {"spot", "paper"} == set(figures["accounts"])
    assert [] == differences(spot, bot.files, "spot")
    assert "Everything agrees to the last digit" in bot.audit()


@pytest.mark.timeout(400)
def test_a_pause_holds_for_an_exchange_that_is_away(spot: Exchange, tmp_path: Path) -> None:
    """What pauses all accounts pauses the one whose exchange answers later: it joins, and sends no order."""
    fault = spot.control("fault", kind="unavailable", probability=1)
    bot = Bots(tmp_path, live("spot", spot, pairs_of(spot, 1)), paper())
    decided = "SELECT count(*) FROM entries WHERE kind = 'SignalDecided' AND writer LIKE 'pair:%@spot'"
    with bot:
        bot.wait_for("closed trades of the other", closed("paper"), 1, 120)
        said = command("pause", "--all", "--db", bot.files.db)
        spot.control("clear", id=fault["id"])
        bot.wait_for("decisions of the late one", decided, 2, 120)
        late = bot.figures()["accounts"]["spot"]["portfolio"]

    assert "spot: it is not there; no entries are made when it joins." in said.stdout
    assert ("STOPPED", ["stopped by the user"]) == (late["state"], late["reasons"])
    assert [] == spot.control("ledger", account="main")["orders"]


@pytest.mark.timeout(400)
def test_two_keys_of_one_account_are_refused(spot: Exchange, tmp_path: Path) -> None:
    """Where the exchange tells an account's number, two keys that lead to it end the start, and nothing is sent."""
    owner = spot.control("user", key="key")["name"]
    spot.control("user", key="second", secret="secret", name=owner)
    pairs = pairs_of(spot, 1)
    bot = Bots(tmp_path, live("spot", spot, pairs), live("second", spot, pairs))
    with keys(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEPIT_SECOND_KEY", "second")
        patch.setenv("TRADEPIT_SECOND_SECRET", "secret")
        refused = command("run", "-c", bot.config_path, "--db", bot.files.db, "--no-screen", "--for", "60s")

    assert 2 == refused.returncode
    assert "accounts.second.exchange: its keys lead to the account in which spot trades" in refused.stderr
    assert [] == spot.control("ledger", account=owner)["orders"]


@pytest.mark.timeout(400)
def test_an_account_with_a_position_is_not_left_behind(tmp_path: Path) -> None:
    """A configuration without an account that holds something is refused, and with it back the bot goes on."""
    opened = "SELECT count(*) FROM entries WHERE kind = 'TradeOpened' AND writer LIKE '%@a'"
    holding = paper("a", hold=-1)
    with Bots(tmp_path, holding, paper("b", 700)) as bot:
        bot.wait_for("an open trade", opened, 1, 120)
        bot.kill()
    without = tmp_path / "without.toml"
    without.write_text(bot.config_path.read_text(encoding="utf-8").replace(holding, ""), encoding="utf-8")

    refused = command("run", "-c", without, "--db", bot.files.db, "--no-screen", "--for", "1s")
    went_on = command("run", "-c", bot.config_path, "--db", bot.files.db, "--no-screen", "--for", "5s")

    assert 2 == refused.returncode
    assert "the account a is not configured any more, and holds" in refused.stderr
    assert 0 == went_on.returncode
    assert 0 == command("audit", "--db", bot.files.db).returncode
    (row,) = sql(bot.files, "SELECT account, pair FROM open_trades WHERE account = 'a'")
    assert {"account": "a", "pair": "BTC/USDT"} == row


@pytest.mark.timeout(400)
def test_check_tells_the_mistakes_of_all_accounts(spot: Exchange, tmp_path: Path) -> None:
    """Wrong keys of one, and that another's exchange does not answer, are told together, each with whose it is."""
    pairs = pairs_of(spot, 1)
    away = live("futures", spot, pairs).replace(str(spot.port), "1")
    bot = Bots(tmp_path, away, live("spot", spot, pairs))
    with keys(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEPIT_FUTURES_KEY", "other")
        patch.setenv("TRADEPIT_SPOT_KEY", "another")
        wrong = command("check", "-c", bot.config_path)
        patch.setenv("TRADEPIT_SPOT_KEY", "key")
        waits = command("check", "-c", bot.config_path)

    assert (2, 1) == (wrong.returncode, waits.returncode)
    assert "accounts.spot.exchange = binance: the exchange refuses the keys" in wrong.stderr
    assert all("accounts.futures: binance does not answer" in told.stderr for told in (wrong, waits))
