"""`optimize`: a search finds the same wherever its trials run, goes on after a break, and writes what it found."""

from __future__ import annotations

import json
import pickle
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.batch.optimising.laboratory import Goal, Laboratory
from actors.batch.optimising.parzen import Parzen, random_point
from actors.batch.optimising.pool import Here, Processes, run_recipe
from actors.batch.optimising.study import Search
from actors.batch.optimising.walking import stretches
from actors.batch.taping import tape
from actors.cli import main
from actors.config_file import read_config
from engine.errors import DataError
from engine.parameters import Dimension, parameters_of
from engine.spaces import assign, dimensions, spaces_of
from engine.types import use_money_context

pytest.importorskip("optuna")

FIRST = 1_600_000_200_000

STRATEGY = """
import os
import numpy as np
from engine.parameters import IntParameter, CategoricalParameter
from engine.strategy import Signals, Strategy

class Mine(Strategy):
    timeframe, startup_candles = "5m", 30
    stoploss = -0.05
    buy_length = IntParameter(2, 25, default=10)
    buy_way = CategoricalParameter(["up", "down"])
    wait = IntParameter(1, 3, default=2, space="protection")

    @property
    def protections(self):
        return [{"method": "CooldownPeriod", "stop_duration_candles": self.wait.value}]

    def signals(self, c):
        n = self.buy_length.value
        before = np.concatenate((np.full(n, np.nan), c.close[:-n]))
        up, down = c.close > before * 1.01, c.close < before * 0.99
        return Signals(enter_long=up if self.buy_way.value == "up" else down, exit_long=c.close == before)

class Fails(Mine):
    def signals(self, c):
        if self.buy_length.value > 20:
            raise RuntimeError("too long")
        if self.buy_length.value == 20:
            os._exit(1)
        return super().signals(c)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with candles of two pairs, a strategy file and a config."""
    folder = tmp_path_factory.mktemp("optimize")
    (folder / "data").mkdir()
    rng = np.random.default_rng(5)
    for name in ("AAA_BBB", "CCC_BBB"):
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.004, 500))).round(4)
        open_ = np.concatenate(([100.0], close[:-1]))
        high, low = np.maximum(open_, close) + 0.05, np.minimum(open_, close) - 0.05
        rows = enumerate(zip(open_, high, low, close, strict=True))
        lines = [",".join(map(str, (FIRST + n * 300_000, *prices, 1))) for n, prices in rows]
        (folder / "data" / f"{name}-5m.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *lines]))
    (folder / "mine.py").write_text(STRATEGY)
    text = '[trading]\nstake_currency = "BBB"\nstake_amount = 100\npairs = ["AAA/BBB", "CCC/BBB"]\n'
    (folder / "config.toml").write_text(text)
    return folder


def laboratory(files: Path, name: str = "Mine", loss: str = "profit") -> Laboratory:
    """A laboratory over the folder's candles."""
    use_money_context()
    config = read_config(str(files / "config.toml"))
    config = type(config)(**{**vars_of(config), "strategy": type(config.strategy)(name=f"{files}/mine.py:{name}")})
    return Laboratory(config, tape(config, str(files / "data"), config.trading.pairs, None, None), Goal(loss))


def vars_of(config: Any) -> dict[str, Any]:
    """A slotted dataclass as keywords."""
    return {name: getattr(config, name) for name in config.__dataclass_fields__}


def axes(held: Laboratory) -> list[Dimension]:
    """All dimensions of a laboratory's strategy."""
    return dimensions(held.parameters, spaces_of(held.parameters), 300_000)


def search(held: Laboratory, runner: Any, trials: int = 10, path: Path | None = None) -> list[Any]:
    """The trials of a new search."""
    with closing(Search(path, "s", axes(held), batch=4)) as began:
        return list(began.run(trials, runner.run))


def test_the_same_seed_finds_the_same_in_processes(files: Path) -> None:
    """Trials run in processes give what they give here, in the same order: every point and every outcome."""
    held = laboratory(files)
    pool = Processes(held, 2)
    try:
        assert search(held, pool) == search(held, Here(held))
    finally:
        pool.close()


def test_another_machine_finds_the_same(files: Path) -> None:
    """A laboratory made of a recipe that was sent as bytes gives the outcomes of the one that sent it."""
    held = laboratory(files)
    sent = pickle.loads(pickle.dumps(held.recipe()))
    point = {axis.name: axis.default for axis in axes(held)}
    assert [run_recipe(sent, p) for p in ({}, point)] == [held.run(p) for p in ({}, point)]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "optuna_tpe"])
