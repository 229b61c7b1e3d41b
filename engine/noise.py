"""Random paths that can be asked about any moment: hashed numbers, and Brownian motion built from them.

Why
    A simulated market must give the same price for the same second whoever asks, in whatever order,
    also after a restart and after weeks of downtime. A generator with a state would have to be
    played forward; here a number is a hash of *where* it belongs, so nothing is kept.

Theory of operation
    Lévy's construction: a path's values at the knots of a coarse grid are independent; the middle
    of every interval is the mean of its ends plus a displacement, whose size goes with the root of
    the interval's length; and so on down to the minute. A value is the sum of one displacement
    a level, so any minute costs the same. Inside a minute a Brownian bridge of 60 hashed steps joins
    its ends. Over times longer than the coarse grid's the path therefore comes back: prices stay
    near where they began.
    Displacements are multiplied by a cascade of slow random factors (one a level in `_BURSTS`), each
    constant over an interval of its level: quiet hours and wild ones, and the fat tails of both.
    Only additions, multiplications, table look-ups and roundings are used, which every machine
    does alike: equal arguments give equal bits everywhere.
"""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.candles import Floats

Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

STEPS: Final = 60
"""Steps in a minute: one a second."""

TOP: Final = 17
"""The coarse grid's interval is 2**TOP minutes: 91 days."""

_BURSTS: Final = frozenset({0, 3, 6, 9, 12})
_BURST: Final = 0.25
_FEW: Final = 4
_LEVELS: Final = np.arange(TOP, -1, -1, dtype=np.int64)
_BURST_ROWS: Final = np.flatnonzero(np.isin(_LEVELS, list(_BURSTS)))
_INSIDE: Final = TOP + 2
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_LANES: Final = 65_536
_S16, _S27, _S30, _S31, _S32, _S48 = (np.uint64(shift) for shift in (16, 27, 30, 31, 32, 48))


def mixed(values: Hashes) -> Hashes:
    """A well-mixed hash of each value (the finalizer of splitmix64)."""
    values = values ^ (values >> _S30)
    values *= _MIX_1
    values ^= values >> _S27
    values *= _MIX_2
    values ^= values >> _S31
    return values


def keys(seed: int, streams: npt.ArrayLike) -> Hashes:
    """One key for each stream number under `seed`: streams of different keys have nothing in common."""
    base = mixed(np.array([seed % 2**64], np.uint64) + _GOLDEN)
    return mixed(base ^ mixed(np.atleast_1d(np.asarray(streams, np.uint64)) * _GOLDEN + _MIX_1))


def hashes(stream: Hashes, place: int, numbers: Integers) -> Hashes:
    """Hashes of the numbered nodes of `place` in each stream; `stream` and `numbers` are broadcast."""
    counters = numbers.astype(np.uint64) + np.uint64(place << 48)
    return mixed(stream + counters * _GOLDEN)


