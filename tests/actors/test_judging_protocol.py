"""What the bot and a worker say to each other, and the judge's books."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.judging.bench import Outcome, Verdict
from actors.judging.handle import WorkerHandle, start_s
from actors.judging.protocol import (
    FRAME_MAX,
    Batch,
    Desk,
    Frames,
    Kind,
    frame,
    frame_json,
    judge_frame,
    load_frame,
    read_judge,
    read_load,
)
from actors.judging.rounds import HISTORY_CHUNK, Histories
from engine.candles import Candle
from engine.errors import StrategyError
from engine.messages import NO_SIGNAL, Signal
from engine.quarantine import Strikes
from engine.settings import StrategyConfig

numbers = st.floats(allow_nan=False)
candles = st.builds(Candle, st.integers(0, 2**52), numbers, numbers, numbers, numbers, numbers)
tags = st.text(max_size=255)
signals = st.builds(
    Signal,
    enter_long=st.booleans(),
    exit_long=st.booleans(),
    enter_short=st.booleans(),
    exit_short=st.booleans(),
    enter_tag=tags,
    exit_tag=tags,
    score=st.floats(allow_nan=False, allow_infinity=False),
).filter(bool)


@given(bodies=st.lists(st.binary(max_size=300), max_size=6), cut=st.integers(1, 50))
def test_frames_survive_any_cutting(bodies: list[bytes], cut: int) -> None:
    """However a socket cuts the bytes, the same frames come out in order."""
    stream = b"".join(frame(Kind.ANSWER, body) for body in bodies)
    frames = Frames()
    found = [each for at in range(0, len(stream), cut) for each in frames.feed(stream[at : at + cut])]

    assert found == [(Kind.ANSWER, body) for body in bodies]


def test_a_frame_too_long_is_refused() -> None:
    """A worker cannot make the bot keep more than a bounded piece."""
    with pytest.raises(ValueError, match="a frame of"):
        Frames().feed((FRAME_MAX + 1).to_bytes(4, "little") + b"\x12")


@given(rows=st.lists(candles, max_size=5), place=st.integers(0, 2**31), judge=st.booleans())
def test_candles_travel_exactly(rows: list[Candle], place: int, judge: bool) -> None:
    """Every float arrives as it was sent."""
    batch = Batch(7, list(range(len(rows))), rows, judge)

    assert read_judge(judge_frame(batch)[5:]) == batch
    assert read_load(load_frame(place, rows)[5:]) == (place, rows)


def test_decimals_reach_a_strategy_as_floats() -> None:
    """JSON bodies take what callbacks are asked with, numbers of minutes as keys too."""
    from decimal import Decimal

    assert frame_json(Kind.ASK, {0: Decimal("0.1")})[5:] == b'{"0":0.1}'


@given(
    given_=st.lists(st.one_of(signals, st.just(NO_SIGNAL), st.text(max_size=600)), max_size=5), split=st.integers(0, 5)
)
def test_verdicts_are_read_as_they_were_put(given_: list[Signal | str], split: int) -> None:
    """Signals with tags of any script, and failures with their reasons, come off the desk in order, in parts too."""
    desk, fd = Desk.make(5)
    os.close(fd)
    verdicts = [
        Verdict(at, outcome=Outcome.FAILED, reason=what)
        if isinstance(what, str)
        else Verdict(at, what, wishes=(["lock", "A/B", "*", 5, what.enter_tag],) * (at % 3))
        for at, what in enumerate(given_)
    ]
    desk.begin(3)
    for verdict in verdicts[:split]:
        desk.put(verdict)
    first, seen = desk.verdicts(3, 0)
    for verdict in verdicts[split:]:
        desk.put(verdict)
    rest, seen = desk.verdicts(3, seen)

    expected = [verdict._replace(reason=verdict.reason[:500]) for verdict in verdicts]
    assert [*first, *rest] == expected
    assert desk.verdicts(3, seen) == ([], seen)
    assert desk.verdicts(2, 0) == ([], 0)
    desk.close()


def test_the_hand_is_seen_from_the_other_side() -> None:
    """A second mapping of the desk shows what is in hand, since when, and that it was put down."""
    desk, fd = Desk.make(5)
    other = Desk(fd, 5)
    os.close(fd)
    before = time.monotonic()

    assert other.hand() is None
    desk.hold(4, asked=True)
    hand = other.hand()
    assert hand is not None
    assert (hand.place, hand.asked) == (4, True)
    assert before <= hand.since <= time.monotonic()
    desk.release()
    assert other.hand() is None


def test_a_damaged_desk_is_noticed() -> None:
    """What a user's code has written over is refused, not believed."""
    desk, fd = Desk.make(5)
    desk.begin(1)
    desk.put(Verdict(0, Signal(enter_long=True, enter_tag="x")))
    os.pwrite(fd, b"\xff" * 12, 64)
    os.close(fd)

    with pytest.raises(StrategyError, match="memory is damaged"):
        desk.verdicts(1, 0)


def test_histories_come_in_chunks() -> None:
    """Every place is asked for once, a bounded number of candles at a time, the next when the last have come."""
    histories, asked = Histories(HISTORY_CHUNK // 3), []
    histories.begin(range(8))
    while places := histories.next():
        asked.append(list(places))
        assert histories.next() == ()
        assert all(histories.loaded(place) for place in places)
        assert not histories.loaded(places[0])

    assert asked == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert histories.complete


def test_failures_in_a_row_are_counted() -> None:
    """Three failures in a row are quarantine, which is said once; a success starts anew."""
    strikes = Strikes()
    said = [strikes.strike(1), strikes.strike(1)]
    strikes.clear(1)
    said += [strikes.strike(1) for _ in range(4)]

    assert said == [False] * 4 + [True, False]
    assert strikes.quarantined == {1}


def test_a_worker_that_starts_slowly_has_longer_the_next_time() -> None:
    """A machine with too much to do gets its worker in the end: one that was not ready in time is not ended as early again."""
    spans = [start_s(stumbles) for stumbles in range(6)]
    now = [0.0]
    handle = WorkerHandle(
        StrategyConfig(), ("BTC/USDT",), token="t", tell=lambda _: None, clock=lambda: now[0], may_take_s=spans[1]
    )
    try:
        found = []
        for seconds in (29.0, 31.0):
            now[0] = seconds
            found.append(handle.overdue(busy=False))
    finally:
        handle.kill()

    assert spans == [15, 30, 60, 120, 120, 120]
    assert [None if overdue is None else overdue.reason for overdue in found] == [None, "did not start within 30 s"]
