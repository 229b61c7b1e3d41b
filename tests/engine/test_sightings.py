"""Prices seen over a network: what is known, where a gap begins, and what candles tell of it afterwards."""

from __future__ import annotations

import pytest

from engine.candles import MINUTE, Candle
from engine.sightings import ROWS_MAX, Sight, Sightings

SECOND = 1_000
START = 10 * MINUTE


def watched(at: int = START + 5 * SECOND, price: float = 100.0) -> Sightings:
    """A pair whose stream is heard, and whose candles were read when it was heard first."""
    seen = Sightings(at)
    seen.told(at + 10, price, price - 0.1, price + 0.1)
    seen.filled([Candle(at // MINUTE * MINUTE, 99.0, 101.0, 98.5, price, 1.0)], MINUTE, at + 20)
    return seen


def spans(seen: Sightings, after: int) -> list[tuple[float, float, float, float]]:
    """Each second's range from `after` on, as it is known."""
    found = (seen.range(at, at + SECOND) for at in range(after, seen.known + 1, SECOND))
    return [sight[1:] for sight in found if sight is not None]


def test_nothing_is_known_before_the_first_gap_is_closed() -> None:
    """A stream's first price says nothing of the time before it: candles must."""
    seen = Sightings(START)
    assert seen.gap == START
    seen.told(START + 50, 100.0, 99.9, 100.1)

    assert seen.gap == START
    assert seen.range(0, START + 100) is None
    assert seen.filled([], SECOND, START + 60)
    assert (seen.gap, seen.known) == (None, START + 60)
    assert seen.range(START, START + 100) == Sight(START + 50, 100.0, 100.0, 100.0, 100.0)


def test_candles_asked_for_before_the_stream_was_heard_close_no_gap() -> None:
    """What happened between an answer and the stream's first price is in neither."""
    seen = Sightings(START)
    seen.filled([], SECOND, START + 40)
    seen.told(START + 50, 100.0, 99.9, 100.1)

    assert seen.gap == START + 40
    seen.filled([], SECOND, START + 45)
    assert seen.gap == START + 45
    seen.filled([], SECOND, START + 50)
    assert seen.gap is None


def test_each_price_of_the_stream_is_known_at_once() -> None:
    """While the stream is heard, every change is handed on, in order, once."""
    seen = watched()
    at = seen.known
    for number, price in enumerate((101.0, 97.0, 99.0), 1):
        seen.told(at + number * 200, price, price, price)

    assert seen.known == at + 600
    assert seen.range(at, at + 600) == Sight(at + 600, 101.0, 101.0, 97.0, 99.0)
    seen.forget(at + 400)
    assert seen.range(at, at + 600) == Sight(at + 600, 99.0, 99.0, 99.0, 99.0)
    assert seen.range(at + 600, at + 9_000) is None


def test_an_answer_that_says_the_same_moves_knowledge_on() -> None:
    """A quiet pair is known up to the last question about it."""
    seen = watched()
    seen.answered(START + 30 * SECOND, 100.0, 99.9, 100.1)

    assert (seen.gap, seen.known) == (None, START + 30 * SECOND)


def test_an_answer_that_says_something_else_opens_a_gap() -> None:
    """The stream has missed a change: what it was is read from candles, from the last certain price on."""
    seen = watched()
    known = seen.known
    seen.answered(START + 30 * SECOND, 97.0, 96.9, 97.1)

    assert (seen.gap, seen.known) == (known, known)
    seen.filled([Candle(START, 99.0, 101.0, 95.0, 97.0, 2.0)], MINUTE, START + 31 * SECOND)
    assert seen.gap is None
    found = seen.range(known, seen.known)
    assert found is not None
    assert (found.high, found.low, found.close) == (100.0, 95.0, 97.0)


def test_what_lies_beyond_all_that_was_seen_came_in_the_gap() -> None:
    """Lost and found within a minute: its candle's low is news, its high was seen before the gap."""
    seen = watched()
    known = seen.known
    seen.lost()
    assert seen.gap == known
    seen.told(START + 40 * SECOND, 99.5, 99.4, 99.6)
    sure = seen.filled([Candle(START, 99.0, 101.0, 90.0, 99.5, 2.0)], MINUTE, START + 41 * SECOND)

    assert sure
    found = seen.range(known, seen.known)
    assert found is not None
    assert (found.open, found.high, found.low) == (100.0, 100.0, 90.0)


def test_of_a_minute_that_was_not_watched_only_its_end_is_taken() -> None:
    """An order of the middle of a minute meets nothing of its beginning, and it is said that something is unsure."""
    seen = Sightings(START + 30 * SECOND)
    rows = [Candle(START, 99.0, 120.0, 80.0, 100.0, 1.0), Candle(START + MINUTE, 100.0, 104.0, 98.0, 103.0, 1.0)]
    sure = seen.filled(rows, MINUTE, START + MINUTE + 30 * SECOND)

    assert not sure
    assert spans(seen, START + 30 * SECOND) == [(100.0, 100.0, 100.0, 100.0), (100.0, 104.0, 98.0, 103.0)]


def test_candles_of_a_second_tell_where_a_jump_began() -> None:
    """A price that jumped while nobody looked is met where it landed, not on its way there."""
    seen = Sightings(START + 500)
    rows = [
        Candle(START, 100.0, 100.0, 100.0, 100.0, 1.0),
        Candle(START + SECOND, 95.0, 95.5, 94.0, 95.2, 1.0),
        Candle(START + 2 * SECOND, 95.2, 99.0, 95.0, 99.0, 1.0),
    ]
    assert seen.filled(rows, SECOND, START + 2_500)

    assert spans(seen, START + 999)[0] == (95.0, 95.5, 94.0, 95.2)


def test_a_minute_after_a_quiet_one_was_watched_from_its_beginning() -> None:
    """A new minute begins with the price of the last one, and is whole if the stream was heard all along."""
    seen = watched()
    seen.answered(START + MINUTE + SECOND, 100.0, 99.9, 100.1)
    seen.lost()
    seen.filled([Candle(START + MINUTE, 100.0, 100.05, 93.0, 93.0, 1.0)], MINUTE, START + MINUTE + 20 * SECOND)
    found = seen.range(START + MINUTE, seen.known)

    assert found is not None
    assert (found.open, found.high, found.low, found.close) == (100.0, 100.0, 93.0, 93.0)
    assert seen.gap == START + MINUTE + 20 * SECOND, "the stream is not heard yet"


def test_what_was_seen_after_the_gap_hides_nothing_of_its_first_minute() -> None:
    """Prices of later minutes are told while the gap of an earlier one is still open: its own minute is not forgotten."""
    seen = watched()
    known = seen.known
    seen.lost()
    seen.answered(START + MINUTE + SECOND, 99.0, 98.9, 99.1)
    rows = [Candle(START, 99.0, 101.0, 92.0, 99.5, 2.0), Candle(START + MINUTE, 99.5, 99.5, 99.0, 99.0, 1.0)]
    sure = seen.filled(rows, MINUTE, START + MINUTE + 2 * SECOND)

    assert sure
    found = seen.range(known, START + MINUTE - 1)
    assert found is not None
    assert (found.open, found.high, found.low, found.close) == (100.0, 100.0, 92.0, 99.5)


def test_prices_that_nobody_takes_become_ranges() -> None:
    """However long nobody looks, what is kept is bounded, and no extreme is lost."""
    seen = watched()
    at = seen.known
    for number in range(3 * ROWS_MAX):
        price = 100.0 + number % 7 + (50.0 if number == 777 else 0.0)
        seen.told(at + 10 * (number + 1), price, price, price)
    found = seen.range(at, seen.known)

    assert len(seen._rows) <= ROWS_MAX
    assert found is not None
    assert (found.high, found.low) == (100.0 + 777 % 7 + 50.0, 100.0)


@pytest.mark.parametrize("step", [SECOND, MINUTE])
def test_a_long_absence_is_met_in_order(step: int) -> None:
    """After a restart each candle of the absence is one range, and the last one ends when it was asked for."""
    seen = Sightings(START - 1)
    rows = [Candle(START + n * step, 100.0 + n, 101.0 + n, 99.0 + n, 100.5 + n, 1.0) for n in range(5)]
    seen.filled(rows, step, START + 4 * step + 300)

    assert [seen.range(START + n * step - 1, START + (n + 1) * step - 1) for n in range(4)] == [
        Sight(START + (n + 1) * step - 1, 100.0 + n, 101.0 + n, 99.0 + n, 100.5 + n) for n in range(4)
    ]
    assert seen.known == START + 4 * step + 300
    last = seen.range(START + 4 * step - 1, seen.known)
    assert last is not None
    assert last.ts == START + 4 * step + 300
