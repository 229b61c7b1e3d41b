"""Download: an exchange's past, into our layout (`docs/data.md`); what is there is not read again.

Rules
    A file says in itself which times were asked for and had nothing (`Empty`): an exchange without trades, or a market
    before its first day. Everything else that is missing is asked for: before, after, and in between.
    A candle is stored when it has closed. What no sane market gives is left out and counted.
    Files are written whole, every `FLUSH` rows and at the end, Ctrl-C included: a later run goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from actors.batch.candle_files import COLUMNS, origin_of, put, write_parquet
from actors.batch.catalog import CANDLES, FUNDING, path_of
from actors.batch.markets import FILE, read_markets
from actors.batch.readers import read
from engine.candles import timeframe_ms
from engine.errors import DataError
from engine.market import Market
from engine.mending import mend
from engine.repair import Refusal
from engine.types import ONE, Millis

FLUSH: Final = 100_000
LOOK_S: Final = 0.2
CLOSE_ENOUGH: Final = 200
"""Holes with less than so many candles between them are read in one run."""

FUNDING_TIMEFRAME: Final = "8h"
"""What our layout calls files of funding rates, whatever their rhythm; Freqtrade does the same."""

Span = tuple[Millis, Millis]


@dataclass(slots=True, eq=False)
class Target:
    """One file to be filled: its rows so far, and what was asked for in vain.

    What lies after `settled` is too fresh for that: an exchange may tell of it later.
    """

    path: Path
    pair: str
    kind: str
    timeframe: str
    step_ms: Millis
    ts: npt.NDArray[np.int64]
    columns: tuple[npt.NDArray[np.float64], ...]
    empty: list[Span] = field(default_factory=list)
    settled: Millis = 0
    added: int = 0
    dropped: int = 0
    waiting: list[tuple[float, ...]] = field(default_factory=list)
    changed: bool = False

    @property
    def rows(self) -> int:
        """How many rows the file has, with those that are not written yet."""
        return len(self.ts) + len(self.waiting)


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """What became of one file. `what`: downloaded, extended, whole, stopped, failed, nothing."""

    path: Path
    pair: str
    kind: str
    timeframe: str
    what: str
    why: str = ""
    rows: int = 0
    added: int = 0
    first: Millis = 0
    last: Millis = 0

    @property
    def failed(self) -> bool:
        """Whether something is missing that a later run may bring."""
        return self.what in {"failed", "refused"}


def target_of(folder: Path, exchange: str, kind: str, pair: str, timeframe: str) -> Target:
    """A file of our layout as it is, or as it will be.

    Raises:
        DataError: it is there and cannot be read.
    """
    path = path_of(folder, exchange, kind, pair, timeframe)
    wanted = COLUMNS[kind]
    if path.exists():
        rows = read(path, wanted)
        order = np.argsort(rows.ts, kind="stable")
        ts, columns = rows.ts[order], tuple(column[order] for column in rows.columns)
    else:
        ts, columns = np.empty(0, np.int64), tuple(np.empty(0) for _ in wanted)
    step = 0 if kind == FUNDING else timeframe_ms(timeframe)
    return Target(path, pair, kind, timeframe, step, ts, columns, _empty_of(path))


def missing(target: Target, first: Millis, end: Millis) -> list[Span]:
    """The times of [first, end) that the file lacks and that were not asked for in vain, near ones in one."""
    step = target.step_ms
    if not step:
        return _missing_rates(target, first, end)
    grid = np.arange(-(-first // step) * step, end, step, dtype=np.int64)
    lacking = ~np.isin(grid, target.ts)
    for start, stop in target.empty:
        lacking &= (grid < start) | (grid >= stop)
    at = np.flatnonzero(lacking)
    if not len(at):
        return []
    breaks = np.flatnonzero(np.diff(at) > CLOSE_ENOUGH)
    starts, ends = at[np.concatenate(([0], breaks + 1))], at[np.concatenate((breaks, [len(at) - 1]))]
    return [(int(grid[a]), int(grid[b]) + step) for a, b in zip(starts, ends, strict=True)]


def _missing_rates(target: Target, first: Millis, end: Millis) -> list[Span]:
    """Rates come at no fixed times: those before the first one known, and after the last."""
    known_first, after_last = (int(target.ts[0]), int(target.ts[-1]) + 1) if len(target.ts) else (end, end)
    spans = [(first, known_first), (max(first, after_last), end)]
    known = [stop for start, stop in target.empty if start <= first]
    spans = [(max(a, *known) if known and a == first else a, b) for a, b in spans]
    return [(a, b) for a, b in spans if a < b]


def take(target: Target, rows: Sequence[tuple[float, ...]], span: Span) -> None:
    """A page has come: what it holds, and the span that it answers."""
    target.waiting.extend(rows)
    target.changed = target.changed or bool(rows)
    step = target.step_ms
    if not rows or (step and len(rows) < (span[1] - span[0]) // step):
        had = {int(row[0]) for row in rows}
        for start, stop in _holes(span, had, step):
            _add_empty(target, start, stop)


def _holes(span: Span, had: set[int], step: Millis) -> Iterator[Span]:
    if not step:
        if not had:
            yield span
        return
    start: Millis | None = None
    for ts in range(span[0], span[1], step):
        if ts in had:
            if start is not None:
                yield start, ts
            start = None
        elif start is None:
            start = ts
    if start is not None:
        yield start, span[1]


def _add_empty(target: Target, start: Millis, stop: Millis) -> None:
    stop = min(stop, target.settled)
    if start >= stop:
        return
    target.changed = True
    if target.empty and target.empty[-1][1] == start:
        target.empty[-1] = (target.empty[-1][0], stop)
    else:
        target.empty.append((start, stop))


def write(target: Target) -> None:
    """Put what has come into the file.

    Raises:
        DataError: the rows contradict each other beyond what a program may decide.
        StorageError: it cannot be written.
    """
    if not target.changed:
        return
    fresh = np.array(target.waiting, np.float64).reshape(len(target.waiting), 1 + len(COLUMNS[target.kind]))
    ts = np.concatenate((target.ts, fresh[:, 0].astype(np.int64)))
    columns = tuple(
        np.concatenate((old, np.ascontiguousarray(new)))
        for old, new in zip(target.columns, fresh[:, 1:].T, strict=True)
    )
    ts, columns, dropped = _in_order(target, ts, columns)
    if len(ts):
        origin = orjson.dumps({"by": "tradepit download", "empty": target.empty}).decode()
        write_parquet(target.path, target.kind, ts, columns, origin)
    target.added += len(ts) - len(target.ts)
    target.dropped += dropped
    target.ts, target.columns, target.waiting, target.changed = ts, columns, [], False


def _in_order(
    target: Target, ts: npt.NDArray[np.int64], columns: tuple[npt.NDArray[np.float64], ...]
) -> tuple[npt.NDArray[np.int64], tuple[npt.NDArray[np.float64], ...], int]:
    """Rows in order of time, each once: of two of one time the later read."""
    order = np.argsort(ts, kind="stable")
    ts, columns = ts[order], tuple(column[order] for column in columns)
    keep = np.append(ts[1:] != ts[:-1], True) if len(ts) else np.empty(0, np.bool_)
    ts, columns = ts[keep], tuple(column[keep] for column in columns)
    if target.kind == FUNDING or not len(ts):
        return ts, columns, 0
    mended = mend(target.timeframe, ts, columns)
    if isinstance(mended, Refusal):
        raise DataError(f"{target.path}: what the exchange says cannot be stored: {mended.why}.")
    return mended.ts, mended.columns, mended.dropped


def _empty_of(path: Path) -> list[Span]:
    try:
        told = orjson.loads(origin_of(path) or "{}")
    except orjson.JSONDecodeError:
        return []
    spans = told.get("empty", []) if isinstance(told, dict) else []
    return [(int(start), int(stop)) for start, stop in spans]


# ---------------------------------------------------------------- the rules of markets


def write_markets(folder: Path, markets: Mapping[str, Market]) -> None:
    """Write these markets' rules beside the candles; other pairs' stay as they are.

    Raises:
        DataError: the file that is there is none of ours.
        StorageError: it cannot be written.
    """
    path = folder / FILE
    read_markets(folder)
    known = orjson.loads(path.read_bytes()) if path.exists() else {}
    for pair, market in markets.items():
        kept = {name: value for name, value in known.get(pair, {}).items() if name in {"tiers", "liquidation"}}
        known[pair] = {**kept, **_rules(market)}
    content = orjson.dumps(known, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    put(path, lambda aside: aside.write_bytes(content))


def _rules(market: Market) -> dict[str, Any]:
    size = market.contract_size
    values = {
        "price": market.price_step,
        "amount": market.amount_step / size,
        "amount_min": None if market.amount_min is None else market.amount_min / size,
        "amount_max": None if market.amount_max is None else market.amount_max / size,
        "cost_min": market.cost_min,
        "cost_max": market.cost_max,
        "contract_size": size if size != ONE else None,
    }
    return {name: str(value.normalize()) for name, value in values.items() if value}


# ---------------------------------------------------------------- the whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be downloaded. Without `end`: up to now."""

    folder: Path
    exchange: str
    pairs: Sequence[str]
    timeframes: Sequence[str]
    start: Millis
    end: Millis | None = None


