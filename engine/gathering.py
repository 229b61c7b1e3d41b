"""Candles of many pairs out of a venue's stream and of answers to questions: what has closed, what to ask for.

A stream says of each candle how it stands, again and again, until it has closed; some venues say then that
it has (`closed`), others only begin the next. Frames may be lost, doubled, reordered, or stop. So what the
stream does not bring in time is asked for, and handed on in order, each candle once.

Rules
    A frame that says its candle has closed is final. Without such a word, the last frame before one of a
    later candle is.
    `ASK_AFTER_MS` after its close, a candle that the stream has not brought is asked for; at once while the
    stream is down. An answer without it is believed when it holds a later one, or `EMPTY_AFTER_MS` after the
    close: nothing was traded, the price stayed. An answer with less volume than the stream has shown is
    behind, and asked for again.
    A pair's candles are handed on without a hole: a later one waits for an earlier one.
    A pair is quiet in a candle of which no frame has come; nobody waits for quiet pairs (`is_held_up`).
    A candle of a quiet pair that turns out to have been traded shows that its stream is dead (`deaf`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from engine.candles import Candle
from engine.repair import filler
from engine.types import Millis

ASK_AFTER_MS: Final = 500
"""So long after its close a candle may come by the stream before it is asked for."""

ASK_DOWN_MS: Final = 100
"""The same while the stream is down: just enough for the venue's own books to be closed."""

EMPTY_AFTER_MS: Final = 5_000
"""So long after the close an answer without the candle may still be the venue's delay."""

RETRY_MS: Final = 1_000
RETRY_MS_MAX: Final = 15_000

BELIEVED_AFTER: Final = 3
"""After so many answers with less volume than the stream has shown, the answer is believed."""

KEPT: Final = 10
"""Candles of each pair kept after they were handed on: for a reader that starts again."""


class Question(NamedTuple):
    """Ask for this pair's candles from the one that opens at `since` on."""

    pair: str
    since: Millis


class _Desk:
    """One pair's candles."""

    __slots__ = ("cursor", "done", "forming", "last", "next_ask", "tries", "up_since", "wanted")

    def __init__(self) -> None:
        self.cursor: Millis | None = None
        self.done: dict[Millis, Candle] = {}
        self.forming: Candle | None = None
        self.last: Candle | None = None
        self.next_ask: Millis = 0
        self.tries = 0
        self.up_since: Millis | None = None
        self.wanted: Millis | None = None

    def keep(self, candle: Candle) -> bool:
        """Take a closed candle; False if it is known."""
        if candle.ts in self.done:
            return False
        self.done[candle.ts] = candle
        if len(self.done) > 2 * KEPT:
            self._prune()
        return True

    def _prune(self) -> None:
        oldest = sorted(self.done)
        for ts in oldest[: len(oldest) - KEPT]:
            if self.cursor is None or ts < self.cursor:
                del self.done[ts]