def test_an_interrupted_search_goes_on_as_if_it_had_not_been(files: Path, tmp_path: Path, sampler: str) -> None:
    """Broken off in the middle of a batch, with a line half written, it ends with the same trials."""
    held = laboratory(files)

    class Interrupted(Exception):
        pass

    def breaking(began: Search) -> None:
        for trial in began.run(10, Here(held).run):
            if trial.number == 5:
                raise Interrupted

    path = tmp_path / "s.study"
    with closing(Search(path, "s", axes(held), batch=4, sampler=sampler)) as began:
        whole = list(Search(None, "s", axes(held), batch=4, sampler=sampler).run(10, Here(held).run))
        with pytest.raises(Interrupted):
            breaking(began)
    with path.open("ab") as file:
        file.write(b'{"torn": ')
    with closing(Search(path, "s", axes(held), batch=4, sampler=sampler)) as again:
        assert again.done == 6
        assert list(again.run(10, Here(held).run)) == whole[6:]
    with closing(Search(path, "s", axes(held), batch=4, sampler=sampler)) as once_more:
        assert once_more.best() == min(whole, key=lambda t: (t.outcome.loss, t.number))


def test_a_study_about_something_else_is_refused(files: Path, tmp_path: Path) -> None:
    """Going on with a file that was about other data or settings says what has changed."""
    held = laboratory(files)
    Search(tmp_path / "s", "s", axes(held), about={"pairs": ["A"]}).close()
    with pytest.raises(DataError, match=r"about something else \(seed, pairs\)"):
        Search(tmp_path / "s", "s", axes(held), seed=1, about={"pairs": ["B"]})


@pytest.mark.parametrize("text", ["rubbish\n", "[1, 2]\n", '{"op_code": 0}\n'])
def test_a_file_that_is_no_study_is_refused(files: Path, tmp_path: Path, text: str) -> None:
    """Whatever lies there is left as it is, and a sentence says so."""
    path = tmp_path / "s"
    path.write_text(text)
    with pytest.raises(DataError, match="does not hold a search; give another file with --study"):
        Search(path, "s", axes(laboratory(files)))
    assert path.read_text() == text


def test_one_search_at_a_time_has_a_study(files: Path, tmp_path: Path) -> None:
    """A second search on the same file is refused while the first goes on, and not after."""
    dimensions = axes(laboratory(files))
    with closing(Search(tmp_path / "s", "s", dimensions)), pytest.raises(DataError, match="in use by another search"):
        Search(tmp_path / "s", "s", dimensions)
    Search(tmp_path / "s", "s", dimensions).close()


def test_choosing_learns() -> None:
    """Told that small numbers and one choice are good, the estimator chooses those far more often than not."""
    dimensions = [
        Dimension(name="n", space="buy", kind="int", low=0, high=99, default=0),
        Dimension(name="x", space="buy", kind="float", low=-1.0, high=1.0, step=0.5, default=0.0),
        Dimension(name="way", space="buy", kind="choice", choices=("up", "down"), default="up"),
    ]
    rng = np.random.default_rng(1)
    points = [random_point(dimensions, rng) for _ in range(60)]
    told = [(p, None if p["n"] > 90 else p["n"] + 50 * (p["way"] == "down")) for p in points]
    fit = Parzen(dimensions, told)
    chosen = [fit.point(np.random.default_rng(seed)) for seed in range(40)]

    assert fit.point(np.random.default_rng(3)) == chosen[3]
    assert sum(p["n"] < 30 for p in chosen) > 30
    assert sum(p["way"] == "up" for p in chosen) > 30
    assert {p["x"] for p in chosen} <= {-1.0, -0.5, 0.0, 0.5, 1.0}


def test_a_failing_trial_costs_itself_only(files: Path) -> None:
    """Values at which the strategy raises, or its process dies, have a reason instead of a loss; the others count."""
    held = laboratory(files, "Fails")
    default = {a.name: a.default for a in axes(held)}
    pool = Processes(held, 2)
    try:
        outcomes = pool.run([{**default, "buy_length": n} for n in (5, 20, 22, 6)])
    finally:
        pool.close()
    assert [o.loss is None for o in outcomes] == [False, True, True, False]
    assert "died" in outcomes[1].why
    assert "mine.py, line" in outcomes[2].why
    assert outcomes[3] == held.run({**default, "buy_length": 6})