def targets_of(wish: Wish, *, funding: bool) -> list[Target]:
    """Every file that a wish is about. Raises DataError where one cannot be read."""
    found = [
        target_of(wish.folder, wish.exchange, CANDLES, pair, timeframe)
        for pair in wish.pairs
        for timeframe in wish.timeframes
    ]
    if funding:
        found += [target_of(wish.folder, wish.exchange, FUNDING, pair, FUNDING_TIMEFRAME) for pair in wish.pairs]
    return found


Progress = Callable[[int, int, str], None]
"""(parts done, parts in all, what is waited for): called a few times a second."""


def follow(pairs: Sequence[tuple[Target, Any]], running: Any, tell: Progress, reader: Any) -> None:
    """Write what the runs bring until `running`, their future, is done; whatever ends this, what has come is written."""
    total = sum(_parts(target, span) for target, run in pairs for span in run.spans)
    done = 0
    try:
        while True:
            over = running.done()
            for target, run in pairs:
                while run.pages:
                    rows, span = run.pages.popleft()
                    take(target, rows, span)
                    done += _parts(target, span)
                if len(target.waiting) >= FLUSH or (run.done and target.changed):
                    write(target)
            tell(done, total, reader.waiting)
            if over:
                running.result()
                return
            time.sleep(LOOK_S)
    finally:
        running.cancel()
        for target, _ in pairs:
            write(target)


def _parts(target: Target, span: Span) -> int:
    return (span[1] - span[0]) // (target.step_ms or 3_600_000)


def outcome_of(target: Target, run: Any) -> Downloaded:
    """What is said of a file in the end."""
    if run is None:
        what, why = "whole", ""
    elif run.failed:
        what, why = "failed", f"{run.failed}; begun again, it goes on"
    elif not run.done:
        what, why = "stopped", "begun again, it goes on"
    elif not len(target.ts):
        what, why = "nothing", "the exchange has none in this time"
    else:
        what, why = ("extended" if target.added < len(target.ts) else "downloaded") if target.added else "whole", ""
    if target.dropped:
        why = f"{why}; " * bool(why) + f"{target.dropped} rows that no sane market gives were left out"
    first, last = (int(target.ts[0]), int(target.ts[-1])) if len(target.ts) else (0, 0)
    return Downloaded(
        path=target.path,
        pair=target.pair,
        kind=target.kind,
        timeframe=target.timeframe,
        what=what,
        why=why,
        rows=len(target.ts),
        added=target.added,
        first=first,
        last=last,
    )
