"""Gathering candles: what closes and when, what is asked for, what duplicates, losses and silence do."""

from __future__ import annotations

import random

from engine.candles import MINUTE, Candle
from engine.gathering import (
    ASK_AFTER_MS,
    ASK_DOWN_MS,
    BELIEVED_AFTER,
    EMPTY_AFTER_MS,
    RETRY_MS,
    Gathering,
    Question,
)
from engine.types import Millis

START = 1_767_225_600_000
A, B = "A/USDT", "B/USDT"


def at(minute: int, close: float = 10.0, volume: float = 1.0) -> Candle:
    """The candle of a minute, of one price."""
    return Candle(START + minute * MINUTE, close, close, close, close, volume)


def time(minute: int, ms: int = 0) -> Millis:
    """So many ms into a minute."""
    return START + minute * MINUTE + ms


def gathering(*, flagged: bool = True, pairs: tuple[str, ...] = (A,)) -> Gathering:
    """Pairs that have their history up to minute 0, and a stream that is up since then."""
    made = Gathering(MINUTE, flagged=flagged)
    made.follow(pairs)
    for pair in pairs:
        made.start(pair, at(-1, 9.0), time(0))
    made.up(pairs, time(0))
    return made


def test_a_flagged_candle_is_there_with_its_own_frame() -> None:
    """The frame that says "closed" makes a candle complete, the ones before do not."""
    made = gathering()

    assert not made.heard(A, at(0, 10.0, 1.0), closed=False)
    assert made.take((A,), time(0)) == []
    assert made.is_held_up(time(0))
    assert made.heard(A, at(0, 11.0, 2.0), closed=True)
    assert not made.is_held_up(time(0))
    assert made.take((A,), time(0)) == [(A, at(0, 11.0, 2.0))]


def test_without_flags_the_next_candle_ends_the_one_before() -> None:
    """A venue that does not say when a candle has closed is understood by its next candle's first frame."""
    made = gathering(flagged=False)
    made.heard(A, at(0, 10.0, 1.0), closed=None)
    made.heard(A, at(0, 11.0, 2.0), closed=None)

    assert made.heard(A, at(1, 12.0, 0.1), closed=None)
    assert made.take((A,), time(0)) == [(A, at(0, 11.0, 2.0))]


def test_doubled_and_reordered_frames_change_nothing() -> None:
    """However often and in whatever order the frames of candles come, each candle is handed on once, with its last values."""
    frames = [(at(minute, 10.0 + n, 1.0 + n), n == 3) for minute in range(3) for n in range(4)]
    for seed in range(20):
        chance = random.Random(seed)
        shuffled = frames * 2
        chance.shuffle(shuffled)
        made = gathering()
        got = []
        for candle, closed in shuffled:
            made.heard(A, candle, closed)
            got += made.take((A,), time(2))

        assert got == [(A, at(minute, 13.0, 4.0)) for minute in range(3)]


def test_what_the_stream_does_not_bring_is_asked_for_once() -> None:
    """A lacking candle is asked for a while after its close, not again before the answer, and handed on with it."""
    made = gathering()
    made.heard(A, at(0), closed=False)

    assert list(made.questions(time(1, ASK_AFTER_MS - 1))) == []
    assert list(made.questions(time(1, ASK_AFTER_MS))) == [Question(A, time(0))]
    assert list(made.questions(time(1, ASK_AFTER_MS + 50))) == []
    assert made.awaited(time(0)) == {A}
    assert not made.read(A, time(0), [at(0, 10.5, 3.0), at(1)], time(1, ASK_AFTER_MS))
    assert made.take((A,), time(0)) == [(A, at(0, 10.5, 3.0))]
    assert made.awaited(time(0)) == frozenset()


def test_a_stream_that_is_down_is_not_waited_for() -> None:
    """While the stream is down a candle is asked for at once, and it holds nobody up."""
    made = gathering()
    made.heard(A, at(0), closed=False)
    made.down((A,))

    assert not made.is_held_up(time(0))
    assert list(made.questions(time(1, ASK_DOWN_MS))) == [Question(A, time(0))]


def test_an_answer_without_the_candle_is_believed_when_a_later_one_is_in_it() -> None:
    """No candle, but a later one: nothing was traded, and the price stayed."""
    made = gathering()
    made.read(A, time(0), [at(1, 12.0)], time(2, 100))

    assert made.take((A,), time(1)) == [(A, Candle(time(0), 9.0, 9.0, 9.0, 9.0, 0.0)), (A, at(1, 12.0))]


def test_an_empty_answer_is_the_venues_delay_at_first() -> None:
    """An answer without any candle is asked for again, and believed some seconds after the close."""
    made = gathering()
    list(made.questions(time(1, ASK_AFTER_MS)))
    made.read(A, time(0), [], time(1, ASK_AFTER_MS))

    assert made.take((A,), time(0)) == []
    assert list(made.questions(time(1, ASK_AFTER_MS + RETRY_MS - 1))) == []
    assert list(made.questions(time(1, ASK_AFTER_MS + RETRY_MS))) == [Question(A, time(0))]
    made.read(A, time(0), [], time(1, EMPTY_AFTER_MS))
    assert made.take((A,), time(0)) == [(A, Candle(time(0), 9.0, 9.0, 9.0, 9.0, 0.0))]


