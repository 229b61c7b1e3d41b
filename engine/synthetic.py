"""The built-in market: any number of pairs, seeded, at any time, without keeping anything.

Guarantees
    The price of a pair at a second depends on the seed, the pair's number and that second only; not on
    who asked what before, on the number of pairs, on the machine. Each pair has one tick a second, at
    the full second. Candles and ranges are made of those ticks: a candle's open is its first tick.
    Prices, volumes and steps are floats that are *written* as multiples of the market's steps:
    `Decimal(repr(price))` is one, exactly.

Theory of operation
    A pair's logarithm of the price is its level plus its volatility times a path of `engine.noise`;
    part of that path is the market's own, common to all pairs, so they rise and fall together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.candles import MINUTE, Candles, Floats, timeframe_text
from engine.coins import COINS, coin_names
from engine.market import Market
from engine.noise import Integers, bits, bursts, exponential, hashes, keys, seconds
from engine.types import Millis

MINUTES_A_YEAR: Final = 525_960.0
_COMMON: Final = 2**32  # the market's own stream; pairs count from 0
_PROPERTIES: Final = 40
_VOLUMES: Final = 41
_COLUMNS: Final = 4_096  # minutes × pairs worked on at once: what fits into the processor's cache
_DIGITS: Final = 5


@dataclass(frozen=True, slots=True)
class Columns:
    """Open, high, low, close and volume as arrays; the same shape for all."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


@dataclass(frozen=True, slots=True)
class Ranges:
    """Where prices went in a time: one value a pair in each array, and the time of the last tick."""

    ts: Millis
    open: Floats
    high: Floats
    low: Floats
    close: Floats


@dataclass(frozen=True, slots=True)
class _Properties:
    """What makes the pairs differ; arrays by pair number."""

    level: Floats  # logarithm of the usual price
    own: Floats  # volatility of its own, a root of minute
    common: Floats  # its part of the market's
    turnover: Floats  # usual base volume a minute
    price_scale: Floats  # 10**decimals
    amount_scale: Floats


def _coarse(values: list[float]) -> Floats:
    """On a grid of 2**-24, so that another machine's logarithm or power cannot change a digit."""
    result: Floats = np.rint(np.array(values) * 2**24) / 2**24
    return result


