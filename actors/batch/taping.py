"""From candle files and a strategy to tapes: what replay and backtest walk over."""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import numpy as np

from actors.batch.catalog import DataFile
from actors.batch.data import load_file, load_repaired, locate, row_count, span_of
from actors.batch.finer import finer_files, unmargined, with_more
from actors.batch.markets import read_markets
from actors.batch.room import BYTES_A_ROW, check_room, free_memory
from actors.batch.spreading import STOPPED, Unfinished, cores, may_fork, spread
from actors.judging.loader import StrategyMaker, surroundings_of
from engine.candles import Candles, timeframe_ms
from engine.config import candle_settings, quote_of
from engine.errors import DataError, StrategyError
from engine.market import Market
from engine.order import prefix_of
from engine.precision import price_steps
from engine.settings import Config, Settings
from engine.strategy import StrategyFacts, facts_of
from engine.tape import Judged, Tape
from engine.types import ONE, Millis
from engine.window import check_signals
from engine.work import Rules

INSTALLATION = "REPLAY"
AMOUNT_STEP = Decimal("1e-8")
WORTH_S: Final = 0.3
"""Work of so many seconds is spread over processes."""


@dataclass(frozen=True, slots=True)
class Taped:
    """A run's input: tapes and rules by pair, the whole frames behind them, and what must be said of the data.

    `failed` are pairs on which the strategy fails, `left_out` those of which nothing can be traded on; each with
    the reason. They are in none of the others. `interrupted`: Ctrl-C came before all were judged, and the others
    are left out.
    """

    tapes: Mapping[str, Tape]
    rules: Mapping[str, Rules]
    frames: Mapping[str, Candles]
    settings: Settings
    facts: StrategyFacts
    maker: StrategyMaker
    failed: Mapping[str, str]
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    interrupted: bool = False


def tape(
    config: Config,
    folder: str,
    pairs: Sequence[str],
    start: Millis | None,
    end: Millis | None,
    *,
    partly: bool = False,
) -> Taped:
    """Read the candles, judge them all, and trim: the strategy's start-up, or what is before `start` (2.1).

    A pair whose strategy fails is left out, and named in `failed`; one without candles to trade on in `left_out`.
    Without `pairs` all of the folder are meant that are traded for the coin of the stakes. `partly`: what Ctrl-C
    leaves is better than nothing, as long as one pair can be traded.

    Raises:
        KeyboardInterrupt: Ctrl-C came.
        StrategyError: the strategy cannot be loaded, or fails on every pair.
        DataError: files are missing or hold what cannot be used.
    """
    maker = maker_of(config, folder, pairs, end)
    facts = facts_of(maker.make())
    settings = candle_settings(config, facts)
    files, others = _meant(folder, pairs, facts.timeframe, config.trading.stake_currency)
    finer = finer_files(folder, files, facts.timeframe, config.feed.timeframe_detail)
    check_room(files.values(), free_memory(), finer.values())
    began = time.perf_counter()
    bench = _Bench(maker, facts, start, end)
    judged = _all_judged(bench, files, config.strategy.workers)
    for one in judged.values():
        if isinstance(one.error, DataError):
            raise one.error
    tapes = {pair: one.tape for pair, one in judged.items() if one.tape is not None}
    stopped = {pair: f"{STOPPED.why}." for pair, one in judged.items() if one is _STOPPED}
    if stopped and not (partly and tapes):
        raise KeyboardInterrupt
    failed = {pair: str(one.error) for pair, one in judged.items() if one.error is not None}
    if not tapes and failed:
        pair, why = next(iter(failed.items()))
        raise StrategyError(f"The strategy failed on every pair; on {pair}: {why}")
    if not tapes:
        held = ", ".join(f"{pair} {one.span}" for pair, one in list(judged.items())[:5])
        raise DataError(
            f"{folder}: no candles are left in the time asked for, after {facts.startup_candles} to start up;"
            f" there is {held}{f' and {len(judged) - 5} pairs more' if len(judged) > 5 else ''}."
        )
    idle = {p: one for p, one in judged.items() if one.tape is None and one.error is None and one is not _STOPPED}
    short = {p: f"there is {one.span}, of which {facts.startup_candles} candles start up." for p, one in idle.items()}
    frames = {pair: one.frame for pair, one in judged.items() if one.frame is not None and pair in tapes}
    seconds = {"read and judge": time.perf_counter() - began}
    tapes, notes = with_more(folder, tapes, facts.timeframe, config.feed.timeframe_detail)
    known = read_markets(folder)
    rules = {pair: rules_of(config, settings, tapes[pair], known.get(pair, {})) for pair in tapes}
    unknown = [pair for pair, own in rules.items() if own.market.is_futures and not own.market.tiers]
    notes = (*notes, *unmargined(unknown), *_too_poor(config))
    if stopped:
        notes += (f"Ended early: {len(stopped)} of {len(judged)} pairs were not judged; the others are traded.",)
    others |= short | stopped
    return Taped(tapes, rules, frames, settings, facts, maker, failed, notes, seconds, others, bool(stopped))


