"""What Freqtrade strategies see of the account, keep with their trades, and lock: alike in every mode, and in SQL."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.batch.backtest import run_backtest
from actors.batch.taping import tape
from actors.batch.verifying import first_difference
from actors.cli import main
from actors.judging.loader import StrategyMaker
from engine.strategy import ACCOUNT, TRADES, facts_of
from engine.types import use_money_context
from tests.freqtrade import candles
from tests.strategies.test_freqtrade import OWN, config_for


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Candles of two pairs."""
    use_money_context()
    made = tmp_path_factory.mktemp("candles")
    candles.write(made)
    return made


def test_the_account_is_the_same_in_every_mode(folder: Path) -> None:
    """Stakes of what is available, exits that look at other trades, own locks: backtest, every candle and replay agree."""
    config = config_for(OWN / "accounting.py")
    taped = tape(config, str(folder), candles.PAIRS, None, candles.START + 900 * 300_000)
    result = run_backtest(config, taped, keep_events=True)
    walked = run_backtest(config, taped, keep_events=True, every_candle=True)
    kinds = Counter(event.kind for events in result.events.values() for event in events)
    reasons = {trade.exit_reason for trade in result.trades}

    assert {ACCOUNT, TRADES} <= set(taped.facts.callbacks)
    assert min(kinds["PairLocked"], kinds["CustomDataSet"], kinds["TradeChanged"]) > 5
    assert kinds["PairUnlocked"] > 0
    assert any(reason.startswith("after_") for reason in reasons)
    assert result.events == walked.events
    assert "" == (first_difference(config, taped, result.events) or "")


def test_own_locks_stand_in_sql(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A strategy's lock is a row of `locks`, and what it kept from being traded is a decision that names its reason."""
    (tmp_path / "config.toml").write_text(
        f'[trading]\nstake_currency = "USDT"\nstake_amount = 100\n[strategy]\nname = "{OWN / "accounting.py"}"\n'
        f'[history]\ndb = "{tmp_path / "here.duckdb"}"\n'
    )
    settings = ["-c", str(tmp_path / "config.toml")]
    run = ["replay", *settings, "--data", str(folder), "--db", str(tmp_path / "here.duckdb")]

    assert 0 == main([*run, "--to", "2023-11-16"])
    capsys.readouterr()
    assert 0 == main(["sql", *settings, "SELECT DISTINCT what, reason FROM locks ORDER BY ALL", "--csv"])
    locks = capsys.readouterr().out.splitlines()
    denied = "SELECT count(*) FROM decisions WHERE code = 'PAIR_LOCKED' AND detail LIKE 'own %'"
    assert 0 == main(["sql", *settings, denied, "--csv"])
    count = int(capsys.readouterr().out.split()[-1])

    assert "made,own roi" in locks
    assert count > 0


@pytest.mark.parametrize(
    ("line", "looks"),
    [
        ("pass", set()),
        ("self.lock_pair('A/B', None)", set()),
        ("self.wallets.get_free('USDT')", {ACCOUNT}),
        ("Trade.get_open_trade_count()", {ACCOUNT}),
        ("PairLocks.is_pair_locked('A/B')", {ACCOUNT}),
        ("Trade.get_trades_proxy(is_open=True)", {ACCOUNT, TRADES}),
    ],
)
def test_only_what_is_looked_at_is_shown(tmp_path: Path, line: str, looks: set[str]) -> None:
    """What a strategy is shown of the account is found in its text; one that looks at nothing is told nothing."""
    file = tmp_path / "looking.py"
    file.write_text(
        "from freqtrade.strategy import IStrategy\nfrom freqtrade.persistence import PairLocks, Trade\n"
        f"class Looking(IStrategy):\n    stoploss = -0.1\n    def custom_exit(self, **kwargs):\n        {line}\n"
        "    def populate_indicators(self, df, metadata):\n        return df\n"
    )
    facts = facts_of(StrategyMaker(str(file), {}, {}).make())

    assert looks == {ACCOUNT, TRADES} & set(facts.callbacks)


def test_what_the_text_does_not_show_is_said(folder: Path, tmp_path: Path) -> None:
    """A strategy that asks for all trades by a detour is not given none: its callback fails, and says what to write."""
    file = tmp_path / "hiding.py"
    text = (
        (OWN / "tagged.py").read_text().replace("from pandas", "from freqtrade.persistence import Trade\nfrom pandas")
    )
    file.write_text(
        text + "\n    def custom_exit(self, **kwargs):\n        return getattr(Trade, 'get_trades' + '_proxy')()\n"
    )
    config = replace(config_for(file))
    taped = tape(config, str(folder), candles.PAIRS, None, None)
    events = run_backtest(config, taped, keep_events=True).events
    failed: list[Any] = [
        event.body["detail"]
        for found in events.values()
        for event in found
        if event.kind == "SignalDecided" and event.body["outcome"] == "failed"
    ]

    assert "call Trade.get_trades_proxy and its like by name" in failed[0]
