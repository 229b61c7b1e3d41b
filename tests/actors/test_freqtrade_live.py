"""Freqtrade strategies judged candle by candle, as live: windows, slower candles made of them, other pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.batch.data import load_candles
from actors.judging.bench import Bench, FrameBench
from actors.judging.loader import StrategyMaker
from actors.judging.survey import survey
from engine.strategy import Surroundings, facts_of
from tests.freqtrade import candles

OWN = Path(__file__).resolve().parent.parent / "freqtrade"
AROUND = Surroundings(pairs=candles.PAIRS, stake_currency="USDT")


def maker(name: str) -> StrategyMaker:
    """The strategy of a file in tests/freqtrade."""
    return StrategyMaker(str(OWN / f"{name}.py"), {}, {}, AROUND)


def test_what_a_strategy_needs_is_a_fact() -> None:
    """Other pairs and long windows are asked for by what a strategy declares."""
    modern, legacy = (facts_of(maker(name).make()) for name in ("modern", "legacy"))

    assert ("BBB/USDT",) == modern.other_pairs
    assert 12 * (60 + 50) == modern.window_candles
    assert () == legacy.other_pairs
    assert 1_000 == legacy.window_candles


@pytest.mark.parametrize("name", ["modern", "legacy", "tagged"])
def test_live_windows_give_the_backtests_signals(name: str, tmp_path: Path) -> None:
    """Judged candle by candle on windows, slower candles made of them, a strategy says what it says in a backtest."""
    candles.write(tmp_path)
    frames = load_candles(tmp_path, candles.PAIRS, "5m")
    hours = load_candles(tmp_path, candles.PAIRS, "1h")
    whole = maker(name)
    whole.use_candles(lambda pair, timeframe: {"5m": frames, "1h": hours}[timeframe].get(pair))
    expected = FrameBench(whole, [frames[pair] for pair in candles.PAIRS])
    bench = Bench(maker(name), candles.PAIRS)
    begin = 1_900
    for place, pair in enumerate(candles.PAIRS):
        bench.load(place, list(frames[pair][:begin]))

    signals = 0
    for row in range(begin, begin + 120):
        for place, pair in enumerate(candles.PAIRS):
            bench.take(place, next(iter(frames[pair][row : row + 1])))
        for place, pair in enumerate(candles.PAIRS):
            candle = next(iter(frames[pair][row : row + 1]))
            said, wanted = bench.judge(place, candle), expected.judge(place, candle)
            signals += bool(wanted.signal)
            assert (wanted.signal, "") == (said.signal, said.reason)

    assert signals > 3


def test_survey_says_what_loads(tmp_path: Path) -> None:
    """Every class of a folder is listed: those that load with their timeframe, the others with what they lack."""
    for name in ("legacy", "tagged"):
        (tmp_path / f"{name}.py").write_text((OWN / f"{name}.py").read_text())
    (tmp_path / "broken.py").write_text("from freqtrade.strategy import IStrategy, Magic\nclass A(IStrategy): pass\n")
    (tmp_path / "hangs.py").write_text(
        "from freqtrade.strategy import IStrategy\nimport os\nos._exit(3)\nclass B(IStrategy): pass\n"
    )
    (tmp_path / "nothing.py").write_text("x = 1\n")
    found = {row.name: row for row in survey(tmp_path)}

    assert {"A", "B", "Legacy", "Tagged"} == set(found)
    assert ("5m", "") == (found["Legacy"].timeframe, found["Legacy"].lacks)
    assert "freqtrade.strategy.Magic (line 1)" in found["A"].lacks
    assert "it ended its process with 3" in found["B"].lacks
