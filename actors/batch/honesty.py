"""Honesty about signals: do they know the future, and do they hang on where the data begins?

Backtests judge all candles in one pass; live, a strategy sees candle after candle. Both give the same
signals only if a strategy uses nothing that came later (lookahead) and nothing that hangs on how much
came before (recursion). So the same strategy is judged again on data that is cut off, as live would see
it, and every signal is compared. A cut right at a candle shows even a lookahead of one candle, and data
of other timeframes or pairs are cut off with it, since a strategy is only ever handed what is closed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from actors.batch.taping import Taped
from engine.candles import Candles
from engine.errors import StrategyError
from engine.messages import NO_SIGNAL, Signal
from engine.tape import Judged
from engine.types import Millis
from engine.window import check_signals, window_size

Judging = Callable[[Candles], object]
"""`signals()` of a strategy that has judged nothing before: state it keeps must not help it."""

FIELDS: Final = ("enter_long", "exit_long", "enter_short", "exit_short", "enter_tag", "exit_tag", "score")
CUTS: Final = 20
SAMPLED_CUTS: Final = 12
SAMPLED_CUTS_MIN: Final = 3
SAMPLED_CANDLES: Final = 1_000
SAMPLED_PAIRS: Final = 2
SAMPLED_WORK: Final = 40_000
"""Candles that a sample judges again for each pair, about: it must not be felt beside the backtest."""
LENGTHS: Final = (199, 399, 499, 999, 1_999)
"""Start-up lengths that are tried besides the strategy's own: those that Freqtrade's tool tries."""
_SCORE_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Changed:
    """One signal that is not the same when less is known.

    `ts` is the open time of the judged candle. `cut_after` is the newest candle that was known in the
    second judgement, `length` how many candles were.
    """

    pair: str
    ts: Millis
    field: str
    whole: Any
    cut: Any
    cut_after: Millis
    length: int


@dataclass(frozen=True, slots=True)
class Reach:
    """What a window of `length` candles gives: of `judged` candles, how many signals `differ`, and the first."""

    pair: str
    length: int
    judged: int
    differ: int
    first: Changed | None


def lookahead(
    judging: Callable[[], Judging],
    candles: Candles,
    whole: Mapping[Millis, Signal],
    startup: int,
    cuts: int = CUTS,
) -> list[Changed]:
    """The signals of `whole` that are others when what comes after them is cut off.

    `whole` are the signals judged on all of `candles`. Each of `cuts` cuts compares all candles up to it,
    and ends on a candle with a signal or, every other one, on one without; equal arguments, equal cuts.
    """
    found: dict[tuple[Millis, str], Changed] = {}
    for row in cut_rows(candles, whole, startup, cuts):
        part = candles[: row + 1]
        seen = Judged(check_signals(judging()(part), len(part)), part.ts)
        until, since = int(part.ts[-1]), int(candles.ts[startup])
        times = {ts for ts in (*seen, *whole) if since <= ts <= until}
        for ts in sorted(times):
            for change in _changes(candles.pair, ts, whole.get(ts, NO_SIGNAL), seen.get(ts, NO_SIGNAL), part):
                found.setdefault((ts, change.field), change)
    return sorted(found.values(), key=lambda c: (c.ts, c.field))


def cut_rows(candles: Candles, whole: Mapping[Millis, Signal], startup: int, cuts: int) -> list[int]:
    """The rows to cut after, in order: spread over the candles with a signal and over the others."""
    if len(candles) <= startup:
        return []
    judged = np.sort(np.fromiter(whole, np.int64, len(whole)))
    places = np.searchsorted(judged, candles.ts)
    signalled = np.append(judged, -1)[places] == candles.ts
    signalled[:startup] = False
    on = np.flatnonzero(signalled)
    off = startup + np.flatnonzero(~signalled[startup:])
    others = max(1, cuts // 2) if len(on) else cuts
    chosen = {*_spread(on, cuts - others), *_spread(off, others)}
    return sorted(chosen)


def recursion(
    judging: Callable[[], Judging],
    candles: Candles,
    whole: Mapping[Millis, Signal],
    startup: int,
    lengths: Sequence[int] = LENGTHS,
    rows: int = CUTS,
    window: int = 0,
    first: int = 0,
) -> list[Reach]:
    """For each length of window, whether its newest signal is that of the whole data.

    The strategy's own start-up and the window that it is handed live are always tried (`window` is what it
    wants that to be at least); a length that the data does not reach is left out. Rows from `first` on are looked at.
    """
    tried = sorted({startup + 1, window_size(startup, window), *lengths})
    reaches = []
    for length in (n for n in tried if n < len(candles)):
        chosen = cut_rows(candles, whole, max(startup, first, length - 1), rows)
        changed = []
        for row in chosen:
            part = candles[row + 1 - length : row + 1]
            seen = check_signals(judging()(part), length).at(length - 1)
            changed += list(
                _changes(candles.pair, int(candles.ts[row]), whole.get(int(candles.ts[row]), NO_SIGNAL), seen, part)
            )[:1]
        reaches.append(Reach(candles.pair, length, len(chosen), len(changed), changed[0] if changed else None))
    return reaches


def sampled_lookahead(
    judging: Callable[[], Judging], candles: Candles, whole: Mapping[Millis, Signal], startup: int
) -> list[Changed]:
    """A quick `lookahead` for every backtest: a few cuts in the first candles after the start-up."""
    end = min(len(candles), startup + SAMPLED_CANDLES)
    part = candles[:end]
    if not len(part):
        return []
    last = int(part.ts[-1])
    cuts = max(SAMPLED_CUTS_MIN, min(SAMPLED_CUTS, SAMPLED_WORK // end))
    return lookahead(judging, part, {ts: s for ts, s in whole.items() if ts <= last}, startup, cuts)


def sampled_warning(taped: Taped) -> str:
    """What a backtest says of a strategy that seems to know the future, or needs it; empty where nothing was seen."""
    pairs = list(taped.tapes)
    changed: list[Changed] = []
    for pair in pairs[:: max(1, -(-len(pairs) // SAMPLED_PAIRS))]:
        tape, frame = taped.tapes[pair], taped.frames[pair]
        first = int(np.searchsorted(frame.ts, tape.candles.ts[0]))
        try:
            changed += sampled_lookahead(lambda: taped.maker.fresh().signals, frame, tape.signals, first)
        except StrategyError as error:
            return f"The strategy fails on {pair} when what comes after is cut off, as it would live: {error}"
    if not changed:
        return ""
    at = np.datetime64(changed[0].ts, "ms").astype("datetime64[m]")
    return (
        f"The strategy seems to know the future: {len(changed)} signals of a sample are others when what comes after "
        f"is cut off, first {changed[0].field} of {changed[0].pair} at {str(at).replace('T', ' ')}. "
        'These results are worth nothing live; "tradepit lookahead" shows more.'
    )


def _spread(rows: np.ndarray[tuple[int, ...], np.dtype[np.int64]], count: int) -> list[int]:
    if not len(rows) or count <= 0:
        return []
    places = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)
    return list(dict.fromkeys(rows[places].tolist()))


def _changes(pair: str, ts: Millis, whole: Signal, cut: Signal, part: Candles) -> list[Changed]:
    """Where two signals of a candle differ; a tag or a score counts only where there is a signal."""
    if not whole and not cut:
        return []
    return [
        Changed(pair, ts, name, a, b, int(part.ts[-1]), len(part))
        for name in FIELDS
        if not _same(a := getattr(whole, name), b := getattr(cut, name))
    ]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=_SCORE_TOLERANCE, abs_tol=_SCORE_TOLERANCE)
    return bool(one == other)
