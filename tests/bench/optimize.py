"""An epoch of `tradepit optimize`: CPU seconds by stage in one process, and a whole search on all its workers.

The candles are made here from a seed, as many as Freqtrade's own test data have. The stages are those of one
epoch: the sampler chooses, the strategy judges, the machine trades, the figures are reckoned, the study is
written. `epoch_cpu_s` is their sum; `search` is the command itself, all processes and its start included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from actors.batch.optimising.laboratory import Goal, Laboratory, Outcome
from actors.batch.optimising.study import Search
from actors.batch.taping import tape
from actors.config_file import read_config
from engine.spaces import dimensions
from engine.types import use_money_context

STRATEGY: Final = Path(__file__).with_name("strategies") / "ema_cross_search.py"
SPACES: Final = ("buy", "roi", "stoploss")
START_MS: Final = 1_672_531_200_000
STEP_MS: Final = 300_000
CONFIG: Final = """
[trading]
stake_amount = {stake}
max_open_trades = 10
pairs = [{pairs}]
[strategy]
name = "{strategy}"
[paper]
wallet = 1000000
"""


class Clocked(Laboratory):
    """A laboratory that keeps the CPU seconds of its stages."""

    seconds: dict[str, float]

    def timed(self, stage: str, work: Callable[[], Any]) -> Any:
        """Do something, as part of a stage."""
        began = time.process_time()
        try:
            return work()
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.process_time() - began

    def _judge(self, *given: Any) -> Any:
        return self.timed("judge", lambda: super(Clocked, self)._judge(*given))

    def trade(self, point: Mapping[str, Any]) -> Any:
        """As `Laboratory`; judging is within."""
        return self.timed("judge and trade", lambda: super(Clocked, self).trade(point))

    def _outcome(self, *given: Any) -> Outcome:
        found: Outcome = self.timed("metrics", lambda: super(Clocked, self)._outcome(*given))
        return found


def make_data(folder: Path, pairs: int, count: int) -> list[str]:
    """Write seeded walks as CSV; the pairs' names."""
    names = []
    for number in range(pairs):
        rng = np.random.default_rng([17, number])
        ends = np.rint(50_000 * np.exp(np.cumsum(rng.normal(0, 0.0025, count))))
        starts = np.concatenate(([50_000], ends[:-1]))
        high = np.maximum(starts, ends) + rng.integers(0, 80, count)
        low = np.minimum(starts, ends) - rng.integers(0, 80, count)
        ts = START_MS + STEP_MS * np.arange(count)
        rows = zip(ts, *(column / 1_000 for column in (starts, high, low, ends)), strict=True)
        lines = ["timestamp,open,high,low,close,volume", *(",".join(map(str, (*row, 1))) for row in rows)]
        (folder / f"B{number:03d}_USDT-5m.csv").write_text("\n".join(lines))
        names.append(f"B{number:03d}/USDT")
    return names


def stages(config: Path, data: Path, study: Path, trials: int) -> dict[str, Any]:
    """CPU seconds per epoch and stage in this process, and the trades of the last epoch."""
    use_money_context()
    held = read_config(str(config))
    laboratory = Clocked(held, tape(held, str(data), held.trading.pairs, None, None), Goal("sharpe"))
    laboratory.seconds = {}
    search = Search(study, "bench", dimensions(laboratory.parameters, SPACES, STEP_MS))
    trial_cpu, outcomes = 0.0, []

    def run(points: Sequence[Mapping[str, Any]]) -> list[Outcome]:
        nonlocal trial_cpu
        began = time.process_time()
        found = [laboratory.run(point) for point in points]
        trial_cpu += time.process_time() - began
        return found

    began = time.process_time()
    outcomes = [trial.outcome for trial in search.run(trials, run)]
    whole = time.process_time() - began
    judge, both = laboratory.seconds["judge"], laboratory.seconds["judge and trade"]
    spent = {
        "choose and keep": whole - trial_cpu,
        "judge": judge,
        "trade": both - judge,
        "metrics": laboratory.seconds["metrics"],
    }
    return {
        "epoch_cpu_s": round(whole / trials, 5),
        "stages_cpu_s": {name: round(seconds / trials, 5) for name, seconds in spent.items()},
        "trades": round(sum(outcome.trades for outcome in outcomes) / trials),
    }


def command(config: Path, data: Path, study: Path, trials: int, jobs: int) -> dict[str, float]:
    """The command as a user runs it: wall and CPU seconds of all its processes."""
    words = ["-m", "actors.cli", "optimize", "-c", str(config), "--data", str(data), "--trials", str(trials)]
    words += ["--spaces", ",".join(SPACES), "--jobs", str(jobs), "--study", str(study), "--no-write", "--json"]
    before, began = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"jobs": jobs, "wall_s": round(wall, 3), "cpu_s": round(cpu, 3), "wall_s_per_epoch": round(wall / trials, 5)}


def main(arguments: list[str]) -> int:
    """Run the benchmark and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench optimize", description=__doc__)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--candles", type=int, default=5_760, help="of each pair")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--stake", type=float, default=100.0)
    parser.add_argument("--data", type=Path, help="search on the pairs of this folder instead")
    parser.add_argument("--json", action="store_true", help="print JSON (always so)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="tradepit-bench-") as folder:
        place = Path(folder)
        data = given.data or place / "data"
        if given.data is None:
            data.mkdir()
            pairs = make_data(data, given.pairs, given.candles)
        else:
            pairs = sorted(file.name.split("-")[0].replace("_", "/") for file in data.glob("*-5m.*"))[: given.pairs]
        config = place / "config.toml"
        quoted = ", ".join(f'"{pair}"' for pair in pairs)
        quote = pairs[0].partition("/")[2]
        text = CONFIG.format(pairs=quoted, strategy=STRATEGY, stake=given.stake)
        config.write_text(text.replace("[trading]", f'[trading]\nstake_currency = "{quote}"', 1))
        figures: dict[str, Any] = {"bench": "optimize", "pairs": len(pairs), "trials": given.trials}
        figures |= stages(config, data, place / "here.study", given.trials)
        figures["search"] = command(config, data, place / "command.study", given.trials, given.jobs)
    print(json.dumps(figures))
    return 0
