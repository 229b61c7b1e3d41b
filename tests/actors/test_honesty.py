"""Honesty about signals: what knows the future or hangs on the data's beginning is found, what does not is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import talib

from actors.batch.honesty import lookahead, recursion, sampled_lookahead
from actors.cli import main
from engine.candles import Candles
from engine.strategy import Signals
from engine.tape import Judged
from engine.window import check_signals

STARTUP = 30


def candles(count: int = 600, seed: int = 1) -> Candles:
    """A random walk of 5-minute candles."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
    open_ = np.concatenate(([100.0], close[:-1]))
    return Candles(
        pair="AAA/BBB",
        timeframe="5m",
        ts=1_600_000_200_000 + np.arange(count, dtype=np.int64) * 300_000,
        open=open_,
        high=np.maximum(open_, close) * 1.001,
        low=np.minimum(open_, close) * 0.999,
        close=close,
        volume=np.ones(count),
    )


def ema(c: Candles) -> Signals:
    """Honest but for its start: an exponential average forgets slowly."""
    return Signals(enter_long=c.close > talib.EMA(c.close, 10), exit_long=c.close < talib.EMA(c.close, 10) * 0.99)


def next_candle(c: Candles) -> Signals:
    """Knows one candle ahead, which is the case that is missed most easily."""
    return Signals(enter_long=np.append(c.close[1:], np.nan) > c.close * 1.02)


def whole_mean(c: Candles) -> Signals:
    """Compares with the mean of everything, the future included."""
    return Signals(enter_long=c.close > c.close.mean())


def forming_hour(c: Candles) -> Signals:
    """Takes the high of the hour that a candle lies in, which is not over yet: a merge by the opening time."""
    hour = c.ts // 3_600_000
    highs = {h: c.high[hour == h].max() for h in np.unique(hour)}
    return Signals(enter_long=c.close >= np.array([highs[h] for h in hour]) * 0.999)


def future_tag(c: Candles) -> Signals:
    """Only its tag knows the future."""
    up = np.append(c.close[1:], 0.0) > c.close
    return Signals(enter_long=c.close > c.open, enter_tag=np.where(up, "good", "bad"))


def whole_of(judge: Any, c: Candles) -> Any:
    """What the judge says in one pass."""
    return Judged(check_signals(judge(c), len(c)), c.ts)


@pytest.mark.parametrize("judge", [next_candle, whole_mean, forming_hour, future_tag])
def test_lookahead_of_every_kind_is_found(judge: Any) -> None:
    """A signal that needs what came later is found, by the long look and by the one every backtest takes."""
    c = candles()
    whole = whole_of(judge, c)
    assert lookahead(lambda: judge, c, whole, STARTUP)
    assert sampled_lookahead(lambda: judge, c, whole, STARTUP)


@pytest.mark.parametrize("seed", range(5))
def test_an_honest_strategy_is_not_accused(seed: int) -> None:
    """Averages of the past give the same signals however the future is cut off."""
    c = candles(seed=seed)
    assert lookahead(lambda: ema, c, whole_of(ema, c), STARTUP, cuts=60) == []


def test_the_future_tag_is_named() -> None:
    """What changed is said by field, with both values and what was known."""
    c = candles()
    first = lookahead(lambda: future_tag, c, whole_of(future_tag, c), STARTUP)[0]
    assert (first.field, {first.whole, first.cut}) == ("enter_tag", {"good", "bad"})
    assert first.ts <= first.cut_after


def test_a_start_up_too_short_is_found() -> None:
    """An average over 200 candles is another one on 31, and the same on 1,000 or more."""

    def slow(c: Candles) -> Signals:
        line = talib.EMA(c.close, 100)
        return Signals(enter_long=c.close > line, exit_long=c.close < line)

    c = candles(3_000)
    reaches = {r.length: r for r in recursion(lambda: slow, c, whole_of(slow, c), STARTUP, rows=60)}
    assert reaches[31].differ
    assert reaches[1_999].differ == 0
    assert {100, 31, 199, 399, 499, 999, 1_999} == set(reaches)


def test_state_kept_by_a_strategy_cannot_help_it() -> None:
    """Every judgement is made by a fresh strategy: one that remembers its first answer is still found out."""

    class Remembers:
        def __init__(self) -> None:
            self.known: dict[int, bool] = {}

        def signals(self, c: Candles) -> Signals:
            up = np.append(c.close[1:], 0.0) > c.close
            for ts, value in zip(c.ts.tolist(), up.tolist(), strict=True):
                self.known.setdefault(ts, value)
            return Signals(enter_long=np.array([self.known[ts] for ts in c.ts.tolist()]))

    c = candles()
    assert lookahead(lambda: Remembers().signals, c, whole_of(Remembers().signals, c), STARTUP)


STRATEGIES = """
import numpy as np
from engine.strategy import Signals, Strategy

class Peek(Strategy):
    timeframe, startup_candles = "5m", 10
    def signals(self, c):
        return Signals(enter_long=np.append(c.close[1:], 0.0) > c.close)

class Plain(Strategy):
    timeframe, startup_candles = "5m", 10
    def signals(self, c):
        return Signals(enter_long=c.close > c.open)
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with candles, a strategy file and a config."""
    c = candles(400)
    rows = zip(c.ts, c.open, c.high, c.low, c.close, c.volume, strict=True)
    lines = ["date,open,high,low,close,volume", *(",".join(map(str, row)) for row in rows)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "AAA_BBB-5m.csv").write_text("\n".join(lines))
    (tmp_path / "mine.py").write_text(STRATEGIES)
    (tmp_path / "config.toml").write_text('[trading]\nstake_currency = "BBB"\npairs = ["AAA/BBB"]\n')
    return tmp_path


def said(command: str, files: Path, name: str, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    """The status and all that a command printed."""
    where = ["-c", str(files / "config.toml"), "--data", str(files / "data"), "--strategy", f"{files}/mine.py:{name}"]
    status = main([command, *where, *more])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


def test_the_commands_say_what_they_found(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lookahead and dependence on the window end with status 1 and the first case; an honest strategy with 0."""
    status, text = said("lookahead", files, "Peek", capsys)
    assert status == 1
    assert "not the same when the future is cut off" in text
    assert "AAA/BBB" in text
    assert said("lookahead", files, "Plain", capsys)[0] == 0
    status, text = said("recursive", files, "Plain", capsys)
    assert status == 0
    assert "a window of 100 candles gives the signals" in text
    assert said("recursive", files, "Peek", capsys, "--lengths", "50")[0] == 1


def test_too_few_candles_are_a_sentence(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A range that holds nothing after the start-up is refused with what is there."""
    status, text = said("lookahead", files, "Plain", capsys, "--to", "2020-09-13T13:00")
    assert status == 2
    assert "no candles are left in the time asked for, after 10 to start up; there is AAA/BBB" in text


def test_every_backtest_warns_of_a_strategy_that_knows_the_future(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sample is judged again by itself: the warning names the first signal, and an honest strategy gets none."""
    assert "seems to know the future" in said("backtest", files, "Peek", capsys)[1]
    assert "seems to know the future" not in said("backtest", files, "Plain", capsys)[1]