class Gathering:
    """The candles of one timeframe. `flagged`: the stream says itself when a candle has closed.

    Not for several threads at once.
    """

    def __init__(self, step_ms: Millis, *, flagged: bool) -> None:
        self._step = step_ms
        self._flagged = flagged
        self._desks: dict[str, _Desk] = {}
        self._down: set[str] = set()

    @property
    def pairs(self) -> Collection[str]:
        """The pairs that are followed."""
        return self._desks.keys()

    # ------------------------------------------------------------ whom it is for

    def follow(self, pairs: Iterable[str]) -> None:
        """Gather for these pairs; nothing is handed on or asked for before `start`."""
        for pair in pairs:
            self._desks.setdefault(pair, _Desk())

    def leave(self, pairs: Iterable[str]) -> None:
        """Forget these pairs: the venue has them no more."""
        for pair in pairs:
            self._desks.pop(pair, None)
            self._down.discard(pair)

    def start(self, pair: str, last: Candle | None, next_ts: Millis) -> None:
        """Hand on from the candle `next_ts` on; `last` is the newest one before it, where there is one.

        What was handed on already while the history was on its way is not handed on again.
        """
        desk = self._desks[pair]
        if desk.cursor is None or desk.cursor < next_ts:
            desk.cursor, desk.last = next_ts, last
        desk.tries, desk.next_ask, desk.wanted = 0, 0, None

    def go_back(self, pair: str, next_ts: Millis) -> None:
        """Hand on again from `next_ts` on, as far as it is still known."""
        desk = self._desks.get(pair)
        if desk is not None and (desk.cursor is None or next_ts < desk.cursor):
            desk.cursor = next_ts

    # ------------------------------------------------------------ what comes in

    def heard(self, pair: str, candle: Candle, closed: bool | None) -> bool:
        """A frame of the stream; `closed` is None where the venue does not say. True when a candle is now closed."""
        desk = self._desks.get(pair)
        if desk is None or candle.ts % self._step:
            return False
        if closed:
            if desk.forming is not None and desk.forming.ts <= candle.ts:
                desk.forming = candle
            return desk.keep(candle)
        before = desk.forming
        if before is not None and (candle.ts, candle.volume) < (before.ts, before.volume):
            return False  # reordered: what it says is older than what is known
        desk.forming = candle
        succeeded = before is not None and before.ts < candle.ts and not self._flagged and pair not in self._down
        return succeeded and before is not None and desk.keep(before)

    def read(self, pair: str, since: Millis, rows: Sequence[Candle], now: Millis) -> bool:
        """An answer to a question that was asked when all candles before `now` had closed: rows from `since` on.

        Returns whether the pair is deaf: something was traded that its stream, which is up, has not told.
        """
        desk = self._desks.get(pair)
        if desk is None:
            return False
        desk.wanted = None
        known = {row.ts: row for row in rows if row.ts >= since and row.ts % self._step == 0}
        newest = max(known, default=since - self._step)
        deaf = False
        for ts in range(since, now - self._step + 1, self._step):
            row = known.get(ts)
            if row is not None and not self._is_behind(desk, row):
                is_new = desk.keep(row)
                deaf |= is_new and row.volume > 0.0 and self._should_have_heard(pair, desk, ts)
            elif row is None and ts not in desk.done and (ts < newest or now >= ts + self._step + EMPTY_AFTER_MS):
                self._keep_empty(desk, ts)
            if ts not in desk.done:
                break
        if desk.cursor is None or desk.cursor + self._step > now or desk.cursor in desk.done:
            desk.tries, desk.next_ask = 0, 0
        else:
            self._ask_later(desk, now)
        return deaf

    def failed(self, pair: str, now: Millis) -> None:
        """A question had no answer: it is asked again, later each time."""
        desk = self._desks.get(pair)
        if desk is not None:
            desk.wanted = None
            self._ask_later(desk, now)

    def down(self, pairs: Iterable[str]) -> None:
        """The stream of these pairs does not bring anything: ask at once."""
        self._down.update(pair for pair in pairs if pair in self._desks)

    def up(self, pairs: Iterable[str], now: Millis) -> None:
        """The stream of these pairs is there (again); what was said before `now` may have been missed."""
        for pair in pairs:
            self._down.discard(pair)
            desk = self._desks.get(pair)
            if desk is not None:
                desk.up_since = now
                if not self._flagged:
                    desk.forming = None  # its last word may be lost: ask

    # ------------------------------------------------------------ what goes out

    def take(self, pairs: Iterable[str], newest: Millis) -> list[tuple[str, Candle]]:
        """What has closed, up to the candle `newest`, and was not taken yet: each pair's in order."""
        taken: list[tuple[str, Candle]] = []
        for pair in pairs:
            desk = self._desks.get(pair)
            if desk is None or desk.cursor is None:
                continue
            while desk.cursor <= newest and (candle := desk.done.get(desk.cursor)) is not None:
                taken.append((pair, candle))
                desk.last = candle
                desk.cursor += self._step
        return taken

    def awaited(self, newest: Millis) -> frozenset[str]:
        """The pairs whose candles up to `newest` have not all closed for us."""
        return frozenset(
            pair for pair, desk in self._desks.items() if desk.cursor is not None and self._lacks(desk, newest)
        )

    def is_held_up(self, newest: Millis) -> bool:
        """Whether some pair that is traded, and whose stream is up, has not told the end of the candle `newest`."""
        return any(
            desk.forming is not None
            and desk.forming.ts == newest
            and desk.cursor == newest
            and newest not in desk.done
            and pair not in self._down
            for pair, desk in self._desks.items()
        )

    def questions(self, now: Millis) -> Iterator[Question]:
        """What is to be asked now: pairs that were traded first. A question is asked once until it is answered."""
        newest = now // self._step * self._step - self._step
        quiet: list[Question] = []
        for pair, desk in self._desks.items():
            if desk.cursor is None or desk.wanted is not None or now < desk.next_ask:
                continue
            patience = ASK_DOWN_MS if pair in self._down or desk.cursor < newest else ASK_AFTER_MS
            if now < desk.cursor + self._step + patience or desk.cursor in desk.done:
                continue
            desk.wanted = desk.cursor
            question = Question(pair, desk.cursor)
            if desk.forming is not None and desk.forming.ts >= desk.cursor:
                yield question
            else:
                quiet.append(question)
        yield from quiet

    def newest_before(self, pair: str, before: Millis) -> Candle | None:
        """The newest closed candle known that opened before `before`."""
        desk = self._desks.get(pair)
        if desk is None:
            return None
        known = [ts for ts in desk.done if ts < before]
        if known:
            return desk.done[max(known)]
        return desk.last if desk.last is not None and desk.last.ts < before else None

    def forming(self, pair: str) -> Candle | None:
        """The candle that the stream told of last."""
        desk = self._desks.get(pair)
        return None if desk is None else desk.forming

    def price(self, pair: str) -> tuple[Millis, float] | None:
        """The newest price that candles know of, and the time its candle began."""
        desk = self._desks.get(pair)
        candle = None if desk is None else desk.forming or desk.last
        return None if candle is None else (candle.ts, candle.close)

    # ------------------------------------------------------------ inside

    def _lacks(self, desk: _Desk, newest: Millis) -> bool:
        assert desk.cursor is not None
        return any(ts not in desk.done for ts in range(desk.cursor, newest + 1, self._step))

    @staticmethod
    def _ask_later(desk: _Desk, now: Millis) -> None:
        desk.next_ask = now + min(RETRY_MS << min(desk.tries, 8), RETRY_MS_MAX)
        desk.tries += 1

    @staticmethod
    def _is_behind(desk: _Desk, row: Candle) -> bool:
        forming = desk.forming
        behind = forming is not None and forming.ts == row.ts and row.volume < forming.volume
        return behind and desk.tries < BELIEVED_AFTER

    def _should_have_heard(self, pair: str, desk: _Desk, ts: Millis) -> bool:
        """Whether a stream that was up all the time has told nothing of the candle `ts`."""
        silent = desk.forming is None or desk.forming.ts < ts
        return silent and pair not in self._down and desk.up_since is not None and desk.up_since <= ts

    def _keep_empty(self, desk: _Desk, ts: Millis) -> None:
        before = desk.done.get(ts - self._step) or desk.last
        if before is not None:
            desk.keep(filler(ts, before.close))