def test_every_space_changes_what_it_is_about(files: Path) -> None:
    """Own parameters, ROI, stop, trailing and protections each reach the trades, and the file has them by space."""
    held = laboratory(files)
    assert spaces_of(held.parameters) == ["buy", "protection", "roi", "stoploss", "trailing"]
    default = {a.name: a.default for a in axes(held)}
    usual = held.run(default)
    assert usual == held.run(dict(default))
    for name, value in {
        "buy_way": "down",
        "wait": 3,
        "@roi_p1": 0.011,
        "@stoploss": -0.02,
        "@trailing_stop_positive": 0.011,
    }.items():
        assert held.run({**default, name: value}) != usual, name
    assigned = assign(default, held.parameters)
    assert list(assigned.by_space) == ["buy", "protection", "roi", "stoploss", "trailing"]
    assert assigned.settings["trailing_stop_positive_offset"] == 0.06
    assert list(assigned.settings["minimal_roi"]) == ["0", "25", "60", "125"]


def test_steps_of_a_walk_follow_one_another() -> None:
    """Tests are end to end, each after its own search; too little time is said."""
    steps = stretches(0, 100, 40, 20)
    assert [(s.start, s.middle, s.end) for s in steps] == [(0, 40, 60), (20, 60, 80), (40, 80, 100)]
    with pytest.raises(DataError, match="one step of --walk-forward needs"):
        stretches(0, 50, 40, 20)


def call(files: Path, *more: str) -> int:
    """The command over the folder."""
    where = ["-c", str(files / "config.toml"), "--data", str(files / "data"), "--strategy", f"{files}/mine.py:Mine"]
    return main(["optimize", *where, "--jobs", "1", "--study", str(files / "study"), *more])


def test_what_was_found_is_written_and_read(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command ends with its find beside the strategy, better than it was, and the next load uses it."""
    before = laboratory(files).run({}).loss
    try:
        assert call(files, "--trials", "9", "--loss", "OnlyProfitHyperOptLoss", "--json") == 0
        said = json.loads(capsys.readouterr().out)
        assert said["best"]["loss"] < said["before"]["loss"] == before
        assert set(said["values"]) == {"buy", "roi", "stoploss"}
        held = laboratory(files)
        now = {n: p.value for n, p in parameters_of(held._taped.maker.make()).items()}
        assert {n: now[n] for n in said["values"]["buy"]} == said["values"]["buy"]
    finally:
        (files / "mine.json").unlink(missing_ok=True)


def test_a_walk_tells_how_unseen_time_went(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each step has its search and its trial on later candles; nothing is written for the strategy."""
    assert call(files, "--trials", "4", "--walk-forward", "15h,10h", "--study", str(files / "walk"), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["planned"] == len(said["steps"]) == 2
    assert not (files / "mine.json").exists()


def test_a_walk_in_which_nothing_is_found(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Steps whose trials trade too little are left out, by name, and the answer is no."""
    more = ["--trials", "2", "--walk-forward", "15h,10h", "--min-trades", "9999", "--study", str(files / "none")]
    assert call(files, *more, "--json") == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["steps"] == []
    assert "step 0 is left out: no trial made enough trades to count." in told.err


def test_hooks_that_are_not_used_are_named(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A nested HyperOpt class is not passed over in silence."""
    text = (files / "mine.py").read_text()
    (files / "hooked.py").write_text(
        text + "\nclass Hooked(Mine):\n    class HyperOpt:\n        def generate_estimator():\n            return []\n"
    )
    more = ["--strategy", f"{files}/hooked.py:Hooked", "--trials", "1", "--study", str(files / "hooked"), "--no-write"]
    assert call(files, *more) == 0
    assert "Hooked.HyperOpt.generate_estimator is not used: --sampler chooses" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--spaces", "bye"], 'There is no space "bye"; this strategy has buy, protection, roi'),
        (["--loss", "sharp"], 'There is no loss function "sharp"; there is sharpe'),
        (["--walk-forward", "30d,10d"], "The candles cover 1.6 days"),
    ],
)
def test_what_cannot_be_searched_is_a_sentence(
    files: Path, capsys: pytest.CaptureFixture[str], more: list[str], why: str
) -> None:
    """Unknown names and too little time are refused with what there is."""
    assert call(files, *more) == 2
    assert why in capsys.readouterr().err
