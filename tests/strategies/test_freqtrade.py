"""Strategies written for Freqtrade, unmodified: their trades, their indicators, and what is said where they cannot run."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from actors.batch.backtest import run_backtest
from actors.batch.data import load_candles
from actors.batch.honesty import lookahead
from actors.batch.taping import maker_of, tape
from actors.batch.verifying import first_difference
from actors.judging.loader import StrategyMaker
from engine.errors import StrategyError
from engine.settings import Config, PaperConfig, StrategyConfig, TimeoutConfig, TradingConfig
from engine.strategy import facts_of
from engine.tape import Judged
from engine.types import use_money_context
from engine.window import check_signals
from tests.freqtrade import candles

HERE = Path(__file__).resolve().parent.parent
OWN = HERE / "freqtrade"
REFERENCE = HERE / "data" / "freqtrade_strategies.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Candles of two pairs."""
    use_money_context()
    made = tmp_path_factory.mktemp("candles")
    candles.write(made)
    return made


def config_for(file: Path, **more: object) -> Config:
    """A run as the reference's was."""
    return replace(
        Config(),
        trading=TradingConfig(stake_currency="USDT", stake_amount=Decimal(100), max_open_trades=4),
        strategy=StrategyConfig(name=str(file), **more),  # type: ignore[arg-type]
        paper=PaperConfig(wallet=Decimal(1_000_000)),
        unfilledtimeout=TimeoutConfig(entry=10, exit=10),
    )


@pytest.mark.parametrize("name", ["Modern", "Legacy", "Tagged"])
def test_trades_are_freqtrades(name: str, folder: Path) -> None:
    """A strategy gives the trades that Freqtrade 2026.9 gave on the same candles, in every figure."""
    config = config_for(OWN / f"{name.lower()}.py")
    expected = sorted(json.loads(REFERENCE.read_text())[name], key=lambda row: (row[2], row[0]))

    result = run_backtest(config, tape(config, str(folder), candles.PAIRS, None, None))
    found = sorted(
        (
            [
                trade.pair,
                _iso(trade.open_ts),
                _iso(trade.close_ts),
                round(float(trade.open_rate), 8),
                round(float(trade.close_rate), 8),
                round(float(trade.profit_abs), 8),
                trade.exit_reason,
                trade.enter_tag,
            ]
            for trade in result.trades
        ),
        key=lambda row: (row[2], row[0]),
    )

    assert expected == found


def _iso(ts: int) -> str:
    return f"{np.datetime64(ts, 'ms').astype('datetime64[s]')}+00:00"


def test_replay_gives_the_same_events(folder: Path) -> None:
    """A Freqtrade strategy with callbacks has the same domain events through the actors as in the backtest."""
    config = config_for(OWN / "modern.py")
    taped = tape(config, str(folder), candles.PAIRS, None, None)
    result = run_backtest(config, taped, keep_events=True)

    assert "" == (first_difference(config, taped, result.events) or "")


def test_settings_under_old_names() -> None:
    """What a class says under the names before version 3 is what the engine is told."""
    facts = facts_of(StrategyMaker(str(OWN / "legacy.py"), {}, {}).make())

    assert "5m" == facts.timeframe
    assert facts.settings["use_exit_signal"] is True
    assert facts.settings["exit_profit_only"] is True
    assert 0.001 == facts.settings["exit_profit_offset"]
    assert facts.settings["ignore_roi_if_entry_signal"] is True
    assert {"entry": "limit", "exit": "market", "stoploss": "market", "stoploss_on_exchange": False} == dict(
        facts.settings["order_types"]
    )
    assert {"entry": "GTC", "exit": "GTC"} == dict(facts.settings["order_time_in_force"])
    assert ("custom_exit",) == facts.callbacks


def test_parameters_come_from_the_file_then_the_class(tmp_path: Path) -> None:
    """The file of optimised values goes before `buy_params`, which go before the default; the config before all."""
    file = tmp_path / "modern.py"
    file.write_text((OWN / "modern.py").read_text())
    before = StrategyMaker(str(file), {}, {}).make()
    values = {"strategy_name": "Modern", "params": {"buy": {"buy_rsi": 33}, "stoploss": {"stoploss": -0.07}}}
    (tmp_path / "modern.json").write_text(json.dumps(values))
    after = StrategyMaker(str(file), {"buy_width": 2.2}, {}).make()

    assert (45, 1.8, -0.04) == (before.buy_rsi.value, before.buy_width.value, before.stoploss)
    assert (33, 2.2, -0.07) == (after.buy_rsi.value, after.buy_width.value, after.stoploss)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("from freqtrade.strategy import Teleport", "freqtrade.strategy.Teleport (line 2)"),
        ("import freqtrade.rpc.telegram", "the module freqtrade.rpc.telegram (line 2)"),
        ("import no_such_library_at_all", "the library no_such_library_at_all (line 2), which is not installed"),
        ("x = lambda self: self.dp.get_weather()", "self.dp.get_weather (line 2)"),
        ("x = lambda trade: trade.horoscope", "trade.horoscope (line 2)"),
        (
            "from freqtrade.persistence import Trade; x = Trade.get_trades([])",
            "Trade.get_trades (line 2): a query of Freqtrade's database",
        ),
        ("x = lambda self: self.freqai.start()", "self.freqai.start (line 2): FreqAI"),
    ],
)
def test_what_is_lacking_is_named(tmp_path: Path, line: str, said: str) -> None:
    """A strategy that uses what is not there is refused before it runs, naming it with its line."""
    file = tmp_path / "lacking.py"
    file.write_text(f"from freqtrade.strategy import IStrategy\n{line}\nraise SystemExit('it ran')\n")

    with pytest.raises(StrategyError) as refused:
        StrategyMaker(str(file), {}, {})

    assert said in str(refused.value)


