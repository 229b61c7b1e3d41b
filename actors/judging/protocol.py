"""How the bot and a worker process talk: frames on a socket, and a piece of shared memory, the desk.

Rules
    A frame is a length (4 bytes), a kind (1 byte) and a body. Candles travel as raw float64, the
    rest as JSON. Both ends refuse a frame longer than `FRAME_MAX`: a worker runs other people's
    code, so nothing it says may hurt the bot.

Why a desk
    A worker that hangs cannot say so, and what it had finished before must not hang with it. So it
    writes on shared memory which pair is in hand, before it starts on it, and each verdict as soon
    as it has one. The bot reads both whenever it likes; a frame only tells it that looking is worth it.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import time
from array import array
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

import orjson

from actors.judging.bench import Outcome, Verdict
from engine.candles import Candle
from engine.errors import StrategyError
from engine.messages import NO_SIGNAL, Signal
from engine.strategy import TAG_MAX
from engine.views import REASON_MAX as LOCK_REASON_MAX
from engine.views import WISHES_MAX
from engine.wishes import wishes_of

FRAME_MAX: Final = 16 * 1024 * 1024
REASON_MAX: Final = 500
_ROW: Final = 6


class Kind(IntEnum):
    """What a frame is. The first five go to the worker, the others come from it."""

    START = 1
    LOAD = 2
    JUDGE = 3
    ASK = 4
    ACCOUNT = 5
    READY = 16
    BROKEN = 17
    PROGRESS = 18
    ANSWER = 19


_HEAD: Final = struct.Struct("<IB")
_LOAD: Final = struct.Struct("<I")
_JUDGE: Final = struct.Struct("<qI?")


def frame(kind: Kind, body: bytes = b"") -> bytes:
    """One frame, ready to be sent."""
    return _HEAD.pack(len(body), kind) + body


def frame_json(kind: Kind, body: Any) -> bytes:
    """One frame with a JSON body. Decimals become floats: a strategy computes in floats."""
    return frame(kind, orjson.dumps(body, default=float, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY))


class Frames:
    """Cuts what arrived on a socket into frames. Raises ValueError on what cannot be one."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames (kind, body) that are complete now."""
        self._rest += data
        found, at = [], 0
        while len(self._rest) - at >= _HEAD.size:
            length, kind = _HEAD.unpack_from(self._rest, at)
            if length > FRAME_MAX:
                raise ValueError(f"a frame of {length} bytes")
            end = at + _HEAD.size + length
            if len(self._rest) < end:
                break
            found.append((kind, bytes(self._rest[at + _HEAD.size : end])))
            at = end
        del self._rest[:at]
        return found


# ---------------------------------------------------------------- candles


def _pack(candles: Iterable[Candle]) -> bytes:
    return array("d", [value for candle in candles for value in candle]).tobytes()


def _unpack(data: memoryview) -> list[Candle]:
    values = data.cast("d").tolist()
    return [Candle(int(values[at]), *values[at + 1 : at + _ROW]) for at in range(0, len(values), _ROW)]


def load_frame(place: int, rows: Sequence[Candle]) -> bytes:
    """The candles before the first live one of the pair at `place`."""
    return frame(Kind.LOAD, _LOAD.pack(place) + _pack(rows))


def read_load(body: bytes) -> tuple[int, list[Candle]]:
    """What `load_frame` packed."""
    return _LOAD.unpack_from(body)[0], _unpack(memoryview(body)[_LOAD.size :])


class Batch(NamedTuple):
    """New candles to take in, and (`judge`) to judge; `number` tells its verdicts from an older one's."""

    number: int
    places: Sequence[int]
    candles: Sequence[Candle]
    judge: bool = True


def judge_frame(batch: Batch) -> bytes:
    """New candles of some pairs."""
    head = _JUDGE.pack(batch.number, len(batch.places), batch.judge)
    return frame(Kind.JUDGE, head + array("i", batch.places).tobytes() + _pack(batch.candles))


def read_judge(body: bytes) -> Batch:
    """What `judge_frame` packed."""
    number, count, judge = _JUDGE.unpack_from(body)
    places_end = _JUDGE.size + 4 * count
    places = memoryview(body)[_JUDGE.size : places_end].cast("i").tolist()
    return Batch(number, places, _unpack(memoryview(body)[places_end:]), judge)


# ---------------------------------------------------------------- the desk


class Hand(NamedTuple):
    """What a worker is busy with: the pair at `place`, since a time of the machine's monotonic clock."""

    place: int
    since: float
    asked: bool


