"""`lookahead` and `recursive`: whether a strategy's signals are what live trading would have seen."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from actors.batch.honesty import Changed, Judging, Reach, lookahead, recursion
from actors.batch.taping import Taped, span_asked, tape, tell_left_out
from actors.commands.common import print_json, print_table, reader_may_leave, time_text, with_arguments
from actors.commands.parsing import FAILED, OK
from actors.config_file import read_config
from actors.judging.loader import StrategyMaker
from engine.candles import Candles
from engine.errors import DataError
from engine.messages import Signal
from engine.types import Millis
from engine.window import window_size

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Subject:
    """One pair's candles, what the strategy says of them in one pass, and how to ask it afresh.

    `first` is the row of the first candle whose signal counts.
    """

    candles: Candles
    whole: Mapping[Millis, Signal]
    first: int
    maker: StrategyMaker

    def judging(self) -> Judging:
        """A strategy that has judged nothing yet."""
        return self.maker.fresh().signals


def run(arguments: argparse.Namespace) -> int:
    """Look at every pair that a backtest would trade on; 1 where signals differ, or the strategy fails on one."""
    config = with_arguments(read_config(arguments.config), arguments)
    folder = arguments.data or config.feed.data
    if not folder:
        raise DataError("There are no candles to judge: give --data DIR, or set feed.data in the config.")
    start, end = span_asked(arguments.start, arguments.end)
    taped = tape(config, folder, config.trading.pairs, start, end)
    tell_left_out(taped)
    with reader_may_leave():
        differ = (_lookahead if arguments.command == "lookahead" else _recursive)(arguments, taped)
    return FAILED if differ or taped.failed else OK


def _subjects(taped: Taped) -> Iterator[Subject]:
    for pair, own in taped.tapes.items():
        frame = taped.frames[pair]
        yield Subject(frame, own.signals, int(np.searchsorted(frame.ts, own.candles.ts[0])), taped.maker)


def _lookahead(arguments: argparse.Namespace, taped: Taped) -> bool:
    """Whether a signal changes when the future is cut off."""
    changed: list[Changed] = []
    signals = pairs = 0
    for subject in _subjects(taped):
        found = lookahead(subject.judging, subject.candles, subject.whole, subject.first, arguments.cuts)
        changed += found
        signals += len(subject.whole)
        pairs += 1
        _progress(arguments, f"{subject.candles.pair}: {len(found)} signals changed")
    if arguments.json:
        print_json(
            {
                "pairs": pairs,
                "signals": signals,
                "cuts": arguments.cuts,
                "changed": [asdict(c) for c in changed],
                "failed": dict(taped.failed),
            }
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
    return bool(changed)


def _recursive(arguments: argparse.Namespace, taped: Taped) -> bool:
    """Whether the newest signal of the window that is handed live hangs on what came before."""
    reaches: list[Reach] = []
    facts = taped.facts
    startup, window = facts.startup_candles, facts.window_candles
    live = window_size(startup, window)
    for subject in _subjects(taped):
        reaches += recursion(
            subject.judging,
            subject.candles,
            subject.whole,
            startup,
            arguments.lengths,
            arguments.cuts,
            window,
            first=subject.first,
        )
        _progress(arguments, f"{subject.candles.pair}: done")
    bad = [r for r in reaches if r.length >= live and r.differ]
    if arguments.json:
        print_json(
            {
                "startup": startup,
                "live_window": live,
                "lengths": [asdict(r) for r in reaches],
                "failed": dict(taped.failed),
            }
        )
        return bool(bad)
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
    return bool(bad)


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
