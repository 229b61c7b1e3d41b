"""A pair that is taken out of the configuration while it holds something is looked after to the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from actors.config_file import read_config
from actors.files import Files, RunLock
from actors.journal import FileJournal
from actors.judging.facts import load_facts
from actors.opening import open_journal
from actors.system import System, build_system
from engine.denials import Denial
from engine.keeping import trade_to_plain
from engine.messages import CapitalDenied, Record, ReserveCapital
from engine.portfolio import Portfolio
from engine.settings import RiskConfig, TradingConfig
from engine.types import ZERO, Side, use_money_context
from tests.actors.ticks import D
from tests.scenarios.runner import Player, Scenario

CONFIG = """
[trading]
pairs = {pairs}
[strategy]
name = "ema_cross"
workers = 1
[feed]
pairs = {count}
[runtime]
pin = false
"""


def built(folder: Path, pairs: list[str], count: int) -> System:
    """A bot on the files in `folder`, not started."""
    path = folder / "config.toml"
    path.write_text(CONFIG.format(pairs=str(pairs).replace("'", '"'), count=count))
    config = read_config(str(path))
    files = Files.beside(folder / "x.duckdb")
    lock = RunLock(files.lock)
    try:
        system = build_system(config, load_facts(config.strategy), files)
        system.close()
        return system
    finally:
        lock.release()


def keep(folder: Path, pair: str, *rows: str) -> None:
    """Have the journal keep a trade of that pair as these rows of a scenario leave it."""
    use_money_context()
    player = Player(Scenario("kept"))
    for row in rows:
        player.play("0", row)
    state: dict[str, Any] = trade_to_plain(replace(player.trade, pair=pair))
    opened = open_journal(Files.beside(folder / "x.duckdb"), now=0, segment_mb=64)
    journal: FileJournal = opened.journal
    journal.append([Record(writer=f"pair:{pair}", seq=1, entries=(), state=state)])
    journal.close()


def names(system: System) -> set[str]:
    return {spec.name for spec in system.children() if spec.kind == "pair"}


def test_a_pair_with_a_position_is_looked_after_without_being_configured(tmp_path: Path) -> None:
    """What is held or on order has its actor whatever the configuration names; a flat pair has not."""
    keep(tmp_path, "ETH/USDT", "signal enter_long 100", "granted 1000", "filled i1 10 @ 100")
    keep(tmp_path, "SOL/USDT", "signal enter_long 100", "granted 1000", "accepted i1")
    keep(tmp_path, "BNB/USDT", "signal exit_long 100")

    system = built(tmp_path, ["BTC/USDT"], 10)

    assert names(system) == {"pair:BTC/USDT", "pair:ETH/USDT", "pair:SOL/USDT"}


def test_a_position_whose_market_is_gone_is_said(tmp_path: Path) -> None:
    """Nobody can trade a pair that the feed has no more: the start says what is left there."""
    keep(tmp_path, "GONE/USDT", "signal enter_long 100", "granted 1000", "filled i1 10 @ 100")

    system = built(tmp_path, [], 3)

    assert any("GONE/USDT" in text and "10" in text for text in system.findings)


def test_a_pair_that_is_only_looked_after_is_not_entered() -> None:
    """The portfolio denies it new capital, and says why."""
    account = Portfolio(TradingConfig(), RiskConfig(), (), 60_000, D(1_000), exits_only=frozenset({"ETH/USDT"}))
    ask = ReserveCapital(
        request_id="1", pair="ETH/USDT", side=Side.LONG, price=D(1), round_ts=0, stake_min=ZERO, stake_max=None
    )

    answer = account.reserve(ask, 0)

    assert isinstance(answer, CapitalDenied)
    assert answer.code == Denial.PAIR_LOCKED
