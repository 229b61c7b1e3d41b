"""What a run may have beside its candles: a finer timeframe to trade on, and what futures pay for funding.

Funding needs a rate and the mark price of its moment; where either is not stored it counts as zero, and that is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from actors.batch.catalog import FUNDING, MARK, DataFile, files_in
from actors.batch.data import FundingRates, load_file, load_funding, load_marks, locate
from actors.batch.markets import FILE
from engine.candles import Candles, timeframe_ms
from engine.errors import DataError
from engine.margin import FundingRate
from engine.tape import Tape
from engine.types import exact

_MINUTE: Final = 60_000


def with_more(
    folder: str | Path, tapes: Mapping[str, Tape], timeframe: str, detail: str
) -> tuple[dict[str, Tape], tuple[str, ...]]:
    """The tapes with candles of the timeframe `detail` (empty: none) and with funding; and what must be said of them.

    Raises:
        DataError: `detail` is not finer than `timeframe`, or candles of it are missing for a pair.
    """
    finer = {
        pair: load_file(file, pair, detail).candles
        for pair, file in finer_files(folder, tapes, timeframe, detail).items()
    }
    funding, notes = funding_in(folder, tapes)
    more = {pair: replace(tape, detail=finer.get(pair), funding=funding.get(pair, ())) for pair, tape in tapes.items()}
    return more, notes


def finer_files(folder: str | Path, pairs: Iterable[str], timeframe: str, detail: str) -> dict[str, DataFile]:
    """Each pair's file of the timeframe `detail`; none where that is empty.

    Raises:
        DataError: `detail` is not finer than `timeframe`, or candles of it are missing for a pair.
    """
    if not detail:
        return {}
    try:
        whole, part = timeframe_ms(timeframe), timeframe_ms(detail)
    except ValueError as error:
        raise DataError(f"timeframe_detail: {error}.") from error
    if part >= whole or whole % part:
        raise DataError(
            f"timeframe_detail is {detail}; it must be finer than the strategy's {timeframe}, and fit into it."
        )
    return locate(folder, tuple(pairs), detail)


def funding_in(folder: str | Path, pairs: Iterable[str]) -> tuple[dict[str, tuple[FundingRate, ...]], tuple[str, ...]]:
    """(the funding of each future that has rates and mark prices in `folder`, a sentence about those that have not).

    Raises:
        DataError: there is a file, and it cannot be used.
    """
    futures = [pair for pair in pairs if ":" in pair]
    if not futures:
        return {}, ()
    files = files_in(Path(folder))
    there = {kind: {file.pair for file in files if file.kind == kind} for kind in (FUNDING, MARK)}
    known = [pair for pair in futures if pair in there[FUNDING] and pair in there[MARK]]
    found: dict[str, tuple[FundingRate, ...]] = {}
    if known:
        rates, marks = load_funding(folder, known), load_marks(folder, known)
        found = {pair: funding_of(pair, rates[pair], marks[pair]) for pair in known}
    return found, unfunded([pair for pair in futures if pair not in found])


def unfunded(pairs: Sequence[str]) -> tuple[str, ...]:
    """What is said of futures without stored funding."""
    if not pairs:
        return ()
    return (f"{_named(pairs)}: no funding rates with mark prices are stored; funding counts as zero.",)


def unmargined(pairs: Sequence[str]) -> tuple[str, ...]:
    """What is said of futures of which no leverage tiers are known."""
    return (f"{_named(pairs)}: no leverage tiers are in {FILE}; nothing is liquidated.",) if pairs else ()


def _named(pairs: Sequence[str]) -> str:
    return ", ".join(pairs[:5]) + (f" and {len(pairs) - 5} more" if len(pairs) > 5 else "")


def funding_of(pair: str, rates: FundingRates, marks: Candles) -> tuple[FundingRate, ...]:
    """Each rate with the open of the mark price's candle; a rate without one is left out, as it cannot be reckoned.

    Venues write the time some milliseconds late: the minute counts.
    """
    times = rates.ts - rates.ts % _MINUTE
    at = np.searchsorted(marks.ts, times, side="right") - 1
    length = timeframe_ms(marks.timeframe)
    return tuple(
        FundingRate(pair=pair, ts=int(ts), rate=exact(float(rate)), price=exact(float(marks.open[place])))
        for ts, rate, place in zip(times, rates.rate, at, strict=True)
        if place >= 0 and ts < marks.ts[place] + length
    )
