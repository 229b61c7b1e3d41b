"""The trades that a plain run took, as places in its lanes: in decimals when one is looked at, as columns at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, overload

import numpy as np

from engine.booked import closed_trades
from engine.candles import Floats
from engine.columns import Ints, Labels, TradeColumns
from engine.lanes import Lane
from engine.messages import TradeClosed
from engine.quick import Held
from engine.reckoning import reckon
from engine.steps import scale_of
from engine.straight import Rows
from engine.types import ZERO, exact


@dataclass(frozen=True, slots=True)
class Taken:
    """Which entry of which lane each trade was, and its number on the pair, in the order of their ends.

    `amounts` are known where the account reckoned them; `closed` are the trades, by their place, that are there.
    """

    lanes: Sequence[Lane]
    lane: Ints
    entry: Ints
    number: Ints
    amounts: Sequence[Decimal | None]
    closed: dict[int, TradeClosed]

    @classmethod
    def of(cls, lanes: Sequence[Lane], held: Sequence[Held]) -> Taken:
        """Those of a run that took one after the other."""
        return cls(
            lanes,
            np.array([one.lane.number for one in held], np.int64),
            np.array([one.entry for one in held], np.int64),
            np.array([one.number for one in held], np.int64),
            [one.amount for one in held],
            {place: one.closed for place, one in enumerate(held) if one.closed is not None},
        )

    def __len__(self) -> int:
        return len(self.lane)


class PlainTrades(Sequence[TradeClosed]):
    """The closed trades of a run in the order of their ends, each made when it is first looked at.

    `columns` has the same as doubles, at once; `fee` is the rate of all their fees.
    """

    def __init__(self, taken: Taken) -> None:
        self._taken = taken
        self.fee = taken.lanes[0].rules.fee if taken.lanes else ZERO
        self.columns = TradeColumns.of(list(self)) if len(taken.closed) == len(taken) else self._columns()

    def __len__(self) -> int:
        return len(self._taken)

    @overload
    def __getitem__(self, at: int) -> TradeClosed: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[TradeClosed]: ...
    def __getitem__(self, at: int | slice) -> TradeClosed | Sequence[TradeClosed]:
        """One trade, or some."""
        places = range(len(self))[at]
        return self._made(places) if isinstance(places, int) else [self._made(place) for place in places]

    def __iter__(self) -> Iterator[TradeClosed]:
        self._make_all()
        return map(self._made, range(len(self)))

    @property
    def profit(self) -> Decimal:
        """The sum of all profits: each is a whole number of 1e-8, so the doubles tell it exactly."""
        units = np.rint(self.columns.profit_abs * 1e8).astype(np.int64).tolist()
        return Decimal(sum(units)).scaleb(-8)

    def _made(self, place: int) -> TradeClosed:
        """A trade in decimals."""
        taken = self._taken
        found = taken.closed.get(place)
        if found is None:
            self._make(taken.lane[place], np.array([place]))
            found = taken.closed[place]
        return found

    def _make_all(self) -> None:
        """Make all that nobody has looked at yet: many at once cost a third of what they cost one by one."""
        made = np.zeros(len(self), np.bool_)
        made[list(self._taken.closed)] = True
        for lane in range(len(self._taken.lanes)):
            places = np.flatnonzero((self._taken.lane == lane) & ~made)
            if len(places):
                self._make(lane, places)

    def _make(self, number: int, places: Ints) -> None:
        """Make the trades of these places, all of one lane."""
        taken, lane = self._taken, self._taken.lanes[number]
        entries = taken.entry[places]
        amounts = [taken.amounts[place] for place in places.tolist()] if taken.amounts else [None] * len(places)
        known = [
            exact(bought) if amount is None else amount
            for amount, bought in zip(amounts, lane.amount[entries].tolist(), strict=True)
        ]
        trades = closed_trades(lane, entries, taken.number[places].tolist(), known)
        taken.closed.update(zip(places.tolist(), trades, strict=True))

    # ------------------------------------------------------------ columns

    def _columns(self) -> TradeColumns:
        """The trades as columns, sorted by their ends; those that are there in decimals as they are."""
        taken = self._taken
        offsets = np.cumsum([0, *(len(lane.rows) for lane in taken.lanes)])[taken.lane] + taken.entry

        def gather(values: Callable[[Lane], Any]) -> Any:
            return np.concatenate([values(lane) for lane in taken.lanes])[offsets]

        side = gather(lambda lane: lane.sides).astype(np.float64)
        leverage = taken.lanes[0].rules.settings.leverage
        values = self._values(gather, side, leverage)
        fee = float(self.fee)
        volume = values["amount"] * (values["open_rate"] * (1 + fee) + values["close_rate"] * (1 + fee))
        columns = TradeColumns(
            pair=_labels(taken.lane, [lane.pair for lane in taken.lanes]),
            enter_tag=Labels.of(self._texts(lambda lane, entries: lane.tags(lane.rows[entries]))),
            exit_reason=Labels.of(self._reasons()),
            is_short=side < 0,
            leverage=np.full(len(side), float(leverage)),
            volume=volume,
            **values,
        )
        ends = columns.close_ts
        return columns if (ends[1:] >= ends[:-1]).all() else columns[np.argsort(ends, kind="stable")]

    def _values(
        self, gather: Callable[[Callable[[Lane], Any]], Any], side: Floats, leverage: Decimal
    ) -> dict[str, Any]:
        taken = self._taken
        lots = np.array([scale_of(lane.rules.market.amount_step) for lane in taken.lanes], np.float64)[taken.lane]
        ticks = np.array([scale_of(lane.rules.market.price_step) for lane in taken.lanes], np.float64)[taken.lane]
        values = {
            "open_ts": gather(lambda lane: lane.times[lane.rows]),
            "close_ts": gather(lambda lane: lane.times[lane.exit]),
            "open_rate": gather(lambda lane: lane.open_rate),
            "close_rate": gather(lambda lane: lane.close_rate),
            "amount": gather(lambda lane: lane.amount),
        }
        steps = (np.rint(values["open_rate"] * ticks), np.rint(values["close_rate"] * ticks))
        scales = lots.astype(np.longdouble) * ticks
        money = reckon(side, np.rint(values["amount"] * lots), *steps, scales, self.fee, leverage)
        values |= {"stake": money.stake, "profit_abs": money.profit_abs, "profit_ratio": money.profit_ratio}
        for place in {*np.flatnonzero(money.unsure).tolist(), *taken.closed}:
            trade = self._made(place)
            for name, column in values.items():
                column[place] = float(getattr(trade, name))
        return values

    def _texts(self, of_lane: Callable[[Lane, Rows], list[str]]) -> list[str]:
        """A text for each trade, told by its lane of its entries."""
        taken, texts = self._taken, [""] * len(self)
        for place, lane in enumerate(taken.lanes):
            own = np.flatnonzero(taken.lane == place)
            for at, text in zip(own.tolist(), of_lane(lane, taken.entry[own]), strict=True):
                texts[at] = text
        return texts

    def _reasons(self) -> list[str]:
        reasons = self._texts(lambda lane, entries: lane.reasons(entries))
        for place, trade in self._taken.closed.items():
            reasons[place] = trade.exit_reason
        return reasons


def _labels(codes: Ints, names: Sequence[str]) -> Labels:
    """Labels of places among `names`, in the order of their first use."""
    used = list(dict.fromkeys(codes.tolist()))
    places = np.zeros(len(names), np.int64)
    places[used] = np.arange(len(used))
    return Labels(places[codes], tuple(names[code] for code in used))