def test_native_strategies_load_nothing_of_freqtrades() -> None:
    """A strategy of Tradepit's own is loaded and made without our side of Freqtrade's interface."""
    code = (
        "import sys; from actors.judging.loader import StrategyMaker; StrategyMaker('ema_cross', {}, {}).make();"
        "print([m for m in sys.modules if m.startswith(('strategies.compat', 'freqtrade'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


@pytest.mark.parametrize(("noise", "trades"), [(0.0, 1), (-1e-20, 1), (1e-20, 0)])
def test_a_last_open_with_binary_noise(noise: float, trades: int, tmp_path: Path) -> None:
    """At the data's end a trade is left at the last open, rounded; a candle without that price does not fill it.

    So does Freqtrade: on real data it has no trade of pairs whose last candle lies a hair above its price step.
    """
    use_money_context()
    for pair, hair in (("AAA", noise), ("BBB", 0.0)):
        _write_falling(tmp_path / f"{pair}_BTC-5m.csv", hair)
    config = config_for(OWN / "tagged.py", overrides={"stoploss": -0.9})
    config = replace(config, trading=replace(config.trading, max_open_trades=1))
    taped = tape(config, str(tmp_path), ["AAA/BTC", "BBB/BTC"], None, None)

    # The second pair never trades: what the first holds to the end takes the only slot, whether it is left or not.
    assert trades == len(run_backtest(config, taped).trades)
    assert trades == len(run_backtest(config, taped, keep_events=True).trades)


def _write_falling(file: Path, noise: float) -> None:
    closes = np.round(np.concatenate([np.full(30, 3e-05), np.linspace(3e-05, 2.95e-05, 45)]), 8)
    closes[-2:] = 2.95e-05 + noise
    rows = ["date,open,high,low,close,volume"]
    opens = np.concatenate([closes[:1], closes[:-1]])
    for at, (open_, close) in enumerate(zip(opens.tolist(), closes.tolist(), strict=True)):
        high, low = max(open_, close), min(open_, close)
        if at == len(closes) - 1:
            high, low = open_ + 1e-7, open_
        rows.append(f"{1_700_006_400_000 + 300_000 * at},{open_!r},{high!r},{low!r},{close!r},1")
    file.write_text("\n".join(rows) + "\n")


def test_looking_for_lookahead_leaves_the_judged_frames_alone(folder: Path) -> None:
    """A strategy that is judged anew on cut-off data does not forget what its callbacks look at."""
    whole = maker_of(config_for(OWN / "modern.py"), str(folder), candles.PAIRS)
    frame = load_candles(folder, ["AAA/USDT"], "5m")["AAA/USDT"]
    judged = whole.make()
    judged.signals(frame)
    whole.fresh().signals(frame[:200])

    assert len(frame) == len(judged.dp.get_analyzed_dataframe("AAA/USDT", "5m")[0])


def test_lookahead_over_other_timeframes_is_found(folder: Path, tmp_path: Path) -> None:
    """A slow candle merged by its open time shows what was not known yet; merged as Freqtrade does, it does not."""
    body = (
        "import pandas as pd\nfrom freqtrade.strategy import IStrategy, merge_informative_pair\n"
        "class {name}(IStrategy):\n    timeframe = '5m'\n    startup_candle_count = 30\n"
        "    def populate_indicators(self, df, metadata):\n        slow = self.dp.get_pair_dataframe(metadata['pair'], '1h')\n"
        "        return {merged}\n"
        "    def populate_entry_trend(self, df, metadata):\n"
        "        df.loc[df['close'] < df['{column}'], 'enter_long'] = 1\n        return df\n"
        "    def populate_exit_trend(self, df, metadata):\n        return df\n"
    )
    ahead = "pd.merge_asof(df, slow[['date', 'close']].rename(columns={'close': 'slow'}), on='date')"
    honest = "merge_informative_pair(df, slow, '5m', '1h')"
    found = {}
    for name, merged, column in (("Ahead", ahead, "slow"), ("Honest", honest, "close_1h")):
        file = tmp_path / f"{name.lower()}.py"
        file.write_text(body.format(name=name, merged=merged, column=column))
        whole = maker_of(config_for(file), str(folder), candles.PAIRS)
        frame = load_candles(folder, ["AAA/USDT"], "5m")["AAA/USDT"]
        signals = Judged(check_signals(whole.fresh().signals(frame), len(frame)), frame.ts)
        found[name] = len(lookahead(lambda whole=whole: whole.fresh().signals, frame, signals, 30, cuts=6))

    assert 0 == found["Honest"]
    assert found["Ahead"] > 0