@cache
def normals() -> Floats:
    """The standard normal's quantiles at 65,536 equal steps: 16 random bits look up a normal number.

    On a grid of 2**-24, so that another machine's logarithm cannot change a digit.
    """
    inverse = NormalDist().inv_cdf
    upper = np.array([inverse(0.5 + (i + 0.5) / _LANES) for i in range(_LANES // 2)])
    upper = np.rint(upper * 2**24) / 2**24
    table = np.concatenate([-upper[::-1], upper])
    table.setflags(write=False)
    return table


@cache
def bursts() -> Floats:
    """The factors of the cascade for 16 random bits each: lognormal, with a mean square of 1."""
    exact = np.array([math.exp(_BURST * z - _BURST * _BURST) for z in normals().tolist()])
    table: Floats = np.rint(exact * 2**24) / 2**24
    table.setflags(write=False)
    return table


def bits(values: Hashes, shift: np.uint64) -> npt.NDArray[np.uint16]:
    """Sixteen of the 64 bits, from `shift` on."""
    part: npt.NDArray[np.uint16] = (values >> shift).astype(np.uint16)
    return part


def knots(stream: Hashes, first: int, last: int) -> tuple[Floats, Floats]:
    """The paths of `stream` at the minutes `first` … `last`, and how wild each minute is.

    Rows are minutes, columns are streams. A path moves by about 1 a root of minute, more or less as
    the second array (its factor inside the minute that begins there) says.
    """
    minutes = np.arange(first, last + 1, dtype=np.int64)
    values = _coarse(stream, minutes)
    if len(minutes) <= _FEW:
        return _few_knots(stream, minutes, values)
    normal, burst = normals(), bursts()
    node0 = first >> TOP
    wild: Floats = np.ones((1, len(stream)))
    parent0 = node0 >> 1
    for level in range(TOP, -1, -1):
        node0 = first >> level
        nodes = np.arange(node0, (last >> level) + 1, dtype=np.int64)
        found = hashes(stream, level, nodes[:, None])
        wild = wild[(nodes >> 1) - parent0] if level < TOP else np.repeat(wild, len(nodes), axis=0)
        if level in _BURSTS:
            wild = wild * burst[bits(found, _S32)]
        parent0 = node0
        if level:
            moved = normal[bits(found, _S48)] * wild
            half = 2.0 ** (level - 1)
            place = (minutes & (2**level - 1)).astype(np.float64)
            tent = (1.0 - np.abs(place - half) / half) * (0.5 * math.sqrt(2.0**level))
            values += tent[:, None] * moved[(minutes >> level) - node0]
    return values, wild


def _coarse(stream: Hashes, minutes: Integers) -> Floats:
    """The paths on the straight lines between the knots of the coarse grid."""
    node0 = int(minutes[0]) >> TOP
    nodes = np.arange(node0, (int(minutes[-1]) >> TOP) + 2, dtype=np.int64)
    knots_there = normals()[bits(hashes(stream, TOP + 1, nodes[:, None]), _S48)] * math.sqrt(2.0 ** (TOP - 1))
    at = (minutes >> TOP) - node0
    part = ((minutes & (2**TOP - 1)) / 2.0**TOP)[:, None]
    values: Floats = knots_there[at] * (1.0 - part) + knots_there[at + 1] * part
    return values


def _few_knots(stream: Hashes, minutes: Integers, values: Floats) -> tuple[Floats, Floats]:
    """As `knots`, all levels in one go: for few minutes the work is little and the calls are what costs.

    Every operation is the one that `knots` does, in the same order, so the bits are the same.
    """
    nodes = (minutes >> _LEVELS[:, None]) + (_LEVELS << 48)[:, None]
    found = hashes(stream, 0, nodes[:, :, None])
    factors = np.ones(found.shape)
    factors[_BURST_ROWS] = bursts()[bits(found[_BURST_ROWS], _S32)]
    wild = np.cumprod(factors, axis=0)
    moved = normals()[bits(found[:-1], _S48)] * wild[:-1]
    half = np.ldexp(0.5, _LEVELS[:-1].astype(np.int32))[:, None]
    place = (minutes & ((1 << _LEVELS[:-1, None]) - 1)).astype(np.float64)
    tent = (1.0 - np.abs(place - half) / half) * (0.5 * np.sqrt(2.0 * half))
    moved *= tent[:, :, None]
    for level in moved:
        values += level
    return values, wild[-1]


def seconds(stream: Hashes, first: int, last: int) -> Floats:
    """The paths of `stream` at every second of the minutes `first` … `last` (inclusive).

    Shaped (60, minutes, streams): a minute's second 0 is its knot, second 59 the last before the next one's.
    """
    ends, wild = knots(stream, first, last + 1)
    minutes = np.arange(first, last + 1, dtype=np.int64)
    words = minutes[:, None] * 16 + np.arange(STEPS // 4, dtype=np.int64)[:, None, None]
    found = hashes(stream, _INSIDE, words)
    normal = normals()
    quarter = STEPS // 4
    walk = np.empty((STEPS, len(minutes), len(stream)))
    for lane, shift in enumerate((np.uint64(0), _S16, _S32, _S48)):
        # The index is 16 bits into a table of 2**16: "wrap" only spares numpy its check.
        np.take(normal, bits(found, shift), out=walk[lane * quarter : (lane + 1) * quarter], mode="wrap")
    np.cumsum(walk, axis=0, out=walk)
    part = (np.arange(STEPS) / STEPS)[:, None, None]
    end = walk[-1].copy()
    walk[1:] = walk[:-1]
    walk[0] = 0.0
    walk -= part * end
    walk *= wild[:-1] * (1.0 / math.sqrt(STEPS))
    walk += ends[:-1] * (1.0 - part)
    walk += ends[1:] * part
    return walk


def exponential(values: Floats) -> Floats:
    """`e**values` to 13 digits, by table and polynomial: equal bits on every machine, unlike a library's."""
    whole = np.rint(values * (64.0 / math.log(2.0)))
    rest = values - whole * (math.log(2.0) / 64.0)
    series = 1.0 + rest * (1.0 + rest * (0.5 + rest * (1.0 / 6.0 + rest * (1.0 / 24.0))))
    step = whole.astype(np.int64)
    result: Floats = np.ldexp(series * _ROOTS[step & 63], (step >> 6).astype(np.int32))
    return result


_ROOTS: Final = np.array([2.0 ** (i / 64.0) for i in range(64)])