def _too_poor(config: Config) -> list[str]:
    """That no trade can ever be opened, where the stake is more than may be staked of the wallet."""
    trading, wallet = config.trading, config.paper.wallet
    usable = wallet * trading.tradable_balance_ratio
    if isinstance(trading.stake_amount, str) or trading.amend_last_stake_amount or trading.stake_amount <= usable:
        return []
    stake = f"{trading.stake_amount:f} {trading.stake_currency}"
    return [
        f"No trade can be opened: the stake is {stake}, and of the wallet's {wallet:f} only {usable:f} may be used."
    ]


def tell_left_out(taped: Taped) -> None:
    """Say on standard error what must be said of the data, and which pairs are not traded on, and why."""
    for note in taped.notes:
        print(note, file=sys.stderr)
    for pair, why in {**taped.failed, **taped.left_out}.items():
        print(f"{pair} is left out: {why}", file=sys.stderr)


def _meant(
    folder: str, pairs: Sequence[str], timeframe: str, currency: str
) -> tuple[dict[str, DataFile], dict[str, str]]:
    """The files of `pairs`; without any, those of the pairs for `currency`, and why the others are left out."""
    there = locate(folder, pairs, timeframe)
    others = [pair for pair in there if not pairs and quote_of(pair) != currency]
    if len(others) == len(there):
        raise DataError(
            f"{folder} has no pair that is traded for {currency}; there is {', '.join(others[:5])}. "
            "Set stake_currency under [trading] to the coin that they are traded for."
        )
    reasons = {pair: f"it is traded for {quote_of(pair)}, and stakes are in {currency}." for pair in others}
    return {pair: file for pair, file in there.items() if pair not in reasons}, reasons


def _first(candles: Candles, startup: int, start: Millis | None) -> int:
    """The row of the first candle whose signal counts."""
    return startup if start is None else max(startup, int(np.searchsorted(candles.ts, start)))


@dataclass(frozen=True, slots=True)
class _One:
    """A pair read and judged: its frame and tape, or what was wrong; `span` is what its file has.

    Without tape and error there are no candles to trade on in the time asked for.
    """

    frame: Candles | None
    tape: Tape | None
    error: Exception | None = None
    span: str = ""


_STOPPED: Final = _One(None, None)
"""A pair that is not judged, since the user wants an end."""


@dataclass(frozen=True, slots=True)
class _Bench:
    """Reads and judges one pair after the other."""

    maker: StrategyMaker
    facts: StrategyFacts
    start: Millis | None
    end: Millis | None

    def judge(self, item: tuple[str, DataFile]) -> _One:
        """One pair from its file to its tape."""
        pair, file = item
        try:
            whole = load_file(file, pair, self.facts.timeframe).candles
        except DataError as error:
            return _One(None, None, error)
        span = span_of(whole)
        frame = whole if self.end is None else whole[: int(np.searchsorted(whole.ts, self.end))]
        if _first(frame, self.facts.startup_candles, self.start) > len(frame) - 2:
            return _One(frame, None, None, span)  # one candle is to signal on, the next to act at
        try:
            return _One(frame, tape_of(self.maker, frame, self.facts.startup_candles, self.start), None, span)
        except StrategyError as error:
            return _One(frame, None, error, span)


def _all_judged(bench: _Bench, files: Mapping[str, DataFile], workers: int | None) -> dict[str, _One]:
    """All pairs, on all cores where that is worth the while: the first tells how long they take."""
    items = list(files.items())
    began = time.perf_counter()
    found = [_unless_stopped(bench, items[0])]
    left, took = items[1:], time.perf_counter() - began
    processes = cores() if workers is None else workers
    if processes > 1 and took * len(left) > WORTH_S and may_fork():
        size = sum(map(row_count, files.values())) * BYTES_A_ROW
        found += map(_unless_unfinished, spread(bench.judge, left, processes, size))
    else:
        for item in left:
            found.append(_unless_stopped(bench, item, found[-1]))
    return {pair: one for (pair, _), one in zip(items, found, strict=True)}


def _unless_stopped(bench: _Bench, item: tuple[str, DataFile], before: _One | None = None) -> _One:
    """Judge a pair, unless Ctrl-C came with it or with one before."""
    if before is _STOPPED:
        return before
    try:
        return bench.judge(item)
    except KeyboardInterrupt:
        return _STOPPED


def _unless_unfinished(one: _One | Unfinished) -> _One:
    """What another process made of a pair."""
    if isinstance(one, _One):
        return one
    return _STOPPED if one.stopped else _One(None, None, StrategyError(one.why))