class SyntheticMarket:
    """A market of `pairs` pairs against `quote`; equal arguments make equal markets, everywhere.

    It keeps nothing but its pairs' properties, so any number of threads may ask it.
    """

    def __init__(self, seed: int, pairs: int, quote: str = "USDT") -> None:
        if pairs < 1:
            raise ValueError(f"a market needs at least one pair, not {pairs}")
        self.seed = seed
        self.quote = quote
        self._bases = coin_names(pairs, quote)
        self.pairs: tuple[str, ...] = tuple(f"{base}/{quote}" for base in self._bases)
        self.index: Mapping[str, int] = {pair: i for i, pair in enumerate(self.pairs)}
        self._streams = keys(seed, np.arange(pairs))
        self._common = keys(seed, [_COMMON])

    # ------------------------------------------------------------ what is traded

    def markets(self) -> dict[str, Market]:
        """Each pair's rules: prices of five digits, amounts in steps worth about a hundredth of the quote coin."""
        found = self._properties
        rules = {}
        for i, pair in enumerate(self.pairs):
            amount_step = Decimal(1).scaleb(-round(math.log10(found.amount_scale[i])))
            rules[pair] = Market(
                pair=pair,
                base=self._bases[i],
                quote=self.quote,
                price_step=Decimal(1).scaleb(-round(math.log10(found.price_scale[i]))),
                amount_step=amount_step,
                amount_min=amount_step,
                cost_min=Decimal(5),
            )
        return rules

    @cached_property
    def _properties(self) -> _Properties:
        drawn = hashes(self._streams, _PROPERTIES, np.zeros(1, np.int64))
        even = [bits(drawn, np.uint64(shift)) / 65_536.0 for shift in (0, 16, 32, 48)]
        known = dict(COINS)
        made_up = [round(10.0 ** (-3.0 + 5.0 * part), 7) for part in even[0].tolist()]
        usual = [known.get(base, price) for base, price in zip(self._bases, made_up, strict=True)]
        volatility = (0.6 + 0.6 * even[1]) / math.sqrt(MINUTES_A_YEAR)
        share = 0.45 + 0.4 * even[2]
        digits = [math.floor(math.log10(price)) for price in usual]
        return _Properties(
            level=_coarse([math.log(price) for price in usual]),
            own=volatility * np.sqrt(1.0 - share * share),
            common=volatility * share,
            turnover=_coarse([10.0 ** (4.5 + 1.5 * p) / u for p, u in zip(even[3].tolist(), usual, strict=True)]),
            price_scale=np.array([10.0 ** max(0, _DIGITS - 1 - digit) for digit in digits]),
            amount_scale=np.array([10.0 ** max(0, digit + 2) for digit in digits]),
        )

    # ------------------------------------------------------------ prices

    def price(self, pair_idx: npt.ArrayLike, t_ms: npt.ArrayLike) -> Floats:
        """The newest price at each time, of each pair number; the two are broadcast against each other."""
        pair_idx, t_ms = np.broadcast_arrays(np.asarray(pair_idx, np.int64), np.asarray(t_ms, np.int64))
        shape = pair_idx.shape
        pair_idx, second = pair_idx.ravel(), t_ms.ravel() // 1_000
        result = np.empty(len(pair_idx))
        for minute in np.unique(second // 60).tolist():
            here = np.flatnonzero(second // 60 == minute)
            who, column = np.unique(pair_idx[here], return_inverse=True)
            moves = self._moves(who, minute, minute)[second[here] % 60, 0, column]
            result[here] = self._rounded(moves, pair_idx[here])
        return result.reshape(shape)

    def ticks(self, pair: str, t0_ms: Millis, t1_ms: Millis) -> Floats:
        """The pair's price at every full second from `t0_ms` (inclusive) to `t1_ms` (exclusive)."""
        first, end = -(-t0_ms // 1_000), -(-t1_ms // 1_000)
        if end <= first:
            return np.empty(0)
        who = np.array([self.index[pair]])
        parts = []
        for minute, last in self._chunks(first // 60, (end - 1) // 60, 1):
            moves = self._moves(who, minute, last)[:, :, 0].T.ravel()
            parts.append(moves[max(0, first - minute * 60) : end - minute * 60])
        return self._rounded(np.concatenate(parts), who)

    def range(self, pair: str, t0: Millis, t1: Millis) -> tuple[float, float, float, float] | None:
        """Open, high, low and close of the pair's ticks in (t0, t1]; None when there is none in it."""
        found = self.ranges([self.index[pair]], t0, t1)
        if found is None:
            return None
        return float(found.open[0]), float(found.high[0]), float(found.low[0]), float(found.close[0])

    def ranges(self, pair_idx: npt.ArrayLike, t0: Millis, t1: Millis) -> Ranges | None:
        """Open, high, low and close of the ticks in (t0, t1], of many pairs; None when there is no tick in it."""
        who = np.atleast_1d(np.asarray(pair_idx, np.int64))
        first, last = t0 // 1_000 + 1, t1 // 1_000
        if last < first:
            return None
        opened = closed = high = low = np.empty(0)
        for minute, end in self._chunks(first // 60, last // 60, len(who)):
            moves = self._moves(who, minute, end)
            flat = moves[:, 0, :] if minute == end else moves.transpose(1, 0, 2).reshape(-1, len(who))
            part = flat[max(0, first - minute * 60) : last - minute * 60 + 1]
            highest, lowest = part.max(axis=0), part.min(axis=0)
            if not len(opened):
                opened, high, low = part[0], highest, lowest
            closed, high, low = part[-1], np.maximum(high, highest), np.minimum(low, lowest)
        values = (self._rounded(column, who) for column in (opened, high, low, closed))
        return Ranges(last * 1_000, *values)

    # ------------------------------------------------------------ candles

    def candles(self, pairs: Sequence[str], timeframe_ms: Millis, from_ts: Millis, count: int) -> dict[str, Candles]:
        """`count` candles of each pair, the first opening at `from_ts` (a multiple of the timeframe)."""
        name = timeframe_text(timeframe_ms)
        who = np.array([self.index[pair] for pair in pairs], np.int64)
        columns = self.columns(who, timeframe_ms, from_ts, count)
        ts = np.arange(from_ts, from_ts + count * timeframe_ms, timeframe_ms, dtype=np.int64)
        result = {}
        for i, pair in enumerate(pairs):
            own = [np.ascontiguousarray(c[:, i]) for c in (columns.open, columns.high, columns.low, columns.close)]
            volume = np.ascontiguousarray(columns.volume[:, i])
            for array in (ts, volume, *own):
                array.setflags(write=False)
            opened, high, low, closed = own
            result[pair] = Candles(
                pair=pair, timeframe=name, ts=ts, open=opened, high=high, low=low, close=closed, volume=volume
            )
        return result

    def closed_candles(self, ts: Millis, timeframe_ms: Millis = MINUTE) -> Columns:
        """The candle that opens at `ts` of all pairs: arrays in the order of `pairs`."""
        found = self.columns(np.arange(len(self.pairs)), timeframe_ms, ts, 1)
        return Columns(found.open[0], found.high[0], found.low[0], found.close[0], found.volume[0])

    def columns(self, pair_idx: Integers, timeframe_ms: Millis, from_ts: Millis, count: int) -> Columns:
        """Candles as arrays shaped (candles, pairs).

        Raises:
            ValueError: the timeframe is not of whole minutes, or `from_ts` is no multiple of it.
        """
        if timeframe_ms % MINUTE or timeframe_ms <= 0:
            raise ValueError(f"the built-in market has candles of whole minutes, not of {timeframe_ms} ms")
        if from_ts % timeframe_ms:
            raise ValueError(f"no candle of {timeframe_ms} ms opens at {from_ts}")
        size = timeframe_ms // MINUTE
        first = from_ts // MINUTE
        shape = (count, len(pair_idx))
        logs = [np.empty(shape) for _ in range(4)]
        volume = np.zeros(shape)
        done = 0
        for start, end in self._chunks(0, count * size - 1, len(pair_idx), size):
            minutes = self._minutes(pair_idx, first + start, first + end)
            opened, high, low, closed, volumes = (m.reshape(-1, size, shape[1]) for m in minutes)
            part = slice(done, done + len(opened))
            logs[0][part], logs[1][part] = opened[:, 0], high.max(axis=1)
            logs[2][part], logs[3][part] = low.min(axis=1), closed[:, -1]
            volume[part] = volumes.sum(axis=1)
            done = part.stop
        scale = self._properties.amount_scale[pair_idx]
        opens, highs, lows, closes = (self._rounded(log, pair_idx) for log in logs)
        return Columns(opens, highs, lows, closes, np.rint(volume * scale) / scale)

    # ------------------------------------------------------------ how

    def _chunks(self, first: int, last: int, columns: int, multiple: int = 1) -> list[tuple[int, int]]:
        """Cut the minutes `first` … `last` into runs that fit the cache, of whole multiples."""
        step = max(1, _COLUMNS // max(1, columns) // multiple) * multiple
        return [(start, min(start + step - 1, last)) for start in range(first, last + 1, step)]

    def _moves(self, who: Integers, first: int, last: int) -> Floats:
        """Logarithms of the prices, relative to the pairs' levels, at all seconds: (60, minutes, pairs)."""
        if first < 0:
            raise ValueError("the built-in market begins in 1970")
        found = self._properties
        paths = seconds(np.concatenate([self._streams[who], self._common]), first, last)
        moves: Floats = paths[..., :-1] * found.own[who]
        moves += paths[..., -1:] * found.common[who]
        return moves

    def _minutes(self, who: Integers, first: int, last: int) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Open, high, low, close (logarithms) and volume of each minute: (minutes, pairs)."""
        found = self._properties
        moves = self._moves(who, first, last)
        high, low = moves.max(axis=0), moves.min(axis=0)
        minutes = np.arange(first, last + 1, dtype=np.int64)[:, None]
        drawn = bursts()[bits(hashes(self._streams[who], _VOLUMES, minutes), np.uint64(48))]
        usual = found.own[who] + found.common[who]
        volume = found.turnover[who] * drawn * drawn * (0.2 + (high - low) / usual)
        return moves[0], high, low, moves[-1], volume

    def _rounded(self, moves: Floats, who: Integers) -> Floats:
        found = self._properties
        scale = found.price_scale[who]
        prices: Floats = np.maximum(np.rint(exponential(moves + found.level[who]) * scale), 1.0) / scale
        return prices
