"""`tradepit backtest`: stored candles through the trade machine without actors.

`run_backtest` is what optimising and other tools build on: it runs tapes that are judged already, so one
judgement serves many runs under other rules. What it gives is a `BacktestResult`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from actors.batch.exporting import check_target
from actors.batch.honesty import sampled_warning
from actors.batch.outcome import BacktestResult, Done, Outcome, outcome_of
from actors.batch.storing import export_trades, store
from actors.batch.tables import tell
from actors.batch.taping import Taped, span_asked, tape, tell_left_out, timeframe_of
from actors.commands.common import reader_may_leave, with_arguments
from actors.config_file import read_config
from actors.files import Files, refuse_foreign
from engine.errors import DataError, TradepitError
from engine.plain import is_plain, run_plain
from engine.portfolio import Portfolio
from engine.protections import protections_from
from engine.settings import Config
from engine.strategy_settings import effective_protections
from engine.types import use_money_context

INTERRUPTED = 130


def run_backtest(
    config: Config, taped: Taped, *, every_candle: bool = False, keep_events: bool = False, fills: str = "candle"
) -> BacktestResult:
    """Trade the tapes by the rules in `taped` and the account of `config`.

    `fills` is the fill model: "candle", Freqtrade's rules, or "realistic" (`engine.realistic`).

    `every_candle` walks all candles instead of those on which something can happen; trades and events are
    the same. Ctrl-C ends it early; what was done until then is in the result.
    """
    began = time.perf_counter()
    timeframe = timeframe_of(taped)
    protections = protections_from(effective_protections(config, taped.facts), timeframe)
    portfolio = Portfolio(config.trading, config.risk, protections, timeframe, config.paper.wallet)
    if fills == "candle" and not every_candle and not keep_events and is_plain(taped.rules, taped.tapes):
        trades, counters, interrupted = run_plain(taped.rules, taped.tapes, portfolio)
        done = Done(trades, counters, {}, interrupted)
    else:
        from actors.batch.walking import walk  # a small backtest mostly needs none of the machine

        done = walk(config, taped, portfolio, every_candle=every_candle, keep_events=keep_events, fills=fills)
    spans = [(int(t.candles.ts[1]), int(t.candles.ts[-1])) for t in taped.tapes.values() if len(t.candles) > 1]
    return BacktestResult(
        trades=done.trades,
        start=min(first for first, _ in spans),
        end=max(last for _, last in spans),
        wallet=config.paper.wallet,
        counters=done.counters,
        events=done.events,
        changes=done.changes,
        seconds={"trade": time.perf_counter() - began},
        failed=taped.failed,
        left_out=taped.left_out,
        candles=sum(map(len, taped.frames.values())),
        interrupted=done.interrupted,
    )


# ---------------------------------------------------------------- the command


@dataclass(slots=True)
class Stages:
    """How long each stage of a command took, in wall time."""

    seconds: dict[str, float]
    began: float = field(default_factory=time.perf_counter)

    def over(self, name: str) -> None:
        """A stage has ended, and the next begins."""
        now = time.perf_counter()
        self.seconds[name], self.began = now - self.began, now


def backtest(arguments: argparse.Namespace) -> int:
    """Run the command; its status."""
    use_money_context()
    config = with_arguments(read_config(arguments.config), arguments)
    folder = arguments.data or config.feed.data
    if not folder:
        raise DataError("There are no candles to trade on: give --data DIR, or set feed.data in the config.")
    if arguments.orders and not arguments.db:
        raise DataError("--orders says what --db keeps: give --db FILE.duckdb too, or leave --orders out.")
    _check_targets(arguments)
    start, end = span_asked(arguments.start, arguments.end)
    taped = tape(config, folder, config.trading.pairs, start, end, partly=True)
    stages = Stages(dict(taped.seconds))
    tell_left_out(taped)
    if not taped.interrupted and (warning := sampled_warning(taped)):
        print(warning, file=sys.stderr)
    stages.over("look ahead")
    result = run_backtest(config, taped, every_candle=arguments.candle_by_candle, keep_events=arguments.orders)
    stages.over("trade")
    outcome = outcome_of(config, taped, result)
    stages.over("reckon")
    outcomes = [outcome]
    if arguments.fills == "realistic":
        beside = run_backtest(config, taped, fills="realistic")
        outcomes.append(outcome_of(config, taped, beside, "realistic"))
        stages.over("realistic fills")
    result.seconds = stages.seconds
    kept = _keep(arguments, outcomes, stages)
    with reader_may_leave():
        tell(outcomes, arguments.breakdown, as_json=arguments.json)
    if taped.interrupted or result.interrupted is not None:
        return INTERRUPTED
    differs = bool(arguments.verify) and not _verified(config, taped, result, arguments)
    return 1 if differs or taped.failed or not kept else 0


def _check_targets(arguments: argparse.Namespace) -> None:
    """Say before the work what could not be written after it."""
    if arguments.export:
        check_target(Path(arguments.export), (".json", ".parquet"))
    if arguments.report:
        from actors.batch.report import charts_library

        check_target(Path(arguments.report), (".html",))
        charts_library()
    if arguments.db:
        refuse_foreign(Files.beside(arguments.db))


def _keep(arguments: argparse.Namespace, outcomes: Sequence[Outcome], stages: Stages) -> bool:
    """Write and store the run as was asked, before anybody who reads the tables may have seen enough.

    What cannot be kept is said; it takes neither the rest nor the tables with it.
    """
    wanted: dict[str, Callable[[], None]] = {}
    if arguments.export:
        wanted["export"] = lambda: export_trades(Path(arguments.export), outcomes[0])
    if arguments.report:
        from actors.batch.report import write_report

        wanted["report"] = lambda: write_report(Path(arguments.report), outcomes, arguments.breakdown)
    if arguments.db:
        wanted["store"] = lambda: _store(arguments.db, outcomes[0])
    failures = 0
    for stage, write in wanted.items():
        try:
            write()
        except TradepitError as error:
            print(f"tradepit: {error}", file=sys.stderr)
            failures += 1
        stages.over(stage)
    return not failures


def _store(db: str, outcome: Outcome) -> None:
    print(store(Files.beside(db), outcome).told, file=sys.stderr)


def _verified(config: Config, taped: Taped, result: BacktestResult, arguments: argparse.Namespace) -> bool:
    """Whether the actors give the same events, and the trades that were told; the first difference is said.

    Trades that were followed on arrays have no events: the machine, which has, is compared with both.
    """
    from actors.batch.verifying import first_difference, first_other_trade

    machine = result
    if not result.events:
        machine = run_backtest(config, taped, every_candle=arguments.candle_by_candle, keep_events=True)
    if machine.interrupted is not None:
        raise KeyboardInterrupt
    difference = first_difference(config, taped, machine.events) or first_other_trade(result, machine)
    if difference:
        print(f"The replay differs from the backtest, first in {difference}", file=sys.stderr)
    else:
        count = sum(map(len, machine.events.values()))
        print(
            f"The replay gives the same {len(result.trades)} trades, and the same {count} domain events.",
            file=sys.stderr,
        )
    return not difference