def maker_of(config: Config, folder: str, pairs: Sequence[str], end: Millis | None = None) -> StrategyMaker:
    """The maker of the config's strategy, which may look at other candles of the folder. Raises as `tape`."""
    wanted = config.strategy
    around = replace(surroundings_of(config, "backtest", pairs), candles=WholeCandles(folder, end), is_whole=True)
    return StrategyMaker(wanted.name, wanted.parameters, wanted.overrides, around)


class WholeCandles:
    """Whom a strategy asks for candles of other pairs and timeframes: the same folder, cut at the same time.

    What was asked once is kept, also when it is sent to another machine.
    """

    def __init__(self, folder: str, end: Millis | None) -> None:
        self._folder, self._end = folder, end
        self._known: dict[tuple[str, str], Candles | None] = {}

    def __call__(self, pair: str, timeframe: str) -> Candles | None:
        """The candles of a pair and timeframe; None where there are none."""
        key = (pair, timeframe)
        if key not in self._known:
            self._known[key] = _whole(self._folder, pair, timeframe, self._end)
        return self._known[key]


def _whole(folder: str, pair: str, timeframe: str, end: Millis | None) -> Candles | None:
    try:
        candles = load_repaired(folder, [pair], timeframe)[pair].candles
    except DataError:
        return None
    return candles if end is None else candles[: int(np.searchsorted(candles.ts, end))]


def tape_of(
    maker: StrategyMaker, candles: Candles, startup: int, start: Millis | None, like: Tape | None = None
) -> Tape:
    """One pair's candles from `start` on, or from the first whose signal counts, and all signals on them.

    `like` is a tape of the same candles, whose price steps and funding need not be found out again.

    Raises:
        StrategyError: the strategy fails on these candles.
    """
    answer = check_signals(maker.signals(candles), len(candles))
    first = _first(candles, startup, start)
    judged = Judged(answer.since(first), candles.ts[first:])
    if like is not None:
        return replace(like, candles=candles[first:], signals=judged)
    return Tape(candles[first:], judged, price_steps(candles))


def rules_of(config: Config, settings: Settings, taped: Tape, known: Mapping[str, Any] | None = None) -> Rules:
    """A pair's rules: the finest price step of its data, and the fee of the config for both ways (2.1.5).

    `known` are the market's fields that are known besides, such as its amount step.
    """
    known = known or {}
    pair = taped.candles.pair
    base, _, quote = pair.partition("/")
    fee = max(config.paper.taker_fee, config.paper.maker_fee)
    market = Market(
        pair=pair,
        base=base,
        quote=quote.partition(":")[0],
        price_step=min((step for _, step in taped.price_steps), default=known.get("price_step", AMOUNT_STEP)),
        amount_step=known.get("amount_step", AMOUNT_STEP),
        amount_min=known.get("amount_min"),
        amount_max=known.get("amount_max"),
        cost_min=known.get("cost_min"),
        cost_max=known.get("cost_max"),
        maker_fee=fee,
        taker_fee=fee,
        leverage_max=known.get("leverage_max", config.paper.leverage_max),
        contract_size=known.get("contract_size", ONE),
        tiers=known.get("tiers", ()),
        liquidation=known.get("liquidation", "isolated"),
    )
    detail = 0 if taped.detail is None else timeframe_ms(taped.detail.timeframe)
    # In a candle the machine's own rule is the guard (2.4).
    own = replace(settings, stop_on_venue=False, detail_ms=detail)
    prefix = prefix_of(INSTALLATION, 1, zlib.crc32(pair.encode()))
    return Rules(settings=own, market=market, order_prefix=prefix, run=1, fee=fee)


def named(taped: Taped, installation: str) -> Taped:
    """`taped` with client order ids of another installation."""
    rules = {
        pair: replace(own, order_prefix=prefix_of(installation, own.run, zlib.crc32(pair.encode())))
        for pair, own in taped.rules.items()
    }
    return replace(taped, rules=rules)


def timeframe_of(taped: Taped) -> Millis:
    """The length of the tapes' candles."""
    return timeframe_ms(taped.facts.timeframe)


def span_asked(start: str | None, end: str | None) -> tuple[Millis | None, Millis | None]:
    """The times of `--from` and `--to`. Raises DataError where one is no time, or they are the wrong way round."""
    first, last = time_of(start), time_of(end)
    if first is not None and last is not None and first >= last:
        raise DataError(f"--from {start} is not before --to {end}: no candle lies between; give an earlier --from.")
    return first, last


def time_of(text: str | None) -> Millis | None:
    """Milliseconds of a time on the command line, None where none was given; a time without a zone is in UTC."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DataError(f'"{text}" is no time; write it in ISO 8601, such as 2025-01-31 or 2025-01-31T12:00') from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)
