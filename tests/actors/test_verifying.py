"""`backtest --verify`: a difference in an event, a trade, a count or a figure's column is found and named."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from actors.batch.backtest import run_backtest
from actors.batch.outcome import BacktestResult
from actors.batch.verifying import first_difference, first_other_trade
from actors.commands.parsing import FAILED
from engine.backtest import Counters
from engine.taken import PlainTrades
from engine.types import use_money_context
from tests.bots import TRADEPIT, environment
from tests.test_replay import made


def both() -> tuple[BacktestResult, BacktestResult]:
    """One run on arrays, and the same by the machine, with its events."""
    use_money_context()
    config, taped = made("Long", 1)
    return run_backtest(config, taped), run_backtest(config, taped, keep_events=True)


def test_trades_on_arrays_are_compared_one_by_one() -> None:
    """They are what is told; a price, a trade too many, a count that differs each has its sentence."""
    told, machine = both()
    assert isinstance(told.trades, PlainTrades)
    assert "" == first_other_trade(told, machine)

    trades = list(told.trades)
    other = replace(trades[7], close_rate=trades[7].close_rate + Decimal("0.01"))
    changed = first_other_trade(replace(told, trades=[*trades[:7], other, *trades[8:]]), machine)
    longer = first_other_trade(replace(told, trades=[*trades, trades[0]]), machine)
    counted = first_other_trade(replace(told, counters=Counters(timedout_exit_orders=1)), machine)

    assert changed.startswith(f"trade 8, of {other.pair}:\n  told    ")
    assert f'"close_rate":"{other.close_rate}"' in changed
    assert f"trade {len(trades) + 1}, of" in longer
    assert "replay  has no such trade" in longer
    assert "what was counted" in counted


def test_the_higher_fee_is_that_of_both_ways() -> None:
    """Backtest and replay reckon with the higher one of the two fees, whichever it is."""
    use_money_context()
    for maker, taker in ((Decimal("0.001"), 0), (0, Decimal("0.001"))):
        config, taped = made("Long", 1, count=200, paper={"maker_fee": maker, "taker_fee": taker})
        events = run_backtest(config, taped, keep_events=True).events

        assert "" == first_difference(config, taped, events)
        assert {rules.fee for rules in taped.rules.values()} == {Decimal("0.001")}


def test_an_event_that_the_replay_has_not() -> None:
    """The first event that differs is named with its writer and both sides."""
    use_money_context()
    config, taped = made("Long", 1)
    events = {writer: list(own) for writer, own in both()[1].events.items()}
    writer = next(iter(events))
    del events[writer][4]

    assert "" == first_difference(config, taped, both()[1].events)
    assert f"event 5 of {writer}:\n  backtest " in first_difference(config, taped, events)


def test_a_reader_that_leaves_takes_no_answer_with_it(tmp_path: Path) -> None:
    """`| head` ends the tables, not the command: what goes wrong after them still has its status."""
    (tmp_path / "candles").mkdir()
    rows = "\n".join(f"2026-01-01T0{n // 60}:{n % 60:02d},1,1.1,0.9,1,5" for n in range(120))
    for pair in ("AAA", "BBB"):
        (tmp_path / "candles" / f"{pair}_USDT-1m.csv").write_text(f"date,open,high,low,close,volume\n{rows}\n")
    (tmp_path / "stumbling.py").write_text(
        "from engine.strategy import Signals, Strategy\n\n\nclass Stumbling(Strategy):\n"
        "    timeframe = '1m'\n\n    def signals(self, candles):\n        assert candles.pair == 'AAA/USDT'\n"
        "        return Signals(enter_long=candles.ts // 60_000 % 9 == 0)\n"
    )
    (tmp_path / "config.toml").write_text("")
    line = [*TRADEPIT, "backtest", "--strategy", "stumbling.py", "--data", "candles", "--verify"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(line, cwd=tmp_path, env=environment(), text=True, **pipes) as process:  # type: ignore[call-overload]
        process.stdout.close()
        said = process.stderr.read()

    assert "The replay gives the same" in said
    assert "Traceback" not in said
    assert FAILED == process.returncode
