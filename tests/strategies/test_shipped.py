"""The strategies that ship: they load, they signal what their rules say, and `sample` equals Freqtrade's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from actors.judging.bench import Bench, FrameBench
from actors.judging.loader import StrategyMaker, load_strategy, shipped_names
from engine.candles import Candle, Candles, timeframe_ms
from engine.strategy import TradeView, facts_of
from engine.window import CheckedSignals, Window, check_signals

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
ORACLE = SHARED / "oracle" / "sample_strategy_10pairs_signals.json"
SHIPPED = ("breakout", "ema_cross", "sample")


def frame(rows: list[Candle], timeframe: str, pair: str = "A/USDT") -> Candles:
    """Candles of rows, their gaps filled as a window does it."""
    span = (rows[-1].ts - rows[0].ts) // timeframe_ms(timeframe) + 1
    window = Window(pair, timeframe, span)
    window.load(rows)
    return window.view()


def walk(timeframe: str, count: int, seed: int = 7) -> Candles:
    """A random walk with volume, some of it zero."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.004, count)))
    before = np.concatenate(([100.0], close[:-1]))
    step = timeframe_ms(timeframe)
    rows = [
        Candle(
            at * step,
            before[at],
            max(before[at], close[at]) * 1.001,
            min(before[at], close[at]) * 0.999,
            close[at],
            at % 11,
        )
        for at in range(count)
    ]
    return frame(rows, timeframe)


def signals(name: str, candles: Candles) -> CheckedSignals:
    """A shipped strategy's checked answer."""
    return check_signals(load_strategy(name).signals(candles), len(candles))


def test_all_shipped_are_found() -> None:
    """Every shipped strategy can be called by its name."""
    assert set(SHIPPED) <= set(shipped_names())


@pytest.mark.parametrize("name", SHIPPED)
def test_looking_at_fewer_candles_changes_nothing(name: str) -> None:
    """Judged candle by candle on a bounded window, each gives the signals of the whole frame: no look-ahead."""
    maker = StrategyMaker(name, {}, {})
    candles = walk(maker.make().timeframe, 700)
    live, whole = Bench(maker, ["A/USDT"]), FrameBench(maker, [candles])
    rows = list(candles)[:-1]
    judged = [(live.judge(0, row).signal, whole.judge(0, row).signal) for row in rows]

    assert [one for one, _ in judged] == [other for _, other in judged]
    assert any(one for one, _ in judged)


@pytest.mark.parametrize("name", SHIPPED)
def test_without_volume_nothing_is_entered(name: str) -> None:
    """Filled candles never make an entry."""
    candles = walk(load_strategy(name).timeframe, 400)
    checked = signals(name, candles)

    assert checked.enter_long.any()
    assert not (checked.enter_long & (candles.volume == 0)).any()


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("count", [0, 1, 5])
def test_few_candles_are_no_error(name: str, count: int) -> None:
    """With less history than any indicator needs there is just no signal."""
    candles = walk(load_strategy(name).timeframe, 10)[:count]

    assert not signals(name, candles).enter_long.any()


def test_ema_cross_follows_its_averages() -> None:
    """The average cannot cross upwards twice without having crossed back: no two entries without an exit between."""
    candles = walk("1m", 600)
    strategy = load_strategy("ema_cross", {"fast": 5, "slow": 20})
    checked = check_signals(strategy.signals(candles), len(candles))
    order = [*("+" for _ in checked.enter_long.nonzero()[0]), *("-" for _ in checked.exit_long.nonzero()[0])]
    at = np.concatenate((checked.enter_long.nonzero()[0], checked.exit_long.nonzero()[0]))
    story = "".join(order[place] for place in at.argsort())

    assert "+-" in story
    assert "++" not in story
    assert not (checked.enter_long & checked.exit_long).any()
    assert facts_of(strategy).callbacks == ()


def test_breakout_enters_above_what_was_before() -> None:
    """The candle that makes a new high is compared with those before it, not with itself."""
    rows = [Candle(at * 60_000, 10.0, 10.5, 9.5, 10.0, 1.0) for at in range(60)]
    rows[50] = Candle(50 * 60_000, 10.0, 11.0, 10.0, 10.8, 1.0)
    checked = signals("breakout", frame(rows, "1m"))

    assert checked.enter_long.nonzero()[0].tolist() == [50]
    assert checked.at(50).enter_tag == "donchian"


def test_breakout_stop_is_some_atr_away() -> None:
    """Where every candle's range is 1 the ATR is 1, so the stop is 3 below the rate; without history it says nothing."""
    strategy = load_strategy("breakout")
    strategy.candles = frame([Candle(at * 60_000, 10.0, 10.5, 9.5, 10.0, 1.0) for at in range(60)], "1m")
    trade = TradeView(
        pair="A/USDT",
        trade_id="t",
        is_short=False,
        open_ts=0,
        open_rate=10.0,
        amount=1.0,
        stake_amount=10.0,
        leverage=2.0,
        enter_tag="",
        stop_loss=9.0,
        initial_stop_loss=9.0,
        max_rate=10.0,
        min_rate=10.0,
        entries=1,
        exits=0,
    )
    ask = strategy.custom_stoploss  # type: ignore[attr-defined]

    assert ask(trade=trade, current_rate=12.0, after_fill=False) == pytest.approx(3.0 / 12.0 * 2.0)
    strategy.candles = strategy.candles[:5]
    assert ask(trade=trade, current_rate=12.0) is None


def test_sample_on_a_made_case() -> None:
    """A fall and a recovery: bought where the RSI comes back over 30 with TEMA below the middle band and rising."""
    prices = np.concatenate((np.full(40, 100.0), 100 - np.arange(1, 21), 80 + 0.6 * np.arange(1, 40)))
    rows = [
        Candle(at * 300_000, price, price + 0.1, price - 0.1, price, 1.0) for at, price in enumerate(prices.tolist())
    ]
    checked = signals("sample", frame(rows, "5m"))

    (bought,) = checked.enter_long.nonzero()[0]
    assert 60 < bought < 70
    assert checked.exit_short.tolist() == checked.enter_long.tolist()
    assert checked.exit_long.tolist() == checked.enter_short.tolist()


@pytest.mark.skipif(not ORACLE.exists(), reason="the recorded signals are not at hand")
def test_sample_equals_freqtrade() -> None:
    """On ten real pairs every entry and exit signal is on the very candle where Freqtrade has it."""
    import pyarrow as pa
    from pyarrow import parquet

    for pair, expected in json.loads(ORACLE.read_text()).items():
        table = parquet.read_table(SHARED / "ohlcv" / f"{pair.replace('/', '_')}-5m.parquet")
        ts = table["date"].cast(pa.timestamp("ms", "UTC")).cast("int64").to_pylist()
        columns = [table[name].to_pylist() for name in ("open", "high", "low", "close", "volume")]
        candles = frame([Candle(*row) for row in zip(ts, *columns, strict=True)], "5m", pair)
        checked = signals("sample", candles)

        assert (candles.ts[checked.enter_long] // 1000).tolist() == expected["enter_long"], pair
        assert (candles.ts[checked.exit_long] // 1000).tolist() == expected["exit_long"], pair