class Desk:
    """Shared memory of one worker: what it has in hand, and the verdicts of its current batch.

    The worker writes, the bot reads. A verdict is there when `committed` covers it.
    """

    _HAND: Final = struct.Struct("<di?")
    _BATCH: Final = struct.Struct("<qI")
    _VERDICT: Final = struct.Struct("<iBBH")
    _HAND_AT, _BATCH_AT, _VERDICTS_AT = 0, 32, 64
    # Two tags of four-byte characters, and locks of as long reasons; a failure's reason is shorter.
    _LONGEST: Final = 8 + 8 * TAG_MAX + 64 + WISHES_MAX * (4 * LOCK_REASON_MAX + 128)
    NOBODY: Final = -1

    def __init__(self, fd: int, places: int) -> None:
        self._memory = mmap.mmap(fd, self.size(places))

    @classmethod
    def size(cls, places: int) -> int:
        """How many bytes a desk for so many pairs takes; untouched ones cost nothing."""
        return cls._VERDICTS_AT + cls._LONGEST * max(places, 1)

    @classmethod
    def make(cls, places: int) -> tuple[Desk, int]:
        """A new desk and the descriptor by which a child process can open it; the caller closes that."""
        with tempfile.TemporaryFile(buffering=0) as file:
            file.truncate(cls.size(places))
            fd = os.dup(file.fileno())
        desk = cls(fd, places)
        desk.release()
        return desk, fd

    # the worker's side

    def hold(self, place: int, *, asked: bool = False) -> None:
        """Say what is started on, before it is."""
        self._HAND.pack_into(self._memory, self._HAND_AT, time.monotonic(), place, asked)

    def release(self) -> None:
        """Say that nothing is in hand."""
        self._HAND.pack_into(self._memory, self._HAND_AT, time.monotonic(), self.NOBODY, False)

    def begin(self, batch: int) -> None:
        """Start a batch; the verdicts of the one before are gone."""
        self._BATCH.pack_into(self._memory, self._BATCH_AT, batch, 0)

    def put(self, verdict: Verdict) -> None:
        """Add a verdict to the current batch."""
        batch, committed = self._BATCH.unpack_from(self._memory, self._BATCH_AT)
        signal, extra = verdict.signal, b""
        flags = signal.enter_long | signal.exit_long << 1 | signal.enter_short << 2 | signal.exit_short << 3
        if verdict.outcome != Outcome.JUDGED:
            extra = verdict.reason[:REASON_MAX].encode(errors="replace")
        elif signal.enter_tag or signal.exit_tag or signal.score or verdict.wishes:
            extra = orjson.dumps([signal.enter_tag, signal.exit_tag, signal.score, verdict.wishes])
        at = self._VERDICTS_AT + committed
        self._VERDICT.pack_into(self._memory, at, verdict.place, verdict.outcome, flags, len(extra))
        start = at + self._VERDICT.size
        self._memory[start : start + len(extra)] = extra
        self._BATCH.pack_into(self._memory, self._BATCH_AT, batch, start + len(extra) - self._VERDICTS_AT)

    # the bot's side

    def hand(self) -> Hand | None:
        """What is in hand; None when nothing is."""
        since, place, asked = self._HAND.unpack_from(self._memory, self._HAND_AT)
        return None if place == self.NOBODY else Hand(place, since, asked)

    def since(self) -> float:
        """When the worker last took something up or put it down."""
        moment: float = self._HAND.unpack_from(self._memory, self._HAND_AT)[0]
        return moment

    def verdicts(self, batch: int, seen: int) -> tuple[list[Verdict], int]:
        """The verdicts of `batch` beyond the first `seen` bytes, and how many bytes are seen then.

        Raises StrategyError when the user's code has written over the desk.
        """
        number, committed = self._BATCH.unpack_from(self._memory, self._BATCH_AT)
        if number != batch or committed <= seen:
            return [], seen
        data = self._memory[self._VERDICTS_AT + seen : self._VERDICTS_AT + committed]
        try:
            return self._decode(data), committed
        except (struct.error, ValueError, TypeError) as error:
            raise StrategyError(f"its worker's memory is damaged ({error})") from error

    def _decode(self, data: bytes) -> list[Verdict]:
        found, at = [], 0
        while at < len(data):
            place, outcome, flags, length = self._VERDICT.unpack_from(data, at)
            at += self._VERDICT.size + length
            extra = data[at - length : at]
            if outcome != Outcome.JUDGED:
                found.append(Verdict(place, NO_SIGNAL, Outcome(outcome), extra.decode(errors="replace")))
                continue
            enter_tag, exit_tag, score, wishes = orjson.loads(extra) if extra else ("", "", 0.0, ())
            wishes_of(wishes)  # what makes no sense is found out here
            signal = NO_SIGNAL
            if flags:
                signal = Signal(
                    enter_long=bool(flags & 1),
                    exit_long=bool(flags & 2),
                    enter_short=bool(flags & 4),
                    exit_short=bool(flags & 8),
                    enter_tag=enter_tag,
                    exit_tag=exit_tag,
                    score=score,
                )
            found.append(Verdict(place, signal, wishes=tuple(wishes)))
        return found

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
