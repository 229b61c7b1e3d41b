"""The built-in market: the same at every asking, made of its ticks, on its steps, and like a market."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.candles import MINUTE
from engine.noise import exponential, keys, knots
from engine.synthetic import SyntheticMarket

START = 1_767_225_600_000  # 2026-01-01
MARKET = SyntheticMarket(7, 12)

PINNED = [[84437.0, 3469.1, 123.97], [84429.0, 3468.9, 124.0], [83707.0, 3500.4, 121.17]]

moments = st.integers(START, START + 400 * 24 * 3_600_000)
pair_numbers = st.integers(0, 11)


def test_pairs_are_unique_and_independent_of_how_many_there_are() -> None:
    """Two thousand pairs have two thousand names, and the first twelve are those of the market of twelve."""
    many = SyntheticMarket(7, 2_000)

    assert len(set(many.pairs)) == 2_000
    assert many.pairs[:12] == MARKET.pairs
    assert MARKET.pairs[0] == "BTC/USDT"
    assert MARKET.price(3, START) == many.price(3, START)


def test_a_pair_never_trades_its_quote_against_itself() -> None:
    """With BTC as the quote there is no BTC/BTC."""
    assert "BTC/BTC" not in SyntheticMarket(1, 100, "BTC").pairs


def test_a_market_of_no_pairs_is_refused() -> None:
    """Zero pairs raise ValueError."""
    with pytest.raises(ValueError, match="at least one pair"):
        SyntheticMarket(1, 0)


def test_same_seed_same_prices_and_another_seed_others() -> None:
    """The seed alone decides: equal seeds give equal bits, different seeds different paths."""
    at = START + np.arange(50) * 7_777

    assert (SyntheticMarket(7, 12).price(5, at) == MARKET.price(5, at)).all()
    assert (SyntheticMarket(8, 12).price(5, at) != MARKET.price(5, at)).any()


def test_the_market_of_seed_one_is_pinned() -> None:
    """Seed 1 gives these prices in every version and on every machine, since records refer to it."""
    market = SyntheticMarket(1, 3)

    assert [market.price([0, 1, 2], START + shift).tolist() for shift in (0, 1_000, 86_400_000)] == PINNED


@settings(max_examples=60, deadline=None)
@given(pair_numbers, moments)
def test_random_access_equals_the_sequence(pair: int, at: int) -> None:
    """A price asked for alone is the one that a run of ticks has at that second."""
    run = MARKET.ticks(MARKET.pairs[pair], at - 90_000, at + 1)

    assert run[-1] == MARKET.price(pair, at)


@settings(max_examples=40, deadline=None)
@given(pair_numbers, moments, st.sampled_from([1, 5, 15, 60]))
def test_candles_are_made_of_their_ticks(pair: int, at: int, minutes: int) -> None:
    """Open is the first tick, close the last, high and low the extremes; and the range of the time says the same."""
    name = MARKET.pairs[pair]
    length = minutes * MINUTE
    ts = at // length * length
    ticks = MARKET.ticks(name, ts, ts + length)
    candle = next(iter(MARKET.candles([name], length, ts, 1)[name]))

    assert len(ticks) == minutes * 60
    assert candle[:5] == (ts, ticks[0], ticks.max(), ticks.min(), ticks[-1])
    assert MARKET.range(name, ts - 1_000, ts + length - 1_000) == candle[1:5]


@settings(max_examples=40, deadline=None)
@given(moments, st.integers(0, 400_000))
def test_ranges_are_those_of_the_ticks_after_the_first_moment(at: int, length: int) -> None:
    """A range covers the ticks in (t0, t1]: none gives None, one a point, more their extremes, for all pairs alike."""
    found = MARKET.ranges([2, 9], at, at + length)
    for column, pair in enumerate((2, 9)):
        ticks = MARKET.ticks(MARKET.pairs[pair], at + 1, at + length + 1)
        if found is None:
            assert len(ticks) == 0
            continue
        got = tuple(values[column] for values in (found.open, found.high, found.low, found.close))
        assert got == (ticks[0], ticks.max(), ticks.min(), ticks[-1])
        assert found.ts == (at + length) // 1_000 * 1_000


@settings(max_examples=40, deadline=None)
@given(moments)
def test_candles_are_sane_and_on_the_steps(at: int) -> None:
    """High is at or above, low at or below open and close, and every value is written as a multiple of its step."""
    rules = MARKET.markets()
    for pair, candles in MARKET.candles(MARKET.pairs, MINUTE, at // MINUTE * MINUTE, 3).items():
        for candle in candles:
            assert candle.high >= max(candle.open, candle.close) >= min(candle.open, candle.close) >= candle.low > 0
            for price in candle[1:5]:
                assert Decimal(repr(price)) % rules[pair].price_step == 0
            assert candle.volume >= 0
            assert Decimal(repr(candle.volume)) % rules[pair].amount_step == 0


@settings(max_examples=20, deadline=None)
@given(moments)
def test_all_pairs_at_once_equals_each_alone(at: int) -> None:
    """`closed_candles` gives each pair the candle that it has when asked for alone."""
    ts = at // MINUTE * MINUTE
    all_at_once = MARKET.closed_candles(ts)
    for i, pair in enumerate(MARKET.pairs):
        candle = next(iter(MARKET.candles([pair], MINUTE, ts, 1)[pair]))
        assert candle[1:] == tuple(
            column[i]
            for column in (all_at_once.open, all_at_once.high, all_at_once.low, all_at_once.close, all_at_once.volume)
        )


def test_long_runs_equal_short_ones() -> None:
    """Five hundred minutes in one question, cut up inside, equal five hundred questions."""
    whole = MARKET.candles(MARKET.pairs, MINUTE, START, 500)["ETH/USDT"]
    parts = [next(iter(MARKET.candles(["ETH/USDT"], MINUTE, START + i * MINUTE, 1)["ETH/USDT"])) for i in range(500)]

    assert list(whole) == parts


def test_a_bigger_timeframe_sums_the_volume_of_its_minutes() -> None:
    """An hour's volume is what its sixty minutes traded, to the rounding of each."""
    hour = MARKET.candles(["BTC/USDT"], 60 * MINUTE, START, 1)["BTC/USDT"].volume[0]
    minutes = MARKET.candles(["BTC/USDT"], MINUTE, START, 60)["BTC/USDT"].volume.sum()

    assert abs(hour - minutes) < 60e-6