def test_an_answer_that_is_behind_the_stream_is_not_believed_at_first() -> None:
    """A venue whose books by REST lag shows less volume than its stream did: it is asked again, but not for ever."""
    made = gathering()
    made.heard(A, at(0, 10.0, 5.0), closed=False)
    for _ in range(BELIEVED_AFTER):
        made.read(A, time(0), [at(0, 10.0, 4.0)], time(1, 700))
        assert made.take((A,), time(0)) == []

    made.read(A, time(0), [at(0, 10.0, 4.0)], time(1, 9_000))
    assert made.take((A,), time(0)) == [(A, at(0, 10.0, 4.0))]


def test_a_later_candle_waits_for_an_earlier_one() -> None:
    """The stream's next candle is not handed on before the lost one has been read, and both come in order."""
    made = gathering()
    made.heard(A, at(1), closed=True)

    assert made.take((A,), time(1)) == []
    assert list(made.questions(time(2, ASK_DOWN_MS))) == [Question(A, time(0))]
    made.read(A, time(0), [at(0), at(1)], time(2, ASK_DOWN_MS))
    assert made.take((A,), time(1)) == [(A, at(0)), (A, at(1))]


def test_a_quiet_pair_holds_nobody_up() -> None:
    """A pair of which no frame has come is asked for after those that were traded, and the round does not wait for it."""
    made = gathering(pairs=(A, B))
    made.heard(B, at(0), closed=False)

    assert list(made.questions(time(1, ASK_AFTER_MS))) == [Question(B, time(0)), Question(A, time(0))]
    made.heard(B, at(0), closed=True)
    assert not made.is_held_up(time(0))


def test_a_stream_that_did_not_tell_of_trades_is_deaf() -> None:
    """Trades that only the answer knows of show a dead stream; not those from before it was up, nor a quiet pair's."""
    made = gathering()
    assert made.read(A, time(0), [at(0, 10.0, 3.0)], time(1, 600))
    assert not made.read(A, time(1), [at(1, 10.0, 0.0)], time(2, 600))

    made.down((A,))
    assert not made.read(A, time(2), [at(2, 10.0, 3.0)], time(3, 600))
    made.up((A,), time(3, 700))
    assert not made.read(A, time(3), [at(3, 10.0, 3.0)], time(4, 600))
    assert made.read(A, time(4), [at(4, 10.0, 3.0)], time(5, 600))


def test_questions_that_fail_are_asked_later_and_later() -> None:
    """Without an answer the next question waits longer each time, and one answer fills all that was missed."""
    made = gathering()
    made.down((A,))
    now, gaps = time(1, ASK_DOWN_MS), []
    assert list(made.questions(now)) == [Question(A, time(0))]
    for _ in range(6):
        made.failed(A, now)
        asked = now
        while not list(made.questions(now)):
            now += 500
        gaps.append(now - asked)
    assert gaps == sorted(gaps)
    assert gaps[0] < gaps[-1]

    made.read(A, time(0), [at(n) for n in range(3)], time(3, 200))
    assert [candle.ts for _, candle in made.take((A,), time(2))] == [time(0), time(1), time(2)]


def test_a_reader_that_starts_again_gets_what_it_missed() -> None:
    """After going back, candles that were handed on already are handed on again, in order."""
    made = gathering()
    for minute in range(4):
        made.heard(A, at(minute), closed=True)
    made.take((A,), time(3))

    made.go_back(A, time(2))
    assert made.newest_before(A, time(2)) == at(1)
    assert made.take((A,), time(3)) == [(A, at(2)), (A, at(3))]


def test_a_history_that_comes_late_repeats_nothing() -> None:
    """What was handed on while a history was on its way is not handed on again; what it reaches beyond is left out."""
    made = gathering()
    made.heard(A, at(0), closed=True)
    made.take((A,), time(0))
    made.start(A, at(-1), time(0))
    made.heard(A, at(1), closed=True)
    assert made.take((A,), time(1)) == [(A, at(1))]

    made.start(A, at(4), time(5))
    made.heard(A, at(5), closed=True)
    assert made.take((A,), time(5)) == [(A, at(5))]


def test_nothing_is_handed_on_or_asked_before_the_start() -> None:
    """A pair whose history has not come has frames kept for it, and no questions asked."""
    made = Gathering(MINUTE, flagged=True)
    made.follow((A,))
    made.up((A,), time(0))
    made.heard(A, at(0), closed=True)

    assert made.take((A,), time(0)) == []
    assert list(made.questions(time(5))) == []
    assert made.awaited(time(0)) == frozenset()
    made.start(A, at(-1), time(0))
    assert made.take((A,), time(0)) == [(A, at(0))]


def test_memory_is_bounded() -> None:
    """A day of candles leaves a few of them behind."""
    made = gathering()
    for minute in range(1_440):
        made.heard(A, at(minute), closed=True)
        made.take((A,), time(minute))

    made.go_back(A, time(0))
    assert made.take((A,), time(1_440)) == []
    assert list(made.questions(time(1_440, 200))) == [Question(A, time(0))]
