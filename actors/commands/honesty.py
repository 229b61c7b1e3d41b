"""`lookahead` and `recursive`: whether a strategy's signals are what live trading would have seen."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from actors.batch.data import load_repaired
from actors.batch.honesty import Changed, Judging, Reach, lookahead, recursion
from actors.batch.taping import maker_of, span_asked
from actors.commands.common import print_json, print_table, time_text, with_arguments
from actors.config_file import read_config
from actors.judging.loader import StrategyMaker
from engine.candles import Candles
from engine.errors import DataError, StrategyError
from engine.messages import Signal
from engine.strategy import facts_of
from engine.tape import Judged
from engine.types import Millis
from engine.window import check_signals, window_size

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Subject:
    """One pair's candles, what the strategy says of them in one pass, and how to ask it afresh."""

    candles: Candles
    whole: Mapping[Millis, Signal]
    startup: int
    window: int
    maker: StrategyMaker

    def judging(self) -> Judging:
        """A strategy that has judged nothing yet."""
        return self.maker.fresh().signals


def run(arguments: argparse.Namespace) -> int:
    """Look at every pair; 1 where signals differ."""
    return _lookahead(arguments) if arguments.command == "lookahead" else _recursive(arguments)


def _subjects(arguments: argparse.Namespace) -> Iterator[Subject]:
    config = with_arguments(read_config(arguments.config), arguments)
    folder = arguments.data or config.feed.data
    if not folder:
        raise DataError("There are no candles to judge: give --data DIR, or set feed.data in the config.")
    start, end = span_asked(arguments.start, arguments.end)
    maker = maker_of(config, folder, config.trading.pairs, end)
    facts = facts_of(maker.make())
    for pair, repaired in load_repaired(folder, config.trading.pairs, facts.timeframe).items():
        candles = _part(repaired.candles, start, end)
        if len(candles) <= facts.startup_candles:
            raise DataError(
                f"{folder}: {pair} has {len(candles)} candles in the time asked for; "
                f"{facts.startup_candles} are the strategy's start-up, so none is left to look at."
            )
        try:
            answer = check_signals(maker.signals(candles), len(candles))
        except StrategyError as error:
            raise StrategyError(f"The strategy fails on {pair}: {error}") from error
        yield Subject(candles, Judged(answer, candles.ts), facts.startup_candles, facts.window_candles, maker)


def _part(candles: Candles, start: Millis | None, end: Millis | None) -> Candles:
    first = 0 if start is None else int(np.searchsorted(candles.ts, start))
    last = len(candles) if end is None else int(np.searchsorted(candles.ts, end))
    return candles[first:last]


def _lookahead(arguments: argparse.Namespace) -> int:
    changed: list[Changed] = []
    signals = pairs = 0
    for subject in _subjects(arguments):
        found = lookahead(subject.judging, subject.candles, subject.whole, subject.startup, arguments.cuts)
        changed += found
        signals += len(subject.whole)
        pairs += 1
        _progress(arguments, f"{subject.candles.pair}: {len(found)} signals changed")
    if arguments.json:
        print_json(
            {"pairs": pairs, "signals": signals, "cuts": arguments.cuts, "changed": [asdict(c) for c in changed]}
        )
    elif changed:
        print(f"{len(changed)} signals are not the same when the future is cut off; the first of them:")
        _print_changed(changed)
        print("Such a strategy cannot trade live as it does in a backtest: look for shift(-1), a whole column's")
        print("mean, minimum or maximum, or another timeframe's candle that had not closed yet.")
    elif not signals:
        print(f"No signal on {pairs} pairs, so nothing could be compared.")
    else:
        print(f"No lookahead was found: {signals} signals on {pairs} pairs, {arguments.cuts} cuts a pair.")
    return 1 if changed else 0


def _recursive(arguments: argparse.Namespace) -> int:
    reaches: list[Reach] = []
    startup = live = 0
    for subject in _subjects(arguments):
        startup, live = subject.startup, window_size(subject.startup, subject.window)
        reaches += recursion(
            subject.judging, subject.candles, subject.whole, startup, arguments.lengths, arguments.cuts, subject.window
        )
        _progress(arguments, f"{subject.candles.pair}: done")
    bad = [r for r in reaches if r.length >= live and r.differ]
    if arguments.json:
        print_json({"startup": startup, "live_window": live, "lengths": [asdict(r) for r in reaches]})
        return 1 if bad else 0
    rows = [
        _reach_row(r.length, [x for x in reaches if x.length == r.length], startup, live) for r in _by_length(reaches)
    ]
    print_table(["candles", "judged", "differ", "share", "which"], rows)
    if bad:
        first = bad[0].first
        assert first is not None
        print(f"The newest signal hangs on how much came before: with {bad[0].length} candles, {_sentence(first)}.")
        print("A longer startup_candles makes live and backtest agree.")
    else:
        print(f"Live, a window of {live} candles gives the signals that the whole data gives.")
    return 1 if bad else 0


def _by_length(reaches: list[Reach]) -> list[Reach]:
    return sorted({r.length: r for r in reaches}.values(), key=lambda r: r.length)


def _reach_row(length: int, of_length: list[Reach], startup: int, live: int) -> list[object]:
    judged, differ = sum(r.judged for r in of_length), sum(r.differ for r in of_length)
    which = {live: "the window live", startup + 1: "the start-up alone"}.get(length, "")
    return [length, judged, differ, f"{differ / judged:.1%}" if judged else "-", which]


def _print_changed(changed: list[Changed]) -> None:
    rows = [(c.pair, time_text(c.ts), c.field, c.whole, c.cut, time_text(c.cut_after)) for c in changed[:SHOWN]]
    print_table(["pair", "candle", "signal", "in one pass", "cut off", "known until"], rows)


def _sentence(change: Changed) -> str:
    return f"{change.pair} at {time_text(change.ts)}: {change.field} is {change.cut!r} instead of {change.whole!r}"


def _progress(arguments: argparse.Namespace, text: str) -> None:
    if sys.stderr.isatty() and not arguments.json:
        print(text, file=sys.stderr)
