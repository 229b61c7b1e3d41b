"""What is known of a pair's prices to somebody who watches them over a network: prices seen, and where seeing ended.

A stream tells every price for as long as it lives, and says nothing of what it missed. So from the last
price before it was lost on there is a gap, until the candles of that time have been read: they tell where
the price was meanwhile.

Rules
    `known`: all prices up to this moment are here. Only what is known is handed on (`range`), in order of time.
    While the stream is heard, each of its prices moves `known` on, and so does an answer to a question that
    says the same as the stream. One that says something else shows that the stream has missed something.
    A candle that began before the gap may hold prices of before it. What lies beyond all that was seen in its
    minute until then must have come in the gap; if the minute was not watched from its beginning, nobody can
    say, and only its end is taken (`unsure`).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import Final, NamedTuple

from engine.candles import MINUTE, Candle
from engine.types import Millis

ROWS_MAX: Final = 10_000
"""While nobody takes them, so many prices are kept one by one; then neighbours become one range."""


class Sight(NamedTuple):
    """Where the price went until `ts`, in this order: first, highest or lowest, last."""

    ts: Millis
    open: float
    high: float
    low: float
    close: float


class _Minute(NamedTuple):
    """What was seen of a minute; `whole`: from its beginning on."""

    low: float
    high: float
    whole: bool


class Sightings:
    """One pair's prices from `since` on; see the module's rules. Not for several threads at once."""

    __slots__ = (
        "_before",
        "_heard",
        "_minutes",
        "_missed",
        "_rows",
        "known",
        "price",
        "price_at",
    )

    def __init__(self, since: Millis) -> None:
        self.known = since
        self.price: float | None = None
        self.price_at: Millis = 0
        self._before: float | None = None
        self._rows: list[Sight] = []
        self._heard = False
        self._missed: Millis | None = since
        self._minutes: dict[Millis, _Minute] = {}

    # ------------------------------------------------------------ what is seen

    def told(self, ts: Millis, price: float, low: float, high: float) -> None:
        """The stream tells a price; `low` and `high` are the bid and the ask around it."""
        if not self._heard:
            self._heard, self._missed = True, ts
        self._see(ts, price, low, high)

    def answered(self, asked_at: Millis, price: float, low: float, high: float) -> None:
        """A question of `asked_at` was answered with this price."""
        if self._missed is None and price != self.price:
            self._missed = asked_at
        self._see(asked_at, price, low, high)

    def lost(self) -> None:
        """The stream tells nothing any more; what it says next comes after a gap."""
        self._heard = False
        if self._missed is None:
            self._missed = self.known

    def filled(self, rows: Sequence[Candle], step_ms: Millis, asked_at: Millis) -> bool:
        """All candles since `known`, as they were at `asked_at`; the gap is closed if the stream was heard by then.

        False when something of it stays unsure; see the module's rules.
        """
        sure = True
        for row in rows:
            end = min(row.ts + step_ms - 1, asked_at)
            if end <= self.known:
                continue
            at = self._before_seen(max(row.ts, self.known + 1), end)
            if row.ts > self.known:
                self._keep(Sight(at, row.open, row.high, row.low, row.close))
            else:
                sure = self._begun_before(row, step_ms, at) and sure
            self._take_in(row, step_ms)
        self.known = max(self.known, asked_at)
        self._before = rows[-1].close if rows else self._before
        if self._missed is not None and self._heard and self._missed <= asked_at:
            self._missed, self._before = None, self.price
            self.known = max(self.known, self.price_at)
        self._forget_minutes()
        return sure

    # ------------------------------------------------------------ what is known

    @property
    def gap(self) -> Millis | None:
        """Since when prices are not known; None while they are."""
        return None if self._heard and self._missed is None else self.known

    def range(self, after: Millis, until: Millis) -> Sight | None:
        """Where the price went in (after, until], as far as it is known; None if it was not seen to move there."""
        until = min(until, self.known)
        inside = [row for row in self._rows if after < row.ts <= until]
        if not inside:
            return None
        return _joined(inside)

    def forget(self, until: Millis) -> None:
        """Prices up to here have been met."""
        if self._rows and self._rows[0].ts <= until:
            self._rows = [row for row in self._rows if row.ts > until]

    # ------------------------------------------------------------ inside

    def _see(self, ts: Millis, price: float, low: float, high: float) -> None:
        before, self.price, self.price_at = self.price, price, max(ts, self.price_at)
        self._widen(ts // MINUTE * MINUTE, min(price, low), max(price, high), before)
        if price != before:
            self._keep(Sight(max(ts, self.known + 1), price, price, price, price))
        if self._missed is None:
            self.known, self._before = max(self.known + (price != before), ts), price
            self._forget_minutes()

    def _widen(self, minute: Millis, low: float, high: float, before: float | None) -> None:
        """Keep what was seen of a minute, and whether it was seen from its beginning."""
        known = self._minutes.get(minute)
        if known is not None:
            self._minutes[minute] = _Minute(min(known.low, low), max(known.high, high), known.whole)
        elif before is not None and self._missed is None:
            self._minutes[minute] = _Minute(min(low, before), max(high, before), whole=True)
        else:
            self._minutes[minute] = _Minute(low, high, whole=False)

    def _forget_minutes(self) -> None:
        """A gap begins in the minute of `known` at the earliest."""
        if len(self._minutes) > 1:
            first = self.known // MINUTE * MINUTE
            self._minutes = {ts: minute for ts, minute in self._minutes.items() if ts >= first}

    def _take_in(self, row: Candle, step_ms: Millis) -> None:
        """A candle of a minute tells all of it up to now."""
        if step_ms == MINUTE:
            known = self._minutes.get(row.ts) or _Minute(row.low, row.high, whole=True)
            self._minutes[row.ts] = _Minute(min(known.low, row.low), max(known.high, row.high), whole=True)

    def _begun_before(self, row: Candle, step_ms: Millis, end: Millis) -> bool:
        """Keep what came after `known` of a candle that began before it; False where nobody can say."""
        first = row.close if self._before is None else self._before
        minute = self._minutes.get(row.ts)
        if step_ms == MINUTE and minute is not None and minute.whole:
            low = row.low if row.low < minute.low else min(first, row.close)
            high = row.high if row.high > minute.high else max(first, row.close)
            self._keep(Sight(end, first, max(high, first), min(low, first), row.close))
            return True
        self._keep(Sight(end, row.close, row.close, row.close, row.close))
        return step_ms < MINUTE

    def _before_seen(self, begin: Millis, end: Millis) -> Millis:
        """When a candle of that time is met: at its end, but before prices that were seen in it."""
        seen = next((row.ts for row in self._rows if begin < row.ts <= end), end + 1)
        return min(end, seen - 1)

    def _keep(self, sight: Sight) -> None:
        if self._rows and self._rows[-1].ts > sight.ts:
            insort(self._rows, sight, key=lambda row: row.ts)
        else:
            self._rows.append(sight)
        if len(self._rows) > ROWS_MAX:
            self._rows = [_joined(self._rows[at : at + 2]) for at in range(0, len(self._rows), 2)]


def _joined(rows: Sequence[Sight]) -> Sight:
    high, low = max(row.high for row in rows), min(row.low for row in rows)
    return Sight(rows[-1].ts, rows[0].open, high, low, rows[-1].close)