@pytest.mark.parametrize("length", [30_000, 90_000, 0])
def test_candles_of_parts_of_minutes_are_refused(length: int) -> None:
    """A timeframe that is no whole number of minutes raises ValueError."""
    with pytest.raises(ValueError, match="whole minutes"):
        MARKET.columns(np.array([0]), length, START, 1)


def test_prices_move_like_a_market() -> None:
    """Volatility lies between 40 and 160 % a year, tails are fat, wild minutes follow wild ones, pairs go together."""
    closes = np.stack([c.close for c in MARKET.candles(MARKET.pairs, MINUTE, START, 20_000).values()], axis=1)
    moves = np.diff(np.log(closes), axis=0)
    volatility = moves.std(axis=0) * np.sqrt(525_960)
    tails = (moves**4).mean(axis=0) / (moves**2).mean(axis=0) ** 2
    size = np.abs(moves)
    clustering = [np.corrcoef(size[:-1, i], size[1:, i])[0, 1] for i in range(moves.shape[1])]
    together = np.corrcoef(moves.T)[np.triu_indices(moves.shape[1], 1)]

    assert 0.4 < volatility.min() <= volatility.max() < 1.6
    assert np.median(tails) > 4
    assert np.median(clustering) > 0.1
    assert 0.15 < np.median(together) < 0.8


def test_prices_stay_near_where_they_began() -> None:
    """Over ten years no pair leaves a factor of ten around its usual price, so five digits stay five digits."""
    values, _ = knots(keys(3, np.arange(20)), START // MINUTE, START // MINUTE + 1)
    years = [MARKET.price(np.arange(12), START + day * 86_400_000 * 10) for day in range(365)]

    assert np.abs(values).max() < 1_500
    assert (np.max(years, axis=0) / np.min(years, axis=0)).max() < 100


def test_the_exponential_is_right_to_twelve_digits() -> None:
    """The function that takes the place of the library's agrees with it."""
    x = np.linspace(-12, 12, 10_001)

    assert np.abs(exponential(x) / np.exp(x) - 1).max() < 1e-12


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**26), st.integers(0, 3), st.integers(0, 2**64 - 1))
def test_few_knots_are_bit_for_bit_those_of_many(first: int, more: int, seed: int) -> None:
    """The short way to a few minutes and the long way to many give the same paths and the same wildness."""
    stream = keys(seed, np.arange(3))
    values, wild = knots(stream, first, first + more)
    many_values, many_wild = knots(stream, first, first + 9)

    assert (values == many_values[: more + 1]).all()
    assert (wild == many_wild[: more + 1]).all()
